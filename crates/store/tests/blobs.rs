//! Blobs in a folder and in S3 keep every rule, and what is broken off or away does no harm.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use levee_store::blobs::local::LocalBlobs;
use levee_store::blobs::s3::{S3Blobs, S3Settings};
use levee_store::blobs::{BlobError, Blobs, PART_MIN};
use levee_store::conformance::blobs::{Nodes, run};
use levee_testbed::S3;

/// How long a call may take when the store is away.
const SOON: Duration = Duration::from_secs(10);

fn settings(server: &S3, bucket: &str) -> S3Settings {
    server.bucket(bucket).unwrap();
    S3Settings {
        endpoint: server.endpoint(),
        bucket: bucket.into(),
        region: "us-east-1".into(),
        access_key: S3::ACCESS_KEY.into(),
        secret: S3::SECRET.into(),
        allow_http: true,
        path_style: true,
    }
}

async fn read(blobs: &dyn Blobs, key: &str) -> Result<Vec<u8>, BlobError> {
    let chunks: Vec<Bytes> = blobs.read(key, 0..u64::MAX).await?.try_collect().await?;
    Ok(chunks.concat())
}

async fn put(blobs: &dyn Blobs, key: &str, parts: &[Bytes]) {
    let upload = blobs.begin(key).await.unwrap();
    let mut tags = Vec::new();
    for (number, part) in (1..).zip(parts) {
        tags.push(blobs.part(&upload, number, part.clone()).await.unwrap());
    }
    blobs.finish(&upload, &tags).await.unwrap();
}

/// How many files and folders there are below a folder.
fn entries(folder: &Path) -> usize {
    let below = |entry: std::fs::DirEntry| 1 + entries(&entry.path());
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| below(entry.unwrap())).sum()
}

#[tokio::test]
async fn a_folder_takes_no_part_when_less_would_be_left_than_is_to_be_spared() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path()).await.unwrap();
    put(&blobs, "a", &[Bytes::from_static(b"words")]).await;
    let full = blobs.clone().sparing(u64::MAX);
    let upload = full.begin("b").await.unwrap();
    let part = full.part(&upload, 1, Bytes::from_static(b"words")).await;
    assert!(matches!(part, Err(BlobError::Full)), "{part:?}");
    // What is there is read and removed all the same, and the upload goes on when there is room.
    assert_eq!(read(&full, "a").await.unwrap(), b"words");
    full.remove("a").await.unwrap();
    let tag = blobs.part(&upload, 1, Bytes::from_static(b"words")).await.unwrap();
    let finished = full.finish(&upload, std::slice::from_ref(&tag)).await;
    assert!(matches!(finished, Err(BlobError::Full)), "{finished:?}");
    blobs.sparing(1).finish(&upload, &[tag]).await.unwrap();
}

/// Calls a store that does not serve us, and checks that all of it fails soon.
async fn calls_fail(blobs: &dyn Blobs, upload: &str) {
    let since = Instant::now();
    let (begin, part, abandon, stat, remove, read) = tokio::join!(
        blobs.begin("k"),
        blobs.part(upload, 2, Bytes::from_static(b"end")),
        blobs.abandon(upload),
        blobs.stat("k"),
        blobs.remove("k"),
        blobs.read("k", 0..1),
    );
    let errors = [
        ("begin", begin.err()),
        ("part", part.err()),
        ("abandon", abandon.err()),
        ("stat", stat.err()),
        ("remove", remove.err()),
        ("read", read.err()),
    ];
    for (name, error) in errors {
        assert!(matches!(error, Some(BlobError::Unavailable(_))), "{name}: {error:?}");
    }
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
}

/// Finishes an upload in a store that does not serve us, and checks that it fails soon.
async fn finish_fails(blobs: &dyn Blobs, upload: &str, tag: &str) {
    let since = Instant::now();
    let error = blobs.finish(upload, &[tag.to_owned()]).await.unwrap_err();
    assert!(matches!(error, BlobError::Unavailable(_)), "{error}");
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blobs_in_a_folder_conform() {
    let directory = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    run(async || {
        let folder = directory.path().join(number.fetch_add(1, Ordering::SeqCst).to_string());
        let one = Arc::new(LocalBlobs::open(&folder).await.unwrap());
        Nodes { one, other: Arc::new(LocalBlobs::open(&folder).await.unwrap()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blobs_in_s3_conform() {
    let server = S3::start().unwrap();
    let number = AtomicUsize::new(0);
    run(async || {
        // Short, for the server makes names of files of it and a key.
        let bucket = format!("b-{}", number.fetch_add(1, Ordering::SeqCst));
        let settings = settings(&server, &bucket);
        let one = Arc::new(S3Blobs::new(&settings).unwrap());
        Nodes { one, other: Arc::new(S3Blobs::new(&settings).unwrap()) }
    })
    .await;
}

#[tokio::test]
async fn an_upload_goes_on_after_s3_was_away() {
    let mut server = S3::start().unwrap();
    let blobs = S3Blobs::new(&settings(&server, "levee")).unwrap();
    let first = Bytes::from(vec![1; PART_MIN]);
    let upload = blobs.begin("k").await.unwrap();
    let tag = blobs.part(&upload, 1, first.clone()).await.unwrap();

    server.end();
    tokio::join!(calls_fail(&blobs, &upload), finish_fails(&blobs, &upload, &tag));

    server.again().unwrap();
    assert_eq!(blobs.stat("k").await.unwrap(), None, "nothing half is visible");
    let last = blobs.part(&upload, 2, Bytes::from_static(b"end")).await.unwrap();
    blobs.finish(&upload, &[tag, last]).await.unwrap();
    assert!(read(&blobs, "k").await.unwrap() == [&first[..], b"end"].concat());
}

#[tokio::test]
async fn an_s3_that_never_answers_is_not_waited_for() {
    let server = S3::start().unwrap();
    let blobs = S3Blobs::new(&settings(&server, "levee")).unwrap();
    let upload = blobs.begin("k").await.unwrap();
    // It takes connections, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let blobs = S3Blobs::new(&S3Settings { endpoint, ..settings(&server, "levee") }).unwrap();
    calls_fail(&blobs, &upload).await;
}

#[tokio::test]
async fn a_blob_that_breaks_off_while_it_is_read_is_an_error_and_never_just_short() {
    let mut server = S3::start().unwrap();
    let blobs = S3Blobs::new(&settings(&server, "levee")).unwrap();
    let part = Bytes::from(vec![1; 10 << 20]);
    put(&blobs, "k", &[part.clone(), part]).await;
    let mut chunks = blobs.read("k", 0..u64::MAX).await.unwrap();
    chunks.try_next().await.unwrap().unwrap();
    server.end();
    let since = Instant::now();
    let error = loop {
        match chunks.try_next().await {
            Ok(chunk) => assert!(chunk.is_some(), "it ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BlobError::Unavailable(_)), "{error}");
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
    assert!(chunks.try_next().await.unwrap().is_none(), "nothing comes after an error");

    server.again().unwrap();
    assert_eq!(read(&blobs, "k").await.unwrap().len(), 20 << 20);
}

#[tokio::test]
async fn an_s3_that_refuses_us_is_not_available() {
    let server = S3::start().unwrap();
    let settings = settings(&server, "levee");
    let upload = S3Blobs::new(&settings).unwrap().begin("k").await.unwrap();
    let blobs = S3Blobs::new(&S3Settings { secret: "wrong".into(), ..settings.clone() }).unwrap();
    tokio::join!(calls_fail(&blobs, &upload), finish_fails(&blobs, &upload, "none"));
    let blobs = S3Blobs::new(&S3Settings { bucket: "other".into(), ..settings }).unwrap();
    let error = blobs.begin("k").await.unwrap_err();
    assert!(matches!(&error, BlobError::Unavailable(why) if why.contains("NoSuchBucket")), "{error}");
}

#[tokio::test]
async fn a_key_may_be_the_beginning_of_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(directory.path()).await.unwrap();
    for key in ["a", "a/b", "a/b/c", "uploads"] {
        put(&blobs, key, &[Bytes::from(key)]).await;
    }
    for key in ["a", "a/b", "a/b/c", "uploads"] {
        assert_eq!(read(&blobs, key).await.unwrap(), key.as_bytes());
    }
}

#[tokio::test]
async fn uploads_that_nobody_touches_are_swept_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(directory.path()).await.unwrap();
    let before = entries(directory.path());
    put(&blobs, "k", &[Bytes::from(vec![1; PART_MIN]), Bytes::from_static(b"end")]).await;
    let upload = blobs.begin("l").await.unwrap();
    let tag = blobs.part(&upload, 1, Bytes::from_static(b"part")).await.unwrap();
    assert_eq!(blobs.sweep(Duration::from_secs(3600)).await.unwrap(), 0, "both are new");
    assert_eq!(blobs.sweep(Duration::ZERO).await.unwrap(), 2);
    assert!(matches!(blobs.finish(&upload, &[tag]).await, Err(BlobError::UnknownUpload)));
    assert_eq!(blobs.stat("l").await.unwrap(), None);
    assert_eq!(blobs.stat("k").await.unwrap(), Some(PART_MIN as u64 + 3));
    assert_eq!(entries(directory.path()), before + 1, "the blob, and nothing else");
}

#[tokio::test]
async fn a_folder_that_can_not_be_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = LocalBlobs::open(file.join("blobs")).await.unwrap_err();
    assert!(matches!(&error, BlobError::Unavailable(why) if why.contains("file/blobs")), "{error}");
}

/// A small file system in memory, for those who may mount one.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(directory.path());
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(directory))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_says_so_and_leaves_the_upload() {
    let Some(disk) = Mounted::new("16m") else {
        return eprintln!("not shown here: nobody but root may mount a small disk");
    };
    let blobs = LocalBlobs::open(disk.0.path()).await.unwrap();
    let part = Bytes::from(vec![1; PART_MIN]);
    let upload = blobs.begin("k").await.unwrap();
    let first = blobs.part(&upload, 1, part.clone()).await.unwrap();
    let second = blobs.part(&upload, 2, part.clone()).await.unwrap();
    // Two parts are there; a third and a copy of the two have no room.
    let full = entries(disk.0.path());
    for error in [
        blobs.part(&upload, 3, Bytes::from(vec![1; 2 * PART_MIN])).await.unwrap_err(),
        blobs.finish(&upload, &[first.clone(), second]).await.unwrap_err(),
    ] {
        assert!(matches!(error, BlobError::Full), "{error}");
        assert_eq!(blobs.stat("k").await.unwrap(), None);
        assert_eq!(entries(disk.0.path()), full, "what did not fit is gone");
    }
    let second = blobs.part(&upload, 2, Bytes::from_static(b"end")).await.unwrap();
    blobs.finish(&upload, &[first, second]).await.unwrap();
    assert_eq!(blobs.stat("k").await.unwrap(), Some(PART_MIN as u64 + 3));
}
