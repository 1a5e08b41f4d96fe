//! One file out of its parts: put together, looked at, and on its way to its conversation.
//!
//! That is done where the file's owner is; should it die over it, the next owner does it again, and nothing comes twice
//! of that.

use super::Files;
use super::hash::Hash;
use crate::files::{Verdict, inspect, picture};
use crate::hub::Hub;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use levee_domain::file::Content;
use levee_domain::file::parts::{Join, Tail};
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection};
use levee_store::blobs::{BlobError, Blobs};
use serde_json::json;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

/// The files that this node puts together now.
#[derive(Default)]
pub(super) struct Joining(Mutex<HashSet<Id>>);

impl Joining {
    /// Notes that one is put together; whether nobody does so already.
    fn begin(&self, file: &Id) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone())
    }

    fn end(&self, file: &Id) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
    }
}

/// Why a file is not put together.
enum Failed {
    /// It may be later.
    Later(String),
    /// It never can.
    Never(String),
}

impl From<BlobError> for Failed {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full | BlobError::Unavailable(_) => Self::Later(error.to_string()),
            BlobError::BadKey(_)
            | BlobError::UnknownUpload
            | BlobError::BadPart(_)
            | BlobError::BadRange { .. }
            | BlobError::NotFound => Self::Never(error.to_string()),
        }
    }
}

impl From<Rejection> for Failed {
    fn from(rejection: Rejection) -> Self {
        match rejection.error_type {
            ErrorType::UserNotFound => Self::Never("a user is gone".into()),
            _ => Self::Later(rejection.to_string()),
        }
    }
}

impl Hub {
    /// Makes one of a file's parts, and tells the file what it is.
    pub(crate) fn join(self: &Rc<Self>, file: Stream, join: Join) {
        if !self.shared.files.uploads.joining.begin(&file.id) {
            return;
        }
        let hub = self.clone();
        actix::spawn(async move {
            let metrics = &hub.shared.metrics;
            match hub.join_parts(&file, &join).await {
                Ok(()) => metrics.uploads.with_label_values(&["complete"]).inc(),
                Err(Failed::Later(why)) => {
                    metrics.uploads.with_label_values(&["failed"]).inc();
                    tracing::warn!(%why, %file, "a file was not put together; trying again");
                }
                Err(Failed::Never(why)) => {
                    metrics.uploads.with_label_values(&["refused"]).inc();
                    tracing::warn!(%why, %file, "a file can't be put together");
                    let end = json!({"Parts": {"End": {"ended": "refused"}}});
                    if let Err(rejection) = hub.ask(file.clone(), end).await {
                        tracing::debug!(%rejection, %file, "it is gone");
                    }
                }
            }
            hub.shared.files.uploads.joining.end(&file.id);
        });
    }

    async fn join_parts(self: &Rc<Self>, file: &Stream, join: &Join) -> Result<(), Failed> {
        let files = &self.shared.files;
        let blobs = files.blobs()?;
        let content = files.put_together(&**blobs, join).await?;
        let card = self.card(&join.owner).await?;
        let peer = match &join.peer {
            Some(peer) => Some(self.card(peer).await?),
            None => None,
        };
        let joined = json!({"Parts": {"Joined": {"content": content, "card": card, "peer": peer}}});
        match self.ask(file.clone(), joined).await {
            Ok(_) => Ok(()),
            Err(rejection) if rejection.error_type == ErrorType::FileNotFound => {
                // It was given up meanwhile, perhaps before its bytes had their name: nobody else removes those.
                files.discard(&join.blob).await?;
                Ok(())
            }
            Err(rejection) => Err(rejection.into()),
        }
    }
}

impl Files {
    /// Makes one of parts, and finds out what it is.
    async fn put_together(&self, blobs: &dyn Blobs, join: &Join) -> Result<Content, Failed> {
        let (upload, key) = (&join.blob.upload, &join.blob.key);
        let mut hash =
            Hash::resume(&join.hash).ok_or_else(|| Failed::Never("its hash can't be read".into()))?;
        let mut tags: Vec<String> = join.tags.iter().map(|tag| tag.to_string()).collect();
        if !join.tails.is_empty() {
            let last = read_tails(blobs, &join.tails).await?.freeze();
            hash.update(&last);
            tags.push(blobs.part(upload, tags.len() as u32 + 1, last).await?);
        }
        blobs.finish(upload, &tags).await?;
        match self.look_at(key, join.size).await {
            Ok(Verdict::Clean) => {}
            Ok(Verdict::Refused) => return Err(Failed::Never("it was looked at and refused".into())),
            Err(why) => return Err(Failed::Later(why)),
        }
        let head: Vec<Bytes> = blobs.read(key, 0..inspect::HEAD as u64).await?.try_collect().await?;
        let media_type = inspect::media_type(&head.concat());
        let thumbnail = match picture::draws(media_type) && join.size <= picture::BYTES {
            true => {
                let whole = [Tail { key: key.clone(), size: join.size }];
                self.draw(key, read_tails(blobs, &whole).await?.freeze(), media_type).await
            }
            false => None,
        };
        Ok(Content { size: join.size, sha256: hash.finish(), media_type: media_type.into(), thumbnail })
    }
}

/// Reads what is kept beside.
///
/// # Errors
/// [`BlobError::BadPart`] when it is not what was kept.
pub(super) async fn read_tails(blobs: &dyn Blobs, tails: &[Tail]) -> Result<BytesMut, BlobError> {
    let mut all = BytesMut::with_capacity(tails.iter().map(|tail| tail.size as usize).sum());
    for tail in tails {
        let before = all.len() as u64;
        let mut chunks = blobs.read(&tail.key, 0..tail.size).await?;
        while let Some(chunk) = chunks.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        if all.len() as u64 - before != tail.size {
            return Err(BlobError::BadPart("what is beside is not all there".into()));
        }
    }
    Ok(all)
}
