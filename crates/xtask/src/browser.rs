//! The browser story against a real `levee demo` that is started for it and ended after it.

use crate::repo::Repo;
use crate::{demo, deps, shell};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the demo may take until it listens, its organisation included.
const START: Duration = Duration::from_secs(60);

/// What the demo keeps in its folder, as `demo.json`.
#[derive(Deserialize)]
struct Demo {
    agent: Login,
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

/// Plays the story.
///
/// # Errors
/// When the demo does not start, or the story fails.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let chromium =
        deps::chromium().context("there is no Chromium: `cargo xtask deps` says what to install")?;
    demo::pages(repo)?;
    let levee = demo::server(repo)?;
    let screenshots = repo.root.join("test-output/screenshots");
    std::fs::create_dir_all(&screenshots)?;
    let mut plain = Running::start(&levee, repo.scratch("browser")?, &["--listen=127.0.0.1:0".into()])?;
    // By another name the same server is another origin to a browser.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let settings = [
        format!("--listen=127.0.0.1:{port}"),
        format!("--files-origin=http://localhost:{port}"),
        "--file-bytes-max=1000000".into(),
        "--file-scan=sh -c 'test $(grep -c NOBODY) = 0'".into(),
    ];
    let mut apart = Running::start(&levee, repo.scratch("browser-apart")?, &settings)?;
    let mut outcome = play(repo, &chromium, &screenshots, &mut plain, &mut apart);
    for demo in [plain, apart] {
        let log = demo.folder.join("demo.log");
        outcome = outcome.and(demo.end());
        if outcome.is_err() {
            println!("--- {} ---\n{}", log.display(), std::fs::read_to_string(&log).unwrap_or_default());
        }
    }
    outcome?;
    println!("screenshots are in {}", screenshots.display());
    Ok(())
}

/// Plays all scenes at a demo, and at one whose files are apart.
fn play(
    repo: &Repo,
    chromium: &Path,
    screenshots: &Path,
    plain: &mut Running,
    apart: &mut Running,
) -> Result<()> {
    let mut npm = demo::npm(repo);
    npm.args(["run", "--silent", "e2e"])
        .env("CI", "1")
        .env("LEVEE_CHROMIUM", chromium)
        .env("LEVEE_SCREENSHOTS", screenshots);
    for (prefix, running) in [("LEVEE", plain), ("LEVEE_APART", apart)] {
        let (url, demo) = running.ready()?;
        println!("a demo listens at {url}");
        npm.env(format!("{prefix}_URL"), &url)
            .env(format!("{prefix}_AGENT_EMAIL"), &demo.agent.email)
            .env(format!("{prefix}_AGENT_PASSWORD"), &demo.agent.password);
    }
    shell::run(&mut npm)
}

/// A demo that runs, and does not outlive this value.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    /// Starts one without data from before.
    fn start(levee: &Path, folder: PathBuf, arguments: &[String]) -> Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let out = std::fs::File::create(folder.join("demo.log"))?;
        let mut command = Command::new(levee);
        shell::forget_outer_package(&mut command);
        // A developer's own settings must not change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEVEE_") {
                command.env_remove(name);
            }
        }
        command.arg("demo").arg("--data-dir").arg(data).args(arguments);
        println!("$ {}", shell::line(&command));
        let child = command
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("the demo can't be started")?;
        Ok(Self { child, folder })
    }

    /// What it has printed.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("demo.log")).unwrap_or_default()
    }

    /// Waits until the demo says where it is, and reads the logins that it keeps.
    fn ready(&mut self) -> Result<(String, Demo)> {
        let since = Instant::now();
        while since.elapsed() < START {
            if let Some(url) = console(&self.log()) {
                let file = self.folder.join("data/demo.json");
                let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
                let demo = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
                return Ok((url, demo));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the demo ended with {status} before it listened");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the demo did not say where its console is within {} s", START.as_secs())
    }

    /// Asks it to drain, and expects that it ends in peace.
    fn end(mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            bail!("the demo ended by itself");
        }
        shell::run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(15) {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("the demo ended with {status} after SIGTERM");
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the demo did not end within 15 s of SIGTERM")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A demo that ended is no error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's address, from the line in which the demo names its console.
fn console(printed: &str) -> Option<String> {
    let word =
        printed.split_whitespace().find(|word| word.starts_with("http") && word.ends_with("/console/"))?;
    Some(word.trim_end_matches("/console/").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_what_the_demo_prints() {
        let printed =
            "It runs.\n\n  shop  http://127.0.0.1:9/demo/\n  console  http://127.0.0.1:9/console/\n";
        assert_eq!(console(printed).as_deref(), Some("http://127.0.0.1:9"));
        // Half a line is not it yet.
        assert_eq!(console(&printed[..printed.len() - 4]), None);
    }
}
