//! Questions. Each sees all commits that were answered before it was asked.

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use std::ops::RangeInclusive;

use super::connection::failed;
use crate::batch::{MAX_SEQ, signed};
use crate::pattern::{Pattern, upper_bound};
use crate::{AgendaItem, Entry, Key, Micros, NewRecord, Read, Record, Result, Shard, Snapshot, StoreError};

pub(super) async fn read(pool: &PgPool, query: &Read) -> Result<Vec<Record>> {
    let after = query.after.min(MAX_SEQ);
    let before = query.before.min(MAX_SEQ + 1);
    if query.limit == 0 || before <= after + 1 {
        return Ok(Vec::new());
    }
    let mut sql = QueryBuilder::<Postgres>::new(
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
        sql.push(" AND author = ").push_bind(author.as_bytes());
    }
    sql.push(if query.descending { " ORDER BY place DESC" } else { " ORDER BY place" });
    sql.push(" LIMIT ").push_bind(signed(query.limit as u64));
    sql.build().fetch_all(pool).await.map_err(failed)?.iter().map(record).collect()
}

fn place(sql: &mut QueryBuilder<Postgres>, query: &Read, seq: u64) {
    sql.push("(SELECT id << 32 FROM streams WHERE name = ").push_bind(query.stream.as_bytes().to_vec());
    sql.push(") + ").push_bind(signed(seq));
}

fn kinds(sql: &mut QueryBuilder<Postgres>, kinds: &[Key]) {
    if kinds.is_empty() {
        return;
    }
    sql.push(" AND (");
    for (at, kind) in kinds.iter().enumerate() {
        if at > 0 {
            sql.push(" OR ");
        }
        match Pattern::parse(kind) {
            Pattern::Exact(exact) => sql.push("kind = ").push_bind(exact.as_bytes().to_vec()),
            Pattern::Prefix(prefix) => {
                sql.push("(kind >= ").push_bind(prefix.as_bytes().to_vec());
                if let Some(bound) = upper_bound(prefix) {
                    sql.push(" AND kind < ").push_bind(bound.into_bytes());
                }
                sql.push(")")
            }
        };
    }
    sql.push(")");
}

fn record(row: &PgRow) -> Result<Record> {
    let place: i64 = row.try_get(0).map_err(failed)?;
    let record = NewRecord {
        time: unsigned(row, 1)?,
        kind: key(row, 2).map_err(failed)?,
        author: key(row, 3).map_err(failed)?,
        flags: unsigned(row, 4)?,
        body: bytes(row, 5).map_err(failed)?,
    };
    Ok(Record { seq: place as u64 & MAX_SEQ, record })
}

pub(super) async fn heads(pool: &PgPool, streams: &[Key]) -> Result<Vec<u64>> {
    let heads = "SELECT (SELECT r.place FROM records r
             WHERE r.place > s.id << 32 AND r.place < (s.id + 1) << 32 ORDER BY r.place DESC LIMIT 1)
        FROM unnest($1::bytea[]) WITH ORDINALITY AS w(name, at) LEFT JOIN streams s ON s.name = w.name
        ORDER BY w.at";
    let names: Vec<&[u8]> = streams.iter().map(|name| name.as_bytes()).collect();
    let places: Vec<Option<i64>> =
        sqlx::query_scalar(heads).bind(names).fetch_all(pool).await.map_err(failed)?;
    Ok(places.into_iter().map(|place| place.map_or(0, |place| place as u64 & MAX_SEQ)).collect())
}

pub(super) async fn positions(pool: &PgPool) -> Result<Vec<u64>> {
    let positions = "SELECT position FROM shards ORDER BY shard";
    let positions: Vec<i64> = sqlx::query_scalar(positions).fetch_all(pool).await.map_err(failed)?;
    Ok(positions.into_iter().map(|position| position as u64).collect())
}

pub(super) async fn snapshot(pool: &PgPool, stream: &str) -> Result<Option<Snapshot>> {
    let sql = "SELECT seq, body FROM snapshots WHERE stream = (SELECT id FROM streams WHERE name = $1)";
    let row = sqlx::query(sql).bind(stream.as_bytes()).fetch_optional(pool).await.map_err(failed)?;
    row.map(|row| Ok(Snapshot { seq: unsigned(&row, 0)?, body: bytes(&row, 1).map_err(failed)? })).transpose()
}

pub(super) async fn entry(pool: &PgPool, namespace: &str, key: &str) -> Result<Option<Entry>> {
    let sql = "SELECT key, version, value FROM directory WHERE namespace = $1 AND key = $2";
    let query = sqlx::query(sql).bind(namespace.as_bytes()).bind(key.as_bytes());
    let row = query.fetch_optional(pool).await.map_err(failed)?;
    row.as_ref().map(directory_row).transpose()
}

pub(super) async fn list(
    pool: &PgPool,
    namespace: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Entry>> {
    let mut sql =
        QueryBuilder::<Postgres>::new("SELECT key, version, value FROM directory WHERE namespace = ");
    sql.push_bind(namespace.as_bytes()).push(" AND key >= ").push_bind(prefix.as_bytes());
    // The empty key is a key too, but `after` being empty means the first page.
    if !after.is_empty() {
        sql.push(" AND key > ").push_bind(after.as_bytes());
    }
    if let Some(bound) = upper_bound(prefix) {
        sql.push(" AND key < ").push_bind(bound.into_bytes());
    }
    sql.push(" ORDER BY key LIMIT ").push_bind(signed(limit as u64));
    sql.build().fetch_all(pool).await.map_err(failed)?.iter().map(directory_row).collect()
}

fn directory_row(row: &PgRow) -> Result<Entry> {
    let (key, value) = (key(row, 0).map_err(failed)?, bytes(row, 2).map_err(failed)?);
    Ok(Entry { key, version: unsigned(row, 1)?, value })
}

const ITEMS: &str = "SELECT agenda.shard, streams.name, agenda.key, agenda.due, agenda.body \
                     FROM agenda JOIN streams ON streams.id = agenda.stream";

pub(super) async fn due(
    pool: &PgPool,
    shard: Shard,
    within: RangeInclusive<Micros>,
    limit: usize,
) -> Result<Vec<AgendaItem>> {
    let mut sql = QueryBuilder::<Postgres>::new(ITEMS);
    sql.push(" WHERE agenda.shard = ").push_bind(shard as i16);
    sql.push(" AND agenda.due >= ").push_bind(signed(*within.start()));
    sql.push(" AND agenda.due <= ").push_bind(signed(*within.end()));
    sql.push(" ORDER BY agenda.due LIMIT ").push_bind(signed(limit as u64));
    items(pool, sql).await
}

pub(super) async fn open(pool: &PgPool, stream: &str) -> Result<Vec<AgendaItem>> {
    let mut sql = QueryBuilder::<Postgres>::new(ITEMS);
    sql.push(" WHERE agenda.stream = (SELECT id FROM streams WHERE name = ").push_bind(stream.as_bytes());
    sql.push(") ORDER BY agenda.due");
    items(pool, sql).await
}

async fn items(pool: &PgPool, mut sql: QueryBuilder<Postgres>) -> Result<Vec<AgendaItem>> {
    let rows = sql.build().fetch_all(pool).await.map_err(failed)?;
    let item = |row: &PgRow| {
        Ok(AgendaItem {
            shard: row.try_get::<i16, _>(0).map_err(failed)? as Shard,
            stream: key(row, 1).map_err(failed)?,
            key: key(row, 2).map_err(failed)?,
            due: unsigned(row, 3)?,
            body: bytes(row, 4).map_err(failed)?,
        })
    };
    rows.iter().map(item).collect()
}

fn unsigned<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<T> {
    let value: i64 = row.try_get(column).map_err(failed)?;
    T::try_from(value).map_err(|_| StoreError::Damaged(format!("{value} is out of its column's range")))
}

/// A name.
pub(super) fn key(row: &PgRow, column: usize) -> Result<Key, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    std::str::from_utf8(bytes).map(Key::from).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A body.
pub(super) fn bytes(row: &PgRow, column: usize) -> Result<Bytes, sqlx::Error> {
    Ok(row.try_get::<Vec<u8>, _>(column)?.into())
}
