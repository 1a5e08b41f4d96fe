//! Sessions and shards that move from node to node, and letters that get lost: nothing else does.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use levee_bus::memory::Disturbance;
use levee_cluster::letter::Relayed;
use levee_cluster::relay::{Answer, Place};
use levee_store::Directory as _;
use serde_json::json;
use std::time::Duration;
use support::{Client, Cluster, talk};

/// The texts of a channel's messages in their order, as the store has them.
async fn history(client: &mut Client, channel: &str) -> Vec<String> {
    let load =
        json!({"action": "load_history", "channel_id": channel, "history_order": 1, "history_length": 1000});
    let action_id = client.send(load, &[]);
    let results = client.find(|event| event.header["action_id"] == action_id).await;
    assert_eq!(results.name(), "history_results", "{}", results.header);
    let mut texts = Vec::new();
    for _ in 0..results.header["history_length"].as_u64().unwrap() {
        texts.push(client.find(|event| event.header["action_id"] == action_id).await.text());
    }
    texts
}

/// Takes the next messages as they come.
async fn texts(client: &mut Client, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(client.named("message_received").await.text());
    }
    texts
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[actix::test]
async fn a_session_resumed_on_another_node_goes_on_exactly_where_it_was() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    for round in 0..5 {
        customer.say(&channel, &round.to_string());
    }
    assert_eq!(texts(&mut agent, 3).await, numbers(0..3));
    // Two of five events are not acknowledged; more come while it moves.
    agent.resume(&cluster.nodes[2]).await;
    for round in 5..10 {
        customer.say(&channel, &round.to_string());
    }
    assert_eq!(texts(&mut agent, 7).await, numbers(3..10));
    // And back again, without anything in between.
    agent.resume(&cluster.nodes[1]).await;
    agent.resume(&cluster.nodes[0]).await;
    customer.say(&channel, "10");
    assert_eq!(texts(&mut agent, 1).await, numbers(10..11));
    let id = agent.say(&channel, "hello");
    agent.find(|event| event.header["action_id"] == id).await;
    assert_eq!(texts(&mut customer, 12).await.last().unwrap(), "hello");
    assert!(agent.passed.iter().all(|event| event.name() != "message_received"), "nothing came twice");
}

#[actix::test]
async fn a_session_that_several_nodes_want_at_once_is_handed_from_one_to_the_next() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    for round in 0..20 {
        customer.say(&channel, &round.to_string());
        assert_eq!(texts(&mut agent, 1).await, numbers(round..round + 1));
        // Not one of these connections comes to be the client's, as when it tries node after node.
        let wanting = cluster.nodes.iter().map(|node| {
            let id = agent.session_id.as_str().into();
            node.on(node.arbiter_of(&agent.session_id), |hub| async move { hub.session(&id, || true).await })
        });
        for found in futures_util::future::join_all(wanting).await {
            found.expect("the node runs").expect("the session is not lost");
        }
        agent.resume(&cluster.nodes[round % 3]).await;
    }
    customer.say(&channel, "20");
    assert_eq!(texts(&mut agent, 1).await, numbers(20..21));
    assert!(agent.passed.iter().all(|event| event.name() != "message_received"), "nothing came twice");
}

#[actix::test]
async fn a_node_that_stops_hands_its_sessions_over_and_nothing_comes_twice() {
    let mut cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    customer.say(&channel, "0");
    assert_eq!(texts(&mut agent, 1).await, numbers(0..1));
    let stopping = cluster.nodes.remove(1);
    stopping.shut_down().await;
    for round in 1..10 {
        customer.say(&channel, &round.to_string());
    }
    agent.resume(&cluster.nodes[1]).await;
    for round in 10..15 {
        customer.say(&channel, &round.to_string());
    }
    assert_eq!(texts(&mut agent, 14).await, numbers(1..15));
    // The node of the customer, which owns the conversation, stops as well.
    let stopping = cluster.nodes.remove(0);
    stopping.shut_down().await;
    customer.resume(&cluster.nodes[0]).await;
    for round in 15..20 {
        customer.say(&channel, &round.to_string());
    }
    assert_eq!(texts(&mut agent, 5).await, numbers(15..20));
    assert!(agent.passed.iter().all(|event| event.name() != "message_received"), "nothing came twice");
    assert_eq!(history(&mut agent, &channel).await, numbers(0..20));
}

#[actix::test]
async fn a_session_whose_node_crashed_goes_on_from_its_cursors() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    for round in 0..5 {
        customer.say(&channel, &round.to_string());
    }
    assert_eq!(texts(&mut agent, 5).await, numbers(0..5));
    agent.acknowledge();
    // Cursors are written behind.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.nodes[1].kill();
    cluster.network.leave("node-1");
    customer.say(&channel, "5");
    cluster.settle().await;
    agent.resume(&cluster.nodes[2]).await;
    customer.say(&channel, "6");
    assert_eq!(texts(&mut agent, 2).await, numbers(5..7));
}

#[actix::test]
async fn what_a_node_wrote_last_and_could_not_tell_any_more_is_told_by_whoever_takes_its_shards() {
    for nodes in [2, 3] {
        let mut cluster = Cluster::start(nodes).await;
        let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
        customer.say(&channel, "0");
        assert_eq!(texts(&mut agent, 1).await, numbers(0..1));
        // Nobody else hears of it: it is the last that is said.
        for other in 1..nodes {
            cluster.network.cut("node-0", format!("node-{other}").as_str());
        }
        let last = customer.say(&channel, "1");
        customer.find(|event| event.header["action_id"] == last).await;
        cluster.nodes.remove(0).kill();
        // The agent is on the node that takes the conversation, or on another one.
        assert_eq!(texts(&mut agent, 1).await, numbers(1..2), "{nodes} nodes");
    }
}

#[actix::test]
async fn who_was_removed_while_their_node_was_gone_hears_what_came_before_and_that() {
    let cluster = Cluster::start(3).await;
    let mut owner = cluster.person(0, "owner").await;
    let mut member = cluster.person(1, "member").await;
    let create = json!({"action": "create_channel", "channel_attrs": {"name": "C"}});
    let channel = owner.ask(create, &[]).await.str("channel_id");
    member.ask(json!({"action": "join_channel", "channel_id": channel}), &[]).await;
    owner.say(&channel, "0");
    assert_eq!(texts(&mut member, 1).await, numbers(0..1));
    member.acknowledge();
    // Cursors are written behind.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.nodes[1].kill();
    cluster.network.leave("node-1");
    cluster.settle().await;
    owner.say(&channel, "1");
    let remove = json!({"action": "remove_member", "channel_id": channel, "user_id": member.user});
    assert_eq!(owner.ask(remove, &[]).await.name(), "channel_member_parted");
    let last = owner.say(&channel, "2");
    owner.find(|event| event.header["action_id"] == last).await;
    member.resume(&cluster.nodes[2]).await;
    let parted = member.named("channel_parted").await;
    assert_eq!(
        (parted.str("channel_id"), parted.str("event_cause")),
        (channel.clone(), "member_remove".into())
    );
    let heard = member.passed.iter().filter(|event| event.name() == "message_received");
    assert_eq!(heard.map(support::Event::text).collect::<Vec<_>>(), numbers(1..2));
    member.acknowledge();
    // An answer from the channel's owner comes after whatever else it would have sent.
    let absent = member.ask(json!({"action": "load_history", "channel_id": channel}), &[]).await;
    assert_eq!(absent.name(), "error", "{}", absent.header);
    assert!(member.passed.iter().all(|event| event.name() != "message_received" || event.text() != "2"));
}

#[actix::test]
async fn what_gets_lost_between_nodes_is_sent_again_in_order() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    cluster.network.lose_every(3);
    let mut sent = Vec::new();
    for round in 0..40 {
        sent.push(agent.say(&channel, &round.to_string()));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for action_id in sent {
        let reply = agent.find(|event| event.header["action_id"] == action_id).await;
        assert_eq!(reply.name(), "message_received", "{}", reply.header);
    }
    cluster.network.mend();
    assert_eq!(texts(&mut customer, 40).await, numbers(0..40));
    assert_eq!(history(&mut agent, &channel).await, numbers(0..40));
}

#[actix::test]
async fn shards_move_under_traffic_without_losing_or_repeating_anything() {
    let mut cluster = Cluster::start(2).await;
    let mut talks = Vec::new();
    for _ in 0..8 {
        talks.push(talk(&cluster, 0, 1).await);
    }
    let mut round = 0;
    for change in ["node-2", "node-3", ""] {
        match change {
            "" => {
                cluster.nodes[3].kill();
                cluster.network.leave("node-3");
            }
            name => cluster.join(name).await,
        }
        for _ in 0..40 {
            for (customer, agent, channel) in &mut talks {
                let from = if round % 2 == 0 { customer } else { agent };
                from.say(channel, &round.to_string());
            }
            round += 1;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
    for (customer, agent, channel) in &mut talks {
        assert_eq!(texts(customer, round).await.len(), round);
        let seen = texts(agent, round).await;
        let stored = history(agent, channel).await;
        assert_eq!(seen, stored, "in the order in which it is stored");
        let mut stored: Vec<usize> = stored.iter().map(|text| text.parse().unwrap()).collect();
        for parity in [0, 1] {
            let own: Vec<_> = stored.iter().filter(|text| **text % 2 == parity).collect();
            assert!(own.is_sorted(), "what one person writes stays in order: {own:?}");
        }
        stored.sort_unstable();
        assert!(stored.into_iter().eq(0..round), "everything is there once");
    }
}

#[actix::test]
async fn a_request_that_lands_on_another_node_is_passed_on_to_the_session() {
    let cluster = Cluster::start(2).await;
    let (mut customer, agent, channel) = talk(&cluster, 0, 1).await;
    let here = &cluster.nodes[0];
    let id = agent.session_id.as_str().into();
    let place = here.on(0, move |hub| async move { hub.find(&id).await }).await.unwrap().unwrap();
    let Place::There(there) = place else { panic!("the agent's session lives on the other node") };
    assert_eq!(there, *cluster.nodes[1].name());
    let events = |answer| match answer {
        Some(Answer::Events(events)) => events,
        other => panic!("it lives there: {other:?}"),
    };
    let relay = |what: Relayed| {
        let (there, id) = (there.clone(), agent.session_id.as_str().into());
        here.on(0, move |hub| async move { hub.relay(&there, &id, what).await })
    };
    // What it was sent before the poll, and what the action shows.
    let seen = events(relay(Relayed::Poll(None)).await);
    assert!(!seen.is_empty());
    let last = seen.last().unwrap().event_id();
    let header = json!({"action": "send_message", "channel_id": channel, "action_id": 77,
        "message_type": "ninchat.com/text"});
    let act = Relayed::Act(header.to_string().into(), vec!["{\"text\":\"by relay\"}".into()]);
    assert!(events(relay(act).await).is_empty());
    assert_eq!(customer.named("message_received").await.text(), "by relay");
    let replies = events(relay(Relayed::Poll(Some(last))).await);
    assert_eq!(replies.first().unwrap().splice.action_id, Some(77));
    // A session that has gone elsewhere is not there.
    let gone = Relayed::Poll(None);
    let nobody = "00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into();
    let answer = here.on(0, {
        let there = there.clone();
        move |hub| async move { hub.relay(&there, &nobody, gone).await }
    });
    assert!(matches!(answer.await, Some(Answer::Gone)));
}

#[actix::test]
async fn a_session_that_is_asked_for_several_times_at_once_is_one() {
    let cluster = Cluster::start(2).await;
    let guest = cluster.guest(1, "guest").await;
    cluster.nodes[1].kill();
    cluster.settle().await;
    let here = &cluster.nodes[0];
    let asks = (0..8).map(|_| {
        let id = guest.session_id.as_str().into();
        here.on(here.arbiter_of(&guest.session_id), |hub| async move { hub.session(&id, || true).await })
    });
    let found: Vec<_> =
        futures_util::future::join_all(asks).await.into_iter().map(|s| s.unwrap().unwrap()).collect();
    assert!(found.iter().all(|session| *session == found[0]), "all got the same actor");
    assert_eq!(here.shared().metrics.sessions.get(), 1);
}

#[actix::test]
async fn only_nodes_that_take_sessions_are_named_to_clients() {
    let mut cluster = Cluster::start(3).await;
    let names = |node: &levee_cluster::Node| {
        let mut names: Vec<_> = node.endpoints().iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(cluster.nodes[1].endpoints()[0], "node-1.example", "its own comes first");
    assert_eq!(names(&cluster.nodes[0]), ["node-0.example", "node-1.example", "node-2.example"]);
    let stopping = cluster.nodes.remove(1);
    stopping.shut_down().await;
    assert!(stopping.endpoints().is_empty() || !names(&stopping).contains(&"node-1.example".into()));
    cluster.nodes[1].kill();
    cluster.settle().await;
    assert_eq!(names(&cluster.nodes[0]), ["node-0.example"]);
}

#[actix::test]
async fn a_session_that_went_on_elsewhere_does_not_come_back_from_a_node_that_was_cut_off() {
    let cluster = Cluster::start(3).await;
    let (mut customer, mut agent, channel) = talk(&cluster, 0, 1).await;
    customer.say(&channel, "0");
    assert_eq!(texts(&mut agent, 1).await, numbers(0..1));
    agent.acknowledge();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // The nodes don't hear each other, but both reach the store.
    cluster.network.cut("node-1", "node-2");
    agent.resume(&cluster.nodes[2]).await;
    cluster.network.mend();
    customer.say(&channel, "1");
    assert_eq!(texts(&mut agent, 1).await, numbers(1..2));
    // The old node hears of it, and leaves the session alone.
    for _ in 0..100 {
        let row = cluster.store.get("session", &levee_proto::ids::digest(&agent.session_id)).await;
        let row: serde_json::Value = serde_json::from_slice(&row.unwrap().unwrap().value).unwrap();
        assert_eq!(row["node"], "node-2");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agent.resume(&cluster.nodes[0]).await;
    customer.say(&channel, "2");
    assert_eq!(texts(&mut agent, 1).await, numbers(2..3));
    assert!(agent.passed.iter().all(|event| event.name() != "message_received"), "nothing came twice");
}

/// One chat of some people on three nodes, on a network that does what the seed says.
async fn disturbed(seed: u64) {
    let cluster = Cluster::start(3).await;
    let mut talks = Vec::new();
    for (customer, agent) in [(0, 1), (1, 2), (2, 0), (1, 1)] {
        talks.push(talk(&cluster, customer, agent).await);
    }
    let delay = Duration::from_millis(seed % 4 * 15);
    cluster.network.disturb(Disturbance { seed, lose: 30 + seed % 3 * 60, repeat: 50, delay });
    const ROUNDS: usize = 30;
    for round in 0..ROUNDS {
        for (customer, agent, channel) in &mut talks {
            let from = if (round + seed as usize).is_multiple_of(3) { agent } else { customer };
            from.say(channel, &round.to_string());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        if round == ROUNDS / 2 {
            // Somebody changes nodes in the middle of it.
            let (_, agent, _) = &mut talks[(seed % 4) as usize];
            agent.resume(&cluster.nodes[(seed / 4 % 3) as usize]).await;
        }
    }
    for (customer, agent, channel) in &mut talks {
        let (seen, too) = (texts(customer, ROUNDS).await, texts(agent, ROUNDS).await);
        assert_eq!(seen, too, "seed {seed}: both see the same order");
        cluster.network.mend();
        assert_eq!(history(agent, channel).await, seen, "seed {seed}: which is that of the store");
        let mut numbers: Vec<usize> = seen.iter().map(|text| text.parse().unwrap()).collect();
        for person in [0, 1] {
            let own = |number: &&usize| usize::from((**number + seed as usize).is_multiple_of(3)) == person;
            let own: Vec<_> = numbers.iter().filter(own).collect();
            assert!(own.is_sorted(), "seed {seed}: what one person writes stays in order: {own:?}");
        }
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..ROUNDS), "seed {seed}: everything came, and once");
    }
}

#[actix::test]
async fn whatever_the_network_does_everything_comes_once_and_in_order() {
    // `LEVEE_TEST_SEEDS=200`, or `60..61` to look at one.
    let seeds = std::env::var("LEVEE_TEST_SEEDS").unwrap_or_else(|_| "12".into());
    let (from, to) = seeds.split_once("..").unwrap_or(("0", &seeds));
    let mut running = tokio::task::JoinSet::new();
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        running.spawn_local(disturbed(seed));
        if running.len() >= 6 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}
