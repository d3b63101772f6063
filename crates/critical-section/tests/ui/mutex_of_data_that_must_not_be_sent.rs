//! Sharing a mutex sends its data.
use std::rc::Rc;
use std::thread;

use apclab_critical_section::CriticalMutex;

fn main() {
    let mutex = CriticalMutex::new(Rc::new(0)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(mutex.enter()));
    });
}
