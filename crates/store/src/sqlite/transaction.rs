//! A batch as one text of SQL: `BEGIN`, one statement per table that changes, `COMMIT`; if only one
//! table changes, its statement alone, which is a transaction too. The number of statements does not
//! grow with the batch, and each costs a switch of threads; only amendments that change the same records
//! need one each. Row counts are rounded up to powers of two with empty rows, so that few texts come up and
//! their statements stay prepared.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Sqlite, Type};

use crate::Shard;
use crate::batch::{Batch, signed};
use crate::leases::Holder;

type Error = sqlx::Error;

/// Rows of one statement at most; SQLite takes 32,766 parameters.
const MAX_ROWS: usize = 1_024;

/// A statement over many rows: `head`, then `(?,?),(?,?)…`, then `tail`.
///
/// `OR ROLLBACK`, because a row that fails ends the transaction anyway: without it SQLite would keep a
/// copy of each page before it changes it, to undo the one statement.
struct Shape {
    head: &'static str,
    columns: usize,
    tail: &'static str,
}

const STREAMS: Shape = Shape {
    head: "INSERT OR ROLLBACK INTO streams(id,name) SELECT * FROM (VALUES ",
    columns: 2,
    tail: ") WHERE column1 IS NOT NULL",
};
const RECORDS: Shape = Shape {
    head: "INSERT OR ROLLBACK INTO records(place,time,kind,author,flags,body) SELECT * FROM (VALUES ",
    columns: 6,
    tail: ") WHERE column1 IS NOT NULL",
};
/// The index by name: without it a change of few records might look through all of them.
const AMEND: Shape = Shape {
    head: "UPDATE OR ROLLBACK records INDEXED BY records_place \
           SET flags=(flags&~column5)|column6,body=coalesce(column7,body) FROM (SELECT * FROM (VALUES ",
    columns: 7,
    tail: ") WHERE column1 IS NOT NULL) WHERE place>column1 AND place<column2 \
           AND flags&column3=column3 AND (column4 IS NULL OR author=column4)",
};
const SNAPSHOTS: Shape = Shape {
    head: "INSERT OR ROLLBACK INTO snapshots(stream,seq,body) SELECT * FROM (VALUES ",
    columns: 3,
    tail: ") WHERE column1 IS NOT NULL ON CONFLICT(stream) DO UPDATE \
           SET seq=excluded.seq,body=excluded.body WHERE excluded.seq>=snapshots.seq",
};
const DIRECTORY_PUT: Shape = Shape {
    head: "INSERT OR REPLACE INTO directory(namespace,key,version,value) SELECT * FROM (VALUES ",
    columns: 4,
    tail: ") WHERE column1 IS NOT NULL",
};
const DIRECTORY_REMOVE: Shape =
    Shape { head: "DELETE FROM directory WHERE (namespace,key) IN (VALUES ", columns: 2, tail: ")" };
const AGENDA_PUT: Shape = Shape {
    head: "INSERT OR REPLACE INTO agenda(stream,key,shard,due,body) SELECT * FROM (VALUES ",
    columns: 5,
    tail: ") WHERE column1 IS NOT NULL",
};
const AGENDA_REMOVE: Shape =
    Shape { head: "DELETE FROM agenda WHERE (stream,key) IN (VALUES ", columns: 2, tail: ")" };
const SHARDS: Shape = Shape {
    head: "INSERT OR REPLACE INTO shards(shard,epoch,node) SELECT * FROM (VALUES ",
    columns: 3,
    tail: ") WHERE column1 IS NOT NULL",
};

/// The statements so far and what is bound to them.
#[derive(Default)]
pub(super) struct Text {
    sql: String,
    statements: usize,
    arguments: SqliteArguments,
}

impl Text {
    /// The whole batch as one transaction.
    pub(super) fn transaction(batch: &Batch<'_>, shards: &[(Shard, Holder)]) -> Result<Self, Error> {
        let mut text = Self::default();
        text.rows(&STREAMS, &batch.streams, |text, (id, name)| {
            text.bind(*id)?;
            text.bind(name.as_str())
        })?;
        text.rows(&RECORDS, &batch.records, |text, (place, record)| {
            text.bind(*place)?;
            text.bind(signed(record.time))?;
            text.bind(record.kind.as_str())?;
            text.bind(record.author.as_str())?;
            text.bind(i64::from(record.flags))?;
            text.bind(&record.body[..])
        })?;
        for wave in batch.amendments.waves() {
            text.rows(&AMEND, wave, |text, row| {
                text.bind(row.after)?;
                text.bind(row.before)?;
                text.bind(i64::from(row.amendment.with_flags))?;
                text.bind(row.amendment.author.as_deref())?;
                text.bind(i64::from(row.amendment.clear_flags))?;
                text.bind(i64::from(row.amendment.set_flags))?;
                text.bind(row.amendment.body.as_deref())
            })?;
        }
        let snapshots: Vec<_> = batch.snapshots.iter().collect();
        text.rows(&SNAPSHOTS, &snapshots, |text, (stream, (seq, body))| {
            text.bind(**stream)?;
            text.bind(signed(*seq))?;
            text.bind(&body[..])
        })?;
        text.directory(batch)?;
        text.agenda(batch)?;
        text.rows(&SHARDS, shards, |text, (shard, holder)| {
            text.bind(i64::from(*shard))?;
            text.bind(signed(holder.epoch))?;
            text.bind(holder.node.as_str())
        })?;
        if text.statements > 1 {
            text.sql.insert_str(0, "BEGIN IMMEDIATE;");
            text.sql.push_str("COMMIT");
        }
        Ok(text)
    }

    fn directory(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let rows = || batch.directory.values();
        let put: Vec<_> = rows().filter_map(|row| row.value.map(|value| (row, value))).collect();
        self.rows(&DIRECTORY_PUT, &put, |text, (row, value)| {
            text.bind(row.namespace.as_str())?;
            text.bind(row.key.as_str())?;
            text.bind(signed(row.version))?;
            text.bind(&value[..])
        })?;
        let removed: Vec<_> = rows().filter(|row| row.value.is_none()).collect();
        self.rows(&DIRECTORY_REMOVE, &removed, |text, row| {
            text.bind(row.namespace.as_str())?;
            text.bind(row.key.as_str())
        })
    }

    fn agenda(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let rows = || batch.agenda.iter();
        let put: Vec<_> = rows().filter_map(|(key, row)| row.map(|row| (key, row))).collect();
        self.rows(&AGENDA_PUT, &put, |text, ((stream, key), row)| {
            text.bind(*stream)?;
            text.bind(key.as_str())?;
            text.bind(i64::from(row.shard))?;
            text.bind(signed(row.due))?;
            text.bind(&row.body[..])
        })?;
        let removed: Vec<_> = rows().filter(|(_, row)| row.is_none()).map(|(key, _)| key).collect();
        self.rows(&AGENDA_REMOVE, &removed, |text, (stream, key)| {
            text.bind(*stream)?;
            text.bind(key.as_str())
        })
    }

    fn rows<R>(
        &mut self,
        shape: &Shape,
        rows: &[R],
        bind: impl Fn(&mut Self, &R) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for chunk in rows.chunks(MAX_ROWS) {
            self.sql.push_str(shape.head);
            self.values(shape.columns, chunk, &bind)?;
            self.sql.push_str(shape.tail);
            self.sql.push(';');
            self.statements += 1;
        }
        Ok(())
    }

    /// Appends `(?,?),(?,?)…` for `rows`, rounded up to a power of two with rows of `NULL`.
    pub(super) fn values<R>(
        &mut self,
        columns: usize,
        rows: &[R],
        bind: impl Fn(&mut Self, &R) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let padded = rows.len().next_power_of_two();
        let mut row = String::with_capacity(columns * 2 + 2);
        row.push_str("(?");
        (1..columns).for_each(|_| row.push_str(",?"));
        row.push_str("),");
        self.sql.reserve(row.len() * padded);
        (0..padded).for_each(|_| self.sql.push_str(&row));
        self.sql.pop();
        self.arguments.reserve(padded * columns, 0);
        rows.iter().try_for_each(|row| bind(self, row))?;
        (rows.len() * columns..padded * columns).try_for_each(|_| self.bind(None::<i64>))
    }

    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    pub(super) fn bind<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Result<(), Error> {
        self.arguments.add(value).map_err(Error::Encode)
    }

    /// The text and its arguments. It holds only fixed fragments and question marks.
    pub(super) fn finish(self) -> (AssertSqlSafe<String>, SqliteArguments) {
        (AssertSqlSafe(self.sql), self.arguments)
    }
}
