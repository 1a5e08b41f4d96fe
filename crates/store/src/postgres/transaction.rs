//! A batch as one transaction: lock and fence the shards, learn what is there, decide in memory, then one
//! statement per table that changes. The number of statements does not grow with the batch; for amendments
//! see there.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row as _};

use super::amend;
use super::connection::{again, blames_a_row, failed};
use crate::batch::{Batch, Change, Head, Known, MAX_SEQ, row_name, signed};
use crate::{Epoch, Key, Result, Shard, StoreError};

/// Why no change of a batch was carried out.
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether it may go well when it is tried again.
    pub(super) again: bool,
    /// Whether one change may be to blame for all.
    pub(super) blames_a_row: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, again: false, blames_a_row: false }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let (again, blames_a_row) = (again(&error), blames_a_row(&error));
        Self { error: failed(error), again, blames_a_row }
    }
}

/// Writes the changes and answers how each fared.
pub(super) async fn write<'a>(
    connection: &mut PgConnection,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<Vec<Result<()>>, Failure> {
    sqlx::query("BEGIN ISOLATION LEVEL READ COMMITTED").execute(&mut *connection).await?;
    let epochs = lock_shards(connection, changes.clone()).await?;
    let fence = |shard: Shard, epoch: Epoch| match epochs.get(&shard).copied().unwrap_or_default() {
        current if epoch == 0 || epoch != current => Err(StoreError::Fenced { shard, current }),
        _ => Ok(()),
    };
    let (mut known, present) = look_up(connection, changes.clone()).await?;
    let mut batch = Batch::default();
    let results = changes.map(|change| batch.stage(change, &mut known, &fence)).collect();
    insert(connection, &batch, &present).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(results)
}

/// Makes a connection whose transaction failed ready for the next one.
pub(super) async fn roll_back(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("ROLLBACK").execute(connection).await.map(drop)
}

/// Locks the rows of all shards that commits name, in the order of their numbers, and answers their
/// epochs. Those that get records advance their positions.
async fn lock_shards<'a>(
    connection: &mut PgConnection,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<BTreeMap<Shard, Epoch>, Failure> {
    let mut shards: BTreeMap<Shard, bool> = BTreeMap::new();
    for change in changes {
        if let Change::Commit(commit) = change {
            *shards.entry(commit.shard).or_default() |= !commit.records.is_empty();
        }
    }
    if shards.is_empty() {
        return Ok(BTreeMap::new());
    }
    let lock = "WITH locked AS (
            SELECT s.shard, w.advance FROM shards s
            JOIN unnest($1::smallint[], $2::bigint[]) AS w(shard, advance) ON w.shard = s.shard
            ORDER BY s.shard FOR NO KEY UPDATE OF s)
        UPDATE shards SET position = position + locked.advance FROM locked
        WHERE shards.shard = locked.shard RETURNING shards.shard, shards.epoch";
    let numbers: Vec<i16> = shards.keys().map(|shard| *shard as i16).collect();
    let advances: Vec<i64> = shards.values().map(|advances| i64::from(*advances)).collect();
    let rows = sqlx::query(lock).bind(numbers).bind(advances).fetch_all(connection).await?;
    let epoch = |row: &sqlx::postgres::PgRow| {
        Ok((row.try_get::<i16, _>(0)? as Shard, row.try_get::<i64, _>(1)? as Epoch))
    };
    Ok(rows.iter().map(epoch).collect::<Result<_, sqlx::Error>>()?)
}

/// Reads what the changes name, makes streams that are new, and locks the rows of the directory that are
/// there: answers what is known, and which rows those are.
async fn look_up<'a>(
    connection: &mut PgConnection,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<(Known, BTreeSet<Key>), Failure> {
    let mut streams: BTreeSet<&Key> = BTreeSet::new();
    let mut rows: BTreeSet<(&Key, &Key)> = BTreeSet::new();
    for change in changes {
        change.names(
            |stream| {
                streams.insert(stream);
            },
            |namespace, key| {
                rows.insert((namespace, key));
            },
        );
    }
    let mut known = Known::new();
    if !streams.is_empty() {
        look_up_streams(connection, streams, &mut known).await?;
    }
    let mut present = BTreeSet::new();
    if !rows.is_empty() {
        let lock = "SELECT d.namespace, d.key, d.version FROM directory d
            JOIN unnest($1::bytea[], $2::bytea[]) AS w(namespace, key)
              ON d.namespace = w.namespace AND d.key = w.key
            ORDER BY d.namespace, d.key FOR UPDATE OF d";
        let namespaces: Vec<&[u8]> = rows.iter().map(|(namespace, _)| namespace.as_bytes()).collect();
        let keys: Vec<&[u8]> = rows.iter().map(|(_, key)| key.as_bytes()).collect();
        for row in sqlx::query(lock).bind(namespaces).bind(keys).fetch_all(&mut *connection).await? {
            let name = row_name(&super::reader::key(&row, 0)?, &super::reader::key(&row, 1)?);
            let version: i64 = row.try_get(2)?;
            known.versions.insert(name.clone(), version as u64);
            present.insert(name);
        }
    }
    Ok((known, present))
}

async fn look_up_streams(
    connection: &mut PgConnection,
    streams: BTreeSet<&Key>,
    known: &mut Known,
) -> Result<(), Failure> {
    let heads = "SELECT s.id, s.name,
            (SELECT r.place FROM records r WHERE r.place > s.id << 32 AND r.place < (s.id + 1) << 32
             ORDER BY r.place DESC LIMIT 1)
        FROM unnest($1::bytea[]) AS w(name) JOIN streams s ON s.name = w.name";
    let names: Vec<&[u8]> = streams.iter().map(|name| name.as_bytes()).collect();
    for row in sqlx::query(heads).bind(&names).fetch_all(&mut *connection).await? {
        let last: Option<i64> = row.try_get(2)?;
        let head = Head { id: row.try_get(0)?, seq: last.map_or(0, |place| place as u64 & MAX_SEQ) };
        known.heads.insert(super::reader::key(&row, 1)?, head);
    }
    let new: Vec<&[u8]> = streams
        .into_iter()
        .filter(|name| known.heads.get_mut(name.as_str()).is_none())
        .map(|name| name.as_bytes())
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    // If another lane is making one of them, this waits for it and fails: then all is tried again.
    let make = "INSERT INTO streams (name) SELECT * FROM unnest($1::bytea[]) RETURNING id, name";
    for row in sqlx::query(make).bind(new).fetch_all(connection).await? {
        let head = Head { id: row.try_get(0)?, seq: 0 };
        known.heads.insert(super::reader::key(&row, 1)?, head);
    }
    Ok(())
}

/// Writes the rows of a batch. `present` are the rows of the directory that were there, and are locked.
async fn insert(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    present: &BTreeSet<Key>,
) -> Result<(), Failure> {
    if !batch.records.is_empty() {
        let records = || batch.records.iter();
        sqlx::query(
            "INSERT INTO records (place, time, kind, author, flags, body)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bytea[])",
        )
        .bind(records().map(|(place, _)| *place).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| signed(record.time)).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.kind.as_bytes()).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.author.as_bytes()).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| i64::from(record.flags)).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| &record.body[..]).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    amend::write(connection, &batch.amendments).await?;
    if !batch.snapshots.is_empty() {
        let snapshots = || batch.snapshots.iter();
        sqlx::query(
            "INSERT INTO snapshots (stream, seq, body)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])
             ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, body = excluded.body
             WHERE excluded.seq >= snapshots.seq",
        )
        .bind(snapshots().map(|(stream, _)| *stream).collect::<Vec<_>>())
        .bind(snapshots().map(|(_, (seq, _))| signed(*seq)).collect::<Vec<_>>())
        .bind(snapshots().map(|(_, (_, body))| &body[..]).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    directory(connection, batch, present).await?;
    agenda(connection, batch).await
}

async fn directory(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    present: &BTreeSet<Key>,
) -> Result<(), Failure> {
    let statements = [
        // No `ON CONFLICT`: a row that somebody else made since must fail the transaction.
        "INSERT INTO directory (namespace, key, version, value)
         SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[])",
        "UPDATE directory d SET version = w.version, value = w.value
         FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[]) AS w(namespace, key, version, value)
         WHERE d.namespace = w.namespace AND d.key = w.key",
    ];
    for (statement, there) in statements.into_iter().zip([false, true]) {
        let mut rows: Vec<_> = batch
            .directory
            .iter()
            .filter(|(name, row)| row.value.is_some() && present.contains(*name) == there)
            .collect();
        if rows.is_empty() {
            continue;
        }
        // In one order everywhere, so that no two transactions wait for each other.
        rows.sort_by_key(|(_, row)| (row.namespace, row.key));
        let rows = || rows.iter().map(|(_, row)| row);
        sqlx::query(statement)
            .bind(rows().map(|row| row.namespace.as_bytes()).collect::<Vec<_>>())
            .bind(rows().map(|row| row.key.as_bytes()).collect::<Vec<_>>())
            .bind(rows().map(|row| signed(row.version)).collect::<Vec<_>>())
            .bind(rows().filter_map(|row| row.value).map(|value| &value[..]).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    let removed = || batch.directory.values().filter(|row| row.value.is_none());
    if removed().next().is_some() {
        sqlx::query(
            "DELETE FROM directory d USING unnest($1::bytea[], $2::bytea[]) AS w(namespace, key)
             WHERE d.namespace = w.namespace AND d.key = w.key",
        )
        .bind(removed().map(|row| row.namespace.as_bytes()).collect::<Vec<_>>())
        .bind(removed().map(|row| row.key.as_bytes()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn agenda(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<(), Failure> {
    let put: Vec<_> =
        batch.agenda.iter().filter_map(|((stream, key), row)| row.map(|row| (stream, key, row))).collect();
    if !put.is_empty() {
        sqlx::query(
            "INSERT INTO agenda (stream, key, shard, due, body)
             SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::smallint[], $4::bigint[], $5::bytea[])
             ON CONFLICT (stream, key)
             DO UPDATE SET shard = excluded.shard, due = excluded.due, body = excluded.body",
        )
        .bind(put.iter().map(|(stream, ..)| **stream).collect::<Vec<_>>())
        .bind(put.iter().map(|(_, key, _)| key.as_bytes()).collect::<Vec<_>>())
        .bind(put.iter().map(|(.., row)| row.shard as i16).collect::<Vec<_>>())
        .bind(put.iter().map(|(.., row)| signed(row.due)).collect::<Vec<_>>())
        .bind(put.iter().map(|(.., row)| &row.body[..]).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let removed: Vec<_> =
        batch.agenda.iter().filter(|(_, row)| row.is_none()).map(|(item, _)| item).collect();
    if !removed.is_empty() {
        sqlx::query(
            "DELETE FROM agenda a USING unnest($1::bigint[], $2::bytea[]) AS w(stream, key)
             WHERE a.stream = w.stream AND a.key = w.key",
        )
        .bind(removed.iter().map(|(stream, _)| *stream).collect::<Vec<_>>())
        .bind(removed.iter().map(|(_, key)| key.as_bytes()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    }
    Ok(())
}
