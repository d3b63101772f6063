//! Sharing a critical section sends its data.
use std::rc::Rc;
use std::thread;

use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(Rc::new(0)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(section.enter()));
    });
}
