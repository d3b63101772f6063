//! What tests may ask of the model behind the guards.
#![allow(
    unsafe_code,
    reason = "hands out the tokens of the threads that it makes"
)]

use core::ffi::c_void;
use core::ptr::NonNull;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use apclab_model::kernel::{ApcKind, Baseline, EventKind, ObjectId};

use super::machine::{DEADLOCK, Seat, Shared, call, seat, sit};
use super::name::Name;
use super::schedule::{Choices, Schedule};
use crate::{ApcLevel, Passive, StopEvent};

/// The calling thread's two counters: 0 is enabled, negative is that many regions deep.
pub fn counters() -> Baseline {
    call(|kernel, thread| Ok(kernel.counters(thread)))
}

/// Runs each closure on a thread of its own, all on the calling thread's machine, and waits for
/// their ends. Each gets its thread's token.
///
/// # Panics
/// When a closure panics, or ends its thread with APCs disabled or at a raised IRQL (bug check
/// 0x20).
pub fn threads(mains: &[&(dyn Fn(&mut Passive) + Sync)]) {
    let machine = seat().machine;
    machine.expect(mains.len());
    thread::scope(|scope| {
        let threads: Vec<_> = mains
            .iter()
            .map(|main| {
                // Made here, so that the threads have the same names in every run.
                let seat = Seat::of(Arc::clone(&machine));
                scope.spawn(move || on_thread(seat, main))
            })
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}

fn on_thread(seat: Seat, main: impl Fn(&mut Passive)) {
    /// Lets the others go on, also when this thread panics.
    struct Departure(Seat);
    impl Drop for Departure {
        fn drop(&mut self) {
            sit(None);
            self.0.machine.depart(self.0.id);
        }
    }
    sit(Some(seat.clone()));
    let departure = Departure(seat);
    departure.0.machine.arrive(departure.0.id);
    // SAFETY: the thread was made just now, at PASSIVE_LEVEL, and this is its only token.
    let mut irql = unsafe { Passive::assume() };
    main(&mut irql);
    call(|kernel, thread| {
        kernel.end_thread(thread)?;
        Ok(())
    });
}

/// Calls `scenario` once for every order in which the threads that it runs with [`threads`] can make
/// their calls of the kernel, each time on a new machine. Gives how many orders there are.
///
/// The scenario calls [`threads`] at most once, and does nothing else that differs from run to run.
///
/// # Panics
/// When a scenario panics, and when an order ends in a deadlock.
pub fn every_interleaving(scenario: impl Fn()) -> usize {
    let mut choices = Some(Choices::default());
    let mut orders = 0;
    while let Some(begin) = choices {
        let machine = Shared::new(Some(Schedule::new(begin)));
        sit(Some(Seat::of(Arc::clone(&machine))));
        scenario();
        sit(None);
        orders += 1;
        let schedule = machine.schedule.lock().map(|mut schedule| schedule.take());
        choices = schedule
            .ok()
            .flatten()
            .and_then(|schedule| schedule.into_choices().next());
    }
    orders
}

/// Lets a special kernel APC interrupt the calling thread here, if nothing keeps it out, and says
/// whether it did.
pub fn interrupt(routine: impl FnOnce(&mut ApcLevel)) -> bool {
    let arrived = call(|kernel, thread| {
        // On a copy first: an APC that is kept out would stay in the thread's queue.
        let mut copy = kernel.clone();
        let apc = copy.create_apc(thread, ApcKind::Special);
        copy.insert_apc(apc, thread)?;
        if copy.deliverable(thread) != Some(apc) {
            return Ok(None);
        }
        *kernel = copy;
        Ok(kernel.begin_delivery(thread))
    });
    let Some((apc, _)) = arrived else {
        return false;
    };
    // SAFETY: the model delivers the APC at APC_LEVEL, and this is the routine's only token.
    let mut irql = unsafe { ApcLevel::assume() };
    routine(&mut irql);
    call(|kernel, thread| {
        kernel.kernel_routine_returned(thread)?;
        kernel.remove_apc(apc)
    });
    true
}

/// Where two threads of a test wait for each other, outside the model.
#[derive(Debug, Default)]
pub struct Meeting {
    arrived: Mutex<u32>,
    changed: Condvar,
}

impl Meeting {
    /// Waits until both are here.
    ///
    /// # Panics
    /// When the other does not come: a test fails then instead of hanging.
    pub fn meet(&self) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let round = *arrived / 2;
        *arrived += 1;
        self.changed.notify_all();
        while *arrived / 2 == round {
            let (guard, waited) = self
                .changed
                .wait_timeout(arrived, DEADLOCK)
                .unwrap_or_else(PoisonError::into_inner);
            assert!(!waited.timed_out(), "the other thread did not come");
            arrived = guard;
        }
    }
}

/// An event of the calling thread's machine.
#[derive(Debug)]
pub struct Event(Name<ObjectId>);

impl Event {
    /// An event that stays signaled once it is set.
    pub fn notification() -> Self {
        let name = Name::none();
        name.create(|kernel| kernel.create_event(EventKind::Notification, false));
        Self(name)
    }

    /// Signals it.
    pub fn set(&self) {
        call(|kernel, _| Ok(kernel.set_event(self.0.get())));
    }

    pub(super) fn behind(event: &impl StopEvent) -> ObjectId {
        // SAFETY: on the model a stop event's address is that of an `Event`, and the borrow lasts.
        let event = unsafe { event.object().cast::<Self>().as_ref() };
        event.0.get()
    }
}

// SAFETY: the address is that of the event itself.
unsafe impl StopEvent for Event {
    fn object(&self) -> NonNull<c_void> {
        NonNull::from(self).cast()
    }
}

#[cfg(feature = "debug")]
thread_local! {
    static MISTAKES: std::cell::RefCell<Vec<crate::debug::Mistake>> = const {
        std::cell::RefCell::new(Vec::new())
    };
}

#[cfg(feature = "debug")]
pub(super) fn keep(mistake: crate::debug::Mistake) {
    MISTAKES.with_borrow_mut(|mistakes| mistakes.push(mistake));
}

/// The mistakes that were reported in the calling thread since the last call.
#[cfg(feature = "debug")]
pub fn mistakes() -> Vec<crate::debug::Mistake> {
    MISTAKES.take()
}
