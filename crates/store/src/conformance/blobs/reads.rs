//! Checks of what is read.

use super::super::checks;
use super::*;

checks! {
    super::Nodes;
    ranges_are_read,
    a_range_beyond_the_end_says_so,
    a_large_blob_comes_back_as_it_was,
    it_is_whole_from_its_first_moment,
    two_blobs_are_never_mixed,
}

async fn ranges_are_read(nodes: Nodes) {
    let whole = bytes(1, PART_MIN + 1_000);
    put(&nodes.one, "k", &whole).await;
    let (end, seam) = (whole.len() as u64, PART_MIN as u64);
    for range in [0..0, 0..1, 7..19, seam - 3..seam + 3, end - 1..end, 0..end, seam..end] {
        let wanted = &whole[range.start as usize..range.end as usize];
        assert!(read(&nodes.other, "k", range.clone()).await.expect("read") == wanted, "{range:?}");
    }
}

async fn a_range_beyond_the_end_says_so(nodes: Nodes) {
    put(&nodes.one, "k", &bytes(1, 10)).await;
    let read = |range| read(&nodes.one, "k", range);
    assert_eq!(read(8..11).await.expect("cut off"), bytes(1, 10).slice(8..));
    assert_eq!(read(3..u64::MAX).await.expect("cut off"), bytes(1, 10).slice(3..));
    assert_eq!(read(10..20).await.expect("from the end"), Bytes::new());
    for range in [11..12, 11..11, Range { start: 5, end: 4 }, u64::MAX..u64::MAX] {
        let error = read(range.clone()).await.expect_err("beyond the end");
        assert!(matches!(error, BlobError::BadRange { size: 10 }), "{range:?}: {error}");
    }
}

async fn a_large_blob_comes_back_as_it_was(nodes: Nodes) {
    let whole = bytes(1, LARGE + 1);
    put(&nodes.one, "k", &whole).await;
    let mut chunks = nodes.other.read("k", 0..u64::MAX).await.expect("read");
    let (mut hash, mut length) = (Sha256::new(), 0);
    while let Some(chunk) = chunks.try_next().await.expect("chunk") {
        assert!(chunk.len() <= 1 << 20, "{} bytes at once", chunk.len());
        length += chunk.len();
        hash.update(&chunk);
    }
    assert_eq!(length, whole.len());
    assert_eq!(hash.finalize(), Sha256::digest(&whole));
}

async fn it_is_whole_from_its_first_moment(nodes: Nodes) {
    let whole = bytes(1, LARGE);
    let parts: Vec<Bytes> = (0..LARGE).step_by(LARGE / 2).map(|at| whole.slice(at..at + LARGE / 2)).collect();
    let (upload, tags) = upload(&nodes.one, "k", &parts).await;
    let blobs = nodes.one.clone();
    let finishing = tokio::spawn(async move { blobs.finish(&upload, &tags).await });
    while !finishing.is_finished() {
        let size = nodes.other.stat("k").await.expect("stat");
        assert!(size.is_none_or(|size| size == LARGE as u64), "{size:?} while it is finished");
    }
    finishing.await.expect("the task ends").expect("finish");
    has(&nodes, "k", &whole).await;
}

async fn two_blobs_are_never_mixed(nodes: Nodes) {
    let (old, new) = (bytes(1, LARGE), bytes(2, LARGE));
    put(&nodes.one, "k", &old).await;
    let mut chunks = nodes.one.read("k", 0..u64::MAX).await.expect("read");
    let mut found = chunks.try_next().await.expect("chunk").expect("it has bytes").to_vec();
    put(&nodes.other, "k", &new).await;
    let end = loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) => found.extend_from_slice(&chunk),
            end => break end,
        }
    };
    match end {
        Ok(_) => assert!(old == found, "all of the old one"),
        Err(error) => {
            assert!(matches!(error, BlobError::NotFound), "{error}");
            assert!(old.starts_with(&found), "a beginning of the old one");
            assert!(chunks.try_next().await.expect("nothing more").is_none());
        }
    }
    has(&nodes, "k", &new).await;
}
