//! The bus on real Redis servers: alone, under Sentinel, as a cluster; killed, stopped, cut off.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use bytes::Bytes;
use levee_bus::metrics::BusMetrics;
use levee_bus::redis::{Address, RedisBus, RedisInbox};
use levee_bus::{Bus as _, BusError, Inbox as _, Incoming};
use levee_testbed::{Redis, Signal};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

struct End {
    bus: RedisBus,
    inbox: RedisInbox,
    metrics: BusMetrics,
}

impl End {
    async fn open(node: &str, url: &str) -> Self {
        let metrics = BusMetrics::new().unwrap();
        let (bus, inbox) =
            RedisBus::start(node, url.parse::<Address>().unwrap(), metrics.clone()).await.unwrap();
        Self { bus, inbox, metrics }
    }

    /// Sends, as soon as the bus carries.
    async fn send(&self, to: &str, text: &str) {
        let since = Instant::now();
        while let Err(error) = self.bus.send(to, Bytes::copy_from_slice(text.as_bytes())) {
            assert!(matches!(error, BusError::Away | BusError::Congested), "{error}");
            assert!(since.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn next(&mut self) -> Incoming {
        tokio::time::timeout(PATIENCE, self.inbox.next()).await.expect("in time").expect("not closed")
    }

    /// What comes until `wanted` does.
    async fn until(&mut self, wanted: impl Fn(&Incoming) -> bool) -> Vec<Incoming> {
        let mut all = Vec::new();
        loop {
            let next = self.next().await;
            let found = wanted(&next);
            all.push(next);
            if found {
                return all;
            }
        }
    }
}

fn texts(incoming: &[Incoming]) -> Vec<String> {
    let text = |incoming: &Incoming| match incoming {
        Incoming::Message { body, .. } => Some(String::from_utf8(body.to_vec()).unwrap()),
        _ => None,
    };
    incoming.iter().filter_map(text).collect()
}

fn is(text: &'static str) -> impl Fn(&Incoming) -> bool {
    move |incoming| matches!(incoming, Incoming::Message { body, .. } if body == text)
}

fn gaps(incoming: &[Incoming]) -> usize {
    incoming.iter().filter(|incoming| matches!(incoming, Incoming::Gap { .. })).count()
}

async fn pair(url: &str) -> (End, End) {
    let (a, mut b) = (End::open("a", url).await, End::open("b", url).await);
    // b listens once it was heard.
    loop {
        a.send("b", "begin").await;
        if let Ok(Some(Incoming::Message { .. })) =
            tokio::time::timeout(Duration::from_millis(100), b.inbox.next()).await
        {
            break;
        }
    }
    a.send("b", "begun").await;
    b.until(is("begun")).await;
    (a, b)
}

async fn many_come_in_order_in_few_frames(url: &str) {
    let (a, mut b) = pair(url).await;
    let (frames, messages) = (a.metrics.publishes(), a.metrics.messages());
    const COUNT: usize = 20_000;
    let sending = async {
        for number in 0..COUNT {
            a.send("b", &number.to_string()).await;
            if number % 500 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let receiving = async {
        let mut all = Vec::new();
        while all.len() < COUNT {
            let next = b.next().await;
            assert!(matches!(next, Incoming::Message { .. }), "{next:?}");
            all.extend(texts(&[next]));
        }
        all
    };
    let ((), all) = tokio::join!(sending, receiving);
    assert!(all.iter().enumerate().all(|(at, text)| *text == at.to_string()), "in order");
    let (frames, messages) = (a.metrics.publishes() - frames, a.metrics.messages() - messages);
    assert!(messages >= COUNT as u64 && frames * 4 < messages, "{messages} messages took {frames} frames");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_share_few_frames() {
    let redis = Redis::start(&[]).unwrap();
    many_come_in_order_in_few_frames(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_carries_by_sharded_channels() {
    let servers = Redis::cluster().unwrap();
    let hosts: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    let url = format!("redis-cluster://{}", hosts.join(","));
    many_come_in_order_in_few_frames(&url).await;
    // Nothing went by the channels that all servers repeat to each other.
    let spread: Vec<_> = servers.iter().map(|s| s.command(&["INFO", "commandstats"]).unwrap()).collect();
    assert!(spread.iter().all(|stats| !stats.contains("cmdstat_publish:")), "PUBLISH was used");
    assert!(spread.iter().any(|stats| stats.contains("cmdstat_spublish:")), "SPUBLISH was not used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_is_noticed_and_its_return_too() {
    let mut redis = Redis::start(&[]).unwrap();
    let (a, mut b) = pair(&redis.url()).await;
    redis.end(Signal::Kill).unwrap();
    let since = Instant::now();
    b.until(|incoming| *incoming == Incoming::Down).await;
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(matches!(b.bus.send("a", Bytes::new()), Err(BusError::Away)));
    redis.again().unwrap();
    b.until(|incoming| *incoming == Incoming::Up).await;
    a.send("b", "after").await;
    b.until(is("after")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_noticed_and_what_it_held_up_does_not_come() {
    let redis = Redis::start(&[]).unwrap();
    let (a, mut b) = pair(&redis.url()).await;
    // The fastest frame is known by now.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    redis.signal(Signal::Stop).unwrap();
    let since = Instant::now();
    a.send("b", "held up").await;
    b.until(|incoming| *incoming == Incoming::Down).await;
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(since.elapsed())).await;
    redis.signal(Signal::Continue).unwrap();
    let mut came = b.until(|incoming| *incoming == Incoming::Up).await;
    a.send("b", "after").await;
    came.extend(b.until(is("after")).await);
    assert_eq!(texts(&came), ["after"]);
    assert!(gaps(&came) > 0, "what did not come is said: {came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_subscription_is_made_again_and_what_was_lost_is_said() {
    let redis = Redis::start(&[]).unwrap();
    let (a, mut b) = pair(&redis.url()).await;
    for round in 0..5 {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        redis.command(&["FLUSHALL"]).unwrap();
        a.send("b", "perhaps").await;
        // Sooner or later something arrives again, and a heartbeat tells of what did not.
        let since = Instant::now();
        let mut came = Vec::new();
        while texts(&came).last().is_none_or(|text| text != "surely") {
            assert!(since.elapsed() < PATIENCE, "round {round}: {came:?}");
            a.send("b", "surely").await;
            while let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(50), b.inbox.next()).await {
                came.push(next);
            }
        }
        let perhaps = texts(&came).iter().any(|text| text == "perhaps");
        assert!(perhaps || gaps(&came) > 0, "round {round}: {came:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel_names_the_next_one() {
    let (mut primary, replica, sentinel) = Redis::watched().unwrap();
    let url = format!("redis-sentinel://127.0.0.1:{}/levee", sentinel.port());
    let (a, mut b) = pair(&url).await;
    primary.end(Signal::Kill).unwrap();
    b.until(|incoming| *incoming == Incoming::Down).await;
    b.until(|incoming| *incoming == Incoming::Up).await;
    a.send("b", "after").await;
    b.until(is("after")).await;
    assert!(replica.command(&["INFO", "replication"]).unwrap().contains("role:master"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reaches_nobody_is_said() {
    let redis = Redis::start(&[]).unwrap();
    let mut a = End::open("a", &redis.url()).await;
    a.send("nobody", "hello").await;
    a.until(|incoming| *incoming == Incoming::Unreached { to: "nobody".into() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_will_never_do_is_refused_in_a_line_and_one_that_is_away_is_waited_for() {
    let mut redis = Redis::start(&["requirepass secret"]).unwrap();
    for url in [redis.url(), redis.url().replace("127.0.0.1", "u:wrong@127.0.0.1")] {
        let address: Address = url.parse().unwrap();
        let refused = RedisBus::start("a", address, BusMetrics::new().unwrap()).await.err().unwrap();
        let text = refused.to_string();
        assert!(matches!(refused, BusError::Refused(_)), "{text}");
        assert!(
            text.starts_with(&format!("Redis at 127.0.0.1:{}", redis.port())) && !text.contains("wrong@")
        );
    }
    let url = redis.url().replace("127.0.0.1", ":secret@127.0.0.1");
    redis.end(Signal::Kill).unwrap();
    let mut a = End::open("a", &url).await;
    assert_eq!(a.next().await, Incoming::Down);
    redis.again().unwrap();
    assert_eq!(a.next().await, Incoming::Up);
}
