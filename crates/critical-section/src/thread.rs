//! Which thread this is.
#![allow(
    clippy::missing_const_for_thread_local,
    reason = "they are; the lint misses that where thread-local values are found by keys"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// In a type that must stay on its thread: neither `Send` nor, by itself, `Sync`.
pub(crate) type OfThisThread = PhantomData<*const StaysOnTheThreadThatEntered>;

/// What the compiler names when such a type is sent.
#[derive(Debug)]
pub(crate) enum StaysOnTheThreadThatEntered {}

/// No thread.
pub(crate) const NOBODY: u64 = 0;

/// A number that no other thread of this process has, had or will have; never [`NOBODY`].
///
/// The system's thread identifiers are no such thing: one that belonged to a thread that has ended is given
/// away again.
///
/// A thread that ends and has destroyed its local values gets a number anew with each call. It then appears as
/// a stranger to what it has entered, which gives it errors and nothing else.
pub(crate) fn current() -> u64 {
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(NOBODY) };
    }
    NUMBER
        .try_with(|number| {
            if number.get() == NOBODY {
                number.set(new());
            }
            number.get()
        })
        .unwrap_or_else(|_| new())
}

/// A number that was not given away before.
fn new() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(NOBODY);
    // 64 bits don't wrap within the life of a process. Only the numbers have to differ.
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    #[test]
    fn threads_that_end_do_not_pass_on_their_numbers() {
        let mut seen = BTreeSet::from([NOBODY, current()]);
        for _ in 0..100 {
            let number = std::thread::spawn(|| {
                assert_eq!(current(), current());
                current()
            })
            .join()
            .expect("the thread does not panic");
            assert!(seen.insert(number), "{number} twice");
        }
    }

    #[test]
    fn a_thread_that_destroys_its_local_values_is_no_other() {
        struct Last(Cell<Option<Sender<(u64, u64)>>>);
        impl Drop for Last {
            fn drop(&mut self) {
                if let Some(sender) = self.0.take() {
                    sender.send((current(), current())).expect("received");
                }
            }
        }
        thread_local! {
            static FIRST: Last = const { Last(Cell::new(None)) };
            static SECOND: Last = const { Last(Cell::new(None)) };
        }
        let (sender, receiver) = channel();
        let own = std::thread::spawn(move || {
            // Destroyed before and after the number, in whichever order that is.
            FIRST.with(|last| last.0.set(Some(sender.clone())));
            let own = current();
            SECOND.with(|last| last.0.set(Some(sender)));
            own
        });
        let own = own.join().expect("the thread does not panic");
        let told: Vec<_> = receiver.iter().collect();
        assert_eq!(told.len(), 2);
        for (one, two) in told {
            assert!(one != NOBODY && two != NOBODY && one != current());
            assert!(one == own && two == own || one != own && two != own);
        }
    }
}
