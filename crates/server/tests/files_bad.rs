//! Files of bad intent: what would run, what leads astray, what costs much, and who has no business with them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Response;
use levee_client::session::Target;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use support::files::{describe, link, load, png, send, sent};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

async fn room(server: &Server, names: &[&str]) -> (Vec<Person>, Target) {
    let (people, target) = support::rooms::room(server, names).await;
    let header = target.with(json!({"channel_attrs": {"upload": "member"}}));
    people[0].ask("update_channel", header).await.unwrap();
    (people, target)
}

/// Fails unless a browser can run nothing of an answer, whatever it takes it for.
#[track_caller]
fn is_harmless(answer: &Response, what: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'", "{what}");
    let served = answer.header("content-type");
    let runs = ["html", "svg", "xml", "javascript", "ecmascript"];
    assert!(!runs.iter().any(|name| served.contains(name)), "{what}: {served}");
}

#[tokio::test]
async fn what_would_run_is_saved_and_not_shown_whatever_it_is_called() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let script = "<script>alert(document.domain)</script>";
        let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{script}</svg>");
        let xml = format!("<?xml version=\"1.0\"?>{svg}");
        let html = format!("<!doctype html><html><body>{script}</body></html>");
        // What looks like a picture is shown as one, and as nothing else.
        let polyglot = sent(&people[0], &to, "x.js", b"GIF89a=1;alert(1)").await;
        let answer = load(&server, &link(&people[0], &polyglot).await, &[]).await;
        is_harmless(&answer, "a script that begins like a picture");
        assert_eq!(answer.header("content-type"), "image/gif");
        let contents = [&html, script, &svg, &xml, "GIF98a=1;alert(1)", "alert(1)"];
        for content in contents {
            for name in ["x.png", "x.html", "x.svg", "x.js", "x"] {
                let file = sent(&people[0], &to, name, content.as_bytes()).await;
                let found = describe(&people[0], &file).await.unwrap();
                assert!(!found.at("/file_attrs/type").as_str().unwrap().starts_with("image/"), "{content}");
                assert!(found["thumbnail_url"].is_null());
                let answer = load(&server, found.str("file_url"), &[]).await;
                assert_eq!((answer.status, answer.text()), (200, content.to_owned()));
                is_harmless(&answer, content);
                assert!(answer.header("content-disposition").starts_with("attachment;"), "{content}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_picture_with_something_after_it_is_a_picture_and_its_small_one_has_nothing_else() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let content = png(640, 480, b"<script>alert(1)</script>");
        let file = sent(&people[0], &to, "x.html", &content).await;
        let found = describe(&people[1], &file).await.unwrap();
        assert_eq!(found.at("/file_attrs/thumbnail"), &json!({"width": 320, "height": 240}));
        let whole = load(&server, found.str("file_url"), &[]).await;
        is_harmless(&whole, "the picture");
        assert_eq!(whole.header("content-type"), "image/png");
        assert!(whole.header("content-disposition").starts_with("inline;"));
        let small = load(&server, found.str("thumbnail_url"), &[]).await;
        is_harmless(&small, "the small picture");
        assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
        assert!(small.body.starts_with(b"\xff\xd8\xff") && !small.text().contains("script"));
        assert_ne!(small.header("etag"), whole.header("etag"));
        // A link to one is none to the other.
        let other = found.str("file_url").replace("&signature", "&thumbnail=true&signature");
        assert_eq!(load(&server, &other, &[]).await.status, 404);
        let other = found.str("thumbnail_url").replace("&thumbnail=true", "");
        assert_eq!(load(&server, &other, &[]).await.status, 404);
        people[0].ask("delete_transcript", to.with(json!({}))).await.unwrap();
        while !support::files::blobs(&server.blobs()).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_picture_of_thirty_thousand_by_thirty_thousand_costs_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let content = png(30_000, 30_000, b"");
        assert!(content.len() < 512 * 1024);
        let file = sent(&people[0], &to, "huge.png", &content).await;
        let found = describe(&people[0], &file).await.unwrap();
        assert!(found.at("/file_attrs/thumbnail").is_null() && found["thumbnail_url"].is_null());
        assert_eq!(load(&server, found.str("file_url"), &[]).await.body.len(), content.len());
        for broken in
            [&content[..100], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "]
        {
            sent(&people[0], &to, "broken.png", broken).await;
        }
    })
    .await;
}

#[tokio::test]
async fn names_lead_nobody_astray() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        for (name, cleaned) in [
            ("a\r\nSet-Cookie: x=1\r\n\r\n<script>", "aSet-Cookie: x=1<script>"),
            ("../../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("a\"; filename=\"b.exe", "a\"; filename=\"b.exe"),
            ("%2e%2e%2fx", "%2e%2e%2fx"),
            ("..", "file"),
            ("?x=1#y", "?x=1#y"),
        ] {
            let event = send(&people[0], &to, name, b"words").await.unwrap();
            let told = &event.payload()["files"][0];
            assert_eq!(told["file_attrs"]["name"], cleaned, "{name:?}");
            let link = link(&people[0], told["file_id"].as_str().unwrap()).await;
            let answer = load(&server, &link, &[]).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "words"), "{link}");
            assert_eq!(answer.header("set-cookie"), "");
            let disposition = answer.header("content-disposition");
            assert!(disposition.is_ascii() && disposition.matches('"').count() == 2, "{disposition}");
        }
    })
    .await;
}

#[tokio::test]
async fn floods_of_ranges_are_refused_and_nonsense_is_as_if_it_was_not_there() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let link = link(&people[0], &sent(&people[0], &to, "a.txt", b"0123456789").await).await;
        let flood = format!("bytes={}", vec!["0-"; 2000].join(","));
        for (range, status, body) in [
            (flood.as_str(), 416, ""),
            ("bytes=0-1,3-4", 416, ""),
            ("bytes=10-", 416, ""),
            ("bytes=-0", 416, ""),
            ("bytes=99999999999999999999-", 200, "0123456789"),
            ("bytes=5-2", 200, "0123456789"),
            ("bytes=-", 200, "0123456789"),
            ("bytes=a-b", 200, "0123456789"),
            ("rows=0-1", 200, "0123456789"),
            ("bytes=0-18446744073709551615", 206, "0123456789"),
            ("bytes=-18446744073709551615", 206, "0123456789"),
            ("bytes=9-", 206, "9"),
            ("bytes=3-4", 206, "34"),
        ] {
            let answer = load(&server, &link, &[("range", range)]).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, body), "{range:.40}");
        }
        let refused = load(&server, &link, &[("range", "bytes=10-")]).await;
        assert_eq!(refused.header("content-range"), "bytes */10");
    })
    .await;
}

#[tokio::test]
async fn guessed_and_tampered_links_lead_nowhere() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let file = sent(&people[0], &to, "a.txt", b"words").await;
        let other = sent(&people[0], &to, "b.txt", b"other").await;
        let link = link(&people[1], &file).await;
        let part = |name: &str| {
            let query = link.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            query.unwrap().to_owned()
        };
        let (expires, user, signature) = (part("expires"), part("user"), part("signature"));
        let flipped = match signature.strip_prefix('0') {
            Some(rest) => format!("1{rest}"),
            None => format!("0{}", &signature[1..]),
        };
        let later = (expires.parse::<u64>().unwrap() + 1).to_string();
        let links = [
            link.replace(&file, &other),
            link.replace(&file, "00absent0000000000"),
            link.replace(&file, "..%2f..%2fx"),
            link.replace(&user, people[0].user_id()),
            link.replace(&user, ""),
            link.replace(&expires, &later),
            link.replace(&expires, "99999999999"),
            link.replace(&expires, "0"),
            link.replace(&expires, "-1"),
            link.replace(&expires, "99999999999999999999999"),
            link.replace(&signature, &flipped),
            link.replace(&signature, ""),
            link.replace(&signature, "%C3%A4"),
            format!("{link}00"),
            format!("{link}&user={}", people[0].user_id()),
            link.split('?').next().unwrap().to_owned(),
            format!("/files/{file}/a.txt?x"),
        ];
        let absent = load(&server, "/files/00absent0000000000/a.txt?expires=1&user=x&signature=y", &[]).await;
        for link in links {
            let answer = load(&server, &link, &[]).await;
            assert_eq!((answer.status, answer.body.len()), (404, 0), "{link}");
            let names =
                |of: &Response| of.headers.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
            assert_eq!(names(&answer), names(&absent), "{link}");
        }
        // The name is for people: it is no part of what is signed, and changes nothing.
        let answer = load(&server, &link.replace("a.txt", "x.html"), &[]).await;
        assert!(answer.header("content-disposition").contains("\"a.txt\""));
        assert_eq!(answer.status, 200);
    })
    .await;
}

#[tokio::test]
async fn who_was_removed_from_a_channel_loads_nothing_more() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben", "Cleo"]).await;
        let file = sent(&people[0], &to, "a.txt", b"words").await;
        let own = sent(&people[1], &to, "b.txt", b"own words").await;
        let links =
            [link(&people[1], &file).await, link(&people[1], &own).await, link(&people[2], &file).await];
        let remove = to.with(json!({"user_id": people[1].user_id()}));
        people[0].ask("remove_member", remove).await.unwrap();
        for (link, status) in links.iter().zip([404, 200, 200]) {
            assert_eq!(load(&server, link, &[]).await.status, status, "{link}");
        }
        assert_eq!(refused(describe(&people[1], &file).await), "file_not_found");
        // What is hidden is for moderators and its author.
        let message = send(&people[0], &to, "c.txt", b"hidden").await.unwrap();
        let hidden = support::files::id_of(&message);
        let before = link(&people[2], &hidden).await;
        let hide = to.with(json!({"message_id": message.str("message_id"), "message_hidden": true}));
        people[0].ask("update_message", hide).await.unwrap();
        assert_eq!(load(&server, &before, &[]).await.status, 404);
        assert_eq!(refused(describe(&people[2], &hidden).await), "file_not_found");
        describe(&people[0], &hidden).await.unwrap();
    })
    .await;
}
