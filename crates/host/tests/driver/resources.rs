//! Scheduled machines with resources and push locks reach every outcome of the kernel's rules, and
//! no other.

mod rules;

use std::collections::BTreeSet;

use apclab_host::{Choice, Exploration, Host, HostError, Options, Schedule, explore_schedules};
use apclab_model::kernel::Profile;

use super::fixture::Fixture;
use super::fixture::driver::code;
use super::fixture::script::{self, Mode, Op, Script};
use super::send;
use rules::DEADLOCK;

const PROFILES: [Profile; 2] = [Profile::Documented, Profile::Nt52];

/// A scheduled machine that is started again after each deadlock.
struct Machine<'a> {
    _fixture: &'a Fixture,
    options: Options,
    host: Option<Host>,
}

impl<'a> Machine<'a> {
    fn new(fixture: &'a Fixture, profile: Profile) -> Self {
        let mut options = fixture.options();
        options.schedule = Schedule::Replay(Vec::new());
        options.profile = profile;
        Self {
            _fixture: fixture,
            options,
            host: None,
        }
    }

    /// Runs the script that is set by one schedule.
    fn run(&mut self, schedule: &Schedule) -> Result<(String, Vec<Choice>), HostError> {
        let host = match self.host.take() {
            Some(host) => host,
            None => Host::start(self.options.clone()).unwrap(),
        };
        host.set_schedule(schedule)?;
        match send(&host, code::SCRIPT, &[]) {
            Ok(_) => {
                let choices = host.choices()?;
                self.host = Some(host);
                Ok((script::noted(), choices))
            }
            Err(HostError::Deadlock(report)) => Ok((DEADLOCK.to_owned(), report.choices)),
            Err(error) => Err(error),
        }
    }

    /// What the script comes to by all schedules, at most `limit`.
    fn all(&mut self, script: &Script, limit: u64) -> (Exploration, BTreeSet<String>) {
        script::set(script);
        let mut seen = BTreeSet::new();
        let explored = explore_schedules(limit, |schedule| {
            let (outcome, choices) = self.run(&schedule)?;
            seen.insert(outcome);
            Ok::<_, HostError>(choices)
        });
        (explored.unwrap(), seen)
    }
}

/// Checks that the machine comes to all outcomes that the rules allow; gives them.
fn agree(script: &Script, profile: Profile) -> Vec<String> {
    let fixture = Fixture::new();
    let mut machine = Machine::new(&fixture, profile);
    let (explored, seen) = machine.all(script, 60_000);
    assert!(explored.complete, "{script:?}: {explored:?}");
    assert_eq!(
        seen,
        rules::outcomes(script, profile),
        "{script:?} {profile:?}"
    );
    if let Some(host) = machine.host {
        host.stop().unwrap();
    }
    seen.into_iter().collect()
}

const EXCLUSIVE: Op = Op::Acquire(0, Mode::Exclusive);
const SHARED: Op = Op::Acquire(0, Mode::Shared);

/// A lane that executes the steps in a critical region.
fn inside(steps: &[Op]) -> Vec<Op> {
    [&[Op::Enter], steps, &[Op::Leave]].concat()
}

/// A lane that notes digits while it holds the first resource.
fn holds(mode: Mode, digits: &[u8]) -> Vec<Op> {
    let notes: Vec<_> = digits.iter().map(|digit| Op::Note(*digit)).collect();
    let steps = [&[Op::Acquire(0, mode)], &notes[..], &[Op::Release(0)]].concat();
    inside(&steps)
}

#[test]
fn an_exclusive_holder_is_alone_and_sharers_are_not() {
    for profile in PROFILES {
        let alone = vec![
            holds(Mode::Exclusive, &[1, 2]),
            holds(Mode::Exclusive, &[3, 4]),
        ];
        assert_eq!(agree(&alone, profile), ["1234", "3412"]);
        let mixed = vec![
            holds(Mode::Exclusive, &[1, 2]),
            holds(Mode::Shared, &[3, 4]),
        ];
        assert_eq!(agree(&mixed, profile), ["1234", "3412"]);
        let shared = vec![holds(Mode::Shared, &[1, 2]), holds(Mode::Starve, &[3, 4])];
        assert_eq!(agree(&shared, profile).len(), 6);
    }
}

#[test]
fn who_is_next_is_a_choice_where_no_order_is_promised() {
    let script = vec![
        holds(Mode::Exclusive, &[1]),
        holds(Mode::Exclusive, &[2]),
        holds(Mode::Shared, &[3]),
    ];
    // Each of the three may be the first, and then each of the others.
    assert_eq!(agree(&script, Profile::Documented).len(), 6);
    assert_eq!(agree(&script, Profile::Nt52).len(), 6);
    // When both others wait already, either may get it; in a queue that is the one that came first.
    let counts = inside(&[EXCLUSIVE, Op::ExclusiveWaiters(0), Op::Release(0)]);
    let script = vec![
        counts,
        holds(Mode::Exclusive, &[4]),
        holds(Mode::Exclusive, &[5]),
    ];
    for profile in PROFILES {
        let seen = agree(&script, profile);
        assert!(
            ["245", "254"]
                .iter()
                .all(|order| seen.contains(&(*order).to_owned()))
        );
    }
}

#[test]
fn a_sharer_passes_those_that_wait_for_exclusive_or_does_not() {
    for profile in PROFILES {
        for mode in [Mode::Shared, Mode::Starve, Mode::WaitForExclusive] {
            let again = inside(&[
                SHARED,
                Op::Note(1),
                Op::Acquire(0, mode),
                Op::Note(2),
                Op::Release(0),
                Op::Release(0),
            ]);
            let seen = agree(&vec![again, holds(Mode::Exclusive, &[3])], profile);
            let stuck = seen.iter().any(|outcome| outcome == DEADLOCK);
            assert_eq!(stuck, mode == Mode::WaitForExclusive, "{mode:?}: {seen:?}");
            let other = vec![
                holds(Mode::Shared, &[1]),
                holds(Mode::Exclusive, &[2]),
                holds(mode, &[3]),
            ];
            agree(&other, profile);
        }
    }
}

#[test]
fn a_conversion_lets_waiting_sharers_in() {
    for profile in PROFILES {
        let converts = inside(&[
            EXCLUSIVE,
            Op::Note(1),
            Op::Convert(0),
            Op::AcquiredExclusive(0),
            Op::AcquiredShared(0),
            Op::Release(0),
        ]);
        let seen = agree(&vec![converts.clone(), holds(Mode::Shared, &[4])], profile);
        assert_eq!(seen, ["1014", "1041", "1401", "4101"]);
        agree(&vec![converts, holds(Mode::Exclusive, &[4])], profile);
    }
}

#[test]
fn acquires_that_do_not_wait_tell_what_they_came_to() {
    for profile in PROFILES {
        for mode in [
            Mode::Exclusive,
            Mode::Shared,
            Mode::Starve,
            Mode::WaitForExclusive,
        ] {
            let tries = inside(&[Op::Try(0, mode, 2), Op::Note(2), Op::Release(0)]);
            let seen = agree(&vec![tries.clone(), holds(Mode::Exclusive, &[5])], profile);
            assert_eq!(seen, ["05", "125", "50", "512"]);
            agree(&vec![tries, holds(Mode::Shared, &[5])], profile);
        }
        // No upgrade, whoever else has it.
        let upgrades = inside(&[
            SHARED,
            Op::Try(0, Mode::Exclusive, 1),
            Op::Release(0),
            Op::Release(0),
        ]);
        assert_eq!(agree(&vec![upgrades.clone(), upgrades], profile), ["00"]);
    }
}

#[test]
fn waiters_are_counted() {
    for profile in PROFILES {
        let counts = inside(&[
            EXCLUSIVE,
            Op::ExclusiveWaiters(0),
            Op::SharedWaiters(0),
            Op::Release(0),
        ]);
        let script = vec![
            counts,
            holds(Mode::Exclusive, &[]),
            holds(Mode::Shared, &[]),
        ];
        assert_eq!(agree(&script, profile), ["00", "01", "10", "11"]);
    }
}

#[test]
fn combined_routines_are_those_that_they_combine() {
    for profile in PROFILES {
        for mode in [Mode::Exclusive, Mode::Shared, Mode::WaitForExclusive] {
            let combined = vec![Op::EnterAcquire(0, mode), Op::Note(1), Op::ReleaseLeave(0)];
            let apart = holds(mode, &[1]);
            let other = holds(Mode::Exclusive, &[2, 3]);
            let seen = agree(&vec![combined.clone(), other.clone()], profile);
            assert_eq!(seen, agree(&vec![apart, other], profile));
            let mixed = vec![
                Op::EnterAcquire(0, mode),
                Op::Release(0),
                Op::Leave,
                Op::Enter,
                Op::Acquire(0, mode),
                Op::Note(4),
                Op::ReleaseLeave(0),
            ];
            assert_eq!(agree(&vec![mixed, combined], profile).len(), 2);
        }
    }
}

#[test]
fn what_was_handed_over_is_released_by_others() {
    for profile in PROFILES {
        let gives = inside(&[EXCLUSIVE, Op::Note(1), Op::HandOver(0)]);
        let releases = vec![Op::ReleaseFor(0, 0), Op::ReleaseFor(0, 0)];
        let script = vec![gives.clone(), releases, holds(Mode::Shared, &[2])];
        let seen = agree(&script, profile);
        assert!(seen.contains(&DEADLOCK.to_owned()), "{seen:?}");
        // The first one has to wait for the third to release it, or the other way round.
        assert!(seen.contains(&"1102".to_owned()) && seen.contains(&"2110".to_owned()));
        let shares = inside(&[SHARED, SHARED, Op::HandOver(0)]);
        agree(&vec![shares, vec![Op::ReleaseFor(0, 0)], gives], profile);
    }
}

#[test]
fn a_free_resource_is_reinitialised() {
    for profile in PROFILES {
        let script = vec![
            vec![Op::Reinitialize(0), Op::Note(1)],
            inside(&[Op::Acquire(1, Mode::Exclusive), Op::Note(2), Op::Release(1)]),
        ];
        assert_eq!(agree(&script, profile), ["12", "21"]);
    }
}

#[test]
fn push_locks_are_shared_or_exclusive() {
    let lane = |exclusive, digit| {
        inside(&[
            Op::AcquirePush(exclusive),
            Op::Note(digit),
            Op::Note(digit),
            Op::ReleasePush(exclusive),
        ])
    };
    for profile in PROFILES {
        for modes in [[true, true], [true, false], [false, false]] {
            let script = vec![lane(modes[0], 1), lane(modes[1], 2)];
            let together = modes == [false, false];
            assert_eq!(agree(&script, profile).len(), if together { 6 } else { 2 });
        }
        let short = |exclusive, digit| {
            let (acquire, release) = (Op::AcquirePush(exclusive), Op::ReleasePush(exclusive));
            inside(&[acquire, Op::Note(digit), release])
        };
        // Twice by one thread: no page says what comes of it.
        let (acquire, release) = (Op::AcquirePush(false), Op::ReleasePush(false));
        let twice = inside(&[acquire, acquire, Op::Note(1), release, release]);
        let seen = agree(&vec![twice], profile);
        let may: &[&str] = match profile {
            Profile::Documented => &["1", DEADLOCK],
            Profile::Nt52 => &[DEADLOCK],
        };
        assert_eq!(seen, may);
        agree(
            &vec![short(false, 1), short(true, 2), short(false, 3)],
            profile,
        );
    }
}

#[test]
fn locks_in_opposite_order_may_be_a_deadlock() {
    let nested = |outer: [Op; 2], inner: [Op; 2], digit| {
        inside(&[outer[0], inner[0], Op::Note(digit), inner[1], outer[1]])
    };
    let resource = |number| [Op::Acquire(number, Mode::Exclusive), Op::Release(number)];
    let push = [Op::AcquirePush(true), Op::ReleasePush(true)];
    let fast = [Op::AcquireFast, Op::ReleaseFast];
    let guarded = [Op::AcquireGuarded, Op::ReleaseGuarded];
    for profile in PROFILES {
        for [a, b] in [
            [resource(0), resource(1)],
            [resource(0), push],
            [fast, guarded],
        ] {
            let crosswise = vec![nested(a, b, 1), nested(b, a, 2)];
            assert_eq!(agree(&crosswise, profile), ["12", "21", DEADLOCK]);
            let ordered = vec![nested(a, b, 1), nested(a, b, 2)];
            assert_eq!(agree(&ordered, profile), ["12", "21"]);
        }
    }
}

/// A generator of small numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from((self.0 >> 33) % below).unwrap()
    }

    fn mode(&mut self) -> Mode {
        [
            Mode::Exclusive,
            Mode::Shared,
            Mode::Starve,
            Mode::WaitForExclusive,
        ][self.below(4)]
    }

    /// Steps that leave nothing behind, inside so many locks. `held`: the resources that the
    /// thread has by then, which it must not hand over.
    fn steps(&mut self, depth: usize, digit: u8, held: &[usize]) -> Vec<Op> {
        if depth == 0 {
            return vec![Op::Note(digit)];
        }
        let number = self.below(2);
        let what = self.below(8);
        let holds = (1..=2).contains(&what) || what > 4;
        let within = if holds {
            self.steps(depth - 1, digit, &[held, &[number]].concat())
        } else {
            self.steps(depth - 1, digit, held)
        };
        let (before, after) = match what {
            0 => {
                let exclusive = self.below(2) == 0;
                (Op::AcquirePush(exclusive), Op::ReleasePush(exclusive))
            }
            1 => {
                let skipped = within.len() + 1;
                let tries = Op::Try(number, self.mode(), skipped);
                (tries, Op::Release(number))
            }
            2 if !held.contains(&number) => {
                (Op::Acquire(number, Mode::Exclusive), Op::HandOver(number))
            }
            3 => (Op::ReleaseFor(number, self.below(2)), Op::Note(digit + 4)),
            4 => (Op::AcquiredShared(number), Op::Note(digit + 4)),
            _ => (Op::Acquire(number, self.mode()), Op::Release(number)),
        };
        [vec![before], within, vec![after]].concat()
    }

    fn script(&mut self) -> Script {
        let lane = |digit| {
            let depth = 1 + self.below(2);
            inside(&self.steps(depth, digit, &[]))
        };
        (1..3).map(lane).collect()
    }
}

#[test]
fn random_scripts_come_to_what_the_rules_allow() {
    let fixture = Fixture::new();
    let (mut compared, mut deadlocks, mut most) = (0, 0, 0);
    for profile in PROFILES {
        let mut machine = Machine::new(&fixture, profile);
        let mut numbers = Numbers(5);
        for _ in 0..50 {
            let script = numbers.script();
            let (explored, seen) = machine.all(&script, 3000);
            let expected = rules::outcomes(&script, profile);
            if explored.complete {
                assert_eq!(seen, expected, "{script:?} {profile:?}");
                compared += 1;
            } else {
                assert!(
                    seen.is_subset(&expected),
                    "{script:?} {profile:?}: {seen:?}"
                );
            }
            deadlocks += u32::from(expected.contains(DEADLOCK));
            most = most.max(expected.len());
        }
    }
    assert!(
        compared >= 80 && deadlocks >= 10 && most >= 6,
        "{compared} {deadlocks} {most}"
    );
}

#[test]
fn priorities_keep_a_thread_behind_that_chance_does_not() {
    let fixture = Fixture::new();
    let mut machine = Machine::new(&fixture, Profile::Nt52);
    let many = |digit| vec![Op::Note(digit); 8];
    script::set(&vec![many(1), many(2)]);
    let mut outcomes = |schedule: fn(u64) -> Schedule, seeds| -> Vec<_> {
        let run = |seed| machine.run(&schedule(seed)).unwrap().0;
        (0..seeds).map(run).collect()
    };
    let whole = |outcome: &String| outcome.ends_with("11111111") || outcome.ends_with("22222222");
    // Without a change one thread comes after the other, in both orders.
    let plain = outcomes(|seed| Schedule::Pct { seed, depth: 1 }, 20);
    assert!(plain.iter().all(whole), "{plain:?}");
    assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), 2);
    // With one change the first thread is interrupted once at most, in many places.
    let changed = outcomes(|seed| Schedule::Pct { seed, depth: 2 }, 200);
    let switches = |outcome: &String| {
        let digits = outcome.as_bytes();
        digits.windows(2).filter(|pair| pair[0] != pair[1]).count()
    };
    assert!(
        changed.iter().all(|outcome| switches(outcome) <= 2),
        "{changed:?}"
    );
    assert!(
        changed.iter().collect::<BTreeSet<_>>().len() >= 8,
        "{changed:?}"
    );
    // Chance interrupts it again and again.
    let random = outcomes(Schedule::Random, 200);
    assert!(
        random.iter().filter(|outcome| whole(outcome)).count() < 10,
        "{random:?}"
    );
    assert!(random.iter().collect::<BTreeSet<_>>().len() >= 180);
}

#[test]
fn a_deadlock_by_priorities_or_by_chance_can_be_replayed() {
    let fixture = Fixture::new();
    let mut machine = Machine::new(&fixture, Profile::Documented);
    let lane = |first, second| {
        let acquire = |number| Op::Acquire(number, Mode::Exclusive);
        inside(&[
            acquire(first),
            acquire(second),
            Op::Note(1),
            Op::Release(second),
            Op::Release(first),
        ])
    };
    script::set(&vec![lane(0, 1), lane(1, 0)]);
    for schedule in [Schedule::Random, |seed| Schedule::Pct { seed, depth: 2 }] {
        let mut outcomes = BTreeSet::new();
        for seed in 0..60 {
            let (outcome, choices) = machine.run(&schedule(seed)).unwrap();
            let taken = choices.iter().map(|choice| choice.taken).collect();
            let again = machine.run(&Schedule::Replay(taken)).unwrap();
            assert_eq!(again, (outcome.clone(), choices));
            outcomes.insert(outcome);
        }
        assert_eq!(Vec::from_iter(outcomes), ["11", DEADLOCK]);
    }
}
