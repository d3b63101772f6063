//! Which step may follow which.

use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::Step;

/// The steps of a place, and the ways through them. Every way that a [`crate::program`] takes is
/// one of them; there are more, since nobody counts rounds here.
pub(super) struct Flow {
    pub(super) steps: Vec<Step>,
    /// For each step those that may follow; one past the last is the end.
    pub(super) next: Vec<Vec<usize>>,
}

impl Flow {
    pub(super) fn new(program: &Program<'_>, place: Place) -> Self {
        let steps: Vec<_> = program.steps(place).collect();
        let mut open = Vec::new();
        let mut next = Vec::new();
        for (index, &step) in steps.iter().enumerate() {
            let past = |length: u32| index + length as usize + 2;
            next.push(match step {
                Step::Repeat { length, .. } => {
                    open.push(Some(index));
                    vec![index + 1, past(length)]
                }
                Step::Try { length, .. } => {
                    open.push(None);
                    vec![index + 1, past(length)]
                }
                Step::Call { .. } => {
                    open.push(None);
                    vec![index + 1]
                }
                Step::End => match open.pop().flatten() {
                    Some(begin) => vec![begin + 1, index + 1],
                    None => vec![index + 1],
                },
                _ => vec![index + 1],
            });
        }
        Self { steps, next }
    }

    /// Goes through all that may be executed from a step on.
    pub(super) fn from(&self, start: usize, mut follow: impl FnMut(Step) -> Follow) {
        let mut met = vec![false; self.steps.len()];
        let mut open = vec![start];
        while let Some(index) = open.pop() {
            let Some(&step) = self.steps.get(index) else {
                continue;
            };
            if std::mem::replace(&mut met[index], true) {
                continue;
            }
            match follow(step) {
                Follow::All => open.extend(&self.next[index]),
                Follow::Past => open.extend(self.next[index].last()),
                Follow::None => {}
            }
        }
    }
}

/// How a way goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follow {
    /// In every direction.
    All,
    /// Past the block that the step begins.
    Past,
    /// Not at all.
    None,
}
