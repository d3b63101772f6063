//! A guard that other threads see gives them the data, all at a time.
use std::cell::Cell;
use std::thread;

use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(Cell::new(0)).unwrap();
    let entered = section.enter().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| entered.set(1));
    });
}
