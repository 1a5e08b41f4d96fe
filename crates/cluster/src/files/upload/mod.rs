//! Files that come over connections that may break: each from where it is, through whichever node, whoever died.
//!
//! Nothing about one is kept in a node but the bytes of the part that is coming. How far it is, and whose turn it is to
//! write, its entity decides.

mod hash;
mod join;
mod ticket;
mod turns;
mod writer;

pub use levee_domain::file::parts::Standing;
pub use writer::{Checksum, Chunk, Wish};

use super::Files;
use crate::hub::Hub;
use levee_domain::file::Blob;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection};
use levee_store::blobs::{BlobError, PART_MAX, PARTS_MAX};
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;
use turns::Turns;

/// Bytes of a part: as few as can be for files of up to 80 GB.
const PART: u64 = 8 << 20;
/// Parts grow by steps of this.
const STEP: u64 = 1 << 20;
/// How long it is waited for a message to have a file whose last byte has come.
const POSTED_WITHIN: Duration = Duration::from_secs(5);

/// Which upload, by its address.
#[derive(Debug, Clone)]
pub struct UploadLink {
    /// The file.
    pub file: Id,
    /// What only who began it knows.
    pub secret: String,
}

/// An upload that has begun.
#[derive(Debug, Clone)]
pub struct Started {
    /// Where it goes on: a path.
    pub path: String,
    /// Which it is.
    pub link: UploadLink,
    /// How far it is.
    pub standing: Standing,
}

/// Why an upload does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such, or it is not for who asks.
    Absent,
    /// It was there.
    Gone,
    /// It may not be sent.
    Denied,
    /// It is not where it was said to be.
    Elsewhere,
    /// It has more bytes than were said, or than there may be.
    TooLarge(String),
    /// Another request writes it.
    Taken,
    /// Nothing came for a while.
    Silent,
    /// The bytes are not those that were meant.
    Mismatch,
    /// No room is left.
    NoRoom,
    /// Too much at once.
    Busy,
    /// What was said makes no sense.
    Malformed(String),
    /// It can't be done now.
    Later,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        match rejection.error_type {
            ErrorType::FileNotFound => Self::Gone,
            ErrorType::RequestMalformed => Self::Malformed(rejection.reason.unwrap_or_default().to_string()),
            ErrorType::UploadQuotaExceeded => Self::NoRoom,
            ErrorType::SendRateLimited => Self::Busy,
            ErrorType::Internal => Self::Later,
            _ => Self::Denied,
        }
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full => Self::NoRoom,
            // It was left alone for so long that its bytes are gone.
            BlobError::UnknownUpload | BlobError::NotFound => Self::Gone,
            BlobError::BadKey(_)
            | BlobError::BadPart(_)
            | BlobError::BadRange { .. }
            | BlobError::Unavailable(_) => Self::Later,
        }
    }
}

/// The uploads of a node.
#[derive(Default)]
pub(super) struct Uploads {
    turns: Turns,
    joining: join::Joining,
}

/// How many bytes the parts of a file have; none if there can't be enough of them.
fn part_size(length: Option<u64>) -> Option<u64> {
    let least = length.unwrap_or_default().div_ceil(u64::from(PARTS_MAX));
    Some(least.next_multiple_of(STEP).max(PART)).filter(|size| *size <= PART_MAX as u64)
}

impl Hub {
    /// Begins the upload of a ticket. A ticket is good for one: beginning again leads to it.
    ///
    /// # Errors
    /// [`Refusal::Absent`] for what is no ticket of ours, [`Refusal::Gone`] for one that has expired or whose file came
    /// to nothing, and what is wrong with the file.
    pub async fn begin_upload(
        self: &Rc<Self>,
        ticket: &str,
        length: Option<u64>,
    ) -> Result<Started, Refusal> {
        let ticket = self.ticket(ticket).await?;
        let (files, upload) = (&self.shared.files, &ticket.upload);
        let length = match (length, upload.size) {
            (Some(length), Some(size)) if length != size => {
                return Err(Refusal::Malformed(format!("{size} bytes were said before")));
            }
            (length, size) => length.or(size),
        };
        files.check_length(length.unwrap_or_default())?;
        let part = part_size(length)
            .ok_or_else(|| Refusal::TooLarge("a file has up to 10,000 parts of 64 MiB".into()))?;
        let stream = Stream::file(&ticket.file);
        let link = UploadLink { file: ticket.file.clone(), secret: self.upload_secret(&ticket.file).await? };
        let started = |standing| Started { path: ticket::path(&link), link: link.clone(), standing };
        let may = json!({"MayUpload": {"user": upload.owner, "in_dialogue": upload.peer.is_some()}});
        self.ask(Stream::conversation(&upload.conversation), may).await?;
        let blobs = files.blobs()?;
        self.reserve_file(&upload.owner, &ticket.file, length.unwrap_or_default()).await?;
        let key = format!("files/{}/whole", ticket.file);
        let handle = blobs.begin(&key).await.map_err(|error| files.refused(error))?;
        let patience = files.options.expire_after.as_micros() as u64;
        let start = json!({"Parts": {"Start": {
            "begun": {"owner": upload.owner, "conversation": upload.conversation, "name": upload.name,
                "size": length.unwrap_or_default(), "blob": {"key": key, "upload": handle},
                "expires": crate::now() + patience},
            "terms": {"peer": upload.peer, "length": length, "part": part, "patience": patience},
        }}});
        let standing = self.ask(stream, start).await.and_then(standing);
        if !standing.as_ref().is_ok_and(|standing| !standing.missed) {
            // It is another one's, or had begun.
            files.let_go(&handle).await;
        }
        Ok(started(standing?))
    }

    /// How far an upload is. Whoever writes it stops, so that it is so still when somebody goes on with it.
    ///
    /// # Errors
    /// [`Refusal::Absent`] when it is not known, [`Refusal::Gone`] when it came to nothing.
    pub async fn upload_standing(self: &Rc<Self>, link: &UploadLink) -> Result<Standing, Refusal> {
        let file = self.upload_of(link).await?;
        self.shared.files.uploads.turns.stop(&link.file).await;
        Ok(self.ask(file, json!({"Parts": "Offset"})).await.and_then(standing)?)
    }

    /// Gives up an upload, for whoever sends it does not want to any more.
    ///
    /// # Errors
    /// [`Refusal::Absent`] when it is not known, [`Refusal::Gone`] when it is over.
    pub async fn cancel_upload(self: &Rc<Self>, link: &UploadLink) -> Result<(), Refusal> {
        let file = self.upload_of(link).await?;
        self.shared.files.uploads.turns.stop(&link.file).await;
        self.ask(file, json!({"Parts": {"End": {"ended": "cancelled"}}})).await?;
        Ok(())
    }

    /// Waits a little for a message to have a file whose bytes are all here.
    async fn posted(self: &Rc<Self>, file: &Stream, mut last: Standing) -> Standing {
        let asking = async {
            let mut pause = Duration::from_millis(20);
            while last.length == Some(last.offset) && !last.posted {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
                match self.ask(file.clone(), json!({"Parts": "Offset"})).await.and_then(standing) {
                    Ok(standing) => last = standing,
                    Err(_) => break,
                }
            }
        };
        // How it ends is told by an event in any case.
        let _ = tokio::time::timeout(POSTED_WITHIN, asking).await;
        last
    }
}

impl Files {
    /// Refuses a file of too many bytes.
    fn check_length(&self, length: u64) -> Result<(), Refusal> {
        match self.check_size(length) {
            Ok(()) => Ok(()),
            Err(rejection) => Err(Refusal::TooLarge(rejection.reason.unwrap_or_default().to_string())),
        }
    }

    /// What is said when bytes can't be kept.
    fn refused(&self, error: BlobError) -> Refusal {
        tracing::warn!(%error, "a file's bytes can't be kept");
        if matches!(error, BlobError::Full) {
            self.metrics.drop("blobs_full");
        }
        error.into()
    }

    /// Removes what was kept beside and is of no use. If that fails, its file has it removed.
    async fn remove_beside(&self, key: &str) {
        let blob = Blob { key: key.into(), upload: Default::default() };
        if let Err(error) = self.discard(&blob).await {
            tracing::warn!(%error, key, "bytes that are of no use were not removed");
        }
    }
}

fn standing(answer: Value) -> Result<Standing, Rejection> {
    serde_json::from_value(answer).map_err(|error| {
        tracing::error!(%error, "how far a file is can't be read");
        Rejection::new(ErrorType::Internal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_for_the_file_and_not_larger() {
        let most = u64::from(PARTS_MAX) * PART_MAX as u64;
        for (length, size) in [
            (None, Some(PART)),
            (Some(0), Some(PART)),
            (Some(10_000 * PART), Some(PART)),
            (Some(10_000 * PART + 1), Some(PART + STEP)),
            (Some(most), Some(PART_MAX as u64)),
            (Some(most + 1), None),
        ] {
            assert_eq!(part_size(length), size, "{length:?}");
        }
    }
}
