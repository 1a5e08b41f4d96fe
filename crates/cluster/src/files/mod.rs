//! Files: their bytes go from an action into blobs, and from blobs out to whoever may read them. No node ever holds a
//! whole one, beyond what came in one frame.
//!
//! What a file is, and who may read it, is decided by its machine and by its conversation; here is what moves bytes.

mod download;
mod draw;
mod inspect;
mod intake;
mod links;
mod pace;
mod picture;
mod receive;
mod scan;
pub mod upload;

pub use download::{Bytestream, Download, Link};
pub(crate) use receive::{Brings, Sent};
pub use scan::{Scanner, Verdict};

use crate::hub::Hub;
use crate::letter::Job;
use crate::metrics::Metrics;
use levee_domain::file::Blob;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Rejection, Text};
use levee_store::blobs::{BlobError, Blobs};
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// How many files a node takes in at a time; each holds a part in memory.
const AT_ONCE: usize = 64;

/// Where files are kept, and how.
#[derive(Clone)]
pub struct FileOptions {
    /// Where their bytes are; without it there are no files.
    pub blobs: Option<Arc<dyn Blobs>>,
    /// Bytes that one may have, if that is limited.
    pub max_bytes: Option<u64>,
    /// After how long one is given up whose bytes don't come.
    pub expire_after: Duration,
    /// What links begin with: an origin, or nothing for links that are relative.
    pub origin: String,
    /// What looks at files before anybody sees them, if anything does.
    pub scanner: Option<Arc<dyn Scanner>>,
    /// How long that may take, and how long a file waits for its turn.
    pub scan_timeout: Duration,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            blobs: None,
            max_bytes: None,
            expire_after: Duration::from_secs(86_400),
            origin: String::new(),
            scanner: None,
            scan_timeout: Duration::from_secs(60),
        }
    }
}

impl std::fmt::Debug for FileOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileOptions")
            .field("blobs", &self.blobs.is_some())
            .field("max_bytes", &self.max_bytes)
            .field("expire_after", &self.expire_after)
            .field("origin", &self.origin)
            .field("scanner", &self.scanner)
            .field("scan_timeout", &self.scan_timeout)
            .finish()
    }
}

impl Hub {
    /// Removes bytes, and tells their file when they are gone.
    pub(crate) fn discard(self: &Rc<Self>, file: Stream, blob: Blob) {
        let hub = self.clone();
        actix::spawn(async move {
            match hub.shared.files.discard(&blob).await {
                Ok(()) => hub.route(file, Job::Tell(json!({"Cleared": {"key": blob.key}}))),
                Err(error) => {
                    hub.shared.metrics.removals_failed.inc();
                    tracing::warn!(%error, %file, "bytes of a file were not removed; trying again");
                }
            }
        });
    }
}

/// The name of the small picture beside some bytes.
fn small_key(key: &str) -> Text {
    Text::from(key) + "-small"
}

/// The files of a node.
pub(crate) struct Files {
    options: FileOptions,
    metrics: Metrics,
    places: Semaphore,
    /// Places of those that draw small pictures.
    drawing: Arc<Semaphore>,
    /// Places of those that are looked at.
    scanning: Semaphore,
    uploads: upload::Uploads,
    pace: Arc<pace::Pace>,
    /// What links are signed with, once it was read.
    key: OnceCell<[u8; 32]>,
}

impl Files {
    pub(crate) fn new(options: FileOptions, metrics: Metrics) -> Self {
        Self {
            options,
            metrics,
            places: Semaphore::new(AT_ONCE),
            drawing: Arc::new(Semaphore::new(draw::AT_ONCE)),
            scanning: Semaphore::new(scan::AT_ONCE),
            uploads: upload::Uploads::default(),
            pace: Arc::new(pace::Pace::new()),
            key: OnceCell::new(),
        }
    }

    /// Notes how long a commit took that has nothing to do with files.
    pub(crate) fn committed(&self, took: Duration) {
        self.pace.committed(took);
    }

    fn blobs(&self) -> Result<&Arc<dyn Blobs>, Rejection> {
        let none = || Rejection::new(ErrorType::ActionNotSupported).because("files are kept nowhere");
        self.options.blobs.as_ref().ok_or_else(none)
    }

    /// Removes bytes, and the upload that makes them. That there is none is fine.
    ///
    /// # Errors
    /// What the store of blobs says.
    pub(crate) async fn discard(&self, blob: &Blob) -> Result<(), BlobError> {
        let Some(blobs) = &self.options.blobs else {
            return Err(BlobError::Unavailable("there is none".into()));
        };
        match blobs.abandon(&blob.upload).await {
            Ok(()) | Err(BlobError::UnknownUpload) => {}
            Err(error) => return Err(error),
        }
        blobs.remove(&small_key(&blob.key)).await?;
        blobs.remove(&blob.key).await
    }

    /// What a client is told when bytes can't be kept.
    fn failed(&self, error: &BlobError) -> Rejection {
        tracing::warn!(%error, "a file's bytes can't be kept");
        match error {
            BlobError::Full => {
                self.metrics.drop("blobs_full");
                Rejection::new(ErrorType::UploadQuotaExceeded).because("no room is left for files")
            }
            BlobError::BadKey(_)
            | BlobError::UnknownUpload
            | BlobError::BadPart(_)
            | BlobError::BadRange { .. }
            | BlobError::NotFound
            | BlobError::Unavailable(_) => {
                Rejection::new(ErrorType::Internal).because("files can't be kept now; try again")
            }
        }
    }
}
