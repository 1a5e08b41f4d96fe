//! A program under test: started on its core, and what the kernel says of its memory and time.

use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The core of whatever is measured; the benchmark itself takes another.
const CORE: &str = "0";
/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(30);
/// The kernel tells times in hundredths of a second, on every architecture.
const TICKS: f64 = 100.0;

/// A running program, killed when this is dropped.
pub(crate) struct Subject {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Processor time of a whole process, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Subject {
    /// Starts `levee serve` with one worker.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub(crate) fn levee(program: &Path, store: &str, folder: &Path, passivate: u64) -> Result<Self> {
        let data = folder.join(format!("data-{store}"));
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("{} stays", data.display()))?;
        }
        let address = free_address()?;
        let mut command = pinned(program);
        command.args(["serve", "--workers", "1", "--store", store, "--log-level", "warn"]);
        command.args(["--idle-passivate-s", &passivate.to_string(), "--listen", &address.to_string()]);
        command.arg("--data-dir").arg(data);
        Self::start(command, address)
    }

    /// Starts the relay.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub(crate) fn relay(program: &Path) -> Result<Self> {
        let address = free_address()?;
        let mut command = pinned(program);
        command.arg(address.to_string()).stdout(Stdio::null());
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("{command:?}"))?;
        let mut subject = Self { child, address };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = subject.child.try_wait()? {
                bail!("{command:?} ended: {status}");
            }
            if since.elapsed() > START {
                bail!("{command:?} does not listen on {address}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(subject)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes that are resident now.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes * 1024)
    }

    /// What all its threads have used so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn spent(&self) -> Result<Spent> {
        let stat = self.read("stat")?;
        // The second field is a name in brackets, which may hold anything.
        let rest = stat.rsplit_once(") ").context("no fields")?.1;
        let field = |at: usize| -> Result<f64> {
            Ok(rest.split(' ').nth(at).context("too few fields")?.parse::<f64>()? / TICKS)
        };
        Ok(Spent { user: field(11)?, system: field(12)? })
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.id());
        std::fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Spent {
    /// What was spent since an earlier time.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// Takes this process to another core than the programs under test, where there is one.
pub(crate) fn step_aside() -> bool {
    let others = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let own = std::process::id().to_string();
    others > 0 && tool("taskset", &["-a", "-c", "-p", &format!("1-{others}"), &own])
}

/// Whether a tool runs and succeeds.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn pinned(program: &Path) -> Command {
    if !tool("taskset", &["--version"]) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
