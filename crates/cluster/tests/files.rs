//! Files, on nodes in one process: links that have expired, and bytes that come to nothing.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use levee_cluster::FileOptions;
use levee_cluster::files::Link;
use levee_store::Directory;
use levee_store::blobs::local::LocalBlobs;
use levee_store::blobs::{BlobError, Blobs, Chunks, Result};
use serde_json::{Value, json};
use sha2::Sha256;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Client, Cluster};

/// A folder that goes with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("levee-files-{:x}", rand::random::<u64>())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Blobs that can't be finished; counts what is removed.
struct Endless(LocalBlobs, AtomicUsize);

#[async_trait]
impl Blobs for Endless {
    async fn begin(&self, key: &str) -> Result<String> {
        self.0.begin(key).await
    }
    async fn part(&self, upload: &str, number: u32, bytes: Bytes) -> Result<String> {
        self.0.part(upload, number, bytes).await
    }
    async fn finish(&self, _upload: &str, _tags: &[String]) -> Result<()> {
        Err(BlobError::Unavailable("never".into()))
    }
    async fn abandon(&self, upload: &str) -> Result<()> {
        self.0.abandon(upload).await
    }
    async fn stat(&self, key: &str) -> Result<Option<u64>> {
        self.0.stat(key).await
    }
    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        self.0.read(key, range).await
    }
    async fn remove(&self, key: &str) -> Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.remove(key).await
    }
}

async fn send(by: &mut Client, channel: &str) -> Value {
    let send = json!({"action": "send_file", "channel_id": channel, "file_attrs": {"name": "a"}});
    let event = by.ask(send, &["words"]).await;
    match event.parts.first() {
        Some(part) => serde_json::from_slice::<Value>(part).unwrap()["files"][0]["file_id"].clone(),
        None => event.header["error_type"].clone(),
    }
}

async fn room(by: &mut Client) -> String {
    let create = json!({"action": "create_channel", "channel_attrs": {"upload": "member"}});
    by.ask(create, &[]).await.str("channel_id")
}

#[actix::test]
async fn a_link_holds_until_its_time_and_on_every_node() {
    let folder = Folder::new();
    let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(&folder.0).await.unwrap());
    let cluster =
        Cluster::start_with_files(2, FileOptions { blobs: Some(blobs), ..FileOptions::default() }).await;
    let mut ann = cluster.guest(0, "Ann").await;
    let channel = room(&mut ann).await;
    let file = send(&mut ann, &channel).await;
    ann.ask(json!({"action": "describe_file", "file_id": file}), &[]).await;
    let row = cluster.store.get("own_key", "file_links").await.unwrap().unwrap();
    let row: Value = serde_json::from_slice(&row.value).unwrap();
    let key: [u8; 32] = serde_json::from_value(row["key"].clone()).unwrap();
    let (file, user) = (file.as_str().unwrap(), ann.user.as_str());
    let signed = |expires: u64| {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        for part in [file, user] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&expires.to_be_bytes());
        mac.update(&[0]);
        let digits = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Link { file: file.into(), user: user.into(), expires, thumbnail: false, signature: digits }
    };
    let now = levee_cluster::now() / 1_000_000;
    for node in &cluster.nodes {
        for (expires, holds) in [(now + 60, true), (now, false), (now - 1, false), (0, false)] {
            let link = signed(expires);
            let found = node.on(0, |hub| async move { hub.download(link).await }).await.unwrap().unwrap();
            assert_eq!(found.is_some(), holds, "{expires}");
        }
    }
}

#[actix::test]
async fn bytes_that_come_to_nothing_are_removed_in_time() {
    let folder = Folder::new();
    let endless = Arc::new(Endless(LocalBlobs::open(&folder.0).await.unwrap(), AtomicUsize::new(0)));
    let expire_after = Duration::from_secs(2);
    let options = FileOptions { blobs: Some(endless.clone()), expire_after, ..FileOptions::default() };
    let cluster = Cluster::start_with_files(1, options).await;
    let mut ann = cluster.guest(0, "Ann").await;
    let channel = room(&mut ann).await;
    assert_eq!(send(&mut ann, &channel).await, "internal");
    for _ in 0..300 {
        if endless.1.load(Ordering::Relaxed) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody removed what came to nothing");
}
