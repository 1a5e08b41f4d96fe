//! Puppets: made by their masters, logged in by signatures and tokens, spoken for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::Target;
use levee_client::{Error, Options, Session};
use serde_json::{Value, json};
use support::cluster::Cluster;
use support::people::Person;
use support::signer::{Signer, in_seconds};
use support::{LIMIT, Server, refused, within};

/// A key of one's own.
async fn key(of: &Person) -> Signer {
    let made = of.ask("create_master_key", json!({})).await.unwrap();
    Signer::new(made.str("master_key_id"), made.str("master_key_secret"))
}

/// A key for tokens.
async fn token_key(of: &Person) -> Signer {
    let signer = Signer::random(&format!("key-{:08x}", rand::random::<u32>()));
    let wish = json!({"master_key_type": "jwt", "master_key_id": signer.id});
    of.send("create_master_key", wish, vec![signer.secret.clone().into()]).await.unwrap();
    signer
}

async fn enter(server: &Server, mut parameters: Value) -> Result<Person, Error> {
    parameters["message_types"] = json!(["*"]);
    let opened = Session::create(&server.address(), parameters, Options::default()).await;
    opened.map(|(session, events)| Person { session, events })
}

/// The error with which somebody was kept out.
fn kept_out(outcome: Result<Person, Error>) -> String {
    refused(outcome.map(|person| person.id().to_owned()))
}

#[tokio::test]
async fn a_user_makes_a_puppet_and_speaks_for_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (master, stranger) = (server.user("master").await, server.user("stranger").await);
        let wish =
            json!({"puppet_attrs": {"name": "P"}, "user_attrs": {"name": "U"}, "user_settings": {"a": 1}});
        let made = master.ask("create_user", wish).await.unwrap();
        let masters = json!({master.user_id(): {"puppet_attrs": {"name": "P"}}});
        assert_eq!(
            (made.name(), &made["user_attrs"]),
            ("user_created", &json!({"name": "U", "guest": true}))
        );
        assert_eq!((&made["puppet_masters"], &made["user_settings"]), (&masters, &json!({"a": 1})));
        assert_eq!(made["user_auth"], Value::Null);
        let puppet = made.str("user_id");

        // As the puppet: its own account, and what it may do.
        let own = master.ask("describe_user", json!({"puppet_id": puppet})).await.unwrap();
        assert_eq!((own.str("user_id"), &own["user_settings"]), (puppet, &json!({"a": 1})));
        assert_eq!(own["puppet_masters"], masters);
        let change = json!({"puppet_id": puppet, "user_attrs": {"name": "Other"}});
        let changed = master.ask("update_user", change).await.unwrap();
        assert_eq!((changed.name(), changed.str("user_id")), ("user_updated", puppet));
        let other = server.guest("Other").await;
        let to = json!({"puppet_id": puppet, "user_id": other.user_id(), "message_type": "ninchat.com/text"});
        let sent = master.send("send_message", to, vec![r#"{"text":"hi"}"#.into()]).await.unwrap();
        assert_eq!((sent.name(), sent.str("message_user_id")), ("message_received", puppet));

        // What others see of it, and may not do.
        let seen = other.ask("describe_user", json!({"user_id": puppet})).await.unwrap();
        assert_eq!((seen.at("/user_attrs/name"), &seen["puppet_masters"]), (&json!("Other"), &Value::Null));
        for (who, whom) in
            [(&stranger, puppet), (&master, stranger.user_id()), (&master, "00nobody00"), (&master, "..")]
        {
            let act = who.ask("describe_user", json!({"puppet_id": whom})).await;
            assert_eq!(refused(act), "user_not_found", "{whom}");
        }
        let ping = master.ask("ping", json!({"puppet_id": puppet})).await;
        assert_eq!(refused(ping), "action_not_supported");
        assert_eq!(
            refused(master.ask("create_user", json!({"user_attrs": {"name": 7}})).await),
            "request_malformed"
        );
    })
    .await;
}

#[tokio::test]
async fn calls_make_users_too() {
    within(LIMIT, async {
        let server = Server::start().await;
        let master = server.user("master").await;
        let auth = master.created().str("user_auth").to_owned();
        let mut calls = Caller::user(server.address(), master.user_id(), &auth);
        let puppet = calls.post("create_user", json!({"puppet_attrs": {"name": "P"}})).await.unwrap();
        assert_eq!(puppet.at(&format!("/puppet_masters/{}/puppet_attrs/name", master.user_id())), "P");
        assert_eq!(puppet["user_auth"], Value::Null);
        let own = json!({"puppet_id": puppet["user_id"]});
        let described = calls.post("describe_user", own).await.unwrap();
        assert_eq!(described["user_id"], puppet["user_id"]);
        let foreign = json!({"puppet_id": server.guest("Ann").await.user_id()});
        assert_eq!(calls.post("describe_user", foreign).await.unwrap().error_type(), "user_not_found");

        // Nobody calls: the user is nobody's, and has a token.
        let mut nobody = Caller::anonymous(server.address());
        let made =
            nobody.post("create_user", json!({"user_attrs": {"name": "N", "guest": false}})).await.unwrap();
        assert_eq!((made.name(), &made["user_attrs"]), ("user_created", &json!({"name": "N"})));
        let token = json!({"user_id": made["user_id"], "user_auth": made["user_auth"]});
        let person = enter(&server, token).await.unwrap();
        assert_eq!(person.user_id(), made.str("user_id"));
        for bad in
            [json!({"puppet_attrs": {"name": "P"}}), json!({"user_attrs": {"admin": true, "name": []}})]
        {
            assert_eq!(nobody.post("create_user", bad).await.unwrap().error_type(), "request_malformed");
        }
        assert_eq!(nobody.post("describe_user", json!({})).await.unwrap().error_type(), "access_denied");
    })
    .await;
}

#[tokio::test]
async fn a_signature_opens_one_session_of_a_puppet() {
    within(LIMIT, async {
        let server = Server::start().await;
        let master = server.user("master").await;
        let (own, soon) = (key(&master).await, in_seconds(60));
        let action = json!({"action": "create_session"});
        let with_name = json!({"action": "create_session", "puppet_attrs": [["name", "P"]]});
        let sign = own.sign(with_name, soon, false);
        let wish = json!({"master_sign": sign, "puppet_attrs": {"name": "P"}, "user_attrs": {"name": "U"}});
        let puppet = enter(&server, wish.clone()).await.unwrap();
        let created = puppet.created();
        assert_eq!(
            created.at(&format!("/puppet_masters/{}/puppet_attrs", master.user_id())),
            &json!({"name": "P"})
        );
        assert_eq!((created.at("/user_attrs/name"), &created["user_auth"]), (&json!("U"), &Value::Null));
        assert_eq!(kept_out(enter(&server, wish).await), "access_already_spent");

        // An existing one, in the other serialisation: even after its last session it is there.
        let id = puppet.user_id().to_owned();
        puppet.close().await;
        let existing = json!({"action": "create_session", "user_id": id});
        let sign = own.sign_in_old_form(existing.clone(), soon, false);
        let back = enter(&server, json!({"master_sign": sign, "user_id": id})).await.unwrap();
        assert_eq!((back.user_id(), back.created().at("/user_attrs/name")), (id.as_str(), &json!("U")));

        // All else is kept out, and is told the same.
        let other = server.user("other").await;
        let realm = master.create_realm("Realm").await.unwrap();
        let made = master.ask("create_master_key", json!({"realm_id": realm})).await.unwrap();
        let of_realm = Signer::new(made.str("master_key_id"), made.str("master_key_secret"));
        let foreign = key(&other).await;
        let of_other = json!({"action": "create_session", "user_id": other.user_id()});
        for (sign, user) in [
            (own.sign(of_other.clone(), soon, false), Some(other.user_id())),
            (foreign.sign(existing.clone(), soon, false), Some(id.as_str())),
            (own.sign(existing.clone(), soon, false), Some(other.user_id())),
            (own.sign(existing.clone(), soon, false), None),
            (own.sign(action.clone(), soon, true), None),
            (of_realm.sign(action.clone(), soon, false), None),
            (Signer::random("unknown").sign(action.clone(), soon, false), None),
            (own.sign(action.clone(), in_seconds(8 * 24 * 3600), false), None),
            ("rubbish".to_owned(), None),
            (String::new(), None),
        ] {
            let mut wish = json!({"master_sign": sign});
            if let Some(user) = user {
                wish["user_id"] = user.into();
            }
            assert_eq!(kept_out(enter(&server, wish).await), "access_denied", "{sign} {user:?}");
        }
        let late = json!({"master_sign": own.sign(action.clone(), in_seconds(-1), false)});
        assert_eq!(kept_out(enter(&server, late).await), "access_expired");
        let unknown_type = json!({"master_sign": own.sign(action, soon, false), "master_key_type": "rsa"});
        assert_eq!(kept_out(enter(&server, unknown_type).await), "request_malformed");
        assert_eq!(
            kept_out(enter(&server, json!({"puppet_attrs": {"name": "P"}})).await),
            "request_malformed"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_leads_to_the_same_puppet_on_every_node() {
    within(LIMIT, async {
        let cluster = Cluster::start(2).await;
        let master = cluster.node(0).user("master").await;
        let tokens = token_key(&master).await;
        let soon = in_seconds(60);
        let login = |sub: &str, name: Option<&str>| {
            let mut claims = json!({"exp": soon, "sub": sub});
            if let Some(name) = name {
                claims["preferred_username"] = name.into();
            }
            json!({"master_sign": tokens.token(&claims), "master_key_type": "jwt"})
        };
        // At once, on both nodes: one user.
        let (a, b) = tokio::join!(
            enter(cluster.node(0), login("customer 1", Some("Ann"))),
            enter(cluster.node(1), login("customer 1", Some("Ann")))
        );
        let (a, mut b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.user_id(), b.user_id());
        let name = format!("/puppet_masters/{}/puppet_attrs/name", master.user_id());
        assert_eq!(a.created().at(&name), "Ann");
        let other = enter(cluster.node(0), login("customer 2", None)).await.unwrap();
        assert_ne!(a.user_id(), other.user_id());
        // The master renames it; those who are there hear of it.
        let renamed = enter(cluster.node(0), login("customer 1", Some("Anna"))).await.unwrap();
        assert_eq!((renamed.user_id(), renamed.created().at(&name)), (a.user_id(), &json!("Anna")));
        assert_eq!(b.events.named("user_updated").await.unwrap().at(&name), "Anna");
        // It talks like anybody.
        let channel = a.create_channel(json!({})).await.unwrap();
        a.send_text(&Target::Channel(channel), "hello").await.unwrap();
        // Deleted, the master's name for it leads to another user.
        let first = a.user_id().to_owned();
        a.ask("delete_user", json!({})).await.unwrap();
        let second = enter(cluster.node(1), login("customer 1", Some("Ann"))).await.unwrap();
        assert_ne!(second.user_id(), first);

        let denied = |claims: &Value| json!({"master_sign": tokens.token(claims), "master_key_type": "jwt"});
        for claims in [
            json!({"exp": soon}),
            json!({"sub": "", "exp": soon}),
            json!({"sub": 7, "exp": soon}),
            json!({"sub": "x"}),
            json!({"sub": "x", "exp": in_seconds(8 * 24 * 3600)}),
        ] {
            assert_eq!(kept_out(enter(cluster.node(0), denied(&claims)).await), "access_denied", "{claims}");
        }
        let late = json!({"sub": "x", "exp": in_seconds(-1)});
        assert_eq!(kept_out(enter(cluster.node(0), denied(&late)).await), "access_expired");
        let mut other_type = login("customer 1", None);
        other_type["master_key_type"] = "ninchat".into();
        assert_eq!(kept_out(enter(cluster.node(0), other_type).await), "access_denied");
    })
    .await;
}
