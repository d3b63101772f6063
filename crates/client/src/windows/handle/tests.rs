//! Requests that complete late, or never: polls of a listening socket, whose driver is in every Windows
//! and in Wine.

use std::net::{TcpListener, TcpStream};
use std::os::windows::io::FromRawHandle;
use std::os::windows::io::{IntoRawSocket, RawHandle};
use std::time::Instant;

use apclab_protocol::status;
use windows_sys::Win32::System::Threading::SetEvent;

use super::*;

/// IOCTL_AFD_POLL, which is METHOD_BUFFERED as our own requests are.
const POLL: u32 = 0x0001_2024;
/// AFD_POLL_ACCEPT.
const ACCEPT: u32 = 0x80;
/// A request that no socket knows.
const UNKNOWN: u32 = 0x0001_2FFC;

/// An event that nobody signals but the test, for the rest of the process.
fn stop() -> &'static OwnedHandle {
    Box::leak(Box::new(interrupt::event().expect("an event")))
}

/// A listening socket as an overlapped handle, and the poll for a connection to it.
fn listener() -> (Handle, Vec<u8>, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let raw = listener.into_raw_socket();
    // AFD_POLL_INFO: time-out (never), number of handles, exclusive; handle, events, status.
    let mut poll = Vec::new();
    poll.extend(i64::MAX.to_le_bytes());
    poll.extend(1_u32.to_le_bytes());
    poll.extend(0_u32.to_le_bytes());
    poll.extend(raw.to_le_bytes());
    poll.extend(ACCEPT.to_le_bytes());
    poll.extend(0_u32.to_le_bytes());
    // SAFETY: the socket is a handle that nobody else has any more. That it is closed by CloseHandle
    // leaves a few bytes to the socket library, in a test.
    let file = unsafe { OwnedHandle::from_raw_handle(raw as RawHandle) };
    (Handle::of(file, stop()), poll, address)
}

#[test]
fn a_request_that_is_late_is_cancelled() {
    let (handle, poll, _) = listener();
    let within = Duration::from_millis(300);
    let mut output = [0; 32];
    let started = Instant::now();
    let answer = handle.ioctl_within(POLL, &poll, &mut output, within);
    let took = started.elapsed();
    let cancelled = TargetError::NoAnswer {
        within,
        what: "the request was cancelled".to_owned(),
    };
    assert_eq!(answer, Err(cancelled));
    assert!(took >= within && took < CANCEL_DEADLINE, "{took:?}");
}

#[test]
fn a_user_who_wants_to_stop_does_not_wait() {
    let (handle, poll, _) = listener();
    let stop = handle.stop;
    let user = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        // SAFETY: the event lives as long as the process.
        assert_ne!(unsafe { SetEvent(stop.as_raw_handle()) }, 0);
    });
    let started = Instant::now();
    let answer = handle.ioctl_within(POLL, &poll, &mut [0; 32], Duration::from_mins(1));
    assert_eq!(answer, Err(TargetError::Interrupted));
    assert!(started.elapsed() < CANCEL_DEADLINE);
    user.join().expect("no panic");
}

#[test]
fn a_request_that_pends_completes_with_status_and_output() {
    let (handle, poll, address) = listener();
    let client = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        TcpStream::connect(address)
    });
    let mut output = [0; 32];
    let answer = handle
        .ioctl_within(POLL, &poll, &mut output, Duration::from_secs(20))
        .expect("it completes");
    assert_eq!(answer.status, status::SUCCESS);
    assert!(answer.information <= output.len());
    let events = u32::from_le_bytes(*output[24..].first_chunk().expect("four bytes"));
    assert_eq!(events, ACCEPT);
    client.join().expect("no panic").expect("a connection");
}

#[test]
fn a_request_that_fails_gives_its_status() {
    let (handle, _, _) = listener();
    let answer = handle.ioctl(UNKNOWN, &[0; 16], &mut [0; 16]);
    let completion = answer.expect("it completes");
    assert!(status::is_error(completion.status), "{completion:?}");
    assert_eq!(completion.information, 0);
}

#[test]
fn a_device_that_is_not_there_gives_the_win32_error() {
    let missing = Handle::open(r"\\.\apclab-no-such-device").expect_err("there is none");
    assert_eq!(missing.0, crate::device::problem::win32::FILE_NOT_FOUND);
}
