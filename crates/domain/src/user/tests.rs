use super::*;
use crate::identity::{IDENTITIES, PASSWORDS};
use crate::machine::Emit;
use crate::table::{ID, Table, forwards, refused};
use crate::view::{Effect, Kind};
use levee_proto::ids;

fn user(attrs: Value) -> Table<User> {
    let mut table = Table::new();
    let create = json!({"attrs": attrs, "settings": {}, "auth": ids::digest("token"), "identity": null});
    table.order(enter(create, json!("Verified"), "s1")).unwrap();
    table
}

fn identity() -> Value {
    json!({"identity": {"type": "email", "name": "a@b.c"}, "attrs": {"auth": true}, "password": "hash",
        "asks": null})
}

fn enter(create: Value, proof: Value, session: &str) -> Value {
    json!({"Enter": {"create": create, "proof": proof, "session": session, "row": "{}"}})
}

fn token(secret: &str) -> Value {
    json!({"Token": ids::digest(secret)})
}

#[test]
fn a_session_opens_for_whoever_has_the_token() {
    let mut table = user(json!({"name": "A"}));
    assert_eq!(refused(table.order(enter(Value::Null, token("wrong"), "s2"))), Some(ErrorType::AccessDenied));
    assert!(table.order(enter(Value::Null, token("token"), "s2")).is_ok());
    assert_eq!(table.entity.machine.sessions.len(), 2);
    let mut nobody: Table<User> = Table::new();
    for proof in [json!("Verified"), token("token")] {
        assert_eq!(refused(nobody.order(enter(Value::Null, proof, "s"))), Some(ErrorType::AccessDenied));
    }
}

#[test]
fn a_new_user_is_a_guest_unless_said_otherwise() {
    assert_eq!(user(json!({})).entity.machine.attrs.guest, Some(true));
    assert_eq!(user(json!({"guest": false})).entity.machine.attrs.guest, None);
}

#[test]
fn nobody_makes_themselves_an_administrator() {
    let mut table: Table<User> = Table::new();
    let create = json!({"attrs": {"admin": true}, "settings": {}, "auth": "x", "identity": null});
    assert_eq!(
        refused(table.order(enter(create, json!("Verified"), "s"))),
        Some(ErrorType::PermissionDenied)
    );
    let mut table = user(json!({"guest": false}));
    for attrs in [json!({"admin": true}), json!({"guest": true}), json!({"connected": true})] {
        let refusal = refused(table.act(ID, "update_user", json!({"user_attrs": attrs}), &[]));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied), "{attrs}");
    }
}

#[test]
fn an_identity_is_claimed_with_the_user() {
    let mut table: Table<User> = Table::new();
    let create = json!({"attrs": {}, "settings": {}, "auth": "x", "identity": identity()});
    let step = table.order(enter(create, json!("Verified"), "s")).unwrap();
    let keys = step.emits.iter().filter_map(|emit| match emit {
        Emit::Claim(claim) => Some((claim.namespace, claim.key.as_str(), claim.absent)),
        _ => None,
    });
    let keys = keys.collect::<Vec<_>>();
    let identity = "email:a@b.c";
    assert_eq!(keys, [(IDENTITIES, identity, true), (PASSWORDS, identity, false), (SESSIONS, "s", true)]);
}

#[test]
fn who_leaves_for_good_waits_no_more_and_a_guest_is_nowhere_any_more() {
    let mut table = user(json!({}));
    table.order(json!({"Waits": {"queue": "00q", "audience": "00w", "seq": 1, "command": null}})).unwrap();
    table.order(json!({"Joined": {"channel": "00c", "seq": 1, "command": null}})).unwrap();
    table.order(enter(Value::Null, token("token"), "s2")).unwrap();
    let first = table.order(json!({"Leave": {"session": "s1"}})).unwrap();
    assert!(forwards(&first).is_empty(), "another session is still there");
    let last = table.order(json!({"Leave": {"session": "s2"}})).unwrap();
    let orders = [
        (Stream::new(Kind::Queue, "00q"), "Drop".into()),
        (Stream::new(Kind::Conversation, "00c"), "Gone".into()),
    ];
    assert_eq!(forwards(&last), orders);
    assert_eq!(refused(table.order(enter(Value::Null, token("token"), "s3"))), Some(ErrorType::AccessDenied));
}

#[test]
fn orders_that_arrive_twice_are_harmless() {
    let mut table = user(json!({}));
    for order in [
        json!({"Joined": {"channel": "00c", "seq": 1, "command": null}}),
        json!({"RealmJoined": {"realm": "00r", "seq": 1, "command": null}}),
        json!({"QueueJoined": {"queue": "00q", "seq": 1}}),
        json!({"Waits": {"queue": "00w", "audience": "00a", "seq": 1, "command": null}}),
        json!({"Met": {"peer": "00p", "dialogue": "00d", "seq": 1, "command": null}}),
        json!({"Told": {"command": {"session": "s1", "action_id": 4}, "event": {"event": "queue_created"}}}),
        json!({"Parted": {"channel": "00c"}}),
        json!({"WaitsNot": {"queue": "00w", "audience": "00a"}}),
    ] {
        assert_eq!(table.order(order.clone()).unwrap().records.len(), 1, "{order}");
        assert_eq!(table.order(order.clone()).unwrap().records.len(), 0, "{order}");
    }
}

#[test]
fn sessions_learn_what_to_follow() {
    let mut table = user(json!({}));
    let step = table.order(json!({"Joined": {"channel": "00c", "seq": 7, "command": null}})).unwrap();
    let views = User::views(&ID.into(), 3, 0, &step.records[0]);
    let stream = Stream::new(Kind::Conversation, "00c");
    assert_eq!(views[0].effect, Effect::Follow { stream: stream.clone(), from: 7, command: None });
    assert_eq!(table.entity.machine.follows(), [(stream, Entered { seq: 7, command: None })]);
}

#[test]
fn deleting_takes_the_token_except_for_guests() {
    let mut table = user(json!({"guest": false}));
    for auth in [Value::Null, json!("wrong")] {
        let refusal = refused(table.act(ID, "delete_user", json!({"user_auth": auth}), &[]));
        assert_eq!(refusal, Some(ErrorType::AccessDenied));
    }
    table.act(ID, "delete_user", json!({"user_auth": "token"}), &[]).unwrap();
    assert_eq!(refused(table.act("other", "describe_user", json!({}), &[])), Some(ErrorType::UserNotFound));
    assert!(user(json!({})).act(ID, "delete_user", json!({}), &[]).is_ok());
}

#[test]
fn others_see_neither_settings_nor_identities() {
    let mut table: Table<User> = Table::new();
    let create = json!({"attrs": {}, "settings": {"k": 1}, "auth": "x", "identity": identity()});
    table.order(enter(create, json!("Verified"), "s")).unwrap();
    assert!(table.entity.machine.visible_identities(false).is_empty());
    assert!(!table.entity.machine.visible_identities(true).is_empty());
    let id = Id::from(ID);
    let at = table.entity.moment(0, &id, None);
    assert_eq!(table.entity.machine.glance(&at, &"other".into()).roles, 0);
}

#[test]
fn who_is_met_at_once_still_hears_that_they_waited() {
    let mut table = user(json!({}));
    let enqueued = json!({"queue_id": "00q", "queue_attrs": {}, "queue_position": 3, "audience_id": "00w"});
    let waits = json!({"Waits": {"queue": "00q", "audience": "00w", "seq": 7, "command": null, "enqueued": enqueued}});
    let step = table.order(waits).unwrap();
    let views = User::views(&ID.into(), 2, 0, &step.records[0]);
    assert_eq!(views.len(), 1);
    let body = views[0].body.as_ref().unwrap();
    let event: Value = serde_json::from_str(body.header()).unwrap();
    assert_eq!((&event["event"], &event["queue_position"]), (&json!("audience_enqueued"), &json!(3)));
    let stream = Stream::queue(&"00q".into());
    assert_eq!(views[0].effect, Effect::Follow { stream, from: 7, command: None });
}

#[test]
fn a_key_to_ones_own_sessions_opens_them_until_the_user_is_gone() {
    let mut table = user(json!({"guest": false}));
    let header = json!({"access_type": "session"});
    assert_eq!(
        refused(table.act("other", "create_access", header.clone(), &[])),
        Some(ErrorType::PermissionDenied)
    );
    let step = table.act(ID, "create_access", header, &[]).unwrap();
    let secret = table.secret();
    assert!(!serde_json::to_string(&step.records).unwrap().contains(secret.as_str()));
    let proof = |key: &str| json!({"Access": ids::digest(key)});
    let forged = table.order(enter(Value::Null, proof("guessed"), "s2"));
    assert_eq!(refused(forged), Some(ErrorType::AccessDenied));
    for session in ["s2", "s3"] {
        assert!(table.order(enter(Value::Null, proof(&secret), session)).is_ok());
    }
    let step = table.act(ID, "delete_user", json!({"user_auth": "token"}), &[]).unwrap();
    let digest = ids::digest(&secret);
    assert!(
        step.emits.iter().any(|emit| matches!(emit, Emit::Claim(c) if c.key == digest && c.value.is_none()))
    );
    let late = table.order(enter(Value::Null, proof(&secret), "s4"));
    assert_eq!(refused(late), Some(ErrorType::AccessDenied));
}

#[test]
fn a_customer_by_a_key_outlives_sessions_until_the_audience_ends() {
    let create = json!({"attrs": {"name": "Dora"}, "settings": {}, "host": "00c", "identity": null});
    let proof = json!({"Audience": ["00c", "digest"]});
    let channel = Stream::new(Kind::Conversation, "00c");
    let mut table: Table<User> = Table::new();
    for session in ["s1", "s2"] {
        let step = table.order(enter(create.clone(), proof.clone(), session)).unwrap();
        assert_eq!(forwards(&step), [(channel.clone(), "Admit".to_owned())]);
        table.order(json!({"Leave": {"session": session}})).unwrap();
        assert_eq!(table.entity.machine.attrs.deleted, None);
    }
    let other = table.order(enter(create.clone(), json!({"Audience": ["00d", "digest"]}), "s3"));
    assert_eq!(refused(other), Some(ErrorType::AccessDenied));
    table.order(json!({"HostGone": {"channel": "00d"}})).unwrap();
    assert_eq!(table.entity.machine.attrs.deleted, None);
    table.order(json!({"HostGone": {"channel": "00c"}})).unwrap();
    assert_eq!(table.entity.machine.attrs.deleted, Some(true), "nobody is there");
    assert_eq!(refused(table.order(enter(create, proof, "s4"))), Some(ErrorType::AccessDenied));
}
