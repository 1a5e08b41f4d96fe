//! Access keys to what a user has: sessions and identities; and sending keys to others.

use super::User;
use super::decide::Decision;
use super::records::UserRecord;
use crate::access::{self, AccessKey, AccessType};
use crate::identity::Identity;
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::mail::{Mail, Says};
use crate::view::Stream;
use levee_proto::actions::access::{CreateAccess, SendAccess};
use levee_proto::{AccessAction, Rejection, events, ids};

impl User {
    pub(super) fn access(&self, at: &Moment<'_>, actor: &Actor, action: AccessAction) -> Decision {
        match action {
            AccessAction::CreateAccess(CreateAccess { .. }) => {
                if actor.user != *at.id {
                    return Err(Rejection::denied());
                }
                let digest = ids::digest(actor.secret()?);
                let by = (at.id.clone(), self.attrs.clone());
                let key = AccessKey::new(AccessType::Session, at.now, by);
                let (session, owner) = (&actor.session, Stream::user(at.id));
                let (made, claims) = self.access.make(digest, key, session, &owner, at.now)?;
                let mut step = Step::record(UserRecord::AccessMade(made));
                step.emits.extend(claims);
                Ok(step)
            }
            AccessAction::SendAccess(send) => self.send_access(at, actor, send),
            AccessAction::DescribeAccess(describe) => {
                let key = self.access.known(&ids::digest(&describe.access_key), at.now)?;
                let identity = key.identity.as_ref();
                Ok(Step::emit(Answer::event(&events::AccessFound {
                    access_type: key.access_type.name().into(),
                    user_id: Some(at.id.clone()),
                    user_attrs: Some(self.card()),
                    identity_type: identity.map(|identity| identity.kind.clone()),
                    identity_name: identity.map(|identity| identity.name.clone()),
                    ..Default::default()
                })))
            }
        }
    }

    /// Sends a key to a channel to somebody: what it opens was looked up, and that this user may send it.
    fn send_access(&self, at: &Moment<'_>, actor: &Actor, send: SendAccess) -> Decision {
        if let (None, Some(name)) = (&send.access_key, &send.identity_name) {
            return self.ask_again(at, actor, Identity::new(&send.identity_type.unwrap_or_default(), name));
        }
        let brought = actor.brought();
        let Some(access::Sendable { found, only }) = brought.and_then(|brought| brought.access.clone())
        else {
            return Err(Rejection::malformed("access_key is missing"));
        };
        let secret = send.access_key.unwrap_or_default();
        let mut step =
            Step::record(UserRecord::AccessSent { found: found.clone(), session: actor.session.clone() });
        match (brought.and_then(|brought| brought.peer.as_ref()), send.identity_name) {
            (Some((peer, card)), None) => {
                if only.is_some_and(|only| only != *peer) || *peer == actor.user {
                    return Err(Rejection::denied().about("user_id", peer));
                }
                let content = access::invitation(at.id, &found, &secret);
                // Whoever sends it twice means it, but for a copy of the same sending.
                let digest = ids::digest(&format!("{secret}/{}", at.seq));
                let by = (at.id.clone(), (*actor.card).clone());
                step.emits.push(access::invite(&by, (peer, card), &content, &digest));
            }
            (None, Some(name)) => {
                if only.is_some() {
                    return Err(Rejection::denied().because("the key is for one user"));
                }
                let to = Identity::new("email", &name).name;
                self.mailed.allow(&to, at.now)?;
                step.records.push(UserRecord::Mailed { to: to.clone() });
                let says = Says::Invite {
                    key: secret,
                    by: self.attrs.name.clone(),
                    channel: found.channel_attrs.and_then(|attrs| attrs.name),
                    realm: found.realm_attrs.and_then(|attrs| attrs.name),
                };
                step.emits.push(Emit::Mail(Mail { to, says }));
            }
            _ => return Err(Rejection::malformed("exactly one of user_id and identity_name is given")),
        }
        Ok(step)
    }
}
