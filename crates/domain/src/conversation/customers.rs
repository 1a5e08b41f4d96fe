//! Customers of an audience who come by an access key: the key makes the user, as often as it is used, until the
//! audience ends.

use super::decide::joined;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Decision, Form};
use crate::access::{AccessKey, AccessType, Customer};
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::rights::{Right, Standing};
use crate::settings;
use crate::view::Stream;
use levee_proto::actions::access::CreateAccess;
use levee_proto::attrs::{ChannelMemberAttrs, UserAttrs, Writable};
use levee_proto::{ErrorType, Id, Object, Rejection, ids, limits};
use serde_json::json;

impl Conversation {
    /// Whether it is an audience's, and goes on.
    fn is_under_way(&self) -> bool {
        let over = self.attrs.closed.is_some() || self.attrs.suspended.is_some();
        self.form == Form::Channel && self.attrs.audience_id.is_some() && !over
    }

    /// Makes a key that makes a customer.
    pub(super) fn invite_customer(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        create: CreateAccess,
    ) -> Decision {
        let denied = |reason: &str| Err(Rejection::denied().because(reason).about("channel_id", at.id));
        if !standing.may(Right::Invite) {
            return Err(Rejection::denied().about("channel_id", at.id));
        }
        if !self.is_under_way() {
            return denied("the channel is no audience that goes on");
        }
        let mut attrs = UserAttrs { guest: Some(true), ..UserAttrs::default() };
        if let Some(patch) = &create.user_attrs {
            patch.check(|writable| writable == Writable::OneSelf)?;
            patch.apply(&mut attrs);
        }
        attrs.guest = Some(true);
        let settings = settings::changed(&Object::new(), create.user_settings.unwrap_or_default())?;
        let metadata = create.member_metadata.filter(|metadata| !metadata.is_empty());
        let size = serde_json::to_vec(&metadata).map_or(usize::MAX, |text| text.len());
        if size > limits::OBJECT_BYTES {
            return Err(Rejection::malformed("member_metadata is too long"));
        }
        if metadata.as_ref().and_then(|data| data.get("secure")).is_some_and(|secure| !secure.is_object()) {
            return Err(Rejection::malformed("secure is an object, and not encrypted"));
        }
        let digest = ids::digest(actor.secret()?);
        let user = ids::derive(ids::shard(at.id).unwrap_or_default(), &["customer", &digest]);
        let by = (actor.user.clone(), (*actor.card).clone());
        let key = AccessKey {
            customer: Some(Box::new(Customer { user, attrs, settings, metadata })),
            ..AccessKey::new(AccessType::Audience, at.now, by)
        };
        let (session, owner) = (&actor.session, Stream::conversation(at.id));
        let (made, claims) = self.access.make(digest, key, session, &owner, at.now)?;
        let mut step = Step::record(ConversationRecord::AccessMade(made));
        step.emits.extend(claims);
        Ok(step)
    }

    /// The customer whom a key makes.
    pub(super) fn customer(&self, at: &Moment<'_>, digest: &str) -> Result<&Customer, Rejection> {
        let key = self.access.known(digest, at.now)?;
        let customer = key.customer.as_deref().filter(|_| self.is_under_way());
        customer.ok_or_else(|| Rejection::new(ErrorType::AccessDenied))
    }

    /// Answers who the customer of a key is.
    pub(super) fn tell_customer(&self, at: &Moment<'_>, digest: &str) -> Decision {
        let customer = self.customer(at, digest)?;
        Ok(Step::emit(Emit::Answer(Answer::Value(json!(customer)))))
    }

    /// Takes in a customer who came by a key.
    pub(super) fn admit(
        &self,
        at: &Moment<'_>,
        digest: &str,
        user: Id,
        card: UserAttrs,
    ) -> Step<ConversationRecord> {
        let Ok(customer) = self.customer(at, digest) else {
            // It ended meanwhile.
            return Step::emit(no_host(at.id, &user));
        };
        if customer.user != user
            || self.members.contains_key(&user)
            || self.members.len() >= limits::CHANNEL_MEMBERS
        {
            return Step::nothing();
        }
        let attrs = ChannelMemberAttrs { since: Some(at.now / 1_000_000), ..Default::default() };
        let member = Member { user: card, attrs, metadata: customer.metadata.clone(), ..Member::default() };
        let joined = joined(at, &user, None);
        Step::record(ConversationRecord::Joined { user, member, added: false }).and(joined)
    }

    /// Lets go of the customers who came by keys, if what was decided ends the audience.
    pub(super) fn ends(
        &self,
        at: &Moment<'_>,
        mut step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let ends = |record: &ConversationRecord| match record {
            ConversationRecord::Changed { attrs, .. } => attrs.closed.is_some() || attrs.suspended.is_some(),
            ConversationRecord::Deleted { .. } => true,
            _ => false,
        };
        if self.is_under_way() && step.records.iter().any(ends) {
            step.emits.extend(self.access.customers().map(|customer| no_host(at.id, &customer.user)));
        }
        step
    }
}

/// A user is no customer of this channel any more.
fn no_host(channel: &Id, user: &Id) -> Emit {
    Emit::Forward(Stream::user(user), json!({"HostGone": {"channel": channel}}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Given, ID, Table, forwards, refused};
    use serde_json::Value;

    fn audience() -> Table<Conversation> {
        let mut table = Table::new();
        table
            .order(json!({"Open": {"realm": null, "metadata": null, "command": null, "accepted": 3,
                "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true},
                "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]]}}))
            .unwrap();
        table
    }

    fn create(table: &mut Table<Conversation>, user: &str, mut header: Value) -> Given<Conversation> {
        header["access_type"] = "audience".into();
        header["channel_id"] = ID.into();
        table.act(user, "create_access", header, &[])
    }

    fn admit(
        table: &mut Table<Conversation>,
        digest: &Id,
        user: &Id,
    ) -> Step<crate::machine::Entry<ConversationRecord>> {
        table.order(json!({"Admit": {"digest": digest, "user": user, "card": {"name": "Dora"}}})).unwrap()
    }

    #[test]
    fn a_key_makes_one_customer_until_the_audience_ends() {
        let mut table = audience();
        let wish = json!({"user_attrs": {"name": "Dora"}, "member_metadata": {"page": "/", "secure": {"vip": true}}});
        create(&mut table, "agent", wish).unwrap();
        let digest = ids::digest(&table.secret());
        let customer = table.entity.machine.access.customers().next().unwrap().clone();
        assert_eq!((customer.attrs.name.as_deref(), customer.attrs.guest), (Some("Dora"), Some(true)));
        let step = admit(&mut table, &digest, &customer.user);
        assert_eq!(forwards(&step), [(Stream::user(&customer.user), "Joined".to_owned())]);
        assert!(admit(&mut table, &digest, &customer.user).records.is_empty(), "it may come twice");
        assert!(admit(&mut table, &digest, &"other".into()).records.is_empty());
        assert_eq!(table.entity.machine.members[&customer.user].metadata, customer.metadata);
        let by_key = table.act("eve", "join_channel", json!({"access_key": table.secret()}), &[]);
        assert_eq!(refused(by_key), Some(ErrorType::AccessDenied), "it is no invitation");
        let close = json!({"channel_id": ID, "channel_attrs": {"closed": true}});
        let step = table.act("agent", "update_channel", close, &[]).unwrap();
        assert!(forwards(&step).contains(&(Stream::user(&customer.user), "HostGone".to_owned())));
        assert_eq!(
            refused(table.order(json!({"Customer": {"digest": digest}}))),
            Some(ErrorType::AccessDenied)
        );
        // One who was on the way is let go too.
        let step = admit(&mut table, &digest, &customer.user);
        assert_eq!(forwards(&step), [(Stream::user(&customer.user), "HostGone".to_owned())]);
        assert_eq!(refused(create(&mut table, "agent", json!({}))), Some(ErrorType::PermissionDenied));
    }

    #[test]
    fn only_who_serves_an_audience_makes_customers() {
        let mut table = audience();
        assert_eq!(refused(create(&mut table, "customer", json!({}))), Some(ErrorType::PermissionDenied));
        assert_eq!(refused(create(&mut table, "stranger", json!({}))), Some(ErrorType::ChannelNotFound));
        for (wish, error) in [
            (json!({"user_attrs": {"admin": true}}), ErrorType::PermissionDenied),
            (json!({"member_metadata": {"secure": "encrypted"}}), ErrorType::RequestMalformed),
            (
                json!({"member_metadata": {"x": "x".repeat(limits::OBJECT_BYTES)}}),
                ErrorType::RequestMalformed,
            ),
            (json!({"user_settings": {"x": "x".repeat(limits::OBJECT_BYTES)}}), ErrorType::RequestMalformed),
        ] {
            assert_eq!(refused(create(&mut table, "agent", wish)), Some(error));
        }
        let mut room: Table<Conversation> = Table::new();
        room.act("ann", "create_channel", json!({}), &[]).unwrap();
        assert_eq!(refused(create(&mut room, "ann", json!({}))), Some(ErrorType::PermissionDenied));
    }
}
