//! Messages of the past, read from the store and shown as their reader may see them.

use crate::letter::Outcome;
use crate::publish;
use levee_domain::History;
use levee_domain::view::Stream;
use levee_proto::messages::flags;
use levee_proto::{Body, ErrorType, Rejection, events, ids};
use levee_store::{Read, Record, Store};
use serde_json::Value;
use std::sync::Arc;

/// How many records are looked through at most for one answer.
const LOOKED_AT: usize = 20_000;
/// How many records one read brings.
const PAGE: usize = 1000;

/// The answer to `load_history`: `history_results`, then the messages.
pub(crate) async fn load(store: Arc<dyn Store>, stream: Stream, wanted: History) -> Outcome {
    match find(&*store, &stream, &wanted).await {
        Ok(messages) => {
            let last = messages.last().map(|(record, _)| ids::message(record.seq));
            let results = events::HistoryResults {
                history_length: messages.len() as u64,
                channel_id: wanted.peer.is_none().then(|| stream.id.clone()),
                user_id: wanted.peer.clone(),
                message_id: last,
            };
            let left = messages.len() as u64;
            let first = (Arc::new(Body::new(&results)), if left == 0 { Some(0) } else { None });
            let rest =
                messages.into_iter().enumerate().map(|(at, (_, body))| (body, Some(left - 1 - at as u64)));
            Outcome::Events(std::iter::once(first).chain(rest).collect())
        }
        Err(error) => {
            tracing::warn!(%error, %stream, "history can't be read");
            Outcome::Rejected(Rejection::new(ErrorType::Internal).because("history can't be read now"))
        }
    }
}

pub(crate) async fn find(
    store: &dyn Store,
    stream: &Stream,
    wanted: &History,
) -> Result<Vec<(Record, Arc<Body>)>, levee_store::StoreError> {
    // The latest ones are found from the end, whichever way they are shown.
    let backwards = wanted.descending || wanted.latest;
    let mut without = 0;
    if !wanted.hidden {
        without |= flags::HIDDEN;
    }
    let mut read = Read {
        after: wanted.after,
        before: wanted.before,
        kinds: wanted.types.clone(),
        with_flags: flags::MESSAGE | if wanted.fold { flags::FOLD } else { 0 },
        without_flags: without,
        descending: backwards,
        limit: PAGE.min(wanted.limit.max(1)),
        ..Read::after(stream.key(), 0, PAGE)
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    while found.len() < wanted.limit && looked_at < LOOKED_AT && !wanted.types.is_empty() {
        let records = store.read(read.clone()).await?;
        let Some(last) = records.last() else { break };
        if backwards {
            read.before = last.seq
        } else {
            read.after = last.seq
        }
        looked_at += records.len();
        let all = records.len() < read.limit;
        for record in records.into_iter().filter(|record| record.record.time >= wanted.since) {
            let Some(body) = publish::message(stream, &record, &wanted.user) else { continue };
            if found.len() < wanted.limit && passes(&body, wanted) {
                found.push((record, body));
            }
        }
        if all {
            break;
        }
    }
    if backwards && !wanted.descending {
        found.reverse();
    }
    Ok(found)
}

/// Whether a message contains the text that is looked for.
fn passes(body: &Body, wanted: &History) -> bool {
    let Some((property, text)) = &wanted.filter else { return true };
    body.parts.iter().any(|part| {
        serde_json::from_slice::<Value>(part)
            .ok()
            .and_then(|value| {
                value.get(property.as_str())?.as_str().map(|found| found.contains(text.as_str()))
            })
            .unwrap_or_default()
    })
}
