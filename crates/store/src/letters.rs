//! Letters of nodes that share a process with their store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{Key, Result, StoreError};

/// How many letters may wait for a node.
const WAITING: usize = 65_536;

/// Letters with their senders, by their receivers.
type Boxes = HashMap<Key, VecDeque<(Key, Bytes)>>;

/// The letters of all nodes in the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters(Arc<Mutex<Boxes>>);

impl Letters {
    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn post(&self, from: &str, letters: Vec<(Key, Bytes)>) -> Result<()> {
        let mut boxes = self.boxes();
        for (to, body) in letters {
            let waiting = boxes.entry(to).or_default();
            if waiting.len() >= WAITING {
                return Err(StoreError::Unavailable("too many letters wait for a node".into()));
            }
            waiting.push_back((from.into(), body));
        }
        Ok(())
    }

    pub(crate) fn collect(&self, node: &str, limit: usize) -> Vec<(Key, Bytes)> {
        let mut boxes = self.boxes();
        let Some(waiting) = boxes.get_mut(node) else { return Vec::new() };
        let taken = waiting.drain(..limit.min(waiting.len())).collect();
        if waiting.is_empty() {
            boxes.remove(node);
        }
        taken
    }
}
