//! A guard that is dropped at once protects nothing.
#![deny(unused_must_use)]
use apclab_critical_section::{CriticalMutex, EnterError};

fn main() -> Result<(), EnterError> {
    let mutex = CriticalMutex::new(0).unwrap();
    mutex.enter()?;
    Ok(())
}
