//! Calls: actions without a session, each answered once.

use crate::bring::{self, Provision};
use crate::files::{Brings, Sent};
use crate::hub::Hub;
use crate::letter::{Act, Asker, Job, Outcome};
use crate::places;
use bytes::Bytes;
use levee_domain::found::Found;
use levee_domain::machine::Actor;
use levee_domain::puppet::Puppet;
use levee_domain::search::Search;
use levee_domain::view::Stream;
use levee_proto::attrs::UserAttrs;
use levee_proto::{
    Action, ConversationAction, Envelope, ErrorType, Id, QueueAction, RealmAction, Rejection, SessionAction,
    Text, UserAction, ids,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The calls of a hub that wait for their answers.
#[derive(Default)]
pub(crate) struct Calls(RefCell<HashMap<Id, oneshot::Sender<Outcome>>>);

impl Calls {
    /// Gives an answer to the call that waits for it, if it still does.
    pub(crate) fn answer(&self, token: &Id, outcome: Outcome) {
        if let Some(waiting) = self.0.borrow_mut().remove(token) {
            let _ = waiting.send(outcome);
        }
    }
}

/// Who calls; nobody in particular by default.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The user.
    pub user: Id,
    /// What others may know of them.
    pub card: Arc<UserAttrs>,
    /// Whose puppet they are, if they are one.
    pub puppet: Option<Puppet>,
    /// Their address.
    pub address: Text,
}

impl Hub {
    /// Has an action decided for a caller without a session.
    ///
    /// # Errors
    /// The owner's rejection; `action_not_supported` for what needs a session; `internal` when no
    /// answer comes in time.
    pub async fn call(
        self: &Rc<Self>,
        caller: Caller,
        envelope: Envelope,
        header: Bytes,
        mut parts: Vec<Bytes>,
    ) -> Result<Vec<(Arc<levee_proto::Body>, Option<u64>)>, Rejection> {
        let action = envelope.decode(&header)?;
        let (caller, master) = match &envelope.puppet_id {
            Some(puppet) => {
                let (card, of) = self.puppet(puppet, &caller.user).await?;
                let address = caller.address;
                (Caller { user: puppet.clone(), card, puppet: of, address }, Some(caller.user))
            }
            None => (caller, None),
        };
        let needs_session =
            || Err(Rejection::new(ErrorType::ActionNotSupported).because("it needs a session"));
        if caller.user.is_empty() && !action.is_open() {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        let new = || ids::from_bytes(rand::random::<u16>() % ids::SHARDS, &rand::random::<[u8; 10]>());
        let stream = match &action {
            Action::Session(SessionAction::Ping(_)) => {
                let pong = levee_proto::Body::new(&levee_proto::events::Pong::default());
                return Ok(vec![(Arc::new(pong), None)]);
            }
            Action::Session(SessionAction::Search(of)) => {
                let search = Search::new(&of.search_term, true, true)?;
                return self.search(caller.user, search, of.realm_id.clone()).await;
            }
            Action::Session(SessionAction::SearchUsers(of)) => {
                let search = Search::new(&of.search_term, true, false)?;
                return self.search(caller.user, search, of.realm_id.clone()).await;
            }
            Action::Session(SessionAction::SearchChannels(of)) => {
                let search = Search::new(&of.search_term, false, true)?;
                return self.search(caller.user, search, of.realm_id.clone()).await;
            }
            Action::Session(_)
            | Action::Video(_)
            | Action::Queue(
                QueueAction::RequestAudience(_)
                | QueueAction::AcceptAudience(_)
                | QueueAction::CreateAudience(_),
            )
            | Action::Conversation(ConversationAction::FollowChannel(_))
            | Action::Realm(RealmAction::CreateQueue(_) | RealmAction::DescribeRealmQueues(_)) => {
                return needs_session();
            }
            // The channel is there a moment later, and answers by itself.
            Action::Realm(RealmAction::CreateRealm(create)) if create.channel_attrs.is_some() => {
                return needs_session();
            }
            Action::User(UserAction::CreateUser(_)) => Stream::user(&new()),
            Action::Conversation(ConversationAction::CreateChannel(_)) => Stream::conversation(&new()),
            Action::Realm(RealmAction::CreateRealm(_)) => Stream::realm(&new()),
            other if bring::is_sought(other) => Stream::user(&caller.user),
            other => crate::session::target(other, &caller.user)?,
        };
        let drawn = || {
            let shard = ids::shard(&caller.user).unwrap_or_default();
            ids::from_bytes(shard, &rand::random::<[u8; 17]>())
        };
        let shard = ids::shard(&caller.user).unwrap_or_default();
        let file = ids::from_bytes(shard, &rand::random::<[u8; 10]>());
        let provided = match Brings::of(&action) {
            Some(brings) => {
                let sent = Sent { brings, user: &caller.user, file: file.clone(), stream: &stream };
                let found = Some(self.take_in(sent, &mut parts).await);
                Provision { answer: None, stream, found }
            }
            None => self.provide(&action, &caller.user, stream, Vec::new(), drawn).await?,
        };
        let Provision { answer, stream, found } = provided;
        if let Some(answer) = answer {
            return Ok(vec![(answer, None)]);
        }
        let secret = found.as_ref().and_then(Found::brought).and_then(|brought| brought.secret.clone());
        let origin = places::origin(&action, &caller.address, self.shared.options.places.as_deref());
        let token: Id = compact_str::format_compact!("call-{:032x}", rand::random::<u128>());
        let (sender, receiver) = oneshot::channel();
        self.calls.0.borrow_mut().insert(token.clone(), sender);
        let act = Act {
            asker: Asker { seat: self.seat.clone(), id: token.clone(), action_id: envelope.action_id },
            actor: Actor {
                user: caller.user,
                master,
                session: Id::default(),
                action_id: None,
                card: caller.card,
                puppet: caller.puppet,
                message_types: Arc::from([levee_proto::Text::from("*")]),
                origin,
                found,
            },
            name: envelope.action.clone(),
            header,
            parts,
            settled: 0,
            after: None,
            action: Some(action),
        };
        self.route(stream, Job::Act(Box::new(act)));
        let answer = tokio::time::timeout(TIMEOUT, receiver).await;
        self.calls.0.borrow_mut().remove(&token);
        match answer {
            Ok(Ok(Outcome::Events(events))) => {
                let told = |(body, length)| (bring::reveal(body, || secret.clone()), length);
                Ok(events.into_iter().map(told).collect())
            }
            Ok(Ok(Outcome::Rejected(rejection))) => Err(rejection),
            Ok(Ok(Outcome::Value(mut value))) if value.get("file").is_some() => {
                let found = self.file_found(value["file"].take()).await?;
                Ok(vec![(Arc::new(levee_proto::Body::new(&found)), None)])
            }
            Ok(Ok(Outcome::Value(mut value))) if value.get("upload").is_some() => {
                let created = self.upload_created(value["upload"].take(), file).await?;
                Ok(vec![(Arc::new(levee_proto::Body::new(&created)), None)])
            }
            Ok(Ok(Outcome::Value(_) | Outcome::Followed(..)) | Err(_)) | Err(_) => {
                Err(Rejection::new(ErrorType::Internal).because("no answer in time"))
            }
        }
    }
}
