//! The agenda in memory, by name and by when it is due.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::{AgendaItem, Key, Micros, Shard};

#[derive(Debug, Default)]
pub(super) struct Items {
    /// By (stream, key).
    items: BTreeMap<(Key, Key), Item>,
    /// (shard, due, stream, key) of the same items.
    due: BTreeSet<(Shard, Micros, Key, Key)>,
}

#[derive(Debug)]
struct Item {
    shard: Shard,
    due: Micros,
    body: Bytes,
}

impl Items {
    pub(super) fn put(&mut self, item: AgendaItem) {
        let AgendaItem { shard, stream, key, due, body } = item;
        self.remove(&stream, &key);
        self.due.insert((shard, due, stream.clone(), key.clone()));
        self.items.insert((stream, key), Item { shard, due, body });
    }

    pub(super) fn remove(&mut self, stream: &Key, key: &Key) {
        if let Some(((stream, key), item)) = self.items.remove_entry(&(stream.clone(), key.clone())) {
            self.due.remove(&(item.shard, item.due, stream, key));
        }
    }

    /// What is due in a shard within a time, soonest first.
    pub(super) fn due(&self, shard: Shard, within: RangeInclusive<Micros>, limit: usize) -> Vec<AgendaItem> {
        let start = (shard, *within.start(), Key::default(), Key::default());
        self.due
            .range(start..)
            .take_while(|(of, due, ..)| *of == shard && due <= within.end())
            .take(limit)
            .filter_map(|(_, _, stream, key)| {
                let id = (stream.clone(), key.clone());
                let item = self.items.get(&id)?;
                Some(item.named(&id))
            })
            .collect()
    }

    /// What is open for a stream, soonest first.
    pub(super) fn open(&self, stream: &str) -> Vec<AgendaItem> {
        let start = (Key::from(stream), Key::default());
        let mut items: Vec<AgendaItem> = self
            .items
            .range(start..)
            .take_while(|((of, _), _)| of == stream)
            .map(|(id, item)| item.named(id))
            .collect();
        items.sort_by_key(|item| item.due);
        items
    }
}

impl Item {
    fn named(&self, (stream, key): &(Key, Key)) -> AgendaItem {
        let (stream, key) = (stream.clone(), key.clone());
        AgendaItem { shard: self.shard, stream, key, due: self.due, body: self.body.clone() }
    }
}
