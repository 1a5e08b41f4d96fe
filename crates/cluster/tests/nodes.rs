//! Three nodes in one process behave as one chat.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{Cluster, accept, organise, request, talk};

#[actix::test]
async fn a_customer_and_an_agent_on_different_nodes_talk() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 1, 2).await;
    for round in 0..20 {
        let id = customer.say(&channel, &format!("c{round}"));
        let reply = customer.find(|event| event.header["action_id"] == id).await;
        let seen = agent.named("message_received").await;
        assert_eq!((reply.str("message_id"), seen.text()), (seen.str("message_id"), format!("c{round}")));
        agent.say(&channel, &format!("a{round}"));
        agent.named("message_received").await;
        assert_eq!(customer.named("message_received").await.text(), format!("a{round}"));
    }
}

#[actix::test]
async fn what_the_bus_loses_is_made_good_from_the_store() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 1, 2).await;
    cluster.network.lose_every(4);
    for round in 0..40 {
        customer.say(&channel, &format!("{round}"));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    cluster.network.mend();
    customer.say(&channel, "last");
    let mut texts = Vec::new();
    while texts.last().map(String::as_str) != Some("last") {
        texts.push(agent.named("message_received").await.text());
    }
    let history =
        json!({"action": "load_history", "channel_id": channel, "history_order": 1, "history_length": 1000});
    let results = agent.ask(history, &[]).await;
    let stored = results.header["history_length"].as_u64().unwrap() as usize;
    let mut order = Vec::new();
    for _ in 0..stored {
        order.push(agent.named("message_received").await.text());
    }
    assert_eq!(texts, order, "a member sees all that is stored, once, in order");
}

#[actix::test]
async fn two_agents_on_different_nodes_never_take_the_same_customer() {
    let cluster = Cluster::start(3).await;
    let mut operator = cluster.person(0, "operator").await;
    let (mut a, mut b) = (cluster.person(1, "a").await, cluster.person(2, "b").await);
    let queue = organise(&mut operator, &[&a, &b]).await;
    let mut taken = BTreeSet::new();
    for round in 0..10 {
        let mut customer = cluster.guest(round % 3, "customer").await;
        let audience = customer.ask(request(&queue), &[]).await.str("audience_id");
        let (first, second) =
            (a.send(accept(&queue, Some(&audience)), &[]), b.send(accept(&queue, Some(&audience)), &[]));
        let first = a.find(|event| event.header["action_id"] == first).await;
        let second = b.find(|event| event.header["action_id"] == second).await;
        let names = BTreeSet::from([first.name(), second.name()]);
        assert_eq!(names, BTreeSet::from(["channel_joined", "error"]), "{} {}", first.header, second.header);
        let loser = if first.name() == "error" { &first } else { &second };
        assert_eq!(loser.str("error_type"), "audience_not_found");
        taken.insert(customer.named("channel_joined").await.str("channel_id"));
    }
    assert_eq!(taken.len(), 10);
}

#[actix::test]
async fn a_killed_nodes_conversations_go_on_elsewhere() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 1, 2).await;
    for round in 0..5 {
        let id = customer.say(&channel, &format!("{round}"));
        customer.find(|event| event.header["action_id"] == id).await;
        agent.named("message_received").await;
    }
    // The customer's node owns the conversation.
    cluster.nodes[1].kill();
    cluster.network.leave("node-1");
    cluster.settle().await;
    let id = agent.say(&channel, "still here");
    let reply = agent.find(|event| event.header["action_id"] == id).await;
    assert_eq!(reply.name(), "message_received", "{}", reply.header);
    let history = json!({"action": "load_history", "channel_id": channel, "history_order": 1});
    let results = agent.ask(history, &[]).await;
    assert_eq!(results.header["history_length"], 6, "{}", results.header);
}

#[actix::test]
async fn a_retried_action_has_one_effect_whichever_node_decides_it() {
    let cluster = Cluster::start(3).await;
    let (customer, mut agent, channel) = talk(&cluster, 1, 2).await;
    let send = json!({"action": "send_message", "action_id": 900, "channel_id": channel,
        "message_type": "ninchat.com/text"});
    for _ in 0..3 {
        customer.send_as(send.clone(), &["{\"text\":\"once\"}"]);
    }
    agent.named("message_received").await;
    let history = json!({"action": "load_history", "channel_id": channel});
    assert_eq!(agent.ask(history, &[]).await.header["history_length"], 1);
}

#[actix::test]
async fn without_the_bus_the_chat_goes_on_by_the_store_and_heals_by_itself() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    let mut number = 0;
    for away in [&["node-0"][..], &["node-0", "node-1", "node-2"], &["node-1", "node-2"]] {
        for node in away {
            cluster.network.take_away(*node);
        }
        for _ in 0..5 {
            let since = Instant::now();
            customer.say(&channel, &format!("question {number}"));
            assert_eq!(agent.named("message_received").await.text(), format!("question {number}"));
            agent.say(&channel, &format!("answer {number}"));
            for text in [format!("question {number}"), format!("answer {number}")] {
                assert_eq!(customer.named("message_received").await.text(), text);
            }
            assert_eq!(agent.named("message_received").await.text(), format!("answer {number}"));
            assert!(since.elapsed() < Duration::from_secs(4), "{away:?}: {:?}", since.elapsed());
            number += 1;
        }
        let degraded = cluster.nodes.iter().filter(|node| node.degraded().is_some()).count();
        assert_eq!(degraded, away.len(), "who does not hear itself says so");
        cluster.network.mend();
        cluster.settle().await;
        assert!(cluster.nodes.iter().all(|node| node.degraded().is_none()));
    }
    let posted: u64 = cluster.nodes.iter().map(|node| node.shared().metrics.posted.get()).sum();
    assert!(posted > 0, "letters went by the store");
    // A new session, whose user lives elsewhere, begins in such a time too.
    cluster.network.take_away("node-2");
    cluster.settle().await;
    let mut late = cluster.guest(2, "late").await;
    assert_eq!(late.ask(json!({"action": "ping"}), &[]).await.name(), "pong");
    assert!(agent.passed.iter().chain(&customer.passed).all(|event| event.name() != "message_received"));
}

#[actix::test]
async fn what_a_session_began_without_it_hears_of_as_soon_as_that_can_be_reached() {
    let cluster = Cluster::start(2).await;
    let mut person = cluster.person(0, "agent").await;
    let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..4 {
        // Who comes to a node for the first time lives there, and so does what they found.
        let mut host = cluster.person(number % 2, "host").await;
        let create = json!({"action": "create_realm", "realm_attrs": {"name": "R"}});
        let realm = host.ask(create, &[]).await.str("realm_id");
        let add = json!({"action": "add_member", "realm_id": realm, "user_id": person.user});
        assert_eq!(host.ask(add, &[]).await.name(), "realm_member_joined");
        assert_eq!(person.named("realm_joined").await.str("realm_id"), realm);
        if number % 2 == 0 { &mut here } else { &mut there }.insert(realm);
    }
    cluster.network.cut("node-0", "node-1");
    let auth = person.created.str("user_auth");
    let login = json!({"user_id": person.user, "user_auth": auth, "message_types": ["*"]});
    let mut again = cluster.client(0, login).await;
    let known = again.created.header["user_realms"].as_object().unwrap();
    assert!(known.keys().eq(&here), "the others it can't know");
    cluster.network.mend();
    while !there.is_empty() {
        let realm = again.named("realm_joined").await.str("realm_id");
        assert!(there.remove(&realm), "told once");
    }
    let pinged = again.ask(json!({"action": "ping"}), &[]).await;
    assert_eq!(pinged.name(), "pong");
    assert!(again.passed.iter().all(|event| event.name() != "realm_joined"), "and the rest never again");
}
