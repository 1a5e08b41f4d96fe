//! Channels: making, joining, leaving, changing, members, typing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

/// A channel of two: its operator and a member.
async fn pair(server: &Server, attributes: Value) -> (Person, Person, String) {
    let (ann, ben) = (server.guest("Ann").await, server.guest("Ben").await);
    let channel = ann.create_channel(attributes).await.unwrap();
    ben.join_channel(&channel).await.unwrap();
    (ann, ben, channel)
}

async fn update_member(
    by: &Person,
    channel: &str,
    user: &str,
    attributes: Value,
) -> Result<levee_client::Event, levee_client::Error> {
    let parameters = json!({"channel_id": channel, "user_id": user, "member_attrs": attributes});
    by.ask("update_member", parameters).await
}

#[tokio::test]
async fn who_makes_a_channel_owns_and_operates_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.guest("Ann").await;
        let made = json!({"channel_attrs": {"name": "Room", "topic": "Lamps"}});
        let joined = ann.ask("create_channel", made).await.unwrap();
        assert_eq!(joined.name(), "channel_joined");
        assert_eq!(joined.at("/channel_attrs/name"), "Room");
        assert_eq!(joined.at("/channel_attrs/topic"), "Lamps");
        assert_eq!(joined.at("/channel_attrs/owner_id"), ann.user_id());
        let own = &joined["channel_members"][ann.user_id()];
        assert_eq!(
            (&own["member_attrs"]["operator"], &own["user_attrs"]["name"]),
            (&json!(true), &json!("Ann"))
        );
        assert!(own["member_attrs"]["since"].as_u64().is_some_and(|since| since > 1_600_000_000));
        // The implicit value of an unset boolean is false.
        assert_ne!(joined.at("/channel_attrs/closed"), &json!(true));
    })
    .await;
}

#[tokio::test]
async fn members_hear_who_comes_and_who_goes() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, ben) = (server.guest("Ann").await, server.guest("Ben").await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        let joined = ben.join_channel(&channel).await.unwrap();
        assert_eq!((joined.name(), joined.str("channel_id")), ("channel_joined", channel.as_str()));
        for member in [ann.user_id(), ben.user_id()] {
            assert!(joined["channel_members"][member]["member_attrs"].is_object(), "{joined:?}");
        }
        let came = ann.events.named("channel_member_joined").await.unwrap();
        assert_eq!((came.str("channel_id"), came.str("user_id")), (channel.as_str(), ben.user_id()));
        assert_eq!(came.at("/user_attrs/name"), "Ben");
        assert!(came["member_attrs"].is_object() && came.action_id().is_none());
        let parted = ben.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        assert_eq!((parted.name(), parted.str("channel_id")), ("channel_parted", channel.as_str()));
        let went = ann.events.named("channel_member_parted").await.unwrap();
        assert_eq!((went.str("channel_id"), went.str("user_id")), (channel.as_str(), ben.user_id()));
        assert_ne!(went["event_cause"], "member_remove");
    })
    .await;
}

#[tokio::test]
async fn a_channel_goes_with_its_last_member() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben, channel) = pair(&server, json!({})).await;
        for person in [&ann, &ben] {
            person.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        }
        let found = ann.ask("describe_channel", json!({"channel_id": channel})).await;
        assert_eq!(refused(found), "channel_not_found");
        assert_eq!(refused(ben.join_channel(&channel).await), "channel_not_found");
    })
    .await;
}

#[tokio::test]
async fn operators_change_a_channel_and_others_do_not() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben, channel) = pair(&server, json!({"name": "Room", "topic": "Old"})).await;
        let change = |attributes: Value| json!({"channel_id": channel, "channel_attrs": attributes});
        let updated = ann.ask("update_channel", change(json!({"name": "New", "topic": null}))).await.unwrap();
        assert_eq!(updated.name(), "channel_updated");
        let heard = ben.events.named("channel_updated").await.unwrap();
        assert_eq!(
            (heard.at("/channel_attrs/name"), heard.at("/channel_attrs/topic")),
            (&json!("New"), &Value::Null)
        );
        assert_eq!((&heard["event_cause"], heard.action_id()), (&json!("channel_update"), None));
        assert_eq!(
            refused(ben.ask("update_channel", change(json!({"name": "Ben's"}))).await),
            "permission_denied"
        );
        // What nobody may write, an operator may not write either.
        assert_eq!(
            refused(ann.ask("update_channel", change(json!({"owner_id": ben.user_id()}))).await),
            "permission_denied"
        );
    })
    .await;
}

#[tokio::test]
async fn a_closed_channel_can_be_read_but_not_written() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben, channel) = pair(&server, json!({})).await;
        let target = Target::Channel(channel.clone());
        ann.send_text(&target, "before").await.unwrap();
        let close = json!({"channel_id": channel, "channel_attrs": {"closed": true}});
        ann.ask("update_channel", close).await.unwrap();
        refused(ben.send_text(&target, "after").await);
        let text = json!({"message_types": ["ninchat.com/text"]});
        assert_eq!(ben.load_history(&target, text).await.unwrap().texts(), ["before"]);
    })
    .await;
}

#[tokio::test]
async fn a_channel_is_suspended_before_it_is_deleted() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben, channel) = pair(&server, json!({})).await;
        let which = json!({"channel_id": channel});
        refused(ann.ask("delete_channel", which.clone()).await);
        let suspend = json!({"channel_id": channel, "channel_attrs": {"suspended": true}});
        refused(ben.ask("update_channel", suspend.clone()).await);
        ann.ask("update_channel", suspend).await.unwrap();
        refused(ben.send_text(&Target::Channel(channel.clone()), "no").await);
        refused(ben.ask("delete_channel", which.clone()).await);
        let deleted = ann.ask("delete_channel", which.clone()).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("channel_id")), ("channel_deleted", channel.as_str()));
        let told =
            |event: &levee_client::Event| ["channel_deleted", "channel_parted"].contains(&event.name());
        assert_eq!(ben.events.find("the end", told).await.unwrap().str("channel_id"), channel);
        assert_eq!(refused(ann.ask("describe_channel", which).await), "channel_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_private_channel_admits_nobody_and_shows_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, cleo) = (server.guest("Ann").await, server.guest("Cleo").await);
        let channel = ann.create_channel(json!({"name": "Secret", "private": true})).await.unwrap();
        refused(cleo.join_channel(&channel).await);
        if let Ok(found) = cleo.ask("describe_channel", json!({"channel_id": channel})).await {
            assert!(found["channel_members"].is_null(), "{found:?}");
        }
        refused(cleo.load_history(&Target::Channel(channel), json!({})).await);
    })
    .await;
}

#[tokio::test]
async fn strangers_see_a_channel_without_its_members() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben, channel) = pair(&server, json!({"name": "Room"})).await;
        let cleo = server.guest("Cleo").await;
        let which = json!({"channel_id": channel});
        let members = ben.ask("describe_channel", which.clone()).await.unwrap();
        assert_eq!(members.name(), "channel_found");
        assert!(members["channel_members"][ann.user_id()].is_object());
        let strangers = cleo.ask("describe_channel", which).await.unwrap();
        assert_eq!(strangers.at("/channel_attrs/name"), "Room");
        assert!(strangers["channel_members"].is_null() && strangers["channel_status"].is_null());
    })
    .await;
}

#[tokio::test]
async fn typing_is_shown_to_the_others() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, ben, channel) = pair(&server, json!({})).await;
        for writing in [true, false] {
            update_member(&ben, &channel, ben.user_id(), json!({"writing": writing})).await.unwrap();
            let shown = ann.events.named("channel_member_updated").await.unwrap();
            assert_eq!((shown.str("channel_id"), shown.str("user_id")), (channel.as_str(), ben.user_id()));
            assert_eq!(shown.at("/member_attrs/writing").as_bool().unwrap_or(false), writing, "{shown:?}");
        }
        // Nobody types for another.
        assert_eq!(
            refused(update_member(&ben, &channel, ann.user_id(), json!({"writing": true})).await),
            "permission_denied"
        );
    })
    .await;
}

#[tokio::test]
async fn a_silenced_member_can_not_write() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben, channel) = pair(&server, json!({})).await;
        let target = Target::Channel(channel.clone());
        assert_eq!(
            refused(update_member(&ben, &channel, ben.user_id(), json!({"operator": true})).await),
            "permission_denied"
        );
        let updated = update_member(&ann, &channel, ben.user_id(), json!({"silenced": true})).await.unwrap();
        assert_eq!(updated.name(), "channel_member_updated");
        assert_eq!(
            ben.events.named("channel_member_updated").await.unwrap().at("/member_attrs/silenced"),
            &json!(true)
        );
        assert_eq!(refused(ben.send_text(&target, "no").await), "permission_denied");
        update_member(&ann, &channel, ben.user_id(), json!({"silenced": false})).await.unwrap();
        ben.send_text(&target, "yes").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_removed_member_is_told_and_stays_out() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben, channel) = pair(&server, json!({})).await;
        let mut cleo = server.guest("Cleo").await;
        cleo.join_channel(&channel).await.unwrap();
        let remove = |user: &str| json!({"channel_id": channel, "user_id": user});
        assert_eq!(refused(cleo.ask("remove_member", remove(ben.user_id())).await), "permission_denied");
        let removed = ann.ask("remove_member", remove(ben.user_id())).await.unwrap();
        assert_eq!((removed.name(), removed.str("user_id")), ("channel_member_parted", ben.user_id()));
        let told = ben.events.named("channel_parted").await.unwrap();
        assert_eq!(
            (told.str("channel_id"), &told["event_cause"]),
            (channel.as_str(), &json!("member_remove"))
        );
        let heard = cleo.events.named("channel_member_parted").await.unwrap();
        assert_eq!((heard.str("user_id"), &heard["event_cause"]), (ben.user_id(), &json!("member_remove")));
        refused(ben.send_text(&Target::Channel(channel.clone()), "no").await);
        refused(ben.load_history(&Target::Channel(channel.clone()), json!({})).await);
    })
    .await;
}

#[tokio::test]
async fn a_channel_in_a_realm_is_for_its_members() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let stranger = server.user("stranger").await;
        let made = json!({"realm_id": desk.realm, "channel_attrs": {"name": "Staff"}});
        let joined = desk.operator.ask("create_channel", made).await.unwrap();
        assert_eq!(joined.str("realm_id"), desk.realm);
        let channel = joined.str("channel_id");
        desk.agent.join_channel(channel).await.unwrap();
        // What one may not see looks like what is not there.
        assert_eq!(refused(stranger.join_channel(channel).await), "channel_not_found");
        assert_eq!(refused(stranger.join_channel("00unknown000000000").await), "channel_not_found");
        assert_eq!(
            refused(stranger.ask("describe_channel", json!({"channel_id": channel})).await),
            "channel_not_found"
        );
    })
    .await;
}
