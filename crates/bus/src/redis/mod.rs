//! The bus on Redis pub/sub: a channel per node, on one server, on whichever server Sentinel names, or
//! sharded on a Redis Cluster.
//!
//! - `address`: where Redis is, and how it is connected to;
//! - `outgoing`: what waits to be sent, node by node;
//! - `link`: the task that sends, receives, hears its own echo, and begins anew when it does not.
//!
//! Redis holds nothing here. What is lost in it is noticed by the counters of frames, which heartbeats
//! repeat twice a second.

mod address;
mod link;
mod outgoing;

pub use address::Address;

use crate::metrics::BusMetrics;
use crate::{Bus, BusError, Inbox, Incoming, Node};
use async_trait::async_trait;
use bytes::Bytes;
use link::Link;
use outgoing::Outgoing;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How much may wait to be taken in.
const INCOMING: usize = 65_536;

/// A node's end of the bus. When it is dropped, its connections are closed.
pub struct RedisBus {
    outgoing: Arc<Outgoing>,
}

/// What comes in for the node.
pub struct RedisInbox {
    incoming: mpsc::Receiver<Incoming>,
}

impl RedisBus {
    /// Connects a node. While Redis can't be reached, the bus begins as [`Incoming::Down`] and comes up
    /// later by itself.
    ///
    /// # Errors
    /// [`BusError::Refused`] when Redis turns the login away or can't do what is asked of it.
    pub async fn start(
        node: impl Into<Node>,
        address: Address,
        metrics: BusMetrics,
    ) -> Result<(Self, RedisInbox), BusError> {
        address.check().await?;
        let outgoing = Arc::new(Outgoing::default());
        let (sender, incoming) = mpsc::channel(INCOMING);
        let link = Link::new(node.into(), address, outgoing.clone(), sender, metrics);
        let failed = |error: std::io::Error| BusError::Refused(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        // A thread of its own: an actor that holds up its thread does not hold up everybody's letters.
        std::thread::Builder::new()
            .name("levee-bus".into())
            .spawn(move || runtime.block_on(link.run()))
            .map_err(failed)?;
        Ok((Self { outgoing }, RedisInbox { incoming }))
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.outgoing.close();
    }
}

impl Bus for RedisBus {
    fn send(&self, to: &str, body: Bytes) -> Result<(), BusError> {
        self.outgoing.push(to, body)
    }
}

#[async_trait]
impl Inbox for RedisInbox {
    async fn next(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}
