//! No customer is stranded when the agent who accepted them vanishes.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::time::Duration;
use support::{Client, Cluster, accept, organise, request};

/// A customer on node 0 whom an agent on node 2 has accepted, one who waits, and another agent on node 1.
struct Scene {
    customer: Client,
    next: Client,
    vanishing: Client,
    other: Client,
    queue: String,
    channel: String,
}

async fn scene(cluster: &Cluster) -> Scene {
    let mut operator = cluster.person(0, "operator").await;
    let mut vanishing = cluster.person(2, "vanishing").await;
    let other = cluster.person(1, "other").await;
    let queue = organise(&mut operator, &[&vanishing, &other]).await;
    let mut customer = cluster.guest(0, "customer").await;
    customer.ask(request(&queue), &[]).await;
    let mut next = cluster.guest(0, "next").await;
    next.ask(request(&queue), &[]).await;
    let channel = vanishing.ask(accept(&queue, None), &[]).await.str("channel_id");
    customer.named("channel_joined").await;
    Scene { customer, next, vanishing, other, queue, channel }
}

impl Scene {
    /// The customer is first in the queue, before the one who waited longer, and is met by the other agent
    /// in the same channel.
    async fn goes_on(&mut self) {
        let enqueued = self.customer.named("audience_enqueued").await;
        assert_eq!(enqueued.header["queue_position"], 1, "{}", enqueued.header);
        self.next.find(|event| event.header["queue_position"] == 2).await;
        let again = self.other.ask(accept(&self.queue, None), &[]).await;
        assert_eq!((again.name(), again.str("channel_id")), ("channel_joined", self.channel.clone()));
        self.customer.named("channel_member_joined").await;
        let id = self.customer.say(&self.channel, "and then");
        self.customer.find(|event| event.header["action_id"] == id).await;
        assert_eq!(self.other.named("message_received").await.text(), "and then");
    }
}

#[actix::test]
async fn a_customer_whose_agent_lost_the_connection_is_first_in_the_queue_again() {
    let cluster = Cluster::start(3).await;
    let mut scene = scene(&cluster).await;
    scene.vanishing.disconnect();
    scene.goes_on().await;
}

#[actix::test]
async fn a_customer_whose_agent_is_gone_with_their_node_is_first_in_the_queue_again() {
    let cluster = Cluster::start_with(3, Duration::from_secs(2)).await;
    let mut scene = scene(&cluster).await;
    cluster.nodes[2].kill();
    cluster.network.leave("node-2");
    scene.goes_on().await;
}

#[actix::test]
async fn a_customer_is_first_in_the_queue_again_though_the_node_that_watched_over_them_is_gone_too() {
    let cluster = Cluster::start(3).await;
    let mut scene = scene(&cluster).await;
    scene.vanishing.disconnect();
    cluster.nodes[0].kill();
    cluster.network.leave("node-0");
    scene.customer.resume(&cluster.nodes[1]).await;
    scene.next.resume(&cluster.nodes[2]).await;
    scene.goes_on().await;
}

#[actix::test]
async fn an_agent_who_comes_back_keeps_the_customer() {
    let cluster = Cluster::start(3).await;
    let mut scene = scene(&cluster).await;
    scene.vanishing.disconnect();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    scene.vanishing.resume(&cluster.nodes[2]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ping = scene.customer.ask(json!({"action": "ping"}), &[]).await;
    assert_eq!(ping.name(), "pong");
    assert!(scene.customer.passed.iter().all(|event| event.name() != "audience_enqueued"));
}
