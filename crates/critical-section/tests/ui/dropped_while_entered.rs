//! The critical section outlives its guards.
use apclab_critical_section::CriticalMutex;

fn main() {
    let mutex = CriticalMutex::new(0).unwrap();
    let guard = mutex.enter().unwrap();
    drop(mutex);
    drop(guard);
}
