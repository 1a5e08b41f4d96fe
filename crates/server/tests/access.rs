//! Access keys: to one's own sessions, and to channels.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::{Error, Event, Options, Session};
use serde_json::{Value, json};
use support::cluster::Cluster;
use support::people::Person;
use support::{LIMIT, Server, assert_error, is_well, refused, within};

/// Makes a key to a channel.
async fn key(by: &Person, channel: &str, mut header: Value) -> Result<String, Error> {
    header["access_type"] = "channel".into();
    header["channel_id"] = channel.into();
    let created = by.ask("create_access", header).await?;
    assert_eq!((created.name(), created.str("access_type")), ("access_created", "channel"));
    Ok(created.str("access_key").to_owned())
}

async fn join(person: &Person, key: &str) -> Result<Event, Error> {
    person.ask("join_channel", json!({"access_key": key})).await
}

async fn describe(server: &Server, key: &str) -> Event {
    let mut nobody = Caller::anonymous(server.address());
    nobody.post("describe_access", json!({"access_key": key})).await.unwrap()
}

async fn open(server: &Server, key: &str) -> Result<(), Error> {
    let opened = Session::create(&server.address(), json!({"access_key": key}), Options::default()).await;
    opened.map(|_| ())
}

#[tokio::test]
async fn a_key_opens_sessions_of_the_user_who_made_it() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let ann = server.user("ann").await;
        let created = ann.ask("create_access", json!({"access_type": "session"})).await.unwrap();
        assert_eq!((created.name(), created.str("access_type")), ("access_created", "session"));
        let key = created.str("access_key").to_owned();
        let second = server.open(json!({"access_key": key}), Options::default()).await;
        assert_eq!(second.user_id(), ann.user_id());
        let found = describe(&server, &key).await;
        assert_eq!((found.name(), found.str("user_id")), ("access_found", ann.user_id()));
        assert_eq!(found.at("/user_attrs/name"), "ann");
        server.kill();
        server.restart().await;
        assert!(open(&server, &key).await.is_ok());
        for wrong in ["", "guessed", "00aaaaaaaaaaaaaaaaaaaaaaaaaaaa", &"z".repeat(5_000)] {
            assert_eq!(refused(open(&server, wrong).await), "access_denied", "{wrong:.40}");
        }
        ann.online().await.unwrap();
        let auth = ann.created().str("user_auth");
        ann.ask("delete_user", json!({"user_auth": auth})).await.unwrap();
        assert_eq!(refused(open(&server, &key).await), "access_denied");
        assert_eq!(describe(&server, &key).await.error_type(), "access_denied");
    })
    .await;
}

#[tokio::test]
async fn of_two_who_use_one_key_one_joins() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        let channel = ann.create_channel(json!({"name": "Room", "private": true})).await.unwrap();
        let (ben, cleo) = (server.guest("ben").await, server.guest("cleo").await);
        for _ in 0..10 {
            let key = key(&ann, &channel, json!({})).await.unwrap();
            let (first, second) = tokio::join!(join(&ben, &key), join(&cleo, &key));
            let (joined, refusal, inside) = match (first, second) {
                (Ok(joined), refusal) => (joined, refusal, &ben),
                (refusal, Ok(joined)) => (joined, refusal, &cleo),
                (first, second) => panic!("nobody joined: {first:?}, {second:?}"),
            };
            assert_eq!((joined.name(), joined.str("channel_id")), ("channel_joined", channel.as_str()));
            assert_eq!(refused(refusal), "access_already_spent");
            assert_eq!(describe(&server, &key).await.error_type(), "access_already_spent");
            inside.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_tells_what_it_opens_and_survives_a_restart() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        let header = json!({"realm_id": desk.realm, "channel_attrs": {"name": "Team", "autosilence": true}});
        let made = desk.operator.ask("create_channel", header).await.unwrap();
        let channel = made.str("channel_id");
        let wish = json!({"realm_member": true, "channel_unsilence": true});
        let key = key(&desk.operator, channel, wish).await.unwrap();
        server.kill();
        server.restart().await;
        let found = describe(&server, &key).await;
        assert_eq!((found.name(), found.str("access_type")), ("access_found", "channel"));
        assert_eq!(found.str("user_id"), desk.operator.user_id());
        assert_eq!(found.at("/user_attrs/name"), "operator");
        assert_eq!((found.str("channel_id"), found.at("/channel_attrs/name")), (channel, &json!("Team")));
        assert_eq!(found.str("realm_id"), desk.realm);
        assert_eq!(found.at("/realm_attrs/name"), "Realm");
        assert_eq!((&found["realm_member"], &found["channel_unsilence"]), (&json!(true), &json!(true)));
        let mut ben = server.user("ben").await;
        let joined = join(&ben, &key).await.unwrap();
        let member = &joined["channel_members"][ben.user_id()];
        assert!(member["member_attrs"]["silenced"].is_null(), "{joined:?}");
        let realm = ben.events.named("realm_joined").await.unwrap();
        assert_eq!(realm.str("realm_id"), desk.realm);
        assert!(ben.ask("describe_tags", json!({"realm_id": desk.realm})).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn an_invitation_for_one_user_comes_as_a_message_and_opens_for_nobody_else() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        let channel = ann.create_channel(json!({"name": "Room", "private": true})).await.unwrap();
        let (mut ben, cleo) = (server.user("ben").await, server.user("cleo").await);
        let key = key(&ann, &channel, json!({"user_id": ben.user_id()})).await.unwrap();
        let is_invitation = |event: &Event| event.str("message_type") == "ninchat.com/info/access";
        let told = ben.events.find("the invitation", is_invitation).await.unwrap();
        assert_eq!(told.str("user_id"), ann.user_id(), "it is in the dialogue of both");
        let content = told.payload();
        assert_eq!(content["access_key"], key.as_str());
        assert_eq!((&content["user_id"], &content["channel_id"]), (&json!(ann.user_id()), &json!(channel)));
        assert_eq!(content["channel_attrs"]["name"], "Room");
        assert_eq!(refused(join(&cleo, &key).await), "access_denied");
        assert_eq!(join(&ben, &key).await.unwrap().str("channel_id"), channel);
        for nobody in ["00nobody0000000000", "", "../x"] {
            let refusal = self::key(&ann, &channel, json!({"user_id": nobody})).await;
            assert_eq!(refused(refusal), "user_not_found", "{nobody}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_retry_after_a_crash_gets_the_same_key() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let make = json!({"action": "create_channel", "action_id": 1});
        let channel = socket.ask(make, &[]).await.unwrap();
        let header = json!({"action": "create_access", "action_id": 2, "access_type": "channel",
            "channel_id": channel["channel_id"]});
        let first = socket.ask(header.clone(), &[]).await.unwrap();
        server.kill();
        server.restart().await;
        let mut socket = server.resume(created.str("session_id"), created.event_id()).await;
        let again = socket.ask(header, &[]).await.unwrap();
        assert_eq!((again.name(), &again["access_key"]), ("access_created", &first["access_key"]));
        let other = json!({"action": "create_access", "action_id": 3, "access_type": "session"});
        let other = socket.ask(other, &[]).await.unwrap();
        assert_ne!(other["access_key"], first["access_key"]);
        assert_eq!(
            join(&server.guest("ben").await, again.str("access_key")).await.unwrap().name(),
            "channel_joined"
        );
    })
    .await;
}

#[tokio::test]
async fn keys_are_made_by_who_may_invite_and_elsewhere_channels_look_absent() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let header = json!({"realm_id": desk.realm, "channel_attrs": {"name": "Team"}});
        let made = desk.operator.ask("create_channel", header).await.unwrap();
        let channel = made.str("channel_id");
        desk.agent.join_channel(channel).await.unwrap();
        assert_eq!(refused(key(&desk.agent, channel, json!({})).await), "permission_denied");
        let stranger = server.user("stranger").await;
        for id in [channel, "00absent0000000000", "../../x", ""] {
            let Err(Error::Rejected(event)) = key(&stranger, id, json!({})).await else { panic!("{id}") };
            assert_eq!((event.error_type(), event.str("channel_id")), ("channel_not_found", id));
            assert!(event["error_reason"].is_null(), "{event:?}");
        }
        // A moderator invites to the channel, and not to the realm.
        let moderator = json!({"channel_id": channel, "user_id": desk.agent.user_id(),
            "member_attrs": {"moderator": true}});
        desk.operator.ask("update_member", moderator).await.unwrap();
        let refusal = key(&desk.agent, channel, json!({"realm_member": true})).await;
        assert_eq!(refused(refusal), "permission_denied");
        let given = key(&desk.agent, channel, json!({})).await.unwrap();
        // Who is put out takes their invitations along.
        let out = json!({"channel_id": channel, "user_id": desk.agent.user_id()});
        desk.operator.ask("remove_member", out).await.unwrap();
        assert_eq!(refused(join(&stranger, &given).await), "access_denied");
        assert_eq!(describe(&server, &given).await.error_type(), "access_denied");
    })
    .await;
}

#[tokio::test]
async fn a_key_to_an_audience_makes_one_customer_for_as_long_as_it_goes_on() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let mut desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        let wish = json!({"access_type": "audience", "channel_id": channel, "user_attrs": {"name": "Dora"},
            "user_settings": {"k": 1}, "member_metadata": {"page": "/", "secure": {"vip": true}}});
        assert_eq!(refused(customer.ask("create_access", wish.clone()).await), "permission_denied");
        let stranger = server.user("stranger").await;
        assert_eq!(refused(stranger.ask("create_access", wish.clone()).await), "channel_not_found");
        let created = desk.agent.ask("create_access", wish).await.unwrap();
        assert_eq!((created.name(), created.str("access_type")), ("access_created", "audience"));
        let key = json!({"access_key": created["access_key"]});
        let found = describe(&server, created.str("access_key")).await;
        assert_eq!((found.str("access_type"), found.str("channel_id")), ("audience", channel.as_str()));
        assert_eq!(
            (found.str("queue_id"), found.at("/queue_attrs/name")),
            (desk.queue.as_str(), &json!("Help"))
        );
        assert_eq!(
            (found.str("realm_id"), found.at("/realm_attrs/name")),
            (desk.realm.as_str(), &json!("Realm"))
        );
        assert_eq!(found.at("/user_attrs/name"), "Dora");

        let mut dora = server.open(key.clone(), Options::default()).await;
        assert_eq!(dora.user_id(), found.str("user_id"));
        assert_eq!(dora.created().at("/user_attrs/guest"), &json!(true));
        assert_eq!(dora.created()["user_settings"], json!({"k": 1}));
        let joined = dora.events.named("channel_joined").await.unwrap();
        assert_eq!(joined.str("channel_id"), channel);
        let metadata = json!({"page": "/", "secure": {"vip": true}});
        assert_eq!(joined["channel_members_metadata"][dora.user_id()], metadata);
        let heard = desk.agent.events.named("channel_member_joined").await.unwrap();
        assert_eq!((heard.str("user_id"), &heard["member_metadata"]), (dora.user_id(), &metadata));
        let target = levee_client::session::Target::Channel(channel.clone());
        dora.send_text(&target, "hello").await.unwrap();
        // The same user each time, after a crash and after the last session too.
        server.kill();
        server.restart().await;
        dora.online().await.unwrap();
        dora.close().await;
        let again = server.open(key.clone(), Options::default()).await;
        assert_eq!(again.user_id(), dora.user_id());
        assert!(again.created()["user_channels"][&channel].is_object(), "{:?}", again.created());
        assert_eq!(refused(join(&stranger, created.str("access_key")).await), "access_denied");
        desk.agent.online().await.unwrap();
        let close = json!({"channel_id": channel, "channel_attrs": {"closed": true}});
        desk.agent.ask("update_channel", close).await.unwrap();
        assert_eq!(refused(open(&server, created.str("access_key")).await), "access_denied");
        assert_eq!(describe(&server, created.str("access_key")).await.error_type(), "access_denied");
        // The user goes with the last session now.
        let id = again.user_id().to_owned();
        again.close().await;
        loop {
            let found = desk.agent.ask("describe_user", json!({"user_id": id})).await;
            if found.is_err() {
                assert_eq!(refused(found), "user_not_found");
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn keys_open_what_is_on_another_node() {
    within(4 * LIMIT, async {
        let mut cluster = Cluster::start(2).await;
        let ann = cluster.guest(0, "ann").await;
        let channel = ann.create_channel(json!({"private": true})).await.unwrap();
        let ben = cluster.guest(1, "ben").await;
        for (number, from) in [(0, &ann), (1, &ben)] {
            let made = from.ask("create_access", json!({"access_type": "session"})).await.unwrap();
            let second =
                cluster.node(1 - number).open(json!({"access_key": made["access_key"]}), Options::default());
            assert_eq!(second.await.user_id(), from.user_id());
        }
        let first = key(&ann, &channel, json!({})).await.unwrap();
        let second = key(&ann, &channel, json!({})).await.unwrap();
        assert_eq!(join(&ben, &first).await.unwrap().str("channel_id"), channel);
        // The node that made the keys dies: another one knows them.
        cluster.restart(0, levee_testbed::Signal::Kill).await;
        let cleo = cluster.guest(1, "cleo").await;
        assert_eq!(join(&cleo, &second).await.unwrap().str("channel_id"), channel);
        let dora = cluster.guest(0, "dora").await;
        for spent in [&first, &second] {
            assert_eq!(refused(join(&dora, spent).await), "access_already_spent");
        }
    })
    .await;
}

#[tokio::test]
async fn bad_input_about_keys_gets_a_clear_error() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        for (number, (error, mut header)) in (1..).zip([
            ("request_malformed", json!({"action": "create_access"})),
            ("request_malformed", json!({"action": "create_access", "access_type": 5})),
            ("request_malformed", json!({"action": "create_access", "access_type": "identity_verify"})),
            ("request_malformed", json!({"action": "create_access", "access_type": "channel"})),
            ("request_malformed", json!({"action": "create_access", "access_type": "audience"})),
            ("request_malformed", json!({"action": "describe_access"})),
            ("request_malformed", json!({"action": "describe_access", "access_key": ["x"]})),
            ("access_denied", json!({"action": "describe_access", "access_key": ""})),
            ("access_denied", json!({"action": "describe_access", "access_key": "x".repeat(10_000)})),
            ("access_denied", json!({"action": "join_channel", "access_key": "guessed"})),
        ]) {
            header["action_id"] = number.into();
            let answer = socket.ask(header, &[]).await.unwrap();
            assert_error(&answer, error, Some(number));
        }
        is_well(&mut socket).await;
        // A key of one kind is none of another kind.
        let ann = server.user("ann").await;
        let channel = ann.create_channel(json!({})).await.unwrap();
        let to_channel = key(&ann, &channel, json!({})).await.unwrap();
        assert_eq!(refused(open(&server, &to_channel).await), "access_denied");
        let made = ann.ask("create_access", json!({"access_type": "session"})).await.unwrap();
        let ben = server.guest("ben").await;
        assert_eq!(refused(join(&ben, made.str("access_key")).await), "access_denied");
        for _ in 0..99 {
            key(&ann, &channel, json!({})).await.unwrap();
        }
        assert_eq!(refused(key(&ann, &channel, json!({})).await), "send_rate_limited");
    })
    .await;
}

#[tokio::test]
async fn a_key_is_described_before_there_is_a_session_on_every_transport() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        let made = ann.ask("create_access", json!({"access_type": "session"})).await.unwrap();
        let header = json!({"action": "describe_access", "access_key": made["access_key"], "action_id": 7});
        let mut socket = server.raw().await;
        let found = socket.ask(header.clone(), &[]).await.unwrap();
        assert_eq!((found.name(), found.action_id()), ("access_found", Some(7)));
        // A session can follow.
        socket.action(json!({"action": "create_session", "message_types": []}), &[]).await.unwrap();
        assert_eq!(socket.named("session_created").await.unwrap().event_id(), Some(1));
        let mut http = levee_client::http::Http::new(server.address());
        let events = levee_client::requests::poll(&mut http, &header).await.unwrap();
        assert_eq!((events[0].name(), events[0].action_id()), ("access_found", Some(7)));
        // What is for users is not for nobody.
        let mut nobody = Caller::anonymous(server.address());
        let answer = nobody.post("create_access", json!({"access_type": "session"})).await.unwrap();
        assert_eq!(answer.error_type(), "access_denied");
    })
    .await;
}

#[tokio::test]
async fn a_call_makes_a_key_too() {
    within(LIMIT, async {
        let server = Server::start().await;
        server.user("ann").await;
        let mut ann = Caller::email(server.address(), "ann@example.org", "secret-ann");
        let made = ann.post("create_access", json!({"access_type": "session"})).await.unwrap();
        assert_eq!(made.name(), "access_created");
        assert!(open(&server, made.str("access_key")).await.is_ok());
    })
    .await;
}
