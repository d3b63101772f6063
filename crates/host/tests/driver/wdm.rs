//! Requests that the driver sees as IRPs, ahead of the framework.

use std::time::Duration;

use apclab_host::{File, Host, HostError};

use super::fixture::driver::{self, code};
use super::fixture::wdm::{self, How, MISUSES, Step};
use super::fixture::{Fixture, bug_check};
use super::words;

/// A machine whose driver has a dispatch callback.
pub(crate) fn start(fixture: &Fixture) -> Host {
    wdm::ENABLED.store(true, std::sync::atomic::Ordering::SeqCst);
    fixture.start()
}

/// Has a worker execute the steps; gives what each has given.
fn call(file: &File, steps: &[Step]) -> Result<Vec<u64>, HostError> {
    let mut output = vec![0; 8 * steps.len()];
    let completion = file.ioctl(wdm::code::CALL, &wdm::encode(steps), &mut output)?;
    assert_eq!(
        (completion.status, completion.information),
        (0, output.len())
    );
    Ok(to_words(&output))
}

pub(crate) fn to_words(bytes: &[u8]) -> Vec<u64> {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks_exact(8).map(word).collect()
}

pub(crate) fn hold(how: How) -> Vec<u8> {
    words(&[how as u64])
}

#[test]
fn a_dispatch_callback_runs_in_the_process_outside_of_the_frameworks_region() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = host.open_as(4242).unwrap();
    let seen = call(&file, &[Step::Context, Step::Terminating]).unwrap();
    assert_eq!(seen, [4242 << 8, 0]);
    // What it passes on runs inside of it as ever.
    let mut output = [0; 16];
    file.ioctl(code::CONTEXT, &[], &mut output).unwrap();
    assert_eq!(output, *words(&[4242, 0b10]));
    let completion = file
        .ioctl(code::ECHO, &words(&[7 << 32]), &mut output)
        .unwrap();
    assert_eq!((completion.status, completion.information), (0, 8));
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn a_request_is_held_cancelled_and_completed() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = host.open().unwrap();
    let held = file
        .ioctl_async(wdm::code::HOLD, hold(How::Properly), 0)
        .unwrap();
    assert_eq!(held.done().unwrap(), None);
    assert_eq!(call(&file, &[Step::Cancelled]).unwrap(), [0]);
    held.cancel().unwrap();
    assert_eq!(call(&file, &[Step::Cancelled]).unwrap(), [1]);
    assert_eq!(held.done().unwrap(), None, "that is for the driver to do");
    assert_eq!(call(&file, &[Step::Complete]).unwrap(), [1]);
    let (completion, _) = held.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(completion.status, 0);
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn a_request_that_is_passed_on_can_be_cancelled() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = host.open().unwrap();
    let kept = file.ioctl_async(code::KEEP, Vec::new(), 0).unwrap();
    kept.cancel().unwrap();
    let (completion, _) = kept.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(completion.status.cast_unsigned(), 0xC000_0120);
    assert_eq!(driver::ran(), 2, "the IRQL of the callback");
    file.close().unwrap();
    host.stop().unwrap();
}

#[test]
fn misuse_of_an_irp_is_a_bug_check() {
    for (how, code, kind) in MISUSES {
        let fixture = Fixture::new();
        let host = start(&fixture);
        let file = host.open().unwrap();
        let sent = file.ioctl(wdm::code::HOLD, &hold(how), &mut []);
        let (found, first, _, text) = bug_check(sent);
        assert_eq!(found, code, "{how:?}: {text}");
        if kind != 0 {
            assert_eq!(first, kind, "{how:?}: {text}");
        }
        bug_check(host.stop());
    }
}

#[test]
fn an_event_on_the_stack_is_not_for_waits_in_user_mode() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = host.open().unwrap();
    let (code, kind, _, text) = bug_check(call(&file, &[Step::WaitOnStack]));
    assert_eq!((code, kind), (0xC4, 0x123), "{text}");
}

#[test]
fn a_wait_of_a_thread_without_user_apcs_ends_for_its_object_or_its_time_out() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = host.open().unwrap();
    for (user, alertable) in [(false, true), (true, false), (true, true)] {
        let wait = Step::Wait {
            event: 0,
            user,
            alertable,
            milliseconds: 1,
        };
        let steps = [Step::Initialize(0), wait, Step::Set(0), wait];
        let seen = call(&file, &steps).unwrap();
        assert_eq!((seen[1], seen[3]), (0x102, 0));
    }
    file.close().unwrap();
    host.stop().unwrap();
}
