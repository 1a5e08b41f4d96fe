//! Nodes of the real binary on one PostgreSQL, one Redis and one store of files.

use anyhow::{Context, Result, bail};
use levee_client::Address;
use levee_client::http::Http;
use levee_testbed::{Postgres, Redis};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes, and what they stand on.
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    _postgres: Postgres,
    _redis: Redis,
}

/// A node. It is killed when it is dropped.
struct Node {
    port: u16,
    child: Child,
    running: bool,
}

impl Nodes {
    /// Starts nodes whose files are where `blobs` says, and waits until they are ready.
    pub(crate) async fn start(program: &Path, folder: &Path, blobs: &str, count: usize) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let postgres = Postgres::start(&[]).map_err(anyhow::Error::msg)?;
        let redis = Redis::start(&[]).map_err(anyhow::Error::msg)?;
        let settings = [
            "--store=postgres".to_owned(),
            format!("--postgres-url={}", postgres.url()),
            format!("--redis-url={}", redis.url()),
            format!("--blobs={blobs}"),
        ];
        let mut nodes = Vec::new();
        for number in 0..count {
            let mut node = Node::start(program, folder, number, &settings)?;
            // The first one makes the tables.
            node.ready().await.with_context(|| format!("its log is in {}", folder.display()))?;
            nodes.push(node);
        }
        Ok(Self { nodes, _postgres: postgres, _redis: redis })
    }

    /// Where a node is.
    pub(crate) fn address(&self, number: usize) -> Address {
        Address::plain("127.0.0.1", self.nodes[number].port)
    }

    /// Their processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.child.id()).collect()
    }

    /// Kills one, as `kill -9` does.
    pub(crate) fn kill(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        node.child.kill()?;
        node.child.wait()?;
        node.running = false;
        Ok(())
    }
}

impl Node {
    fn start(program: &Path, folder: &Path, number: usize, settings: &[String]) -> Result<Self> {
        let port = levee_testbed::free_port();
        let log = File::create(folder.join(format!("node-{number}.log")))?;
        let mut command = Command::new(program);
        command.arg("serve").arg(format!("--listen=127.0.0.1:{port}")).args(settings);
        command.arg(format!("--data-dir={}", folder.join(format!("data-{number}")).display()));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVEE_"))
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("a node does not start")?;
        Ok(Self { port, child, running: true })
    }

    async fn ready(&mut self) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("a node ended at its start ({status})");
            }
            let address = Address::plain("127.0.0.1", self.port);
            if Http::new(address).get("/readyz").await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("a node is not ready within {PATIENCE:?}")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.running {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
