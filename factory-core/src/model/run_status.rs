//! The only rules about a run's status: one pure function decides every change.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run stands. Stored and served as the upper-case text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// Waits for a worker.
    Queued,
    /// A live worker holds the claim.
    Running,
    /// Rests until somebody resumes it; the reason says why.
    Paused,
    /// Rests until an approval is decided.
    AwaitingApproval,
    /// Final: the result is proven, approved and committed.
    Complete,
    /// Final: it could not be done; the reason says why.
    Failed,
    /// Final: the operator ended it.
    Stopped,
}

/// A change of status that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// A worker takes the run.
    Claim,
    /// The work is done and approved.
    Finish,
    /// The run is to rest.
    Pause,
    /// A decision of the operator is needed.
    RequestApproval,
    /// The worker gives the run back: shutdown, lost lease, crash recovery.
    Release,
    /// A paused run is to go on.
    Resume,
    /// The operator decided what was asked.
    Decide,
    /// The run cannot be done.
    Fail,
    /// The operator ends the run.
    Stop,
}

/// The run's status does not allow what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {from} cannot {transition}")]
pub struct InvalidTransition {
    /// The status that the run has.
    pub from: RunStatus,
    /// What was asked of it.
    pub transition: Transition,
}

impl RunStatus {
    /// Every status, in the order of a run's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::AwaitingApproval,
        Self::Complete,
        Self::Failed,
        Self::Stopped,
    ];

    /// Returns the status after `transition`, or why it is refused.
    pub fn after(self, transition: Transition) -> Result<Self, InvalidTransition> {
        use RunStatus::{AwaitingApproval, Complete, Failed, Paused, Queued, Running, Stopped};
        Ok(match (self, transition) {
            (Queued, Transition::Claim) => Running,
            (Running, Transition::RequestApproval) => AwaitingApproval,
            (Running, Transition::Finish) => Complete,
            (Queued | Running, Transition::Pause) => Paused,
            (Paused, Transition::Resume)
            | (AwaitingApproval, Transition::Decide)
            | (Running, Transition::Release) => Queued,
            (Queued | Running | Paused | AwaitingApproval, Transition::Fail) => Failed,
            (Queued | Running | Paused | AwaitingApproval, Transition::Stop) => Stopped,
            (from, transition) => return Err(InvalidTransition { from, transition }),
        })
    }

    /// Returns the transitions that this status allows.
    pub fn allowed(self) -> impl Iterator<Item = Transition> {
        Transition::ALL
            .into_iter()
            .filter(move |transition| self.after(*transition).is_ok())
    }

    /// Returns whether nothing can follow.
    pub fn is_final(self) -> bool {
        self.allowed().next().is_none()
    }

    /// Returns whether an effect may start for a run that stands here.
    pub fn lets_effects_start(self) -> bool {
        self == Self::Running
    }

    /// Returns whether the run goes no further without the operator, for now or for ever.
    pub fn is_rest(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
        }
    }
}

impl Transition {
    /// Every transition.
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Finish,
        Self::Pause,
        Self::RequestApproval,
        Self::Release,
        Self::Resume,
        Self::Decide,
        Self::Fail,
        Self::Stop,
    ];
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Claim => "be claimed",
            Self::Finish => "be finished",
            Self::Pause => "be paused",
            Self::RequestApproval => "ask for approval",
            Self::Release => "be released",
            Self::Resume => "be resumed",
            Self::Decide => "take a decision",
            Self::Fail => "fail",
            Self::Stop => "be stopped",
        })
    }
}

impl FromStr for RunStatus {
    type Err = super::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| super::InvalidId {
                text: text.chars().take(80).collect(),
                expected: "a run status such as QUEUED or COMPLETE",
            })
    }
}

/// Why a run has the status that it has; a closed list, stored as the snake-case text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// The operator asked for it.
    Operator,
    /// A budget ran out; raising it goes on.
    BudgetExhausted,
    /// An older factory left it in the middle; nothing starts by itself.
    Interrupted,
    /// Its worker died again and again without getting on.
    CrashLoop,
    /// The disk is full.
    StorageFull,
    /// The model repeats itself.
    Stuck,
    /// The model cannot be reached.
    LlmUnavailable,
    /// The model's answers cannot be used.
    LlmFailed,
    /// The prompt does not fit the model's window.
    ContextFull,
    /// The project's checks stayed red.
    ChecksFailed,
    /// The project's setup commands failed.
    SetupFailed,
    /// No sandbox works here, so commands are refused.
    SandboxUnavailable,
    /// What the work stands on has changed under it.
    Conflict,
    /// A run that this one waits for did not complete.
    DependencyFailed,
    /// An approval is waited for.
    ApprovalNeeded,
    /// The approval's time ran out.
    ApprovalExpired,
    /// The factory itself met an error that it could not pass.
    Internal,
}

impl StatusReason {
    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Interrupted => "interrupted",
            Self::CrashLoop => "crash_loop",
            Self::StorageFull => "storage_full",
            Self::Stuck => "stuck",
            Self::LlmUnavailable => "llm_unavailable",
            Self::LlmFailed => "llm_failed",
            Self::ContextFull => "context_full",
            Self::ChecksFailed => "checks_failed",
            Self::SetupFailed => "setup_failed",
            Self::SandboxUnavailable => "sandbox_unavailable",
            Self::Conflict => "conflict",
            Self::DependencyFailed => "dependency_failed",
            Self::ApprovalNeeded => "approval_needed",
            Self::ApprovalExpired => "approval_expired",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for StatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the state table as it stands in `docs/run-lifecycle.md`.
    fn table() -> String {
        let mut lines = vec!["from | transition | to".to_owned(), "--- | --- | ---".to_owned()];
        for from in RunStatus::ALL {
            for transition in from.allowed() {
                let to = from.after(transition).unwrap();
                let name = serde_json::to_value(transition).unwrap();
                lines.push(format!("{from} | {} | {to}", name.as_str().unwrap()));
            }
        }
        lines.join("\n")
    }

    #[test]
    fn the_state_table_is_the_documented_one() {
        insta::assert_snapshot!(table());
        let document = include_str!("../../../docs/run-lifecycle.md");
        assert!(
            document.contains(&table()),
            "docs/run-lifecycle.md lacks this table:\n{}",
            table()
        );
    }

    #[test]
    fn final_states_allow_nothing() {
        let finals: Vec<_> = RunStatus::ALL
            .into_iter()
            .filter(|status| status.is_final())
            .collect();
        assert_eq!(
            finals,
            [RunStatus::Complete, RunStatus::Failed, RunStatus::Stopped]
        );
    }

    #[test]
    fn stored_texts_are_the_serde_texts() {
        for status in RunStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse::<RunStatus>().unwrap(), status);
        }
    }
}
