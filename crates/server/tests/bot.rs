//! A bot that knows nothing but the API document serves two queues while the nodes of a cluster are drained one
//! after the other: nobody is greeted twice, and no line is lost or doubled.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use futures_util::future::join_all;
use levee_client::session::Target;
use levee_client::{Address, Event, RawSocket};
use levee_testbed::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use support::cluster::Cluster;
use support::people::Person;
use support::within;
use tokio::sync::watch;

const CUSTOMERS: usize = 8;
/// Lines that a customer writes before and after being transferred.
const LINES: usize = 12;

/// What a bot has to keep over connections: its session, the last event, the actions without an answer.
struct Bot {
    address: Address,
    socket: RawSocket,
    session: String,
    me: String,
    last_event: u64,
    next_action: u64,
    open: BTreeMap<u64, (Value, Option<String>)>,
    /// Queues that it has asked for their next customer.
    asking: HashSet<String>,
    /// Each channel's audience and queue.
    audiences: HashMap<String, (String, String)>,
    /// Where it sends customers on to, by queue.
    onward: HashMap<String, String>,
    /// Every message that came, by channel and id.
    seen: HashSet<(String, String)>,
    done: Done,
}

/// What a bot has done.
#[derive(Debug, Default)]
struct Done {
    greeted: usize,
    answered: usize,
    transferred: usize,
    reconnected: usize,
}

impl Bot {
    async fn start(address: Address, login: Value, queues: [&str; 2]) -> Self {
        let mut socket = RawSocket::connect(&address).await.unwrap();
        let mut create = login;
        create["action"] = "create_session".into();
        create["message_types"] = json!(["ninchat.com/text"]);
        socket.action(create, &[]).await.unwrap();
        let created = socket.named("session_created").await.unwrap();
        let [a, b] = queues.map(str::to_owned);
        let mut bot = Self {
            address,
            socket,
            session: created.str("session_id").to_owned(),
            me: created.str("user_id").to_owned(),
            last_event: created.event_id().unwrap(),
            next_action: 1,
            open: BTreeMap::new(),
            asking: HashSet::new(),
            audiences: HashMap::new(),
            onward: HashMap::from([(a.clone(), b.clone()), (b.clone(), a.clone())]),
            seen: HashSet::new(),
            done: Done::default(),
        };
        for queue in [a, b] {
            bot.take_next(&queue).await;
        }
        bot
    }

    /// Sends an action, and keeps it until it is answered.
    async fn act(&mut self, mut action: Value, payload: Option<Value>) -> u64 {
        let id = self.next_action;
        self.next_action += 1;
        action["action_id"] = id.into();
        action["event_id"] = self.last_event.into();
        let payload = payload.map(|payload| payload.to_string());
        if payload.is_some() {
            action["frames"] = 1.into();
        }
        self.open.insert(id, (action.clone(), payload.clone()));
        // A connection that is gone is noticed by reading.
        let _ = self.socket.action(action, &payload.as_deref().into_iter().collect::<Vec<_>>()).await;
        id
    }

    /// Asks for a queue's next customer, unless it does already.
    async fn take_next(&mut self, queue: &str) {
        if self.asking.insert(queue.to_owned()) {
            self.act(json!({"action": "accept_audience", "queue_id": queue}), None).await;
        }
    }

    /// After a lost connection: goes on with the session, and sends again what was not answered.
    async fn reconnect(&mut self) {
        self.done.reconnected += 1;
        loop {
            if let Ok(socket) = RawSocket::connect(&self.address).await {
                self.socket = socket;
                let resume = json!({"action": "resume_session", "session_id": self.session, "event_id": self.last_event});
                let mut sent = self.socket.action(resume, &[]).await.is_ok();
                for (action, payload) in self.open.values() {
                    let parts: Vec<&str> = payload.as_deref().into_iter().collect();
                    sent &= self.socket.action(action.clone(), &parts).await.is_ok();
                }
                if sent {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Done {
        loop {
            let event = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return self.done,
                event = self.socket.event() => event,
            };
            match event {
                Ok(Some(event)) if event.event_id().is_none() => {
                    assert_ne!(event.error_type(), "session_not_found", "{event:?}");
                    self.reconnect().await;
                }
                Ok(Some(event)) => self.take(&event).await,
                Ok(None) | Err(_) => self.reconnect().await,
            }
        }
    }

    async fn take(&mut self, event: &Event) {
        let id = event.event_id().unwrap();
        if id <= self.last_event {
            return;
        }
        self.last_event = id;
        let asked = event.action_id().and_then(|id| self.open.remove(&id)).map(|(action, _)| action);
        let accepted = asked.as_ref().filter(|action| action["action"] == "accept_audience");
        if let Some(action) = accepted {
            let queue = action["queue_id"].as_str().unwrap().to_owned();
            self.asking.remove(&queue);
            if event.name() == "error" {
                assert_eq!(event.error_type(), "queue_is_empty");
            } else {
                self.greet(event, &queue).await;
                self.take_next(&queue).await;
            }
            return;
        }
        match event.name() {
            "error" => panic!("{asked:?} was refused: {event:?}"),
            "queue_updated" if event.at("/queue_attrs/length").as_u64() > Some(0) => {
                let queue = event.str("queue_id").to_owned();
                self.take_next(&queue).await;
            }
            "message_received" if event.str("message_user_id") != self.me => self.answer(event).await,
            _ => {}
        }
    }

    async fn greet(&mut self, joined: &Event, queue: &str) {
        assert_eq!(joined.name(), "channel_joined", "{joined:?}");
        let channel = joined.str("channel_id").to_owned();
        let audience = joined.at("/channel_attrs/audience_id").as_str().unwrap().to_owned();
        let before = self.audiences.insert(channel.clone(), (audience, queue.to_owned()));
        assert_eq!(before, None, "accepted twice");
        self.done.greeted += 1;
        self.say(&channel, "hello").await;
    }

    async fn answer(&mut self, message: &Event) {
        let channel = message.str("channel_id").to_owned();
        let id = message.str("message_id").to_owned();
        assert!(self.seen.insert((channel.clone(), id)), "came twice: {message:?}");
        match message.text().as_str() {
            "on please" => {
                let (audience, queue) = self.audiences[&channel].clone();
                let onward = self.onward[&queue].clone();
                self.done.transferred += 1;
                let transfer =
                    json!({"action": "transfer_audience", "audience_id": audience, "queue_id": onward});
                self.act(transfer, None).await;
            }
            text => {
                self.done.answered += 1;
                self.say(&channel, &format!("you said {text}")).await;
            }
        }
    }

    async fn say(&mut self, channel: &str, text: &str) {
        let send =
            json!({"action": "send_message", "channel_id": channel, "message_type": "ninchat.com/text"});
        self.act(send, Some(json!({"text": text}))).await;
    }
}

/// Waits for the bot's next line in a channel.
async fn hears(customer: &mut Person, channel: &str, text: &str) {
    let me = customer.user_id().to_owned();
    let is_line = |event: &Event| {
        event.name() == "message_received"
            && event.str("channel_id") == channel
            && event.str("message_type") == "ninchat.com/text"
            && event.str("message_user_id") != me
    };
    let line = customer.events.within(Duration::from_secs(40), "a line", is_line).await.unwrap();
    assert_eq!(line.text(), text);
}

/// A customer who is met, talks, is sent on, is met again, and talks again.
async fn visit(mut customer: Person, queue: String) {
    customer.request_audience(&queue).await.unwrap();
    for half in 0..2 {
        let joined = customer
            .events
            .within(Duration::from_secs(40), "to be met", |event| event.name() == "channel_joined");
        let channel = joined.await.unwrap().str("channel_id").to_owned();
        hears(&mut customer, &channel, "hello").await;
        let target = Target::Channel(channel.clone());
        let mut expected = vec!["hello".to_owned()];
        for number in 0..LINES {
            let text = format!("line {number}");
            customer.send_text(&target, &text).await.unwrap();
            hears(&mut customer, &channel, &format!("you said {text}")).await;
            expected.extend([text.clone(), format!("you said {text}")]);
            tokio::time::sleep(Duration::from_millis(rand::random_range(50..400))).await;
        }
        if half == 0 {
            customer.send_text(&target, "on please").await.unwrap();
            expected.push("on please".to_owned());
            let is_place = |event: &Event| event.name() == "audience_enqueued";
            customer.events.within(Duration::from_secs(40), "a place", is_place).await.unwrap();
        }
        let all = json!({"history_length": 500, "history_order": 1, "message_types": ["ninchat.com/text"]});
        let history = customer.load_history(&target, all).await.unwrap();
        assert_eq!(history.texts(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_serves_two_queues_while_the_nodes_are_drained_one_by_one() {
    within(Duration::from_secs(180), async {
        let mut cluster = Cluster::start(3).await;
        let desk = cluster.node(0).desk().await;
        let attrs = json!({"realm_id": desk.realm, "queue_attrs": {"name": "Billing"}});
        let billing = desk.operator.ask("create_queue", attrs).await.unwrap().str("queue_id").to_owned();
        let member = json!({"queue_id": billing, "user_id": desk.agent.user_id()});
        desk.operator.ask("add_member", member).await.unwrap();
        for (from, to) in [(&desk.queue, &billing), (&billing, &desk.queue)] {
            let settings = json!({"queue_id": from, "queue_settings": {"transfer_queue_ids": [to]}});
            desk.operator.ask("update_queue", settings).await.unwrap();
        }
        let login = levee_client::session::login("agent@example.org", "secret-agent");
        let bot = Bot::start(cluster.address(), login, [&desk.queue, &billing]).await;
        let (stop, stopping) = watch::channel(false);
        let bot = tokio::spawn(bot.run(stopping));
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let name = json!({"user_attrs": {"name": format!("customer {number}")}});
            let (session, events) =
                levee_client::Session::create(&cluster.address(), name, levee_client::Options::default())
                    .await
                    .unwrap();
            let queue = if number % 2 == 0 { &desk.queue } else { &billing };
            customers.push(tokio::spawn(visit(Person { session, events }, queue.clone())));
        }
        let visits = join_all(customers);
        let draining = async {
            for number in 0..3 {
                tokio::time::sleep(Duration::from_millis(700)).await;
                cluster.restart(number, Signal::Terminate).await;
            }
        };
        let (visits, ()) = tokio::join!(visits, draining);
        for visit in visits {
            visit.expect("a visit that went well");
        }
        stop.send_replace(true);
        let done = bot.await.expect("a bot that ran to the end");
        eprintln!("{done:?}");
        assert_eq!((done.greeted, done.transferred), (2 * CUSTOMERS, CUSTOMERS));
        assert_eq!(done.answered, 2 * CUSTOMERS * LINES);
        assert!(done.reconnected >= 2, "its node was drained");
    })
    .await;
}
