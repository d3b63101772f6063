//! The control: what the other programs do wrong, done right.
use std::cell::Cell;
use std::thread;

use apclab_critical_section::{CriticalMutex, CriticalSection, RawCriticalSection};

fn main() {
    let mutex = CriticalMutex::new(0).unwrap();
    let section = CriticalSection::new(Cell::new(0)).unwrap();
    let raw = RawCriticalSection::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| *mutex.enter().unwrap() += 1);
        scope.spawn(|| section.enter().unwrap().set(1));
        scope.spawn(|| raw.enter().unwrap());
    });
    let guard = mutex.enter().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(*guard, 1));
    });
    drop(guard);
    let moved = mutex;
    drop(thread::spawn(move || moved.into_inner()));
    raw.delete().unwrap();
}
