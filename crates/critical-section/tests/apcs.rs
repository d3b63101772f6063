//! A critical section does not hold user APCs back: in an alertable wait they run on its owner's thread.
#![cfg(windows)]
#![allow(
    unsafe_code,
    reason = "queueing a user APC to the current thread, and waiting alertably"
)]
#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is; the lint misses that where thread-local values are found by keys"
)]

use std::cell::{Cell, RefCell};
use std::error::Error;

use apclab_critical_section::{CriticalMutex, CriticalSection, EnterError};
use windows_sys::Win32::System::Threading::{GetCurrentThread, QueueUserAPC, SleepEx};

thread_local! {
    static BODY: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

unsafe extern "system" fn apc(_parameter: usize) {
    if let Some(body) = BODY.take() {
        body();
    }
}

/// Queues `body` as a user APC of this thread.
fn queue(body: impl FnOnce() + 'static) {
    BODY.set(Some(Box::new(body)));
    // SAFETY: the pseudo handle needs no closing.
    let this = unsafe { GetCurrentThread() };
    // SAFETY: the routine lives as long as the program, and takes any parameter.
    let queued = unsafe { QueueUserAPC(Some(apc), this, 0) };
    assert_ne!(queued, 0, "the APC was not queued");
}

/// Waits without time, alertably or not, and says whether that ran an APC.
fn wait(alertable: bool) -> bool {
    const WAIT_IO_COMPLETION: u32 = 0xC0;
    // SAFETY: the routine has no requirements.
    (unsafe { SleepEx(0, alertable.into()) }) == WAIT_IO_COMPLETION
}

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[test]
fn an_alertable_wait_inside_runs_apcs_which_enter_again() -> Result<(), Box<dyn Error>> {
    let section = leaked(CriticalSection::new(Cell::new(0))?);
    let guard = section.enter()?;
    queue(|| {
        let guard = section.enter().expect("not too deep");
        guard.set(guard.depth());
    });
    assert!(!wait(false));
    assert_eq!(guard.get(), 0, "a wait that is not alertable ran the APC");
    assert!(wait(true));
    assert_eq!(guard.get(), 2);
    assert_eq!(section.depth(), 1);
    Ok(())
}

#[test]
fn the_mutex_gives_an_apc_of_its_owner_no_second_reference() -> Result<(), Box<dyn Error>> {
    let mutex = leaked(CriticalMutex::new(0)?);
    let told = leaked(Cell::new(None));
    let mut guard = mutex.enter()?;
    queue(|| told.set(mutex.with(|data| *data = 1).err()));
    assert!(wait(true));
    assert_eq!(told.get(), Some(EnterError::AlreadyEntered));
    *guard += 2;
    drop(guard);
    assert_eq!(*mutex.enter()?, 2);
    Ok(())
}
