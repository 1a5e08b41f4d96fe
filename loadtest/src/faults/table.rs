//! The faults: what happens, what a user may see of it, and how long.

use super::cluster::{Bus, Cluster};
use super::load::{Meter, Part};
use crate::figures::Latencies;
use anyhow::Result;
use levee_testbed::Signal;
use std::sync::Arc;
use std::time::Duration;

/// How long it may take until everybody knows that Redis is away.
const NOTICE: Duration = Duration::from_secs(8);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing.
    Calm,
    /// A node is killed and started again.
    NodeKilled,
    /// A node stands still.
    NodePaused,
    /// What nodes answer is lost, then all connections.
    RepliesLost,
    /// All nodes stop in good order and start again, one after the other.
    RollingRestart,
    /// Redis is killed and started again.
    RedisKilled,
    /// Redis stands still for a while.
    RedisPaused,
    /// Redis loses what it holds, and all its listeners.
    RedisFlushed,
    /// Redis is gone for a long time.
    RedisEnded,
    /// Redis stands still for a long time.
    RedisStopped,
    /// The primary is killed, and the replica takes over.
    RedisFailover,
    /// PostgreSQL restarts.
    PostgresRestarted,
    /// A node does not reach PostgreSQL.
    CutFromPostgres,
    /// A node does not reach Redis.
    CutFromRedis,
}

/// A row of the table.
pub(crate) struct Fault {
    /// What happens.
    pub(crate) what: What,
    /// Its name.
    pub(crate) name: &'static str,
    /// Seconds that an answer or a delivery may take: while it is noticed, where that is told apart, and else.
    pub(crate) within: [f64; 2],
    /// Whether messages may come again: only after something crashed.
    pub(crate) repeats: bool,
    /// Whether connections must stay.
    pub(crate) stays: bool,
}

const fn fault(what: What, name: &'static str, within: f64) -> Fault {
    Fault { what, name, within: [0.0, within], repeats: false, stays: false }
}

/// All faults under load, in the order in which they happen.
pub(crate) static FAULTS: &[Fault] = &[
    Fault { stays: true, ..fault(What::Calm, "nothing", 2.0) },
    Fault { repeats: true, ..fault(What::NodeKilled, "node kill -9", 8.0) },
    Fault { repeats: true, ..fault(What::NodePaused, "node paused 15 s", 8.0) },
    fault(What::RepliesLost, "replies lost", 4.0),
    fault(What::RollingRestart, "rolling restart", 2.0),
    Fault { stays: true, ..fault(What::RedisKilled, "Redis killed", 4.0) },
    Fault { stays: true, ..fault(What::RedisPaused, "Redis paused 10 s", 4.0) },
    Fault { stays: true, ..fault(What::RedisFlushed, "Redis flushed", 4.0) },
    Fault { stays: true, within: [4.0, 2.0], ..fault(What::RedisEnded, "Redis ended 60 s", 2.0) },
    Fault { stays: true, within: [4.0, 2.0], ..fault(What::RedisStopped, "Redis stopped 60 s", 2.0) },
    Fault { stays: true, ..fault(What::PostgresRestarted, "PostgreSQL restarted", 6.0) },
    Fault { repeats: true, ..fault(What::CutFromPostgres, "node cut from PostgreSQL", 20.0) },
    Fault { stays: true, within: [4.0, 2.0], ..fault(What::CutFromRedis, "node cut from Redis", 2.0) },
    Fault { stays: true, ..fault(What::RedisFailover, "Redis failed over", 4.0) },
];

impl Fault {
    /// How Redis is run for it.
    pub(crate) fn bus(&self) -> Bus {
        if self.what == What::RedisFailover { Bus::Watched } else { Bus::Alone }
    }

    /// Whether it takes hosts of the nodes' own.
    pub(crate) fn needs_hosts(&self) -> bool {
        matches!(self.what, What::CutFromPostgres | What::CutFromRedis)
    }

    /// Why what came of it is not right, if so.
    pub(crate) fn complaint(&self, part: &Part) -> Option<String> {
        let mut wrong = Vec::new();
        for (name, count) in [
            ("lost", part.lost),
            ("doubled", part.doubled),
            ("out of order", part.disordered),
            ("shown to others", part.leaked),
            ("refused", part.refused),
            ("unanswered", part.unanswered),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {name}"));
            }
        }
        if part.repeated > 0 && !self.repeats {
            wrong.push(format!("{} came twice, and nothing crashed", part.repeated));
        }
        if part.reconnects > 0 && self.stays {
            wrong.push(format!("{} connections were lost", part.reconnects));
        }
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    /// Which message took too long, if one did.
    pub(crate) fn is_slow(&self, part: &Part) -> Option<String> {
        let mut rows = part.slowest.iter().zip(self.within).filter(|(_, within)| *within > 0.0);
        let (slowest, within) = rows.find(|(slowest, within)| **slowest > *within)?;
        Some(format!("{slowest:.1} s for a message, {within:.0} s are allowed"))
    }
}

/// Lets it happen, from the first moment to the last; answers what was measured until it must have been
/// noticed, where that is told apart.
pub(crate) async fn happen(
    what: What,
    cluster: &mut Cluster<'_>,
    meter: &Meter,
    long: Duration,
) -> Result<Option<Arc<Latencies>>> {
    let wait = |seconds: u64| tokio::time::sleep(Duration::from_secs(seconds));
    let told = anyhow::Error::msg;
    wait(3).await;
    let mut first = None;
    match what {
        What::Calm => wait(10).await,
        What::NodeKilled => cluster.restart(1, Signal::Kill, Duration::from_secs(10)).await?,
        What::NodePaused => {
            cluster.nodes[2].signal(Signal::Stop)?;
            wait(15).await;
            cluster.nodes[2].signal(Signal::Continue)?;
        }
        What::RepliesLost => {
            for _ in 0..5 {
                cluster.balancer.swallow();
                tokio::time::sleep(Duration::from_millis(400)).await;
                cluster.balancer.cut();
                wait(3).await;
            }
        }
        What::RollingRestart => {
            for number in 0..cluster.nodes.len() {
                cluster.restart(number, Signal::Terminate, Duration::ZERO).await?;
                wait(3).await;
            }
        }
        What::RedisKilled => {
            cluster.redis.end(Signal::Kill).map_err(told)?;
            wait(3).await;
            cluster.redis.again().map_err(told)?;
        }
        What::RedisPaused => {
            cluster.redis.signal(Signal::Stop).map_err(told)?;
            wait(10).await;
            cluster.redis.signal(Signal::Continue).map_err(told)?;
        }
        What::RedisFlushed => {
            for _ in 0..3 {
                cluster.redis.command(&["FLUSHALL"]).map_err(told)?;
                cluster.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).map_err(told)?;
                wait(4).await;
            }
        }
        What::RedisEnded => {
            cluster.redis.end(Signal::Kill).map_err(told)?;
            tokio::time::sleep(NOTICE).await;
            first = Some(meter.begin()?);
            tokio::time::sleep(long.saturating_sub(NOTICE)).await;
            cluster.redis.again().map_err(told)?;
        }
        What::RedisStopped => {
            cluster.redis.signal(Signal::Stop).map_err(told)?;
            tokio::time::sleep(NOTICE).await;
            first = Some(meter.begin()?);
            tokio::time::sleep(long.saturating_sub(NOTICE)).await;
            cluster.redis.signal(Signal::Continue).map_err(told)?;
        }
        What::RedisFailover => {
            cluster.redis.end(Signal::Kill).map_err(told)?;
            wait(10).await;
        }
        What::PostgresRestarted => {
            cluster.postgres.end(Signal::Interrupt).map_err(told)?;
            cluster.postgres.again().map_err(told)?;
        }
        What::CutFromPostgres => cluster.cut(1, cluster.postgres.port(), Duration::from_secs(30)).await?,
        What::CutFromRedis => {
            let (node, port) = (1, cluster.redis.port());
            let cutting = cluster.cut(node, port, Duration::from_secs(20));
            let measuring = async {
                tokio::time::sleep(NOTICE).await;
                meter.begin()
            };
            let (cut, measured) = tokio::join!(cutting, measuring);
            cut?;
            first = Some(measured?);
        }
    }
    wait(5).await;
    Ok(first)
}
