use super::*;
use crate::hook::Webhook;
use crate::machine::Entry;
use crate::table::{Given, ID, Table};
use levee_proto::attrs::RealmAttrs;

const REALM: &str = "00rrrrrrrrrrrrrrrr";

/// A realm with a webhook that wants everything, and one that wants the ends of audiences in another queue.
fn realm() -> Realm {
    let hook = |events: &[HookEvent], queue: Option<&str>| Webhook {
        events: events.iter().copied().collect(),
        queue: queue.map(Into::into),
        collects: true,
        ..Webhook::default()
    };
    let mut realm = Realm {
        attrs: RealmAttrs { owner_id: Some("owner".into()), ..RealmAttrs::default() },
        ..Realm::default()
    };
    realm.webhooks.0.insert("all".into(), hook(&HookEvent::WANTED, None));
    realm.webhooks.0.insert("other".into(), hook(&[HookEvent::AudienceFinished], Some("00other")));
    realm
}

fn table() -> Table<Conversation> {
    let mut table = Table::new();
    table.realm = Some(realm());
    table
}

fn open(table: &mut Table<Conversation>, accepted: u64) -> Given<Conversation> {
    let attrs = json!({"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true});
    table.order(json!({"Open": {"realm": REALM, "attrs": attrs,
        "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]],
        "metadata": {"page": "/"}, "command": null, "accepted": accepted, "hooks": true,
        "request": {"time": 500_000, "seq": 2}}}))
}

fn asked(event: &str, seq: u64) -> Value {
    json!({"Asked": {"realm": REALM, "queue": "00q", "audience": "00x", "event": event, "seq": seq,
        "request": 2, "since": 500_000}})
}

fn hooks(step: &Step<Entry<ConversationRecord>>) -> Vec<Hook> {
    let hook = |emit: &Emit| match emit {
        Emit::Hook(hook) => Some(hook.clone()),
        _ => None,
    };
    step.emits.iter().filter_map(hook).collect()
}

fn events(step: &Step<Entry<ConversationRecord>>) -> Vec<HookEvent> {
    let mut events: Vec<_> = hooks(step).into_iter().map(|hook| hook.event).collect();
    // There may be several messages of the server's own.
    events.dedup();
    events
}

fn said(table: &mut Table<Conversation>, user: &str, kind: &str) -> Vec<HookEvent> {
    let header = json!({"channel_id": ID, "message_type": kind});
    let payload = if kind == "ninchat.com/metadata" { r#"{"data":{}}"# } else { r#"{"text":"a"}"# };
    events(&table.act(user, "send_message", header, &[payload]).unwrap())
}

fn parts(table: &mut Table<Conversation>, user: &str) -> Vec<HookEvent> {
    events(&table.act(user, "part_channel", json!({"channel_id": ID}), &[]).unwrap())
}

use HookEvent::{
    AudienceAccepted, AudienceAgentReleased, AudienceComplete, AudienceFinished, AudienceRequestDropped,
    AudienceRequested, MessageSent,
};

#[test]
fn an_audience_is_told_in_order_from_before_there_is_a_channel() {
    let mut table = table();
    let step = table.order(asked("audience_requested", 2)).unwrap();
    assert_eq!(events(&step), [AudienceRequested]);
    assert_eq!(hooks(&step)[0].realm, REALM);
    assert!(table.order(asked("audience_requested", 2)).unwrap().records.is_empty(), "it may come twice");
    assert!(!table.entity.machine.exists());
    assert_eq!(events(&open(&mut table, 3).unwrap()), [AudienceAccepted, MessageSent]);
    assert_eq!(said(&mut table, "customer", "ninchat.com/text"), [MessageSent]);
    assert_eq!(said(&mut table, "customer", "ninchat.com/rtc/offer"), [], "calls are not told");
    assert_eq!(parts(&mut table, "customer"), [MessageSent, AudienceFinished]);
    assert_eq!(parts(&mut table, "agent"), [MessageSent, AudienceAgentReleased, AudienceComplete]);
    // Accepted anew, it is told anew.
    assert_eq!(events(&open(&mut table, 9).unwrap()), [AudienceAccepted, MessageSent]);
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn who_waits_no_more_is_told_although_there_is_no_channel() {
    let mut table = table();
    table.order(asked("audience_requested", 2)).unwrap();
    let step = table.order(asked("audience_request_dropped", 5)).unwrap();
    assert_eq!(events(&step), [AudienceRequestDropped]);
    let ids: Vec<_> = hooks(&step).into_iter().map(|hook| (hook.event_id, hook.seq)).collect();
    assert_eq!(ids[0].1, 2);
}

#[test]
fn a_channel_that_is_closed_is_finished_once_and_of_its_own_queues_webhooks_only() {
    let mut table = table();
    open(&mut table, 3).unwrap();
    let close = |closed: bool| json!({"channel_id": ID, "channel_attrs": {"closed": closed}});
    let step = table.act("agent", "update_channel", close(true), &[]).unwrap();
    assert_eq!(events(&step), [MessageSent, AudienceFinished]);
    assert!(hooks(&step).iter().all(|hook| hook.webhook == "all"));
    table.act("agent", "update_channel", close(false), &[]).unwrap();
    let again = table.act("agent", "update_channel", close(true), &[]).unwrap();
    assert!(!events(&again).contains(&AudienceFinished));
}

#[test]
fn a_realm_without_webhooks_pays_nothing() {
    let mut table = table();
    table.realm = Some(Realm { webhooks: Default::default(), ..realm() });
    assert!(hooks(&open(&mut table, 3).unwrap()).is_empty());
    assert_eq!(said(&mut table, "customer", "ninchat.com/text"), []);
    assert_eq!(parts(&mut table, "customer"), []);
}

#[test]
fn what_the_customer_said_is_erased_wherever_the_opening_is() {
    let mut table = table();
    table.order(asked("audience_requested", 2)).unwrap();
    open(&mut table, 3).unwrap();
    said(&mut table, "customer", "ninchat.com/text");
    table.act("owner", "delete_transcript", json!({"channel_id": ID}), &[]).unwrap();
    let left = serde_json::to_string(&table.stored().iter().map(|(_, _, entry)| entry).collect::<Vec<_>>());
    let left = left.unwrap();
    assert!(!left.contains("page") && !left.contains(r#""text""#), "{left}");
    assert!(table.stored().iter().any(|(_, _, entry)| matches!(entry.record, ConversationRecord::Asked(_))));
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn what_is_said_to_a_webhook_is_what_is_there_when_it_is_said() {
    let mut table = table();
    table.order(asked("audience_requested", 2)).unwrap();
    open(&mut table, 3).unwrap();
    let header = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
    let step = table.act("customer", "send_message", header, &[r#"{"text":"a"}"#]).unwrap();
    let hook = hooks(&step).remove(0);
    let body = |table: &Table<Conversation>, hook: &Hook, known| {
        let (_, _, entry) = table.stored().swap_remove(hook.seq as usize - 1);
        table.entity.machine.hook_body(&ID.into(), hook, &entry.record, &realm(), known)
    };
    let said = body(&table, &hook, Known::default()).unwrap();
    assert_eq!(said["message"]["payload"], json!({"text": "a"}));
    assert_eq!((&said["queue_id"], &said["audience_id"]), (&json!("00q"), &json!("00x")));
    table.act("owner", "delete_transcript", json!({"channel_id": ID}), &[]).unwrap();
    assert_eq!(body(&table, &hook, Known::default()), None, "it was erased");
    let hook = Hook::new(&REALM.into(), &"all".into(), AudienceRequestDropped, (&ID.into(), 1), 2_500_000);
    let known = Known { queue: Some("Help".into()), ..Known::default() };
    let said = body(&table, &hook, known).unwrap();
    assert_eq!(said["queue"], json!({"name": "Help"}));
}
