use super::*;
use crate::file::Content;
use crate::found::Found;
use crate::machine::Entry;
use crate::table::{Given, ID, Table, forwards, refused};
use levee_proto::ErrorType;
use serde_json::Value;
use std::sync::Arc;

/// A channel in which members may send files, with an owner and a member.
fn channel(attrs: Value) -> Table<Conversation> {
    let mut table = Table::new();
    table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
    table.act("member", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    table
}

fn described(file: &str, owner: &str) -> Value {
    json!(Described {
        file: file.into(),
        owner: owner.into(),
        conversation: ID.into(),
        icon: false,
        name: "a.txt".into(),
        key: "k".into(),
        expires: 1_000_000_000,
        content: Content { size: 3, sha256: "abc".into(), media_type: "text/plain".into(), thumbnail: None },
    })
}

fn take(table: &mut Table<Conversation>, owner: &str, file: &str) -> Step<Entry<ConversationRecord>> {
    let file = described(file, owner);
    table.order(json!({"TakeFile": {"file": file, "card": {"name": "Ann"}, "peer": null}})).unwrap()
}

fn create(table: &mut Table<Conversation>, user: &str, attrs: Value) -> Given<Conversation> {
    table.act(user, "levee_create_upload", json!({"channel_id": ID, "file_attrs": attrs}), &[])
}

fn messages(step: &Step<Entry<ConversationRecord>>) -> usize {
    step.records.iter().filter(|entry| matches!(entry.record, ConversationRecord::Message(_))).count()
}

/// What is shown that is not stored: to whom, and the event.
fn shown(step: &Step<Entry<ConversationRecord>>) -> Vec<(To, Value)> {
    let views = step.emits.iter().flat_map(|emit| match emit {
        Emit::Publish(views) => views.clone(),
        _ => Vec::new(),
    });
    views.map(|view| (view.to, serde_json::from_str(view.body.unwrap().header()).unwrap())).collect()
}

#[test]
fn who_may_send_files_is_told_what_an_upload_will_be() {
    let mut table = channel(json!({"upload": "member"}));
    let step = create(&mut table, "member", json!({"name": "../a.txt", "size": 5})).unwrap();
    let upload = json!({"owner": "member", "conversation": ID, "name": "a.txt", "size": 5});
    assert_eq!(step.emits, [Emit::Answer(Answer::Value(json!({"upload": upload})))]);
    assert!(step.records.is_empty());
    for (user, attrs, error) in [
        ("stranger", json!({"name": "a"}), ErrorType::ChannelNotFound),
        ("member", json!({}), ErrorType::RequestMalformed),
        ("member", json!({"name": null}), ErrorType::RequestMalformed),
        ("member", json!({"name": "a", "type": "x"}), ErrorType::PermissionDenied),
    ] {
        assert_eq!(refused(create(&mut table, user, attrs.clone())), Some(error), "{user} {attrs}");
    }
    let mut table = channel(json!({"upload": "operator"}));
    let outcome = create(&mut table, "member", json!({"name": "a"}));
    assert_eq!(refused(outcome), Some(ErrorType::PermissionDenied));
    let alone = json!({"user_id": "ann", "file_attrs": {"name": "a"}});
    let outcome = Table::<Conversation>::new().act("ann", "levee_create_upload", alone, &[]);
    assert_eq!(refused(outcome), Some(ErrorType::PermissionDenied), "a dialogue takes two");
}

#[test]
fn a_complete_file_is_a_message_once() {
    let mut table = channel(json!({"upload": "member"}));
    let step = take(&mut table, "member", "00f");
    assert_eq!((messages(&step), forwards(&step)), (1, vec![(Stream::file(&"00f".into()), String::new())]));
    assert!(step.emits.contains(&Emit::Forward(Stream::file(&"00f".into()), json!("Posted"))));
    let [(to, event)] = &shown(&step)[..] else { panic!("one event") };
    assert_eq!((to, &event["upload_ended"]), (&To::Roles(roles::MEMBER), &json!("completed")));
    assert!(take(&mut table, "member", "00f").records.is_empty());
    // Neither does it come again when it was erased, whoever has read the records by then.
    table.act("owner", "delete_transcript", json!({"channel_id": ID}), &[]).unwrap();
    assert!(take(&mut table, "member", "00f").records.is_empty());
    table.entity = table.replayed();
    assert!(take(&mut table, "member", "00f").records.is_empty());
    assert_eq!(messages(&take(&mut table, "member", "00g")), 1);
}

#[test]
fn a_file_that_may_not_be_sent_any_more_is_told_so() {
    let suspend = json!({"channel_id": ID, "channel_attrs": {"suspended": true}});
    let part = json!({"channel_id": ID});
    for (user, action, header) in [("owner", "update_channel", suspend), ("member", "part_channel", part)] {
        let mut table = channel(json!({"upload": "member"}));
        table.act(user, action, header, &[]).unwrap();
        let step = take(&mut table, "member", "00f");
        let end = json!({"Parts": {"End": {"ended": "refused"}}});
        assert!(step.records.is_empty(), "{action}");
        assert_eq!(step.emits, [Emit::Forward(Stream::file(&"00f".into()), end)], "{action}");
    }
}

#[test]
fn how_fast_one_writes_does_not_keep_a_file_back_that_one_might_send() {
    let mut table = channel(json!({"upload": "member", "ratelimit": "1/3600"}));
    table.act("member", "send_message", json!({"channel_id": ID, "message_type": "x"}), &["{}"]).unwrap();
    let outcome = create(&mut table, "member", json!({"name": "a"}));
    assert_eq!(refused(outcome), Some(ErrorType::SendRateLimited));
    assert_eq!(messages(&take(&mut table, "member", "00f")), 1);
}

#[test]
fn members_see_how_far_a_file_is_unless_its_owner_is_hidden() {
    let mut table = channel(json!({"upload": "member"}));
    let news = |owner: &str| json!({"Uploading": {"file": "00f", "owner": owner, "attrs": {"name": "a.txt", "size": 9}, "offset": 4}});
    let step = table.order(news("member")).unwrap();
    let [(to, event)] = &shown(&step)[..] else { panic!("one event") };
    let wanted = json!({"event": "levee_upload_updated", "channel_id": ID, "user_id": "member", "upload_id": "00f",
        "file_attrs": {"name": "a.txt", "size": 9}, "upload_offset": 4});
    assert_eq!((to, event), (&To::Roles(roles::MEMBER), &wanted));
    assert!(step.records.is_empty() && shown(&table.order(news("stranger")).unwrap()).is_empty());
    let hide = json!({"channel_id": ID, "user_id": "member", "member_attrs": {"autohide": true}});
    table.act("owner", "update_member", hide, &[]).unwrap();
    let step = table.order(news("member")).unwrap();
    assert_eq!(shown(&step)[0].0, To::RolesOr(roles::MODERATOR, "member".into()));
}

#[test]
fn a_dialogue_begins_with_a_file() {
    let mut table = Table::<Conversation>::new();
    let file = described("00f", "ann");
    let order =
        json!({"TakeFile": {"file": file, "card": {"name": "Ann"}, "peer": ["ben", {"name": "Ben"}]}});
    let step = table.order(order.clone()).unwrap();
    assert_eq!((step.records.len(), messages(&step)), (2, 1));
    assert!(table.order(order).unwrap().records.is_empty());
    let news = json!({"Uploading": {"file": "00g", "owner": "ben", "attrs": {}, "offset": 4}});
    let step = table.order(news).unwrap();
    let (to, event) = &shown(&step)[0];
    assert_eq!(
        (to, &event["dialogue_id"]),
        (&To::Only(vec!["ann".into(), "ben".into()]), &json!(["ben", "ann"]))
    );
    table.found = Some(Found::Peer("ann".into(), Arc::default()));
    let header = json!({"user_id": "ann", "file_attrs": {"name": "a"}});
    let step = table.act("ben", "levee_create_upload", header, &[]).unwrap();
    assert!(
        matches!(&step.emits[..], [Emit::Answer(Answer::Value(value))] if value["upload"]["peer"] == "ann")
    );
}
