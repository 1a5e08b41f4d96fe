//! Several nodes on one PostgreSQL and one Redis, behind a balancer.

use super::balancer::Balancer;
use super::people::Person;
use super::process::Server;
use levee_client::Address;
use levee_testbed::{Postgres, Redis, Signal};

/// Nodes, what they stand on, and the one address by which clients reach them.
pub(crate) struct Cluster {
    nodes: Vec<Server>,
    balancer: Balancer,
    redis: Redis,
    _postgres: Postgres,
}

impl Cluster {
    pub(crate) async fn start(count: usize) -> Self {
        Self::with(count, &[]).await
    }

    /// Nodes with further settings, given as flags.
    pub(crate) async fn with(count: usize, further: &[&str]) -> Self {
        let postgres = Postgres::start(&[]).expect("PostgreSQL");
        let redis = Redis::start(&[]).expect("Redis");
        let url = format!("--postgres-url={}", postgres.url());
        let redis_url = format!("--redis-url={}", redis.url());
        let mut nodes = Vec::new();
        for _ in 0..count {
            let settings = ["--store=postgres", &url, &redis_url, "--drain-s=1", "--workers=1"];
            nodes.push(Server::with(&[&settings[..], further].concat()).await);
        }
        let balancer = Balancer::start(nodes.iter().map(Server::port).collect()).await;
        Self { nodes, balancer, redis, _postgres: postgres }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> Address {
        Address::plain("127.0.0.1", self.balancer.port())
    }

    /// Where each node is.
    pub(crate) fn nodes(&self) -> Vec<Address> {
        self.nodes.iter().map(Server::address).collect()
    }

    /// A node.
    pub(crate) fn node(&self, number: usize) -> &Server {
        &self.nodes[number]
    }

    /// A guest whose session lives on a certain node.
    pub(crate) async fn guest(&self, node: usize, name: &str) -> Person {
        self.nodes[node].guest(name).await
    }

    /// Ends a node.
    pub(crate) async fn end(&mut self, number: usize, signal: Signal) {
        self.nodes[number].end(signal).await;
    }

    /// Ends a node and starts it again.
    pub(crate) async fn restart(&mut self, number: usize, signal: Signal) {
        self.nodes[number].end(signal).await;
        self.nodes[number].restart().await;
    }

    pub(crate) fn redis(&mut self) -> &mut Redis {
        &mut self.redis
    }
}
