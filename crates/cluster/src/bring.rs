//! What actions about access keys and identities need on their way: who owns what a key opens, a new secret, what was
//! proven. The other questions of actions are in [`crate::find_out`].

use crate::enter::unavailable;
use crate::find_out;
use crate::hub::Hub;
use levee_domain::access::{self, ACCESS, Sendable};
use levee_domain::found::{Brought, Found};
use levee_domain::identity::Identity;
use levee_domain::view::{Kind, Stream};
use levee_proto::actions::access::SendAccess;
use levee_proto::actions::conversation::SendMessage;
use levee_proto::attrs::QueueAttrs;
use levee_proto::{
    AccessAction, Action, Body, ConversationAction, ErrorType, Id, IdentityAction, Rejection, Text, events,
    ids,
};
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;

/// What an action gets on its way.
#[derive(Debug)]
pub(crate) struct Provision {
    /// The answer, if there is nothing to decide.
    pub(crate) answer: Option<Arc<Body>>,
    /// The stream that decides it.
    pub(crate) stream: Stream,
    /// What its machine needs.
    pub(crate) found: Option<Found>,
}

/// What an action about access keys or identities gets.
#[derive(Default)]
pub(crate) struct Part {
    /// The answer, if there is nothing to decide.
    pub(crate) answer: Option<Arc<Body>>,
    /// The stream that decides it, where its parameters don't tell.
    pub(crate) stream: Option<Stream>,
    /// What its machine needs.
    pub(crate) brought: Brought,
}

/// Whether the stream that decides an action must be looked up.
pub(crate) fn is_sought(action: &Action) -> bool {
    match action {
        Action::Identity(action) => match action {
            IdentityAction::RequestIdentityVerifyAccess(_)
            | IdentityAction::RequestIdentityAuthResetAccess(_)
            | IdentityAction::VerifyIdentity(_)
            | IdentityAction::ResetIdentityAuth(_)
            | IdentityAction::DescribeIdentity(_) => true,
            IdentityAction::CreateIdentity(_)
            | IdentityAction::CreateIdentityWithAuthResetAccess(_)
            | IdentityAction::UpdateIdentity(_)
            | IdentityAction::UpdateIdentityAuth(_)
            | IdentityAction::DeleteIdentity(_) => false,
        },
        Action::Access(_) | Action::Conversation(_) => key_of(action).is_some() || named_in(action).is_some(),
        Action::Session(_)
        | Action::User(_)
        | Action::Realm(_)
        | Action::Queue(_)
        | Action::File(_)
        | Action::Key(_)
        | Action::Webhook(_)
        | Action::Video(_)
        | Action::Member(_) => false,
    }
}

/// Whether something must be found out, drawn or looked up for an action.
pub(crate) fn asks(action: &Action) -> bool {
    is_ours(action) || find_out::asks(action)
}

/// Whether that is a matter of access keys or identities.
fn is_ours(action: &Action) -> bool {
    match action {
        Action::Access(_) | Action::Identity(_) => true,
        Action::Conversation(_) => is_sought(action),
        Action::Session(_)
        | Action::User(_)
        | Action::Realm(_)
        | Action::Queue(_)
        | Action::Key(_)
        | Action::Webhook(_)
        | Action::Video(_)
        | Action::File(_)
        | Action::Member(_) => false,
    }
}

/// The access key by which it is looked up who decides an action.
fn key_of(action: &Action) -> Option<&str> {
    if let Action::Access(AccessAction::DescribeAccess(of)) = action {
        return Some(&of.access_key);
    }
    let Action::Conversation(ConversationAction::JoinChannel(of)) = action else { return None };
    of.access_key.as_deref()
}

/// The message that goes to whom an identity belongs to.
fn named_in(action: &Action) -> Option<(&SendMessage, &Text)> {
    let Action::Conversation(ConversationAction::SendMessage(send)) = action else { return None };
    Some((send, send.identity_name.as_ref()?))
}

impl Hub {
    /// Draws, looks up and finds out what an action needs; `stream` decides it unless its key leads to another one,
    /// `realms` are those of the one who acts, `secret` makes the secret of an access key.
    ///
    /// # Errors
    /// `access_denied` for a key that nobody knows, `user_not_found` for somebody who is not there, and what is
    /// wrong with other parts.
    pub(crate) async fn provide(
        self: &Rc<Self>,
        action: &Action,
        user: &Id,
        stream: Stream,
        realms: Vec<Id>,
        secret: impl FnOnce() -> Id,
    ) -> Result<Provision, Rejection> {
        if !is_ours(action) {
            let found = self.find_out(action, user, &stream, secret).await?;
            return Ok(Provision { answer: None, stream, found });
        }
        let Part { answer, stream: sought, brought } = match action {
            Action::Identity(action) => self.bring_to_identity(action, user, realms, secret).await?,
            Action::Session(_)
            | Action::User(_)
            | Action::Realm(_)
            | Action::Queue(_)
            | Action::Conversation(_)
            | Action::File(_)
            | Action::Video(_)
            | Action::Access(_)
            | Action::Key(_)
            | Action::Webhook(_)
            | Action::Member(_) => match named_in(action) {
                Some((send, name)) => self.bring_peer(send, name, user, realms).await?,
                None => self.bring(action, user, secret).await?,
            },
        };
        let found = Some(Found::Brought(Box::new(brought)));
        Ok(Provision { answer, stream: sought.unwrap_or(stream), found })
    }

    /// The dialogue with whom an identity belongs to, if others may see that.
    ///
    /// # Errors
    /// `identity_not_found` for all else that is well said.
    async fn bring_peer(
        self: &Rc<Self>,
        send: &SendMessage,
        name: &Text,
        user: &Id,
        realms: Vec<Id>,
    ) -> Result<Part, Rejection> {
        let is_only = send.channel_id.is_none() && send.user_id.is_none();
        let Some(kind) = send.identity_type.as_ref().filter(|_| is_only) else {
            return Err(Rejection::malformed(
                "identity_name goes with identity_type, and with no other receiver",
            ));
        };
        if send.message_ttl.is_some() {
            return Err(Rejection::malformed("what is sent to an identity has no message_ttl"));
        }
        let absent = || Rejection::new(ErrorType::IdentityNotFound).about("identity_name", name);
        let identity = Identity::new(kind, name);
        let peer = self.identity_row(&identity).await?.ok_or_else(absent)?.user;
        let order = json!({"Reach": {"identity": identity, "by": user, "realms": realms}});
        let card = match self.ask(Stream::user(&peer), order).await {
            Err(refused) if refused.error_type == ErrorType::UserNotFound => return Err(absent()),
            answer => serde_json::from_value(answer?).map_err(|_| absent())?,
        };
        let stream = Some(Stream::conversation(&ids::dialogue(user, &peer)));
        let mut part = Part { stream, ..Part::default() };
        part.brought.peer = Some((peer, Arc::new(card)));
        Ok(part)
    }

    async fn bring(
        self: &Rc<Self>,
        action: &Action,
        user: &Id,
        secret: impl FnOnce() -> Id,
    ) -> Result<Part, Rejection> {
        let mut part = Part::default();
        if let Some(key) = key_of(action) {
            let owner = self.owner_of_key(key).await?;
            if matches!(action, Action::Conversation(_)) && owner.kind != Kind::Conversation {
                return Err(Rejection::new(ErrorType::AccessDenied));
            }
            part.stream = Some(owner);
        }
        let Action::Access(action) = action else { return Ok(part) };
        let receiver = match action {
            AccessAction::CreateAccess(create) => {
                part.brought.secret = Some(secret());
                create.user_id.as_ref()
            }
            AccessAction::SendAccess(send) => {
                part.brought.secret = Some(secret());
                part.brought.access = self.sendable(send, user).await?;
                send.user_id.as_ref()
            }
            AccessAction::DescribeAccess(describe) => {
                part.brought.queue = self.queue_of_key(part.stream.as_ref(), &describe.access_key).await?;
                None
            }
        };
        if let Some(receiver) = receiver {
            part.brought.peer = Some((receiver.clone(), self.card(receiver).await?));
        }
        Ok(part)
    }

    /// The attributes of the queue of an audience that a key opens, if it is one.
    async fn queue_of_key(
        self: &Rc<Self>,
        owner: Option<&Stream>,
        key: &str,
    ) -> Result<Option<QueueAttrs>, Rejection> {
        let Some(owner) = owner.filter(|owner| owner.kind == Kind::Conversation) else { return Ok(None) };
        let order = json!({"QueueOf": {"digest": ids::digest(key)}});
        let queue: Option<Id> =
            serde_json::from_value(self.ask(owner.clone(), order).await?).unwrap_or_default();
        let Some(queue) = queue else { return Ok(None) };
        let attrs = self.ask(Stream::queue(&queue), json!("Attrs")).await?;
        Ok(serde_json::from_value(attrs).ok())
    }

    /// What a key opens that somebody wants to send, and whether they may; and whether it may go where it shall.
    async fn sendable(self: &Rc<Self>, send: &SendAccess, user: &Id) -> Result<Option<Sendable>, Rejection> {
        if let Some(name) = &send.identity_name {
            let identity = self.addressed(send.identity_type.as_deref().unwrap_or_default(), name)?;
            let row = self.identity_row(&identity).await?;
            if send.access_key.is_some() && row.is_some_and(|row| row.blocked) {
                return Err(Rejection::new(ErrorType::AccessBlocked).about("identity_name", name));
            }
        }
        let Some(key) = &send.access_key else { return Ok(None) };
        let owner = self.owner_of_key(key).await?;
        if owner.kind != Kind::Conversation {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        let order = json!({"Sendable": {"digest": ids::digest(key), "by": user}});
        let sendable = self.ask(owner, order).await?;
        let unread = |_| Rejection::new(ErrorType::Internal).because("the key can't be read");
        serde_json::from_value(sendable).map(Some).map_err(unread)
    }

    /// The owner of what an access key opens.
    ///
    /// # Errors
    /// `access_denied` if nobody knows the key.
    pub(crate) async fn owner_of_key(&self, key: &str) -> Result<Stream, Rejection> {
        let row = self.shared.store.get(ACCESS, &ids::digest(key)).await.map_err(unavailable)?;
        let owner = row.and_then(|row| access::owner(&row.value));
        owner.ok_or_else(|| Rejection::new(ErrorType::AccessDenied))
    }
}

/// Puts a secret into the answer that tells of it: who decides knows its digest only.
pub(crate) fn reveal(body: Arc<Body>, secret: impl FnOnce() -> Option<Id>) -> Arc<Body> {
    if body.event() != "access_created" {
        return body;
    }
    let Ok(mut event) = serde_json::from_str::<events::AccessCreated>(body.header()) else { return body };
    match (&event.access_key, secret()) {
        (Some(digest), Some(secret)) if *digest == ids::digest(&secret) => {
            event.access_key = Some(secret);
            Arc::new(Body::new(&event))
        }
        _ => body,
    }
}
