//! What an audience's conversation begins with, if its customer has answered a site's questions: the tags that the
//! answers lead to, and what the customer says first.

use super::part::Part;
use super::records::{ConversationRecord, Member, Message};
use crate::questionnaire::{MESSAGE, Outcome};
use levee_proto::types::seconds;
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a conversation begins with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prelude {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

impl Prelude {
    /// Of answers that came to something. The tags are the realm's, for its site names them.
    pub(crate) fn new(outcome: &Outcome) -> Option<Self> {
        let tags = outcome.tags.clone();
        let message = outcome.answers.get(MESSAGE).and_then(Value::as_str).map(Text::from);
        (!tags.is_empty() || message.is_some()).then_some(Self { tags, message })
    }

    /// The tags, as metadata; none if there are none.
    pub(crate) fn tagged(&self) -> Option<Object> {
        (!self.tags.is_empty()).then(|| Object::from_iter([("tag_ids".to_owned(), json!(self.tags))]))
    }

    /// The messages that are there from the start: the tags as the agent would set them, then the customer's own words.
    pub(super) fn messages(
        &self,
        now: u64,
        (customer, customer_is): (&Id, &Member),
        (agent, agent_is): (&Id, &Member),
    ) -> Vec<ConversationRecord> {
        let tags = self.tagged().map(|data| Message {
            message_type: "ninchat.com/metadata".into(),
            author: Some((agent.clone(), agent_is.user.name.clone())),
            fold: true,
            parts: vec![Part(json!({"data": data, "time": seconds(now)}).to_string().into())],
            ..Message::default()
        });
        let words = self.message.as_ref().map(|text| Message {
            message_type: "ninchat.com/text".into(),
            author: Some((customer.clone(), customer_is.user.name.clone())),
            parts: vec![Part(json!({"text": text}).to_string().into())],
            ..Message::default()
        });
        tags.into_iter().chain(words).map(ConversationRecord::Message).collect()
    }
}
