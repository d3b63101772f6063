//! The machines that have been met.

use std::hash::Hasher as _;
use std::sync::Arc;

use apclab_protocol::limits::LANES;

use crate::explore::intern::{Id, Intern, Mix};
use crate::kernel::Kernel;
use crate::program::thread;

/// The machines, and what each of their threads looks like where that is asked for.
pub(super) struct Kernels {
    known: Intern<Kernel>,
    /// For each machine and lane.
    looks: Vec<[u64; LANES]>,
    looks_matter: bool,
}

impl Kernels {
    pub(super) fn new(looks_matter: bool) -> Self {
        Self {
            known: Intern::new(),
            looks: Vec::new(),
            looks_matter,
        }
    }

    pub(super) fn id(&mut self, kernel: Kernel) -> Id {
        let id = self.known.id(kernel);
        if self.looks_matter && self.looks.len() < self.known.len() {
            let kernel = self.known.get(id);
            let mut looks = [0; LANES];
            for (lane, look) in looks.iter_mut().enumerate().take(kernel.threads()) {
                let mut hasher = Mix::default();
                kernel.hash_thread(thread(lane), &mut hasher);
                *look = hasher.finish();
            }
            self.looks.push(looks);
        }
        id
    }

    pub(super) fn get(&self, id: Id) -> &Arc<Kernel> {
        self.known.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// What the lane's thread looks like: equal where only the numbers of the threads differ.
    pub(super) fn look(&self, id: Id, lane: usize) -> u64 {
        self.looks[id as usize][lane]
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.known.get(0).bytes() * self.known.len() + size_of_val(self.looks.as_slice())
    }
}
