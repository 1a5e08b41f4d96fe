//! Identities: how they are verified by mail, change, and go; their passwords.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::{login, new_user};
use levee_client::{Error, Event, Options, Session};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, assert_error, is_well, mail, refused, within};

/// An identity's parameters, with others.
fn of(name: &str, mut header: Value) -> Value {
    header["identity_type"] = "email".into();
    header["identity_name"] = name.into();
    header
}

async fn enter(server: &Server, name: &str, password: &str) -> Result<(), Error> {
    let opened = Session::create(&server.address(), login(name, password), Options::default()).await;
    opened.map(|_| ())
}

/// Somebody without a session asks for something.
async fn anybody(server: &Server, action: &str, header: Value) -> Event {
    Caller::anonymous(server.address()).post(action, header).await.unwrap()
}

async fn verify(server: &Server, key: &str, accept: bool) -> Event {
    anybody(server, "verify_identity", json!({"access_key": key, "identity_accept": accept})).await
}

async fn reset(server: &Server, key: &str, password: &str) -> Event {
    anybody(server, "reset_identity_auth", json!({"access_key": key, "identity_auth_new": password})).await
}

/// Adds an identity with a password and has it verified; `mails` have come before.
async fn verified(server: &Server, smtp: &levee_testbed::Smtp, person: &Person, name: &str, password: &str) {
    let mails = smtp.taken().len();
    person.ask("create_identity", of(name, json!({"identity_auth_new": password}))).await.unwrap();
    let key = mail::key(&mail::nth(smtp, mails + 1).await);
    assert_eq!(verify(server, &key, true).await.name(), "identity_updated");
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
