//! Work on several threads.

use std::panic::resume_unwind;
use std::thread;

/// Does each piece of the work, all at once, and gives what came of them in their order. One piece is
/// done on the calling thread.
pub(super) fn fork<T: Send, R: Send>(work: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    if work.len() < 2 {
        return work.into_iter().map(each).collect();
    }
    let each = &each;
    thread::scope(|scope| {
        let started = work
            .into_iter()
            .map(|piece| scope.spawn(move || each(piece)));
        let started: Vec<_> = started.collect();
        let joined = started.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}
