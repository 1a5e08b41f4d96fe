//! Three nodes on one PostgreSQL and one Redis, all real processes, behind a balancer.

use super::balancer::Balancer;
use super::hosts::{HUB, Hosts};
use super::node::Node;
use anyhow::{Context, Result};
use levee_client::Address;
use levee_testbed::{Postgres, Redis, Signal};
use std::path::PathBuf;
use std::time::Duration;

/// How many nodes there are.
pub(crate) const NODES: usize = 3;

/// What clusters are made of.
pub(crate) struct Ground {
    /// The `levee` binary.
    pub(crate) program: PathBuf,
    /// A folder for logs.
    pub(crate) folder: PathBuf,
    /// Hosts of the nodes' own, if such can be made here.
    pub(crate) hosts: Option<Hosts>,
}

/// How Redis is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    /// One server.
    Alone,
    /// A primary and a replica under Sentinel.
    Watched,
}

/// A cluster.
pub(crate) struct Cluster<'a> {
    pub(crate) ground: &'a Ground,
    hosts: Option<&'a Hosts>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) balancer: Balancer,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    _watch: Option<(Redis, Redis)>,
}

impl<'a> Cluster<'a> {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(ground: &'a Ground, bus: Bus, further: &[&str]) -> Result<Self> {
        // What Sentinel tells of is reached from one host only.
        let hosts = ground.hosts.as_ref().filter(|_| bus == Bus::Alone);
        let host = hosts.map_or("127.0.0.1".to_owned(), |_| HUB.to_string());
        let postgres = postgres(&ground.folder, &host)?;
        let bind = format!("bind 127.0.0.1 {host}");
        let (redis, watch, redis_url) = match bus {
            Bus::Alone => {
                let redis = Redis::start(&[&bind]).map_err(anyhow::Error::msg)?;
                let url = format!("redis://{host}:{}", redis.port());
                (redis, None, url)
            }
            Bus::Watched => {
                let (primary, replica, sentinel) = Redis::watched().map_err(anyhow::Error::msg)?;
                let url = format!("redis-sentinel://127.0.0.1:{}/levee", sentinel.port());
                (primary, Some((replica, sentinel)), url)
            }
        };
        let postgres_url = postgres.url().replace("127.0.0.1", &host);
        let mut settings: Vec<String> = [
            "--store=postgres",
            &format!("--postgres-url={postgres_url}"),
            &format!("--redis-url={redis_url}"),
            "--drain-s=1",
            "--workers=1",
        ]
        .map(str::to_owned)
        .into();
        settings.extend(further.iter().map(|&setting| setting.to_owned()));
        let start = |number| Node::start(&ground.program, number, hosts, &ground.folder, settings.clone());
        // The first one makes the tables.
        let mut nodes = vec![start(0)?];
        nodes[0].ready().await?;
        for number in 1..NODES {
            nodes.push(start(number)?);
        }
        for node in &mut nodes[1..] {
            node.ready().await?;
        }
        let balancer = Balancer::start(nodes.iter().map(Node::address).collect()).await?;
        Ok(Self { ground, hosts, nodes, balancer, postgres, redis, _watch: watch })
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> Address {
        self.balancer.address()
    }

    /// Ends a node, waits, and starts it again.
    pub(crate) async fn restart(&mut self, number: usize, signal: Signal, away: Duration) -> Result<()> {
        self.nodes[number].end(signal).await?;
        tokio::time::sleep(away).await;
        self.restart_ended(number).await
    }

    /// Starts a node again that has ended.
    pub(crate) async fn restart_ended(&mut self, number: usize) -> Result<()> {
        let hosts = self.hosts;
        self.nodes[number].again(hosts).await
    }

    /// Cuts a node off from PostgreSQL or Redis for a while.
    pub(crate) async fn cut(&self, number: usize, port: u16, time: Duration) -> Result<()> {
        let hosts = self.hosts.context("there are no hosts to cut off")?;
        hosts.cut(number, port)?;
        tokio::time::sleep(time).await;
        hosts.mend(number)
    }

    /// The sum of a figure over all nodes.
    pub(crate) async fn figure(&self, name: &str) -> Result<f64> {
        let mut sum = 0.0;
        for node in &self.nodes {
            sum += node.figures().await?.get(name).copied().unwrap_or_default();
        }
        Ok(sum)
    }
}

/// A PostgreSQL server that is reached from the nodes' hosts too.
fn postgres(folder: &std::path::Path, host: &str) -> Result<Postgres> {
    let who = folder.join("pg_hba.conf");
    std::fs::write(&who, "host all all 127.0.0.1/32 trust\nhost all all 192.0.2.0/24 trust\n")?;
    let listen = format!("listen_addresses=127.0.0.1,{host}");
    Postgres::start(&[&listen, &format!("hba_file={}", who.display())]).map_err(anyhow::Error::msg)
}
