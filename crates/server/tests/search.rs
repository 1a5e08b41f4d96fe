//! Searches for users and channels by the beginning of their names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::{Error, Event};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

/// Users and channels that were found, by their ids.
async fn find(by: &Person, action: &str, wish: Value) -> Result<(Value, Value), Error> {
    let (users, channels) = by.search(action, wish).await?;
    Ok((Value::Object(users), Value::Object(channels)))
}

fn ids(found: &Value) -> Vec<&str> {
    found.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A channel of this name.
async fn channel(by: &Person, realm: Option<&str>, attrs: Value) -> String {
    let mut wish = json!({"channel_attrs": attrs});
    if let Some(realm) = realm {
        wish["realm_id"] = realm.into();
    }
    by.ask("create_channel", wish).await.unwrap().str("channel_id").to_owned()
}

#[tokio::test]
async fn members_of_a_realm_find_its_members_and_channels() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let realm = desk.realm.as_str();
        let agents = channel(&desk.operator, Some(realm), json!({"name": "Agents' corner"})).await;
        channel(&desk.operator, Some(realm), json!({"name": "Agora", "private": true})).await;
        channel(&desk.operator, Some(realm), json!({"name": "Other"})).await;
        let wish = |term: &str| json!({"search_term": term, "realm_id": realm});
        for by in [&desk.operator, &desk.agent] {
            let (users, channels) = find(by, "search", wish("aG")).await.unwrap();
            assert_eq!((ids(&users), ids(&channels)), (vec![desk.agent.user_id()], vec![&*agents]));
            let user = &users[desk.agent.user_id()];
            assert_eq!((&user["user_attrs"]["name"], &user["weight"]), (&json!("agent"), &json!(0.4)));
            assert_eq!(channels[&agents]["channel_attrs"]["name"], "Agents' corner");
            assert_eq!(channels[&agents]["realm_id"], realm);
        }
        let (users, channels) = find(&desk.agent, "search_users", wish("ag")).await.unwrap();
        assert_eq!((ids(&users).len(), ids(&channels).len()), (1, 0));
        let (users, channels) = find(&desk.agent, "search_channels", wish("ag")).await.unwrap();
        assert_eq!((ids(&users).len(), ids(&channels).len()), (0, 1));
        let (users, channels) = find(&desk.agent, "search", wish("nobody")).await.unwrap();
        assert_eq!((ids(&users).len(), ids(&channels).len()), (0, 0));

        // Whoever is called otherwise is found by that, in a moment; so is a channel, at once.
        let rename = json!({"user_attrs": {"name": "Zoe"}});
        desk.agent.ask("update_user", rename).await.unwrap();
        while ids(&find(&desk.operator, "search_users", wish("zo")).await.unwrap().0).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(ids(&find(&desk.operator, "search_users", wish("agent")).await.unwrap().0).is_empty());
        let rename = json!({"channel_id": agents, "channel_attrs": {"name": "Zoo"}});
        desk.operator.ask("update_channel", rename).await.unwrap();
        assert_eq!(ids(&find(&desk.agent, "search_channels", wish("zoo")).await.unwrap().1), [&*agents]);
        assert!(ids(&find(&desk.agent, "search_channels", wish("ag")).await.unwrap().1).is_empty());
    })
    .await;
}

#[tokio::test]
async fn without_a_realm_one_finds_what_one_belongs_to_and_what_is_open() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let inner = channel(&desk.operator, Some(&desk.realm), json!({"name": "News inside"})).await;
        let guest = server.guest("Newton").await;
        let open = channel(&guest, None, json!({"name": "News"})).await;
        channel(&guest, None, json!({"name": "News for us", "private": true})).await;
        let wish = json!({"search_term": "new"});
        let (users, channels) = find(&guest, "search", wish.clone()).await.unwrap();
        assert_eq!((ids(&users), ids(&channels)), (vec![], vec![&*open]));
        let (_, channels) = find(&desk.agent, "search", wish.clone()).await.unwrap();
        let mut found = ids(&channels);
        found.sort_unstable();
        let mut expected = [&*open, &*inner];
        expected.sort_unstable();
        assert_eq!(found, expected);
        // Nobody is found who is in no common realm.
        let (users, _) = find(&desk.agent, "search_users", wish.clone()).await.unwrap();
        assert!(ids(&users).is_empty());
        guest.ask("part_channel", json!({"channel_id": open})).await.unwrap();
        assert!(ids(&find(&guest, "search", wish.clone()).await.unwrap().1).is_empty());
        // A call without a session gets the same.
        let mut caller = Caller::email(server.address(), "agent@example.org", "secret-agent");
        let called: Event = caller.post("search", wish).await.unwrap();
        assert_eq!((called.name(), ids(&called["channels"])), ("search_results", vec![&*inner]));
    })
    .await;
}

#[tokio::test]
async fn a_realm_that_is_not_ones_own_looks_absent_and_bad_terms_are_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let foreign = server.user("foreign").await;
        foreign.create_realm("Elsewhere").await.unwrap();
        let absent = format!("{}zzzz", &desk.realm[..desk.realm.len() - 4]);
        for action in ["search", "search_users", "search_channels"] {
            for realm in [desk.realm.as_str(), &absent, "nothing", ""] {
                let wish = json!({"search_term": "ag", "realm_id": realm});
                assert_eq!(
                    refused(find(&foreign, action, wish).await),
                    "realm_not_found",
                    "{action} {realm}"
                );
            }
            for wish in [
                json!({}),
                json!({"search_term": ""}),
                json!({"search_term": "   "}),
                json!({"search_term": 5}),
                json!({"search_term": "x".repeat(513)}),
                json!({"search_term": "a", "realm_id": 5}),
            ] {
                assert_eq!(
                    refused(foreign.ask(action, wish.clone()).await),
                    "request_malformed",
                    "{action} {wish}"
                );
            }
        }
        // Who is removed finds nothing any more.
        let remove = json!({"realm_id": desk.realm, "user_id": desk.agent.user_id()});
        desk.operator.ask("remove_member", remove).await.unwrap();
        let wish = json!({"search_term": "ag", "realm_id": desk.realm});
        assert_eq!(refused(find(&desk.agent, "search", wish).await), "realm_not_found");
    })
    .await;
}
