//! APCs: insertion, and when one must run.

mod table;

pub(super) use table::Allowed;

use super::{APC_LEVEL, ApcId, BugCheck, DISPATCH_LEVEL, Kernel, Mutant, Profile, ThreadId};

/// The kinds of APC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ApcKind {
    /// Has a kernel routine only, which runs at APC_LEVEL.
    Special,
    /// Has a kernel routine, which runs at APC_LEVEL, then a normal routine, which runs at
    /// PASSIVE_LEVEL.
    Normal,
    /// `QueueUserAPC`: runs in user mode, after an alertable wait that ends for it.
    User,
    /// `QueueUserAPC2` with `QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC`: runs wherever its thread is in
    /// user mode.
    SpecialUser,
}

impl ApcKind {
    /// Whether it runs in user mode.
    pub const fn user(self) -> bool {
        matches!(self, Self::User | Self::SpecialUser)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Apc {
    /// `None` once the target has been freed.
    target: Option<ThreadId>,
    kind: ApcKind,
    inserted: bool,
    /// In the mutant of `insert-again`: it has run, and does not run again.
    spent: bool,
    /// A driver holds the request whose completion it is.
    pub(super) held: bool,
}

impl Apc {
    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        self.target = self.target.map(of);
    }
}

/// An inserted APC.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Queued {
    apc: ApcId,
    kind: ApcKind,
    notice: Notice,
}

/// What the target's processor knows of an inserted APC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Notice {
    /// Nothing yet: the interrupt that announces it may come late.
    Unseen,
    /// It is there: lowering the IRQL to where it may run delivers it.
    Seen,
    /// It must be delivered before its target does anything else.
    Due,
}

impl Kernel {
    /// `KeInitializeApc`. An APC of user mode stands for its routine, and may be in the queue more
    /// than once: `QueueUserAPC` makes a new object each time.
    pub fn create_apc(&mut self, target: ThreadId, kind: ApcKind) -> ApcId {
        ApcId(self.apcs.insert(Apc {
            target: Some(target),
            kind,
            inserted: false,
            spent: false,
            held: false,
        }))
    }

    /// Frees the APC object.
    ///
    /// # Errors
    ///
    /// 0x139 with parameter 1 = 3 when it is still inserted, or while one of its routines runs.
    /// (A kernel routine may free its own APC on a real kernel; the project's ring-0 rules don't
    /// allow that.)
    pub fn remove_apc(&mut self, a: ApcId) -> Result<(), BugCheck> {
        let apc = self.apcs.get(a.0);
        let runs = |t: ThreadId| self.thread(t).frames.iter().any(|frame| frame.runs(a));
        if apc.inserted || apc.target.is_some_and(|t| self.in_user_queue(t, a)) {
            return Err(BugCheck::freed_in_use(
                "An APC was freed while it was inserted.",
            ));
        }
        if apc.target.is_some_and(runs) {
            return Err(BugCheck::freed_in_use(
                "An APC was freed while its routine ran.",
            ));
        }
        self.apcs.remove(a.0);
        Ok(())
    }

    /// `KeInsertQueueApc`, called by thread `by`. `false` when the APC is inserted already or its
    /// target has ended: the object stays with the caller.
    ///
    /// Specials go ahead of normals, FIFO inside each kind (docs/semantics.md, section 2). What a
    /// thread queues to itself it must take before the call returns, if that is allowed. What
    /// another thread queues may come at any later point (docs/model.md, decision 4); in `Nt52` it
    /// takes a blocked target out of its wait at once. User APCs have a queue of their own, special
    /// ones ahead there too ([`Kernel::user_deliverable`]); for them there is `false` only when the
    /// target has ended.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20010 above DISPATCH_LEVEL (the routine is not documented; the rule is the nearest
    /// one). 0x139 with parameter 1 = 3 when the target has been freed.
    pub fn insert_apc(&mut self, a: ApcId, by: ThreadId) -> Result<bool, BugCheck> {
        let irql = self.thread(by).irql;
        if irql > DISPATCH_LEVEL {
            let reason = format!("KeInsertQueueApc was called at IRQL {irql}.");
            return Err(BugCheck::verifier(0x20010, [0; 3], reason));
        }
        let apc = self.apcs.get_mut(a.0);
        let kind = apc.kind;
        let Some(target) = apc.target else {
            return Err(BugCheck::freed_in_use(
                "An APC was inserted to a thread that is freed.",
            ));
        };
        if kind.user() {
            return Ok(self.insert_user_apc(a, kind == ApcKind::SpecialUser, target));
        }
        if apc.inserted || apc.spent || self.threads.get(target.0).ended {
            return Ok(apc.inserted && self.mutant == Some(Mutant::InsertOnce));
        }
        apc.inserted = true;
        let allowed = self.allowed(target).of(kind);
        let notice = if by == target {
            match allowed {
                _ if self.gets_wrong(Mutant::SelfQueueRunsAtOnce) => Notice::Unseen,
                true => Notice::Due,
                false => Notice::Seen,
            }
        } else if self.profile == Profile::Nt52 && allowed && self.blocked(target) {
            Notice::Due
        } else {
            Notice::Unseen
        };
        let (lifo, behind) = (
            self.gets_wrong(Mutant::FifoWithinKind),
            self.gets_wrong(Mutant::SpecialsFirst),
        );
        let queue = &mut self.thread_mut(target).queue;
        let specials = queue
            .iter()
            .filter(|queued| queued.kind == ApcKind::Special)
            .count();
        let place = match kind {
            ApcKind::Special if lifo => 0,
            ApcKind::Normal if lifo => specials,
            ApcKind::Special if !behind => specials,
            _ => queue.len(),
        };
        queue.insert(
            place,
            Queued {
                apc: a,
                kind,
                notice,
            },
        );
        Ok(true)
    }

    /// The APC that would be delivered next to `t` at this moment, also inside its wait
    /// (the table of docs/semantics.md, section 2).
    pub fn deliverable(&self, t: ThreadId) -> Option<ApcId> {
        let first = self.thread(t).queue.first()?;
        self.may_run(first, self.allowed(t)).then_some(first.apc)
    }

    /// Whether the APC is inserted: from the insertion until its delivery begins.
    pub fn inserted(&self, a: ApcId) -> bool {
        let apc = self.apcs.get(a.0);
        apc.inserted || apc.target.is_some_and(|t| self.in_user_queue(t, a))
    }

    /// Whether `t` may do nothing else before it has taken APCs (docs/model.md, decision 4): one that
    /// is allowed was queued by the thread itself, was enabled by the leave or the lowering of
    /// the IRQL that has just been made, stood in the queue when the thread was about to block,
    /// or (in `Nt52`) when another delivery ended.
    pub fn forced(&self, t: ThreadId) -> bool {
        let allowed = self.allowed(t);
        let due = |queued: &Queued| queued.notice == Notice::Due && self.may_run(queued, allowed);
        self.thread(t).queue.iter().any(due)
    }

    /// Empties the queue of a thread that ends.
    pub(super) fn flush_queue(&mut self, t: ThreadId) -> Vec<ApcId> {
        let queue = std::mem::take(&mut self.thread_mut(t).queue);
        let flushed: Vec<_> = queue.into_iter().map(|queued| queued.apc).collect();
        for apc in &flushed {
            self.apcs.get_mut(apc.0).inserted = false;
        }
        flushed
    }

    /// The APCs of a freed thread name nobody from now on.
    pub(super) fn orphan_apcs(&mut self, target: ThreadId) {
        for (_, apc) in self.apcs.iter_mut() {
            if apc.target == Some(target) {
                apc.target = None;
            }
        }
    }

    /// Takes the APC that is delivered now off the queue.
    pub(super) fn dequeue(&mut self, t: ThreadId) -> Option<(ApcId, ApcKind)> {
        self.deliverable(t)?;
        let Queued { apc, kind, .. } = self.thread_mut(t).queue.remove(0);
        let spent = self.gets_wrong(Mutant::InsertAgain);
        let object = self.apcs.get_mut(apc.0);
        object.inserted = false;
        object.spent = spent;
        Some((apc, kind))
    }

    /// Lowers the IRQL and makes due what this processor has seen.
    pub(super) fn irql_falls(&mut self, t: ThreadId, to: u8) {
        self.thread_mut(t).irql = to;
        self.mark(t, |queued, allowed| {
            if queued.notice == Notice::Seen && allowed {
                queued.notice = Notice::Due;
            }
        });
    }

    /// A leave has brought a counter to 0; `before` is what was allowed until then. The leave
    /// forces what it enables. In `Nt52` it looks at the whole queue, so that what was allowed
    /// all along is forced as well. At APC_LEVEL it only takes notice.
    pub(super) fn counter_reached_zero(&mut self, t: ThreadId, before: Allowed) {
        let whole_queue = self.profile == Profile::Nt52;
        let held_by_irql = self.thread(t).irql >= APC_LEVEL;
        self.mark(t, |queued, allowed| {
            if allowed && (whole_queue || !before.of(queued.kind)) {
                queued.notice = Notice::Due;
            } else if held_by_irql && queued.notice == Notice::Unseen {
                queued.notice = Notice::Seen;
            }
        });
    }

    /// For the mutants that deliver too early: makes everything due.
    pub(super) fn force_everything(&mut self, t: ThreadId) {
        self.mark(t, |queued, _| queued.notice = Notice::Due);
    }

    /// Makes due whatever is allowed.
    pub(super) fn force_allowed(&mut self, t: ThreadId) {
        self.mark(t, |queued, allowed| {
            if allowed {
                queued.notice = Notice::Due;
            }
        });
    }

    fn mark(&mut self, t: ThreadId, change: impl Fn(&mut Queued, bool)) {
        let allowed = self.allowed(t);
        for queued in &mut self.thread_mut(t).queue {
            change(queued, allowed.of(queued.kind));
        }
    }
}

#[cfg(test)]
mod tests;
