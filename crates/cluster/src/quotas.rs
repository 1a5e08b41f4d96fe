//! Quotas: what is about to be made is reserved in its owner's account, and freed if it was not.

use crate::enter::unavailable;
use crate::hub::Hub;
use crate::letter::{Act, Job};
use levee_domain::account::{AccountOrder, Reservation, Thing};
use levee_domain::found::Found;
use levee_domain::machine::Machine;
use levee_domain::realm::first_channel;
use levee_domain::rights::Right;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Object, Rejection, ids};
use std::rc::Rc;

impl Hub {
    /// Reserves something that a user is about to make; nothing where they will be refused. What a stream decides
    /// itself has that one's id, what a realm makes gets one of its own.
    ///
    /// # Errors
    /// The thing's `_quota_exceeded`; `internal` when the store or the owner does not answer.
    pub(crate) async fn reserve(
        self: &Rc<Self>,
        thing: Thing,
        realm: Option<&Id>,
        user: &Id,
        stream: &Stream,
        secret: impl FnOnce() -> Id,
    ) -> Result<Option<Reservation>, Rejection> {
        let owner = match realm {
            None => Some(user.clone()),
            Some(realm) => self.owner_of_realm(realm, user).await?,
        };
        let Some(owner) = owner else { return Ok(None) };
        let id = match thing {
            Thing::Channels | Thing::Realms | Thing::Uploads => stream.id.clone(),
            Thing::Queues => ids::derive(stream.shard(), &["queue", &secret()]),
        };
        let most = self.shared.options.quotas.of(thing);
        self.ask_account(&owner, &AccountOrder::Reserve { thing, id: id.clone(), most, size: None }).await?;
        Ok(Some(Reservation { owner, id }))
    }

    async fn ask_account(self: &Rc<Self>, owner: &Id, order: &AccountOrder) -> Result<(), Rejection> {
        let asked = self.ask(Stream::user(owner), order.of_user()).await;
        if asked.as_ref().is_err_and(|refusal| refusal.error_type != ErrorType::Internal) {
            self.shared.metrics.drop("quota");
        }
        asked.map(drop)
    }

    /// Reserves room for a file that somebody sends, of so many bytes.
    ///
    /// # Errors
    /// `upload_quota_exceeded` when there is not so much left; `internal` when the owner does not answer.
    pub(crate) async fn reserve_file(
        self: &Rc<Self>,
        owner: &Id,
        file: &Id,
        size: u64,
    ) -> Result<Reservation, Rejection> {
        let (thing, most) = (Thing::Uploads, self.shared.options.quotas.of(Thing::Uploads));
        let order = AccountOrder::Reserve { thing, id: file.clone(), most, size: Some(size) };
        self.ask_account(owner, &order).await?;
        Ok(Reservation { owner: owner.clone(), id: file.clone() })
    }

    /// What is left in the account of a realm's owner, for one who may know that.
    ///
    /// # Errors
    /// `internal` when the store or the owner does not answer.
    pub(crate) async fn owner_account(
        self: &Rc<Self>,
        realm: &Id,
        user: &Id,
    ) -> Result<Option<Object>, Rejection> {
        let Some(owner) = self.owner_of_realm(realm, user).await? else { return Ok(None) };
        let owns = self.ask(Stream::user(&owner), serde_json::json!("Owns")).await?;
        Ok(Some(self.shared.options.quotas.owner_account(&owns)))
    }

    /// Reserves a realm that a user is about to make, and its first channel if there is to be one.
    ///
    /// # Errors
    /// As [`Hub::reserve`] has it; then nothing is reserved.
    pub(crate) async fn reserve_realm(
        self: &Rc<Self>,
        user: &Id,
        realm: &Stream,
        with_channel: bool,
    ) -> Result<Vec<Reservation>, Rejection> {
        let channel = with_channel.then(|| Stream::conversation(&first_channel(&realm.id)));
        let wanted = [(Thing::Realms, Some(realm)), (Thing::Channels, channel.as_ref())];
        let mut reserved = Vec::new();
        for (thing, stream) in wanted.into_iter().filter_map(|(thing, stream)| Some((thing, stream?))) {
            match self.reserve(thing, None, user, stream, Id::default).await {
                Ok(reservation) => reserved.extend(reservation),
                Err(refusal) => {
                    self.free_all(&reserved);
                    return Err(refusal);
                }
            }
        }
        Ok(reserved)
    }

    /// Who owns a realm in which a user may make things.
    async fn owner_of_realm(&self, realm: &Id, user: &Id) -> Result<Option<Id>, Rejection> {
        if ids::shard(realm).is_none() {
            return Ok(None);
        }
        self.realms.refresh(&*self.shared.store, realm).await.map_err(unavailable)?;
        let copy = self.realms.fresh(realm);
        let realm = copy.as_ref().map(|copy| &copy.machine).filter(|realm| realm.exists());
        let may = |realm: &&levee_domain::realm::Realm| realm.standing(user).may(Right::ManageRealm);
        Ok(realm.filter(may).and_then(|realm| realm.attrs.owner_id.clone()))
    }

    /// Frees what was reserved for an action that was refused.
    pub(crate) fn free(self: &Rc<Self>, act: &Act) {
        self.free_all(act.actor.found.as_ref().map(Found::reserved).unwrap_or_default());
    }

    /// Frees what was reserved and came to nothing.
    pub(crate) fn free_all(self: &Rc<Self>, reserved: &[Reservation]) {
        for Reservation { owner, id } in reserved {
            let order = AccountOrder::Free { id: id.clone() }.of_user();
            self.route(Stream::user(owner), Job::Tell(order));
        }
    }
}
