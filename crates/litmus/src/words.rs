//! The words of the language, and the guess at a misspelt one.

use apclab_protocol::program::{ApcKind, LockKind};
use apclab_protocol::step::Mode;

/// Words that begin a line outside a lane, or that end the lane before them.
pub(crate) const SECTIONS: [&str; 18] = [
    "test",
    "shows",
    "tags",
    "may",
    "apc",
    "event",
    "var",
    "fast-mutex",
    "guarded-mutex",
    "mutex",
    "resource",
    "push-lock",
    "critical-section",
    "lane",
    "locations",
    "forall",
    "exists",
    "refused",
];

/// Words that begin a step.
pub(crate) const STEPS: [&str; 34] = [
    "enter",
    "leave",
    "raise",
    "lower",
    "queue",
    "ran",
    "apcs-disabled",
    "all-apcs-disabled",
    "irql",
    "set",
    "reset",
    "wait",
    "barrier",
    "store",
    "load",
    "acquire",
    "release",
    "try",
    "repeat",
    "end",
    "enter-acquire",
    "release-leave",
    "convert",
    "reinitialize",
    "acquired-exclusive",
    "acquired-shared",
    "exclusive-waiters",
    "shared-waiters",
    "hand-over",
    "call",
    "sleep",
    "start",
    "suspend",
    "resume",
];

/// The other words with a meaning.
pub(crate) const OTHERS: [&str; 25] = [
    "critical",
    "guarded",
    "special",
    "normal",
    "user",
    "special-user",
    "completion",
    "to",
    "notification",
    "synchronization",
    "signaled",
    "at",
    "step",
    "raw",
    "caller",
    "alertable",
    "for",
    "of",
    "exclusive",
    "shared",
    "shared-starve-exclusive",
    "shared-wait-for-exclusive",
    "true",
    "false",
    "deadlock",
];

/// The word that declares a lock of a kind.
pub const fn lock_word(kind: LockKind) -> &'static str {
    match kind {
        LockKind::FastMutex => "fast-mutex",
        LockKind::GuardedMutex => "guarded-mutex",
        LockKind::Mutex => "mutex",
        LockKind::Resource => "resource",
        LockKind::PushLock => "push-lock",
        LockKind::CriticalSection => "critical-section",
    }
}

/// The word for the kind of an APC.
pub const fn apc_word(kind: ApcKind) -> &'static str {
    match kind {
        ApcKind::Special => "special",
        ApcKind::Normal => "normal",
        ApcKind::User => "user",
        ApcKind::SpecialUser => "special-user",
        ApcKind::Completion => "completion",
    }
}

/// The word for how a resource or a push lock is acquired.
pub const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Exclusive => "exclusive",
        Mode::Shared => "shared",
        Mode::SharedStarveExclusive => "shared-starve-exclusive",
        Mode::SharedWaitForExclusive => "shared-wait-for-exclusive",
    }
}

/// The mode of that [`mode_word`].
pub(crate) fn mode_named(word: &str) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| mode_word(*mode) == word)
}

/// Whether a word has a meaning of its own, so that it cannot be a name.
pub(crate) fn is_reserved(word: &str) -> bool {
    SECTIONS.contains(&word) || STEPS.contains(&word) || OTHERS.contains(&word)
}

/// Whether a word looks like a register: `r` and digits.
pub(crate) fn is_register(word: &str) -> bool {
    word.strip_prefix('r')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Words longer than this are no misspelling of any word of ours, and not worth the time.
const LONGEST: usize = 64;

/// The candidate that a misspelt word was probably meant to be.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase());
            (distance, candidate)
        })
        // A third of a word may be wrong; of a short one, a letter, but not all of it.
        .filter(|&(distance, candidate)| {
            let length = candidate.chars().count();
            distance <= (length / 3).max(1) && distance < length
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_guessed() {
        for (word, meant) in [
            ("entre", Some("enter")),
            ("laod", Some("load")),
            ("Wait", Some("wait")),
            ("barier", Some("barrier")),
            ("apc-disabled", Some("apcs-disabled")),
            ("enter-aquire", Some("enter-acquire")),
            ("reinitialise", Some("reinitialize")),
            ("handover", Some("hand-over")),
            ("suspent", Some("suspend")),
            ("slep", Some("sleep")),
            ("fetch", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, STEPS), meant, "{word}");
        }
        assert_eq!(nearest("b", ["a"]), None, "another name is no misspelling");
        assert_eq!(nearest("A", ["a"]), Some("a"));
        let modes = Mode::ALL.map(mode_word);
        assert_eq!(nearest("shraed", modes), Some("shared"));
        assert_eq!(nearest("exclusvie", modes), Some("exclusive"));
    }

    /// The grammar in `docs/litmus.md` has every word of the language, and no other.
    #[test]
    fn the_grammar_has_these_words() {
        let guide = include_str!("../../../docs/litmus.md");
        let grammar = guide.split("```ebnf").nth(1).unwrap();
        let grammar = grammar.split("```").next().unwrap();
        // The rule that is about quotes would put the others out of step.
        let rules = grammar.lines().filter(|rule| !rule.starts_with("text "));
        let grammar = rules.collect::<Vec<_>>().join("\n");
        let quoted = grammar.split('"').skip(1).step_by(2);
        let written: Vec<&str> = quoted
            .map(|text| text.trim_start_matches('~'))
            .filter(|text| text.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter(|text| *text != "ms" && !is_register(text))
            .collect();
        for word in &written {
            assert!(is_reserved(word), "{word}");
        }
        for word in SECTIONS.iter().chain(&STEPS).chain(&OTHERS) {
            assert!(written.contains(word), "{word}");
        }
    }

    #[test]
    fn locks_and_modes_have_words_of_the_language() {
        for kind in LockKind::ALL {
            assert!(SECTIONS.contains(&lock_word(kind)), "{kind:?}");
        }
        for kind in ApcKind::ALL {
            assert!(OTHERS.contains(&apc_word(kind)), "{kind:?}");
        }
        for mode in Mode::ALL {
            assert!(OTHERS.contains(&mode_word(mode)), "{mode:?}");
            assert_eq!(mode_named(mode_word(mode)), Some(mode));
        }
    }
}
