//! What is written. Every function runs inside the writer's transaction and may be run again after a rollback.

use rusqlite::{Connection, params};

use super::super::once::{self, Once};
use super::super::{ApprovalChange, Blob, Claimable, Commit, NewRun, rules};
use super::answers;
use super::blob_files::BlobFiles;
use super::failure::Failure;
use super::queries::{self, one};
use super::rows::{counter_value, json_value, path_value, word_value};
use super::totals;
use crate::model::{
    ApprovalId, Event, EventId, Fence, NewEvent, NewProject, Project, ProjectId, Run, RunId, Seq, Timestamp,
    WorkerId,
};

pub(super) fn create_project(database: &Connection, new: &NewProject) -> Result<Project, Failure> {
    name_is_free(database, &new.name, None)?;
    let sql = "INSERT INTO projects (name, local_path, settings, created_at) VALUES (?1, ?2, ?3, ?4)";
    database.prepare_cached(sql)?.execute(params![
        new.name,
        path_value(&new.local_path),
        json_value(&new.settings),
        new.created_at.to_string(),
    ])?;
    Ok(Project {
        id: ProjectId(database.last_insert_rowid()),
        name: new.name.clone(),
        local_path: new.local_path.clone(),
        settings: new.settings.clone(),
        created_at: new.created_at,
    })
}

pub(super) fn update_project(database: &Connection, project: &Project) -> Result<Project, Failure> {
    let stored = queries::project(database, project.id)?;
    name_is_free(database, &project.name, Some(project.id))?;
    let sql = "UPDATE projects SET name = ?2, local_path = ?3, settings = ?4 WHERE id = ?1";
    database.prepare_cached(sql)?.execute(params![
        project.id.0,
        project.name,
        path_value(&project.local_path),
        json_value(&project.settings),
    ])?;
    Ok(Project {
        created_at: stored.created_at,
        ..project.clone()
    })
}

pub(super) fn remove_project(database: &Connection, id: ProjectId) -> Result<(), Failure> {
    let project = queries::project(database, id)?;
    for status in crate::model::RunStatus::ALL
        .into_iter()
        .filter(|status| !status.is_final())
    {
        let sql = "SELECT id FROM runs WHERE project_id = ?1 AND status = ?2 ORDER BY id LIMIT 1";
        let unfinished = one(database, sql, params![id.0, status.as_str()], |row| {
            Ok(row.get(0)?)
        })?;
        if let Some(run) = unfinished {
            return Err(rules::project_in_use(&project.name, RunId(run)).into());
        }
    }
    database
        .prepare_cached("UPDATE runs SET project_id = NULL WHERE project_id = ?1")?
        .execute([id.0])?;
    database
        .prepare_cached("DELETE FROM projects WHERE id = ?1")?
        .execute([id.0])?;
    Ok(())
}

pub(super) fn create_runs(
    database: &Connection,
    new: &[NewRun],
    once: Option<&Once>,
) -> Result<Vec<(Run, Event)>, Failure> {
    answers::refuse_repeated(database, once)?;
    let made: Vec<(Run, Event)> = new
        .iter()
        .map(|new| create_run(database, new))
        .collect::<Result<_, _>>()?;
    totals::count_filed(database, &made)?;
    if let (Some(once), Some(first)) = (once, new.first()) {
        let runs: Vec<Run> = made.iter().map(|(run, _)| run.clone()).collect();
        answers::keep(database, once, &once::answer_of(&runs), first.at)?;
    }
    Ok(made)
}

fn create_run(database: &Connection, new: &NewRun) -> Result<(Run, Event), Failure> {
    let exists = "SELECT 1 FROM projects WHERE id = ?1";
    one(database, exists, [new.project_id.0], |_| Ok(()))?
        .ok_or_else(|| rules::not_found("project", &new.project_id))?;
    let mut run = rules::filed_run(RunId(0), new);
    let sql = "INSERT INTO runs (project_id, goal, status, current_iteration, created_at, priority, spec, usage, \
         last_seq, fence, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    database.prepare_cached(sql)?.execute(params![
        new.project_id.0,
        run.goal,
        run.status.as_str(),
        counter_value(run.current_iteration),
        run.created_at.to_string(),
        run.priority,
        json_value(&run.spec),
        json_value(&run.usage),
        counter_value(run.last_seq.0),
        counter_value(run.fence.0),
        run.updated_at.to_string(),
    ])?;
    run.id = RunId(database.last_insert_rowid());
    let event = append(database, run.id, run.last_seq, &new.event, new.at)?;
    Ok((run, event))
}

pub(super) fn claim(
    database: &Connection,
    worker: &WorkerId,
    which: Claimable,
    at: Timestamp,
) -> Result<Option<(Run, Event)>, Failure> {
    let run = match which {
        Claimable::Next => queries::next_claimable(database)?,
        Claimable::Run(id) => queries::find_run(database, id)?.filter(rules::is_claimable),
    };
    let Some(run) = run else { return Ok(None) };
    let before = run.clone();
    let (run, event) = rules::run_after_claim(run, worker, at);
    update_run(database, &run)?;
    totals::count_change(database, &before, &run, at)?;
    let event = append(database, run.id, run.last_seq, &event, at)?;
    Ok(Some((run, event)))
}

/// Ends a claim, and returns the run if there is one.
pub(super) fn release_claim(database: &Connection, run: RunId, fence: Fence) -> Result<Option<Run>, Failure> {
    let sql = "UPDATE runs SET claimed_by = NULL, claimed_at = NULL WHERE id = ?1 AND fence = ?2";
    database
        .prepare_cached(sql)?
        .execute(params![run.0, counter_value(fence.0)])?;
    queries::find_run(database, run)
}

pub(super) fn commit(database: &Connection, commit: &Commit) -> Result<(Run, Vec<Event>), Failure> {
    answers::refuse_repeated(database, commit.once.as_ref())?;
    let stored = queries::run(database, commit.run.id)?;
    rules::check_commit(&stored, commit)?;
    let run = rules::run_after_commit(&stored, commit);
    for blob in &commit.blobs {
        keep_blob(database, blob)?;
    }
    let numbered = (commit.expected_seq.0 + 1..).map(Seq).zip(&commit.events);
    let events: Vec<Event> = numbered
        .map(|(seq, new)| append(database, run.id, seq, new, commit.at))
        .collect::<Result<_, _>>()?;
    if let Some(change) = &commit.approval {
        change_approval(database, &stored, commit, change)?;
    }
    update_run(database, &run)?;
    totals::count_change(database, &stored, &run, commit.at)?;
    if let Some(once) = &commit.once {
        answers::keep(
            database,
            once,
            &once::answer_of(std::slice::from_ref(&run)),
            commit.at,
        )?;
    }
    Ok((run, events))
}

pub(super) fn next_approval_id(database: &Connection) -> Result<ApprovalId, Failure> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'approval' RETURNING value";
    Ok(ApprovalId(
        database.prepare_cached(sql)?.query_row([], |row| row.get(0))?,
    ))
}

fn name_is_free(database: &Connection, name: &str, but_for: Option<ProjectId>) -> Result<(), Failure> {
    let sql = "SELECT id FROM projects WHERE name = ?1";
    let taken: Option<i64> = one(database, sql, [name], |row| Ok(row.get(0)?))?;
    match taken {
        Some(id) if Some(ProjectId(id)) != but_for => Err(rules::already_exists("project", &name).into()),
        _ => Ok(()),
    }
}

fn update_run(database: &Connection, run: &Run) -> Result<(), Failure> {
    let sql = "UPDATE runs SET status = ?2, reason = ?3, detail = ?4, current_iteration = ?5, priority = ?6, \
         spec = ?7, base_commit = ?8, branch = ?9, commit_id = ?10, usage = ?11, last_seq = ?12, fence = ?13, \
         claimed_by = ?14, claimed_at = ?15, updated_at = ?16 WHERE id = ?1";
    database.prepare_cached(sql)?.execute(params![
        run.id.0,
        run.status.as_str(),
        run.reason.and_then(|reason| word_value(&reason)),
        run.detail,
        counter_value(run.current_iteration),
        run.priority,
        json_value(&run.spec),
        run.base_commit.as_ref().map(crate::model::CommitId::as_str),
        run.branch,
        run.commit.as_ref().map(crate::model::CommitId::as_str),
        json_value(&run.usage),
        counter_value(run.last_seq.0),
        counter_value(run.fence.0),
        run.claim.as_ref().map(|claim| claim.worker.0.as_str()),
        run.claim.as_ref().map(|claim| claim.since.to_string()),
        run.updated_at.to_string(),
    ])?;
    Ok(())
}

/// Stores one event under its number.
pub(super) fn append(
    database: &Connection,
    run: RunId,
    seq: Seq,
    new: &NewEvent,
    at: Timestamp,
) -> Result<Event, Failure> {
    let sql = "INSERT INTO events (run_id, seq, actor, cause, step_id, type, payload, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    database.prepare_cached(sql)?.execute(params![
        run.0,
        counter_value(seq.0),
        new.actor.to_string(),
        new.cause.map(|cause| counter_value(cause.0)),
        new.step_id.map(|step| step.0),
        new.kind.type_name(),
        new.kind.stored_payload(),
        at.to_string(),
    ])?;
    Ok(Event {
        id: EventId(database.last_insert_rowid()),
        run_id: run,
        seq,
        actor: new.actor.clone(),
        cause: new.cause,
        step_id: new.step_id,
        kind: new.kind.clone(),
        created_at: at,
    })
}

fn keep_blob(database: &Connection, blob: &Blob) -> Result<(), Failure> {
    let content = (!BlobFiles::takes(blob)).then_some(blob.content());
    let sql = "INSERT INTO blobs (id, size, content) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
    let size = counter_value(blob.content().len() as u64);
    database
        .prepare_cached(sql)?
        .execute(params![blob.id().as_str(), size, content])?;
    Ok(())
}

fn change_approval(
    database: &Connection,
    stored: &Run,
    commit: &Commit,
    change: &ApprovalChange,
) -> Result<(), Failure> {
    match change {
        ApprovalChange::Open {
            id,
            subject,
            expires_at,
        } => {
            if queries::approval_state(database, *id)?.is_some() {
                return Err(rules::already_exists("approval", &id).into());
            }
            let sql = "INSERT INTO approvals (id, run_id, seq, subject, asked_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            database.prepare_cached(sql)?.execute(params![
                id.0,
                stored.id.0,
                counter_value(rules::asking_seq(commit, *id).0),
                json_value(subject),
                commit.at.to_string(),
                expires_at.map(|at| at.to_string()),
            ])?;
            let sql = "UPDATE counters SET value = max(value, ?1) WHERE name = 'approval'";
            database.prepare_cached(sql)?.execute([id.0])?;
        }
        ApprovalChange::Decide { id, decision } => {
            match queries::approval_state(database, *id)? {
                Some((approval, open)) if approval.run_id == stored.id => {
                    if !open {
                        return Err(rules::conflict(stored, commit).into());
                    }
                }
                _ => return Err(rules::not_found("approval", &id).into()),
            }
            let sql = "UPDATE approvals SET decision = ?2 WHERE id = ?1";
            database
                .prepare_cached(sql)?
                .execute(params![id.0, json_value(decision)])?;
        }
        ApprovalChange::CloseAll => {
            let sql = "UPDATE approvals SET closed_at = ?2 \
                 WHERE run_id = ?1 AND decision IS NULL AND closed_at IS NULL";
            database
                .prepare_cached(sql)?
                .execute(params![stored.id.0, commit.at.to_string()])?;
        }
    }
    Ok(())
}
