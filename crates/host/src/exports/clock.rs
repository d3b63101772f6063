//! The performance counter.

use apclab_model::kernel::DISPATCH_LEVEL;

use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[Export::plain(
    "KeQueryPerformanceCounter",
    performance_counter,
)];

/// The frequency of the performance counter: 10 MHz, as on Windows 10.
const FREQUENCY: u64 = 10_000_000;

/// `KeQueryPerformanceCounter(PerformanceFrequency)`: with the frequency a scheduling point, where
/// the threads take turns (see [`Schedule`](crate::Schedule)). At `DISPATCH_LEVEL` the scheduler is
/// off.
fn performance_counter(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let asks_frequency = arguments.word(0) != 0;
    if asks_frequency {
        state.memory.write_u64(arguments.word(0), FREQUENCY)?;
    }
    if state.scheduler.is_none() {
        return Ok(thread.machine.now(&state));
    }
    if asks_frequency && state.kernel.irql(thread.id) < DISPATCH_LEVEL {
        state = thread.scheduling_point(state)?;
    }
    Ok(state
        .scheduler
        .as_mut()
        .map_or(0, crate::scheduler::Scheduler::read_clock))
}
