//! What an audience counts for in its queue's statistics: who serves it, how it is tagged and rated, when it ended.
//!
//! The queue counts what it is told. Whenever something of it changes, the conversation tells what it has counted
//! for so far, and what it counts for now.

use super::Conversation;
use super::records::ConversationRecord;
use crate::machine::{Emit, Moment, Step};
use crate::queue::stats::Share;
use crate::view::Stream;
use levee_proto::Id;
use serde_json::json;

/// What an audience counts for after a record.
pub(super) fn after(
    share: Option<Share>,
    customer: Option<&Id>,
    time: u64,
    record: &ConversationRecord,
) -> Option<Share> {
    if let ConversationRecord::Opened { share, .. } | ConversationRecord::Accepted { share, .. } = record {
        return share.clone();
    }
    let mut share = share?;
    match record {
        ConversationRecord::Message(message) => {
            if let Some((author, data)) = message.metadata() {
                if customer == Some(&author) { share.rate(&data) } else { share.tag(&data) }
            }
        }
        ConversationRecord::Changed { attrs, .. } if attrs.closed.is_some() || attrs.suspended.is_some() => {
            // Its first end counts: a channel may be opened and closed again.
            share.finished = share.finished.or(Some(time));
        }
        _ => {}
    }
    Some(share)
}

impl Conversation {
    /// Tells the queue what the records of a decision change in its statistics.
    pub(super) fn with_tally(
        &self,
        at: &Moment<'_>,
        step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let (Some(before), Some(queue)) = (&self.share, &self.attrs.queue_id) else { return step };
        if step.records.is_empty() {
            return step;
        }
        // Whoever accepts it anew counts from then on: what it counted for stays.
        let accepted = |record: &ConversationRecord| matches!(record, ConversationRecord::Accepted { .. });
        let customer = self.attrs.requester_id.as_ref();
        let mut now = Some(before.clone());
        for record in step.records.iter().take_while(|record| !accepted(record)) {
            now = after(now, customer, at.now, record);
        }
        match now {
            Some(now) if now != *before => {
                let seq = at.seq + step.records.len() as u64;
                let tally =
                    json!({"Tally": {"conversation": at.id, "seq": seq, "before": before, "after": now}});
                step.and(Emit::Forward(Stream::queue(queue), tally))
            }
            _ => step,
        }
    }
}
