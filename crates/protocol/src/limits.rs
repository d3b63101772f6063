//! Limits of what one program and one run may ask for.
//!
//! They bound nonpaged memory, the 24 KB kernel stack and the time that a session can hold threads.

/// Lanes of a program: threads that run at the same time.
pub const LANES: usize = 6;
/// Registers of each lane, `r0` to `r15`.
pub const REGISTERS: usize = 16;
/// Plain variables, shared by all lanes.
pub const VARIABLES: usize = 16;
/// Events.
pub const EVENTS: usize = 16;
/// APC objects.
pub const APCS: usize = 16;
/// Locks: fast mutexes, guarded mutexes, mutexes, resources, push locks and critical sections.
pub const LOCKS: usize = 16;
/// Locks, raises and blocks that one lane has open at the same time. Each costs kernel stack.
pub const SCOPES: usize = 8;
/// Steps of an APC's body.
pub const STEPS_PER_BODY: usize = 16;
/// Rounds of one `repeat`.
pub const ROUNDS: u32 = 10_000;
/// Steps that one lane executes in one iteration, with every round of every `repeat`.
pub const EXECUTED_STEPS: u64 = 1_000_000;
/// Values that one outcome consists of.
pub const OBSERVED: usize = 32;
/// Steps of one lane.
pub const STEPS_PER_LANE: usize = 4096;
/// Regions that one lane has open at the same time.
pub const NESTING: usize = 1024;
/// Different outcomes that a histogram keeps; iterations beyond them are counted as overflow.
pub const OUTCOMES: usize = 1024;
/// Records of one lane in the trace of an iteration.
pub const TRACE_RECORDS_PER_LANE: usize = 1024;
/// Iterations of one run.
pub const ITERATIONS: u32 = 100_000_000;
/// Deadline of a run, in milliseconds.
pub const RUN_DEADLINE_MS: u32 = 600_000;
/// Deadline of one wait inside an iteration, in milliseconds.
pub const WAIT_DEADLINE_MS: u32 = 10_000;
/// Longest sleep of a caller lane in user mode, in milliseconds.
pub const SLEEP_MS: u32 = 1_000;
/// Longest deadline of a wait in a program with caller lanes, in milliseconds: a thread of user mode
/// that is terminated ends when the wait that it is in does.
pub const CALLER_WAIT_DEADLINE_MS: u32 = 2_000;
/// Longest random delay before a step, in microseconds.
pub const DELAY_US: u32 = 1_000;
/// Sessions that the device keeps at the same time.
pub const SESSIONS: usize = 64;
