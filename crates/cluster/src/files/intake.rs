//! Bytes on their way into a blob: cut into parts, hashed and looked at as they come.

use super::inspect;
use bytes::{Bytes, BytesMut};
use levee_domain::file::Content;
use levee_store::blobs::{BlobError, Blobs};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes of a part; the last one may have fewer.
const PART: usize = 8 << 20;

/// A blob that is being made.
pub(super) struct Intake {
    blobs: Arc<dyn Blobs>,
    upload: String,
    waiting: BytesMut,
    tags: Vec<String>,
    head: BytesMut,
    hash: Sha256,
    size: u64,
}

impl Intake {
    /// Goes on with an upload that has begun and has nothing yet.
    pub(super) fn new(blobs: Arc<dyn Blobs>, upload: String) -> Self {
        let (waiting, head) = (BytesMut::new(), BytesMut::new());
        Self { blobs, upload, waiting, tags: Vec::new(), head, hash: Sha256::new(), size: 0 }
    }

    /// Takes in some bytes. They are durable when the next part is full, or at the end.
    ///
    /// # Errors
    /// What the store of blobs says.
    pub(super) async fn push(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        while !bytes.is_empty() {
            let some = bytes.split_to(bytes.len().min(PART - self.waiting.len()));
            let seen = some.len().min(inspect::HEAD - self.head.len());
            self.head.extend_from_slice(&some[..seen]);
            self.hash.update(&some);
            self.size += some.len() as u64;
            self.waiting.extend_from_slice(&some);
            if self.waiting.len() == PART {
                self.store_part().await?;
            }
        }
        Ok(())
    }

    async fn store_part(&mut self) -> Result<(), BlobError> {
        let part = self.waiting.split().freeze();
        let number = self.tags.len() as u32 + 1;
        self.tags.push(self.blobs.part(&self.upload, number, part).await?);
        Ok(())
    }

    /// Makes the blob, and tells what it holds.
    ///
    /// # Errors
    /// What the store of blobs says.
    pub(super) async fn finish(mut self) -> Result<Content, BlobError> {
        if !self.waiting.is_empty() {
            self.store_part().await?;
        }
        self.blobs.finish(&self.upload, &self.tags).await?;
        let sha256 = hex(&self.hash.finalize());
        let media_type = inspect::media_type(&self.head).into();
        Ok(Content { size: self.size, sha256: sha256.into(), media_type, thumbnail: None })
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use levee_store::blobs::local::LocalBlobs;

    async fn taken_in(chunks: &[Bytes]) -> (Content, Vec<u8>) {
        let folder = std::env::temp_dir().join(format!("levee-intake-{:x}", rand::random::<u64>()));
        let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(&folder).await.expect("a folder"));
        let upload = blobs.begin("files/a").await.expect("an upload");
        let mut intake = Intake::new(blobs.clone(), upload);
        for chunk in chunks {
            intake.push(chunk.clone()).await.expect("room");
            assert!(intake.waiting.len() < PART, "no more than a part is held");
        }
        let content = intake.finish().await.expect("a blob");
        let chunks = blobs.read("files/a", 0..u64::MAX).await.expect("a blob");
        let read: Vec<Bytes> = chunks.try_collect().await.expect("all of it");
        std::fs::remove_dir_all(folder).expect("removed");
        (content, read.concat())
    }

    #[tokio::test]
    async fn what_goes_in_is_there_with_its_hash_whatever_the_chunks() {
        let all: Vec<u8> = (0..PART * 2 + 5).map(|at| (at % 251) as u8).collect();
        for size in [PART * 2 + 5, 3 << 20, PART] {
            let chunks: Vec<Bytes> = all.chunks(size).map(Bytes::copy_from_slice).collect();
            let (content, read) = taken_in(&chunks).await;
            assert_eq!(content.sha256, hex(&Sha256::digest(&all)), "{size}");
            assert!(content.size == all.len() as u64 && read == all, "{size}");
        }
        let (content, read) = taken_in(&[]).await;
        assert_eq!((content.size, content.media_type.as_str(), read.len()), (0, "text/plain", 0));
    }
}
