//! Sites: configurations of a realm's pages, and how they are read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::{Http, Response};
use levee_client::{Error, Event};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

async fn create(by: &Person, realm: &str, key: Option<&str>, config: Value) -> Result<Event, Error> {
    let mut header = json!({"realm_id": realm, "site_config": config});
    if let Some(key) = key {
        header["site_key"] = key.into();
    }
    by.ask("levee_create_site", header).await
}

async fn read(server: &Server, key: &str, known: Option<&str>) -> Response {
    let headers: Vec<(&str, &str)> = known.iter().map(|etag| ("if-none-match", *etag)).collect();
    let mut http = Http::new(server.address());
    http.request("GET", &format!("/config/{key}"), &headers, b"").await.unwrap()
}

#[tokio::test]
async fn a_site_is_made_read_by_anybody_changed_disabled_and_deleted() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        let config =
            json!({"description": "Shop", "default": {"audienceQueues": [desk.queue], "x": {"y": 1}}});
        let made = create(&desk.operator, &desk.realm, Some("the-shop"), config.clone()).await.unwrap();
        assert_eq!((made.name(), made.str("site_key")), ("levee_site_created", "the-shop"));
        let mut whole = config;
        whole["default"]["audienceRealmId"] = desk.realm.as_str().into();
        assert_eq!((&made["site_config"], &made["enabled"]), (&whole, &json!(true)));
        let found = read(&server, "the-shop", None).await;
        let (origin, etag) = (found.header("access-control-allow-origin"), found.header("etag").to_owned());
        assert_eq!((found.status, origin, found.header("content-type")), (200, "*", "application/json"));
        assert!(found.header("cache-control").contains("max-age"));
        assert_eq!(serde_json::from_str::<Value>(&found.text()).unwrap(), whole);
        let again = read(&server, "the-shop", Some(&etag)).await;
        assert_eq!((again.status, again.text().as_str()), (304, ""));
        // What was acknowledged is there after a crash.
        server.kill();
        server.restart().await;
        let operator = levee_client::session::login("operator@example.org", "secret-operator");
        let operator = server.open(operator, levee_client::Options::default()).await;
        let of = json!({"realm_id": desk.realm});
        let all = operator.ask("levee_describe_sites", of.clone()).await.unwrap();
        assert_eq!(all["sites"], json!({"the-shop": {"enabled": true, "description": "Shop"}}));
        let which = json!({"realm_id": desk.realm, "site_key": "the-shop"});
        let one = operator.ask("levee_describe_sites", which.clone()).await.unwrap();
        assert_eq!(one.at("/sites/the-shop/site_config"), &whole);
        let mut change = which.clone();
        change["site_config"] = json!({"default": {"language": "fi"}});
        let changed = operator.ask("levee_update_site", change).await.unwrap();
        assert_eq!((changed.name(), &changed["enabled"]), ("levee_site_updated", &json!(true)));
        let found = read(&server, "the-shop", Some(&etag)).await;
        assert_eq!(found.status, 200, "it is another one now");
        let mut disable = which.clone();
        disable["enabled"] = false.into();
        let disabled = operator.ask("levee_update_site", disable).await.unwrap();
        assert_eq!(disabled.at("/site_config/default/language"), "fi", "what is not named stays");
        let hidden = read(&server, "the-shop", None).await;
        let nothing = read(&server, "no-such-site", None).await;
        assert_eq!((hidden.status, hidden.text()), (404, String::new()));
        assert_eq!((nothing.status, nothing.text()), (hidden.status, hidden.text()));
        let deleted = operator.ask("levee_delete_site", which.clone()).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("site_key")), ("levee_site_deleted", "the-shop"));
        assert_eq!(refused(operator.ask("levee_delete_site", which).await), "levee_site_not_found");
        let all = operator.ask("levee_describe_sites", of).await.unwrap();
        assert_eq!(all["sites"], json!({}));
        // Its key is free again, and with a realm all keys are.
        let config = json!({"default": {}});
        create(&operator, &desk.realm, Some("the-shop"), config.clone()).await.unwrap();
        operator.ask("delete_realm", json!({"realm_id": desk.realm})).await.unwrap();
        assert_eq!(read(&server, "the-shop", None).await.status, 404);
        let other = server.user("other").await;
        let realm = other.create_realm("Other").await.unwrap();
        create(&other, &realm, Some("the-shop"), config).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn only_operators_have_to_do_with_sites_and_all_of_them_hear_of_changes() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let config = json!({"default": {}});
        let made = create(&desk.operator, &desk.realm, None, config.clone()).await.unwrap();
        let key = made.str("site_key").to_owned();
        assert_eq!(read(&server, &key, None).await.status, 200);
        let stranger = server.user("stranger").await;
        let own = stranger.create_realm("Own").await.unwrap();
        let actions = |realm: &str| {
            [
                ("levee_create_site", json!({"realm_id": realm, "site_config": config})),
                ("levee_describe_sites", json!({"realm_id": realm})),
                ("levee_describe_sites", json!({"realm_id": realm, "site_key": key})),
                ("levee_update_site", json!({"realm_id": realm, "site_key": key, "enabled": false})),
                ("levee_delete_site", json!({"realm_id": realm, "site_key": key})),
            ]
        };
        for realm in [desk.realm.as_str(), "00absent0000000000"] {
            for (action, header) in actions(realm) {
                assert_eq!(refused(stranger.ask(action, header).await), "realm_not_found", "{action}");
            }
        }
        for (action, header) in actions(&desk.realm) {
            assert_eq!(refused(desk.agent.ask(action, header).await), "permission_denied", "{action}");
        }
        // A foreign site is none of one's own realm, and its key is taken.
        for (action, header) in &actions(&own)[2..] {
            assert_eq!(refused(stranger.ask(action, header.clone()).await), "levee_site_not_found");
        }
        let taken = create(&stranger, &own, Some(&key), config.clone()).await;
        assert_eq!(refused(taken), "levee_site_already_exists");
        assert_eq!(read(&server, &key, None).await.status, 200);
        // Who becomes an operator hears of what others do from then on.
        let promote = json!({"realm_id": desk.realm, "user_id": desk.agent.user_id(),
            "member_attrs": {"operator": true}});
        desk.operator.ask("update_member", promote).await.unwrap();
        desk.agent.events.named("realm_member_updated").await.unwrap();
        desk.operator.ask(actions(&desk.realm)[3].0, actions(&desk.realm)[3].1.clone()).await.unwrap();
        let heard = desk.agent.events.named("levee_site_updated").await.unwrap();
        assert_eq!((heard.str("site_key"), heard.action_id()), (key.as_str(), None));
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_site_is_told_with_its_place_and_leaves_no_trace() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        for key in ["ab", "UPPER", "a.b", "with space", "ä-ä", &"x".repeat(65)] {
            let refusal = refused(create(&desk.operator, &desk.realm, Some(key), json!({"default": {}})).await);
            assert_eq!(refusal, "request_malformed", "{key}");
        }
        for (config, path) in [
            (json!({}), "site_config: "),
            (json!({"default": {"audienceRealmId": "x"}}), "site_config/default/audienceRealmId: "),
            (json!({"default": {}, "fi": {"audienceQueues": ["x"]}}), "site_config/fi/audienceQueues/0: "),
            (
                json!({"default": {"preAudienceQuestionnaire": [{"name": "a", "element": "input", "pattern": "("}]}}),
                "site_config/default/preAudienceQuestionnaire/0/pattern: ",
            ),
            (json!({"default": {"x": "x".repeat(50_000)}}), "site_config: "),
        ] {
            let Err(Error::Rejected(event)) = create(&desk.operator, &desk.realm, None, config).await else {
                panic!("{path}")
            };
            assert_eq!(event.error_type(), "request_malformed");
            assert!(event.str("error_reason").starts_with(path), "{path}: {event:?}");
        }
        let all = desk.operator.ask("levee_describe_sites", json!({"realm_id": desk.realm})).await.unwrap();
        assert_eq!(all["sites"], json!({}));
        for path in ["UPPER", "..%2f", "x"] {
            assert_eq!(read(&server, path, None).await.status, 404, "{path}");
        }
    })
    .await;
}
