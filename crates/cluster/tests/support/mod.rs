//! Several nodes in one process, on the memory store and the memory bus, and clients of theirs.

#![allow(dead_code)] // each test file uses some of it

use actix::prelude::*;
use bytes::Bytes;
use levee_bus::memory::MemoryNetwork;
use levee_cluster::metrics::Metrics;
use levee_cluster::{
    Connection, FileOptions, Flow, Node, NodeOptions, Outgoing, SessionActor, SessionMessage,
};
use levee_proto::Envelope;
use levee_store::memory::MemoryStore;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub network: MemoryNetwork,
    pub store: MemoryStore,
    session_ttl: Duration,
    files: FileOptions,
}

impl Cluster {
    /// Starts nodes and waits until all shards are spread over them.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, NodeOptions::default().session_ttl).await
    }

    /// The same, with files.
    pub async fn start_with_files(count: usize, files: FileOptions) -> Self {
        Self::start_as(count, NodeOptions::default().session_ttl, files).await
    }

    /// The same, with sessions that live so long without a connection.
    pub async fn start_with(count: usize, session_ttl: Duration) -> Self {
        Self::start_as(count, session_ttl, FileOptions::default()).await
    }

    async fn start_as(count: usize, session_ttl: Duration, files: FileOptions) -> Self {
        let (network, store) = (MemoryNetwork::default(), MemoryStore::default());
        let mut cluster = Self { nodes: Vec::new(), network, store, session_ttl, files };
        for number in 0..count {
            cluster.join(&format!("node-{number}")).await;
        }
        cluster.settle().await;
        cluster
    }

    pub async fn join(&mut self, name: &str) {
        let (bus, inbox) = self.network.join(name);
        let options = NodeOptions {
            arbiters: 2,
            lease: Duration::from_millis(900),
            renew: Duration::from_millis(150),
            public_address: format!("{name}.example").into(),
            presence_grace: Duration::from_millis(200),
            agent_timeout: Duration::from_millis(1500),
            session_ttl: self.session_ttl,
            files: self.files.clone(),
            ..NodeOptions::default()
        };
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let store = Arc::new(self.store.clone());
        self.nodes.push(
            Node::start(name, store, (Arc::new(bus), Box::new(inbox)), metrics, options).await.unwrap(),
        );
    }

    /// Waits until leases were renewed often enough for everybody to know them.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }

    /// A client with a session on a node.
    pub async fn client(&self, node: usize, create: Value) -> Client {
        Client::open(self.nodes[node].clone(), create).await
    }

    pub async fn guest(&self, node: usize, name: &str) -> Client {
        self.client(node, json!({"message_types": ["ninchat.com/text"], "user_attrs": {"name": name}})).await
    }

    pub async fn person(&self, node: usize, name: &str) -> Client {
        self.client(
            node,
            json!({"message_types": ["ninchat.com/text"], "user_attrs": {"name": name, "guest": false}}),
        )
        .await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test may have many clusters one after the other.
        self.nodes.iter().for_each(Node::kill);
    }
}

pub struct Event {
    pub header: Value,
    pub parts: Vec<Bytes>,
}

impl Event {
    pub fn name(&self) -> &str {
        self.header["event"].as_str().unwrap()
    }
    pub fn text(&self) -> String {
        let payload: Value = serde_json::from_slice(&self.parts[0]).unwrap();
        payload["text"].as_str().unwrap().to_owned()
    }
    pub fn str(&self, key: &str) -> String {
        self.header[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.header)).to_owned()
    }
}

pub struct Client {
    pub user: String,
    /// What the session began with.
    pub created: Event,
    pub session_id: String,
    pub session: Addr<SessionActor>,
    events: mpsc::UnboundedReceiver<Event>,
    /// What came while something else was waited for.
    pub passed: Vec<Event>,
    actions: u64,
    last_event: u64,
    /// Actions without a reply, which go again when it comes back.
    open: BTreeMap<u64, (Value, Vec<String>)>,
}

impl Client {
    async fn open(node: Node, create: Value) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel();
        let way = Connection::Socket(Ear { sender }.start().recipient(), Arc::<Flow>::default());
        let create = serde_json::from_value(create).unwrap();
        let session = node
            .on(0, move |hub| async move { hub.create_session(create, None, way, 1).await })
            .await
            .expect("the node runs")
            .expect("a session");
        let created = tokio::time::timeout(PATIENCE, events.recv()).await.expect("in time").unwrap();
        assert_eq!(created.name(), "session_created");
        let (user, session_id) = (created.str("user_id"), created.str("session_id"));
        Self {
            user,
            created,
            session_id,
            session,
            events,
            passed: Vec::new(),
            actions: 0,
            last_event: 1,
            open: BTreeMap::new(),
        }
    }

    /// Comes back by way of a node, having received all events up to the last one that was looked at.
    pub async fn resume(&mut self, node: &Node) {
        let (sender, events) = mpsc::unbounded_channel();
        let way = Connection::Socket(Ear { sender }.start().recipient(), Arc::<Flow>::default());
        let id = self.session_id.as_str().into();
        let found =
            node.on(node.arbiter_of(&self.session_id), |hub| async move { hub.session(&id, || true).await });
        self.session = found.await.expect("the node runs").expect("the session is not lost");
        self.events = events;
        let connect = SessionMessage::Connect(way, rand::random(), Some(self.last_event));
        self.session.send(connect).await.expect("the session lives");
        for (header, parts) in self.open.values() {
            self.send_as(header.clone(), &parts.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Loses its first connection.
    pub fn disconnect(&self) {
        self.session.try_send(SessionMessage::Disconnect(1)).unwrap();
    }

    /// Acknowledges all events that were looked at.
    pub fn acknowledge(&self) {
        self.session.try_send(SessionMessage::Acknowledge(self.last_event)).unwrap();
    }

    /// Sends an action and waits for its answer.
    pub async fn ask(&mut self, header: Value, parts: &[&str]) -> Event {
        let action_id = self.send(header, parts);
        self.find(|event| event.header["action_id"] == action_id).await
    }

    /// Sends an action.
    pub fn send(&mut self, mut header: Value, parts: &[&str]) -> u64 {
        self.actions += 1;
        header["action_id"] = self.actions.into();
        let kept = parts.iter().map(|part| (*part).to_owned()).collect();
        self.open.insert(self.actions, (header.clone(), kept));
        self.send_as(header, parts);
        self.actions
    }

    /// Sends an action as it is.
    pub fn send_as(&self, header: Value, parts: &[&str]) {
        let header = Bytes::from(header.to_string());
        let envelope = Envelope::parse(&header).unwrap();
        let parts = parts.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect();
        self.session.try_send(SessionMessage::Act(Box::new((envelope, header, parts)), None)).unwrap();
    }

    pub fn say(&mut self, channel: &str, text: &str) -> u64 {
        let payload = json!({ "text": text }).to_string();
        self.send(
            json!({"action": "send_message", "channel_id": channel, "message_type": "ninchat.com/text"}),
            &[&payload],
        )
    }

    /// Waits for an event of this name.
    pub async fn named(&mut self, name: &str) -> Event {
        self.find(|event| event.name() == name).await
    }

    /// Waits for an event; others are kept aside.
    pub async fn find(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return self.passed.remove(at);
        }
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let names: Vec<_> = self.passed.iter().map(|event| event.header.to_string()).collect();
            let event =
                event.unwrap_or_else(|_| panic!("nothing came; before: {names:#?}")).expect("a session");
            let id = event.header["event_id"].as_u64().unwrap();
            assert!(id > self.last_event, "event ids ascend");
            self.last_event = id;
            if let Some(action_id) = event.header["action_id"].as_u64() {
                self.open.remove(&action_id);
            }
            if wanted(&event) {
                return event;
            }
            self.passed.push(event);
        }
    }
}

/// The end of a connection.
struct Ear {
    sender: mpsc::UnboundedSender<Event>,
}

impl Actor for Ear {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
    }
}

impl Handler<Outgoing> for Ear {
    type Result = ();

    fn handle(&mut self, outgoing: Outgoing, _: &mut Self::Context) {
        if let Outgoing::Events(events) = outgoing {
            for event in events {
                let header = serde_json::from_str(&event.body.framed(event.splice)).unwrap();
                let _ = self.sender.send(Event { header, parts: event.body.parts.clone() });
            }
        }
    }
}

/// A realm with a queue that these agents serve. Answers the queue.
pub async fn organise(operator: &mut Client, agents: &[&Client]) -> String {
    let realm = operator
        .ask(json!({"action": "create_realm", "realm_attrs": {"name": "R"}}), &[])
        .await
        .str("realm_id");
    for agent in agents {
        let add = json!({"action": "add_member", "realm_id": realm, "user_id": agent.user});
        operator.ask(add, &[]).await;
    }
    let create = json!({"action": "create_queue", "realm_id": realm, "queue_attrs": {"name": "Q"}});
    let queue = operator.ask(create, &[]).await.str("queue_id");
    for agent in agents {
        let add = json!({"action": "add_member", "queue_id": queue, "user_id": agent.user});
        let mut answer = operator.ask(add.clone(), &[]).await;
        for _ in 0..20 {
            if answer.name() != "error" {
                break;
            }
            // A queue's owner has its realm's members within a second.
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = operator.ask(add.clone(), &[]).await;
        }
        assert_eq!(answer.name(), "queue_member_joined", "{}", answer.header);
    }
    queue
}

pub fn request(queue: &str) -> Value {
    json!({"action": "request_audience", "queue_id": queue})
}

pub fn accept(queue: &str, audience: Option<&str>) -> Value {
    json!({"action": "accept_audience", "queue_id": queue, "audience_id": audience})
}

/// A conversation between a customer and an agent on these nodes.
pub async fn talk(cluster: &Cluster, customer: usize, agent: usize) -> (Client, Client, String) {
    let mut operator = cluster.person(0, "operator").await;
    let mut agent = cluster.person(agent, "agent").await;
    let queue = organise(&mut operator, &[&agent]).await;
    let mut customer = cluster.guest(customer, "customer").await;
    let enqueued = customer.ask(request(&queue), &[]).await;
    assert_eq!((enqueued.name(), &enqueued.header["queue_position"]), ("audience_enqueued", &json!(1)));
    let joined = agent.ask(accept(&queue, None), &[]).await;
    assert_eq!(joined.name(), "channel_joined", "{}", joined.header);
    let channel = joined.str("channel_id");
    assert_eq!(customer.named("channel_joined").await.str("channel_id"), channel);
    (customer, agent, channel)
}
