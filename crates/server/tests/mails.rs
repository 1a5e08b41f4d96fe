//! Mails: they go out for certain, to whom they may, and not too often; keys that are sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::{Error, Event, Options, Session};
use serde_json::json;
use support::mail::{enter, of, verified, verify};
use support::{LIMIT, Server, mail, refused, within};

#[tokio::test]
async fn a_mail_is_sent_until_the_server_takes_it_and_survives_a_crash() {
    within(LIMIT, async {
        let (mut server, smtp) = mail::start().await;
        smtp.answer(levee_testbed::Verdict::Later);
        let ann = server.guest("Ann").await;
        ann.ask("create_identity", of("ann@example.org", json!({}))).await.unwrap();
        let deferred = async |times: u32| {
            while smtp.refused() < times {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        deferred(2).await;
        server.kill();
        let before = smtp.refused();
        server.restart().await;
        deferred(before + 1).await;
        smtp.answer(levee_testbed::Verdict::Take);
        let key = mail::key(&mail::nth(&smtp, 1).await);
        assert_eq!(verify(&server, &key, true).await.name(), "identity_updated");
        // What is hopeless is given up, and counted.
        smtp.answer(levee_testbed::Verdict::Never);
        ann.online().await.unwrap();
        ann.ask("create_identity", of("other@example.org", json!({}))).await.unwrap();
        let mut http = levee_client::http::Http::new(server.address());
        loop {
            let metrics = http.get("/metrics").await.unwrap().text();
            if metrics.contains("levee_mails_total{outcome=\"given_up\"} 1") {
                assert!(metrics.contains("levee_mails_total{outcome=\"sent\"} 1"), "{metrics}");
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        // It is not taken up again.
        server.kill();
        smtp.answer(levee_testbed::Verdict::Take);
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        server.restart().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(smtp.taken().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_mail_of_a_node_that_died_is_sent_by_another() {
    within(4 * LIMIT, async {
        let smtp = levee_testbed::Smtp::start().unwrap();
        let mut cluster = mail::cluster_to(&smtp, 2).await;
        smtp.answer(levee_testbed::Verdict::Later);
        let ann = cluster.guest(0, "Ann").await;
        ann.ask("create_identity", of("ann@example.org", json!({"identity_auth_new": "secret"})))
            .await
            .unwrap();
        while smtp.refused() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        cluster.end(0, levee_testbed::Signal::Kill).await;
        smtp.answer(levee_testbed::Verdict::Take);
        let key = mail::key(&mail::nth(&smtp, 1).await);
        assert_eq!(verify(cluster.node(1), &key, true).await.name(), "identity_updated");
        assert!(enter(cluster.node(1), "ann@example.org", "secret").await.is_ok());
        assert_eq!(smtp.taken().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_sent_by_mail_and_by_message() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let ann = server.guest("Ann").await;
        let channel = ann.create_channel(json!({"name": "Room", "private": true})).await.unwrap();
        let made = json!({"access_type": "channel", "channel_id": channel});
        let made = ann.ask("create_access", made).await.unwrap();
        let key = json!({"access_key": made["access_key"]});
        let found = ann.ask("send_access", of("ben@example.org", key.clone())).await.unwrap();
        assert_eq!((found.name(), found.str("channel_id")), ("access_found", channel.as_str()));
        let sent = mail::nth(&smtp, 1).await;
        assert_eq!(sent.to, ["ben@example.org"]);
        assert!(sent.body().contains("Ann invites you to \"Room\""), "{}", sent.body());
        let mut ben = server.guest("Ben").await;
        let to_ben = json!({"access_key": made["access_key"], "user_id": ben.user_id()});
        assert_eq!(ann.ask("send_access", to_ben.clone()).await.unwrap().str("access_type"), "channel");
        let is_invitation = |event: &Event| event.str("message_type") == "ninchat.com/info/access";
        let told = ben.events.find("the invitation", is_invitation).await.unwrap();
        assert_eq!(told.payload()["access_key"], made["access_key"]);
        // Who has it from them may use it, and not send it on.
        assert_eq!(
            refused(ben.ask("send_access", of("cleo@example.org", key.clone())).await),
            "permission_denied"
        );
        ben.ask("join_channel", json!({"access_key": mail::key(&sent)})).await.unwrap();
        assert_eq!(refused(ann.ask("send_access", to_ben).await), "access_already_spent");
        // Who wants no such mails gets none.
        verified(&server, &smtp, &ben, "ben@example.org", "secret").await;
        let block = of("ben@example.org", json!({"identity_attrs": {"blocked": true}}));
        ben.ask("update_identity", block).await.unwrap();
        let made = json!({"access_type": "channel", "channel_id": channel});
        let made = ann.ask("create_access", made).await.unwrap();
        let key = json!({"access_key": made["access_key"]});
        assert_eq!(
            refused(ann.ask("send_access", of("ben@example.org", key.clone())).await),
            "access_blocked"
        );
        for _ in 0..5 {
            ann.ask("send_access", of("cleo@example.org", key.clone())).await.unwrap();
        }
        assert_eq!(refused(ann.ask("send_access", of("cleo@example.org", key)).await), "send_rate_limited");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_flooded_by_users_who_come_and_go() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        loop {
            let new = json!({"identity_type_new": "email", "identity_name_new": "victim@example.org"});
            match Session::create(&server.address(), new, Options::default()).await {
                Ok((session, _)) => drop(session.close().await),
                Err(Error::Rejected(event)) if event.error_type() == "send_rate_limited" => break,
                // The one before it is not gone yet.
                outcome => assert_eq!(refused(outcome.map(|_| ())), "identity_already_exists"),
            }
        }
        // Others are not affected. Their mails come after those before them.
        let ann = server.guest("Ann").await;
        ann.ask("create_identity", of("ann@example.org", json!({}))).await.unwrap();
        while smtp.taken().iter().all(|mail| mail.to != ["ann@example.org"]) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mails = smtp.taken().iter().filter(|mail| mail.to == ["victim@example.org"]).count();
        assert!((1..=10).contains(&mails), "{mails}");
    })
    .await;
}

#[tokio::test]
async fn without_a_mail_server_what_takes_mails_is_not_supported() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        for (action, header) in [
            ("create_identity", json!({})),
            ("create_identity_with_auth_reset_access", json!({})),
            ("request_identity_verify_access", json!({})),
            ("request_identity_auth_reset_access", json!({})),
            ("send_access", json!({"access_key": "guessed"})),
        ] {
            let Err(Error::Rejected(event)) = ann.ask(action, of("a@example.org", header)).await else {
                panic!("{action}");
            };
            assert_eq!(event.error_type(), "action_not_supported", "{action}");
            assert_eq!(event.str("error_reason"), "no mail goes out from this server", "{action}");
        }
    })
    .await;
}
