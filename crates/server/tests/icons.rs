//! Icons of users: brought with `update_user`, drawn anew, seen by everybody, and gone with what they belong to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use levee_client::requests::Caller;
use levee_client::{Error, Event, Frame, Session};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use support::files::{blobs, describe, load, png, sent};
use support::{LIMIT, Server, refused, within};

async fn set(by: &Session, picture: &[u8]) -> Result<Event, Error> {
    let header = json!({"payload_attrs": ["icon"]});
    by.send("update_user", header, vec![Bytes::copy_from_slice(picture)]).await
}

fn url(event: &Event) -> String {
    event.at("/user_attrs/iconurl").as_str().unwrap_or_default().to_owned()
}

async fn until_left(folder: &Path, count: usize) {
    while blobs(folder).len() != count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_icon_is_drawn_shown_to_all_replaced_and_unset() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut people, _) = support::rooms::room(&server, &["Ben"]).await;
        let first = url(&set(&people[0], &png(640, 480, b"<script>alert(1)</script>")).await.unwrap());
        let told = people[1].events.find("the icon", |event| event.name() == "user_updated").await.unwrap();
        assert_eq!((told.str("user_id"), url(&told)), (people[0].user_id(), first.clone()));
        let icon = load(&server, &first, &[]).await;
        assert_eq!((icon.status, icon.header("content-type")), (200, "image/jpeg"));
        assert!(icon.body.starts_with(b"\xff\xd8\xff") && !icon.text().contains("script"));
        assert!(icon.header("cache-control").starts_with("public"), "{}", icon.header("cache-control"));
        assert_eq!(icon.header("x-content-type-options"), "nosniff");
        // It is nobody's file to ask for but one's own.
        let file = first.rsplit('/').next().unwrap();
        describe(&people[0], file).await.unwrap();
        assert_eq!(refused(describe(&people[1], file).await), "file_not_found");
        let second = url(&set(&people[0], &png(10, 20, b"")).await.unwrap());
        assert_ne!(second, first);
        until_left(&server.blobs(), 1).await;
        assert_eq!(load(&server, &first, &[]).await.status, 404);
        // What was acknowledged is there after a crash.
        server.kill();
        server.restart().await;
        people[0].online().await.unwrap();
        assert_eq!(load(&server, &second, &[]).await.status, 200);
        let found = people[0].ask("describe_user", json!({})).await.unwrap();
        assert_eq!(url(&found), second);
        let unset = json!({"user_attrs": {"iconurl": null}});
        assert_eq!(url(&people[0].ask("update_user", unset).await.unwrap()), "");
        until_left(&server.blobs(), 0).await;
    })
    .await;
}

#[tokio::test]
async fn what_can_be_no_icon_is_refused_and_leaves_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let user = server.guest("Ann").await;
        let picture = png(4, 4, b"");
        for other in [
            &b"<!doctype html><script>alert(1)</script>"[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"GIF89a=1;alert(1)",
            b"",
            &picture[..20],
            &png(30_000, 30_000, b""),
        ] {
            assert_eq!(refused(set(&user, other).await), "file_not_supported", "{} bytes", other.len());
        }
        let icon = || Bytes::from(picture.clone());
        for (names, parts, error) in [
            (json!(["icon"]), vec![], "request_malformed"),
            (json!(["icon", "icon"]), vec![icon(), icon()], "request_malformed"),
            (json!(["icon"]), vec![icon(), icon()], "payload_has_too_many_parts"),
            (json!(["name"]), vec![icon()], "request_malformed"),
            (json!("icon"), vec![icon()], "request_malformed"),
        ] {
            let outcome = user.send("update_user", json!({"payload_attrs": names}), parts).await;
            assert_eq!(refused(outcome), error, "{names}");
        }
        let own = json!({"user_attrs": {"iconurl": "https://elsewhere.example/x.png"}});
        assert_eq!(refused(user.ask("update_user", own).await), "permission_denied");
        assert_eq!(blobs(&server.blobs()), [""; 0]);
        assert_eq!(url(&user.ask("describe_user", json!({})).await.unwrap()), "");
    })
    .await;
}

#[tokio::test]
async fn a_file_of_a_conversation_is_no_icon() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = support::rooms::room(&server, &[]).await;
        let upload = to.with(json!({"channel_attrs": {"upload": "member"}}));
        people[0].ask("update_channel", upload).await.unwrap();
        let file = sent(&people[0], &to, "a.png", &png(4, 4, b"")).await;
        for id in [file.as_str(), "00absent0000000000", "no", "..%2fx"] {
            assert_eq!(load(&server, &format!("/icons/{id}"), &[]).await.status, 404, "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_icon_that_is_sent_again_is_one_and_goes_with_its_user() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let header = json!({"action": "update_user", "action_id": 2, "payload_attrs": ["icon"], "frames": 1});
        let mut urls = Vec::new();
        for _ in 0..2 {
            socket.text(header.to_string()).await.unwrap();
            socket.send(Frame::Binary(png(4, 4, b"").into())).await.unwrap();
            urls.push(url(&socket.named("user_updated").await.unwrap()));
            server.kill();
            server.restart().await;
            socket = server.resume(created.str("session_id"), None).await;
        }
        assert!(!urls[0].is_empty() && urls[0] == urls[1], "{urls:?}");
        until_left(&server.blobs(), 1).await;
        let gone = socket.ask(json!({"action": "delete_user", "action_id": 3}), &[]).await.unwrap();
        assert_eq!(gone.name(), "user_deleted");
        until_left(&server.blobs(), 0).await;
        assert_eq!(load(&server, &urls[0], &[]).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn an_icon_is_set_without_a_session_and_has_the_origin_of_files() {
    within(LIMIT, async {
        let server = Server::with(&["--files-origin=https://files.example"]).await;
        server.user("bot").await;
        let mut caller = Caller::email(server.address(), "bot@example.org", "secret-bot");
        let header = json!({"payload_attrs": ["icon"]});
        let events = caller.frames("update_user", header, &[png(4, 4, b"")]).await.unwrap();
        let whole = url(&events[0]);
        let path = whole.strip_prefix("https://files.example").unwrap();
        let answer = server
            .talk(&format!("GET {path} HTTP/1.1\r\nHost: files.example\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(load(&server, path, &[]).await.status, 404);
    })
    .await;
}
