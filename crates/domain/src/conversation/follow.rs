//! Reading a channel without joining it.

use super::records::ConversationRecord;
use super::{Conversation, Decision, Form, views};
use crate::found::Found;
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::rights::Standing;
use crate::view::roles::{self, Roles};
use levee_proto::actions::conversation::FollowChannel;
use levee_proto::attrs::ChannelAttrs;
use levee_proto::{Body, ErrorType, Rejection};
use std::sync::Arc;

/// Whether anybody may read a channel: since when, in seconds since 1970, it is disclosed.
pub(super) fn is_followable(attrs: &ChannelAttrs) -> Option<u64> {
    attrs.disclosed_since.filter(|_| attrs.followable.is_some() && attrs.private.is_none())
}

impl Conversation {
    /// What a member has not read of it, if something.
    pub(super) fn status(&self, actor: &Actor) -> Option<&'static str> {
        let (last, _) = self.last_message.filter(|_| self.members.contains_key(&actor.user))?;
        let reading = actor.found.as_ref().and_then(Found::reading)?;
        reading.status(last)
    }

    /// What one who looks from outside is to the channel.
    pub(super) fn onlooker(&self) -> Roles {
        match is_followable(&self.attrs) {
            Some(_) if self.form == Form::Channel => roles::WATCHER,
            _ => 0,
        }
    }

    /// A session wants to read the channel. A member's does already.
    pub(super) fn follow(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        follow: &FollowChannel,
    ) -> Decision {
        let granted = match follow.master_sign {
            Some(_) => Some(self.granted(at, actor)?),
            None => None,
        };
        // A master's session does not follow what its puppet is a member of.
        let is_member = actor.master.is_none() && self.members.contains_key(&actor.user);
        // It may be read from outside its realm, whether or not that may join it.
        let is_hidden = self.onlooker() == 0 && granted.is_none() && self.is_hidden_from(standing);
        if self.form != Form::Channel || is_hidden {
            return Err(Self::absent(at.id));
        }
        let found = views::found(self, at, &actor.user, standing);
        if is_member {
            return Ok(Step::emit(Answer::event(&found)));
        }
        if self.onlooker() == 0 {
            let reason = "the channel is not followable, disclosed and open to others";
            return Err(Rejection::denied().because(reason).about("channel_id", at.id));
        }
        if let Some(nonce) = granted.and_then(|granted| granted.nonce.as_ref()) {
            // The nonce is spent by a record, for whoever sends the action again must not be refused.
            let record = ConversationRecord::Followed { session: actor.session.clone(), found };
            return Ok(Step::record(record).and(nonce.spent(ErrorType::PermissionAlreadySpent)));
        }
        Ok(Step::emit(Emit::Answer(Answer::Followed(at.seq, Arc::new(Body::new(&found))))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Authority, Found, Granted, Nonce};
    use crate::realm::Realm;
    use crate::table::{Given, ID, Table, refused};
    use crate::view::{Effect, To};
    use levee_proto::Id;
    use serde_json::{Value, json};

    fn channel(attrs: Value) -> Table<Conversation> {
        let mut table = Table::new();
        table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
        table
    }

    fn follow(table: &mut Table<Conversation>, user: &str) -> Given<Conversation> {
        table.act(user, "follow_channel", json!({"channel_id": ID}), &[])
    }

    fn glance(table: &Table<Conversation>, user: &str) -> Roles {
        let id = Id::from(ID);
        let at = table.entity.moment(table.now, &id, table.realm.as_ref());
        views::glance(&table.entity.machine, &at, &user.into()).roles
    }

    #[test]
    fn a_channel_is_followed_if_it_is_followable_disclosed_and_not_private() {
        for (attrs, error) in [
            (json!({"followable": true, "disclosed_since": 1}), None),
            (json!({"followable": true}), Some(ErrorType::PermissionDenied)),
            (json!({"disclosed_since": 1}), Some(ErrorType::PermissionDenied)),
            (
                json!({"followable": true, "disclosed_since": 1, "private": true}),
                Some(ErrorType::ChannelNotFound),
            ),
        ] {
            let mut table = channel(attrs.clone());
            let given = follow(&mut table, "reader");
            match error {
                Some(_) => assert_eq!(refused(given), error, "{attrs}"),
                None => {
                    let step = given.unwrap();
                    let [Emit::Answer(Answer::Followed(1, found))] = &step.emits[..] else {
                        panic!("{step:?}")
                    };
                    assert_eq!(found.event(), "channel_found");
                    assert!(!found.header().contains("channel_members"));
                }
            }
            assert_eq!(glance(&table, "reader") == roles::WATCHER, error.is_none(), "{attrs}");
            let member = follow(&mut table, "owner").unwrap();
            assert!(matches!(member.emits[..], [Emit::Answer(Answer::Event(_))]));
        }
        let absent = follow(&mut Table::new(), "reader");
        assert_eq!(refused(absent), Some(ErrorType::ChannelNotFound));
    }

    #[test]
    fn a_signature_to_follow_is_spent_by_a_record_that_answers_whenever_it_is_asked_for() {
        let mut table = channel(json!({"followable": true, "disclosed_since": 1}));
        let wish = json!({"channel_id": ID, "master_sign": "x"});
        let follow = |table: &mut Table<Conversation>| {
            table.act_as("reader", Some(9), "follow_channel", wish.clone(), &[])
        };
        assert_eq!(refused(follow(&mut table)), Some(ErrorType::PermissionDenied), "it was not right");
        let authority = |owner: &str| Authority { owner: owner.into(), realm: None };
        let nonce = Some(Nonce { digest: "n".into(), expires: 5 });
        table.found = Some(Found::Granted(Granted { authority: authority("other"), nonce: nonce.clone() }));
        assert_eq!(refused(follow(&mut table)), Some(ErrorType::ChannelNotFound), "it has no say here");
        table.found = Some(Found::Granted(Granted { authority: authority("owner"), nonce }));
        let step = follow(&mut table).unwrap();
        assert!(matches!(&step.emits[..], [Emit::Claim(claim)] if claim.absent), "{:?}", step.emits);
        let shown = views::of(&ID.into(), 2, 0, &step.records[0].record);
        let [view] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((&view.effect, view.answers), (&Effect::LookOn, true));
        assert_eq!(view.to, To::Session("session-of-reader".into()));
        assert!(follow(&mut table).unwrap().emits.is_empty(), "sent again, it spends nothing");
        // A token is not spent.
        table.found = Some(Found::Granted(Granted { authority: authority("owner"), nonce: None }));
        let step = table.act("reader", "follow_channel", wish.clone(), &[]).unwrap();
        assert!(matches!(step.emits[..], [Emit::Answer(Answer::Followed(..))]));
        // Nothing makes a channel followable that is not.
        table.entity.machine.attrs.private = Some(true);
        let refusal = refused(table.act("reader", "follow_channel", wish.clone(), &[]));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied));
    }

    #[test]
    fn a_channel_of_a_realm_is_followed_from_outside_and_looks_absent_if_it_may_not_be() {
        let mut table = channel(json!({"followable": true, "disclosed_since": 1}));
        table.entity.machine.realm = Some("00r".into());
        table.realm = Some(Realm::default());
        assert!(follow(&mut table, "reader").is_ok());
        table.entity.machine.attrs.followable = None;
        assert_eq!(refused(follow(&mut table, "reader")), Some(ErrorType::ChannelNotFound));
    }

    #[test]
    fn onlookers_see_messages_and_no_other_events_of_members() {
        let mut table = channel(json!({"followable": true, "disclosed_since": 1, "autohide": true}));
        table.act("ann", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        let text = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
        for user in ["owner", "ann"] {
            table.act(user, "send_message", text.clone(), &[r#"{"text":"hi"}"#]).unwrap();
        }
        let silence = json!({"channel_id": ID, "user_id": "ann", "member_attrs": {"silenced": true}});
        table.act("owner", "update_member", silence, &[]).unwrap();
        table.act("ann", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
        let seen: Vec<_> = table
            .stored()
            .into_iter()
            .flat_map(|(seq, _, entry)| views::of(&ID.into(), seq, 0, &entry.record))
            .filter(|view| view.to.means(&"reader".into(), &Id::default(), roles::WATCHER))
            .filter_map(|view| view.body.map(|body| body.event().to_owned()))
            .collect();
        // The owner's, and three that the server has written; what is hidden is for moderators.
        assert_eq!(seen, ["message_received"; 4]);
    }

    #[test]
    fn onlookers_leave_when_the_channel_may_be_followed_no_more() {
        let mut table = channel(json!({"followable": true, "disclosed_since": 1}));
        for (attrs, leaves) in [(json!({"topic": "x"}), false), (json!({"followable": null}), true)] {
            let header = json!({"channel_id": ID, "channel_attrs": attrs});
            let step = table.act("owner", "update_channel", header, &[]).unwrap();
            let record: &ConversationRecord = &step.records[0].record;
            let views = views::of(&ID.into(), 9, 0, record);
            let left =
                views.iter().any(|view| view.to == To::Roles(roles::WATCHER) && view.effect == Effect::Leave);
            assert_eq!(left, leaves, "{attrs}");
        }
    }

    #[test]
    fn what_is_disclosed_of_a_followable_channel_is_read_by_anybody() {
        let mut table = channel(json!({"followable": true, "disclosed_since": 1}));
        let load = |table: &mut Table<Conversation>| {
            table.act("reader", "load_history", json!({"channel_id": ID}), &[])
        };
        let step = load(&mut table).unwrap();
        let [Emit::Answer(Answer::History(wanted))] = &step.emits[..] else { panic!("{step:?}") };
        assert_eq!((wanted.since / 1_000_000, wanted.hidden), (2, false));
        table.entity.machine.attrs.disclosed_since = None;
        assert_eq!(refused(load(&mut table)), Some(ErrorType::ChannelNotFound));
    }
}
