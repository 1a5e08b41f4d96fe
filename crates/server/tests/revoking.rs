//! What is taken away is gone at once, on live connections of every node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::{Target, login};
use levee_client::{Options, RawSocket};
use serde_json::json;
use std::time::{Duration, Instant};
use support::cluster::Cluster;
use support::people::Person;
use support::{LIMIT, refused, within};

/// How soon everybody must have heard.
const SOON: Duration = Duration::from_secs(1);

/// Waits for an event of this name, since a moment.
async fn soon(person: &mut Person, name: &str, since: Instant) {
    person.events.named(name).await.unwrap();
    assert!(since.elapsed() < SOON, "{name} came after {:?}", since.elapsed());
}

/// Waits until something is refused, since a moment.
async fn refused_soon(what: &str, since: Instant, mut act: impl AsyncFnMut() -> Option<String>) -> String {
    loop {
        if let Some(error) = act().await {
            assert!(since.elapsed() < SOON, "{what} was refused after {:?}", since.elapsed());
            return error;
        }
        assert!(since.elapsed() < SOON, "{what} still works after {:?}", since.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same agent's sessions on all nodes.
async fn everywhere(cluster: &Cluster, name: &str) -> Vec<Person> {
    let mut sessions = Vec::new();
    for node in 0..3 {
        let parameters = login(&format!("{name}@example.org"), &format!("secret-{name}"));
        sessions.push(cluster.node(node).open(parameters, Options::default()).await);
    }
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_is_removed_is_out_everywhere_at_once() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let mut desk = cluster.node(0).desk().await;
        let mut agents = everywhere(&cluster, "agent").await;
        let mut waiting = cluster.guest(1, "waiting").await;
        let mut customer = cluster.guest(2, "customer").await;
        let channel = desk.meet(&mut customer).await;
        waiting.request_audience(&desk.queue).await.unwrap();
        let since = Instant::now();
        let removed = json!({"realm_id": desk.realm, "user_id": desk.agent.user_id()});
        desk.operator.ask("remove_member", removed).await.unwrap();
        for agent in &mut agents {
            soon(agent, "realm_parted", since).await;
            soon(agent, "queue_parted", since).await;
        }
        for agent in &agents {
            let accept =
                async || agent.accept_audience(&desk.queue, None).await.err().map(|_| "refused".to_owned());
            refused_soon("accepting", since, accept).await;
            let members = json!({"realm_id": desk.realm});
            assert_eq!(refused(agent.ask("describe_tags", members).await), "realm_not_found");
        }
        // Out of a channel, nothing of it is heard or said any more.
        let club = desk.operator.create_channel(json!({"name": "Club"})).await.unwrap();
        let mut member = cluster.guest(1, "member").await;
        member.join_channel(&club).await.unwrap();
        let since = Instant::now();
        let removed = json!({"channel_id": club, "user_id": member.user_id()});
        desk.operator.ask("remove_member", removed).await.unwrap();
        soon(&mut member, "channel_parted", since).await;
        desk.operator.send_text(&Target::Channel(club.clone()), "not for them").await.unwrap();
        let says = member.send_text(&Target::Channel(club), "let me").await;
        assert_eq!(refused(says), "channel_not_found");
        member.ping().await.unwrap();
        while let Some(event) = member.events.here() {
            assert_ne!(event.name(), "message_received", "{event:?}");
        }
        drop(channel);
        drop(waiting.events.here());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_deleted_is_cut_off_on_every_node() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let person = cluster.node(0).user("person").await;
        let auth = person.created().str("user_auth").to_owned();
        let mut sockets: Vec<RawSocket> = Vec::new();
        for node in 0..3 {
            let mut socket = cluster.node(node).raw().await;
            let create = json!({"action": "create_session", "message_types": ["*"],
                "user_id": person.user_id(), "user_auth": auth});
            socket.action(create, &[]).await.unwrap();
            socket.named("session_created").await.unwrap();
            sockets.push(socket);
        }
        let since = Instant::now();
        person.ask("delete_user", json!({"user_auth": auth})).await.unwrap();
        for (node, mut socket) in sockets.into_iter().enumerate() {
            socket.named("user_deleted").await.unwrap();
            // And the connection is closed.
            while socket.event().await.unwrap().is_some() {}
            assert!(since.elapsed() < SOON, "node {node} took {:?}", since.elapsed());
        }
        let again = json!({"action": "create_session", "message_types": ["*"],
            "user_id": person.user_id(), "user_auth": auth});
        let mut socket = cluster.node(1).raw().await;
        socket.action(again, &[]).await.unwrap();
        assert_eq!(socket.named("error").await.unwrap().error_type(), "access_denied");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_closed_takes_nobody_anywhere_and_says_so() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let desk = cluster.node(0).desk().await;
        let mut lookers = Vec::new();
        for node in 0..3 {
            let looker = cluster.guest(node, "looker").await;
            looker.ask("describe_realm_queues", json!({"realm_id": desk.realm})).await.unwrap();
            lookers.push(looker);
        }
        let since = Instant::now();
        let closed = json!({"queue_id": desk.queue, "queue_attrs": {"closed": true}});
        desk.operator.ask("update_queue", closed).await.unwrap();
        for looker in &mut lookers {
            let is_closed = |event: &levee_client::Event| event.at("/queue_attrs/closed") == &json!(true);
            looker.events.find("the queue to be closed", is_closed).await.unwrap();
            assert!(since.elapsed() < SOON, "it was heard after {:?}", since.elapsed());
            assert_eq!(refused(looker.request_audience(&desk.queue).await), "queue_is_closed");
        }
    })
    .await;
}
