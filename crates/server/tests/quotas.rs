//! Quotas: how much users may own, what they are told of it, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Http;
use levee_client::session::login;
use levee_client::{Error, Event, Options, Session};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

const SMALL: &[&str] = &[
    "--user-channels-max",
    "3",
    "--user-realms-max",
    "2",
    "--user-queues-max",
    "2",
    "--queue-members-max",
    "2",
];

async fn new_queue(by: &Session, realm: &str) -> Result<Event, Error> {
    by.ask("create_queue", json!({"realm_id": realm, "queue_attrs": {"name": "Q"}})).await
}

async fn new_channel(by: &Session, realm: Option<&str>) -> Result<Event, Error> {
    by.ask("create_channel", realm.map_or_else(|| json!({}), |realm| json!({"realm_id": realm}))).await
}

/// Waits until somebody's account tells that so much is left.
async fn until(of: &Session, thing: &str, available: u64) {
    loop {
        let found = of.ask("describe_user", json!({})).await.unwrap();
        if found["user_account"][thing]["available"] == available {
            return;
        }
    }
}

/// How often a quota was exceeded.
async fn exceeded(server: &Server) -> u64 {
    let metrics = Http::new(server.address()).get("/metrics").await.unwrap().text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("levee_dropped_total{reason=\"quota\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn an_account_tells_what_is_left_and_what_goes_beyond_is_refused_and_counted() {
    within(LIMIT, async {
        let mut server = Server::with(SMALL).await;
        let ann = server.user("ann").await;
        let quota = |quota: u64, available: u64| json!({"quota": quota, "available": available});
        let all = json!({"channels": quota(3, 3), "realms": quota(2, 2), "queues": quota(2, 2),
            "queue_members": {"quota": 2}});
        assert_eq!(ann.created()["user_account"], all);
        let mut channels = Vec::new();
        for _ in 0..3 {
            channels.push(new_channel(&ann, None).await.unwrap().str("channel_id").to_owned());
        }
        until(&ann, "channels", 0).await;
        assert_eq!(refused(new_channel(&ann, None).await), "channel_quota_exceeded");
        let realm = ann.create_realm("One").await.unwrap();
        let other = ann.create_realm("Two").await.unwrap();
        assert_eq!(refused(ann.create_realm("Three").await), "realm_quota_exceeded");
        let queue = new_queue(&ann, &realm).await.unwrap().str("queue_id").to_owned();
        new_queue(&ann, &other).await.unwrap();
        for realm in [&realm, &other] {
            assert_eq!(refused(new_queue(&ann, realm).await), "queue_quota_exceeded");
        }
        assert_eq!(exceeded(&server).await, 4);
        // Somebody else's quota is another one.
        let ben = server.user("ben").await;
        new_channel(&ben, None).await.unwrap();
        // It is as durable as what it counts.
        server.kill();
        server.restart().await;
        let ann = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        let left =
            ["channels", "realms", "queues"].map(|thing| &ann.created()["user_account"][thing]["available"]);
        assert_eq!(left, [&json!(0); 3]);
        assert_eq!(refused(new_channel(&ann, None).await), "channel_quota_exceeded");
        // What is gone makes room: a channel that is suspended, or left by its last member; a queue; a realm.
        let suspend = json!({"channel_id": channels[0], "channel_attrs": {"suspended": true}});
        ann.ask("update_channel", suspend).await.unwrap();
        until(&ann, "channels", 1).await;
        ann.ask("part_channel", json!({"channel_id": channels[1]})).await.unwrap();
        until(&ann, "channels", 2).await;
        for _ in 0..2 {
            new_channel(&ann, None).await.unwrap();
        }
        until(&ann, "channels", 0).await;
        let resume = json!({"channel_id": channels[0], "channel_attrs": {"suspended": null}});
        assert_eq!(refused(ann.ask("update_channel", resume.clone()).await), "channel_quota_exceeded");
        ann.ask("part_channel", json!({"channel_id": channels[2]})).await.unwrap();
        until(&ann, "channels", 1).await;
        ann.ask("update_channel", resume).await.unwrap();
        until(&ann, "channels", 0).await;
        ann.ask("delete_queue", json!({"queue_id": queue})).await.unwrap();
        until(&ann, "queues", 1).await;
        new_queue(&ann, &realm).await.unwrap();
        until(&ann, "queues", 0).await;
        ann.ask("delete_realm", json!({"realm_id": realm})).await.unwrap();
        until(&ann, "realms", 1).await;
        until(&ann, "queues", 1).await;
        new_queue(&ann, &other).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_realms_operators_make_is_its_owners_and_strangers_take_nothing() {
    within(LIMIT, async {
        let server = Server::with(SMALL).await;
        let (owner, operator) = (server.user("owner").await, server.user("operator").await);
        let stranger = server.user("stranger").await;
        let realm = owner.create_realm("One").await.unwrap();
        let add =
            json!({"realm_id": realm, "user_id": operator.user_id(), "member_attrs": {"operator": true}});
        owner.ask("add_member", add).await.unwrap();
        // Who is refused anyway takes nothing of it.
        for _ in 0..5 {
            assert_eq!(refused(new_channel(&stranger, Some(&realm)).await), "realm_not_found");
            assert_eq!(refused(new_queue(&stranger, &realm).await), "permission_denied");
            assert_eq!(refused(new_channel(&operator, Some("00absent0000000000")).await), "realm_not_found");
            assert_eq!(refused(new_channel(&operator, Some("")).await), "realm_not_found");
        }
        for _ in 0..3 {
            new_channel(&operator, Some(&realm)).await.unwrap();
        }
        until(&owner, "channels", 0).await;
        until(&operator, "channels", 3).await;
        for person in [&owner, &operator] {
            assert_eq!(refused(new_channel(person, Some(&realm)).await), "channel_quota_exceeded");
        }
        assert_eq!(refused(new_channel(&owner, None).await), "channel_quota_exceeded");
        new_channel(&operator, None).await.unwrap();
        for _ in 0..2 {
            new_queue(&operator, &realm).await.unwrap();
        }
        assert_eq!(refused(new_queue(&operator, &realm).await), "queue_quota_exceeded");
        until(&owner, "queues", 0).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_or_repeated_does_not_count() {
    within(LIMIT, async {
        let server = Server::with(SMALL).await;
        let (mut socket, created) = server.raw_guest().await;
        // More often than there may be channels.
        for action_id in 1..=8 {
            let bad = json!({"action": "create_channel", "action_id": action_id,
                "channel_attrs": {"schedule": {"timezone": "nowhere"}}});
            let refusal = socket.ask(bad, &[]).await.unwrap();
            assert_eq!(refusal.error_type(), "request_malformed");
        }
        let make = |action_id: u64| json!({"action": "create_channel", "action_id": action_id});
        let mut made = Vec::new();
        for action_id in 11..=13 {
            // The last refusal is freed in a moment.
            made.push(socket.ask(make(action_id), &[]).await.unwrap());
        }
        let names: Vec<_> = made.iter().map(Event::name).collect();
        assert_eq!(names, ["channel_joined"; 3]);
        // A retry is answered as before, though there may be no more.
        let mut again = server.resume(created.str("session_id"), None).await;
        for (action_id, first) in (11..=13).zip(&made) {
            let answer = again.ask(make(action_id), &[]).await.unwrap();
            assert_eq!((answer.name(), &answer["channel_id"]), ("channel_joined", &first["channel_id"]));
        }
        let beyond = again.ask(make(14), &[]).await.unwrap();
        assert_eq!(beyond.error_type(), "channel_quota_exceeded");
    })
    .await;
}

#[tokio::test]
async fn of_many_that_are_made_at_a_time_as_many_succeed_as_may_be() {
    within(LIMIT, async {
        let server = Server::with(SMALL).await;
        let ann = server.user("ann").await;
        let again: Vec<Person> = {
            let mut sessions = Vec::new();
            for _ in 0..3 {
                sessions.push(server.open(login("ann@example.org", "secret-ann"), Options::default()).await);
            }
            sessions
        };
        let making = again.iter().flat_map(|session| (0..4).map(|_| new_channel(session, None)));
        let made = futures_util::future::join_all(making).await;
        let refusals: Vec<_> = made.into_iter().filter_map(Result::err).collect();
        assert_eq!(refusals.len(), 12 - 3);
        for refusal in refusals {
            assert_eq!(refused::<Value>(Err(refusal)), "channel_quota_exceeded");
        }
        until(&ann, "channels", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_queue_has_no_more_members_than_may_be() {
    within(LIMIT, async {
        let server = Server::with(SMALL).await;
        let desk = server.desk().await;
        let (second, third) = (server.user("second").await, server.user("third").await);
        desk.operator.add_agent(&desk.realm, &desk.queue, second.user_id()).await.unwrap();
        let more = desk.operator.add_agent(&desk.realm, &desk.queue, third.user_id()).await;
        assert_eq!(refused(more), "queue_member_quota_exceeded");
        // Who is one already is not one more.
        desk.operator.add_agent(&desk.realm, &desk.queue, second.user_id()).await.unwrap();
        let remove = json!({"queue_id": desk.queue, "user_id": second.user_id()});
        desk.operator.ask("remove_member", remove).await.unwrap();
        desk.operator.add_agent(&desk.realm, &desk.queue, third.user_id()).await.unwrap();
    })
    .await;
}
