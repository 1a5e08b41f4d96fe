use super::*;
use crate::found::Found;
use crate::machine::{Answer, Due, Emit};
use crate::table::{ID, Table, forwards, refused};
use crate::view::Stream;
use serde_json::{Value, json};

/// How much later a conversation is asked, in microseconds.
const CLOCKS: u64 = 60_000_000;
/// When files of these tests expire, microseconds since 1970.
const EXPIRES: u64 = 1_000_000_000;

fn begin(key: &str) -> Value {
    json!({"Begin": {"owner": "ann", "conversation": "00c", "name": "a.txt", "size": 3,
        "blob": {"key": key, "upload": format!("handle of {key}")}, "expires": EXPIRES}})
}

fn complete(key: &str) -> Value {
    json!({"Complete": {"key": key, "content": {"size": 3, "sha256": "abc", "type": "text/plain"}}})
}

/// A file that is complete, and posted if that is wanted.
fn file(posted: bool) -> Table<File> {
    let mut table = Table::new();
    table.order(begin("k1")).unwrap();
    table.order(complete("k1")).unwrap();
    if posted {
        table.order(json!("Posted")).unwrap();
    }
    table
}

type Outcome = Step<Entry<FileRecord>>;

fn discarded(step: &Outcome) -> Vec<&str> {
    let keys = step.emits.iter().filter_map(|emit| match emit {
        Emit::Discard(blob) => Some(blob.key.as_str()),
        _ => None,
    });
    keys.collect()
}

fn timer(step: &Outcome) -> Option<Option<u64>> {
    step.emits.iter().rev().find_map(|emit| match emit {
        Emit::Wait(Timer::File, Due::At(time)) => Some(Some(*time)),
        Emit::Unwait(Timer::File) => Some(None),
        _ => None,
    })
}

fn answered(step: &Outcome) -> Option<&Value> {
    step.emits.iter().find_map(|emit| match emit {
        Emit::Answer(Answer::Value(value)) => Some(value),
        _ => None,
    })
}

/// Asks for the file as somebody of whom it was found out whether they may read the conversation.
fn describe(table: &mut Table<File>, user: &str, reads: bool) -> Result<Value, Option<ErrorType>> {
    table.found = Some(Found::Reads(reads));
    let given = table.act(user, "describe_file", json!({"file_id": ID}), &[]);
    match given {
        Ok(step) => {
            let file = &answered(&step).unwrap()["file"];
            assert_eq!(file[0], user);
            Ok(file[1].clone())
        }
        Err(rejection) => Err(Some(rejection.error_type)),
    }
}

#[test]
fn a_file_is_seen_when_a_conversation_has_it_by_those_who_may_read_that() {
    let absent = Err(Some(ErrorType::FileNotFound));
    let mut table = Table::new();
    assert_eq!(describe(&mut table, "ann", true), absent, "it is not there yet");
    let step = table.order(begin("k1")).unwrap();
    assert_eq!((answered(&step), timer(&step)), (Some(&Value::Null), Some(Some(EXPIRES))));
    assert_eq!(describe(&mut table, "ann", true), absent, "it is not complete");
    let step = table.order(complete("k1")).unwrap();
    let found = answered(&step).unwrap().clone();
    assert_eq!((&found["name"], &found["content"]["type"]), (&json!("a.txt"), &json!("text/plain")));
    assert_eq!(describe(&mut table, "ben", true), absent, "nobody was told");
    assert!(describe(&mut table, "ann", false).is_ok());
    let step = table.order(json!("Posted")).unwrap();
    assert_eq!(timer(&step), Some(None));
    assert_eq!(describe(&mut table, "ben", true).as_ref(), Ok(&found));
    assert_eq!(describe(&mut table, "ben", false), absent);
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn what_comes_twice_changes_nothing() {
    let mut table = file(true);
    let seq = table.entity.seq;
    for order in [begin("k1"), begin("k2"), complete("k1"), json!("Posted"), json!("About")] {
        let step = table.order(order.clone()).unwrap();
        assert!(step.records.is_empty(), "{order}");
        assert!(timer(&step).is_none() && discarded(&step).is_empty(), "{order}");
    }
    assert_eq!(table.entity.seq, seq);
}

#[test]
fn another_attempt_takes_the_place_of_the_first_whose_bytes_go() {
    let mut table: Table<File> = Table::new();
    table.order(begin("k1")).unwrap();
    let step = table.order(begin("k2")).unwrap();
    assert_eq!(discarded(&step), ["k1"]);
    assert_eq!(refused(table.order(complete("k1"))), Some(ErrorType::FileNotFound));
    // What is being removed does not come back under the same name.
    assert_eq!(refused(table.order(begin("k1"))), Some(ErrorType::RequestMalformed));
    let step = table.order(complete("k2")).unwrap();
    assert_eq!(answered(&step).unwrap()["key"], "k2");
    // Until they are gone it is tried again.
    let step = table.order(json!("Posted")).unwrap();
    assert_eq!(timer(&step), Some(Some(table.now + 15_000_000)));
    assert_eq!(discarded(&table.order(json!("Due")).unwrap()), ["k1"]);
    let step = table.order(json!({"Cleared": {"key": "k1"}})).unwrap();
    assert_eq!(timer(&step), Some(None));
    assert!(table.order(json!({"Cleared": {"key": "k1"}})).unwrap().records.is_empty());
    assert!(describe(&mut table, "ben", true).is_ok());
}

#[test]
fn another_user_does_not_go_on_with_a_file() {
    let mut table: Table<File> = Table::new();
    table.order(begin("k1")).unwrap();
    let mut foreign = begin("k2");
    foreign["Begin"]["owner"] = "ben".into();
    assert_eq!(refused(table.order(foreign)), Some(ErrorType::FileNotFound));
}

#[test]
fn a_file_that_is_refused_goes_and_a_retry_hears_why() {
    let mut table: Table<File> = Table::new();
    table.order(begin("k1")).unwrap();
    let refuse = |key: &str| json!({"Refuse": {"key": key}});
    let step = table.order(refuse("k0")).unwrap();
    assert!(step.records.is_empty() && answered(&step).is_some(), "those are other bytes");
    let step = table.order(refuse("k1")).unwrap();
    assert_eq!((discarded(&step), answered(&step)), (vec!["k1"], Some(&Value::Null)));
    assert!(table.order(refuse("k1")).unwrap().records.is_empty());
    assert_eq!(refused(table.order(begin("k1"))), Some(ErrorType::FileNotSupported));
    assert_eq!(refused(table.order(complete("k1"))), Some(ErrorType::FileNotFound));
    assert_eq!(table.replayed().machine, table.entity.machine);
    // What was said to be clean first, and is seen perhaps, is not taken back.
    let mut table = file(false);
    assert!(table.order(refuse("k1")).unwrap().records.is_empty());
}

#[test]
fn what_is_tried_again_is_so_ever_more_seldom_until_something_happens() {
    let mut table = file(true);
    table.order(json!("Remove")).unwrap();
    let mut waits = Vec::new();
    for _ in 0..7 {
        let step = table.order(json!("Due")).unwrap();
        assert_eq!(discarded(&step), ["k1"]);
        waits.push((timer(&step).flatten().unwrap() - table.now) / 1_000_000);
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
    let step = table.order(json!({"Cleared": {"key": "k1"}})).unwrap();
    assert_eq!(timer(&step), Some(None));
}

#[test]
fn a_file_of_another_size_than_was_said_is_not_complete() {
    let mut table: Table<File> = Table::new();
    table.order(begin("k1")).unwrap();
    let mut order = complete("k1");
    order["Complete"]["content"]["size"] = 4.into();
    assert_eq!(refused(table.order(order)), Some(ErrorType::RequestMalformed));
}

#[test]
fn what_was_given_up_expires_and_its_bytes_go() {
    let mut table: Table<File> = Table::new();
    table.order(begin("k1")).unwrap();
    let early = table.order(json!("Due")).unwrap();
    assert_eq!((early.records.len(), timer(&early)), (0, Some(Some(EXPIRES))));
    table.now = EXPIRES;
    let step = table.order(json!("Due")).unwrap();
    assert_eq!((discarded(&step), timer(&step)), (vec!["k1"], Some(Some(table.now + 15_000_000))));
    assert_eq!(refused(table.order(complete("k1"))), Some(ErrorType::FileNotFound));
    assert_eq!(refused(table.order(begin("k1"))), Some(ErrorType::FileNotFound));
    let step = table.order(json!({"Cleared": {"key": "k1"}})).unwrap();
    assert_eq!(timer(&step), Some(None));
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn what_is_complete_and_not_posted_is_asked_for_before_it_goes() {
    let mut table = file(false);
    table.now = EXPIRES;
    // A conversation whose clock is late may still take it in.
    let step = table.order(json!("Due")).unwrap();
    assert!(forwards(&step).is_empty() && timer(&step) == Some(Some(EXPIRES + CLOCKS)), "{step:?}");
    table.now = EXPIRES + CLOCKS;
    let step = table.order(json!("Due")).unwrap();
    assert_eq!(forwards(&step), [(Stream::conversation(&"00c".into()), "HasFile".to_owned())]);
    assert!(step.records.is_empty() && timer(&step).is_some_and(|timer| timer.is_some()));
    let step = table.order(json!("Remove")).unwrap();
    assert_eq!(discarded(&step), ["k1"]);
    assert_eq!(describe(&mut table, "ann", true), Err(Some(ErrorType::FileNotFound)));
}

#[test]
fn what_is_removed_is_there_no_more_and_its_bytes_go() {
    let mut table = file(true);
    let step = table.order(json!("Remove")).unwrap();
    assert_eq!(discarded(&step), ["k1"]);
    for user in ["ann", "ben"] {
        assert_eq!(describe(&mut table, user, true), Err(Some(ErrorType::FileNotFound)));
    }
    assert_eq!(refused(table.order(json!("About"))), Some(ErrorType::FileNotFound));
    assert!(table.order(json!("Remove")).unwrap().records.is_empty());
    assert!(table.order(json!("Posted")).unwrap().records.is_empty());
}
