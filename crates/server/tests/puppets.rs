//! Puppets: made by their masters, logged in by signatures and tokens, spoken for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::Target;
use levee_client::{Error, Event, Options, Session};
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
        assert_eq!(master.ask("ping", json!({"puppet_id": puppet})).await.unwrap().name(), "pong");
        for about_session in ["describe_conn", "close_session"] {
            let refusal = refused(master.ask(about_session, json!({"puppet_id": puppet})).await);
            assert_eq!(refusal, "action_not_supported", "{about_session}");
        }
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

/// A full user who is somebody's puppet.
async fn puppet(of: &Person, name: &str) -> String {
    let wish = json!({"user_attrs": {"name": name, "guest": false}});
    of.ask("create_user", wish).await.unwrap().str("user_id").to_owned()
}

/// Does something through a puppet; a function of the wish, so that it reads as an action.
async fn through(master: &Person, puppet: &str, action: &str, mut wish: Value) -> Event {
    wish["puppet_id"] = puppet.into();
    let asked = format!("{action} {wish}");
    master.ask(action, wish).await.unwrap_or_else(|error| panic!("{asked}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_has_an_organisation_run_by_puppets() {
    within(LIMIT, async {
        let cluster = Cluster::start(2).await;
        let mut master = cluster.node(0).user("master").await;
        let boss = puppet(&master, "Boss").await;
        let agent = puppet(&master, "Agent").await;
        let customer = puppet(&master, "Customer").await;

        let realm = through(&master, &boss, "create_realm", json!({"realm_attrs": {"name": "R"}})).await;
        assert_eq!((realm.name(), realm.at("/realm_attrs/owner_id")), ("realm_joined", &json!(boss)));
        let realm = realm.str("realm_id").to_owned();
        let made = json!({"realm_id": realm, "queue_attrs": {"name": "Q"}});
        let made = through(&master, &boss, "create_queue", made).await;
        assert_eq!((made.name(), made.at("/queue_attrs/name")), ("queue_created", &json!("Q")));
        let queue = made.str("queue_id").to_owned();
        let in_realm = json!({"realm_id": realm, "user_id": agent, "member_attrs": {}});
        through(&master, &boss, "add_member", in_realm).await;
        through(&master, &boss, "add_member", json!({"queue_id": queue, "user_id": agent})).await;

        // The customer looks, waits and is met; no session of theirs is there.
        let seen = json!({"realm_id": realm});
        let seen = through(&master, &customer, "describe_realm_queues", seen).await;
        let at = format!("/realm_queues/{queue}");
        assert_eq!(
            (seen.name(), seen.at(&format!("{at}/queue_attrs/name"))),
            ("realm_queues_found", &json!("Q"))
        );
        assert_eq!(seen.at(&format!("{at}/queue_position")), &Value::Null);
        let asks = json!({"queue_id": queue, "audience_metadata": {"page": "/"}});
        let waits = through(&master, &customer, "request_audience", asks).await;
        assert_eq!((waits.name(), &waits["queue_position"]), ("audience_enqueued", &json!(1)));
        let seen = json!({"realm_id": realm});
        let seen = through(&master, &customer, "describe_realm_queues", seen).await;
        assert_eq!(seen.at(&format!("{at}/queue_position")), 1);
        let met = through(&master, &agent, "accept_audience", json!({"queue_id": queue})).await;
        assert_eq!((met.name(), met.at("/audience_metadata/page")), ("channel_joined", &json!("/")));
        assert_eq!(met.at(&format!("/channel_members/{agent}/member_attrs/operator")), true);
        assert!(met.at(&format!("/channel_members/{customer}")).is_object());
        let channel = met.str("channel_id").to_owned();
        let text = json!({"puppet_id": customer, "channel_id": channel, "message_type": "ninchat.com/text"});
        let said = master.send("send_message", text, vec![r#"{"text":"hello"}"#.into()]).await.unwrap();
        assert_eq!(said.str("message_user_id"), customer);
        // It may not be transferred; that is told as well.
        let wish = json!({"puppet_id": agent, "audience_id": waits["audience_id"], "queue_id": queue});
        assert_eq!(refused(master.ask("transfer_audience", wish).await), "permission_denied");
        let made = json!({"queue_id": queue, "user_id": agent});
        assert_eq!(through(&master, &agent, "create_audience", made).await.name(), "channel_created");

        // Nobody else has come into anything: the master itself least of all.
        let own = master.ask("describe_user", json!({})).await.unwrap();
        assert_eq!((&own["user_realms"], &own["user_channels"]), (&json!({}), &json!({})));
        // The queue's changes are heard of until an audience was requested.
        let close = json!({"queue_id": queue, "queue_attrs": {"closed": true}});
        through(&master, &boss, "update_queue", close).await;
        let gone = through(&master, &customer, "delete_user", json!({})).await;
        assert_eq!((gone.name(), gone.str("user_id")), ("user_deleted", customer.as_str()));
        let late = json!({"puppet_id": customer});
        assert_eq!(refused(master.ask("describe_user", late).await), "user_not_found");
        while let Some(event) = master.events.here() {
            assert!(event.action_id().is_some() || event.name() == "queue_updated", "{event:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_puppet_makes_joins_and_follows_channels() {
    within(LIMIT, async {
        let cluster = Cluster::start(2).await;
        let mut master = cluster.node(0).user("master").await;
        let (ann, ben) = (puppet(&master, "Ann").await, puppet(&master, "Ben").await);
        let attrs = json!({"channel_attrs": {"name": "C", "followable": true, "disclosed_since": 1}});
        let made = through(&master, &ann, "create_channel", attrs).await;
        assert_eq!((made.name(), made.at("/channel_attrs/owner_id")), ("channel_joined", &json!(ann)));
        let channel = made.str("channel_id").to_owned();
        let here = json!({"channel_id": channel});
        let joined = through(&master, &ben, "join_channel", here.clone()).await;
        assert_eq!((joined.name(), joined.at("/channel_attrs/name")), ("channel_joined", &json!("C")));
        let again = json!({"channel_id": channel, "puppet_id": ben});
        assert_eq!(refused(master.ask("join_channel", again).await), "permission_denied");

        // The master's session hears of the channel once it follows it; a guest, who may, writes.
        let found = through(&master, &ben, "follow_channel", here.clone()).await;
        assert_eq!(found.name(), "channel_found");
        let guest = cluster.node(1).guest("Guest").await;
        guest.ask("join_channel", here.clone()).await.unwrap();
        guest.send_text(&Target::Channel(channel.clone()), "hello").await.unwrap();
        let heard = master.events.find("the guest's word", |event| {
            event.name() == "message_received" && event.str("message_user_id") == guest.user_id()
        });
        assert_eq!(heard.await.unwrap().str("channel_id"), channel);
        let parted = through(&master, &ben, "part_channel", here).await;
        assert_eq!(parted.name(), "channel_parted");

        // What the puppet may not, its master may not through it.
        let private = json!({"channel_attrs": {"private": true}});
        let secret = guest.ask("create_channel", private).await.unwrap();
        for id in [secret.str("channel_id"), "00nowhere00"] {
            for action in ["join_channel", "follow_channel"] {
                let wish = json!({"channel_id": id, "puppet_id": ann});
                assert_eq!(refused(master.ask(action, wish).await), "channel_not_found", "{action} {id}");
            }
        }
        for (action, wish) in [
            ("create_channel", json!({"channel_attrs": {"name": 7}})),
            ("join_channel", json!({})),
            ("request_audience", json!({})),
            ("create_realm", json!({"realm_attrs": {"name": []}})),
        ] {
            let mut wish = wish;
            wish["puppet_id"] = ann.as_str().into();
            assert_eq!(refused(master.ask(action, wish).await), "request_malformed", "{action}");
        }
        let found = master.ask("search_users", json!({"puppet_id": ann, "search_term": "Be"})).await;
        assert_eq!(found.unwrap().name(), "search_results");
        let ice = master.ask("begin_ice", json!({"puppet_id": ann})).await.unwrap();
        assert_eq!(ice.name(), "ice_begun");
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_again_through_a_puppet_takes_effect_once() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let made = json!({"action": "create_user", "action_id": 1, "user_attrs": {"guest": false}});
        let made = socket.ask(made, &[]).await.unwrap();
        let puppet = made["user_id"].clone();
        let twice =
            |action_id: u64| json!({"action": "create_channel", "action_id": action_id, "puppet_id": puppet});
        for header in [twice(2), twice(2), twice(2), twice(3)] {
            socket.action(header, &[]).await.unwrap();
        }
        let mut channels = Vec::new();
        while channels.len() < 2 {
            let joined = socket.named("channel_joined").await.unwrap();
            channels.push((joined.action_id(), joined.str("channel_id").to_owned()));
        }
        channels.sort();
        assert_eq!(channels.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [Some(2), Some(3)]);
        // And what the session has not taken yet, it gets again.
        socket.action(twice(3), &[]).await.unwrap();
        let token = json!({"action": "describe_user", "action_id": 4, "puppet_id": puppet});
        let own = socket.ask(token, &[]).await.unwrap();
        assert_eq!(own.str("user_id"), puppet);
    })
    .await;
}

#[tokio::test]
async fn calls_come_into_channels_and_realms() {
    within(LIMIT, async {
        let server = Server::start().await;
        let master = server.user("master").await;
        let mut calls = Caller::email(server.address(), "master@example.org", "secret-master");
        let channel = calls.post("create_channel", json!({"channel_attrs": {"name": "C"}})).await.unwrap();
        assert_eq!(channel.name(), "channel_joined");
        let realm = calls.post("create_realm", json!({"realm_attrs": {"name": "R"}})).await.unwrap();
        assert_eq!(realm.at("/realm_attrs/owner_id"), master.user_id());
        let puppet = puppet(&master, "P").await;
        let join = json!({"channel_id": channel["channel_id"], "puppet_id": puppet});
        let joined = calls.post("join_channel", join.clone()).await.unwrap();
        assert!(joined.at(&format!("/channel_members/{puppet}")).is_object(), "{joined:?}");
        assert_eq!(calls.post("join_channel", join).await.unwrap().error_type(), "permission_denied");
        for bad in [json!({"channel_id": "00nowhere00"}), json!({"channel_id": realm["realm_id"]})] {
            assert_eq!(calls.post("join_channel", bad).await.unwrap().error_type(), "channel_not_found");
        }
        assert_eq!(calls.post("join_channel", json!({})).await.unwrap().error_type(), "request_malformed");
        let other = server.user("other").await.user_id().to_owned();
        let foreign = json!({"channel_id": channel["channel_id"], "puppet_id": other});
        assert_eq!(calls.post("join_channel", foreign).await.unwrap().error_type(), "user_not_found");
    })
    .await;
}

#[tokio::test]
async fn what_a_master_sets_is_shown_to_the_members_of_what_is_the_masters() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let (master, mut agent) = (&desk.operator, desk.agent);
        let tokens = token_key(master).await;
        let login = |name: &str| {
            let claims = json!({"exp": in_seconds(60), "sub": "customer", "preferred_username": name});
            json!({"master_sign": tokens.token(&claims), "master_key_type": "jwt"})
        };
        let puppet = enter(&server, login("P")).await.unwrap();
        let id = puppet.user_id().to_owned();
        let set = |name: &str| json!({"name": name});

        let theirs = master.create_channel(json!({"name": "C"})).await.unwrap();
        agent.join_channel(&theirs).await.unwrap();
        let foreign = agent.create_channel(json!({"name": "D"})).await.unwrap();
        let member = format!("/channel_members/{id}");
        for (channel, shown) in [(&theirs, set("P")), (&foreign, Value::Null)] {
            puppet.join_channel(channel).await.unwrap();
            let joined = agent.events.named("channel_member_joined").await.unwrap();
            assert_eq!((joined.str("user_id"), &joined["puppet_attrs"]), (id.as_str(), &shown));
            let found = agent.ask("describe_channel", json!({"channel_id": channel})).await.unwrap();
            assert!(found.at(&format!("{member}/user_attrs")).is_object());
            assert_eq!(found.at(&format!("{member}/puppet_attrs")), &shown);
        }
        let wish = json!({"realm_id": desk.realm, "user_id": id, "member_attrs": {}});
        master.ask("add_member", wish).await.unwrap();
        let joined = agent.events.named("realm_member_joined").await.unwrap();
        assert_eq!((joined.str("user_id"), &joined["puppet_attrs"]), (id.as_str(), &set("P")));
        let found = agent.ask("describe_realm", json!({"realm_id": desk.realm})).await.unwrap();
        assert_eq!(found.at(&format!("/realm_members/{id}/puppet_attrs")), &set("P"));
        puppet.request_audience(&desk.queue).await.unwrap();
        let met = agent.accept_audience(&desk.queue, None).await.unwrap();
        assert_eq!(met.at(&format!("{member}/puppet_attrs")), &set("P"));

        // The master renames it: those who see it hear of that.
        enter(&server, login("Q")).await.unwrap();
        let masters = json!({master.user_id(): {"puppet_attrs": set("Q")}});
        let renamed = agent.events.find("the new name", |event| {
            event.name() == "user_updated" && event["puppet_masters"] == masters
        });
        assert_eq!(renamed.await.unwrap().str("user_id"), id);
        let seen = json!({"channel_id": theirs});
        loop {
            // Each of the places is told by itself.
            let found = agent.ask("describe_channel", seen.clone()).await.unwrap();
            if found.at(&format!("{member}/puppet_attrs")) == &set("Q") {
                break;
            }
        }
        let found = agent.ask("describe_channel", json!({"channel_id": foreign})).await.unwrap();
        assert_eq!(found.at(&format!("{member}/puppet_attrs")), &Value::Null);
    })
    .await;
}
