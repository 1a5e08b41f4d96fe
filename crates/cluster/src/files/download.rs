//! Files on their way out, a range at a time.

use super::links::Signed;
use super::small_key;
use crate::hub::Hub;
use crate::node::Node;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use levee_domain::file::Described;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection, Text, ids};
use levee_store::blobs::BlobError;
use serde_json::json;
use std::io;
use std::ops::Range;
use std::rc::Rc;

/// For how long an icon need not be asked for again, in seconds: another one has another address.
const ICON_HOLDS_S: u64 = 86_400;

/// What a link says.
#[derive(Debug, Clone)]
pub struct Link {
    /// The file.
    pub file: Id,
    /// For whom it is.
    pub user: Id,
    /// Until when it holds, in seconds since 1970.
    pub expires: u64,
    /// Whether the small picture is meant.
    pub thumbnail: bool,
    /// What proves that.
    pub signature: String,
}

/// A file that somebody may read.
#[derive(Debug, Clone)]
pub struct Download {
    /// What it is called.
    pub name: Text,
    /// What it looks like.
    pub media_type: Text,
    /// How many bytes it has.
    pub size: u64,
    /// What tells these bytes from others: their SHA-256, or the whole picture's for a small one.
    pub tag: Text,
    /// For how long the link holds, in seconds.
    pub holds_s: u64,
    /// Whether it is for everybody.
    pub public: bool,
    key: Text,
}

/// Bytes in their order. After an error comes nothing more, and without one they are complete.
pub type Bytestream = BoxStream<'static, io::Result<Bytes>>;

impl Hub {
    /// The file that a link leads to, if its user may read it now. What is absent, forbidden, expired or not ours looks
    /// alike.
    ///
    /// # Errors
    /// `internal` when the answer can't be found out now.
    pub async fn download(self: &Rc<Self>, link: Link) -> Result<Option<Download>, Rejection> {
        let now = crate::now() / 1_000_000;
        let Link { file, user, expires, thumbnail, .. } = &link;
        let signed = Signed { file, user, expires: *expires, thumbnail: *thumbnail };
        if ids::shard(&link.file).is_none() || ids::shard(&link.user).is_none() || link.expires <= now {
            return Ok(None);
        }
        if !signed.is_signed(&self.link_key().await?, &link.signature) {
            self.shared.metrics.drop("file_link");
            return Ok(None);
        }
        let file = match self.about_file(&link.file).await {
            Ok(file) => file,
            Err(rejection) if rejection.error_type == ErrorType::FileNotFound => return Ok(None),
            Err(rejection) => return Err(rejection),
        };
        if file.owner != link.user && !self.reads_file(&file, &link.user).await? {
            return Ok(None);
        }
        if let (true, Some(small)) = (link.thumbnail, &file.content.thumbnail) {
            return Ok(Some(Download {
                name: file.name,
                media_type: small.media_type.clone(),
                size: small.size,
                tag: file.content.sha256 + "-small",
                holds_s: link.expires - now,
                public: false,
                key: small_key(&file.key),
            }));
        }
        if link.thumbnail {
            return Ok(None);
        }
        Ok(Some(Download {
            name: file.name,
            media_type: file.content.media_type,
            size: file.content.size,
            tag: file.content.sha256,
            holds_s: link.expires - now,
            public: false,
            key: file.key,
        }))
    }

    /// The icon of this id, for everybody.
    ///
    /// # Errors
    /// `internal` when the answer can't be found out now.
    pub async fn icon(self: &Rc<Self>, file: Id) -> Result<Option<Download>, Rejection> {
        if ids::shard(&file).is_none() {
            return Ok(None);
        }
        match self.about_file(&file).await {
            Ok(icon) if icon.icon => Ok(Some(Download {
                name: icon.name,
                media_type: icon.content.media_type,
                size: icon.content.size,
                tag: icon.content.sha256,
                holds_s: ICON_HOLDS_S,
                public: true,
                key: icon.key,
            })),
            Err(rejection) if rejection.error_type != ErrorType::FileNotFound => Err(rejection),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// What a file is, if it is complete.
    pub(crate) async fn about_file(self: &Rc<Self>, file: &Id) -> Result<Described, Rejection> {
        let about = self.ask(Stream::file(file), json!("About")).await?;
        serde_json::from_value(about).map_err(|error| {
            tracing::error!(%error, %file, "what a file is can't be read");
            Rejection::new(ErrorType::Internal)
        })
    }

    /// Whether somebody may read the message that a file came with, now.
    pub(crate) async fn reads_file(self: &Rc<Self>, file: &Described, user: &Id) -> Result<bool, Rejection> {
        let order = json!({"Reads": {"file": file.file, "user": user}});
        let reads = self.ask(Stream::conversation(&file.conversation), order).await?;
        Ok(reads.as_bool().unwrap_or_default())
    }
}

impl Node {
    /// Bytes of a file, as they are read: only as many are in memory as are on their way.
    ///
    /// # Errors
    /// `file_not_found` when they are gone, `internal` when they can't be read now.
    pub async fn read_file(&self, file: &Download, range: Range<u64>) -> Result<Bytestream, Rejection> {
        let files = &self.shared().files;
        let chunks = files.blobs()?.read(&file.key, range).await.map_err(|error| {
            tracing::warn!(%error, "a file can't be read");
            Rejection::new(match error {
                BlobError::NotFound => ErrorType::FileNotFound,
                _ => ErrorType::Internal,
            })
        })?;
        let out = files.metrics.file_bytes.with_label_values(&["out"]);
        let counted = chunks.inspect_ok(move |chunk| out.inc_by(chunk.len() as u64));
        let pace = files.pace.clone();
        let paced = counted.and_then(move |chunk| {
            let pace = pace.clone();
            async move {
                pace.wait(chunk.len()).await;
                Ok(chunk)
            }
        });
        Ok(paced.map_err(|error| io::Error::other(error.to_string())).boxed())
    }
}
