//! Which outcomes the model allows a program, in both profiles.

use std::collections::BTreeSet;

use apclab_model::explore::{Limits, Options, Outcomes};
use apclab_model::kernel::{Baseline, Profile};
use apclab_model::program::State;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::Context;
use apclab_protocol::program::Program;

use crate::TargetError;

/// Outcomes: the observed values in the program's order.
pub type OutcomeSet = BTreeSet<Vec<i64>>;

/// What the model allows a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// The outcomes that the documentation allows. Any other is forbidden.
    pub documented: OutcomeSet,
    /// The outcomes of open re-implementations of NT 5.2.
    pub nt52: OutcomeSet,
    /// States of the documented profile in which nothing can happen any more, of those that the
    /// search meets.
    pub deadlocks: u64,
    /// Bug checks on some path of the documented profile.
    pub bug_checks: Vec<String>,
    /// States of the documented profile that the search meets; its reductions leave some out.
    pub states: u64,
    /// Transitions between them.
    pub transitions: u64,
}

impl Prediction {
    /// Searches both profiles of a program, with lanes that begin in the contexts of `baseline`
    /// (those that are missing begin with nothing disabled).
    ///
    /// # Errors
    /// [`TargetError::TooManyStates`] when the search is given up; [`TargetError::Failed`] when the
    /// bytes are no program.
    pub fn of(program: &ProgramBuf, baseline: &[Context]) -> Result<Self, TargetError> {
        let bytes = program.encode();
        let program = Program::parse(&bytes).map_err(|malformed| {
            TargetError::Failed(format!("the bytes are no program: {malformed:?}"))
        })?;
        Self::of_parsed(&program, &counters(baseline))
    }

    pub(crate) fn of_parsed(
        program: &Program<'_>,
        baselines: &[Baseline],
    ) -> Result<Self, TargetError> {
        let documented = search(program, Profile::Documented, baselines)?;
        let nt52 = search(program, Profile::Nt52, baselines)?;
        Ok(Self {
            documented: documented.outcomes.into_keys().collect(),
            nt52: nt52.outcomes.into_keys().collect(),
            deadlocks: documented.deadlocks,
            bug_checks: documented
                .bug_checks
                .iter()
                .map(ToString::to_string)
                .collect(),
            states: documented.states,
            transitions: documented.transitions,
        })
    }
}

fn search(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
) -> Result<Outcomes, TargetError> {
    let options = Options {
        states: Limits::default().states,
        witnesses: false,
        ..Options::default()
    };
    let initial = State::initial(program, profile, baselines);
    apclab_model::explore::search(&initial, program, &options, &mut |_| {})
        .map_err(|limit| TargetError::TooManyStates(format!("the model gives up: {limit}")))
}

/// The counters that a context stands for. There is no accessor for them: the predicates tell only
/// whether one is zero (docs/semantics.md, section 1), so one that is not counts as one region.
pub(crate) fn counters(baseline: &[Context]) -> Vec<Baseline> {
    baseline
        .iter()
        .map(|context| {
            let special = context.all_apcs_disabled && context.irql == 0;
            Baseline {
                kernel: -i16::from(context.apcs_disabled && !special),
                special: -i16::from(special),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apclab_protocol::program::Observed;
    use apclab_protocol::step::Step;

    #[test]
    fn what_the_sources_dispute_is_allowed_either_way() {
        let program = ProgramBuf {
            observed: vec![Observed::Register {
                lane: 0,
                register: 1,
            }],
            lanes: vec![vec![
                Step::EnterGuarded,
                Step::ApcsDisabled { to: 1 },
                Step::LeaveGuarded,
            ]],
            ..ProgramBuf::default()
        };
        let prediction = Prediction::of(&program, &[]).expect("a small program");
        assert_eq!(prediction.documented, OutcomeSet::from([vec![0], vec![1]]));
        assert_eq!(prediction.nt52, OutcomeSet::from([vec![1]]));
        assert_eq!(prediction.deadlocks, 0);
        assert_eq!(prediction.bug_checks, Vec::<String>::new());
    }

    #[test]
    fn the_baseline_shows_in_the_outcomes() {
        let program = ProgramBuf {
            observed: vec![Observed::Register {
                lane: 0,
                register: 0,
            }],
            lanes: vec![vec![Step::ApcsDisabled { to: 0 }]],
            ..ProgramBuf::default()
        };
        let disabled = Context {
            apcs_disabled: true,
            all_apcs_disabled: false,
            irql: 0,
        };
        let plain = Prediction::of(&program, &[Context::default()]).expect("a small program");
        let inside = Prediction::of(&program, &[disabled]).expect("a small program");
        assert_eq!(plain.documented, OutcomeSet::from([vec![0]]));
        assert_eq!(inside.documented, OutcomeSet::from([vec![1]]));
        let guarded = Context {
            all_apcs_disabled: true,
            ..disabled
        };
        let both = counters(&[disabled, guarded]);
        assert_eq!((both[0].kernel, both[0].special), (-1, 0));
        assert_eq!((both[1].kernel, both[1].special), (0, -1));
    }
}
