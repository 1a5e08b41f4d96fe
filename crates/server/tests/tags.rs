//! Tags of a realm, and the end of a realm.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::{Error, Event, Options, session::login};
use serde_json::{Value, json};
use std::time::Duration;
use support::people::{Desk, Person};
use support::{LIMIT, Server, assert_error, is_well, refused, within};

async fn create(by: &Person, realm: &str, attrs: Value) -> Result<Event, Error> {
    by.ask("create_tag", json!({"realm_id": realm, "tag_attrs": attrs})).await
}

/// Makes a tag under another one, and returns its id.
async fn tag(desk: &Desk, name: &str, parent: Option<&str>) -> String {
    let made = create(&desk.operator, &desk.realm, json!({"name": name, "parent_id": parent})).await.unwrap();
    made.str("tag_id").to_owned()
}

#[tokio::test]
async fn a_tag_is_made_found_changed_and_deleted_before_all_members() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let attrs = json!({"name": "Refund", "theme": {"color": "#ff0000"}});
        let created = create(&desk.operator, &desk.realm, attrs.clone()).await.unwrap();
        assert_eq!((created.name(), created.str("realm_id")), ("tag_created", desk.realm.as_str()));
        assert_eq!(created["tag_attrs"], attrs);
        let heard = desk.agent.events.named("tag_created").await.unwrap();
        assert_eq!((&heard["tag_id"], heard.action_id()), (&created["tag_id"], None));
        let id = json!({"tag_id": created["tag_id"]});
        for person in [&desk.operator, &desk.agent] {
            let found = person.ask("describe_tag", id.clone()).await.unwrap();
            assert_eq!((found.name(), found.str("realm_id")), ("tag_found", desk.realm.as_str()));
            assert_eq!((&found["tag_id"], &found["tag_attrs"]), (&id["tag_id"], &attrs));
        }
        let change = json!({"tag_id": id["tag_id"], "tag_attrs": {"name": "Money back", "theme": null}});
        let updated = desk.operator.ask("update_tag", change).await.unwrap();
        assert_eq!((updated.name(), &updated["tag_attrs"]), ("tag_updated", &json!({"name": "Money back"})));
        assert_eq!(desk.agent.events.named("tag_updated").await.unwrap()["tag_attrs"], updated["tag_attrs"]);
        let deleted = desk.operator.ask("delete_tag", id.clone()).await.unwrap();
        assert_eq!((deleted.name(), &deleted["tag_attrs"]), ("tag_deleted", &updated["tag_attrs"]));
        assert_eq!(desk.agent.events.named("tag_deleted").await.unwrap()["tag_id"], id["tag_id"]);
        assert_eq!(refused(desk.agent.ask("describe_tag", id).await), "tag_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_group_is_shown_as_a_tree_and_goes_as_a_whole() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let group = tag(&desk, "Group", None).await;
        let inner = tag(&desk, "Inner", Some(&group)).await;
        let leaf = tag(&desk, "Leaf", Some(&inner)).await;
        let other = tag(&desk, "Other", None).await;
        let all = json!({"realm_id": desk.realm});
        let found = desk.agent.ask("describe_tags", all.clone()).await.unwrap();
        assert_eq!((found.name(), found.str("realm_id")), ("tags_found", desk.realm.as_str()));
        let branch = &found["tag_children"][&group]["tag_children"][&inner];
        assert_eq!(branch["tag_attrs"], json!({"name": "Inner", "parent_id": group}));
        assert_eq!(branch["tag_children"][&leaf]["tag_children"], json!({}));
        let flat = json!({"tag_id": group, "tag_depth": 1});
        let found = desk.agent.ask("describe_tags", flat).await.unwrap();
        assert_eq!((found.str("tag_id"), found.at("/tag_attrs/name")), (group.as_str(), &json!("Group")));
        let inner_only = json!({&inner: {"tag_attrs": {"name": "Inner", "parent_id": group}}});
        assert_eq!(found["tag_children"], inner_only);
        let deleted = desk.operator.ask("delete_tag", json!({"tag_id": group})).await.unwrap();
        assert_eq!(deleted.str("tag_id"), group);
        for gone in [&group, &inner, &leaf] {
            assert_eq!(desk.agent.events.named("tag_deleted").await.unwrap().str("tag_id"), gone);
            let refusal = refused(desk.agent.ask("describe_tag", json!({"tag_id": gone})).await);
            assert_eq!(refusal, "tag_not_found");
        }
        let left = desk.agent.ask("describe_tags", all).await.unwrap();
        assert_eq!(
            left["tag_children"],
            json!({&other: {"tag_attrs": {"name": "Other"}, "tag_children": {}}})
        );
    })
    .await;
}

#[tokio::test]
async fn tags_survive_a_restart() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        let kept = tag(&desk, "Kept", None).await;
        server.kill();
        server.restart().await;
        let again = server.open(login("agent@example.org", "secret-agent"), Options::default()).await;
        let found = again.ask("describe_tags", json!({"realm_id": desk.realm})).await.unwrap();
        assert_eq!(
            found["tag_children"],
            json!({&kept: {"tag_attrs": {"name": "Kept"}, "tag_children": {}}})
        );
    })
    .await;
}

#[tokio::test]
async fn only_operators_write_tags() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let tag = tag(&desk, "Kept", None).await;
        let refusal = refused(create(&desk.agent, &desk.realm, json!({"name": "No"})).await);
        assert_eq!(refusal, "permission_denied");
        let rename = json!({"tag_id": tag, "tag_attrs": {"name": "No"}});
        assert_eq!(refused(desk.agent.ask("update_tag", rename).await), "permission_denied");
        let delete = json!({"tag_id": tag});
        assert_eq!(refused(desk.agent.ask("delete_tag", delete.clone()).await), "permission_denied");
        let found = desk.agent.ask("describe_tag", delete).await.unwrap();
        assert_eq!(found.at("/tag_attrs/name"), "Kept");
        let operator = json!({"realm_id": desk.realm, "user_id": desk.agent.user_id(),
            "member_attrs": {"operator": true}});
        desk.operator.ask("update_member", operator).await.unwrap();
        assert!(create(&desk.agent, &desk.realm, json!({"name": "Yes"})).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_foreign_realm_and_its_tags_look_absent() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let tag = tag(&desk, "Secret", None).await;
        let stranger = server.user("stranger").await;
        let own = stranger.create_realm("Other").await.unwrap();
        let absent_tag = format!("{}0000000000000000", desk.realm);
        let by_tag = [
            ("describe_tag", json!({})),
            ("describe_tags", json!({})),
            ("update_tag", json!({"tag_attrs": {"name": "x"}})),
            ("delete_tag", json!({})),
        ];
        let by_realm = [
            ("create_tag", json!({"tag_attrs": {}})),
            ("describe_tags", json!({})),
            ("delete_realm", json!({})),
        ];
        let strange =
            |id: &str| [id.to_owned(), "00absent0000000000".into(), "../../x".into(), "z".repeat(5_000)];
        let mut tags = strange(&tag).to_vec();
        tags.extend([absent_tag, "00absent00000000000000000000000000".into(), String::new()]);
        let cases = [
            ("tag_id", "tag_not_found", &by_tag[..], tags),
            ("realm_id", "realm_not_found", &by_realm[..], strange(&desk.realm).to_vec()),
        ];
        for (parameter, refusal, actions, ids) in cases {
            for (action, header) in actions {
                for id in &ids {
                    let mut header = header.clone();
                    header[parameter] = id.as_str().into();
                    let Err(Error::Rejected(event)) = stranger.ask(action, header).await else {
                        panic!("{action} of {id:.40}");
                    };
                    assert_eq!(
                        (event.error_type(), event.str(parameter)),
                        (refusal, id.as_str()),
                        "{action}"
                    );
                    assert!(event["error_reason"].is_null(), "{action} of {id:.40}: {event:?}");
                }
            }
        }
        // Nor can a tag of one realm be made beneath one of another.
        let beneath = create(&stranger, &own, json!({"name": "x", "parent_id": tag})).await;
        assert_eq!(refused(beneath), "tag_not_found");
        let found = desk.agent.ask("describe_tag", json!({"tag_id": tag})).await.unwrap();
        assert_eq!(found["tag_attrs"], json!({"name": "Secret"}));
    })
    .await;
}

#[tokio::test]
async fn bad_input_about_tags_gets_a_clear_error_and_leaves_no_trace() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        for (number, mut header) in (1..).zip([
            json!({"action": "create_tag"}),
            json!({"action": "create_tag", "realm_id": "00absent0000000000", "tag_attrs": []}),
            json!({"action": "describe_tag", "tag_id": 5}),
            json!({"action": "describe_tags"}),
            json!({"action": "describe_tags", "realm_id": "00aa", "tag_id": "00aa"}),
            json!({"action": "describe_tags", "realm_id": "00aa", "tag_depth": -1}),
            json!({"action": "describe_tags", "realm_id": "00aa", "tag_depth": "all"}),
            json!({"action": "update_tag", "tag_id": "00aa"}),
            json!({"action": "delete_tag"}),
            json!({"action": "delete_realm"}),
            json!({"action": "delete_realm", "realm_id": ["x"]}),
        ]) {
            header["action_id"] = number.into();
            let answer = socket.ask(header, &[]).await.unwrap();
            assert_error(&answer, "request_malformed", Some(number));
        }
        is_well(&mut socket).await;
        let desk = server.desk().await;
        for attrs in [
            json!({"name": "x".repeat(513)}),
            json!({"theme": {"color": ["red"]}}),
            json!({"theme": {"color": "x".repeat(2_000)}}),
            json!({"theme": "red"}),
        ] {
            let refusal = refused(create(&desk.operator, &desk.realm, attrs.clone()).await);
            assert_eq!(refusal, "request_malformed", "{attrs:.60}");
        }
        for depth in [0, 11] {
            let all = json!({"realm_id": desk.realm, "tag_depth": depth});
            assert_eq!(refused(desk.agent.ask("describe_tags", all).await), "request_malformed");
        }
        let mut parent = None;
        for level in 1..=10 {
            parent = Some(tag(&desk, &level.to_string(), parent.as_deref()).await);
        }
        let deeper = create(&desk.operator, &desk.realm, json!({"parent_id": parent})).await;
        assert_eq!(refused(deeper), "request_malformed");
        let moved = json!({"tag_id": parent, "tag_attrs": {"parent_id": null}});
        assert_eq!(refused(desk.operator.ask("update_tag", moved).await), "permission_denied");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_realm_takes_its_queues_tags_and_lines_along() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let tag = tag(&desk, "Gone", None).await;
        let mut customer = server.guest("Cleo").await;
        customer.request_audience(&desk.queue).await.unwrap();
        let which = json!({"realm_id": desk.realm});
        assert_eq!(refused(desk.agent.ask("delete_realm", which.clone()).await), "permission_denied");
        let deleted = desk.operator.ask("delete_realm", which.clone()).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("realm_id")), ("realm_deleted", desk.realm.as_str()));
        let heard = desk.agent.events.named("realm_deleted").await.unwrap();
        assert_eq!((heard.str("realm_id"), heard.action_id()), (desk.realm.as_str(), None));
        for person in [&mut desk.agent, &mut customer] {
            let gone = person.events.named("queue_deleted").await.unwrap();
            assert_eq!(gone.str("queue_id"), desk.queue);
        }
        for (action, header) in [
            ("describe_realm", which.clone()),
            ("describe_realm_queues", which.clone()),
            ("update_realm", which.clone()),
            ("describe_tags", which.clone()),
            ("delete_realm", which.clone()),
        ] {
            assert_eq!(refused(desk.operator.ask(action, header).await), "realm_not_found", "{action}");
        }
        assert_eq!(refused(desk.operator.create_queue(&desk.realm, json!({})).await), "realm_not_found");
        let refusal = refused(desk.operator.ask("describe_tag", json!({"tag_id": tag})).await);
        assert_eq!(refusal, "tag_not_found");
        assert_eq!(refused(customer.request_audience(&desk.queue).await), "queue_not_found");
        // What belongs to a realm looks at a copy of it, which is good for a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(refused(desk.operator.ask("create_channel", which).await), "realm_not_found");
        // New sessions find nothing of it.
        for name in ["operator", "agent"] {
            let parameters = login(&format!("{name}@example.org"), &format!("secret-{name}"));
            let again = server.open(parameters, Options::default()).await;
            assert_eq!(again.created()["user_realms"], json!({}), "{name}");
            assert!(again.created()["user_queues"].is_null(), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_realm_is_deleted_once_however_often_that_is_sent_and_another_can_be_made() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut socket = server.raw().await;
        let by = json!({"action": "create_session", "user_attrs": {"guest": false}, "message_types": ["*"]});
        socket.action(by, &[]).await.unwrap();
        socket.named("session_created").await.unwrap();
        let made = socket.ask(json!({"action": "create_realm", "action_id": 1}), &[]).await.unwrap();
        let make =
            json!({"action": "create_tag", "action_id": 2, "realm_id": made["realm_id"], "tag_attrs": {}});
        for _ in 0..3 {
            socket.action(make.clone(), &[]).await.unwrap();
        }
        let all = json!({"action": "describe_tags", "action_id": 3, "realm_id": made["realm_id"]});
        let tags = socket.ask(all, &[]).await.unwrap();
        assert_eq!(tags["tag_children"].as_object().map(serde_json::Map::len), Some(1), "{tags:?}");
        let delete = json!({"action": "delete_realm", "action_id": 4, "realm_id": made["realm_id"]});
        for _ in 0..3 {
            socket.action(delete.clone(), &[]).await.unwrap();
        }
        // A copy that was refused would be answered by an error before this.
        let deleted = socket.ask(delete, &[]).await.unwrap();
        assert_eq!((deleted.name(), &deleted["realm_id"]), ("realm_deleted", &made["realm_id"]));
        let next = socket.ask(json!({"action": "create_realm", "action_id": 5}), &[]).await.unwrap();
        assert_eq!(next.name(), "realm_joined");
        assert_ne!(next["realm_id"], made["realm_id"]);
    })
    .await;
}
