//! The people of a test: guests, users, an operator with a realm, a queue and agents.

use super::Server;
use levee_client::session::{guest, new_user};
use levee_client::{Events, Options, RawSocket, Session};
use serde_json::{Value, json};

/// A session and its events.
pub(crate) struct Person {
    pub(crate) session: Session,
    pub(crate) events: Events,
}

impl std::ops::Deref for Person {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Server {
    /// Opens a session.
    pub(crate) async fn open(&self, parameters: Value, options: Options) -> Person {
        let opened = Session::create(&self.address(), parameters, options).await;
        let (session, events) = opened.expect("a session");
        Person { session, events }
    }

    /// A guest's session.
    pub(crate) async fn guest(&self, name: &str) -> Person {
        self.open(guest(name), Options::default()).await
    }

    /// A new user's session, with the e-mail identity `name@example.org` and the password `secret-name`.
    pub(crate) async fn user(&self, name: &str) -> Person {
        let parameters = new_user(&format!("{name}@example.org"), &format!("secret-{name}"), name);
        self.open(parameters, Options::default()).await
    }

    /// A connection with a guest's session, without a client's memory; also its `session_created`.
    pub(crate) async fn raw_guest(&self) -> (RawSocket, levee_client::Event) {
        let mut socket = self.raw().await;
        let header = json!({"action": "create_session", "message_types": ["*"]});
        socket.action(header, &[]).await.expect("to send");
        let created = socket.named("session_created").await.expect("a session");
        (socket, created)
    }

    /// A connection without a session.
    pub(crate) async fn raw(&self) -> RawSocket {
        RawSocket::connect(&self.address()).await.expect("a connection")
    }

    /// A new connection that resumes a session and acknowledges up to an event.
    pub(crate) async fn resume(&self, session: &str, event_id: Option<u64>) -> RawSocket {
        let mut socket = self.raw().await;
        let mut header = json!({"action": "resume_session", "session_id": session});
        if let Some(id) = event_id {
            header["event_id"] = id.into();
        }
        socket.action(header, &[]).await.expect("to send");
        socket
    }

    /// An organisation with one queue and one agent.
    pub(crate) async fn desk(&self) -> Desk {
        self.desk_with(json!({"name": "Help"})).await
    }

    /// An organisation with one queue of these attributes and one agent.
    pub(crate) async fn desk_with(&self, queue: Value) -> Desk {
        let operator = self.user("operator").await;
        let agent = self.user("agent").await;
        let realm = operator.create_realm("Realm").await.expect("a realm");
        let queue = operator.create_queue(&realm, queue).await.expect("a queue");
        operator.add_agent(&realm, &queue, agent.user_id()).await.expect("an agent");
        Desk { operator, agent, realm, queue }
    }
}

/// An organisation with one queue and one agent.
pub(crate) struct Desk {
    pub(crate) operator: Person,
    pub(crate) agent: Person,
    pub(crate) realm: String,
    pub(crate) queue: String,
}

impl Desk {
    /// Brings a customer and the agent together; returns the channel's id.
    pub(crate) async fn meet(&mut self, customer: &mut Person) -> String {
        customer.request_audience(&self.queue).await.expect("a place in the queue");
        let accepted = self.agent.accept_audience(&self.queue, None).await.expect("an audience");
        customer.events.named("channel_joined").await.expect("a channel");
        accepted.str("channel_id").to_owned()
    }
}
