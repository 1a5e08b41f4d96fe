//! Bad input: a clear error with the number of the action, no trace, and the connection goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::{LIMIT, Server, assert_error, error, is_well, within};

#[tokio::test]
async fn what_is_no_json_object_is_malformed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let deep = "[".repeat(100_000);
        let texts = [
            "nonsense",
            "{",
            "[]",
            "5",
            "null",
            "\"ping\"",
            "{\"action\":\"ping\"",
            "{}",
            "{\"action\":null}",
            "{\"action\":5}",
            "{\"action\":[\"ping\"]}",
            "{\"action\":\"ping\"}x",
            &deep,
            "\u{feff}{}",
            " ",
        ];
        for text in texts {
            socket.text(text).await.unwrap();
            assert_error(&error(&mut socket).await, "request_malformed", None);
        }
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_type_is_malformed_and_says_which_action() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let wrong = [
            json!({"action": "create_channel", "channel_attrs": "x"}),
            json!({"action": "create_channel", "channel_attrs": {"name": 5}}),
            json!({"action": "create_channel", "channel_attrs": {"closed": "yes"}}),
            json!({"action": "join_channel", "channel_id": 5}),
            json!({"action": "part_channel"}),
            json!({"action": "describe_channel", "channel_id": {"a": 1}}),
            json!({"action": "load_history", "channel_id": "x", "history_length": -1}),
            json!({"action": "load_history", "channel_id": "x", "history_length": "many"}),
            json!({"action": "request_audience", "queue_id": ["x"]}),
            json!({"action": "update_user", "user_attrs": []}),
            json!({"action": "ping", "event_id": "x"}),
            json!({"action": "ping", "event_id": -1}),
        ];
        for (number, mut header) in (1..).zip(wrong) {
            header["action_id"] = number.into();
            let answer = socket.ask(header.clone(), &[]).await.unwrap();
            assert_eq!((answer.name(), answer.error_type()), ("error", "request_malformed"), "{header}");
        }
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn unknown_and_planned_actions_are_not_supported() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let long = "x".repeat(10_000);
        let planned = levee_proto::actions::ACTIONS.iter().filter(|action| !action.done);
        let planned = planned.map(|action| action.name);
        for (number, action) in (1..).zip(["fly", "", "PING", &long].into_iter().chain(planned)) {
            let answer = socket.ask(json!({"action": action, "action_id": number}), &[]).await.unwrap();
            assert_error(&answer, "action_not_supported", Some(number));
        }
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let header = json!({"action": "ping", "action_id": 1, "mystery": {"a": [1, 2]}, "frames": 0});
        assert_eq!(socket.ask(header, &[]).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn actions_before_a_session_are_refused_and_a_session_can_follow() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut socket = server.raw().await;
        for (number, action) in
            (1..).zip(["create_channel", "send_message", "describe_user", "update_session"])
        {
            let answer = socket.ask(json!({"action": action, "action_id": number}), &[]).await.unwrap();
            assert_error(&answer, "request_malformed", Some(number));
            assert_eq!(answer.event_id(), None, "there is no session to number events");
        }
        let pong = socket.ask(json!({"action": "ping", "action_id": 9}), &[]).await.unwrap();
        assert_eq!((pong.name(), pong.event_id()), ("pong", None));
        socket.action(json!({"action": "resume_session", "session_id": "00unknown0000"}), &[]).await.unwrap();
        assert_error(&error(&mut socket).await, "session_not_found", None);
        socket.action(json!({"action": "create_session", "message_types": ["*"]}), &[]).await.unwrap();
        assert_eq!(socket.named("session_created").await.unwrap().event_id(), Some(1));
    })
    .await;
}

#[tokio::test]
async fn a_connection_has_one_session_for_ever() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let (_other, others) = server.raw_guest().await;
        let second = json!({"action": "create_session", "action_id": 1, "message_types": ["*"]});
        assert_error(&socket.ask(second, &[]).await.unwrap(), "request_malformed", Some(1));
        let foreign = json!({"action": "resume_session", "action_id": 2, "session_id": others["session_id"]});
        assert_error(&socket.ask(foreign, &[]).await.unwrap(), "request_malformed", Some(2));
        let found = socket.ask(json!({"action": "describe_user", "action_id": 3}), &[]).await.unwrap();
        assert_eq!(found["user_id"], created["user_id"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_absent_and_what_is_forbidden_look_alike() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let made = json!({"realm_id": desk.realm, "channel_attrs": {"name": "Staff"}});
        let channel = desk.operator.ask("create_channel", made).await.unwrap().str("channel_id").to_owned();
        let (mut socket, _) = server.raw_guest().await;
        let actions = [
            json!({"action": "join_channel"}),
            json!({"action": "part_channel"}),
            json!({"action": "describe_channel"}),
            json!({"action": "update_channel", "channel_attrs": {"name": "x"}}),
            json!({"action": "delete_channel"}),
            json!({"action": "load_history"}),
            json!({"action": "update_member", "user_id": desk.operator.user_id(), "member_attrs": {}}),
            json!({"action": "remove_member", "user_id": desk.operator.user_id()}),
        ];
        let (mut number, mut differ) = (0, Vec::new());
        for action in actions {
            let mut answers = Vec::new();
            for id in
                [channel.as_str(), "00absent0000000000", "../../etc/passwd", "UPPER", "", &"z".repeat(5_000)]
            {
                number += 1;
                let mut header = action.clone();
                header["action_id"] = number.into();
                header["channel_id"] = id.into();
                let mut answer = Value::Object(socket.ask(header, &[]).await.unwrap().header().clone());
                // These name the question, not the thing.
                for own in ["action_id", "event_id", "channel_id"] {
                    answer.as_object_mut().unwrap().remove(own);
                }
                assert_eq!(answer["event"], "error", "{action} of \"{id:.30}\"");
                answers.push(answer);
            }
            if answers[0] != answers[1] || answers.iter().any(|a| a["error_type"] != answers[0]["error_type"])
            {
                let kinds: Vec<_> = answers.iter().map(|answer| answer["error_type"].clone()).collect();
                differ.push(format!("{}: {kinds:?}", action["action"]));
            }
        }
        assert!(differ.is_empty(), "forbidden, absent and malformed ids differ: {differ:#?}");
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn numbers_of_actions_and_events_that_make_no_sense_are_malformed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        for id in ["0", "-1", "1.5", "\"1\"", "1e400", "9007199254740993", "{}"] {
            socket.text(format!("{{\"action\":\"ping\",\"action_id\":{id}}}")).await.unwrap();
            assert_eq!(error(&mut socket).await.error_type(), "request_malformed", "{id}");
        }
        // An acknowledgement of what was never sent acknowledges nothing more than what was.
        socket.action(json!({"action": "ping", "action_id": 1, "event_id": 1_000_000}), &[]).await.unwrap();
        let answer = socket.event().await.unwrap().unwrap();
        assert!(["pong", "error"].contains(&answer.name()), "{answer:?}");
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn absurd_attributes_are_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let long = "x".repeat(20_000);
        for (number, attrs) in
            (1..).zip([json!({"name": long}), json!({"admin": true}), json!({"connected": false})])
        {
            let header = json!({"action": "update_user", "action_id": number, "user_attrs": attrs});
            let answer = socket.ask(header, &[]).await.unwrap();
            assert_eq!(answer.name(), "error", "{answer:?}");
        }
        let types: Vec<_> = (0..5_000).map(|number| format!("t/{number}")).collect();
        let mut other = server.raw().await;
        other.action(json!({"action": "create_session", "message_types": types}), &[]).await.unwrap();
        assert!(
            ["message_types_too_long", "request_malformed"].contains(&error(&mut other).await.error_type())
        );
        is_well(&mut socket).await;
    })
    .await;
}
