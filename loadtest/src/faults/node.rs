//! A node: the real binary as a process that is signalled, ended and started again.

use super::hosts::Hosts;
use anyhow::{Context, Result, bail};
use levee_client::Address;
use levee_client::http::Http;
use levee_testbed::{Signal, signal};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long it may take to say how it is.
const ANSWER: Duration = Duration::from_secs(1);
/// How many lines of its log are shown.
const LINES: usize = 15;

/// A node. It is killed when it is dropped.
pub(crate) struct Node {
    program: PathBuf,
    settings: Vec<String>,
    host: Option<(usize, Ipv4Addr)>,
    port: u16,
    log: PathBuf,
    child: Child,
}

impl Node {
    /// Starts a node, on a host of its own if there are such; `ready` waits until it is.
    pub(crate) fn start(
        program: &Path,
        number: usize,
        hosts: Option<&Hosts>,
        folder: &Path,
        settings: Vec<String>,
    ) -> Result<Self> {
        let host = hosts.map(|_| (number, Hosts::address(number)));
        let port = levee_testbed::free_port();
        let log = folder.join(format!("node-{number}-{port}.log"));
        let data = format!("--data-dir={}", folder.join(format!("data-{number}")).display());
        let mut settings = settings;
        settings.push(data);
        let child = spawn(program, hosts, host, port, &log, &settings)?;
        Ok(Self { program: program.to_owned(), settings, host, port, log, child })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Address {
        let host = self.host.map_or(Ipv4Addr::LOCALHOST, |(_, address)| address);
        Address::plain(&host.to_string(), self.port)
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("a node ended at its start ({status}):\n{}", self.last_words());
            }
            if is_ready(&self.address()).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("a node is not ready within {PATIENCE:?}:\n{}", self.last_words())
    }

    /// Signals it.
    pub(crate) fn signal(&self, what: Signal) -> Result<()> {
        signal(self.child.id(), what).map_err(anyhow::Error::msg)
    }

    /// Signals it and waits for its end.
    pub(crate) async fn end(&mut self, what: Signal) -> Result<()> {
        self.signal(what)?;
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > PATIENCE {
                bail!("a node does not end within {PATIENCE:?}:\n{}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts it again on the same port.
    pub(crate) async fn again(&mut self, hosts: Option<&Hosts>) -> Result<()> {
        self.child = spawn(&self.program, hosts, self.host, self.port, &self.log, &self.settings)?;
        self.ready().await
    }

    /// Its figures: sums over the labels of each.
    pub(crate) async fn figures(&self) -> Result<BTreeMap<String, f64>> {
        let response = Http::new(self.address()).get("/metrics").await?;
        let mut sums = BTreeMap::new();
        let text = response.text();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let name = name.split('{').next().unwrap_or_default();
            *sums.entry(name.to_owned()).or_default() += value.parse::<f64>().unwrap_or_default();
        }
        Ok(sums)
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// Whether a node says that it is ready.
pub(crate) async fn is_ready(address: &Address) -> bool {
    health(address).await == Some(true)
}

/// What a node says of itself; `None` if it does not answer.
pub(crate) async fn health(address: &Address) -> Option<bool> {
    let mut http = Http::new(address.clone());
    let answer = tokio::time::timeout(ANSWER, http.get("/readyz")).await.ok()?.ok()?;
    Some(answer.status == 200)
}

fn spawn(
    program: &Path,
    hosts: Option<&Hosts>,
    host: Option<(usize, Ipv4Addr)>,
    port: u16,
    log: &Path,
    settings: &[String],
) -> Result<Child> {
    let (mut command, listen) = match (hosts, host) {
        (Some(hosts), Some((number, address))) => (hosts.on(number, program), address),
        _ => (Command::new(program), Ipv4Addr::LOCALHOST),
    };
    let log = File::options().create(true).append(true).open(log).context("a node's log")?;
    command.arg("serve").arg(format!("--listen={listen}:{port}")).args(settings);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVEE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("a node does not start")
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
