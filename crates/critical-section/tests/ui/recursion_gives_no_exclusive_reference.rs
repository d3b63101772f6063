//! Two guards of one thread would give two exclusive references.
use apclab_critical_section::CriticalSection;

fn main() {
    let section = CriticalSection::new(0).unwrap();
    let mut entered = section.enter().unwrap();
    *entered += 1;
}
