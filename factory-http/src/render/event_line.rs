//! Each kind of event as one line for people, and which of them are worth a line while a run is watched.

use factory_core::model::{ApprovalSubject, DecisionKind, Event, EventKind, Protocol, StatusReason, payload};

use super::amount::{count, milliseconds, number};
use super::sanitize;

/// The longest free text within a line.
const MOST: usize = 160;

/// Returns the event as a line of a list: when, which, what.
pub(crate) fn dated(event: &Event) -> String {
    let at = event.created_at.to_string();
    let at = at.get(..19).unwrap_or(&at).replace('T', " ");
    let kind = sanitize::line(event.kind.type_name()).into_owned();
    format!("{at} {:>5} {kind:<20} {}", event.seq, text(&event.kind))
}

/// Returns what happened, in words.
pub(crate) fn text(kind: &EventKind) -> String {
    match kind {
        EventKind::RunCreated(_)
        | EventKind::RunStarted(_)
        | EventKind::RunPaused(_)
        | EventKind::RunResumed(_)
        | EventKind::RunStopped(_)
        | EventKind::RunReleased(_)
        | EventKind::RunRecovered(_)
        | EventKind::RunComplete(_)
        | EventKind::RunFailed(_) => run_text(kind),
        EventKind::ModelReady(_)
        | EventKind::LlmRequested(_)
        | EventKind::LlmResponded(_)
        | EventKind::LlmFailed(_)
        | EventKind::ContextCompacted(_)
        | EventKind::PlanGenerated(_)
        | EventKind::PlanRevised(_) => thinking_text(kind),
        EventKind::DirectiveReceived(_)
        | EventKind::DirectiveDelivered(_)
        | EventKind::ApprovalRequested(_)
        | EventKind::ApprovalDecided(_)
        | EventKind::ReviewCommented(_)
        | EventKind::BudgetRaised(_) => operator_text(kind),
        _ => acting_text(kind),
    }
}

/// Returns whether the event is worth a line while a run is watched.
pub(crate) fn is_notable(kind: &EventKind) -> bool {
    match kind {
        EventKind::LlmRequested(_)
        | EventKind::LlmResponded(_)
        | EventKind::ToolStarted(_)
        | EventKind::FileChanged(_)
        | EventKind::CheckpointCreated(_)
        | EventKind::DirectiveDelivered(_)
        | EventKind::OperationStarted(_) => false,
        // A model that is asked in the usual way, and of whose window nobody told, needs no words.
        EventKind::ModelReady(ready) => ready.protocol != Protocol::Native || ready.window.is_some(),
        // The plan and the step have lines of their own.
        EventKind::ToolFinished(tool) => {
            !(tool.ok && matches!(tool.tool.as_str(), "update_plan" | "finish_step"))
        }
        EventKind::SetupStarted(started) => !started.commands.is_empty(),
        EventKind::SetupFinished(finished) => finished.layer.is_some() || !finished.ok,
        EventKind::OperationFinished(finished) => finished.error.is_some(),
        _ => true,
    }
}

fn run_text(kind: &EventKind) -> String {
    match kind {
        EventKind::RunCreated(created) => format!(
            "filed: {} (model {})",
            said(&created.goal),
            said(&created.spec.model)
        ),
        EventKind::RunStarted(_) => "started".to_owned(),
        // The detail names the way on, which is told where the run is shown.
        EventKind::RunPaused(paused) if paused.reason == StatusReason::Operator => {
            "paused by the operator".to_owned()
        }
        EventKind::RunPaused(paused) => {
            format!("paused: {}{}", paused.reason, more(paused.detail.as_deref()))
        }
        EventKind::RunResumed(_) => "resumed".to_owned(),
        EventKind::RunStopped(stopped) => match stopped.detail.as_deref() {
            Some(detail) if detail.starts_with("stopped") => said(detail),
            detail => format!("stopped{}", more(detail)),
        },
        EventKind::RunReleased(released) => format!("back in the queue: {}", said(&released.detail)),
        EventKind::RunRecovered(_) => "back in the queue: its worker was gone".to_owned(),
        EventKind::RunComplete(complete) => match &complete.branch {
            Some(branch) => format!("complete: branch {}", said(branch)),
            None => "complete: nothing had to be changed".to_owned(),
        },
        EventKind::RunFailed(failed) => format!("failed: {}: {}", failed.reason, said(&failed.detail)),
        _ => unlisted(kind),
    }
}

fn thinking_text(kind: &EventKind) -> String {
    match kind {
        EventKind::ModelReady(ready) => format!(
            "model ready: {}, asked by the {} protocol{}",
            said(&ready.model),
            ready.protocol,
            match ready.window {
                Some(window) if ready.window_verified => format!(", window {window} tokens"),
                Some(window) => format!(", window {window} tokens (unverified)"),
                None => ", window unknown".to_owned(),
            }
        ),
        EventKind::LlmRequested(requested) => format!(
            "model call {}: about {} tokens to {}",
            requested.call,
            number(requested.prompt_estimate),
            said(&requested.model)
        ),
        EventKind::LlmResponded(responded) => format!(
            "model call {} answered: {}, {}",
            responded.call,
            count(responded.usage.completion_tokens, "token"),
            count(responded.tool_calls.len() as u64, "tool call")
        ),
        EventKind::LlmFailed(failed) => format!("✗ model call {}: {}", failed.call, said(&failed.detail)),
        EventKind::ContextCompacted(compacted) => format!(
            "the conversation was shortened from about {} to {} tokens: {} left out",
            number(compacted.before),
            number(compacted.after),
            count(compacted.dropped.len() as u64, "old tool result")
        ),
        EventKind::PlanGenerated(payload::PlanGenerated { plan, .. })
        | EventKind::PlanRevised(payload::PlanRevised { plan }) => {
            let first = match kind {
                EventKind::PlanGenerated(_) => "plan",
                _ => "new plan",
            };
            let titles: Vec<_> = plan
                .steps
                .iter()
                .map(|step| format!("{}. {}", step.id, said(&step.title)))
                .collect();
            format!("{first}: {}", titles.join("  "))
        }
        _ => unlisted(kind),
    }
}

fn operator_text(kind: &EventKind) -> String {
    match kind {
        EventKind::DirectiveReceived(directive) => format!("directive: {}", said(&directive.text)),
        EventKind::ReviewCommented(commented) => {
            let comment = &commented.comment;
            let place = match (&comment.path, comment.line) {
                (Some(path), Some(line)) => format!(" on {} line {line}", said(path)),
                (Some(path), None) => format!(" on {}", said(path)),
                (None, _) => String::new(),
            };
            format!("comment{place}: {}", said(&comment.text))
        }
        EventKind::DirectiveDelivered(delivered) => format!(
            "{} delivered with model call {}",
            count(delivered.directives.len() as u64, "directive"),
            delivered.call
        ),
        EventKind::ApprovalRequested(requested) => match &requested.subject {
            ApprovalSubject::Tree { tree, proven, .. } => {
                let proof = if *proven {
                    "proven by the checks"
                } else {
                    "NOT proven by checks"
                };
                format!(
                    "asks for approval of tree {} ({proof})",
                    abbreviated(tree.as_str())
                )
            }
            ApprovalSubject::Command { command, why } => {
                format!("asks whether to run `{}`: {}", said(command), said(why))
            }
            ApprovalSubject::Question { text } => format!("asks: {}", said(text)),
        },
        EventKind::ApprovalDecided(decided) => {
            let what = match decided.decision.kind {
                DecisionKind::Approved => "approved",
                DecisionKind::Rejected => "rejected",
                DecisionKind::Answered => "answered",
            };
            let by = decided.decision.by.to_string();
            format!(
                "{what} by {}{}",
                said(&by),
                more(decided.decision.text.as_deref())
            )
        }
        EventKind::BudgetRaised(raised) => format!("budget: {}", super::amount::budget(&raised.budget)),
        _ => unlisted(kind),
    }
}

fn acting_text(kind: &EventKind) -> String {
    match kind {
        EventKind::SetupStarted(started) => format!("setup: {}", said(&started.commands.join("; "))),
        EventKind::SetupFinished(finished) if finished.ok && finished.reused => {
            "✓ setup: kept result taken".to_owned()
        }
        EventKind::SetupFinished(finished) => {
            format!("{} setup, {}", mark(finished.ok), milliseconds(finished.work_ms))
        }
        EventKind::StepStarted(step) => format!("step {}: {}", step.step, said(&step.title)),
        EventKind::StepFinished(step) => format!("✓ step {}: {}", step.step, said(&step.summary)),
        EventKind::ToolStarted(tool) => match &tool.command {
            Some(command) => format!("{}: {}", said(&tool.tool), said(command)),
            None => said(&tool.tool),
        },
        EventKind::ToolFinished(tool) => {
            // Some summaries begin with their tool's name.
            let rest = tool.summary.strip_prefix(tool.tool.as_str());
            let summary = rest
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or(&tool.summary);
            format!("{} {}: {}", mark(tool.ok), said(&tool.tool), said(summary))
        }
        EventKind::FileChanged(file) => {
            let how = match (&file.before, &file.after) {
                (None, _) => "added",
                (_, None) => "deleted",
                _ => "changed",
            };
            format!("{how} {}", said(&file.path))
        }
        EventKind::PolicyDenied(denied) => {
            format!("✗ refused ({}): {}", said(&denied.code), said(&denied.detail))
        }
        EventKind::CheckStarted(check) => {
            format!(
                "checks, round {}: {}",
                check.round,
                said(&check.commands.join("; "))
            )
        }
        EventKind::CheckFinished(check) => check_text(check),
        EventKind::LoopDetected(found) => {
            format!(
                "the same {} call brought the same result {} times",
                said(&found.tool),
                found.count
            )
        }
        EventKind::BudgetWarned(warned) => {
            format!("four fifths of the budget are spent: {}", said(&warned.limit))
        }
        EventKind::BudgetExhausted(spent) => format!("the budget is spent: {}", said(&spent.limit)),
        EventKind::CheckpointCreated(made) => format!(
            "checkpoint {}: {} changed",
            made.checkpoint,
            count(made.files_changed, "file")
        ),
        EventKind::CommitCreated(made) => {
            let subject = made.message.lines().next().unwrap_or_default();
            format!("commit {}: {}", abbreviated(made.commit.as_str()), said(subject))
        }
        EventKind::BranchPublished(published) => {
            format!("branch {} in your repository", said(&published.branch))
        }
        EventKind::OperationStarted(started) => format!("{} begins", operation(&started.operation)),
        EventKind::OperationFinished(finished) => match &finished.error {
            None => format!("✓ {}", operation(&finished.operation)),
            Some(error) => format!("✗ {}: {}", operation(&finished.operation), said(error)),
        },
        _ => unlisted(kind),
    }
}

fn check_text(check: &payload::CheckFinished) -> String {
    let round = check.round;
    match check.results.iter().find(|result| !result.ok) {
        Some(red) => format!(
            "✗ checks, round {round}: `{}`: {}",
            said(&red.command),
            said(&red.ended)
        ),
        None if check.green => format!("✓ checks, round {round}, {}", milliseconds(check.work_ms)),
        None => format!("checks, round {round}: there are none, so nothing is proven"),
    }
}

fn operation(operation: &payload::Operation) -> String {
    match operation {
        payload::Operation::Publish { branch, .. } => format!("publishing branch {}", said(branch)),
    }
}

/// Returns the event of a type that has no line of its own.
fn unlisted(kind: &EventKind) -> String {
    said(&kind.stored_payload().unwrap_or_default())
}

fn mark(ok: bool) -> char {
    if ok { '✓' } else { '✗' }
}

fn said(text: &str) -> String {
    sanitize::short(text, MOST)
}

fn more(detail: Option<&str>) -> String {
    detail
        .map(|detail| format!(": {}", said(detail)))
        .unwrap_or_default()
}

/// Returns the beginning of a hash, enough for people to tell it from others.
pub(crate) fn abbreviated(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::samples::{self, TREE};

    fn check(kind: &str, payload: serde_json::Value, expected: &str) {
        let mut payload = payload;
        payload["v"] = json!(1);
        let event = samples::event(1, 2, kind, payload);
        assert!(!matches!(event.kind, EventKind::Unknown(_)), "{event:?}");
        assert_eq!(text(&event.kind), expected);
    }

    #[test]
    fn events_read_as_sentences() {
        let blob = "a".repeat(64);
        check(
            "RUN_PAUSE",
            json!({"reason": "stuck", "detail": "again\nand again"}),
            "paused: stuck: again and again",
        );
        check(
            "RUN_PAUSE",
            json!({"reason": "operator", "detail": "paused by the operator; `factory resume 7` goes on"}),
            "paused by the operator",
        );
        check(
            "RUN_STOP",
            json!({"detail": "stopped by the operator"}),
            "stopped by the operator",
        );
        check(
            "RUN_COMPLETE",
            json!({"commit": null, "branch": "factory/run-1"}),
            "complete: branch factory/run-1",
        );
        check(
            "STEP_STARTED",
            json!({"step": 2, "title": "mend it"}),
            "step 2: mend it",
        );
        check(
            "TOOL_FINISHED",
            json!({"call": 1, "index": 0, "tool": "read_file", "ok": false, "summary": "no `x\u{1b}[2J`",
                "result": blob, "fingerprint": blob, "work_ms": 1}),
            "✗ read_file: no `x\\x1b[2J`",
        );
        check(
            "TOOL_FINISHED",
            json!({"call": 1, "index": 0, "tool": "edit_file", "ok": false, "summary": "edit_file: no `x`",
                "result": blob, "fingerprint": blob, "work_ms": 1}),
            "✗ edit_file: no `x`",
        );
        check(
            "CHECK_FINISHED",
            json!({"round": 1, "tree": TREE, "green": false, "sensitive": [], "work_ms": 5, "results": [
                {"command": "make test", "ok": false, "ended": "exit code 2", "output": blob, "work_ms": 5}]}),
            "✗ checks, round 1: `make test`: exit code 2",
        );
        check(
            "APPROVAL_REQUESTED",
            json!({"approval": 1, "tool": null, "subject": {"kind": "tree", "base": TREE, "tree": TREE,
                "message": "m", "check": 4, "proven": true, "sensitive": [], "why": "w"}}),
            "asks for approval of tree 4b825dc642cb (proven by the checks)",
        );
        check(
            "PLAN_GENERATED",
            json!({"implied": false, "plan": {"steps": [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]}}),
            "plan: 1. a  2. b",
        );
        check(
            "OPERATION_FINISHED",
            json!({"operation": "publish", "branch": "factory/run-1", "commit": TREE, "error": "taken"}),
            "✗ publishing branch factory/run-1: taken",
        );
    }

    #[test]
    fn a_type_of_a_newer_factory_is_shown_as_it_is_stored() {
        let event = samples::event(1, 9, "STORY\u{1b}MOVED", json!({"to": "done"}));
        assert_eq!(
            dated(&event),
            "2026-01-31 12:00:00     9 STORY\\x1bMOVED       {\"to\":\"done\"}"
        );
        assert!(is_notable(&event.kind));
    }
}
