//! Questions to the file, on connections that never write. Each sees all commits that were answered
//! before it was asked.

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool};
use std::ops::RangeInclusive;

use super::file::failed;
use crate::batch::{MAX_SEQ, signed};
use crate::pattern::{Pattern, upper_bound};
use crate::{AgendaItem, Entry, Key, Micros, NewRecord, Read, Record, Result, Shard, Snapshot, StoreError};

pub(super) async fn read(pool: &SqlitePool, query: &Read) -> Result<Vec<Record>> {
    let after = query.after.min(MAX_SEQ);
    let before = query.before.min(MAX_SEQ + 1);
    if query.limit == 0 || before <= after + 1 {
        return Ok(Vec::new());
    }
    let mut sql = QueryBuilder::<Sqlite>::new(
        "SELECT place, time, kind, author, flags, body FROM records WHERE place > ",
    );
    place(&mut sql, query, after);
    // `before` may be one beyond the last sequence, which would be the next stream's place 0.
    sql.push(" AND place <= ");
    place(&mut sql, query, before - 1);
    kinds(&mut sql, &query.kinds);
    if query.with_flags != 0 {
        let flags = i64::from(query.with_flags);
        sql.push(" AND flags & ").push_bind(flags).push(" = ").push_bind(flags);
    }
    if query.without_flags != 0 {
        sql.push(" AND flags & ").push_bind(i64::from(query.without_flags)).push(" = 0");
    }
    if let Some(author) = &query.author {
        sql.push(" AND author = ").push_bind(author.to_string());
    }
    sql.push(if query.descending { " ORDER BY place DESC" } else { " ORDER BY place" });
    sql.push(" LIMIT ").push_bind(signed(query.limit as u64));
    sql.build().fetch_all(pool).await.map_err(failed)?.iter().map(record).collect()
}

fn place(sql: &mut QueryBuilder<Sqlite>, query: &Read, seq: u64) {
    sql.push("(SELECT id << 32 FROM streams WHERE name = ").push_bind(query.stream.to_string());
    sql.push(") + ").push_bind(signed(seq));
}

fn kinds(sql: &mut QueryBuilder<Sqlite>, kinds: &[Key]) {
    if kinds.is_empty() {
        return;
    }
    sql.push(" AND (");
    for (at, kind) in kinds.iter().enumerate() {
        if at > 0 {
            sql.push(" OR ");
        }
        match Pattern::parse(kind) {
            Pattern::Exact(exact) => sql.push("kind = ").push_bind(exact.to_owned()),
            Pattern::Prefix(prefix) => {
                sql.push("(kind >= ").push_bind(prefix.to_owned());
                if let Some(bound) = upper_bound(prefix) {
                    sql.push(" AND kind < ").push_bind(bound);
                }
                sql.push(")")
            }
        };
    }
    sql.push(")");
}

fn record(row: &SqliteRow) -> Result<Record> {
    let place: i64 = row.try_get(0).map_err(failed)?;
    let record = NewRecord {
        time: unsigned(row, 1)?,
        kind: key(row, 2)?,
        author: key(row, 3)?,
        flags: unsigned(row, 4)?,
        body: bytes(row, 5)?,
    };
    Ok(Record { seq: place as u64 & MAX_SEQ, record })
}

pub(super) async fn head(pool: &SqlitePool, stream: &str) -> Result<u64> {
    let sql = "SELECT place FROM records WHERE place > (SELECT id << 32 FROM streams WHERE name = ?1) \
               AND place < (SELECT (id + 1) << 32 FROM streams WHERE name = ?1) ORDER BY place DESC LIMIT 1";
    let place: Option<i64> =
        sqlx::query_scalar(sql).bind(stream).fetch_optional(pool).await.map_err(failed)?;
    Ok(place.map_or(0, |place| place as u64 & MAX_SEQ))
}

pub(super) async fn snapshot(pool: &SqlitePool, stream: &str) -> Result<Option<Snapshot>> {
    let sql = "SELECT seq, body FROM snapshots WHERE stream = (SELECT id FROM streams WHERE name = ?)";
    let row = sqlx::query(sql).bind(stream).fetch_optional(pool).await.map_err(failed)?;
    row.map(|row| Ok(Snapshot { seq: unsigned(&row, 0)?, body: bytes(&row, 1)? })).transpose()
}

pub(super) async fn entry(pool: &SqlitePool, namespace: &str, key: &str) -> Result<Option<Entry>> {
    let sql = "SELECT key, version, value FROM directory WHERE namespace = ? AND key = ?";
    let query = sqlx::query(sql).bind(namespace).bind(key);
    let row = query.fetch_optional(pool).await.map_err(failed)?;
    row.as_ref().map(directory_row).transpose()
}

pub(super) async fn list(
    pool: &SqlitePool,
    namespace: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Entry>> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT key, version, value FROM directory WHERE namespace = ");
    sql.push_bind(namespace).push(" AND key >= ").push_bind(prefix);
    // The empty key is a key too, but `after` being empty means the first page.
    if !after.is_empty() {
        sql.push(" AND key > ").push_bind(after);
    }
    if let Some(bound) = upper_bound(prefix) {
        sql.push(" AND key < ").push_bind(bound);
    }
    sql.push(" ORDER BY key LIMIT ").push_bind(signed(limit as u64));
    sql.build().fetch_all(pool).await.map_err(failed)?.iter().map(directory_row).collect()
}

fn directory_row(row: &SqliteRow) -> Result<Entry> {
    Ok(Entry { key: key(row, 0)?, version: unsigned(row, 1)?, value: bytes(row, 2)? })
}

const ITEMS: &str = "SELECT agenda.shard, streams.name, agenda.key, agenda.due, agenda.body \
                     FROM agenda JOIN streams ON streams.id = agenda.stream";

pub(super) async fn due(
    pool: &SqlitePool,
    shard: Shard,
    within: RangeInclusive<Micros>,
    limit: usize,
) -> Result<Vec<AgendaItem>> {
    let mut sql = QueryBuilder::<Sqlite>::new(ITEMS);
    sql.push(" WHERE agenda.shard = ").push_bind(i64::from(shard));
    sql.push(" AND agenda.due >= ").push_bind(signed(*within.start()));
    sql.push(" AND agenda.due <= ").push_bind(signed(*within.end()));
    sql.push(" ORDER BY agenda.due LIMIT ").push_bind(signed(limit as u64));
    items(pool, sql).await
}

pub(super) async fn open(pool: &SqlitePool, stream: &str) -> Result<Vec<AgendaItem>> {
    let mut sql = QueryBuilder::<Sqlite>::new(ITEMS);
    sql.push(" WHERE agenda.stream = (SELECT id FROM streams WHERE name = ").push_bind(stream);
    sql.push(") ORDER BY agenda.due");
    items(pool, sql).await
}

async fn items(pool: &SqlitePool, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<AgendaItem>> {
    let rows = sql.build().fetch_all(pool).await.map_err(failed)?;
    let item = |row: &SqliteRow| {
        Ok(AgendaItem {
            shard: unsigned(row, 0)?,
            stream: key(row, 1)?,
            key: key(row, 2)?,
            due: unsigned(row, 3)?,
            body: bytes(row, 4)?,
        })
    };
    rows.iter().map(item).collect()
}

fn unsigned<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<T> {
    let value: i64 = row.try_get(column).map_err(failed)?;
    T::try_from(value).map_err(|_| StoreError::Damaged(format!("{value} is out of its column's range")))
}

fn key(row: &SqliteRow, column: usize) -> Result<Key> {
    Ok(row.try_get::<&str, _>(column).map_err(failed)?.into())
}

fn bytes(row: &SqliteRow, column: usize) -> Result<Bytes> {
    Ok(row.try_get::<Vec<u8>, _>(column).map_err(failed)?.into())
}
