//! Small tests with outcomes that follow from a fact by hand, then laws over random programs.

use std::collections::BTreeSet;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{
    Apc, ApcKind as Kind, Event as EventEntry, EventKind as Signal, LockKind, Observed,
};

use super::*;
use crate::explore::{Limits, Outcomes, explore};
use crate::kernel::{Baseline, Profile};
use apclab_protocol::step::{Mode, Step};

mod bodies;
mod callers;
mod facts;
pub(crate) mod laws;
mod locks;
mod push_locks;
mod random;
pub(crate) mod random_callers;
mod resources;

/// A program in which no two lanes share registers by accident: every register that a step
/// writes is observed, lane by lane, then every variable.
fn program(
    apcs: &[(Kind, u8)],
    events: &[Signal],
    variables: usize,
    lanes: &[Vec<Step>],
) -> ProgramBuf {
    let registers = |(lane, steps): (usize, &Vec<Step>)| {
        let written: BTreeSet<_> = steps.iter().copied().filter_map(data::written).collect();
        let lane = u8::try_from(lane).expect("there are few lanes");
        written
            .into_iter()
            .map(move |register| Observed::Register { lane, register })
    };
    let mut observed: Vec<_> = lanes.iter().enumerate().flat_map(registers).collect();
    observed.extend((0..).take(variables).map(Observed::Variable));
    ProgramBuf {
        variables: vec![0; variables],
        events: events
            .iter()
            .map(|&kind| EventEntry {
                kind,
                signaled: false,
            })
            .collect(),
        apcs: apcs
            .iter()
            .map(|&(kind, lane)| Apc { kind, lane })
            .collect(),
        observed,
        lanes: lanes.to_vec(),
        ..ProgramBuf::default()
    }
}

fn all_paths(program: &ProgramBuf, profile: Profile, baselines: &[Baseline]) -> Outcomes {
    let bytes = program.encode();
    let program = Program::parse(&bytes).expect("the test's program is well formed");
    explore(&program, profile, baselines, Limits::default()).expect("the test is small")
}
