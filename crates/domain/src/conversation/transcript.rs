//! Transcripts: who may read a conversation as a whole, and how what was said in it is erased.

use super::records::ConversationRecord;
use super::{Conversation, Decision, Form, views};
use crate::machine::{Actor, Answer, Emit, Entry, History, Moment, Step, Timer, Transcript};
use crate::past::{Amend, Records, Wanted};
use crate::rights::{Right, Standing};
use levee_proto::actions::conversation::GetTranscript;
use levee_proto::messages::flags;
use levee_proto::types::micros;
use levee_proto::{ErrorType, Id, Object, Rejection, Text, events, ids, limits};
use serde_json::json;

/// What an action names: a channel, a dialogue by both of its users, or an audience.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) channel: &'a Option<Id>,
    pub(super) dialogue: &'a Option<Vec<Text>>,
    pub(super) audience: &'a Option<Id>,
}

impl Named<'_> {
    fn absent(&self) -> Rejection {
        match (self.channel, self.dialogue, self.audience) {
            (Some(channel), ..) => Conversation::absent(channel),
            (_, _, Some(audience)) => {
                Rejection::new(ErrorType::AudienceNotFound).about("audience_id", audience)
            }
            _ => Rejection::new(ErrorType::UserNotFound),
        }
    }

    fn denied(&self) -> Rejection {
        match (self.channel, self.audience) {
            (Some(channel), _) => Rejection::denied().about("channel_id", channel),
            (_, Some(audience)) => Rejection::denied().about("audience_id", audience),
            _ => Rejection::denied(),
        }
    }
}

/// How much of a conversation somebody may read.
enum Reach {
    /// All of it.
    Whole,
    /// What they can load as history: after a sequence and not before a time.
    Member { after: u64, since: u64 },
}

impl Conversation {
    /// Whether somebody may read all of a channel: an operator, and who has served the audience.
    pub(super) fn may_read_all(&self, at: &Moment<'_>, user: &Id, standing: Standing) -> bool {
        let has_served = self.course.as_ref().is_some_and(|course| course.was_served_by(user))
            && at.realm.is_some_and(|realm| realm.standing(user) >= Standing::RealmMember);
        self.form == Form::Channel && (has_served || standing.may(Right::ReadTranscript))
    }

    /// How much somebody may read: an operator all, and so who has served the audience, as long as they belong
    /// to the realm; a member what they see anyway.
    fn reach(
        &self,
        at: &Moment<'_>,
        user: &Id,
        standing: Standing,
        named: Named<'_>,
    ) -> Result<Reach, Rejection> {
        if self.form == Form::Dialogue && named.dialogue.is_none() {
            return Err(named.absent());
        }
        if self.may_read_all(at, user, standing) {
            return Ok(Reach::Whole);
        }
        match self.visible_to(user) {
            Some((after, since)) => Ok(Reach::Member { after, since }),
            None if self.form == Form::Channel && !self.is_hidden_from(standing) => Err(named.denied()),
            None => Err(named.absent()),
        }
    }

    pub(super) fn get_transcript(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        get: GetTranscript,
    ) -> Decision {
        let named =
            Named { channel: &get.channel_id, dialogue: &get.dialogue_id, audience: &get.audience_id };
        let reach = self.reach(at, &actor.user, standing, named)?;
        let whole = matches!(reach, Reach::Whole);
        let (mut after, since) = match reach {
            Reach::Whole => (0, 0),
            Reach::Member { after, since } => (after, since),
        };
        if let Some(id) = &get.message_id {
            let last =
                ids::message_seq(id).ok_or_else(|| Rejection::malformed("message_id is none of ours"))?;
            after = after.max(last);
        }
        let time = |name: &str, time: Option<f64>| match time {
            Some(time) if !time.is_finite() || time < 0.0 => {
                Err(Rejection::malformed(format!("{name} is a time in seconds")))
            }
            time => Ok(time.map(micros)),
        };
        let begin = time("interval_begin", get.interval_begin)?.unwrap_or(0);
        let until = time("interval_end", get.interval_end)?.unwrap_or(u64::MAX);
        let channel = self.form == Form::Channel;
        let head = events::TranscriptContents {
            channel_id: channel.then(|| at.id.clone()),
            audience_id: self.attrs.audience_id.clone(),
            audience_members: self.audience_members(),
            audience_metadata: self.metadata.clone(),
            dialogue_id: (!channel).then(|| self.members.keys().cloned().collect()),
            dialogue_members: (!channel).then(|| views::dialogue_members(self)),
            ..Default::default()
        };
        Ok(Step::emit(Emit::Answer(Answer::Transcript(Box::new(Transcript {
            head,
            messages: History {
                types: vec!["ninchat.com/*".into()],
                after,
                before: u64::MAX,
                since: since.max(begin),
                fold: false,
                hidden: whole || standing.may(Right::SeeHidden),
                latest: false,
                descending: false,
                limit: limits::HISTORY as usize,
                filter: None,
                user: actor.user.clone(),
                peer: None,
            },
            until,
            whole,
        })))))
    }

    pub(super) fn audience_members(&self) -> Option<Object> {
        let course = self.course.as_ref()?;
        let agents = course.served().map(|id| (id.to_string(), json!({"agent": true})));
        let customer = self.attrs.requester_id.iter().map(|id| (id.to_string(), json!({"customer": true})));
        Some(agents.chain(customer).collect())
    }

    /// Whether somebody may erase what was said: an operator of the realm, or of a channel that is in none. Who
    /// serves an audience operates its channel, and has no say in this.
    fn may_erase(&self, at: &Moment<'_>, user: &Id, standing: Standing) -> bool {
        let standing = match (&self.realm, at.realm) {
            (None, _) => standing,
            (Some(_), Some(realm)) => realm.standing(user),
            (Some(_), None) => Standing::Stranger,
        };
        self.form == Form::Channel && standing.may(Right::EraseTranscript)
    }

    /// Erases what was said. A dialogue belongs to both of its users: neither erases what the other said.
    pub(super) fn delete_transcript(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        named: Named<'_>,
    ) -> Decision {
        self.reach(at, &actor.user, standing, named)?;
        if !self.may_erase(at, &actor.user, standing) {
            return Err(named.denied());
        }
        Ok(self.erased(at))
    }

    /// Erases what was said, if there is something to erase.
    pub(super) fn erased(&self, at: &Moment<'_>) -> Step<ConversationRecord> {
        if self.form != Form::Channel {
            return Step::emit(Emit::Unwait(Timer::Transcript));
        }
        let audience = self.attrs.audience_id.clone();
        let files = self.files.all();
        let mut step = Step::record(ConversationRecord::TranscriptDeleted { audience, files });
        step.emits.extend(self.erase(at));
        step
    }

    /// Between which records the one is by which it was opened.
    fn opening(&self) -> (u64, u64) {
        let opened = self.opened.max(1);
        (opened - 1, opened + 1)
    }

    /// What has to be read to erase: the record by which an audience was opened holds what its customer said.
    pub(super) fn wants_opening(&self) -> Option<Wanted> {
        self.metadata.as_ref()?;
        let (after, before) = self.opening();
        Some(Wanted::Records(Records { after, before, bodies: true, limit: 1, ..Records::default() }))
    }

    /// Blanks what is stored of what was said, here and in the queue.
    pub(super) fn erase(&self, at: &Moment<'_>) -> Vec<Emit> {
        // The server's own are told from the others as long as they are messages: so they come first.
        let messages = [true, false].map(|server| {
            let empty = Entry { v: 1, command: None, record: ConversationRecord::Erased { server } };
            Emit::Amend(Amend {
                before: at.seq + 1,
                with_flags: flags::MESSAGE,
                clear_flags: flags::MESSAGE | flags::FOLD | flags::HIDDEN | flags::PARTIAL,
                author: server.then(Id::default),
                body: serde_json::to_vec(&empty).ok().map(Into::into),
                ..Amend::default()
            })
        });
        let (after, before) = self.opening();
        let opening = at.past.and_then(|found| found.records.first()?.body.as_ref());
        let opening = opening
            .and_then(|body| without_metadata(body))
            .map(|body| Emit::Amend(Amend { after, before, body: Some(body.into()), ..Amend::default() }));
        messages
            .into_iter()
            .chain([Emit::Unwait(Timer::Transcript)])
            .chain(opening)
            .chain(self.tell_erased())
            .collect()
    }
}

/// The record by which a channel was opened, without what its customer said.
fn without_metadata(body: &[u8]) -> Option<Vec<u8>> {
    let mut entry: Entry<ConversationRecord> = serde_json::from_slice(body).ok()?;
    let ConversationRecord::Opened { metadata, .. } = &mut entry.record else { return None };
    *metadata = None;
    serde_json::to_vec(&entry).ok()
}

#[cfg(test)]
mod tests;
