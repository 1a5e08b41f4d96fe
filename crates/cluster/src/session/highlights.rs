//! Conversations in which somebody has written one of the user's words since the user has read last: they are
//! highlighted in what a session is told of itself.

use super::SessionActor;
use crate::history;
use levee_domain::History;
use levee_domain::highlight::Words;
use levee_domain::view::{Kind, Stream};
use levee_proto::{Id, Object, Text};
use levee_store::Store;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How many conversations are looked through for one answer.
const CONVERSATIONS: usize = 100;
/// How many of the latest messages of each.
const MESSAGES: usize = 100;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be looked through.
pub(super) struct Unread {
    user: Id,
    words: Words,
    of: Vec<(Stream, History)>,
}

impl SessionActor {
    /// What must be looked through, if the user has words and there is something unread.
    pub(super) fn unread(&self, user: &Object, got: &[(Stream, Object)]) -> Option<Unread> {
        let name = user.get("user_attrs").and_then(|attrs| attrs.get("name")?.as_str());
        let words = Words::of(user.get("user_settings")?.as_object()?, name);
        if words.is_empty() {
            return None;
        }
        let unread = got.iter().filter(|(stream, _)| stream.kind == Kind::Conversation);
        let unread = unread.filter_map(|(stream, summary)| {
            let last = summary.get("$last_message")?.as_u64()?;
            let (visible, since, hidden) =
                serde_json::from_value::<(u64, u64, bool)>(summary.get("$visible")?.clone()).ok()?;
            let after = self.read.get(&stream.id).copied().unwrap_or_default().max(visible);
            let wanted = History {
                types: vec!["ninchat.com/text".into()],
                after,
                before: u64::MAX,
                since,
                fold: false,
                hidden,
                latest: true,
                descending: true,
                limit: MESSAGES,
                filter: None,
                user: self.user.clone(),
                peer: summary.get("$peer").and_then(Value::as_str).map(Text::from),
            };
            (after < last).then(|| (stream.clone(), wanted))
        });
        let mut of: Vec<_> = unread.collect();
        if of.len() > CONVERSATIONS {
            of.truncate(CONVERSATIONS);
            self.hub.shared.metrics.drop("highlights");
        }
        (!of.is_empty()).then(|| Unread { user: self.user.clone(), words, of })
    }
}

impl Unread {
    /// The conversations that have one of the words; none where that can't be found out in time.
    pub(super) async fn highlighted(self, store: Arc<dyn Store>) -> HashSet<Id> {
        let mut found = HashSet::new();
        let looking = async {
            for (stream, wanted) in &self.of {
                match history::find(&*store, stream, wanted).await {
                    Ok(messages) if messages.iter().any(|(_, body)| self.is_meant(body)) => {
                        found.insert(stream.id.clone());
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, %stream, "messages can't be looked through"),
                }
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            tracing::warn!(user = %self.user, "looking for highlights takes too long");
        }
        found
    }

    fn is_meant(&self, body: &levee_proto::Body) -> bool {
        let header: Option<Value> = serde_json::from_str(body.header()).ok();
        let author = header.as_ref().and_then(|header| header.get("message_user_id")?.as_str());
        let content: Option<Value> = body.parts.first().and_then(|part| serde_json::from_slice(part).ok());
        let text = content.as_ref().and_then(|content| content.get("text")?.as_str());
        author.is_some_and(|author| *author != self.user) && text.is_some_and(|text| self.words.are_in(text))
    }
}
