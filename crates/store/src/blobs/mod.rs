//! Blobs: the bytes of attachments, of any size, under keys. They come in parts and go in chunks, so that no
//! node ever holds a whole one.
//!
//! What every backend keeps, shown by [`conformance::blobs`](crate::conformance::blobs):
//! - a blob is visible once its upload is finished, whole, and never before; until then what was there stays;
//! - an upload is known by its handle alone: any node goes on with it, after a crash of the first too;
//! - what was answered survives a power cut: a part, a finished blob, a removal.

mod aside;
mod error;
pub mod local;
pub mod s3;

pub use aside::aside;
pub use error::BlobError;

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

/// Bytes that every part but the last must have: 5 MiB, as S3 wants it.
pub const PART_MIN: usize = 5 << 20;
/// Bytes that a part may have: 64 MiB. It is held in memory while it is sent.
pub const PART_MAX: usize = 64 << 20;
/// Parts that an upload may have; they are numbered from 1.
pub const PARTS_MAX: u32 = 10_000;
/// Bytes that a key may have.
pub const KEY_MAX: usize = 128;

/// What every call answers.
pub type Result<T, E = BlobError> = std::result::Result<T, E>;

/// A blob's bytes in order, in chunks of up to some hundred KiB. After an error comes nothing more,
/// and without one they are complete.
pub type Chunks = BoxStream<'static, Result<Bytes>>;

/// Blobs under keys. A key has parts of `[a-z0-9-_]` with `/` between them, and at most [`KEY_MAX`] bytes.
///
/// Every call may fail with [`BlobError::Unavailable`], within some seconds and the time that its bytes take
/// (half a minute for a finish that gets no answer); then its outcome is not known, and it may be made again.
/// A caller that stops waiting may or may not stop it.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Begins an upload and answers its handle: opaque text to keep, for this node or another one. It takes
    /// room until it is finished or abandoned; the store may drop one that was left alone for days.
    ///
    /// # Errors
    /// [`BlobError::BadKey`].
    async fn begin(&self, key: &str) -> Result<String>;

    /// Stores a part and answers its tag: opaque text that stands for these bytes. Parts come in any order
    /// and at the same time; one of the same number replaces the one before. All but the last have
    /// [`PART_MIN`] bytes or more, and some stores want them all of one size.
    ///
    /// # Errors
    /// [`BlobError::BadPart`] when the number is not in 1 to [`PARTS_MAX`] or there are more bytes than
    /// [`PART_MAX`], [`BlobError::UnknownUpload`] when the upload is over or never was,
    /// [`BlobError::Full`] when no room is left: the upload stays, and the part may be sent again.
    async fn part(&self, upload: &str, number: u32, bytes: Bytes) -> Result<String>;

    /// Makes the blob of the parts 1 to `tags.len()`, whose tags these are; none make an empty blob. What was
    /// there under the key is replaced at once: the last finish wins. Finishing again is harmless: it
    /// succeeds while the blob is there, and never brings back one that was replaced or removed since.
    ///
    /// # Errors
    /// [`BlobError::BadPart`] when a part is missing, is not the one of its tag, or is too small;
    /// [`BlobError::UnknownUpload`] and [`BlobError::Full`] as above. After these nothing of the upload is
    /// visible; unless it is unknown it is still there, and finishing it may be tried again.
    async fn finish(&self, upload: &str, tags: &[String]) -> Result<()>;

    /// Drops an upload and its parts. One that is over stays as it is: the blob of a finished upload is not
    /// touched, and dropping twice is harmless.
    ///
    /// # Errors
    /// [`BlobError::UnknownUpload`] when the text is no handle at all.
    async fn abandon(&self, upload: &str) -> Result<()>;

    /// A blob's size in bytes, if there is one.
    ///
    /// # Errors
    /// [`BlobError::BadKey`].
    async fn stat(&self, key: &str) -> Result<Option<u64>>;

    /// Reads the bytes of a range, which begins at 0 and whose end is excluded. What of it lies beyond the
    /// end of the blob is left out, so that `0..u64::MAX` is all of it.
    ///
    /// # Errors
    /// [`BlobError::BadKey`], [`BlobError::NotFound`], [`BlobError::BadRange`] when the range begins beyond
    /// the end (at the end it is empty) or runs backwards. In the stream [`BlobError::NotFound`] when the
    /// blob was replaced or removed meanwhile: bytes of two blobs are never mixed.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks>;

    /// Removes a blob; that there is none is fine.
    ///
    /// # Errors
    /// [`BlobError::BadKey`].
    async fn remove(&self, key: &str) -> Result<()>;
}

/// Refuses what is not a key. Nothing that passes can name anything outside of the store.
fn check_key(key: &str) -> Result<()> {
    let good = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    if key.len() <= KEY_MAX && key.split('/').all(good) {
        return Ok(());
    }
    Err(BlobError::BadKey(key.chars().take(KEY_MAX).collect()))
}

/// Refuses a part that no store takes.
fn check_part(number: u32, bytes: &[u8]) -> Result<()> {
    if !(1..=PARTS_MAX).contains(&number) {
        return Err(BlobError::BadPart(format!("number {number} is not in 1 to {PARTS_MAX}")));
    }
    if bytes.len() > PART_MAX {
        return Err(BlobError::BadPart(format!("part {number} has more than {PART_MAX} bytes")));
    }
    Ok(())
}

/// Refuses more parts than an upload may have.
fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > PARTS_MAX as usize {
        return Err(BlobError::BadPart(format!("{} are more than {PARTS_MAX}", tags.len())));
    }
    Ok(())
}

/// What of a range lies in a blob of this size.
fn clip(range: &Range<u64>, size: u64) -> Result<Range<u64>> {
    if range.start > size || range.start > range.end {
        return Err(BlobError::BadRange { size });
    }
    Ok(range.start..range.end.min(size))
}

/// A new id of 32 hexadecimal digits.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Whether a text may be what [`new_id`] made.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_of_the_blob() {
        for (range, wanted) in [
            (0..3, Some(0..3)),
            (2..u64::MAX, Some(2..5)),
            (5..9, Some(5..5)),
            (6..9, None),
            (5..5, Some(5..5)),
        ] {
            assert_eq!(clip(&range, 5).ok(), wanted, "{range:?}");
        }
        assert!(clip(&Range { start: 3, end: 2 }, 5).is_err(), "backwards");
    }

    #[test]
    fn an_id_is_one() {
        assert!(is_id(&new_id()));
        assert!(!is_id("../../../../../../../etc/passwd1"));
    }
}
