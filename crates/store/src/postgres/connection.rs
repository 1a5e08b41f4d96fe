//! How connections are made, what is asked of the server before it is trusted, and what its errors mean.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::PostgresOptions;
use crate::{Result, StoreError};

/// How a connection to `url` is made.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        // The text may hold a password: it is not repeated.
        .map_err(|error| StoreError::Unavailable(format!("the address is not understood: {error}")))?;
    Ok(options
        .application_name("levee")
        .statement_cache_capacity(64)
        .options([
            // Whoever stops in the middle of a transaction must not hold its locks.
            ("idle_in_transaction_session_timeout", "2s"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "3s"),
            ("jit", "off"),
        ])
        .disable_statement_logging())
}

/// Connects, within some time.
pub(super) async fn connect(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection> {
    let host = format!("{}:{}", options.get_host(), options.get_port());
    match tokio::time::timeout(patience, options.connect()).await {
        Ok(connected) => {
            connected.map_err(|error| StoreError::Unavailable(format!("{host}: {}", said(&error))))
        }
        Err(_) => Err(StoreError::Unavailable(format!("{host} does not answer within {patience:?}"))),
    }
}

/// Ends a connection in good order, if that works at once.
pub(super) async fn close(connection: PgConnection) {
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
}

/// Connections that are made when they are needed.
pub(super) fn pool(options: &PgConnectOptions, size: u32, of: &PostgresOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size.max(1))
        .acquire_timeout(of.patience)
        .idle_timeout(Duration::from_secs(300))
        // Asking each time costs a way there and back; a dead one is noticed when it is used.
        .test_before_acquire(false)
        .connect_lazy_with(options.clone())
}

/// Refuses a server that may forget what it has acknowledged.
pub(super) async fn check(connection: &mut PgConnection) -> Result<()> {
    let setting = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), \
                   current_setting('server_version_num')::bigint, current_setting('server_encoding')";
    let (fsync, commits, version, encoding): (String, String, i64, String) =
        sqlx::query_as(setting).fetch_one(connection).await.map_err(failed)?;
    let refuse = |reason: &str| Err(StoreError::Unavailable(reason.into()));
    if version < 130_000 {
        return refuse("the server is older than PostgreSQL 13");
    }
    if encoding != "UTF8" {
        return refuse("the database's encoding is not UTF8");
    }
    if fsync != "on" {
        return refuse("the server has fsync=off: it may lose what it acknowledged; turn it on");
    }
    if commits == "off" {
        return refuse("the server has synchronous_commit=off: it may lose what it acknowledged; turn it on");
    }
    Ok(())
}

/// What the server said, or what the way to it did.
fn said(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

/// What an error means for the caller.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    match (code(&error).as_str(), &error) {
        ("53100", _) => StoreError::Full,
        ("XX001" | "XX002", _) | (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::Damaged(said(&error))
        }
        _ => StoreError::Unavailable(said(&error)),
    }
}

/// Whether the same transaction may go well when it is tried again at once: somebody else was faster, or
/// two waited for each other.
pub(super) fn again(error: &sqlx::Error) -> bool {
    matches!(code(error).as_str(), "23505" | "40001" | "40P01" | "55P03")
}

/// Whether one row may be to blame, so that the others of its transaction deserve another try.
pub(super) fn blames_a_row(error: &sqlx::Error) -> bool {
    let code = code(error);
    ["22", "23", "54"].iter().any(|class| code.starts_with(class)) || matches!(error, sqlx::Error::Encode(_))
}
