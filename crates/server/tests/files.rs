//! Files: sent to channels, audiences and users, asked for, loaded, and gone with what they belong to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Error;
use levee_client::requests::Caller;
use levee_client::session::Target;
use serde_json::{Value, json};
use std::time::Duration;
use support::files::{blobs, describe, id_of, link, load, send, sent};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

/// A channel to which all members may send files, with an operator and members of these names.
async fn room(server: &Server, names: &[&str]) -> (Vec<Person>, Target) {
    let (people, target) = support::rooms::room(server, names).await;
    let Target::Channel(channel) = &target else { panic!("a channel") };
    allow(&people[0], channel, "member").await;
    (people, target)
}

async fn allow(by: &Person, channel: &str, upload: &str) {
    let header = json!({"channel_id": channel, "channel_attrs": {"upload": upload}});
    by.ask("update_channel", header).await.unwrap();
}

fn channel(target: &Target) -> &str {
    match target {
        Target::Channel(channel) => channel,
        Target::User(_) => panic!("a channel"),
    }
}

/// Waits until all bytes of files are gone.
async fn until_gone(server: &Server) {
    while !blobs(&server.blobs()).is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_file_is_sent_told_of_asked_for_and_loaded() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let content: Vec<u8> = (0..400_000u32).flat_map(u32::to_be_bytes).take(500_000).collect();
        let reply = send(&people[1], &to, "figures.bin", &content).await.unwrap();
        assert_eq!((reply.name(), reply.str("message_type")), ("message_received", "ninchat.com/file"));
        let attrs = json!({"name": "figures.bin", "size": 500_000, "type": "application/octet-stream"});
        assert_eq!(reply.payload(), json!({"files": [{"file_id": id_of(&reply), "file_attrs": attrs}]}));
        let told = people[0].events.find("the file", |event| event.str("message_type") == "ninchat.com/file");
        let told = told.await.unwrap();
        assert_eq!((told.payload(), told.str("message_id")), (reply.payload(), reply.str("message_id")));
        let file = id_of(&reply);
        let found = describe(&people[0], &file).await.unwrap();
        assert_eq!((found.name(), &found["file_attrs"]), ("file_found", &attrs));
        assert!(found["url_expiry"].as_u64().unwrap() > 1_700_000_000);
        let link = found.str("file_url");
        let all = load(&server, link, &[]).await;
        assert_eq!((all.status, all.body[..] == content), (200, true));
        assert_eq!(all.header("content-type"), "application/octet-stream");
        assert!(all.header("content-disposition").starts_with("attachment; filename=\"figures.bin\""));
        let part = load(&server, link, &[("range", "bytes=499990-")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &content[499_990..]));
        assert_eq!(part.header("content-range"), "bytes 499990-499999/500000");
        let known = load(&server, link, &[("if-none-match", all.header("etag"))]).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
        // What was acknowledged is there after a crash, and so is the link.
        server.kill();
        server.restart().await;
        people[0].online().await.unwrap();
        let again = load(&server, link, &[]).await;
        assert_eq!((again.status, again.body[..] == content), (200, true));
        assert_eq!(describe(&people[0], &file).await.unwrap()["file_attrs"], attrs);
    })
    .await;
}

#[tokio::test]
async fn a_head_tells_what_a_get_would_and_nothing_else_is_allowed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let file = sent(&people[0], &to, "a.txt", b"some words").await;
        let link = link(&people[0], &file).await;
        let get = load(&server, &link, &[]).await;
        let head =
            server.talk(&format!("HEAD {link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
        for name in ["etag", "content-length", "content-type", "content-disposition"] {
            let line = format!("{name}: {}", get.header(name));
            assert!(head.lines().any(|one| one.eq_ignore_ascii_case(&line)), "{line} in {head}");
        }
        let post =
            server.talk(&format!("POST {link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    })
    .await;
}

#[tokio::test]
async fn who_may_not_send_leaves_nothing_behind() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let stranger = server.guest("Stranger").await;
        allow(&people[0], channel(&to), "operator").await;
        assert_eq!(refused(send(&people[1], &to, "a.txt", b"x").await), "permission_denied");
        for id in [channel(&to), "00absent0000000000", "no id"] {
            let outcome = send(&stranger, &Target::Channel(id.into()), "a.txt", b"x").await;
            assert_eq!(refused(outcome), "channel_not_found", "{id}");
        }
        for (id, error) in
            [("00absent0000000000", "user_not_found"), (stranger.user_id(), "permission_denied")]
        {
            let outcome = send(&stranger, &Target::User(id.into()), "a.txt", b"x").await;
            assert_eq!(refused(outcome), error, "{id}");
        }
        assert_eq!(blobs(&server.blobs()), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    within(LIMIT, async {
        let server = Server::with(&["--file-bytes-max=5"]).await;
        let (people, to) = room(&server, &[]).await;
        let with = |attrs: Value| to.with(json!({"file_attrs": attrs}));
        let named = json!({"name": "a.txt"});
        for (header, parts, error) in [
            (with(json!({})), vec!["x"], "request_malformed"),
            (with(json!({"name": ""})), vec!["x"], "request_malformed"),
            (with(json!({"name": null})), vec!["x"], "request_malformed"),
            (with(json!({"name": 5})), vec!["x"], "request_malformed"),
            (with(json!({"name": "x".repeat(600)})), vec!["x"], "request_malformed"),
            (with(json!({"name": "a", "type": "image/png"})), vec!["x"], "permission_denied"),
            (with(named.clone()), vec![], "request_malformed"),
            (with(named.clone()), vec!["x", "y"], "payload_has_too_many_parts"),
            (with(named.clone()), vec!["123456"], "upload_quota_exceeded"),
            (json!({"file_attrs": named}), vec!["x"], "request_malformed"),
        ] {
            let parts = parts.into_iter().map(|part| part.into()).collect();
            let outcome = people[0].send("send_file", header.clone(), parts).await;
            assert_eq!(refused(outcome), error, "{header}");
        }
        assert_eq!(blobs(&server.blobs()), [""; 0]);
        sent(&people[0], &to, "a.txt", b"12345").await;
        let empty = send(&people[0], &to, "empty", b"").await.unwrap();
        assert_eq!(empty.payload()["files"][0]["file_attrs"]["size"], 0);
        assert_eq!(load(&server, &link(&people[0], &id_of(&empty)).await, &[]).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn without_room_a_file_is_refused_and_counted() {
    within(LIMIT, async {
        let server = Server::with(&["--blobs-spare-bytes=9007199254740992"]).await;
        let (people, to) = room(&server, &[]).await;
        assert_eq!(refused(send(&people[0], &to, "a.txt", b"words").await), "upload_quota_exceeded");
        people[0].send_text(&to, "still here").await.unwrap();
        let figures = load(&server, "/metrics", &[]).await.text();
        for line in
            ["levee_dropped_total{reason=\"blobs_full\"} 1", "levee_uploads_total{outcome=\"refused\"} 1"]
        {
            assert!(figures.lines().any(|figure| figure == line), "{line}");
        }
        assert_eq!(blobs(&server.blobs()), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_file_is_there_for_those_who_read_its_conversation_and_for_nobody_else() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk_with(json!({"name": "Help", "upload": "member"})).await;
        let mut customer = server.guest("Cleo").await;
        let to = Target::Channel(desk.meet(&mut customer).await);
        let file = sent(&customer, &to, "a.txt", b"words").await;
        for person in [&customer, &desk.agent, &desk.operator] {
            assert_eq!(load(&server, &link(person, &file).await, &[]).await.text(), "words");
        }
        let other = server.user("other").await;
        other.create_realm("Other").await.unwrap();
        for id in [file.as_str(), "00absent0000000000", "no id", ""] {
            let Err(Error::Rejected(event)) = describe(&other, id).await else { panic!("{id}") };
            assert_eq!((event.error_type(), event.header().len()), ("file_not_found", 4), "{event:?}");
        }
        assert_eq!(refused(other.ask("describe_file", json!({})).await), "request_malformed");
        // What a client writes of a file opens it to nobody.
        let own = Target::Channel(other.create_channel(json!({})).await.unwrap());
        let forged = json!({"files": [{"file_id": file, "file_attrs": {"name": "mine"}}]});
        other.send_message(&own, json!({"message_type": "ninchat.com/file"}), &forged).await.unwrap();
        assert_eq!(refused(describe(&other, &file).await), "file_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_file_may_begin_a_dialogue() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) = (server.guest("Ann").await, server.guest("Ben").await);
        let to = Target::User(ben.user_id().to_owned());
        let reply = send(&ann, &to, "a.txt", b"words").await.unwrap();
        assert_eq!((reply.name(), reply.str("user_id")), ("message_received", ben.user_id()));
        let told = ben.events.find("the file", |event| event.str("message_type") == "ninchat.com/file");
        assert_eq!(told.await.unwrap().str("user_id"), ann.user_id());
        let link = link(&ben, &id_of(&reply)).await;
        assert_eq!(load(&server, &link, &[]).await.text(), "words");
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_sent_again_is_one() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let (mut socket, created) = server.raw_guest().await;
        let join = json!({"action": "join_channel", "action_id": 1, "channel_id": channel(&to)});
        socket.ask(join, &[]).await.unwrap();
        let header = json!({"action": "send_file", "action_id": 2, "channel_id": channel(&to), "frames": 1,
            "file_attrs": {"name": "a.txt"}});
        // Twice at once, and again after a crash.
        socket.action(header.clone(), &["words"]).await.unwrap();
        let first = socket.ask(header.clone(), &["words"]).await.unwrap();
        assert_eq!((first.name(), first.action_id()), ("message_received", Some(2)));
        server.kill();
        server.restart().await;
        // What was answered is answered so again, though it is not allowed any more.
        people[0].online().await.unwrap();
        allow(&people[0], channel(&to), "operator").await;
        let mut socket = server.resume(created.str("session_id"), None).await;
        let again = socket.ask(header.clone(), &["words"]).await.unwrap();
        assert_eq!(again.str("message_id"), first.str("message_id"));
        let mut other = header;
        other["action_id"] = 3.into();
        assert_eq!(socket.ask(other, &["words"]).await.unwrap().error_type(), "permission_denied");
        let history =
            people[0].load_history(&to, json!({"message_types": ["ninchat.com/file"]})).await.unwrap();
        assert_eq!(history.messages.len(), 1);
        // What the crash left of the copy is no blob, and is swept in time.
        assert_eq!(blobs(&server.blobs().join("files")).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_written_after_a_file_comes_after_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let mut replies = Vec::new();
        for number in 0..5 {
            let file = to.with(json!({"file_attrs": {"name": number.to_string()}}));
            replies.push(people[0].start("send_file", file, vec![vec![0; 100_000].into()]));
            let text = json!({"text": number.to_string()}).to_string();
            let header = to.with(json!({"message_type": "ninchat.com/text"}));
            replies.push(people[0].start("send_message", header, vec![text.into()]));
        }
        let mut ids = Vec::new();
        for reply in replies {
            ids.push(reply.event().await.unwrap().str("message_id").to_owned());
        }
        assert!(ids.is_sorted(), "{ids:?}");
    })
    .await;
}

#[tokio::test]
async fn files_go_with_what_is_erased_and_with_their_channel() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let file = sent(&people[1], &to, "a.txt", b"words").await;
        let links = [link(&people[0], &file).await, link(&people[1], &file).await];
        let other = sent(&people[0], &to, "b.txt", b"other words").await;
        assert_eq!(blobs(&server.blobs()).len(), 2);
        people[0].ask("delete_transcript", json!({"channel_id": channel(&to)})).await.unwrap();
        until_gone(&server).await;
        for link in &links {
            assert_eq!(load(&server, link, &[]).await.status, 404);
        }
        for (person, file) in [(&people[0], &file), (&people[1], &file), (&people[0], &other)] {
            assert_eq!(refused(describe(person, file).await), "file_not_found");
        }
        sent(&people[0], &to, "c.txt", b"words").await;
        let suspend = json!({"channel_id": channel(&to), "channel_attrs": {"suspended": true}});
        people[0].ask("update_channel", suspend).await.unwrap();
        people[0].ask("delete_channel", json!({"channel_id": channel(&to)})).await.unwrap();
        until_gone(&server).await;
    })
    .await;
}

#[tokio::test]
async fn bytes_that_nobody_could_remove_are_removed_after_a_crash() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let file = sent(&people[0], &to, "a.txt", b"words").await;
        // Where a file should be is a folder that is not empty: it can't be removed.
        let path = blobs(&server.blobs()).remove(0);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir_all(format!("{path}/x")).unwrap();
        people[0].ask("delete_transcript", json!({"channel_id": channel(&to)})).await.unwrap();
        assert_eq!(refused(describe(&people[0], &file).await), "file_not_found");
        server.kill();
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::write(&path, "words").unwrap();
        server.restart().await;
        until_gone(&server).await;
    })
    .await;
}

#[tokio::test]
async fn while_files_cant_be_kept_one_is_told_so_and_the_chat_goes_on() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let file = sent(&people[0], &to, "a.txt", b"words").await;
        let link = link(&people[0], &file).await;
        let (folder, away) = (server.blobs(), server.blobs().with_extension("away"));
        std::fs::rename(&folder, &away).unwrap();
        std::fs::write(&folder, "").unwrap();
        assert_eq!(refused(send(&people[0], &to, "b.txt", b"words").await), "internal");
        assert_eq!(load(&server, &link, &[]).await.status, 503);
        people[0].send_text(&to, "still here").await.unwrap();
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        sent(&people[0], &to, "b.txt", b"words").await;
        assert_eq!(load(&server, &link, &[]).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_file_is_sent_and_asked_for_without_a_session() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let user = server.user("bot").await;
        user.join_channel(channel(&to)).await.unwrap();
        let mut caller = Caller::email(server.address(), "bot@example.org", "secret-bot");
        let header = to.with(json!({"file_attrs": {"name": "a.txt"}}));
        let events = caller.frames("send_file", header, &["words"]).await.unwrap();
        assert_eq!(events[0].name(), "message_received");
        let found = caller.post("describe_file", json!({"file_id": id_of(&events[0])})).await.unwrap();
        assert_eq!(load(&server, found.str("file_url"), &[]).await.text(), "words");
        link(&people[0], &id_of(&events[0])).await;
    })
    .await;
}

#[tokio::test]
async fn an_origin_for_files_has_files_and_nothing_else_has_them() {
    within(LIMIT, async {
        let server = Server::with(&["--files-origin=https://files.example"]).await;
        let (people, to) = room(&server, &[]).await;
        let file = sent(&people[0], &to, "a.txt", b"words").await;
        let whole = link(&people[0], &file).await;
        let link = whole.strip_prefix("https://files.example").unwrap();
        assert_eq!(load(&server, link, &[]).await.status, 404);
        for (path, host, status) in [
            (link, "files.example", 200),
            (link, "FILES.example", 200),
            (link, "files.example.evil", 404),
            ("/console/", "files.example", 404),
            ("/v2/endpoint", "files.example", 404),
            ("/metrics", "files.example", 404),
            ("/v2/endpoint", "chat.example", 200),
        ] {
            let answer = server
                .talk(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
                .await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}{path}: {answer}");
        }
        let console = load(&server, "/console/", &[]).await;
        let policy = console.header("content-security-policy").to_owned();
        for kind in ["connect-src", "img-src"] {
            let allowed = policy.split(';').find(|rule| rule.trim().starts_with(kind)).unwrap();
            assert!(allowed.split(' ').any(|source| source == "https://files.example"), "{policy}");
        }
        let upgrade = "GET /v2/socket HTTP/1.1\r\nHost: files.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert!(server.talk(upgrade).await.starts_with("HTTP/1.1 404"));
    })
    .await;
}

#[tokio::test]
async fn a_file_is_read_on_another_node_than_it_was_sent_on() {
    within(LIMIT, async {
        let folder = tempfile::tempdir().unwrap();
        let setting = format!("--blobs={}", folder.path().display());
        let mut cluster = support::cluster::Cluster::with(2, &[&setting]).await;
        let (ann, ben) = (cluster.guest(0, "Ann").await, cluster.guest(1, "Ben").await);
        let channel = ann.create_channel(json!({"upload": "member"})).await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        let to = Target::Channel(channel);
        let file = sent(&ben, &to, "a.txt", b"words").await;
        let link = link(&ann, &file).await;
        for node in 0..2 {
            assert_eq!(load(cluster.node(node), &link, &[]).await.text(), "words");
        }
        // Its owner's node dies, and the other one knows it.
        cluster.end(1, levee_testbed::Signal::Kill).await;
        let loaded = async {
            loop {
                match load(cluster.node(0), &link, &[]).await {
                    answer if answer.status == 503 => {}
                    answer => return answer.text(),
                }
            }
        };
        assert_eq!(loaded.await, "words");
    })
    .await;
}
