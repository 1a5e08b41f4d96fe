//! Conversations in which somebody has written one of the user's words since the user has read last: they are
//! highlighted in what a session is told of itself, and in what is told of a channel.

use crate::history;
use crate::hub::Hub;
use levee_domain::History;
use levee_domain::found::Reading;
use levee_domain::highlight::Words;
use levee_domain::view::{Kind, Stream};
use levee_proto::{ErrorType, Id, Object, Rejection, Text};
use levee_store::Store;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How many conversations are looked through for one answer.
const CONVERSATIONS: usize = 100;
/// How many of the latest messages of each.
const MESSAGES: usize = 100;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be looked through.
pub(crate) struct Unread {
    user: Id,
    words: Words,
    of: Vec<(Stream, History)>,
}

/// What of a conversation a user has not read yet, by what the session is told of it; nothing if all was read.
fn unread(user: &Id, summary: &Object, read: Option<u64>) -> Option<History> {
    let last = summary.get("$last_message")?.as_u64()?;
    let (visible, since, hidden) =
        serde_json::from_value::<(u64, u64, bool)>(summary.get("$visible")?.clone()).ok()?;
    let after = read.unwrap_or_default().max(visible);
    (after < last).then(|| History {
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
        user: user.clone(),
        peer: summary.get("$peer").and_then(Value::as_str).map(Text::from),
    })
}

impl Hub {
    /// What must be looked through for a user who describes themselves, if they have words and there is something
    /// unread; `read` tells how far each conversation was read.
    pub(crate) fn unread(
        &self,
        id: &Id,
        user: &Object,
        got: &[(Stream, Object)],
        read: impl Fn(&Id) -> Option<u64>,
    ) -> Option<Unread> {
        let name = user.get("user_attrs").and_then(|attrs| attrs.get("name")?.as_str());
        let words = Words::of(user.get("user_settings")?.as_object()?, name);
        if words.is_empty() {
            return None;
        }
        let conversations = got.iter().filter(|(stream, _)| stream.kind == Kind::Conversation);
        let wanted = conversations
            .filter_map(|(stream, summary)| Some((stream.clone(), unread(id, summary, read(&stream.id))?)));
        let mut of: Vec<_> = wanted.collect();
        if of.len() > CONVERSATIONS {
            of.truncate(CONVERSATIONS);
            self.shared.metrics.drop("highlights");
        }
        (!of.is_empty()).then(|| Unread { user: id.clone(), words, of })
    }

    /// How far a user has read a channel, and whether something after that has one of their words.
    ///
    /// # Errors
    /// `internal` when the user's owner or the channel's does not answer.
    pub(crate) async fn reading(self: &Rc<Self>, channel: &Id, user: &Id) -> Result<Reading, Rejection> {
        let order = json!({"Reading": {"conversation": channel}});
        let answer = self.ask(Stream::user(user), order).await?;
        let unreadable = |_| Rejection::new(ErrorType::Internal).because("what was read can't be told");
        let (read, words) = serde_json::from_value::<(_, Words)>(answer).map_err(unreadable)?;
        let plain = Reading { read, highlighted: false };
        if words.is_empty() {
            return Ok(plain);
        }
        let stream = Stream::conversation(channel);
        let summary = self.ask(stream.clone(), json!({"Glimpse": {"user": user}})).await?;
        let wanted = summary.as_object().and_then(|summary| unread(user, summary, read));
        let Some(wanted) = wanted else { return Ok(plain) };
        let of = vec![(stream, wanted)];
        let found = Unread { user: user.clone(), words, of }.highlighted(self.store()).await;
        Ok(Reading { highlighted: found.contains(channel), ..plain })
    }
}

impl Unread {
    /// The conversations that have one of the words; none where that can't be found out in time.
    pub(crate) async fn highlighted(self, store: Arc<dyn Store>) -> HashSet<Id> {
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
