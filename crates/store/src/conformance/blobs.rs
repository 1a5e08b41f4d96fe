//! The suite of blob stores: visible whole or not at all, whoever goes on with an upload, and whatever fails.

mod reads;
mod uploads;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{Check, run_all};
use crate::blobs::{BlobError, Blobs, KEY_MAX, PART_MAX, PART_MIN, PARTS_MAX};

/// Bytes of a large blob: more than any backend moves at once.
const LARGE: usize = 12 << 20;

/// An empty store of blobs, as two nodes have it. They share nothing but what is stored.
pub struct Nodes {
    /// One node.
    pub one: Arc<dyn Blobs>,
    /// Another node.
    pub other: Arc<dyn Blobs>,
}

/// Runs all checks, each on a store that `make` makes, and panics at the end with the names of those
/// that failed. Their own messages are on the standard error.
pub async fn run<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Nodes>,
{
    let count = run_all(&[uploads::CHECKS, reads::CHECKS].concat(), make).await;
    assert!(count > 20, "only {count} checks ran");
}

/// Bytes that differ from place to place, and from seed to seed.
fn bytes(seed: u8, length: usize) -> Bytes {
    let word =
        |at: usize| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ u64::from(seed)).to_be_bytes();
    (0..length.div_ceil(8)).flat_map(word).take(length).collect::<Vec<u8>>().into()
}

/// Uploads parts in their order and answers the upload and the tags.
async fn upload(blobs: &Arc<dyn Blobs>, key: &str, parts: &[Bytes]) -> (String, Vec<String>) {
    let upload = blobs.begin(key).await.expect("begin");
    let mut tags = Vec::new();
    for (number, part) in (1..).zip(parts) {
        tags.push(blobs.part(&upload, number, part.clone()).await.expect("part"));
    }
    (upload, tags)
}

/// Makes a blob of these bytes.
async fn put(blobs: &Arc<dyn Blobs>, key: &str, whole: &Bytes) {
    let mut parts: Vec<Bytes> = Vec::new();
    for at in (0..whole.len()).step_by(PART_MIN) {
        parts.push(whole.slice(at..whole.len().min(at + PART_MIN)));
    }
    let (upload, tags) = upload(blobs, key, &parts).await;
    blobs.finish(&upload, &tags).await.expect("finish");
}

/// Reads a range to its end.
async fn read(blobs: &Arc<dyn Blobs>, key: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
    let chunks: Vec<Bytes> = blobs.read(key, range).await?.try_collect().await?;
    Ok(chunks.concat().into())
}

/// Checks that a blob is there and has these bytes, as both nodes see it.
async fn has(nodes: &Nodes, key: &str, wanted: &[u8]) {
    for blobs in [&nodes.one, &nodes.other] {
        assert_eq!(blobs.stat(key).await.expect("stat"), Some(wanted.len() as u64));
        let found = read(blobs, key, 0..u64::MAX).await.expect("read");
        assert!(found == wanted, "the bytes of {key} are others");
    }
}

/// Checks that there is no blob, as both nodes see it.
async fn has_none(nodes: &Nodes, key: &str) {
    for blobs in [&nodes.one, &nodes.other] {
        assert_eq!(blobs.stat(key).await.expect("stat"), None);
        assert!(matches!(read(blobs, key, 0..1).await, Err(BlobError::NotFound)));
    }
}
