//! Requests that a driver holds: their completion is a special kernel APC to the thread that made them.

use super::{ApcId, BugCheck, Kernel, ThreadId};

impl Kernel {
    /// The target of the APC, a special one, has made a request whose completion the APC is. The
    /// driver holds it until [`Kernel::complete_request`].
    pub fn hold_request(&mut self, a: ApcId) {
        self.apcs.get_mut(a.0).held = true;
    }

    /// Whether the driver holds a request whose completion is the APC.
    pub fn request_held(&self, a: ApcId) -> bool {
        self.apcs.get(a.0).held
    }

    /// Thread `by` completes the request: the I/O manager queues the APC to the thread that made
    /// it. `false` when no request is held.
    ///
    /// # Errors
    ///
    /// As [`Kernel::insert_apc`].
    pub fn complete_request(&mut self, a: ApcId, by: ThreadId) -> Result<bool, BugCheck> {
        if !std::mem::take(&mut self.apcs.get_mut(a.0).held) {
            return Ok(false);
        }
        self.insert_apc(a, by)
    }
}
