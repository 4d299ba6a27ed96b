//! What is read: short statements by key, whose cost is the size of the answer.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, params_from_iter};

use super::super::{Page, QueueHead, RunFilter, rules};
use super::failure::Failure;
use super::kept::Kept;
use super::rows::{self, counter_value};
use crate::model::{Approval, ApprovalId, BlobId, Event, EventId, Project, ProjectId, Run, RunId, Seq};

pub(super) fn project(database: &Connection, id: ProjectId) -> Result<Project, Failure> {
    let sql = format!("SELECT {} FROM projects WHERE id = ?1", rows::PROJECT);
    one(database, &sql, [id.0], rows::project)?.ok_or_else(|| rules::not_found("project", &id).into())
}

pub(super) fn project_by_name(database: &Connection, name: &str) -> Result<Project, Failure> {
    let sql = format!("SELECT {} FROM projects WHERE name = ?1", rows::PROJECT);
    one(database, &sql, [name], rows::project)?.ok_or_else(|| rules::not_found("project", &name).into())
}

pub(super) fn projects(database: &Connection, page: Page<ProjectId>) -> Result<Vec<Project>, Failure> {
    let sql = format!(
        "SELECT {} FROM projects WHERE id > ?1 ORDER BY id LIMIT ?2",
        rows::PROJECT
    );
    let after = page.after.map_or(i64::MIN, |id| id.0);
    many(database, &sql, (after, page.bounded_limit()), rows::project)
}

pub(super) fn run(database: &Connection, id: RunId) -> Result<Run, Failure> {
    find_run(database, id)?.ok_or_else(|| rules::not_found("run", &id).into())
}

pub(super) fn find_run(database: &Connection, id: RunId) -> Result<Option<Run>, Failure> {
    let sql = format!("SELECT {} FROM runs WHERE id = ?1", rows::RUN);
    one(database, &sql, [id.0], rows::run)
}

/// Lists runs. Rows that are kept in the very version that is stored are not read again.
pub(super) fn runs(
    database: &Connection,
    filter: RunFilter,
    page: Page<RunId>,
    kept: &Kept,
) -> Result<Vec<Run>, Failure> {
    let begun = kept.begin();
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    if let Some(project) = filter.project_id {
        conditions.push("project_id = ?");
        values.push(project.0.into());
    }
    if let Some(status) = filter.status {
        conditions.push("status = ?");
        values.push(status.as_str().to_owned().into());
    }
    if let Some(after) = page.after {
        conditions.push("id < ?");
        values.push(after.0.into());
    }
    values.push(i64::from(page.bounded_limit()).into());
    let condition = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    let sql = format!(
        "SELECT {} FROM runs {condition} ORDER BY id DESC LIMIT ?",
        rows::RUN
    );
    // The newest are asked for again and again; whoever turns the pages is not to push them out.
    let is_first = page.after.is_none();
    many(database, &sql, params_from_iter(values), |row| {
        let (id, version) = rows::run_version(row)?;
        if let Some(run) = kept.run_of(id, version) {
            return Ok(Arc::unwrap_or_clone(run));
        }
        let run = rows::run(row)?;
        if is_first {
            kept.keep_run(Arc::new(run.clone()), begun);
        }
        Ok(run)
    })
}

/// Returns the run that the queue gives out next.
pub(super) fn next_claimable(database: &Connection) -> Result<Option<Run>, Failure> {
    let sql = format!(
        "SELECT {} FROM runs INDEXED BY runs_in_claim_order WHERE status = 'QUEUED' AND claimed_by IS NULL \
         ORDER BY priority DESC, id LIMIT 1",
        rows::RUN
    );
    one(database, &sql, [], rows::run)
}

/// The walk over the buckets: from each one to the first of the next, which is the next project's of the same server, or
/// else the next server's. The two are asked apart, because a comparison of both columns at once is sought by the first
/// alone: every run of the bucket would be looked at.
pub(super) const BUCKETS: &str = "WITH RECURSIVE bucket (server, project) AS ( \
         SELECT * FROM (SELECT server, coalesce(project_id, 0) FROM runs INDEXED BY runs_in_buckets \
             WHERE status = 'QUEUED' AND claimed_by IS NULL ORDER BY server, coalesce(project_id, 0) LIMIT 1) \
         UNION ALL \
         SELECT next.server, coalesce(next.project_id, 0) FROM bucket JOIN runs AS next ON next.id = coalesce( \
             (SELECT id FROM runs INDEXED BY runs_in_buckets WHERE status = 'QUEUED' AND claimed_by IS NULL \
             AND server = bucket.server AND coalesce(project_id, 0) > bucket.project \
             ORDER BY coalesce(project_id, 0) LIMIT 1), \
             (SELECT id FROM runs INDEXED BY runs_in_buckets WHERE status = 'QUEUED' AND claimed_by IS NULL \
             AND server > bucket.server ORDER BY server, coalesce(project_id, 0) LIMIT 1))) \
     SELECT head.id, head.priority, head.project_id, head.server FROM bucket JOIN runs AS head ON head.id = ( \
         SELECT id FROM runs INDEXED BY runs_in_buckets WHERE status = 'QUEUED' AND claimed_by IS NULL \
         AND server = bucket.server AND coalesce(project_id, 0) = bucket.project \
         ORDER BY priority DESC, id LIMIT 1)";

pub(super) fn queue_heads(database: &Connection) -> Result<Vec<QueueHead>, Failure> {
    many(database, BUCKETS, [], |row| {
        let server: String = row.get(3)?;
        Ok(QueueHead {
            run: RunId(row.get(0)?),
            priority: row.get(1)?,
            project: row.get::<_, Option<i64>>(2)?.map(ProjectId),
            server: Some(server).filter(|server| !server.is_empty()),
        })
    })
}

pub(super) fn claimed_runs(database: &Connection, page: Page<RunId>) -> Result<Vec<Run>, Failure> {
    let sql = format!(
        "SELECT {} FROM runs WHERE claimed_by IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2",
        rows::RUN
    );
    let after = page.after.map_or(i64::MIN, |id| id.0);
    many(database, &sql, (after, page.bounded_limit()), rows::run)
}

pub(super) fn events(database: &Connection, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, Failure> {
    let sql = format!(
        "SELECT {} FROM events WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        rows::EVENT
    );
    let after = page.after.map_or(0, |seq| counter_value(seq.0));
    let events = many(database, &sql, (run.0, after, page.bounded_limit()), rows::event)?;
    if events.is_empty() {
        let exists = "SELECT 1 FROM runs WHERE id = ?1";
        one(database, exists, [run.0], |_| Ok(()))?.ok_or_else(|| rules::not_found("run", &run))?;
    }
    Ok(events)
}

pub(super) fn all_events(database: &Connection, page: Page<EventId>) -> Result<Vec<Event>, Failure> {
    let sql = format!(
        "SELECT {} FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
        rows::EVENT
    );
    let after = page.after.map_or(0, |id| id.0);
    many(database, &sql, (after, page.bounded_limit()), rows::event)
}

pub(super) fn newest_event(database: &Connection) -> Result<EventId, Failure> {
    let newest: Option<Option<i64>> = one(database, "SELECT max(id) FROM events", [], |row| Ok(row.get(0)?))?;
    Ok(EventId(newest.flatten().unwrap_or_default()))
}

pub(super) fn approvals_of(
    database: &Connection,
    run: RunId,
    page: Page<ApprovalId>,
) -> Result<Vec<Approval>, Failure> {
    let sql = format!(
        "SELECT {} FROM approvals WHERE run_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        rows::APPROVAL
    );
    let after = page.after.map_or(i64::MIN, |id| id.0);
    many(
        database,
        &sql,
        (run.0, after, page.bounded_limit()),
        rows::approval,
    )
}

/// An approval record, and whether it still waits for its decision.
pub(super) fn approval_state(
    database: &Connection,
    id: ApprovalId,
) -> Result<Option<(Approval, bool)>, Failure> {
    let sql = format!(
        "SELECT {}, closed_at IS NULL FROM approvals WHERE id = ?1",
        rows::APPROVAL
    );
    one(database, &sql, [id.0], |row| {
        let approval = rows::approval(row)?;
        let open = approval.decision.is_none() && row.get(7)?;
        Ok((approval, open))
    })
}

pub(super) fn approval(database: &Connection, id: ApprovalId) -> Result<Approval, Failure> {
    let found = approval_state(database, id)?;
    found
        .map(|(approval, _)| approval)
        .ok_or_else(|| rules::not_found("approval", &id).into())
}

pub(super) fn open_approvals(
    database: &Connection,
    run: Option<RunId>,
    page: Page<ApprovalId>,
) -> Result<Vec<Approval>, Failure> {
    let after = page.after.map_or(i64::MIN, |id| id.0);
    let of_run = if run.is_some() {
        // All that the run ever asked has an index too, which grows with the run.
        "INDEXED BY approvals_open_of_run WHERE run_id = ?3 AND"
    } else {
        "WHERE ?3 IS NULL AND"
    };
    let sql = format!(
        "SELECT {} FROM approvals {of_run} decision IS NULL AND closed_at IS NULL AND id > ?1 \
         ORDER BY id LIMIT ?2",
        rows::APPROVAL
    );
    many(
        database,
        &sql,
        (after, page.bounded_limit(), run.map(|run| run.0)),
        rows::approval,
    )
}

/// Where a blob's content is.
pub(super) enum StoredBlob {
    /// Here.
    Inline(Vec<u8>),
    /// In a file of the blob folder.
    File,
}

pub(super) fn blob(database: &Connection, id: &BlobId) -> Result<StoredBlob, Failure> {
    let sql = "SELECT content FROM blobs WHERE id = ?1";
    let content: Option<Option<Vec<u8>>> = one(database, sql, [id.as_str()], |row| Ok(row.get(0)?))?;
    match content {
        None => Err(rules::not_found("blob", &id).into()),
        Some(Some(content)) => Ok(StoredBlob::Inline(content)),
        Some(None) => Ok(StoredBlob::File),
    }
}

pub(super) fn one<T>(
    database: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let mut statement = database.prepare_cached(sql)?;
    // The row is read outside rusqlite's own closure, because reading it fails in our terms.
    statement
        .query_row(parameters, |row| Ok(read(row)))
        .optional()?
        .transpose()
}

pub(super) fn many<T>(
    database: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut statement = database.prepare_cached(sql)?;
    let mut found = statement.query(parameters)?;
    let mut items = Vec::new();
    while let Some(row) = found.next()? {
        items.push(read(row)?);
    }
    Ok(items)
}
