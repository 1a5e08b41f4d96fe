//! What masters do through their puppets, over the machines.

use super::*;
use crate::conversation::Conversation;
use crate::queue::Queue;
use crate::realm::{Realm, RealmMember};
use crate::table::{ID, Table, forwards};
use crate::user::User;
use crate::view::Stream;
use levee_proto::attrs::{PuppetAttrs, RealmAttrs};
use serde_json::json;

/// An entity on which all act as puppets of `master`.
fn table<M: Machine>() -> Table<M> {
    let mut table = Table::new();
    table.master = Some("master");
    table
}

/// What a step tells: whom, which command of whose session it answers, and by which event.
fn told<R>(step: &Step<R>) -> Vec<(String, Value, Value)> {
    let orders = step.emits.iter().filter_map(|emit| match emit {
        Emit::Forward(to, order) => Some((to.id.to_string(), order.get("Told")?)),
        _ => None,
    });
    orders.map(|(to, told)| (to, told["command"].clone(), told["event"].clone())).collect()
}

/// The one event that a step tells the master in answer to a command of their session.
fn answered<R: std::fmt::Debug>(given: Result<Step<R>, Rejection>, action_id: u64) -> Value {
    let step = given.unwrap();
    let [(to, command, event)] = &told(&step)[..] else { panic!("{:?}", step.emits) };
    let expected = json!({"session": "session-of-master", "action_id": action_id});
    assert_eq!((to.as_str(), command), ("master", &expected));
    event.clone()
}

#[test]
fn a_master_is_told_what_its_puppet_comes_into() {
    let mut channel = table::<Conversation>();
    let made = channel.act("puppet", "create_channel", json!({"channel_attrs": {"name": "C"}}), &[]);
    let joined = answered(made, 1);
    assert_eq!(
        (&joined["event"], &joined["channel_attrs"]["owner_id"]),
        (&json!("channel_joined"), &json!("puppet"))
    );
    assert_eq!(joined["channel_members"]["puppet"]["member_attrs"]["operator"], true);
    let joined = answered(channel.act("second", "join_channel", json!({"channel_id": ID}), &[]), 2);
    assert_eq!(joined["channel_members"].as_object().unwrap().len(), 2);
    // Again: the first answer is on its way, or there.
    channel.act_as("second", Some(2), "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    // Without a number nobody waits.
    let quiet = channel.act_as("third", None, "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert!(told(&quiet).is_empty());
    // Whoever acts for themselves follows what they come into.
    channel.master = None;
    assert!(told(&channel.act("fourth", "join_channel", json!({"channel_id": ID}), &[]).unwrap()).is_empty());

    let made = table::<Realm>().act("puppet", "create_realm", json!({"realm_attrs": {"name": "R"}}), &[]);
    let joined = answered(made, 1);
    assert_eq!((&joined["event"], &joined["realm_attrs"]["name"]), (&json!("realm_joined"), &json!("R")));
}

/// A queue that the puppet `agent` serves.
fn queue() -> Table<Queue> {
    let mut table = table();
    let attrs = RealmAttrs { owner_id: Some("owner".into()), ..RealmAttrs::default() };
    let mut realm = Realm { attrs, ..Realm::default() };
    realm.members.insert("agent".into(), RealmMember::default());
    table.realm = Some(realm);
    table.order(json!({"Create": {"realm": "00r", "attrs": {}, "by": "owner", "command": null}})).unwrap();
    table.act("owner", "add_member", json!({"queue_id": ID, "user_id": "agent"}), &[]).unwrap();
    table
}

fn order<'a, R>(step: &'a Step<R>, name: &str) -> &'a Value {
    step.emits.iter().filter_map(Emit::forwarded).find_map(|(_, order)| order.get(name)).unwrap()
}

#[test]
fn a_master_queues_and_serves_through_puppets() {
    let mut queue = queue();
    let asked = queue.act("puppet", "request_audience", json!({"queue_id": ID}), &[]).unwrap();
    assert_eq!(order(&asked, "Waits")["stays"], true);
    let enqueued = answered(Ok(asked), 2);
    assert_eq!((&enqueued["event"], &enqueued["queue_position"]), (&json!("audience_enqueued"), &json!(1)));
    let accepted = queue.act("agent", "accept_audience", json!({"queue_id": ID}), &[]).unwrap();
    assert!(told(&accepted).is_empty(), "the channel answers");
    let open = order(&accepted, "Open");
    assert_eq!(open["masters"], json!({"agent": "master", "puppet": "master"}));

    let mut channel = Table::<Conversation>::new();
    let joined = answered(channel.order(json!({"Open": open})), 3);
    assert_eq!((&joined["event"], &joined["channel_id"]), (&json!("channel_joined"), &json!(ID)));
    assert_eq!(joined["channel_members"]["agent"]["member_attrs"]["operator"], true);
    assert!(told(&channel.order(json!({"Open": open})).unwrap()).is_empty(), "a copy");
    // The agent is there while the master is.
    let step = channel.order(json!("Look")).unwrap();
    let seek = json!({"Seek": {"conversation": ID, "puppet": "agent"}});
    assert!(step.emits.contains(&Emit::Tell(Stream::user(&"master".into()), seek)), "{:?}", step.emits);
    // Back in the queue, the customer waits as before.
    channel.order(json!({"Sought": {"user": "agent", "here": false}})).unwrap();
    let back = channel.order(json!("Look")).unwrap();
    assert_eq!(order(&back, "Return")["waiter"]["master"], "master");
    let again = queue.order(json!({"Return": order(&back, "Return")})).unwrap();
    assert_eq!(order(&again, "Waits")["stays"], true);
}

#[test]
fn a_master_is_told_how_a_transfer_ended() {
    let open = json!({"Open": {"realm": null, "metadata": null, "command": null, "accepted": 3,
        "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true},
        "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]]}});
    for (allowed, event) in [(true, "channel_parted"), (false, "error")] {
        let mut channel = table::<Conversation>();
        channel.order(open.clone()).unwrap();
        let wish = json!({"audience_id": "00x", "queue_id": "00r"});
        channel.act("agent", "transfer_audience", wish, &[]).unwrap();
        let seq = channel.entity.seq;
        let ended = channel.order(json!({"Transferred": {"seq": seq, "allowed": allowed}}));
        assert_eq!(answered(ended, 1)["event"], event);
    }
}

#[test]
fn a_puppet_waits_without_a_session_if_its_master_has_asked() {
    let mut table = Table::<User>::new();
    let new = json!({"attrs": {"guest": false}, "settings": {}, "identity": null, "master": "master"});
    table.order(json!({"Create": {"new": new}})).unwrap();
    let wait = |queue: &str, stays: bool| json!({"Waits": {"queue": queue, "audience": "00x", "seq": 7, "command": null, "stays": stays}});
    let step = table.order(wait("00q", false)).unwrap();
    assert_eq!(forwards(&step), [(Stream::queue(&"00q".into()), "Drop".to_owned())]);
    assert!(table.order(wait("00r", true)).unwrap().emits.is_empty());
    // Its sessions come and go.
    let enter =
        json!({"Enter": {"create": null, "proof": {"Master": "master"}, "session": "s", "row": "{}"}});
    table.order(enter).unwrap();
    table.order(wait("00q", false)).unwrap();
    let left = table.order(json!({"Leave": {"session": "s"}})).unwrap();
    assert_eq!(forwards(&left), [(Stream::queue(&"00q".into()), "Drop".to_owned())]);
    // A master needs no token of its puppet to delete it, and then it waits nowhere.
    table.master = Some("master");
    let deleted = table.act(ID, "delete_user", json!({}), &[]).unwrap();
    assert!(forwards(&deleted).contains(&(Stream::queue(&"00r".into()), "Drop".to_owned())));
}

fn named(name: &str) -> Puppet {
    Puppet { master: "master".into(), attrs: PuppetAttrs { name: Some(name.into()) } }
}

fn bodies<M: Machine>(step: &Step<Entry<M::Record>>) -> Vec<Value> {
    let views = step.records.iter().flat_map(|entry| M::views(&ID.into(), 1, 0, entry));
    views.filter_map(|view| Some(serde_json::from_str(view.body?.header()).unwrap())).collect()
}

#[test]
fn what_a_master_sets_of_a_puppet_is_shown_in_channels_of_the_masters_only() {
    for (owner, shown) in [("master", json!({"name": "P"})), ("somebody", Value::Null)] {
        let mut channel = Table::<Conversation>::new();
        channel.act(owner, "create_channel", json!({}), &[]).unwrap();
        channel.puppet = Some(named("P"));
        let joined = channel.act("puppet", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        assert_eq!(bodies::<Conversation>(&joined)[0]["puppet_attrs"], shown, "{owner}");
        let members = |channel: &mut Table<Conversation>| {
            let step = channel.act(owner, "describe_channel", json!({"channel_id": ID}), &[]).unwrap();
            let [Emit::Answer(Answer::Event(found))] = &step.emits[..] else { panic!("{step:?}") };
            let found: Value = serde_json::from_str(found.header()).unwrap();
            found["channel_members"]["puppet"]["puppet_attrs"].clone()
        };
        assert_eq!(members(&mut channel), shown, "{owner}");
        let card = json!({"name": "puppet"});
        let change = json!({"UserChanged": {"user": "puppet", "attrs": card, "puppet": named("Q")}});
        let changed = channel.order(change.clone()).unwrap();
        if owner == "master" {
            let heard = &bodies::<Conversation>(&changed)[0];
            assert_eq!(heard["puppet_masters"], json!({"master": {"puppet_attrs": {"name": "Q"}}}));
            assert_eq!(members(&mut channel), json!({"name": "Q"}));
        }
        assert_eq!(changed.records.is_empty(), owner != "master");
        assert!(channel.order(change).unwrap().records.is_empty(), "a copy");
    }
}

#[test]
fn a_realm_and_its_audiences_show_what_their_owner_sets_of_puppets() {
    let mut realm = Table::<Realm>::new();
    realm.act("master", "create_realm", json!({}), &[]).unwrap();
    realm.brought.puppet = Some(named("P"));
    let wish = json!({"realm_id": ID, "user_id": "agent", "member_attrs": {}});
    let added = realm.act("master", "add_member", wish, &[]).unwrap();
    assert_eq!(bodies::<Realm>(&added)[0]["puppet_attrs"], json!({"name": "P"}));
    assert_eq!(realm.entity.machine.members["agent"].puppet, Some(named("P")));
    let stranger = Puppet { master: "somebody".into(), ..named("P") };
    realm.order(json!({"Admit": {"user": "other", "card": {}, "puppet": stranger}})).unwrap();
    assert_eq!(realm.entity.machine.members["other"].puppet, None);

    let mut queue = queue();
    queue.realm.as_mut().unwrap().attrs.owner_id = Some("master".into());
    queue.puppet = Some(named("P"));
    queue.act("puppet", "request_audience", json!({"queue_id": ID}), &[]).unwrap();
    let accepted = queue.act("agent", "accept_audience", json!({"queue_id": ID}), &[]).unwrap();
    let mut channel = Table::<Conversation>::new();
    let joined = answered(channel.order(json!({"Open": order(&accepted, "Open")})), 3);
    for who in ["puppet", "agent"] {
        assert_eq!(joined["channel_members"][who]["puppet_attrs"], json!({"name": "P"}), "{who}");
    }
}

#[test]
fn those_who_see_a_puppet_hear_what_its_master_sets_anew() {
    let mut table = Table::<User>::new();
    let new = json!({"attrs": {}, "settings": {}, "identity": null, "master": "master"});
    table.order(json!({"Create": {"new": new}})).unwrap();
    table.order(json!({"Joined": {"channel": "00c", "seq": 1, "command": null}})).unwrap();
    table.order(json!({"RealmJoined": {"realm": "00r", "seq": 1, "command": null}})).unwrap();
    let enter = json!({"Enter": {"create": null, "proof": {"Master": "master"}, "session": "s", "row": "{}",
        "puppet": {"name": "Q"}}});
    let entered = table.order(enter).unwrap();
    let told = [Stream::conversation(&"00c".into()), Stream::realm(&"00r".into())];
    assert_eq!(forwards(&entered), told.map(|to| (to, "UserChanged".to_owned())));
    assert_eq!(order(&entered, "UserChanged")["puppet"], json!(named("Q")));
}
