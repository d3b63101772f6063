//! No reference outlives its guard.
use apclab_critical_section::CriticalMutex;

fn main() {
    let mutex = CriticalMutex::new(0).unwrap();
    let kept = mutex.with(|data| data).unwrap();
    *kept = 1;
}
