//! What looks at files before anybody sees them, as the settings say and the node takes it.

use crate::config::Config;
use anyhow::{Context, Result};
use async_trait::async_trait;
use levee_cluster::files::Bytestream;
use levee_cluster::{Scanner, Verdict};
use std::sync::Arc;

#[derive(Debug)]
struct Outside(levee_outbound::Scanner);

#[async_trait]
impl Scanner for Outside {
    async fn scan(&self, size: u64, bytes: Bytestream) -> Result<Verdict, String> {
        match self.0.scan(size, bytes).await? {
            true => Ok(Verdict::Clean),
            false => Ok(Verdict::Refused),
        }
    }
}

/// What looks at files, if anything does.
///
/// # Errors
/// When the setting is neither a command nor an address.
pub(crate) fn way(config: &Config) -> Result<Option<Arc<dyn Scanner>>> {
    if config.file_scan.is_empty() {
        return Ok(None);
    }
    let scanner = levee_outbound::Scanner::read(&config.file_scan).context("file_scan")?;
    Ok(Some(Arc::new(Outside(scanner))))
}
