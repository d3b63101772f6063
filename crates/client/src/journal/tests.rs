//! Journals that were torn at every byte.

use proptest::prelude::*;

use super::*;

fn id(name: &str) -> TestId {
    TestId {
        file: format!("litmus/{name}.litmus"),
        test: name.to_owned(),
    }
}

fn begin(name: &str) -> Record {
    Record::Begin {
        test: id(name),
        seed: 7,
        first: 1,
        iterations: 1000,
    }
}

fn end(name: &str, verdict: &str) -> Record {
    Record::End {
        test: id(name),
        verdict: verdict.to_owned(),
    }
}

fn bytes(records: &[Record]) -> Vec<u8> {
    let lines = records.iter().map(|record| line(record).expect("a line"));
    lines.collect::<String>().into_bytes()
}

/// A path of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("apclab-journal-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind in the folder for temporary files does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_format_is_the_documented_one() {
    let text = String::from_utf8(bytes(&[begin("a")])).expect("text");
    assert_eq!(
        text,
        "edc1cf6c6864d382 {\"record\":\"begin\",\"file\":\"litmus/a.litmus\",\"test\":\"a\",\
         \"seed\":7,\"first\":1,\"iterations\":1000}\n"
    );
    // The published check value of FNV-1a with 64 bits.
    assert_eq!(check_sum(b"a"), 0xAF63_DC4C_8601_EC8C);
}

#[test]
fn a_run_that_ends_is_overwritten_and_one_that_does_not_is_kept() {
    let place = Place::new("keep");
    let mut journal = Journal::begin(&place.0, "device", Some(50)).expect("a journal");
    journal.write(&begin("a")).expect("written");
    drop(journal);
    let before = std::fs::read(&place.0).expect("bytes");
    let refused = Journal::begin(&place.0, "device", None).expect_err("it did not end");
    assert!(refused.to_string().contains("--resume"), "{refused}");
    assert_eq!(std::fs::read(&place.0).expect("bytes"), before);

    let (mut journal, history) =
        Journal::resume(&place.0, "device", Some(5)).expect("a resumed journal");
    assert_eq!(history.unfinished().map(|it| &it.test), Some(&id("a")));
    assert_eq!(history.unfinished().map(|it| it.iterations), Some(1000));
    journal.write(&begin("b")).expect("written");
    journal.write(&end("b", "ok")).expect("written");
    journal.write(&Record::Done {}).expect("written");
    drop(journal);
    let history = History::read(&place.0).expect("a history");
    assert!(history.is_done());
    assert!(history.has_had(&id("a")) && history.has_had(&id("b")));
    assert_eq!(history.stopped().collect::<Vec<_>>(), [&id("a")]);
    assert!(Journal::resume(&place.0, "device", None).is_err());
    assert!(Journal::begin(&place.0, "device", None).is_ok());
}

#[test]
fn a_torn_last_line_is_cut_off_before_the_run_goes_on() {
    let whole = bytes(&[run("device", None), begin("a"), end("a", "ok")]);
    let torn = bytes(&[begin("b")]);
    let zeros = vec![0; 512];
    for tail in [&torn[..torn.len() / 2], &torn[..torn.len() - 1], &zeros] {
        let place = Place::new("torn");
        std::fs::write(&place.0, [&whole, tail].concat()).expect("a file");
        let (journal, history) = Journal::resume(&place.0, "device", None).expect("resumed");
        drop(journal);
        assert_eq!(history.unfinished(), None, "b never ran");
        let after = std::fs::read(&place.0).expect("bytes");
        assert!(after.starts_with(&whole));
        let again = History::parse(&after).expect("a history");
        assert_eq!(again.length(), after.len() as u64, "every line is whole");
    }
}

#[test]
fn an_interrupted_test_is_to_blame_for_nothing_and_has_its_turn_again() {
    let text = bytes(&[run("device", None), begin("a"), Record::Interrupted {}]);
    let history = History::parse(&text).expect("a history");
    assert_eq!(history.unfinished(), None);
    assert!(!history.has_had(&id("a")));
    assert!(!history.is_done());
}

#[test]
fn a_damaged_line_in_the_middle_is_told() {
    let mut text = bytes(&[run("device", None), begin("a"), end("a", "ok")]);
    let seed = br#""seed":7"#;
    let place = text.windows(seed.len()).position(|at| at == seed);
    text[place.expect("a seed") + seed.len() - 1] = b'8';
    let (line, why) = History::parse(&text).expect_err("a damaged line");
    assert_eq!((line, why.as_str()), (2, "its check sum is wrong"));
    let other = bytes(&[Record::Run {
        version: 2,
        target: "device".to_owned(),
        time: 0,
        up: None,
    }]);
    let (_, why) = History::parse(&[other, bytes(&[begin("a")])].concat()).expect_err("version 2");
    assert!(why.contains("version 2"), "{why}");
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    for (name, text) in [("text", "dear diary\n"), ("zeros", "\0\0\0\0")] {
        let place = Place::new(name);
        std::fs::write(&place.0, text).expect("a file");
        let refused = Journal::begin(&place.0, "device", None).expect_err("it is no journal");
        assert!(refused.to_string().contains("line 1"), "{refused}");
        assert_eq!(std::fs::read_to_string(&place.0).expect("text"), text);
    }
}

#[test]
fn a_restart_is_told_by_the_machine_s_age() {
    let text = bytes(&[Record::Run {
        version: VERSION,
        target: "device".to_owned(),
        time: 1_000_000,
        up: Some(500),
    }]);
    let history = History::parse(&text).expect("a history");
    assert_eq!(history.restarted_at(1_000_100, Some(601)), Some(false));
    assert_eq!(history.restarted_at(1_000_100, Some(30)), Some(true));
    assert_eq!(history.restarted_at(1_000_100, None), None);
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = prop_oneof![
        "[a-c]".prop_map(|name| begin(&name)),
        "[a-c]".prop_map(|name| end(&name, "ok")),
        Just(Record::Interrupted {}),
        Just(Record::Done {}),
        any::<Option<u64>>().prop_map(|up| run("device", up)),
    ];
    prop::collection::vec(one, 1..8)
}

proptest! {
    /// Wherever a write is torn, what is read is what was written before that line.
    #[test]
    fn a_journal_torn_anywhere_is_that_of_its_whole_lines(records in records(), cut in any::<prop::sample::Index>()) {
        let whole = bytes(&records);
        let first = bytes(&records[..1]).len();
        let cut = first + cut.index(whole.len() - first + 1);
        let torn = History::parse(&whole[..cut]).expect("torn is not damaged");
        let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
        let expected = History::parse(&bytes(&records[..lines])).expect("whole lines");
        prop_assert_eq!(torn, expected);
    }
}
