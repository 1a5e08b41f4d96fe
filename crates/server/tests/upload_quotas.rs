//! The quota of files: what was sent counts by its bytes while it is kept, what goes beyond is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Http;
use levee_client::tus::Upload;
use serde_json::{Value, json};
use support::files::{send, sent};
use support::people::Person;
use support::uploads::{ask, begin, bytes, message, room, ticket};
use support::{LIMIT, Server, refused, within};

/// Bytes that each may have.
const MOST: u64 = 1000;

async fn server() -> Server {
    Server::with(&["--user-upload-bytes-max", &MOST.to_string()]).await
}

/// Waits until somebody's account tells that so much is left.
async fn until(of: &Person, available: u64) {
    loop {
        let found = of.ask("describe_user", json!({})).await.unwrap();
        if found["user_account"]["uploads"] == json!({"quota": MOST, "available": available}) {
            return;
        }
    }
}

#[tokio::test]
async fn files_count_while_they_are_kept_and_what_goes_beyond_is_refused_and_counted() {
    within(LIMIT, async {
        let mut server = server().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let (ann, ben) = (&people[0], &people[1]);
        assert_eq!(ben.created()["user_account"]["uploads"], json!({"quota": MOST, "available": MOST}));
        sent(ben, &to, "a.bin", &bytes(600)).await;
        until(ben, 400).await;
        assert_eq!(refused(send(ben, &to, "b.bin", &bytes(401)).await), "upload_quota_exceeded");
        assert_eq!(
            refused(ask(ben, &to, json!({"name": "b.bin", "size": 401})).await),
            "upload_quota_exceeded"
        );
        // Somebody else's quota is another one, and whoever may not send takes nothing of it.
        sent(ann, &to, "c.bin", &bytes(1000)).await;
        let stranger = server.guest("Stranger").await;
        assert_eq!(refused(send(&stranger, &to, "d.bin", &bytes(5)).await), "channel_not_found");
        until(&stranger, MOST).await;
        sent(ben, &to, "b.bin", &bytes(400)).await;
        until(ben, 0).await;
        let metrics = Http::new(server.address()).get("/metrics").await.unwrap().text();
        assert!(metrics.contains("levee_dropped_total{reason=\"quota\"} 2"), "{metrics}");
        // It is as durable as the files, and they make room when they are erased.
        server.kill();
        server.restart().await;
        until(ben, 0).await;
        assert_eq!(refused(send(ben, &to, "b.bin", &bytes(1)).await), "upload_quota_exceeded");
        ann.ask("delete_transcript", to.with(json!({}))).await.unwrap();
        until(ben, MOST).await;
        until(ann, MOST).await;
        sent(ben, &to, "e.bin", &bytes(1000)).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_again_counts_once_and_of_many_at_a_time_as_many_are_taken_as_there_is_room() {
    within(LIMIT, async {
        let server = server().await;
        let (people, to) = room(&server, &["Ben"]).await;
        let (first, second) = (bytes(150), bytes(151));
        let sending = (0..10).map(|number| {
            let content = if number % 2 == 0 { &first } else { &second };
            let (ben, to, name) = (&people[1], &to, format!("{number}.bin"));
            async move { send(ben, to, &name, content).await }
        });
        let sent = futures_util::future::join_all(sending).await;
        let taken = sent.iter().filter(|sent| sent.is_ok()).count();
        assert_eq!(taken, 6, "{sent:?}");
        for refusal in sent.into_iter().filter_map(Result::err) {
            assert_eq!(refused::<Value>(Err(refusal)), "upload_quota_exceeded");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_counts_as_it_was_announced_until_it_is_given_up() {
    within(LIMIT, async {
        let server = server().await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let address = server.address();
        let upload = begin(&address, &people[1], &to, "a.bin", 700).await;
        until(&people[1], 300).await;
        assert_eq!(refused(send(&people[1], &to, "b.bin", &bytes(301)).await), "upload_quota_exceeded");
        upload.delete(&address).await.unwrap();
        until(&people[1], MOST).await;
        // How large one is may be said when it comes, and is looked at then.
        let url = ticket(&people[1], &to, json!({"name": "c.bin"})).await;
        let (response, late) = Upload::create(&address, &url, &[("Upload-Defer-Length", "1")]).await.unwrap();
        assert_eq!(response.status, 201, "{}", response.text());
        let late = late.unwrap();
        let said = late.patch(&address, 0, &[("Upload-Length", "1001")], &bytes(1)).await.unwrap();
        assert_eq!(said.status, 507, "{}", said.text());
        let content = bytes(900);
        let said = late.patch(&address, 0, &[("Upload-Length", "900")], &content).await.unwrap();
        assert_eq!(said.status, 204, "{}", said.text());
        message(&mut people[0], "c.bin").await;
        until(&people[1], 100).await;
        // A ticket that was given before there was no room any more does not help.
        let early = ticket(&people[0], &to, json!({"name": "d.bin"})).await;
        sent(&people[0], &to, "e.bin", &bytes(1000)).await;
        let (response, none) = Upload::create(&address, &early, &[("Upload-Length", "1")]).await.unwrap();
        assert_eq!((response.status, none.is_none()), (507, true), "{}", response.text());
    })
    .await;
}

#[tokio::test]
async fn without_a_quota_there_is_none_to_be_told_of() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, to) = room(&server, &[]).await;
        sent(&people[0], &to, "a.bin", &bytes(5000)).await;
        let found = people[0].ask("describe_user", json!({})).await.unwrap();
        assert!(found["user_account"]["channels"].is_object());
        assert_eq!(found["user_account"]["uploads"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn operators_of_a_realm_are_told_what_its_owner_has_left() {
    within(LIMIT, async {
        let server = Server::with(&["--user-channels-max", "7", "--user-upload-bytes-max", "9"]).await;
        let desk = server.desk().await;
        desk.operator.ask("create_channel", json!({"realm_id": desk.realm})).await.unwrap();
        let (second, stranger) = (server.user("second").await, server.guest("Stranger").await);
        let add =
            json!({"realm_id": desk.realm, "user_id": second.user_id(), "member_attrs": {"operator": true}});
        desk.operator.ask("add_member", add).await.unwrap();
        let described = async |by: &Person| {
            let found = by.ask("describe_realm", json!({"realm_id": desk.realm})).await.unwrap();
            assert_eq!(found.name(), "realm_found");
            found.at("/realm_attrs/owner_account").clone()
        };
        for operator in [&desk.operator, &second] {
            let expected = json!({"channels": {"quota": 7, "available": 6},
                "queues": {"quota": 1000, "available": 999}, "queue_members": {"quota": 1000}});
            while described(operator).await != expected {}
        }
        for other in [&desk.agent, &stranger] {
            assert_eq!(described(other).await, Value::Null);
        }
        let absent = json!({"realm_id": "00absent0000000000"});
        assert_eq!(refused(stranger.ask("describe_realm", absent).await), "realm_not_found");
    })
    .await;
}
