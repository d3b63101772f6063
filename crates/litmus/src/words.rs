//! The words of the language, and the guess at a misspelt one.

/// Words that begin a line outside a lane, or that end the lane before them.
pub(crate) const SECTIONS: [&str; 14] = [
    "test",
    "shows",
    "tags",
    "apc",
    "event",
    "var",
    "fast-mutex",
    "guarded-mutex",
    "mutex",
    "lane",
    "locations",
    "forall",
    "exists",
    "refused",
];

/// Words that begin a step.
pub(crate) const STEPS: [&str; 20] = [
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
];

/// The other words with a meaning.
pub(crate) const OTHERS: [&str; 14] = [
    "critical",
    "guarded",
    "special",
    "normal",
    "to",
    "notification",
    "synchronization",
    "signaled",
    "at",
    "step",
    "raw",
    "for",
    "true",
    "false",
];

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
            ("fetch", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, STEPS), meant, "{word}");
        }
        assert_eq!(nearest("b", ["a"]), None, "another name is no misspelling");
        assert_eq!(nearest("A", ["a"]), Some("a"));
    }
}
