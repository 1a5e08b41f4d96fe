//! The load of a fault run: customers and agents of two organisations who write all the time, some who wait in
//! a queue, and what is measured of them, fault by fault.

use crate::figures::Latencies;
use anyhow::{Context, Result, bail};
use levee_client::chat::{Crowd, Organisation, Plan, Talk};
use levee_client::check::{Kind, Verdict, check};
use levee_client::record::{Observer, Record};
use levee_client::session::{State, guest};
use levee_client::{Address, Events, Options, Session};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long messages may be under way after the last was sent.
const SETTLE: Duration = Duration::from_secs(30);
/// How many wait in the queue that nobody serves.
const WAITING: usize = 3;
/// How many of the slowest messages are told of when something was wrong.
const SLOWEST: usize = 6;
/// How long a position may take to come.
const POSITION: Duration = Duration::from_secs(10);

/// How large the load is.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    /// Customers of both organisations.
    pub(crate) customers: usize,
    /// Agents of both.
    pub(crate) agents: usize,
    /// Messages that are written, at least, while one fault happens.
    pub(crate) messages: u64,
    /// Messages a second that everybody together writes.
    pub(crate) rate: f64,
}

/// The latencies that are measured at present.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Mutex<Arc<Latencies>>>);

impl Meter {
    fn new() -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Arc::new(Latencies::new()?)))))
    }

    fn current(&self) -> Arc<Latencies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins anew, and answers what was measured before.
    pub(crate) fn begin(&self) -> Result<Arc<Latencies>> {
        let new = Arc::new(Latencies::new()?);
        Ok(std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new))
    }

    fn observer(&self) -> Observer {
        let meter = self.clone();
        Arc::new(move |latency| meter.current().add(latency))
    }
}

/// What happened to the load in one part of the run: figures of that part alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) seconds: f64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) delivered: u64,
    /// Acknowledged messages that no history has, or that never came to a party.
    pub(crate) lost: u64,
    /// Messages that took effect twice, or under two ids.
    pub(crate) doubled: u64,
    /// Messages, histories and event ids out of order.
    pub(crate) disordered: u64,
    /// Messages that somebody got who must not see them.
    pub(crate) leaked: u64,
    /// Messages that came again and were recognised by their ids.
    pub(crate) repeated: u64,
    /// New connections of clients with a WebSocket.
    pub(crate) reconnects: u64,
    /// Half of the messages were delivered in this time, in milliseconds.
    pub(crate) median: f64,
    /// The slowest delivery or answer, in seconds: while a fault was noticed, then the rest.
    pub(crate) slowest: [f64; 2],
    /// The first of what was wrong.
    pub(crate) examples: Vec<String>,
}

/// Totals since the beginning, from which parts are told apart.
#[derive(Debug, Clone, Default)]
struct Totals {
    acknowledged: u64,
    delivered: u64,
    lost: u64,
    doubled: u64,
    disordered: u64,
    leaked: u64,
    repeated: u64,
    reconnects: u64,
}

/// The load.
pub(crate) struct Load {
    size: Size,
    crowds: Vec<Crowd>,
    waiting: Waiting,
    pub(crate) meter: Meter,
    before: Totals,
    /// How many messages had come to each at the last look.
    came: HashMap<String, usize>,
}

impl Load {
    /// Opens everybody's session and brings customers and agents together.
    pub(crate) async fn gather(address: &Address, size: &Size) -> Result<Self> {
        let meter = Meter::new()?;
        let writers = 2.0 * size.customers as f64;
        let options = Options {
            // A lost connection shall be noticed before the cluster has got over what caused it.
            keep_alive: Duration::from_millis(1200),
            reply_timeout: Duration::from_secs(120),
            give_up_after: Duration::from_secs(120),
            ..Options::default()
        };
        let mut crowds = Vec::new();
        for _ in 0..2 {
            let plan = Plan {
                polling: 0.2,
                pause: Duration::from_secs_f64(writers / size.rate),
                message_bytes: 200,
                patience: Duration::from_secs(120),
                options: options.clone(),
                observer: Some(meter.observer()),
                ..Plan::new(address.clone(), size.customers / 2, size.agents / 2)
            };
            let mut crowd = Crowd::gather(plan).await.context("gathering a crowd")?;
            crowd.meet().await.context("bringing customers and agents together")?;
            crowds.push(crowd);
        }
        let waiting = Waiting::begin(address, options).await?;
        Ok(Self {
            size: size.clone(),
            crowds,
            waiting,
            meter,
            before: Totals::default(),
            came: HashMap::new(),
        })
    }

    /// Has everybody write while something happens, until enough was written; then waits for what is under
    /// way, and looks whether all promises were kept.
    pub(crate) async fn through(
        &mut self,
        happening: impl Future<Output = Result<Option<Arc<Latencies>>>>,
    ) -> Result<Part> {
        self.meter.begin()?;
        let since = Instant::now();
        let (stop, stopping) = watch::channel(false);
        let enough = self.size.messages;
        let meter = self.meter.clone();
        let clock = async {
            let first = happening.await;
            let noticed = first.as_ref().ok().and_then(Option::as_ref).map_or(0, |first| first.replies());
            while first.is_ok() && noticed + meter.current().replies() < enough {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            stop.send_replace(true);
            first
        };
        let talking = futures_util::future::join_all(self.crowds.iter().map(|crowd| crowd.talk(&stopping)));
        let (talks, first) = tokio::join!(talking, clock);
        let first = first?;
        let seconds = since.elapsed().as_secs_f64();
        let mut undelivered = 0;
        for crowd in &self.crowds {
            undelivered += crowd.settle(SETTLE).await;
        }
        self.all_alive()?;
        let rest = self.meter.begin()?;
        let mut part = self.look(&talks).await?;
        part.seconds = seconds;
        part.lost += undelivered;
        part.median = rest.delivery().p50;
        let slowest = |of: &Latencies| of.delivery().max.max(of.reply().max) / 1000.0;
        part.slowest = [first.as_deref().map_or(0.0, slowest), slowest(&rest)];
        if let Err(error) = self.waiting.moves_up().await {
            part.disordered += 1;
            part.examples.push(format!("positions in the queue: {error:#}"));
        }
        Ok(part)
    }

    /// Fails if somebody's session is over: it may never be.
    fn all_alive(&self) -> Result<()> {
        let people = self.crowds.iter().flat_map(|crowd| crowd.customers.iter().chain(&crowd.agents));
        let mut over = people.filter_map(|person| match person.session.state() {
            State::Ended(why) => Some(format!("{}: {why}", person.name)),
            _ => None,
        });
        match over.next() {
            Some(first) => bail!("{} sessions are over: {first}", over.count() + 1),
            None => Ok(()),
        }
    }

    /// What everybody saw since the last look.
    async fn look(&mut self, talks: &[Talk]) -> Result<Part> {
        let mut now = Totals::default();
        let mut part = Part::default();
        let mut slow = Vec::new();
        for crowd in &self.crowds {
            let records = crowd.records();
            for record in &records {
                let from = self.came.insert(record.who.clone(), record.received.len()).unwrap_or_default();
                let came = record.received[from..].iter();
                slow.extend(
                    came.filter_map(|message| Some((message.age?, record.who.clone(), message.text.clone()))),
                );
            }
            let verdict = check(&records, &crowd.histories().await.context("reading histories")?);
            now.add(&verdict, &records);
            let old = self.before.lost + self.before.doubled + self.before.disordered;
            if verdict.violations.len() as u64 > old {
                part.examples.extend(verdict.violations.iter().take(5).map(ToString::to_string));
            }
            let customers = crowd.customers.len();
            let polling = (customers as f64 * 0.2).round() as usize;
            now.reconnects +=
                records[polling..].iter().map(|record| u64::from(record.reconnects)).sum::<u64>();
        }
        slow.sort_unstable_by(|a, b| b.cmp(a));
        let told =
            |(age, who, text): &(Duration, String, String)| format!("{text} came to {who} after {age:.1?}");
        part.examples.extend(slow.iter().take(SLOWEST).map(told));
        let before = std::mem::replace(&mut self.before, now.clone());
        part.refused = talks.iter().map(|talk| talk.refused).sum();
        part.unanswered = talks.iter().map(|talk| talk.unanswered).sum();
        part.acknowledged = now.acknowledged - before.acknowledged;
        part.delivered = now.delivered - before.delivered;
        part.lost = now.lost.saturating_sub(before.lost);
        part.doubled = now.doubled.saturating_sub(before.doubled);
        part.disordered = now.disordered.saturating_sub(before.disordered);
        part.leaked = now.leaked - before.leaked;
        part.repeated = now.repeated - before.repeated;
        part.reconnects = now.reconnects - before.reconnects;
        Ok(part)
    }

    /// Ends all sessions.
    pub(crate) async fn leave(self) {
        for crowd in self.crowds {
            crowd.leave().await;
        }
    }
}

impl Totals {
    fn add(&mut self, verdict: &Verdict, records: &[Record]) {
        let count = |kinds: &[Kind]| kinds.iter().map(|kind| verdict.count(*kind) as u64).sum::<u64>();
        self.acknowledged += verdict.acknowledged;
        self.delivered += verdict.delivered;
        self.repeated += verdict.repeated;
        self.lost += count(&[Kind::Lost, Kind::Missed]);
        self.doubled +=
            count(&[Kind::Doubled, Kind::Renumbered, Kind::RefusedAndStored, Kind::MessageIdReused]);
        self.disordered += count(&[
            Kind::Reordered,
            Kind::HistoryUnordered,
            Kind::HistoriesDiffer,
            Kind::Phantom,
            Kind::EventUnordered,
            Kind::EventIdReused,
        ]);
        let names: HashSet<&str> = records.iter().map(|record| record.who.as_str()).collect();
        let received = records.iter().flat_map(|record| &record.received);
        self.leaked += received.filter(|message| !names.contains(author(&message.text))).count() as u64;
    }
}

/// Who wrote a text: what stands before the numbers of the conversation and of the message.
fn author(text: &str) -> &str {
    let mut rest = text.rsplitn(3, '-');
    rest.nth(2).unwrap_or_default()
}

/// Those who wait in a queue that nobody serves: what they hear of their positions must be right after
/// everything that happens.
struct Waiting {
    address: Address,
    options: Options,
    queue: String,
    _operator: Session,
    line: Vec<(Session, Events)>,
}

impl Waiting {
    async fn begin(address: &Address, options: Options) -> Result<Self> {
        let (organisation, operator) = Organisation::found(address, options.clone()).await?;
        let queue = organisation.queue_id;
        let mut waiting =
            Self { address: address.clone(), options, queue, _operator: operator, line: Vec::new() };
        for _ in 0..WAITING {
            waiting.join().await?;
        }
        Ok(waiting)
    }

    async fn join(&mut self) -> Result<()> {
        let (session, events) =
            Session::create(&self.address, guest("waiting"), self.options.clone()).await?;
        let enqueued = session.request_audience(&self.queue).await.context("a place in the queue")?;
        self.line.push((session, events));
        let place = enqueued["queue_position"].as_u64().unwrap_or_default() as usize;
        if place != self.line.len() {
            bail!("position {place} for number {}", self.line.len());
        }
        Ok(())
    }

    /// The first one leaves, all others hear that they move up, and one more comes.
    async fn moves_up(&mut self) -> Result<()> {
        let (first, _) = self.line.remove(0);
        first.close().await;
        for (at, (_, events)) in self.line.iter_mut().enumerate() {
            let place = at as u64 + 1;
            let is = |event: &levee_client::Event| {
                event["queue_position"] == place && event.name() == "queue_updated"
            };
            events
                .within(POSITION, "a position", is)
                .await
                .with_context(|| format!("to be number {place}"))?;
        }
        self.join().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_who_wrote_it() {
        assert_eq!(author("customer-7-abc-12-3@456"), "customer-7-abc");
        assert_eq!(author("x"), "");
    }
}
