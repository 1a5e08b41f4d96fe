//! Tables over what an audience's channel tells and keeps of its transcript.

use super::*;
use crate::machine::Due;
use crate::realm::{Realm, RealmMember};
use crate::table::{Given, ID, Table, forwards, refused};
use crate::view::Stream;
use levee_proto::attrs::{RealmAttrs, RealmMemberAttrs};
use serde_json::Value;

/// An audience in a realm, in which its customer (who said so when asking) and its agent have said something:
/// the records 2 and 3.
fn audience() -> Table<Conversation> {
    let mut table = Table::new();
    let member = |operator: bool| RealmMember {
        attrs: RealmMemberAttrs { operator: operator.then_some(true) },
        ..RealmMember::default()
    };
    let members = [("boss", true), ("agent", false), ("other", false)];
    table.realm = Some(Realm {
        attrs: RealmAttrs { owner_id: Some("owner".into()), ..RealmAttrs::default() },
        members: members.into_iter().map(|(id, operator)| (id.into(), member(operator))).collect(),
        ..Realm::default()
    });
    open(&mut table, "agent", 3, 2);
    for user in ["customer", "agent"] {
        say(&mut table, user);
    }
    table
}

fn open(table: &mut Table<Conversation>, agent: &str, accepted: u64, request: u64) {
    let attrs = json!({"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true});
    let order = json!({"Open": {"realm": "00r", "attrs": attrs,
        "members": [["customer", {}, {}], [agent, {}, {"operator": true}]],
        "metadata": {"secret": "from the customer"}, "command": null, "accepted": accepted,
        "request": {"time": 500_000, "seq": request}}});
    table.order(order).unwrap();
}

fn say(table: &mut Table<Conversation>, user: &str) {
    let header = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
    table.act(user, "send_message", header, &[r#"{"text":"a secret"}"#]).unwrap();
}

fn rate(table: &mut Table<Conversation>, user: &str, rating: i64) -> Step<Entry<ConversationRecord>> {
    let header = json!({"channel_id": ID, "message_type": "ninchat.com/metadata"});
    let payload = json!({"data": {"rating": rating}}).to_string();
    table.act(user, "send_message", header, &[&payload]).unwrap()
}

fn close(table: &mut Table<Conversation>) -> Step<Entry<ConversationRecord>> {
    let header = json!({"channel_id": ID, "channel_attrs": {"closed": true}});
    table.act("agent", "update_channel", header, &[]).unwrap()
}

/// What a step tells the queue.
fn told(step: &Step<Entry<ConversationRecord>>) -> Vec<&Value> {
    let orders = step.emits.iter().filter_map(|emit| match emit {
        Emit::Forward(to, order) if *to == Stream::queue(&"00q".into()) => Some(order),
        _ => None,
    });
    orders.collect()
}

fn get(table: &mut Table<Conversation>, user: &str) -> Result<Transcript, Rejection> {
    let step = table.act(user, "get_transcript", json!({"audience_id": "00x"}), &[])?;
    match step.emits.into_iter().next() {
        Some(Emit::Answer(Answer::Transcript(wanted))) => Ok(*wanted),
        other => panic!("{other:?}"),
    }
}

fn delete(table: &mut Table<Conversation>, user: &str) -> Given<Conversation> {
    table.act(user, "delete_transcript", json!({"audience_id": "00x"}), &[])
}

/// Whether anything that was said is in the records or in the state.
fn is_kept(table: &Table<Conversation>) -> bool {
    let records: Vec<_> = table.stored().into_iter().map(|(.., entry)| entry).collect();
    let stored = serde_json::to_string(&records).unwrap();
    let state = serde_json::to_string(&table.entity.machine).unwrap();
    [stored, state].iter().any(|text| text.contains("secret") || text.contains("rating\":1"))
}

#[test]
fn operators_and_who_served_the_audience_read_it_whole_and_members_what_they_see() {
    let mut table = audience();
    for user in ["owner", "boss", "agent"] {
        let wanted = get(&mut table, user).unwrap();
        assert!(wanted.whole && wanted.messages.hidden && wanted.messages.after == 0, "{user}");
        assert_eq!(wanted.head.audience_metadata.unwrap()["secret"], "from the customer");
        let members = json!({"agent": {"agent": true}, "customer": {"customer": true}});
        assert_eq!(json!(wanted.head.audience_members), members);
    }
    let wanted = get(&mut table, "customer").unwrap();
    assert!(!wanted.whole && !wanted.messages.hidden);
    for user in ["other", "stranger"] {
        assert_eq!(refused(get(&mut table, user).map(|_| ())), Some(ErrorType::AudienceNotFound), "{user}");
    }
    // Who has left it has served it still, as long as they belong to the realm.
    table.act("agent", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert!(get(&mut table, "agent").unwrap().whole);
    table.realm.as_mut().unwrap().members.remove("agent");
    assert_eq!(refused(get(&mut table, "agent").map(|_| ())), Some(ErrorType::AudienceNotFound));
}

#[test]
fn the_queue_hears_when_an_audience_ends_and_what_its_customer_thought_of_it() {
    let mut table = audience();
    rate(&mut table, "agent", 1);
    let step = close(&mut table);
    let ended = table.now;
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    let row = &order["Ended"]["audience"];
    let (audience, channel, agent) = (&row["audience"], &row["channel"], &row["agent"]);
    assert_eq!((audience, channel, agent), (&json!("00x"), &json!(ID), &json!("agent")));
    assert_eq!((&row["requested"], &row["ended"]), (&json!(500_000), &json!(ended)));
    assert_eq!(row["rating"], Value::Null, "the agent has no say in that");
    let step = rate(&mut table, "customer", -1);
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    let row = &order["Ended"]["audience"];
    assert_eq!((&row["ended"], &row["rating"]), (&json!(ended), &json!(-1)));
    assert!(told(&rate(&mut table, "customer", -1)).is_empty(), "nothing new");
    assert!(told(&rate(&mut table, "customer", 5)).is_empty(), "no rating");
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn an_audience_ends_when_its_customer_leaves_and_goes_on_when_it_is_accepted_again() {
    let mut table = audience();
    let step = table.act("customer", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert_eq!(told(&step).len(), 1);
    let first = table.now;
    let step = table.act("agent", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert!(told(&step).is_empty(), "it was over already");
    open(&mut table, "other", 9, 8);
    let step = close_by(&mut table, "other");
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    assert_eq!(order["Ended"]["instead"], json!(first));
    assert_eq!(order["Ended"]["audience"]["agent"], "other");
    assert!(get(&mut table, "agent").unwrap().whole);
    assert_eq!(table.replayed().machine, table.entity.machine);
}

fn close_by(table: &mut Table<Conversation>, user: &str) -> Step<Entry<ConversationRecord>> {
    let header = json!({"channel_id": ID, "channel_attrs": {"closed": true}});
    table.act(user, "update_channel", header, &[]).unwrap()
}

#[test]
fn what_was_said_is_erased_from_records_and_state_and_sequences_stay() {
    let mut table = audience();
    rate(&mut table, "customer", 1);
    close(&mut table);
    let (ended, before) = (table.now, table.entity.machine.clone());
    assert!(is_kept(&table));
    let step = delete(&mut table, "boss").unwrap();
    assert!(!is_kept(&table));
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    let expected = json!({"audience": "00x", "user": "customer", "requested": 500_000, "requests": [2],
        "ended": [ended]});
    assert_eq!(order["Erased"], expected);
    let after = &table.entity.machine;
    assert_eq!((&after.members, after.last_message), (&before.members, before.last_message));
    assert_eq!(table.replayed().machine, table.entity.machine);
    // Who missed them learns that they are gone; nobody finds them as history.
    let stored = table.stored();
    assert!(stored.iter().all(|(_, bits, _)| bits & flags::MESSAGE == 0));
    let views = super::super::views::of(&ID.into(), 2, 0, &stored[1].2.record);
    assert!(views[0].body.as_ref().unwrap().header().contains("message_deleted"));
    // What the customer adds later brings it into no list again.
    assert!(told(&rate(&mut table, "customer", 0)).is_empty());
}

#[test]
fn a_transcript_is_erased_when_its_time_has_come_once_or_twice() {
    let mut table = audience();
    close(&mut table);
    let step = table.order(json!({"EraseAt": {"time": 99_000_000}})).unwrap();
    assert_eq!(step.emits, [Emit::Wait(Timer::Transcript, Due::At(99_000_000))]);
    for _ in 0..2 {
        let step = table.order(json!("Erase")).unwrap();
        assert!(step.emits.contains(&Emit::Unwait(Timer::Transcript)));
        assert!(!is_kept(&table));
    }
}

#[test]
fn who_serves_an_audience_or_is_in_a_dialogue_erases_nothing() {
    let mut table = audience();
    for user in ["agent", "customer"] {
        assert_eq!(refused(delete(&mut table, user)), Some(ErrorType::PermissionDenied), "{user}");
    }
    for user in ["other", "stranger"] {
        assert_eq!(refused(delete(&mut table, user)), Some(ErrorType::AudienceNotFound), "{user}");
    }
    assert!(is_kept(&table));

    let mut table = Table::<Conversation>::new();
    let header = json!({"user_id": "ben", "message_type": "ninchat.com/text"});
    table.act("ann", "send_message", header, &[r#"{"text":"a secret"}"#]).unwrap();
    let both = json!({"dialogue_id": ["ann", "ben"]});
    for user in ["ann", "ben"] {
        let step = table.act(user, "get_transcript", both.clone(), &[]).unwrap();
        assert!(matches!(step.emits[..], [Emit::Answer(Answer::Transcript(_))]), "{user}");
        let given = table.act(user, "delete_transcript", both.clone(), &[]);
        assert_eq!(refused(given), Some(ErrorType::PermissionDenied), "{user}");
        // It is no channel.
        let given = table.act(user, "get_transcript", json!({"channel_id": ID}), &[]);
        assert_eq!(refused(given), Some(ErrorType::ChannelNotFound), "{user}");
    }
    for action in ["get_transcript", "delete_transcript"] {
        let given = table.act("cleo", action, both.clone(), &[]);
        assert_eq!(refused(given), Some(ErrorType::UserNotFound), "{action}");
    }
    assert!(is_kept(&table));
}

#[test]
fn the_transcript_of_an_audience_goes_with_its_channel() {
    let mut table = audience();
    for user in ["customer", "agent"] {
        table.act(user, "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    }
    let step = table.act("boss", "delete_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert!(!is_kept(&table));
    assert_eq!(forwards(&step).last().map(|(_, name)| name.as_str()), Some("Erased"));
    assert_eq!(refused(get(&mut table, "boss").map(|_| ())), Some(ErrorType::AudienceNotFound));
}

#[test]
fn an_audience_that_was_made_without_a_customer_is_listed_and_erased_too() {
    let mut table = audience();
    let realm = table.realm.take();
    let mut table = Table::<Conversation>::new();
    table.realm = realm;
    let attrs = json!({"audience_id": "00x", "queue_id": "00q"});
    let order = json!({"Open": {"realm": "00r", "attrs": attrs, "members": [["agent", {}, {"operator": true}]],
        "metadata": null, "command": null}});
    table.order(order).unwrap();
    table.entity.machine.attrs.public = Some(true);
    table.act("guest", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    say(&mut table, "guest");
    let step = close(&mut table);
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    assert_eq!(order["Ended"]["audience"]["agent"], "agent");
    assert_eq!(
        json!(get(&mut table, "agent").unwrap().head.audience_members),
        json!({"agent": {"agent": true}})
    );
    let step = delete(&mut table, "boss").unwrap();
    assert!(!is_kept(&table));
    let [order] = told(&step)[..] else { panic!("{step:?}") };
    assert_eq!(order["Erased"]["user"], Value::Null);
}
