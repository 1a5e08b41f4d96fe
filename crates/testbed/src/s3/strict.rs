//! s3s's store of files, made to keep the rules that S3 has for multipart uploads: it tells an unknown upload
//! from a forbidden one, compares parts with their tags, and lets an upload be when finishing it fails. It also
//! reads a blob only while it is the one that was asked for.

use crate::Result;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

/// Bytes that every part but the last has.
const PART_MIN: usize = 5 << 20;

/// The store.
#[derive(Debug)]
pub(super) struct Strict {
    files: FileSystem,
    folder: PathBuf,
    /// Held while an upload is finished: the store of files does not bear two at once.
    finishing: Mutex<()>,
}

impl Strict {
    /// Opens the store in a folder.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let files = FileSystem::new(folder).map_err(|error| format!("the S3 server's folder: {error:?}"))?;
        Ok(Self { files, folder: folder.to_owned(), finishing: Mutex::default() })
    }

    /// Refuses an upload that is over or never was.
    fn check_upload(&self, id: &str) -> S3Result<()> {
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if plain && self.folder.join(format!(".upload-{id}.json")).is_file() {
            return Ok(());
        }
        Err(s3_error!(NoSuchUpload))
    }

    /// Refuses parts that are not there, are others than their tags say, or are too small.
    fn check_parts(&self, id: &str, parts: &[CompletedPart]) -> S3Result<()> {
        for (at, part) in (1..).zip(parts) {
            let number = part.part_number.unwrap_or_default();
            let bytes = std::fs::read(self.folder.join(format!(".upload_id-{id}.part-{number}")));
            let Ok(bytes) = bytes else { return Err(s3_error!(InvalidPart, "part {number} is not there")) };
            let tag: String = Md5::checksum(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if part.e_tag.as_ref().map(ETag::value) != Some(&tag) {
                return Err(s3_error!(InvalidPart, "part {number} has another tag"));
            }
            if at < parts.len() && bytes.len() < PART_MIN {
                return Err(s3_error!(EntityTooSmall));
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for Strict {
    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        if !self.folder.join(&request.input.bucket).is_dir() {
            return Err(s3_error!(NoSuchBucket));
        }
        self.files.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.check_upload(&request.input.upload_id)?;
        self.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _finishing = self.finishing.lock().await;
        self.check_upload(&request.input.upload_id)?;
        let parts = request.input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref());
        self.check_parts(&request.input.upload_id, parts.unwrap_or_default())?;
        self.files.complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.check_upload(&request.input.upload_id)?;
        self.files.abort_multipart_upload(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.files.head_object(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let wanted = request.input.if_match.clone();
        let answer = self.files.get_object(request).await?;
        let wanted = wanted.as_ref().and_then(IfMatch::as_etag);
        if wanted.is_some_and(|wanted| answer.output.e_tag.as_ref() != Some(wanted)) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(answer)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.files.delete_object(request).await
    }
}
