//! Puppets: users whom another user, their master, may log in and speak for.

use crate::enter::denied;
use crate::find_out::{nonce, signed_with};
use crate::hub::Hub;
use levee_domain::found::Nonce;
use levee_domain::master::{self, KeyType, Refused, Wanted};
use levee_domain::puppet::Puppet;
use levee_domain::user::PUPPET;
use levee_domain::view::Stream;
use levee_proto::actions::session::CreateSession;
use levee_proto::attrs::{PuppetAttrs, UserAttrs};
use levee_proto::{ErrorType, Id, Rejection, Text, ids};
use std::rc::Rc;
use std::sync::Arc;

/// Whom a master vouches for.
pub(crate) struct Signed {
    /// The master.
    pub(crate) master: Id,
    /// The puppet.
    pub(crate) subject: Subject,
    /// What the master sets of it, if it says so.
    pub(crate) attrs: Option<PuppetAttrs>,
    /// What makes a signature usable once.
    pub(crate) nonce: Option<Nonce>,
}

/// Which puppet.
pub(crate) enum Subject {
    /// A new one.
    New,
    /// This one.
    Puppet(Id),
    /// The one that the master calls this.
    Named(Text),
}

impl Hub {
    /// Whom a signature or a token of `create_session` vouches for.
    ///
    /// # Errors
    /// `access_denied` for all that is wrong, `access_expired`.
    pub(crate) async fn signed_in(&self, create: &CreateSession, sign: &str) -> Result<Signed, Rejection> {
        let key_type = signed_with(create.master_key_type.as_deref())?;
        let (key, authority) = self.key(key_type, sign).await?.ok_or_else(denied)?;
        if authority.realm.is_some() {
            // Such a key opens what is the realm's, and nobody is.
            return Err(denied());
        }
        let (master, now) = (authority.owner, crate::now());
        match key_type {
            KeyType::Jwt => {
                let subject = master::authenticate(&key, sign, now).map_err(access)?;
                let attrs = Some(PuppetAttrs { name: subject.preferred_username });
                Ok(Signed { master, subject: Subject::Named(subject.sub), attrs, nonce: None })
            }
            KeyType::Ninchat => {
                let patch = create.puppet_attrs.as_ref();
                let text = patch.and_then(|patch| serde_json::to_string(patch).ok());
                let (wanted, subject) = match &create.user_id {
                    Some(user_id) => (Wanted::Puppet { user_id }, Subject::Puppet(user_id.clone())),
                    None => (Wanted::NewPuppet { puppet_attrs: text.as_deref() }, Subject::New),
                };
                let grant = master::verify(&key, sign, &wanted, now).map_err(access)?;
                let attrs = patch.filter(|_| create.user_id.is_none()).map(|patch| {
                    let mut attrs = PuppetAttrs::default();
                    patch.apply(&mut attrs);
                    attrs
                });
                Ok(Signed { master, subject, attrs, nonce: Some(nonce(&grant)) })
            }
        }
    }

    /// What may be known of a puppet, and whose it is, if it is this master's.
    ///
    /// # Errors
    /// `user_not_found`.
    pub(crate) async fn puppet(self: &Rc<Self>, puppet: &Id, master: &Id) -> Result<Carded, Rejection> {
        can_be(puppet)?;
        let card = self.ask(Stream::user(puppet), serde_json::json!({"Puppet": {"master": master}})).await?;
        carded(card).ok_or_else(|| absent(puppet))
    }
}

/// What may be known of a user, and whose puppet they are.
pub(crate) type Carded = (Arc<UserAttrs>, Option<Puppet>);

/// Reads what a user's owner has answered of them.
pub(crate) fn carded(mut card: serde_json::Value) -> Option<Carded> {
    let puppet = card.get_mut(PUPPET).map(serde_json::Value::take);
    let puppet = puppet.and_then(|puppet| serde_json::from_value(puppet).ok());
    Some((Arc::new(serde_json::from_value(card).ok()?), puppet))
}

/// Refuses an id that no puppet can have, as if there were none of it.
pub(crate) fn can_be(puppet: &Id) -> Result<(), Rejection> {
    ids::shard(puppet).map(|_| ()).ok_or_else(|| absent(puppet))
}

fn absent(puppet: &Id) -> Rejection {
    Rejection::new(ErrorType::UserNotFound).about("puppet_id", puppet)
}

/// The user whom a master calls by a name, and who was deleted so often.
pub(crate) fn named_puppet(master: &str, name: &str, life: u32) -> Id {
    let cause = ["puppet", master, name, &life.to_string()];
    // A master's puppets are spread over all shards.
    let spread = ids::derive(0, &cause);
    let shard = spread
        .bytes()
        .rev()
        .take(8)
        .fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte)));
    ids::derive(shard % ids::SHARDS, &cause)
}

fn access(refused: Refused) -> Rejection {
    Rejection::new(match refused {
        Refused::Denied => ErrorType::AccessDenied,
        Refused::Expired => ErrorType::AccessExpired,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_name_leads_to_one_puppet_and_names_are_spread() {
        let of = |name: &str| named_puppet("aa11master", name, 0);
        assert_eq!(of("ann"), of("ann"));
        assert_ne!(of("ann"), named_puppet("aa11master", "ann", 1));
        assert_ne!(of("ann"), named_puppet("bb22master", "ann", 0));
        let shards: HashSet<_> =
            (0..512).map(|n| ids::shard(&of(&n.to_string())).unwrap_or_default()).collect();
        assert!(shards.len() > 300, "{} shards", shards.len());
    }
}
