//! Only the thread that entered leaves.
use std::thread;

use apclab_critical_section::CriticalMutex;

fn main() {
    let mutex = CriticalMutex::new(0).unwrap();
    let guard = mutex.enter().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
}
