//! Checks of uploads: what is visible when, and what fails.

use super::super::checks;
use super::*;

checks! {
    super::Nodes;
    nothing_is_visible_before_it_is_finished,
    parts_come_in_any_order_and_another_node_goes_on,
    a_part_sent_again_replaces_the_one_before,
    the_same_bytes_sent_again_keep_their_tag,
    a_missing_part_makes_no_blob,
    a_failed_finish_leaves_what_was_there,
    a_small_part_that_is_not_the_last_is_refused,
    parts_that_the_tags_leave_out_are_dropped,
    no_parts_make_an_empty_blob,
    finishing_twice_is_harmless,
    a_late_finish_brings_nothing_back,
    two_nodes_may_finish_at_once,
    the_last_finish_wins,
    an_abandoned_upload_is_over,
    abandoning_a_finished_upload_leaves_its_blob,
    a_removed_blob_is_gone_and_may_come_again,
    bad_keys_are_refused,
    what_is_no_handle_is_refused,
    parts_beyond_the_limits_are_refused,
}

async fn nothing_is_visible_before_it_is_finished(nodes: Nodes) {
    let parts = [bytes(1, PART_MIN), bytes(2, 100)];
    let (upload, tags) = upload(&nodes.one, "realm/a-1_b", &parts).await;
    has_none(&nodes, "realm/a-1_b").await;
    nodes.one.finish(&upload, &tags).await.expect("finish");
    has(&nodes, "realm/a-1_b", &parts.concat()).await;
}

async fn parts_come_in_any_order_and_another_node_goes_on(nodes: Nodes) {
    let Nodes { one, other } = &nodes;
    let parts = [bytes(1, PART_MIN), bytes(2, PART_MIN + 1), bytes(3, 5)];
    let upload = one.begin("k").await.expect("begin");
    let third = one.part(&upload, 3, parts[2].clone()).await.expect("part 3");
    let first = one.part(&upload, 1, parts[0].clone()).await.expect("part 1");
    // Nothing but the texts is left of what the first node knew.
    let second = other.part(&upload, 2, parts[1].clone()).await.expect("part 2");
    has_none(&nodes, "k").await;
    other.finish(&upload, &[first, second, third]).await.expect("finish");
    has(&nodes, "k", &parts.concat()).await;
}

async fn a_part_sent_again_replaces_the_one_before(nodes: Nodes) {
    let (upload, old) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    let new = nodes.other.part(&upload, 1, bytes(2, 10)).await.expect("part");
    assert!(matches!(nodes.one.finish(&upload, &old).await, Err(BlobError::BadPart(_))));
    has_none(&nodes, "k").await;
    nodes.one.finish(&upload, &[new]).await.expect("finish");
    has(&nodes, "k", &bytes(2, 10)).await;
}

/// So that a call whose answer got lost does no harm when it arrives late.
async fn the_same_bytes_sent_again_keep_their_tag(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    assert_eq!(nodes.other.part(&upload, 1, bytes(1, 9)).await.expect("part"), tags[0]);
    nodes.one.finish(&upload, &tags).await.expect("finish");
    has(&nodes, "k", &bytes(1, 9)).await;
}

async fn a_missing_part_makes_no_blob(nodes: Nodes) {
    let upload = nodes.one.begin("k").await.expect("begin");
    let first = nodes.one.part(&upload, 1, bytes(1, PART_MIN)).await.expect("part 1");
    let third = nodes.one.part(&upload, 3, bytes(3, 7)).await.expect("part 3");
    for tags in [vec![first.clone(), third.clone()], vec![first.clone(), "none".into(), third.clone()]] {
        let error = nodes.one.finish(&upload, &tags).await.expect_err("a part is missing");
        assert!(matches!(error, BlobError::BadPart(_)), "{error}");
        has_none(&nodes, "k").await;
    }
    // The upload is still there.
    let second = nodes.one.part(&upload, 2, bytes(2, PART_MIN)).await.expect("part 2");
    nodes.one.finish(&upload, &[first, second, third]).await.expect("finish");
    has(&nodes, "k", &[bytes(1, PART_MIN), bytes(2, PART_MIN), bytes(3, 7)].concat()).await;
}

async fn a_failed_finish_leaves_what_was_there(nodes: Nodes) {
    put(&nodes.one, "k", &bytes(1, 30)).await;
    let (upload, mut tags) = upload(&nodes.one, "k", &[bytes(2, PART_MIN)]).await;
    has(&nodes, "k", &bytes(1, 30)).await;
    tags.push("none".into());
    assert!(matches!(nodes.other.finish(&upload, &tags).await, Err(BlobError::BadPart(_))));
    has(&nodes, "k", &bytes(1, 30)).await;
}

async fn a_small_part_that_is_not_the_last_is_refused(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, PART_MIN - 1), bytes(2, 1)]).await;
    assert!(matches!(nodes.one.finish(&upload, &tags).await, Err(BlobError::BadPart(_))));
    has_none(&nodes, "k").await;
}

async fn parts_that_the_tags_leave_out_are_dropped(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, PART_MIN), bytes(2, 1)]).await;
    nodes.one.finish(&upload, &tags[..1]).await.expect("finish");
    has(&nodes, "k", &bytes(1, PART_MIN)).await;
}

async fn no_parts_make_an_empty_blob(nodes: Nodes) {
    let upload = nodes.one.begin("k").await.expect("begin");
    nodes.one.finish(&upload, &[]).await.expect("finish");
    has(&nodes, "k", &[]).await;
    nodes.one.finish(&upload, &[]).await.expect("finish again");
}

async fn finishing_twice_is_harmless(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, PART_MIN), bytes(2, 1)]).await;
    for blobs in [&nodes.one, &nodes.one, &nodes.other] {
        blobs.finish(&upload, &tags).await.expect("finish");
    }
    has(&nodes, "k", &[bytes(1, PART_MIN), bytes(2, 1)].concat()).await;
    assert!(matches!(nodes.one.part(&upload, 3, bytes(3, 1)).await, Err(BlobError::UnknownUpload)));
}

async fn a_late_finish_brings_nothing_back(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    nodes.one.finish(&upload, &tags).await.expect("finish");
    put(&nodes.one, "k", &bytes(2, 9)).await;
    // Whether it is still known that it was finished is up to the store.
    let _ = nodes.other.finish(&upload, &tags).await;
    has(&nodes, "k", &bytes(2, 9)).await;
    nodes.one.remove("k").await.expect("remove");
    let _ = nodes.other.finish(&upload, &tags).await;
    has_none(&nodes, "k").await;
    // The parts are gone by then, so one that needs none is shown too.
    let empty = nodes.one.begin("k").await.expect("begin");
    nodes.one.finish(&empty, &[]).await.expect("finish");
    nodes.one.remove("k").await.expect("remove");
    let _ = nodes.other.finish(&empty, &[]).await;
    has_none(&nodes, "k").await;
}

async fn two_nodes_may_finish_at_once(nodes: Nodes) {
    let parts = [bytes(1, PART_MIN), bytes(2, PART_MIN), bytes(3, 1)];
    let (upload, tags) = upload(&nodes.one, "k", &parts).await;
    let (one, other) = tokio::join!(nodes.one.finish(&upload, &tags), nodes.other.finish(&upload, &tags));
    // The slower one may ask when the upload is no more and the blob is not there yet.
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    for end in [one, other] {
        assert!(matches!(end, Ok(()) | Err(BlobError::UnknownUpload)), "{end:?}");
    }
    nodes.one.finish(&upload, &tags).await.expect("finish again");
    has(&nodes, "k", &parts.concat()).await;
}

async fn the_last_finish_wins(nodes: Nodes) {
    let (first, first_tags) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    let (second, second_tags) = upload(&nodes.other, "k", &[bytes(2, 8)]).await;
    nodes.other.finish(&second, &second_tags).await.expect("finish");
    has(&nodes, "k", &bytes(2, 8)).await;
    nodes.one.finish(&first, &first_tags).await.expect("finish");
    has(&nodes, "k", &bytes(1, 9)).await;
}

async fn an_abandoned_upload_is_over(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    nodes.other.abandon(&upload).await.expect("abandon");
    nodes.one.abandon(&upload).await.expect("abandon again");
    assert!(matches!(nodes.one.part(&upload, 2, bytes(2, 1)).await, Err(BlobError::UnknownUpload)));
    assert!(matches!(nodes.one.finish(&upload, &tags).await, Err(BlobError::UnknownUpload)));
    has_none(&nodes, "k").await;
}

async fn abandoning_a_finished_upload_leaves_its_blob(nodes: Nodes) {
    let (upload, tags) = upload(&nodes.one, "k", &[bytes(1, 9)]).await;
    nodes.one.finish(&upload, &tags).await.expect("finish");
    nodes.other.abandon(&upload).await.expect("abandon");
    has(&nodes, "k", &bytes(1, 9)).await;
}

async fn a_removed_blob_is_gone_and_may_come_again(nodes: Nodes) {
    nodes.one.remove("a/b").await.expect("none is fine");
    put(&nodes.one, "a/b", &bytes(1, 9)).await;
    nodes.other.remove("a/b").await.expect("remove");
    has_none(&nodes, "a/b").await;
    nodes.one.remove("a/b").await.expect("again");
    put(&nodes.one, "a/b", &bytes(2, 9)).await;
    has(&nodes, "a/b", &bytes(2, 9)).await;
}

async fn bad_keys_are_refused(nodes: Nodes) {
    let blobs = &nodes.one;
    let longest = "a/".repeat(KEY_MAX / 2 - 1) + "bb";
    put(blobs, &longest, &bytes(1, 9)).await;
    has(&nodes, &longest, &bytes(1, 9)).await;
    let long = longest + "b";
    let bad = [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a.b", "A", "ä", "a b", "a:b", "a\\b",
        "a\0",
    ];
    for key in bad.into_iter().chain([long.as_str()]) {
        assert!(matches!(blobs.begin(key).await, Err(BlobError::BadKey(_))), "begin {key:?}");
        assert!(matches!(blobs.stat(key).await, Err(BlobError::BadKey(_))), "stat {key:?}");
        assert!(matches!(read(blobs, key, 0..1).await, Err(BlobError::BadKey(_))), "read {key:?}");
        assert!(matches!(blobs.remove(key).await, Err(BlobError::BadKey(_))), "remove {key:?}");
    }
}

async fn what_is_no_handle_is_refused(nodes: Nodes) {
    let blobs = &nodes.one;
    let upload = blobs.begin("k").await.expect("begin");
    let id = "0123456789abcdef0123456789abcdef";
    let made_up = [
        String::new(),
        "k".into(),
        ":::".into(),
        "../k:../k:../k".into(),
        format!("{id}:../k"),
        format!("{id}:../k:1"),
        upload.replace("k", "../k"),
    ];
    for handle in made_up {
        assert!(
            matches!(blobs.part(&handle, 1, bytes(1, 1)).await, Err(BlobError::UnknownUpload)),
            "{handle}"
        );
        assert!(matches!(blobs.finish(&handle, &[]).await, Err(BlobError::UnknownUpload)), "{handle}");
        assert!(matches!(blobs.abandon(&handle).await, Err(BlobError::UnknownUpload)), "{handle}");
    }
}

async fn parts_beyond_the_limits_are_refused(nodes: Nodes) {
    let blobs = &nodes.one;
    let upload = blobs.begin("k").await.expect("begin");
    let large = Bytes::from(vec![0; PART_MAX + 1]);
    for (number, part) in [(0, bytes(1, 1)), (PARTS_MAX + 1, bytes(1, 1)), (1, large)] {
        assert!(matches!(blobs.part(&upload, number, part).await, Err(BlobError::BadPart(_))), "{number}");
    }
    let many = vec!["none".to_owned(); PARTS_MAX as usize + 1];
    assert!(matches!(blobs.finish(&upload, &many).await, Err(BlobError::BadPart(_))));
    blobs.part(&upload, PARTS_MAX, bytes(1, 1)).await.expect("the last number");
    has_none(&nodes, "k").await;
}
