//! A critical section is never copied.
use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(0).unwrap();
    let copy = section.clone();
    drop(copy);
}
