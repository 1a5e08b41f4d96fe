//! Blobs in a bucket of S3, or of what speaks its protocol.
//!
//! An upload is one of S3's multipart uploads. Those that nobody finishes or abandons stay until a rule of the
//! bucket removes them (`AbortIncompleteMultipartUpload`): a call to begin whose answer got lost leaves one.
//! Each blob carries the mark of its upload, by which finishing again recognises it.

mod http;
mod settings;

pub use settings::S3Settings;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _,
    PutMultipartOptions, RetryConfig,
};

use super::{BlobError, Blobs, Chunks, Result, check_key, check_part, check_tags, clip, is_id, new_id};

/// Bytes that one request reads: a long download is many short requests, and none outlives a time limit.
const PIECE: u64 = 8 << 20;
/// How often a request is sent again.
const RETRIES: usize = 3;
/// After how long a request is not sent again.
const RETRY_UNTIL: Duration = Duration::from_secs(4);
/// Characters of a server's answer that go into an error.
const WORDS: usize = 500;

/// Blobs in a bucket. Clones share their connections.
#[derive(Debug, Clone)]
pub struct S3Blobs {
    client: AmazonS3,
}

impl S3Blobs {
    /// Makes a client of a bucket; nothing is sent yet.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when the settings make no sense.
    pub fn new(settings: &S3Settings) -> Result<Self> {
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: RETRY_UNTIL,
        };
        let client = AmazonS3Builder::new()
            .with_endpoint(settings.whole_endpoint()?)
            .with_virtual_hosted_style_request(!settings.path_style)
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(&settings.secret)
            .with_allow_http(settings.allow_http)
            .with_http_connector(http::Connector { plain: settings.allow_http })
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .build()
            .map_err(failed)?;
        Ok(Self { client })
    }

    /// Whether the blob that is there was made by the upload of this mark.
    async fn is_made_by(&self, path: &Path, mark: &str) -> Result<bool> {
        match self.client.get_opts(path, GetOptions::new().with_head(true)).await {
            Ok(found) => Ok(found.attributes.get(&marked()).is_some_and(|value| value.as_ref() == mark)),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn begin(&self, key: &str) -> Result<String> {
        let (path, mark) = (path(key)?, new_id());
        let attributes = Attributes::from_iter([(marked(), mark.clone())]);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let id = self.client.create_multipart_opts(&path, options).await.map_err(failed)?;
        Ok(format!("{mark}:{key}:{id}"))
    }

    async fn part(&self, upload: &str, number: u32, bytes: Bytes) -> Result<String> {
        let upload = Upload::parse(upload)?;
        check_part(number, &bytes)?;
        let stored = self.client.put_part(&upload.path, &upload.id, number as usize - 1, bytes.into()).await;
        Ok(stored.map_err(failed)?.content_id)
    }

    async fn finish(&self, upload: &str, tags: &[String]) -> Result<()> {
        let Upload { path, mark, id } = Upload::parse(upload)?;
        check_tags(tags)?;
        let parts = tags.iter().map(|tag| PartId { content_id: tag.clone() }).collect();
        let Err(error) = self.client.complete_multipart(&path, &id, parts).await else { return Ok(()) };
        match failed(error) {
            // It is over: was it finished, by a call whose answer got lost?
            BlobError::UnknownUpload if self.is_made_by(&path, mark).await? => Ok(()),
            error => Err(error),
        }
    }

    async fn abandon(&self, upload: &str) -> Result<()> {
        let upload = Upload::parse(upload)?;
        match self.client.abort_multipart(&upload.path, &upload.id).await.map_err(failed) {
            Err(BlobError::UnknownUpload) => Ok(()),
            done => done,
        }
    }

    async fn stat(&self, key: &str) -> Result<Option<u64>> {
        match self.client.head(&path(key)?).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        let path = path(key)?;
        let found = self.client.head(&path).await.map_err(failed)?;
        let left = clip(&range, found.size)?;
        let piece = stream::empty().boxed();
        let reading = Reading { client: self.client.clone(), path, tag: found.e_tag, left, piece };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        match self.client.delete(&path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A blob while it is read, piece after piece.
struct Reading {
    client: AmazonS3,
    path: Path,
    /// What S3 calls the blob that it was at the beginning: no other one is read.
    tag: Option<String>,
    /// What no piece was asked for yet.
    left: Range<u64>,
    piece: BoxStream<'static, object_store::Result<Bytes>>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            if let Some(chunk) = self.piece.next().await {
                return Ok(Some((chunk.map_err(failed)?, self)));
            }
            if self.left.is_empty() {
                return Ok(None);
            }
            let end = self.left.end.min(self.left.start + PIECE);
            let range = GetRange::Bounded(self.left.start..end);
            let options = GetOptions::new().with_range(Some(range)).with_if_match(self.tag.clone());
            self.piece = self.client.get_opts(&self.path, options).await.map_err(failed)?.into_stream();
            self.left.start = end;
        }
    }
}

/// What a handle says: the mark of the upload, its key, and what S3 calls it.
struct Upload<'a> {
    path: Path,
    mark: &'a str,
    id: String,
}

impl<'a> Upload<'a> {
    fn parse(handle: &'a str) -> Result<Self> {
        let mut words = handle.splitn(3, ':');
        let (Some(mark), Some(key), Some(id)) = (words.next(), words.next(), words.next()) else {
            return Err(BlobError::UnknownUpload);
        };
        let path = path(key).map_err(|_| BlobError::UnknownUpload)?;
        if !is_id(mark) || id.is_empty() {
            return Err(BlobError::UnknownUpload);
        }
        Ok(Self { path, mark, id: id.to_owned() })
    }
}

fn path(key: &str) -> Result<Path> {
    check_key(key)?;
    Path::parse(key).map_err(|_| BlobError::BadKey(key.to_owned()))
}

/// The attribute that carries an upload's mark.
fn marked() -> Attribute {
    Attribute::Metadata("levee-upload".into())
}

/// What an error means for the caller. S3 says it in codes, which stand in the text of its answer.
fn failed(error: object_store::Error) -> BlobError {
    let text = error.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    match (code.map(|(code, _)| code).unwrap_or_default(), error) {
        ("NoSuchUpload", _) => BlobError::UnknownUpload,
        ("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" | "EntityTooLarge", _) => {
            BlobError::BadPart(short(&text))
        }
        ("QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull", _) => BlobError::Full,
        ("" | "NoSuchKey", object_store::Error::NotFound { .. }) => BlobError::NotFound,
        (_, object_store::Error::Precondition { .. }) => BlobError::NotFound,
        _ => BlobError::Unavailable(short(&text)),
    }
}

fn short(text: &str) -> String {
    text.chars().take(WORDS).collect()
}
