//! Counts of waiters are estimates: whoever waits may come and go at any time.
//!
//! What is computed from such a count is observed only in a test with the tag [`ESTIMATE`], or where
//! nobody can wait.

use std::collections::HashSet;

use apclab_protocol::program::{Observed, Place};
use apclab_protocol::step::Step;

use super::Parser;
use super::draft::Draft;
use crate::place::Span;
use crate::test::ESTIMATE;

/// The value that a register of a lane or body has at the end.
const fn register_of(place: Place, register: u8) -> Observed {
    match place {
        Place::Lane(lane) => Observed::Register { lane, register },
        Place::Body(apc) => Observed::ApcRegister { apc, register },
    }
}

/// Whether any lane waits for a lock while the place may ask. A lane does not wait while it asks
/// itself, but the body of an APC may run in its lane's own wait.
fn is_waited_for(draft: &Draft<'_>, lock: u8, asks: Place) -> bool {
    let waits = |step: &Step| matches!(step, Step::Acquire { lock: other, .. } | Step::EnterAcquire { lock: other, .. } if *other == lock);
    draft
        .places()
        .any(|(place, steps)| place != asks && steps.iter().any(waits))
}

/// Adds to `estimates` what a step of a place makes one; tells whether it is new.
fn spread(draft: &Draft<'_>, place: Place, step: Step, estimates: &mut HashSet<Observed>) -> bool {
    let made = match step {
        Step::ExclusiveWaiters { lock, to } | Step::SharedWaiters { lock, to }
            if is_waited_for(draft, lock, place) =>
        {
            register_of(place, to)
        }
        Step::Store {
            variable,
            from: Some(register),
            ..
        } if estimates.contains(&register_of(place, register)) => Observed::Variable(variable),
        Step::Load { variable, to } if estimates.contains(&Observed::Variable(variable)) => {
            register_of(place, to)
        }
        _ => return false,
    };
    estimates.insert(made)
}

/// Every register and variable that a count of waiters may get into.
fn estimates(draft: &Draft<'_>) -> HashSet<Observed> {
    let mut estimates = HashSet::new();
    loop {
        let mut grown = false;
        for (place, steps) in draft.places() {
            for step in steps {
                grown |= spread(draft, place, *step, &mut estimates);
            }
        }
        if !grown {
            return estimates;
        }
    }
}

impl Parser<'_> {
    /// Reports the values of the expectation that are estimates.
    pub(super) fn check_estimates(&mut self) {
        if self.draft.tags.iter().any(|tag| tag == ESTIMATE) {
            return;
        }
        let estimates = estimates(&self.draft);
        let observed = |(observed, _): &&(Observed, Span)| estimates.contains(observed);
        let found: Vec<(Observed, Span)> = self
            .draft
            .mentioned
            .iter()
            .filter(observed)
            .copied()
            .collect();
        for (observed, span) in found {
            let name = self.draft.names.of_observed(observed);
            let message = format!("`{name}` is an estimate");
            let label = "it comes from a count of waiters while another lane may wait";
            let help = format!(
                "with `tags {ESTIMATE}` the model and the host assert it, and a device reports it"
            );
            self.error(span, message, label, Some(help));
        }
    }
}
