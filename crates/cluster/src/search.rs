//! Searches over the realms of a user, one after the other.

use crate::enter::unavailable;
use crate::hub::Hub;
use levee_domain::past::Wanted;
use levee_domain::search::{Results, Search};
use levee_domain::view::Stream;
use levee_proto::{Body, ErrorType, Id, Rejection, events, ids};
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;

/// In how many realms one search looks at most.
const REALMS: usize = 32;

impl Hub {
    /// The answers to a search: users, channels, and an end that has neither. Without a realm it looks in all that
    /// the user belongs to, and for channels that are in none.
    ///
    /// # Errors
    /// `realm_not_found` for a realm that the user does not belong to; `internal` when there is no answer.
    pub(crate) async fn search(
        self: &Rc<Self>,
        user: Id,
        search: Search,
        realm: Option<Id>,
    ) -> Result<Vec<(Arc<Body>, Option<u64>)>, Rejection> {
        let mut found = Results::default();
        match &realm {
            Some(realm) => self.search_realm(&user, &search, realm, &mut found).await?,
            None => {
                let realms = self.ask(Stream::user(&user), json!("Realms")).await?;
                let realms: Vec<Id> = serde_json::from_value(realms).unwrap_or_default();
                for realm in realms.iter().take(REALMS) {
                    match self.search_realm(&user, &search, realm, &mut found).await {
                        // The user left it a moment ago.
                        Err(gone) if gone.error_type == ErrorType::RealmNotFound => {}
                        other => other?,
                    }
                }
                if search.channels {
                    self.search_outside(&search, &mut found).await?;
                }
            }
        }
        let Results { users, channels } = found;
        let mut events = Vec::new();
        let mut show = |results: events::SearchResults| events.push((Arc::new(Body::new(&results)), None));
        if !users.is_empty() {
            show(events::SearchResults { users: Some(users), channels: None });
        }
        if !channels.is_empty() {
            show(events::SearchResults { channels: Some(channels), users: None });
        }
        show(events::SearchResults::default());
        Ok(events)
    }

    async fn search_realm(
        self: &Rc<Self>,
        user: &Id,
        search: &Search,
        realm: &Id,
        found: &mut Results,
    ) -> Result<(), Rejection> {
        if ids::shard(realm).is_none() {
            return Err(Rejection::new(ErrorType::RealmNotFound).about("realm_id", realm));
        }
        let order = json!({"Search": {"user": user, "search": search}});
        let results = self.ask(Stream::realm(realm), order).await?;
        let results: Results = serde_json::from_value(results).unwrap_or_default();
        found.users.extend(results.users);
        found.channels.extend(results.channels);
        Ok(())
    }

    /// Channels that are in no realm are open to everybody, unless they are private.
    async fn search_outside(&self, search: &Search, found: &mut Results) -> Result<(), Rejection> {
        let Wanted::Rows(rows) = search.wanted(None) else { return Ok(()) };
        let rows = crate::past::find_rows(&*self.shared.store, &rows).await.map_err(unavailable)?.rows;
        found.channels.extend(rows.iter().filter_map(|(_, row)| search.channel(row)));
        Ok(())
    }
}
