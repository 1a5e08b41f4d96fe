//! What is said to a webhook, read when it is said: what was erased by then is not there.

use crate::hub::Hub;
use crate::publish::decode;
use levee_domain::Entity;
use levee_domain::conversation::{Conversation, ConversationRecord, Known, message_body};
use levee_domain::hook::{Asked, Hook, HookEvent};
use levee_domain::queue::{Queue, QueueRecord, Waiter};
use levee_domain::realm::Realm;
use levee_domain::view::Stream;
use levee_proto::messages::flags;
use levee_proto::{Id, Text};
use levee_store::{Read, Record, StoreError};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many records one read brings.
const PAGE: usize = 500;
/// How many messages are told of an audience that is complete, and how many bytes of them.
const MESSAGES: usize = 10_000;
const BYTES: usize = 8 << 20;
/// For how long a queue's name is known, and how many are.
const NAME: Duration = Duration::from_secs(30);
const NAMES: usize = 10_000;

/// What queues are called, and since when that is known.
#[derive(Default)]
pub(super) struct Names(HashMap<Id, (Instant, Option<Text>)>);

/// A conversation as it was by some record; it goes on from there.
#[derive(Default)]
pub(super) struct Replay(Option<Entity<Conversation>>);

/// Why nothing can be said now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unready {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a record can't be read: {0}")]
    Record(#[from] serde_json::Error),
    #[error("the queue does not say what it is called: {0}")]
    Queue(#[from] levee_proto::Rejection),
}

impl Hub {
    /// What a webhook is told; `None` if it was erased.
    pub(super) async fn said(
        self: &Rc<Self>,
        stream: &Stream,
        hook: &Hook,
        realm: &Realm,
        replay: &mut Replay,
    ) -> Result<Option<Value>, Unready> {
        let Some(record) = self.record(stream, hook.seq).await? else { return Ok(None) };
        let entry = decode::<Conversation>(&record)?;
        if let ConversationRecord::Asked(asked) = &entry.record {
            let requested = asked.event == HookEvent::AudienceRequested;
            let known = Known {
                queue: self.queue_name(&asked.queue).await?,
                waiter: if requested { self.waiter(asked).await? } else { None },
                messages: Vec::new(),
            };
            return Ok(Conversation::default().hook_body(&stream.id, hook, &entry.record, realm, known));
        }
        let conversation = self.replayed(stream, hook.seq, replay).await?;
        let mut known = Known::default();
        if hook.event != HookEvent::MessageSent {
            let queue = conversation.attrs.queue_id.as_ref();
            known.queue = match queue {
                Some(queue) => self.queue_name(queue).await?,
                None => None,
            };
        }
        if hook.event == HookEvent::AudienceComplete {
            known.messages = self.messages(stream, hook.seq).await?;
        }
        Ok(conversation.hook_body(&stream.id, hook, &entry.record, realm, known))
    }

    async fn record(&self, stream: &Stream, seq: u64) -> Result<Option<Record>, StoreError> {
        let records = self.shared.store.read(Read::after(stream.key(), seq.saturating_sub(1), 1)).await?;
        Ok(records.into_iter().find(|record| record.seq == seq))
    }

    /// Who waited by a record of the queue, if that says so still.
    async fn waiter(&self, asked: &Asked) -> Result<Option<Waiter>, Unready> {
        let Some(record) = self.record(&Stream::queue(&asked.queue), asked.request).await? else {
            return Ok(None);
        };
        let (QueueRecord::Requested { waiter } | QueueRecord::Transferred { waiter, .. }) =
            decode::<Queue>(&record)?.record
        else {
            return Ok(None);
        };
        Ok(Some(waiter).filter(|waiter| waiter.audience == asked.audience))
    }

    /// A conversation as it was after a record.
    async fn replayed<'a>(
        &self,
        stream: &Stream,
        seq: u64,
        replay: &'a mut Replay,
    ) -> Result<&'a Conversation, Unready> {
        let known = replay.0.take().filter(|entity| entity.seq <= seq);
        let mut entity = match known {
            Some(entity) => entity,
            None => {
                let snapshot = self.shared.store.load(&stream.key()).await?;
                let snapshot = snapshot.filter(|snapshot| snapshot.seq <= seq);
                snapshot.and_then(|snapshot| serde_json::from_slice(&snapshot.body).ok()).unwrap_or_default()
            }
        };
        while entity.seq < seq {
            let before = seq + 1;
            let read = Read { before, ..Read::after(stream.key(), entity.seq, PAGE) };
            let records = self.shared.store.read(read).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                let entry = decode::<Conversation>(&record)?;
                entity.apply(record.record.time, &entry);
            }
        }
        Ok(&replay.0.insert(entity).machine)
    }

    /// The messages of a conversation until a record.
    async fn messages(&self, stream: &Stream, seq: u64) -> Result<Vec<Value>, Unready> {
        let mut read =
            Read { before: seq + 1, with_flags: flags::MESSAGE, ..Read::after(stream.key(), 0, PAGE) };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        loop {
            let records = self.shared.store.read(read.clone()).await?;
            let all = records.len() < PAGE;
            for record in &records {
                read.after = record.seq;
                let entry = decode::<Conversation>(record)?;
                bytes += record.record.body.len();
                if messages.len() >= MESSAGES || bytes > BYTES {
                    self.shared.metrics.drop("webhook_messages");
                    return Ok(messages);
                }
                messages.extend(message_body(record.seq, record.record.time, &entry.record));
            }
            if all {
                return Ok(messages);
            }
        }
    }

    /// What a queue is called.
    async fn queue_name(self: &Rc<Self>, queue: &Id) -> Result<Option<Text>, Unready> {
        let known = |names: &Names| {
            let (since, name) = names.0.get(queue)?;
            (since.elapsed() < NAME).then(|| name.clone())
        };
        if let Some(name) = known(&self.hooks.names.borrow()) {
            return Ok(name);
        }
        let attrs = self.ask(Stream::queue(queue), json!("Attrs")).await?;
        let name = attrs["name"].as_str().map(Text::from);
        let names = &mut self.hooks.names.borrow_mut().0;
        if names.len() >= NAMES {
            names.clear();
        }
        names.insert(queue.clone(), (Instant::now(), name.clone()));
        Ok(name)
    }
}
