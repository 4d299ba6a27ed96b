//! Between table rows and `model` values. What an older program may have left is read leniently; what only this one
//! writes must be readable, or the row is reported as damaged.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::StoreError;
use super::failure::Failure;
use super::kept::Version;
use crate::model::{
    Actor, Approval, ApprovalId, Claim, Event, EventId, EventKind, Fence, Project, ProjectId, Run, RunId,
    Seq, StepId, Timestamp, WorkerId,
};

/// The columns of [`project`], in its order.
pub(super) const PROJECT: &str = "id, name, local_path, settings, created_at";

/// The columns of [`run`], in its order.
pub(super) const RUN: &str = "id, project_id, goal, status, reason, detail, current_iteration, priority, spec, \
    base_commit, branch, commit_id, usage, last_seq, fence, claimed_by, claimed_at, created_at, updated_at";

/// The columns of [`event`], in its order.
pub(super) const EVENT: &str = "id, run_id, seq, actor, cause, step_id, type, payload, created_at";

/// The columns of [`approval`], in its order.
pub(super) const APPROVAL: &str = "id, run_id, seq, subject, asked_at, expires_at, decision";

pub(super) fn project(row: &Row<'_>) -> Result<Project, Failure> {
    let id = row.get(0)?;
    Ok(Project {
        id: ProjectId(id),
        name: text(row, 1)?.unwrap_or_default(),
        local_path: path(row.get_ref(2)?),
        settings: json(row, 3, "project", id)?,
        created_at: timestamp(row, 4)?,
    })
}

pub(super) fn run(row: &Row<'_>) -> Result<Run, Failure> {
    let id = row.get(0)?;
    let fence = Fence(counter(row, 14)?);
    let claim = match row.get::<_, Option<String>>(15)? {
        None => None,
        Some(worker) => Some(Claim {
            worker: WorkerId(worker),
            fence,
            since: timestamp(row, 16)?,
        }),
    };
    Ok(Run {
        id: RunId(id),
        project_id: row.get::<_, Option<i64>>(1)?.map(ProjectId),
        goal: text(row, 2)?.unwrap_or_default(),
        status: parsed(row, 3, "run", id)?.ok_or_else(|| unreadable("run", id, "no status"))?,
        reason: word(row, 4, "run", id)?,
        detail: text(row, 5)?,
        current_iteration: counter(row, 6)?,
        priority: row.get(7)?,
        spec: json(row, 8, "run", id)?,
        base_commit: parsed(row, 9, "run", id)?,
        branch: text(row, 10)?,
        commit: parsed(row, 11, "run", id)?,
        usage: json(row, 12, "run", id)?,
        last_seq: Seq(counter(row, 13)?),
        fence,
        claim,
        created_at: timestamp(row, 17)?,
        updated_at: timestamp(row, 18)?,
    })
}

/// Returns which run the row of [`RUN`] is, and in which version, without reading the rest of it.
pub(super) fn run_version(row: &Row<'_>) -> Result<(RunId, Version), Failure> {
    let is_there = |column| Ok::<_, Failure>(row.get_ref(column)? != ValueRef::Null);
    let (last_seq, fence) = (Seq(counter(row, 13)?), Fence(counter(row, 14)?));
    let version = Version::new(last_seq, fence, is_there(15)?, is_there(1)?);
    Ok((RunId(row.get(0)?), version))
}

pub(super) fn event(row: &Row<'_>) -> Result<Event, Failure> {
    let step: Option<i64> = row.get(5)?;
    let actor = text(row, 3)?.and_then(|actor| actor.parse().ok());
    Ok(Event {
        id: EventId(row.get(0)?),
        run_id: RunId(row.get(1)?),
        seq: Seq(counter(row, 2)?),
        actor: actor.unwrap_or(Actor::System),
        cause: optional_counter(row, 4)?.map(Seq),
        step_id: step.and_then(|step| u32::try_from(step).ok()).map(StepId),
        kind: EventKind::from_stored(text(row, 6)?.unwrap_or_default(), text(row, 7)?),
        created_at: timestamp(row, 8)?,
    })
}

pub(super) fn approval(row: &Row<'_>) -> Result<Approval, Failure> {
    let id = row.get(0)?;
    let decision = match text(row, 6)? {
        None => None,
        Some(_) => Some(json(row, 6, "approval", id)?),
    };
    Ok(Approval {
        id: ApprovalId(id),
        run_id: RunId(row.get(1)?),
        seq: Seq(counter(row, 2)?),
        subject: json(row, 3, "approval", id)?,
        asked_at: timestamp(row, 4)?,
        expires_at: text(row, 5)?.map(|text| text.parse().unwrap_or(Timestamp::UNKNOWN)),
        decision,
    })
}

/// Returns a path as SQLite keeps it: text, or bytes where it is not UTF-8.
pub(super) fn path_value(path: &Path) -> ToSqlOutput<'_> {
    match path.to_str() {
        Some(text) => ToSqlOutput::from(text),
        None => ToSqlOutput::Owned(Value::Blob(path.as_os_str().as_bytes().to_vec())),
    }
}

/// Returns a counter as SQLite keeps it.
pub(super) fn counter_value(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

/// Returns a value of ours as JSON.
pub(super) fn json_value<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("the model's values are structs with text keys")
}

/// Returns a word of a closed list as it is stored.
pub(super) fn word_value<T: Serialize>(word: &T) -> Option<String> {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

fn path(value: ValueRef<'_>) -> PathBuf {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => OsString::from_vec(bytes.to_vec()).into(),
        other => shown(other).unwrap_or_default().into(),
    }
}

/// Returns whatever stands there as text. Older programs were free to store what they liked.
fn text(row: &Row<'_>, column: usize) -> Result<Option<String>, Failure> {
    Ok(shown(row.get_ref(column)?))
}

fn shown(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(match std::str::from_utf8(bytes) {
            // Nearly always; looking for what is no text takes several times as long.
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        }),
    }
}

fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp, Failure> {
    let text = text(row, column)?;
    Ok(text
        .and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::UNKNOWN))
}

fn counter(row: &Row<'_>, column: usize) -> Result<u64, Failure> {
    Ok(optional_counter(row, column)?.unwrap_or_default())
}

fn optional_counter(row: &Row<'_>, column: usize) -> Result<Option<u64>, Failure> {
    let number: Option<i64> = row.get(column)?;
    Ok(number.map(|number| u64::try_from(number).unwrap_or_default()))
}

fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    kind: &'static str,
    id: i64,
) -> Result<T, Failure> {
    let text = text(row, column)?.unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| unreadable(kind, id, &error.to_string()))
}

fn word<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    kind: &'static str,
    id: i64,
) -> Result<Option<T>, Failure> {
    let Some(text) = text(row, column)? else {
        return Ok(None);
    };
    let word = serde_json::from_value(serde_json::Value::String(text));
    word.map(Some)
        .map_err(|error| unreadable(kind, id, &error.to_string()))
}

fn parsed<T>(row: &Row<'_>, column: usize, kind: &'static str, id: i64) -> Result<Option<T>, Failure>
where
    T: std::str::FromStr<Err = crate::model::InvalidId>,
{
    let Some(text) = text(row, column)? else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|error: T::Err| unreadable(kind, id, &error.to_string()))
}

/// Returns what stands in a column that is never empty.
pub(super) fn required<T: rusqlite::types::FromSql>(
    row: &Row<'_>,
    column: usize,
    kind: &'static str,
    id: i64,
) -> Result<T, Failure> {
    row.get(column)
        .map_err(|error| unreadable(kind, id, &error.to_string()))
}

/// Returns what was parsed, or says that the row is damaged. A credential is never read leniently: what cannot be read
/// holds for nobody.
pub(super) fn readable<T, E: std::fmt::Display>(
    parsed: Result<T, E>,
    kind: &'static str,
    id: i64,
) -> Result<T, Failure> {
    parsed.map_err(|error| unreadable(kind, id, &error.to_string()))
}

fn unreadable(kind: &'static str, id: i64, why: &str) -> Failure {
    Failure::Refused(StoreError::Unusable(format!(
        "{kind} {id} cannot be read from the database ({why}); another program changed it, restore a backup"
    )))
}
