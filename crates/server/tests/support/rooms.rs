//! Channels to write to, and what one asks of their histories.

use super::Server;
use super::people::Person;
use levee_client::Event;
use levee_client::session::Target;
use serde_json::{Value, json};

/// A channel with an operator and members of these names.
pub(crate) async fn room(server: &Server, names: &[&str]) -> (Vec<Person>, Target) {
    let mut people = vec![server.guest("Ann").await];
    let channel = people[0].create_channel(json!({})).await.expect("an answer");
    for name in names {
        let person = server.guest(name).await;
        person.join_channel(&channel).await.expect("an answer");
        people.push(person);
    }
    (people, Target::Channel(channel))
}

/// The history's parameters for texts, newest first.
pub(crate) fn texts_only() -> Value {
    json!({"message_types": ["ninchat.com/text"]})
}

/// The history's parameters for texts, oldest first.
pub(crate) fn ascending() -> Value {
    json!({"message_types": ["ninchat.com/text"], "history_order": 1})
}

/// Parameters with one more.
pub(crate) fn with(mut parameters: Value, name: &str, value: impl Into<Value>) -> Value {
    parameters[name] = value.into();
    parameters
}

/// Whether an event is a message that somebody wrote.
pub(crate) fn is_message(event: &Event) -> bool {
    event.name() == "message_received" && !event.str("message_type").starts_with("ninchat.com/info/")
}
