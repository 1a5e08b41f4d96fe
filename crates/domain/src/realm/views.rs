//! What the members of a realm see of its records.

use super::RealmRecord;
use crate::master::{gone_views, made_views};
use crate::view::{Effect, To, View};
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
        RealmRecord::MemberJoined { user, member } => vec![View::new(
            To::Except(user.clone()),
            &events::RealmMemberJoined {
                realm_id,
                user_id: user.clone(),
                user_attrs: member.user.clone(),
                member_attrs: member.attrs.clone(),
                ..Default::default()
            },
        )],
        // Their own conversations tell those who see them.
        RealmRecord::UserChanged { .. } => Vec::new(),
        RealmRecord::MemberUpdated { user, attrs } => vec![View::new(
            To::All,
            &events::RealmMemberUpdated { realm_id, user_id: user.clone(), member_attrs: attrs.clone() },
        )],
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
        RealmRecord::KeyMade(made) => made_views(made),
        RealmRecord::KeyGone(gone) => gone_views(gone),
        RealmRecord::Deleted => {
            vec![View::new(To::All, &events::RealmDeleted { realm_id }).with(Effect::Leave)]
        }
    }
}
