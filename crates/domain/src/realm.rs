//! A realm: an organisation with its members, queues and tags.

mod decide;
mod keys;
mod records;
mod search;
mod sites;
mod tags;
#[cfg(test)]
mod tests;
mod views;
mod visits;
mod webhook_log;
mod webhooks;

pub use decide::first_channel;
pub use records::{RealmOrder, RealmRecord};
pub use sites::SitePut;
pub use tags::Tags;
pub use webhooks::{WebhookPut, aud};

use crate::account::AccountOrder;
use crate::hook::Webhooks;
use crate::machine::{Columns, Entry, Glance, Input, Machine, Moment, Step};
use crate::master::Keys;
use crate::past::Wanted;
use crate::puppet::Puppet;
use crate::rights::{Right, Standing};
use crate::site::Site;
use crate::view::{View, roles};
use levee_proto::attrs::{RealmAttrs, RealmMemberAttrs, UserAttrs};
use levee_proto::{Action, ErrorType, Id, Object, Rejection, Text, events};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// A realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Realm {
    /// Attributes.
    pub attrs: RealmAttrs,
    /// Settings.
    pub settings: Object,
    /// Members.
    pub members: BTreeMap<Id, RealmMember>,
    /// Queues.
    pub queues: Vec<Id>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Sites, by their keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<Text, Site>,
    /// Webhooks.
    #[serde(default, skip_serializing_if = "Webhooks::is_empty")]
    pub webhooks: Webhooks,
    /// Master keys.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub keys: Keys,
    /// Whether it was deleted: another one of the same id is never made.
    #[serde(default)]
    pub deleted: bool,
}

/// A member of a realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RealmMember {
    /// What others may know of the user.
    pub user: UserAttrs,
    /// Membership attributes.
    pub attrs: RealmMemberAttrs,
    /// What the realm's owner has set of the member, who is the owner's puppet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
}

type Decision = Result<Step<RealmRecord>, Rejection>;

impl Realm {
    /// How a user stands to the realm.
    pub fn standing(&self, user: &Id) -> Standing {
        match self.members.get(user) {
            _ if self.attrs.owner_id.as_ref() == Some(user) => Standing::Owner,
            Some(member) if member.attrs.operator.is_some() => Standing::Operator,
            Some(_) => Standing::RealmMember,
            None => Standing::Stranger,
        }
    }

    fn members(&self) -> Object {
        self.members
            .iter()
            .map(|(id, member)| {
                let shown = json!({"user_attrs": member.user, "member_attrs": member.attrs});
                (id.to_string(), Puppet::beside(member.puppet.as_ref(), shown))
            })
            .collect()
    }
}

impl Machine for Realm {
    type Order = RealmOrder;
    type Record = RealmRecord;

    fn exists(&self) -> bool {
        self.attrs.owner_id.is_some()
    }

    fn wants(&self, at: &Moment<'_>, input: &Input<RealmOrder>) -> Option<Wanted> {
        match input {
            Input::Order(RealmOrder::Search { user, search }) if search.channels => {
                self.standing(user).may(Right::SeeRealm).then(|| search.wanted(Some(at.id)))
            }
            Input::Action(actor, Action::Realm(action), _) => self.wants_site(actor, action),
            Input::Action(actor, Action::Webhook(action), _) => self.wants_deliveries(actor, action),
            Input::Order(_) | Input::Action(..) => None,
        }
    }

    fn decide(&self, at: &Moment<'_>, input: Input<RealmOrder>) -> Decision {
        match input {
            Input::Action(actor, Action::Realm(action), _) => self.act(at, &actor, action),
            Input::Action(actor, Action::Member(action), _) => self.manage(at, &actor, action),
            Input::Action(actor, Action::Key(action), payload) => {
                self.keep_keys(at, &actor, action, &payload)
            }
            Input::Action(actor, Action::Webhook(action), _) => self.keep_webhooks(at, &actor, action),
            Input::Action(
                _,
                Action::Session(_)
                | Action::User(_)
                | Action::Identity(_)
                | Action::Queue(_)
                | Action::Conversation(_)
                | Action::File(_)
                | Action::Video(_)
                | Action::Access(_),
                _,
            ) => Err(Rejection::new(ErrorType::ActionNotSupported)),
            Input::Order(RealmOrder::QueueDeleted { queue }) if self.queues.contains(&queue) => {
                let gone = AccountOrder::Gone { ids: vec![queue.clone()], seq: at.seq + 1 };
                let mut step = Step::record(RealmRecord::QueueRemoved { queue });
                step.emits.extend(self.account(gone));
                Ok(step)
            }
            Input::Order(RealmOrder::QueueDeleted { .. }) => Ok(Step::nothing()),
            Input::Order(RealmOrder::Admit { user, card, puppet }) => {
                Ok(self.admit(at, user, card, puppet.as_ref()))
            }
            Input::Order(RealmOrder::UserChanged { user, attrs, puppet }) => {
                let puppet = Puppet::shown(puppet.as_ref(), self.attrs.owner_id.as_ref());
                Ok(match self.members.get(&user) {
                    Some(member) if member.user != attrs || member.puppet != puppet => {
                        Step::record(RealmRecord::UserChanged { user, attrs, puppet })
                    }
                    _ => Step::nothing(),
                })
            }
            Input::Order(RealmOrder::Search { user, search }) => self.search(at, &user, &search),
            Input::Order(RealmOrder::Challenged { webhook, challenge, failure }) => {
                Ok(self.challenged(webhook, challenge, failure))
            }
        }
    }

    fn apply(&mut self, _seq: u64, _time: u64, record: &RealmRecord) {
        match record.clone() {
            RealmRecord::Created { attrs, settings, owner } => {
                if let Some(id) = attrs.owner_id.clone() {
                    let attrs = RealmMemberAttrs { operator: Some(true) };
                    self.members.insert(id, RealmMember { user: owner, attrs, puppet: None });
                }
                self.attrs = attrs;
                self.settings = settings;
            }
            RealmRecord::Changed { attrs, settings } => {
                self.attrs = attrs;
                self.settings = settings;
            }
            RealmRecord::MemberJoined { user, member } => {
                self.members.insert(user, member);
            }
            RealmRecord::MemberUpdated { user, attrs } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.attrs = attrs;
                }
            }
            RealmRecord::MemberParted { user, .. } => {
                self.members.remove(&user);
            }
            RealmRecord::UserChanged { user, attrs, puppet } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.user = attrs;
                    member.puppet = puppet;
                }
            }
            RealmRecord::QueueAdded { queue } => self.queues.push(queue),
            RealmRecord::QueueRemoved { queue } => self.queues.retain(|id| *id != queue),
            RealmRecord::TagCreated { tag, attrs } | RealmRecord::TagChanged { tag, attrs } => {
                self.tags.put(tag, attrs);
            }
            RealmRecord::TagDeleted { tag, .. } => self.tags.remove(&tag),
            RealmRecord::SiteCreated(put) | RealmRecord::SiteChanged(put) => self.put_site(&put),
            RealmRecord::SiteDeleted { key, .. } => {
                self.sites.remove(&key);
            }
            RealmRecord::WebhookPut(put) => {
                self.webhooks.0.insert(put.id, put.webhook);
            }
            RealmRecord::WebhookReplayed { .. } => {}
            RealmRecord::WebhookDeleted { id, .. } => {
                self.webhooks.0.remove(&id);
            }
            RealmRecord::KeyMade(made) => self.keys.made(made),
            RealmRecord::KeyGone(gone) => self.keys.gone(&gone),
            RealmRecord::Deleted => *self = Self { deleted: true, ..Self::default() },
        }
    }

    fn views(id: &Id, _seq: u64, _time: u64, entry: &Entry<RealmRecord>) -> Vec<View> {
        views::of(id, &entry.record)
    }

    fn columns(_record: &RealmRecord) -> Columns {
        Columns { kind: "realm".into(), ..Columns::default() }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        let standing = self.standing(user);
        if !standing.may(Right::SeeRealm) {
            return Glance::default();
        }
        let operator = if standing >= Standing::Operator { roles::OPERATOR } else { 0 };
        let entry = events::RealmJoined {
            realm_id: at.id.clone(),
            realm_attrs: self.attrs.clone(),
            realm_settings: self.settings.clone(),
            realm_members: self.members(),
        };
        let mut summary = Object::new();
        summary.insert("realm_attrs".into(), json!(self.attrs));
        summary.insert("member_attrs".into(), json!(self.members.get(user).map(|member| &member.attrs)));
        Glance {
            roles: roles::MEMBER | operator,
            summary,
            entry: Some(std::sync::Arc::new(levee_proto::Body::new(&entry))),
            latest: None,
        }
    }
}
