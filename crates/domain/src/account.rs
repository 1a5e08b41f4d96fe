//! A user's account: what the user owns of which there may be only so much.
//!
//! Whatever is about to be made is reserved first, under its id, so that of two that are made at a time one is
//! refused. Whoever decides over it then tells that it is there, or that it is gone again; what nobody tells of is not
//! counted for long.

use crate::machine::Emit;
use crate::view::Stream;
use levee_proto::{ErrorType, Id, Object, Rejection, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// In a user's glance, for the user's session and not for the wire: how much the user owns.
pub const ACCOUNT: &str = "$account";
/// For how long something is reserved, in microseconds: longer than any session waits for its answer.
const RESERVED: u64 = 60_000_000;
/// How many things that are gone are remembered: what is told of them may come late.
const REMEMBERED: usize = 256;

/// What there are quotas for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// Channels, but those of audiences and those that are suspended.
    Channels,
    /// Realms.
    Realms,
    /// Queues, of all the user's realms.
    Queues,
    /// Files that were sent: their bytes.
    Uploads,
}

impl Thing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Channels, Self::Realms, Self::Queues, Self::Uploads];

    /// Its name in `user_account`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Realms => "realms",
            Self::Queues => "queues",
            Self::Uploads => "uploads",
        }
    }

    fn refusal(self) -> ErrorType {
        match self {
            Self::Channels => ErrorType::ChannelQuotaExceeded,
            Self::Realms => ErrorType::RealmQuotaExceeded,
            Self::Queues => ErrorType::QueueQuotaExceeded,
            Self::Uploads => ErrorType::UploadQuotaExceeded,
        }
    }
}

/// How much one may own, each; and how many members each queue may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Channels.
    pub channels: u64,
    /// Realms.
    pub realms: u64,
    /// Queues.
    pub queues: u64,
    /// Members of a queue.
    pub queue_members: u64,
    /// Bytes of files that were sent; 0 for any number.
    pub upload_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { channels: 1000, realms: 100, queues: 1000, queue_members: 1000, upload_bytes: 0 }
    }
}

impl Quotas {
    /// How many of these one may own, if that is limited.
    pub(crate) fn limit(&self, thing: Thing) -> Option<u64> {
        Some(self.of(thing)).filter(|most| *most < u64::MAX)
    }

    /// How many of these one may own; of files, how many bytes.
    pub fn of(&self, thing: Thing) -> u64 {
        match thing {
            Thing::Channels => self.channels,
            Thing::Realms => self.realms,
            Thing::Queues => self.queues,
            Thing::Uploads if self.upload_bytes == 0 => u64::MAX,
            Thing::Uploads => self.upload_bytes,
        }
    }

    /// The object `user_account` of somebody whose session was told so much of what they own.
    pub fn account(&self, owned: Option<&Value>) -> Object {
        let count =
            |thing: Thing| owned.and_then(|owned| owned.get(thing.name())?.as_u64()).unwrap_or_default();
        let quota = |thing: Thing| {
            let quota = self.limit(thing)?;
            let available = quota.saturating_sub(count(thing));
            Some((thing.name().to_owned(), json!({"quota": quota, "available": available})))
        };
        let members = ("queue_members".to_owned(), json!({"quota": self.queue_members}));
        Thing::ALL.into_iter().filter_map(quota).chain([members]).collect()
    }

    /// The object `owner_account` of a realm whose owner has so much.
    pub fn owner_account(&self, owned: &Value) -> Object {
        let mut account = self.account(Some(owned));
        account.remove(Thing::Realms.name());
        account.remove(Thing::Uploads.name());
        account
    }
}

/// What was reserved for an action: under which id, in whose account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Whose account.
    pub owner: Id,
    /// The id of what is about to be made.
    pub id: Id,
}

/// What others order of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccountOrder {
    /// Something is about to be made, unless there are so many already.
    Reserve {
        /// What.
        thing: Thing,
        /// Its id.
        id: Id,
        /// How many there may be; of files, how many bytes.
        most: u64,
        /// How many bytes it has, if it is a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// It was not made.
    Free {
        /// Its id.
        id: Id,
    },
    /// Something is there.
    Owned {
        /// What.
        thing: Thing,
        /// Its id.
        id: Id,
        /// The record that says so, of whoever decides over it.
        seq: u64,
        /// How many bytes it has, if it is a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Things are gone, or do not count any more.
    Gone {
        /// Their ids.
        ids: Vec<Id>,
        /// The record that says so.
        seq: u64,
    },
}

impl AccountOrder {
    /// The order, as a user gets it.
    pub fn of_user(&self) -> Value {
        json!({"Account": self})
    }

    /// Orders it of an account, for certain.
    pub(crate) fn forward(&self, owner: &Id) -> Emit {
        Emit::Forward(Stream::user(owner), self.of_user())
    }
}

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountRecord {
    /// Something is about to be made.
    Reserved {
        /// What.
        thing: Thing,
        /// Its id.
        id: Id,
        /// How many bytes it has, if it is a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// It was not made.
    Freed {
        /// Its id.
        id: Id,
    },
    /// Something is there.
    Owned {
        /// What.
        thing: Thing,
        /// Its id.
        id: Id,
        /// The record that says so.
        seq: u64,
        /// How many bytes it has, if it is a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Things are gone.
    Gone {
        /// Their ids.
        ids: Vec<Id>,
        /// The record that says so.
        seq: u64,
    },
}

/// What a user owns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What is there, each with the record that says so.
    #[serde(default)]
    owned: BTreeMap<Id, (Thing, u64)>,
    /// What is about to be made, each since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reserved: BTreeMap<Id, (Thing, u64)>,
    /// How many bytes files have, of those that are there and those that are about to be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<Id, u64>,
    /// What is gone, lately, each with the record that says so.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    gone: VecDeque<(Id, u64)>,
}

impl Account {
    /// Whether nothing was ever owned.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What something counts for: a file for its bytes, anything else for one.
    fn size(&self, id: &Id) -> u64 {
        self.sizes.get(id).copied().unwrap_or(1)
    }

    /// How much there is of each, as a user's glance has it.
    pub fn shown(&self) -> Value {
        let count = |thing: Thing| {
            let all = self.owned.iter().filter(|(_, (of, _))| *of == thing);
            all.fold(0_u64, |sum, (id, _)| sum.saturating_add(self.size(id)))
        };
        Thing::ALL
            .into_iter()
            .map(|thing| (thing.name().to_owned(), json!(count(thing))))
            .collect::<Object>()
            .into()
    }

    /// What an order comes to; nothing if it is so already.
    ///
    /// # Errors
    /// The thing's `_quota_exceeded` when there are as many as there may be.
    pub(crate) fn decide(&self, order: AccountOrder, now: u64) -> Result<Option<AccountRecord>, Rejection> {
        Ok(match order {
            AccountOrder::Reserve { thing, id, most, size } => {
                let wanted = size.unwrap_or(1);
                if self.owned.contains_key(&id) && wanted <= self.size(&id) {
                    return Ok(None);
                }
                let fresh = self.reserved.iter().filter(|(_, (_, since))| now < since + RESERVED);
                let others = self.owned.iter().chain(fresh);
                let others = others.filter(|(other, (of, _))| **other != id && *of == thing);
                let (count, sum) = others.fold((0, 0_u64), |(count, sum), (other, _)| {
                    (count + 1, sum.saturating_add(self.size(other)))
                });
                if sum.saturating_add(wanted) > most || thing == Thing::Uploads && count >= limits::USER_FILES
                {
                    return Err(Rejection::new(thing.refusal()));
                }
                Some(AccountRecord::Reserved { thing, id, size })
            }
            AccountOrder::Free { id } => {
                self.reserved.contains_key(&id).then_some(AccountRecord::Freed { id })
            }
            AccountOrder::Owned { thing, id, seq, size } => {
                let known = self.owned.get(&id).is_some_and(|(_, last)| *last >= seq)
                    || self.gone.iter().any(|(gone, last)| *gone == id && *last >= seq);
                (!known).then_some(AccountRecord::Owned { thing, id, seq, size })
            }
            AccountOrder::Gone { mut ids, seq } => {
                ids.retain(|id| self.owned.get(id).is_some_and(|(_, last)| *last < seq));
                (!ids.is_empty()).then_some(AccountRecord::Gone { ids, seq })
            }
        })
    }

    fn note_size(&mut self, id: &Id, size: Option<u64>) {
        if let Some(size) = size {
            self.sizes.insert(id.clone(), size);
        }
    }

    pub(crate) fn apply(&mut self, now: u64, record: AccountRecord) {
        match record {
            AccountRecord::Reserved { thing, id, size } => {
                self.reserved.retain(|_, (_, since)| now < *since + RESERVED);
                self.note_size(&id, size.filter(|_| !self.owned.contains_key(&id)));
                self.reserved.insert(id, (thing, now));
                let (owned, reserved) = (&self.owned, &self.reserved);
                self.sizes.retain(|id, _| owned.contains_key(id) || reserved.contains_key(id));
            }
            AccountRecord::Freed { id } => {
                self.reserved.remove(&id);
                if !self.owned.contains_key(&id) {
                    self.sizes.remove(&id);
                }
            }
            AccountRecord::Owned { thing, id, seq, size } => {
                self.reserved.remove(&id);
                self.note_size(&id, size);
                self.owned.insert(id, (thing, seq));
            }
            AccountRecord::Gone { ids, seq } => {
                for id in ids {
                    self.owned.remove(&id);
                    self.sizes.remove(&id);
                    self.gone.push_back((id, seq));
                }
                while self.gone.len() > REMEMBERED {
                    self.gone.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(account: &mut Account, order: Value, now: u64) -> Result<bool, ErrorType> {
        let order = serde_json::from_value(order).unwrap();
        let record = account.decide(order, now).map_err(|refusal| refusal.error_type)?;
        let changes = record.is_some();
        record.into_iter().for_each(|record| account.apply(now, record));
        let stored = serde_json::to_string(account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&stored).unwrap(), *account, "{stored}");
        Ok(changes)
    }

    fn reserve(account: &mut Account, thing: &str, id: &str, now: u64) -> Result<bool, ErrorType> {
        give(account, json!({"Reserve": {"thing": thing, "id": id, "most": 2}}), now)
    }

    fn owned(account: &mut Account, id: &str, seq: u64) -> bool {
        give(account, json!({"Owned": {"thing": "channels", "id": id, "seq": seq}}), 0).unwrap()
    }

    fn gone(account: &mut Account, ids: &[&str], seq: u64) -> bool {
        give(account, json!({"Gone": {"ids": ids, "seq": seq}}), 0).unwrap()
    }

    #[test]
    fn what_is_reserved_counts_once_until_it_is_there_or_freed_or_forgotten() {
        let mut account = Account::default();
        let full = Err(ErrorType::ChannelQuotaExceeded);
        assert_eq!(reserve(&mut account, "channels", "a", 0), Ok(true));
        assert_eq!(reserve(&mut account, "channels", "a", 1), Ok(true), "a retry");
        assert_eq!(reserve(&mut account, "channels", "b", 2), Ok(true));
        assert_eq!(reserve(&mut account, "channels", "c", 3), full);
        assert_eq!(reserve(&mut account, "queues", "c", 3), Ok(true), "each has its own");
        assert_eq!(give(&mut account, json!({"Free": {"id": "b"}}), 4), Ok(true));
        assert_eq!(give(&mut account, json!({"Free": {"id": "b"}}), 4), Ok(false));
        assert_eq!(reserve(&mut account, "channels", "c", 5), Ok(true));
        assert!(owned(&mut account, "a", 1));
        assert_eq!(reserve(&mut account, "channels", "d", RESERVED), full);
        assert_eq!(reserve(&mut account, "channels", "a", RESERVED), Ok(false), "it is there");
        // Nobody has told of the other one.
        assert_eq!(reserve(&mut account, "channels", "d", RESERVED + 5), Ok(true));
        assert_eq!(account.shown(), json!({"channels": 1, "realms": 0, "queues": 0, "uploads": 0}));
    }

    #[test]
    fn what_comes_twice_or_late_changes_nothing() {
        let mut account = Account::default();
        assert!(owned(&mut account, "a", 1) && !owned(&mut account, "a", 1));
        assert!(gone(&mut account, &["a", "unknown"], 4) && !gone(&mut account, &["a"], 4));
        assert!(!owned(&mut account, "a", 1), "a copy that comes late");
        assert!(owned(&mut account, "a", 7), "it counts again");
        assert!(!gone(&mut account, &["a"], 4), "a copy that comes late");
        assert_eq!(account.shown()["channels"], 1);
        for number in 0..300 {
            owned(&mut account, &number.to_string(), 1);
            gone(&mut account, &[&number.to_string()], 2);
        }
        assert_eq!(account.gone.len(), REMEMBERED);
    }

    #[test]
    fn an_account_tells_of_each_what_may_be_and_what_is_left() {
        let quotas = Quotas { channels: 3, realms: 2, queues: 0, queue_members: 9, upload_bytes: 0 };
        let shown = quotas.account(Some(&json!({"channels": 1, "realms": 5})));
        let expected = json!({"channels": {"quota": 3, "available": 2}, "realms": {"quota": 2, "available": 0},
            "queues": {"quota": 0, "available": 0}, "queue_members": {"quota": 9}});
        assert_eq!(Value::Object(shown), expected);
        let owned = json!({"channels": 1, "realms": 5, "uploads": 70});
        let quotas = Quotas { upload_bytes: 100, ..quotas };
        assert_eq!(quotas.account(Some(&owned))["uploads"], json!({"quota": 100, "available": 30}));
        let names: Vec<_> = quotas.owner_account(&owned).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["channels", "queue_members", "queues"]);
    }

    #[test]
    fn files_count_by_their_bytes_while_they_are_there() {
        let mut account = Account::default();
        let reserve = |account: &mut Account, id: &str, size: u64, now: u64| {
            let order = json!({"Reserve": {"thing": "uploads", "id": id, "most": 100, "size": size}});
            give(account, order, now)
        };
        let there = |account: &mut Account, id: &str, size: u64, seq: u64| {
            give(account, json!({"Owned": {"thing": "uploads", "id": id, "seq": seq, "size": size}}), 0)
                .unwrap()
        };
        let full = Err(ErrorType::UploadQuotaExceeded);
        assert_eq!(reserve(&mut account, "a", 101, 0), full);
        assert_eq!(reserve(&mut account, "a", 60, 0), Ok(true));
        assert_eq!(reserve(&mut account, "b", 41, 1), full);
        assert_eq!(reserve(&mut account, "b", 40, 1), Ok(true));
        assert_eq!(account.shown()["uploads"], 0);
        assert!(there(&mut account, "a", 60, 1) && !there(&mut account, "a", 60, 1));
        assert_eq!(account.shown()["uploads"], 60);
        // One that was reserved and never came counts for a while only.
        assert_eq!(reserve(&mut account, "c", 41, 2), full);
        assert_eq!(reserve(&mut account, "c", 40, RESERVED + 2), Ok(true));
        assert_eq!(give(&mut account, json!({"Free": {"id": "c"}}), RESERVED + 3), Ok(true));
        // How large one is may be said later; asking for what it has is nothing new.
        assert!(there(&mut account, "d", 0, 1));
        assert_eq!(reserve(&mut account, "d", 41, RESERVED + 4), full);
        assert_eq!(reserve(&mut account, "d", 40, RESERVED + 4), Ok(true));
        assert!(there(&mut account, "d", 40, 2) && !there(&mut account, "d", 0, 1));
        assert_eq!(reserve(&mut account, "d", 40, RESERVED + 5), Ok(false));
        assert_eq!(account.shown()["uploads"], 100);
        assert!(gone(&mut account, &["a"], 7));
        assert_eq!((account.shown()["uploads"].clone(), account.sizes.len()), (json!(40), 1));
    }
}
