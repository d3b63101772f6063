//! What is entered stays where it is.
use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(0).unwrap();
    let entered = section.enter().unwrap();
    let moved = section;
    drop(entered);
    drop(moved);
}
