//! From records to what followers see, for live records and for those read from the store.

use crate::letter::Publish;
use levee_domain::conversation::{Conversation, ConversationRecord};
use levee_domain::file::File;
use levee_domain::machine::{Entry, Machine};
use levee_domain::queue::Queue;
use levee_domain::realm::Realm;
use levee_domain::user::User;
use levee_domain::view::{Effect, Kind, Stream, View};
use levee_proto::{Body, Text};
use levee_store::Record;
use std::sync::Arc;

/// What a session is shown of a record.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The event, if there is one to show.
    pub body: Option<Arc<Body>>,
    /// The session's action that it answers.
    pub action_id: Option<u64>,
    /// The message's type, if it is a message.
    pub message_type: Option<Text>,
    /// What else it does.
    pub effect: Effect,
}

/// The publish of a record that was read from the store. A record that can't be read shows nothing.
pub(crate) fn replay(stream: &Stream, record: &Record) -> Publish {
    let (views, command) = match stream.kind {
        Kind::User => of::<User>(stream, record),
        Kind::Realm => of::<Realm>(stream, record),
        Kind::Queue => of::<Queue>(stream, record),
        Kind::Conversation => of::<Conversation>(stream, record),
        Kind::File => of::<File>(stream, record),
    };
    Publish { stream: stream.clone(), seq: record.seq, views: Arc::new(views), command, asker: None }
}

fn of<M: Machine>(stream: &Stream, record: &Record) -> (Vec<View>, Option<levee_domain::Command>) {
    match decode::<M>(record) {
        Ok(entry) => (M::views(&stream.id, record.seq, record.record.time, &entry), entry.command),
        Err(error) => {
            tracing::error!(%error, %stream, seq = record.seq, "a record can't be read");
            (Vec::new(), None)
        }
    }
}

/// The entry in a record, as amendments have left it.
pub(crate) fn decode<M: Machine>(record: &Record) -> Result<Entry<M::Record>, serde_json::Error> {
    let mut entry: Entry<M::Record> = serde_json::from_slice(&record.record.body)?;
    M::amended(&mut entry.record, record.record.flags);
    Ok(entry)
}

/// The body of a message that was read from the store, as `user` sees it.
pub(crate) fn message(stream: &Stream, record: &Record, user: &str) -> Option<Arc<Body>> {
    let entry = decode::<Conversation>(record).ok()?;
    if !matches!(entry.record, ConversationRecord::Message(_)) {
        return None;
    }
    let roles = levee_domain::roles::MEMBER | levee_domain::roles::MODERATOR;
    let views = Conversation::views(&stream.id, record.seq, record.record.time, &entry);
    views.into_iter().find(|view| view.to.means(&user.into(), &Text::default(), roles))?.body
}
