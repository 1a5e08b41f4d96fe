//! What a user's sessions see of the user's stream.

use super::records::UserRecord;
use crate::Command;
use crate::master::{gone_views, made_views};
use crate::view::{Effect, Stream, To, View};
use levee_proto::{Body, Id, Object, events};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn of(id: &Id, record: &UserRecord) -> Vec<View> {
    let follow = |stream, from, command: &Option<Command>| {
        vec![View::effect(To::All, Effect::Follow { stream, from, command: command.clone() })]
    };
    let left = |stream| vec![View::effect(To::All, Effect::Left { stream })];
    match record {
        // Nobody follows a user who is just made: it answers whoever made a puppet.
        UserRecord::Created { attrs, settings, master: Some(master), puppet, .. } => {
            let masters = [(master.to_string(), json!({"puppet_attrs": puppet}))];
            let event = events::UserCreated {
                user_id: id.clone(),
                user_attrs: attrs.clone(),
                user_settings: settings.clone(),
                puppet_masters: Some(Object::from_iter(masters)),
                user_auth: None,
            };
            vec![View::new(To::Only(Vec::new()), &event)]
        }
        UserRecord::Created { .. }
        | UserRecord::Account(_)
        | UserRecord::SessionOpened { .. }
        | UserRecord::AccessSpent(_)
        | UserRecord::HostGone
        | UserRecord::Mailed { .. } => Vec::new(),
        UserRecord::ChannelParted { channel } => left(Stream::conversation(channel)),
        UserRecord::QueueParted { queue } => left(Stream::queue(queue)),
        UserRecord::RealmParted { realm } => left(Stream::realm(realm)),
        UserRecord::PuppetChanged { master, attrs, user } => {
            let masters = [(master.to_string(), json!({"puppet_attrs": attrs}))];
            let event = events::UserUpdated {
                user_id: id.clone(),
                user_attrs: user.clone(),
                puppet_masters: Some(Object::from_iter(masters)),
                ..Default::default()
            };
            vec![View::new(To::All, &event).aside()]
        }
        UserRecord::KeyMade(made) => made_views(made),
        UserRecord::KeyGone(gone) => gone_views(gone),
        UserRecord::WaitEnded { queue } => {
            vec![View::effect(To::All, Effect::Quit { stream: Stream::queue(queue) })]
        }
        UserRecord::SessionClosed { session } => {
            vec![View::effect(To::Session(session.clone()), Effect::End)]
        }
        UserRecord::Changed { attrs, settings, .. } => vec![View::new(
            To::All,
            &events::UserUpdated {
                user_id: id.clone(),
                user_attrs: attrs.clone(),
                user_settings: Some(settings.clone()),
                ..Default::default()
            },
        )],
        UserRecord::ChannelJoined { channel, seq, command } => {
            follow(Stream::conversation(channel), *seq, command)
        }
        UserRecord::DialogueBegan { dialogue, seq, command, .. } => {
            follow(Stream::conversation(dialogue), *seq, command)
        }
        UserRecord::RealmJoined { realm, seq, command } => follow(Stream::realm(realm), *seq, command),
        UserRecord::QueueJoined { queue, seq } => follow(Stream::queue(queue), *seq, &None),
        UserRecord::WaitBegan { queue, seq, command, enqueued, .. } => {
            let mut views = follow(Stream::queue(queue), *seq, command);
            let event = enqueued.as_ref().and_then(Value::as_object).cloned().map(|mut event| {
                event.insert("event".into(), "audience_enqueued".into());
                Arc::new(Body::from_value(&Value::Object(event)))
            });
            views.iter_mut().for_each(|view| view.body.clone_from(&event));
            views
        }
        UserRecord::Told { command, event } => {
            let told = |event| View {
                command: Some(command.clone()),
                body: Some(Arc::new(Body::from_value(event))),
                answers: true,
                ..View::effect(To::Session(command.session.clone()), Effect::None)
            };
            event.as_array().map_or(std::slice::from_ref(event), Vec::as_slice).iter().map(told).collect()
        }
        UserRecord::AccessMade(made) => made.views(),
        UserRecord::AccessSent { found, session } => vec![View::new(To::Session(session.clone()), found)],
        UserRecord::IdentityPut { user, identity, attrs, created, .. } => {
            let (user_id, identity_attrs) = (user.clone(), attrs.clone());
            let (identity_type, identity_name) = (identity.kind.clone(), identity.name.clone());
            vec![match created {
                true => View::new(
                    To::All,
                    &events::IdentityCreated { user_id, identity_type, identity_name, identity_attrs },
                ),
                false => View::new(
                    To::All,
                    &events::IdentityUpdated { user_id, identity_type, identity_name, identity_attrs },
                ),
            }]
        }
        UserRecord::IdentityDeleted { user, identity } => vec![View::new(
            To::All,
            &events::IdentityDeleted {
                user_id: user.clone(),
                identity_type: identity.kind.clone(),
                identity_name: identity.name.clone(),
            },
        )],
        UserRecord::Read { conversation, peer, message_id, session } => vec![View::new(
            To::Others(session.clone()),
            &events::SessionStatusUpdated {
                channel_id: peer.is_none().then(|| conversation.clone()),
                user_id: peer.clone(),
                message_id: message_id.clone(),
            },
        )],
        UserRecord::Deleted { user } => {
            let event = events::UserDeleted { user_id: user.clone() };
            vec![View::new(To::All, &event).with(Effect::End)]
        }
    }
}
