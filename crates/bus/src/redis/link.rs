//! The task that holds the connections: it sends frames, takes in what comes, hears its own echo, and
//! begins anew when that stays out.
//!
//! At most one round of frames is under way: what comes meanwhile gathers, and when much does, it waits a
//! moment longer. So one message alone goes at once, and many share few frames.

use super::address::{Address, Wires};
use super::outgoing::Outgoing;
use crate::frame::Gaps;
use crate::metrics::BusMetrics;
use crate::{Frame, Incoming, Node};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use redis::{PushInfo, PushKind, RedisResult, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often it speaks to itself, and tells others how far it has counted.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// For how long a node is told how many frames went to it after the last one did.
const REMEMBERED: Duration = Duration::from_secs(60);
/// For how long it may not hear itself.
const SILENCE: Duration = Duration::from_secs(2);
/// How often it looks whether it did.
const WATCH: Duration = Duration::from_millis(100);
/// How long it waits between tries to connect, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// How many frames may wait to be read.
const PUSHES: usize = 16_384;
/// After a round of so many messages, the next one waits for more to come…
const BUSY: usize = 24;
/// …for so long.
const LINGER: Duration = Duration::from_micros(500);

/// The channel on which a node listens.
fn channel(node: &str) -> String {
    format!("levee:{node}")
}

pub(super) struct Link {
    node: Node,
    address: Address,
    outgoing: Arc<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
    metrics: BusMetrics,
    began: Instant,
    gaps: Gaps,
    /// The frames that went to each node.
    counters: HashMap<Node, Sent>,
    up: bool,
}

/// What went to a node.
struct Sent {
    frames: u64,
    last: Instant,
    /// Whether somebody listened to what was sent last.
    reached: bool,
}

/// How a round of frames fared: each with its node and how many messages it carried.
type Round = Vec<(Node, RedisResult<u64>)>;

impl Link {
    pub(super) fn new(
        node: Node,
        address: Address,
        outgoing: Arc<Outgoing>,
        incoming: mpsc::Sender<Incoming>,
        metrics: BusMetrics,
    ) -> Self {
        let (began, gaps, counters) = (Instant::now(), Gaps::default(), HashMap::new());
        // It begins as if it had been up: the first failure is told.
        Self { node, address, outgoing, incoming, metrics, began, gaps, counters, up: true }
    }

    pub(super) async fn run(mut self) {
        let mut wait = RETRY[0];
        while !self.outgoing.is_closed() && !self.incoming.is_closed() {
            let why = match tokio::time::timeout(SILENCE * 2, self.address.connect(PUSHES)).await {
                Ok(Ok(wires)) => {
                    self.metrics.connects.inc();
                    let since = Instant::now();
                    let why = self.serve(wires).await;
                    if since.elapsed() > SILENCE * 2 {
                        wait = RETRY[0];
                    }
                    why
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".into(),
            };
            if self.outgoing.is_closed() {
                break;
            }
            self.down(&why).await;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY[1]);
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says that nothing is carried any more, once.
    async fn down(&mut self, why: &str) {
        let lost = self.outgoing.set_up(false);
        self.metrics.up.set(0);
        if std::mem::replace(&mut self.up, false) {
            tracing::warn!(why, lost, address = %self.address, "the bus is away; the store carries on");
            let _ = self.incoming.send(Incoming::Down).await;
        }
    }

    /// Sends and listens until something is wrong, and answers what.
    async fn serve(&mut self, wires: Wires) -> String {
        let Wires { publish, mut listen, mut pushes } = wires;
        if let Err(error) = listen.subscribe(&channel(&self.node)).await {
            return error.to_string();
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut echo = Instant::now();
        let mut heard = false;
        let mut under_way: Option<BoxFuture<'static, Round>> = None;
        let mut linger: Option<tokio::time::Instant> = None;
        let (mut waits, mut beat) = (true, true);
        let outgoing = self.outgoing.clone();
        loop {
            tokio::select! {
                biased;
                push = pushes.recv() => match push {
                    Some(push) if push.kind == PushKind::Disconnection => return "the connection ended".into(),
                    Some(push) => {
                        if let Err(why) = self.take(push, &mut echo, &mut heard).await {
                            return why;
                        }
                    }
                    None => return "the connection ended".into(),
                },
                round = async { under_way.as_mut().unwrap_or(&mut never()).await }, if under_way.is_some() => {
                    under_way = None;
                    if let Some(why) = self.sent(round).await {
                        return why;
                    }
                },
                _ = heartbeat.tick() => {
                    if outgoing.is_closed() {
                        return "it was closed".into();
                    }
                    beat = true;
                }
                // Time that this process stood still is not silence of Redis': what came is read first.
                _ = watch.tick() => {
                    if echo.elapsed() > SILENCE && pushes.is_empty() {
                        return format!("it did not hear itself for {SILENCE:?}");
                    }
                }
                () = outgoing.more(), if !waits => waits = true,
                () = async { tokio::time::sleep_until(linger.unwrap_or_else(tokio::time::Instant::now)).await },
                    if (waits || beat) && under_way.is_none() =>
                {
                    let (frames, left) = outgoing.take();
                    waits = left;
                    let count: usize = frames.iter().map(|(_, messages)| messages.len()).sum();
                    linger = (count >= BUSY).then(|| tokio::time::Instant::now() + LINGER);
                    let mut frames = self.frames(frames);
                    if std::mem::replace(&mut beat, false) {
                        self.add_heartbeats(&mut frames);
                    }
                    under_way = (!frames.is_empty()).then(|| round(&publish, frames));
                }
            }
        }
    }

    /// Takes in what was pushed.
    async fn take(&mut self, push: PushInfo, echo: &mut Instant, heard: &mut bool) -> Result<(), String> {
        if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
            return match push.kind {
                // A shard of a cluster moved away with the channel.
                PushKind::SUnsubscribe | PushKind::Unsubscribe => Err("the subscription was ended".into()),
                _ => Ok(()),
            };
        }
        let Some(Value::BulkString(bytes)) = push.data.into_iter().nth(1) else { return Ok(()) };
        let frame = match Frame::decode(&bytes) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, "dropped a frame");
                return Ok(());
            }
        };
        if frame.from == self.node && frame.messages.is_empty() {
            let lag = self.now().saturating_sub(Duration::from_millis(frame.sent));
            if lag < SILENCE {
                *echo = Instant::now();
                self.metrics.lag.observe(lag.as_secs_f64());
                if !std::mem::replace(heard, true) {
                    self.outgoing.set_up(true);
                    self.metrics.up.set(1);
                    if !std::mem::replace(&mut self.up, true) {
                        tracing::info!(address = %self.address, "the bus carries again");
                        self.pass(Incoming::Up).await?;
                    }
                }
            }
            return Ok(());
        }
        let now = self.now();
        for incoming in self.gaps.take(frame, now) {
            if matches!(incoming, Incoming::Gap { .. }) {
                self.metrics.gaps.inc();
            }
            self.pass(incoming).await?;
        }
        Ok(())
    }

    async fn pass(&self, incoming: Incoming) -> Result<(), String> {
        self.incoming.send(incoming).await.map_err(|_| "nobody listens any more".into())
    }

    /// A round is done: answers why this connection is of no more use, if it is not.
    async fn sent(&mut self, round: Round) -> Option<String> {
        let mut wrong = None;
        for (to, result) in round {
            match result {
                Ok(listeners) => {
                    if let Some(sent) = self.counters.get_mut(&to)
                        && std::mem::replace(&mut sent.reached, listeners > 0)
                        && listeners == 0
                    {
                        self.metrics.unreached.inc();
                        let _ = self.incoming.send(Incoming::Unreached { to }).await;
                    }
                }
                Err(error) => wrong = Some(error.to_string()),
            }
        }
        wrong
    }

    fn encode(&self, counter: u64, messages: Vec<Bytes>) -> Vec<u8> {
        let frame = Frame { from: self.node.clone(), counter, sent: self.now().as_millis() as u64, messages };
        frame.encode().map(Into::into).unwrap_or_default()
    }

    fn frames(&mut self, frames: Vec<(Node, Vec<Bytes>)>) -> Vec<(Node, Vec<u8>)> {
        let mut encoded = Vec::with_capacity(frames.len());
        for (to, messages) in frames {
            self.metrics.publishes.inc();
            self.metrics.messages.inc_by(messages.len() as u64);
            self.metrics.batch.observe(messages.len() as f64);
            let now = Instant::now();
            let sent = self.counters.entry(to.clone());
            let sent = sent.or_insert_with(|| Sent { frames: 0, last: now, reached: true });
            sent.frames += 1;
            sent.last = now;
            let counter = sent.frames;
            encoded.push((to, self.encode(counter, messages)));
        }
        encoded
    }

    /// Adds what is told without being asked: to itself, and to those to whom something went in the last
    /// minute and who get nothing else now.
    fn add_heartbeats(&self, frames: &mut Vec<(Node, Vec<u8>)>) {
        for (node, sent) in &self.counters {
            let told = sent.last.elapsed() > REMEMBERED || frames.iter().any(|(to, _)| to == node);
            if !told && *node != self.node {
                frames.push((node.clone(), self.encode(sent.frames, Vec::new())));
            }
        }
        frames.push((self.node.clone(), self.encode(0, Vec::new())));
    }
}

fn round(wire: &super::address::Wire, frames: Vec<(Node, Vec<u8>)>) -> BoxFuture<'static, Round> {
    let wire = wire.clone();
    async move {
        let sending = frames.into_iter().map(|(node, bytes)| {
            let published = wire.clone().publish(channel(&node), bytes);
            async move { (node, published.await) }
        });
        join_all(sending).await
    }
    .boxed()
}

/// What is never polled, for a branch that is off needs something to stand there.
fn never() -> BoxFuture<'static, Round> {
    std::future::pending().boxed()
}
