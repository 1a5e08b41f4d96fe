use super::super::{File, FileRecord};
use super::*;
use crate::machine::{Answer, Due, Emit, Entry, Step, Timer};
use crate::table::{ID, Table, forwards, refused};
use levee_proto::ErrorType;
use serde_json::{Value, json};

/// Bytes of a part in these tests.
const PART: u64 = 10;
/// How long these files wait, in microseconds.
const PATIENCE: u64 = 100_000_000;

fn start(length: Option<u64>) -> Value {
    json!({"Parts": {"Start": {
        "begun": {"owner": "ann", "conversation": "00c", "name": "a.bin", "size": length.unwrap_or_default(),
            "blob": {"key": "files/a/whole", "upload": "handle"}, "expires": 50_000_000},
        "terms": {"length": length, "part": PART, "patience": PATIENCE},
    }}})
}

fn begun(length: Option<u64>) -> Table<File> {
    let mut table = Table::new();
    table.order(start(length)).unwrap();
    table
}

fn write(table: &mut Table<File>, turn: &str, from: u64) -> Turn {
    let step =
        table.order(json!({"Parts": {"Write": {"turn": turn, "from": from, "length": null}}})).unwrap();
    serde_json::from_value(answer(&step)).unwrap()
}

fn advance(table: &mut Table<File>, advance: Value) -> (Standing, Step<Entry<FileRecord>>) {
    let step = table.order(json!({"Parts": {"Advance": advance}})).unwrap();
    (serde_json::from_value(answer(&step)).unwrap(), step)
}

fn offset(table: &mut Table<File>) -> Standing {
    let step = table.order(json!({"Parts": "Offset"})).unwrap();
    serde_json::from_value(answer(&step)).unwrap()
}

fn joined(size: u64) -> Value {
    json!({"Parts": {"Joined": {"content": {"size": size, "sha256": "abc", "type": "text/plain"},
        "card": {"name": "Ann"}, "peer": null}}})
}

fn answer(step: &Step<Entry<FileRecord>>) -> Value {
    let answers = step.emits.iter().filter_map(|emit| match emit {
        Emit::Answer(Answer::Value(value)) => Some(value.clone()),
        _ => None,
    });
    let all: Vec<Value> = answers.collect();
    let [one] = &all[..] else { panic!("{all:?}") };
    one.clone()
}

fn discarded(step: &Step<Entry<FileRecord>>) -> Vec<&str> {
    let keys = step.emits.iter().filter_map(|emit| match emit {
        Emit::Discard(blob) => Some(blob.key.as_str()),
        _ => None,
    });
    keys.collect()
}

fn join(step: &Step<Entry<FileRecord>>) -> Option<&Join> {
    step.emits.iter().find_map(|emit| match emit {
        Emit::Join(join) => Some(&**join),
        _ => None,
    })
}

fn told(step: &Step<Entry<FileRecord>>) -> Vec<(u64, Option<String>)> {
    let news = step.emits.iter().filter_map(|emit| match emit {
        Emit::Tell(to, order) if to.id == "00c" => Some(&order["Uploading"]),
        _ => None,
    });
    news.map(|news| (news["offset"].as_u64().unwrap(), news["ended"].as_str().map(str::to_owned))).collect()
}

fn rings(step: &Step<Entry<FileRecord>>) -> Option<u64> {
    step.emits.iter().rev().find_map(|emit| match emit {
        Emit::Wait(Timer::File, Due::At(time)) => Some(*time),
        _ => None,
    })
}

#[test]
fn a_file_gets_further_by_whole_parts_and_by_what_is_beside() {
    let mut table = begun(Some(25));
    assert_eq!((offset(&mut table).offset, offset(&mut table).length), (0, Some(25)));
    let turn = write(&mut table, "t1", 0);
    assert_eq!((turn.standing.missed, turn.parts, turn.part), (false, 0, PART));
    let step = json!({"turn": "t1", "from": 0, "to": 10, "tags": ["p1"], "hash": "h1"});
    assert_eq!(advance(&mut table, step).0.offset, 10);
    let step = json!({"turn": "t1", "from": 10, "to": 14, "tail": 4, "ends": true});
    assert_eq!(advance(&mut table, step).0.offset, 14);
    // The next turn begins within a part.
    let turn = write(&mut table, "t2", 14);
    assert_eq!((turn.parts, turn.hash.as_str()), (1, "h1"));
    assert_eq!(turn.tails, [Tail { key: "files/a/t1".into(), size: 4 }]);
    let step = json!({"turn": "t2", "from": 14, "to": 16, "tail": 2, "ends": true});
    assert_eq!(advance(&mut table, step).0.offset, 16);
    assert_eq!(write(&mut table, "t3", 16).tails.len(), 2);
    // What was beside is in the part, and the file is whole with the last one.
    let step = json!({"turn": "t3", "from": 16, "to": 25, "tags": ["p2", "p3"], "hash": "h3", "ends": true});
    let (standing, step) = advance(&mut table, step);
    assert_eq!((standing.offset, discarded(&step)), (25, vec!["files/a/t1", "files/a/t2"]));
    let join = join(&step).unwrap();
    assert_eq!(
        (join.tags.as_slice(), join.hash.as_str(), join.size),
        (&["p1".into(), "p2".into(), "p3".into()][..], "h3", 25)
    );
    assert_eq!(json!(table.replayed()), json!(table.entity));
}

#[test]
fn what_does_not_lead_from_where_the_file_is_leads_nowhere() {
    let mut table = begun(Some(25));
    assert!(write(&mut table, "t1", 5).standing.missed, "from elsewhere");
    assert!(!write(&mut table, "t1", 0).standing.missed);
    for wrong in [
        json!({"turn": "t0", "from": 0, "to": 10, "tags": ["p"], "hash": "h"}),
        json!({"turn": "t1", "from": 1, "to": 11, "tags": ["p"], "hash": "h"}),
        json!({"turn": "t1", "from": 0, "to": 9, "tags": ["p"], "hash": "h"}),
        json!({"turn": "t1", "from": 0, "to": 20, "tags": ["p"], "hash": "h"}),
        json!({"turn": "t1", "from": 0, "to": 10, "tags": ["p"]}),
        json!({"turn": "t1", "from": 0, "to": 26, "tail": 26}),
        json!({"turn": "t1", "from": 0, "to": 40, "tags": ["p", "p", "p", "p"], "hash": "h"}),
    ] {
        let (standing, step) = advance(&mut table, wrong.clone());
        assert!(standing.missed && standing.offset == 0 && step.records.is_empty(), "{wrong}");
    }
    let length = json!({"Parts": {"Write": {"turn": "t2", "from": 0, "length": 24}}});
    assert_eq!(refused(table.order(length)), Some(ErrorType::RequestMalformed));
}

#[test]
fn of_two_who_write_the_newest_gets_further_and_what_the_other_kept_is_removed() {
    let mut table = begun(Some(25));
    write(&mut table, "t1", 0);
    let step = table.order(json!({"Parts": {"Write": {"turn": "t2", "from": 0, "length": null}}})).unwrap();
    assert_eq!(discarded(&step), ["files/a/t1"]);
    let late = json!({"turn": "t1", "from": 0, "to": 10, "tags": ["p1"], "hash": "h1"});
    assert!(advance(&mut table, late).0.missed);
    let step = json!({"turn": "t2", "from": 0, "to": 10, "tags": ["p1"], "hash": "h1"});
    assert!(!advance(&mut table, step).0.missed);
    // Who asks how far it is wants to go on, too.
    assert_eq!(offset(&mut table).offset, 10);
    let late = json!({"turn": "t2", "from": 10, "to": 20, "tags": ["p2"], "hash": "h2"});
    let (standing, _) = advance(&mut table, late);
    assert_eq!((standing.missed, standing.offset), (true, 10));
}

#[test]
fn what_is_told_twice_happens_once() {
    let mut table = begun(Some(25));
    let again = table.order(start(Some(25))).unwrap();
    assert!(again.records.is_empty() && answer(&again)["missed"] == true);
    write(&mut table, "t1", 0);
    let again = table.order(json!({"Parts": {"Write": {"turn": "t1", "from": 0, "length": null}}})).unwrap();
    assert!(again.records.is_empty() && discarded(&again).is_empty());
    for step in [
        json!({"turn": "t1", "from": 0, "to": 10, "tags": ["p1"], "hash": "h1"}),
        json!({"turn": "t1", "from": 10, "to": 13, "tail": 3, "ends": true}),
    ] {
        let (first, once) = advance(&mut table, step.clone());
        let (second, twice) = advance(&mut table, step);
        assert!(!first.missed && first == second && once.records.len() == 1 && twice.records.is_empty());
    }
    // A turn that brought nothing ends once.
    write(&mut table, "t2", 13);
    let nothing = json!({"turn": "t2", "from": 13, "to": 13, "ends": true});
    assert_eq!(advance(&mut table, nothing.clone()).1.records.len(), 1);
    assert_eq!(advance(&mut table, nothing).1.records.len(), 0);
}

#[test]
fn a_length_may_be_said_later_and_may_be_what_is_there_already() {
    let mut table = begun(None);
    assert_eq!(offset(&mut table).length, None);
    write(&mut table, "t1", 0);
    advance(&mut table, json!({"turn": "t1", "from": 0, "to": 4, "tail": 4, "ends": true}));
    let less = json!({"Parts": {"Write": {"turn": "t2", "from": 4, "length": 3}}});
    assert_eq!(refused(table.order(less)), Some(ErrorType::RequestMalformed));
    let step = table.order(json!({"Parts": {"Write": {"turn": "t2", "from": 4, "length": 4}}})).unwrap();
    let turn: Turn = serde_json::from_value(answer(&step)).unwrap();
    assert_eq!((turn.standing.length, turn.standing.offset), (Some(4), 4));
    // What is beside becomes the last part.
    let join = join(&step).unwrap();
    assert_eq!((join.tags.len(), join.tails.len(), join.size), (0, 1, 4));
    let step = table.order(joined(4)).unwrap();
    assert_eq!(discarded(&step), ["files/a/t1", "files/a/t2"]);
}

#[test]
fn a_complete_file_goes_to_its_conversation_once_and_is_no_more_litter() {
    let mut table = begun(Some(3));
    write(&mut table, "t1", 0);
    let last = json!({"turn": "t1", "from": 0, "to": 3, "tags": ["p1"], "hash": "h1", "ends": true});
    let (_, step) = advance(&mut table, last);
    // Should whoever joins them die, it is done again.
    assert_eq!(rings(&step), Some(table.now + 15_000_000));
    let again = table.order(json!("Due")).unwrap();
    assert!(join(&again).is_some() && rings(&again).is_some());
    assert_eq!(refused(table.order(joined(4))), Some(ErrorType::RequestMalformed));
    let step = table.order(joined(3)).unwrap();
    let [(to, order)] = &forwards(&step)[..] else { panic!("one forward") };
    assert_eq!((to.id.as_str(), order.as_str()), ("00c", "TakeFile"));
    let twice = table.order(joined(3)).unwrap();
    assert!(twice.records.is_empty() && forwards(&twice).is_empty());
    assert!(!offset(&mut table).posted);
    table.order(json!("Posted")).unwrap();
    assert_eq!((offset(&mut table).posted, offset(&mut table).offset), (true, 3));
    // Who did not hear that it was complete learns so, whatever it does.
    assert_eq!(write(&mut table, "t2", 3).standing.offset, 3);
    let late = json!({"turn": "t1", "from": 0, "to": 3, "tags": ["p1"], "hash": "h1", "ends": true});
    assert_eq!(advance(&mut table, late).0.offset, 3);
    assert_eq!(
        refused(table.order(json!({"Parts": {"End": {"ended": "cancelled"}}}))),
        Some(ErrorType::FileNotFound)
    );
}

#[test]
fn an_empty_file_is_whole_from_the_beginning() {
    let mut table = Table::<File>::new();
    let step = table.order(start(Some(0))).unwrap();
    assert_eq!(join(&step).map(|join| (join.tags.len(), join.size)), Some((0, 0)));
    assert!(table.order(joined(0)).is_ok());
}

#[test]
fn a_file_that_nobody_goes_on_with_is_given_up_and_so_is_one_that_is_cancelled() {
    let mut table = begun(Some(25));
    write(&mut table, "t1", 0);
    let (standing, step) =
        advance(&mut table, json!({"turn": "t1", "from": 0, "to": 4, "tail": 4, "ends": true}));
    // Each step of it gives it time.
    assert_eq!((standing.expires, rings(&step)), (table.now + PATIENCE, Some(table.now + PATIENCE)));
    assert!(table.order(json!("Due")).unwrap().records.is_empty());
    table.now += PATIENCE;
    let step = table.order(json!("Due")).unwrap();
    assert_eq!(discarded(&step), ["files/a/t1", "files/a/whole"]);
    assert_eq!(told(&step), [(4, Some("expired".into()))]);
    assert_eq!(refused(table.order(json!({"Parts": "Offset"}))), Some(ErrorType::FileNotFound));
    assert_eq!(refused(table.order(start(Some(25)))), Some(ErrorType::FileNotFound));

    let mut table = begun(Some(25));
    write(&mut table, "t1", 0);
    let step = table.order(json!({"Parts": {"End": {"ended": "cancelled"}}})).unwrap();
    assert_eq!(discarded(&step), ["files/a/t1", "files/a/whole"]);
    assert_eq!(told(&step), [(0, Some("cancelled".into()))]);
    let again = table.order(json!({"Parts": {"End": {"ended": "cancelled"}}})).unwrap();
    assert!(again.records.is_empty() && told(&again).is_empty());
    let late = json!({"turn": "t1", "from": 0, "to": 10, "tags": ["p1"], "hash": "h1"});
    assert_eq!(refused(table.order(json!({"Parts": {"Advance": late}}))), Some(ErrorType::FileNotFound));
}

#[test]
fn one_that_is_all_here_and_cant_be_completed_is_tried_ever_more_seldom_and_for_a_day() {
    let mut table = begun(Some(0));
    let since = table.now;
    for (number, wait) in [15, 30, 60, 120, 240, 300, 300].into_iter().enumerate() {
        // The patience with who sends it does not count.
        table.now = since + PATIENCE * number as u64;
        let step = table.order(json!("Due")).unwrap();
        assert!(join(&step).is_some() && step.records.is_empty());
        assert_eq!(rings(&step), Some(table.now + wait * 1_000_000));
    }
    table.now = since + 86_400_000_000;
    let step = table.order(json!("Due")).unwrap();
    assert_eq!((discarded(&step), told(&step)), (vec!["files/a/whole"], vec![(0, Some("expired".into()))]));
    assert_eq!(refused(table.order(joined(0))), Some(ErrorType::FileNotFound));
}

#[test]
fn others_are_told_how_far_it_is_at_most_once_a_second() {
    let mut table = begun(Some(25));
    write(&mut table, "t1", 0);
    let progress = |table: &mut Table<File>, turn: &str, offset: u64| {
        told(&table.order(json!({"Parts": {"Progress": {"turn": turn, "offset": offset}}})).unwrap())
    };
    assert_eq!(progress(&mut table, "t1", 5), [(5, None)]);
    // A table's clock goes on by a second with each input.
    table.now -= 500_000;
    assert_eq!(progress(&mut table, "t1", 6), []);
    assert_eq!(progress(&mut table, "t0", 6), [], "another's turn");
    assert_eq!(progress(&mut table, "t1", 7), [(7, None)]);
    assert_eq!(progress(&mut table, "t1", 25), [], "all of it: what comes then is the end");
}

#[test]
fn one_that_its_conversation_does_not_take_is_removed() {
    let mut table = begun(Some(0));
    table.order(joined(0)).unwrap();
    let step = table.order(json!({"Parts": {"End": {"ended": "refused"}}})).unwrap();
    assert_eq!((discarded(&step), told(&step)), (vec!["files/a/whole"], vec![(0, Some("refused".into()))]));
    assert_eq!(ID, table.id);
}
