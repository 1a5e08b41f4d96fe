//! What the members of a realm see of its records.

use super::webhooks::shown;
use super::{RealmMember, RealmRecord, SitePut, WebhookPut};
use crate::master::{gone_views, made_views};
use crate::view::{Effect, To, View, roles};
use levee_proto::attrs::RealmMemberAttrs;
use levee_proto::{Id, events};

pub(super) fn of(id: &Id, record: &RealmRecord) -> Vec<View> {
    let realm_id = id.clone();
    match record {
        // Who makes a realm learns it by entering it; queues speak for themselves.
        RealmRecord::Created { .. } | RealmRecord::QueueAdded { .. } | RealmRecord::QueueRemoved { .. } => {
            Vec::new()
        }
        RealmRecord::Changed { attrs, settings } => vec![View::new(
            To::All,
            &events::RealmUpdated {
                realm_id,
                realm_attrs: attrs.clone(),
                realm_settings: Some(settings.clone()),
            },
        )],
        RealmRecord::MemberJoined { user, member: RealmMember { user: user_attrs, attrs, puppet } } => {
            let joined = events::RealmMemberJoined {
                realm_id,
                user_id: user.clone(),
                user_attrs: user_attrs.clone(),
                member_attrs: attrs.clone(),
                puppet_attrs: puppet.as_ref().map(|puppet| puppet.attrs.clone()),
            };
            // Whoever was a member already may have become an operator by it.
            let becomes = attrs.operator.map(|_| becomes(user, attrs));
            [View::new(To::Except(user.clone()), &joined)].into_iter().chain(becomes).collect()
        }
        // Their own conversations tell those who see them.
        RealmRecord::UserChanged { .. } => Vec::new(),
        RealmRecord::MemberUpdated { user, attrs } => {
            let (user_id, member_attrs) = (user.clone(), attrs.clone());
            let updated = events::RealmMemberUpdated { realm_id, user_id, member_attrs };
            vec![View::new(To::All, &updated), becomes(user, attrs)]
        }
        RealmRecord::MemberParted { user, removed } => {
            let event_cause = removed.then(|| "member_remove".into());
            let parted = events::RealmParted { realm_id: realm_id.clone(), event_cause: event_cause.clone() };
            let others = events::RealmMemberParted { realm_id, user_id: user.clone(), event_cause };
            vec![
                View::new(To::Only(vec![user.clone()]), &parted).with(Effect::Leave),
                View::new(To::Except(user.clone()), &others),
            ]
        }
        RealmRecord::TagCreated { tag, attrs } => vec![View::new(
            To::All,
            &events::TagCreated { tag_id: tag.clone(), tag_attrs: attrs.clone(), realm_id: Some(realm_id) },
        )],
        RealmRecord::TagChanged { tag, attrs } => vec![View::new(
            To::All,
            &events::TagUpdated { tag_id: tag.clone(), tag_attrs: attrs.clone(), realm_id: Some(realm_id) },
        )],
        RealmRecord::TagDeleted { tag, attrs } => vec![View::new(
            To::All,
            &events::TagDeleted { tag_id: tag.clone(), tag_attrs: attrs.clone(), realm_id: Some(realm_id) },
        )],
        RealmRecord::SiteCreated(SitePut { key, enabled, config, by }) => vec![View::new(
            operators(by),
            &events::SiteCreated {
                realm_id,
                site_key: key.clone(),
                enabled: *enabled,
                site_config: config.clone(),
            },
        )],
        RealmRecord::SiteChanged(SitePut { key, enabled, config, by }) => vec![View::new(
            operators(by),
            &events::SiteUpdated {
                realm_id,
                site_key: key.clone(),
                enabled: *enabled,
                site_config: config.clone(),
            },
        )],
        RealmRecord::SiteDeleted { key, by } => {
            vec![View::new(operators(by), &events::SiteDeleted { realm_id, site_key: key.clone() })]
        }
        RealmRecord::WebhookPut(WebhookPut { id: webhook_id, webhook, new, by }) => {
            let to = by.as_ref().map_or(To::Roles(roles::OPERATOR), operators);
            let (webhook_id, webhook) = (webhook_id.clone(), shown(id, webhook));
            vec![match new {
                true => View::new(to, &events::WebhookCreated { realm_id, webhook, webhook_id }),
                false => View::new(to, &events::WebhookUpdated { realm_id, webhook, webhook_id }),
            }]
        }
        RealmRecord::WebhookReplayed { id: webhook, deliveries, more, by } => {
            let (webhook_id, deliveries, more) = (webhook.clone(), *deliveries, *more);
            let replayed = events::WebhookReplayed { deliveries, more, realm_id, webhook_id };
            vec![View::new(operators(by), &replayed)]
        }
        RealmRecord::WebhookDeleted { id: webhook, by } => {
            let webhook_id = webhook.clone();
            vec![View::new(operators(by), &events::WebhookDeleted { realm_id, webhook_id })]
        }
        RealmRecord::KeyMade(made) => made_views(made),
        RealmRecord::KeyGone(gone) => gone_views(gone),
        RealmRecord::Deleted => {
            vec![View::new(To::All, &events::RealmDeleted { realm_id }).with(Effect::Leave)]
        }
    }
}

/// Operators, and whoever did it: that is one too.
fn operators(by: &Id) -> To {
    To::RolesOr(roles::OPERATOR, by.clone())
}

/// What a member is from now on.
fn becomes(user: &Id, attrs: &RealmMemberAttrs) -> View {
    let operator = if attrs.operator.is_some() { roles::OPERATOR } else { 0 };
    View::effect(To::Only(vec![user.clone()]), Effect::Become(roles::MEMBER | operator))
}
