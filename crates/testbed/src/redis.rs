//! A Redis server of one's own, or several as a cluster or under Sentinel.

use crate::Result;
use crate::process::{self, Server, Signal, free_port};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many of a cluster's servers there are: fewer make no cluster.
const CLUSTER: usize = 3;
/// How long servers may take to find each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
    program: &'static str,
    settings: Vec<String>,
}

impl Redis {
    /// Starts a server on a free port, with further settings as `name value`.
    ///
    /// # Errors
    /// When Redis is not installed or does not start.
    pub fn start(settings: &[&str]) -> Result<Self> {
        Self::program("redis-server", settings)
    }

    fn program(program: &'static str, settings: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut redis = Self { folder, port: free_port(), server: None, program, settings };
        redis.again()?;
        Ok(redis)
    }

    /// Starts a Redis Cluster.
    ///
    /// # Errors
    /// When its servers don't start or don't find each other.
    pub fn cluster() -> Result<Vec<Self>> {
        let settings = ["cluster-enabled yes", "cluster-node-timeout 2000"];
        let servers: Vec<Self> = (0..CLUSTER).map(|_| Self::start(&settings)).collect::<Result<_>>()?;
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(servers.iter().map(|server| format!("127.0.0.1:{}", server.port)));
        process::run(create.args(["--cluster-replicas", "0", "--cluster-yes"]))?;
        let since = Instant::now();
        let whole = |server: &Self| {
            server.command(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
        };
        while !servers.iter().all(whole) {
            if since.elapsed() > PATIENCE {
                return Err("the cluster does not come together".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(servers)
    }

    /// Starts a primary and a replica, and a Sentinel that watches over them under the name `levee`:
    /// answers the two and the Sentinel.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn watched() -> Result<(Self, Self, Self)> {
        let primary = Self::start(&[])?;
        let replica = Self::start(&[&format!("replicaof 127.0.0.1 {}", primary.port)])?;
        let since = Instant::now();
        while !replica.command(&["INFO", "replication"])?.contains("master_link_status:up") {
            if since.elapsed() > PATIENCE {
                return Err("the replica does not follow".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let sentinel = Self::program(
            "redis-sentinel",
            &[
                &format!("sentinel monitor levee 127.0.0.1 {} 1", primary.port),
                "sentinel down-after-milliseconds levee 1000",
                "sentinel failover-timeout levee 3000",
            ],
        )?;
        Ok((primary, replica, sentinel))
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command.
    ///
    /// # Errors
    /// What Redis says.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut client = Command::new("redis-cli");
        process::run(client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words))
    }

    /// Signals it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.server.as_ref().ok_or("it does not run")?.signal(signal)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        match self.server.take() {
            Some(mut server) => server.end(signal),
            None => Ok(()),
        }
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn again(&mut self) -> Result<()> {
        let file = self.folder.path().join("redis.conf");
        if !file.exists() {
            let mut text = format!("port {}\nbind 127.0.0.1\nprotected-mode no\n", self.port);
            text += &format!("dir {}\n", self.folder.path().display());
            if self.program == "redis-server" {
                text += "save \"\"\nappendonly no\n";
            }
            for setting in &self.settings {
                text += setting;
                text.push('\n');
            }
            std::fs::write(&file, text).map_err(|error| error.to_string())?;
        }
        let mut server = start(self.program, &file, &self.folder.path().join("log"))?;
        // One that wants a password is ready too.
        let ready = |answer: String| ["PONG", "NOAUTH"].iter().any(|word| answer.contains(word));
        server.wait_until(|| self.command(&["PING"]).is_ok_and(ready))?;
        self.server = Some(server);
        Ok(())
    }
}

fn start(program: &str, file: &Path, log: &Path) -> Result<Server> {
    let mut command = Command::new(program);
    command.arg(file);
    Server::start(command, log)
}
