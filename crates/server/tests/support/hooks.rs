//! A server that tells webhooks, their receiver, and what it got.

use super::Server;
use super::people::{Desk, Person};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use levee_client::http::Http;
use levee_testbed::{Received, Receiver};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use std::time::Duration;

/// All that a webhook may want.
pub(crate) const ALL: [&str; 7] = [
    "audience_requested",
    "audience_request_dropped",
    "audience_accepted",
    "message_sent",
    "audience_finished",
    "audience_agent_released",
    "audience_complete",
];

/// How long a receiver may have to wait.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

/// The settings by which a server tells a receiver on this machine.
pub(crate) fn settings(receiver: &Receiver) -> Vec<String> {
    let ca = format!("--webhook-ca={}", receiver.certificate().display());
    vec![ca, "--webhook-allow-private=127.0.0.0/8,::1/128".into()]
}

/// Starts a server and a receiver.
pub(crate) async fn start() -> (Server, Receiver) {
    let receiver = Receiver::start().expect("a receiver");
    let settings = settings(&receiver);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    (Server::with(&settings).await, receiver)
}

/// Starts a server and another receiver beside one.
pub(crate) async fn start_beside(first: &Receiver) -> (Server, Receiver) {
    let second = Receiver::start().expect("a receiver");
    let both = [first, &second].map(|one| std::fs::read_to_string(one.certificate()).expect("a certificate"));
    let file = second.certificate().with_file_name("both.pem");
    std::fs::write(&file, both.concat()).expect("a file");
    let ca = format!("--webhook-ca={}", file.display());
    (Server::with(&[&ca, "--webhook-allow-private=127.0.0.0/8,::1/128"]).await, second)
}

/// Makes a webhook and waits until it is active, or is not.
pub(crate) async fn hook(operator: &mut Person, realm: &str, url: &str, more: Value) -> (String, Value) {
    let mut header = json!({"realm_id": realm, "url": url, "events": ALL});
    header.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let made = operator.ask("levee_create_webhook", header).await.expect("a webhook");
    assert_eq!((made.name(), made.at("/webhook/state")), ("levee_webhook_created", &json!("verifying")));
    let id = made.str("webhook_id").to_owned();
    (id.clone(), told(operator, &id).await)
}

/// What is told next of a webhook whose challenge is over.
pub(crate) async fn told(operator: &mut Person, id: &str) -> Value {
    let is_it = |event: &levee_client::Event| {
        event.name() == "levee_webhook_updated"
            && event.str("webhook_id") == id
            && event.at("/webhook/state") != "verifying"
    };
    operator.events.find("news of the webhook", is_it).await.expect("an event")["webhook"].clone()
}

/// Makes a webhook that is active.
pub(crate) async fn active(desk: &mut Desk, receiver: &Receiver, more: Value) -> String {
    let (id, webhook) = hook(&mut desk.operator, &desk.realm, &receiver.url(), more).await;
    assert_eq!(webhook["state"], "active", "{webhook}");
    known_everywhere().await;
    id
}

/// Waits until all that belongs to a realm knows what the realm has decided: copies of it are good for a second.
pub(crate) async fn known_everywhere() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

/// The documents that a receiver took, without the challenges.
pub(crate) fn taken(received: &[Received]) -> Vec<Value> {
    let taken = received.iter().filter(|received| (200..=204).contains(&received.status));
    let documents = taken.map(document);
    documents.filter(|document| document["event"] != "webhook_verification").collect()
}

/// The document in a request.
pub(crate) fn document(received: &Received) -> Value {
    received.document()
}

/// Waits on another thread, for the receiver's own threads must go on.
pub(crate) async fn until(
    receiver: &std::sync::Arc<Receiver>,
    what: &str,
    enough: impl Fn(&[Value]) -> bool + Send + 'static,
) -> Vec<Value> {
    let waiting = receiver.clone();
    let came =
        tokio::task::spawn_blocking(move || waiting.wait(WAIT, |received| enough(&taken(received)))).await;
    let documents = taken(&receiver.received());
    assert!(came.expect("no panic"), "{what}: {documents:#?}");
    documents
}

/// The keys that a server shows.
pub(crate) async fn keys(server: &Server) -> Value {
    let answer = Http::new(server.address()).get("/config/keys.json").await.expect("an answer");
    serde_json::from_str(&answer.text()).expect("JSON")
}

/// Whether a request is signed by one of some keys.
pub(crate) fn verifies(received: &Received, keys: &Value) -> bool {
    let document = document(received);
    let of = |key: &&Value| key["kid"] == document["kid"];
    let Some(key) = keys["keys"].as_array().into_iter().flatten().find(of) else { return false };
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap_or_default()).expect("base64");
    let json = received.json();
    let (signed, signature) = match json["base64"].as_str() {
        None => (received.body.clone(), received.headers.get("x-ninchat-signature").cloned()),
        Some(text) => {
            let inner = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
            (inner, json["signature"].as_str().map(str::to_owned))
        }
    };
    let signature = signature.unwrap_or_default();
    let bytes: Option<Vec<u8>> = (0..signature.len() / 2)
        .map(|at| u8::from_str_radix(&signature[2 * at..2 * at + 2], 16).ok())
        .collect();
    UnparsedPublicKey::new(&ED25519, public).verify(&signed, &bytes.unwrap_or_default()).is_ok()
}
