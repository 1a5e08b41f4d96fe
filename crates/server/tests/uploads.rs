//! Uploads by tus: cut off, gone on with, taken over, given up; by those who may.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use levee_client::Event;
use levee_client::session::Target;
use levee_client::tus::{Upload, Writing};
use levee_testbed::Signal;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use support::files::blobs;
use support::people::Person;
use support::uploads::{PART, ask, assert_content, begin, bytes, message, room, ticket, until, until_gone};
use support::{Server, within};

/// Megabytes take their time on a machine that does other things, too.
const LONG: Duration = Duration::from_secs(120);

/// Sends slowly, until somebody has heard that it is as far as this. Answers how much was sent, and what was heard.
async fn send_until_told(
    writing: &mut Writing,
    content: &[u8],
    to: &mut Person,
    offset: u64,
) -> (usize, Event) {
    for (number, chunk) in content.chunks(1000).enumerate() {
        writing.send(chunk).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        while let Some(event) = to.events.here() {
            if event["upload_offset"].as_u64().is_some_and(|told| told >= offset) {
                return ((number + 1) * 1000, event);
            }
        }
    }
    panic!("nobody was told");
}

#[tokio::test]
async fn a_file_of_some_parts_goes_up_in_one_request_and_comes_down_equal() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let content = bytes(PART * 2 + 12_345);
        let created = ask(&people[1], &to, json!({"name": "../a.bin", "size": content.len()})).await.unwrap();
        let (Target::Channel(channel), url) = (&to, created.str("upload_url")) else { panic!("a channel") };
        assert_eq!((created.name(), created.str("channel_id")), ("levee_upload_created", channel.as_str()));
        assert!(created["url_expiry"].as_u64().unwrap() > 1_700_000_000);
        let address = server.address();
        let length = content.len().to_string();
        let (response, upload) = Upload::create(&address, url, &[("Upload-Length", &length)]).await.unwrap();
        assert_eq!((response.status, response.header("upload-offset")), (201, "0"));
        assert!(response.header("location").starts_with("/files/upload/"));
        for name in ["upload-expires", "tus-resumable"] {
            assert!(!response.header(name).is_empty(), "{name}");
        }
        let upload = upload.unwrap();
        // A retry leads to the same one.
        let (_, again) = Upload::create(&address, url, &[("Upload-Length", &length)]).await.unwrap();
        assert_eq!(again.unwrap().path, upload.path);
        let response = upload.patch(&address, 0, &[], &content).await.unwrap();
        assert_eq!(
            (response.status, response.header("upload-offset")),
            (204, &*length),
            "{}",
            response.text()
        );
        let message = message(&mut people[0], "a.bin").await;
        assert_eq!(message.str("message_user_id"), people[1].user_id());
        assert_content(&server, &people[0], &message, &content).await;
        // Whoever did not hear that learns it.
        assert_eq!(upload.offset(&address).await.unwrap(), content.len() as u64);
        assert_eq!(blobs(&server.blobs()).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_cut_off_goes_on_where_it_was_also_after_a_crash() {
    within(LONG, async {
        let mut server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let content = bytes(PART + 500_000);
        let address = server.address();
        let upload = begin(&address, &people[0], &to, "a.bin", content.len()).await;
        // Three times within a part: what came is kept.
        let mut at = 0;
        for (cut, kept) in [(100_000, 1), (200_001, 2), (3_000_000, 3)] {
            let mut writing = upload.begin(&address, at as u64, (content.len() - at) as u64).await.unwrap();
            writing.send(&content[at..cut]).await.unwrap();
            drop(writing);
            // The parts that are not full are beside.
            until(&server, kept).await;
            let before = at;
            at = upload.offset(&address).await.unwrap() as usize;
            assert!((before + 1..=cut).contains(&at), "{before}, {at}, {cut}");
        }
        server.kill();
        server.restart().await;
        let offset = upload.offset(&address).await.unwrap() as usize;
        assert_eq!(offset, at);
        let response = upload.patch(&address, offset as u64, &[], &content[offset..]).await.unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        people[0].online().await.unwrap();
        let message = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &message, &content).await;
        until(&server, 1).await;
    })
    .await;
}

#[tokio::test]
async fn chunks_of_any_size_make_a_file() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let content = bytes(70 * 1000 + 1);
        let address = server.address();
        let upload = begin(&address, &people[0], &to, "a.bin", content.len()).await;
        // More of them than are kept beside one another.
        for (number, chunk) in content.chunks(1000).enumerate() {
            let response = upload.patch(&address, number as u64 * 1000, &[], chunk).await.unwrap();
            assert_eq!(response.status, 204, "{number}: {}", response.text());
        }
        let message = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &message, &content).await;
        until(&server, 1).await;
    })
    .await;
}

#[tokio::test]
async fn an_empty_file_and_one_whose_length_is_said_at_its_end() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let address = server.address();
        begin(&address, &people[0], &to, "empty", 0).await;
        let told = message(&mut people[0], "empty").await;
        assert_content(&server, &people[0], &told, b"").await;

        let url = ticket(&people[0], &to, json!({"name": "later"})).await;
        let (response, upload) =
            Upload::create(&address, &url, &[("Upload-Defer-Length", "1")]).await.unwrap();
        assert_eq!((response.status, response.header("upload-defer-length")), (201, "1"));
        let upload = upload.unwrap();
        assert_eq!(upload.patch(&address, 0, &[], b"some ").await.unwrap().status, 204);
        let head = upload.head(&address).await.unwrap();
        assert_eq!((head.header("upload-offset"), head.header("upload-length")), ("5", ""));
        let length = [("Upload-Length", "10")];
        assert_eq!(upload.patch(&address, 5, &length, b"words").await.unwrap().status, 204);
        let told = message(&mut people[0], "later").await;
        assert_content(&server, &people[0], &told, b"some words").await;

        // It may turn out to be all that was sent.
        let url = ticket(&people[0], &to, json!({"name": "at last"})).await;
        let (_, upload) = Upload::create(&address, &url, &[("Upload-Defer-Length", "1")]).await.unwrap();
        let upload = upload.unwrap();
        assert_eq!(upload.patch(&address, 0, &[], b"words").await.unwrap().status, 204);
        assert_eq!(upload.patch(&address, 5, &[("Upload-Length", "5")], b"").await.unwrap().status, 204);
        let told = message(&mut people[0], "at last").await;
        assert_content(&server, &people[0], &told, b"words").await;
    })
    .await;
}

#[tokio::test]
async fn a_checksum_that_is_not_right_keeps_nothing_of_its_chunk() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let content = bytes(PART + 1000);
        let address = server.address();
        let upload = begin(&address, &people[0], &to, "a.bin", content.len()).await;
        let sum = |bytes: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(bytes)));
        let (first, rest) = content.split_at(10);
        let right = sum(first);
        let response = upload.patch(&address, 0, &[("Upload-Checksum", &right)], first).await.unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        // A part is full before it is known that it is wrong.
        let response = upload.patch(&address, 10, &[("Upload-Checksum", &right)], rest).await.unwrap();
        assert_eq!((response.status, upload.offset(&address).await.unwrap()), (460, 10));
        // What is not all there can't be looked at.
        let mut writing = upload.begin(&address, 10, rest.len() as u64).await.unwrap();
        writing.send(&rest[..1000]).await.unwrap();
        drop(writing);
        until(&server, 2).await;
        let at = upload.offset(&address).await.unwrap() as usize;
        assert!((10..=1010).contains(&at), "{at}");
        let right = sum(&content[at..]);
        let response =
            upload.patch(&address, at as u64, &[("Upload-Checksum", &right)], &content[at..]).await.unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        let message = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &message, &content).await;
        until(&server, 1).await;
    })
    .await;
}

#[tokio::test]
async fn the_newest_request_takes_over_and_what_came_before_is_kept() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let content = bytes(3_000_000);
        let address = server.address();
        let upload = begin(&address, &people[0], &to, "a.bin", content.len()).await;
        // Its connection is dead, and nobody knows it yet.
        let mut dead = upload.begin(&address, 0, content.len() as u64).await.unwrap();
        dead.send(&content[..1_000_000]).await.unwrap();
        send_until_told(&mut dead, &content[1_000_000..], &mut people[0], 1_000_000).await;
        let at = upload.offset(&address).await.unwrap() as usize;
        assert!(at >= 1_000_000, "{at}");
        let response = dead.answer().await.unwrap();
        assert_eq!(response.status, 423, "{}", response.text());
        let response = upload.patch(&address, at as u64, &[], &content[at..]).await.unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        let message = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &message, &content).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_given_up_is_gone_and_others_are_told_so() {
    within(LONG, async {
        let server = Server::with(&["--file-expire-s=60"]).await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let address = server.address();
        let upload = begin(&address, &people[1], &to, "a.bin", 10).await;
        assert_eq!(upload.patch(&address, 0, &[], b"12345").await.unwrap().status, 204);
        assert_eq!(upload.delete(&address).await.unwrap().status, 204);
        assert_eq!(upload.head(&address).await.unwrap().status, 410);
        assert_eq!(upload.patch(&address, 5, &[], b"67890").await.unwrap().status, 410);
        let ended =
            people[0].events.find("its end", |event| !event.str("upload_ended").is_empty()).await.unwrap();
        assert_eq!((ended.name(), ended.str("upload_ended")), ("levee_upload_updated", "cancelled"));
        assert_eq!(
            (ended.str("user_id"), &ended["file_attrs"]),
            (people[1].user_id(), &json!({"name": "a.bin", "size": 10}))
        );
        until_gone(&server).await;
    })
    .await;
}

#[tokio::test]
async fn others_see_how_far_it_is_and_when_it_is_there() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let content = bytes(900_000);
        let address = server.address();
        let upload = begin(&address, &people[1], &to, "a.bin", content.len()).await;
        let mut writing = upload.begin(&address, 0, content.len() as u64).await.unwrap();
        let (sent, news) = send_until_told(&mut writing, &content, &mut people[0], 1).await;
        let Target::Channel(channel) = &to else { panic!("a channel") };
        assert_eq!((news.str("channel_id"), news.str("user_id")), (channel.as_str(), people[1].user_id()));
        assert!(news["upload_offset"].as_u64().unwrap() > 0 && news["upload_ended"].is_null(), "{news:?}");
        writing.send(&content[sent..]).await.unwrap();
        assert_eq!(writing.answer().await.unwrap().status, 204);
        let message = message(&mut people[0], "a.bin").await;
        let ended = people[0].events.named("levee_upload_updated").await.unwrap();
        assert_eq!((ended.str("upload_ended"), ended.str("upload_id")), ("completed", news.str("upload_id")));
        assert_content(&server, &people[0], &message, &content).await;
    })
    .await;
}

#[tokio::test]
async fn a_dialogue_begins_with_an_upload() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut ann, mut ben) = (server.guest("Ann").await, server.guest("Ben").await);
        let to = Target::User(ben.user_id().to_owned());
        let address = server.address();
        let upload = begin(&address, &ann, &to, "a.txt", 5).await;
        assert_eq!(upload.patch(&address, 0, &[], b"words").await.unwrap().status, 204);
        let told = message(&mut ben, "a.txt").await;
        assert_eq!((told.str("user_id"), told.str("message_user_id")), (ann.user_id(), ann.user_id()));
        assert_content(&server, &ben, &told, b"words").await;
        assert_eq!(message(&mut ann, "a.txt").await.str("user_id"), ben.user_id());
    })
    .await;
}

#[tokio::test]
async fn while_files_cant_be_kept_an_upload_waits_and_the_chat_goes_on() {
    within(LONG, async {
        let server = Server::start().await;
        let (mut people, to) = room(&server, &[]).await;
        let address = server.address();
        let upload = begin(&address, &people[0], &to, "a.bin", 10).await;
        assert_eq!(upload.patch(&address, 0, &[], b"12345").await.unwrap().status, 204);
        let (folder, away) = (server.blobs(), server.blobs().with_extension("away"));
        std::fs::rename(&folder, &away).unwrap();
        std::fs::write(&folder, "").unwrap();
        assert_eq!(upload.patch(&address, 5, &[], b"67").await.unwrap().status, 503);
        people[0].send_text(&to, "still here").await.unwrap();
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        assert_eq!(upload.offset(&address).await.unwrap(), 5);
        assert_eq!(upload.patch(&address, 5, &[], b"67890").await.unwrap().status, 204);
        let message = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &message, b"1234567890").await;
    })
    .await;
}

#[tokio::test]
async fn an_upload_goes_on_through_another_node_when_the_first_is_killed() {
    within(LONG, async {
        let folder = tempfile::tempdir().unwrap();
        let setting = format!("--blobs={}", folder.path().display());
        let mut cluster = support::cluster::Cluster::with(2, &[&setting]).await;
        let (mut ann, ben) = (cluster.guest(0, "Ann").await, cluster.guest(1, "Ben").await);
        let channel = ann.create_channel(json!({"upload": "member"})).await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        let to = Target::Channel(channel);
        let content = bytes(PART * 2 + 777);
        let nodes = cluster.nodes();
        let upload = begin(&nodes[1], &ben, &to, "a.bin", content.len()).await;
        let mut writing = upload.begin(&nodes[1], 0, content.len() as u64).await.unwrap();
        writing.send(&content[..PART + 1]).await.unwrap();
        // Until the first part is durable; what comes after it is in the node's memory only.
        send_until_told(&mut writing, &content[PART + 1..], &mut ann, PART as u64).await;
        cluster.end(1, Signal::Kill).await;
        drop(writing);
        let offset = loop {
            match upload.offset(&nodes[0]).await {
                Ok(offset) => break offset as usize,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        assert!(offset >= PART, "{offset}");
        let response = upload.patch(&nodes[0], offset as u64, &[], &content[offset..]).await.unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        let message = message(&mut ann, "a.bin").await;
        assert_content(cluster.node(0), &ann, &message, &content).await;
    })
    .await;
}
