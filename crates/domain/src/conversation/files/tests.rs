use super::*;
use crate::file::{Content, Described};
use crate::machine::{Answer, Entry};
use crate::table::{Given, ID, Table, forwards, refused};
use levee_proto::attrs::UserAttrs;
use levee_proto::ids;
use serde_json::Value;
use std::sync::Arc;

/// When files of these tests expire, microseconds since 1970.
const EXPIRES: u64 = 1_000_000_000;

/// A channel with an owner, a moderator and a member.
fn channel(attrs: Value) -> Table<Conversation> {
    let mut table = Table::new();
    table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
    for user in ["moderator", "member"] {
        table.act(user, "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    }
    let header = json!({"channel_id": ID, "user_id": "moderator", "member_attrs": {"moderator": true}});
    table.act("owner", "update_member", header, &[]).unwrap();
    table
}

/// An audience with this rule.
fn audience(upload: &str) -> Table<Conversation> {
    let mut table = Table::new();
    let attrs = json!({"audience_id": "00x", "requester_id": "customer", "private": true, "upload": upload});
    let members = json!([["customer", {}, {}], ["agent", {}, {"operator": true}]]);
    let open = json!({"realm": null, "metadata": null, "command": null, "attrs": attrs, "members": members});
    table.order(json!({ "Open": open })).unwrap();
    table
}

fn may(table: &mut Table<Conversation>, user: &str, in_dialogue: bool) -> Option<ErrorType> {
    refused(table.order(json!({"MayUpload": {"user": user, "in_dialogue": in_dialogue}})))
}

fn described(file: &str, owner: &str) -> Box<Described> {
    Box::new(Described {
        file: file.into(),
        owner: owner.into(),
        conversation: ID.into(),
        icon: false,
        name: "a.txt".into(),
        key: "k".into(),
        expires: EXPIRES,
        content: Content { size: 3, sha256: "abc".into(), media_type: "text/plain".into(), thumbnail: None },
    })
}

fn send(table: &mut Table<Conversation>, user: &str, file: &str) -> Given<Conversation> {
    table.found = Some(Found::File(described(file, user), None));
    let given = table.act(user, "send_file", json!({"channel_id": ID, "file_attrs": {"name": "a.txt"}}), &[]);
    table.found = None;
    given
}

fn send_to(table: &mut Table<Conversation>, user: &str, peer: &str, file: &str) -> Given<Conversation> {
    table.found =
        Some(Found::File(described(file, user), Some((peer.into(), Arc::new(UserAttrs::default())))));
    let given = table.act(user, "send_file", json!({"user_id": peer, "file_attrs": {"name": "a.txt"}}), &[]);
    table.found = None;
    given
}

fn reads(table: &mut Table<Conversation>, file: &str, user: &str) -> bool {
    let step = table.order(json!({"Reads": {"file": file, "user": user}})).unwrap();
    step.emits == [Emit::Answer(Answer::Value(json!(true)))]
}

/// The files that a step has go.
fn removed(step: &Step<Entry<ConversationRecord>>) -> Vec<String> {
    let removes = |emit: &Emit| match emit {
        Emit::Forward(to, order) if *order == json!("Remove") => Some(to.id.to_string()),
        _ => None,
    };
    step.emits.iter().filter_map(removes).collect()
}

#[test]
fn who_may_send_files_follows_from_the_rule_and_the_standing() {
    let denied = Some(ErrorType::PermissionDenied);
    let absent = Some(ErrorType::ChannelNotFound);
    for (rule, owner, moderator, member) in [
        (Value::Null, denied, denied, denied),
        (json!("nonsense"), denied, denied, denied),
        (json!("operator"), None, denied, denied),
        (json!("moderator"), None, None, denied),
        (json!("agent"), None, None, denied),
        (json!("member"), None, None, None),
    ] {
        let mut table = channel(json!({"upload": rule}));
        for (user, wanted) in
            [("owner", owner), ("moderator", moderator), ("member", member), ("stranger", absent)]
        {
            assert_eq!(may(&mut table, user, false), wanted, "{rule} {user}");
            assert_eq!(refused(send(&mut table, user, "00f")), wanted, "{rule} {user}");
            table.entity.machine.files = Attachments::default();
        }
    }
    assert_eq!(may(&mut Table::new(), "owner", false), absent);
}

#[test]
fn in_an_audience_the_rule_may_mean_the_agent_or_the_customer() {
    let denied = Some(ErrorType::PermissionDenied);
    for (rule, agent, customer) in [
        ("agent", None, denied),
        ("moderator", None, denied),
        ("customer", denied, None),
        ("member", None, None),
    ] {
        let mut table = audience(rule);
        assert_eq!(may(&mut table, "agent", false), agent, "{rule}");
        assert_eq!(may(&mut table, "customer", false), customer, "{rule}");
    }
}

#[test]
fn where_one_may_not_write_one_may_not_send_files_either() {
    let mut table = channel(json!({"upload": "member"}));
    for attrs in [json!({"closed": true}), json!({"blacklisted_message_types": ["ninchat.com/file"]})] {
        let header = json!({"channel_id": ID, "channel_attrs": attrs});
        table.act("owner", "update_channel", header, &[]).unwrap();
        assert!(may(&mut table, "member", false).is_some(), "{attrs}");
        let undo = json!({"closed": null, "blacklisted_message_types": null});
        table.act("owner", "update_channel", json!({"channel_id": ID, "channel_attrs": undo}), &[]).unwrap();
        assert_eq!(may(&mut table, "member", false), None);
    }
    let silence = json!({"channel_id": ID, "user_id": "member", "member_attrs": {"silenced": true}});
    table.act("owner", "update_member", silence, &[]).unwrap();
    assert_eq!(may(&mut table, "member", false), Some(ErrorType::PermissionDenied));
}

#[test]
fn a_file_becomes_a_message_and_hears_of_it() {
    let mut table = channel(json!({"upload": "member"}));
    let step = send(&mut table, "member", "00f").unwrap();
    assert_eq!(step.emits, [Emit::Forward(Stream::file(&"00f".into()), json!("Posted"))]);
    let ConversationRecord::Message(message) = &step.records[0].record else { panic!("{step:?}") };
    assert_eq!(message.message_type, "ninchat.com/file");
    let attrs = json!({"name": "a.txt", "size": 3, "type": "text/plain"});
    let content: Value = serde_json::from_slice(&message.parts[0].0).unwrap();
    assert_eq!(content, json!({"files": [{"file_id": "00f", "file_attrs": attrs}]}));
    assert!(step.records[0].command.is_some(), "it answers");
    assert_eq!(refused(send(&mut table, "member", "00f")), Some(ErrorType::FileNotFound), "once");
    assert_eq!(table.replayed().machine, table.entity.machine);
    for (file, order) in [("00f", "Posted"), ("00g", "Remove")] {
        let step = table.order(json!({"HasFile": {"file": file}})).unwrap();
        assert_eq!(step.emits, [Emit::Forward(Stream::file(&file.into()), json!(order))]);
    }
}

#[test]
fn a_file_of_somebody_else_or_for_elsewhere_is_not_taken_in() {
    let mut table = channel(json!({"upload": "member"}));
    let header = json!({"channel_id": ID, "file_attrs": {"name": "a.txt"}});
    for file in [
        described("00f", "owner"),
        Box::new(Described { conversation: "00other".into(), ..*described("00f", "member") }),
    ] {
        table.found = Some(Found::File(file, None));
        let given = table.act("member", "send_file", header.clone(), &[]);
        assert_eq!(refused(given), Some(ErrorType::FileNotFound));
    }
    table.found = None;
    assert_eq!(refused(table.act("member", "send_file", header, &[])), Some(ErrorType::Internal));
}

#[test]
fn a_file_whose_time_is_over_is_not_taken_in() {
    let mut table = channel(json!({"upload": "member"}));
    // A second passes with each action.
    table.now = EXPIRES - 1_000_000;
    assert_eq!(refused(send(&mut table, "member", "00f")), Some(ErrorType::FileNotFound));
    table.now = EXPIRES - 1_000_001;
    assert!(send(&mut table, "member", "00f").is_ok());
}

#[test]
fn a_retry_is_answered_as_it_was_though_its_bytes_were_refused_by_now() {
    let mut table = channel(json!({"upload": "member"}));
    let header = json!({"channel_id": ID, "file_attrs": {"name": "a.txt"}});
    let refusal = || Some(Found::Refused(Box::new(Rejection::new(ErrorType::SendRateLimited))));
    table.found = refusal();
    let first = table.act_as("member", Some(70), "send_file", header.clone(), &[]);
    assert_eq!(refused(first), Some(ErrorType::SendRateLimited));
    table.found = Some(Found::File(described("00f", "member"), None));
    table.act_as("member", Some(70), "send_file", header.clone(), &[]).unwrap();
    table.found = refusal();
    let again = table.act_as("member", Some(70), "send_file", header, &[]).unwrap();
    assert!(again.records.is_empty(), "{again:?}");
}

#[test]
fn a_file_may_begin_a_dialogue() {
    let mut table = Table::new();
    assert_eq!(may(&mut table, "ann", true), None);
    let step = send_to(&mut table, "ann", "ben", "00f").unwrap();
    let names: Vec<String> = forwards(&step).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names[..2], ["Met", "Met"]);
    for (user, wanted) in [("ann", true), ("ben", true), ("cleo", false)] {
        assert_eq!(reads(&mut table, "00f", user), wanted, "{user}");
    }
}

#[test]
fn a_file_is_read_by_those_who_see_its_message_now() {
    let mut table = channel(json!({"upload": "member"}));
    send(&mut table, "member", "00f").unwrap();
    table.act("late", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
    let wanted =
        [("owner", true), ("moderator", true), ("member", true), ("late", false), ("stranger", false)];
    for (user, wanted) in wanted {
        assert_eq!(reads(&mut table, "00f", user), wanted, "{user}");
        assert!(!reads(&mut table, "00g", user), "{user}");
    }
    let remove = json!({"channel_id": ID, "user_id": "moderator"});
    table.act("owner", "remove_member", remove, &[]).unwrap();
    assert!(!reads(&mut table, "00f", "moderator"));
}

#[test]
fn a_hidden_file_is_read_by_its_author_and_by_moderators() {
    for all in [false, true] {
        let mut table = channel(json!({"upload": "member"}));
        table.act("other", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        send(&mut table, "member", "00f").unwrap();
        let seq = table.entity.seq;
        for (hidden, others) in [(true, false), (false, true)] {
            let (name, header) = match all {
                false => ("update_message", json!({"message_id": ids::message(seq)})),
                true => ("update_user_messages", json!({"message_user_id": "member"})),
            };
            let mut header = header;
            header["channel_id"] = ID.into();
            header["message_hidden"] = hidden.into();
            table.act("owner", name, header, &[]).unwrap();
            for (user, wanted) in [("other", others), ("member", true), ("moderator", true)] {
                assert_eq!(reads(&mut table, "00f", user), wanted, "{name} {hidden} {user}");
            }
        }
        assert_eq!(table.replayed().machine.files, table.entity.machine.files);
    }
}

#[test]
fn what_a_client_writes_of_files_opens_none() {
    let mut table = channel(json!({"upload": "member"}));
    let header = json!({"channel_id": ID, "message_type": "ninchat.com/file"});
    let content = json!({"files": [{"file_id": "00f", "file_attrs": {"name": "x"}}]}).to_string();
    table.act("member", "send_message", header, &[&content]).unwrap();
    assert!(!reads(&mut table, "00f", "member"));
    assert!(table.entity.machine.files.is_empty());
}

#[test]
fn files_go_with_what_is_erased_and_with_their_channel() {
    let mut table = channel(json!({"upload": "member"}));
    send(&mut table, "member", "00f").unwrap();
    let step = table.act("owner", "delete_transcript", json!({"channel_id": ID}), &[]).unwrap();
    assert_eq!(removed(&step), ["00f"]);
    assert!(!reads(&mut table, "00f", "owner"));
    assert_eq!(table.replayed().machine, table.entity.machine);
    send(&mut table, "member", "00g").unwrap();
    let suspend = json!({"channel_id": ID, "channel_attrs": {"suspended": true}});
    table.act("owner", "update_channel", suspend, &[]).unwrap();
    let step = table.act("owner", "delete_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert_eq!(removed(&step), ["00g"], "what went already does not go again");
    // The last one leaves.
    let mut table = Table::new();
    table.act("owner", "create_channel", json!({"channel_attrs": {"upload": "member"}}), &[]).unwrap();
    send(&mut table, "owner", "00f").unwrap();
    let step = table.act("owner", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
    assert_eq!(removed(&step), ["00f"]);
}

#[test]
fn files_go_with_an_audience_whose_transcript_is_erased() {
    let mut table = audience("member");
    send(&mut table, "customer", "00f").unwrap();
    let step = table.order(json!("Erase")).unwrap();
    assert_eq!(removed(&step), ["00f"]);
    for user in ["agent", "customer"] {
        assert!(!reads(&mut table, "00f", user), "{user}");
    }
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn a_dialogues_file_goes_when_both_have_discarded_it() {
    let mut table = Table::new();
    send_to(&mut table, "ann", "ben", "00f").unwrap();
    let through = ids::message(table.entity.seq);
    send_to(&mut table, "ben", "ann", "00g").unwrap();
    let step = table.act("ann", "discard_history", json!({"user_id": "ben", "message_id": through}), &[]);
    assert!(removed(&step.unwrap()).is_empty());
    assert!(!reads(&mut table, "00f", "ann") && reads(&mut table, "00f", "ben"));
    let step = table.act("ben", "discard_history", json!({"user_id": "ann", "message_id": through}), &[]);
    assert_eq!(removed(&step.unwrap()), ["00f"]);
    assert!(reads(&mut table, "00g", "ann") && !reads(&mut table, "00f", "ben"));
    assert_eq!(table.replayed().machine, table.entity.machine);
}

#[test]
fn a_conversation_has_so_many_files() {
    let mut table = channel(json!({"upload": "member"}));
    for number in 0..limits::FILES {
        let file = Attachment { seq: 1, time: 1, author: "member".into(), hidden: false };
        table.entity.machine.files.here.insert(compact_str::format_compact!("00f{number}"), file);
    }
    assert_eq!(may(&mut table, "member", false), Some(ErrorType::UploadQuotaExceeded));
    table.entity.machine.files.here.remove("00f0");
    assert_eq!(may(&mut table, "member", false), None);
}
