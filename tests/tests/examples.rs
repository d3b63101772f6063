//! The drivers of `examples/`, which have nothing of ours but the guards, in the host.

use std::thread;

use apclab_host::{File, Host, HostError, Options};
use apclab_tests::{driver, stop};

// As `examples/minimal-driver` has them.
const ADD: u32 = 0x0022_2400;
const READ: u32 = 0x0022_2404;

fn machine(image: &str) -> Host {
    let image = driver().with_file_name(image);
    assert!(
        image.is_file(),
        "no driver at {}: run `cargo xtask driver`",
        image.display()
    );
    match Host::start(Options::new(image)) {
        Ok(host) => host,
        Err(error) => panic!("the driver does not start: {error}"),
    }
}

fn add(file: &File, number: u32) {
    let completion = file.ioctl(ADD, &number.to_le_bytes(), &mut []).unwrap();
    assert_eq!((completion.status, completion.information), (0, 0));
}

fn read(file: &File) -> [u64; 3] {
    let mut output = [0; 24];
    let completion = file.ioctl(READ, &[], &mut output).unwrap();
    assert_eq!((completion.status, completion.information), (0, 24));
    [0, 8, 16].map(|at| u64::from_le_bytes(output[at..at + 8].try_into().unwrap()))
}

#[test]
fn a_driver_of_the_library_alone_loads_answers_and_unloads_without_a_leak() {
    let host = machine("apclab-minimal.sys");
    let file = host.open().unwrap();
    assert_eq!(read(&file), [0, 0, 0]);
    add(&file, 5);
    add(&file, 7);
    assert_eq!(read(&file), [2, 12, 7]);
    let short = file.ioctl(ADD, &[1], &mut []).unwrap();
    assert!(short.status < 0, "an input of one byte is refused");
    let unknown = file.ioctl(READ + 4, &[], &mut []).unwrap();
    assert!(unknown.status < 0);
    assert_eq!(read(&file), [2, 12, 7]);
    drop(file);
    // A resource that was not deleted, or a region that was not left, would be named here.
    stop(host);
}

#[test]
fn requests_of_many_threads_lose_nothing() {
    let host = machine("apclab-minimal.sys");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let file = host.open().unwrap();
                for number in 1..=50 {
                    add(&file, number);
                    let [count, sum, _] = read(&file);
                    assert!(sum >= count, "the two are read together");
                }
            });
        }
    });
    let file = host.open().unwrap();
    let [count, sum, _] = read(&file);
    assert_eq!((count, sum), (200, 4 * 50 * 51 / 2));
    drop(file);
    stop(host);
}

/// How many exercises are to pass. The last of them makes a mistake; the next two stop the system.
const EXERCISES: u32 = 18;

/// Every form of every guard on the kernel's side, where a rule that it breaks is a bug check.
#[test]
fn every_guard_does_on_the_kernel_what_it_does_on_the_model() {
    let host = machine("apclab-exercise.sys");
    let file = host.open().unwrap();
    let reports = || {
        let log = host.log().into_iter();
        log.filter(|line| line.starts_with("apclab-guards: "))
            .collect::<Vec<_>>()
    };
    for number in 0..EXERCISES {
        assert_eq!(reports(), [""; 0], "before exercise {number}");
        let completion = file.ioctl(ADD, &number.to_le_bytes(), &mut []).unwrap();
        assert_eq!(completion.status, 0, "exercise {number}");
    }
    // The places that made the mistake, of which nothing else would tell.
    let told = reports();
    assert_eq!(told.len(), 2, "{told:?}");
    for (line, what) in told.iter().zip(["under a lock", "the region was left"]) {
        assert!(
            line.contains(what) && line.contains("unscoped.rs:"),
            "{line}"
        );
    }
    let beyond = file.ioctl(ADD, &u32::MAX.to_le_bytes(), &mut []).unwrap();
    assert!(beyond.status < 0, "there is no such exercise");
    let all = u64::from(EXERCISES);
    assert_eq!(read(&file), [all, all, all - 1]);
    drop(file);
    stop(host);
}

/// What the bug check `ERES` says of a resource that an exercise drops.
fn dropped_by(exercise: u32) -> [u64; 4] {
    let host = machine("apclab-exercise.sys");
    let file = host.open().unwrap();
    let stopped = file.ioctl(ADD, &exercise.to_le_bytes(), &mut []);
    let Err(HostError::BugCheck(report)) = stopped else {
        panic!("{stopped:?}");
    };
    assert_eq!(report.code, 0x4552_4553, "{report:?}");
    report.parameters
}

#[test]
fn a_resource_that_is_dropped_while_a_forgotten_guard_owns_it_stops_the_system() {
    let [why, _, irql, owned] = dropped_by(EXERCISES);
    assert_eq!((why, irql, owned), (2, 0, 1));
}

#[test]
fn a_resource_that_is_dropped_above_apc_level_stops_the_system() {
    let [why, _, irql, owned] = dropped_by(EXERCISES + 1);
    assert_eq!((why, irql, owned), (1, 2, 0));
}
