//! What an entity has ordered of others for certain, until they confirm it.

use bytes::Bytes;
use levee_domain::machine::Emit;
use levee_domain::view::Stream;
use levee_proto::Id;
use levee_store::AgendaItem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// An order for another entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forward {
    pub(super) to: Stream,
    pub(super) order: Value,
    /// It waits until this entity has confirmed what it was sent before.
    after: Option<Stream>,
}

/// A forward, as the agenda keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    to: Id,
    order: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Id>,
}

/// The name of a forward on the agenda: in the order of their names, forwards were caused.
pub(super) fn key(seq: u64, now: u64, index: usize) -> Id {
    compact_str::format_compact!("f{seq:013}.{now:016}.{index:04}")
}

impl Forward {
    /// What an emit forwards, if that is what it does.
    pub(super) fn of(emit: &Emit) -> Option<Self> {
        let (to, order) = emit.forwarded()?;
        let after = if let Emit::ForwardAfter(_, _, after) = emit { Some(after.clone()) } else { None };
        Some(Self { to: to.clone(), order: order.clone(), after })
    }

    /// As the agenda keeps it.
    pub(super) fn body(&self) -> Bytes {
        let after = self.after.as_ref().map(Stream::key);
        let kept = Kept { to: self.to.key(), order: self.order.clone(), after };
        serde_json::to_vec(&kept).unwrap_or_default().into()
    }

    /// What the agenda has kept.
    fn kept(item: &AgendaItem) -> Option<Self> {
        let kept = serde_json::from_slice::<Kept>(&item.body);
        if let Err(error) = &kept {
            tracing::error!(%error, key = %item.key, "an agenda item can't be read");
        }
        let Kept { to, order, after } = kept.ok()?;
        let after = after.and_then(|after| Stream::from_key(&after));
        Some(Self { to: Stream::from_key(&to)?, order, after })
    }
}

/// The forwards that are not confirmed.
#[derive(Default)]
pub(super) struct Forwards {
    /// Per receiver, in the order in which they were caused. The first of each is under way, unless it is barred.
    waiting: HashMap<Stream, VecDeque<(Id, Forward)>>,
    /// Who is to confirm something first, and the receivers that wait for that.
    barred: HashMap<Stream, Vec<Stream>>,
}

impl Forwards {
    /// Those that the agenda has kept.
    pub(super) fn restore(mut items: Vec<AgendaItem>) -> Self {
        items.sort_by(|a, b| a.key.cmp(&b.key));
        let mut all = Self::default();
        for item in items {
            if let Some(forward) = Forward::kept(&item) {
                all.waiting.entry(forward.to.clone()).or_default().push_back((item.key, forward));
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds one. Says whether it is to be sent now.
    pub(super) fn add(&mut self, key: Id, forward: Forward) -> bool {
        let to = forward.to.clone();
        let waiting = self.waiting.entry(to.clone()).or_default();
        waiting.push_back((key, forward));
        waiting.len() == 1 && self.first(&to).is_some()
    }

    /// One has arrived, unless that was known: which are to be sent now.
    pub(super) fn confirm(&mut self, to: &Stream, key: &Id) -> Option<Vec<(Id, Forward)>> {
        let waiting = self.waiting.get_mut(to)?;
        waiting.front().filter(|(first, _)| first == key)?;
        waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(to);
        }
        let freed = self.barred.remove(to).unwrap_or_default();
        Some([to.clone()].iter().chain(&freed).filter_map(|to| self.first(to)).collect())
    }

    /// All that is under way or may be.
    pub(super) fn under_way(&mut self) -> Vec<(Id, Forward)> {
        let all: Vec<_> = self.waiting.keys().cloned().collect();
        all.iter().filter_map(|to| self.first(to)).collect()
    }

    /// The first one to a receiver, unless it is barred.
    fn first(&mut self, to: &Stream) -> Option<(Id, Forward)> {
        let (key, forward) = self.waiting.get(to)?.front()?;
        let earlier = |of: &&Stream| {
            let first = self.waiting.get(*of).and_then(VecDeque::front);
            first.is_some_and(|(first, _)| first < key)
        };
        let Some(after) = forward.after.as_ref().filter(earlier) else {
            return Some((key.clone(), forward.clone()));
        };
        let bars = self.barred.entry(after.clone()).or_default();
        if !bars.contains(to) {
            bars.push(to.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user() -> Stream {
        Stream::user(&"00u".into())
    }

    fn channel() -> Stream {
        Stream::conversation(&"00c".into())
    }

    fn forward(emit: &Emit) -> Forward {
        Forward::of(emit).unwrap()
    }

    fn sent(forwards: &[(Id, Forward)]) -> Vec<&str> {
        forwards.iter().map(|(_, forward)| forward.order.as_str().unwrap()).collect()
    }

    /// Somebody waits, and is met before they have confirmed that; and the one who meets them does so later.
    fn queue() -> Vec<(Id, Forward)> {
        let emits = [
            Emit::Forward(user(), json!("waits")),
            Emit::ForwardAfter(channel(), json!("open"), user()),
            Emit::Forward(channel(), json!("next")),
            Emit::Forward(user(), json!("waits not")),
        ];
        emits.iter().enumerate().map(|(at, emit)| (key(at as u64, 1, 0), forward(emit))).collect()
    }

    #[test]
    fn an_order_waits_for_what_was_forwarded_to_another_before() {
        let mut forwards = Forwards::default();
        let now: Vec<_> = queue().into_iter().map(|(key, forward)| forwards.add(key, forward)).collect();
        assert_eq!(now, [true, false, false, false]);
        assert_eq!(sent(&forwards.under_way()), ["waits"]);
        let next = forwards.confirm(&user(), &key(0, 1, 0)).unwrap();
        assert_eq!(sent(&next), ["waits not", "open"], "what came later to the same does not hold it up");
        assert_eq!(forwards.confirm(&user(), &key(0, 1, 0)), None, "confirmed twice");
        assert_eq!(sent(&forwards.confirm(&channel(), &key(1, 1, 0)).unwrap()), ["next"]);
        assert!(sent(&forwards.confirm(&user(), &key(3, 1, 0)).unwrap()).is_empty());
        assert!(sent(&forwards.confirm(&channel(), &key(2, 1, 0)).unwrap()).is_empty());
        assert!(forwards.is_empty());
    }

    #[test]
    fn the_agenda_keeps_who_waits_for_whom() {
        let item = |(key, forward): (Id, Forward)| AgendaItem {
            shard: 0,
            stream: "q/00q".into(),
            key,
            due: 1,
            body: forward.body(),
        };
        let mut items: Vec<_> = queue().into_iter().map(item).collect();
        items.reverse();
        let mut forwards = Forwards::restore(items);
        assert_eq!(sent(&forwards.under_way()), ["waits"]);
        let next = forwards.confirm(&user(), &key(0, 1, 0)).unwrap();
        assert_eq!(sent(&next), ["waits not", "open"]);
        let old = Forward::kept(&AgendaItem {
            shard: 0,
            stream: "q/00q".into(),
            key: key(0, 1, 0),
            due: 1,
            body: br#"{"to":"u/00u","order":"waits"}"#.as_slice().into(),
        });
        assert_eq!(old, Some(forward(&Emit::Forward(user(), json!("waits")))));
    }
}
