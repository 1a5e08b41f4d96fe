//! Starting, killing and restarting the server.

use levee_client::http::Http;
use levee_client::{Address, Trust};
use levee_testbed::free_port;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// A server with a data folder of its own; both end with it.
pub(crate) struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
    settings: Vec<String>,
}

/// A new folder for this test.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("levee-{}-{number}-{:08x}", std::process::id(), rand::random::<u32>());
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

impl Server {
    /// Starts a server on the embedded store and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a server that speaks TLS with a certificate of its own.
    pub(crate) async fn with_tls() -> Self {
        Self::with(&["--tls-self-signed=true"]).await
    }

    /// Starts a server with further settings, given as flags, and waits until it is ready.
    pub(crate) async fn with(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let (dir, port) = (folder(), free_port());
        let child = spawn(port, &dir, &settings);
        let mut server = Self { child, port, dir, settings };
        assert!(server.ready().await, "the server does not start");
        server
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        self.find().expect("a certificate")
    }

    /// Where it is, once that can be told: with TLS it makes its certificate first.
    fn find(&self) -> Option<Address> {
        let plain = Address::plain("127.0.0.1", self.port);
        if !self.settings.iter().any(|setting| setting.starts_with("--tls-self-signed")) {
            return Some(plain);
        }
        let trust = Trust::file(&self.dir.join("data/self-signed.crt")).ok()?;
        Some(Address { trust: Some(trust), ..plain })
    }

    /// The folder of its files' bytes.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.join("data/blobs")
    }

    /// Sends bytes over a connection of its own, and answers all that comes back until it ends.
    pub(crate) async fn talk(&self, request: &str) -> String {
        let mut stream =
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("to send");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// The settings that it was started with.
    pub(crate) fn settings(&self) -> &[String] {
        &self.settings
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it by a signal.
    pub(crate) async fn end(&mut self, signal: levee_testbed::Signal) {
        if signal == levee_testbed::Signal::Kill {
            return self.kill();
        }
        levee_testbed::signal(self.child.id(), signal).expect("a process to signal");
        let since = Instant::now();
        while self.child.try_wait().expect("its state").is_none() {
            assert!(since.elapsed() < START, "it does not end:\n{}", log_end(&self.dir));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again on the same port and folder, after it was ended.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.try_wait().expect("its state").is_some(), "it runs still");
        self.child = spawn(self.port, &self.dir, &self.settings);
        assert!(self.ready().await, "the server does not start again");
    }

    /// Waits until it says that it is ready; false if it ended before.
    async fn ready(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < START {
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            if let Some(address) = self.find()
                && Http::new(address).get("/readyz").await.is_ok_and(|response| response.status == 200)
            {
                return true;
            }
            // Another process starts: there is nothing to wait on but its answer.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already, by the test's hand.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's last words, of {}:\n{}", self.dir.display(), log_end(&self.dir));
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn spawn(port: u16, dir: &std::path::Path, settings: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_levee"));
    command.arg("serve").arg("--listen").arg(format!("127.0.0.1:{port}"));
    command.arg("--data-dir").arg(dir.join("data")).args(settings);
    // A developer's own settings stay out of this.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVEE_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("the server")
}

fn log_end(dir: &std::path::Path) -> String {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
