//! A path as text, and where it leads.

use std::fmt;
use std::str::FromStr;

use apclab_protocol::limits::LANES;
use apclab_protocol::program::Program;

use crate::kernel::BugCheck;
use crate::program::{Event, State, apply, enabled, is_final};

/// Where a path leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// The states, from the initial one on: one more than events, or as many when the last event
    /// runs into a bug check.
    pub states: Vec<State>,
    /// What the path ends with.
    pub end: End,
}

/// What a path ends with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The iteration is over, with these observed values.
    Outcome(Vec<i64>),
    /// It is not over and nothing can happen.
    Deadlock,
    /// The last event runs into a bug check.
    BugCheck(BugCheck),
    /// More may happen.
    Open,
}

/// The events are no path of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoPath {
    /// The index of the first event that can't happen where the ones before it lead.
    pub index: usize,
    /// That event.
    pub event: Event,
    /// What can happen there; nothing after a bug check.
    pub enabled: Vec<Event>,
}

impl fmt::Display for NoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, event, .. } = self;
        write!(f, "event {} ({event}) can't happen there", index + 1)?;
        for (at, event) in self.enabled.iter().enumerate() {
            let before = if at == 0 { "; what can is: " } else { ", " };
            write!(f, "{before}{event}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoPath {}

/// Goes along a path.
///
/// # Errors
///
/// [`NoPath`] when an event can't happen where it stands.
pub fn replay(initial: &State, program: &Program<'_>, path: &[Event]) -> Result<Replay, NoPath> {
    let mut states = vec![initial.clone()];
    let mut state = initial.clone();
    for (index, &event) in path.iter().enumerate() {
        let possible = enabled(&state, program);
        if !possible.contains(&event) {
            return Err(NoPath {
                index,
                event,
                enabled: possible,
            });
        }
        state = match apply(&state, program, event) {
            Ok(next) => next,
            Err(bug_check) => match path.get(index + 1) {
                None => {
                    let end = End::BugCheck(bug_check);
                    return Ok(Replay { states, end });
                }
                Some(&event) => {
                    return Err(NoPath {
                        index: index + 1,
                        event,
                        enabled: Vec::new(),
                    });
                }
            },
        };
        states.push(state.clone());
    }
    let end = if is_final(&state, program) {
        End::Outcome(state.outcome(program))
    } else if enabled(&state, program).is_empty() {
        End::Deadlock
    } else {
        End::Open
    };
    Ok(Replay { states, end })
}

/// As in the text of a path: `step 0`, `step 0 choice 1`, `barrier`, `deliver 0`, `routine 0`,
/// `return 0`, `grant 0`, `expire 0`, `alert 0`, `user-apc 0`, with the number of the lane.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { lane, choice: 0 } => write!(f, "step {lane}"),
            Self::Step { lane, choice } => write!(f, "step {lane} choice {choice}"),
            Self::Barrier => write!(f, "barrier"),
            Self::Deliver { lane } => write!(f, "deliver {lane}"),
            Self::Routine { lane } => write!(f, "routine {lane}"),
            Self::Return { lane } => write!(f, "return {lane}"),
            Self::Grant { lane } => write!(f, "grant {lane}"),
            Self::Expire { lane } => write!(f, "expire {lane}"),
            Self::Alert { lane } => write!(f, "alert {lane}"),
            Self::UserApc { lane } => write!(f, "user-apc {lane}"),
        }
    }
}

/// A line is no event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadEvent {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, text } = self;
        write!(f, "line {line}: `{text}` is no event of a path")
    }
}

impl std::error::Error for BadEvent {}

impl FromStr for Event {
    type Err = BadEvent;

    fn from_str(text: &str) -> Result<Self, BadEvent> {
        event(text).ok_or_else(|| BadEvent {
            line: 1,
            text: text.to_owned(),
        })
    }
}

fn event(text: &str) -> Option<Event> {
    let words: Vec<_> = text.split_whitespace().collect();
    let number = |word: &str| word.parse::<usize>().ok();
    let lane = |word: &str| number(word).filter(|&lane| lane < LANES);
    Some(match words[..] {
        ["barrier"] => Event::Barrier,
        ["step", of] => Event::Step {
            lane: lane(of)?,
            choice: 0,
        },
        ["step", of, "choice", choice] => Event::Step {
            lane: lane(of)?,
            choice: number(choice)?,
        },
        ["deliver", of] => Event::Deliver { lane: lane(of)? },
        ["routine", of] => Event::Routine { lane: lane(of)? },
        ["return", of] => Event::Return { lane: lane(of)? },
        ["grant", of] => Event::Grant { lane: lane(of)? },
        ["expire", of] => Event::Expire { lane: lane(of)? },
        ["alert", of] => Event::Alert { lane: lane(of)? },
        ["user-apc", of] => Event::UserApc { lane: lane(of)? },
        _ => return None,
    })
}

/// A path as text: a line for each event.
pub fn path_to_text(path: &[Event]) -> String {
    let lines = path.iter().map(|event| event.to_string() + "\n");
    lines.collect()
}

/// The path that a text is. What follows a `#` is ignored, and so are empty lines.
///
/// # Errors
///
/// [`BadEvent`] for the first line that is none.
pub fn path_from_text(text: &str) -> Result<Vec<Event>, BadEvent> {
    let lines = text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or(line).trim();
        let parsed = || {
            event(line).ok_or_else(|| BadEvent {
                line: index + 1,
                text: line.to_owned(),
            })
        };
        (!line.is_empty()).then(parsed)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_after_text() {
        let lane = 5;
        let path = [
            Event::Step { lane, choice: 0 },
            Event::Step { lane, choice: 3 },
            Event::Barrier,
            Event::Deliver { lane },
            Event::Routine { lane },
            Event::Return { lane },
            Event::Grant { lane },
            Event::Expire { lane },
            Event::Alert { lane },
            Event::UserApc { lane },
        ];
        let text = format!("# why\n\n{}barrier # and one more\n", path_to_text(&path));
        let read = path_from_text(&text).unwrap();
        assert_eq!(read[..path.len()], path);
        assert_eq!(read.last(), Some(&Event::Barrier));
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        for wrong in [
            "step",
            "step six",
            "step 6",
            "step 0 choice",
            "jump 0",
            "barrier 1",
        ] {
            let error = path_from_text(&format!("barrier\n{wrong}\n")).unwrap_err();
            assert_eq!((error.line, error.text.as_str()), (2, wrong));
        }
    }
}
