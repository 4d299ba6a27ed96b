//! Sums that are kept by the writes that change them, so that asking for them costs the same however much is stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ProjectId, Run, RunStatus, Timestamp, Usage};

/// By what usage is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageGroup {
    /// The day in UTC on which it was spent, as `2026-01-31`.
    Day,
    /// The project's number; `0` for runs without one.
    Project,
    /// The model.
    Model,
}

/// Which usage is summed. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFilter {
    /// From this day on, as `2026-01-31`.
    pub from: Option<String>,
    /// Until this day, which is included.
    pub until: Option<String>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
}

/// What was spent by one day, project or model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageTotal {
    /// The day, the project's number or the model, as a text. Lists are in its order.
    pub key: String,
    /// How many runs were filed.
    pub runs: u64,
    /// What was spent.
    pub usage: Usage,
}

/// How many runs stand in each status. A status that is not there has none.
pub type RunCounts = BTreeMap<RunStatus, u64>;

/// Returns the day of a moment.
pub(super) fn day_of(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(10);
    text
}

/// Returns what a write adds to a run's usage.
pub(super) fn spent(before: &Usage, after: &Usage) -> Usage {
    Usage {
        calls: after.calls.saturating_sub(before.calls),
        prompt_tokens: after.prompt_tokens.saturating_sub(before.prompt_tokens),
        completion_tokens: after.completion_tokens.saturating_sub(before.completion_tokens),
        cached_tokens: after.cached_tokens.saturating_sub(before.cached_tokens),
        cost_micros: after.cost_micros.saturating_sub(before.cost_micros),
        estimated_tokens: after.estimated_tokens.saturating_sub(before.estimated_tokens),
        work_ms: after.work_ms.saturating_sub(before.work_ms),
        turns: after.turns.saturating_sub(before.turns),
    }
}

/// Under which day, project and model a run's usage is summed.
pub(super) fn place_of(run: &Run, at: Timestamp) -> (String, i64, String) {
    let project = run.project_id.map_or(0, |project| project.0);
    (day_of(at), project, run.spec.model.clone())
}
