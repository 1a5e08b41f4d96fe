//! Statistics of a queue, by the hour: sums, to which each record adds and from which corrections take away.
//!
//! An audience counts in one group of each hour in which something happened to it. What it counts for changes
//! after its end, when it is rated or tagged; then its old share is taken away and its new one is added, be it
//! days later. So hours that are over are not kept in the state: they are records of their own, and whoever asks
//! for an hour adds up all that there is of it.

use levee_proto::types::seconds;
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod hours;
#[cfg(test)]
mod tests;

pub use hours::{Wanted, name, number};

/// Microseconds of an hour.
pub const HOUR: u64 = 3_600_000_000;
/// For how many hours an hour that is over stays in the state: most corrections come within them.
const KEPT: u64 = 24;
/// How many hours are written down at a time.
const AT_ONCE: usize = 24;
/// How many groups an hour has; what goes beyond counts for the agent alone.
const GROUPS: usize = 500;
/// How many stages of visitors an hour has; what goes beyond counts as a visit of no name.
const STAGES: usize = 32;
/// How many tags an audience counts for.
const TAGS: usize = 32;
/// How many variables an audience may have, so that they count.
const VARS: usize = 16;
/// Bytes of a variable's name, a variable's value and a tag, so that they count.
const BYTES: usize = 128;
/// How many conversations are remembered by what they told last: the order may come twice.
const REMEMBERED: usize = 1024;

/// How often, and for how long in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    #[serde(rename = "n")]
    count: i64,
    #[serde(rename = "us", default, skip_serializing_if = "is_zero")]
    micros: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn is_none(sum: &Sum) -> bool {
    *sum == Sum::default()
}

impl Sum {
    fn add(&mut self, count: i64, micros: u64) {
        self.count += count;
        self.micros += count * i64::try_from(micros).unwrap_or(i64::MAX / 2);
    }

    fn merge(&mut self, other: &Self, sign: i64) {
        self.count += sign * other.count;
        self.micros += sign * other.micros;
    }

    /// Seconds, on the average.
    fn average(&self) -> Option<f64> {
        let micros = u64::try_from(self.micros).ok()?;
        (self.count > 0).then(|| seconds(micros) / self.count as f64)
    }
}

/// What a group has in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Group {
    #[serde(rename = "a")]
    agent: Id,
    #[serde(rename = "t", default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<Id>,
    #[serde(rename = "v", default, skip_serializing_if = "BTreeMap::is_empty")]
    vars: BTreeMap<Text, Text>,
}

/// What became of a group's audiences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Served {
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    accepted: i64,
    #[serde(rename = "f", default, skip_serializing_if = "is_none")]
    finished: Sum,
    #[serde(rename = "r", default, skip_serializing_if = "BTreeMap::is_empty")]
    ratings: BTreeMap<i64, i64>,
}

/// The sums of an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    #[serde(default, skip_serializing_if = "is_zero")]
    described: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    requested: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    registered: i64,
    #[serde(default, skip_serializing_if = "is_none")]
    accepted: Sum,
    #[serde(default, skip_serializing_if = "is_none")]
    dropped: Sum,
    /// What counts for less than it says, for its hour had too much of that kind.
    #[serde(default, skip_serializing_if = "is_zero")]
    merged: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    stages: BTreeMap<Text, i64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "as_pairs")]
    groups: BTreeMap<Group, Served>,
}

/// JSON has no maps by objects: groups are stored as pairs.
mod as_pairs {
    use super::{Group, Served};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        groups: &BTreeMap<Group, Served>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(groups)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Group, Served>, D::Error> {
        Ok(Vec::<(Group, Served)>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl Hour {
    fn group(&mut self, share: &Share, sign: i64) -> &mut Served {
        let group = Group { agent: share.agent.clone(), tags: share.tags.clone(), vars: share.vars.clone() };
        if self.groups.len() < GROUPS || self.groups.contains_key(&group) {
            return self.groups.entry(group).or_default();
        }
        self.merged += sign;
        // There are no more of these than agents.
        self.groups.entry(Group { agent: group.agent, ..Group::default() }).or_default()
    }

    fn visit(&mut self, stage: &Text, count: i64) {
        let known = self.stages.len() < STAGES || self.stages.contains_key(stage);
        if !known {
            self.merged += count;
        }
        *self.stages.entry(if known { stage.clone() } else { Text::default() }).or_default() += count;
    }

    /// Adds all of another hour, or takes it away.
    pub fn merge(&mut self, other: &Self, sign: i64) {
        self.described += sign * other.described;
        self.requested += sign * other.requested;
        self.registered += sign * other.registered;
        self.accepted.merge(&other.accepted, sign);
        self.dropped.merge(&other.dropped, sign);
        self.merged += sign * other.merged;
        for (stage, count) in &other.stages {
            *self.stages.entry(stage.clone()).or_default() += sign * count;
        }
        for (group, served) in &other.groups {
            let own = self.groups.entry(group.clone()).or_default();
            own.accepted += sign * served.accepted;
            own.finished.merge(&served.finished, sign);
            for (rating, count) in &served.ratings {
                *own.ratings.entry(*rating).or_default() += sign * count;
            }
        }
    }

    /// Forgets what is zero.
    fn tidy(&mut self) {
        self.stages.retain(|_, count| *count != 0);
        self.groups.retain(|_, served| {
            served.ratings.retain(|_, count| *count != 0);
            *served != Served::default()
        });
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// As the wire has it; `None` if nothing happened.
    pub fn shown(mut self) -> Option<Value> {
        self.tidy();
        if self == Self::default() {
            return None;
        }
        let mut shown = json!({"describe_count": self.described, "request_count": self.requested,
            "drop_count": self.dropped.count});
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown[name] = value;
            }
        };
        put("accept_delay_avg", self.accepted.average().map(Value::from));
        put("drop_delay_avg", self.dropped.average().map(Value::from));
        put("levee_register_count", (self.registered != 0).then(|| self.registered.into()));
        put("levee_merged_count", (self.merged != 0).then(|| self.merged.into()));
        put("levee_stages", (!self.stages.is_empty()).then(|| json!(self.stages)));
        let audiences: Vec<Value> = self.groups.iter().map(|(group, served)| row(group, served)).collect();
        put("audiences", (!audiences.is_empty()).then(|| audiences.into()));
        Some(shown)
    }
}

fn row(group: &Group, served: &Served) -> Value {
    let mut row = json!({"agent_id": group.agent, "accept_count": served.accepted,
        "finish_count": served.finished.count});
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            row[name] = value;
        }
    };
    put("tag_ids", (!group.tags.is_empty()).then(|| json!(group.tags)));
    put("vars", (!group.vars.is_empty()).then(|| json!(group.vars)));
    put("finish_duration_avg", served.finished.average().map(Value::from));
    put("ratings", (!served.ratings.is_empty()).then(|| json!(served.ratings)));
    row
}

/// What an audience counts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Who accepted it.
    pub agent: Id,
    /// When, microseconds since 1970.
    pub accepted: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
    /// How it was rated; counted with its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<i64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<Id>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    vars: BTreeMap<Text, Text>,
}

impl Share {
    /// Of an audience that an agent accepts now. Its variables count if they are few, short and texts.
    pub fn new(agent: &Id, metadata: Option<&Object>, now: u64) -> Self {
        let vars = metadata.and_then(|metadata| metadata.get("vars")?.as_object());
        let fits = |vars: &&Object| {
            let short = |(name, value): (&String, &Value)| {
                name.len() <= BYTES && value.as_str().is_some_and(|value| value.len() <= BYTES)
            };
            vars.len() <= VARS && vars.iter().all(short)
        };
        let text = |(name, value): (&String, &Value)| Some((name.into(), value.as_str()?.into()));
        Self {
            agent: agent.clone(),
            accepted: now,
            finished: None,
            rating: None,
            tags: BTreeSet::new(),
            vars: vars.filter(fits).map(|vars| vars.iter().filter_map(text).collect()).unwrap_or_default(),
        }
    }

    /// Takes in what the agent's side says of it.
    pub fn tag(&mut self, data: &Object) {
        let tags = match data.get("tag_ids") {
            Some(Value::Null) => BTreeSet::new(),
            Some(Value::Array(tags)) => {
                let tags = tags.iter().filter_map(Value::as_str).filter(|tag| tag.len() <= BYTES);
                tags.take(TAGS).map(Id::from).collect()
            }
            _ => return,
        };
        self.tags = tags;
    }

    /// Takes in what the customer says of it.
    pub fn rate(&mut self, data: &Object) {
        if let Some(rating) = data.get("rating") {
            match rating.as_i64() {
                Some(rating @ -1..=1) => self.rating = Some(rating),
                Some(_) => {}
                None if rating.is_null() => self.rating = None,
                None => {}
            }
        }
    }
}

/// A queue's statistics, as far as they are not written down yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stats {
    /// The hours.
    hours: BTreeMap<u64, Hour>,
    /// The latest hour of all.
    latest: Option<u64>,
    /// Conversations, each with the last of its records that was counted.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    told: VecDeque<(Id, u64)>,
}

impl Stats {
    fn hour(&mut self, time: u64) -> &mut Hour {
        let hour = time / HOUR;
        self.latest = self.latest.max(Some(hour));
        self.hours.entry(hour).or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn requested(&mut self, time: u64) {
        self.hour(time).requested += 1;
    }

    pub(super) fn registered(&mut self, time: u64) {
        self.hour(time).registered += 1;
    }

    pub(super) fn dropped(&mut self, time: u64, since: u64) {
        self.hour(time).dropped.add(1, time.saturating_sub(since));
    }

    /// Somebody was accepted who had waited.
    pub(super) fn waited(&mut self, time: u64, since: u64) {
        self.hour(time).accepted.add(1, time.saturating_sub(since));
    }

    pub(super) fn visited(&mut self, time: u64, described: u64, stages: &BTreeMap<Text, u64>) {
        let hour = self.hour(time);
        hour.described += i64::try_from(described).unwrap_or_default();
        for (stage, count) in stages {
            hour.visit(stage, i64::try_from(*count).unwrap_or_default());
        }
    }

    /// Adds what an audience counts for, or takes it away.
    pub(super) fn count(&mut self, share: &Share, sign: i64) {
        self.hour(share.accepted).group(share, sign).accepted += sign;
        if let Some(finished) = share.finished {
            let served = self.hour(finished).group(share, sign);
            served.finished.add(sign, finished.saturating_sub(share.accepted));
            if let Some(rating) = share.rating {
                *served.ratings.entry(rating).or_default() += sign;
            }
        }
    }

    /// Whether a conversation's record was counted before.
    pub(super) fn knows(&self, conversation: &Id, seq: u64) -> bool {
        self.told.iter().any(|(known, last)| known == conversation && *last >= seq)
    }

    pub(super) fn remember(&mut self, conversation: Id, seq: u64) {
        self.told.retain(|(known, _)| *known != conversation);
        self.told.push_back((conversation, seq));
        if self.told.len() > REMEMBERED {
            self.told.pop_front();
        }
    }

    /// Hours to write down, for they are over.
    pub(super) fn due(&self, now: u64) -> impl Iterator<Item = (u64, Hour)> {
        let over = (now / HOUR).saturating_sub(KEPT);
        self.hours.range(..over).take(AT_ONCE).map(|(number, hour)| {
            let mut hour = hour.clone();
            hour.tidy();
            (*number, hour)
        })
    }

    /// An hour was written down.
    pub(super) fn settle(&mut self, number: u64, written: &Hour) {
        if let Some(hour) = self.hours.get_mut(&number) {
            // More of it may have come with the same decision.
            hour.merge(written, -1);
            hour.tidy();
            if *hour == Hour::default() {
                self.hours.remove(&number);
            }
        }
    }
}
