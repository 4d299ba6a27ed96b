//! What became of a task, read off its run: the row says how the run ended, the events say why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::payload::EndReason;
use crate::model::{ApprovalSubject, Event, EventKind, Run, RunStatus, StatusReason, Usage};

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The run is complete and the hidden verification passes.
    Solved,
    /// The run is complete and the hidden verification fails.
    Wrong,
    /// The checks stayed red.
    RedChecks,
    /// The calls, or another bound, were spent.
    Budget,
    /// The model repeated itself, or its replies were cut again and again.
    Stuck,
    /// Nothing that the model said could be carried out.
    NotUnderstood,
    /// The run asks: it touched tests, changed nothing, or has a question.
    Asks,
    /// The prompt does not fit the model's window.
    ContextFull,
    /// The model's server refuses, or a script is at its end.
    ModelFailed,
    /// The model cannot be reached. Not settled: the task is gone on with the next time.
    ModelUnavailable,
    /// The task's own setup failed.
    SetupFailed,
    /// The factory failed.
    Crashed,
}

impl Outcome {
    /// Returns whether the task is done with; otherwise it is gone on with the next time.
    pub fn is_settled(self) -> bool {
        self != Self::ModelUnavailable
    }

    /// Returns the outcome in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Solved => "solved",
            Self::Wrong => "wrong",
            Self::RedChecks => "red checks",
            Self::Budget => "budget",
            Self::Stuck => "stuck",
            Self::NotUnderstood => "not understood",
            Self::Asks => "asks",
            Self::ContextFull => "context full",
            Self::ModelFailed => "model failed",
            Self::ModelUnavailable => "model unavailable",
            Self::SetupFailed => "setup failed",
            Self::Crashed => "crashed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a run took, and what went wrong on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Model calls that were answered.
    pub calls: u64,
    /// Tokens sent with them.
    pub prompt_tokens: u64,
    /// Tokens received with them.
    pub completion_tokens: u64,
    /// Milliseconds of work, the model's included.
    pub work_ms: u64,
    /// Milliseconds of the model's work on the calls that were answered.
    pub model_ms: u64,
    /// Model calls that were cut, lost or failed.
    pub failed_calls: u64,
    /// Replies that called no tool.
    pub idle_replies: u64,
    /// Replies that were cut at their bound.
    pub cut_replies: u64,
    /// Tool calls that were carried out.
    pub tools: u64,
    /// Tool calls that were refused or failed, edits included.
    pub failed_tools: u64,
    /// Edits that could not be applied.
    pub failed_edits: u64,
    /// Rounds of checks that were red.
    pub red_rounds: u64,
    /// How often the run was interrupted and gone on with.
    pub interruptions: u64,
}

impl Figures {
    /// Reads the figures off a run and its events.
    pub fn of(run: &Run, events: &[Event]) -> Self {
        let mut figures = Self {
            work_ms: run.usage.work_ms,
            ..Self::default()
        };
        for event in events {
            figures.add(&event.kind);
        }
        figures
    }

    fn add(&mut self, kind: &EventKind) {
        match kind {
            EventKind::LlmResponded(responded) => {
                let Usage {
                    prompt_tokens,
                    completion_tokens,
                    work_ms,
                    ..
                } = responded.usage;
                self.calls += 1;
                self.prompt_tokens += prompt_tokens;
                self.completion_tokens += completion_tokens;
                self.model_ms += work_ms;
                self.idle_replies += u64::from(responded.tool_calls.is_empty());
                self.cut_replies += u64::from(responded.end == EndReason::Length);
            }
            EventKind::LlmFailed(_) => self.failed_calls += 1,
            EventKind::ToolFinished(finished) => {
                self.tools += u64::from(finished.ok);
                self.failed_tools += u64::from(!finished.ok);
                self.failed_edits += u64::from(finished.failed_edit.is_some());
            }
            EventKind::CheckFinished(finished) => self.red_rounds += u64::from(!finished.green),
            EventKind::RunRecovered(_) | EventKind::RunResumed(_) => self.interruptions += 1,
            _ => {}
        }
    }

    /// Returns all tokens.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

/// How a run at rest is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// It is complete: the verification decides.
    Complete,
    /// It ended short of that.
    Short(Outcome, Option<String>),
    /// Something around it gave way; it can be gone on with.
    Interrupted(StatusReason, String),
}

impl Rest {
    /// Reads off a run at rest how it is to be taken. `asked` is what it asks.
    pub(super) fn of(run: &Run, figures: &Figures, asked: Option<&ApprovalSubject>) -> Self {
        let detail = run.detail.clone();
        let outcome = match (run.status, run.reason) {
            (RunStatus::Complete, _) => return Self::Complete,
            (RunStatus::AwaitingApproval, _) => {
                return Self::Short(understood(Outcome::Asks, figures), asked.map(what_is_asked));
            }
            (_, Some(reason)) if is_interruption(reason) => {
                return Self::Interrupted(reason, detail.unwrap_or_else(|| reason.to_string()));
            }
            (_, Some(StatusReason::ChecksFailed)) => Outcome::RedChecks,
            (_, Some(StatusReason::BudgetExhausted)) => Outcome::Budget,
            (_, Some(StatusReason::Stuck)) => Outcome::Stuck,
            (_, Some(StatusReason::ContextFull)) => Outcome::ContextFull,
            (_, Some(StatusReason::LlmFailed)) => Outcome::ModelFailed,
            (_, Some(StatusReason::LlmUnavailable)) => Outcome::ModelUnavailable,
            (_, Some(StatusReason::SetupFailed)) => Outcome::SetupFailed,
            _ => Outcome::Crashed,
        };
        Self::Short(understood(outcome, figures), detail)
    }
}

/// Whether what ended the run is about this machine and moment, and not about the model's work.
pub(super) fn is_interruption(reason: StatusReason) -> bool {
    matches!(
        reason,
        StatusReason::Operator
            | StatusReason::Interrupted
            | StatusReason::CrashLoop
            | StatusReason::StorageFull
            | StatusReason::SandboxUnavailable
    )
}

/// A model of which nothing could be carried out did not fail at the task; it was not understood, or did not
/// understand how it is to answer.
fn understood(outcome: Outcome, figures: &Figures) -> Outcome {
    let is_the_models = matches!(
        outcome,
        Outcome::RedChecks | Outcome::Budget | Outcome::Stuck | Outcome::Asks
    );
    if is_the_models && figures.tools == 0 && figures.calls > 0 {
        Outcome::NotUnderstood
    } else {
        outcome
    }
}

fn what_is_asked(subject: &ApprovalSubject) -> String {
    match subject {
        ApprovalSubject::Tree { proven, why, .. } => {
            let proven = if *proven { "proven, but " } else { "" };
            format!("{proven}{why}")
        }
        ApprovalSubject::Command { command, why } => format!("may `{command}` be run? {why}"),
        ApprovalSubject::Question { text } => format!("a question: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, reason: Option<&str>) -> Run {
        serde_json::from_value(serde_json::json!({
            "id": 1, "project_id": 1, "goal": "x", "status": status, "reason": reason, "detail": "why",
            "current_iteration": 0, "priority": 0, "spec": {}, "base_commit": null, "branch": null, "commit": null,
            "usage": {}, "last_seq": 1, "fence": 1, "claim": null,
            "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_outcome_follows_from_status_and_reason() {
        let acted = Figures {
            calls: 3,
            tools: 2,
            ..Figures::default()
        };
        let idle = Figures { tools: 0, ..acted };
        let unasked = Figures::default();
        let short = |outcome| Rest::Short(outcome, Some("why".to_owned()));
        for (status, reason, figures, expected) in [
            ("COMPLETE", None, acted, Rest::Complete),
            ("FAILED", Some("checks_failed"), acted, short(Outcome::RedChecks)),
            (
                "FAILED",
                Some("checks_failed"),
                idle,
                short(Outcome::NotUnderstood),
            ),
            ("PAUSED", Some("budget_exhausted"), acted, short(Outcome::Budget)),
            (
                "PAUSED",
                Some("budget_exhausted"),
                idle,
                short(Outcome::NotUnderstood),
            ),
            ("PAUSED", Some("stuck"), acted, short(Outcome::Stuck)),
            (
                "PAUSED",
                Some("context_full"),
                unasked,
                short(Outcome::ContextFull),
            ),
            ("PAUSED", Some("llm_failed"), acted, short(Outcome::ModelFailed)),
            (
                "PAUSED",
                Some("llm_unavailable"),
                unasked,
                short(Outcome::ModelUnavailable),
            ),
            (
                "PAUSED",
                Some("setup_failed"),
                unasked,
                short(Outcome::SetupFailed),
            ),
            ("PAUSED", Some("internal"), acted, short(Outcome::Crashed)),
            (
                "PAUSED",
                Some("operator"),
                acted,
                Rest::Interrupted(StatusReason::Operator, "why".to_owned()),
            ),
            (
                "PAUSED",
                Some("storage_full"),
                acted,
                Rest::Interrupted(StatusReason::StorageFull, "why".to_owned()),
            ),
        ] {
            assert_eq!(
                Rest::of(&run(status, reason), &figures, None),
                expected,
                "{status} {reason:?}"
            );
        }
        let question = ApprovalSubject::Question {
            text: "which?".to_owned(),
        };
        assert_eq!(
            Rest::of(
                &run("AWAITING_APPROVAL", Some("approval_needed")),
                &acted,
                Some(&question)
            ),
            Rest::Short(Outcome::Asks, Some("a question: which?".to_owned()))
        );
    }
}
