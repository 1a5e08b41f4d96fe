//! Audiences that nobody waits for: made by an agent, or left as a contact request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::Target;
use serde_json::{Value, json};
use support::people::Desk;
use support::{LIMIT, Server, refused, within};

impl Desk {
    async fn set(&self, settings: Value) {
        let update = json!({"queue_id": self.queue, "queue_settings": settings});
        self.operator.ask("update_queue", update).await.unwrap();
    }
}

#[tokio::test]
async fn an_agent_makes_an_audience_and_a_colleague_is_in_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk_with(json!({"name": "Help", "upload": "member"})).await;
        let mut colleague = server.user("colleague").await;
        desk.operator.add_agent(&desk.realm, &desk.queue, colleague.user_id()).await.unwrap();
        let times = json!({"begin_timestamp": "2030-01-01T09:00:00", "timezone": "Europe/Helsinki"});
        let wish = json!({"queue_id": desk.queue, "user_id": colleague.user_id(),
            "channel_attrs": {"name": "Appointment", "audience": times}});
        let created = desk.agent.ask("create_audience", wish).await.unwrap();
        assert_eq!((created.name(), created.str("realm_id")), ("channel_created", desk.realm.as_str()));
        for (name, value) in [
            ("name", json!("Appointment")),
            ("audience", times),
            ("upload", json!("member")),
            ("private", json!(true)),
            ("queue_id", json!(desk.queue)),
        ] {
            assert_eq!(created["channel_attrs"][name], value, "{name}");
        }
        assert!(created.at("/channel_attrs/disclosed_since").is_u64());
        assert!(created.at("/channel_attrs/audience_id").is_string());
        let joined = colleague.events.named("channel_joined").await.unwrap();
        assert_eq!(joined["channel_id"], created["channel_id"]);
        let which = json!({"channel_id": created["channel_id"]});
        let found = colleague.ask("describe_channel", which.clone()).await.unwrap();
        assert_eq!(found["channel_members"].as_object().unwrap().len(), 1);
        // Who made it is no member; nobody waits.
        assert_eq!(refused(desk.agent.ask("describe_channel", which).await), "channel_not_found");
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
        // Made for oneself, one is in it.
        let own = json!({"queue_id": desk.queue, "user_id": desk.agent.user_id()});
        let own = desk.agent.ask("create_audience", own).await.unwrap();
        let joined = desk.agent.events.named("channel_joined").await.unwrap();
        assert_eq!(joined["channel_id"], own["channel_id"]);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_makes_no_audience() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let stranger = server.user("stranger").await;
        let theirs = stranger.create_realm("Elsewhere").await.unwrap();
        let foreign = stranger.create_queue(&theirs, json!({"name": "Theirs"})).await.unwrap();
        let wish = |queue: &str, user: &str| json!({"queue_id": queue, "user_id": user});
        let ours = desk.agent.user_id();
        for (who, wish, refusal) in [
            // An operator who is no member, and people of another organisation.
            (&desk.operator, wish(&desk.queue, ours), "permission_denied"),
            (&stranger, wish(&desk.queue, ours), "permission_denied"),
            (&desk.agent, wish(&foreign, ours), "permission_denied"),
            // Somebody of another organisation looks as nobody at all.
            (&desk.agent, wish(&desk.queue, stranger.user_id()), "user_not_found"),
            (&desk.agent, wish(&desk.queue, "00nobody0000000000"), "user_not_found"),
            (&desk.agent, wish("00nothing000000000", ours), "queue_not_found"),
            (&desk.agent, json!({"queue_id": desk.queue}), "request_malformed"),
            (
                &desk.agent,
                json!({"queue_id": desk.queue, "user_id": ours,
                "channel_attrs": {"audience": {"begin_timestamp": "soon"}}}),
                "request_malformed",
            ),
        ] {
            assert_eq!(refused(who.ask("create_audience", wish.clone()).await), refusal, "{wish}");
        }
        // Nobody passes a channel of their own off as an audience.
        let forged = json!({"channel_attrs": {"audience": {}}});
        assert_eq!(refused(stranger.ask("create_channel", forged).await), "permission_denied");
    })
    .await;
}

#[tokio::test]
async fn a_contact_request_is_taken_from_sessions_and_calls_while_the_queue_is_closed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk_with(json!({"name": "Help", "closed": true})).await;
        let customer = server.guest("Cleo").await;
        let wish = json!({"queue_id": desk.queue, "audience_metadata": {"message": "call me"}});
        // Only where that is enabled.
        assert_eq!(refused(customer.ask("register_audience", wish.clone()).await), "permission_denied");
        desk.set(json!({"audience_registration": true})).await;
        let first = customer.ask("register_audience", wish.clone()).await.unwrap();
        let second = customer.ask("register_audience", wish.clone()).await.unwrap();
        for event in [&first, &second] {
            assert_eq!((event.name(), event.str("queue_id")), ("audience_registered", desk.queue.as_str()));
        }
        assert_ne!(first["audience_id"], second["audience_id"]);
        let auth = customer.created().str("user_auth").to_owned();
        let mut caller = Caller::user(server.address(), customer.user_id(), &auth);
        let called = caller.post("register_audience", wish).await.unwrap();
        assert_eq!(called.name(), "audience_registered");
        // Nobody waits for it.
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
        for (wish, refusal) in [
            (json!({"queue_id": "00nothing000000000"}), "queue_not_found"),
            (json!({"queue_id": desk.queue, "audience_metadata": "text"}), "request_malformed"),
            (json!({"queue_id": desk.queue, "audience_metadata": {"secure": {}}}), "permission_denied"),
        ] {
            assert_eq!(refused(customer.ask("register_audience", wish.clone()).await), refusal, "{wish}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_audience_whose_customer_leaves_is_closed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        customer.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        let is_closed = |event: &levee_client::Event| event.name() == "channel_updated";
        let updated = desk.agent.events.find("the channel to be closed", is_closed).await.unwrap();
        assert_eq!(
            (updated.str("channel_id"), updated.at("/channel_attrs/closed")),
            (channel.as_str(), &json!(true))
        );
        let says = desk.agent.send_text(&Target::Channel(channel.clone()), "still there?").await;
        assert_eq!(refused(says), "permission_denied");
        // What is known of the customer can still be noted.
        let note = json!({"message_type": "ninchat.com/metadata", "message_fold": true});
        let data = json!({"data": {"note": "called back"}, "time": 1});
        desk.agent.send_message(&Target::Channel(channel), note, &data).await.unwrap();
    })
    .await;
}
