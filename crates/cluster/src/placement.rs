//! Which node owns which shard, as far as this node knows.

use levee_store::{Epoch, Key, Lease as ShardLease, NodeRow, SHARDS, Shard};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// A shard's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) node: Key,
    pub(crate) epoch: Epoch,
}

/// The table of owners.
#[derive(Debug)]
pub(crate) struct Placement {
    owners: RwLock<Vec<Option<Owner>>>,
    nodes: RwLock<Vec<NodeRow>>,
}

impl Default for Placement {
    fn default() -> Self {
        Self { owners: RwLock::new(vec![None; usize::from(SHARDS)]), nodes: RwLock::default() }
    }
}

impl Placement {
    /// The owner of a shard.
    pub(crate) fn owner(&self, shard: Shard) -> Option<Owner> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(usize::from(shard)).cloned().flatten()
    }

    /// The epoch under which `node` owns a shard.
    pub(crate) fn epoch(&self, shard: Shard, node: &str) -> Option<Epoch> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(usize::from(shard))?.as_ref().filter(|owner| owner.node == node).map(|owner| owner.epoch)
    }

    /// The shards that `node` owns.
    pub(crate) fn of(&self, node: &str) -> Vec<Shard> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        (0..SHARDS)
            .filter(|shard| owners[usize::from(*shard)].as_ref().is_some_and(|owner| owner.node == node))
            .collect()
    }

    /// Takes leases in, and answers the shards whose owner or epoch changed.
    pub(crate) fn learn(&self, leases: &[ShardLease]) -> Vec<Shard> {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        for lease in leases {
            let Some(slot) = owners.get_mut(usize::from(lease.shard)) else { continue };
            let new = (lease.live && !lease.node.is_empty())
                .then(|| Owner { node: lease.node.clone(), epoch: lease.epoch });
            // An older answer must not undo a newer one.
            let newer = match (&*slot, &new) {
                (Some(old), Some(new)) => new.epoch > old.epoch,
                (old, new) => old != new,
            };
            if newer {
                *slot = new;
                changed.push(lease.shard);
            }
        }
        changed
    }

    /// Takes in which nodes are alive, and answers which of those before are gone.
    pub(crate) fn meet(&self, nodes: Vec<NodeRow>) -> Vec<Key> {
        let mut known = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone: Vec<Key> = known.iter().map(|old| old.node.clone()).collect();
        gone.retain(|old| !nodes.iter().any(|new| new.node == *old));
        *known = nodes;
        gone
    }

    /// Whether a node is alive.
    pub(crate) fn is_live(&self, node: &str) -> bool {
        self.nodes().iter().any(|row| row.node == node)
    }

    /// The nodes that are alive.
    pub(crate) fn nodes(&self) -> Vec<NodeRow> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets that a shard is owned: its owner gave it up.
    pub(crate) fn forget(&self, shard: Shard) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = owners.get_mut(usize::from(shard)) {
            *slot = None;
        }
    }
}

/// How long this node's lease of its shards lasts, by its own clock: from before it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    end: RwLock<Option<Instant>>,
    lapses: AtomicU64,
}

impl Lease {
    /// It was renewed. Answers whether it had run out.
    pub(crate) fn until(&self, end: Instant) -> bool {
        let mut now = self.end.write().unwrap_or_else(PoisonError::into_inner);
        let lapsed = now.is_some_and(|before| before <= Instant::now());
        if lapsed {
            self.lapses.fetch_add(1, Ordering::Relaxed);
        }
        *now = Some(end);
        lapsed
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        let end = *self.end.read().unwrap_or_else(PoisonError::into_inner);
        end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()))
    }

    /// How often it had run out when it was renewed: what others may have taken meanwhile is to be looked at.
    pub(crate) fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Relaxed)
    }
}

/// The node that should own a shard: the one whose rendezvous hash with it is highest.
pub(crate) fn rendezvous<'a>(shard: Shard, nodes: impl IntoIterator<Item = &'a Key>) -> Option<&'a Key> {
    nodes.into_iter().max_by_key(|node| weight(shard, node))
}

/// FNV-1a with a final mix: the same on every node and in every version.
fn weight(shard: Shard, node: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in node.bytes().chain(shard.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_spread_evenly_and_a_leaving_node_moves_only_its_own() {
        let nodes: Vec<Key> = ["a", "b", "c"].into_iter().map(Key::from).collect();
        let before: Vec<_> = (0..SHARDS).map(|s| rendezvous(s, &nodes).cloned().unwrap()).collect();
        for node in &nodes {
            let share = before.iter().filter(|owner| *owner == node).count();
            assert!((270..=420).contains(&share), "{node} has {share}");
        }
        for shard in 0..SHARDS {
            let after = rendezvous(shard, &nodes[..2]).cloned().unwrap();
            let was = &before[usize::from(shard)];
            assert!(was == "c" || *was == after);
        }
    }

    #[test]
    fn a_lease_that_had_run_out_is_told_from_one_that_went_on() {
        let lease = Lease::default();
        let now = Instant::now();
        assert!(!lease.until(now + Duration::from_secs(60)), "the first one follows none");
        assert!(!lease.until(now));
        assert!(lease.until(now + Duration::from_secs(60)));
        assert_eq!(lease.lapses(), 1);
    }

    #[test]
    fn an_older_lease_does_not_undo_a_newer_one() {
        let placement = Placement::default();
        let lease = |node: &str, epoch| ShardLease { shard: 3, node: node.into(), epoch, live: true };
        assert_eq!(placement.learn(&[lease("a", 2)]), [3]);
        assert_eq!(placement.learn(&[lease("b", 1)]), [0u16; 0]);
        assert_eq!(placement.epoch(3, "a"), Some(2));
        assert_eq!(placement.learn(&[lease("b", 3)]), [3]);
        assert_eq!(placement.epoch(3, "a"), None);
    }
}
