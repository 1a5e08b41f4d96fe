//! A bus within one process: for a single node, and for tests with several nodes. Frames are encoded
//! as on a real network, and tests can lose some.

use crate::frame::Gaps;
use crate::{Bus, BusError, Frame, Incoming, Node};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How many frames may wait for a node.
const WAITING: usize = 65_536;

/// The network that memory buses share.
#[derive(Clone, Default)]
pub struct MemoryNetwork(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    nodes: HashMap<Node, mpsc::Sender<Bytes>>,
    counters: HashMap<(Node, Node), u64>,
    cut: Vec<(Node, Node)>,
    lose_every: Option<u64>,
    sent: u64,
}

/// One node's end of a [`MemoryNetwork`].
pub struct MemoryBus {
    node: Node,
    network: MemoryNetwork,
}

/// What comes in for one node.
pub struct MemoryInbox {
    frames: mpsc::Receiver<Bytes>,
    gaps: Gaps,
    ready: std::collections::VecDeque<Incoming>,
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
        let inbox = MemoryInbox { frames, gaps: Gaps::default(), ready: Default::default() };
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

    /// Mends all cuts and losses.
    pub fn mend(&self) {
        let mut wires = self.wires();
        wires.cut.clear();
        wires.lose_every = None;
    }

    /// Loses every `n`th frame, silently.
    pub fn lose_every(&self, n: u64) {
        self.wires().lose_every = Some(n.max(1));
    }
}

impl Bus for MemoryBus {
    fn send(&self, to: &str, body: Bytes) -> Result<(), BusError> {
        let mut wires = self.network.wires();
        let sender = wires.nodes.get(to).cloned().ok_or_else(|| BusError::Unreachable(to.into()))?;
        let pair = (self.node.clone(), Node::from(to));
        let counter = wires.counters.entry(pair.clone()).or_insert(0);
        *counter += 1;
        let frame = Frame { from: self.node.clone(), counter: *counter, messages: vec![body] };
        wires.sent += 1;
        if wires.cut.contains(&pair) || wires.lose_every.is_some_and(|n| wires.sent.is_multiple_of(n)) {
            return Ok(());
        }
        // Sent under the lock, so that counters go out in their order.
        sender.try_send(frame.encode()?).map_err(|_| BusError::Congested)
    }
}

impl MemoryInbox {
    /// What comes next; `None` when the node was disconnected.
    pub async fn next(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.ready.pop_front() {
                return Some(incoming);
            }
            let bytes = self.frames.recv().await?;
            match Frame::decode(&bytes) {
                Ok(frame) => self.ready.extend(self.gaps.take(frame)),
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
        let message =
            |body: &'static [u8]| Incoming::Message { from: "a".into(), body: Bytes::from_static(body) };
        assert_eq!(b_in.next().await, Some(message(b"1")));
        assert_eq!(b_in.next().await, Some(Incoming::Gap { from: "a".into() }));
        assert_eq!(b_in.next().await, Some(message(b"3")));
    }

    #[tokio::test]
    async fn an_unknown_node_is_an_error() {
        let (a, _inbox) = MemoryNetwork::default().join("a");
        assert!(matches!(a.send("nobody", Bytes::new()), Err(BusError::Unreachable(_))));
    }
}
