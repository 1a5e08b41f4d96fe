//! The tables, and how an older file gets them. A migration that was released never changes; new ones
//! are added at the end.

use std::path::Path;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::{SqliteOptions, file};
use crate::{Result, StoreError};

/// The schema that this program speaks.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Marks the file as ours (`Leve`), for `file(1)` and for the refusal of foreign files.
const APPLICATION_ID: i64 = 0x4c65_7665;

/// Number n of these leads from schema n - 1 to schema n.
///
/// Records lie in the order of their arrival, which fills page after page; where each belongs, its
/// place, is `stream << 32 | seq` in a small index. A batch over many streams so writes few pages: with
/// the place as the table's own key each record had a page of its own to write, which cost twice the
/// CPU and half the throughput. New streams get ever greater numbers, so that the index entries of those
/// which are active now share pages too.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        place INTEGER NOT NULL,
        time INTEGER NOT NULL,
        kind TEXT NOT NULL,
        author TEXT NOT NULL,
        flags INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX records_place ON records (place);

    CREATE TABLE snapshots (
        stream INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;

    CREATE TABLE directory (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE agenda (
        stream INTEGER NOT NULL,
        key TEXT NOT NULL,
        shard INTEGER NOT NULL,
        due INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (stream, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX agenda_due ON agenda (shard, due);

    CREATE TABLE shards (
        shard INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        node TEXT NOT NULL
    ) STRICT;

    -- For people who look into the file; the program never reads it.
    CREATE VIEW log AS
        SELECT name AS stream, place & 0xffffffff AS seq,
            datetime(time / 1000000, 'unixepoch') AS time, kind, author, flags, CAST(body AS TEXT) AS body
        FROM records JOIN streams ON streams.id = place >> 32;
"];

/// Brings the file at `path` up to the schema that this program speaks, making it if it is not there,
/// and answers the version that it had before (0 for a new file).
///
/// # Errors
/// As [`super::SqliteStore::open`].
pub async fn migrate(path: impl AsRef<Path>) -> Result<i64> {
    let path = path.as_ref();
    let _lock = file::lock(path, Duration::from_secs(2)).await?;
    let mut connection = file::connect(file::write_options(path, &SqliteOptions::default())).await?;
    let before = prepare(&mut connection, true).await?;
    connection.close().await.map_err(file::failed)?;
    file::sync_directory(path)?;
    Ok(before)
}

/// Checks the schema and brings it up to date if wanted; answers the version found.
pub(super) async fn prepare(connection: &mut SqliteConnection, migrate: bool) -> Result<i64> {
    let found = version(connection).await?;
    let refuse = |advice| Err(StoreError::Schema { found, supported: SCHEMA_VERSION, advice });
    if found > SCHEMA_VERSION {
        return refuse("it was written by a newer program; run that one");
    }
    if found < SCHEMA_VERSION && !migrate {
        return refuse("migrate it first");
    }
    for (number, statements) in (1..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= found) {
        tracing::info!(schema = number, "migrating the store");
        let mark = format!(
            "INSERT OR REPLACE INTO meta VALUES ('schema_version', {number}); \
             PRAGMA application_id = {APPLICATION_ID};"
        );
        let text = format!(
            "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) \
             STRICT, WITHOUT ROWID; {statements}; {mark} COMMIT;"
        );
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await {
            // The connection is about to be closed, which undoes the transaction as well.
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
            return Err(file::failed(error));
        }
    }
    Ok(found)
}

async fn version(connection: &mut SqliteConnection) -> Result<i64> {
    let tables = "SELECT count(*), coalesce(sum(name = 'meta'), 0) FROM sqlite_schema WHERE type = 'table'";
    let row = sqlx::query(tables).fetch_one(&mut *connection).await.map_err(file::failed)?;
    let (all, meta): (i64, i64) = (row.get(0), row.get(1));
    if all == 0 {
        return Ok(0);
    }
    let id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(file::failed)?;
    if meta == 0 || id != APPLICATION_ID {
        return Err(StoreError::Damaged("the file is a database of another program".into()));
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'schema_version'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(file::failed)?;
    version.ok_or_else(|| StoreError::Damaged("the schema's version is missing".into()))
}
