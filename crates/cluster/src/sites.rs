//! Sites as everybody may read them: rows of the directory, without the realms that they belong to.

use crate::enter::unavailable;
use crate::hub::Hub;
use levee_domain::site::{SITES, SiteRow, is_key};
use levee_proto::{Object, Rejection};

impl Hub {
    /// The configuration of a site that is enabled.
    ///
    /// # Errors
    /// `internal` when the store does not answer.
    pub async fn site(&self, key: &str) -> Result<Option<Object>, Rejection> {
        Ok(self.site_row(key).await?.filter(|row| row.enabled).map(|row| row.config))
    }

    /// A site, whether it is enabled or not.
    ///
    /// # Errors
    /// `internal` when the store does not answer.
    pub(crate) async fn site_row(&self, key: &str) -> Result<Option<SiteRow>, Rejection> {
        if !is_key(key) {
            return Ok(None);
        }
        let row = self.shared.store.get(SITES, key).await.map_err(unavailable)?;
        Ok(row.and_then(|row| SiteRow::read(&row.value)))
    }
}
