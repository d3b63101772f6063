//! How a critical section is initialized.

use crate::error::SpinCountTooLarge;

/// The largest spin count: InitializeCriticalSectionEx allows no more, and the bits above are flags.
pub const MAX_SPIN_COUNT: u32 = 0x00FF_FFFF;

/// How a critical section is initialized, and thereby by which routine.
///
/// | options | routine |
/// |---|---|
/// | none | InitializeCriticalSection, which leaves the spin count to the system |
/// | a spin count | InitializeCriticalSectionAndSpinCount |
/// | no debug information | InitializeCriticalSectionEx with CRITICAL_SECTION_NO_DEBUG_INFO |
///
/// Before Windows Vista, InitializeCriticalSection raises an exception when memory is short; with a spin count,
/// be it 0, that is an error value instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    spin_count: Option<u32>,
    no_debug_info: bool,
}

impl Options {
    /// The system's own choices.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            spin_count: None,
            no_debug_info: false,
        }
    }

    /// How often a thread that finds the critical section owned looks again before it waits; on a machine with
    /// one processor the system uses 0.
    ///
    /// # Errors
    ///
    /// When the count is above [`MAX_SPIN_COUNT`].
    pub const fn spin_count(mut self, count: u32) -> Result<Self, SpinCountTooLarge> {
        if count > MAX_SPIN_COUNT {
            return Err(SpinCountTooLarge(count));
        }
        self.spin_count = Some(count);
        Ok(self)
    }

    /// Without the record that the system keeps for debuggers in a list of all critical sections. The spin
    /// count is then 0 where none was asked for.
    #[must_use]
    pub const fn no_debug_info(mut self) -> Self {
        self.no_debug_info = true;
        self
    }

    pub(crate) const fn get_spin_count(self) -> Option<u32> {
        self.spin_count
    }

    pub(crate) const fn has_no_debug_info(self) -> bool {
        self.no_debug_info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_no_spin_count() {
        assert!(Options::new().spin_count(MAX_SPIN_COUNT).is_ok());
        let flag = MAX_SPIN_COUNT + 1;
        assert_eq!(
            Options::new().spin_count(flag),
            Err(SpinCountTooLarge(flag))
        );
    }
}
