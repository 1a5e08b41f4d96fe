//! Transcripts: who reads a conversation as a whole, which audiences a queue lists, and what is erased.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::Target;
use levee_client::{Error, Event, Options};
use levee_testbed::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use support::cluster::Cluster;
use support::people::{Desk, Person};
use support::rooms::{ascending, room};
use support::{LIMIT, Server, refused, within};

/// An audience that is over: its organisation, its customer and its channel.
struct Scene {
    desk: Desk,
    customer: Person,
    channel: String,
    audience: String,
}

/// Customer and agent meet, each says something, and the agent closes the channel.
async fn scene(desk: Desk, mut customer: Person) -> Scene {
    let wish = json!({"queue_id": desk.queue, "audience_metadata": {"page": "/lamps"}});
    customer.ask("request_audience", wish).await.unwrap();
    let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
    customer.events.named("channel_joined").await.unwrap();
    let channel = accepted.str("channel_id").to_owned();
    let audience = accepted.at("/channel_attrs/audience_id").as_str().unwrap().to_owned();
    let target = Target::Channel(channel.clone());
    customer.send_text(&target, "My lamp is dark.").await.unwrap();
    desk.agent.send_text(&target, "Is it switched on?").await.unwrap();
    let scene = Scene { desk, customer, channel, audience };
    scene.close().await;
    // The queue hears of it in a moment.
    scene.rows(1).await;
    scene
}

impl Scene {
    async fn close(&self) {
        let closed = json!({"channel_id": self.channel, "channel_attrs": {"closed": true}});
        self.desk.agent.ask("update_channel", closed).await.unwrap();
    }

    async fn get(&self, by: &Person) -> Result<Event, Error> {
        by.ask("get_transcript", json!({"audience_id": self.audience})).await
    }

    async fn list(&self, by: &Person) -> Result<Event, Error> {
        let wish = json!({"queue_id": self.desk.queue, "interval_begin": 0});
        by.ask("describe_queue_transcripts", wish).await
    }

    /// Waits until the queue lists so many audiences.
    async fn rows(&self, count: usize) -> Vec<Value> {
        loop {
            let rows = self.list(&self.desk.operator).await.unwrap();
            let rows = rows["queue_transcripts"].as_array().unwrap().clone();
            if rows.len() == count {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing that was said is left.
    async fn erased(&self) {
        while self.get(&self.desk.operator).await.unwrap()["transcript_messages"] != json!([]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The texts of a transcript, as it shows them.
fn said(contents: &Event) -> Vec<&Value> {
    let messages = contents["transcript_messages"].as_array().expect("messages");
    messages.iter().filter(|message| message["message_type"] == "ninchat.com/text").collect()
}

/// The texts of a transcript.
fn texts(contents: &Event) -> Vec<&str> {
    let messages = contents["transcript_messages"].as_array().expect("messages");
    messages.iter().filter_map(|message| message["payload"]["text"].as_str()).collect()
}

#[tokio::test]
async fn an_audience_is_listed_and_read_as_a_whole() {
    within(LIMIT, async {
        let server = Server::start().await;
        let scene = scene(server.desk().await, server.guest("Cleo").await).await;
        let Scene { desk, customer, channel, audience } = &scene;
        let row = &scene.rows(1).await[0];
        assert_eq!((&row["audience_id"], &row["channel_id"]), (&json!(audience), &json!(channel)));
        assert_eq!(row["agent_id"], desk.agent.user_id());
        let time = |name: &str| row[name].as_f64().unwrap();
        assert!(time("request_time") <= time("accept_time"));
        assert!(time("accept_time") <= time("complete_time"));
        assert_eq!(row.get("delete_time"), None);

        // Who serves the queue sees what they have accepted.
        let other = server.user("other").await;
        desk.operator.add_agent(&desk.realm, &desk.queue, other.user_id()).await.unwrap();
        for (person, count) in [(&desk.agent, 1), (&other, 0)] {
            let listed = scene.list(person).await.unwrap();
            assert_eq!(listed["queue_transcripts"].as_array().unwrap().len(), count);
        }
        assert_eq!(refused(scene.get(&other).await), "audience_not_found");

        for reader in [&desk.operator, &desk.agent, customer] {
            let contents = scene.get(reader).await.unwrap();
            assert_eq!(contents.name(), "transcript_contents");
            assert_eq!(texts(&contents), ["My lamp is dark.", "Is it switched on?"]);
            assert_eq!(contents["audience_metadata"], json!({"page": "/lamps"}));
            assert_eq!(contents["audience_members"][customer.user_id()], json!({"customer": true}));
            assert_eq!(contents["audience_members"][desk.agent.user_id()], json!({"agent": true}));
            assert_eq!((contents.str("audience_id"), contents.str("channel_id")), (&**audience, &**channel));
            let message = said(&contents)[0];
            assert_eq!(
                (&message["message_user_id"], &message["message_user_name"]),
                (&json!(customer.user_id()), &json!("Cleo"))
            );
            assert_eq!(message["message_type"], "ninchat.com/text");
            assert!(message["message_id"].is_string() && message["message_time"].is_number());
        }
        // A part of it, by time and by message.
        let by = |more: Value| {
            let mut wish = json!({"channel_id": channel});
            wish.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            wish
        };
        let all = desk.operator.ask("get_transcript", by(json!({}))).await.unwrap();
        let (first, second) = (said(&all)[0], said(&all)[1]);
        for (more, expected) in [
            (json!({"message_id": first["message_id"]}), "Is it switched on?"),
            (json!({"interval_end": first["message_time"]}), "My lamp is dark."),
            (json!({"interval_begin": second["message_time"]}), "Is it switched on?"),
        ] {
            let part = desk.operator.ask("get_transcript", by(more.clone())).await.unwrap();
            assert_eq!(texts(&part), [expected], "{more}");
        }
        // A call without a session lists and reads it as well.
        let mut caller = Caller::email(server.address(), "operator@example.org", "secret-operator");
        let listed =
            caller.post("describe_queue_transcripts", json!({"queue_id": desk.queue, "interval_begin": 0}));
        assert_eq!(listed.await.unwrap()["queue_transcripts"].as_array().unwrap().len(), 1);
        let read = caller.post("get_transcript", json!({"audience_id": audience})).await.unwrap();
        assert_eq!(texts(&read).len(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_rating_of_a_customer_and_what_is_under_way_are_listed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let scene = scene(server.desk().await, server.guest("Cleo").await).await;
        let rating = json!({"data": {"rating": 1}});
        let target = Target::Channel(scene.channel.clone());
        scene
            .customer
            .send_message(&target, json!({"message_type": "ninchat.com/metadata"}), &rating)
            .await
            .unwrap();
        while scene.rows(1).await[0]["rating"] != 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let next = server.guest("Next").await;
        next.request_audience(&scene.desk.queue).await.unwrap();
        scene.desk.agent.accept_audience(&scene.desk.queue, None).await.unwrap();
        let wish = json!({"queue_id": scene.desk.queue, "interval_begin": 0, "interval_ongoing": true});
        let all = scene.desk.operator.ask("describe_queue_transcripts", wish).await.unwrap();
        let rows = all["queue_transcripts"].as_array().unwrap();
        assert_eq!((rows.len(), rows[1].get("complete_time")), (2, None));
        assert_eq!(scene.rows(1).await[0]["audience_id"], scene.audience.as_str());
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_is_gone_for_everybody_after_a_crash_too() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let mut scene = scene(server.desk().await, server.guest("Cleo").await).await;
        let wish = json!({"audience_id": scene.audience});
        let deleted = scene.desk.operator.ask("delete_transcript", wish).await.unwrap();
        assert_eq!(
            (deleted.name(), deleted.str("audience_id")),
            ("transcript_deleted", scene.audience.as_str())
        );
        assert_eq!(deleted.str("channel_id"), scene.channel);
        let heard = scene.customer.events.named("transcript_deleted").await.unwrap();
        assert_eq!(heard.action_id(), None);
        scene.rows(0).await;
        for _ in 0..2 {
            let contents = scene.get(&scene.desk.operator).await.unwrap();
            assert_eq!(contents["transcript_messages"], json!([]));
            assert!(contents["audience_metadata"].is_null());
            let target = Target::Channel(scene.channel.clone());
            let history = scene.customer.load_history(&target, ascending()).await.unwrap();
            assert!(history.messages.is_empty());
            server.kill();
            server.restart().await;
        }
    })
    .await;
}

#[tokio::test]
async fn transcripts_are_deleted_by_the_delay_though_the_server_crashed_meanwhile() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        for bad in [json!("soon"), json!(-1), json!(1.5)] {
            let wish = json!({"queue_id": desk.queue, "queue_settings": {"transcript_delete_delay": bad}});
            assert_eq!(refused(desk.operator.ask("update_queue", wish).await), "request_malformed", "{bad}");
            let defaults = json!({"default_queue_settings": {"transcript_delete_delay": bad}});
            let wish = json!({"realm_id": desk.realm, "realm_settings": defaults});
            assert_eq!(refused(desk.operator.ask("update_realm", wish).await), "request_malformed", "{bad}");
        }
        // The queue says nothing of it, and so its realm decides.
        let defaults = json!({"default_queue_settings": {"transcript_delete_delay": 3}});
        let wish = json!({"realm_id": desk.realm, "realm_settings": defaults});
        desk.operator.ask("update_realm", wish).await.unwrap();
        // The queue's owner knows the realm as it was up to a second ago.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let scene = scene(desk, server.guest("Cleo").await).await;
        let row = &scene.rows(1).await[0];
        let times = (row["complete_time"].as_f64().unwrap(), row["delete_time"].as_f64().unwrap());
        assert!((times.1 - times.0 - 3.0).abs() < 1e-3, "{times:?}");
        assert_eq!(texts(&scene.get(&scene.desk.operator).await.unwrap()).len(), 2);
        server.kill();
        server.restart().await;
        scene.erased().await;
        scene.rows(0).await;
    })
    .await;
}

#[tokio::test]
async fn another_node_deletes_what_the_one_that_died_was_to_delete() {
    within(Duration::from_secs(120), async {
        let mut cluster = Cluster::start(2).await;
        let desk = cluster.node(0).desk().await;
        let wish = json!({"queue_id": desk.queue, "queue_settings": {"transcript_delete_delay": 4}});
        desk.operator.ask("update_queue", wish).await.unwrap();
        let customer = cluster.guest(0, "Cleo").await;
        let scene = scene(desk, customer).await;
        let login = levee_client::session::login("operator@example.org", "secret-operator");
        let operator = cluster.node(1).open(login, Options::default()).await;
        assert_eq!(texts(&scene.get(&operator).await.unwrap()).len(), 2);
        cluster.end(0, Signal::Kill).await;
        while scene.get(&operator).await.unwrap()["transcript_messages"] != json!([]) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_queues_transcripts_are_deleted_by_interval() {
    within(LIMIT, async {
        let server = Server::start().await;
        let first = scene(server.desk().await, server.guest("Cleo").await).await;
        let end = first.rows(1).await[0]["complete_time"].as_f64().unwrap();
        let Scene { desk, audience, .. } = first;
        let other = server.guest("Dora").await;
        other.request_audience(&desk.queue).await.unwrap();
        let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        let second = Scene {
            customer: other,
            channel: accepted.str("channel_id").to_owned(),
            audience: accepted.at("/channel_attrs/audience_id").as_str().unwrap().to_owned(),
            desk,
        };
        second.close().await;
        second.rows(2).await;
        let wish = json!({"queue_id": second.desk.queue, "interval_begin": end - 10.0, "interval_end": end});
        let deleted = second.desk.operator.ask("delete_queue_transcripts", wish).await.unwrap();
        assert_eq!(deleted.name(), "queue_transcripts_deleted");
        assert_eq!((&deleted["interval_begin"], &deleted["interval_end"]), (&json!(end - 10.0), &json!(end)));
        // It is listed no more at once, and erased in a moment.
        let rows = second.list(&second.desk.operator).await.unwrap();
        assert_eq!(rows["queue_transcripts"].as_array().unwrap().len(), 1);
        assert_eq!(rows["queue_transcripts"][0]["audience_id"], second.audience.as_str());
        let first = Scene { audience, ..second };
        first.erased().await;
    })
    .await;
}

#[tokio::test]
async fn who_may_not_reads_and_deletes_nothing_and_learns_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let scene = scene(server.desk().await, server.guest("Cleo").await).await;
        let foreign = server.user("foreign").await;
        let realm = foreign.create_realm("Elsewhere").await.unwrap();
        foreign.create_queue(&realm, json!({"name": "Theirs"})).await.unwrap();
        let absent = |id: &str| format!("{}zzzz", &id[..id.len() - 4]);
        for action in ["get_transcript", "delete_transcript"] {
            for id in [scene.audience.clone(), absent(&scene.audience), "nothing".into(), "".into()] {
                let outcome = foreign.ask(action, json!({"audience_id": id})).await;
                assert_eq!(refused(outcome), "audience_not_found", "{action} {id}");
            }
            for id in [scene.channel.clone(), absent(&scene.channel), "nothing".into(), "".into()] {
                let outcome = foreign.ask(action, json!({"channel_id": id})).await;
                assert_eq!(refused(outcome), "channel_not_found", "{action} {id}");
            }
            let both = json!({"dialogue_id": [scene.customer.user_id(), scene.desk.agent.user_id()]});
            assert_eq!(refused(foreign.ask(action, both).await), "user_not_found", "{action}");
        }
        let interval = json!({"queue_id": scene.desk.queue, "interval_begin": 0, "interval_end": 10});
        for action in ["describe_queue_transcripts", "delete_queue_transcripts"] {
            for person in [&foreign, &scene.customer] {
                assert_eq!(refused(person.ask(action, interval.clone()).await), "permission_denied");
            }
            let mut wish = interval.clone();
            wish["queue_id"] = absent(&scene.desk.queue).into();
            assert_eq!(refused(foreign.ask(action, wish).await), "queue_not_found");
        }
        // Who serves the audience or asked for it erases nothing.
        for person in [&scene.desk.agent, &scene.customer] {
            let outcome = person.ask("delete_transcript", json!({"audience_id": scene.audience})).await;
            assert_eq!(refused(outcome), "permission_denied");
        }
        let outcome = scene.desk.agent.ask("delete_queue_transcripts", interval).await;
        assert_eq!(refused(outcome), "permission_denied");
        assert_eq!(texts(&scene.get(&scene.desk.operator).await.unwrap()).len(), 2);
    })
    .await;
}

#[tokio::test]
async fn bad_wishes_for_transcripts_are_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let channel = desk.operator.create_channel(json!({})).await.unwrap();
        let queue = &desk.queue;
        for (action, wish) in [
            ("get_transcript", json!({})),
            ("get_transcript", json!({"channel_id": channel, "audience_id": channel})),
            ("get_transcript", json!({"dialogue_id": [channel]})),
            ("get_transcript", json!({"dialogue_id": [channel, channel, channel]})),
            ("get_transcript", json!({"dialogue_id": "both"})),
            ("get_transcript", json!({"channel_id": channel, "message_id": "last"})),
            ("get_transcript", json!({"channel_id": channel, "interval_begin": -1})),
            ("get_transcript", json!({"channel_id": channel, "interval_end": "now"})),
            ("delete_transcript", json!({})),
            ("delete_transcript", json!({"channel_id": channel, "dialogue_id": [channel, channel]})),
            ("describe_queue_transcripts", json!({"queue_id": queue})),
            (
                "describe_queue_transcripts",
                json!({"queue_id": queue, "interval_begin": 5, "interval_end": 4}),
            ),
            ("describe_queue_transcripts", json!({"queue_id": queue, "interval_begin": "0"})),
            ("delete_queue_transcripts", json!({"queue_id": queue, "interval_begin": 0})),
            ("delete_queue_transcripts", json!({"queue_id": queue, "interval_begin": 9, "interval_end": 8})),
            (
                "delete_queue_transcripts",
                json!({"queue_id": queue, "interval_begin": 0, "interval_end": 2_678_401}),
            ),
        ] {
            assert_eq!(
                refused(desk.operator.ask(action, wish.clone()).await),
                "request_malformed",
                "{action} {wish}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_transcript_comes_in_parts_and_a_member_reads_what_they_may_see() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        let Target::Channel(channel) = &room else { panic!("it is a channel") };
        for number in 0..5 {
            people[0].send_text(&room, &format!("{number}{}", "x".repeat(100_000))).await.unwrap();
        }
        let (mut found, mut parts, mut wish) = (Vec::new(), 0, json!({"channel_id": channel}));
        loop {
            let part = people[1].ask("get_transcript", wish.clone()).await.unwrap();
            found.extend(texts(&part).into_iter().map(|text| text[..1].to_owned()));
            parts += 1;
            match part["message_id"].as_str() {
                Some(id) => wish["message_id"] = id.into(),
                None => break,
            }
        }
        assert_eq!((found.join(""), parts), ("01234".to_owned(), 3));
        // A member does not see what is hidden, to others, or from before they joined.
        let to_some =
            json!({"message_type": "ninchat.com/text", "message_recipient_ids": [people[0].user_id()]});
        people[0].send_message(&room, to_some, &json!({"text": "to myself"})).await.unwrap();
        let hidden = people[0].send_text(&room, "hidden").await.unwrap();
        let hide = json!({"channel_id": channel, "message_id": hidden["message_id"], "message_hidden": true});
        people[0].ask("update_message", hide).await.unwrap();
        let late = server.guest("Late").await;
        late.join_channel(channel).await.unwrap();
        people[0].send_text(&room, "welcome").await.unwrap();
        let after = json!({"channel_id": channel, "message_id": wish["message_id"]});
        let whole = people[0].ask("get_transcript", after.clone()).await.unwrap();
        assert_eq!(texts(&whole)[1..], ["to myself", "hidden", "welcome"]);
        assert_eq!(said(&whole)[2]["message_hidden"], true);
        let member = people[1].ask("get_transcript", after).await.unwrap();
        assert_eq!(texts(&member)[1..], ["welcome"]);
        let late = late.ask("get_transcript", json!({"channel_id": channel})).await.unwrap();
        assert_eq!(texts(&late), ["welcome"]);
    })
    .await;
}

#[tokio::test]
async fn each_side_of_a_dialogue_reads_its_transcript_and_neither_erases_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.guest("Ann").await, server.guest("Ben").await);
        ann.send_text(&Target::User(ben.user_id().to_owned()), "hello").await.unwrap();
        let both = json!({"dialogue_id": [ann.user_id(), ben.user_id()]});
        for person in [&ann, &ben] {
            let contents = person.ask("get_transcript", both.clone()).await.unwrap();
            assert_eq!(texts(&contents), ["hello"]);
            assert_eq!(contents["dialogue_id"].as_array().unwrap().len(), 2);
            assert!(contents["dialogue_members"][ann.user_id()].is_object());
            let outcome = person.ask("delete_transcript", both.clone()).await;
            assert_eq!(refused(outcome), "permission_denied");
        }
        let discard = json!({"user_id": ben.user_id(), "message_id": "0000000000002"});
        ann.ask("discard_history", discard).await.unwrap();
        assert_eq!(texts(&ann.ask("get_transcript", both.clone()).await.unwrap()), [""; 0]);
        assert_eq!(texts(&ben.ask("get_transcript", both).await.unwrap()), ["hello"]);
    })
    .await;
}
