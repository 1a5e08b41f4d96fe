//! Opening sessions: as a new guest, by token, by identity and password.

use crate::hub::Hub;
use crate::identities::is_email;
use crate::letter::Attach;
use crate::puppets::{Subject, carded, named_puppet};
use crate::session::{Birth, Connection, SessionActor, SessionRow, Which};
use actix::Addr;
use levee_domain::access::{AccessType, Customer};
use levee_domain::identity::Identity;
use levee_domain::session::{BLOCK, Session};
use levee_domain::user::{Entrance, NewIdentity, NewUser, Proof};
use levee_domain::view::{Kind, Stream};
use levee_proto::actions::session::CreateSession;
use levee_proto::actions::user::CreateUser;
use levee_proto::attrs::{IdentityAttrs, Writable};
use levee_proto::{ErrorType, Id, Rejection, Text, events, ids, limits};
use serde_json::json;
use std::rc::Rc;

/// How often a puppet that was deleted may be made anew under its master's name for it.
const PUPPET_LIVES: u32 = 16;

pub(crate) fn denied() -> Rejection {
    Rejection::new(ErrorType::AccessDenied)
}

impl Hub {
    /// Checks a caller's credentials.
    ///
    /// # Errors
    /// `access_denied`.
    pub async fn caller(
        self: &Rc<Self>,
        user: Option<Id>,
        identity: Option<(Text, Text)>,
        auth: &str,
    ) -> Result<crate::call::Caller, Rejection> {
        let (user, proof) = match (user, identity) {
            (Some(user), _) => (user, Proof::Token(ids::digest(auth))),
            (None, Some((kind, name))) => (self.identify(&kind, &name, auth).await?, Proof::Verified),
            (None, None) => return Err(denied()),
        };
        if ids::shard(&user).is_none() {
            return Err(denied());
        }
        let card = self.ask(Stream::user(&user), json!({"Identify": {"proof": proof}})).await?;
        let (card, puppet) = carded(card).ok_or_else(denied)?;
        Ok(crate::call::Caller { user, address: Text::default(), card, puppet })
    }

    /// Opens a session and gives it a connection. `session_created` comes by that connection.
    ///
    /// # Errors
    /// `access_denied` and what else the API names; nothing was made then.
    pub async fn create_session(
        self: &Rc<Self>,
        create: CreateSession,
        action_id: Option<u64>,
        connection: Connection,
        number: u64,
    ) -> Result<Addr<SessionActor>, Rejection> {
        check(&create)?;
        let shard = self
            .own_shard(rand::random())
            .ok_or_else(|| Rejection::new(ErrorType::Internal).because("this node is not ready"))?;
        let session_id = ids::from_bytes(shard, &rand::random::<[u8; 17]>());
        let session = ids::digest(&session_id);
        let types = self.alike.types(&create.message_types);
        let mut token = None;
        let signed = match &create.master_sign {
            Some(sign) => Some(self.signed_in(&create, sign).await?),
            None => None,
        };
        let (user, proof, new) = if let Some(signed) = &signed {
            let user = match &signed.subject {
                Subject::Puppet(user) => user.clone(),
                Subject::New => ids::from_bytes(shard, &rand::random::<[u8; 10]>()),
                Subject::Named(name) => named_puppet(&signed.master, name, 0),
            };
            let new = match &signed.subject {
                Subject::Puppet(_) => None,
                Subject::New | Subject::Named(_) => Some(NewUser {
                    auth: None,
                    master: Some(signed.master.clone()),
                    puppet: signed.attrs.clone().unwrap_or_default(),
                    ..new_user(&create)
                }),
            };
            (user, Proof::Master(signed.master.clone()), new)
        } else if let (Some(user), Some(auth)) = (&create.user_id, &create.user_auth) {
            (user.clone(), Proof::Token(ids::digest(auth)), None)
        } else if let (Some(kind), Some(name), Some(auth)) =
            (&create.identity_type, &create.identity_name, &create.identity_auth)
        {
            (self.identify(kind, name, auth).await?, Proof::Verified, None)
        } else if let Some(key) = &create.access_key {
            let (owner, digest) = (self.owner_of_key(key).await?, ids::digest(key));
            match owner.kind {
                Kind::User => (owner.id, Proof::Access(digest), None),
                Kind::Conversation => {
                    let customer = self.ask(owner.clone(), json!({"Customer": {"digest": digest}})).await?;
                    let customer: Customer = serde_json::from_value(customer).map_err(|_| denied())?;
                    let new = NewUser {
                        attrs: customer.attrs.into_patch(),
                        settings: customer.settings,
                        host: Some(owner.id.clone()),
                        ..NewUser::default()
                    };
                    (customer.user, Proof::Audience(owner.id, digest), Some(new))
                }
                Kind::Realm | Kind::Queue | Kind::File => return Err(denied()),
            }
        } else if create.user_id.is_some() || create.user_existing == Some(true) {
            return Err(denied());
        } else {
            let user = ids::from_bytes(shard, &rand::random::<[u8; 10]>());
            let auth = token.insert(ids::from_bytes(shard, &rand::random::<[u8; 17]>()));
            let identity = self.new_identity(&create).await?;
            let new = NewUser { auth: Some(ids::digest(auth)), identity, ..new_user(&create) };
            (user, Proof::Verified, Some(new))
        };
        if ids::shard(&user).is_none() {
            return Err(denied());
        }
        let row = |user: &Id| SessionRow {
            shard,
            user: user.clone(),
            types: types.to_vec(),
            ceiling: BLOCK,
            cursors: Vec::new(),
            looks_on: Vec::new(),
            node: self.shared.node.clone(),
            epoch: 1,
            parked: None,
        };
        let mut entrance = Entrance {
            create: new,
            proof,
            session: session.clone(),
            row: String::new(),
            nonce: signed.as_ref().and_then(|signed| signed.nonce.clone()),
            puppet: signed.as_ref().and_then(|signed| signed.attrs.clone()),
        };
        let mut user = user;
        for life in 1.. {
            entrance.row =
                serde_json::to_string(&row(&user)).map_err(|e| Rejection::malformed(e.to_string()))?;
            match self.ask(Stream::user(&user), json!({"Enter": entrance})).await {
                Ok(_) => break,
                Err(gone) if gone.error_type == ErrorType::UserNotFound && life < PUPPET_LIVES => {
                    // A puppet was deleted, and its master names it again: another user begins.
                    let Some(signed) = &signed else { return Err(denied()) };
                    let Subject::Named(name) = &signed.subject else { return Err(denied()) };
                    user = named_puppet(&signed.master, name, life);
                }
                Err(refused) => return Err(refused),
            }
        }
        let bounds = self.shared.options.session_bounds;
        let seed = ids::seed(&session_id);
        let birth = Birth::New { session_id, user_auth: token, action_id };
        let machine = Session::new(types, 0, bounds);
        let which = Which { id: session, shard, user, version: 1, epoch: 1, seed };
        Ok(SessionActor::open(self.clone(), which, machine, birth, Some((connection, number))))
    }

    /// Makes a user who belongs to nobody, without a session.
    ///
    /// # Errors
    /// `request_malformed` for attributes that can't be.
    pub async fn create_user(self: &Rc<Self>, create: CreateUser) -> Result<events::UserCreated, Rejection> {
        if create.puppet_attrs.is_some() {
            return Err(Rejection::malformed("puppet_attrs takes a master: nobody calls"));
        }
        let shard = rand::random::<u16>() % ids::SHARDS;
        let user_id = ids::from_bytes(shard, &rand::random::<[u8; 10]>());
        let auth = ids::from_bytes(shard, &rand::random::<[u8; 17]>());
        let new = NewUser {
            attrs: create.user_attrs.unwrap_or_default(),
            settings: create.user_settings.unwrap_or_default(),
            auth: Some(ids::digest(&auth)),
            ..NewUser::default()
        };
        let user_settings = new.settings.clone();
        let card = self.ask(Stream::user(&user_id), json!({"Create": {"new": new}})).await?;
        let user_attrs = serde_json::from_value(card).unwrap_or_default();
        Ok(events::UserCreated {
            user_attrs,
            user_id,
            user_settings,
            user_auth: Some(auth),
            puppet_masters: None,
        })
    }

    /// The identity of a new user. Its address is asked whether that is right, if mail goes out from here; else
    /// nobody can be asked, and it is taken for verified.
    async fn new_identity(&self, create: &CreateSession) -> Result<Option<NewIdentity>, Rejection> {
        let (Some(kind), Some(name)) = (&create.identity_type_new, &create.identity_name_new) else {
            return Ok(None);
        };
        is_email(kind)?;
        let mut attrs = IdentityAttrs::default();
        if let Some(patch) = &create.identity_attrs {
            patch.check(|writable| writable == Writable::OneSelf)?;
            patch.apply(&mut attrs);
        }
        let (identity, asks) = if self.has_mail().is_ok() {
            attrs.pending = Some(true);
            let secret = ids::from_bytes(0, &rand::random::<[u8; 17]>());
            (self.addressed(kind, name)?, Some((AccessType::IdentityVerify, secret)))
        } else {
            let identity = Identity::new(kind, name);
            if !(3..=254).contains(&identity.name.len()) || identity.name.matches('@').count() != 1 {
                return Err(Rejection::malformed("identity_name_new is no e-mail address"));
            }
            (identity, None)
        };
        let password = self.new_password(create.identity_auth_new.as_ref()).await?;
        attrs.auth = password.is_some().then_some(true);
        Ok(Some(NewIdentity { identity, attrs, password, asks }))
    }

    /// How a session attaches to a stream.
    pub(crate) fn attaching(&self, session: &Id, user: &Id) -> Attach {
        Attach { seat: self.seat.clone(), session: session.clone(), user: user.clone() }
    }
}

/// The user that a session is to be opened for, without what proves who they are.
fn new_user(create: &CreateSession) -> NewUser {
    NewUser {
        attrs: create.user_attrs.clone().unwrap_or_default(),
        settings: create.user_settings.clone().unwrap_or_default(),
        ..NewUser::default()
    }
}

fn check(create: &CreateSession) -> Result<(), Rejection> {
    if create.message_types.len() > limits::MESSAGE_TYPES {
        return Err(Rejection::new(ErrorType::MessageTypesTooLong));
    }
    if create.message_types.iter().any(|of| of.len() > limits::MESSAGE_TYPE_BYTES) {
        return Err(Rejection::new(ErrorType::MessageTypeTooLong));
    }
    if create.puppet_attrs.is_some() && create.master_sign.is_none() {
        return Err(Rejection::malformed("puppet_attrs takes a master_sign"));
    }
    Ok(())
}

pub(crate) fn unavailable(error: levee_store::StoreError) -> Rejection {
    tracing::warn!(%error, "the store does not answer");
    Rejection::new(ErrorType::Internal).because("the store does not answer")
}
