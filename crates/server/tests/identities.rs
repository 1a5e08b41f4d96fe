//! Identities: how they are verified by mail, change, and go; their passwords.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::new_user;
use levee_client::{Error, Event, Options};
use serde_json::{Value, json};
use support::mail::{anybody, enter, of, verified, verify};
use support::{LIMIT, Server, assert_error, is_well, mail, refused, within};

async fn reset(server: &Server, key: &str, password: &str) -> Event {
    anybody(server, "reset_identity_auth", json!({"access_key": key, "identity_auth_new": password})).await
}

#[tokio::test]
async fn an_identity_is_good_for_logging_in_once_its_address_has_said_so() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let mut ann = server.guest("Ann").await;
        let wish = json!({"identity_auth_new": "secret", "identity_attrs": {"public": true}});
        let created = ann.ask("create_identity", of("Ann@Example.org", wish)).await.unwrap();
        assert_eq!((created.name(), created.str("user_id")), ("identity_created", ann.user_id()));
        assert_eq!(
            (created.str("identity_type"), created.str("identity_name")),
            ("email", "ann@example.org")
        );
        assert_eq!(created["identity_attrs"], json!({"auth": true, "pending": true, "public": true}));
        let sent = mail::nth(&smtp, 1).await;
        assert_eq!(
            (sent.from.as_str(), sent.to.as_slice()),
            ("chat@example.org", &["ann@example.org".to_owned()][..])
        );
        assert_eq!(refused(enter(&server, "ann@example.org", "secret").await), "access_denied");
        let key = mail::key(&sent);
        let found = anybody(&server, "describe_access", json!({"access_key": key})).await;
        assert_eq!(
            (found.str("access_type"), found.str("identity_name")),
            ("identity_verify", "ann@example.org")
        );
        assert_eq!((found.str("user_id"), found.at("/user_attrs/name")), (ann.user_id(), &json!("Ann")));
        let accepted = verify(&server, &key, true).await;
        assert_eq!(
            (accepted.name(), &accepted["identity_attrs"]),
            ("identity_updated", &json!({"auth": true, "public": true}))
        );
        let heard = ann.events.named("identity_updated").await.unwrap();
        assert_eq!(heard["identity_attrs"], accepted["identity_attrs"]);
        assert!(enter(&server, "ANN@example.org", "secret").await.is_ok());
        assert_eq!(refused(enter(&server, "ann@example.org", "wrong").await), "access_denied");
        assert_eq!(verify(&server, &key, true).await.error_type(), "access_already_spent");
        let found = ann.ask("describe_user", json!({})).await.unwrap();
        assert_eq!(found.at("/user_identities/email/ann@example.org"), &accepted["identity_attrs"]);
    })
    .await;
}

#[tokio::test]
async fn a_new_user_verifies_an_address_where_mail_goes_out() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let new = new_user("ann@example.org", "secret", "Ann");
        let ann = server.open(new, Options::default()).await;
        assert_eq!(
            ann.created()["user_identities"]["email"]["ann@example.org"],
            json!({"auth": true, "pending": true})
        );
        assert_eq!(refused(enter(&server, "ann@example.org", "secret").await), "access_denied");
        let key = mail::key(&mail::nth(&smtp, 1).await);
        // It is not hers.
        let rejected = verify(&server, &key, false).await;
        assert_eq!(rejected["identity_attrs"], json!({"rejected": true}));
        assert_eq!(refused(enter(&server, "ann@example.org", "secret").await), "access_denied");
        let ben = server.guest("Ben").await;
        verified(&server, &smtp, &ben, "ann@example.org", "his own").await;
        // What she does about it touches nothing of his.
        ann.ask("delete_identity", of("ann@example.org", json!({}))).await.unwrap();
        assert!(enter(&server, "ann@example.org", "his own").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail_and_strangers_learn_nothing() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let ann = server.guest("Ann").await;
        verified(&server, &smtp, &ann, "ann@example.org", "first").await;
        let ask = async |name: &str| {
            let answer = anybody(&server, "request_identity_auth_reset_access", of(name, json!({}))).await;
            assert_eq!((answer.name(), answer.str("access_type")), ("access_created", "identity_auth_reset"));
            answer.header().clone()
        };
        assert_eq!(ask("ann@example.org").await, ask("nobody@example.org").await);
        let sent = mail::nth(&smtp, 2).await;
        assert_eq!(sent.to, ["ann@example.org"]);
        let key = mail::key(&sent);
        let (first, second) = tokio::join!(reset(&server, &key, "one"), reset(&server, &key, "two"));
        let (password, other, refusal) = match first.name() {
            "identity_updated" => ("one", "two", second),
            _ => ("two", "one", first),
        };
        assert_eq!(refusal.error_type(), "access_already_spent");
        assert!(enter(&server, "ann@example.org", password).await.is_ok());
        for wrong in ["first", other] {
            assert_eq!(refused(enter(&server, "ann@example.org", wrong).await), "access_denied");
        }
        // Further wishes are as quiet for the one as for the other, but nobody is flooded.
        for _ in 0..8 {
            assert_eq!(ask("ann@example.org").await, ask("nobody@example.org").await);
        }
        let own = ann.ask("request_identity_auth_reset_access", of("ann@example.org", json!({}))).await;
        assert_eq!(refused(own), "send_rate_limited");
        assert!(smtp.taken().iter().all(|mail| mail.to == ["ann@example.org"]) && smtp.taken().len() <= 5);
        assert_eq!(reset(&server, "guessed", "x").await.error_type(), "access_denied");
        assert_eq!(verify(&server, &key, true).await.error_type(), "access_already_spent");
    })
    .await;
}

#[tokio::test]
async fn an_identity_without_a_password_gets_one_by_its_link() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let ann = server.user("ann").await;
        let wish = of("second@example.org", json!({}));
        let created = ann.ask("create_identity_with_auth_reset_access", wish).await.unwrap();
        assert_eq!(
            (created.name(), &created["identity_attrs"]),
            ("identity_created", &json!({"pending": true}))
        );
        mail::nth(&smtp, 2).await;
        // The one to her first address may have been slower.
        let sent = smtp.taken().into_iter().find(|mail| mail.to == ["second@example.org"]).unwrap();
        let key = mail::key(&sent);
        let done = reset(&server, &key, "chosen").await;
        assert_eq!((done.name(), &done["identity_attrs"]), ("identity_updated", &json!({"auth": true})));
        assert!(enter(&server, "second@example.org", "chosen").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn the_link_is_sent_again_while_an_identity_is_pending() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let ann = server.guest("Ann").await;
        ann.ask("create_identity", of("ann@example.org", json!({}))).await.unwrap();
        let again = of("ann@example.org", json!({}));
        let told = ann.ask("request_identity_verify_access", again.clone()).await.unwrap();
        assert_eq!((told.name(), told.str("access_type")), ("access_created", "identity_verify"));
        assert!(told["access_key"].is_null());
        let found = ann.ask("send_access", again.clone()).await.unwrap();
        assert_eq!(
            (found.str("access_type"), found.str("identity_name")),
            ("identity_verify", "ann@example.org")
        );
        let last = mail::key(&mail::nth(&smtp, 3).await);
        assert_eq!(verify(&server, &last, true).await.name(), "identity_updated");
        let first = mail::key(&mail::nth(&smtp, 1).await);
        assert_eq!(verify(&server, &first, false).await.error_type(), "access_already_spent");
        assert_eq!(refused(ann.ask("send_access", again).await), "identity_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_password_is_changed_and_removed_by_who_knows_it() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let ann = server.user("ann").await;
        let name = "ann@example.org";
        let change =
            |old: Value, new: Value| of(name, json!({"identity_auth": old, "identity_auth_new": new}));
        for wrong in [json!("wrong"), Value::Null, json!("")] {
            let outcome = ann.ask("update_identity_auth", change(wrong.clone(), json!("new"))).await;
            assert_eq!(refused(outcome), "access_denied");
            let outcome = ann.ask("delete_identity", of(name, json!({"identity_auth": wrong}))).await;
            assert_eq!(refused(outcome), "access_denied");
        }
        let updated =
            ann.ask("update_identity_auth", change(json!("secret-ann"), json!("new"))).await.unwrap();
        assert_eq!(
            (updated.name(), &updated["identity_attrs"]),
            ("identity_updated", &json!({"auth": true}))
        );
        server.kill();
        server.restart().await;
        assert!(enter(&server, name, "new").await.is_ok());
        assert_eq!(refused(enter(&server, name, "secret-ann").await), "access_denied");
        ann.online().await.unwrap();
        let gone = ann.ask("update_identity_auth", change(json!("new"), Value::Null)).await.unwrap();
        assert_eq!(gone["identity_attrs"], json!({}));
        assert_eq!(refused(enter(&server, name, "new").await), "access_denied");
        let deleted = ann.ask("delete_identity", of(name, json!({}))).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("identity_name")), ("identity_deleted", name));
        assert_eq!(refused(ann.ask("describe_identity", of(name, json!({}))).await), "identity_not_found");
        // It is free again.
        assert_eq!(
            server.user("ann").await.created()["user_identities"]["email"][name],
            json!({"auth": true})
        );
    })
    .await;
}

#[tokio::test]
async fn of_two_who_want_one_name_one_gets_it() {
    within(LIMIT, async {
        let (server, _smtp) = mail::start().await;
        let (ann, ben) = (server.guest("ann").await, server.guest("ben").await);
        for number in 0..5 {
            let wish = of(&format!("{number}@example.org"), json!({}));
            let (first, second) = tokio::join!(
                ann.ask("create_identity", wish.clone()),
                ben.ask("create_identity", wish.clone())
            );
            let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
            assert_eq!(won.unwrap().name(), "identity_created");
            assert_eq!(refused(lost), "identity_already_exists");
        }
    })
    .await;
}

#[tokio::test]
async fn others_identities_look_absent_unless_they_are_shown() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let stranger = server.user("stranger").await;
        let (shown, absent) = ("agent@example.org", "nobody@example.org");
        for name in [shown, absent] {
            for (action, header) in [
                ("describe_identity", json!({})),
                ("update_identity", json!({"identity_attrs": {"public": true}})),
                ("update_identity_auth", json!({"identity_auth": "secret-agent", "identity_auth_new": "x"})),
                ("delete_identity", json!({"identity_auth": "secret-agent"})),
            ] {
                let Err(Error::Rejected(event)) = stranger.ask(action, of(name, header)).await else {
                    panic!("{action} of {name}");
                };
                assert_eq!(
                    (event.error_type(), event.str("identity_name")),
                    ("identity_not_found", name),
                    "{action}"
                );
                assert!(event["error_reason"].is_null(), "{event:?}");
            }
        }
        let protect = of(shown, json!({"identity_attrs": {"protected": true}}));
        let updated = desk.agent.ask("update_identity", protect).await.unwrap();
        assert_eq!(updated["identity_attrs"], json!({"auth": true, "protected": true}));
        let found = desk.operator.ask("describe_identity", of(shown, json!({}))).await.unwrap();
        assert_eq!((found.name(), found.str("user_id")), ("identity_found", desk.agent.user_id()));
        assert!(found["identity_attrs"].is_null(), "{found:?}");
        let refusal = stranger.ask("describe_identity", of(shown, json!({}))).await;
        assert_eq!(refused(refusal), "identity_not_found");
        desk.agent
            .ask("update_identity", of(shown, json!({"identity_attrs": {"public": true}})))
            .await
            .unwrap();
        assert!(stranger.ask("describe_identity", of(shown, json!({}))).await.is_ok());
        let own = desk.agent.ask("describe_identity", of(shown, json!({}))).await.unwrap();
        assert_eq!(own["identity_attrs"], json!({"auth": true, "protected": true, "public": true}));
    })
    .await;
}

#[tokio::test]
async fn bad_input_about_identities_gets_a_clear_error() {
    within(LIMIT, async {
        let (server, smtp) = mail::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let long = format!("{}@example.org", "x".repeat(300));
        for (number, (error, mut header)) in (1..).zip([
            ("request_malformed", json!({"action": "create_identity"})),
            (
                "request_malformed",
                json!({"action": "create_identity", "identity_type": 5, "identity_name": "a@b.c"}),
            ),
            (
                "action_not_supported",
                json!({"action": "create_identity", "identity_type": "gcm", "identity_name": "x"}),
            ),
            ("request_malformed", of("nobody", json!({"action": "create_identity"}))),
            ("request_malformed", of("a@b.c\r\nBcc: d@e.f", json!({"action": "create_identity"}))),
            ("request_malformed", of(&long, json!({"action": "create_identity"}))),
            (
                "request_malformed",
                of("a@b.c", json!({"action": "create_identity", "identity_auth_new": "x".repeat(2_000)})),
            ),
            (
                "permission_denied",
                of("a@b.c", json!({"action": "create_identity", "identity_attrs": {"auth": true}})),
            ),
            ("request_malformed", json!({"action": "verify_identity", "access_key": "x"})),
            (
                "access_denied",
                json!({"action": "verify_identity", "access_key": "x", "identity_accept": true}),
            ),
            ("request_malformed", json!({"action": "reset_identity_auth", "access_key": "x"})),
            (
                "access_denied",
                json!({"action": "reset_identity_auth", "access_key": "x", "identity_auth_new": "y"}),
            ),
            ("request_malformed", of("a@b.c", json!({"action": "update_identity"}))),
            ("identity_not_found", of("", json!({"action": "describe_identity"}))),
            ("request_malformed", json!({"action": "send_access"})),
            ("request_malformed", of("nobody", json!({"action": "send_access", "access_key": "x"}))),
            ("access_denied", of("a@b.c", json!({"action": "send_access", "access_key": "x"}))),
            ("identity_not_found", of("a@b.c", json!({"action": "send_access"}))),
        ]) {
            header["action_id"] = number.into();
            let answer = socket.ask(header.clone(), &[]).await.unwrap();
            assert_error(&answer, error, Some(number));
        }
        is_well(&mut socket).await;
        assert_eq!(smtp.taken().len(), 0);
    })
    .await;
}
