use super::*;
use crate::machine::Entry;
use crate::table::{Given, ID, Table, refused};
use crate::view::{To, roles};
use serde_json::Value;

/// A realm of `owner`, with an operator, a member and a queue; `stranger` is outside.
fn realm() -> (Table<Realm>, Id) {
    let mut table: Table<Realm> = Table::new();
    table.act("owner", "create_realm", json!({}), &[]).unwrap();
    for (user, operator) in [("operator", true), ("member", false)] {
        let add = json!({"realm_id": ID, "user_id": user, "member_attrs": {"operator": operator}});
        table.act("owner", "add_member", add, &[]).unwrap();
    }
    table.act("owner", "create_queue", json!({"realm_id": ID, "queue_attrs": {"name": "Q"}}), &[]).unwrap();
    let queue = table.entity.machine.queues[0].clone();
    (table, queue)
}

fn create(table: &mut Table<Realm>, more: Value) -> Given<Realm> {
    let mut header = json!({"realm_id": ID, "url": "https://example.org/hook", "events": ["message_sent"]});
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    table.act("operator", "levee_create_webhook", header, &[])
}

fn put(step: &Step<Entry<RealmRecord>>) -> WebhookPut {
    match &step.records[0].record {
        RealmRecord::WebhookPut(put) => put.clone(),
        other => panic!("{other:?}"),
    }
}

/// The challenges that a step sends.
fn challenges(step: &Step<Entry<RealmRecord>>) -> Vec<Hook> {
    let challenge = |emit: &Emit| match emit {
        Emit::Hook(hook) if hook.event == HookEvent::WebhookVerification => Some(hook.clone()),
        _ => None,
    };
    step.emits.iter().filter_map(challenge).collect()
}

fn answer(table: &mut Table<Realm>, hook: &Hook, failure: Option<&str>) -> Step<Entry<RealmRecord>> {
    let order = json!({"webhook": hook.webhook, "challenge": hook.seq, "failure": failure});
    table.order(json!({"Challenged": order})).unwrap()
}

fn state(table: &Table<Realm>, id: &Id) -> &'static str {
    table.entity.machine.webhooks.get(id).unwrap().state()
}

#[test]
fn a_webhook_is_active_once_its_url_has_answered() {
    let (mut table, queue) = realm();
    let step = create(&mut table, json!({"queue_id": queue, "format": "wrapped"})).unwrap();
    let WebhookPut { id, webhook, .. } = put(&step);
    assert_eq!(
        (webhook.format, webhook.queue.as_ref(), webhook.state()),
        (Format::Wrapped, Some(&queue), "verifying")
    );
    let sent = challenges(&step);
    assert_eq!((sent.len(), &sent[0].webhook, sent[0].seq), (1, &id, table.entity.seq));
    let wanting = |table: &Table<Realm>| {
        let webhooks = &table.entity.machine.webhooks;
        webhooks.that_want(HookEvent::MessageSent, Some(&queue)).count()
    };
    assert_eq!(wanting(&table), 0);
    answer(&mut table, &sent[0], Some("the status is 500"));
    assert_eq!((state(&table, &id), wanting(&table)), ("failed", 0));
    let again =
        table.act("owner", "levee_test_webhook", json!({"realm_id": ID, "webhook_id": id}), &[]).unwrap();
    let again = challenges(&again).remove(0);
    assert_ne!(again.event_id, sent[0].event_id, "each challenge is one of its own");
    assert!(answer(&mut table, &sent[0], None).records.is_empty(), "an answer to the one before is none");
    assert_eq!(state(&table, &id), "verifying");
    let told = answer(&mut table, &again, None);
    assert_eq!((state(&table, &id), wanting(&table)), ("active", 1));
    let views = super::super::views::of(&ID.into(), &told.records[0].record);
    assert_eq!(views[0].to, To::Roles(roles::OPERATOR), "operators hear of it");
    assert!(answer(&mut table, &again, Some("late")).records.is_empty(), "it may come twice");
    assert_eq!(table.replayed().machine, table.entity.machine);
    // A test that fails takes nothing back.
    let test =
        table.act("owner", "levee_test_webhook", json!({"realm_id": ID, "webhook_id": id}), &[]).unwrap();
    answer(&mut table, &challenges(&test)[0], Some("away"));
    assert_eq!(state(&table, &id), "active");
}

#[test]
fn another_url_has_to_answer_first_and_what_happens_meanwhile_is_collected() {
    let (mut table, _) = realm();
    let step = create(&mut table, json!({})).unwrap();
    let id = put(&step).id;
    answer(&mut table, &challenges(&step)[0], None);
    let update = |more: Value| {
        let mut header = json!({"realm_id": ID, "webhook_id": id});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    let events = update(json!({"events": ["audience_accepted"], "url": "https://example.org/hook"}));
    let step = table.act("operator", "levee_update_webhook", events, &[]).unwrap();
    assert!(challenges(&step).is_empty(), "the URL is the same");
    assert_eq!(state(&table, &id), "active");
    let url = update(json!({"url": "https://other.example.org/hook"}));
    let step = table.act("operator", "levee_update_webhook", url, &[]).unwrap();
    assert_eq!((challenges(&step).len(), state(&table, &id)), (1, "verifying"));
    let webhooks = &table.entity.machine.webhooks;
    assert_eq!(webhooks.that_want(HookEvent::AudienceAccepted, None).count(), 1, "nothing is lost");
    let which = json!({"realm_id": ID, "webhook_id": id});
    table.act("operator", "levee_delete_webhook", which.clone(), &[]).unwrap();
    assert!(table.entity.machine.webhooks.is_empty());
    assert!(answer(&mut table, &challenges(&step)[0], None).records.is_empty());
    let gone = refused(table.act("operator", "levee_delete_webhook", which, &[]));
    assert_eq!(gone, Some(ErrorType::WebhookNotFound));
}

#[test]
fn only_operators_have_to_do_with_webhooks() {
    let (mut table, _) = realm();
    let id = put(&create(&mut table, json!({})).unwrap()).id;
    let which = json!({"realm_id": ID, "webhook_id": id});
    let make = json!({"realm_id": ID, "url": "https://example.org/", "events": ["message_sent"]});
    for (name, header) in [
        ("levee_create_webhook", &make),
        ("levee_describe_webhooks", &which),
        ("levee_update_webhook", &which),
        ("levee_delete_webhook", &which),
        ("levee_test_webhook", &which),
    ] {
        let member = refused(table.act("member", name, header.clone(), &[]));
        assert_eq!(member, Some(ErrorType::PermissionDenied), "{name}");
        let stranger = refused(table.act("stranger", name, header.clone(), &[]));
        assert_eq!(stranger, Some(ErrorType::RealmNotFound), "{name}");
    }
    for name in
        ["levee_describe_webhooks", "levee_update_webhook", "levee_delete_webhook", "levee_test_webhook"]
    {
        let other = json!({"realm_id": ID, "webhook_id": "00other"});
        assert_eq!(refused(table.act("owner", name, other, &[])), Some(ErrorType::WebhookNotFound), "{name}");
    }
    let mut nothing: Table<Realm> = Table::new();
    assert_eq!(
        refused(nothing.act("owner", "levee_create_webhook", make, &[])),
        Some(ErrorType::RealmNotFound)
    );
}

#[test]
fn what_is_no_webhook_is_refused() {
    let (mut table, _) = realm();
    for (more, error) in [
        (json!({"url": ""}), ErrorType::RequestMalformed),
        (json!({"url": "ftp://example.org/"}), ErrorType::RequestMalformed),
        (json!({"url": "https:///x"}), ErrorType::RequestMalformed),
        (json!({"url": "https://exämple.org/"}), ErrorType::RequestMalformed),
        (json!({"url": "https://example.org/ x"}), ErrorType::RequestMalformed),
        (
            json!({"url": format!("https://example.org/{}", "x".repeat(limits::URL_BYTES))}),
            ErrorType::RequestMalformed,
        ),
        (json!({"events": []}), ErrorType::RequestMalformed),
        (json!({"events": ["message_sent", "webhook_verification"]}), ErrorType::RequestMalformed),
        (json!({"format": "xml"}), ErrorType::RequestMalformed),
        (json!({"queue_id": "00nothing"}), ErrorType::QueueNotFound),
    ] {
        assert_eq!(refused(create(&mut table, more.clone())), Some(error), "{more}");
    }
    for _ in 0..limits::WEBHOOKS {
        create(&mut table, json!({})).unwrap();
    }
    assert_eq!(refused(create(&mut table, json!({}))), Some(ErrorType::PermissionDenied));
}
