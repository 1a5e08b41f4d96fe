//! Tables over the list of a queue's audiences, and over erasing them.

use super::*;
use crate::conversation::Conversation;
use crate::queue::tests::{accept, queue, request};
use crate::table::{Given, ID, Table, forwards, refused};
use crate::view::roles;
use serde_json::Value;

/// An audience of this id that ended at this second.
fn row(audience: &str, agent: &str, ended: u64) -> PastAudience {
    PastAudience {
        audience: audience.into(),
        channel: Conversation::of_audience(&audience.into()),
        agent: Some(agent.into()),
        requested: ended * 1_000_000 - 20,
        accepted: ended * 1_000_000 - 10,
        ended: Some(ended * 1_000_000),
        rating: None,
        delete: None,
    }
}

fn end(table: &mut Table<Queue>, row: &PastAudience) -> Step<Entry<QueueRecord>> {
    table.order(json!({"Ended": {"audience": row}})).unwrap()
}

fn list(table: &mut Table<Queue>, user: &str, more: Value) -> Result<Vec<Object>, Rejection> {
    let mut header = json!({"queue_id": ID, "interval_begin": 0});
    header.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let step = table.act(user, "describe_queue_transcripts", header, &[])?;
    let [Emit::Answer(Answer::Event(body))] = &step.emits[..] else { panic!("{step:?}") };
    let event: Value = serde_json::from_str(body.header()).unwrap();
    Ok(serde_json::from_value(event["queue_transcripts"].clone()).unwrap())
}

fn audiences(rows: Result<Vec<Object>, Rejection>) -> Vec<String> {
    rows.unwrap().iter().map(|row| row["audience_id"].as_str().unwrap().to_owned()).collect()
}

fn delete(table: &mut Table<Queue>, user: &str, begin: f64, end: f64) -> Given<Queue> {
    let header = json!({"queue_id": ID, "interval_begin": begin, "interval_end": end});
    table.act(user, "delete_queue_transcripts", header, &[])
}

fn set(table: &mut Table<Queue>, delay: Value) -> Given<Queue> {
    let header = json!({"queue_id": ID, "queue_settings": {"transcript_delete_delay": delay}});
    table.act("owner", "update_queue", header, &[])
}

#[test]
fn audiences_are_listed_by_the_time_at_which_they_ended() {
    let mut table = queue();
    for (audience, agent, ended) in [("00c", "agent", 300), ("00a", "agent", 100), ("00b", "other", 200)] {
        end(&mut table, &row(audience, agent, ended));
    }
    assert_eq!(audiences(list(&mut table, "owner", json!({}))), ["00a", "00b", "00c"]);
    let between = json!({"interval_begin": 100, "interval_end": 200});
    assert_eq!(audiences(list(&mut table, "owner", between)), ["00a", "00b"], "both ends are in it");
    let later = json!({"interval_begin": 100.000001});
    assert_eq!(audiences(list(&mut table, "owner", later)), ["00b", "00c"]);
    let first = &list(&mut table, "owner", json!({})).unwrap()[0];
    assert_eq!((&first["complete_time"], &first["agent_id"]), (&json!(100.0), &json!("agent")));
    assert_eq!(first.get("delete_time"), None);
    // Who serves the queue sees their own, however many others there are before.
    for number in 0..LISTED {
        end(&mut table, &row(&format!("01{number:05}"), "agent", 150));
    }
    assert_eq!(audiences(list(&mut table, "other", json!({}))), ["00b"]);
    assert_eq!(audiences(list(&mut table, "owner", json!({}))).len(), LISTED, "and so many at once");
}

#[test]
fn what_is_told_twice_is_listed_once_and_what_becomes_known_is_taken_in() {
    let mut table = queue();
    end(&mut table, &row("00a", "agent", 100));
    end(&mut table, &PastAudience { rating: Some(1), ..row("00a", "agent", 100) });
    let rows = list(&mut table, "owner", json!({})).unwrap();
    assert_eq!((rows.len(), &rows[0]["rating"]), (1, &json!(1)));
    let again = json!({"Ended": {"audience": row("00a", "other", 500), "instead": 100_000_000}});
    table.order(again).unwrap();
    let rows = list(&mut table, "owner", json!({})).unwrap();
    assert_eq!((rows.len(), &rows[0]["complete_time"]), (1, &json!(500.0)));
    assert!(list(&mut table, "agent", json!({})).unwrap().is_empty(), "somebody else has met the customer");
    assert_eq!(table.rows.len(), 2);
}

#[test]
fn what_is_under_way_is_listed_when_it_is_asked_for() {
    let mut table = queue();
    request(&mut table, "customer").unwrap();
    let audience = table.entity.machine.waiting[0].audience.clone();
    accept(&mut table, "agent", None).unwrap();
    assert!(list(&mut table, "owner", json!({})).unwrap().is_empty());
    let ongoing = json!({"interval_ongoing": true});
    let rows = list(&mut table, "owner", ongoing.clone()).unwrap();
    assert_eq!((rows.len(), rows[0].get("complete_time")), (1, None));
    assert_eq!(rows[0]["audience_id"], audience.as_str());
    // Waiting again, it is not under way.
    let waiter = json!({"audience": audience, "user": "customer", "card": {}, "since": 1, "metadata": null});
    table.order(json!({"Return": {"waiter": waiter, "conversation": "00c", "seq": 9}})).unwrap();
    assert!(list(&mut table, "owner", ongoing.clone()).unwrap().is_empty());
    accept(&mut table, "agent", None).unwrap();
    end(&mut table, &row(&audience, "agent", 100));
    assert_eq!(list(&mut table, "owner", ongoing).unwrap().len(), 1);
}

#[test]
fn the_delay_of_the_queue_or_of_its_realm_is_for_audiences_that_end_from_then_on() {
    let mut table = queue();
    let at = |step: &Step<Entry<QueueRecord>>| {
        let order = step.emits.iter().find_map(|emit| match emit {
            Emit::Forward(_, order) => order["EraseAt"]["time"].as_u64(),
            _ => None,
        });
        order.map(|time| time / 1_000_000)
    };
    assert_eq!(at(&end(&mut table, &row("00a", "agent", 100))), None);
    let settings = json!({"default_queue_settings": {"transcript_delete_delay": 50}});
    table.realm.as_mut().unwrap().settings = settings.as_object().cloned().unwrap();
    let step = end(&mut table, &row("00b", "agent", 200));
    assert_eq!(at(&step), Some(250));
    assert_eq!(forwards(&step)[0].0, Stream::conversation(&row("00b", "agent", 200).channel));
    set(&mut table, json!(10)).unwrap();
    assert_eq!(at(&end(&mut table, &row("00c", "agent", 300))), Some(310));
    // What was over before keeps what it had.
    assert_eq!(at(&end(&mut table, &PastAudience { rating: Some(0), ..row("00a", "agent", 100) })), None);
    assert_eq!(at(&end(&mut table, &PastAudience { rating: Some(0), ..row("00b", "agent", 200) })), None);
    let rows = list(&mut table, "owner", json!({})).unwrap();
    let times: Vec<_> = rows.iter().map(|row| row.get("delete_time").cloned()).collect();
    assert_eq!(times, [None, Some(json!(250.0)), Some(json!(310.0))]);
    for bad in [json!(-1), json!(1.5), json!("soon"), json!(u64::MAX)] {
        assert_eq!(refused(set(&mut table, bad.clone())), Some(ErrorType::RequestMalformed), "{bad}");
    }
    set(&mut table, Value::Null).unwrap();
    assert_eq!(at(&end(&mut table, &row("00d", "agent", 400))), Some(450), "the realm's again");
}

#[test]
fn an_interval_is_erased_a_slice_at_a_time_and_listed_no_more_at_once() {
    let mut table = queue();
    table.now = 1_000_000_000_000;
    let many = SLICE as u64 + 10;
    for number in 0..many {
        end(&mut table, &row(&format!("00{number:05}"), "agent", 1000 + number));
    }
    end(&mut table, &row("00z", "agent", 5000));
    let step = delete(&mut table, "owner", 1000.0, 4000.0).unwrap();
    let views = Queue::views(&ID.into(), 9, 0, &step.records[0]);
    assert_eq!((views[0].to.clone(), views[0].answers), (crate::view::To::Roles(roles::MEMBER), true));
    assert_eq!(audiences(list(&mut table, "owner", json!({}))), ["00z"]);
    let mut told = 0;
    for slice in [SLICE, 10, 0] {
        let step = table.order(json!("Clear")).unwrap();
        let orders = forwards(&step);
        assert_eq!(orders.len(), slice);
        told += slice;
        let waits = step.emits.iter().any(|emit| matches!(emit, Emit::Wait(Timer::Transcript, _)));
        assert_eq!(waits, slice > 0);
    }
    assert_eq!((told as u64, table.entity.machine.clearing.len()), (many, 0));
    assert_eq!(audiences(list(&mut table, "owner", json!({}))), ["00z"]);
    assert!(table.order(json!("Clear")).unwrap().records.is_empty(), "what rings twice erases once");
    assert_eq!(audiences(list(&mut table, "agent", json!({}))), ["00z"]);
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn intervals_are_bounded_and_erased_by_operators_only() {
    let mut table = queue();
    table.now = 1_000_000_000_000;
    for user in ["agent", "other"] {
        assert_eq!(refused(delete(&mut table, user, 0.0, 10.0)), Some(ErrorType::PermissionDenied));
    }
    assert_eq!(refused(delete(&mut table, "stranger", 0.0, 10.0)), Some(ErrorType::PermissionDenied));
    assert_eq!(refused(list(&mut table, "stranger", json!({}))), Some(ErrorType::PermissionDenied));
    let month = MONTH as f64 / 1e6;
    for (begin, end) in [(10.0, 9.0), (-1.0, 5.0), (0.0, month + 1.0)] {
        let given = delete(&mut table, "owner", begin, end);
        assert_eq!(refused(given), Some(ErrorType::RequestMalformed), "{begin} {end}");
    }
    let wrong = list(&mut table, "owner", json!({"interval_begin": 5, "interval_end": 4}));
    assert_eq!(refused(wrong), Some(ErrorType::RequestMalformed));
    for _ in 0..CLEARING {
        delete(&mut table, "owner", 0.0, month).unwrap();
    }
    assert_eq!(refused(delete(&mut table, "owner", 0.0, 1.0)), Some(ErrorType::SendRateLimited));
}

#[test]
fn what_the_customer_said_when_asking_is_erased_too() {
    let mut table = queue();
    let header = json!({"queue_id": ID, "audience_metadata": {"page": "a secret"}});
    table.act("customer", "request_audience", header, &[]).unwrap();
    let waiter = table.entity.machine.waiting[0].clone();
    assert_eq!(waiter.seq, table.entity.seq);
    accept(&mut table, "agent", None).unwrap();
    end(&mut table, &row(&waiter.audience, "agent", 100));
    let is_kept = |table: &Table<Queue>| {
        let records: Vec<_> = table.stored().into_iter().map(|(.., entry)| entry).collect();
        serde_json::to_string(&records).unwrap().contains("a secret")
    };
    assert!(is_kept(&table));
    let order = json!({"Erased": {"audience": waiter.audience, "user": "customer",
        "requested": waiter.since, "requests": [waiter.seq, 0, 999], "ended": [100_000_000]}});
    for _ in 0..2 {
        table.order(order.clone()).unwrap();
        assert!(!is_kept(&table));
        assert!(list(&mut table, "owner", json!({})).unwrap().is_empty());
        assert!(table.rows.is_empty());
        assert_eq!(table.replayed().machine, table.entity.machine);
    }
}
