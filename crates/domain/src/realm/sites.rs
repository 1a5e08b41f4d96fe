//! What a realm decides about its sites: its operators make, see, change and delete them. The realm knows which
//! there are; their configurations are rows of the directory.

use super::{Decision, Realm, RealmRecord};
use crate::machine::{Actor, Answer, Claim, Emit, Moment, Step};
use crate::past::{Range, Rows, Wanted};
use crate::rights::{Right, Standing};
use crate::site::{self, SITES, Site, SiteRow};
use bytes::Bytes;
use levee_proto::actions::realm::{CreateSite, DescribeSites, UpdateSite};
use levee_proto::{ErrorType, Id, Object, RealmAction, Rejection, Text, events, ids, limits};
use serde_json::json;

#[cfg(test)]
mod tests;

/// A site as it is from now on, as records tell it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SitePut {
    /// Its key.
    pub key: Text,
    /// Whether it is shown to everybody.
    pub enabled: bool,
    /// Its configuration.
    pub config: Object,
    /// Who did it.
    pub by: Id,
}

fn absent(id: &Id, key: &str) -> Rejection {
    let reason = format!("the realm has no site {}", key.chars().take(64).collect::<String>());
    Rejection::new(ErrorType::SiteNotFound).because(reason).about("realm_id", id)
}

impl Realm {
    /// The row that a decision about a site looks at.
    pub(super) fn wants_site(&self, actor: &Actor, action: &RealmAction) -> Option<Wanted> {
        let key = if let RealmAction::DescribeSites(describe) = action {
            describe.site_key.as_ref()?
        } else if let RealmAction::UpdateSite(update) = action
            && update.site_config.is_none()
        {
            &update.site_key
        } else {
            return None;
        };
        let (key, _) = self.sites.get_key_value(key)?;
        let range = Range { prefix: key.clone(), after: Id::default(), limit: 1 };
        let may = self.standing(&actor.user).may(Right::ManageSites);
        may.then(|| Wanted::Rows(Rows { namespace: SITES, ranges: vec![range] }))
    }

    pub(super) fn create_site(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        create: CreateSite,
    ) -> Decision {
        self.allow(at, standing, Right::ManageSites)?;
        if self.sites.len() >= limits::SITES {
            return Err(Rejection::denied().because("the realm has too many sites").about("realm_id", at.id));
        }
        let key = match create.site_key {
            Some(key) if site::is_key(&key) => key,
            Some(_) => {
                return Err(Rejection::malformed("site_key is 3 to 64 small letters, digits and hyphens"));
            }
            None => {
                let command = actor.command();
                let cause = command.map_or_else(
                    || format!("{} {}", at.now, at.seq),
                    |command| command.action_id.to_string(),
                );
                ids::derive(ids::shard(at.id).unwrap_or_default(), &["site", at.id, &actor.session, &cause])
            }
        };
        let taken = Rejection::new(ErrorType::SiteAlreadyExists).about("realm_id", at.id);
        if self.sites.contains_key(&key) {
            return Err(taken);
        }
        let config = site::checked(at.id, self, create.site_config)?;
        let enabled = create.enabled.unwrap_or(true);
        let put = SitePut { key, enabled, config, by: actor.user.clone() };
        let claim = claim(at.id, &put, Some(taken));
        Ok(Step::record(RealmRecord::SiteCreated(put)).and(claim))
    }

    pub(super) fn describe_sites(
        &self,
        at: &Moment<'_>,
        standing: Standing,
        describe: DescribeSites,
    ) -> Decision {
        self.allow(at, standing, Right::ManageSites)?;
        let sites = match describe.site_key {
            None => self.sites.iter().map(|(key, site)| (key.to_string(), json!(site))).collect(),
            Some(key) => {
                let row = self.site_row(at, &key)?;
                let mut shown = json!(self.sites.get(&key));
                shown["site_config"] = row.config.into();
                Object::from_iter([(key.to_string(), shown)])
            }
        };
        Ok(Step::emit(Answer::event(&events::SitesFound { realm_id: at.id.clone(), sites })))
    }

    pub(super) fn update_site(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        update: UpdateSite,
    ) -> Decision {
        self.allow(at, standing, Right::ManageSites)?;
        let known = self.sites.get(&update.site_key).ok_or_else(|| absent(at.id, &update.site_key))?;
        let config = match update.site_config {
            Some(config) => site::checked(at.id, self, config)?,
            None => self.site_row(at, &update.site_key)?.config,
        };
        let enabled = update.enabled.unwrap_or(known.enabled);
        let put = SitePut { key: update.site_key, enabled, config, by: actor.user.clone() };
        let claim = claim(at.id, &put, None);
        Ok(Step::record(RealmRecord::SiteChanged(put)).and(claim))
    }

    pub(super) fn delete_site(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        key: Text,
    ) -> Decision {
        self.allow(at, standing, Right::ManageSites)?;
        if !self.sites.contains_key(&key) {
            return Err(absent(at.id, &key));
        }
        let free = unclaim(&key);
        Ok(Step::record(RealmRecord::SiteDeleted { key, by: actor.user.clone() }).and(free))
    }

    /// Lets go of the keys of all sites.
    pub(super) fn sites_unclaimed(&self) -> impl Iterator<Item = Emit> {
        self.sites.keys().map(unclaim)
    }

    /// A site takes its place among the others.
    pub(super) fn put_site(&mut self, put: &SitePut) {
        self.sites.insert(put.key.clone(), Site::new(put.enabled, &put.config));
    }

    /// The row of a site, which was read for the decision.
    fn site_row(&self, at: &Moment<'_>, key: &Text) -> Result<SiteRow, Rejection> {
        if !self.sites.contains_key(key) {
            return Err(absent(at.id, key));
        }
        let mut rows = at.past.iter().flat_map(|past| &past.rows);
        let row = rows.find(|(of, _)| of == key).and_then(|(_, value)| SiteRow::read(value));
        let unread = || Rejection::new(ErrorType::Internal).because("the site can't be read");
        row.filter(|row| row.realm == *at.id).ok_or_else(unread)
    }
}

/// Writes the row of a site; `taken` is what is said if somebody has the key.
fn claim(realm: &Id, put: &SitePut, taken: Option<Rejection>) -> Emit {
    let row = SiteRow { realm: realm.clone(), enabled: put.enabled, config: put.config.clone() };
    Emit::Claim(Claim {
        namespace: SITES,
        key: put.key.clone(),
        value: serde_json::to_vec(&row).ok().map(Bytes::from),
        absent: taken.is_some(),
        refusal: taken.unwrap_or_else(|| Rejection::new(ErrorType::Internal)),
    })
}

fn unclaim(key: &Text) -> Emit {
    Emit::Claim(Claim {
        namespace: SITES,
        key: key.clone(),
        value: None,
        absent: false,
        refusal: Rejection::new(ErrorType::Internal),
    })
}
