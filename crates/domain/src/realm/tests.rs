use super::*;
use crate::found::Found;
use crate::machine::{Answer, Emit};
use crate::table::{Given, ID, Table, forwards, refused};
use crate::view::{Effect, Stream, To};
use levee_proto::{ids, limits};
use serde_json::Value;

/// A realm of `owner`, with an operator and a member; `stranger` is outside.
fn realm() -> Table<Realm> {
    let mut table = Table::new();
    table.act("owner", "create_realm", json!({"realm_attrs": {"name": "R"}}), &[]).unwrap();
    for (user, attrs) in [("operator", json!({"operator": true})), ("member", json!({}))] {
        let add = json!({"realm_id": ID, "user_id": user, "member_attrs": attrs});
        table.act("owner", "add_member", add, &[]).unwrap();
    }
    table
}

fn create(table: &mut Table<Realm>, user: &str, attrs: Value) -> Given<Realm> {
    table.act(user, "create_tag", json!({"realm_id": ID, "tag_attrs": attrs}), &[])
}

/// Makes a tag under another one.
fn tag(table: &mut Table<Realm>, name: &str, parent: Option<&Id>) -> Id {
    let step = create(table, "operator", json!({"name": name, "parent_id": parent})).unwrap();
    match &step.records[0].record {
        RealmRecord::TagCreated { tag, .. } => tag.clone(),
        other => panic!("{other:?}"),
    }
}

/// The event that answers.
fn answer(step: &Step<Entry<RealmRecord>>) -> Value {
    match &step.emits[..] {
        [Emit::Answer(Answer::Event(body))] => serde_json::from_str(body.header()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The one event that a record shows.
fn shown(entry: &Entry<RealmRecord>) -> (View, Value) {
    let mut views = Realm::views(&ID.into(), 1, 0, entry);
    assert_eq!(views.len(), 1, "whoever was away between two events misses none");
    let view = views.remove(0);
    let event = serde_json::from_str(view.body.as_ref().unwrap().header()).unwrap();
    (view, event)
}

#[test]
fn a_tags_id_leads_to_its_realm_and_is_the_same_for_a_retry_only() {
    let mut table = realm();
    let (a, b) = (tag(&mut table, "A", None), tag(&mut table, "A", None));
    assert_ne!(a, b);
    assert!([&a, &b].iter().all(|tag| ids::owner(tag) == Some(ID.into())));
    let make = json!({"realm_id": ID, "tag_attrs": {"name": "once"}});
    for _ in 0..2 {
        table.act_as("owner", Some(900), "create_tag", make.clone(), &[]).unwrap();
    }
    assert_eq!(table.entity.machine.tags.len(), 3);
    // Calls without a session have no number that could tell them apart.
    for _ in 0..2 {
        table.act_as("owner", None, "create_tag", make.clone(), &[]).unwrap();
    }
    assert_eq!(table.entity.machine.tags.len(), 5);
}

#[test]
fn calls_that_are_decided_at_the_same_moment_make_different_tags() {
    let mut table = realm();
    let made: std::collections::BTreeSet<_> = (0..3)
        .map(|_| {
            table.now = 1_000_000;
            let make = json!({"realm_id": ID, "tag_attrs": {}});
            let step = table.act_as("owner", None, "create_tag", make, &[]).unwrap();
            format!("{:?}", step.records[0].record)
        })
        .collect();
    assert_eq!(made.len(), 3);
}

#[test]
fn operators_write_tags_members_read_them_and_strangers_do_not_know_of_them() {
    let mut table = realm();
    let known = tag(&mut table, "A", None);
    let absent = ids::part(ID, &["nothing"]);
    let change = json!({"name": "B"});
    let actions = |tag: &Id| {
        [
            ("describe_tag", json!({"tag_id": tag})),
            ("describe_tags", json!({"tag_id": tag})),
            ("update_tag", json!({"tag_id": tag, "tag_attrs": change})),
            ("delete_tag", json!({"tag_id": tag})),
        ]
    };
    for tag in [&known, &absent] {
        for (name, header) in actions(tag) {
            let rejection = table.act("stranger", name, header, &[]).unwrap_err();
            assert_eq!(rejection, Rejection::new(ErrorType::TagNotFound).about("tag_id", tag), "{name}");
        }
    }
    for (name, header) in actions(&absent) {
        assert_eq!(refused(table.act("owner", name, header, &[])), Some(ErrorType::TagNotFound), "{name}");
    }
    for (name, header) in actions(&known) {
        let writes = matches!(name, "update_tag" | "delete_tag");
        let refusal = refused(table.act("member", name, header, &[]));
        assert_eq!(refusal, writes.then_some(ErrorType::PermissionDenied), "{name}");
    }
    for (name, header) in actions(&known) {
        assert!(table.act("operator", name, header, &[]).is_ok(), "{name}");
    }
    for (user, refusal) in [("stranger", ErrorType::RealmNotFound), ("member", ErrorType::PermissionDenied)] {
        assert_eq!(refused(create(&mut table, user, json!({}))), Some(refusal), "{user}");
    }
    let all = json!({"realm_id": ID});
    let refusal = refused(table.act("stranger", "describe_tags", all.clone(), &[]));
    assert_eq!(refusal, Some(ErrorType::RealmNotFound));
    assert!(table.act("member", "describe_tags", all, &[]).is_ok());
}

#[test]
fn what_does_not_exist_is_not_found_by_any_of_its_actions() {
    let mut table: Table<Realm> = Table::new();
    for (name, header, refusal) in [
        ("create_tag", json!({"realm_id": ID, "tag_attrs": {}}), ErrorType::RealmNotFound),
        ("describe_tags", json!({"realm_id": ID}), ErrorType::RealmNotFound),
        ("delete_realm", json!({"realm_id": ID}), ErrorType::RealmNotFound),
        ("describe_realm", json!({"realm_id": ID}), ErrorType::RealmNotFound),
        ("describe_tag", json!({"tag_id": "x"}), ErrorType::TagNotFound),
        ("describe_tags", json!({"tag_id": "x"}), ErrorType::TagNotFound),
        ("update_tag", json!({"tag_id": "x", "tag_attrs": {}}), ErrorType::TagNotFound),
        ("delete_tag", json!({"tag_id": "x"}), ErrorType::TagNotFound),
    ] {
        assert_eq!(refused(table.act("owner", name, header, &[])), Some(refusal), "{name}");
    }
}

#[test]
fn a_tree_is_shown_as_deep_as_was_asked() {
    let mut table = realm();
    let root = tag(&mut table, "root", None);
    let twig = tag(&mut table, "twig", Some(&root));
    let leaf = tag(&mut table, "leaf", Some(&twig));
    let other = tag(&mut table, "other", None);
    let mut ask = |header| answer(&table.act("member", "describe_tags", header, &[]).unwrap());
    let attrs = |name: &str, parent: &Id| json!({"name": name, "parent_id": parent});
    let whole = json!({
        root.as_str(): {"tag_attrs": {"name": "root"}, "tag_children": {
            twig.as_str(): {"tag_attrs": attrs("twig", &root), "tag_children": {
                leaf.as_str(): {"tag_attrs": attrs("leaf", &twig), "tag_children": {}}}}}},
        other.as_str(): {"tag_attrs": {"name": "other"}, "tag_children": {}},
    });
    for header in [json!({"realm_id": ID}), json!({"realm_id": ID, "tag_depth": 10})] {
        let found = ask(header);
        assert_eq!((&found["event"], &found["tag_children"]), (&json!("tags_found"), &whole));
        assert!(found["realm_id"] == ID && found["tag_id"].is_null() && found["tag_attrs"].is_null());
    }
    let found = ask(json!({"realm_id": ID, "tag_depth": 1}));
    assert_eq!(found["tag_children"][root.as_str()], json!({"tag_attrs": {"name": "root"}}));
    let found = ask(json!({"tag_id": root, "tag_depth": 2}));
    assert_eq!((&found["tag_id"], &found["tag_attrs"]), (&json!(root), &json!({"name": "root"})));
    let below = &whole[root.as_str()]["tag_children"][twig.as_str()]["tag_children"][leaf.as_str()];
    let mut below =
        json!({twig.as_str(): {"tag_attrs": attrs("twig", &root), "tag_children": {leaf.as_str(): below}}});
    below[twig.as_str()]["tag_children"][leaf.as_str()].as_object_mut().unwrap().remove("tag_children");
    assert_eq!(found["tag_children"], below);
    assert_eq!(ask(json!({"tag_id": leaf}))["tag_children"], json!({}));
    for depth in [0, 11, u64::MAX] {
        let header = json!({"realm_id": ID, "tag_depth": depth});
        let refusal = refused(table.act("member", "describe_tags", header, &[]));
        assert_eq!(refusal, Some(ErrorType::RequestMalformed), "{depth}");
    }
}

#[test]
fn a_tag_changes_but_stays_where_it_is() {
    let mut table = realm();
    let root = tag(&mut table, "root", None);
    let blue = tag(&mut table, "blue", Some(&root));
    let update = |attrs: Value| json!({"tag_id": blue, "tag_attrs": attrs});
    let theme = json!({"color": "#0000ff"});
    table.act("operator", "update_tag", update(json!({"theme": theme})), &[]).unwrap();
    let found = answer(&table.act("member", "describe_tag", json!({"tag_id": blue}), &[]).unwrap());
    let attrs = json!({"name": "blue", "parent_id": root, "theme": theme});
    assert_eq!((&found["event"], &found["tag_attrs"]), (&json!("tag_found"), &attrs));
    for parent in [Value::Null, json!(blue)] {
        let moved = table.act("owner", "update_tag", update(json!({"parent_id": parent})), &[]);
        assert_eq!(refused(moved), Some(ErrorType::PermissionDenied));
    }
    let step = table.act("owner", "update_tag", update(json!({"name": null, "theme": null})), &[]).unwrap();
    let (view, event) = shown(&step.records[0]);
    assert_eq!((view.to, view.answers), (To::All, true));
    assert_eq!(event["tag_attrs"], json!({"parent_id": root}));
}

#[test]
fn bad_attributes_and_foreign_parents_are_refused() {
    let mut table = realm();
    let known = tag(&mut table, "A", None);
    for (attrs, refusal) in [
        (json!({"name": "x".repeat(513)}), ErrorType::RequestMalformed),
        (json!({"theme": {"color": 5}}), ErrorType::RequestMalformed),
        (json!({"theme": {"note": "x".repeat(1024)}}), ErrorType::RequestMalformed),
        (json!({"theme": "#ff0000"}), ErrorType::RequestMalformed),
        (json!({"name": 5}), ErrorType::RequestMalformed),
        (json!({"parent_id": ""}), ErrorType::TagNotFound),
        (json!({"parent_id": ID}), ErrorType::TagNotFound),
        (json!({"parent_id": ids::part("00ssssssssssssssss", &["tag"])}), ErrorType::TagNotFound),
    ] {
        assert_eq!(refused(create(&mut table, "owner", attrs.clone())), Some(refusal), "{attrs}");
        if attrs.get("parent_id").is_none() {
            let update = json!({"tag_id": known, "tag_attrs": attrs});
            assert_eq!(refused(table.act("owner", "update_tag", update, &[])), Some(refusal), "{attrs}");
        }
    }
    assert_eq!(table.entity.machine.tags.len(), 1);
}

#[test]
fn a_tree_is_neither_too_deep_nor_too_large() {
    let mut table = realm();
    let mut parent = None;
    for level in 1..=limits::TAG_DEPTH {
        parent = Some(tag(&mut table, &level.to_string(), parent.as_ref()));
    }
    let deeper = create(&mut table, "owner", json!({"parent_id": parent}));
    assert_eq!(refused(deeper), Some(ErrorType::RequestMalformed));
    while table.entity.machine.tags.len() < limits::TAGS {
        create(&mut table, "owner", json!({})).unwrap();
    }
    assert_eq!(refused(create(&mut table, "owner", json!({}))), Some(ErrorType::PermissionDenied));
    table.act("owner", "delete_tag", json!({"tag_id": parent}), &[]).unwrap();
    assert!(create(&mut table, "owner", json!({})).is_ok());
}

#[test]
fn a_deleted_tag_takes_all_beneath_it_along_and_is_told_first() {
    let mut table = realm();
    let root = tag(&mut table, "root", None);
    let group = tag(&mut table, "group", Some(&root));
    let (one, two) = (tag(&mut table, "one", Some(&group)), tag(&mut table, "two", Some(&group)));
    let deep = tag(&mut table, "deep", Some(&one));
    let delete = json!({"tag_id": group});
    let step = table.act_as("operator", Some(70), "delete_tag", delete.clone(), &[]).unwrap();
    let told: Vec<_> = step.records.iter().map(|entry| shown(entry).1).collect();
    assert_eq!(told[0]["event"], "tag_deleted");
    assert_eq!(told[0]["tag_attrs"], json!({"name": "group", "parent_id": root}));
    let place = |tag: &Id| told.iter().position(|event| event["tag_id"] == tag.as_str());
    assert_eq!((told.len(), place(&group)), (4, Some(0)));
    assert!(place(&one) < place(&deep) && place(&two).is_some());
    let left = &table.entity.machine.tags;
    assert_eq!((left.len(), left.get(&root).is_some()), (1, true));
    // A retry is answered by the first record and deletes nothing.
    assert!(table.act_as("operator", Some(70), "delete_tag", delete, &[]).unwrap().records.is_empty());
}

#[test]
fn only_its_owner_deletes_a_realm_and_all_hear_of_it() {
    let mut table = realm();
    tag(&mut table, "A", None);
    let make = json!({"realm_id": ID, "queue_attrs": {"name": "Q"}});
    let made = table.act("owner", "create_queue", make, &[]).unwrap();
    let queue = forwards(&made)[0].0.clone();
    let delete = json!({"realm_id": ID});
    for (user, refusal) in [
        ("stranger", ErrorType::RealmNotFound),
        ("member", ErrorType::PermissionDenied),
        ("operator", ErrorType::PermissionDenied),
    ] {
        assert_eq!(refused(table.act(user, "delete_realm", delete.clone(), &[])), Some(refusal), "{user}");
    }
    let step = table.act_as("owner", Some(50), "delete_realm", delete.clone(), &[]).unwrap();
    let (view, event) = shown(&step.records[0]);
    assert_eq!((&event["event"], &event["realm_id"]), (&json!("realm_deleted"), &json!(ID)));
    assert_eq!((view.to, view.effect, view.answers), (To::All, Effect::Leave, true));
    let gone = Emit::Forward(queue.clone(), json!("RealmGone"));
    assert_eq!(step.emits[0], gone);
    let members =
        ["member", "operator", "owner"].map(|user| (Stream::user(&user.into()), "RealmParted".into()));
    assert_eq!(forwards(&step)[1..4], members);
    let counted = json!({"Account": {"Gone": {"ids": [queue.id, ID], "seq": table.entity.seq}}});
    assert_eq!(step.emits[4..], [Emit::Forward(Stream::user(&"owner".into()), counted)]);
    // A retry does nothing; everything else finds nothing.
    let again = table.act_as("owner", Some(50), "delete_realm", delete.clone(), &[]).unwrap();
    assert!(again.records.is_empty() && again.emits.is_empty());
    for (name, header) in [
        ("delete_realm", delete.clone()),
        ("describe_realm", delete.clone()),
        ("describe_realm_queues", delete.clone()),
        ("update_realm", delete.clone()),
        ("describe_tags", delete),
        ("add_member", json!({"realm_id": ID, "user_id": "member"})),
    ] {
        let refusal = refused(table.act("owner", name, header, &[]));
        assert_eq!(refusal, Some(ErrorType::RealmNotFound), "{name}");
    }
    assert_eq!(refused(table.act("x", "create_realm", json!({}), &[])), Some(ErrorType::RealmAlreadyExists));
    assert!(table.order(json!({"QueueDeleted": {"queue": queue.id}})).unwrap().records.is_empty());
    let id = Id::from(ID);
    let at = table.entity.moment(table.now, &id, None);
    assert_eq!(table.entity.machine.glance(&at, &"owner".into()), Glance::default());
}

#[test]
fn a_realm_has_so_many_master_keys_and_no_more() {
    let mut table = realm();
    let create = |number: usize| json!({"realm_id": ID, "master_key_type": "jwt", "master_key_id": number.to_string()});
    let secret = "x".repeat(32);
    for number in 0..crate::master::MAX_KEYS {
        let step = table.act("operator", "create_master_key", create(number), &[&secret]).unwrap();
        assert_eq!(forwards(&step).len(), 1, "its user lists it too");
    }
    let one_more = table.act("owner", "create_master_key", create(1_000), &[&secret]);
    assert_eq!(refused(one_more), Some(ErrorType::PermissionDenied));
    // With the realm, their ids are free again.
    let deleted = table.act("owner", "delete_realm", json!({"realm_id": ID}), &[]).unwrap();
    let freed =
        deleted.emits.iter().filter(|emit| matches!(emit, Emit::Claim(claim) if claim.value.is_none()));
    assert_eq!(freed.count(), crate::master::MAX_KEYS);
}

#[test]
fn its_owners_account_hears_of_a_realm_and_its_queues() {
    let told = |step: &Step<Entry<RealmRecord>>| {
        let orders = step.emits.iter().filter_map(|emit| match emit {
            Emit::Forward(to, order) if order.get("Account").is_some() => {
                Some((to.id.clone(), order.clone()))
            }
            _ => None,
        });
        orders.collect::<Vec<_>>()
    };
    let mut table: Table<Realm> = Table::new();
    let made = table.act("owner", "create_realm", json!({}), &[]).unwrap();
    let owned = |thing: &str, id: &str, seq: u64| json!({"Account": {"Owned": {"thing": thing, "id": id, "seq": seq}}});
    assert_eq!(told(&made), [("owner".into(), owned("realms", ID, 1))]);
    let add = json!({"realm_id": ID, "user_id": "operator", "member_attrs": {"operator": true}});
    table.act("owner", "add_member", add, &[]).unwrap();
    // The queue gets the id that was reserved, and is the owner's, whoever makes it.
    let reserved = crate::account::Reservation { owner: "owner".into(), id: "00reserved".into() };
    table.found = Some(Found::Reserved(vec![reserved]));
    let make = json!({"realm_id": ID, "queue_attrs": {}});
    let made = table.act_as("operator", Some(9), "create_queue", make.clone(), &[]).unwrap();
    assert_eq!(told(&made), [("owner".into(), owned("queues", "00reserved", 3))]);
    assert_eq!(table.entity.machine.queues, ["00reserved"]);
    assert!(table.act_as("operator", Some(9), "create_queue", make, &[]).unwrap().records.is_empty());
    let deleted = table.order(json!({"QueueDeleted": {"queue": "00reserved"}})).unwrap();
    let gone = json!({"Account": {"Gone": {"ids": ["00reserved"], "seq": 4}}});
    assert_eq!(told(&deleted), [("owner".into(), gone)]);
    assert!(table.order(json!({"QueueDeleted": {"queue": "00reserved"}})).unwrap().emits.is_empty());
}

#[test]
fn a_realm_orders_its_first_channel_if_that_may_be() {
    let mut table: Table<Realm> = Table::new();
    let made = |table: &mut Table<Realm>, attrs: Value| {
        table.act("owner", "create_realm", json!({"channel_attrs": attrs}), &[])
    };
    for bad in [json!({"ratelimit": "often"}), json!({"schedule": {"timezone": "nowhere"}})] {
        assert_eq!(refused(made(&mut table, bad.clone())), Some(ErrorType::RequestMalformed), "{bad}");
    }
    assert_eq!(refused(made(&mut table, json!({"audience": {}}))), Some(ErrorType::PermissionDenied));
    assert!(!table.entity.machine.exists());
    let step = made(&mut table, json!({"name": "Lobby"})).unwrap();
    let channel = Stream::conversation(&first_channel(&ID.into()));
    let begins = step.emits.iter().find_map(|emit| match emit {
        Emit::Forward(to, order) if *to == channel => Some(order.clone()),
        _ => None,
    });
    let begins = begins.expect("an order")["Begin"].clone();
    assert_eq!(begins["attrs"], json!({"name": "Lobby", "owner_id": "owner"}));
    assert_eq!((&begins["realm"], &begins["user"]), (&json!(ID), &json!("owner")));
    assert_eq!(begins["command"]["action_id"], 4);
}
