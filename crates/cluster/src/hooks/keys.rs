//! The keys that webhooks are signed with: one row of the directory for the whole cluster.
//!
//! A key is made when the first one is needed. Another one that takes its place is published at once and signs after a
//! grace, so that whoever verifies has had time to see it; the one before stays published until all that it signed
//! has expired.

use super::deliver::HOLDS;
use crate::enter::unavailable;
use crate::hub::Hub;
use bytes::Bytes;
use levee_proto::{ErrorType, Rejection, Text};
use levee_store::{Commit, DirectoryChange, Epoch, Expect, Lease, NodeRow, Shard, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The namespace of the row in the directory, and its key.
const NAMESPACE: &str = "webhook_keys";
const ROW: &str = "keys";
/// For how long what was read is good.
const FRESH: Duration = Duration::from_secs(5);
/// How long a key is published after the last time that it signed: twice as long as what it signs holds, and some.
const OUTLIVES: Duration = Duration::from_secs(2 * HOLDS + 60);
/// How often it is tried to be the first who makes a key.
const TRIES: usize = 4;

/// A key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its name.
    pub kid: Text,
    /// Its private part, as a PKCS #8 document.
    pub secret: Vec<u8>,
    /// From when on it signs, microseconds since 1970.
    pub since: u64,
    /// Until when it is published, if it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// All keys, those that sign later last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SigningKeys(Vec<SigningKey>);

/// What was read, and when.
pub(super) struct Known {
    keys: Rc<SigningKeys>,
    read: Instant,
}

impl SigningKeys {
    /// Has another key take the place of the one that signs, after a grace.
    fn rotate(&mut self, key: SigningKey, now: u64) {
        self.0.retain(|key| key.until.is_none_or(|until| until > now));
        for old in &mut self.0 {
            old.until.get_or_insert(key.since + OUTLIVES.as_micros() as u64);
        }
        self.0.push(key);
    }

    /// Every key with what it is for at a time: public parts only.
    fn listed(&self, now: u64) -> Vec<ListedKey> {
        let signs = self.signs(now).map(|key| key.kid.clone());
        let listed = |key: &&SigningKey| ListedKey {
            kid: key.kid.clone(),
            signs: signs.as_ref() == Some(&key.kid),
            since: key.since,
            until: key.until,
        };
        self.published(now).iter().map(listed).collect()
    }

    /// The one that signs at a time.
    pub(super) fn signs(&self, now: u64) -> Option<&SigningKey> {
        self.0.iter().rev().find(|key| key.since <= now).or(self.0.first())
    }

    /// Those that are published at a time.
    fn published(&self, now: u64) -> Vec<&SigningKey> {
        self.0.iter().filter(|key| key.until.is_none_or(|until| until > now)).collect()
    }
}

/// What may be told of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name.
    pub kid: Text,
    /// Whether it signs now.
    pub signs: bool,
    /// From when on it signs, microseconds since 1970.
    pub since: u64,
    /// Until when it is published, if another one takes its place.
    pub until: Option<u64>,
}

/// Lists the keys that are published.
///
/// # Errors
/// What the store says.
pub async fn list_keys(store: &dyn Store) -> Result<Vec<ListedKey>, StoreError> {
    Ok(stored(store).await?.1.listed(crate::now()))
}

/// Has a new key take the place of the one that signs, after a grace, and lists them. Nodes may run meanwhile.
///
/// # Errors
/// What the store says.
pub async fn rotate_keys(
    store: &dyn Store,
    kid: Text,
    secret: Vec<u8>,
    grace: Duration,
) -> Result<Vec<ListedKey>, StoreError> {
    let now = crate::now();
    let mut failed = StoreError::Unavailable("no shard could be written under".into());
    for _ in 0..TRIES {
        let (expect, mut keys) = stored(store).await?;
        // The first one need not wait: nobody knows another.
        let since = if keys.0.is_empty() { now } else { now + grace.as_micros() as u64 };
        keys.rotate(SigningKey { kid: kid.clone(), secret: secret.clone(), since, until: None }, now);
        // The row is compared and set, whoever holds the shard: its epoch is all that is needed.
        let (shard, epoch) = any_epoch(store).await?;
        match store.commit(write(&keys, expect, shard, epoch)).await {
            Ok(()) => return Ok(keys.listed(now)),
            Err(error @ (StoreError::Taken { .. } | StoreError::Fenced { .. })) => failed = error,
            Err(error) => return Err(error),
        }
    }
    Err(failed)
}

/// A shard with its epoch; where no node has run yet, one that is taken for that.
async fn any_epoch(store: &dyn Store) -> Result<(Shard, Epoch), StoreError> {
    let found = |leases: Vec<Lease>| leases.into_iter().find(|lease| lease.epoch > 0);
    if let Some(lease) = found(store.leases().await?) {
        return Ok((lease.shard, lease.epoch));
    }
    let node = NodeRow { node: "keys".into(), ..NodeRow::default() };
    store.heartbeat(node, 1_000).await?;
    let taken = found(store.take("keys", &[0]).await?);
    store.leave("keys").await?;
    Ok(taken.map_or((0, 0), |lease| (lease.shard, lease.epoch)))
}

/// The keys as they are stored, and what the next change of them expects to find.
async fn stored(store: &dyn Store) -> Result<(Expect, SigningKeys), StoreError> {
    let Some(row) = store.get(NAMESPACE, ROW).await? else {
        return Ok((Expect::Absent, SigningKeys::default()));
    };
    let keys = serde_json::from_slice(&row.value)
        .map_err(|error| StoreError::Damaged(format!("the keys of webhooks can't be read: {error}")))?;
    Ok((Expect::Version(row.version), keys))
}

fn write(keys: &SigningKeys, expect: Expect, shard: Shard, epoch: Epoch) -> Commit {
    let value = serde_json::to_vec(keys).ok().map(Bytes::from);
    let row = DirectoryChange { namespace: NAMESPACE.into(), key: ROW.into(), expect, value };
    Commit { shard, epoch, directory: vec![row], ..Commit::default() }
}

impl Hub {
    /// The public keys by which everybody verifies what webhooks are told; `None` if no webhook is told anything
    /// here.
    ///
    /// # Errors
    /// `internal` when the store does not answer.
    pub async fn webhook_keys(&self) -> Result<Option<Value>, Rejection> {
        let Some(caller) = &self.shared.options.caller else { return Ok(None) };
        let keys = self.read_keys().await?;
        Ok(Some(caller.public(&keys.published(crate::now()))))
    }

    /// The keys as they are, or were a moment ago.
    ///
    /// # Errors
    /// `internal` when the store does not answer.
    pub(super) async fn signing_keys(&self) -> Result<Rc<SigningKeys>, Rejection> {
        if let Some(known) = self.hooks.keys.borrow().as_ref().filter(|known| known.read.elapsed() < FRESH) {
            return Ok(known.keys.clone());
        }
        let read = Instant::now();
        let keys = Rc::new(self.read_keys().await?);
        *self.hooks.keys.borrow_mut() = Some(Known { keys: keys.clone(), read });
        Ok(keys)
    }

    async fn read_keys(&self) -> Result<SigningKeys, Rejection> {
        let failed = |reason: &str| Rejection::new(ErrorType::Internal).because(reason);
        for _ in 0..TRIES {
            let (expect, keys) = stored(&*self.shared.store).await.map_err(unavailable)?;
            if expect != Expect::Absent {
                return Ok(keys);
            }
            let caller = self.shared.options.caller.as_ref();
            let secret = caller.and_then(|caller| caller.draw()).ok_or_else(|| failed("no key was drawn"))?;
            let key = SigningKey { kid: self.new_kid(), secret, since: crate::now(), until: None };
            let own = self
                .own_shard(0)
                .and_then(|shard| Some((shard, self.placement().epoch(shard, &self.shared.node)?)));
            let (shard, epoch) = own.unwrap_or_default();
            let commit = write(&SigningKeys(vec![key]), expect, shard, epoch);
            match self.shared.store.commit(commit).await {
                // Whoever was first has made one.
                Ok(()) | Err(StoreError::Taken { .. }) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(failed("no key could be made"))
    }

    /// A name for a new key: where it is published, and something by lot.
    fn new_kid(&self) -> Text {
        new_kid(&self.shared.options.public_address)
    }
}

/// A name for a new key: the host of an address, and something by lot.
pub fn new_kid(address: &str) -> Text {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = if host.is_empty() { "levee" } else { host };
    compact_str::format_compact!("{host}/ed25519-{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use levee_store::memory::MemoryStore;

    const S: u64 = 1_000_000;

    fn key(kid: &str, since: u64) -> SigningKey {
        SigningKey { kid: kid.into(), secret: vec![1], since, until: None }
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_the_old_one_until_all_that_it_signed_has_expired() {
        let mut keys = SigningKeys(vec![key("a", 0)]);
        keys.rotate(key("b", 700 * S), 100 * S);
        let at = |keys: &SigningKeys, now: u64| {
            let published: Vec<_> = keys.published(now).iter().map(|key| key.kid.to_string()).collect();
            (keys.signs(now).unwrap().kid.to_string(), published.join(" "))
        };
        for (now, signs, published) in [
            (100, "a", "a b"),
            (699, "a", "a b"),
            (700, "b", "a b"),
            (700 + 2 * HOLDS, "b", "a b"),
            (700 + 2 * HOLDS + 61, "b", "b"),
        ] {
            assert_eq!(at(&keys, now * S), (signs.into(), published.into()), "{now}");
        }
        // Once more within the grace: each has its turn.
        keys.rotate(key("c", 800 * S), 200 * S);
        for (now, signs) in [(200, "a"), (700, "b"), (800, "c")] {
            assert_eq!(at(&keys, now * S), (signs.into(), "a b c".into()), "{now}");
        }
        keys.rotate(key("d", 9_000 * S), 5_000 * S);
        assert_eq!(at(&keys, 5_000 * S), ("c".into(), "c d".into()), "what is over is gone");
    }

    #[tokio::test]
    async fn keys_rotate_in_a_store_that_no_node_has_used_and_again() {
        let store = MemoryStore::default();
        assert!(list_keys(&store).await.unwrap().is_empty());
        let grace = Duration::from_secs(600);
        let first = rotate_keys(&store, "a".into(), vec![1], grace).await.unwrap();
        assert_eq!(first.iter().map(|key| (key.kid.as_str(), key.signs)).collect::<Vec<_>>(), [("a", true)]);
        rotate_keys(&store, "b".into(), vec![2], grace).await.unwrap();
        let listed = list_keys(&store).await.unwrap();
        let told: Vec<_> =
            listed.iter().map(|key| (key.kid.as_str(), key.signs, key.until.is_some())).collect();
        assert_eq!(told, [("a", true, true), ("b", false, false)]);
    }
}
