//! Letters between nodes while the bus does not carry them: a table that is emptied as it is read.

use bytes::Bytes;
use sqlx::PgPool;

use super::connection::failed;
use super::reader::{bytes, key};
use crate::{Key, Result};

/// After how many seconds a letter that nobody fetched is thrown away: it would come too late to be true.
const KEPT_SECONDS: f64 = 15.0;

pub(super) async fn send(pool: &PgPool, from: &str, letters: &[(Key, Bytes)]) -> Result<()> {
    let send = "INSERT INTO post (sender, receiver, body)
        SELECT $1, w.receiver, w.body
        FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS w(receiver, body, at) ORDER BY w.at";
    sqlx::query(send)
        .bind(from.as_bytes())
        .bind(letters.iter().map(|(to, _)| to.as_bytes()).collect::<Vec<_>>())
        .bind(letters.iter().map(|(_, body)| &body[..]).collect::<Vec<_>>())
        .execute(pool)
        .await
        .map(drop)
        .map_err(failed)
}

pub(super) async fn collect(pool: &PgPool, node: &str, limit: usize) -> Result<Vec<(Key, Bytes)>> {
    let collect = "WITH taken AS (
            DELETE FROM post WHERE id IN
                (SELECT id FROM post WHERE receiver = $1 ORDER BY id LIMIT $2 FOR UPDATE)
            RETURNING id, sender, body, sent > clock_timestamp() - $3 * interval '1 second' AS fresh)
        SELECT sender, body FROM taken WHERE fresh ORDER BY id";
    let rows = sqlx::query(collect)
        .bind(node.as_bytes())
        .bind(limit as i64)
        .bind(KEPT_SECONDS)
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    rows.iter().map(|row| Ok((key(row, 0).map_err(failed)?, bytes(row, 1).map_err(failed)?))).collect()
}
