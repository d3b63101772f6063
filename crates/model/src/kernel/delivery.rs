//! Delivery: the routines of an APC run, and must leave behind what they began with.

use super::bugcheck::IRQL_UNEXPECTED_VALUE;
use super::thread::check_counters;
use super::wait::Wait;
use super::{
    APC_LEVEL, ApcId, ApcKind, Baseline, BugCheck, Kernel, Mutant, PASSIVE_LEVEL, Profile, ThreadId,
};

/// What follows a kernel routine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: the APC was a special one.
    Done,
    /// The normal routine, at PASSIVE_LEVEL with a kernel APC in progress.
    NormalRoutine,
}

/// An APC routine that runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Frame {
    apc: ApcId,
    kind: ApcKind,
    routine: Routine,
    /// What the routine began with and must return with.
    counters: Baseline,
    /// The IRQL of what was interrupted.
    interrupted_irql: u8,
    /// The wait that was interrupted.
    pub(super) wait: Option<Wait>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Routine {
    Kernel,
    Normal,
}

impl Frame {
    /// Whether it is the routine of a special APC.
    pub(super) fn special(&self) -> bool {
        self.kind == ApcKind::Special
    }

    /// Whether this is the "kernel APC in progress" that defers normal APCs.
    pub(super) fn in_progress(&self) -> bool {
        self.kind == ApcKind::Normal
    }

    /// Whether a routine of the APC runs.
    pub(super) fn runs(&self, a: ApcId) -> bool {
        self.apc == a
    }
}

impl Kernel {
    /// The APC whose routine runs innermost in `t`.
    pub fn running(&self, t: ThreadId) -> Option<(ApcId, ApcKind)> {
        let frame = self.thread(t).frames.last()?;
        Some((frame.apc, frame.kind))
    }

    /// Delivers [`Kernel::deliverable`]: takes it off the queue, so that it may be inserted
    /// again, and raises the IRQL to APC_LEVEL. Its kernel routine runs now.
    pub fn begin_delivery(&mut self, t: ThreadId) -> Option<(ApcId, ApcKind)> {
        let (apc, kind) = self.dequeue(t)?;
        let wait = self.interrupt_wait(t);
        let keeps_irql = kind == ApcKind::Special && self.gets_wrong(Mutant::SpecialAtApcLevel);
        let thread = self.thread_mut(t);
        thread.frames.push(Frame {
            apc,
            kind,
            routine: Routine::Kernel,
            counters: thread.counters,
            interrupted_irql: thread.irql,
            wait,
        });
        if !keeps_irql {
            thread.irql = APC_LEVEL;
        }
        Some((apc, kind))
    }

    /// The kernel routine of the innermost APC has returned.
    ///
    /// # Errors
    ///
    /// 0xC8 IRQL_UNEXPECTED_VALUE when it did not return at APC_LEVEL (page of bug check 0xC8;
    /// which of 0 and 1 stands for the kernel routine is not documented, here it is 0);
    /// 0x1 APC_INDEX_MISMATCH when it changed a counter.
    ///
    /// # Panics
    ///
    /// When no kernel routine runs innermost.
    pub fn kernel_routine_returned(&mut self, t: ThreadId) -> Result<Next, BugCheck> {
        let irql = match self.thread(t).frames.last() {
            Some(frame) if frame.special() && self.gets_wrong(Mutant::SpecialAtApcLevel) => {
                frame.interrupted_irql
            }
            _ => APC_LEVEL,
        };
        let frame = self.check_frame(t, Routine::Kernel, irql)?;
        match frame.kind {
            ApcKind::Special => {
                self.end_frame(t);
                Ok(Next::Done)
            }
            ApcKind::Normal => {
                let apc = frame.apc;
                if let Some(frame) = self.thread_mut(t).frames.last_mut() {
                    frame.routine = Routine::Normal;
                }
                self.suspension_begins(t, apc);
                self.irql_falls(t, self.normal_routine_irql());
                Ok(Next::NormalRoutine)
            }
            ApcKind::User | ApcKind::SpecialUser => unreachable!("no user APC runs in kernel mode"),
        }
    }

    /// The normal routine of the innermost APC has returned.
    ///
    /// # Errors
    ///
    /// 0xC8 when it did not return at PASSIVE_LEVEL (1 stands for the normal routine), 0x1 when
    /// it changed a counter.
    ///
    /// # Panics
    ///
    /// When no normal routine runs innermost, or it is one that may not return
    /// ([`Kernel::may_return`]).
    pub fn normal_routine_returned(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        self.check_frame(t, Routine::Normal, self.normal_routine_irql())?;
        assert!(self.may_return(t), "{t:?} is suspended");
        self.end_frame(t);
        Ok(())
    }

    /// Whether the routine of a normal APC runs in the thread.
    pub(super) fn in_normal_routine(&self, t: ThreadId) -> bool {
        self.thread(t).frames.iter().any(Frame::in_progress)
    }

    fn normal_routine_irql(&self) -> u8 {
        if self.gets_wrong(Mutant::NormalAtPassiveLevel) {
            APC_LEVEL
        } else {
            PASSIVE_LEVEL
        }
    }

    /// The innermost frame, if it has kept what it began with.
    fn check_frame(&self, t: ThreadId, routine: Routine, irql: u8) -> Result<&Frame, BugCheck> {
        let thread = self.thread(t);
        let frame = thread
            .frames
            .last()
            .filter(|frame| frame.routine == routine);
        let frame = frame.unwrap_or_else(|| panic!("no {routine:?} routine runs in {t:?}"));
        if thread.irql != irql {
            let unique = u64::from(routine == Routine::Normal);
            let first = u64::from(thread.irql) << 16 | u64::from(irql) << 8 | unique;
            let reason = format!(
                "The {routine:?} routine of an APC began at IRQL {irql} and returned at {}.",
                thread.irql
            );
            return Err(BugCheck::new(
                IRQL_UNEXPECTED_VALUE,
                [first, 0, 0, 0],
                reason,
            ));
        }
        check_counters(thread, frame.counters)?;
        Ok(frame)
    }

    /// Returns to what the innermost APC interrupted. In `Nt52` delivery looks at the queue again
    /// before it returns; documentation does not promise that.
    fn end_frame(&mut self, t: ThreadId) {
        let Some(frame) = self.thread_mut(t).frames.pop() else {
            return;
        };
        self.suspension_ends(t, frame.apc);
        self.irql_falls(t, frame.interrupted_irql);
        if self.profile == Profile::Nt52 {
            self.force_allowed(t);
        }
        if let Some(mut wait) = frame.wait {
            let ends = match frame.kind {
                ApcKind::Special => Mutant::CompletionInWait,
                _ => Mutant::SuspendInWait,
            };
            if self.thread(t).user.is_some() && self.gets_wrong(ends) {
                wait.alerted |= wait.unmet() && wait.claim().is_none();
            }
            self.resume_wait(t, wait);
        }
    }
}
