use super::*;
use crate::found::{Found, Reading};
use crate::machine::{Answer, Due, Emit, Step};
use crate::table::{Given, ID, Table, forwards, refused};
use crate::view::{Stream, To, roles};
use levee_proto::ErrorType;
use serde_json::{Value, json};

fn channel(attrs: Value) -> Table<Conversation> {
    let mut table = Table::new();
    table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
    table.act("member", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    table
}

/// What accepting an audience makes.
fn audience() -> Table<Conversation> {
    let mut table = Table::new();
    table
        .order(json!({"Open": {"realm": null, "attrs": {"audience_id": "00x", "private": true},
            "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]],
            "metadata": {"page": "/"}, "command": null}}))
        .unwrap();
    table
}

/// An audience that a queue's record accepted.
fn accepted(table: &mut Table<Conversation>, by: &str, record: u64) -> Step<Entry<ConversationRecord>> {
    table
        .order(json!({"Open": {"realm": null,
            "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true},
            "members": [["customer", {}, {}], [by, {}, {"operator": true}]],
            "metadata": {"page": "/"}, "command": null, "accepted": record}}))
        .unwrap()
}

fn sought(table: &mut Table<Conversation>, user: &str, here: bool) {
    table.order(json!({"Sought": {"user": user, "here": here}})).unwrap();
}

fn look(table: &mut Table<Conversation>) -> Step<Entry<ConversationRecord>> {
    table.order(json!("Look")).unwrap()
}

#[test]
fn an_agent_who_is_there_when_sought_keeps_the_audience() {
    let mut table = Table::new();
    assert!(accepted(&mut table, "agent", 3).emits.contains(&Emit::Wait(Timer::Agent, Due::AgentTimeout)));
    for here in [true, true, false] {
        let step = look(&mut table);
        assert!(
            step.records.is_empty() && step.emits.contains(&Emit::Wait(Timer::Agent, Due::AgentTimeout)),
            "{step:?}"
        );
        let seek = Emit::Tell(Stream::user(&"agent".into()), json!({"Seek": {"conversation": ID}}));
        assert!(step.emits.contains(&seek), "{step:?}");
        sought(&mut table, "agent", here);
    }
    // Back in time.
    table.order(json!({"Presence": {"user": "agent", "connected": true}})).unwrap();
    assert!(look(&mut table).records.is_empty());
    // Nobody answered: nothing is known.
    assert!(look(&mut table).records.is_empty());
}

#[test]
fn a_customer_whose_agent_vanished_goes_back_to_the_queue_and_is_met_again() {
    let mut table = Table::new();
    accepted(&mut table, "agent", 3);
    look(&mut table);
    sought(&mut table, "agent", false);
    let step = look(&mut table);
    let orders = forwards(&step);
    let names: Vec<&str> = orders.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["Parted", "Return"]);
    assert!(step.emits.contains(&Emit::Unwait(Timer::Agent)));
    assert_eq!(table.entity.machine.members.keys().collect::<Vec<_>>(), ["customer"]);
    // A copy of the first order to open changes nothing; a second acceptance does.
    assert!(accepted(&mut table, "agent", 3).records.is_empty());
    let again = accepted(&mut table, "other", 9);
    assert_eq!(forwards(&again), [(Stream::user(&"other".into()), "Joined".into())]);
    assert!(table.entity.machine.members.contains_key("other"));
    assert!(again.emits.contains(&Emit::Wait(Timer::Agent, Due::AgentTimeout)));
    assert!(accepted(&mut table, "other", 9).records.is_empty());
}

#[test]
fn a_customer_who_left_the_channel_for_the_queue_is_in_it_again_and_can_write() {
    let mut table = Table::new();
    accepted(&mut table, "agent", 3);
    look(&mut table);
    sought(&mut table, "agent", false);
    look(&mut table);
    table.act("customer", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    let again = accepted(&mut table, "other", 9);
    let joined = [("customer", "Joined"), ("other", "Joined")];
    assert_eq!(forwards(&again), joined.map(|(user, name)| (Stream::user(&user.into()), name.into())));
    assert_eq!(messages(&say(&mut table, "customer", "and then").unwrap()), 1);
}

#[test]
fn an_audience_that_is_over_is_not_looked_after() {
    let mut table = Table::new();
    accepted(&mut table, "agent", 3);
    table.order(json!("QueueGone")).unwrap();
    assert!(table.entity.machine.attrs.closed.is_some());
    sought(&mut table, "agent", false);
    let step = look(&mut table);
    assert_eq!((step.records.len(), step.emits), (0, vec![Emit::Unwait(Timer::Agent)]));
}

fn say(table: &mut Table<Conversation>, user: &str, text: &str) -> Given<Conversation> {
    let payload = json!({ "text": text }).to_string();
    table.act(
        user,
        "send_message",
        json!({"channel_id": ID, "message_type": "ninchat.com/text"}),
        &[&payload],
    )
}

fn messages(step: &Step<Entry<ConversationRecord>>) -> usize {
    step.records.iter().filter(|entry| matches!(entry.record, ConversationRecord::Message(_))).count()
}

#[test]
fn members_talk_and_others_learn_nothing() {
    let mut table = channel(json!({"name": "c"}));
    assert_eq!(messages(&say(&mut table, "member", "hi").unwrap()), 1);
    assert_eq!(refused(say(&mut table, "stranger", "hi")), Some(ErrorType::ChannelNotFound));
}

#[test]
fn a_command_that_comes_twice_is_one_message() {
    let mut table = channel(json!({}));
    let send = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
    let first = table.act_as("owner", Some(50), "send_message", send.clone(), &["{\"text\":\"a\"}"]).unwrap();
    let again = table.act_as("owner", Some(50), "send_message", send, &["{\"text\":\"a\"}"]).unwrap();
    assert_eq!((messages(&first), messages(&again)), (1, 0));
}

#[test]
fn closed_suspended_and_silenced_take_no_text() {
    for attrs in [json!({"closed": true}), json!({"suspended": true})] {
        let mut table = channel(json!({}));
        table.act("owner", "update_channel", json!({"channel_id": ID, "channel_attrs": attrs}), &[]).unwrap();
        assert_eq!(refused(say(&mut table, "member", "hi")), Some(ErrorType::PermissionDenied));
    }
    let mut table = channel(json!({}));
    let silence = json!({"channel_id": ID, "user_id": "member", "member_attrs": {"silenced": true}});
    assert_eq!(
        refused(table.act("member", "update_member", silence.clone(), &[])),
        Some(ErrorType::PermissionDenied)
    );
    table.act("owner", "update_member", silence, &[]).unwrap();
    assert_eq!(refused(say(&mut table, "member", "hi")), Some(ErrorType::PermissionDenied));
    assert!(say(&mut table, "owner", "hi").is_ok());
}

#[test]
fn tags_and_notes_can_be_added_after_the_end() {
    let mut table = audience();
    table
        .act("agent", "update_channel", json!({"channel_id": ID, "channel_attrs": {"closed": true}}), &[])
        .unwrap();
    let metadata = json!({"channel_id": ID, "message_type": "ninchat.com/metadata", "message_fold": true});
    let step = table.act("agent", "send_message", metadata, &[r#"{"data":{"tag_ids":["t"]}}"#]).unwrap();
    assert_eq!(messages(&step), 1);
    let member = table.entity.machine.message_metadata.get("agent").unwrap();
    assert_eq!(member["tag_ids"], json!(["t"]));
}

#[test]
fn a_private_channel_looks_absent_from_outside() {
    let mut table = audience();
    for name in ["describe_channel", "join_channel", "update_channel", "part_channel"] {
        let header = json!({"channel_id": ID, "channel_attrs": {"name": "x"}});
        let refusal = table.act("stranger", name, header, &[]).err().map(|r| (r.error_type, r.reason));
        assert_eq!(refusal, Some((ErrorType::ChannelNotFound, None)), "{name}");
    }
    let mut nothing: Table<Conversation> = Table::new();
    let absent = nothing.act("stranger", "describe_channel", json!({"channel_id": ID}), &[]).unwrap_err();
    let hidden = table.act("stranger", "describe_channel", json!({"channel_id": ID}), &[]).unwrap_err();
    assert_eq!(absent, hidden);
}

#[test]
fn only_those_who_may_change_a_channel_change_it() {
    let mut table = channel(json!({"name": "c"}));
    for (user, attrs) in [
        ("member", json!({"name": "x"})),
        ("owner", json!({"owner_id": "member"})),
        ("owner", json!({"public": true})),
    ] {
        let change = json!({"channel_id": ID, "channel_attrs": attrs});
        assert_eq!(
            refused(table.act(user, "update_channel", change, &[])),
            Some(ErrorType::PermissionDenied)
        );
    }
    let rename = json!({"channel_id": ID, "channel_attrs": {"name": "new", "topic": null}});
    table.act("owner", "update_channel", rename, &[]).unwrap();
    assert_eq!(table.entity.machine.attrs.name.as_deref(), Some("new"));
}

#[test]
fn typing_is_shown_and_not_stored() {
    let mut table = channel(json!({}));
    let typing = |on: Value| json!({"channel_id": ID, "user_id": "member", "member_attrs": {"writing": on}});
    let step = table.act("member", "update_member", typing(json!(true)), &[]).unwrap();
    assert!(step.records.is_empty() && matches!(step.emits[..], [Emit::Publish(_)]));
    assert_eq!(table.entity.machine.members["member"].attrs.writing, Some(true));
    table.act("member", "update_member", typing(json!(false)), &[]).unwrap();
    assert_eq!(table.entity.machine.members["member"].attrs.writing, None);
    assert_eq!(
        refused(table.act("owner", "update_member", typing(json!(true)), &[])),
        Some(ErrorType::PermissionDenied)
    );
}

#[test]
fn a_message_with_a_time_to_live_is_shown_and_not_stored() {
    let mut table = channel(json!({}));
    let send = json!({"channel_id": ID, "message_type": "ninchat.com/text", "message_ttl": 5.0});
    let step = table.act("owner", "send_message", send, &["{\"text\":\"a\"}"]).unwrap();
    assert!(step.records.is_empty() && matches!(step.emits[..], [Emit::Publish(_)]));
}

#[test]
fn a_message_to_some_is_for_them_and_its_author() {
    let mut table = channel(json!({}));
    let send = |to: &str| json!({"channel_id": ID, "message_type": "ninchat.com/text", "message_recipient_ids": [to]});
    let text = ["{\"text\":\"a\"}"];
    let step = table.act("owner", "send_message", send("member"), &text).unwrap();
    let views = Conversation::views(&ID.into(), 3, 0, &step.records[0]);
    assert_eq!(views[0].to, To::Only(vec!["member".into(), "owner".into()]));
    assert_eq!(
        refused(table.act("owner", "send_message", send("stranger"), &text)),
        Some(ErrorType::UserNotFound)
    );
}

#[test]
fn a_hidden_message_is_for_moderators_and_its_author() {
    let mut table = channel(json!({}));
    let hide = json!({"channel_id": ID, "user_id": "member", "member_attrs": {"autohide": true}});
    table.act("owner", "update_member", hide, &[]).unwrap();
    let step = say(&mut table, "member", "spam").unwrap();
    let views = Conversation::views(&ID.into(), 3, 0, &step.records[0]);
    let sees = |user: &str, has| views[0].to.means(&user.into(), &"s".into(), has);
    assert!(sees("member", roles::MEMBER) && sees("owner", roles::MEMBER | roles::MODERATOR));
    assert!(!sees("another", roles::MEMBER));
}

#[test]
fn the_last_one_to_leave_suspends_an_audience_and_ends_any_other_channel() {
    let part = json!({"channel_id": ID});
    let mut table = audience();
    table.act("customer", "part_channel", part.clone(), &[]).unwrap();
    table.act("agent", "part_channel", part.clone(), &[]).unwrap();
    assert_eq!(table.entity.machine.attrs.suspended, Some(true));
    let mut table = channel(json!({}));
    table.act("member", "part_channel", part.clone(), &[]).unwrap();
    table.act("owner", "part_channel", part, &[]).unwrap();
    assert!(!table.entity.machine.exists());
}

#[test]
fn a_dialogue_begins_with_its_first_message_and_has_a_view_for_each_side() {
    let mut table: Table<Conversation> = Table::new();
    let send = json!({"user_id": "b", "message_type": "ninchat.com/text"});
    let step = table.act("a", "send_message", send.clone(), &["{\"text\":\"hi\"}"]).unwrap();
    assert_eq!(forwards(&step).len(), 2);
    let views = Conversation::views(&ID.into(), 2, 0, &step.records[1]);
    let header = |at: usize| -> Value {
        serde_json::from_str(&views[at].body.as_ref().unwrap().framed(Default::default())).unwrap()
    };
    assert_eq!((&header(0)["user_id"], &header(1)["user_id"]), (&json!("b"), &json!("a")));
    let again = table.act("a", "send_message", send, &["{\"text\":\"hi\"}"]).unwrap();
    assert_eq!((again.records.len(), forwards(&again).len()), (1, 0));
}

#[test]
fn history_is_for_members_and_begins_where_it_may() {
    let mut table = channel(json!({}));
    let load = json!({"channel_id": ID, "history_order": 1, "message_id": ""});
    let step = table.act("member", "load_history", load.clone(), &[]).unwrap();
    let [Emit::Answer(Answer::History(wanted))] = &step.emits[..] else { panic!("no history") };
    let joined = table.entity.machine.members["member"].joined;
    assert_eq!(wanted.after, joined - 1, "what was said before joining is not disclosed");
    assert_eq!(refused(table.act("stranger", "load_history", load, &[])), Some(ErrorType::ChannelNotFound));
    for bad in [json!({"history_order": 2}), json!({"message_id": "x"}), json!({"filter_property": "text"})] {
        let mut header = json!({"channel_id": ID});
        header.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(
            refused(table.act("member", "load_history", header, &[])),
            Some(ErrorType::RequestMalformed)
        );
    }
}

#[test]
fn opening_twice_opens_once() {
    let mut table = audience();
    let seq = table.entity.seq;
    table
        .order(
            json!({"Open": {"realm": null, "attrs": {}, "members": [], "metadata": null, "command": null}}),
        )
        .unwrap();
    assert_eq!(table.entity.seq, seq);
}

#[test]
fn a_member_is_told_what_is_unread_and_nobody_else_is() {
    let mut table = channel(json!({"name": "x"}));
    let status = |table: &mut Table<Conversation>, user: &str, reading: Option<Reading>| {
        table.found = reading.map(Found::Reading);
        let step = table.act(user, "describe_channel", json!({"channel_id": ID}), &[]).unwrap();
        let [Emit::Answer(Answer::Event(body))] = &step.emits[..] else { panic!("{step:?}") };
        serde_json::from_str::<Value>(body.header()).unwrap()["channel_status"].clone()
    };
    let read = |read: Option<u64>, highlighted: bool| Some(Reading { read, highlighted });
    assert_eq!(status(&mut table, "member", read(None, false)), Value::Null, "nobody has written");
    table.found = None;
    let message = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
    table.act("owner", "send_message", message, &[r#"{"text":"x"}"#]).unwrap();
    let last = table.entity.seq;
    for (user, reading, expected) in [
        ("member", read(None, false), json!("unread")),
        ("member", read(Some(last - 1), false), json!("unread")),
        ("member", read(Some(last - 1), true), json!("highlight")),
        ("member", read(Some(last), true), Value::Null),
        ("owner", read(None, false), json!("unread")),
        ("stranger", read(None, true), Value::Null),
        ("member", None, Value::Null),
    ] {
        assert_eq!(status(&mut table, user, reading), expected, "{user} {reading:?}");
    }
}
