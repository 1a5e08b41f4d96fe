//! What coalesces for a client that reads slowly: of live metadata that it was not sent yet, only the latest value of
//! each key matters. An event goes once later ones have all of its keys; nothing is put together, and nothing changes
//! its place.

use levee_proto::{Body, Id};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The type of the messages that coalesce.
const METADATA: &str = "ninchat.com/metadata";

/// Whose metadata it is, where, and whether it is folded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
struct Source {
    channel_id: Option<Id>,
    user_id: Option<Id>,
    message_user_id: Option<Id>,
    #[serde(default)]
    message_fold: bool,
}

#[derive(Deserialize)]
struct Content {
    data: BTreeMap<String, IgnoredAny>,
}

type Key = Arc<(Source, String)>;

/// An event that was not sent yet.
#[derive(Debug, Clone)]
struct Waiting {
    keys: Vec<Key>,
    /// Of how many of them it has the latest value.
    latest: usize,
}

/// Metadata that was not sent yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    latest: HashMap<Key, u64>,
    waiting: BTreeMap<u64, Waiting>,
}

impl Live {
    /// Takes in an event, and says which earlier ones tell nothing that it does not.
    pub(super) fn add(&mut self, event_id: u64, body: &Body, message_type: Option<&str>) -> Vec<u64> {
        let Some(keys) = (message_type == Some(METADATA)).then(|| keys(body)).flatten() else {
            return Vec::new();
        };
        let mut over = Vec::new();
        for key in &keys {
            let Some(before) = self.latest.insert(key.clone(), event_id) else { continue };
            let Some(waiting) = self.waiting.get_mut(&before) else { continue };
            waiting.latest -= 1;
            if waiting.latest == 0 {
                self.waiting.remove(&before);
                over.push(before);
            }
        }
        if !keys.is_empty() {
            self.waiting.insert(event_id, Waiting { latest: keys.len(), keys });
        }
        over
    }

    /// Events up to this one were sent: they stay what they are.
    pub(super) fn sent(&mut self, event_id: u64) {
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= event_id) {
            let event_id = *first.key();
            for key in first.remove().keys {
                if self.latest.get(&key) == Some(&event_id) {
                    self.latest.remove(&key);
                }
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// What a message tells of.
fn keys(body: &Body) -> Option<Vec<Key>> {
    let source: Source = serde_json::from_str(body.header()).ok()?;
    let content: Content = serde_json::from_slice(body.parts.first()?).ok()?;
    Some(content.data.into_keys().map(|key| Arc::new((source.clone(), key))).collect())
}
