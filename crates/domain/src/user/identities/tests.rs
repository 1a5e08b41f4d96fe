//! Tables of identities.

use super::*;
use crate::table::{Given, ID, Table, refused};
use serde_json::{Value, json};

const NAME: &str = "ann@example.org";

fn user() -> Table<User> {
    let mut table = Table::new();
    let create =
        json!({"attrs": {"guest": false, "name": "Ann"}, "settings": {}, "auth": "x", "identity": null});
    let enter = json!({"Enter": {"create": create, "proof": "Verified", "session": "s", "row": "{}"}});
    table.order(enter).unwrap();
    table
}

fn act(table: &mut Table<User>, by: &str, name: &str, mut header: Value) -> Given<User> {
    header["identity_type"] = "email".into();
    if header["identity_name"].is_null() {
        header["identity_name"] = NAME.into();
    }
    table.act(by, name, header, &[])
}

/// A user with a verified identity that has a password.
fn verified() -> Table<User> {
    let mut table = user();
    table.brought.password = Some("hash".into());
    act(&mut table, ID, "create_identity", json!({"identity_auth_new": "pass"})).unwrap();
    let key = table.secret();
    verify(&mut table, &key, true).unwrap();
    table.brought = Brought::default();
    table
}

fn verify(table: &mut Table<User>, key: &str, accept: bool) -> Given<User> {
    table.act("", "verify_identity", json!({"access_key": key, "identity_accept": accept}), &[])
}

fn reset(table: &mut Table<User>, key: &str) -> Given<User> {
    table.act("", "reset_identity_auth", json!({"access_key": key, "identity_auth_new": "new"}), &[])
}

fn mails<R>(step: &Step<R>) -> Vec<Mail> {
    let mail = |emit: &Emit| match emit {
        Emit::Mail(mail) => Some(mail.clone()),
        _ => None,
    };
    step.emits.iter().filter_map(mail).collect()
}

/// What is written into the directory: namespace, whether there is a row then, whether there must be none before.
fn claims<R>(step: &Step<R>) -> Vec<(&'static str, bool, bool)> {
    let claim = |emit: &Emit| match emit {
        Emit::Claim(claim) => Some((claim.namespace, claim.value.is_some(), claim.absent)),
        _ => None,
    };
    step.emits.iter().filter_map(claim).collect()
}

fn attrs(table: &Table<User>) -> Value {
    json!(table.entity.machine.identities["email"][NAME])
}

#[test]
fn an_identity_is_pending_until_its_address_says_that_it_is_right() {
    let mut table = user();
    table.brought.password = Some("hash".into());
    let header = json!({"identity_name": " Ann@Example.org", "identity_attrs": {"public": true}});
    let step = act(&mut table, ID, "create_identity", header).unwrap();
    let key = table.secret();
    assert_eq!(mails(&step), [Mail { to: NAME.into(), says: Says::Verify { key: key.clone() } }]);
    assert_eq!(
        claims(&step),
        [(IDENTITIES, true, true), (PASSWORDS, true, false), (crate::access::ACCESS, true, true)]
    );
    let written = serde_json::to_string(&step.records).unwrap();
    assert!(!written.contains(key.as_str()) && !written.contains("\"hash\""), "{written}");
    assert_eq!(attrs(&table), json!({"auth": true, "pending": true, "public": true}));
    assert!(table.entity.machine.visible_identities(false).is_empty(), "it is nobody's to show yet");
    assert_eq!(refused(verify(&mut table, "guessed", true)), Some(ErrorType::AccessDenied));
    let step = verify(&mut table, &key, true).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, true, false)]);
    assert_eq!(attrs(&table), json!({"auth": true, "public": true}));
    assert!(!table.entity.machine.visible_identities(false).is_empty());
    assert_eq!(refused(verify(&mut table, &key, true)), Some(ErrorType::AccessAlreadySpent));
}

#[test]
fn a_rejected_identity_is_free_for_its_owner_and_good_for_nothing_here() {
    let mut table = user();
    table.brought.password = Some("hash".into());
    act(&mut table, ID, "create_identity", json!({})).unwrap();
    let key = table.secret();
    let step = verify(&mut table, &key, false).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, false, false), (PASSWORDS, false, false)]);
    assert_eq!(attrs(&table), json!({"rejected": true}));
    // By now the name may be somebody else's: nothing of it is touched any more.
    for (name, header) in
        [("update_identity", json!({"identity_attrs": {"public": true}})), ("delete_identity", json!({}))]
    {
        assert_eq!(claims(&act(&mut table, ID, name, header).unwrap()), [], "{name}");
    }
    let refusal = act(&mut table, ID, "update_identity_auth", json!({"identity_auth_new": "x"}));
    assert_eq!(refused(refusal), Some(ErrorType::IdentityNotFound));
}

#[test]
fn a_password_chosen_by_mail_verifies_the_identity_and_ends_older_keys() {
    let mut table = user();
    let step = act(&mut table, ID, "create_identity_with_auth_reset_access", json!({})).unwrap();
    let first = table.secret();
    assert_eq!(mails(&step)[0].says, Says::Reset { key: first.clone() });
    assert_eq!(attrs(&table), json!({"pending": true}));
    assert_eq!(
        refused(verify(&mut table, &first, true)),
        Some(ErrorType::AccessDenied),
        "it is for something else"
    );
    assert_eq!(refused(reset(&mut table, &first)), Some(ErrorType::RequestMalformed), "there is no password");
    table.brought.password = Some("hash".into());
    reset(&mut table, &first).unwrap();
    assert_eq!(attrs(&table), json!({"auth": true}));
    let mut keys = Vec::new();
    for _ in 0..2 {
        act(&mut table, "", "request_identity_auth_reset_access", json!({})).unwrap();
        keys.push(table.secret());
    }
    let step = reset(&mut table, &keys[1]).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, true, false), (PASSWORDS, true, false)]);
    assert_eq!(refused(reset(&mut table, &keys[0])), Some(ErrorType::AccessAlreadySpent));
    // The key to a password holds for a day.
    act(&mut table, "", "request_identity_auth_reset_access", json!({})).unwrap();
    let late = table.secret();
    table.now += 86_400 * 1_000_000;
    assert_eq!(refused(reset(&mut table, &late)), Some(ErrorType::AccessExpired));
}

#[test]
fn who_asks_for_a_key_by_mail_learns_nothing_and_can_not_flood_an_address() {
    let mut table = verified();
    let mut answers = Vec::new();
    for (number, name) in [NAME, "nobody@example.org"].into_iter().cycle().take(16).enumerate() {
        let header = json!({"identity_name": name});
        let step = act(&mut table, "", "request_identity_auth_reset_access", header).unwrap();
        let views = step.records.iter().flat_map(|entry| super::super::views::of(&ID.into(), &entry.record));
        let told =
            views.filter_map(|view| view.body).chain(step.emits.iter().filter_map(|emit| match emit {
                Emit::Answer(Answer::Event(body)) => Some(body.clone()),
                _ => None,
            }));
        answers.extend(told.map(|body| body.header().to_owned()));
        let sent = usize::from(name == NAME && number / 2 < limits::MAILS_TO_ONE - 1);
        assert_eq!(mails(&step).len(), sent, "{number}");
        assert_eq!(step.emits.contains(&Emit::Drop("mail_rate")), name == NAME && sent == 0, "{number}");
    }
    answers.dedup();
    assert_eq!(answers, [r#"{"event":"access_created","access_type":"identity_auth_reset"}"#]);
    // One's own wishes are refused plainly.
    let own = act(&mut table, ID, "request_identity_auth_reset_access", json!({}));
    assert_eq!(refused(own), Some(ErrorType::SendRateLimited));
    table.now += 3_600 * 1_000_000;
    let step = act(&mut table, "", "request_identity_verify_access", json!({})).unwrap();
    assert_eq!(mails(&step).len(), 0, "it is verified already");
}

#[test]
fn changing_a_password_takes_the_one_that_it_has_now() {
    let mut table = verified();
    let change = json!({"identity_auth_new": "new"});
    table.brought.password = Some("second".into());
    for proven in [None, Some(ids::digest("another hash"))] {
        table.brought.proven = proven;
        for name in ["update_identity_auth", "delete_identity"] {
            assert_eq!(refused(act(&mut table, ID, name, change.clone())), Some(ErrorType::AccessDenied));
        }
    }
    table.brought.proven = Some(ids::digest("hash"));
    act(&mut table, ID, "update_identity_auth", change.clone()).unwrap();
    // Who has proven to know the first one comes too late.
    assert_eq!(refused(act(&mut table, ID, "update_identity_auth", change)), Some(ErrorType::AccessDenied));
    table.brought = Brought { proven: Some(ids::digest("second")), ..Brought::default() };
    let step = act(&mut table, ID, "update_identity_auth", json!({})).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, true, false), (PASSWORDS, false, false)]);
    assert_eq!(attrs(&table), json!({}));
    table.brought = Brought::default();
    let step = act(&mut table, ID, "delete_identity", json!({})).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, false, false), (PASSWORDS, false, false)]);
}

#[test]
fn others_see_and_change_nothing_but_what_is_public() {
    let mut table = verified();
    let describe = |table: &mut Table<User>| act(table, "other", "describe_identity", json!({}));
    let absent = Some(ErrorType::IdentityNotFound);
    assert_eq!(refused(describe(&mut table)), absent);
    for (name, header) in [
        ("update_identity", json!({"identity_attrs": {"public": true}})),
        ("update_identity_auth", json!({"identity_auth_new": "x"})),
        ("delete_identity", json!({})),
    ] {
        assert_eq!(refused(act(&mut table, "other", name, header)), absent, "{name}");
    }
    assert_eq!(
        refused(act(&mut table, "other", "create_identity", json!({"identity_name": "b@c.d"}))),
        Some(ErrorType::PermissionDenied)
    );
    act(&mut table, ID, "update_identity", json!({"identity_attrs": {"protected": true}})).unwrap();
    table.order(json!({"RealmJoined": {"realm": "00r", "seq": 1, "command": null}})).unwrap();
    table.brought.realms = vec!["00s".into()];
    assert_eq!(refused(describe(&mut table)), absent);
    table.brought.realms = vec!["00r".into()];
    assert!(describe(&mut table).is_ok(), "both are in one realm");
    table.brought.realms = Vec::new();
    act(&mut table, ID, "update_identity", json!({"identity_attrs": {"public": true}})).unwrap();
    let step = describe(&mut table).unwrap();
    let Emit::Answer(Answer::Event(body)) = &step.emits[0] else { panic!("{step:?}") };
    assert!(!body.header().contains("identity_attrs"), "{}", body.header());
    let wrong = act(&mut table, ID, "update_identity", json!({"identity_attrs": {"auth": true}}));
    assert_eq!(refused(wrong), Some(ErrorType::PermissionDenied));
}

#[test]
fn identities_are_bounded_and_each_is_had_once() {
    let mut table = user();
    for number in 0..limits::IDENTITIES {
        let header = json!({"identity_name": format!("{number}@example.org")});
        act(&mut table, ID, "create_identity", header).unwrap();
    }
    assert_eq!(refused(act(&mut table, ID, "create_identity", json!({}))), Some(ErrorType::PermissionDenied));
    let again = act(&mut table, ID, "create_identity", json!({"identity_name": "0@example.org"}));
    assert_eq!(refused(again), Some(ErrorType::PermissionDenied));
    let mut table = verified();
    let again = act(&mut table, ID, "create_identity", json!({}));
    assert_eq!(refused(again), Some(ErrorType::IdentityAlreadyExists));
}

#[test]
fn a_key_is_sent_to_whom_it_may_go() {
    let found = |only: Value| {
        json!({"only": only, "found": {"access_type": "channel", "channel_id": "00c",
        "channel_attrs": {"name": "Room"}, "user_id": "maker"}})
    };
    let mut table = user();
    let send = |table: &mut Table<User>, to: Value| table.act(ID, "send_access", to, &[]);
    let to_ben = json!({"access_key": "00key", "user_id": "ben"});
    let to_mail =
        json!({"access_key": "00key", "identity_type": "email", "identity_name": "Ben@example.org"});
    assert_eq!(
        refused(send(&mut table, to_ben.clone())),
        Some(ErrorType::RequestMalformed),
        "nothing was found"
    );
    table.brought.access = serde_json::from_value(found(Value::Null)).unwrap();
    let step = send(&mut table, to_ben.clone()).unwrap();
    let dialogue = Stream::conversation(&ids::dialogue(ID, "ben"));
    assert_eq!(crate::table::forwards(&step), [(dialogue, "Invited".to_owned())]);
    assert!(!serde_json::to_string(&step.records).unwrap().contains("00key"));
    let step = send(&mut table, to_mail.clone()).unwrap();
    let mails = mails(&step);
    assert_eq!(mails[0].to, "ben@example.org");
    let says = Says::Invite {
        key: "00key".into(),
        by: Some("Ann".into()),
        channel: Some("Room".into()),
        realm: None,
    };
    assert_eq!(mails[0].says, says);
    assert_eq!(
        refused(send(&mut table, json!({"access_key": "00key", "user_id": ID}))),
        Some(ErrorType::PermissionDenied)
    );
    table.brought.access = serde_json::from_value(found(json!("ben"))).unwrap();
    assert!(send(&mut table, to_ben).is_ok());
    let to_cleo = json!({"access_key": "00key", "user_id": "cleo"});
    for to in [to_cleo, to_mail.clone()] {
        assert_eq!(refused(send(&mut table, to)), Some(ErrorType::PermissionDenied));
    }
    table.brought.access = serde_json::from_value(found(Value::Null)).unwrap();
    for _ in 1..limits::MAILS_TO_ONE {
        send(&mut table, to_mail.clone()).unwrap();
    }
    assert_eq!(refused(send(&mut table, to_mail)), Some(ErrorType::SendRateLimited));
}

#[test]
fn an_identity_of_old_keeps_its_password_whatever_changes() {
    let of_old = || {
        let mut table: Table<User> = Table::new();
        let record = json!({"v": 1, "r": {"created": {"attrs": {}, "settings": {}, "auth": "x",
            "identity": ["email", NAME, {"auth": true}]}}});
        table.entity.apply(0, &serde_json::from_value(record).unwrap());
        table
    };
    let mut table = of_old();
    table.brought.password = Some("hash of old".into());
    let step = act(&mut table, ID, "update_identity", json!({"identity_attrs": {"public": true}})).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, true, false), (PASSWORDS, true, false)]);
    let seal = table.entity.machine.seals["email:ann@example.org"].clone();
    assert_eq!(seal, ids::digest("hash of old"));
    // From now on it is as any other.
    table.brought = Brought::default();
    let step = act(&mut table, ID, "update_identity", json!({"identity_attrs": {"public": null}})).unwrap();
    assert_eq!(claims(&step), [(IDENTITIES, true, false)]);
    let mut table = of_old();
    assert_eq!(
        refused(act(&mut table, ID, "update_identity_auth", json!({}))),
        Some(ErrorType::AccessDenied)
    );
    table.brought.proven = Some(ids::digest("hash of old"));
    assert!(act(&mut table, ID, "update_identity_auth", json!({})).is_ok());
}

#[test]
fn whoever_may_see_an_identity_writes_to_it_unless_it_wants_none() {
    let mut table = verified();
    table.order(json!({"RealmJoined": {"realm": "00r", "seq": 1, "command": null}})).unwrap();
    for (shown, reached, by_colleagues) in [
        (json!({}), false, false),
        (json!({"protected": true}), false, true),
        (json!({"public": true}), true, true),
        (json!({"public": true, "blocked": true}), false, false),
    ] {
        act(&mut table, ID, "update_identity", json!({"identity_attrs": shown})).unwrap();
        for (realms, expected) in [(json!(["00s"]), reached), (json!(["00r"]), by_colleagues)] {
            let identity = json!({"type": "email", "name": NAME});
            let reach =
                table.order(json!({"Reach": {"identity": identity, "by": "other", "realms": realms}}));
            assert_eq!(reach.is_ok(), expected, "{shown} {realms}");
        }
    }
}
