//! Questionnaires of sites: answers are checked, and become names, tags and first words.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::{History, Target};
use levee_client::{Error, Event};
use serde_json::{Value, json};
use support::people::{Desk, Person};
use support::{LIMIT, Server, refused, within};

/// A desk with two tags and a site that asks for a name, words and a topic; its tags.
async fn desk_that_asks(server: &Server) -> (Desk, [String; 2]) {
    let desk = server.desk().await;
    let mut tags = Vec::new();
    for name in ["Orders", "Urgent"] {
        let header = json!({"realm_id": desk.realm, "tag_attrs": {"name": name}});
        tags.push(desk.operator.ask("create_tag", header).await.unwrap().str("tag_id").to_owned());
    }
    let options = ["order", "write"].map(|value| json!({"label": value, "value": value}));
    let questions = json!([
        {"name": "first", "type": "group", "elements": [
            {"name": "userName", "element": "input"},
            {"name": "message", "element": "textarea"},
            {"name": "topic", "element": "radio", "required": true, "options": options}]},
        {"name": "l1", "logic": {"and": [{"topic": "order"}], "tags": tags, "target": "_complete"}},
        {"name": "l2", "logic": {"and": [{"topic": "write"}], "tags": [tags[0]], "target": "_register"}}]);
    let finnish = json!([{"name": "aihe", "element": "input", "required": true}]);
    let site = json!({"realm_id": desk.realm, "site_key": "the-shop", "site_config": {
        "default": {"preAudienceQuestionnaire": questions},
        "finnish": {"preAudienceQuestionnaire": finnish}}});
    desk.operator.ask("levee_create_site", site).await.unwrap();
    let settings = json!({"queue_id": desk.queue, "queue_settings": {"audience_registration": true}});
    desk.operator.ask("update_queue", settings).await.unwrap();
    tags.sort();
    (desk, tags.try_into().unwrap())
}

fn wish(queue: &str, answers: &Value) -> Value {
    json!({"queue_id": queue, "levee_site": "the-shop", "audience_metadata": {"pre_answers": answers}})
}

async fn history(of: &Person, channel: &str, types: &str) -> History {
    let all = json!({"message_types": [types], "history_order": 1});
    of.load_history(&Target::Channel(channel.to_owned()), all).await.unwrap()
}

/// An hour's groups of a queue's statistics.
async fn groups(desk: &Desk) -> Value {
    let header = json!({"queue_id": desk.queue, "stats_length": 1});
    let stats = desk.operator.ask("get_queue_stats", header).await.unwrap();
    let hours = stats["queue_stats"].as_object().unwrap();
    hours.values().next().map_or(Value::Null, |hour| hour["audiences"].clone())
}

#[tokio::test]
async fn answers_become_the_name_the_tags_and_the_first_words_and_survive_a_crash() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (desk, tags) = desk_that_asks(&server).await;
        let customer = server.guest("Somebody").await;
        let answers = json!({"userName": "Cleo", "message": "Where is it?", "topic": "order", "tags": ["x"]});
        customer.ask("request_audience", wish(&desk.queue, &answers)).await.unwrap();
        let waits = desk.agent.ask("describe_queue", json!({"queue_id": desk.queue})).await.unwrap();
        assert_eq!(waits.at("/levee_waiting/0/user_name"), "Cleo");
        // What they are called reaches the user as well.
        let own = json!({"user_id": customer.user_id()});
        while desk.agent.ask("describe_user", own.clone()).await.unwrap().at("/user_attrs/name") != "Cleo" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        // What waits is durable.
        server.kill();
        server.restart().await;
        let login = levee_client::session::login;
        let agent =
            server.open(login("agent@example.org", "secret-agent"), levee_client::Options::default()).await;
        let accepted = agent.accept_audience(&desk.queue, None).await.unwrap();
        let kept = json!({"userName": "Cleo", "message": "Where is it?", "topic": "order", "tags": tags});
        assert_eq!(accepted.at("/audience_metadata/pre_answers"), &kept);
        let channel = accepted.str("channel_id").to_owned();
        let said = history(&agent, &channel, "ninchat.com/text").await;
        assert_eq!(said.texts(), ["Where is it?"], "once");
        assert_eq!(said.messages[0].str("message_user_id"), customer.user_id());
        let folded = history(&agent, &channel, "ninchat.com/metadata").await;
        assert_eq!(folded.messages.len(), 1);
        assert_eq!(
            (folded.messages[0].str("message_user_id"), &folded.messages[0]["message_fold"]),
            (agent.user_id(), &json!(true))
        );
        // As if the agent had set them: in the conversation, and in the statistics.
        let found = agent.ask("describe_channel", json!({"channel_id": channel})).await.unwrap();
        assert_eq!(found["member_message_metadata"][agent.user_id()]["tag_ids"], json!(tags));
        let operator = login("operator@example.org", "secret-operator");
        let operator = server.open(operator, levee_client::Options::default()).await;
        let desk = Desk { operator, agent, ..desk };
        let counted = groups(&desk).await;
        assert_eq!(counted[0]["tag_ids"], json!(tags));
        assert_eq!((&counted[0]["accept_count"], counted.as_array().unwrap().len()), (&json!(1), 1));
        // The agent may set others.
        let to = Target::Channel(channel);
        let none = json!({"message_type": "ninchat.com/metadata", "message_fold": true});
        desk.agent.send_message(&to, none, &json!({"data": {"tag_ids": []}, "time": 1})).await.unwrap();
        while !groups(&desk).await[0]["tag_ids"].is_null() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_retry_says_the_first_words_once_and_is_answered_as_before() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (desk, _) = desk_that_asks(&server).await;
        let (mut socket, created) = server.raw_guest().await;
        let mut header = wish(&desk.queue, &json!({"topic": "order", "message": "hello"}));
        header["action"] = "request_audience".into();
        header["action_id"] = 7.into();
        let first = socket.ask(header.clone(), &[]).await.unwrap();
        assert_eq!(first.name(), "audience_enqueued");
        // Meanwhile the site is gone: what has happened has happened.
        let which = json!({"realm_id": desk.realm, "site_key": "the-shop"});
        desk.operator.ask("levee_delete_site", which).await.unwrap();
        let mut again = server.resume(created.str("session_id"), None).await;
        let answer = again.ask(header, &[]).await.unwrap();
        assert_eq!((answer.name(), &answer["audience_id"]), ("audience_enqueued", &first["audience_id"]));
        let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        let said = history(&desk.agent, accepted.str("channel_id"), "ninchat.com/text").await;
        assert_eq!(said.texts(), ["hello"]);
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
    })
    .await;
}

/// Why something was refused.
#[track_caller]
fn reason(outcome: Result<Event, Error>) -> String {
    match outcome.expect_err("it should have been refused") {
        Error::Rejected(event) => format!("{}: {}", event.error_type(), event.str("error_reason")),
        error => panic!("no answer: {error}"),
    }
}

#[tokio::test]
async fn wrong_answers_are_refused_by_their_place_and_nobody_waits() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (desk, tags) = desk_that_asks(&server).await;
        let customer = server.guest("Cleo").await;
        for (answers, said) in [
            (json!({}), "audience_metadata/pre_answers/topic: is required"),
            (json!(5), "audience_metadata/pre_answers: is not an object"),
            (json!({"topic": "other"}), "audience_metadata/pre_answers/topic: is none of the options"),
            (json!({"topic": "order", "userName": 5}), "pre_answers/userName: is not a string"),
            (json!({"topic": "order", "message": "x".repeat(4001)}), "message: has more than 4000 bytes"),
            (json!({"topic": "order", "a/b": 1}), "pre_answers/a~1b: is no element of the questionnaire"),
            (json!({"topic": "write"}), "lead to a contact request, and to no audience"),
        ] {
            let said_so = reason(customer.ask("request_audience", wish(&desk.queue, &answers)).await);
            assert!(said_so.starts_with("request_malformed: ") && said_so.ends_with(said), "{said_so}");
        }
        for bad in [json!({"levee_site": 5}), json!({"levee_environments": "x"})] {
            let mut header = wish(&desk.queue, &json!({"topic": "order"}));
            header.as_object_mut().unwrap().extend(bad.as_object().cloned().unwrap());
            assert_eq!(refused(customer.ask("request_audience", header).await), "request_malformed");
        }
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
        // The same answers lead to a contact request, which keeps the tags.
        let mut left = wish(&desk.queue, &json!({"topic": "write", "message": "Call me"}));
        let registered = customer.ask("register_audience", left.clone()).await.unwrap();
        assert_eq!(registered.name(), "audience_registered");
        left["audience_metadata"]["pre_answers"] = json!({"topic": "write", "tags": [tags[0]], "x": 1});
        assert_eq!(refused(customer.ask("register_audience", left).await), "request_malformed");
        // A page in another language asks for something else.
        let mut finnish = wish(&desk.queue, &json!({"aihe": "Tilaus"}));
        finnish["levee_environments"] = json!(["finnish"]);
        let enqueued = customer.ask("request_audience", finnish).await.unwrap();
        assert_eq!(enqueued.name(), "audience_enqueued");
        // Without a site answers are kept as they are.
        let other = server.guest("Bert").await;
        let free = json!({"queue_id": desk.queue, "audience_metadata": {"pre_answers": {"any": [1, {}]}}});
        other.ask("request_audience", free).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_site_that_is_absent_disabled_or_another_realms_looks_the_same() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (desk, _) = desk_that_asks(&server).await;
        let stranger = server.user("stranger").await;
        let realm = stranger.create_realm("Other").await.unwrap();
        for (key, enabled, realm, by) in
            [("elsewhere", true, &realm, &stranger), ("hidden", false, &desk.realm, &desk.operator)]
        {
            let header = json!({"realm_id": realm, "site_key": key, "enabled": enabled,
                "site_config": {"default": {}}});
            by.ask("levee_create_site", header).await.unwrap();
        }
        let customer = server.guest("Cleo").await;
        for action in ["request_audience", "register_audience"] {
            let mut answers = Vec::new();
            for key in ["elsewhere", "hidden", "no-such-site", "", "../x", &"y".repeat(1000)] {
                // Wrong answers tell nothing of a site that one can't see.
                let header = json!({"queue_id": desk.queue, "levee_site": key,
                    "audience_metadata": {"pre_answers": {"wrong": true}}});
                match customer.ask(action, header).await.unwrap_err() {
                    Error::Rejected(event) => {
                        let about = event["queue_id"].clone();
                        answers.push((event.error_type().to_owned(), about, event["error_reason"].clone()));
                    }
                    error => panic!("{key}: {error}"),
                }
            }
            let same = ("levee_site_not_found".to_owned(), json!(desk.queue), Value::Null);
            assert!(answers.iter().all(|answer| *answer == same), "{answers:?}");
        }
    })
    .await;
}
