//! Reads into the writer's memory what a batch names and the memory does not have: one statement for
//! all streams, one for all rows of the directory, none in the usual case.

use std::collections::HashSet;

use sqlx::{Row as _, SqliteConnection};

use super::file::failed;
use super::transaction::Text;
use super::writer::Order;
use crate::batch::{Head, Known, MAX_SEQ, row_name};
use crate::leases::Holder;
use crate::{Key, Result, Shard, StoreError};

const MAX_ROWS: usize = 1_024;

/// Makes sure that `known` has all that `orders` name.
pub(super) async fn look_up<'a>(
    connection: &mut SqliteConnection,
    orders: impl Iterator<Item = &'a Order>,
    known: &mut Known,
) -> Result<()> {
    known.turn();
    let mut streams: HashSet<&Key> = HashSet::new();
    let mut rows: HashSet<(&Key, &Key)> = HashSet::new();
    let Known { heads: known_heads, versions: known_versions, .. } = known;
    for order in orders {
        let Order::Write(change) = order else { continue };
        change.names(
            |name| {
                if !known_heads.touch(name.as_str()) {
                    streams.insert(name);
                }
            },
            |namespace, key| {
                if !known_versions.touch(&row_name(namespace, key)) {
                    rows.insert((namespace, key));
                }
            },
        );
    }
    let streams: Vec<&Key> = streams.into_iter().collect();
    for chunk in streams.chunks(MAX_ROWS) {
        heads(connection, chunk, known).await?;
    }
    let rows: Vec<(&Key, &Key)> = rows.into_iter().collect();
    for chunk in rows.chunks(MAX_ROWS) {
        versions(connection, chunk, known).await?;
    }
    Ok(())
}

async fn heads(connection: &mut SqliteConnection, names: &[&Key], known: &mut Known) -> Result<()> {
    let mut text = Text::default();
    text.push("SELECT s.name, s.id, ");
    text.push("(SELECT place FROM records WHERE place > (s.id << 32) AND place < ((s.id + 1) << 32) ");
    text.push("ORDER BY place DESC LIMIT 1) FROM streams s WHERE s.name IN (VALUES ");
    text.values(1, names, |text, name| text.bind(name.as_str())).map_err(failed)?;
    text.push(")");
    // What the file does not have is new.
    names.iter().for_each(|name| known.heads.insert((*name).clone(), Head::default()));
    let (sql, arguments) = text.finish();
    for row in sqlx::query_with(sql, arguments).fetch_all(connection).await.map_err(failed)? {
        let name: &str = row.try_get(0).map_err(failed)?;
        let id: i64 = row.try_get(1).map_err(failed)?;
        let last: Option<i64> = row.try_get(2).map_err(failed)?;
        known.heads.insert(name.into(), Head { id, seq: last.map_or(0, |last| last as u64 & MAX_SEQ) });
    }
    Ok(())
}

async fn versions(connection: &mut SqliteConnection, keys: &[(&Key, &Key)], known: &mut Known) -> Result<()> {
    let mut text = Text::default();
    text.push("SELECT namespace, key, version FROM directory WHERE (namespace, key) IN (VALUES ");
    text.values(2, keys, |text, (namespace, key)| {
        text.bind(namespace.as_str())?;
        text.bind(key.as_str())
    })
    .map_err(failed)?;
    text.push(")");
    keys.iter().for_each(|(namespace, key)| known.versions.insert(row_name(namespace, key), 0));
    let (sql, arguments) = text.finish();
    for row in sqlx::query_with(sql, arguments).fetch_all(connection).await.map_err(failed)? {
        let namespace: &str = row.try_get(0).map_err(failed)?;
        let key: &str = row.try_get(1).map_err(failed)?;
        let version: i64 = row.try_get(2).map_err(failed)?;
        known.versions.insert(row_name(namespace, key), version as u64);
    }
    Ok(())
}

/// Reads what the writer always has in mind: the shards' holders and the next stream's number.
pub(super) async fn reload(
    connection: &mut SqliteConnection,
    known: &mut Known,
) -> Result<Vec<(Shard, Holder)>> {
    known.clear();
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM streams")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    known.next_stream = last.unwrap_or(0) + 1;
    let mut holders = Vec::new();
    for row in
        sqlx::query("SELECT shard, epoch, node FROM shards").fetch_all(connection).await.map_err(failed)?
    {
        let shard: i64 = row.try_get(0).map_err(failed)?;
        let epoch: i64 = row.try_get(1).map_err(failed)?;
        let node: &str = row.try_get(2).map_err(failed)?;
        let damaged = |_| StoreError::Damaged(format!("shard {shard} has epoch {epoch}"));
        let shard = Shard::try_from(shard).map_err(damaged)?;
        holders.push((shard, Holder { node: node.into(), epoch: u64::try_from(epoch).map_err(damaged)? }));
    }
    Ok(holders)
}
