//! How users come into a channel by themselves.

use super::decide::joined;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Decision};
use crate::access::AccessSpent;
use crate::found::{Found, Granted};
use crate::machine::{Actor, Moment, Step};
use crate::puppet::Puppet;
use crate::rights::Standing;
use levee_proto::actions::conversation::JoinChannel;
use levee_proto::attrs::ChannelMemberAttrs;
use levee_proto::{ErrorType, Id, Rejection, ids, limits};
use serde_json::Value;

impl Conversation {
    pub(super) fn join(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        join: &JoinChannel,
    ) -> Decision {
        let key = match &join.access_key {
            Some(secret) => Some((ids::digest(secret), self.key_of(at, actor, secret)?)),
            None => None,
        };
        let granted = match &join.master_sign {
            _ if key.is_some() => None,
            Some(_) => Some(self.granted(at, actor)?),
            // What one may not see looks absent.
            None if self.is_hidden_from(standing) => return Err(Self::absent(at.id)),
            None => None,
        };
        let refuse = |reason: &str| Err(Rejection::denied().because(reason).about("channel_id", at.id));
        if self.members.contains_key(&actor.user) {
            return refuse("you are a member already");
        }
        if self.attrs.suspended.is_some() {
            return refuse("the channel is suspended");
        }
        let is_verified = actor.found.as_ref().is_some_and(|found| *found == Found::Verified(true));
        let is_invited = key.is_some() || granted.is_some();
        if self.attrs.verified_join.is_some() && !is_invited && !is_verified {
            return refuse("the channel takes those who have a verified identity");
        }
        if self.members.len() >= limits::CHANNEL_MEMBERS {
            return Err(Rejection::new(ErrorType::ChannelQuotaExceeded).about("channel_id", at.id));
        }
        let nonce = granted.and_then(|granted| granted.nonce.as_ref());
        let unsilenced = match &join.member_attrs {
            None => false,
            Some(_) if nonce.is_none() => {
                return Err(Rejection::malformed("member_attrs takes a signature of a ninchat key"));
            }
            Some(attrs) if attrs.keys().all(|name| name == "silenced") => attrs
                .get("silenced")
                .is_some_and(|silenced| matches!(silenced, Value::Bool(false) | Value::Null)),
            Some(_) => return Err(Rejection::malformed("member_attrs unsets silenced, and nothing else")),
        };
        let member = Member {
            user: (*actor.card).clone(),
            puppet: Puppet::shown(actor.puppet.as_ref(), self.owner(at)),
            attrs: ChannelMemberAttrs {
                since: Some(at.now / 1_000_000),
                operator: (standing >= Standing::Operator).then_some(true),
                silenced: self
                    .attrs
                    .autosilence
                    .filter(|_| !unsilenced && !key.as_ref().is_some_and(|(_, key)| key.unsilence)),
                autohide: self.attrs.autohide,
                ..Default::default()
            },
            ..Member::default()
        };
        let mut step =
            Step::record(ConversationRecord::Joined { user: actor.user.clone(), member, added: false })
                .and(joined(at, &actor.user, actor.command()));
        step.emits.extend(actor.enters(self, at, &step.records));
        step.emits.extend(nonce.map(|nonce| nonce.spent(ErrorType::PermissionAlreadySpent)));
        if let Some((digest, key)) = key {
            step.records.push(ConversationRecord::AccessSpent(AccessSpent { digest }));
            step.emits.extend(self.admission(key, actor));
        }
        Ok(step)
    }

    /// Who owns the channel, or the realm that it is in.
    pub(super) fn owner<'a>(&'a self, at: &'a Moment<'_>) -> Option<&'a Id> {
        at.realm.map_or(self.attrs.owner_id.as_ref(), |realm| realm.attrs.owner_id.as_ref())
    }

    /// A signature or a token that lets the user in. One of somebody who has no say here tells them nothing.
    pub(super) fn granted<'a>(&self, at: &Moment<'_>, actor: &'a Actor) -> Result<&'a Granted, Rejection> {
        let owner = self.owner(at);
        let granted = actor.found.as_ref().and_then(Found::granted).ok_or_else(Rejection::denied)?;
        match granted.authority.is_over(self.realm.as_ref(), owner) {
            true => Ok(granted),
            false => Err(Self::absent(at.id)),
        }
    }
}
