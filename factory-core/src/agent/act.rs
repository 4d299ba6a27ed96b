//! The machine: which act follows from a run's folded state. Pure; the driver does what it says.

use super::state::{RepairReason, Setup, State};
use crate::model::payload::{Operation, ToolStarted};
use crate::model::{ApprovalPolicy, StatusReason, StepId};

/// How many red rounds of checks are given back to the model before the run ends or asks.
pub(crate) const RED_ROUNDS: u32 = 4;

/// The same for a model that is led, whose every change is checked.
pub(crate) const LED_RED_ROUNDS: u32 = 12;

/// How many answers in a row may hold no act that can be understood; the model is told after each.
pub(crate) const MISUNDERSTOOD: u32 = 4;

/// How many failed calls in a row are borne, each after a longer wait.
pub(crate) const TRANSIENT_FAILURES: u32 = 6;

/// How often in a row a call may be lost with its process before the operator is asked; each may have been paid for.
pub(crate) const LOST_CALLS: u32 = 3;

/// How many replies in a row may reach their bound; the model is told after each.
pub(crate) const CUT_REPLIES: u32 = 4;

/// How often in a row a run may be recovered without getting on.
pub(crate) const RECOVERIES: u32 = 5;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Prepare the checkout: setup commands, then the base tree.
    SetUp,
    /// Load the model and find out how it is asked.
    PrepareModel,
    /// A model call was in flight when the process died: enter it as lost.
    ForgetCall,
    /// A tool call was begun and not finished when the process died.
    Settle(ToolStarted),
    /// Carry out the next tool call of the reply.
    RunTool { index: u32 },
    /// The model works without a plan: make one of the goal.
    ImplyPlan,
    /// Begin the next step.
    StartStep(StepId),
    /// The model stopped calling tools: take the step for done.
    FinishStep(StepId),
    /// Ask the model.
    Ask,
    /// Run the checks on the tree.
    Prove,
    /// Add a step to the finished plan.
    Repair(RepairReason),
    /// Offer the tree for approval, or approve it where policy says so.
    Offer,
    /// Make the approved tree a commit.
    Commit,
    /// Put the commit on a branch of the operator's repository.
    Publish { begun: Option<Operation> },
    /// All is done.
    Finish,
    /// Rest until the operator does something.
    Park { reason: StatusReason, detail: String },
    /// Give up.
    Fail { reason: StatusReason, detail: String },
}

impl Act {
    /// Returns the act that follows from the state of a run that is RUNNING.
    pub(crate) fn next(state: &State) -> Self {
        if let Some(park) = must_park(state) {
            return park;
        }
        if state.call_in_flight.is_some() {
            return Self::ForgetCall;
        }
        if state.setup == Setup::Due {
            return Self::SetUp;
        }
        if state.model.is_none() && state.calls == 0 {
            return Self::PrepareModel;
        }
        if let Some(act) = next_tool(state) {
            return act;
        }
        if state.check_started.is_some() {
            return Self::Prove;
        }
        if state.approved.is_some() {
            return after_approval(state);
        }
        if state.is_led()
            && let Some(act) = lead(state)
        {
            return act;
        }
        if state.plan.is_none() {
            return if state.text_only_replies >= 2 {
                Self::ImplyPlan
            } else {
                Self::Ask
            };
        }
        if let Some(step) = state.active_step {
            return if state.text_only_replies >= 2 {
                Self::FinishStep(step)
            } else {
                Self::Ask
            };
        }
        if let Some(step) = state.next_unfinished() {
            return Self::StartStep(step.id);
        }
        after_last_step(state)
    }
}

fn must_park(state: &State) -> Option<Act> {
    let park = |reason, detail: String| Some(Act::Park { reason, detail });
    if state.recoveries >= RECOVERIES {
        return park(
            StatusReason::CrashLoop,
            format!(
                "its worker died {} times in a row without getting on; look at the newest events, then resume",
                state.recoveries
            ),
        );
    }
    if matches!(&state.setup, Setup::Done(finished) if !finished.ok) {
        return park(
            StatusReason::SetupFailed,
            "the project's setup commands failed; see the output, mend the project's setup, then resume"
                .to_owned(),
        );
    }
    if let Some(tool) = &state.stuck {
        return park(
            StatusReason::Stuck,
            format!("the model repeats the same `{tool}` call although it was told; direct it, then resume"),
        );
    }
    if let Some(detail) = &state.refusal {
        return park(StatusReason::LlmFailed, detail.clone());
    }
    if let Some(detail) = &state.overflow {
        return park(StatusReason::ContextFull, detail.clone());
    }
    if state.cut_replies >= CUT_REPLIES {
        return park(
            StatusReason::Stuck,
            format!(
                "{} replies in a row reached their bound and were cut; direct it to answer shorter, then resume",
                state.cut_replies
            ),
        );
    }
    if state.misunderstood >= MISUNDERSTOOD {
        return park(
            StatusReason::Stuck,
            format!(
                "{} answers in a row held nothing that can be understood as an act; direct it, or file the goal for a more able model",
                state.misunderstood
            ),
        );
    }
    if state.transient_failures >= TRANSIENT_FAILURES {
        return park(
            StatusReason::LlmUnavailable,
            format!(
                "{} model calls in a row failed; see that the model server works, then resume; the last one said: {}",
                state.transient_failures, state.last_failure
            ),
        );
    }
    if state.lost_calls >= LOST_CALLS {
        return park(
            StatusReason::CrashLoop,
            format!(
                "the process died {} times in a row in the middle of a model call, each of which may have been paid for; resume to ask again",
                state.lost_calls
            ),
        );
    }
    None
}

/// What the factory does for a model that is led and does not plan for itself: the checks run before anything is
/// changed and after every change, and the step ends when they turn green.
fn lead(state: &State) -> Option<Act> {
    let Some(base_check) = &state.base_check else {
        // A run that was begun before it was led goes on without.
        return (state.calls == 0).then_some(Act::Prove);
    };
    if state.plan.is_none() {
        return Some(Act::ImplyPlan);
    }
    let step = state.active_step?;
    if base_check.results.is_empty() {
        return None;
    }
    if state.unproven_change {
        return Some(Act::Prove);
    }
    let (_, proof) = state.proof.as_ref()?;
    let turned_green = proof.green && !base_check.green && state.directives().is_empty();
    let is_hopeless = !proof.green && state.red_rounds >= LED_RED_ROUNDS;
    (turned_green || is_hopeless).then_some(Act::FinishStep(step))
}

fn next_tool(state: &State) -> Option<Act> {
    let batch = state.batch.as_ref()?;
    if let Some(started) = &batch.started {
        return Some(Act::Settle(started.clone()));
    }
    let next = batch.tools.get(batch.done as usize)?;
    if state.plan.is_none() && next.name != crate::tools::Tool::UpdatePlan.name() {
        return Some(Act::ImplyPlan);
    }
    Some(Act::RunTool { index: batch.done })
}

fn after_approval(state: &State) -> Act {
    let nothing_to_commit = state
        .approved
        .as_ref()
        .is_some_and(|approved| state.base_tree() == Some(&approved.tree));
    if nothing_to_commit {
        Act::Finish
    } else if state.commit.is_none() {
        Act::Commit
    } else if state.published.is_none() {
        Act::Publish {
            begun: state.operation.clone(),
        }
    } else {
        Act::Finish
    }
}

fn after_last_step(state: &State) -> Act {
    if state.rejected {
        return Act::Repair(RepairReason::Rejected);
    }
    if !state.directives().is_empty() {
        return Act::Repair(RepairReason::Directive);
    }
    let Some((_, check)) = &state.proof else {
        return Act::Prove;
    };
    if check.green || check.results.is_empty() {
        return Act::Offer;
    }
    let bound = if state.is_led() {
        LED_RED_ROUNDS
    } else {
        RED_ROUNDS
    };
    if state.red_rounds < bound {
        return Act::Repair(RepairReason::ChecksRed);
    }
    match state.spec.approval {
        ApprovalPolicy::Ask => Act::Offer,
        ApprovalPolicy::Unattended => Act::Fail {
            reason: StatusReason::ChecksFailed,
            detail: format!(
                "the checks stayed red after {} rounds; `factory events` has their output",
                state.red_rounds
            ),
        },
    }
}
