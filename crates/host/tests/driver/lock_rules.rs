//! What misuse of resources, push locks and fast mutexes costs, with all parameters.

use apclab_host::HostError;

use super::fixture::Fixture;
use super::fixture::driver::code;
use super::fixture::sequence::{self, Call, SIZE, Word};
use super::send;
use Word::{Lock, Thread, Value};

const INIT: Call = ("ExInitializeResourceLite", &[Lock(0)]);
const DELETE: Call = ("ExDeleteResourceLite", &[Lock(0)]);
const ENTER: Call = ("KeEnterCriticalRegion", &[]);
const LEAVE: Call = ("KeLeaveCriticalRegion", &[]);
const EXCLUSIVE: Call = ("ExAcquireResourceExclusiveLite", &[Lock(0), Value(1)]);
const SHARED: Call = ("ExAcquireResourceSharedLite", &[Lock(0), Value(1)]);
const STARVE: Call = ("ExAcquireSharedStarveExclusive", &[Lock(0), Value(1)]);
const BEHIND: Call = ("ExAcquireSharedWaitForExclusive", &[Lock(0), Value(1)]);
const RELEASE: Call = ("ExReleaseResourceLite", &[Lock(0)]);
const CONVERT: Call = ("ExConvertExclusiveToSharedLite", &[Lock(0)]);
const REINIT: Call = ("ExReinitializeResourceLite", &[Lock(0)]);
const HAND_OVER: Call = ("ExSetResourceOwnerPointer", &[Lock(0), Lock(3)]);
const RELEASE_POINTER: Call = ("ExReleaseResourceForThreadLite", &[Lock(0), Lock(3)]);
const RELEASE_THREAD: Call = ("ExReleaseResourceForThreadLite", &[Lock(0), Thread]);
const LEAVING: Call = ("ExReleaseResourceAndLeaveCriticalRegion", &[Lock(0)]);
const ENTERING: [Call; 3] = [
    (
        "ExEnterCriticalRegionAndAcquireResourceExclusive",
        &[Lock(0)],
    ),
    ("ExEnterCriticalRegionAndAcquireResourceShared", &[Lock(0)]),
    (
        "ExEnterCriticalRegionAndAcquireSharedWaitForExclusive",
        &[Lock(0)],
    ),
];
const ACQUIRED_EXCLUSIVE: Call = ("ExIsResourceAcquiredExclusiveLite", &[Lock(0)]);
const ACQUIRED_SHARED: Call = ("ExIsResourceAcquiredSharedLite", &[Lock(0)]);
const EXCLUSIVE_WAITERS: Call = ("ExGetExclusiveWaiterCount", &[Lock(0)]);
const SHARED_WAITERS: Call = ("ExGetSharedWaiterCount", &[Lock(0)]);
const PUSH: Call = ("ExInitializePushLock", &[Lock(0)]);
const PUSH_EXCLUSIVE: Call = ("ExAcquirePushLockExclusiveEx", &[Lock(0), Value(0)]);
const PUSH_SHARED: Call = ("ExAcquirePushLockSharedEx", &[Lock(0), Value(0)]);
const POP_EXCLUSIVE: Call = ("ExReleasePushLockExclusiveEx", &[Lock(0), Value(0)]);
const POP_SHARED: Call = ("ExReleasePushLockSharedEx", &[Lock(0), Value(0)]);
const GUARDED: Call = ("KeInitializeGuardedMutex", &[Lock(0)]);
const ACQUIRE_GUARDED: Call = ("KeAcquireGuardedMutex", &[Lock(0)]);
const RELEASE_GUARDED: Call = ("KeReleaseGuardedMutex", &[Lock(0)]);
const ENDS: Call = ("PsTerminateSystemThread", &[Value(0)]);
const APC: Call = ("KfRaiseIrql", &[Value(1)]);
const DISPATCH: Call = ("KfRaiseIrql", &[Value(2)]);
const ABOVE: Call = ("KfRaiseIrql", &[Value(3)]);
const PASSIVE: Call = ("KeLowerIrql", &[Value(0)]);

/// Makes the calls in a thread of the driver's.
fn call(calls: &'static [Call]) -> Result<i32, HostError> {
    let fixture = Fixture::new();
    let host = fixture.start();
    sequence::set(calls);
    let status = send(&host, code::SEQUENCE, &[])?;
    host.stop()?;
    Ok(status)
}

/// The calls end in this bug check.
fn misuse(calls: &'static [Call], code: u32, parameters: [Word; 4]) {
    let Err(HostError::BugCheck(report)) = call(calls) else {
        panic!("{calls:?} stop the machine")
    };
    let expected = parameters.map(sequence::value);
    assert_eq!(
        (report.code, report.parameters),
        (code, expected),
        "{report}"
    );
}

const NOTHING: Word = Value(0);
/// The parameters for the rule IrqlExApcLte3.
const IRQL: [Word; 4] = [Value(0x20007), NOTHING, NOTHING, NOTHING];

#[test]
fn what_is_allowed_goes_well() {
    let allowed: [&[Call]; 8] = [
        &[
            INIT, ENTER, EXCLUSIVE, SHARED, CONVERT, RELEASE, RELEASE, LEAVE, REINIT, DELETE,
        ],
        // Initialisation, releases and queries at DISPATCH_LEVEL, all others at APC_LEVEL, which
        // disables APCs by itself.
        &[
            DISPATCH,
            INIT,
            PASSIVE,
            APC,
            EXCLUSIVE,
            CONVERT,
            STARVE,
            BEHIND,
            DISPATCH,
            RELEASE,
            RELEASE,
            RELEASE,
            EXCLUSIVE_WAITERS,
            SHARED_WAITERS,
            PASSIVE,
            DELETE,
        ],
        &[
            INIT,
            ENTER,
            STARVE,
            DISPATCH,
            ACQUIRED_EXCLUSIVE,
            ACQUIRED_SHARED,
            HAND_OVER,
            RELEASE_POINTER,
            PASSIVE,
            LEAVE,
            DELETE,
        ],
        &[INIT, APC, SHARED, RELEASE_THREAD, PASSIVE, DELETE],
        // What was handed over may be released outside any region.
        &[
            INIT,
            ENTER,
            SHARED,
            SHARED,
            HAND_OVER,
            LEAVE,
            RELEASE_POINTER,
            RELEASE_POINTER,
            DELETE,
        ],
        &[
            INIT,
            ENTERING[0],
            LEAVING,
            ENTERING[1],
            LEAVING,
            ENTERING[2],
            LEAVING,
            DELETE,
        ],
        &[
            PUSH,
            ENTER,
            PUSH_SHARED,
            POP_SHARED,
            PUSH_EXCLUSIVE,
            POP_EXCLUSIVE,
            LEAVE,
        ],
        &[PUSH, APC, PUSH_EXCLUSIVE, POP_EXCLUSIVE, PASSIVE],
    ];
    for calls in allowed {
        assert_eq!(call(calls), Ok(0), "{calls:?}");
    }
}

#[test]
fn acquires_and_releases_need_apcs_disabled() {
    let with = |kind, irql| [Value(kind), Value(irql), NOTHING, Lock(0)];
    misuse(&[INIT, EXCLUSIVE], 0xC4, with(0x37, 0));
    misuse(&[INIT, SHARED], 0xC4, with(0x37, 0));
    misuse(&[INIT, STARVE], 0xC4, with(0x37, 0));
    misuse(&[INIT, BEHIND], 0xC4, with(0x37, 0));
    misuse(&[INIT, ENTERING[0], LEAVE, RELEASE], 0xC4, with(0x38, 0));
    misuse(
        &[INIT, ENTERING[1], LEAVE, RELEASE_THREAD],
        0xC4,
        with(0x38, 0),
    );
    misuse(&[INIT, ENTERING[2], LEAVE, LEAVING], 0xC4, with(0x38, 0));
    misuse(&[PUSH, PUSH_SHARED], 0xC4, with(0xEA, 0));
    misuse(&[PUSH, PUSH_EXCLUSIVE], 0xC4, with(0xEA, 0));
    misuse(
        &[PUSH, ENTER, PUSH_SHARED, LEAVE, POP_SHARED],
        0xC4,
        with(0xEB, 0),
    );
    misuse(
        &[PUSH, ENTER, PUSH_EXCLUSIVE, LEAVE, POP_EXCLUSIVE],
        0xC4,
        with(0xEB, 0),
    );
}

#[test]
fn each_routine_has_its_highest_irql() {
    misuse(&[INIT, DISPATCH, EXCLUSIVE], 0xC4, IRQL);
    misuse(&[INIT, DISPATCH, SHARED], 0xC4, IRQL);
    misuse(&[INIT, DISPATCH, STARVE], 0xC4, IRQL);
    misuse(&[INIT, DISPATCH, BEHIND], 0xC4, IRQL);
    misuse(&[INIT, DISPATCH, DELETE], 0xC4, IRQL);
    misuse(&[INIT, ENTER, EXCLUSIVE, DISPATCH, CONVERT], 0xC4, IRQL);
    misuse(&[INIT, ENTERING[0], DISPATCH, LEAVING], 0xC4, IRQL);
    misuse(&[INIT, ENTER, SHARED, ABOVE, RELEASE], 0xC4, IRQL);
    misuse(
        &[INIT, ENTER, SHARED, HAND_OVER, ABOVE, RELEASE_POINTER],
        0xC4,
        IRQL,
    );
    misuse(&[PUSH, DISPATCH, PUSH_SHARED], 0xC4, IRQL);
    misuse(
        &[PUSH, ENTER, PUSH_EXCLUSIVE, DISPATCH, POP_EXCLUSIVE],
        0xC4,
        IRQL,
    );
    // Entering the region is what goes wrong first.
    for calls in [
        &[INIT, DISPATCH, ENTERING[0]],
        &[INIT, DISPATCH, ENTERING[1]],
        &[INIT, DISPATCH, ENTERING[2]],
    ] {
        misuse(calls, 0xC4, [Value(0x11A), Value(2), NOTHING, NOTHING]);
    }
    // No page has a number for these.
    let above = [NOTHING, Value(3), NOTHING, NOTHING];
    misuse(&[ABOVE, INIT], 0xC4, above);
    misuse(&[INIT, ENTER, SHARED, ABOVE, HAND_OVER], 0xC4, above);
    misuse(&[INIT, ABOVE, ACQUIRED_EXCLUSIVE], 0xC4, above);
    misuse(&[INIT, ABOVE, ACQUIRED_SHARED], 0xC4, above);
    misuse(&[INIT, ABOVE, EXCLUSIVE_WAITERS], 0xC4, above);
    misuse(&[INIT, ABOVE, SHARED_WAITERS], 0xC4, above);
}

#[test]
fn an_active_resource_is_not_initialised_again_or_freed() {
    let again = [Value(0xD0), Lock(0), NOTHING, NOTHING];
    misuse(&[INIT, INIT], 0xC4, again);
    misuse(&[INIT, ENTER, EXCLUSIVE, REINIT], 0xC4, again);
    misuse(&[INIT, ENTER, SHARED, HAND_OVER, REINIT], 0xC4, again);
    misuse(&[INIT], 0xC4, [Value(0xD2), Lock(0), Lock(0), Value(SIZE)]);
    misuse(&[DELETE], 0xC4, [Value(0xD1), Lock(0), NOTHING, NOTHING]);
    misuse(
        &[INIT, DELETE, DELETE],
        0xC4,
        [Value(0xD1), Lock(0), NOTHING, NOTHING],
    );
    let misaligned: &[Call] = &[("ExInitializeResourceLite", &[Lock(4)])];
    misuse(misaligned, 0xC4, [Value(0x3D), NOTHING, NOTHING, Lock(4)]);
    let in_use = [Value(3), NOTHING, NOTHING, NOTHING];
    misuse(&[INIT, ENTER, SHARED, DELETE], 0x139, in_use);
    misuse(&[PUSH, ENTER, PUSH_SHARED, PUSH], 0x139, in_use);
    for unknown in [
        &[REINIT],
        &[RELEASE],
        &[RELEASE_POINTER],
        &[CONVERT],
        &[ACQUIRED_SHARED],
        &[SHARED_WAITERS],
        &[HAND_OVER],
        &[LEAVING],
    ] {
        misuse(unknown, 0xC4, [NOTHING, Lock(0), NOTHING, NOTHING]);
    }
}

#[test]
fn only_an_owner_releases() {
    let not_owned = [Lock(0), Thread, NOTHING, NOTHING];
    misuse(&[INIT, ENTER, RELEASE], 0xE3, not_owned);
    misuse(&[INIT, ENTER, SHARED, RELEASE, RELEASE], 0xE3, not_owned);
    misuse(&[INIT, ENTER, LEAVING], 0xE3, not_owned);
    misuse(&[INIT, ENTER, SHARED, HAND_OVER, RELEASE], 0xE3, not_owned);
    misuse(
        &[INIT, ENTER, SHARED, HAND_OVER, HAND_OVER],
        0xE3,
        not_owned,
    );
    misuse(&[INIT, ENTER, SHARED, RELEASE_POINTER], 0xE3, not_owned);
    // A sharer has nothing to convert.
    misuse(&[INIT, ENTER, SHARED, CONVERT], 0xE3, not_owned);
    let released = [Thread, Lock(0), NOTHING, NOTHING];
    misuse(&[PUSH, ENTER, POP_SHARED], 0x162, released);
    misuse(&[PUSH, ENTER, PUSH_SHARED, POP_EXCLUSIVE], 0x162, released);
    misuse(&[PUSH, ENTER, PUSH_EXCLUSIVE, POP_SHARED], 0x162, released);
    misuse(&[GUARDED, APC, RELEASE_GUARDED], 0x162, released);
    misuse(
        &[GUARDED, RELEASE_GUARDED],
        0xC4,
        [Value(0x34), NOTHING, Lock(0), NOTHING],
    );
    misuse(
        &[GUARDED, DISPATCH, ACQUIRE_GUARDED],
        0xC4,
        [Value(0x33), Value(2), Lock(0), NOTHING],
    );
}

#[test]
fn an_owner_pointer_has_its_two_low_bits_set() {
    for calls in [
        &[
            INIT,
            ENTER,
            SHARED,
            ("ExSetResourceOwnerPointer", &[Lock(0), Value(8)] as &[Word]),
        ],
        &[
            INIT,
            ENTER,
            SHARED,
            ("ExSetResourceOwnerPointer", &[Lock(0), Value(9)]),
        ],
    ] {
        let pointer = calls[3].1[1];
        misuse(calls, 0x132, [Lock(0), NOTHING, Thread, pointer]);
    }
}

#[test]
fn a_thread_does_not_end_as_an_owner() {
    misuse(&[INIT, ENTER, SHARED, LEAVE, ENDS], 0x153, [NOTHING; 4]);
    misuse(
        &[PUSH, ENTER, PUSH_SHARED, LEAVE, ENDS],
        0x153,
        [NOTHING; 4],
    );
}
