//! A crowd of customers and agents: they gather, meet through a queue, talk, and are asked in the end what
//! they saw. The load harness measures with it; the kill test lets it loose on a server that dies.

mod gather;
mod talk;

pub use gather::Organisation;
pub use talk::Talk;

use crate::address::Address;
use crate::check::{self, History, Verdict};
use crate::error::Result;
use crate::event::Event;
use crate::record::{Log, Observer, Record, key};
use crate::session::{Events, Options, Session, Target};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Messages that are asked for at once.
const PAGE: u64 = 500;
/// Histories that are read at once.
const READERS: usize = 16;
/// The type of the messages that are sent.
const TEXT: &str = "ninchat.com/text";

/// How far something that takes its time has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is done.
    pub what: &'static str,
    /// How many of it are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// What the crowd is like.
#[derive(Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: Address,
    /// How many customers.
    pub customers: usize,
    /// How many agents; they share the customers evenly.
    pub agents: usize,
    /// The share of customers, 0 to 1, that use a long poll.
    pub polling: f64,
    /// The average pause between two messages of one person in one conversation.
    pub pause: Duration,
    /// Bytes of a message's text, at least.
    pub message_bytes: usize,
    /// How long people wait for each other to come together.
    pub patience: Duration,
    /// How sessions behave.
    pub options: Options,
    /// Where latencies go.
    pub observer: Option<Observer>,
    /// Who is told how far things are.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
    /// Where the agents work; without it the crowd founds an organisation of its own.
    pub organisation: Option<Organisation>,
}

impl Plan {
    /// A plan for `customers` and `agents` who write once a second.
    pub fn new(address: Address, customers: usize, agents: usize) -> Self {
        Self {
            address,
            customers,
            agents,
            polling: 0.0,
            pause: Duration::from_secs(1),
            message_bytes: 0,
            patience: Duration::from_secs(60),
            options: Options::default(),
            observer: None,
            progress: Arc::new(|_| {}),
            organisation: None,
        }
    }

    fn told(&self, what: &'static str, done: usize, total: usize) {
        (self.progress)(Progress { what, done, total });
    }
}

/// One of the crowd.
pub struct Person {
    /// The name, which no other of the crowd has.
    pub name: String,
    /// The session.
    pub session: Session,
    /// What the session saw.
    pub log: Log,
    /// What comes; taken when they have met.
    events: Option<Events>,
}

/// Two who talk.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The name for the checker.
    pub name: String,
    /// Which of the customers.
    pub customer: usize,
    /// Which of the agents.
    pub agent: usize,
    /// How the customer addresses it.
    pub for_customer: Target,
    /// How the agent addresses it.
    pub for_agent: Target,
}

/// The crowd.
pub struct Crowd {
    plan: Plan,
    /// Where they are.
    pub organisation: Organisation,
    /// The one who runs the organisation.
    pub operator: Session,
    /// Those who ask.
    pub customers: Vec<Person>,
    /// Those who answer.
    pub agents: Vec<Person>,
    /// Who talks with whom; empty before they met.
    pub conversations: Vec<Conversation>,
}

impl Crowd {
    /// Both parties of a conversation, each with how they address it.
    fn parties<'a>(&'a self, conversation: &'a Conversation) -> [(&'a Person, &'a Target); 2] {
        [
            (&self.customers[conversation.customer], &conversation.for_customer),
            (&self.agents[conversation.agent], &conversation.for_agent),
        ]
    }

    /// Waits until everybody has received what was acknowledged, or the time is over; returns how many
    /// deliveries are missing then.
    pub async fn settle(&self, limit: Duration) -> u64 {
        let until = Instant::now() + limit;
        loop {
            let missing = self.missing();
            if missing == 0 || Instant::now() >= until {
                return missing;
            }
            // Many logs are watched at once, and a signal for each message would cost what is measured.
            sleep(Duration::from_millis(25)).await;
        }
    }

    fn missing(&self) -> u64 {
        let missing = |conversation: &Conversation| {
            let logs = self.parties(conversation).map(|(person, _)| &person.log);
            let sent: u64 = logs.iter().map(|log| log.acknowledged(&conversation.name)).sum();
            logs.iter().map(|log| sent.saturating_sub(log.received(&conversation.name))).sum::<u64>()
        };
        self.conversations.iter().map(missing).sum()
    }

    /// Reads the histories, all of them by both parties.
    ///
    /// # Errors
    /// What kept a history from being read.
    pub async fn histories(&self) -> Result<Vec<History>> {
        let total = self.conversations.len() * 2;
        let readers = self.conversations.iter().flat_map(|conversation| {
            self.parties(conversation).map(|(person, target)| read(person, target, &conversation.name))
        });
        stream::iter(readers)
            .buffered(READERS)
            .enumerate()
            .map(|(done, history)| {
                self.plan.told("histories", done + 1, total);
                history
            })
            .try_collect()
            .await
    }

    /// What everybody saw.
    pub fn records(&self) -> Vec<Record> {
        self.customers.iter().chain(&self.agents).map(|person| person.log.record()).collect()
    }

    /// Reads the histories and checks them against what everybody saw.
    ///
    /// # Errors
    /// What kept a history from being read.
    pub async fn verdict(&self) -> Result<Verdict> {
        Ok(check::check(&self.records(), &self.histories().await?))
    }

    /// Ends all sessions.
    pub async fn leave(self) {
        let total = self.customers.len() + self.agents.len();
        let people = self.customers.iter().chain(&self.agents).map(|person| person.session.close());
        let mut leaving = stream::iter(people).buffer_unordered(64);
        let mut gone = 0;
        while leaving.next().await.is_some() {
            gone += 1;
            self.plan.told("gone", gone, total);
        }
        self.operator.close().await;
    }
}

/// Reads a history from its beginning.
async fn read(person: &Person, target: &Target, conversation: &str) -> Result<History> {
    let mut messages = Vec::new();
    let mut last = String::new();
    loop {
        let wish = json!({
            "message_types": [TEXT],
            "message_id": last,
            "history_order": 1,
            "history_length": PAGE,
        });
        let page = person.session.load_history(target, wish).await?.messages;
        let Some(end) = page.last() else { break };
        let next = end.str("message_id").to_owned();
        let full = page.len() as u64 == PAGE;
        messages.extend(page.iter().map(entry));
        // A server that answers with the same page for ever is not asked for ever.
        if !full || next <= last {
            break;
        }
        last = next;
    }
    let (reader, conversation) = (person.name.clone(), conversation.to_owned());
    Ok(History { reader, conversation, messages })
}

fn entry(message: &Event) -> (String, String) {
    (message.str("message_id").to_owned(), key(&message.text()).to_owned())
}

/// Pairs those who name the same conversation.
fn pairs(
    customers: HashMap<String, (usize, Target)>,
    mut agents: HashMap<String, (usize, Target)>,
) -> Vec<Conversation> {
    let mut pairs: Vec<Conversation> = customers
        .into_iter()
        .filter_map(|(name, (customer, for_customer))| {
            let (agent, for_agent) = agents.remove(&name)?;
            Some(Conversation { name, customer, agent, for_customer, for_agent })
        })
        .collect();
    pairs.sort_by_key(|conversation| conversation.customer);
    pairs
}
