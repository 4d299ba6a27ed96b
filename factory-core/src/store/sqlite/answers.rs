//! The answers to requests that are done at most once.

use rusqlite::{Connection, params};

use super::super::once::{self, Once, Remembered};
use super::failure::Failure;
use super::queries::one;
use crate::model::Timestamp;

/// Refuses a request whose key was used before.
pub(super) fn refuse_repeated(database: &Connection, once: Option<&Once>) -> Result<(), Failure> {
    let Some(once) = once else { return Ok(()) };
    match remembered(database, &once.scope, &once.key)? {
        Some(found) => Err(once::repeated(found).into()),
        None => Ok(()),
    }
}

/// Keeps the answer with its key. The key must not be there.
pub(super) fn keep(database: &Connection, once: &Once, answer: &str, at: Timestamp) -> Result<(), Failure> {
    let sql = "INSERT INTO answers (scope, key, fingerprint, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    database.prepare_cached(sql)?.execute(params![
        once.scope,
        once.key,
        once.fingerprint,
        answer,
        at.to_string()
    ])?;
    Ok(())
}

pub(super) fn remembered(
    database: &Connection,
    scope: &str,
    key: &str,
) -> Result<Option<Remembered>, Failure> {
    let sql = "SELECT fingerprint, answer, created_at FROM answers WHERE scope = ?1 AND key = ?2";
    one(database, sql, [scope, key], |row| {
        Ok(Remembered {
            fingerprint: row.get(0)?,
            answer: row.get(1)?,
            at: row.get::<_, String>(2)?.parse().unwrap_or(Timestamp::UNKNOWN),
        })
    })
}

pub(super) fn forget(database: &Connection, before: Timestamp, most: u32) -> Result<u32, Failure> {
    let sql = "DELETE FROM answers WHERE (scope, key) IN \
         (SELECT scope, key FROM answers WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
    let gone = database
        .prepare_cached(sql)?
        .execute(params![before.to_string(), most])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}
