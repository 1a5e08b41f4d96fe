//! What the members of a realm see of its records.

use super::{RealmMember, RealmRecord, SitePut};
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
        RealmRecord::MemberJoined { user, member: RealmMember { user: user_attrs, attrs } } => {
            let joined = events::RealmMemberJoined {
                realm_id,
                user_id: user.clone(),
                user_attrs: user_attrs.clone(),
                member_attrs: attrs.clone(),
                ..Default::default()
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
