//! How a crowd comes together: an organisation, its agents, customers in the queue, audiences.

use super::{Crowd, Person, Plan, pairs};
use crate::address::Address;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::record::Log;
use crate::session::{Options, Session, Target, Transport, guest, login, new_user};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Logins at once: the server hashes a password for each.
const LOGINS: usize = 4;
/// Guests at once.
const GUESTS: usize = 64;

/// Where agents work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The realm.
    pub realm_id: String,
    /// The queue through which people meet.
    pub queue_id: String,
    /// The e-mail identity of an operator of the realm.
    pub email: String,
    /// Its password.
    pub password: String,
}

/// Letters that make names unique among the crowds that a server ever saw.
fn tag() -> String {
    (0..10).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect()
}

impl Organisation {
    /// Founds an organisation with an operator, a realm and a queue; returns the operator's session too.
    ///
    /// # Errors
    /// What the server answered, or that it did not.
    pub async fn found(address: &Address, options: Options) -> Result<(Self, Session)> {
        let tag = tag();
        let (email, password) = (format!("operator-{tag}@example.org"), format!("secret-{tag}"));
        let parameters = new_user(&email, &password, "Operator");
        let (operator, _) = Session::create(address, parameters, options).await?;
        let realm_id = operator.create_realm(&format!("Crowd {tag}")).await?;
        let queue_id = operator.create_queue(&realm_id, json!({"name": "Crowd"})).await?;
        Ok((Self { realm_id, queue_id, email, password }, operator))
    }

    async fn enter(&self, address: &Address, options: Options) -> Result<Session> {
        let (operator, _) = Session::create(address, login(&self.email, &self.password), options).await?;
        Ok(operator)
    }
}

impl Crowd {
    /// Opens everybody's session.
    ///
    /// # Errors
    /// What the server answered, or that it did not.
    pub async fn gather(plan: Plan) -> Result<Self> {
        let address = &plan.address;
        // Operators and agents stay on WebSockets.
        let options = Options { transport: Transport::WebSocket, ..plan.options.clone() };
        let (organisation, operator) = match plan.organisation.clone() {
            Some(given) => {
                let operator = given.enter(address, options.clone()).await?;
                (given, operator)
            }
            None => Organisation::found(address, options.clone()).await?,
        };
        let tag = tag();
        let agents = (0..plan.agents).map(|number| {
            let name = format!("agent-{number}-{tag}");
            let parameters = new_user(&format!("{name}@example.org"), &format!("secret-{name}"), &name);
            person(&plan, name, parameters, options.clone())
        });
        let agents: Vec<Person> = open(&plan, "agents", LOGINS, plan.agents, agents).await?;
        let (realm, queue) = (&organisation.realm_id, &organisation.queue_id);
        for place in [json!({"realm_id": realm}), json!({"queue_id": queue})] {
            for agent in &agents {
                let mut parameters = place.clone();
                parameters["user_id"] = agent.session.user_id().into();
                operator.ask("add_member", parameters).await?;
            }
        }
        let polling = (plan.customers as f64 * plan.polling.clamp(0.0, 1.0)).round() as usize;
        let customers = (0..plan.customers).map(|number| {
            let name = format!("customer-{number}-{tag}");
            let transport = if number < polling { Transport::LongPoll } else { Transport::WebSocket };
            let parameters = guest(&name);
            person(&plan, name, parameters, Options { transport, ..plan.options.clone() })
        });
        let customers = open(&plan, "customers", GUESTS, plan.customers, customers).await?;
        Ok(Self { plan, organisation, operator, customers, agents, conversations: Vec::new() })
    }

    /// Lets each customer request an audience and agents accept them all.
    ///
    /// # Errors
    /// What the server answered, or that somebody waited in vain.
    pub async fn meet(&mut self) -> Result<()> {
        let (plan, queue) = (&self.plan, self.organisation.queue_id.as_str());
        let total = self.customers.len();
        let requests = self.customers.iter().map(|customer| customer.session.request_audience(queue));
        let mut requests = stream::iter(requests).buffer_unordered(GUESTS).enumerate();
        while let Some((done, request)) = requests.next().await {
            request?;
            plan.told("requests", done + 1, total);
        }
        drop(requests);

        let share = total.div_ceil(self.agents.len().max(1));
        let accepts = self.agents.iter().enumerate().map(async |(number, agent)| {
            let mut accepted = Vec::new();
            while accepted.len() < share {
                match agent.session.accept_audience(queue, None).await {
                    Ok(event) => {
                        let target = Target::of(&event);
                        accepted.push((agent.log.name(&target), (number, target)));
                    }
                    Err(error) if error.error_type() == "queue_is_empty" => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(accepted)
        });
        let accepted: Vec<_> = stream::iter(accepts).buffer_unordered(1000).try_collect().await?;
        let accepted: HashMap<_, _> = accepted.into_iter().flatten().collect();

        let mut met = HashMap::new();
        for (number, customer) in self.customers.iter_mut().enumerate() {
            if let Some(mut events) = customer.events.take() {
                let event = events.within(plan.patience, "an agent", is_meeting).await?;
                let target = Target::of(&event);
                met.insert(customer.log.name(&target), (number, target));
                plan.told("audiences", number + 1, total);
            }
        }
        self.conversations = pairs(met, accepted);
        for agent in &mut self.agents {
            agent.events = None;
        }
        if self.conversations.len() != total {
            let met = self.conversations.len();
            return Err(Error::Protocol(format!("{met} of {total} customers met an agent")));
        }
        Ok(())
    }
}

/// Whether an event says that an audience was accepted.
fn is_meeting(event: &Event) -> bool {
    match event.name() {
        "channel_joined" => event.at("/channel_attrs/audience_id").is_string(),
        "dialogue_updated" => {
            let members = event["dialogue_members"].as_object();
            members.is_some_and(|members| members.values().any(|member| member["audience_id"].is_string()))
        }
        _ => false,
    }
}

async fn person(plan: &Plan, name: String, mut parameters: Value, options: Options) -> Result<Person> {
    let log = Log::new(&name, plan.observer.clone());
    parameters["message_types"] = json!([super::TEXT]);
    let (session, events) = Session::create(&plan.address, parameters, options.logged(log.clone())).await?;
    Ok(Person { name, session, log, events: Some(events) })
}

async fn open(
    plan: &Plan,
    what: &'static str,
    at_once: usize,
    total: usize,
    people: impl Iterator<Item = impl Future<Output = Result<Person>>>,
) -> Result<Vec<Person>> {
    stream::iter(people)
        .buffered(at_once)
        .enumerate()
        .map(|(done, person)| {
            plan.told(what, done + 1, total);
            person
        })
        .try_collect()
        .await
}
