//! The transports beside the plain WebSocket: discovery, long poll, calls, TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Http;
use levee_client::requests::{Caller, endpoint, poll, poll_with};
use levee_client::session::{Target, guest};
use levee_client::{Options, RawSocket};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{LIMIT, Server, refused, within};

#[tokio::test]
async fn the_discovery_names_hosts_that_can_be_reached() {
    within(LIMIT, async {
        let server = Server::start().await;
        let hosts = endpoint(&server.address()).await.unwrap();
        assert_eq!(hosts, [server.address().authority()]);
        let mut http = Http::new(server.address());
        let response = http.get("/v2/endpoint?callback=connect").await.unwrap();
        assert!(response.header("content-type").starts_with("application/javascript"));
        let text = response.text();
        let call = text.trim_start_matches("/**/").trim().trim_end_matches(';');
        let object = call.strip_prefix("connect(").and_then(|rest| rest.strip_suffix(')')).expect("a call");
        assert_eq!(serde_json::from_str::<Value>(object).unwrap()["hosts"], json!(hosts));
    })
    .await;
}

#[tokio::test]
async fn a_session_works_over_long_polling() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) =
            (server.guest("Ann").await, server.open(guest("Ben"), Options::default().long_poll()).await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        assert_eq!(ben.join_channel(&channel).await.unwrap().name(), "channel_joined");
        let target = Target::Channel(channel);
        ann.send_text(&target, "to Ben").await.unwrap();
        let came = ben.events.find("a text", |event| event.text() == "to Ben").await.unwrap();
        assert!(came.event_id().is_some());
        assert_eq!(ben.send_text(&target, "to Ann").await.unwrap().text(), "to Ann");
        let order = json!({"history_order": 1, "message_types": ["ninchat.com/text"]});
        assert_eq!(ben.load_history(&target, order).await.unwrap().texts(), ["to Ben", "to Ann"]);
        assert_eq!(refused(ben.join_channel("00unknown000000000").await), "channel_not_found");
    })
    .await;
}

#[tokio::test]
async fn polls_answer_as_the_document_says() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut http = Http::new(server.address());
        let created =
            poll(&mut http, &json!({"action": "create_session", "message_types": ["*"]})).await.unwrap();
        assert_eq!(
            (created.len(), created[0].name(), created[0].event_id()),
            (1, "session_created", Some(1))
        );
        let session = &created[0]["session_id"];
        // Other actions get an empty answer at once; what they answer comes with the next poll.
        let create = json!({"action": "create_channel", "action_id": 1, "session_id": session});
        assert_eq!(poll(&mut http, &create).await.unwrap(), []);
        let resume = json!({"action": "resume_session", "session_id": session, "event_id": 1});
        let events = poll(&mut http, &resume).await.unwrap();
        assert_eq!((events[0].name(), events[0].action_id()), ("channel_joined", Some(1)));
        // What was not acknowledged comes again.
        assert_eq!(poll(&mut http, &resume).await.unwrap(), events);
        let unknown = json!({"action": "resume_session", "session_id": "00unknown0000"});
        assert_eq!(poll(&mut http, &unknown).await.unwrap()[0].error_type(), "session_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_poll_may_be_posted_as_the_client_for_go_does() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut http = Http::new(server.address());
        let mut post = async |body: &str| {
            let response = http.request("POST", "/v2/poll", &[], body.as_bytes()).await.unwrap();
            (response.status, response.text().to_owned())
        };
        let (status, text) = post(r#"{"action": "create_session", "message_types": ["*"]}"#).await;
        let created: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &created[0]["event"]), (200, &json!("session_created")));
        let ping = json!({"action": "ping", "action_id": 1, "session_id": created[0]["session_id"]});
        assert_eq!(post(&ping.to_string()).await, (200, "[]".to_owned()));
        for bad in ["", "{", "[]", "data=%7B%7D"] {
            let (status, text) = post(bad).await;
            assert_eq!(status, 200, "{bad}");
            assert!(text.contains("request_malformed"), "{bad}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_reply_does_not_overtake_the_answer_to_its_request() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut sends, mut polls) = (Http::new(server.address()), Http::new(server.address()));
        let created =
            poll(&mut sends, &json!({"action": "create_session", "message_types": ["*"]})).await.unwrap();
        let session = &created[0]["session_id"];
        let mut seen = 1;
        for number in 1..=5 {
            let resume = json!({"action": "resume_session", "session_id": session, "event_id": seen});
            let ping = json!({"action": "ping", "action_id": number, "session_id": session});
            let polling = async { (poll(&mut polls, &resume).await.unwrap(), Instant::now()) };
            let sending = async {
                // The poll is there already.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let sent = Instant::now();
                assert_eq!(poll(&mut sends, &ping).await.unwrap(), []);
                sent
            };
            let ((events, replied), sent) = tokio::join!(polling, sending);
            assert_eq!(events[0].action_id(), Some(number));
            assert!(replied - sent >= Duration::from_millis(50), "it came after {:?}", replied - sent);
            seen = events[0].event_id().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_name_of_a_function_is_called_back() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut http = Http::new(server.address());
        let action = json!({"action": "create_session", "message_types": []});
        for good in ["func", "a.b.c", "_x$1"] {
            let response = poll_with(&mut http, &action, Some(good)).await.unwrap();
            assert_eq!(response.status, 200, "{good}");
            assert!(response.text().trim_start_matches("/**/").starts_with(&format!("{good}([")), "{good}");
            assert!(response.header("content-type").starts_with("application/javascript"));
            assert_eq!(response.header("x-content-type-options"), "nosniff");
        }
        let long = "x".repeat(10_000);
        for bad in ["alert(1)//", "<script>", "a b", "1x", "a;b", "a\u{2028}b", "", "a..b", &long] {
            let response = poll_with(&mut http, &action, Some(bad)).await.unwrap();
            assert!(
                (400..500).contains(&response.status),
                "{bad:.20}: {} {}",
                response.status,
                response.text()
            );
            assert!(bad.is_empty() || !response.text().contains(bad), "{bad:.20} is echoed");
        }
    })
    .await;
}

#[tokio::test]
async fn malformed_polls_are_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut http = Http::new(server.address());
        for query in [
            "",
            "?callback=f",
            "?data=&callback=f",
            "?data=nonsense&callback=f",
            "?data=%5B%5D&callback=f",
            "?data=%ff&callback=f",
        ] {
            let response = http.get(&format!("/v2/poll{query}")).await.unwrap();
            let told = response.text().contains("request_malformed");
            assert!(
                told || (400..500).contains(&response.status),
                "{query}: {} {}",
                response.status,
                response.text()
            );
        }
        // An action without a session.
        let events = poll(&mut http, &json!({"action": "create_channel", "action_id": 1})).await.unwrap();
        assert_eq!(events[0].name(), "error");
    })
    .await;
}

#[tokio::test]
async fn a_call_acts_with_the_callers_credentials() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        let channel = ann.create_channel(json!({"name": "Room"})).await.unwrap();
        let token = ann.created().str("user_auth").to_owned();
        let mut callers = vec![Caller::email(server.address(), "ann@example.org", "secret-ann")];
        if !token.is_empty() {
            callers.push(Caller::user(server.address(), ann.user_id(), &token));
        }
        for caller in &mut callers {
            let which = json!({"channel_id": channel});
            let found = [
                caller.get("describe_channel", which.clone()).await,
                caller.post("describe_channel", which).await,
            ];
            for found in found {
                let found = found.unwrap();
                assert_eq!(
                    (found.name(), found.at("/channel_attrs/name")),
                    ("channel_found", &json!("Room"))
                );
                assert_eq!(found.event_id(), None);
            }
        }
        let message = json!({"channel_id": channel, "message_type": "ninchat.com/text",
            "payload": {"text": "called"}, "action_id": 7});
        let sent = callers[0].post("send_message", message).await.unwrap();
        assert_eq!((sent.name(), sent.action_id()), ("message_received", Some(7)));
        let history = ann
            .load_history(&Target::Channel(channel), json!({"message_types": ["ninchat.com/text"]}))
            .await
            .unwrap();
        assert_eq!(history.texts(), ["called"]);
    })
    .await;
}

#[tokio::test]
async fn a_call_by_token_of_a_guest_works_and_a_wrong_one_is_denied() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.guest("Ann").await;
        let token = ann.created().str("user_auth");
        let mut good = Caller::user(server.address(), ann.user_id(), token);
        let found = good.get("describe_user", json!({})).await.unwrap();
        assert_eq!((found.name(), found.str("user_id")), ("user_found", ann.user_id()));
        for mut bad in [
            Caller::user(server.address(), ann.user_id(), "wrong"),
            Caller::user(server.address(), "00nobody0000000000", token),
            Caller::email(server.address(), "nobody@example.org", "wrong"),
            Caller::anonymous(server.address()),
        ] {
            let answer = bad.post("describe_user", json!({"action_id": 3})).await.unwrap();
            assert_eq!(answer.name(), "error");
            assert_eq!(answer.error_type(), "access_denied", "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn malformed_calls_are_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut caller = Caller::anonymous(server.address());
        for (kind, body) in [
            ("application/json", "nonsense"),
            ("application/json", "[]"),
            ("application/json", ""),
            ("text/html", "{}"),
        ] {
            let response = caller.body(kind, body.as_bytes()).await.unwrap();
            let told = response.text().contains("request_malformed");
            assert!(told || (400..500).contains(&response.status), "{kind} {body}: {}", response.status);
        }
        let unknown = caller.post("fly", json!({"action_id": 2})).await.unwrap();
        assert_eq!((unknown.error_type(), unknown.action_id()), ("action_not_supported", Some(2)));
        let huge = vec![b' '; 20 << 20];
        if let Ok(response) = caller.body("application/json", &huge).await {
            assert!((400..500).contains(&response.status), "{}", response.status);
        }
        assert_eq!(caller.post("ping", json!({})).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_subprotocol_gets_no_session() {
    within(LIMIT, async {
        let server = Server::start().await;
        assert!(RawSocket::connect_as(&server.address(), Some("chat.example.org")).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn with_a_certificate_of_its_own_the_server_speaks_tls() {
    within(LIMIT, async {
        let server = Server::with_tls().await;
        let mut ann = server.guest("Ann").await;
        let channel = ann.create_channel(json!({})).await.unwrap();
        ann.drop_connection();
        let target = Target::Channel(channel);
        assert_eq!(ann.send_text(&target, "sealed").await.unwrap().text(), "sealed");
        ann.events.find("the text", |event| event.text() == "sealed").await.unwrap();
        let mut http = Http::new(server.address());
        assert_eq!(http.get("/readyz").await.unwrap().status, 200);
    })
    .await;
}
