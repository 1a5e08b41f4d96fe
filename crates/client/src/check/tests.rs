//! Made-up records: a faultless one passes, and each fault is caught for what it is.

use super::*;
use crate::record::{ReceivedMessage, SeenEvent, SentMessage};

const ROOM: &str = "room";

/// Two people and ten messages in one conversation, without a fault.
fn faultless() -> (Vec<Record>, Vec<History>) {
    let messages: Vec<(String, String)> =
        (1..=10).map(|n| (format!("{n:013}"), format!("text-{n}"))).collect();
    let record = |who: &str, parity: usize| Record {
        who: who.to_owned(),
        events: (1..=10).map(|n| SeenEvent { connection: 0, event_id: n, digest: n * 7 }).collect(),
        sent: messages
            .iter()
            .skip(parity)
            .step_by(2)
            .map(|(id, text)| SentMessage {
                conversation: ROOM.to_owned(),
                text: text.clone(),
                acknowledged: Some(id.clone()),
                refused: false,
            })
            .collect(),
        received: messages
            .iter()
            .map(|(id, text)| ReceivedMessage {
                conversation: ROOM.to_owned(),
                message_id: id.clone(),
                text: text.clone(),
                age: None,
            })
            .collect(),
        ..Record::default()
    };
    let history = |who: &str| History {
        reader: who.to_owned(),
        conversation: ROOM.to_owned(),
        messages: messages.clone(),
    };
    (vec![record("anna", 0), record("bert", 1)], vec![history("anna"), history("bert")])
}

/// The kinds that the checker finds after `spoil`.
fn found(spoil: impl FnOnce(&mut Vec<Record>, &mut Vec<History>)) -> Vec<Kind> {
    let (mut records, mut histories) = faultless();
    spoil(&mut records, &mut histories);
    let mut kinds: Vec<Kind> =
        check(&records, &histories).violations.iter().map(|violation| violation.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn a_faultless_record_passes() {
    let (records, histories) = faultless();
    let verdict = check(&records, &histories);
    assert_eq!(verdict.violations, []);
    assert_eq!((verdict.acknowledged, verdict.delivered, verdict.repeated), (10, 20, 0));
}

#[test]
fn a_lost_message_is_caught() {
    let lost = found(|records, histories| {
        for history in histories {
            history.messages.remove(4);
        }
        for record in records {
            record.received.remove(4);
        }
    });
    assert_eq!(lost, [Kind::Lost]);
}

#[test]
fn a_lost_conversation_is_caught() {
    assert_eq!(found(|_, histories| histories.clear()), [Kind::Lost]);
}

#[test]
fn a_message_without_an_answer_may_be_there_or_not() {
    assert_eq!(found(|records, _| records[0].sent[0].acknowledged = None), []);
    let absent = found(|records, histories| {
        records[0].sent[0].acknowledged = None;
        for record in records {
            record.received.remove(0);
        }
        for history in histories {
            history.messages.remove(0);
        }
    });
    assert_eq!(absent, []);
}

#[test]
fn a_message_stored_twice_is_caught() {
    let doubled = found(|records, histories| {
        let again = ("0000000000011".to_owned(), "text-3".to_owned());
        for history in histories {
            history.messages.push(again.clone());
        }
        for record in records {
            let message = ReceivedMessage {
                conversation: ROOM.to_owned(),
                message_id: again.0.clone(),
                text: again.1.clone(),
                age: None,
            };
            record.received.push(message);
        }
    });
    assert!(doubled.contains(&Kind::Doubled), "{doubled:?}");
}

#[test]
fn another_id_than_the_acknowledged_one_is_caught() {
    let renumbered = found(|records, _| records[0].sent[2].acknowledged = Some("0000000000099".to_owned()));
    assert_eq!(renumbered, [Kind::Renumbered]);
}

#[test]
fn a_message_that_was_refused_and_stored_is_caught() {
    let refused = found(|records, _| {
        records[0].sent[2].acknowledged = None;
        records[0].sent[2].refused = true;
    });
    assert_eq!(refused, [Kind::RefusedAndStored]);
}

#[test]
fn histories_that_differ_are_caught() {
    assert_eq!(found(|_, histories| histories[1].messages.swap(2, 3)), [Kind::HistoriesDiffer]);
    assert_eq!(found(|_, histories| _ = histories[1].messages.pop()), [Kind::HistoriesDiffer]);
}

#[test]
fn a_history_out_of_order_is_caught() {
    let unordered = found(|_, histories| {
        for history in histories {
            history.messages.swap(2, 3);
        }
    });
    assert_eq!(unordered, [Kind::HistoryUnordered]);
}

#[test]
fn a_message_that_never_came_is_caught() {
    assert_eq!(found(|records, _| _ = records[1].received.remove(6)), [Kind::Missed]);
}

#[test]
fn messages_out_of_order_are_caught() {
    assert_eq!(found(|records, _| records[1].received.swap(6, 7)), [Kind::Reordered]);
}

#[test]
fn a_repeated_message_is_recognised_and_counted() {
    let (mut records, histories) = faultless();
    let again = records[0].received[4].clone();
    records[0].received.push(again);
    let verdict = check(&records, &histories);
    assert_eq!((verdict.violations.len(), verdict.repeated), (0, 1));
}

#[test]
fn a_message_id_with_two_texts_is_caught() {
    let reused = found(|records, _| {
        let mut again = records[0].received[4].clone();
        again.text = "another".to_owned();
        records[0].received.push(again);
    });
    assert_eq!(reused, [Kind::MessageIdReused]);
}

#[test]
fn a_message_that_no_history_has_is_caught() {
    let phantom = found(|records, _| {
        let mut message = records[0].received[9].clone();
        message.message_id = "0000000000020".to_owned();
        message.text = "nowhere".to_owned();
        records[0].received.push(message);
    });
    assert_eq!(phantom, [Kind::Phantom]);
}

#[test]
fn event_ids_that_do_not_ascend_are_caught() {
    assert_eq!(found(|records, _| records[0].events.swap(3, 4)), [Kind::EventUnordered]);
}

#[test]
fn an_event_sent_again_on_another_connection_passes() {
    let again = found(|records, _| {
        let event = records[0].events[9];
        records[0].events.push(SeenEvent { connection: 1, ..event });
    });
    assert_eq!(again, []);
}

#[test]
fn an_event_id_with_two_contents_is_caught() {
    let reused = found(|records, _| {
        let event = records[0].events[9];
        records[0].events.push(SeenEvent { connection: 1, digest: 1, ..event });
    });
    assert_eq!(reused, [Kind::EventIdReused]);
}

#[test]
fn the_time_grows_with_the_number_of_messages_only() {
    let messages: Vec<(String, String)> =
        (0..200_000).map(|n| (format!("{n:013}"), format!("text-{n}"))).collect();
    let record = Record {
        who: "anna".to_owned(),
        received: messages
            .iter()
            .map(|(id, text)| ReceivedMessage {
                conversation: ROOM.to_owned(),
                message_id: id.clone(),
                text: text.clone(),
                age: None,
            })
            .collect(),
        ..Record::default()
    };
    let history = History { reader: "anna".to_owned(), conversation: ROOM.to_owned(), messages };
    let since = std::time::Instant::now();
    assert_eq!(check(&[record], &[history]).violations, []);
    // A square of this number would take minutes.
    assert!(since.elapsed() < std::time::Duration::from_secs(10), "{:?}", since.elapsed());
}
