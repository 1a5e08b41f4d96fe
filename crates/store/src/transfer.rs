//! Moving what a SQLite file holds into an empty PostgreSQL database: all of it or nothing, counted.

use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::sqlite::{SqliteOptions, open_alone};
use crate::{Result, StoreError, postgres};

/// Rows of one statement.
const ROWS: usize = 2_000;
/// Bytes of them, roughly.
const BYTES: usize = 8 << 20;

/// How many rows were moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Streams.
    pub streams: u64,
    /// Records of streams.
    pub records: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Rows of the directory.
    pub directory: u64,
    /// Rows of the agenda.
    pub agenda: u64,
}

/// A column's values, as PostgreSQL takes them.
enum Column {
    Numbers(Vec<i64>),
    Bytes(Vec<Vec<u8>>),
}

/// A table: its name, what is read from SQLite and what is written into PostgreSQL.
struct Table {
    name: &'static str,
    read: &'static str,
    /// A letter per column: `n` for a number, `t` for a text, `b` for bytes.
    columns: &'static str,
    write: &'static str,
}

const TABLES: [Table; 5] = [
    Table {
        name: "streams",
        read: "SELECT id, name FROM streams ORDER BY id",
        columns: "nt",
        write: "INSERT INTO streams (id, name) OVERRIDING SYSTEM VALUE
                SELECT * FROM unnest($1::bigint[], $2::bytea[])",
    },
    Table {
        name: "records",
        read: "SELECT place, time, kind, author, flags, body FROM records ORDER BY place",
        columns: "nnttnb",
        write: "INSERT INTO records (place, time, kind, author, flags, body) SELECT * FROM
                unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bytea[])",
    },
    Table {
        name: "snapshots",
        read: "SELECT stream, seq, body FROM snapshots",
        columns: "nnb",
        write: "INSERT INTO snapshots (stream, seq, body)
                SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])",
    },
    Table {
        name: "directory",
        read: "SELECT namespace, key, version, value FROM directory",
        columns: "ttnb",
        write: "INSERT INTO directory (namespace, key, version, value)
                SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[])",
    },
    Table {
        name: "agenda",
        read: "SELECT stream, key, shard, due, body FROM agenda",
        columns: "ntnnb",
        write: "INSERT INTO agenda (stream, key, shard, due, body)
                SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[])",
    },
];

/// Moves all that is in the file at `from` into the database at `to`, and answers how much that was. `told`
/// hears how far it has come: the table and its rows so far. Nobody may use either meanwhile; the file
/// stays as it is.
///
/// # Errors
/// When the file is in use or not a store, when something is in the database already, when either can't be
/// reached: then nothing was moved.
pub async fn transfer(
    from: impl AsRef<Path>,
    to: &str,
    mut told: impl FnMut(&'static str, u64),
) -> Result<Moved> {
    let (mut source, _lock) = open_alone(from.as_ref(), &SqliteOptions::default()).await?;
    let mut target = postgres::connect_migrated(to).await?;
    let moved = {
        let mut transaction = target.begin().await.map_err(postgres::failed)?;
        sqlx::query("SET LOCAL statement_timeout = 0")
            .execute(&mut *transaction)
            .await
            .map_err(postgres::failed)?;
        refuse_used(&mut transaction).await?;
        let mut counts = [0; TABLES.len()];
        for (table, count) in TABLES.iter().zip(&mut counts) {
            *count = copy(table, &mut source, &mut transaction, &mut told).await?;
        }
        for statement in [
            // The next stream gets the next number.
            "SELECT setval(pg_get_serial_sequence('streams', 'id'), greatest((SELECT max(id) FROM streams), 1))",
            // Whoever held shards of the file holds none of these, and no epoch comes twice.
            "UPDATE shards SET node = ''",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(postgres::failed)?;
        }
        epochs(&mut source, &mut transaction).await?;
        transaction.commit().await.map_err(postgres::failed)?;
        let [streams, records, snapshots, directory, agenda] = counts;
        Moved { streams, records, snapshots, directory, agenda }
    };
    Ok(moved)
}

/// Something in the database would be mixed up with what comes.
async fn refuse_used(target: &mut PgConnection) -> Result<()> {
    let used: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM streams) OR EXISTS (SELECT 1 FROM directory)
             OR EXISTS (SELECT 1 FROM nodes n WHERE clock_timestamp() < n.expires)",
    )
    .fetch_one(target)
    .await
    .map_err(postgres::failed)?;
    if used {
        return Err(StoreError::Unavailable("the database to move to is in use: it must be empty".into()));
    }
    Ok(())
}

/// Copies a table, and compares the counts.
async fn copy(
    table: &Table,
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    told: &mut impl FnMut(&'static str, u64),
) -> Result<u64> {
    let failed = crate::sqlite::failed;
    let mut count = 0;
    {
        let mut rows = sqlx::query(table.read).fetch(&mut *source);
        let (mut columns, mut waiting, mut bytes) = (empty(table), 0, 0);
        loop {
            let row = rows.try_next().await.map_err(failed)?;
            let last = row.is_none();
            if let Some(row) = row {
                bytes += push(&mut columns, table, &row)?;
                waiting += 1;
            }
            if waiting >= ROWS || bytes >= BYTES || (last && waiting > 0) {
                write(table, std::mem::replace(&mut columns, empty(table)), target).await?;
                count += waiting as u64;
                (waiting, bytes) = (0, 0);
                told(table.name, count);
            }
            if last {
                break;
            }
        }
    }
    let question = |name| sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {name}"));
    let here: i64 = sqlx::query_scalar(question(table.name)).fetch_one(source).await.map_err(failed)?;
    let there: i64 =
        sqlx::query_scalar(question(table.name)).fetch_one(target).await.map_err(postgres::failed)?;
    if here != there || there as u64 != count {
        let text = format!("{} has {here} rows in the file and {there} in the database", table.name);
        return Err(StoreError::Damaged(text));
    }
    Ok(count)
}

fn empty(table: &Table) -> Vec<Column> {
    let column = |of| if of == 'n' { Column::Numbers(Vec::new()) } else { Column::Bytes(Vec::new()) };
    table.columns.chars().map(column).collect()
}

/// Adds a row, and answers its bytes.
fn push(columns: &mut [Column], table: &Table, row: &SqliteRow) -> Result<usize> {
    let failed = crate::sqlite::failed;
    let mut size = 0;
    for (at, (column, of)) in columns.iter_mut().zip(table.columns.chars()).enumerate() {
        match column {
            Column::Numbers(numbers) => numbers.push(row.try_get(at).map_err(failed)?),
            Column::Bytes(all) => {
                let bytes: Vec<u8> = if of == 't' {
                    row.try_get::<String, _>(at).map_err(failed)?.into_bytes()
                } else {
                    row.try_get(at).map_err(failed)?
                };
                size += bytes.len();
                all.push(bytes);
            }
        }
    }
    Ok(size)
}

async fn write(table: &Table, columns: Vec<Column>, target: &mut PgConnection) -> Result<()> {
    let mut query = sqlx::query(table.write);
    for column in columns {
        query = match column {
            Column::Numbers(numbers) => query.bind(numbers),
            Column::Bytes(bytes) => query.bind(bytes),
        };
    }
    query.execute(target).await.map(drop).map_err(postgres::failed)
}

/// Shards go on above the epochs that they had.
async fn epochs(source: &mut SqliteConnection, target: &mut PgConnection) -> Result<()> {
    let failed = crate::sqlite::failed;
    let rows = sqlx::query("SELECT shard, epoch FROM shards").fetch_all(source).await.map_err(failed)?;
    let (mut shards, mut epochs): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    for row in rows {
        shards.push(row.try_get(0).map_err(failed)?);
        epochs.push(row.try_get(1).map_err(failed)?);
    }
    sqlx::query(
        "UPDATE shards s SET epoch = greatest(s.epoch, w.epoch)
         FROM unnest($1::bigint[], $2::bigint[]) AS w(shard, epoch) WHERE s.shard = w.shard",
    )
    .bind(shards)
    .bind(epochs)
    .execute(target)
    .await
    .map(drop)
    .map_err(postgres::failed)
}
