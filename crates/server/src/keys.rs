//! `keys`: lists and rotates the keys that webhooks are signed with, in the store itself.

use crate::backing::{self, Backing};
use crate::cli::KeysCommand;
use crate::config::{Config, Store};
use anyhow::{Context, Result, bail};
use levee_cluster::{ListedKey, list_keys, new_kid, rotate_keys};
use levee_outbound::Signer;
use std::time::{Duration, UNIX_EPOCH};

/// Runs the command.
pub(crate) fn run(command: KeysCommand) -> Result<()> {
    let (settings, grace) = match &command {
        KeysCommand::List(settings) => (settings, None),
        KeysCommand::Rotate(rotate) => (&rotate.settings, Some(Duration::from_secs(rotate.grace_s))),
    };
    let config = Config::load(&settings.sources())?;
    if config.store == Store::Memory {
        bail!("the store is in memory: it has no keys that anybody else could see");
    }
    actix_rt::System::new().block_on(async {
        let Backing { store, sqlite } = backing::open(&config, &prometheus::Registry::new()).await?;
        let keys = match grace {
            None => list_keys(&*store).await,
            Some(grace) => {
                let secret = Signer::draw().context("no key was drawn")?;
                let address = config.public_address.first().map(String::as_str).unwrap_or_default();
                rotate_keys(&*store, new_kid(address), secret, grace).await
            }
        };
        if let Some(sqlite) = sqlite {
            sqlite.close().await;
        }
        let keys = keys.context("the keys of webhooks")?;
        if keys.is_empty() {
            println!("there is no key yet: the first webhook makes one");
        }
        keys.iter().for_each(|key| println!("{}", line(key)));
        Ok(())
    })
}

fn line(key: &ListedKey) -> String {
    // Unix times, as the documents have them that are signed.
    let (since, until) = (key.since / 1_000_000, key.until.map(|until| until / 1_000_000));
    let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let state = match (key.signs, since > now) {
        (true, _) => "signs now".to_owned(),
        (false, true) => format!("signs in {} s", since - now),
        (false, false) => "signs no more".to_owned(),
    };
    let until = until.map(|until| format!(", published for {} s", until.saturating_sub(now)));
    format!("{}  {state}{}", key.kid, until.unwrap_or_default())
}
