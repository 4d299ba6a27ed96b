//! What the folded state of a run is made of.

use crate::model::payload::{CheckFinished, SetupFinished, ToolCallRef, ToolStarted};
use crate::model::{BlobId, CommitId, Seq, StepId, Timestamp, TreeId};

/// A tool call's place: the model call that asked for it, and the place among that reply's calls.
pub(crate) type ToolPlace = (u64, u32);

/// Something that the model is told with the next call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The standing instructions, the goal and what is known of the project.
    Opening,
    /// A tool's result.
    ToolResult {
        place: ToolPlace,
        id: String,
        result: BlobId,
    },
    /// The operator's words, a directive or a comment.
    Directive { seq: Seq, text: String },
    /// A step begins.
    StepBegins(StepId),
    /// The reply held no plan.
    NoPlan,
    /// The reply called no tool although a step is active.
    NoToolCall,
    /// The reply holds no act, or one that cannot be read; why, where that is known.
    NotUnderstood { problem: Option<String> },
    /// The reply was cut at its bound.
    CutReply,
    /// The checks were green, and had been before anything was changed.
    ChecksGreen(CheckFinished),
    /// The same call brought the same result again and again.
    Loop { tool: String },
    /// The checks were red.
    ChecksRed(CheckFinished),
    /// The operator rejected the result.
    Rejected { reason: String },
}

/// The tool calls of one reply, carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) call: u64,
    pub(crate) reply: BlobId,
    pub(crate) tools: Vec<ToolCallRef>,
    /// How many of them are finished.
    pub(crate) done: u32,
    /// How many of those came to nothing.
    pub(crate) failed: u32,
    /// Whether one of them gave a file as it is.
    pub(crate) copies: bool,
    /// The one that was begun and is not finished.
    pub(crate) started: Option<ToolStarted>,
}

/// Setup, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Setup {
    #[default]
    Due,
    Done(SetupFinished),
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) commit: CommitId,
    pub(crate) tree: TreeId,
}

/// A tree that was decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approved {
    pub(crate) base: CommitId,
    pub(crate) tree: TreeId,
    pub(crate) message: String,
    /// When it was approved: the time of the commit, so that making it twice makes the same one.
    pub(crate) at: Timestamp,
}

/// Turns that left the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// The replies before this call's, and what was sent with it and before, are no longer shown.
    pub(crate) before: u64,
    /// What is said in their place.
    pub(crate) summary: String,
}

/// Why the finished plan needs one more step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepairReason {
    ChecksRed,
    Rejected,
    Directive,
}
