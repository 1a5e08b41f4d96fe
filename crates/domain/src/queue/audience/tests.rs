use super::*;
use crate::conversation::ConversationRecord;
use crate::queue::tests::queue;
use crate::table::{Given, ID, Table, forwards, refused};
use serde_json::Value;

fn create(table: &mut Table<Queue>, user: &str, agent: &str, attrs: Value) -> Given<Queue> {
    table.act(user, "create_audience", json!({"queue_id": ID, "user_id": agent, "channel_attrs": attrs}), &[])
}

fn register(table: &mut Table<Queue>, user: &str, metadata: Value) -> Given<Queue> {
    table.act(user, "register_audience", json!({"queue_id": ID, "audience_metadata": metadata}), &[])
}

fn enable(table: &mut Table<Queue>) {
    let settings = json!({"queue_id": ID, "queue_settings": {"audience_registration": true}});
    table.act("owner", "update_queue", settings, &[]).unwrap();
}

/// The order to open that a step forwards.
fn opens(step: &Step<Entry<QueueRecord>>) -> (Stream, Value) {
    let mut forwards = step.emits.iter().filter_map(|emit| match emit {
        Emit::Forward(to, order) => Some((to.clone(), order.clone())),
        _ => None,
    });
    match (forwards.next(), forwards.next()) {
        (Some(one), None) => one,
        _ => panic!("{step:?}"),
    }
}

#[test]
fn an_agent_makes_an_audience_for_another_one_with_what_the_queue_says() {
    let mut table = queue();
    let attrs =
        json!({"queue_id": ID, "queue_attrs": {"upload": "member", "video": "agent", "closed": true}});
    table.act("owner", "update_queue", attrs, &[]).unwrap();
    let audience = json!({"begin_timestamp": "2026-03-01T09:30:00"});
    let attrs = json!({"name": "A", "video": null, "audience": audience});
    let step = create(&mut table, "agent", "other", attrs).unwrap();
    let (to, order) = opens(&step);
    let attrs = &order["Open"]["attrs"];
    let id = Id::from(attrs["audience_id"].as_str().unwrap());
    assert_eq!(to, Stream::conversation(&Conversation::of_audience(&id)));
    let shown = ["name", "upload", "video", "private", "queue_id", "audience"].map(|name| &attrs[name]);
    assert_eq!(shown, [&json!("A"), &json!("member"), &Value::Null, &json!(true), &json!(ID), &audience]);
    assert_eq!(attrs["disclosed_since"], table.now / 1_000_000);
    // The conversation opens once, with its agent alone, and answers who made it.
    let mut channel: Table<Conversation> = Table::new();
    let opened = channel.order(order.clone()).unwrap();
    assert!(
        matches!(&opened.records[0].record, ConversationRecord::Opened { members, .. } if members.len() == 1)
    );
    let orders = [("agent", "Told"), ("other", "Joined")];
    let mut sent: Vec<_> =
        forwards(&opened).into_iter().map(|(to, name)| (to.id.to_string(), name)).collect();
    sent.sort();
    assert_eq!(sent, orders.map(|(user, name)| (user.to_owned(), name.to_owned())));
    assert!(channel.order(order).unwrap().records.is_empty());
}

#[test]
fn a_repeated_command_makes_one_audience() {
    let mut table = queue();
    let header = json!({"queue_id": ID, "user_id": "agent"});
    let mut made = || table.act_as("agent", Some(7), "create_audience", header.clone(), &[]).unwrap();
    assert_eq!((made().records.len(), made().records.len()), (1, 0));
    enable(&mut table);
    let header = json!({"queue_id": ID, "audience_metadata": {"message": "call me"}});
    let mut left = || table.act_as("a", Some(8), "register_audience", header.clone(), &[]).unwrap();
    assert_eq!((left().records.len(), left().records.len()), (1, 0));
}

#[test]
fn only_members_make_audiences_and_only_for_members_of_the_realm() {
    let mut table = queue();
    for user in ["owner", "stranger"] {
        let refusal = refused(create(&mut table, user, "agent", json!({})));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied), "{user}");
    }
    let refusal = refused(create(&mut table, "agent", "stranger", json!({})));
    assert_eq!(refusal, Some(ErrorType::UserNotFound));
    for (attrs, refusal) in [
        (json!({"owner_id": "agent"}), ErrorType::PermissionDenied),
        (json!({"suspended": true}), ErrorType::PermissionDenied),
        (json!({"audience": {"begin_timestamp": "soon"}}), ErrorType::RequestMalformed),
        (json!({"schedule": {}}), ErrorType::RequestMalformed),
        (json!([]), ErrorType::RequestMalformed),
    ] {
        assert_eq!(refused(create(&mut table, "agent", "agent", attrs.clone())), Some(refusal), "{attrs}");
    }
    let attrs = json!({"queue_id": ID, "queue_attrs": {"suspended": true}});
    table.act("owner", "update_queue", attrs, &[]).unwrap();
    let refusal = refused(create(&mut table, "agent", "agent", json!({})));
    assert_eq!(refusal, Some(ErrorType::QueueIsSuspended));
}

#[test]
fn a_contact_request_is_taken_where_that_is_enabled_whether_the_queue_is_open_or_not() {
    let mut table = queue();
    assert_eq!(refused(register(&mut table, "a", json!({}))), Some(ErrorType::PermissionDenied));
    enable(&mut table);
    let shut = json!({"queue_id": ID, "queue_attrs": {"closed": true, "capacity": 0}});
    table.act("owner", "update_queue", shut, &[]).unwrap();
    let step = register(&mut table, "a", json!({"message": "call me"})).unwrap();
    assert!(table.entity.machine.waiting.is_empty() && step.emits.is_empty());
    let views = Queue::views(&ID.into(), 9, 0, &step.records[0]);
    assert_eq!(views[0].to, To::Session("session-of-a".into()));
    let event: Value = serde_json::from_str(views[0].body.as_ref().unwrap().header()).unwrap();
    assert_eq!((&event["event"], &event["queue_id"]), (&json!("audience_registered"), &json!(ID)));
    assert_eq!(Queue::columns(&step.records[0].record).kind, "registration");
    for (metadata, refusal) in [
        (json!({"secure": {"vip": true}}), ErrorType::PermissionDenied),
        (json!({"long": "x".repeat(levee_proto::limits::OBJECT_BYTES)}), ErrorType::RequestMalformed),
        (json!("text"), ErrorType::RequestMalformed),
    ] {
        assert_eq!(refused(register(&mut table, "a", metadata)), Some(refusal));
    }
    let suspend = json!({"queue_id": ID, "queue_attrs": {"suspended": true}});
    table.act("owner", "update_queue", suspend, &[]).unwrap();
    assert_eq!(refused(register(&mut table, "a", json!({}))), Some(ErrorType::QueueIsSuspended));
}

/// What a customer's metadata are who sends these, if the queue wants such.
fn kept(wanted: Value, origin: Value, sent: Value) -> Value {
    let mut table = queue();
    let attrs = json!({"queue_id": ID, "queue_attrs": {"ninchat_metadata": wanted}});
    table.act("owner", "update_queue", attrs, &[]).unwrap();
    table.origin = origin.as_object().cloned();
    table.act("a", "request_audience", json!({"queue_id": ID, "audience_metadata": sent}), &[]).unwrap();
    json!(table.entity.machine.waiting[0].metadata)
}

#[test]
fn a_queue_that_wants_it_is_told_where_its_customers_are_by_the_server_alone() {
    let origin = json!({"ip": "192.0.2.7", "city": "Turku"});
    let forged = json!({"geoip": {"ip": "127.0.0.1"}, "page": "/"});
    let both = json!({"geoip": origin, "page": "/"});
    assert_eq!(kept(json!(["geoip"]), origin.clone(), forged.clone()), both);
    assert_eq!(kept(json!(["geoip"]), origin.clone(), Value::Null), json!({ "geoip": origin }));
    assert_eq!(kept(json!(["geoip"]), Value::Null, forged.clone()), json!({"page": "/"}));
    assert_eq!(kept(json!(["geoip"]), Value::Null, Value::Null), Value::Null);
    // Others are not told.
    assert_eq!(kept(json!(["other"]), origin.clone(), json!({"page": "/"})), json!({"page": "/"}));
    assert_eq!(kept(Value::Null, origin, Value::Null), Value::Null);
}
