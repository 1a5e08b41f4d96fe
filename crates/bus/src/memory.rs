//! A bus within one process: for a single node, and for tests with several nodes. Frames are encoded
//! as on a real network, and tests can lose, delay and repeat some.

use crate::frame::Gaps;
use crate::{Bus, BusError, Frame, Inbox, Incoming, Node};
use async_trait::async_trait;
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How many frames may wait for a node.
const WAITING: usize = 65_536;
/// How often each node hears how much the others have sent.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The network that memory buses share.
#[derive(Clone, Default)]
pub struct MemoryNetwork(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    nodes: HashMap<Node, mpsc::Sender<(Instant, Bytes)>>,
    counters: HashMap<(Node, Node), u64>,
    cut: Vec<(Node, Node)>,
    lose_every: Option<u64>,
    disturbance: Option<(Disturbance, u64)>,
    /// Nodes that the bus carries nothing from or to, and that know it.
    away: HashSet<Node>,
    /// When the last frame of a pair arrives: none overtakes another.
    arrivals: HashMap<(Node, Node), Instant>,
    sent: u64,
}

/// What goes wrong on a network: the same for the same seed and the same frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disturbance {
    /// Where chance begins.
    pub seed: u64,
    /// Of a thousand frames, so many are lost.
    pub lose: u64,
    /// Of a thousand frames, so many come twice.
    pub repeat: u64,
    /// A frame takes up to this long.
    pub delay: Duration,
}

/// One node's end of a [`MemoryNetwork`].
pub struct MemoryBus {
    node: Node,
    network: MemoryNetwork,
}

/// What comes in for one node.
pub struct MemoryInbox {
    node: Node,
    network: MemoryNetwork,
    heartbeat: tokio::time::Interval,
    frames: mpsc::Receiver<(Instant, Bytes)>,
    /// Frames that are on their way, by their arrival.
    travelling: BinaryHeap<Reverse<(Instant, u64, Bytes)>>,
    received: u64,
    gaps: Gaps,
    away: bool,
    ready: VecDeque<Incoming>,
}

impl MemoryNetwork {
    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a node.
    pub fn join(&self, node: impl Into<Node>) -> (MemoryBus, MemoryInbox) {
        let node = node.into();
        let (sender, frames) = mpsc::channel(WAITING);
        self.wires().nodes.insert(node.clone(), sender);
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let inbox = MemoryInbox {
            node: node.clone(),
            network: self.clone(),
            heartbeat,
            frames,
            travelling: BinaryHeap::new(),
            received: 0,
            gaps: Gaps::default(),
            away: false,
            ready: VecDeque::new(),
        };
        (MemoryBus { node, network: self.clone() }, inbox)
    }

    /// Disconnects a node.
    pub fn leave(&self, node: &str) {
        self.wires().nodes.remove(node);
    }

    /// Cuts two nodes off from each other, silently.
    pub fn cut(&self, a: impl Into<Node>, b: impl Into<Node>) {
        let (a, b) = (a.into(), b.into());
        self.wires().cut.extend([(a.clone(), b.clone()), (b, a)]);
    }

    /// Disturbs all frames from now on.
    pub fn disturb(&self, disturbance: Disturbance) {
        self.wires().disturbance = Some((disturbance, disturbance.seed));
    }

    /// The bus carries nothing from or to a node, which notices that.
    pub fn take_away(&self, node: impl Into<Node>) {
        self.wires().away.insert(node.into());
    }

    /// Mends all cuts, losses and disturbances.
    pub fn mend(&self) {
        let mut wires = self.wires();
        wires.cut.clear();
        wires.lose_every = None;
        wires.disturbance = None;
        wires.away.clear();
    }

    /// Loses every `n`th frame, silently.
    pub fn lose_every(&self, n: u64) {
        self.wires().lose_every = Some(n.max(1));
    }
}

impl Bus for MemoryBus {
    fn send(&self, to: &str, body: Bytes) -> Result<(), BusError> {
        let mut wires = self.network.wires();
        if wires.away.contains(&self.node) {
            return Err(BusError::Away);
        }
        let sender = wires.nodes.get(to).cloned().ok_or_else(|| BusError::Unreachable(to.into()))?;
        let pair = (self.node.clone(), Node::from(to));
        let counter = wires.counters.entry(pair.clone()).or_insert(0);
        *counter += 1;
        let frame = Frame { from: self.node.clone(), counter: *counter, sent: 0, messages: vec![body] };
        wires.sent += 1;
        if wires.away.contains(&pair.1)
            || wires.cut.contains(&pair)
            || wires.lose_every.is_some_and(|n| wires.sent.is_multiple_of(n))
        {
            return Ok(());
        }
        let Some((arrival, repeated)) = wires.arrival(&pair) else { return Ok(()) };
        let bytes = frame.encode()?;
        // Sent under the lock, so that counters go out in their order.
        if repeated {
            let _ = sender.try_send((arrival, bytes.clone()));
        }
        sender.try_send((arrival, bytes)).map_err(|_| BusError::Congested)
    }
}

impl Wires {
    /// When a frame of a pair arrives, and whether it comes twice; `None` if it is lost.
    fn arrival(&mut self, pair: &(Node, Node)) -> Option<(Instant, bool)> {
        let now = Instant::now();
        let Some((disturbance, state)) = &mut self.disturbance else {
            // Not before those that are still on their way.
            let last = self.arrivals.get(pair).copied();
            return Some((last.map_or(now, |last| last.max(now)), false));
        };
        let mut chance = |below: u64| {
            // SplitMix64.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % below.max(1)
        };
        let (lost, repeated) = (chance(1000) < disturbance.lose, chance(1000) < disturbance.repeat);
        let delay = Duration::from_micros(chance(disturbance.delay.as_micros() as u64 + 1));
        if lost {
            return None;
        }
        let last = self.arrivals.entry(pair.clone()).or_insert(now);
        *last = (*last).max(now + delay);
        Some((*last, repeated))
    }
}

impl MemoryInbox {
    /// The next frame that arrives; the inner `None` at a heartbeat.
    async fn arrived(&mut self) -> Option<Option<Bytes>> {
        loop {
            let first = self.travelling.peek().map(|Reverse((at, ..))| *at);
            if first.is_some_and(|at| at <= Instant::now()) {
                return self.travelling.pop().map(|Reverse((_, _, bytes))| Some(bytes));
            }
            tokio::select! {
                sent = self.frames.recv() => match sent {
                    Some((at, bytes)) => {
                        self.received += 1;
                        self.travelling.push(Reverse((at, self.received, bytes)));
                    }
                    None if first.is_none() => return None,
                    None => tokio::time::sleep_until(first.unwrap_or_else(Instant::now)).await,
                },
                () = tokio::time::sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => {}
                _ = self.heartbeat.tick(), if first.is_none() => {
                    self.compare();
                    return Some(None);
                }
            }
        }
    }

    /// Compares what came with what was sent: nothing is on its way now.
    fn compare(&mut self) {
        let wires = self.network.wires();
        let away = wires.away.contains(&self.node);
        if std::mem::replace(&mut self.away, away) != away {
            self.ready.push_back(if away { Incoming::Down } else { Incoming::Up });
        }
        if away || !self.frames.is_empty() {
            return;
        }
        for ((from, to), counter) in wires.counters.iter().filter(|((_, to), _)| *to == self.node) {
            if !wires.cut.contains(&(from.clone(), to.clone())) {
                self.ready.extend(self.gaps.has_sent(from, *counter));
            }
        }
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn next(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.ready.pop_front() {
                return Some(incoming);
            }
            let Some(bytes) = self.arrived().await? else { continue };
            match Frame::decode(&bytes) {
                Ok(frame) => self.ready.extend(self.gaps.take(frame, Duration::ZERO)),
                Err(error) => tracing::warn!(%error, "dropped a frame"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_in_order_and_losses_are_said() {
        let network = MemoryNetwork::default();
        let (a, _a_in) = network.join("a");
        let (_b, mut b_in) = network.join("b");
        a.send("b", Bytes::from_static(b"1")).unwrap();
        network.cut("a", "b");
        a.send("b", Bytes::from_static(b"2")).unwrap();
        network.mend();
        a.send("b", Bytes::from_static(b"3")).unwrap();
        network.lose_every(1);
        a.send("b", Bytes::from_static(b"4")).unwrap();
        let message =
            |body: &'static [u8]| Incoming::Message { from: "a".into(), body: Bytes::from_static(body) };
        assert_eq!(b_in.next().await, Some(message(b"1")));
        assert_eq!(b_in.next().await, Some(Incoming::Gap { from: "a".into() }));
        assert_eq!(b_in.next().await, Some(message(b"3")));
        assert_eq!(b_in.next().await, Some(Incoming::Gap { from: "a".into() }), "the last one is missed too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_disturbed_network_loses_some_and_keeps_the_order() {
        let network = MemoryNetwork::default();
        let ((a, _a_in), (_b, mut b_in)) = (network.join("a"), network.join("b"));
        let delay = Duration::from_millis(20);
        network.disturb(Disturbance { seed: 7, lose: 100, repeat: 100, delay });
        for number in 0..200u8 {
            a.send("b", Bytes::copy_from_slice(&[number])).unwrap();
        }
        network.mend();
        a.send("b", Bytes::from_static(b"end")).unwrap();
        let (mut numbers, mut gaps) = (Vec::new(), 0);
        loop {
            match b_in.next().await.unwrap() {
                Incoming::Gap { .. } => gaps += 1,
                Incoming::Message { body, .. } if body.as_ref() == b"end" => break,
                Incoming::Message { body, .. } => numbers.push(body[0]),
                other => panic!("{other:?}"),
            }
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "in order, and none twice");
        assert!((160..200).contains(&numbers.len()) && gaps > 5, "{} and {gaps} gaps", numbers.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_the_bus_leaves_out_knows_it() {
        let network = MemoryNetwork::default();
        let ((a, mut a_in), (b, mut b_in)) = (network.join("a"), network.join("b"));
        network.take_away("a");
        assert_eq!(a_in.next().await, Some(Incoming::Down));
        assert!(matches!(a.send("b", Bytes::new()), Err(BusError::Away)));
        b.send("a", Bytes::from_static(b"lost")).unwrap();
        network.mend();
        assert_eq!(a_in.next().await, Some(Incoming::Up));
        assert_eq!(a_in.next().await, Some(Incoming::Gap { from: "b".into() }));
        a.send("b", Bytes::from_static(b"again")).unwrap();
        let body = Bytes::from_static(b"again");
        assert_eq!(b_in.next().await, Some(Incoming::Message { from: "a".into(), body }));
    }

    #[tokio::test]
    async fn an_unknown_node_is_an_error() {
        let (a, _inbox) = MemoryNetwork::default().join("a");
        assert!(matches!(a.send("nobody", Bytes::new()), Err(BusError::Unreachable(_))));
    }
}
