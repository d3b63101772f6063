//! The host with a small driver of the tests' own: what works, and what misuse becomes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod deadlocks;
mod fixture;
mod lock_rules;
mod locks;
mod resources;
mod schedules;
mod user;
mod user_schedules;
mod wdm;

use std::time::Duration;

use apclab_host::{Host, HostError, Leak, StartError};
use fixture::driver::{self, code};
use fixture::pe::{Image, WRITABLE_CODE};
use fixture::{Fixture, SNIPPETS, bug_check, calls};

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Sends an IOCTL without output to a new handle.
fn send(host: &Host, code: u32, input: &[u64]) -> Result<i32, HostError> {
    let file = host.open()?;
    let completion = file.ioctl(code, &words(input), &mut [])?;
    file.close()?;
    Ok(completion.status)
}

#[test]
fn a_driver_starts_answers_and_unloads() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open().unwrap();
    let mut output = [0; 8];
    let completion = file
        .ioctl(code::ECHO, &words(&[7 << 32, 9]), &mut output)
        .unwrap();
    assert_eq!((completion.status, completion.information), (0, 8));
    assert_eq!(output, *words(&[7 << 32]));
    file.close().unwrap();
    let report = host.stop().unwrap();
    assert_eq!(
        report.log,
        ["entry from 5", "cleanup", "close", "exit to 5", "unload"]
    );
}

#[test]
fn output_comes_back_for_warnings_and_not_for_errors() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open().unwrap();
    for (status, copied) in [(0xA000_0001_u32, true), (0xC000_0001, false)] {
        let mut output = [0xEE; 8];
        let completion = file
            .ioctl(code::ECHO, &words(&[u64::from(status)]), &mut output)
            .unwrap();
        assert_eq!(completion.status.cast_unsigned(), status);
        assert_eq!(output != [0xEE; 8], copied, "{status:#x}");
    }
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn requests_run_in_their_process_inside_the_frameworks_region() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open_as(4242).unwrap();
    let mut output = [0; 16];
    file.ioctl(code::CONTEXT, &[], &mut output).unwrap();
    assert_eq!(
        output,
        *words(&[4242, 0b10]),
        "APCs disabled, not all of them"
    );
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn images_that_cannot_be_loaded_are_refused() {
    let entry = driver::entry as *const () as u64;
    let refusal = |image: &Image<'_>| {
        let fixture = Fixture::of(image);
        fixture.try_start().expect_err("refused").to_string()
    };
    let mut image = Image::new(entry, &SNIPPETS, calls::IMPORTS);
    image.code = WRITABLE_CODE;
    assert!(refusal(&image).contains("both writable and executable"));
    let mut image = Image::new(entry, &SNIPPETS, calls::IMPORTS);
    image.machine = 0x14C;
    assert!(refusal(&image).contains("not for x64"));
    let imports: &[(&str, &[&str])] = &[("ntoskrnl.exe", &["KeNoSuchRoutine"])];
    assert_eq!(
        refusal(&Image::new(entry, &SNIPPETS, imports)),
        "ntoskrnl.exe has no KeNoSuchRoutine"
    );
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.driver = "/nonexistent/driver.sys".into();
    assert!(matches!(Host::start(options), Err(StartError::Read { .. })));
}

#[test]
fn faults_in_driver_code_are_bug_checks() {
    for (number, address, expected) in [
        (0, 0x10, (0x50, 0x10)),
        (1, 0x20, (0x50, 0x20)),
        (2, 0, (0x1E, 0xC000_001D)),
        (3, 0, (0x7F, 8)),
        (4, 0, (0x139, 7)),
        (6, 0, (0x1E, 0xC000_0094)),
        (99, 0, (0x50, 0)),
    ] {
        let fixture = Fixture::new();
        let host = fixture.start();
        let file = host.open().unwrap();
        let input = words(&[number, address]);
        let (code, first, _, text) = bug_check(file.ioctl(code::SNIPPET, &input, &mut []));
        assert_eq!((code, first), expected, "{text}");
        let again = bug_check(file.ioctl(code::ECHO, &[], &mut []));
        assert_eq!(again.3, text, "the first bug check stays");
        bug_check(host.open());
        bug_check(host.stop());
    }
}

#[test]
fn a_driver_that_spins_is_reported_and_can_be_left() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.answer_deadline = Duration::from_millis(300);
    let host = Host::start(options).unwrap();
    let file = host.open().unwrap();
    let error = file
        .ioctl(code::SNIPPET, &words(&[5, 0]), &mut [])
        .unwrap_err();
    let HostError::NoAnswer(report) = error else {
        panic!("no answer, not {error}")
    };
    assert_eq!(report.requests.len(), 1);
    assert_eq!(report.threads.len(), 1, "{report}");
    assert_eq!(report.threads[0].routine, "ExFreePoolWithTag", "{report}");
    drop(host);
    assert!(matches!(
        file.ioctl(code::ECHO, &[], &mut []),
        Err(HostError::Off)
    ));
}

#[test]
fn a_leaked_region_is_seen_at_the_end_of_the_request() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let (code, _, _, text) = bug_check(send(&host, code::LEAK_REGION, &[]));
    assert_eq!(code, 0x1, "{text}");
}

#[test]
fn a_region_leaked_outside_the_frameworks_region_is_seen_by_its_verifier() {
    let fixture = Fixture::new();
    driver::LEAK_IN_ADD.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = fixture.try_start().map(drop).unwrap_err();
    let StartError::Failed(error) = error else {
        panic!("a bug check, not {error}")
    };
    let (code, kind, _, text) = bug_check(Err::<(), _>(error));
    assert_eq!((code, kind), (0x10D, 0xF), "{text}");
}

#[test]
fn a_raised_irql_is_seen_at_the_end_of_the_callback() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let (code, kind, before, text) = bug_check(send(&host, code::LEAK_IRQL, &[]));
    assert_eq!((code, kind, before), (0x10D, 0xE, 0), "{text}");
}

#[test]
fn apcs_run_at_the_leave_that_enables_them() {
    let fixture = Fixture::new();
    let host = fixture.start();
    assert_eq!(send(&host, code::APCS, &[]).unwrap(), 0);
    // Both inserted; the special one at the guarded leave, the normal one at the critical leave.
    assert_eq!(driver::ran(), 0x11A_2BC3, "{:#x}", driver::ran());
    assert_eq!(host.stop().unwrap().threads, 1);
}

#[test]
fn the_rundown_routine_runs_for_what_a_thread_leaves_in_its_queue() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.baseline.kernel = -1;
    let host = Host::start(options).unwrap();
    assert_eq!(send(&host, code::RUNDOWN, &[]).unwrap(), 0);
    assert_eq!(driver::ran(), 0x1D);
    host.stop().unwrap();
}

#[test]
fn waits_time_out() {
    let fixture = Fixture::new();
    let host = fixture.start();
    for timeout in [0_i64, -10_000] {
        assert_eq!(
            send(&host, code::WAIT, &[timeout.cast_unsigned()]).unwrap(),
            0x102
        );
    }
    host.stop().unwrap();
}

#[test]
fn a_kept_request_is_cancelled_at_dispatch_level() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open().unwrap();
    let pending = file.ioctl_async(code::KEEP, Vec::new(), 0).unwrap();
    assert!(matches!(
        pending.wait(Duration::from_millis(20)),
        Err(HostError::NoAnswer(_))
    ));
    pending.cancel().unwrap();
    let (completion, _) = pending.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(completion.status.cast_unsigned(), 0xC000_0120);
    assert_eq!(driver::ran(), 2, "the IRQL of the callback");
    pending.cancel().unwrap();
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn a_close_waits_for_the_last_request() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open().unwrap();
    let pending = file.ioctl_async(code::KEEP, Vec::new(), 0).unwrap();
    file.close().unwrap();
    assert_eq!(host.log(), ["entry from 5", "cleanup"]);
    pending.cancel().unwrap();
    let report = host.stop().unwrap();
    assert_eq!(
        report.log,
        ["entry from 5", "cleanup", "close", "exit to 5", "unload"]
    );
}

#[test]
fn an_open_handle_keeps_the_device() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = host.open().unwrap();
    assert_eq!(host.stop().unwrap_err(), HostError::FilesOpen { open: 1 });
    drop(file);
}

#[test]
fn requests_after_a_surprise_removal_fail() {
    let fixture = Fixture::new();
    let mut host = fixture.start();
    let file = host.open().unwrap();
    host.surprise_remove().unwrap();
    let completion = file.ioctl(code::ECHO, &words(&[0]), &mut []).unwrap();
    assert_eq!(completion.status.cast_unsigned(), 0xC000_000E);
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn misuse_of_requests_is_a_violation_of_the_framework() {
    for (code, expected) in [(code::TWICE, (0x10D, 5)), (code::TOO_MUCH, (0x10D, 6))] {
        let fixture = Fixture::new();
        let host = fixture.start();
        let (code, kind, _, text) = bug_check(send(&host, code, &[]));
        assert_eq!((code, kind), expected, "{text}");
    }
}

#[test]
fn misuse_of_the_pool_is_found() {
    for (what, code, part) in [
        (1, 0xC2, "freed twice"),
        (
            2,
            0x50,
            "0 bytes into 96 bytes of freed pool with tag 'Fixt'",
        ),
        (
            3,
            0x50,
            "0 bytes past the end of 96 bytes of pool with tag 'Fixt'",
        ),
        (4, 0xC2, "was freed with tag 'xxxx'"),
        (5, 0x139, "was freed while it was in a thread's queue"),
    ] {
        let fixture = Fixture::new();
        let host = fixture.start();
        let (found, _, _, text) = bug_check(send(&host, code::POOL, &[96, what]));
        assert_eq!(found, code, "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_apc_that_has_run_may_be_freed() {
    let fixture = Fixture::new();
    let host = fixture.start();
    assert_eq!(send(&host, code::POOL, &[96, 6]).unwrap(), 0);
    assert_eq!(driver::ran(), 0xA, "the special APC ran in the handler");
    host.stop().unwrap();
}

#[test]
fn one_allocation_can_be_made_to_fail() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    // An allocation for each word of the input, then the block.
    let before = {
        let host = Host::start(options.clone()).unwrap();
        let calls = host.fallible_calls();
        assert_eq!(host.failed_call(), None);
        host.stop().unwrap();
        calls
    };
    options.fail = Some(before + 2);
    let host = Host::start(options).unwrap();
    let refused = send(&host, code::POOL, &[96, 6]).unwrap();
    assert_eq!(refused.cast_unsigned(), 0xC000_009A);
    assert_eq!(host.failed_call(), Some("ExAllocatePool2"));
    assert_eq!(send(&host, code::POOL, &[96, 6]).unwrap(), 0);
    let calls = host.fallible_calls();
    assert!(calls > before + 2);
    // The fixture also allocates for what it prints at its end.
    assert!(host.stop().unwrap().fallible_calls > calls);
}

#[test]
fn each_kind_of_call_can_be_made_to_fail() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let first = host.fallible_calls();
    drop(host);
    // An allocation, the thread, and the reference to it.
    let expected = [
        ("PsCreateSystemThread", 0xC000_009A),
        ("ObReferenceObjectByHandle", 0xC000_0008),
    ];
    for (n, (function, status)) in (first + 1..).zip(expected) {
        let mut options = fixture.options();
        options.fail = Some(n);
        let host = Host::start(options).unwrap();
        let refused = send(&host, code::APCS, &[]).unwrap();
        assert_eq!(host.failed_call(), Some(function));
        assert_eq!(refused.cast_unsigned(), status);
    }
}

#[test]
fn a_start_that_fails_says_where() {
    for (failing, step) in [
        (&driver::ENTRY_STATUS, "DriverEntry"),
        (&driver::ADD_STATUS, "EvtDriverDeviceAdd"),
    ] {
        let fixture = Fixture::new();
        failing.store(0xC000_009A, std::sync::atomic::Ordering::SeqCst);
        let error = fixture.try_start().map(drop).unwrap_err();
        let StartError::Status {
            step: failed,
            status,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((failed, status.cast_unsigned()), (step, 0xC000_009A));
    }
}

#[test]
fn a_framework_function_that_is_missing_is_named() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let (code, _, _, text) = bug_check(send(&host, code::UNKNOWN, &[]));
    assert_eq!(code, 0x10D);
    assert!(text.contains("called WdfTimerCreate"), "{text}");
}

#[test]
fn what_a_driver_leaves_behind_is_named() {
    let fixture = Fixture::new();
    let host = fixture.start();
    send(&host, code::POOL, &[40, 0]).unwrap();
    let HostError::Leaks(leaks) = host.stop().unwrap_err() else {
        panic!("leaks")
    };
    let [Leak::Pool { tag, size, .. }] = &leaks[..] else {
        panic!("one leak: {leaks:?}")
    };
    assert_eq!((tag.as_str(), *size), ("Fixt", 40));
}

#[test]
fn a_thread_that_outlives_the_driver_is_a_leak() {
    let fixture = Fixture::new();
    let host = fixture.start();
    send(&host, code::LEAK_THREAD, &[]).unwrap();
    let HostError::Leaks(leaks) = host.stop().unwrap_err() else {
        panic!("leaks")
    };
    let threads = leaks
        .iter()
        .filter(|leak| matches!(leak, Leak::Thread { .. }))
        .count();
    let handles = leaks
        .iter()
        .filter(|leak| matches!(leak, Leak::Handle { .. }))
        .count();
    assert_eq!((threads, handles, leaks.len()), (1, 1, 2), "{leaks:?}");
}
