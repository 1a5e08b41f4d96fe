//! Many agents, few customers: nobody is accepted twice, and nobody is forgotten.

mod support;

use levee_client::{Error, Session};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::people::Person;
use support::{Server, within};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const AGENTS: usize = 50;
const AUDIENCES: usize = 2000;
/// Of these several agents try to take the very same one; of the others each takes whoever is next.
const COVETED: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_agents_accept_each_of_two_thousand_audiences_once() {
    within(Duration::from_secs(400), run()).await;
}

async fn run() {
    let server = Server::start().await;
    let desk = server.desk().await;
    let since = Instant::now();
    let agents = agents(&server, &desk.realm, &desk.queue, &desk.operator).await;
    let (customers, audiences) = customers(&server, &desk.queue).await;
    eprintln!("{AGENTS} agents and {AUDIENCES} customers after {:.1} s", since.elapsed().as_secs_f64());

    let since = Instant::now();
    let start = Arc::new(Barrier::new(AGENTS));
    let coveted: Arc<Vec<String>> = Arc::new(audiences.iter().take(COVETED).cloned().collect());
    let mut race = JoinSet::new();
    for (number, agent) in agents.iter().enumerate() {
        let (session, queue) = (agent.session.clone(), desk.queue.clone());
        race.spawn(run_agent(number, session, queue, coveted.clone(), start.clone()));
    }
    let mut accepted: HashMap<String, Vec<usize>> = HashMap::new();
    let mut beaten = 0;
    while let Some(outcome) = race.join_next().await {
        let (number, audiences, missed) = outcome.expect("an agent");
        beaten += missed;
        for audience in audiences {
            accepted.entry(audience).or_default().push(number);
        }
    }
    eprintln!(
        "accepted after {:.1} s; {beaten} times somebody else was faster",
        since.elapsed().as_secs_f64()
    );

    let twice: Vec<_> = accepted.iter().filter(|(_, agents)| agents.len() != 1).collect();
    assert!(twice.is_empty(), "accepted more than once: {twice:?}");
    let forgotten: Vec<_> = audiences.iter().filter(|id| !accepted.contains_key(*id)).collect();
    assert!(forgotten.is_empty(), "never accepted: {forgotten:?}");
    assert_eq!(accepted.len(), AUDIENCES, "audiences that nobody requested were accepted");
    assert!(beaten > 0, "nobody raced");
    for (mut customer, audience) in customers.into_iter().zip(&audiences) {
        let joined = customer.events.named("channel_joined").await.expect("a channel");
        assert_eq!(joined.at("/channel_attrs/audience_id"), audience.as_str());
        // What was said before the answer to this would be here: a second channel, for example.
        customer.ping().await.expect("a pong");
        while let Some(event) = customer.events.here() {
            assert_ne!(event.name(), "channel_joined", "{audience} joined twice");
        }
    }
}

/// Tries the coveted audiences, each beginning elsewhere; then takes whoever is next. Returns the audiences
/// that it got and how often somebody else was faster.
async fn run_agent(
    number: usize,
    session: Session,
    queue: String,
    coveted: Arc<Vec<String>>,
    start: Arc<Barrier>,
) -> (usize, Vec<String>, u32) {
    let (mut got, mut missed) = (Vec::new(), 0);
    start.wait().await;
    for offset in 0..COVETED / 10 {
        let wish = &coveted[(number / 10 * 40 + offset) % COVETED];
        match session.accept_audience(&queue, Some(wish)).await {
            Ok(event) => {
                assert_eq!(event.at("/channel_attrs/audience_id"), wish.as_str());
                got.push(wish.clone());
            }
            Err(Error::Rejected(event)) => {
                assert_eq!(event.error_type(), "audience_not_found");
                missed += 1;
            }
            Err(error) => panic!("agent {number}: {error}"),
        }
    }
    loop {
        match session.accept_audience(&queue, None).await {
            Ok(event) => {
                got.push(event.at("/channel_attrs/audience_id").as_str().expect("an id").to_owned());
            }
            Err(Error::Rejected(event)) => {
                assert_eq!(event.error_type(), "queue_is_empty");
                return (number, got, missed);
            }
            Err(error) => panic!("agent {number}: {error}"),
        }
    }
}

async fn agents(server: &Server, realm: &str, queue: &str, operator: &Person) -> Vec<Person> {
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        agents.push(server.user(&format!("agent-{number}")).await);
    }
    for place in ["realm_id", "queue_id"] {
        let id = if place == "realm_id" { realm } else { queue };
        for agent in &agents {
            let parameters = serde_json::json!({place: id, "user_id": agent.user_id()});
            operator.ask("add_member", parameters).await.expect("an agent");
        }
    }
    agents
}

/// The customers with their audiences, in the order of the queue at a time.
async fn customers(server: &Server, queue: &str) -> (Vec<Person>, Vec<String>) {
    let (mut customers, mut audiences) = (Vec::new(), Vec::new());
    for crowd in 0..AUDIENCES / 50 {
        let mut arriving = JoinSet::new();
        for number in 0..50 {
            let (address, queue) = (server.address(), queue.to_owned());
            arriving.spawn(async move {
                let name = format!("customer-{}", crowd * 50 + number);
                let parameters = levee_client::session::guest(&name);
                let opened = Session::create(&address, parameters, levee_client::Options::default()).await;
                let (session, events) = opened.expect("a session");
                let enqueued = session.request_audience(&queue).await.expect("a place in the queue");
                (Person { session, events }, enqueued.str("audience_id").to_owned())
            });
        }
        while let Some(arrived) = arriving.join_next().await {
            let (customer, audience) = arrived.expect("a customer");
            customers.push(customer);
            audiences.push(audience);
        }
    }
    (customers, audiences)
}
