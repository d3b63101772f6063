//! Which values somebody may still look at.

use apclab_protocol::program::{Observed, Place, Program};
use apclab_protocol::step::Step;

use super::flow::Flow;
use super::symmetry::Symmetry;
use crate::program::{Data, Lane, Shape, place_of, read, written};

/// The values that matter.
pub(in crate::explore) struct Live {
    /// The registers of each lane, by the index of its next step: where each is, and whether it
    /// matters there.
    lanes: Vec<Vec<Vec<bool>>>,
    /// Where the registers of each lane are.
    registers: Vec<std::ops::Range<usize>>,
    /// Whether each value matters anywhere.
    ever: Vec<bool>,
}

impl Live {
    /// All values always matter.
    pub(in crate::explore) fn all(program: &Program<'_>, data: &Data) -> Self {
        let registers = (0..program.lanes()).map(|lane| data.shape().registers(place_of(lane)));
        Self {
            lanes: Vec::new(),
            registers: registers.collect(),
            ever: vec![true; data.values().len()],
        }
    }

    /// What is observed of a lane is taken to be observed of those that are identical as well.
    pub(in crate::explore) fn new(
        program: &Program<'_>,
        data: &Data,
        symmetry: Option<&Symmetry>,
    ) -> Self {
        let shape = data.shape();
        let identical = |lane: usize| {
            let mut classes = symmetry.iter().flat_map(|symmetry| &symmetry.classes);
            let class = classes.find(|class| class.contains(&lane));
            class.cloned().unwrap_or_else(|| vec![lane])
        };
        let lanes =
            (0..program.lanes()).map(|lane| registers_of(program, shape, lane, &identical(lane)));
        let mut live = Self {
            lanes: lanes.collect(),
            ever: vec![false; data.values().len()],
            ..Self::all(program, data)
        };
        for (lanes, registers) in live.lanes.iter().zip(&live.registers) {
            for (at, index) in registers.clone().enumerate() {
                live.ever[index] = lanes.iter().any(|registers| registers[at]);
            }
        }
        for index in looked_at(program, shape) {
            live.ever[index] = true;
        }
        live
    }

    /// Whether the value matters in any state.
    pub(in crate::explore) fn ever(&self, index: usize) -> bool {
        self.ever[index]
    }

    /// Whether the value matters while the lane is there. `index` is that of a register of the lane,
    /// or of a value that is no lane's register.
    pub(in crate::explore) fn at(&self, lane: usize, place: &Lane, index: usize) -> bool {
        let own = &self.registers[lane];
        match self.lanes.get(lane) {
            Some(steps) if own.contains(&index) => steps[place.next()][index - own.start],
            _ => self.ever[index],
        }
    }

    /// The registers of the lane that matter before it moves and do not afterwards.
    pub(in crate::explore) fn dying<'a>(
        &'a self,
        lane: usize,
        before: &'a Lane,
        after: &'a Lane,
    ) -> impl Iterator<Item = usize> + 'a {
        let own = self.registers[lane].clone();
        own.filter(move |&index| self.at(lane, before, index) && !self.at(lane, after, index))
    }
}

/// The values that are observed, or that a step looks at, other than the registers of lanes.
fn looked_at(program: &Program<'_>, shape: &Shape) -> Vec<usize> {
    let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
    let observed = observed.filter_map(|observed| match observed {
        Observed::Variable(variable) => Some(variable.into()),
        Observed::ApcRegister { apc, register } => {
            shape.register(Place::Body(apc), register.into())
        }
        Observed::Register { .. } => None,
    });
    let steps = program.places().flat_map(|place| {
        let steps = program.steps(place);
        steps.filter_map(move |step| match (step, place) {
            (Step::Load { variable, .. }, _) => Some(variable.into()),
            (Step::Ran { apc, .. }, _) => Some(shape.ran(apc)),
            (step, Place::Body(_)) => {
                read(step).and_then(|register| shape.register(place, register.into()))
            }
            _ => None,
        })
    });
    observed.chain(steps).collect()
}

/// For each step of the lane, and for its end, which registers matter there. `ends` are the lanes
/// that may be in its place at the end.
fn registers_of(
    program: &Program<'_>,
    shape: &Shape,
    lane: usize,
    ends: &[usize],
) -> Vec<Vec<bool>> {
    let place = place_of(lane);
    let flow = Flow::new(program, place);
    let registers = shape.registers(place).len();
    let mut live = vec![vec![false; registers]; flow.steps.len() + 1];
    for observed in (0..program.observed_len()).filter_map(|index| program.observed(index)) {
        if let Observed::Register { lane, register } = observed
            && ends.contains(&lane.into())
        {
            live[flow.steps.len()][usize::from(register)] = true;
        }
    }
    loop {
        let mut changed = false;
        for index in (0..flow.steps.len()).rev() {
            let step = flow.steps[index];
            let matters = (0..registers).map(|register| {
                let is =
                    |named: Option<u8>| named.is_some_and(|named| usize::from(named) == register);
                let later = || flow.next[index].iter().any(|&next| live[next][register]);
                is(read(step)) || (!is(written(step)) && later())
            });
            let matters: Vec<_> = matters.collect();
            changed |= matters != live[index];
            live[index] = matters;
        }
        if !changed {
            return live;
        }
    }
}
