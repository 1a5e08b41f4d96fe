//! The protocol's most used sentences.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::session::{Expect, Session};
use bytes::Bytes;
use levee_proto::Object;
use serde_json::{Value, json};

/// A party of a conversation, as actions name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A channel, by its id.
    Channel(String),
    /// A user, by id: the dialogue with them.
    User(String),
}

impl Target {
    /// The parameters that name it, with others.
    #[must_use]
    pub fn with(&self, mut parameters: Value) -> Value {
        match self {
            Self::Channel(id) => parameters["channel_id"] = id.as_str().into(),
            Self::User(id) => parameters["user_id"] = id.as_str().into(),
        }
        parameters
    }

    /// The conversation that an event is about: an audience that was accepted, a message.
    pub fn of(event: &Event) -> Self {
        match event.str("channel_id") {
            "" => Self::User(event.str("user_id").to_owned()),
            id => Self::Channel(id.to_owned()),
        }
    }
}

/// The parameters that open a session of a new guest.
pub fn guest(name: &str) -> Value {
    json!({"user_attrs": {"name": name}})
}

/// The parameters that open a session of a new user, who is no guest and has an e-mail identity.
pub fn new_user(email: &str, password: &str, name: &str) -> Value {
    json!({
        "identity_type_new": "email",
        "identity_name_new": email,
        "identity_auth_new": password,
        "user_attrs": {"guest": false, "name": name},
    })
}

/// The parameters that open a session of a user with an e-mail identity.
pub fn login(email: &str, password: &str) -> Value {
    json!({"identity_type": "email", "identity_name": email, "identity_auth": password})
}

/// What a `load_history` brought.
#[derive(Debug, Clone)]
pub struct History {
    /// The `history_results` event.
    pub results: Event,
    /// The messages in the order in which they came.
    pub messages: Vec<Event>,
}

impl History {
    /// The messages' texts.
    pub fn texts(&self) -> Vec<String> {
        self.messages.iter().map(Event::text).collect()
    }
}

impl Session {
    /// Sends an action without a payload and waits for its answer.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn ask(&self, action: &str, parameters: Value) -> Result<Event> {
        self.send(action, parameters, Vec::new()).await
    }

    /// Makes a realm and returns its id.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn create_realm(&self, name: &str) -> Result<String> {
        let event = self.ask("create_realm", json!({"realm_attrs": {"name": name}})).await?;
        Ok(event.str("realm_id").to_owned())
    }

    /// Makes a queue and returns its id.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn create_queue(&self, realm_id: &str, attributes: Value) -> Result<String> {
        let parameters = json!({"realm_id": realm_id, "queue_attrs": attributes});
        Ok(self.ask("create_queue", parameters).await?.str("queue_id").to_owned())
    }

    /// Adds a user to a realm and to a queue of it.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn add_agent(&self, realm_id: &str, queue_id: &str, user_id: &str) -> Result<()> {
        self.ask("add_member", json!({"realm_id": realm_id, "user_id": user_id})).await?;
        self.ask("add_member", json!({"queue_id": queue_id, "user_id": user_id})).await?;
        Ok(())
    }

    /// Goes to the end of a queue.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn request_audience(&self, queue_id: &str) -> Result<Event> {
        self.ask("request_audience", json!({"queue_id": queue_id})).await
    }

    /// Takes the next customer of a queue, or a certain one.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn accept_audience(&self, queue_id: &str, audience_id: Option<&str>) -> Result<Event> {
        let mut parameters = json!({"queue_id": queue_id});
        if let Some(id) = audience_id {
            parameters["audience_id"] = id.into();
        }
        self.ask("accept_audience", parameters).await
    }

    /// Makes a channel and returns its id.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn create_channel(&self, attributes: Value) -> Result<String> {
        let event = self.ask("create_channel", json!({"channel_attrs": attributes})).await?;
        Ok(event.str("channel_id").to_owned())
    }

    /// Joins a channel.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn join_channel(&self, channel_id: &str) -> Result<Event> {
        self.ask("join_channel", json!({"channel_id": channel_id})).await
    }

    /// Sends a text and waits for its `message_received`.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn send_text(&self, to: &Target, text: &str) -> Result<Event> {
        self.send_message(to, json!({"message_type": "ninchat.com/text"}), &json!({"text": text})).await
    }

    /// Sends a message of one JSON part; `parameters` hold its type at least.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn send_message(&self, to: &Target, parameters: Value, payload: &Value) -> Result<Event> {
        let part = Bytes::from(payload.to_string());
        self.send("send_message", to.with(parameters), vec![part]).await
    }

    /// Loads messages and waits for all of them.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn load_history(&self, of: &Target, parameters: Value) -> Result<History> {
        let reply = self.start_expecting(Expect::History, "load_history", of.with(parameters), Vec::new());
        let mut events = reply.events().await?.into_iter();
        let results = events.next().ok_or_else(|| Error::Protocol("no history_results".into()))?;
        Ok(History { results, messages: events.collect() })
    }

    /// Searches by one of the actions for that, and waits for all that is found: users and channels by their ids.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn search(&self, action: &str, parameters: Value) -> Result<(Object, Object)> {
        let events = self.start_expecting(Expect::Search, action, parameters, Vec::new()).events().await?;
        let of = |name: &str| {
            let parts = events.iter().filter_map(|event| event[name].as_object().cloned());
            parts.flatten().collect()
        };
        Ok((of("users"), of("channels")))
    }

    /// Asks for a `pong`: all that the session did before is answered before it.
    ///
    /// # Errors
    /// See [`Session::send`].
    pub async fn ping(&self) -> Result<Event> {
        self.ask("ping", json!({})).await
    }
}
