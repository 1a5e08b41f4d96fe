//! Processes that are started, signalled and ended by their ids.

use crate::Result;
use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many ports there are to take.
const PORTS: u32 = 12_000;

/// What a process can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End at once, nothing is tidied up.
    Kill,
    /// End in good order.
    Terminate,
    /// End soon: PostgreSQL's fast shutdown.
    Interrupt,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Terminate => "-TERM",
            Self::Interrupt => "-INT",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}

/// A port that nobody listens on, and that stays this process's until it ends, whether somebody listens on it
/// or not: between a look and a start, and between a death and a restart, no other test gets it. It lies below
/// the range from which the system takes ports for outgoing connections.
pub fn free_port() -> u16 {
    static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    // Processes that look at the same time begin at different places.
    let start = std::process::id().wrapping_mul(101);
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    for step in 0..PORTS {
        let port = 20_000 + (start.wrapping_add(step) % PORTS) as u16;
        // The name goes with its listener, however the process ends.
        let name = SocketAddr::from_abstract_name(format!("levee-test-port-{port}"));
        if let Ok(claim) = name.and_then(|name| UnixListener::bind_addr(&name))
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            claims.push(claim);
            return port;
        }
    }
    panic!("none of {PORTS} ports is free");
}

/// Signals a process.
///
/// # Errors
/// When there is none of that id.
pub fn signal(process: u32, signal: Signal) -> Result<()> {
    run(Command::new("kill").arg(signal.name()).arg(process.to_string())).map(drop)
}

/// A server's process, with the file that it logs to.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it; its output goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| format!("{:?}: {error}", command.get_program());
        let file = File::options().create(true).append(true).open(log).map_err(failed)?;
        let other = file.try_clone().map_err(failed)?;
        let spawned = command.stdin(Stdio::null()).stdout(file).stderr(other).spawn();
        let child = spawned.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until `ready` says so.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Err(format!("it ended at its start:\n{}", self.last_words()));
            }
            if ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it is not ready within {PATIENCE:?}:\n{}", self.last_words()))
    }

    /// Signals it.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        crate::signal(self.child.id(), signal)
    }

    /// Tells it to end, and waits for that.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Ok(());
        }
        self.signal(signal)?;
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("it did not end within {PATIENCE:?}:\n{}", self.last_words()))
    }

    fn last_words(&self) -> String {
        let mut text = String::new();
        let _ = File::open(&self.log).and_then(|mut log| log.read_to_string(&mut text));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A stopped process takes no other signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, and answers what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?} failed: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_port_is_given_once_though_nobody_listens_on_it() {
        let ports: HashSet<u16> = (0..300).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 300);
    }
}
