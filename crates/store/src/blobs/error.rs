//! Why a call of a blob store failed.

use std::io;

/// Why a call of a blob store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// It is no key: those have parts of `[a-z0-9-_]` with `/` between them, and a limit.
    #[error("{0:?} is no key of a blob")]
    BadKey(String),
    /// It is no upload's handle, or its upload was finished or abandoned.
    #[error("the upload is not known, or no longer")]
    UnknownUpload,
    /// A part is missing, is another one, or has a size or a number that it may not have.
    #[error("a part is not as it must be: {0}")]
    BadPart(String),
    /// The range does not begin within the blob, or runs backwards.
    #[error("the range is not within the blob's {size} bytes")]
    BadRange {
        /// The blob's size.
        size: u64,
    },
    /// There is no blob under the key, or no longer the one that was being read.
    #[error("there is no such blob")]
    NotFound,
    /// No room is left.
    #[error("the store of blobs is full")]
    Full,
    /// The store can't be reached, broke off or refuses us; whether the call took effect is not known.
    #[error("the store of blobs is not available: {0}")]
    Unavailable(String),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
