//! A run: one goal on its way to an approved commit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Budget, CommitId, EventKind, Fence, InvalidTransition, Origin, ProjectId, Protocol, RunId, RunStatus,
    Sampling, Seq, StatusReason, Timestamp, Usage, WorkerId,
};

/// Who decides what a run may commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalPolicy {
    /// The operator approves every result.
    #[default]
    Ask,
    /// A result that the checks proved, and that touches no tests, check scripts, lock files or CI files, is
    /// committed by itself. Everything else still asks.
    Unattended,
}

/// How a run is to be done, fixed when it is filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunSpec {
    /// The model, as `ENDPOINT:NAME` or `scripted:FILE`.
    pub model: String,
    /// The ref to start from, where it is not the project's.
    pub base_ref: Option<String>,
    /// The commit that the ref led to when the run was filed. The work starts from it, wherever the ref goes.
    pub base: Option<CommitId>,
    /// The checks, where they are not the project's.
    pub checks: Option<Vec<String>>,
    /// Who decides what is committed.
    pub approval: ApprovalPolicy,
    /// What may be spent.
    pub budget: Budget,
    /// How the model's replies are drawn.
    #[serde(skip_serializing_if = "Sampling::is_default")]
    pub sampling: Sampling,
    /// How the model is asked, where it is not to be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The run that it was made of, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl RunSpec {
    /// Returns the model's server, by the endpoint's name or the server's address; none for a model that has none.
    /// Runs of one server share its bounds.
    pub fn server(&self) -> Option<&str> {
        if let Some(at) = self.model.find("@http") {
            return Some(&self.model[at + 1..]);
        }
        match self.model.split_once(':') {
            Some((endpoint, _)) if !["", "scripted", "recorded", "recorded-loose"].contains(&endpoint) => {
                Some(endpoint)
            }
            _ => None,
        }
    }
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            model: "ollama:qwen2.5-coder:7b".to_owned(),
            base_ref: None,
            base: None,
            checks: None,
            approval: ApprovalPolicy::default(),
            budget: Budget::default(),
            sampling: Sampling::default(),
            protocol: None,
            origin: None,
        }
    }
}

/// A worker's hold on a run. Whoever writes or acts for the run shows its fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Who holds it.
    pub worker: WorkerId,
    /// The claim's number; only the newest counts.
    pub fence: Fence,
    /// When it was taken.
    pub since: Timestamp,
}

/// A run as it stands after its event number `last_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The run's number.
    pub id: RunId,
    /// The project; none where an old database has none.
    pub project_id: Option<ProjectId>,
    /// What is to be reached, in the operator's words.
    pub goal: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it stands there, where that needs saying.
    pub reason: Option<StatusReason>,
    /// The reason in words, with what to do.
    pub detail: Option<String>,
    /// How many turns were taken.
    pub current_iteration: u64,
    /// Runs with a higher number are claimed first.
    pub priority: i64,
    /// How it is to be done.
    pub spec: RunSpec,
    /// The commit that the work starts from, once it was resolved.
    pub base_commit: Option<CommitId>,
    /// The branch that was published in the operator's repository.
    pub branch: Option<String>,
    /// The commit that was published.
    pub commit: Option<CommitId>,
    /// What was spent.
    pub usage: Usage,
    /// The number of the run's newest event.
    pub last_seq: Seq,
    /// The number of the run's newest claim, held or not.
    pub fence: Fence,
    /// The claim, while a worker holds one. Kept past a pause until the worker has put everything down.
    pub claim: Option<Claim>,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When its newest event was stored.
    pub updated_at: Timestamp,
}

impl Run {
    /// Changes the row as the event says. The status follows [`RunStatus::after`]; where that refuses, nothing is
    /// changed. Numbers, times and the claim are the store's.
    pub fn apply(&mut self, kind: &EventKind) -> Result<(), InvalidTransition> {
        if let Some(transition) = kind.transition() {
            self.status = self.status.after(transition)?;
            (self.reason, self.detail) = match kind {
                EventKind::RunPaused(paused) => (Some(paused.reason), paused.detail.clone()),
                EventKind::RunFailed(failed) => (Some(failed.reason), Some(failed.detail.clone())),
                EventKind::RunStopped(stopped) => (Some(StatusReason::Operator), stopped.detail.clone()),
                EventKind::ApprovalRequested(_) => (Some(StatusReason::ApprovalNeeded), None),
                _ => (None, None),
            };
        }
        match kind {
            EventKind::SetupStarted(started) => self.base_commit = Some(started.base.clone()),
            EventKind::BranchPublished(published) => {
                self.branch = Some(published.branch.clone());
                self.commit = Some(published.commit.clone());
            }
            EventKind::BudgetRaised(raised) => self.spec.budget = raised.budget,
            _ => {}
        }
        self.usage.add(&kind.usage());
        self.current_iteration = self.usage.turns;
        Ok(())
    }

    /// Returns the commit that the work starts from, as far as that is known.
    pub fn base(&self) -> Option<&CommitId> {
        self.base_commit.as_ref().or(self.spec.base.as_ref())
    }
}
