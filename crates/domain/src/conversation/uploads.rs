//! Files that come in parts: who may send one, who sees how far it is, and its message once it is complete.

use super::part::Part;
use super::records::{ConversationOrder, ConversationRecord, Message};
use super::{Conversation, Decision, FILE, Form};
use crate::file::name;
use crate::file::parts::{Ended, News, Upload};
use crate::file::{Described, parts};
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::view::{Stream, To, View, roles};
use levee_proto::actions::conversation::CreateUpload;
use levee_proto::attrs::UserAttrs;
use levee_proto::{Id, Rejection, events};
use serde_json::json;

#[cfg(test)]
mod tests;

/// How many files are remembered whose word has come: it may come again.
const REMEMBERED: usize = 256;

/// A file that came in parts and is complete, with what may be known of its owner and of the other user of a dialogue.
pub(super) struct Arrival {
    pub(super) file: Described,
    pub(super) card: UserAttrs,
    pub(super) peer: Option<(Id, UserAttrs)>,
}

impl Conversation {
    /// Says what an upload will be, if the user may send files.
    pub(super) fn create_upload(&self, at: &Moment<'_>, actor: &Actor, create: CreateUpload) -> Decision {
        let peer = create.user_id;
        if peer.as_ref() == Some(&actor.user) {
            return Err(Rejection::denied().because("a dialogue takes two"));
        }
        let mut attrs = create.file_attrs;
        let size = attrs.size.take().flatten();
        let name = name::wanted(&attrs)?;
        self.may_upload(at, &actor.user, peer.is_some())?;
        let upload = Upload { owner: actor.user.clone(), conversation: at.id.clone(), peer, name, size };
        Ok(Step::emit(Emit::Answer(Answer::Value(json!({"upload": upload})))))
    }

    /// Takes in a complete file as a message of its owner, or tells it that nobody wants it.
    pub(super) fn take_file(&self, at: &Moment<'_>, arrival: Arrival) -> Step<ConversationRecord> {
        let Arrival { file, card, peer } = arrival;
        let stream = Stream::file(&file.file);
        if self.arrived.contains(&file.file) {
            return Step::nothing();
        }
        // That it may be sent was said before, and how long that took is nobody's fault.
        let may = self.may_attach(at, &file.owner, peer.is_some());
        if may.is_err() || file.conversation != *at.id || self.form == Form::Deleted {
            let end = json!({"Parts": {"End": {"ended": Ended::Refused}}});
            return Step::emit(Emit::Forward(stream, end));
        }
        let mut step = Step::nothing();
        let between = peer.as_ref().map(|(peer, _)| (file.owner.clone(), peer.clone()));
        let name = card.name.clone();
        if let Some(peer) = peer.filter(|_| self.form != Form::Dialogue) {
            self.open_dialogue(at, (file.owner.clone(), card), peer, &mut step);
        }
        step.records.push(self.file_message((file.owner.clone(), name), between, &file));
        let ended = News {
            file: file.file.clone(),
            owner: file.owner.clone(),
            attrs: file.attrs(),
            offset: file.content.size,
            ended: Some(Ended::Completed),
        };
        step.emits.push(Emit::Forward(stream, json!("Posted")));
        step.emits.push(Emit::Publish(self.news(at, &ended)));
        step
    }

    /// The message that a file comes with.
    pub(super) fn file_message(
        &self,
        author: (Id, Option<levee_proto::Text>),
        between: Option<(Id, Id)>,
        file: &Described,
    ) -> ConversationRecord {
        let content = json!({"files": [{"file_id": file.file, "file_attrs": file.attrs()}]});
        ConversationRecord::Message(Message {
            message_type: FILE.into(),
            hidden: self.is_autohidden(&author.0),
            author: Some(author),
            between,
            file: Some(file.file.clone()),
            parts: vec![Part(content.to_string().into())],
            ..Message::default()
        })
    }

    /// Whether what a user writes here is hidden.
    fn is_autohidden(&self, user: &Id) -> bool {
        self.members.get(user).is_some_and(|member| member.attrs.autohide.is_some())
    }

    /// Shows how far a file is.
    pub(super) fn uploading(&self, at: &Moment<'_>, news: &News) -> Step<ConversationRecord> {
        if !self.members.contains_key(&news.owner) {
            return Step::nothing();
        }
        Step::emit(Emit::Publish(self.news(at, news)))
    }

    fn news(&self, at: &Moment<'_>, news: &News) -> Vec<View> {
        let owner = &news.owner;
        let peer = self.peer_of(owner);
        let event = events::UploadUpdated {
            upload_id: news.file.clone(),
            user_id: owner.clone(),
            file_attrs: news.attrs.clone(),
            upload_offset: news.offset,
            channel_id: (self.form == Form::Channel).then(|| at.id.clone()),
            dialogue_id: peer.map(|peer| vec![owner.as_str().into(), peer.as_str().into()]),
            upload_ended: news.ended.map(|ended| parts::word(ended).into()),
        };
        let to = match self.form {
            Form::Dialogue => To::Only(self.members.keys().cloned().collect()),
            _ if self.is_autohidden(owner) => To::RolesOr(roles::MODERATOR, owner.clone()),
            _ => To::Roles(roles::MEMBER),
        };
        vec![View::new(to, &event).aside()]
    }

    /// Remembers the files that messages came with. Of erased ones, what erased them says which those were.
    pub(super) fn note_arrival(&mut self, record: &ConversationRecord) {
        match record {
            ConversationRecord::Message(Message { file: Some(file), .. }) => {
                self.arrived.push_back(file.clone());
            }
            ConversationRecord::TranscriptDeleted { files, .. } => {
                self.arrived = files.iter().cloned().collect()
            }
            _ => return,
        }
        let surplus = self.arrived.len().saturating_sub(REMEMBERED);
        self.arrived.drain(..surplus);
    }

    /// What is ordered about files that come in parts.
    pub(super) fn obey_about_uploads(
        &self,
        at: &Moment<'_>,
        order: ConversationOrder,
    ) -> Step<ConversationRecord> {
        match order {
            ConversationOrder::Uploading(news) => self.uploading(at, &news),
            ConversationOrder::TakeFile { file, card, peer } => {
                self.take_file(at, Arrival { file: *file, card, peer })
            }
            _ => Step::nothing(),
        }
    }
}
