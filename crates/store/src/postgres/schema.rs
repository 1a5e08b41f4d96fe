//! The tables, and the numbered migrations that make them.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::connection::{self, failed};
use crate::{Result, SHARDS, StoreError};

/// The schema's version that this program speaks.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two programs that start at once migrate one after the other: this is what they lock.
const LOCK: i64 = 0x6c65_7665_6501;

/// Names are bytes, not text: any string fits, and they compare alike everywhere.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE streams (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name bytea NOT NULL UNIQUE
    );

    -- A record's place is its stream's id in the upper half and its sequence in the lower one.
    CREATE TABLE records (
        place bigint PRIMARY KEY,
        time bigint NOT NULL,
        kind bytea NOT NULL,
        author bytea NOT NULL,
        flags bigint NOT NULL,
        body bytea NOT NULL
    );

    CREATE TABLE snapshots (
        stream bigint PRIMARY KEY,
        seq bigint NOT NULL,
        body bytea NOT NULL
    );

    CREATE TABLE directory (
        namespace bytea NOT NULL,
        key bytea NOT NULL,
        version bigint NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (namespace, key)
    );

    CREATE TABLE agenda (
        stream bigint NOT NULL,
        key bytea NOT NULL,
        shard smallint NOT NULL,
        due bigint NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (stream, key)
    );
    CREATE INDEX agenda_due ON agenda (shard, due);

    -- Changed with each commit: room on the page, so that no index is touched.
    CREATE TABLE shards (
        shard smallint PRIMARY KEY,
        epoch bigint NOT NULL DEFAULT 0,
        node bytea NOT NULL DEFAULT '',
        position bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

    CREATE TABLE nodes (
        node bytea PRIMARY KEY,
        public_address bytea NOT NULL,
        ready boolean NOT NULL,
        speaks bigint NOT NULL,
        heard boolean NOT NULL,
        ttl interval NOT NULL,
        expires timestamptz NOT NULL
    );

    -- Letters that the bus could not carry: what is lost with it comes late, and is not missing.
    CREATE UNLOGGED TABLE post (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        sender bytea NOT NULL,
        receiver bytea NOT NULL,
        sent timestamptz NOT NULL DEFAULT clock_timestamp(),
        body bytea NOT NULL
    );
    CREATE INDEX post_receiver ON post (receiver, id);

    -- For people who look into the database; the program never reads it.
    CREATE VIEW log AS
        SELECT encode(s.name, 'escape') AS stream, r.place & 4294967295 AS seq,
            to_timestamp(r.time / 1000000.0) AS time, encode(r.kind, 'escape') AS kind,
            encode(r.author, 'escape') AS author, r.flags, encode(r.body, 'escape') AS body
        FROM records r JOIN streams s ON s.id = r.place >> 32;
"];

/// Brings the database at `url` up to the schema that this program speaks, and answers the version that it
/// had before (0 for an empty database).
///
/// # Errors
/// As [`super::PostgresStore::open`].
pub async fn migrate(url: &str) -> Result<i64> {
    let mut connection = connection::connect(&connection::options(url)?, PATIENCE).await?;
    connection::check(&mut connection).await?;
    let before = prepare(&mut connection, true).await?;
    connection::close(connection).await;
    Ok(before)
}

/// A connection to a database whose schema is up to date.
pub(crate) async fn connect_migrated(url: &str) -> Result<PgConnection> {
    let mut connection = connection::connect(&connection::options(url)?, PATIENCE).await?;
    connection::check(&mut connection).await?;
    prepare(&mut connection, true).await?;
    Ok(connection)
}

/// Checks the schema and brings it up to date if wanted; answers the version found.
pub(super) async fn prepare(connection: &mut PgConnection, migrate: bool) -> Result<i64> {
    let found = version(connection).await?;
    let refuse = |found, advice| Err(StoreError::Schema { found, supported: SCHEMA_VERSION, advice });
    if found > SCHEMA_VERSION {
        return refuse(found, "it was written by a newer program; run that one");
    }
    if found == SCHEMA_VERSION {
        return Ok(found);
    }
    if !migrate {
        return refuse(found, "migrate it first");
    }
    let run = |text: String| sqlx::raw_sql(AssertSqlSafe(text));
    // No patience here: an index over many rows takes its time.
    let begin = format!(
        "SET statement_timeout = 0; SET lock_timeout = 0; BEGIN; SELECT pg_advisory_xact_lock({LOCK})"
    );
    run(begin).execute(&mut *connection).await.map_err(failed)?;
    // Another program may have been faster.
    let now = version(connection).await?;
    for (number, statements) in (1..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= now) {
        tracing::info!(schema = number, "migrating the store");
        run(statements.to_owned()).execute(&mut *connection).await.map_err(failed)?;
    }
    let mark = format!(
        "CREATE TABLE IF NOT EXISTS levee_meta (name text PRIMARY KEY, value bigint NOT NULL);
         INSERT INTO levee_meta VALUES ('schema_version', {SCHEMA_VERSION})
             ON CONFLICT (name) DO UPDATE SET value = excluded.value;
         INSERT INTO shards (shard) SELECT * FROM generate_series(0, {}) ON CONFLICT DO NOTHING;
         COMMIT",
        SHARDS - 1
    );
    run(mark).execute(&mut *connection).await.map_err(failed)?;
    Ok(found)
}

async fn version(connection: &mut PgConnection) -> Result<i64> {
    // Not `to_regclass`: within a transaction it may remember that there was none.
    let there = "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'levee_meta' AND relkind = 'r'
        AND pg_table_is_visible(oid))";
    let there: bool = sqlx::query_scalar(there).fetch_one(&mut *connection).await.map_err(failed)?;
    if !there {
        return Ok(0);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT value FROM levee_meta WHERE name = 'schema_version'")
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
    version.ok_or_else(|| StoreError::Damaged("the schema's version is missing".into()))
}
