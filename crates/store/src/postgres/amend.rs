//! Changes of records that are there already. Each is an update of its own within a statement of some: as a
//! join with arrays the planner could not know how few records a range has, and might look through all.

use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::transaction::Failure;
use crate::amend::{Amendments, Row};

/// Amendments of one statement. Each number of them is a text of its own, which stays prepared.
const ROWS: usize = 16;

/// Makes amendments; the records that they concern are there.
pub(super) async fn write(connection: &mut PgConnection, amendments: &Amendments<'_>) -> Result<(), Failure> {
    for rows in amendments.waves().flat_map(|wave| wave.chunks(ROWS)) {
        let mut sql = QueryBuilder::<Postgres>::new("WITH ");
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                sql.push(", ");
            }
            sql.push("a").push(at).push(" AS (");
            update(&mut sql, row);
            sql.push(")");
        }
        sql.push(" SELECT 1").build().execute(&mut *connection).await?;
    }
    Ok(())
}

fn update(sql: &mut QueryBuilder<Postgres>, row: &Row<'_>) {
    let amendment = row.amendment;
    let with_flags = i64::from(amendment.with_flags);
    let author = amendment.author.as_ref().map(|author| author.as_bytes());
    sql.push("UPDATE records SET flags = (flags & ~").push_bind(i64::from(amendment.clear_flags));
    sql.push(") | ").push_bind(i64::from(amendment.set_flags));
    sql.push(", body = coalesce(").push_bind(amendment.body.as_deref());
    sql.push(", body) WHERE place > ").push_bind(row.after);
    sql.push(" AND place < ").push_bind(row.before);
    sql.push(" AND flags & ").push_bind(with_flags).push(" = ").push_bind(with_flags);
    sql.push(" AND (").push_bind(author).push(" IS NULL OR author = ").push_bind(author).push(")");
}
