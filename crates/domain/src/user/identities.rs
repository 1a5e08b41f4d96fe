//! A user's identities: how they come, are verified, change and go; and their passwords.
//!
//! A hash is never kept here: it is in the directory. What is kept is a digest of it, the *seal*, by which one who
//! has proven to know the password is told from one who knew an earlier one.

use super::User;
use super::decide::Decision;
use super::records::{NewIdentity, UserRecord};
use crate::access::{AccessKey, AccessSpent, AccessType};
use crate::found::Brought;
use crate::identity::{IDENTITIES, Identity, IdentityRow, PASSWORDS};
use crate::machine::{Actor, Answer, Claim, Emit, Moment, Step};
use crate::mail::{Mail, Says};
use crate::view::Stream;
use bytes::Bytes;
use levee_proto::attrs::{IdentityAttrs, IdentityAttrsPatch, Writable};
use levee_proto::{ErrorType, Id, IdentityAction, Rejection, events, ids, limits};

#[cfg(test)]
mod tests;

impl User {
    /// The attributes of one of the user's identities.
    fn identity(&self, identity: &Identity) -> Option<&IdentityAttrs> {
        self.identities.get(&identity.kind)?.get(&identity.name)
    }

    /// Decides an action about identities.
    pub(super) fn act_on_identity(&self, at: &Moment<'_>, actor: &Actor, action: IdentityAction) -> Decision {
        let brought = actor.brought().cloned().unwrap_or_default();
        match action {
            IdentityAction::CreateIdentity(of) => {
                let attrs = of.identity_attrs.unwrap_or_default();
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                self.create_identity(at, actor, identity, &attrs, AccessType::IdentityVerify, &brought)
            }
            IdentityAction::CreateIdentityWithAuthResetAccess(of) => {
                let attrs = of.identity_attrs.unwrap_or_default();
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                self.create_identity(at, actor, identity, &attrs, AccessType::IdentityAuthReset, &brought)
            }
            IdentityAction::RequestIdentityVerifyAccess(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                let wanted = |attrs: &IdentityAttrs| attrs.pending.is_some();
                self.request_access(at, actor, identity, AccessType::IdentityVerify, wanted)
            }
            IdentityAction::RequestIdentityAuthResetAccess(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                let wanted = |attrs: &IdentityAttrs| attrs.pending.is_none();
                self.request_access(at, actor, identity, AccessType::IdentityAuthReset, wanted)
            }
            IdentityAction::VerifyIdentity(of) => {
                self.verify_identity(at, &of.access_key, of.identity_accept)
            }
            IdentityAction::ResetIdentityAuth(of) => self.reset_identity_auth(at, &of.access_key, &brought),
            IdentityAction::DescribeIdentity(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                self.describe_identity(at, actor, &identity, &of.identity_name, &brought)
            }
            IdentityAction::UpdateIdentity(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                let mut attrs = self.own_identity(at, actor, &identity)?.clone();
                of.identity_attrs.check(|writable| writable == Writable::OneSelf)?;
                of.identity_attrs.apply(&mut attrs);
                match self.seals.get(&identity.key()).cloned() {
                    // Its hash is in the row that is about to be written: it gets one of its own.
                    None if attrs.auth.is_some() => {
                        let (seal, claim) = new_password(&identity, brought.password);
                        Ok(self.put_identity(at, identity, attrs, seal).and(claim))
                    }
                    seal => Ok(self.put_identity(at, identity, attrs, seal)),
                }
            }
            IdentityAction::UpdateIdentityAuth(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                let mut attrs = self.own_identity(at, actor, &identity)?.clone();
                if attrs.rejected.is_some() {
                    return Err(Rejection::new(ErrorType::AccessDenied));
                }
                self.knows_password(&identity, &attrs, &brought)?;
                attrs.auth = brought.password.is_some().then_some(true);
                let (seal, claim) = new_password(&identity, brought.password);
                Ok(self.put_identity(at, identity, attrs, seal).and(claim))
            }
            IdentityAction::DeleteIdentity(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                let attrs = self.own_identity(at, actor, &identity)?.clone();
                if attrs.rejected.is_none() {
                    self.knows_password(&identity, &attrs, &brought)?;
                }
                let mut step = Step::record(UserRecord::IdentityDeleted {
                    identity: identity.clone(),
                    user: at.id.clone(),
                });
                step.emits.extend(let_go(&identity, &attrs));
                Ok(step)
            }
        }
    }

    /// An identity of the one who acts.
    fn own_identity(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        identity: &Identity,
    ) -> Result<&IdentityAttrs, Rejection> {
        self.identity(identity).filter(|_| actor.user == *at.id).ok_or_else(|| absent(&identity.name))
    }

    fn create_identity(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        identity: Identity,
        patch: &IdentityAttrsPatch,
        access_type: AccessType,
        brought: &Brought,
    ) -> Decision {
        if actor.user != *at.id {
            return Err(Rejection::denied());
        }
        if self.identities.values().map(|names| names.len()).sum::<usize>() >= limits::IDENTITIES {
            return Err(Rejection::denied().because("too many identities"));
        }
        if self.identity(&identity).is_some() {
            return Err(
                Rejection::new(ErrorType::IdentityAlreadyExists).about("identity_name", &identity.name)
            );
        }
        patch.check(|writable| writable == Writable::OneSelf)?;
        let mut attrs = IdentityAttrs { pending: Some(true), ..IdentityAttrs::default() };
        patch.apply(&mut attrs);
        attrs.auth = brought.password.is_some().then_some(true);
        self.add_identity(
            at,
            NewIdentity {
                identity,
                attrs,
                password: brought.password.clone(),
                asks: Some((access_type, actor.secret()?.clone())),
            },
        )
    }

    /// Adds an identity that nobody has, and asks its address whether that is right.
    pub(super) fn add_identity(&self, at: &Moment<'_>, new: NewIdentity) -> Decision {
        let NewIdentity { identity, attrs, password, asks } = new;
        let (seal, claim) = new_password(&identity, password);
        let mut step = self.put_identity(at, identity.clone(), attrs, seal);
        step.emits.push(claim);
        for emit in &mut step.emits {
            if let Emit::Claim(claim) = emit
                && claim.namespace == IDENTITIES
            {
                claim.absent = true;
            }
        }
        if let Some(UserRecord::IdentityPut { created, .. }) = step.records.first_mut() {
            *created = true;
        }
        if let Some((access_type, secret)) = asks {
            let asked = self.ask_address(at, identity, access_type, &secret, Id::default())?;
            step.records.extend(asked.records);
            step.emits.extend(asked.emits);
        }
        Ok(step)
    }

    /// Sends a key to an identity's address; the session that asked for it is told, if there is one.
    fn ask_address(
        &self,
        at: &Moment<'_>,
        identity: Identity,
        access_type: AccessType,
        secret: &Id,
        session: Id,
    ) -> Decision {
        self.mailed.allow(&identity.name, at.now)?;
        let digest = ids::digest(secret);
        let to = identity.name.clone();
        let key = secret.clone();
        let says = match access_type {
            AccessType::IdentityAuthReset => Says::Reset { key },
            AccessType::IdentityVerify | AccessType::Session | AccessType::Channel | AccessType::Audience => {
                Says::Verify { key }
            }
        };
        let by = (at.id.clone(), self.attrs.clone());
        let key = AccessKey { identity: Some(identity), ..AccessKey::new(access_type, at.now, by) };
        let (made, claims) = self.access.make(digest, key, &session, &Stream::user(at.id), at.now)?;
        let mut step = Step::record(UserRecord::AccessMade(made));
        step.records.push(UserRecord::Mailed { to: to.clone() });
        step.emits.extend(claims);
        Ok(step.and(Emit::Mail(Mail { to, says })))
    }

    /// Sends one more key to the address of one's own identity that is not verified yet.
    pub(super) fn ask_again(&self, at: &Moment<'_>, actor: &Actor, identity: Identity) -> Decision {
        if self.own_identity(at, actor, &identity)?.pending.is_none() {
            return Err(absent(&identity.name));
        }
        let found = events::AccessFound {
            access_type: AccessType::IdentityVerify.name().into(),
            user_id: Some(at.id.clone()),
            user_attrs: Some(self.card()),
            identity_type: Some(identity.kind.clone()),
            identity_name: Some(identity.name.clone()),
            ..Default::default()
        };
        let asked =
            self.ask_address(at, identity, AccessType::IdentityVerify, actor.secret()?, Id::default())?;
        let mut step = Step::record(UserRecord::AccessSent { found, session: actor.session.clone() });
        step.records.extend(asked.records);
        step.emits.extend(asked.emits);
        Ok(step)
    }

    /// Sends one more key to an identity's address. To others it never tells whether there is such an identity.
    fn request_access(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        identity: Identity,
        access_type: AccessType,
        wanted: impl Fn(&IdentityAttrs) -> bool,
    ) -> Decision {
        let told = || Ok(Step::emit(requested(access_type)));
        let fits = |attrs: &&IdentityAttrs| attrs.rejected.is_none() && wanted(attrs);
        if self.identity(&identity).filter(fits).is_none() {
            return told();
        }
        match self.ask_address(at, identity, access_type, actor.secret()?, actor.session.clone()) {
            Err(rejection) if actor.user != *at.id && rejection.error_type == ErrorType::SendRateLimited => {
                Ok(Step::emit(requested(access_type)).and(Emit::Drop("mail_rate")))
            }
            decision => decision,
        }
    }

    /// An open key to one of the user's identities.
    fn identity_of_key(
        &self,
        at: &Moment<'_>,
        digest: &str,
        access_type: AccessType,
    ) -> Result<(Identity, IdentityAttrs), Rejection> {
        let key = self.access.known(digest, at.now)?;
        let identity = key.identity.clone().filter(|_| key.access_type == access_type);
        let found = identity.and_then(|identity| {
            let attrs = self.identity(&identity).filter(|attrs| attrs.rejected.is_none())?.clone();
            Some((identity, attrs))
        });
        found.ok_or_else(|| Rejection::new(ErrorType::AccessDenied))
    }

    fn verify_identity(&self, at: &Moment<'_>, secret: &str, accept: bool) -> Decision {
        let digest = ids::digest(secret);
        let (identity, mut attrs) = self.identity_of_key(at, &digest, AccessType::IdentityVerify)?;
        if attrs.pending.is_none() {
            // By another key.
            return Err(Rejection::new(ErrorType::AccessAlreadySpent));
        }
        attrs.pending = None;
        let seal = self.seals.get(&identity.key()).cloned();
        let mut step = match accept {
            true => self.put_identity(at, identity, attrs, seal),
            false => {
                // Whose it is in truth may have it.
                let gone = let_go(&identity, &attrs);
                attrs = IdentityAttrs { rejected: Some(true), auth: None, ..attrs };
                let mut step = Step::record(UserRecord::put(at.id, identity, attrs, None));
                step.emits.extend(gone);
                step
            }
        };
        step.records.push(UserRecord::AccessSpent(AccessSpent { digest }));
        Ok(step)
    }

    fn reset_identity_auth(&self, at: &Moment<'_>, secret: &str, brought: &Brought) -> Decision {
        let digest = ids::digest(secret);
        let (identity, mut attrs) = self.identity_of_key(at, &digest, AccessType::IdentityAuthReset)?;
        let Some(password) = brought.password.clone() else {
            return Err(Rejection::malformed("identity_auth_new is missing"));
        };
        (attrs.pending, attrs.auth) = (None, Some(true));
        let (seal, claim) = new_password(&identity, Some(password));
        // The keys that were mailed before are of no use any more.
        let spent = self.access.for_identity(&identity, AccessType::IdentityAuthReset);
        let mut step = self.put_identity(at, identity, attrs, seal).and(claim);
        let spent = spent.into_iter().map(|digest| UserRecord::AccessSpent(AccessSpent { digest }));
        step.records.extend(spent);
        Ok(step)
    }

    /// Whether an identity is shown to the user, or to somebody of these realms.
    fn shows(&self, attrs: &IdentityAttrs, own: bool, realms: &[Id]) -> bool {
        let met = || realms.iter().any(|realm| self.realms.contains_key(realm));
        let settled = attrs.pending.is_none() && attrs.rejected.is_none();
        own || settled && (attrs.public.is_some() || attrs.protected.is_some() && met())
    }

    /// Whether who belongs to these realms may write to an identity.
    pub(super) fn is_reached(&self, identity: &Identity, own: bool, realms: &[Id]) -> bool {
        let attrs = self.identity(identity).filter(|attrs| attrs.blocked.is_none());
        self.attrs.deleted.is_none() && attrs.is_some_and(|attrs| self.shows(attrs, own, realms))
    }

    fn describe_identity(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        identity: &Identity,
        called: &str,
        brought: &Brought,
    ) -> Decision {
        let own = actor.user == *at.id;
        let shown = |attrs: &&IdentityAttrs| self.shows(attrs, own, &brought.realms);
        let attrs = self.identity(identity).filter(shown).ok_or_else(|| absent(called))?;
        Ok(Step::emit(Answer::event(&events::IdentityFound {
            user_id: at.id.clone(),
            identity_type: identity.kind.clone(),
            identity_name: identity.name.clone(),
            identity_attrs: own.then(|| attrs.clone()),
        })))
    }

    /// Refuses whoever has not proven to know an identity's password, if it has one.
    fn knows_password(
        &self,
        identity: &Identity,
        attrs: &IdentityAttrs,
        brought: &Brought,
    ) -> Result<(), Rejection> {
        let known = match (attrs.auth, &brought.proven, self.seals.get(&identity.key())) {
            (None, ..) => true,
            (Some(_), Some(proven), Some(seal)) => proven == seal,
            // It was set before there were seals.
            (Some(_), proven, None) => proven.is_some(),
            (Some(_), None, Some(_)) => false,
        };
        if known { Ok(()) } else { Err(Rejection::new(ErrorType::AccessDenied)) }
    }

    /// Writes down what an identity is from now on.
    fn put_identity(
        &self,
        at: &Moment<'_>,
        identity: Identity,
        attrs: IdentityAttrs,
        seal: Option<Id>,
    ) -> Step<UserRecord> {
        let claim = (attrs.rejected.is_none()).then(|| {
            let row = serde_json::to_vec(&IdentityRow::new(at.id, &attrs)).unwrap_or_default();
            Emit::Claim(Claim {
                namespace: IDENTITIES,
                key: identity.key(),
                value: Some(Bytes::from(row)),
                absent: false,
                refusal: Rejection::new(ErrorType::IdentityAlreadyExists)
                    .about("identity_name", &identity.name),
            })
        });
        let mut step = Step::record(UserRecord::put(at.id, identity, attrs, seal));
        step.emits.extend(claim);
        step
    }

    /// What lets go of all of the user's identities.
    pub(super) fn let_go_of_identities(&self) -> Vec<Emit> {
        let names = self.identities.iter().flat_map(|(kind, names)| names.iter().map(move |of| (kind, of)));
        names
            .flat_map(|(kind, (name, attrs))| {
                let_go(&Identity { kind: kind.clone(), name: name.clone() }, attrs)
            })
            .collect()
    }
}

/// What makes an identity nobody's. One that was rejected is, and may be somebody else's by now.
fn let_go(identity: &Identity, attrs: &IdentityAttrs) -> Vec<Emit> {
    let remove = |namespace| {
        Emit::Claim(Claim {
            namespace,
            key: identity.key(),
            value: None,
            absent: false,
            refusal: Rejection::new(ErrorType::Internal),
        })
    };
    if attrs.rejected.is_some() { Vec::new() } else { [IDENTITIES, PASSWORDS].map(remove).into() }
}

/// The seal of a new password, and the row in which its hash is kept. Without one, there is none any more.
fn new_password(identity: &Identity, password: Option<String>) -> (Option<Id>, Emit) {
    let seal = password.as_ref().map(|hash| ids::digest(hash));
    let claim = Claim {
        namespace: PASSWORDS,
        key: identity.key(),
        value: password.map(Bytes::from),
        absent: false,
        refusal: Rejection::new(ErrorType::Internal),
    };
    (seal, Emit::Claim(claim))
}

fn absent(name: &str) -> Rejection {
    Rejection::new(ErrorType::IdentityNotFound).about("identity_name", name)
}

/// What whoever asks for a key by mail is told.
fn requested(access_type: AccessType) -> Emit {
    Answer::event(&events::AccessCreated { access_type: access_type.name().into(), ..Default::default() })
}
