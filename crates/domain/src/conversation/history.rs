//! Which messages of the past a member may see.

use super::follow::is_followable;
use super::{Conversation, ConversationRecord, Decision, Form};
use crate::machine::{Actor, Answer, Emit, History, Moment, Step};
use crate::rights::{Right, Standing};
use levee_proto::actions::conversation::{DiscardHistory, LoadHistory};
use levee_proto::{ErrorType, Id, Rejection, ids, limits};

impl Conversation {
    /// Somebody wants to see the older part of a dialogue no more.
    pub(super) fn discard(&self, at: &Moment<'_>, actor: &Actor, discard: &DiscardHistory) -> Decision {
        if self.form != Form::Dialogue || !self.members.contains_key(&actor.user) {
            return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", &discard.user_id));
        }
        let through = ids::message_seq(&discard.message_id)
            .filter(|seq| *seq <= at.seq)
            .ok_or_else(|| Rejection::malformed("message_id is none of this dialogue's"))?;
        let (user, peer) = (actor.user.clone(), discard.user_id.clone());
        Ok(Step::record(ConversationRecord::Discarded { user, peer, through }))
    }

    /// From where on somebody may read: after a sequence, and not before a time. Who is no
    /// member reads what is disclosed of a channel that may be followed; `None` if that is nothing.
    pub(super) fn visible_to(&self, user: &Id) -> Option<(u64, u64)> {
        let Some(member) = self.members.get(user) else {
            let disclosed = is_followable(&self.attrs).filter(|_| self.form == Form::Channel)?;
            return Some((0, disclosed.saturating_mul(1_000_000)));
        };
        if self.form != Form::Channel {
            return Some((member.discarded, 0));
        }
        match self.attrs.disclosed_since {
            // Who was there before it was disclosed sees what they saw.
            Some(disclosed) if member.attrs.since.is_none_or(|joined| joined >= disclosed) => {
                Some((0, disclosed.saturating_mul(1_000_000)))
            }
            Some(_) | None => Some((member.joined.saturating_sub(1), 0)),
        }
    }

    pub(super) fn load(&self, actor: &Actor, standing: Standing, load: LoadHistory) -> Decision {
        let absent = || match (&load.channel_id, &load.user_id) {
            (Some(channel), _) => Self::absent(channel),
            (_, user) => {
                Rejection::new(ErrorType::UserNotFound).about("user_id", user.as_deref().unwrap_or_default())
            }
        };
        let (visible, since) = self.visible_to(&actor.user).ok_or_else(absent)?;
        let descending = match load.history_order {
            None | Some(-1) => true,
            Some(1) => false,
            Some(_) => return Err(Rejection::malformed("history_order is 1 or -1")),
        };
        let from = match load.message_id.as_deref() {
            None => None,
            Some("") => Some(0),
            Some(id) => {
                Some(ids::message_seq(id).ok_or_else(|| Rejection::malformed("message_id is none of ours"))?)
            }
        };
        let (mut after, mut before) = (0, u64::MAX);
        match (from, descending) {
            (Some(0), true) => before = 1,
            (Some(seq), true) => before = seq,
            (Some(seq), false) => after = seq,
            (None, _) => {}
        }
        after = after.max(visible);
        let types = load.message_types.unwrap_or_else(|| actor.message_types.to_vec());
        if types.len() > limits::MESSAGE_TYPES {
            return Err(Rejection::new(ErrorType::MessageTypesTooLong));
        }
        let filter = match (load.filter_property, load.filter_substring) {
            (Some(property), Some(text)) => Some((property, text)),
            (None, None) => None,
            _ => return Err(Rejection::malformed("filter_property and filter_substring go together")),
        };
        // Without a start, ascending order means the latest ones, oldest first.
        Ok(Step::emit(Emit::Answer(Answer::History(History {
            types,
            after,
            before,
            since,
            fold: load.message_fold.unwrap_or_default(),
            hidden: standing.may(Right::SeeHidden),
            latest: from.is_none(),
            descending,
            limit: load.history_length.unwrap_or(100).min(limits::HISTORY) as usize,
            filter,
            user: actor.user.clone(),
            peer: self.peer_of(&actor.user).cloned(),
        }))))
    }
}
