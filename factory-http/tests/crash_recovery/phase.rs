//! What a run is in the middle of, read from its stored events.

use std::collections::BTreeSet;
use std::fmt;

use factory_core::model::{Event, EventKind, StepId};

/// What a run is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    /// The model is asked.
    Generation,
    /// A tool call is prepared, carried out or entered.
    Tool,
    /// A checkout is laid, a tree is read, a checkpoint or the commit is made.
    Git,
    /// The checks run.
    Check,
    /// The commit is brought into the operator's repository.
    Publish,
    /// A new owner starts, recovers the run and claims it, and has not begun to work on it.
    Takeover,
}

impl Phase {
    /// The phases of work.
    pub(crate) const WORK: [Self; 5] = [
        Self::Generation,
        Self::Tool,
        Self::Git,
        Self::Check,
        Self::Publish,
    ];

    /// Returns what the run with these events is in the middle of; none once it is final.
    pub(crate) fn of(events: &[Event]) -> Option<Self> {
        let newest = events.last()?;
        Some(match &newest.kind {
            EventKind::RunComplete(_) | EventKind::RunFailed(_) | EventKind::RunStopped(_) => return None,
            EventKind::LlmRequested(_)
            | EventKind::LlmFailed(_)
            | EventKind::SetupFinished(_)
            | EventKind::StepStarted(_)
            | EventKind::PlanRevised(_) => Self::Generation,
            EventKind::ToolStarted(_) => Self::Tool,
            EventKind::CheckStarted(_) => Self::Check,
            EventKind::CommitCreated(_)
            | EventKind::OperationStarted(_)
            | EventKind::OperationFinished(_)
            | EventKind::BranchPublished(_) => Self::Publish,
            EventKind::CheckFinished(finished) if !finished.green => Self::Generation,
            EventKind::SetupStarted(_) | EventKind::CheckFinished(_) | EventKind::ApprovalDecided(_) => {
                Self::Git
            }
            EventKind::LlmResponded(_) | EventKind::ToolFinished(_) => after_a_tool(events),
            _ => Self::Takeover,
        })
    }
}

/// Returns what follows after a reply or a finished tool call: the reply's next call, the next question, or the tree
/// of the finished plan.
fn after_a_tool(events: &[Event]) -> Phase {
    let mut waiting: Vec<&str> = Vec::new();
    let (mut open, mut finished) = (BTreeSet::<StepId>::new(), BTreeSet::<StepId>::new());
    for event in events {
        match &event.kind {
            EventKind::LlmResponded(responded) => {
                waiting = responded
                    .tool_calls
                    .iter()
                    .rev()
                    .map(|call| call.name.as_str())
                    .collect();
            }
            EventKind::ToolFinished(_) => drop(waiting.pop()),
            EventKind::PlanGenerated(generated) => {
                open = generated.plan.steps.iter().map(|step| step.id).collect();
            }
            EventKind::PlanRevised(revised) => open = revised.plan.steps.iter().map(|step| step.id).collect(),
            EventKind::StepFinished(step) => drop(finished.insert(step.step)),
            _ => {}
        }
    }
    match waiting.last() {
        // The checkpoint is made before the end of the step is entered.
        Some(&"finish_step") => Phase::Git,
        Some(_) => Phase::Tool,
        None if !open.is_empty() && open.is_subset(&finished) => Phase::Git,
        None => Phase::Generation,
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Generation => "generation",
            Self::Tool => "tool",
            Self::Git => "git",
            Self::Check => "check",
            Self::Publish => "publish",
            Self::Takeover => "takeover",
        })
    }
}
