use super::*;
use crate::hook::{HookEvent, Webhook};
use crate::table::{ID, Table, forwards, refused};
use bytes::Bytes;
use serde_json::Value;

/// A realm with a webhook, so many dead letters, and an attempt.
fn realm(dead: u64) -> Table<Realm> {
    let mut table: Table<Realm> = Table::new();
    table.act("owner", "create_realm", json!({}), &[]).unwrap();
    let add = json!({"realm_id": ID, "user_id": "member", "member_attrs": {}});
    table.act("owner", "add_member", add, &[]).unwrap();
    for id in ["00hook", "00other"] {
        table.entity.machine.webhooks.0.insert(id.into(), Webhook::default());
        for number in 0..dead {
            let hook =
                Hook::new(&ID.into(), &id.into(), HookEvent::MessageSent, (&"00chat".into(), number), 5);
            let hook = Hook { tries: 9, key: Some(format!("h{number}.00hook").into()), ..hook };
            let letter =
                DeadLetter { hook, stream: "c/00chat".into(), died: 1_000 + number, reason: "x".into() };
            let row = Bytes::from(serde_json::to_vec(&letter).unwrap());
            table.rows.insert((DELIVERIES, letter.key()), row);
        }
    }
    let attempt = json!({"time": 7_000_000, "event": "message_sent", "event_id": "00e", "outcome": "deferred",
        "tries": 2, "took": 12, "reason": "the status is 500"});
    table.rows.insert((DELIVERIES, hook::attempt_key("00hook", 33)), attempt.to_string().into());
    table
}

fn listed(table: &mut Table<Realm>) -> Value {
    let which = json!({"realm_id": ID, "webhook_id": "00hook"});
    let step = table.act("owner", "levee_describe_webhook_deliveries", which, &[]).unwrap();
    match &step.emits[0] {
        Emit::Answer(Answer::Event(body)) => serde_json::from_str(body.header()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operators_see_the_last_attempts_and_what_was_given_up() {
    let mut table = realm(2);
    let found = listed(&mut table);
    let attempt = json!([{"time": 7.0, "event": "message_sent", "event_id": "00e", "outcome": "deferred",
        "tries": 2, "milliseconds": 12, "reason": "the status is 500"}]);
    assert_eq!(found["attempts"], attempt);
    assert_eq!(found["dead"].as_array().unwrap().len(), 2);
    assert_eq!(found["dead"][0]["reason"], "x");
}

#[test]
fn what_was_given_up_goes_back_to_where_it_came_from_once() {
    let mut table = realm(2);
    let id = listed(&mut table)["dead"][1]["delivery_id"].clone();
    let some = json!({"realm_id": ID, "webhook_id": "00hook", "delivery_ids": [id]});
    let step = table.act("owner", "levee_replay_webhook", some.clone(), &[]).unwrap();
    assert_eq!(forwards(&step), [(Stream::conversation(&"00chat".into()), "Replay".to_owned())]);
    let Some(Emit::Forward(_, order)) = step.emits.iter().find(|emit| matches!(emit, Emit::Forward(..)))
    else {
        panic!("{step:?}");
    };
    let hook: Hook = serde_json::from_value(order["Replay"].clone()).unwrap();
    assert_eq!((hook.tries, hook.key.as_deref()), (0, Some("h1.00hook")));
    assert!(hook.age(table.now) < 1_000_000, "it has as long as a new one");
    assert_eq!(listed(&mut table)["dead"].as_array().unwrap().len(), 1);
    assert_eq!(
        refused(table.act("owner", "levee_replay_webhook", some, &[])),
        Some(ErrorType::RequestMalformed)
    );
    let all = json!({"realm_id": ID, "webhook_id": "00hook"});
    assert_eq!(forwards(&table.act("owner", "levee_replay_webhook", all.clone(), &[]).unwrap()).len(), 1);
    assert!(forwards(&table.act("owner", "levee_replay_webhook", all, &[]).unwrap()).is_empty());
    assert_eq!(table.rows.keys().filter(|(_, key)| key.starts_with("00other/d")).count(), 2);
}

#[test]
fn a_hundred_are_told_once_more_at_a_time() {
    let mut table = realm(DEAD as u64 + 1);
    let all = json!({"realm_id": ID, "webhook_id": "00hook"});
    let step = table.act("owner", "levee_replay_webhook", all, &[]).unwrap();
    let RealmRecord::WebhookReplayed { deliveries, more, .. } = &step.records[0].record else {
        panic!("{step:?}")
    };
    assert_eq!((*deliveries, *more, forwards(&step).len()), (100, true, 100));
    let many: Vec<String> = (0..=DEAD).map(|number| number.to_string()).collect();
    let many = json!({"realm_id": ID, "webhook_id": "00hook", "delivery_ids": many});
    assert_eq!(
        refused(table.act("owner", "levee_replay_webhook", many, &[])),
        Some(ErrorType::RequestMalformed)
    );
}

#[test]
fn nobody_else_sees_it_or_does_it_and_it_goes_with_the_webhook() {
    let mut table = realm(1);
    for name in ["levee_describe_webhook_deliveries", "levee_replay_webhook"] {
        let which = json!({"realm_id": ID, "webhook_id": "00hook"});
        let refusal = refused(table.act("member", name, which.clone(), &[]));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied), "{name}");
        let refusal = refused(table.act("stranger", name, which, &[]));
        assert_eq!(refusal, Some(ErrorType::RealmNotFound), "{name}");
        let nothing = json!({"realm_id": ID, "webhook_id": "00nothing"});
        assert_eq!(
            refused(table.act("owner", name, nothing, &[])),
            Some(ErrorType::WebhookNotFound),
            "{name}"
        );
    }
    table.act("owner", "levee_delete_webhook", json!({"realm_id": ID, "webhook_id": "00hook"}), &[]).unwrap();
    assert!(!table.rows.keys().any(|(_, key)| key.starts_with("00hook/a")));
}
