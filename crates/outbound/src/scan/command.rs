//! A command that gets a file on its standard input, and says by how it ends what it found.

use super::Contents;
use futures_util::TryStreamExt as _;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};

/// How a command ends that has found nothing.
const CLEAN: i32 = 0;
/// How one ends that has found what nobody shall see.
const REFUSED: i32 = 1;

/// Whatever a command has started, which is killed unless it came to its end.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

pub(super) async fn scan(program: &str, arguments: &[String], contents: Contents) -> Result<bool, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    // Passwords of this server are not its business.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVEE_")) {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| format!("{program} can't be started: {error}"))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let stdin = child.stdin.take().ok_or("it has no input")?;
    let feeding = feed(stdin, contents);
    tokio::pin!(feeding);
    let ended = tokio::select! {
        biased;
        // It must not take what is cut off for the whole.
        Err(why) = &mut feeding => return Err(why),
        ended = child.wait() => ended,
    };
    group.0 = None;
    let status = ended.map_err(|error| format!("how it ended is not known: {error}"))?;
    match status.code() {
        Some(CLEAN) => Ok(true),
        Some(REFUSED) => Ok(false),
        _ => Err(format!("it ended with {status}")),
    }
}

/// Gives it what there is, as far as it wants to have it.
async fn feed(mut stdin: ChildStdin, mut contents: Contents) -> Result<(), String> {
    while let Some(chunk) = contents.try_next().await.map_err(|error| error.to_string())? {
        if stdin.write_all(&chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}
