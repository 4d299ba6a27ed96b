//! A run as it is served, and what of it requests set.

use factory_core::model::{
    self, ApprovalKind, ApprovalPolicy, Budget, BudgetLimit, CommitId, Origin, ProjectId, RunId, RunStatus,
    Seq, StatusReason, Timestamp, Usage, Verb,
};
use factory_core::store::Page;
use factory_core::{Error, Reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::once::Made;
use super::payload::{Created, Reply};
use crate::problem::Problem;

/// A goal on its way to an approved commit.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Run {
    /// The run's number, never used again.
    pub(crate) id: RunId,
    /// The project; null where it was removed.
    pub(crate) project_id: Option<ProjectId>,
    /// What is to be reached.
    pub(crate) goal: String,
    /// Where it stands.
    pub(crate) status: RunStatus,
    /// Why it stands there, where that needs saying.
    pub(crate) status_reason: Option<StatusReason>,
    /// The reason in words, with what to do.
    pub(crate) detail: Option<String>,
    /// How many turns were taken.
    pub(crate) current_iteration: u64,
    /// Runs with a higher number are claimed first.
    pub(crate) priority: i64,
    /// The model that works on it.
    pub(crate) model: String,
    /// The ref that it was filed on, where one was named.
    pub(crate) base_ref: Option<String>,
    /// The commit that the work starts from.
    pub(crate) base_commit: Option<CommitId>,
    /// The branch that was published in the operator's repository.
    pub(crate) branch: Option<String>,
    /// The commit that was published.
    pub(crate) commit: Option<CommitId>,
    /// The check commands, where they are not the project's.
    pub(crate) checks: Option<Vec<String>>,
    /// Who decides what is committed.
    pub(crate) approval: ApprovalPolicy,
    /// What it may spend.
    pub(crate) budget: Budget,
    /// What it has spent.
    pub(crate) usage: Usage,
    /// The number of its newest event.
    pub(crate) last_seq: Seq,
    /// From which run it was made, and how; null where it was filed as it is.
    pub(crate) origin: Option<Origin>,
    /// What an operator can ask of it now.
    pub(crate) allowed: Vec<Verb>,
    /// When it was filed.
    pub(crate) created_at: Timestamp,
    /// When its newest event was stored.
    pub(crate) updated_at: Timestamp,
}

impl Run {
    /// Returns the run as it is served. `asked` is what it asks the operator, where it asks something.
    pub(crate) fn of(run: model::Run, asked: Option<ApprovalKind>) -> Self {
        let allowed = run.verbs(asked);
        Self {
            allowed,
            id: run.id,
            project_id: run.project_id,
            goal: run.goal,
            status: run.status,
            status_reason: run.reason,
            detail: run.detail,
            current_iteration: run.current_iteration,
            priority: run.priority,
            model: run.spec.model,
            base_ref: run.spec.base_ref,
            base_commit: run.base_commit.or(run.spec.base),
            branch: run.branch,
            commit: run.commit,
            checks: run.spec.checks,
            origin: run.spec.origin,
            approval: run.spec.approval,
            budget: run.spec.budget,
            usage: run.usage,
            last_seq: run.last_seq,
            created_at: run.created_at,
            updated_at: run.updated_at,
        }
    }
}

/// Bounds of what a run may spend. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"calls": {"at_most": 200}, "tokens": "unlimited"}))]
pub(crate) struct Bounds {
    /// Model calls.
    #[serde(default)]
    calls: Option<BudgetLimit>,
    /// Prompt and completion tokens together.
    #[serde(default)]
    tokens: Option<BudgetLimit>,
    /// Milliseconds of work.
    #[serde(default)]
    work_ms: Option<BudgetLimit>,
    /// Turns.
    #[serde(default)]
    turns: Option<BudgetLimit>,
}

impl Bounds {
    /// Returns the budget with these bounds instead of its own.
    pub(crate) fn over(self, budget: Budget) -> Budget {
        Budget {
            calls: self.calls.unwrap_or(budget.calls),
            tokens: self.tokens.unwrap_or(budget.tokens),
            work_ms: self.work_ms.unwrap_or(budget.work_ms),
            turns: self.turns.unwrap_or(budget.turns),
        }
    }
}

/// Returns what the run asks the operator, where it asks something.
pub(crate) async fn asked(reader: &Reader, run: &model::Run) -> Result<Option<ApprovalKind>, Error> {
    // Only one that waits for a decision asks; the others need no look at what is asked.
    if run.status != RunStatus::AwaitingApproval {
        return Ok(None);
    }
    let open = reader.open_approvals(Some(run.id), Page::first(1)).await?;
    Ok(open.first().map(|approval| approval.subject.kind()))
}

/// Returns the answer that shows the run, tagged with its newest event.
pub(crate) async fn shown(reader: &Reader, run: model::Run) -> Result<Reply<Run>, Problem> {
    let asked = asked(reader, &run).await?;
    let tag = run.last_seq;
    Ok(Reply::new(Run::of(run, asked)).tagged(tag))
}

/// Returns the answer of a run that was made.
pub(crate) fn created(made: Made<[model::Run; 1]>) -> Created<Run> {
    let [run] = made.value;
    let location = format!("/runs/{}", run.id);
    Created::at(location, Run::of(run, None)).replayed_if(made.replayed)
}

/// Returns the answer that shows what was done to a run.
pub(crate) async fn replied(reader: &Reader, made: Made<[model::Run; 1]>) -> Result<Reply<Run>, Problem> {
    let [run] = made.value;
    Ok(shown(reader, run).await?.replayed_if(made.replayed))
}
