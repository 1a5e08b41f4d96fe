//! Transcripts: the messages of a conversation in one answer, read from the store.

use crate::letter::Outcome;
use crate::past::last_until;
use crate::publish;
use levee_domain::conversation::{Conversation, ConversationRecord};
use levee_domain::machine::{Machine, Transcript};
use levee_domain::roles;
use levee_domain::view::Stream;
use levee_proto::messages::flags;
use levee_proto::types::seconds;
use levee_proto::{Body, ErrorType, Id, Object, Rejection, ids};
use levee_store::{Read, Record, Store, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;

/// How many records are looked through at most for one answer.
const LOOKED_AT: usize = 20_000;
/// How many records one read brings.
const PAGE: usize = 100;
/// How many bytes of messages one answer carries at most, unless a single one is longer.
const BYTES: usize = 256 * 1024;

/// The answer to `get_transcript`.
pub(crate) async fn load(store: &dyn Store, stream: &Stream, wanted: Transcript) -> Outcome {
    match find(store, stream, &wanted).await {
        Ok((messages, last)) => {
            let mut contents = wanted.head;
            contents.transcript_messages = Some(messages);
            contents.message_id = last;
            Outcome::Events(vec![(Arc::new(Body::new(&contents)), None)])
        }
        Err(error) => {
            tracing::warn!(%error, %stream, "a transcript can't be read");
            Outcome::Rejected(Rejection::new(ErrorType::Internal).because("the transcript can't be read now"))
        }
    }
}

/// The messages, and after which one to go on if there are more.
async fn find(
    store: &dyn Store,
    stream: &Stream,
    wanted: &Transcript,
) -> Result<(Vec<Object>, Option<Id>), StoreError> {
    let messages = &wanted.messages;
    let mut read = Read {
        after: messages.after,
        before: last_until(store, stream, wanted.until).await?.saturating_add(1).min(messages.before),
        kinds: messages.types.clone(),
        with_flags: flags::MESSAGE,
        without_flags: if messages.hidden { 0 } else { flags::HIDDEN },
        ..Read::after(stream.key(), 0, PAGE)
    };
    if messages.since > 0 {
        read.after = read.after.max(last_until(store, stream, messages.since - 1).await?);
    }
    let (mut found, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    loop {
        let records = store.read(read.clone()).await?;
        for record in &records {
            if let Some(message) = shown(stream, record, wanted) {
                let size = record.record.body.len();
                let full = found.len() >= messages.limit || bytes + size > BYTES;
                if full && !found.is_empty() {
                    return Ok((found, Some(ids::message(read.after))));
                }
                bytes += size;
                found.push(message);
            }
            read.after = record.seq;
        }
        looked_at += records.len();
        if records.len() < PAGE {
            return Ok((found, None));
        }
        if looked_at >= LOOKED_AT {
            return Ok((found, Some(ids::message(read.after))));
        }
    }
}

/// A message as a transcript shows it, if it is one that may be seen.
fn shown(stream: &Stream, record: &Record, wanted: &Transcript) -> Option<Object> {
    let entry = publish::decode::<Conversation>(record).ok()?;
    let ConversationRecord::Message(message) = &entry.record else { return None };
    if !wanted.whole {
        let has = roles::MEMBER | roles::MODERATOR;
        let views = Conversation::views(&stream.id, record.seq, record.record.time, &entry);
        views.iter().find(|view| view.to.means(&wanted.messages.user, &Id::default(), has))?;
    }
    let payload = message.parts.first().and_then(|part| serde_json::from_slice::<Value>(&part.0).ok());
    let (author, name) = message.author.clone().map_or((None, None), |(id, name)| (Some(id), name));
    let all = [
        ("message_id", Some(json!(ids::message(record.seq)))),
        ("message_time", Some(json!(seconds(record.record.time)))),
        ("message_type", Some(json!(message.message_type))),
        ("message_user_id", author.map(|id| json!(id))),
        ("message_user_name", name.map(|name| json!(name))),
        ("message_fold", message.fold.then_some(json!(true))),
        ("message_hidden", message.hidden.then_some(json!(true))),
        ("payload", payload),
    ];
    Some(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
