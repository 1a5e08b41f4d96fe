use super::*;
use crate::machine::{Entry, Machine};
use crate::table::{ID, Table};
use crate::view::{To, View};

type Given = Step<Entry<ConversationRecord>>;

/// A channel of `owner` with a `member`.
fn channel(attrs: Value) -> Table<Conversation> {
    let mut table = Table::new();
    table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
    table.act("member", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    table
}

/// What a step tells: types and contents.
fn told(step: &Given) -> Vec<(String, Value)> {
    let message = |entry: &Entry<ConversationRecord>| match &entry.record {
        ConversationRecord::Message(message) if message.author.is_none() => {
            let name = message.message_type.strip_prefix("ninchat.com/info/").expect("an info message");
            Some((name.to_owned(), serde_json::from_slice(&message.parts[0].0).expect("JSON")))
        }
        _ => None,
    };
    step.records.iter().filter_map(message).collect()
}

/// The one message that a step tells.
fn one(step: &Given) -> (String, Value) {
    let mut all = told(step);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// How the last record of a step is shown.
fn shown(step: &Given) -> Vec<View> {
    Conversation::views(&ID.into(), 9, 0, step.records.last().expect("a record"))
}

fn act(table: &mut Table<Conversation>, user: &str, name: &str, header: Value) -> Given {
    table.act(user, name, header, &[]).unwrap()
}

#[test]
fn history_tells_who_came_and_went_and_why() {
    let mut table = channel(json!({"autosilence": true}));
    let step = act(&mut table, "third", "join_channel", json!({"channel_id": ID}));
    let content = json!({"user_id": "third", "user_name": "third", "member_silenced": true});
    assert_eq!(one(&step), ("join".into(), content));
    let step = act(&mut table, "third", "part_channel", json!({"channel_id": ID}));
    assert_eq!(one(&step), ("part".into(), json!({"user_id": "third", "user_name": "third"})));
    let remove = json!({"channel_id": ID, "user_id": "member"});
    let step = act(&mut table, "owner", "remove_member", remove);
    let content = json!({"user_id": "member", "user_name": "member", "cause": "member_remove"});
    assert_eq!(one(&step), ("part".into(), content));
    // The last one ends the channel: nobody reads of it.
    assert!(told(&act(&mut table, "owner", "part_channel", json!({"channel_id": ID}))).is_empty());
}

#[test]
fn an_action_is_answered_by_what_it_did_and_not_by_what_is_told_of_it() {
    let mut table = channel(json!({}));
    let header = json!({"channel_id": ID, "channel_attrs": {"topic": "t"}});
    let step = act(&mut table, "owner", "update_channel", header);
    assert!(matches!(step.records[0].record, ConversationRecord::Changed { .. }));
    assert!(step.records[0].command.is_some());
    assert!(shown(&step).iter().all(|view| !view.answers), "{step:?}");
}

#[test]
fn changes_of_attributes_are_told_with_what_they_were() {
    let mut table = channel(json!({"topic": "a"}));
    let change = |topic: &str| json!({"channel_id": ID, "channel_attrs": {"topic": topic}});
    let (name, content) = one(&act(&mut table, "owner", "update_channel", change("b")));
    assert_eq!(name, "channel");
    assert_eq!(
        (&content["channel_attrs_old"]["topic"], &content["channel_attrs_new"]["topic"]),
        (&json!("a"), &json!("b"))
    );
    assert_eq!(content.get("cause"), None);
    assert!(told(&act(&mut table, "owner", "update_channel", change("b"))).is_empty(), "nothing changed");
}

#[test]
fn silencing_is_told_and_typing_or_a_new_operator_is_not() {
    let mut table = channel(json!({}));
    let set = |attrs: Value| json!({"channel_id": ID, "user_id": "member", "member_attrs": attrs});
    for (silenced, told) in [(json!(true), true), (Value::Null, false)] {
        let step = act(&mut table, "owner", "update_member", set(json!({"silenced": silenced})));
        let content = json!({"user_id": "member", "user_name": "member", "member_silenced": told});
        assert_eq!(one(&step), ("member".into(), content));
    }
    for attrs in [json!({"moderator": true}), json!({"silenced": null})] {
        assert!(told(&act(&mut table, "owner", "update_member", set(attrs))).is_empty());
    }
    let typing = act(&mut table, "member", "update_member", set(json!({"writing": true})));
    assert!(typing.records.is_empty());
    let step = act(&mut table, "member", "update_member", set(json!({"invitee": true})));
    assert_eq!(one(&step).1["member_invitee"], true);
}

#[test]
fn a_new_name_is_told_in_channels_and_to_both_sides_of_a_dialogue_and_so_is_the_end_of_a_peer() {
    let rename = json!({"UserChanged": {"user": "member", "attrs": {"name": "new", "connected": true}}});
    let mut table = channel(json!({}));
    let content = json!({"user_id": "member", "user_name": "new", "user_name_old": "member"});
    assert_eq!(one(&table.order(rename.clone()).unwrap()), ("user".into(), content.clone()));
    let info = json!({"UserChanged": {"user": "member", "attrs": {"name": "new", "info": {"a": 1}}}});
    assert!(told(&table.order(info).unwrap()).is_empty(), "the name is as it was");

    let mut table: Table<Conversation> = Table::new();
    let send = json!({"user_id": "member", "message_type": "ninchat.com/text"});
    table.act("a", "send_message", send, &[r#"{"text":"hi"}"#]).unwrap();
    // The peer has the sender's card in this test.
    let step = table.order(rename).unwrap();
    assert_eq!(one(&step).1["user_name"], "new");
    let to: Vec<To> = shown(&step).into_iter().map(|view| view.to).collect();
    assert_eq!(to, [To::Only(vec!["member".into()]), To::Only(vec!["a".into()])]);
    let hide = json!({"user_id": "member", "dialogue_status": "hidden"});
    table.act("a", "update_dialogue", hide, &[]).unwrap();
    let gone = json!({"Gone": {"user": "member"}});
    let content = json!({"user_id": "member", "user_name": "new", "user_deleted": true});
    assert_eq!(one(&table.order(gone.clone()).unwrap()), ("user".into(), content));
    assert!(table.entity.machine.members["a"].hides, "it is no message that brings the dialogue back");
    assert!(table.order(gone).unwrap().records.is_empty(), "an order may come twice");
}

#[test]
fn an_audience_begins_for_its_customer_with_who_accepted_it_and_the_agent_is_not_told() {
    let mut table: Table<Conversation> = Table::new();
    let open = |by: &str, record: u64| {
        json!({"Open": {"realm": null, "metadata": null, "command": null, "accepted": record,
            "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer"},
            "members": [["customer", {}, {}], [by, {"name": "Ann"}, {"operator": true}]]}})
    };
    let only_customer = [To::Only(vec!["customer".into()])];
    for (by, record) in [("agent", 3), ("other", 9)] {
        let step = table.order(open(by, record)).unwrap();
        assert_eq!(one(&step), ("join".into(), json!({"user_id": by, "user_name": "Ann"})));
        assert_eq!(shown(&step).into_iter().map(|view| view.to).collect::<Vec<_>>(), only_customer);
    }
    assert_eq!(table.entity.machine.last_message, None, "there is nothing unread");
    // One who is added later is told to all.
    let join = ConversationRecord::Joined { user: "third".into(), member: Member::default(), added: true };
    let step = table.entity.machine.with_infos(Step::record(join));
    assert_eq!(step.records.len(), 2);
    let ConversationRecord::Message(message) = &step.records[1] else { panic!("{step:?}") };
    assert_eq!(message.recipients, None);
}

#[test]
fn a_transfer_is_the_cause_of_what_it_changes() {
    let mut table: Table<Conversation> = Table::new();
    table
        .order(json!({"Open": {"realm": null, "metadata": null, "command": null, "accepted": 3,
            "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer"},
            "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]]}}))
        .unwrap();
    act(&mut table, "agent", "transfer_audience", json!({"audience_id": "00x", "queue_id": "00r"}));
    let seq = table.entity.seq;
    let step = table.order(json!({"Transferred": {"seq": seq, "allowed": true}})).unwrap();
    let causes: Vec<_> =
        told(&step).into_iter().map(|(name, content)| (name, content["cause"].clone())).collect();
    let cause = json!("audience_transfer");
    assert_eq!(
        causes,
        [
            ("transfer/target".to_owned(), Value::Null),
            ("channel".to_owned(), cause.clone()),
            ("part".to_owned(), cause)
        ]
    );
}

#[test]
fn what_a_channel_does_not_want_is_not_told() {
    let mut table = channel(json!({"blacklisted_message_types": ["ninchat.com/info/join", "example.org/*"]}));
    assert!(told(&act(&mut table, "third", "join_channel", json!({"channel_id": ID}))).is_empty());
    let step = act(&mut table, "third", "part_channel", json!({"channel_id": ID}));
    assert_eq!(one(&step).0, "part");
    // What a change forbids is not told of it either.
    let quiet =
        json!({"channel_id": ID, "channel_attrs": {"blacklisted_message_types": ["ninchat.com/info/*"]}});
    assert!(told(&act(&mut table, "owner", "update_channel", quiet)).is_empty());
}
