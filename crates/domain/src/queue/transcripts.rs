//! A queue's audiences: those under way, and those that are over, as rows of the directory.
//!
//! The rows are written by what conversations tell, and follow one another by the time at which the audiences
//! ended. What is erased is erased by the conversations themselves; many are told a slice at a time.

use super::{Decision, Queue, QueueOrder, QueueRecord, Waiter};
use crate::conversation::Conversation;
use crate::machine::{Actor, Answer, Claim, Due, Emit, Entry, Input, Machine, Moment, Step, Timer};
use crate::past::{Amend, Range, Rows, Wanted};
use crate::rights::{Right, Standing};
use crate::settings;
use crate::view::Stream;
use bytes::Bytes;
use levee_proto::actions::queue::{DeleteQueueTranscripts, DescribeQueueTranscripts};
use levee_proto::attrs::UserAttrs;
use levee_proto::types::{micros, seconds};
use levee_proto::{Action, ErrorType, Id, Object, QueueAction, Rejection, events};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The namespace of transcripts in the directory.
const TRANSCRIPTS: &str = "transcript";
/// How many transcripts one answer lists at most.
const LISTED: usize = 1000;
/// How many transcripts are erased at once.
const SLICE: usize = 100;
/// How many intervals may wait to be erased.
const CLEARING: usize = 16;
/// The longest interval that one action erases, in microseconds: 31 days.
const MONTH: u64 = 31 * 86_400 * 1_000_000;

/// An audience, as its row keeps it. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAudience {
    /// Its id.
    pub audience: Id,
    /// The channel.
    pub channel: Id,
    /// Who accepted it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Id>,
    /// When it was asked for.
    pub requested: u64,
    /// When it was accepted last.
    pub accepted: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// What the customer thought of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<i64>,
    /// When its transcript is to be erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<u64>,
}

impl PastAudience {
    fn shown(&self) -> Object {
        let time = |time: u64| json!(seconds(time));
        let ended = self.ended.map(time);
        let all = [
            ("request_time", Some(time(self.requested))),
            ("accept_time", Some(time(self.accepted))),
            ("finish_time", ended.clone()),
            ("complete_time", ended),
            ("delete_time", self.delete.map(time)),
            ("channel_id", Some(json!(self.channel))),
            ("audience_id", Some(json!(self.audience))),
            ("agent_id", self.agent.as_ref().map(|id| json!(id))),
            ("rating", self.rating.map(|rating| json!(rating))),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// The key of an audience that ended at a time, among all of the queue's.
fn ended_key(queue: &Id, ended: u64, audience: &str) -> Id {
    compact_str::format_compact!("{}{ended:016}/{audience}", ended_prefix(queue, None))
}

/// What the keys begin with of audiences that ended: all of a queue's, or those that one accepted.
fn ended_prefix(queue: &Id, agent: Option<&Id>) -> Id {
    match agent {
        None => compact_str::format_compact!("{queue}/ended/"),
        Some(agent) => compact_str::format_compact!("{queue}/by/{agent}/"),
    }
}

/// The keys of a row of an audience that ended: among all of the queue's, and among its agent's.
fn ended_keys(queue: &Id, row: &PastAudience) -> Vec<Id> {
    let Some(ended) = row.ended else { return Vec::new() };
    let of_agent = |agent| {
        compact_str::format_compact!("{}{ended:016}/{}", ended_prefix(queue, Some(agent)), row.audience)
    };
    let among_all = ended_key(queue, ended, &row.audience);
    [among_all].into_iter().chain(row.agent.as_ref().map(of_agent)).collect()
}

/// The key of an audience that is under way.
fn open_key(queue: &Id, audience: &str) -> Id {
    compact_str::format_compact!("{queue}/open/{audience}")
}

fn put(key: Id, row: &PastAudience) -> Emit {
    claim(key, serde_json::to_vec(row).ok().map(Bytes::from))
}

fn remove(key: Id) -> Emit {
    claim(key, None)
}

fn claim(key: Id, value: Option<Bytes>) -> Emit {
    let refusal = Rejection::new(ErrorType::Internal);
    Emit::Claim(Claim { namespace: TRANSCRIPTS, key, value, absent: false, refusal })
}

/// Rows of audiences that ended at a time or later.
fn ended_since(queue: &Id, agent: Option<&Id>, begin: u64, limit: usize) -> Range {
    let prefix = ended_prefix(queue, agent);
    let after = compact_str::format_compact!("{prefix}{begin:016}");
    Range { prefix, after, limit }
}

/// The row of an audience that ended at a time.
fn ended_at(queue: &Id, ended: u64, audience: &str) -> Range {
    Range { prefix: ended_key(queue, ended, audience), after: Id::default(), limit: 1 }
}

/// The beginning and the end of an interval on the wire.
fn interval(begin: f64, end: Option<f64>) -> Result<(u64, u64), Rejection> {
    let is_time = |time: f64| time.is_finite() && time >= 0.0;
    if !is_time(begin) || end.is_some_and(|end| !is_time(end) || end < begin) {
        return Err(Rejection::malformed("the interval has a beginning and no earlier end, in seconds"));
    }
    Ok((micros(begin), end.map_or(u64::MAX, micros)))
}

impl Queue {
    /// The rows that an input looks at.
    pub(super) fn wants_rows(&self, at: &Moment<'_>, input: &Input<QueueOrder>) -> Option<Wanted> {
        let ranges = match input {
            Input::Action(actor, Action::Queue(QueueAction::DescribeQueueTranscripts(describe)), _) => {
                let standing = self.standing(at, &actor.user);
                if !standing.may(Right::ListTranscripts) {
                    return None;
                }
                let agent = (!standing.may(Right::EraseTranscript)).then_some(&actor.user);
                let (begin, _) = interval(describe.interval_begin, describe.interval_end).ok()?;
                let prefix = open_key(at.id, "");
                let open = Range { after: Id::default(), prefix, limit: LISTED };
                let ongoing = describe.interval_ongoing.unwrap_or_default().then_some(open);
                [ended_since(at.id, agent, begin, LISTED)].into_iter().chain(ongoing).collect()
            }
            Input::Order(QueueOrder::Clear) => {
                let (begin, _) = self.clearing.first()?;
                vec![ended_since(at.id, None, *begin, SLICE)]
            }
            Input::Order(QueueOrder::Ended { audience, instead }) => {
                let times = audience.ended.iter().chain(instead);
                times.map(|ended| ended_at(at.id, *ended, &audience.audience)).collect()
            }
            Input::Order(QueueOrder::Erased(erased)) => {
                erased.ended.iter().map(|ended| ended_at(at.id, *ended, &erased.audience)).collect()
            }
            Input::Action(..) | Input::Order(_) => return None,
        };
        Some(Wanted::Rows(Rows { namespace: TRANSCRIPTS, ranges }))
    }

    fn rows(at: &Moment<'_>) -> impl Iterator<Item = PastAudience> {
        let rows = at.past.map(|past| past.rows.as_slice()).unwrap_or_default();
        rows.iter().filter_map(|(_, row)| serde_json::from_slice(row).ok())
    }

    /// Lists audiences: to operators all, to who serves the queue those that they accepted.
    pub(super) fn describe_transcripts(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        describe: &DescribeQueueTranscripts,
    ) -> Decision {
        if !standing.may(Right::ListTranscripts) {
            return Err(Rejection::denied().about("queue_id", at.id));
        }
        let (begin, end) = interval(describe.interval_begin, describe.interval_end)?;
        let all = standing.may(Right::EraseTranscript);
        let is_cleared = |time: u64| self.clearing.iter().any(|(begin, end)| (*begin..=*end).contains(&time));
        let wanted = |row: &PastAudience| match row.ended {
            Some(ended) => (begin..=end).contains(&ended) && !is_cleared(ended),
            None => row.accepted <= end,
        };
        let rows =
            Self::rows(at).filter(|row| wanted(row) && (all || row.agent.as_ref() == Some(&actor.user)));
        Ok(Step::emit(Answer::event(&events::QueueTranscriptsFound {
            queue_id: at.id.clone(),
            queue_transcripts: rows.map(|row| row.shown()).collect(),
        })))
    }

    /// Notes that the audiences of an interval are to be erased. They are listed no more from now on.
    pub(super) fn delete_transcripts(
        &self,
        at: &Moment<'_>,
        standing: Standing,
        delete: &DeleteQueueTranscripts,
    ) -> Decision {
        if !standing.may(Right::EraseTranscript) {
            return Err(Rejection::denied().about("queue_id", at.id));
        }
        let (begin, end) = interval(delete.interval_begin, Some(delete.interval_end))?;
        if end - begin > MONTH {
            return Err(Rejection::malformed("the interval is longer than a month"));
        }
        if self.clearing.len() >= CLEARING {
            let reason = "other transcripts are being erased still";
            return Err(Rejection::new(ErrorType::SendRateLimited).because(reason).about("queue_id", at.id));
        }
        let record = QueueRecord::TranscriptsDeleted { begin, end: end.min(at.now) };
        Ok(Step::record(record).and(Emit::Wait(Timer::Transcript, Due::At(at.now))))
    }

    /// Erases some of what is to be erased.
    pub(super) fn clear(&self, at: &Moment<'_>) -> Step<QueueRecord> {
        let Some((begin, end)) = self.clearing.first().copied() else {
            return Step::emit(Emit::Unwait(Timer::Transcript));
        };
        let due: Vec<_> = Self::rows(at).filter(|row| row.ended.is_some_and(|ended| ended <= end)).collect();
        let again = Emit::Wait(Timer::Transcript, Due::At(at.now));
        if due.is_empty() {
            return match self.clearing.len() {
                1 => Step::record(QueueRecord::TranscriptsCleared).and(Emit::Unwait(Timer::Transcript)),
                _ => Step::record(QueueRecord::TranscriptsCleared).and(again),
            };
        }
        debug_assert!(begin <= end, "an interval does not end before it begins");
        let mut step = Step::emit(again);
        for row in due {
            step.emits.extend(ended_keys(at.id, &row).into_iter().map(remove));
            step.emits.push(Emit::Forward(Stream::conversation(&row.channel), json!("Erase")));
        }
        step
    }

    /// An audience begins.
    pub(super) fn begins(at: &Moment<'_>, audience: &Id, requested: u64, agent: &Id) -> Emit {
        let row = PastAudience {
            audience: audience.clone(),
            channel: Conversation::of_audience(audience),
            agent: Some(agent.clone()),
            requested,
            accepted: at.now,
            ended: None,
            rating: None,
            delete: None,
        };
        put(open_key(at.id, audience), &row)
    }

    /// An audience is not under way any more: its customer waits again.
    pub(super) fn waits_again(at: &Moment<'_>, audience: &Id) -> Emit {
        remove(open_key(at.id, audience))
    }

    /// An audience is over, or more has become known of it.
    pub(super) fn ended(
        &self,
        at: &Moment<'_>,
        mut row: PastAudience,
        instead: Option<u64>,
    ) -> Step<QueueRecord> {
        let Some(ended) = row.ended else { return Step::nothing() };
        let mut step = Step::emit(remove(open_key(at.id, &row.audience)));
        let before = Self::rows(at).find(|before| before.ended == instead && before.ended != Some(ended));
        for key in before.iter().flat_map(|before| ended_keys(at.id, before)) {
            step.emits.push(remove(key));
        }
        let known = Self::rows(at).find(|known| known.ended == Some(ended));
        row.delete = match &known {
            // What is set later is for later audiences.
            Some(known) => known.delete,
            None => {
                let default =
                    || settings::queue_defaults(&at.realm?.settings).and_then(settings::delete_delay);
                let delay = settings::delete_delay(&self.settings).or_else(default);
                delay.map(|delay| ended + delay * 1_000_000)
            }
        };
        if let (Some(time), None) = (row.delete, &known) {
            let order = json!({"EraseAt": {"time": time}});
            step.emits.push(Emit::Forward(Stream::conversation(&row.channel), order));
        }
        if self.exists() {
            step.emits.extend(ended_keys(at.id, &row).into_iter().map(|key| put(key, &row)));
        }
        step
    }

    /// What was said in an audience is erased: so is what the customer said when asking for it.
    pub(super) fn erased(&self, at: &Moment<'_>, erased: &Erased) -> Step<QueueRecord> {
        let mut step = Step::nothing();
        for key in Self::rows(at).flat_map(|row| ended_keys(at.id, &row)) {
            step.emits.push(remove(key));
        }
        let Some(user) = erased.user.clone() else { return step };
        let waiter = Waiter {
            audience: erased.audience.clone(),
            user,
            card: UserAttrs::default(),
            since: erased.requested,
            metadata: None,
            source: None,
            seq: 0,
            prelude: None,
            master: None,
            puppet: None,
        };
        let entry = Entry { v: 1, command: None, record: QueueRecord::Requested { waiter } };
        let body = serde_json::to_vec(&entry).ok().map(Bytes::from);
        for seq in erased.requests.iter().filter(|seq| (1..=at.seq).contains(*seq)) {
            let (after, before) = (seq - 1, seq + 1);
            step.emits.push(Emit::Amend(Amend { after, before, body: body.clone(), ..Amend::default() }));
        }
        step
    }
}

/// What a queue has to forget of an audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// The audience.
    pub audience: Id,
    /// Its customer, if somebody asked for it.
    #[serde(default)]
    pub user: Option<Id>,
    /// When it was asked for.
    pub requested: u64,
    /// The queue's records that say so.
    pub requests: Vec<u64>,
    /// When it ended, as its rows say.
    pub ended: Vec<u64>,
}

#[cfg(test)]
mod tests;
