//! Webhooks: what they are told, in which order, signed, and until they have taken it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_testbed::{Behaviour, Receiver};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::cluster::Cluster;
use support::hooks::{self, active, taken, until, verifies};
use support::{LIMIT, refused, within};

fn to(channel: &str) -> Target {
    Target::Channel(channel.into())
}

fn names(documents: &[Value]) -> Vec<&str> {
    documents.iter().filter_map(|document| document["event"].as_str()).collect()
}

#[tokio::test]
async fn an_audience_is_told_from_its_request_to_its_end_in_order_and_signed() {
    within(4 * LIMIT, async {
        let (server, receiver) = hooks::start().await;
        let receiver = Arc::new(receiver);
        let mut desk = server.desk().await;
        active(&mut desk, &receiver, json!({})).await;
        let customer = server.guest("Cleo").await;
        let asks = json!({"queue_id": desk.queue, "audience_metadata": {"page": "/shop"}});
        let mut customer = customer;
        customer.ask("request_audience", asks).await.unwrap();
        let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        let channel = accepted.str("channel_id").to_owned();
        customer.events.named("channel_joined").await.unwrap();
        customer.send_text(&to(&channel), "Hello?").await.unwrap();
        let tag = json!({"realm_id": desk.realm, "tag_attrs": {"name": "Blue"}});
        let tag = desk.operator.ask("create_tag", tag).await.unwrap()["tag_id"].clone();
        let tags = json!({"message_type": "ninchat.com/metadata"});
        let data = json!({"data": {"tag_ids": [tag]}});
        desk.agent.send_message(&to(&channel), tags, &data).await.unwrap();
        customer.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        desk.agent.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        let is_complete = |documents: &[Value]| names(documents).contains(&"audience_complete");
        let documents = until(&receiver, "all of the audience", is_complete).await;
        let without_infos: Vec<_> = documents
            .iter()
            .filter(|d| !d["message_sent"]["message"]["type"].as_str().unwrap_or_default().contains("/info/"))
            .cloned()
            .collect();
        let expected = [
            "audience_requested",
            "audience_accepted",
            "message_sent",
            "message_sent",
            "audience_finished",
            "audience_agent_released",
            "audience_complete",
        ];
        assert_eq!(names(&without_infos), expected);
        let keys = hooks::keys(&server).await;
        for received in receiver.received() {
            assert!(verifies(&received, &keys), "{received:?}");
            let document = hooks::document(&received);
            assert_eq!(document["aud"], format!("realm:{}", desk.realm));
            let left = document["exp"].as_f64().unwrap() - seconds_now();
            assert!((1.0..=600.0).contains(&left), "{left}");
            assert!(received.headers["user-agent"].starts_with("ninchat-webhook/1"));
            assert_eq!(received.headers["content-type"], "application/json; charset=utf-8");
            assert_eq!(received.headers["x-ninchat-format"], "default");
        }
        let [requested, accepted, said, _, finished, released, complete] = &without_infos[..] else {
            panic!()
        };
        let requested = &requested["audience_requested"];
        assert_eq!(requested["realm"]["name"], "Realm");
        assert_eq!(requested["queue"]["name"], "Help");
        assert_eq!(requested["queue_id"], desk.queue);
        assert_eq!(requested["audience"]["metadata"], json!({"page": "/shop"}));
        assert_eq!(requested["audience"]["members"][customer.user_id()], json!({"customer": true}));
        let accepted = &accepted["audience_accepted"];
        assert_eq!(accepted["queue_member"]["user_id"], desk.agent.user_id());
        assert_eq!(accepted["channel_id"], channel);
        assert_eq!(accepted["audience_id"], requested["audience_id"]);
        assert_eq!(accepted["audience"]["request_time"], requested["audience"]["request_time"]);
        assert_eq!(accepted["audience"]["members"][desk.agent.user_id()], json!({"agent": true}));
        let said = &said["message_sent"];
        assert_eq!(said["message"]["payload"], json!({"text": "Hello?"}));
        assert_eq!((&said["queue_id"], &said["channel_id"]), (&json!(desk.queue), &json!(channel)));
        assert!(finished["audience_finished"]["audience"]["finish_time"].is_number());
        let released = &released["audience_agent_released"];
        assert_eq!(released["queue_member"]["user_id"], desk.agent.user_id());
        let complete = &complete["audience_complete"];
        assert!(complete["audience"]["complete_time"].is_number());
        let texts: Vec<&Value> =
            complete["messages"].as_array().unwrap().iter().map(|m| &m["payload"]["text"]).collect();
        assert!(texts.contains(&&json!("Hello?")), "{complete}");
        assert_eq!(complete["tagging"]["tags"][tag.as_str().unwrap()]["name"], "Blue");
        assert_eq!(complete["member_message_metadata"][desk.agent.user_id()], json!({"tag_ids": [tag]}));
        // Each is one event, and told once.
        let mut ids: Vec<&str> = documents.iter().map(|d| d["event_id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), documents.len());
    })
    .await;
}

fn seconds_now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

#[tokio::test]
async fn what_fails_is_told_again_in_its_order_and_with_its_id_and_survives_a_crash() {
    within(6 * LIMIT, async {
        let (mut server, receiver) = hooks::start().await;
        let receiver = Arc::new(receiver);
        let mut desk = server.desk().await;
        active(
            &mut desk,
            &receiver,
            json!({"events": ["audience_requested", "audience_accepted", "message_sent"]}),
        )
        .await;
        receiver.behave(|_| Behaviour::Refuse(503, None));
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        customer.send_text(&to(&channel), "one").await.unwrap();
        customer.send_text(&to(&channel), "two").await.unwrap();
        let waiting = receiver.clone();
        let tried =
            move || waiting.wait(hooks::WAIT, |got| got.iter().filter(|r| r.status == 503).count() >= 2);
        assert!(tokio::task::spawn_blocking(tried).await.unwrap());
        let refusals: Vec<Value> =
            receiver.received().iter().filter(|r| r.status == 503).map(hooks::document).collect();
        assert!(refusals.iter().all(|document| document["event"] == "audience_requested"), "{refusals:?}");
        server.kill();
        receiver.behave(|_| Behaviour::Take);
        server.restart().await;
        let texts = |documents: &[Value]| -> Vec<String> {
            let text =
                |d: &Value| d["message_sent"]["message"]["payload"]["text"].as_str().map(str::to_owned);
            documents.iter().filter_map(text).collect()
        };
        let documents = until(&receiver, "both messages", move |documents| texts(documents).len() == 2).await;
        assert_eq!(names(&documents)[..2], ["audience_requested", "audience_accepted"]);
        assert_eq!(texts(&documents), ["one", "two"]);
        assert_eq!(documents[0]["event_id"], refusals[0]["event_id"]);
    })
    .await;
}

#[tokio::test]
async fn only_a_url_that_answers_a_challenge_is_told_anything() {
    within(4 * LIMIT, async {
        let (server, receiver) = hooks::start().await;
        let receiver = Arc::new(receiver);
        let mut desk = server.desk().await;
        receiver.behave(|_| Behaviour::Refuse(204, None));
        let (id, webhook) = hooks::hook(&mut desk.operator, &desk.realm, &receiver.url(), json!({})).await;
        assert_eq!((&webhook["state"], &webhook["reason"]), (&json!("failed"), &json!("the status is 204")));
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        receiver.behave(|_| Behaviour::Take);
        let which = json!({"realm_id": desk.realm, "webhook_id": id});
        desk.operator.ask("levee_test_webhook", which.clone()).await.unwrap();
        assert_eq!(hooks::told(&mut desk.operator, &id).await["state"], "active");
        hooks::known_everywhere().await;
        customer.send_text(&to(&channel), "now").await.unwrap();
        let documents = until(&receiver, "a message", |documents| !documents.is_empty()).await;
        assert_eq!(names(&documents), ["message_sent"], "what was before it was active is not told");
        // A URL that is elsewhere has to answer first, and nothing is lost meanwhile.
        let other = Receiver::start().unwrap();
        let mut header = which.clone();
        header["url"] = json!(other.url());
        desk.operator.ask("levee_update_webhook", header).await.unwrap();
        let webhook = hooks::told(&mut desk.operator, &id).await;
        assert_eq!(webhook["state"], "failed", "its certificate is not trusted: {webhook}");
        customer.send_text(&to(&channel), "later").await.unwrap();
        let mut header = which.clone();
        header["url"] = json!(receiver.url());
        desk.operator.ask("levee_update_webhook", header).await.unwrap();
        let documents = until(&receiver, "the second message", |documents| documents.len() >= 2).await;
        assert_eq!(documents[1]["message_sent"]["message"]["payload"]["text"], "later");
        assert!(taken(&other.received()).is_empty());
        // Where nobody may go, nobody goes.
        for url in ["https://169.254.169.254/latest", "http://localhost:1/", "https://10.0.0.1/"] {
            let (_, webhook) = hooks::hook(&mut desk.operator, &desk.realm, url, json!({})).await;
            assert_eq!(webhook["state"], "failed", "{webhook}");
        }
        desk.operator.ask("levee_delete_webhook", which.clone()).await.unwrap();
        assert_eq!(refused(desk.operator.ask("levee_test_webhook", which).await), "levee_webhook_not_found");
    })
    .await;
}

#[tokio::test]
async fn what_was_not_told_in_time_is_kept_and_told_when_somebody_wants_it() {
    within(4 * LIMIT, async {
        let receiver = Arc::new(Receiver::start().unwrap());
        let mut settings = hooks::settings(&receiver);
        settings.push("--webhook-give-up-s=1".into());
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let server = support::Server::with(&settings).await;
        let mut desk = server.desk().await;
        let id = active(&mut desk, &receiver, json!({"events": ["message_sent"]})).await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        let is_text = |r: &levee_testbed::Received, text: &str| {
            hooks::document(r)["message_sent"]["message"]["payload"]["text"] == text
        };
        receiver.behave(move |received| match is_text(received, "lost") {
            true => Behaviour::Refuse(410, None),
            false => Behaviour::Take,
        });
        for text in ["lost", "next"] {
            customer.send_text(&to(&channel), text).await.unwrap();
        }
        let has = |text: &'static str| {
            move |documents: &[Value]| {
                documents.iter().any(|d| d["message_sent"]["message"]["payload"]["text"] == text)
            }
        };
        // The one behind it goes on once it is given up.
        until(&receiver, "the next message", has("next")).await;
        let which = json!({"realm_id": desk.realm, "webhook_id": id});
        let found = desk.operator.ask("levee_describe_webhook_deliveries", which.clone()).await.unwrap();
        assert_eq!(found["dead"].as_array().unwrap().len(), 1, "{found:?}");
        assert_eq!(found.at("/dead")[0]["reason"], "the status is 410");
        let outcomes: Vec<&Value> =
            found["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
        assert!(
            outcomes.contains(&&json!("dead")) && outcomes.contains(&&json!("delivered")),
            "{outcomes:?}"
        );
        receiver.behave(|_| Behaviour::Take);
        let replayed = desk.operator.ask("levee_replay_webhook", which.clone()).await.unwrap();
        assert_eq!((&replayed["deliveries"], &replayed["more"]), (&json!(1), &json!(false)));
        let documents = until(&receiver, "the lost message", has("lost")).await;
        let lost =
            documents.iter().find(|d| d["message_sent"]["message"]["payload"]["text"] == "lost").unwrap();
        assert_eq!(lost["event_id"], found.at("/dead")[0]["event_id"], "it is the same event");
        let found = desk.operator.ask("levee_describe_webhook_deliveries", which).await.unwrap();
        assert_eq!(found["dead"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn what_is_erased_before_it_is_told_is_not_told() {
    within(4 * LIMIT, async {
        let (server, receiver) = hooks::start().await;
        let receiver = Arc::new(receiver);
        let mut desk = server.desk().await;
        active(
            &mut desk,
            &receiver,
            json!({"events": ["audience_requested", "message_sent", "audience_finished"]}),
        )
        .await;
        receiver.behave(|_| Behaviour::Refuse(500, None));
        let mut customer = server.guest("Cleo").await;
        let asks = json!({"queue_id": desk.queue, "audience_metadata": {"page": "secret"}});
        customer.ask("request_audience", asks).await.unwrap();
        let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        let channel = accepted.str("channel_id").to_owned();
        customer.events.named("channel_joined").await.unwrap();
        customer.send_text(&to(&channel), "secret").await.unwrap();
        customer.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        desk.operator.ask("delete_transcript", json!({"channel_id": channel})).await.unwrap();
        hooks::known_everywhere().await;
        receiver.behave(|_| Behaviour::Take);
        let is_over = |documents: &[Value]| names(documents).contains(&"audience_finished");
        let documents = until(&receiver, "the end", is_over).await;
        assert!(!json!(documents).to_string().contains("secret"), "{documents:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_hangs_slows_neither_the_chat_nor_other_receivers() {
    within(4 * LIMIT, async {
        let receiver = Arc::new(Receiver::start().unwrap());
        let (server, hanging) = hooks::start_beside(&receiver).await;
        let mut desk = server.desk().await;
        hanging.behave(|received| match received.json()["webhook_verification"].is_null() {
            true => Behaviour::TakeAndHang(Duration::from_secs(30)),
            false => Behaviour::Take,
        });
        let more = json!({"events": ["message_sent"]});
        let (_, webhook) = hooks::hook(&mut desk.operator, &desk.realm, &hanging.url(), more).await;
        assert_eq!(webhook["state"], "active", "{webhook}");
        active(&mut desk, &receiver, json!({"events": ["message_sent"], "format": "wrapped"})).await;
        let keys = hooks::keys(&server).await;
        for number in 0..20 {
            let mut customer = server.guest("Cleo").await;
            let channel = desk.meet(&mut customer).await;
            let since = Instant::now();
            customer.send_text(&to(&channel), &number.to_string()).await.unwrap();
            assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        }
        let texts = |documents: &[Value]| {
            let text = |d: &&Value| d["message_sent"]["message"]["type"] == "ninchat.com/text";
            documents.iter().filter(text).count()
        };
        // Well before the first of them has stopped to hang.
        let since = Instant::now();
        until(&receiver, "all messages", move |documents| texts(documents) == 20).await;
        assert!(since.elapsed() < Duration::from_secs(9), "{:?}", since.elapsed());
        for received in receiver.received() {
            assert!(verifies(&received, &keys), "{received:?}");
            assert_eq!(received.headers["x-ninchat-format"], "wrapped");
            assert!(!received.headers.contains_key("x-ninchat-signature"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_rotates_without_one_failed_verification() {
    within(4 * LIMIT, async {
        let receiver = Arc::new(Receiver::start().unwrap());
        let settings = hooks::settings(&receiver);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let cluster = Cluster::with(2, &settings).await;
        let server = cluster.node(0);
        let mut desk = server.desk().await;
        // What a receiver knows of the keys: it looks every two seconds, and the grace is ten.
        let known = Arc::new(Mutex::new(hooks::keys(server).await));
        let failures = Arc::new(AtomicUsize::new(0));
        let (knows, fails) = (known.clone(), failures.clone());
        receiver.behave(move |received| {
            if !received.body.is_empty() && !verifies(received, &knows.lock().unwrap()) {
                fails.fetch_add(1, Ordering::Relaxed);
            }
            Behaviour::Take
        });
        active(&mut desk, &receiver, json!({"events": ["message_sent"]})).await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        let levee = |arguments: &[&str]| {
            let settings = server.settings().iter().filter(|s| s.contains("postgres") || s.contains("redis"));
            let output =
                Command::new(env!("CARGO_BIN_EXE_levee")).args(arguments).args(settings).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let before = levee(&["keys", "list"]);
        assert!(before.lines().count() == 1 && before.contains("signs now"), "{before}");
        let rotated = levee(&["keys", "rotate", "--grace-s=10"]);
        assert!(rotated.lines().count() == 2 && rotated.contains("signs in"), "{rotated}");
        let mut kids = std::collections::BTreeMap::new();
        let since = Instant::now();
        // Until the new key has signed some.
        while kids.len() < 2 || kids.values().any(|count| *count < 5) {
            assert!(since.elapsed() < LIMIT, "{kids:?}");
            for _ in 0..10 {
                customer.send_text(&to(&channel), "x").await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let keys = hooks::keys(cluster.node(1)).await;
            *known.lock().unwrap() = keys;
            kids.clear();
            for document in taken(&receiver.received()) {
                *kids.entry(document["kid"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
        }
        assert_eq!(failures.load(Ordering::Relaxed), 0);
        assert_eq!(
            hooks::keys(server).await["keys"].as_array().unwrap().len(),
            2,
            "the old one is still shown"
        );
    })
    .await;
}
