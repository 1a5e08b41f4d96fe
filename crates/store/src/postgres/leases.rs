//! Registrations of nodes and holders of shards, in the database and by its clock. The rules are those
//! of the floor's own `leases` module, as statements.
//!
//! After the server was away, registrations count as live for as long again as they were given: who held
//! something before renews first, and nothing moves because of an outage that everybody saw.

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

use super::connection::failed;
use super::reader::key;
use crate::batch::signed;
use crate::{Lease, NodeRow, Result, SHARDS, Shard};

/// When the registration `n` ends.
macro_rules! live {
    () => {
        "clock_timestamp() < greatest(n.expires, pg_postmaster_start_time() + n.ttl)"
    };
}

pub(super) async fn heartbeat(pool: &PgPool, node: &NodeRow, ttl_ms: u64) -> Result<Vec<NodeRow>> {
    let register = "INSERT INTO nodes (node, public_address, ready, speaks, heard, ttl, expires)
        VALUES ($1, $2, $3, $4, $5, $6 * interval '1 ms', clock_timestamp() + $6 * interval '1 ms')
        ON CONFLICT (node) DO UPDATE SET public_address = excluded.public_address, ready = excluded.ready,
            speaks = excluded.speaks, heard = excluded.heard, ttl = excluded.ttl, expires = excluded.expires";
    sqlx::query(register)
        .bind(node.node.as_bytes())
        .bind(node.public_address.as_bytes())
        .bind(node.ready)
        .bind(i64::from(node.speaks))
        .bind(node.heard)
        .bind(signed(ttl_ms) as f64)
        .execute(pool)
        .await
        .map_err(failed)?;
    let rows = sqlx::query(concat!(
        "SELECT n.node, n.public_address, n.ready, n.speaks, n.heard, ",
        live!(),
        " FROM nodes n ORDER BY n.node"
    ))
    .fetch_all(pool)
    .await
    .map_err(failed)?;
    let mut nodes = Vec::new();
    let mut gone = Vec::new();
    for row in rows {
        if row.try_get(5).map_err(failed)? {
            nodes.push(node_row(&row)?);
        } else {
            gone.push(row.try_get::<Vec<u8>, _>(0).map_err(failed)?);
        }
    }
    if !gone.is_empty() {
        // Of names that won't come back; those that do register anew.
        let forget = concat!(
            "WITH gone AS (DELETE FROM nodes n WHERE n.node = ANY($1) AND NOT ",
            live!(),
            " RETURNING n.node) DELETE FROM post USING gone WHERE post.receiver = gone.node"
        );
        sqlx::query(forget).bind(gone).execute(pool).await.map_err(failed)?;
    }
    Ok(nodes)
}

fn node_row(row: &PgRow) -> Result<NodeRow> {
    let speaks: i64 = row.try_get(3).map_err(failed)?;
    Ok(NodeRow {
        node: key(row, 0).map_err(failed)?,
        public_address: key(row, 1).map_err(failed)?,
        ready: row.try_get(2).map_err(failed)?,
        speaks: speaks as u32,
        heard: row.try_get(4).map_err(failed)?,
    })
}

const LEASES: &str = concat!(
    "SELECT s.shard, s.node, s.epoch, EXISTS (SELECT 1 FROM nodes n WHERE n.node = s.node AND ",
    live!(),
    ") FROM shards s "
);

fn numbers(shards: &[Shard]) -> Vec<i16> {
    shards.iter().filter(|shard| **shard < SHARDS).map(|shard| *shard as i16).collect()
}

fn lease(row: &PgRow) -> Result<Lease> {
    Ok(Lease {
        shard: row.try_get::<i16, _>(0).map_err(failed)? as Shard,
        node: key(row, 1).map_err(failed)?,
        epoch: row.try_get::<i64, _>(2).map_err(failed)? as u64,
        live: row.try_get(3).map_err(failed)?,
    })
}

pub(super) async fn take(pool: &PgPool, node: &str, shards: &[Shard]) -> Result<Vec<Lease>> {
    let wanted = numbers(shards);
    let mut transaction = pool.begin().await.map_err(failed)?;
    // Locked first: what the next statement sees is then what nobody changes any more, and no commit
    // under an old epoch is under way.
    sqlx::query("SELECT 1 FROM shards WHERE shard = ANY($1) ORDER BY shard FOR UPDATE")
        .bind(&wanted)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let take = concat!(
        "UPDATE shards s SET node = $2, epoch = s.epoch + 1
         WHERE s.shard = ANY($1) AND s.node <> $2
           AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.node = s.node AND ",
        live!(),
        ") AND EXISTS (SELECT 1 FROM nodes n WHERE n.node = $2 AND ",
        live!(),
        ")"
    );
    sqlx::query(take).bind(&wanted).bind(node.as_bytes()).execute(&mut *transaction).await.map_err(failed)?;
    let asked = format!(
        "{LEASES} JOIN unnest($1::smallint[]) WITH ORDINALITY AS w(shard, at) \
                         ON w.shard = s.shard ORDER BY w.at"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(asked))
        .bind(&wanted)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    rows.iter().map(lease).collect()
}

pub(super) async fn release(pool: &PgPool, node: &str, shards: &[Shard]) -> Result<()> {
    let release = "WITH locked AS (SELECT shard FROM shards
            WHERE shard = ANY($1) AND node = $2 AND epoch > 0 ORDER BY shard FOR UPDATE)
        UPDATE shards s SET node = '' FROM locked WHERE s.shard = locked.shard";
    let done = sqlx::query(release).bind(numbers(shards)).bind(node.as_bytes()).execute(pool).await;
    done.map(drop).map_err(failed)
}

pub(super) async fn all(pool: &PgPool) -> Result<Vec<Lease>> {
    let all = format!("{LEASES} WHERE s.epoch > 0 ORDER BY s.shard");
    let rows = sqlx::query(sqlx::AssertSqlSafe(all)).fetch_all(pool).await.map_err(failed)?;
    rows.iter().map(lease).collect()
}

pub(super) async fn leave(pool: &PgPool, node: &str) -> Result<()> {
    let leave = sqlx::query("DELETE FROM nodes WHERE node = $1").bind(node.as_bytes());
    leave.execute(pool).await.map_err(failed)?;
    let all: Vec<Shard> = (0..SHARDS).collect();
    release(pool, node, &all).await?;
    let letters = sqlx::query("DELETE FROM post WHERE receiver = $1").bind(node.as_bytes());
    letters.execute(pool).await.map(drop).map_err(failed)
}
