//! Mutexes, executive resources and push locks.

use super::fixture::driver::{self, code};
use super::fixture::locks::scenario;
use super::fixture::{Fixture, bug_check};
use super::send;

fn digits(scenario: u64) -> String {
    let fixture = Fixture::new();
    let host = fixture.start();
    assert_eq!(send(&host, code::LOCKS, &[scenario]).unwrap(), 0);
    host.stop().unwrap();
    format!("{:X}", driver::ran())
}

#[test]
fn a_fast_or_guarded_mutex_has_one_holder_at_apc_level() {
    // Inside: IRQL 1, Count 0. The other fails (A) and stays at IRQL 0, gets it (C) after the
    // release (3), and then at once (B). At the end IRQL 0, Count 1.
    for scenario in [scenario::FAST, scenario::GUARDED] {
        assert_eq!(digits(scenario), "10A03CB01");
    }
}

#[test]
fn a_kmutex_is_recursive_disables_normal_apcs_and_takes_part_in_waits() {
    // Twice acquired: state -1, APCs disabled. The other times out (B). Released once: it was -1,
    // still disabled. Then the other gets it (C) and has APCs disabled; the state was 0, and at
    // the end APCs are enabled and the state is 1.
    assert_eq!(digits(scenario::MUTEX), "F1BF1C1001");
}

#[test]
fn a_resource_is_shared_or_exclusive_and_recursive() {
    // Initialised (0), acquired twice (2 successes, count 2). The other fails to get it
    // exclusively (A) and shared (A) and waits: one sharer waits, nobody for exclusive. After the
    // conversion it gets in (C), and fails to upgrade (D). Not exclusive any more.
    assert_eq!(digits(scenario::RESOURCE), "22AA10CD000");
}

#[test]
fn a_resource_can_be_handed_over() {
    assert_eq!(digits(scenario::HAND_OVER), "21");
}

#[test]
fn a_push_lock_is_shared_or_exclusive() {
    assert_eq!(digits(scenario::PUSH_LOCK), "A1B");
}

#[test]
fn misuse_of_locks_is_found() {
    for (scenario, code, kind, part) in [
        (
            scenario::FAST_UNINITIALISED,
            0xC4,
            0,
            "no initialised fast mutex",
        ),
        (scenario::FAST_PAGED, 0xC4, 0, "not in nonpaged pool"),
        (scenario::FAST_FREED, 0x139, 3, "was freed: A fast mutex"),
        (
            scenario::FAST_AGAIN,
            0x139,
            3,
            "was initialised again: A fast mutex",
        ),
        (scenario::MUTEX_NOT_OWNED, 0x1E, 0xC000_0046, "nobody owns"),
        (scenario::MUTEX_AT_THE_END, 0x20, 0, "owns a KMUTEX"),
        (scenario::MUTEX_FREED, 0x139, 3, "was freed"),
        (scenario::RESOURCE_MOVED, 0xC4, 0, "moved or deleted"),
        (
            scenario::PUSH_LOCK_UNINITIALISED,
            0xC4,
            0,
            "no initialised push lock",
        ),
        (scenario::WRONG_KIND, 0xC4, 0, "a mutex of the other kind"),
    ] {
        let fixture = Fixture::new();
        let host = fixture.start();
        let (found, first, _, text) = bug_check(send(&host, code::LOCKS, &[scenario]));
        assert_eq!((found, first), (code, kind), "{text}");
        assert!(text.contains(part), "{text}");
    }
}
