//! Deleting takes the critical section.
use apclab_critical_section::RawCriticalSection;

fn main() {
    let section = RawCriticalSection::new().unwrap();
    section.delete().unwrap();
    section.delete().unwrap();
}
