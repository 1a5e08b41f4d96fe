//! The rules of leases, pure: who is registered, who holds which shard under which epoch, and what a
//! commit's fence compares with. Backends that live in one process share it; it never reads a clock
//! and never writes anything down.

use std::collections::BTreeMap;

use crate::{Epoch, Key, Lease, Micros, NodeRow, Result, SHARDS, Shard, StoreError};

/// Registrations and the holders of all shards.
#[derive(Debug)]
pub(crate) struct Leases {
    nodes: BTreeMap<Key, Registration>,
    /// Indexed by shard; epoch 0 means that nobody ever took it.
    holders: Vec<Holder>,
    /// Indexed by shard: how many commits appended records since this process began.
    positions: Vec<u64>,
}

#[derive(Debug)]
struct Registration {
    row: NodeRow,
    expires: Micros,
}

/// Who held a shard last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder {
    /// The node; empty when the shard was released or never taken.
    pub(crate) node: Key,
    /// The generation.
    pub(crate) epoch: Epoch,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            holders: vec![Holder::default(); usize::from(SHARDS)],
            positions: vec![0; usize::from(SHARDS)],
        }
    }
}

impl Leases {
    /// Forgets all holders and takes these instead; registrations stay.
    pub(crate) fn load(&mut self, rows: impl IntoIterator<Item = (Shard, Holder)>) {
        self.holders.fill(Holder::default());
        for (shard, holder) in rows {
            if let Some(slot) = self.holders.get_mut(usize::from(shard)) {
                *slot = holder;
            }
        }
    }

    /// The holder of a shard, for backends that write it down.
    pub(crate) fn holder(&self, shard: Shard) -> Holder {
        self.holders.get(usize::from(shard)).cloned().unwrap_or_default()
    }

    /// Refuses an epoch that is not the shard's current one. Epoch 0 holds nothing, ever.
    pub(crate) fn fence(&self, shard: Shard, epoch: Epoch) -> Result<()> {
        let current = self.holders.get(usize::from(shard)).map_or(0, |holder| holder.epoch);
        if epoch == 0 || epoch != current {
            return Err(StoreError::Fenced { shard, current });
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&mut self, now: Micros, row: NodeRow, ttl_ms: u64) -> Vec<NodeRow> {
        let expires = now.saturating_add(ttl_ms.saturating_mul(1_000));
        self.nodes.insert(row.node.clone(), Registration { row, expires });
        self.nodes.retain(|_, registration| registration.expires > now);
        self.nodes.values().map(|registration| registration.row.clone()).collect()
    }

    /// Answers which shards changed hands. A node that is not registered takes nothing: its lease
    /// would be dead at once.
    pub(crate) fn take(&mut self, now: Micros, node: &str, shards: &[Shard]) -> Vec<Shard> {
        if !self.is_live(now, node) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for &shard in shards {
            let Some(holder) = self.holders.get(usize::from(shard)) else { continue };
            if holder.node == node || self.is_live(now, &holder.node) {
                continue;
            }
            let epoch = holder.epoch + 1;
            self.holders[usize::from(shard)] = Holder { node: node.into(), epoch };
            taken.push(shard);
        }
        taken
    }

    /// Answers which shards were given up.
    pub(crate) fn release(&mut self, node: &str, shards: &[Shard]) -> Vec<Shard> {
        let mut released = Vec::new();
        for &shard in shards {
            if let Some(holder) = self.holders.get_mut(usize::from(shard))
                && holder.epoch > 0
                && holder.node == node
            {
                holder.node = Key::default();
                released.push(shard);
            }
        }
        released
    }

    /// Answers which shards were given up.
    pub(crate) fn leave(&mut self, node: &str) -> Vec<Shard> {
        self.nodes.remove(node);
        let all: Vec<Shard> = (0..SHARDS).collect();
        self.release(node, &all)
    }

    /// The lease of one shard; `None` beyond the last shard.
    pub(crate) fn lease(&self, now: Micros, shard: Shard) -> Option<Lease> {
        let Holder { node, epoch } = self.holders.get(usize::from(shard))?.clone();
        let live = self.is_live(now, &node);
        Some(Lease { shard, node, epoch, live })
    }

    /// The leases of all shards that were ever taken.
    pub(crate) fn all(&self, now: Micros) -> Vec<Lease> {
        (0..SHARDS).filter_map(|shard| self.lease(now, shard)).filter(|lease| lease.epoch > 0).collect()
    }

    /// Records were appended under a shard.
    pub(crate) fn advance(&mut self, shard: Shard) {
        if let Some(position) = self.positions.get_mut(usize::from(shard)) {
            *position += 1;
        }
    }

    /// What [`crate::Streams::positions`] answers.
    pub(crate) fn positions(&self) -> Vec<u64> {
        self.positions.clone()
    }

    fn is_live(&self, now: Micros, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|registration| registration.expires > now)
    }
}
