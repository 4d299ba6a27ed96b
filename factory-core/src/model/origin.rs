//! Where a run comes from that was made of another one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CommitId, RunId, Seq, TreeId};

/// How a run was made of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Descent {
    /// The same goal again, from the same commit.
    Retry,
    /// On from one of its checkpoints, against the same base.
    Fork,
    /// A goal that starts from its result.
    Continue,
}

impl Descent {
    /// Returns the word by which it is served and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fork => "fork",
            Self::Continue => "continue",
        }
    }
}

/// The run that a run was made of. That one is not changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// How it was made.
    pub how: Descent,
    /// Of which run.
    pub run: RunId,
    /// Of which event of that run, where it was forked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Seq>,
    /// The work that its checkout begins with, where that is more than the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
}

impl Origin {
    /// Returns what is said when a run is filed that continues another one.
    pub fn continuing(run: RunId) -> Self {
        Self {
            how: Descent::Continue,
            run,
            at: None,
            start: None,
        }
    }
}

/// Earlier work that a run's checkout begins with. The base stays the commit before that work, so that the diff and the
/// approval cover all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// The run that did it.
    pub run: RunId,
    /// The number of that run's checkpoint.
    pub checkpoint: u32,
    /// The checkpoint's commit, which the factory's store keeps.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// The steps of that run's plan that were done, by their titles.
    pub done: Vec<String>,
    /// The steps that were left.
    pub left: Vec<String>,
}
