//! The files of a conversation: who may send them, who may read them, and when they go.

use super::records::{ConversationRecord, Message};
use super::{Conversation, Decision, FILE, Form};
use crate::found::Found;
use crate::machine::{Actor, Emit, Moment, Step};
use crate::rights::Right;
use crate::view::Stream;
use levee_proto::actions::conversation::SendFile;
use levee_proto::{ErrorType, Id, Rejection, limits};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// The files of a conversation's messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Attachments {
    here: BTreeMap<Id, Attachment>,
}

/// A file, by the message that it came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Attachment {
    seq: u64,
    time: u64,
    author: Id,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

impl Attachments {
    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    pub(super) fn all(&self) -> Vec<Id> {
        self.here.keys().cloned().collect()
    }

    /// Those of messages up to a record.
    fn through(&self, seq: u64) -> Vec<Id> {
        let old = self.here.iter().filter(|(_, file)| file.seq <= seq);
        old.map(|(id, _)| id.clone()).collect()
    }

    fn forget(&mut self, ids: &[Id]) {
        for id in ids {
            self.here.remove(id);
        }
    }
}

impl Conversation {
    /// Refuses who may not send a file: where one may not write, and where the channel's `upload` enables others only.
    /// In a dialogue of two, both may.
    pub(super) fn may_upload(&self, at: &Moment<'_>, user: &Id, in_dialogue: bool) -> Result<(), Rejection> {
        self.may_attach(at, user, in_dialogue)?;
        if in_dialogue { Ok(()) } else { self.keeps_pace(at, user, self.standing(at, user)) }
    }

    /// The same, at any pace.
    pub(super) fn may_attach(&self, at: &Moment<'_>, user: &Id, in_dialogue: bool) -> Result<(), Rejection> {
        if !in_dialogue {
            let standing = self.standing(at, user);
            self.may_write(at, user, standing, FILE)?;
            let upload = self.attrs.upload.as_deref();
            let asked = upload == Some("customer") && self.attrs.requester_id.as_ref() == Some(user);
            if !asked && !standing.uploads(upload) {
                let reason = "upload is not enabled for you here";
                return Err(Rejection::denied().because(reason).about("channel_id", at.id));
            }
        }
        if self.files.here.len() >= limits::FILES {
            return Err(Rejection::new(ErrorType::UploadQuotaExceeded).because("too many files here"));
        }
        Ok(())
    }

    /// Takes in a file whose bytes are complete, as the message of whoever sent it.
    pub(super) fn send_file(&self, at: &Moment<'_>, actor: &Actor, send: &SendFile) -> Decision {
        let file = match &actor.found {
            Some(Found::File(file, _)) => file,
            Some(Found::Refused(rejection)) => return Err((**rejection).clone()),
            _ => return Err(Rejection::new(ErrorType::Internal).because("the file was not taken in")),
        };
        let in_dialogue = send.user_id.is_some();
        self.may_upload(at, &actor.user, in_dialogue)?;
        let is_ours = file.owner == actor.user && file.conversation == *at.id;
        // One whose time is over is being given up.
        if !is_ours || file.expires <= at.now || self.files.here.contains_key(&file.file) {
            return Err(Rejection::new(ErrorType::FileNotFound).about("file_id", &file.file));
        }
        let mut step = Step::nothing();
        if in_dialogue {
            self.begin_dialogue(at, actor, &mut step)?;
        }
        let author = (actor.user.clone(), actor.card.name.clone());
        step.records.push(self.file_message(author, self.between(actor), file));
        Ok(step.and(Emit::Forward(Stream::file(&file.file), json!("Posted"))))
    }

    /// Whether somebody may read the message that a file came with, now.
    pub(super) fn reads(&self, at: &Moment<'_>, file: &Id, user: &Id) -> bool {
        let Some(file) = self.files.here.get(file) else { return false };
        let standing = self.standing(at, user);
        if self.may_read_all(at, user, standing) {
            return true;
        }
        let seen = !file.hidden || file.author == *user || standing.may(Right::SeeHidden);
        let visible = self.visible_to(user);
        seen && visible.is_some_and(|(after, since)| file.seq > after && file.time >= since)
    }

    /// Tells a file whether a message has it: one that none has came to nothing.
    pub(super) fn has_file(&self, file: &Id) -> Step<ConversationRecord> {
        let order = if self.files.here.contains_key(file) { "Posted" } else { "Remove" };
        Step::emit(Emit::Forward(Stream::file(file), json!(order)))
    }

    /// Has files go with what is erased, with what both have discarded, and with the conversation.
    pub(super) fn without_files(&self, mut step: Step<ConversationRecord>) -> Step<ConversationRecord> {
        if self.files.here.is_empty() {
            return step;
        }
        let mut going = Vec::new();
        for record in &step.records {
            match record {
                ConversationRecord::Deleted { .. } => going.extend(self.files.all()),
                ConversationRecord::TranscriptDeleted { files, .. } => going.extend(files.iter().cloned()),
                ConversationRecord::Discarded { user, through, .. } => {
                    going.extend(self.files.through(self.discarded_by_all(user, *through)));
                }
                _ => {}
            }
        }
        step.emits.extend(going.iter().map(|id| Emit::Forward(Stream::file(id), json!("Remove"))));
        step
    }

    /// Up to which record all have discarded a dialogue, once this user has up to another one.
    fn discarded_by_all(&self, user: &Id, through: u64) -> u64 {
        if self.form != Form::Dialogue {
            return 0;
        }
        let of = |(id, member): (&Id, &super::Member)| match id == user {
            true => member.discarded.max(through),
            false => member.discarded,
        };
        self.members.iter().map(of).min().unwrap_or_default()
    }

    /// Keeps account of the files that records bring and take.
    pub(super) fn keep_files(&mut self, seq: u64, time: u64, record: &ConversationRecord) {
        match record {
            ConversationRecord::Message(Message { file: Some(file), author, hidden, .. }) => {
                let author = author.as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
                let attachment = Attachment { seq, time, author, hidden: *hidden };
                self.files.here.insert(file.clone(), attachment);
            }
            ConversationRecord::MessagesUpdated { hidden, author, messages, .. } => {
                // Of all of an author's messages, the newest are named only.
                let last = messages.last().copied().unwrap_or_default();
                for file in self.files.here.values_mut() {
                    let of_author = author.as_ref() == Some(&file.author) && file.seq <= last;
                    if of_author || messages.binary_search(&file.seq).is_ok() {
                        file.hidden = *hidden;
                    }
                }
            }
            ConversationRecord::TranscriptDeleted { files, .. } => self.files.forget(files),
            ConversationRecord::Discarded { user, .. } => {
                let through = self.discarded_by_all(user, 0);
                self.files.forget(&self.files.through(through));
            }
            _ => {}
        }
    }
}
