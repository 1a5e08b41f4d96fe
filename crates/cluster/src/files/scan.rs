//! Files before anybody sees them: something else looks at what is in them, a few at a time.

use super::{Bytestream, Files};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How many files a node has looked at at a time.
pub(super) const AT_ONCE: usize = 4;
/// After how long it is asked again who could not say, at first; then twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is asked before the file has to wait for longer.
const TRIES: u32 = 3;

/// What is said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Clean,
    /// Nobody shall get to see it.
    Refused,
}

/// Looks at what is in files.
#[async_trait]
pub trait Scanner: std::fmt::Debug + Send + Sync {
    /// Looks at a file of so many bytes. It is dropped when that takes too long.
    ///
    /// # Errors
    /// Why it can't say now.
    async fn scan(&self, size: u64, bytes: Bytestream) -> Result<Verdict, String>;
}

impl Files {
    /// Has a file looked at whose bytes are all here, if files are. Nothing of it is held in memory but what is on its way.
    ///
    /// # Errors
    /// Why nobody can say now; a file that nobody has looked at is not to be seen.
    pub(super) async fn look_at(&self, key: &str, size: u64) -> Result<Verdict, String> {
        let Some(scanner) = &self.options.scanner else { return Ok(Verdict::Clean) };
        let limit = self.options.scan_timeout;
        let Ok(_place) = timeout(limit, self.scanning.acquire()).await else {
            self.metrics.drop("file_scans");
            return Err("too many files wait to be looked at".into());
        };
        let trying = async {
            let mut pause = PAUSE;
            for _ in 1..TRIES {
                match self.ask_once(&**scanner, key, size).await {
                    Ok(verdict) => return Ok(verdict),
                    Err(why) => tracing::warn!(%why, key, "a file could not be looked at; trying again"),
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            self.ask_once(&**scanner, key, size).await
        };
        timeout(limit, trying).await.unwrap_or_else(|_| {
            self.metrics.scans.with_label_values(&["late"]).inc();
            Err("it takes too long".into())
        })
    }

    async fn ask_once(&self, scanner: &dyn Scanner, key: &str, size: u64) -> Result<Verdict, String> {
        let said = async {
            let blobs = self.blobs().map_err(|rejection| rejection.to_string())?;
            let chunks = blobs.read(key, 0..size).await.map_err(|error| error.to_string())?;
            scanner.scan(size, chunks.map_err(|error| io::Error::other(error.to_string())).boxed()).await
        };
        let said = said.await;
        let label = match said {
            Ok(Verdict::Clean) => "clean",
            Ok(Verdict::Refused) => "refused",
            Err(_) => "failed",
        };
        self.metrics.scans.with_label_values(&[label]).inc();
        said
    }
}
