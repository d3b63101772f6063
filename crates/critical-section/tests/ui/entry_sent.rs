//! Only the thread that entered leaves, however often it has.
use std::thread;

use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(0).unwrap();
    let entered = section.enter().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(entered));
    });
}
