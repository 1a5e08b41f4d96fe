use super::*;
use crate::machine::{Entry, Machine};
use crate::table::{Given, ID, Table, forwards, refused};
use crate::view::{Effect, To, roles};
use serde_json::Value;

/// A realm of `owner`, with an operator and a member; `stranger` is outside.
fn realm() -> Table<Realm> {
    let mut table = Table::new();
    table.act("owner", "create_realm", json!({}), &[]).unwrap();
    for (user, operator) in [("operator", true), ("member", false)] {
        let add = json!({"realm_id": ID, "user_id": user, "member_attrs": {"operator": operator}});
        table.act("owner", "add_member", add, &[]).unwrap();
    }
    table
}

fn create(table: &mut Table<Realm>, key: Value, config: Value) -> Given<Realm> {
    let header = json!({"realm_id": ID, "site_key": key, "site_config": config});
    table.act("operator", "levee_create_site", header, &[])
}

fn put(step: &Step<Entry<RealmRecord>>) -> SitePut {
    match &step.records[0].record {
        RealmRecord::SiteCreated(put) | RealmRecord::SiteChanged(put) => put.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sites_configuration_is_a_row_and_the_realm_knows_of_it() {
    let mut table = realm();
    let config = json!({"description": "Shop", "default": {"a": 1}, "fi": {"motd": "Hei"}});
    let made = put(&create(&mut table, json!("shop"), config).unwrap());
    assert_eq!(made.config["default"], json!({"a": 1, "audienceRealmId": ID}));
    let row =
        |table: &Table<Realm>| table.rows.get(&(SITES, "shop".into())).and_then(|row| SiteRow::read(row));
    assert_eq!(row(&table), Some(SiteRow { realm: ID.into(), enabled: true, config: made.config.clone() }));
    let disable = json!({"realm_id": ID, "site_key": "shop", "enabled": false});
    let disabled = put(&table.act("owner", "levee_update_site", disable, &[]).unwrap());
    assert_eq!((disabled.enabled, &disabled.config), (false, &made.config));
    assert_eq!(row(&table).map(|row| row.enabled), Some(false));
    assert_eq!(table.replayed().machine, table.entity.machine);
    let site = Site { enabled: false, description: Some("Shop".into()) };
    assert_eq!(table.entity.machine.sites, [("shop".into(), site)].into());
    let delete = json!({"realm_id": ID, "site_key": "shop"});
    table.act("owner", "levee_delete_site", delete.clone(), &[]).unwrap();
    assert!(row(&table).is_none() && table.entity.machine.sites.is_empty());
    let again = refused(table.act("owner", "levee_delete_site", delete, &[]));
    assert_eq!(again, Some(ErrorType::SiteNotFound));
    // With the realm, keys are free again.
    create(&mut table, json!("shop"), json!({"default": {}})).unwrap();
    table.act("owner", "delete_realm", json!({"realm_id": ID}), &[]).unwrap();
    assert!(row(&table).is_none());
}

#[test]
fn a_key_that_is_taken_anywhere_is_refused_and_one_of_its_own_is_the_same_for_a_retry() {
    let mut table = realm();
    let step = create(&mut table, json!("shop"), json!({"default": {}})).unwrap();
    let claims = step.emits.iter().filter_map(|emit| match emit {
        Emit::Claim(claim) => Some((claim.absent, claim.refusal.error_type)),
        _ => None,
    });
    assert_eq!(claims.collect::<Vec<_>>(), [(true, ErrorType::SiteAlreadyExists)]);
    let twice = create(&mut table, json!("shop"), json!({"default": {}}));
    assert_eq!(refused(twice), Some(ErrorType::SiteAlreadyExists));
    let make = json!({"realm_id": ID, "site_config": {"default": {}}});
    for number in [7, 7, 8] {
        table.act_as("owner", Some(900 + number), "levee_create_site", make.clone(), &[]).unwrap();
    }
    assert_eq!(table.entity.machine.sites.len(), 3);
    assert!(table.entity.machine.sites.keys().all(|key| site::is_key(key)));
}

#[test]
fn operators_see_sites_and_others_do_not() {
    let mut table = realm();
    create(&mut table, json!("shop"), json!({"default": {}})).unwrap();
    for (name, header) in [
        ("levee_create_site", json!({"realm_id": ID, "site_config": {}})),
        ("levee_describe_sites", json!({"realm_id": ID})),
        ("levee_describe_sites", json!({"realm_id": ID, "site_key": "shop"})),
        ("levee_update_site", json!({"realm_id": ID, "site_key": "shop"})),
        ("levee_delete_site", json!({"realm_id": ID, "site_key": "shop"})),
    ] {
        let mut by = |user: &str| refused(table.act(user, name, header.clone(), &[]));
        assert_eq!(by("stranger"), Some(ErrorType::RealmNotFound), "{name}");
        assert_eq!(by("member"), Some(ErrorType::PermissionDenied), "{name}");
    }
    for key in ["sho", "shopping", "none"] {
        let which = json!({"realm_id": ID, "site_key": key});
        for name in ["levee_describe_sites", "levee_update_site", "levee_delete_site"] {
            let refusal = refused(table.act("owner", name, which.clone(), &[]));
            assert_eq!(refusal, Some(ErrorType::SiteNotFound), "{name} {key}");
        }
    }
}

#[test]
fn who_becomes_an_operator_follows_as_one_and_nobody_else() {
    let views = |table: &mut Table<Realm>, operator: bool| {
        let update = json!({"realm_id": ID, "user_id": "member", "member_attrs": {"operator": operator}});
        let step = table.act("owner", "update_member", update, &[]).unwrap();
        assert!(forwards(&step).is_empty());
        Realm::views(&ID.into(), 1, 0, &step.records[0])
    };
    let mut table = realm();
    for (operator, has) in [(true, roles::MEMBER | roles::OPERATOR), (false, roles::MEMBER)] {
        let becomes = views(&mut table, operator).pop().unwrap();
        assert_eq!((becomes.to, becomes.effect), (To::Only(vec!["member".into()]), Effect::Become(has)));
    }
    let step = create(&mut table, json!("shop"), json!({"default": {}})).unwrap();
    let told = Realm::views(&ID.into(), 1, 0, &step.records[0]).pop().unwrap();
    assert_eq!(told.to, To::RolesOr(roles::OPERATOR, "operator".into()));
}

#[test]
fn what_a_configuration_can_not_have_is_refused_with_its_place() {
    let mut table = realm();
    let make = json!({"realm_id": ID, "queue_attrs": {}});
    table.act("owner", "create_queue", make, &[]).unwrap();
    let queue = table.entity.machine.queues[0].clone();
    let tag = table.act("owner", "create_tag", json!({"realm_id": ID, "tag_attrs": {}}), &[]).unwrap();
    let RealmRecord::TagCreated { tag, .. } = &tag.records[0].record else { panic!("{tag:?}") };
    let logic = |queue: &str, tag: &str| json!([{"name": "l", "logic": {"queue": queue, "tags": [tag], "target": "_complete"}}]);
    let many: Object = (0..33).map(|number| (format!("e{number}"), json!({}))).collect();
    for (environment, place) in [
        (json!({"audienceRealmId": "x"}), "/audienceRealmId"),
        (json!({"audienceAutoQueue": "x"}), "/audienceAutoQueue"),
        (json!({"audienceQueues": [queue, "x"]}), "/audienceQueues/1"),
        (json!({"audienceQueues": "x"}), "/audienceQueues"),
        (json!({"motd": 5}), "/motd"),
        (json!({"audienceRating": "yes"}), "/audienceRating"),
        (json!({"userAvatar": 5}), "/userAvatar"),
        (json!({"translations": {"Close": 5}}), "/translations/Close"),
        (json!({"window": []}), "/window"),
        (json!({"preAudienceQuestionnaireStyle": "loud"}), "/preAudienceQuestionnaireStyle"),
        (json!({"postAudienceQuestionnaire": [{}]}), "/postAudienceQuestionnaire/0"),
        (json!({"preAudienceQuestionnaire": logic("x", tag)}), "/preAudienceQuestionnaire/0/logic/queue"),
        (json!({"preAudienceQuestionnaire": logic(&queue, "x")}), "/preAudienceQuestionnaire/0/logic/tags/0"),
    ] {
        let refusal = create(&mut table, Value::Null, json!({"default": environment})).unwrap_err();
        let reason = refusal.reason.clone().unwrap_or_default();
        assert_eq!(refusal.error_type, ErrorType::RequestMalformed);
        assert!(reason.starts_with(&format!("site_config/default{place}: ")), "{place}: {reason}");
    }
    for config in [json!({}), json!({"default": 5}), json!({"description": 5, "default": {}}), json!(many)] {
        assert_eq!(refused(create(&mut table, Value::Null, config)), Some(ErrorType::RequestMalformed));
    }
    let good = json!({"default": {"audienceRealmId": ID, "audienceQueues": [queue], "audienceAutoQueue": queue,
        "sendButtonText": false, "userAvatar": true, "agentAvatar": "https://x", "motd": null,
        "preAudienceQuestionnaire": logic(&queue, tag), "whatever": [1, {"x": null}]}});
    let made = put(&create(&mut table, Value::Null, good.clone()).unwrap());
    assert_eq!(Value::Object(made.config), good);
    while table.entity.machine.sites.len() < limits::SITES {
        create(&mut table, Value::Null, json!({"default": {}})).unwrap();
    }
    let one_more = create(&mut table, Value::Null, json!({"default": {}}));
    assert_eq!(refused(one_more), Some(ErrorType::PermissionDenied));
}
