//! The one record by which the operator is asked for anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, ApprovalId, CommitId, RunId, Seq, Timestamp, TreeId};

/// What kind of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// A command is to be run (again).
    Command,
    /// A tree is to be committed.
    Tree,
    /// A question is to be answered.
    Question,
}

/// What exactly is asked; a decision holds for this and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ApprovalSubject {
    /// May this command be run?
    Command {
        /// The command's text.
        command: String,
        /// Why it has to be asked.
        why: String,
    },
    /// May this tree be committed?
    Tree {
        /// The commit that it stands on.
        base: CommitId,
        /// The tree that was proven and is offered.
        tree: TreeId,
        /// The commit message proposed.
        message: String,
        /// The check that decided about this very tree; none where the project has no checks.
        check: Option<Seq>,
        /// Whether that check was green. False also where there is none.
        proven: bool,
        /// Changed tests, check scripts, lock files and CI files, which a reviewer should see first.
        sensitive: Vec<String>,
        /// Why it is asked although the run is unattended, or that it always is.
        why: String,
    },
    /// What should the agent do?
    Question {
        /// The question.
        text: String,
    },
}

impl ApprovalSubject {
    /// Returns the kind of this subject.
    pub fn kind(&self) -> ApprovalKind {
        match self {
            Self::Command { .. } => ApprovalKind::Command,
            Self::Tree { .. } => ApprovalKind::Tree,
            Self::Question { .. } => ApprovalKind::Question,
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Yes.
    Approved,
    /// No; the text says why and goes to the agent.
    Rejected,
    /// The text is the answer to the question.
    Answered,
}

/// A decision, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// What was decided.
    pub kind: DecisionKind,
    /// The reason, the answer, or the commit message that replaces the proposed one.
    pub text: Option<String>,
    /// Who decided.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// An approval that was asked for, and its decision once there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The approval's number.
    pub id: ApprovalId,
    /// The run that asks.
    pub run_id: RunId,
    /// The event that asked.
    pub seq: Seq,
    /// What is asked.
    pub subject: ApprovalSubject,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it lapses: the run is then paused as `approval_expired`. None never lapses.
    pub expires_at: Option<Timestamp>,
    /// What was decided.
    pub decision: Option<Decision>,
}
