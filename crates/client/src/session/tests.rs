//! A session against a server made of a few lines, which says exactly what the test wants.

use super::*;
use crate::session::{History, Options};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::future::Future;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

const LIMIT: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("in time")
}

struct Server {
    listener: TcpListener,
}

/// The server's end of a connection.
struct End {
    socket: WebSocketStream<TcpStream>,
}

impl Server {
    async fn start() -> (Self, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::plain("127.0.0.1", listener.local_addr().unwrap().port());
        (Self { listener }, address)
    }

    async fn accept(&self) -> End {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        #[expect(clippy::result_large_err, reason = "the library's own type")]
        let choose = |_: &Request, mut response: Response| {
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ninchat.com"));
            Ok::<_, ErrorResponse>(response)
        };
        End { socket: soon(tokio_tungstenite::accept_hdr_async(stream, choose)).await.unwrap() }
    }

    /// A session on its first connection.
    async fn session(options: Options) -> (Self, Session, Events, End) {
        let (server, address) = Self::start().await;
        let opening = tokio::spawn(async move { Session::create(&address, guest("x"), options).await });
        let mut end = server.accept().await;
        let create = end.action().await;
        assert_eq!((create["action"].as_str(), &create["action_id"]), (Some("create_session"), &Value::Null));
        end.event(json!({"event": "session_created", "session_id": "s", "user_id": "u", "event_id": 1}))
            .await;
        let (session, events) = soon(opening).await.unwrap().unwrap();
        (server, session, events, end)
    }
}

impl End {
    /// The next frame that is not empty, as JSON.
    async fn action(&mut self) -> Value {
        loop {
            match soon(self.socket.next()).await.expect("a frame").expect("a frame") {
                Message::Text(text) if !text.is_empty() => return serde_json::from_str(&text).unwrap(),
                Message::Binary(bytes) => return serde_json::from_slice(&bytes).unwrap(),
                _ => {}
            }
        }
    }

    async fn event(&mut self, event: Value) {
        self.socket.send(Message::text(event.to_string())).await.unwrap();
    }

    async fn message(&mut self, mut event: Value, text: &str) {
        event["frames"] = 1.into();
        self.event(event).await;
        self.event(json!({"text": text})).await;
    }
}

/// Options under which nothing is acknowledged but with an action.
fn patient() -> Options {
    Options { acknowledge_after: Duration::from_secs(3600), ..Options::default() }
}

#[tokio::test]
async fn actions_are_numbered_from_one_and_answered_by_their_number() {
    let (_server, session, _events, mut end) = Server::session(patient()).await;
    let (first, second) =
        (session.start("ping", json!({}), vec![]), session.start("ping", json!({}), vec![]));
    assert_eq!((first.action_id, second.action_id), (1, 2));
    assert_eq!(end.action().await["action_id"], 1);
    assert_eq!(end.action().await["action_id"], 2);
    end.event(json!({"event": "error", "error_type": "internal", "action_id": 2, "event_id": 2})).await;
    end.event(json!({"event": "pong", "action_id": 1, "event_id": 3})).await;
    assert_eq!(soon(second.event()).await.unwrap_err().error_type(), "internal");
    assert_eq!(soon(first.event()).await.unwrap().name(), "pong");
}

#[tokio::test]
async fn what_was_not_answered_is_sent_again_after_a_resumption() {
    let (server, session, _events, mut end) = Server::session(patient()).await;
    let first = session.start("a", json!({}), vec![]);
    let second = session.start("b", json!({"x": 5}), vec![Bytes::from_static(b"{}")]);
    assert_eq!(end.action().await["action"], "a");
    end.event(json!({"event": "ack", "action_id": 1, "event_id": 2})).await;
    soon(first.event()).await.unwrap();
    let sent = end.action().await;
    assert_eq!(end.action().await, json!({}));
    drop(end);
    let mut end = server.accept().await;
    assert_eq!(end.action().await, json!({"action": "resume_session", "session_id": "s", "event_id": 2}));
    let again = end.action().await;
    for key in ["action", "action_id", "x", "frames"] {
        assert_eq!(again[key], sent[key], "{key}");
    }
    assert_eq!(end.action().await, json!({}));
    end.event(json!({"event": "ack", "action_id": 2, "event_id": 3})).await;
    soon(second.event()).await.unwrap();
}

#[tokio::test]
async fn an_event_that_comes_again_is_recognised() {
    let (server, _session, mut events, mut end) = Server::session(patient()).await;
    end.event(json!({"event": "a", "event_id": 2})).await;
    assert_eq!(soon(events.next()).await.unwrap().name(), "a");
    drop(end);
    let mut end = server.accept().await;
    end.event(json!({"event": "a", "event_id": 2})).await;
    end.event(json!({"event": "b", "event_id": 7})).await;
    end.event(json!({"event": "c"})).await;
    assert_eq!(soon(events.next()).await.unwrap().name(), "b");
    assert_eq!(soon(events.next()).await.unwrap().name(), "c");
}

#[tokio::test]
async fn an_action_takes_the_acknowledgement_along() {
    let (_server, session, mut events, mut end) = Server::session(patient()).await;
    end.event(json!({"event": "a", "event_id": 5})).await;
    soon(events.next()).await.unwrap();
    session.tell("x", json!({}), vec![]);
    assert_eq!(end.action().await, json!({"action": "x", "event_id": 5}));
    session.tell("y", json!({}), vec![]);
    assert_eq!(end.action().await, json!({"action": "y"}));
}

#[tokio::test]
async fn without_an_action_the_acknowledgement_goes_alone() {
    let options = Options { acknowledge_after: Duration::from_millis(20), ..Options::default() };
    let (_server, _session, _events, mut end) = Server::session(options).await;
    assert_eq!(end.action().await, json!({"action": "resume_session", "event_id": 1}));
}

#[tokio::test]
async fn acknowledgements_can_be_held_back() {
    let (server, session, mut events, mut end) = Server::session(patient()).await;
    session.hold_acknowledgements(true);
    end.event(json!({"event": "a", "event_id": 2})).await;
    soon(events.next()).await.unwrap();
    session.drop_connection();
    let mut end = server.accept().await;
    assert_eq!(end.action().await, json!({"action": "resume_session", "session_id": "s"}));
}

#[tokio::test]
async fn a_superseded_session_is_over_and_does_not_fight() {
    let (_server, session, mut events, mut end) = Server::session(patient()).await;
    let waiting = session.start("a", json!({}), vec![]);
    end.event(json!({"event": "error", "error_type": "connection_superseded"})).await;
    assert_eq!(soon(session.ended()).await.error_type, "connection_superseded");
    assert_eq!(soon(waiting.event()).await.unwrap_err().error_type(), "connection_superseded");
    assert_eq!(soon(events.next()).await.unwrap().error_type(), "connection_superseded");
    assert!(soon(events.next()).await.is_none());
}

#[tokio::test]
async fn a_disconnected_session_stays_away_until_it_is_told_otherwise() {
    let (server, session, _events, mut end) = Server::session(patient()).await;
    session.disconnect();
    assert!(!matches!(soon(end.socket.next()).await, Some(Ok(Message::Text(_)))));
    assert!(timeout(Duration::from_millis(300), server.listener.accept()).await.is_err());
    session.connect();
    let mut end = server.accept().await;
    assert_eq!(end.action().await["action"], "resume_session");
    soon(session.online()).await.unwrap();
}

#[tokio::test]
async fn a_history_is_complete_when_all_its_messages_came() {
    let (server, session, _events, mut end) = Server::session(patient()).await;
    let loading = tokio::spawn(async move {
        let target = Target::Channel("c".to_owned());
        let history: Result<History> = session.load_history(&target, json!({})).await;
        (session, history)
    });
    assert_eq!(end.action().await["channel_id"], "c");
    let results = |event_id: u64| json!({"event": "history_results", "action_id": 1, "history_length": 2, "event_id": event_id});
    let message = |event_id: u64| json!({"event": "message_received", "action_id": 1, "event_id": event_id});
    end.event(results(2)).await;
    end.message(message(3), "one").await;
    drop(end);
    // The answer broke off: it is asked for again, and comes from the beginning.
    let mut end = server.accept().await;
    assert_eq!(end.action().await["action"], "resume_session");
    assert_eq!(end.action().await["action"], "load_history");
    end.event(results(4)).await;
    end.message(message(5), "one").await;
    end.message(message(6), "two").await;
    let (_session, history) = soon(loading).await.unwrap();
    assert_eq!(history.unwrap().texts(), ["one", "two"]);
}

#[tokio::test]
async fn a_search_is_complete_when_results_come_that_are_empty() {
    let (_server, session, _events, mut end) = Server::session(patient()).await;
    let searching = tokio::spawn(async move { session.search("search", json!({"search_term": "a"})).await });
    assert_eq!(end.action().await["search_term"], "a");
    let results = |event_id: u64, name: &str, id: &str| {
        let mut event = json!({"event": "search_results", "action_id": 1, "event_id": event_id});
        if !name.is_empty() {
            event[name] = json!({id: {"weight": 1}});
        }
        event
    };
    end.event(results(2, "users", "u")).await;
    end.event(results(3, "channels", "c")).await;
    end.event(results(4, "", "")).await;
    let (users, channels) = soon(searching).await.unwrap().unwrap();
    assert!(users.contains_key("u") && channels.contains_key("c") && users.len() + channels.len() == 2);
}
