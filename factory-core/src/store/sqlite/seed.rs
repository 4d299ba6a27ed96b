//! The database of the programs before this one: recognised by its three tables, and taken over row by row.
//!
//! Its rows stay what they were, odd ones included; only a run that would start by itself is paused, and an event says
//! so. Events whose run is not there stand in the table `orphaned_events`.

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use rusqlite_migration::{HookError, HookResult};
use time::OffsetDateTime;

use super::failure::Failure;
use super::writes;
use crate::model::{NewEvent, RunId, Seq, StatusReason, Timestamp, payload};

const ADOPT: &str = include_str!("migrations/seed/adopt.sql");

/// The tables and columns by which the older schema is known.
const TABLES: [(&str, &[&str]); 3] = [
    ("projects", &["id", "name", "local_path", "created_at"]),
    (
        "runs",
        &[
            "id",
            "project_id",
            "goal",
            "status",
            "current_iteration",
            "created_at",
        ],
    ),
    ("events", &["id", "run_id", "type", "payload", "created_at"]),
];

/// Returns whether the database has the older tables.
pub(super) fn has_seed_tables(connection: &Connection) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM sqlite_schema, pragma_table_info(sqlite_schema.name) AS info \
         WHERE sqlite_schema.type = 'table' AND lower(sqlite_schema.name) = ?1 AND lower(info.name) = ?2";
    let mut statement = connection.prepare(sql)?;
    for (table, columns) in TABLES {
        for column in columns {
            if statement
                .query_row([table, column], |_| Ok(()))
                .optional()?
                .is_none()
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Takes the rows of the older tables over. Runs inside the migration's transaction.
pub(super) fn adopt(transaction: &Transaction<'_>) -> HookResult {
    transaction.execute_batch(ADOPT)?;
    tell_of_paused_runs(transaction, OffsetDateTime::now_utc().into()).map_err(|failure| match failure {
        Failure::Sqlite(error) => error.into(),
        Failure::Refused(error) => HookError::Hook(error.to_string()),
    })
}

fn tell_of_paused_runs(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), Failure> {
    let detail = "an older factory left this run unfinished; resume it to go on, or stop it";
    let sql = "SELECT id, last_seq, former_status FROM runs WHERE reason = 'interrupted' AND id > ?1 ORDER BY id LIMIT 1";
    let mut next = transaction.prepare(sql)?;
    let sql = "UPDATE runs SET detail = ?2, last_seq = ?3, updated_at = ?4 WHERE id = ?1";
    let mut update = transaction.prepare(sql)?;
    let mut after = i64::MIN;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, u32>(1)?, row.get(2)?));
    while let Some((run, last_seq, former_status)) = next.query_row([after], read).optional()? {
        let seq = Seq(u64::from(last_seq)).next();
        let event = NewEvent::system(payload::RunPaused {
            reason: StatusReason::Interrupted,
            detail: Some(detail.to_owned()),
            former_status,
        });
        writes::append(transaction, RunId(run), seq, &event, now)?;
        update.execute((run, detail, i64::from(last_seq) + 1, now.to_string()))?;
        after = run;
    }
    Ok(())
}
