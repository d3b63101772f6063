//! Paths through the model as traces, in the very records that the driver writes.

use apclab_model::kernel::{ApcId, ApcKind, Kernel, ThreadId};
use apclab_model::program::{Event, State, apply, enabled};
use apclab_protocol::message::Context;
use apclab_protocol::program::{ApcKind as Queued, Place, Program};
use apclab_protocol::step::Step;
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP, Record};

/// The records of a path. There is no clock in the model: the time of each is its place in the order.
/// Steps that only steer (a repeat, the end of a block) are no events of the model, and in no record.
///
/// A lane that has not finished has no [`Kind::End`]. When the last event leads into a bug check,
/// the records end with the step that does.
pub(crate) fn records(initial: State, program: &Program<'_>, path: &[Event]) -> Vec<Record> {
    let mut writer = Writer::default();
    let mut state = initial;
    for lane in 0..state.lanes().len() {
        writer.write(&state, lane, What::of(Kind::Begin));
    }
    for event in path {
        writer.before(&state, program, *event);
        let Ok(next) = apply(&state, program, *event) else {
            return writer.records;
        };
        writer.after(&state, &next, program, *event);
        state = next;
    }
    let running = enabled(&state, program);
    for lane in 0..state.lanes().len() {
        let (place, next) = state.position(lane);
        let ended = place == of_lane(lane) && next == program.len(place);
        // A thread that is suspended does not end, wherever it is.
        let suspended = program.caller(lane) && state.kernel().suspend_count(thread(lane)) > 0;
        if running.is_empty() && ended && !suspended {
            writer.write(&state, lane, What::of(Kind::End));
        }
    }
    writer.records
}

/// What a record says, time and place apart.
#[derive(Clone, Copy)]
struct What {
    kind: Kind,
    step: u32,
    apc: u8,
    value: i64,
}

impl What {
    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            step: NO_STEP,
            apc: NO_APC,
            value: 0,
        }
    }

    fn routine(kind: Kind, apc: ApcId) -> Self {
        Self {
            apc: index(apc),
            ..Self::of(kind)
        }
    }

    /// A step of a lane or of a body.
    fn step(kind: Kind, (place, step): (Place, usize), value: i64) -> Self {
        Self {
            kind,
            step: number(step),
            apc: match place {
                Place::Lane(_) => NO_APC,
                Place::Body(apc) => apc,
            },
            value,
        }
    }
}

#[derive(Default)]
struct Writer {
    records: Vec<Record>,
}

impl Writer {
    fn write(&mut self, state: &State, lane: usize, what: What) {
        let irql = match what.kind {
            Kind::KernelRoutine => 1,
            Kind::NormalRoutine => 0,
            _ => state.kernel().irql(thread(lane)),
        };
        let sequence = number(self.records.len());
        self.records.push(Record {
            time: sequence.into(),
            sequence,
            step: what.step,
            lane: byte(lane),
            kind: what.kind,
            apc: what.apc,
            context: context(state.kernel(), thread(lane), irql),
            value: what.value,
        });
    }

    fn done(&mut self, state: &State, program: &Program<'_>, lane: usize, at: (Place, usize)) {
        let (place, step) = at;
        let executed = program.step(place, step);
        let register = |register: u8| state.register(place, register.into());
        let value = executed.and_then(result).map_or(0, register);
        let acquired = match executed {
            Some(Step::Acquire { .. } | Step::EnterAcquire { .. }) => true,
            Some(Step::Try { .. }) => value != 0,
            _ => false,
        };
        if acquired {
            self.write(state, lane, What::step(Kind::Acquired, at, 0));
        }
        self.write(state, lane, What::step(Kind::Done, at, value));
    }

    /// What the driver writes ahead of doing it.
    fn before(&mut self, state: &State, program: &Program<'_>, event: Event) {
        let step = |writer: &mut Self, lane: usize| {
            let at = state.position(lane);
            writer.write(state, lane, What::step(Kind::Step, at, 0));
        };
        match event {
            Event::Step { lane, .. } => step(self, lane),
            Event::Barrier => (0..state.lanes().len()).for_each(|lane| step(self, lane)),
            Event::Deliver { lane } => {
                let apc = state.kernel().deliverable(thread(lane));
                // Nobody writes when the APC comes that suspends a lane.
                if let Some(apc) = apc.filter(|apc| (apc.0 as usize) < program.apcs()) {
                    self.write(state, lane, What::routine(Kind::KernelRoutine, apc));
                }
            }
            Event::Routine { lane } => {
                if let Some((apc, ApcKind::Normal)) = state.kernel().running(thread(lane)) {
                    self.write(state, lane, What::routine(Kind::NormalRoutine, apc));
                }
            }
            // The driver knows nothing of these: their routines run in user mode.
            Event::UserApc { lane } => {
                if let Some(apc) = state.kernel().user_deliverable(thread(lane)) {
                    self.write(state, lane, What::routine(Kind::NormalRoutine, apc));
                }
            }
            Event::Return { .. }
            | Event::Grant { .. }
            | Event::Expire { .. }
            | Event::Alert { .. } => {}
        }
    }

    /// What it writes afterwards.
    fn after(&mut self, before: &State, after: &State, program: &Program<'_>, event: Event) {
        match event {
            Event::Step { lane, .. } => {
                let at = before.position(lane);
                if let Some(Step::Queue { apc, .. }) = program.step(at.0, at.1) {
                    let inserted = inserted(before.kernel(), program, ApcId(apc.into()));
                    let what = What::step(Kind::Inserted, at, inserted.into());
                    self.write(after, lane, What { apc, ..what });
                }
                if !in_wait(after, lane) || matches!(at.0, Place::Body(_)) {
                    self.done(after, program, lane, at);
                }
            }
            Event::Barrier => {
                for lane in 0..after.lanes().len() {
                    self.done(after, program, lane, before.position(lane));
                }
            }
            Event::Deliver { lane } => {
                let apc = before.kernel().deliverable(thread(lane));
                let begun = apc.filter(|apc| {
                    let index = apc.0 as usize;
                    // The APC that suspends a lane is none of the program's.
                    is_normal(program, *apc) && after.ran(index) > before.ran(index)
                });
                if let Some(apc) = begun {
                    self.write(after, lane, What::routine(Kind::NormalRoutine, apc));
                }
            }
            Event::Routine { .. }
            | Event::Return { .. }
            | Event::Grant { .. }
            | Event::Expire { .. }
            | Event::Alert { .. }
            | Event::UserApc { .. } => {}
        }
        // The waits that this event has ended, also those of other lanes.
        for (lane, at) in before.lanes().iter().enumerate() {
            if in_wait(before, lane) && !in_wait(after, lane) {
                self.done(after, program, lane, (of_lane(lane), at.next()));
            }
        }
    }
}

/// Whether a lane is in a wait, also when an APC interrupts it.
fn in_wait(state: &State, lane: usize) -> bool {
    let (kernel, t) = (state.kernel(), thread(lane));
    kernel.waiting(t) || kernel.interrupts_wait(t)
}

/// Whether an APC can be queued now. A thread of a test does not end while its lanes run, so an
/// insertion is refused only where the APC is in a queue already, or no request is held.
fn inserted(kernel: &Kernel, program: &Program<'_>, apc: ApcId) -> bool {
    match program.apc(apc.0 as usize).map(|apc| apc.kind) {
        Some(Queued::User | Queued::SpecialUser) => true,
        Some(Queued::Completion) => kernel.request_held(apc),
        _ => !kernel.inserted(apc),
    }
}

fn is_normal(program: &Program<'_>, apc: ApcId) -> bool {
    let kind = program.apc(apc.0 as usize).map(|apc| apc.kind);
    kind == Some(Queued::Normal)
}

/// The register that a step writes.
const fn result(step: Step) -> Option<u8> {
    match step {
        Step::ApcsDisabled { to }
        | Step::AllApcsDisabled { to }
        | Step::Irql { to }
        | Step::Ran { to, .. }
        | Step::WaitFor { to, .. }
        | Step::WaitAs { to, .. }
        | Step::Sleep { to, .. }
        | Step::Try { to, .. }
        | Step::AcquiredExclusive { to, .. }
        | Step::AcquiredShared { to, .. }
        | Step::ExclusiveWaiters { to, .. }
        | Step::SharedWaiters { to, .. }
        | Step::ReleaseFor { to, .. }
        | Step::Load { to, .. } => Some(to),
        Step::Queue { to, .. } | Step::Suspend { to, .. } | Step::Resume { to, .. } => to,
        _ => None,
    }
}

fn context(kernel: &Kernel, t: ThreadId, irql: u8) -> Context {
    let counters = kernel.counters(t);
    Context {
        apcs_disabled: counters.kernel != 0 || counters.special != 0,
        all_apcs_disabled: counters.special != 0 || irql > 0,
        irql,
    }
}

fn thread(lane: usize) -> ThreadId {
    ThreadId(number(lane))
}

fn of_lane(lane: usize) -> Place {
    Place::Lane(byte(lane))
}

fn index(apc: ApcId) -> u8 {
    byte(apc.0 as usize)
}

/// A path has fewer records, and a program fewer lanes, than a number can count.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn byte(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}
