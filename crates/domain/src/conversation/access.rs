//! Access keys to a channel: who makes them, what they tell, and joining by one.

use super::part::Part;
use super::records::{ConversationRecord, Message};
use super::{Conversation, Decision, Form};
use crate::access::{self, AccessKey, AccessType, Sendable};
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::rights::{Right, Standing};
use crate::view::Stream;
use levee_proto::actions::access::CreateAccess;
use levee_proto::attrs::UserAttrs;
use levee_proto::{AccessAction, ErrorType, Id, Object, Rejection, events, ids};
use serde_json::{Value, json};

/// How many invitations are remembered: the order to write one may come twice.
const REMEMBERED: usize = 64;

impl Conversation {
    pub(super) fn access(&self, at: &Moment<'_>, actor: &Actor, action: AccessAction) -> Decision {
        match action {
            AccessAction::CreateAccess(create) => self.create_access(at, actor, create),
            AccessAction::DescribeAccess(describe) => {
                let key = self.access.known(&ids::digest(&describe.access_key), at.now)?;
                if key.access_type == AccessType::Audience {
                    self.customer(at, &ids::digest(&describe.access_key))?;
                } else {
                    self.is_backed(at, key)?;
                }
                let mut found = self.access_found(at, key);
                found.queue_attrs = actor.brought().and_then(|brought| brought.queue.clone());
                Ok(Step::emit(Answer::event(&found)))
            }
            AccessAction::SendAccess(_) => Err(Rejection::new(ErrorType::ActionNotSupported)),
        }
    }

    fn create_access(&self, at: &Moment<'_>, actor: &Actor, create: CreateAccess) -> Decision {
        let standing = self.standing(at, &actor.user);
        if self.form != Form::Channel || self.is_hidden_from(standing) {
            return Err(Self::absent(at.id));
        }
        if create.access_type == AccessType::Audience.name() {
            return self.invite_customer(at, actor, standing, create);
        }
        let realm_member = create.realm_member == Some(true) && self.realm.is_some();
        let in_realm = at.realm.map_or(Standing::Stranger, |realm| realm.standing(&actor.user));
        if !standing.may(Right::Invite) || realm_member && !in_realm.may(Right::ManageRealm) {
            return Err(Rejection::denied().about("channel_id", at.id));
        }
        if create.user_id.as_ref() == Some(&actor.user) {
            return Err(Rejection::denied()
                .because("you can't invite yourself")
                .about("user_id", &actor.user));
        }
        let secret = actor.secret()?;
        let digest = ids::digest(secret);
        let key = AccessKey {
            only: create.user_id,
            unsilence: create.channel_unsilence == Some(true),
            realm_member,
            ..AccessKey::new(AccessType::Channel, at.now, (actor.user.clone(), (*actor.card).clone()))
        };
        let peer = actor.brought().and_then(|brought| brought.peer.as_ref());
        let invitation = match (&key.only, peer) {
            (Some(user), Some((peer, card))) if user == peer => {
                let content = access::invitation(&actor.user, &self.access_found(at, &key), secret);
                Some(access::invite(&key.by, (peer, card), &content, &digest))
            }
            (Some(user), _) => return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", user)),
            (None, _) => None,
        };
        let (session, owner) = (&actor.session, Stream::conversation(at.id));
        let (made, claims) = self.access.make(digest, key, session, &owner, at.now)?;
        let mut step = Step::record(ConversationRecord::AccessMade(made));
        step.emits.extend(claims);
        step.emits.extend(invitation);
        Ok(step)
    }

    fn access_found(&self, at: &Moment<'_>, key: &AccessKey) -> events::AccessFound {
        let customer = key.customer.as_deref();
        let (user, attrs) = customer.map_or((&key.by.0, &key.by.1), |of| (&of.user, &of.attrs));
        events::AccessFound {
            access_type: key.access_type.name().into(),
            user_id: Some(user.clone()),
            user_attrs: Some(attrs.clone()),
            queue_id: customer.and(self.attrs.queue_id.clone()),
            channel_id: Some(at.id.clone()),
            channel_attrs: Some(self.attrs.clone()),
            channel_unsilence: key.unsilence.then_some(true),
            realm_id: self.realm.clone(),
            realm_attrs: at.realm.map(|realm| realm.attrs.clone()),
            realm_member: key.realm_member.then_some(true),
            ..Default::default()
        }
    }

    /// Refuses a key whose maker could not make it any more: it goes no further than they do.
    fn is_backed(&self, at: &Moment<'_>, key: &AccessKey) -> Result<(), Rejection> {
        let by = &key.by.0;
        let in_realm = at.realm.map_or(Standing::Stranger, |realm| realm.standing(by));
        let backed = self.standing(at, by).may(Right::Invite)
            && (!key.realm_member || in_realm.may(Right::ManageRealm));
        if backed { Ok(()) } else { Err(Rejection::new(ErrorType::AccessDenied)) }
    }

    /// Says what a key opens to one who may send it to others: who made it, or could have.
    pub(super) fn sendable(&self, at: &Moment<'_>, digest: &str, by: &Id) -> Decision {
        let key = self.access.known(digest, at.now)?;
        if key.access_type != AccessType::Channel {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        self.is_backed(at, key)?;
        if key.by.0 != *by && !self.standing(at, by).may(Right::Invite) {
            return Err(Rejection::denied());
        }
        let sendable = Sendable { found: self.access_found(at, key), only: key.only.clone() };
        Ok(Step::emit(Emit::Answer(Answer::Value(json!(sendable)))))
    }

    /// The key by which a user wants to join.
    pub(super) fn key_of(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        secret: &str,
    ) -> Result<&AccessKey, Rejection> {
        let key = self.access.usable(&ids::digest(secret), &actor.user, at.now)?;
        if key.access_type != AccessType::Channel {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        self.is_backed(at, key)?;
        Ok(key)
    }

    /// Has the realm take in who joins, if the key says so.
    pub(super) fn admission(&self, key: &AccessKey, actor: &Actor) -> Option<Emit> {
        let realm = self.realm.as_ref().filter(|_| key.realm_member)?;
        let admit = json!({"Admit": {"user": actor.user, "card": *actor.card, "puppet": actor.puppet}});
        Some(Emit::Forward(Stream::realm(realm), admit))
    }

    /// Tells a user in a dialogue that they are invited; makes the dialogue if there is none.
    pub(super) fn invited(
        &self,
        at: &Moment<'_>,
        [by, to]: [(Id, UserAttrs); 2],
        content: &Object,
        digest: Id,
    ) -> Step<ConversationRecord> {
        if self.invitations.contains(&digest) {
            return Step::nothing();
        }
        let mut step = Step::nothing();
        let (author, peer) = (by.0.clone(), to.0.clone());
        if self.form != Form::Dialogue {
            self.open_dialogue(at, by, to, &mut step);
        }
        step.records.push(ConversationRecord::Message(Message {
            message_type: "ninchat.com/info/access".into(),
            between: Some((author, peer)),
            parts: vec![Part(Value::Object(content.clone()).to_string().into())],
            ..Message::default()
        }));
        step.records.push(ConversationRecord::Invited { digest });
        step
    }

    pub(super) fn remember_invitation(&mut self, digest: Id) {
        self.invitations.push_back(digest);
        if self.invitations.len() > REMEMBERED {
            self.invitations.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::Realm;
    use crate::table::{Given, ID, Table, forwards, refused};

    /// A private channel with an operator and a member.
    fn room() -> Table<Conversation> {
        let mut table = Table::new();
        let attrs = json!({"private": true, "autosilence": true});
        table.act("ann", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
        let (by_ann, _) = key(&mut table, "ann", json!({}));
        join(&mut table, "ben", &by_ann).unwrap();
        table
    }

    fn create(table: &mut Table<Conversation>, user: &str, mut header: Value) -> Given<Conversation> {
        header["access_type"] = "channel".into();
        header["channel_id"] = ID.into();
        table.act(user, "create_access", header, &[])
    }

    /// Makes a key; also what that comes to.
    fn key(
        table: &mut Table<Conversation>,
        user: &str,
        header: Value,
    ) -> (Id, Step<crate::machine::Entry<ConversationRecord>>) {
        let step = create(table, user, header).unwrap();
        (table.secret(), step)
    }

    fn join(table: &mut Table<Conversation>, user: &str, key: &str) -> Given<Conversation> {
        table.act(user, "join_channel", json!({"access_key": key}), &[])
    }

    #[test]
    fn a_key_lets_one_user_in_and_is_kept_as_a_digest_only() {
        let mut table = room();
        let (secret, step) = key(&mut table, "ann", json!({}));
        let written = serde_json::to_string(&step.records).unwrap();
        assert!(written.contains(ids::digest(&secret).as_str()) && !written.contains(secret.as_str()));
        assert!(table.act("cleo", "describe_channel", json!({"channel_id": ID}), &[]).is_err());
        let step = join(&mut table, "cleo", &secret).unwrap();
        assert_eq!(forwards(&step), [(Stream::user(&"cleo".into()), "Joined".to_owned())]);
        assert_eq!(table.entity.machine.members["cleo"].attrs.silenced, Some(true));
        assert_eq!(refused(join(&mut table, "dora", &secret)), Some(ErrorType::AccessAlreadySpent));
        assert_eq!(refused(join(&mut table, "dora", "guessed")), Some(ErrorType::AccessDenied));
    }

    #[test]
    fn who_joins_by_a_key_that_says_so_may_speak() {
        let mut table = room();
        let (secret, _) = key(&mut table, "ann", json!({"channel_unsilence": true}));
        join(&mut table, "cleo", &secret).unwrap();
        assert_eq!(table.entity.machine.members["cleo"].attrs.silenced, None);
    }

    #[test]
    fn only_moderators_invite_and_to_others_the_channel_is_not_there() {
        let mut table = room();
        assert_eq!(refused(create(&mut table, "ben", json!({}))), Some(ErrorType::PermissionDenied));
        assert_eq!(refused(create(&mut table, "cleo", json!({}))), Some(ErrorType::ChannelNotFound));
        let update = json!({"channel_id": ID, "user_id": "ben", "member_attrs": {"moderator": true}});
        table.act("ann", "update_member", update, &[]).unwrap();
        let (secret, _) = key(&mut table, "ben", json!({}));
        // What a moderator gave ends with their right to give it.
        let update = json!({"channel_id": ID, "user_id": "ben", "member_attrs": {"moderator": false}});
        table.act("ann", "update_member", update, &[]).unwrap();
        assert_eq!(refused(join(&mut table, "cleo", &secret)), Some(ErrorType::AccessDenied));
        let describe = json!({"access_key": secret});
        assert_eq!(refused(table.act("", "describe_access", describe, &[])), Some(ErrorType::AccessDenied));
    }

    #[test]
    fn an_invitation_for_one_user_is_told_in_a_dialogue_once_and_is_of_no_use_to_others() {
        let mut table = room();
        let (secret, step) = key(&mut table, "ann", json!({"user_id": "cleo"}));
        let dialogue = Stream::conversation(&ids::dialogue("ann", "cleo"));
        assert_eq!(forwards(&step), [(dialogue, "Invited".to_owned())]);
        let order = step.emits.iter().find_map(|emit| match emit {
            Emit::Forward(_, order) => Some(order.clone()),
            _ => None,
        });
        let mut dialogue: Table<Conversation> = Table::new();
        for records in [3, 0] {
            let step = dialogue.order(order.clone().unwrap()).unwrap();
            assert_eq!(step.records.len(), records);
            let told = serde_json::to_string(&step.records).unwrap();
            assert_eq!(told.contains(secret.as_str()), records > 0);
        }
        assert_eq!(refused(join(&mut table, "dora", &secret)), Some(ErrorType::AccessDenied));
        assert!(join(&mut table, "cleo", &secret).is_ok());
        assert_eq!(
            refused(create(&mut table, "ann", json!({"user_id": "ann"}))),
            Some(ErrorType::PermissionDenied)
        );
    }

    #[test]
    fn only_operators_of_the_realm_invite_to_it() {
        let realm = |owner: &str| Realm {
            attrs: levee_proto::attrs::RealmAttrs { owner_id: Some(owner.into()), ..Default::default() },
            ..Realm::default()
        };
        let mut table: Table<Conversation> = Table::new();
        table.realm = Some(realm("ann"));
        table.act("ann", "create_channel", json!({"realm_id": "00r"}), &[]).unwrap();
        let (secret, _) = key(&mut table, "ann", json!({"realm_member": true}));
        let step = join(&mut table, "cleo", &secret).unwrap();
        assert_eq!(forwards(&step)[1], (Stream::realm(&"00r".into()), "Admit".to_owned()));
        table.realm = Some(realm("somebody"));
        assert!(create(&mut table, "ann", json!({})).is_ok());
        let wish = create(&mut table, "ann", json!({"realm_member": true}));
        assert_eq!(refused(wish), Some(ErrorType::PermissionDenied));
    }

    #[test]
    fn keys_go_with_the_channel() {
        let mut table: Table<Conversation> = Table::new();
        table.act("ann", "create_channel", json!({}), &[]).unwrap();
        let (secret, _) = key(&mut table, "ann", json!({}));
        let step = table.act("ann", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
        let removed = step.emits.iter().any(|emit| {
            matches!(emit, Emit::Claim(claim) if claim.value.is_none() && claim.key == ids::digest(&secret))
        });
        assert!(removed, "{step:?}");
        assert_eq!(refused(join(&mut table, "ben", &secret)), Some(ErrorType::AccessDenied));
    }
}
