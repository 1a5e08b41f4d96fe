//! Moderation: hiding messages, and what a channel's settings forbid.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::{Error, Event};
use serde_json::{Value, json};
use support::people::Person;
use support::rooms::{ascending, room};
use support::{LIMIT, Server, refused, within};

/// A channel's id.
fn id(room: &Target) -> &str {
    match room {
        Target::Channel(id) | Target::User(id) => id,
    }
}

async fn hide(by: &Person, room: &Target, message: &str, hidden: bool) -> Result<Event, Error> {
    let wish = json!({"channel_id": id(room), "message_id": message, "message_hidden": hidden});
    by.ask("update_message", wish).await
}

/// Sends a text and returns its id.
async fn say(person: &Person, room: &Target, text: &str) -> String {
    person.send_text(room, text).await.unwrap().str("message_id").to_owned()
}

async fn texts(person: &Person, room: &Target) -> Vec<String> {
    person.load_history(room, ascending()).await.unwrap().texts()
}

#[tokio::test]
async fn a_hidden_message_is_gone_for_members_and_marked_for_moderators_after_a_crash_too() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben", "Cleo"]).await;
        let first = say(&people[1], &room, "one").await;
        say(&people[1], &room, "two").await;
        let updated = hide(&people[0], &room, &first, true).await.unwrap();
        assert_eq!((updated.name(), updated.str("message_id")), ("message_updated", first.as_str()));
        assert_eq!((updated.str("channel_id"), &updated["message_hidden"]), (id(&room), &json!(true)));
        let heard = people[2].events.named("message_updated").await.unwrap();
        assert_eq!((heard.str("message_id"), &heard["message_hidden"]), (first.as_str(), &json!(true)));
        assert_eq!(heard.action_id(), None);

        server.kill();
        server.restart().await;
        assert_eq!(texts(&people[2], &room).await, ["two"]);
        let all = people[0].load_history(&room, ascending()).await.unwrap();
        assert_eq!(all.texts(), ["one", "two"]);
        assert_eq!(
            (&all.messages[0]["message_hidden"], &all.messages[1]["message_hidden"]),
            (&json!(true), &Value::Null)
        );

        hide(&people[0], &room, &first, false).await.unwrap();
        // After a crash, what was heard before may be heard again.
        let is_shown = |event: &Event| event.name() == "message_updated" && event["message_hidden"] == false;
        people[2].events.find("that it is shown", is_shown).await.unwrap();
        assert_eq!(texts(&people[2], &room).await, ["one", "two"]);
    })
    .await;
}

#[tokio::test]
async fn all_that_a_user_has_sent_is_hidden_up_to_a_message_or_a_time() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben", "Cleo"]).await;
        say(&people[1], &room, "b1").await;
        say(&people[2], &room, "c1").await;
        let second = say(&people[1], &room, "b2").await;
        let third = people[1].send_text(&room, "b3").await.unwrap();
        let ben = people[1].user_id().to_owned();
        let wish = |more: Value| {
            let mut wish = json!({"channel_id": id(&room), "message_user_id": ben, "message_hidden": true});
            wish.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            wish
        };
        let told = people[0].ask("update_user_messages", wish(json!({"message_id": second}))).await.unwrap();
        assert_eq!((told.name(), told.str("message_id")), ("message_updated", second.as_str()));
        for _ in 0..2 {
            assert_eq!(people[2].events.named("message_updated").await.unwrap()["message_hidden"], true);
        }
        assert_eq!(texts(&people[2], &room).await, ["c1", "b3"]);
        let early = third["message_time"].as_f64().unwrap() - 0.0005;
        people[0].ask("update_user_messages", wish(json!({"interval_end": early}))).await.unwrap();
        assert_eq!(texts(&people[2], &room).await, ["c1", "b3"], "that one is later");
        people[0].ask("update_user_messages", wish(json!({}))).await.unwrap();
        assert_eq!(texts(&people[2], &room).await, ["c1"]);
        people[0].ask("update_user_messages", wish(json!({"message_hidden": false}))).await.unwrap();
        assert_eq!(texts(&people[2], &room).await, ["b1", "c1", "b2", "b3"]);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_moderate_changes_nothing_and_learns_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        let room = Target::Channel(channel.clone());
        let message = say(&desk.agent, &room, "hello").await;
        let foreign = server.user("foreign").await;
        foreign.create_realm("Elsewhere").await.unwrap();
        let all = |channel: &str| {
            json!({"channel_id": channel, "message_user_id": desk.agent.user_id(), "message_hidden": true})
        };
        assert_eq!(refused(hide(&customer, &room, &message, true).await), "permission_denied");
        let outcome = customer.ask("update_user_messages", all(&channel)).await;
        assert_eq!(refused(outcome), "permission_denied");
        // To those outside, what is there looks like what is not.
        let absent = format!("{}zzzz", &channel[..channel.len() - 4]);
        for id in [&channel, &absent, "nothing", ""] {
            let room = Target::Channel(id.to_owned());
            assert_eq!(refused(hide(&foreign, &room, &message, true).await), "channel_not_found", "{id}");
            let outcome = foreign.ask("update_user_messages", all(id)).await;
            assert_eq!(refused(outcome), "channel_not_found", "{id}");
        }
        assert_eq!(texts(&customer, &room).await, ["hello"]);
        // An operator of the realm may, who is no member.
        hide(&desk.operator, &room, &message, true).await.unwrap();
        assert_eq!(texts(&customer, &room).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn bad_wishes_to_hide_are_refused_and_change_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        let message = say(&people[1], &room, "one").await;
        for bad in ["", "nothing", "0000000000001", "9999999999999", "0000000000003.000001"] {
            assert_eq!(refused(hide(&people[0], &room, bad, true).await), "request_malformed", "{bad}");
        }
        let channel = id(&room);
        for (action, wish) in [
            ("update_message", json!({"channel_id": channel, "message_id": message})),
            (
                "update_message",
                json!({"channel_id": channel, "message_id": message, "message_hidden": "yes"}),
            ),
            ("update_user_messages", json!({"channel_id": channel, "message_hidden": true})),
            (
                "update_user_messages",
                json!({"channel_id": channel, "message_user_id": people[1].user_id(), "message_hidden": true,
                    "interval_end": "now"}),
            ),
            (
                "update_user_messages",
                json!({"channel_id": channel, "message_user_id": people[1].user_id(), "message_hidden": true,
                    "interval_end": 5, "message_id": message}),
            ),
        ] {
            assert_eq!(refused(people[0].ask(action, wish.clone()).await), "request_malformed", "{wish}");
        }
        assert_eq!(texts(&people[1], &room).await, ["one"]);
    })
    .await;
}

/// Seconds since 1970.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

async fn change(by: &Person, room: &Target, attrs: Value) -> Result<Event, Error> {
    by.ask("update_channel", json!({"channel_id": id(room), "channel_attrs": attrs})).await
}

#[tokio::test]
async fn who_is_silenced_for_a_time_can_write_again_then_though_the_server_crashed_meanwhile() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let ben = people[1].user_id().to_owned();
        let silence = |end: Value| {
            json!({"channel_id": id(&room), "user_id": ben, "member_attrs": {"silenced": true},
                "interval_end": end})
        };
        for bad in [json!(1), json!("later"), json!(-1)] {
            let outcome = people[0].ask("update_member", silence(bad.clone())).await;
            assert_eq!(refused(outcome), "request_malformed", "{bad}");
        }
        people[0].ask("update_member", silence(json!(now() + 2.0))).await.unwrap();
        assert_eq!(refused(people[1].send_text(&room, "one").await), "permission_denied");
        server.kill();
        server.restart().await;
        let may_write = |event: &Event| {
            event.name() == "channel_member_updated" && event.at("/member_attrs/silenced").is_null()
        };
        people[1].events.find("that the silence is over", may_write).await.unwrap();
        people[1].send_text(&room, "two").await.unwrap();
        assert_eq!(texts(&people[0], &room).await, ["two"]);
    })
    .await;
}

#[tokio::test]
async fn a_rate_holds_members_back_and_moderators_not() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        for bad in [json!("fast"), json!("0/10"), json!("1/0"), json!(5)] {
            let outcome = change(&people[0], &room, json!({"ratelimit": bad})).await;
            assert_eq!(refused(outcome), "request_malformed", "{bad}");
        }
        assert_eq!(refused(change(&people[1], &room, json!({"ratelimit": null})).await), "permission_denied");
        change(&people[0], &room, json!({"ratelimit": "2/600"})).await.unwrap();
        for _ in 0..2 {
            people[1].send_text(&room, "quick").await.unwrap();
        }
        assert_eq!(refused(people[1].send_text(&room, "quick").await), "send_rate_limited");
        for _ in 0..3 {
            people[0].send_text(&room, "mine").await.unwrap();
        }
        change(&people[0], &room, json!({"ratelimit": null})).await.unwrap();
        people[1].send_text(&room, "again").await.unwrap();
        assert_eq!(texts(&people[0], &room).await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn newcomers_read_from_when_the_channel_was_disclosed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        say(&people[0], &room, "before").await;
        // The attribute counts whole seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let long_ago = json!({"disclosed_since": 1_000_000_000});
        let updated = change(&people[0], &room, long_ago.clone()).await.unwrap();
        let since = updated.at("/channel_attrs/disclosed_since").as_u64().unwrap();
        assert!(since as f64 > now() - 60.0, "it begins now, whatever was asked");
        for bad in [json!(since - 1), json!(u64::MAX), json!("now")] {
            let outcome = change(&people[0], &room, json!({"disclosed_since": bad})).await;
            assert_eq!(refused(outcome), "request_malformed", "{bad}");
        }
        say(&people[0], &room, "after").await;
        let cleo = server.guest("Cleo").await;
        cleo.join_channel(id(&room)).await.unwrap();
        assert_eq!(texts(&cleo, &room).await, ["after"]);
        assert_eq!(texts(&people[1], &room).await, ["before", "after"]);
    })
    .await;
}

#[tokio::test]
async fn a_channel_may_ask_for_a_verified_identity() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        change(&people[0], &room, json!({"verified_join": true})).await.unwrap();
        let guest = server.guest("Guest").await;
        assert_eq!(refused(guest.join_channel(id(&room)).await), "permission_denied");
        let known = server.user("known").await;
        assert_eq!(known.join_channel(id(&room)).await.unwrap().name(), "channel_joined");
    })
    .await;
}

#[tokio::test]
async fn blacklisted_types_are_refused_and_who_joins_is_silenced_or_hidden_as_the_channel_says() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        let terms = json!({"blacklisted_message_types": ["example.org/*"], "autohide": true});
        change(&people[0], &room, terms).await.unwrap();
        let outcome =
            people[1].send_message(&room, json!({"message_type": "example.org/x"}), &json!({})).await;
        assert_eq!(refused(outcome), "message_not_supported");
        let many: Vec<String> = (0..65).map(|number| number.to_string()).collect();
        let outcome = change(&people[0], &room, json!({"blacklisted_message_types": many})).await;
        assert_eq!(refused(outcome), "message_types_too_long");

        let late = server.guest("Late").await;
        late.join_channel(id(&room)).await.unwrap();
        say(&late, &room, "hidden").await;
        assert_eq!(texts(&people[1], &room).await, [""; 0]);
        assert_eq!(texts(&people[0], &room).await, ["hidden"]);
        change(&people[0], &room, json!({"autosilence": true})).await.unwrap();
        let latest = server.guest("Latest").await;
        latest.join_channel(id(&room)).await.unwrap();
        assert_eq!(refused(latest.send_text(&room, "no").await), "permission_denied");
    })
    .await;
}
