//! Identities as they come in: whose they are, whether a password is right, and what their actions need.

use crate::bring::Part;
use crate::enter::unavailable;
use crate::hub::Hub;
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use levee_domain::identity::{IDENTITIES, Identity, IdentityRow, PASSWORDS};
use levee_domain::view::Stream;
use levee_proto::{Body, ErrorType, Id, IdentityAction, Rejection, Text, events, ids, limits};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// How many passwords are hashed at a time: each takes 19 MiB and a core for some milliseconds.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Hashes a password.
async fn hash(password: String) -> Result<String, Rejection> {
    let internal = || Rejection::new(ErrorType::Internal).because("hashing failed");
    let _turn = HASHING.acquire().await.map_err(|_| internal())?;
    tokio::task::spawn_blocking(move || {
        let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
        Some(Argon2::default().hash_password(password.as_bytes(), &salt).ok()?.to_string())
    })
    .await
    .ok()
    .flatten()
    .ok_or_else(internal)
}

/// Checks a password. Takes as long where there is nothing to check it against.
async fn verify(password: String, expected: Option<String>) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let Ok(_turn) = HASHING.acquire().await else { return false };
    tokio::task::spawn_blocking(move || {
        let known = expected.is_some();
        let against = expected.unwrap_or_else(|| {
            NOBODY
                .get_or_init(|| {
                    SaltString::encode_b64(&[7; 16])
                        .ok()
                        .and_then(|salt| {
                            Argon2::default().hash_password(b"nobody", &salt).ok().map(|h| h.to_string())
                        })
                        .unwrap_or_default()
                })
                .clone()
        });
        let matches = PasswordHash::new(&against)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        matches && known
    })
    .await
    .unwrap_or(false)
}

/// Refuses types of identities that are not known here.
pub(crate) fn is_email(kind: &str) -> Result<(), Rejection> {
    match kind {
        "email" => Ok(()),
        _ => Err(Rejection::new(ErrorType::ActionNotSupported).because("the type of an identity is email")),
    }
}

impl Hub {
    /// What the directory says of an identity.
    pub(crate) async fn identity_row(&self, identity: &Identity) -> Result<Option<IdentityRow>, Rejection> {
        let row = self.shared.store.get(IDENTITIES, &identity.key()).await.map_err(unavailable)?;
        Ok(row.and_then(|row| serde_json::from_slice(&row.value).ok()))
    }

    /// The hash of an identity's password.
    async fn hash_of(
        &self,
        identity: &Identity,
        row: Option<&IdentityRow>,
    ) -> Result<Option<String>, Rejection> {
        let hash = self.shared.store.get(PASSWORDS, &identity.key()).await.map_err(unavailable)?;
        let hash = hash.and_then(|hash| String::from_utf8(hash.value.to_vec()).ok());
        Ok(hash.or_else(|| row?.password.clone()))
    }

    /// Who holds a verified identity with this password.
    ///
    /// # Errors
    /// `access_denied`, whatever is wrong.
    pub(crate) async fn identify(&self, kind: &str, name: &str, password: &str) -> Result<Id, Rejection> {
        let identity = Identity::new(kind, name);
        let row = self.identity_row(&identity).await?;
        let right = self.check(&identity, row.as_ref(), password).await?.is_some();
        match row.filter(|row| right && !row.pending) {
            Some(row) => Ok(row.user),
            None => Err(Rejection::new(ErrorType::AccessDenied)),
        }
    }

    /// The digest of the hash that a password was checked against, if it is right.
    async fn check(
        &self,
        identity: &Identity,
        row: Option<&IdentityRow>,
        password: &str,
    ) -> Result<Option<Id>, Rejection> {
        if password.len() > limits::SECRET_BYTES {
            return Err(Rejection::malformed("identity_auth is too long"));
        }
        let expected = self.hash_of(identity, row).await?;
        let digest = expected.as_ref().map(|hash| ids::digest(hash));
        let right = verify(password.to_owned(), expected).await;
        Ok(digest.filter(|_| right))
    }

    /// The hash of a new password, if one is given.
    ///
    /// # Errors
    /// `request_malformed` if it is too long.
    pub(crate) async fn new_password(&self, password: Option<&Text>) -> Result<Option<String>, Rejection> {
        match password {
            Some(password) if password.len() > limits::SECRET_BYTES => {
                Err(Rejection::malformed("identity_auth_new is too long"))
            }
            Some(password) => hash(password.to_string()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Refuses what takes mails where none go out.
    pub(crate) fn has_mail(&self) -> Result<(), Rejection> {
        match &self.shared.options.mailer {
            Some(_) => Ok(()),
            None => {
                Err(Rejection::new(ErrorType::ActionNotSupported)
                    .because("no mail goes out from this server"))
            }
        }
    }

    /// The identity of an address to which a mail is to go.
    ///
    /// # Errors
    /// `action_not_supported` if it is no address, or no mail goes out; `request_malformed` for a wrong one;
    /// `send_rate_limited` if there were too many.
    pub(crate) fn addressed(&self, kind: &str, name: &str) -> Result<Identity, Rejection> {
        is_email(kind)?;
        self.has_mail()?;
        let identity = Identity::new(kind, name);
        let takes = |mailer: &Arc<dyn crate::outbox::Mailer>| mailer.takes(&identity.name);
        if identity.name.len() > 254 || !self.shared.options.mailer.as_ref().is_some_and(takes) {
            return Err(Rejection::malformed("identity_name is no e-mail address"));
        }
        if !self.shared.mail_rate.allow(&identity.name, crate::now()) {
            self.shared.metrics.drop("mail_rate");
            let reason = "too many mails to one address within an hour";
            return Err(Rejection::new(ErrorType::SendRateLimited).because(reason));
        }
        Ok(identity)
    }

    /// Draws, looks up and checks what an action about identities needs.
    ///
    /// # Errors
    /// As each of the actions has them.
    pub(crate) async fn bring_to_identity(
        self: &Rc<Self>,
        action: &IdentityAction,
        user: &Id,
        realms: Vec<Id>,
        secret: impl FnOnce() -> Id,
    ) -> Result<Part, Rejection> {
        let mut part = Part::default();
        match action {
            IdentityAction::CreateIdentity(of) => {
                self.addressed(&of.identity_type, &of.identity_name)?;
                part.brought.password = self.new_password(of.identity_auth_new.as_ref()).await?;
                part.brought.secret = Some(secret());
            }
            IdentityAction::CreateIdentityWithAuthResetAccess(of) => {
                self.addressed(&of.identity_type, &of.identity_name)?;
                part.brought.secret = Some(secret());
            }
            IdentityAction::RequestIdentityVerifyAccess(of) => {
                let identity = self.addressed(&of.identity_type, &of.identity_name)?;
                part = self.owner_of(&identity, "identity_verify").await?;
                part.brought.secret = Some(secret());
            }
            IdentityAction::RequestIdentityAuthResetAccess(of) => {
                let identity = self.addressed(&of.identity_type, &of.identity_name)?;
                part = self.owner_of(&identity, "identity_auth_reset").await?;
                part.brought.secret = Some(secret());
            }
            IdentityAction::VerifyIdentity(of) => {
                part.stream = Some(self.user_of_key(&of.access_key).await?);
            }
            IdentityAction::ResetIdentityAuth(of) => {
                part.stream = Some(self.user_of_key(&of.access_key).await?);
                part.brought.password = self.new_password(Some(&of.identity_auth_new)).await?;
            }
            IdentityAction::DescribeIdentity(of) => {
                let row = self.identity_row(&Identity::new(&of.identity_type, &of.identity_name)).await?;
                // Where nobody has it, the user's own stream says so.
                part.stream = row.map(|row| Stream::user(&row.user));
                part.brought.realms = realms;
            }
            IdentityAction::UpdateIdentityAuth(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                part.brought.proven = self.proven(&identity, user, of.identity_auth.as_ref()).await?;
                part.brought.password = self.new_password(of.identity_auth_new.as_ref()).await?;
            }
            IdentityAction::DeleteIdentity(of) => {
                let identity = Identity::new(&of.identity_type, &of.identity_name);
                part.brought.proven = self.proven(&identity, user, of.identity_auth.as_ref()).await?;
            }
            IdentityAction::UpdateIdentity(of) => {
                // A hash that is kept as it was of old goes where it is kept now.
                let row = self.identity_row(&Identity::new(&of.identity_type, &of.identity_name)).await?;
                part.brought.password = row.filter(|row| row.user == *user).and_then(|row| row.password);
            }
        }
        Ok(part)
    }

    /// The digest of the hash of the password of one's own identity, if the password is right.
    async fn proven(
        &self,
        identity: &Identity,
        user: &Id,
        password: Option<&Text>,
    ) -> Result<Option<Id>, Rejection> {
        let Some(password) = password else { return Ok(None) };
        let row = self.identity_row(identity).await?.filter(|row| row.user == *user);
        match row {
            Some(row) => self.check(identity, Some(&row), password).await,
            None => Ok(None),
        }
    }

    /// The user who has an identity; where nobody has it, the answer that tells nothing of that.
    async fn owner_of(&self, identity: &Identity, access_type: &str) -> Result<Part, Rejection> {
        let row = self.identity_row(identity).await?;
        let told = || {
            let access_type = access_type.into();
            Arc::new(Body::new(&events::AccessCreated { access_type, ..Default::default() }))
        };
        Ok(match row {
            Some(row) => Part { stream: Some(Stream::user(&row.user)), ..Part::default() },
            None => Part { answer: Some(told()), ..Part::default() },
        })
    }

    async fn user_of_key(&self, key: &str) -> Result<Stream, Rejection> {
        let owner = self.owner_of_key(key).await?;
        let is_user = owner.kind == levee_domain::view::Kind::User;
        if is_user { Ok(owner) } else { Err(Rejection::new(ErrorType::AccessDenied)) }
    }
}
