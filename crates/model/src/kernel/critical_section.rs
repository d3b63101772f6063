//! Critical sections of user mode (CRITICAL_SECTION): recursive, and no obstacle to any APC.
//!
//! Who waits for one is in a wait of user mode that is not alertable. No page promises an order: a
//! leave leaves the section free in `Documented`, and hands it over in `Nt52`.

use super::lock::{Acquired, Claim, LockId};
use super::{CriticalSectionId, Kernel, Mutant, ThreadId};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct CriticalSection {
    owner: Option<ThreadId>,
    /// How often the owner has entered it.
    count: u32,
}

impl CriticalSection {
    pub(super) fn owned_by(&self, t: ThreadId) -> u32 {
        if self.owner == Some(t) { self.count } else { 0 }
    }

    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        self.owner = self.owner.map(of);
    }
}

impl Kernel {
    /// `InitializeCriticalSection`.
    pub fn create_critical_section(&mut self) -> CriticalSectionId {
        CriticalSectionId(self.critical_sections.insert(CriticalSection {
            owner: None,
            count: 0,
        }))
    }

    /// `DeleteCriticalSection`. `false` when a thread owns it or waits for it: its page says that
    /// the state of the threads that wait is undefined then.
    pub fn remove_critical_section(&mut self, c: CriticalSectionId) -> bool {
        let used =
            self.critical_section_owner(c).is_some() || self.awaited(LockId::CriticalSection(c));
        if !used {
            self.critical_sections.remove(c.0);
        }
        !used
    }

    /// `EnterCriticalSection`: enters it, or waits until the owner has left it.
    ///
    /// # Panics
    ///
    /// When the thread is not in user mode or has ended.
    pub fn enter_critical_section(&mut self, t: ThreadId, c: CriticalSectionId) -> Acquired {
        self.begin_user_step(t);
        let acquired = self.acquire(t, claim(c), true);
        if acquired == Acquired::Blocked {
            self.inside(t);
        }
        acquired
    }

    /// `TryEnterCriticalSection`: whether it was entered.
    ///
    /// # Panics
    ///
    /// When the thread is not in user mode or has ended.
    pub fn try_critical_section(&mut self, t: ThreadId, c: CriticalSectionId) -> bool {
        self.begin_user_step(t);
        !self.gets_wrong(Mutant::CsTry) && self.acquire(t, claim(c), false) == Acquired::Now
    }

    /// `LeaveCriticalSection`: once for each enter. `false` when the thread does not own it: nothing
    /// happens then. (On a real system the section is broken.)
    ///
    /// # Panics
    ///
    /// When the thread is not in user mode.
    pub fn leave_critical_section(&mut self, t: ThreadId, c: CriticalSectionId) -> bool {
        self.begin_user_step(t);
        let section = self.critical_sections.get_mut(c.0);
        if section.owner != Some(t) {
            return false;
        }
        section.count -= 1;
        if section.count == 0 {
            section.owner = None;
            let lock = LockId::CriticalSection(c);
            self.forget_order(lock);
            self.hand_over(lock, |_| true);
        }
        true
    }

    /// The thread that owns the critical section.
    pub fn critical_section_owner(&self, c: CriticalSectionId) -> Option<ThreadId> {
        self.critical_sections.get(c.0).owner
    }

    /// How often the owner has entered the critical section and not left it.
    pub fn critical_section_count(&self, c: CriticalSectionId) -> u32 {
        self.critical_sections.get(c.0).count
    }

    /// Whether the thread owns any.
    pub(super) fn owns_critical_section(&self, t: ThreadId) -> bool {
        let mut sections = self.critical_sections.iter();
        sections.any(|(_, section)| section.owned_by(t) > 0)
    }

    pub(super) fn critical_section_open(&self, t: ThreadId, c: CriticalSectionId) -> bool {
        match self.critical_section_owner(c) {
            None => true,
            Some(owner) if owner == t => !self.gets_wrong(Mutant::CsRecursive),
            Some(owner) => {
                let abandoned = self.gets_wrong(Mutant::CsSuspendedOwnerBlocks);
                self.gets_wrong(Mutant::CsExcludes) || (abandoned && self.is_suspended(owner))
            }
        }
    }

    pub(super) fn give_critical_section(&mut self, t: ThreadId, c: CriticalSectionId) {
        let section = self.critical_sections.get_mut(c.0);
        // Only in mutants has it another owner.
        if section.owner.replace(t) != Some(t) {
            section.count = 0;
        }
        section.count += 1;
    }
}

fn claim(section: CriticalSectionId) -> Claim {
    Claim::CriticalSection {
        section,
        woken: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ApcKind, Baseline, Profile};

    fn machine(profile: Profile) -> (Kernel, [ThreadId; 3], CriticalSectionId) {
        let mut kernel = Kernel::new(profile);
        let threads = [(); 3].map(|()| kernel.create_user_thread(Baseline::default()));
        let section = kernel.create_critical_section();
        (kernel, threads, section)
    }

    #[test]
    fn the_owner_enters_again_and_leaves_as_often() {
        let (mut kernel, [a, b, _], c) = machine(Profile::Documented);
        assert_eq!(kernel.enter_critical_section(a, c), Acquired::Now);
        assert!(kernel.try_critical_section(a, c));
        assert!(!kernel.try_critical_section(b, c));
        assert!(!kernel.leave_critical_section(b, c), "it is not the owner");
        assert_eq!(kernel.critical_section_count(c), 2);
        assert!(kernel.leave_critical_section(a, c));
        assert!(!kernel.remove_critical_section(c));
        assert!(kernel.leave_critical_section(a, c));
        assert!(kernel.try_critical_section(b, c));
        assert!(kernel.leave_critical_section(b, c) && kernel.remove_critical_section(c));
    }

    #[test]
    fn a_leave_hands_over_in_nt52_and_leaves_free_by_the_documents() {
        for profile in [Profile::Documented, Profile::Nt52] {
            let (mut kernel, [a, b, d], c) = machine(profile);
            kernel.enter_critical_section(a, c);
            for t in [d, b] {
                assert_eq!(kernel.enter_critical_section(t, c), Acquired::Blocked);
                assert!(!kernel.in_user_mode(t));
            }
            assert!(kernel.leave_critical_section(a, c));
            if profile == Profile::Documented {
                assert!(kernel.lock_available(b) && kernel.try_critical_section(a, c));
                assert!(!kernel.lock_available(b) && kernel.leave_critical_section(a, c));
                assert_eq!(kernel.grant(b), Some(0));
                assert!(kernel.in_user_mode(b));
            } else {
                assert_eq!(kernel.critical_section_owner(c), Some(d));
                assert_eq!((kernel.grant(d), kernel.grant(b)), (Some(0), None));
            }
        }
    }

    #[test]
    fn special_user_apcs_run_in_who_waits_once_it_may_have_been_woken() {
        for profile in [Profile::Documented, Profile::Nt52] {
            let (mut kernel, [a, b, _], c) = machine(profile);
            let apc = kernel.create_apc(b, ApcKind::SpecialUser);
            kernel.enter_critical_section(a, c);
            kernel.enter_critical_section(b, c);
            kernel.insert_apc(apc, a).unwrap();
            assert_eq!(kernel.user_deliverable(b), None);
            kernel.leave_critical_section(a, c);
            let woken = (profile == Profile::Documented).then_some(apc);
            assert_eq!(kernel.user_deliverable(b), woken);
            assert!(!kernel.user_forced(b));
            kernel.grant(b).unwrap();
            assert!(kernel.user_forced(b));
        }
    }
}
