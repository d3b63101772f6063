//! Fault injection: of the driver's calls that can fail, a chosen one does.

/// The fallible calls of a machine so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// How many there were.
    pub(crate) calls: u64,
    /// The function whose call was made to fail.
    pub(crate) failed: Option<&'static str>,
}

impl Failures {
    /// Counts a call of `function`. Says whether it is number `chosen`, counted from 0, and so has
    /// to fail.
    pub(crate) fn count(&mut self, function: &'static str, chosen: Option<u64>) -> bool {
        let fails = chosen == Some(self.calls);
        self.calls += 1;
        if fails {
            self.failed = Some(function);
        }
        fails
    }
}
