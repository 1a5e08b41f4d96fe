use super::*;
use crate::conversation::ConversationRecord;
use crate::queue::tests::{REALM, queue};
use crate::site::SiteRow;
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

/// A site's questions, as somebody has answered them who names the site.
fn asked(table: &mut Table<Queue>, site: &SiteRow, action: &str, answers: &Value) -> Given<Queue> {
    let metadata = json!({"page": "/", "pre_answers": answers});
    table.found =
        Some(Found::Asked(Box::new(crate::site::Asked::new(Some(site), &[], metadata.as_object())), None));
    let header = json!({"queue_id": ID, "audience_metadata": metadata, "levee_site": "shop"});
    let given = table.act("customer", action, header, &[]);
    table.found = None;
    given
}

/// A site of the realm that asks for a name, words and a topic.
fn site() -> SiteRow {
    let options = ["order", "other", "write", "none"].map(|value| json!({"value": value}));
    let config = json!({"default": {"preAudienceQuestionnaire": [
        {"name": "first", "type": "group", "elements": [
            {"name": "userName", "element": "input"},
            {"name": "message", "element": "textarea"},
            {"name": "topic", "element": "radio", "required": true,
                "options": options}]},
        {"name": "l1", "logic": {"and": [{"topic": "order"}], "tags": ["t1"], "target": "_complete"}},
        {"name": "l2", "logic": {"and": [{"topic": "write"}], "tags": ["t1"], "target": "_register"}},
        {"name": "l3", "logic": {"and": [{"topic": "none"}], "target": "_close"}}]}});
    SiteRow { realm: REALM.into(), enabled: true, config: config.as_object().cloned().unwrap() }
}

fn waiter(step: &Step<Entry<QueueRecord>>) -> Waiter {
    match &step.records[0].record {
        QueueRecord::Requested { waiter } | QueueRecord::Registered { waiter, .. } => waiter.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_to_a_sites_questions_give_a_name_tags_and_first_words_once() {
    let mut table = queue();
    let answers =
        json!({"userName": "Cleo", "message": "Where is it?", "topic": "order", "tags": ["forged"]});
    let step = asked(&mut table, &site(), "request_audience", &answers).unwrap();
    let waits = waiter(&step);
    let kept = json!({"userName": "Cleo", "message": "Where is it?", "topic": "order", "tags": ["t1"]});
    assert_eq!(waits.metadata.as_ref().unwrap()["pre_answers"], kept);
    assert_eq!(waits.card.name.as_deref(), Some("Cleo"));
    assert!(forwards(&step).contains(&(Stream::user(&"customer".into()), "Rename".to_owned())));
    let accepted = table.act("agent", "accept_audience", json!({"queue_id": ID}), &[]).unwrap();
    let share = match &accepted.records[0].record {
        QueueRecord::Accepted { share, .. } => json!(share),
        other => panic!("{other:?}"),
    };
    assert_eq!(share["tags"], json!(["t1"]), "it counts for its tags from the start");
    let forwarded = accepted.emits.iter().filter_map(Emit::forwarded);
    let order = forwarded.map(|(_, order)| order.clone()).find(|order| order.get("Open").is_some());
    let mut channel: Table<Conversation> = Table::new();
    let opened = channel.order(order.clone().unwrap()).unwrap();
    let said = opened.records.iter().filter_map(|entry| match &entry.record {
        ConversationRecord::Message(message) => {
            let content: Value = serde_json::from_slice(&message.parts[0].0).unwrap();
            let author = message.author.clone().map(|(id, name)| (id.to_string(), name.map(String::from)));
            Some((message.message_type.to_string(), author, message.fold, content))
        }
        _ => None,
    });
    let said: Vec<_> = said.collect();
    let types: Vec<_> = said.iter().map(|(of, ..)| of.as_str()).collect();
    assert_eq!(types, ["ninchat.com/info/join", "ninchat.com/metadata", "ninchat.com/text"]);
    let (_, agent, fold, tags) = &said[1];
    assert_eq!((agent.as_ref().unwrap().0.as_str(), fold), ("agent", &true));
    assert_eq!(tags["data"], json!({"tag_ids": ["t1"]}));
    let (_, customer, fold, words) = &said[2];
    assert_eq!(customer, &Some(("customer".to_owned(), Some("Cleo".to_owned()))));
    assert_eq!((fold, words), (&false, &json!({"text": "Where is it?"})));
    assert!(!forwards(&opened).iter().any(|(_, name)| name == "Tally"), "nothing has changed since");
    assert!(channel.order(order.unwrap()).unwrap().records.is_empty(), "it opens once");
}

#[test]
fn answers_without_a_site_are_kept_as_they_are() {
    let mut table = queue();
    let answers = json!({"userName": "X", "message": "hi", "tags": ["t1"], "any": [1]});
    let metadata = json!({"queue_id": ID, "audience_metadata": {"pre_answers": answers}});
    let step = table.act("customer", "request_audience", metadata, &[]).unwrap();
    let waits = waiter(&step);
    assert_eq!(waits.metadata.unwrap()["pre_answers"], answers);
    assert_eq!((waits.prelude, waits.card.name.as_deref()), (None, Some("customer")));
}

#[test]
fn answers_that_lead_elsewhere_or_nowhere_are_refused() {
    let mut table = queue();
    enable(&mut table);
    let long = json!({"topic": "order", "userName": "x".repeat(513)});
    for (action, answers, reason) in [
        ("request_audience", json!({"topic": "write"}), "lead to a contact request"),
        ("request_audience", json!({"topic": "none"}), "lead to no audience"),
        ("register_audience", json!({"topic": "none"}), "lead to no audience"),
        ("request_audience", json!({}), "pre_answers/topic: is required"),
        ("request_audience", json!({"topic": "other", "x": 1}), "pre_answers/x: is no element"),
        ("request_audience", long, "userName of more than 512 bytes"),
    ] {
        let refusal = asked(&mut table, &site(), action, &answers).unwrap_err();
        assert_eq!(refusal.error_type, ErrorType::RequestMalformed, "{answers:.99}");
        assert!(refusal.reason.as_deref().unwrap_or_default().contains(reason), "{refusal:?}");
    }
    let many = json!({"queue_id": ID, "levee_environments": vec!["x"; 33]});
    assert_eq!(
        refused(table.act("customer", "request_audience", many, &[])),
        Some(ErrorType::RequestMalformed)
    );
    let elsewhere = SiteRow { realm: "00other".into(), ..site() };
    let refusal = refused(asked(&mut table, &elsewhere, "request_audience", &json!({"topic": "other"})));
    assert_eq!(refusal, Some(ErrorType::SiteNotFound));
    // A contact request is nobody's conversation: its tags are in its metadata.
    let step = asked(&mut table, &site(), "register_audience", &json!({"topic": "write"})).unwrap();
    let left = waiter(&step);
    assert_eq!(left.prelude, None);
    assert_eq!(left.metadata.unwrap()["pre_answers"], json!({"topic": "write", "tags": ["t1"]}));
}

#[test]
fn what_a_master_key_says_of_the_name_goes_before_what_the_customer_answers() {
    let mut table = queue();
    let authority = crate::found::Authority { owner: "owner".into(), realm: None };
    let opened = json!({"id": 5}).as_object().cloned().unwrap();
    let secure = Found::Secure(authority, opened, Some("Dr. Known".into()));
    let metadata = json!({"secure": "x", "pre_answers": {"userName": "Cleo", "topic": "other"}});
    let asked = crate::site::Asked::new(Some(&site()), &[], metadata.as_object());
    table.found = Some(Found::Asked(Box::new(asked), Some(Box::new(secure))));
    let header = json!({"queue_id": ID, "audience_metadata": metadata, "levee_site": "shop"});
    let waits = waiter(&table.act("customer", "request_audience", header, &[]).unwrap());
    assert_eq!(waits.card.name.as_deref(), Some("Dr. Known"));
    assert_eq!(waits.metadata.unwrap()["secure"], json!({"id": 5}));
}
