//! Uploads by those who may not, and requests that make no sense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::tus::Upload;
use serde_json::json;
use std::time::Duration;
use support::uploads::{ask, begin, room, ticket, until_gone};
use support::{LIMIT, Server, refused, within};

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_keeps_nothing() {
    within(LIMIT, async {
        let server = Server::with(&["--file-bytes-max=1000"]).await;
        let (people, to) = room(&server, &[]).await;
        let address = server.address();
        let url = ticket(&people[0], &to, json!({"name": "a.bin"})).await;
        for (headers, status) in [
            (vec![], 400),
            (vec![("Upload-Length", "x")], 400),
            (vec![("Upload-Length", "-1")], 400),
            (vec![("Upload-Length", "9007199254740993")], 400),
            (vec![("Upload-Defer-Length", "2")], 400),
            (vec![("Upload-Length", "1001")], 413),
        ] {
            let (response, upload) = Upload::create(&address, &url, &headers).await.unwrap();
            assert_eq!((response.status, upload.is_none()), (status, true), "{headers:?}");
        }
        let upload = begin(&address, &people[0], &to, "a.bin", 10).await;
        for (offset, headers, body, status) in [
            (1, vec![], &b"x"[..], 409),
            (0, vec![], b"12345678901", 413),
            (0, vec![("Upload-Checksum", "sha1 x")], b"x", 400),
            (0, vec![("Upload-Checksum", "md5 xxxx")], b"x", 400),
            (0, vec![("Upload-Length", "11")], b"x", 400),
            (0, vec![("Upload-Length", "1001")], b"x", 413),
        ] {
            let response = upload.patch(&address, offset, &headers, body).await.unwrap();
            assert_eq!(response.status, status, "{headers:?} {offset}: {}", response.text());
            assert_eq!(upload.offset(&address).await.unwrap(), 0);
        }
        let head = "Host: x\r\nConnection: close\r\n";
        let path = &upload.path;
        for (request, status) in [
            (format!("PATCH {path} HTTP/1.1\r\n{head}Tus-Resumable: 1.0.0\r\n\r\n"), 415),
            (format!("HEAD {path} HTTP/1.1\r\n{head}\r\n"), 412),
            (format!("HEAD {path} HTTP/1.1\r\n{head}Tus-Resumable: 0.2.2\r\n\r\n"), 412),
            (format!("GET {path} HTTP/1.1\r\n{head}Tus-Resumable: 1.0.0\r\n\r\n"), 405),
            (format!("POST {path} HTTP/1.1\r\n{head}Tus-Resumable: 1.0.0\r\nX-HTTP-Method-Override: DELETE\r\n\r\n"), 204),
            (format!("HEAD {path} HTTP/1.1\r\n{head}Tus-Resumable: 1.0.0\r\n\r\n"), 410),
        ] {
            let answer = server.talk(&request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
        until_gone(&server).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_upload() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        let url = ticket(&people[0], &to, json!({"name": "a.bin"})).await;
        let options =
            server.talk(&format!("OPTIONS {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let has = |name: &str, value: &str| {
            let line = options.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned)
            });
            assert!(
                line.as_deref().is_some_and(|line| line.contains(value)),
                "{name} has {value} in {options}"
            );
        };
        assert!(options.starts_with("HTTP/1.1 204"), "{options}");
        for extension in ["creation", "checksum", "expiration", "termination"] {
            has("tus-extension", extension);
        }
        has("tus-version", "1.0.0");
        has("tus-checksum-algorithm", "sha256");
        has("access-control-allow-origin", "*");
        has("access-control-allow-methods", "patch");
        has("access-control-allow-headers", "upload-offset");
        has("access-control-expose-headers", "location");
        has("access-control-max-age", "86400");
    })
    .await;
}

#[tokio::test]
async fn who_may_not_send_files_gets_no_address_and_guesses_none() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let stranger = server.guest("Stranger").await;
        let Target::Channel(channel) = &to else { panic!("a channel") };
        let attrs = json!({"name": "a.bin", "size": 3});
        for id in [channel.as_str(), "00absent0000000000", "no id"] {
            let outcome = ask(&stranger, &Target::Channel(id.into()), attrs.clone()).await;
            assert_eq!(refused(outcome), "channel_not_found", "{id}");
        }
        for (id, error) in
            [("00absent0000000000", "user_not_found"), (stranger.user_id(), "permission_denied")]
        {
            let outcome = ask(&stranger, &Target::User(id.into()), attrs.clone()).await;
            assert_eq!(refused(outcome), error, "{id}");
        }
        for (attrs, error) in [
            (json!({}), "request_malformed"),
            (json!({"name": ""}), "request_malformed"),
            (json!({"name": "a", "size": "x"}), "request_malformed"),
            (json!({"name": "a", "type": "image/png"}), "permission_denied"),
        ] {
            assert_eq!(refused(ask(&people[0], &to, attrs.clone()).await), error, "{attrs}");
        }
        let rule = json!({"channel_id": channel, "channel_attrs": {"upload": "operator"}});
        let url = ticket(&people[1], &to, attrs.clone()).await;
        people[0].ask("update_channel", rule).await.unwrap();
        assert_eq!(refused(ask(&people[1], &to, attrs.clone()).await), "permission_denied");
        // What was said before holds no longer than the right.
        let address = server.address();
        let length = [("Upload-Length", "3")];
        let (response, _) = Upload::create(&address, &url, &length).await.unwrap();
        assert_eq!((response.status, response.text().as_str()), (403, "files can't be sent there\n"));
        let (ticket, signature) = url.rsplit_once('.').unwrap();
        for wrong in [
            format!("{ticket}."),
            format!("{ticket}.{}", signature.replace(['0', '1', '2'], "3")),
            "/files/upload/x".into(),
        ] {
            assert_eq!(Upload::create(&address, &wrong, &length).await.unwrap().0.status, 404, "{wrong}");
        }
        let upload = begin(&address, &people[0], &to, "a.bin", 3).await;
        let (path, secret) = upload.path.rsplit_once('/').unwrap();
        for wrong in [
            format!("{path}/{}", &secret[1..]),
            format!("{path}/x"),
            format!("/files/upload/00absent0000000000/{secret}"),
        ] {
            let guessed = Upload { path: wrong };
            assert_eq!(guessed.head(&address).await.unwrap().status, 404);
            assert_eq!(guessed.patch(&address, 0, &[], b"abc").await.unwrap().status, 404);
            assert_eq!(guessed.delete(&address).await.unwrap().status, 404);
        }
        assert_eq!(upload.offset(&address).await.unwrap(), 0);
        // Who may no more when it is complete: it is refused then.
        let upload = begin(&address, &people[0], &to, "b.bin", 3).await;
        people[0]
            .ask("update_channel", json!({"channel_id": channel, "channel_attrs": {"suspended": true}}))
            .await
            .unwrap();
        assert_eq!(upload.patch(&address, 0, &[], b"abc").await.unwrap().status, 204);
        while upload.head(&address).await.unwrap().status != 410 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
