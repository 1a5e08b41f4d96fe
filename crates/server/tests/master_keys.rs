//! Master keys: made, listed and deleted; what they sign lets people into channels, and what they encrypt is told
//! to agents.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Options;
use levee_client::session::{Target, login};
use serde_json::{Value, json};
use support::cluster::Cluster;
use support::people::{Desk, Person};
use support::signer::{Signer, in_seconds};
use support::{LIMIT, Server, refused, within};

/// Makes a key that the server chooses, for a realm or for all that is one's own.
async fn key(by: &Person, realm: Option<&str>) -> Signer {
    let mut wish = json!({});
    if let Some(realm) = realm {
        wish["realm_id"] = realm.into();
    }
    let made = by.ask("create_master_key", wish).await.unwrap();
    assert_eq!((made.name(), made.str("master_key_type")), ("master_key_created", "ninchat"));
    Signer::new(made.str("master_key_id"), made.str("master_key_secret"))
}

/// Gives the server a key for tokens.
async fn token_key(by: &Person, realm: Option<&str>) -> Signer {
    let signer = Signer::random(&format!("key-{:08x}", rand::random::<u32>()));
    let mut wish = json!({"master_key_type": "jwt", "master_key_id": signer.id});
    if let Some(realm) = realm {
        wish["realm_id"] = realm.into();
    }
    let made = by.send("create_master_key", wish, vec![signer.secret.clone().into()]).await.unwrap();
    assert_eq!((made.str("master_key_id"), made.str("master_key_secret")), (signer.id.as_str(), ""));
    signer
}

#[tokio::test]
async fn keys_are_made_listed_and_deleted_by_whom_they_belong_to() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let (own, of_realm) = (key(&desk.operator, None).await, key(&desk.operator, Some(&desk.realm)).await);
        let tokens = token_key(&desk.operator, None).await;
        let found = desk.operator.ask("describe_master_keys", json!({})).await.unwrap();
        let all = json!({"ninchat": {&own.id: {}, &of_realm.id: {"realm_id": desk.realm}},
            "jwt": {&tokens.id: {}}});
        assert_eq!((found.name(), &found["master_keys"]), ("master_keys_found", &all));
        let in_realm = json!({"realm_id": desk.realm});
        let found = desk.operator.ask("describe_master_keys", in_realm.clone()).await.unwrap();
        assert_eq!(found["master_keys"], json!({"ninchat": {&of_realm.id: {"realm_id": desk.realm}}}));
        let found = desk.operator.ask("describe_master", json!({})).await.unwrap();
        assert_eq!(
            (found.name(), &found["master_keys"]),
            ("master_found", &json!({&own.id: {}, &of_realm.id: {}}))
        );

        // Not by others: a member may not, to a stranger there is no such realm.
        assert_eq!(
            refused(desk.agent.ask("describe_master_keys", in_realm.clone()).await),
            "permission_denied"
        );
        let stranger = server.user("stranger").await;
        for action in ["describe_master_keys", "create_master_key"] {
            let foreign = refused(stranger.ask(action, in_realm.clone()).await);
            let absent = refused(stranger.ask(action, json!({"realm_id": "00nowhere00"})).await);
            assert_eq!((foreign.as_str(), absent), ("realm_not_found", foreign.clone()), "{action}");
        }
        let guest = server.guest("Ann").await;
        assert_eq!(refused(guest.ask("create_master_key", json!({})).await), "permission_denied");

        let wish = |id: &str| json!({"master_key_id": id});
        let operator = &desk.operator;
        let delete = async |wish: Value| operator.ask("delete_master_key", wish).await;
        assert_eq!(refused(delete(wish(&own.id)).await), "request_malformed");
        let mut wrong = wish(&own.id);
        wrong["master_key_secret"] = Signer::random("x").base64().into();
        assert_eq!(refused(delete(wrong.clone()).await), "access_denied");
        let foreign = stranger.ask("delete_master_key", wrong).await;
        assert_eq!(refused(foreign), "permission_denied");
        let mut right = wish(&own.id);
        right["master_key_secret"] = own.base64().into();
        let deleted = delete(right.clone()).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("master_key_id")), ("master_key_deleted", own.id.as_str()));
        assert_eq!(refused(delete(right).await), "permission_denied");
        let mut by_token = json!({"master_key_id": tokens.id, "master_key_type": "jwt"});
        by_token["user_auth"] = desk.operator.created()["user_auth"].clone();
        delete(by_token).await.unwrap();
        let realm_key = json!({"master_key_id": of_realm.id, "realm_id": desk.realm});
        assert_eq!(delete(realm_key).await.unwrap().str("realm_id"), desk.realm);
        let found = operator.ask("describe_master_keys", json!({})).await.unwrap();
        assert_eq!(found["master_keys"], json!({}));
    })
    .await;
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_and_its_id_stays_free() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("ann").await, server.user("ben").await);
        let jwt = |id: Value| json!({"master_key_type": "jwt", "master_key_id": id});
        let good = vec![bytes::Bytes::from(vec![7; 32])];
        let short = vec![bytes::Bytes::from(vec![7; 31])];
        let long = vec![bytes::Bytes::from(vec![7; 1025])];
        let text = vec![bytes::Bytes::from(r#""no base64!""#)];
        let two = [good.clone(), good.clone()].concat();
        for (wish, payload) in [
            (jwt(json!("k")), Vec::new()),
            (jwt(json!("k")), short),
            (jwt(json!("k")), long),
            (jwt(json!("k")), text),
            (jwt(json!("k")), two),
            (jwt(Value::Null), good.clone()),
            (jwt(json!("")), good.clone()),
            (jwt(json!("a b")), good.clone()),
            (jwt(json!("k".repeat(10_000))), good.clone()),
            (json!({"master_key_type": "rsa", "master_key_id": "k"}), good.clone()),
            (json!({"master_key_id": "k"}), Vec::new()),
        ] {
            assert_eq!(
                refused(ann.send("create_master_key", wish.clone(), payload).await),
                "request_malformed",
                "{wish}"
            );
        }
        ann.send("create_master_key", jwt(json!("k")), good.clone()).await.unwrap();
        assert_eq!(refused(ben.send("create_master_key", jwt(json!("k")), good).await), "permission_denied");
    })
    .await;
}

/// A private channel of a realm.
async fn channel(desk: &Desk) -> String {
    let attrs = json!({"channel_attrs": {"name": "Club", "private": true, "autosilence": true}, "realm_id": desk.realm});
    desk.operator.ask("create_channel", attrs).await.unwrap().str("channel_id").to_owned()
}

#[tokio::test]
async fn a_signature_lets_in_whom_it_was_made_for_once() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let channel = channel(&desk).await;
        let (own, of_realm) = (key(&desk.operator, None).await, key(&desk.operator, Some(&desk.realm)).await);
        let soon = in_seconds(60);
        let wanted = json!({"action": "join_channel", "channel_id": channel});
        let join = |sign: &str| json!({"channel_id": channel, "master_sign": sign});
        for (number, sign) in
            [own.sign(wanted.clone(), soon, false), of_realm.sign_in_old_form(wanted.clone(), soon, false)]
                .iter()
                .enumerate()
        {
            let guest = server.guest(&format!("guest {number}")).await;
            assert_eq!(refused(guest.join_channel(&channel).await), "channel_not_found");
            let joined = guest.ask("join_channel", join(sign)).await.unwrap();
            assert_eq!((joined.name(), joined.str("channel_id")), ("channel_joined", channel.as_str()));
            let me = joined.at(&format!("/channel_members/{}/member_attrs", guest.user_id()));
            assert_eq!(me["silenced"], true, "{me}");
            // Spent, even though it has not expired.
            let other = server.guest("other").await;
            assert_eq!(refused(other.ask("join_channel", join(sign)).await), "permission_already_spent");
        }
        // For one user only, who may speak.
        let (guest, other) = (server.guest("Guest").await, server.guest("Other").await);
        let mut bound = wanted.clone();
        bound["user_id"] = guest.user_id().into();
        bound["member_attrs"] = json!([["silenced", false]]);
        let sign = own.sign(bound, soon, true);
        let mut wish = join(&sign);
        assert_eq!(refused(guest.ask("join_channel", wish.clone()).await), "permission_denied");
        wish["member_attrs"] = json!({"silenced": false});
        assert_eq!(refused(other.ask("join_channel", wish.clone()).await), "permission_denied");
        let joined = guest.ask("join_channel", wish).await.unwrap();
        let me = joined.at(&format!("/channel_members/{}/member_attrs", guest.user_id()));
        assert_eq!(me["silenced"], Value::Null, "{me}");
        // A token may be used until it expires.
        let tokens = token_key(&desk.operator, Some(&desk.realm)).await;
        let token = tokens.token(&json!({"exp": soon, "scopes": [format!("channel:{channel}")]}));
        let mut wish = join(&token);
        wish["master_key_type"] = "jwt".into();
        for name in ["one", "two"] {
            server.guest(name).await.ask("join_channel", wish.clone()).await.unwrap();
        }
        let mut more = wish.clone();
        more["member_attrs"] = json!({"silenced": false});
        assert_eq!(refused(server.guest("three").await.ask("join_channel", more).await), "request_malformed");
    })
    .await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_looks_the_same() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let channel = channel(&desk).await;
        let own = key(&desk.operator, None).await;
        let soon = in_seconds(60);
        let wanted = json!({"action": "join_channel", "channel_id": channel});
        let guest = server.guest("Guest").await;
        let right = own.sign(wanted.clone(), soon, false);
        let flipped = right.replacen(".1", ".2", 1);
        let stranger = Signer { id: own.id.clone(), ..Signer::random("x") };
        let elsewhere = json!({"action": "join_channel", "channel_id": "00other00"});
        let unknown = Signer::random("unknown");
        let mut errors = Vec::new();
        for sign in [
            flipped,
            String::new(),
            "x".repeat(5_000),
            stranger.sign(wanted.clone(), soon, false),
            unknown.sign(wanted.clone(), soon, false),
            own.sign(elsewhere, soon, false),
            own.sign(wanted.clone(), in_seconds(9 * 24 * 3600), false),
            own.token(&json!({"exp": soon, "scopes": [format!("channel:{channel}")]})),
        ] {
            let wish = json!({"channel_id": channel, "master_sign": sign});
            match guest.ask("join_channel", wish).await {
                Err(levee_client::Error::Rejected(event)) => {
                    let mut header = event.header().clone();
                    header.remove("event_id");
                    header.remove("action_id");
                    errors.push(header);
                }
                other => panic!("{sign}: {other:?}"),
            }
        }
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        assert_eq!(errors[0]["error_type"], "permission_denied");
        let late = own.sign(wanted.clone(), in_seconds(-1), false);
        let wish = |sign: &str| json!({"channel_id": channel, "master_sign": sign});
        assert_eq!(refused(guest.ask("join_channel", wish(&late)).await), "permission_expired");
        // The right signature of somebody who has no say here tells as much as a channel that is not there.
        let foreign = server.user("foreign").await;
        let foreign_key = key(&foreign, None).await;
        let there = guest.ask("join_channel", wish(&foreign_key.sign(wanted, soon, false))).await;
        let nowhere = json!({"action": "join_channel", "channel_id": "00nowhere00"});
        let sign = foreign_key.sign(nowhere, soon, false);
        let absent =
            guest.ask("join_channel", json!({"channel_id": "00nowhere00", "master_sign": sign})).await;
        assert_eq!(
            (refused(there), refused(absent)),
            ("channel_not_found".into(), "channel_not_found".into())
        );
        // All that was refused has spent nothing.
        guest.ask("join_channel", wish(&right)).await.unwrap();
        // A key that is deleted opens nothing any more.
        let mut delete = json!({"master_key_id": own.id, "master_key_secret": own.base64()});
        delete["master_key_type"] = "ninchat".into();
        desk.operator.ask("delete_master_key", delete).await.unwrap();
        let sign = own.sign(json!({"action": "join_channel", "channel_id": channel}), soon, false);
        let other = server.guest("Other").await;
        assert_eq!(refused(other.ask("join_channel", wish(&sign)).await), "permission_denied");
    })
    .await;
}

#[tokio::test]
async fn agents_are_told_what_was_encrypted_and_nobody_can_forge_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let (own, of_realm) = (key(&desk.operator, None).await, key(&desk.operator, Some(&desk.realm)).await);
        let tokens = token_key(&desk.operator, Some(&desk.realm)).await;
        let soon = in_seconds(60);
        let secret = json!({"customer": {"number": 4711, "name": "Åsa \"/\" \u{1f600}"}});
        let claims = json!({"exp": soon, "ninchat.com/metadata": secret, "preferred_username": "Åsa"});
        let settings = json!({"queue_id": desk.queue, "queue_settings": {"audience_registration": true}});
        desk.operator.ask("update_queue", settings).await.unwrap();
        for (number, secure) in [
            own.encrypt(&secret, None, soon),
            of_realm.encrypt(&secret, None, soon),
            tokens.encrypted_token(&claims),
        ]
        .iter()
        .enumerate()
        {
            let mut customer = server.guest("Cleo").await;
            let wish = json!({"queue_id": desk.queue, "audience_metadata": {"page": "/", "secure": secure}});
            customer.ask("request_audience", wish).await.unwrap();
            let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
            assert_eq!(accepted["audience_metadata"], json!({"page": "/", "secure": secret}), "{number}");
            let name = accepted.at(&format!("/channel_members/{}/user_attrs/name", customer.user_id()));
            let named = if number == 2 { "Åsa" } else { "Cleo" };
            assert_eq!(name, named);
            // A contact request takes the same.
            let wish = json!({"queue_id": desk.queue, "audience_metadata": {"secure": secure}});
            let registered = customer.ask("register_audience", wish).await.unwrap();
            assert_eq!(registered.name(), "audience_registered");
            if number == 2 {
                let heard = customer.events.named("user_updated").await.unwrap();
                assert_eq!(heard.at("/user_attrs/name"), "Åsa");
            }
        }
        let (customer, other) = (server.guest("Cleo").await, server.guest("Other").await);
        let foreign = server.user("foreign").await;
        let foreign_key = key(&foreign, None).await;
        let flip = |text: &str| {
            let at = text.len() - 8;
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            [&text[..at], other, &text[at + 1..]].concat()
        };
        let right = own.encrypt(&secret, Some(customer.user_id()), soon);
        let mut errors = Vec::new();
        for secure in [
            json!(flip(&right)),
            json!(flip(&tokens.encrypted_token(&claims))),
            json!(tokens.token(&claims)),
            json!(""),
            json!("a.b.c.d.e"),
            json!(own.encrypt(&secret, Some(other.user_id()), soon)),
            json!(own.encrypt(&json!("no object"), None, soon)),
            json!(foreign_key.encrypt(&secret, None, soon)),
            json!(Signer::random("unknown").encrypt(&secret, None, soon)),
            json!({"ready": "made"}),
            json!(["x"]),
        ] {
            let wish = json!({"queue_id": desk.queue, "audience_metadata": {"secure": secure}});
            match customer.ask("request_audience", wish).await {
                Err(levee_client::Error::Rejected(event)) => {
                    let mut header = event.header().clone();
                    header.remove("event_id");
                    header.remove("action_id");
                    errors.push(header);
                }
                answer => panic!("{secure}: {answer:?}"),
            }
        }
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        assert_eq!(errors[0]["error_type"], "permission_denied");
        let late = json!({"secure": own.encrypt(&secret, None, in_seconds(-1))});
        let wish = json!({"queue_id": desk.queue, "audience_metadata": late});
        assert_eq!(refused(customer.ask("request_audience", wish).await), "permission_expired");
        let wish = json!({"queue_id": desk.queue, "audience_metadata": {"secure": right}});
        customer.ask("request_audience", wish).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_use_a_signature_at_once_on_two_nodes_one_gets_in() {
    within(LIMIT, async {
        let cluster = Cluster::start(2).await;
        let desk = cluster.node(0).desk().await;
        let channel = channel(&desk).await;
        let own = key(&desk.operator, None).await;
        for round in 0..5 {
            let wanted = json!({"action": "join_channel", "channel_id": channel});
            let sign = own.sign(wanted, in_seconds(60), false);
            let wish = json!({"channel_id": channel, "master_sign": sign});
            let (a, b) = (cluster.guest(0, "a").await, cluster.guest(1, "b").await);
            let (a, b) = tokio::join!(a.ask("join_channel", wish.clone()), b.ask("join_channel", wish));
            let (won, lost): (Vec<_>, Vec<_>) = [a, b].into_iter().partition(Result::is_ok);
            assert_eq!((won.len(), lost.len()), (1, 1), "round {round}");
            assert_eq!(refused(lost.into_iter().next().unwrap()), "permission_already_spent");
        }
    })
    .await;
}

/// The realm's own list shows who somebody is, as soon as they are in it.
#[tokio::test]
async fn a_member_who_is_added_is_shown_with_a_name() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let found = desk.operator.ask("describe_realm", json!({"realm_id": desk.realm})).await.unwrap();
        let name = found.at(&format!("/realm_members/{}/user_attrs/name", desk.agent.user_id()));
        assert_eq!(name, "agent");
        let queue = desk.operator.ask("describe_queue", json!({"queue_id": desk.queue})).await.unwrap();
        let name = queue.at(&format!("/queue_members/{}/user_attrs/name", desk.agent.user_id()));
        assert_eq!(name, "agent");
        let nobody = json!({"realm_id": desk.realm, "user_id": "00nobody00"});
        assert_eq!(refused(desk.operator.ask("add_member", nobody).await), "user_not_found");
        let again = server.open(login("agent@example.org", "secret-agent"), Options::default()).await;
        assert_eq!(again.user_id(), desk.agent.user_id());
    })
    .await;
}

#[tokio::test]
async fn a_signature_or_a_token_lets_a_channel_be_followed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let attrs = json!({"name": "News", "followable": true, "disclosed_since": 1});
        let wish = json!({"realm_id": desk.realm, "channel_attrs": attrs});
        let channel = desk.operator.ask("create_channel", wish).await.unwrap().str("channel_id").to_owned();
        let own = key(&desk.operator, None).await;
        let soon = in_seconds(60);
        let follow = |sign: &str| json!({"channel_id": channel, "master_sign": sign});
        for action in ["follow_channel", "join_channel"] {
            let sign = own.sign(json!({"action": action, "channel_id": channel}), soon, false);
            let mut reader = server.guest("Reader").await;
            let found = reader.ask("follow_channel", follow(&sign)).await.unwrap();
            assert_eq!((found.name(), &found["channel_members"]), ("channel_found", &Value::Null));
            desk.operator.send_text(&Target::Channel(channel.clone()), "news").await.unwrap();
            assert_eq!(reader.events.named("message_received").await.unwrap().str("channel_id"), channel);
            let other = server.guest("Other").await;
            assert_eq!(refused(other.ask("follow_channel", follow(&sign)).await), "permission_already_spent");
        }
        // Sent again by its own number it is the same action.
        let (mut socket, _) = server.raw_guest().await;
        let wanted = json!({"action": "follow_channel", "channel_id": channel});
        let sign = own.sign(wanted.clone(), soon, false);
        let twice = json!({"action": "follow_channel", "action_id": 1, "channel_id": channel,
            "master_sign": sign});
        socket.action(twice.clone(), &[]).await.unwrap();
        assert_eq!(socket.ask(twice, &[]).await.unwrap().name(), "channel_found");
        let ping = socket.ask(json!({"action": "ping", "action_id": 2}), &[]).await.unwrap();
        assert_eq!(ping.name(), "pong", "and no error");

        // A token, again and again.
        let tokens = token_key(&desk.operator, Some(&desk.realm)).await;
        let token = tokens.token(&json!({"exp": soon, "scopes": [format!("channel:{channel}")]}));
        let mut wish = follow(&token);
        wish["master_key_type"] = "jwt".into();
        for name in ["one", "two"] {
            let found = server.guest(name).await.ask("follow_channel", wish.clone()).await.unwrap();
            assert_eq!(found.name(), "channel_found");
        }

        // To join takes a signature that says so; and whatever is wrong looks the same.
        let guest = server.guest("Guest").await;
        let sign = own.sign(wanted.clone(), soon, false);
        assert_eq!(refused(guest.ask("join_channel", follow(&sign)).await), "permission_denied");
        let mut bound = wanted.clone();
        bound["user_id"] = desk.agent.user_id().into();
        let stranger = Signer { id: own.id.clone(), ..Signer::random("x") };
        let mut errors = Vec::new();
        for sign in [
            sign.replacen(".1", ".2", 1),
            String::new(),
            "x".repeat(5_000),
            stranger.sign(wanted.clone(), soon, false),
            Signer::random("unknown").sign(wanted.clone(), soon, false),
            own.sign(json!({"action": "follow_channel", "channel_id": "00other00"}), soon, false),
            own.sign(json!({"action": "create_session"}), soon, false),
            own.sign(wanted.clone(), in_seconds(9 * 24 * 3600), false),
            own.sign(bound, soon, true),
            token.clone(),
        ] {
            match guest.ask("follow_channel", follow(&sign)).await {
                Err(levee_client::Error::Rejected(event)) => {
                    let mut header = event.header().clone();
                    header.remove("event_id");
                    header.remove("action_id");
                    errors.push(header);
                }
                other => panic!("{sign}: {other:?}"),
            }
        }
        assert_eq!(errors[0]["error_type"], "permission_denied");
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        let late = own.sign(wanted, in_seconds(-1), false);
        assert_eq!(refused(guest.ask("follow_channel", follow(&late)).await), "permission_expired");
        // A key of somebody who has no say there tells as much as a channel that is not there.
        let foreign = key(&server.user("other").await, None).await;
        for id in [channel.as_str(), "00nowhere00"] {
            let sign = foreign.sign(json!({"action": "follow_channel", "channel_id": id}), soon, false);
            let wish = json!({"channel_id": id, "master_sign": sign});
            assert_eq!(refused(guest.ask("follow_channel", wish).await), "channel_not_found", "{id}");
        }
    })
    .await;
}
