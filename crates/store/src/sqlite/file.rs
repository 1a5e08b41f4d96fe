//! The file: how connections to it are made, who may open it, and what its errors mean.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::{SqliteOptions, Synchronous};
use crate::{Result, StoreError};

/// Must agree with `PRAGMA page_size`, which only a new file listens to.
pub(super) const PAGE: u32 = 4_096;

/// Takes the lock of a store's file for as long as the answer lives. SQLite's own locks would not do:
/// they are held per transaction, and what the writer remembers must hold between transactions.
pub(super) async fn lock(path: &Path, wait: Duration) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let broken = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", name.display()));
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&name).map_err(broken)?;
    let give_up = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Who it is only helps the reader of the message.
                let _ = file.read_to_string(&mut owner);
                return Err(StoreError::Unavailable(format!(
                    "{} is in use by another process ({})",
                    path.display(),
                    owner.trim()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
    }
    file.set_len(0).and_then(|()| writeln!(file, "pid {}", std::process::id())).map_err(broken)?;
    Ok(file)
}

/// Makes the names of new files survive a power cut too; SQLite does so for the log only.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", directory.display())))
}

/// How the writer connects.
pub(super) fn write_options(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Off => SqliteSynchronous::Off,
    };
    let mut connect = common(path)
        .create_if_missing(true)
        .page_size(PAGE)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        // 16 MiB of log before it is copied back: hot pages are copied once for many commits.
        .pragma("wal_autocheckpoint", "4096")
        .pragma("journal_size_limit", "67108864")
        // Small, for the system caches the file as well.
        .pragma("cache_size", "-2048")
        .pragma("temp_store", "MEMORY")
        .thread_name(|_| "levee-store-sql".into());
    if let Some(bytes) = options.max_bytes {
        connect = connect.pragma("max_page_count", (bytes / u64::from(PAGE)).max(1).to_string());
    }
    connect
}

/// How readers connect.
pub(super) fn read_options(path: &Path) -> SqliteConnectOptions {
    common(path)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-1024")
        .thread_name(|at| format!("levee-store-r{at}"))
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // Only foreign tools can be in the way, say one that copies the file.
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(false)
        .statement_cache_capacity(128)
        // Each connection is used by one thread of its own.
        .serialized(false)
        .disable_statement_logging()
}

/// Connects.
pub(super) async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection> {
    options.connect().await.map_err(failed)
}

const SQLITE_ERROR: u32 = 1;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_TOOBIG: u32 = 18;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_MISMATCH: u32 = 20;
const SQLITE_NOTADB: u32 = 26;

fn code(error: &sqlx::Error) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// What an error of SQLite means for the caller.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    match (code(&error), &error) {
        (Some(SQLITE_FULL), _) => StoreError::Full,
        (Some(SQLITE_CORRUPT | SQLITE_NOTADB), _)
        | (None, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::Damaged(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether one row may be to blame, so that the others of its transaction deserve another try.
pub(super) fn blames_a_row(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(SQLITE_ERROR | SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH))
        || matches!(error, sqlx::Error::Encode(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_writer_syncs_each_commit_unless_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("levee.db");
        // SQLite's 2 is FULL: the log is synced at each commit, not only before it is copied back.
        for (synchronous, expected) in [(Synchronous::default(), 2), (Synchronous::Off, 0)] {
            let options = SqliteOptions { synchronous, ..SqliteOptions::default() };
            let mut writer = connect(write_options(&path, &options)).await.unwrap();
            let found: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer).await.unwrap();
            let journal: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer).await.unwrap();
            assert_eq!((found, journal.as_str()), (expected, "wal"));
        }
        assert_eq!(SqliteOptions::default().synchronous, Synchronous::Full);
    }

    #[tokio::test]
    async fn readers_can_not_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("levee.db");
        connect(write_options(&path, &SqliteOptions::default())).await.unwrap();
        let mut reader = connect(read_options(&path)).await.unwrap();
        sqlx::query("CREATE TABLE t (a)").execute(&mut reader).await.unwrap_err();
    }
}
