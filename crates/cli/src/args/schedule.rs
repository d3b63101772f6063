//! How schedules are spelt.

use apclab_client::schedules::Schedules;

/// How the host's threads take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    Free,
    Random(u64),
    Pct { seed: u64, depth: u32 },
    All,
    Replay(Vec<u32>),
}

/// How many events have to come in a certain order, if nothing else is said: an order violation
/// within another.
const DEPTH: u32 = 3;

/// Reads a schedule.
///
/// # Errors
/// How schedules are spelt.
pub(crate) fn schedule(text: &str) -> Result<Schedule, String> {
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let parsed = match (word, rest) {
        ("all", "") => Some(Schedule::All),
        ("free", "") => Some(Schedule::Free),
        ("random", seed) => seed.parse().ok().map(Schedule::Random),
        ("pct", rest) => {
            let (seed, depth) = rest.split_once(':').unwrap_or((rest, ""));
            let depth = match depth {
                "" => Some(DEPTH),
                depth => depth.parse().ok().filter(|depth| *depth > 0),
            };
            seed.parse()
                .ok()
                .zip(depth)
                .map(|(seed, depth)| Schedule::Pct { seed, depth })
        }
        ("replay", choices) => {
            let choices = choices.split(',').filter(|choice| !choice.is_empty());
            let choices: Result<_, _> = choices.map(str::parse).collect();
            choices.ok().map(Schedule::Replay)
        }
        _ => None,
    };
    parsed.ok_or_else(|| {
        "a schedule is random:SEED, pct:SEED, pct:SEED:DEPTH, all, replay: with numbers and commas \
         between them, or free"
            .to_owned()
    })
}

impl Schedule {
    /// The schedules of the host, so many at the most where all are asked for; `None` for lanes that are
    /// free.
    pub(crate) fn of_the_host(&self, most: u64) -> Option<Schedules> {
        match self {
            Self::Free => None,
            Self::Random(seed) => Some(Schedules::Random(*seed)),
            Self::Pct { seed, depth } => Some(Schedules::Pct {
                seed: *seed,
                depth: *depth,
            }),
            Self::All => Some(Schedules::All(most)),
            Self::Replay(choices) => Some(Schedules::Replay(choices.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_spelt_so() {
        assert_eq!(schedule("random:7"), Ok(Schedule::Random(7)));
        assert_eq!(schedule("all"), Ok(Schedule::All));
        assert_eq!(schedule("free"), Ok(Schedule::Free));
        assert_eq!(schedule("pct:7"), Ok(Schedule::Pct { seed: 7, depth: 3 }));
        assert_eq!(schedule("pct:7:2"), Ok(Schedule::Pct { seed: 7, depth: 2 }));
        assert_eq!(
            schedule("replay:0,2,1"),
            Ok(Schedule::Replay(vec![0, 2, 1]))
        );
        assert_eq!(schedule("replay:"), Ok(Schedule::Replay(Vec::new())));
        for wrong in [
            "random:", "7", "pct:", "pct:7:0", "replay:a", "all:1", "every",
        ] {
            assert!(schedule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_spells_them_in_the_same_way() {
        for spelt in ["random:7", "pct:7:2", "all", "replay:0,2,1"] {
            let schedules = schedule(spelt).expect("a schedule").of_the_host(9);
            assert_eq!(schedules.expect("not free").to_string(), spelt);
        }
    }
}
