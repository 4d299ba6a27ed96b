//! Sums of usage and of runs by status, kept in the transactions that change them.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::super::totals::{self, RunCounts, UsageFilter, UsageGroup, UsageTotal};
use super::super::{Page, rules};
use super::failure::Failure;
use super::queries::many;
use super::rows::counter_value;
use crate::model::{Event, Run, RunStatus, Timestamp, Usage};

/// Counts runs that were filed together: all of them QUEUED, none of which has spent anything.
pub(super) fn count_filed(database: &Connection, filed: &[(Run, Event)]) -> Result<(), Failure> {
    let mut places: BTreeMap<_, i64> = BTreeMap::new();
    for (run, _) in filed {
        *places.entry(totals::place_of(run, run.created_at)).or_default() += 1;
    }
    let sql = "INSERT INTO usage_totals (day, project_id, model, runs) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (day, project_id, model) DO UPDATE SET runs = runs + excluded.runs";
    for ((day, project, model), runs) in places {
        database
            .prepare_cached(sql)?
            .execute(params![day, project, model, runs])?;
    }
    let runs = i64::try_from(filed.len()).unwrap_or(i64::MAX);
    count(database, RunStatus::Queued, runs)
}

/// Counts what a write made of a run.
pub(super) fn count_change(
    database: &Connection,
    before: &Run,
    after: &Run,
    at: Timestamp,
) -> Result<(), Failure> {
    if before.usage != after.usage {
        add(database, after, at, &totals::spent(&before.usage, &after.usage))?;
    }
    if before.status != after.status {
        move_count(database, Some(before.status), after.status)?;
    }
    Ok(())
}

fn add(database: &Connection, run: &Run, at: Timestamp, usage: &Usage) -> Result<(), Failure> {
    let (day, project, model) = totals::place_of(run, at);
    let sql = "INSERT INTO usage_totals (day, project_id, model, calls, turns, prompt_tokens, \
         completion_tokens, cached_tokens, estimated_tokens, cost_micros, work_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (day, project_id, model) DO UPDATE SET \
         calls = calls + excluded.calls, turns = turns + excluded.turns, \
         prompt_tokens = prompt_tokens + excluded.prompt_tokens, \
         completion_tokens = completion_tokens + excluded.completion_tokens, \
         cached_tokens = cached_tokens + excluded.cached_tokens, \
         estimated_tokens = estimated_tokens + excluded.estimated_tokens, \
         cost_micros = cost_micros + excluded.cost_micros, work_ms = work_ms + excluded.work_ms";
    database.prepare_cached(sql)?.execute(params![
        day,
        project,
        model,
        counter_value(usage.calls),
        counter_value(usage.turns),
        counter_value(usage.prompt_tokens),
        counter_value(usage.completion_tokens),
        counter_value(usage.cached_tokens),
        counter_value(usage.estimated_tokens),
        counter_value(usage.cost_micros),
        counter_value(usage.work_ms),
    ])?;
    Ok(())
}

fn move_count(database: &Connection, from: Option<RunStatus>, to: RunStatus) -> Result<(), Failure> {
    if let Some(from) = from {
        let sql = "UPDATE run_counts SET runs = runs - 1 WHERE status = ?1";
        database.prepare_cached(sql)?.execute([from.as_str()])?;
    }
    count(database, to, 1)
}

fn count(database: &Connection, status: RunStatus, runs: i64) -> Result<(), Failure> {
    let sql = "INSERT INTO run_counts (status, runs) VALUES (?1, ?2) \
         ON CONFLICT (status) DO UPDATE SET runs = runs + excluded.runs";
    database
        .prepare_cached(sql)?
        .execute(params![status.as_str(), runs])?;
    Ok(())
}

pub(super) fn usage(
    database: &Connection,
    group: UsageGroup,
    filter: &UsageFilter,
    page: &Page<String>,
) -> Result<Vec<UsageTotal>, Failure> {
    let key = match group {
        UsageGroup::Day => "day",
        UsageGroup::Project => "CAST(project_id AS TEXT)",
        UsageGroup::Model => "model",
    };
    let (mut conditions, mut values) = (vec!["1".to_owned()], Vec::<Value>::new());
    if let Some(from) = &filter.from {
        conditions.push("day >= ?".to_owned());
        values.push(from.clone().into());
    }
    if let Some(until) = &filter.until {
        conditions.push("day <= ?".to_owned());
        values.push(until.clone().into());
    }
    if let Some(project) = filter.project_id {
        conditions.push("project_id = ?".to_owned());
        values.push(project.0.into());
    }
    if let Some(after) = &page.after {
        conditions.push(format!("{key} > ?"));
        values.push(after.clone().into());
    }
    values.push(i64::from(page.bounded_limit()).into());
    let sql = format!(
        "SELECT {key}, sum(runs), sum(calls), sum(turns), sum(prompt_tokens), sum(completion_tokens), \
         sum(cached_tokens), sum(estimated_tokens), sum(cost_micros), sum(work_ms) FROM usage_totals \
         WHERE {} GROUP BY 1 ORDER BY 1 LIMIT ?",
        conditions.join(" AND ")
    );
    many(database, &sql, params_from_iter(values), total)
}

fn total(row: &Row<'_>) -> Result<UsageTotal, Failure> {
    let number = |column: usize| -> Result<u64, Failure> {
        Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
    };
    Ok(UsageTotal {
        key: row.get(0)?,
        runs: number(1)?,
        usage: Usage {
            calls: number(2)?,
            turns: number(3)?,
            prompt_tokens: number(4)?,
            completion_tokens: number(5)?,
            cached_tokens: number(6)?,
            estimated_tokens: number(7)?,
            cost_micros: number(8)?,
            work_ms: number(9)?,
        },
    })
}

pub(super) fn run_counts(database: &Connection) -> Result<RunCounts, Failure> {
    let counted = many(
        database,
        "SELECT status, runs FROM run_counts WHERE runs > 0",
        [],
        |row| {
            let (status, runs): (String, i64) = (row.get(0)?, row.get(1)?);
            let status: RunStatus = status.parse().map_err(|_| rules::not_found("status", &status))?;
            Ok((status, u64::try_from(runs).unwrap_or_default()))
        },
    )?;
    Ok(counted.into_iter().collect())
}
