//! Copies of realms, for owners of what belongs to a realm: its members decide over it.
//!
//! A copy is the fold of the realm's stream, read from the store. One that was not confirmed for a
//! second is read again before anything is decided by it.

use levee_domain::Entity;
use levee_domain::machine::Machine;
use levee_domain::realm::Realm;
use levee_domain::view::Stream;
use levee_proto::Id;
use levee_store::{Read, Store, StoreError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a copy is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How long a copy is kept without being used.
const KEPT: Duration = Duration::from_secs(60);
/// How many records one read brings.
const PAGE: usize = 500;

/// The copies of one hub.
#[derive(Default)]
pub(crate) struct Realms(RefCell<HashMap<Id, Copy>>);

struct Copy {
    entity: Rc<Entity<Realm>>,
    confirmed: Instant,
}

impl Realms {
    /// The copy of a realm, if it is fresh.
    pub(crate) fn fresh(&self, id: &Id) -> Option<Rc<Entity<Realm>>> {
        let copies = self.0.borrow();
        let copy = copies.get(id)?;
        (copy.confirmed.elapsed() < FRESH).then(|| copy.entity.clone())
    }

    /// Reads what is new of a realm.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn refresh(&self, store: &dyn Store, id: &Id) -> Result<(), StoreError> {
        let confirmed = Instant::now();
        let known = self.0.borrow().get(id).map(|copy| copy.entity.clone());
        let entity = match known {
            Some(entity) => load_tail((*entity).clone(), &Stream::realm(id), store).await?,
            None => load(&Stream::realm(id), store).await?,
        };
        self.0.borrow_mut().insert(id.clone(), Copy { entity: Rc::new(entity), confirmed });
        Ok(())
    }

    /// Drops copies that nobody used for a while.
    pub(crate) fn forget_unused(&self) {
        self.0.borrow_mut().retain(|_, copy| copy.confirmed.elapsed() < KEPT);
    }
}

/// Loads an entity: its snapshot, then the records after it.
///
/// # Errors
/// What the store says; `Damaged` when a record can't be read.
pub(crate) async fn load<M: Machine>(stream: &Stream, store: &dyn Store) -> Result<Entity<M>, StoreError> {
    let snapshot = store.load(&stream.key()).await?;
    // A snapshot that can't be read is one of another version: the records tell everything.
    let entity =
        snapshot.and_then(|snapshot| serde_json::from_slice(&snapshot.body).ok()).unwrap_or_default();
    load_tail(entity, stream, store).await
}

async fn load_tail<M: Machine>(
    mut entity: Entity<M>,
    stream: &Stream,
    store: &dyn Store,
) -> Result<Entity<M>, StoreError> {
    loop {
        let records = store.read(Read::after(stream.key(), entity.seq, PAGE)).await?;
        let last = records.len() < PAGE;
        for record in records {
            let entry = crate::publish::decode::<M>(&record).map_err(|error| {
                StoreError::Damaged(format!("record {} of {stream}: {error}", record.seq))
            })?;
            entity.apply(record.record.time, &entry);
        }
        if last {
            return Ok(entity);
        }
    }
}
