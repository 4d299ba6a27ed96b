//! A run on one screen: where it stands, why, and what to do next.

use std::fmt::Write as _;

use factory_core::factory::{RunView, StepState};
use factory_core::model::{
    Approval, ApprovalSubject, Descent, Origin, Run, RunStatus, StatusReason, payload,
};
use factory_core::sandbox::SandboxLevel;

use super::amount::{milliseconds, usage};
use super::event_line::abbreviated;
use super::{diff, sanitize};

/// Returns the run with everything that an operator wants to see. `factory` is the command line's beginning.
pub(crate) fn view(view: &RunView, factory: &str) -> String {
    let run = &view.run;
    let project = view
        .project
        .as_deref()
        .map_or("no project".into(), sanitize::line);
    let mut lines = vec![status_line(run)];
    lines.extend(
        run.detail
            .as_deref()
            .map(|detail| format!("  {}", sanitize::line(detail))),
    );
    lines.push(format!("  project  {project}"));
    lines.push(format!("  goal     {}", sanitize::short(&run.goal, 400)));
    lines.push(format!("  model    {}", sanitize::line(&run.spec.model)));
    lines.push(format!("  spent    {}", usage(&run.usage, &run.spec.budget)));
    if let Some(base) = &run.base_commit {
        lines.push(format!("  base     {}", abbreviated(base.as_str())));
    }
    lines.extend(
        run.spec
            .origin
            .as_ref()
            .map(|origin| format!("  made of  {}", made_of(origin))),
    );
    if let (Some(branch), Some(commit)) = (&run.branch, &run.commit) {
        let branch = sanitize::line(branch);
        lines.push(format!(
            "  result   branch {branch}, commit {}",
            abbreviated(commit.as_str())
        ));
    }
    if let SandboxLevel::None { reason } = &view.sandbox {
        lines.push(format!(
            "  sandbox  ✗ commands are refused: {}",
            sanitize::line(reason)
        ));
    }
    lines.extend(view.steps.iter().map(|step| {
        let mark = match step.state {
            StepState::Waiting => ' ',
            StepState::Active => '▸',
            StepState::Finished => '✓',
        };
        format!("  {mark} {}. {}", step.id, sanitize::short(&step.title, 200))
    }));
    lines.extend(view.last_check.iter().flat_map(check));
    lines.extend(view.open_approval.iter().flat_map(approval));
    if !view.allowed.is_empty() {
        let verbs: Vec<&str> = view.allowed.iter().map(|verb| verb.as_str()).collect();
        lines.push(format!("allows: {}", verbs.join(", ")));
    }
    lines.push("next:".to_owned());
    lines.extend(
        next(run, view.open_approval.as_ref(), factory)
            .into_iter()
            .map(|command| format!("  {command}")),
    );
    lines.join("\n")
}

fn made_of(origin: &Origin) -> String {
    let run = origin.run;
    let mut text = match (origin.how, origin.at) {
        (Descent::Fork, Some(at)) => format!("run {run}, forked at event {at}"),
        (Descent::Fork, None) => format!("run {run}, forked"),
        (Descent::Retry, _) => format!("run {run}, retried"),
        (Descent::Continue, _) => format!("run {run}, whose result it continues"),
    };
    if let Some(start) = &origin.start {
        let _ = write!(
            text,
            "; begins with checkpoint {} of run {}",
            start.checkpoint, start.run
        );
    }
    text
}

/// Returns what the run asks, in words; empty where it asks nothing.
pub(crate) fn offer(view: &RunView) -> String {
    let lines: Vec<_> = view.open_approval.iter().flat_map(approval).collect();
    lines.join("\n")
}

/// Returns the run's status in one line.
pub(crate) fn status_line(run: &Run) -> String {
    match run.reason {
        Some(reason) => format!("run {}: {} ({reason})", run.id, run.status),
        None => format!("run {}: {}", run.id, run.status),
    }
}

/// Returns what the operator may want to do next, as commands.
pub(crate) fn next(run: &Run, open: Option<&Approval>, factory: &str) -> Vec<String> {
    let id = run.id;
    match run.status {
        RunStatus::Queued => vec![format!(
            "{factory} resume {id}        works on it, if nobody does yet"
        )],
        RunStatus::Running => vec![
            format!("{factory} events {id} --follow"),
            format!("{factory} pause {id}   or   {factory} direct {id} \"…\"   or   {factory} stop {id}"),
        ],
        RunStatus::Paused => paused(run, factory),
        RunStatus::AwaitingApproval => asked(run, open, factory),
        RunStatus::Complete => match &run.branch {
            Some(branch) => vec![format!(
                "git merge {}        in your repository, when you like it",
                sanitize::line(branch)
            )],
            None => vec!["nothing: the goal needed no change".to_owned()],
        },
        RunStatus::Failed | RunStatus::Stopped => vec![
            format!("{factory} events {id}        tells how it came to this"),
            format!("{factory} diff {id}          shows what it had changed"),
            format!("{factory} retry {id}         does it again as a new run"),
        ],
    }
}

fn paused(run: &Run, factory: &str) -> Vec<String> {
    let id = run.id;
    let first = match run.reason {
        Some(StatusReason::BudgetExhausted) => Some(format!(
            "{factory} raise {id} --calls N        (or --tokens, --time, --turns), then"
        )),
        Some(StatusReason::Stuck | StatusReason::ChecksFailed | StatusReason::LlmFailed) => Some(format!(
            "{factory} direct {id} \"…\"        tells the agent what it misses, then"
        )),
        Some(StatusReason::LlmUnavailable) => Some("see that the model's server runs, then".to_owned()),
        Some(StatusReason::SandboxUnavailable) => {
            Some(format!("{factory} doctor        says what to install, then"))
        }
        Some(StatusReason::SetupFailed) => Some(format!(
            "{factory} project set PROJECT --setup …        mends the setup, then"
        )),
        Some(StatusReason::StorageFull) => Some("make room on the disk, then".to_owned()),
        _ => None,
    };
    let mut lines: Vec<_> = first.into_iter().collect();
    lines.push(format!(
        "{factory} resume {id}        goes on;   {factory} stop {id}   ends it"
    ));
    lines
}

fn asked(run: &Run, open: Option<&Approval>, factory: &str) -> Vec<String> {
    let id = run.id;
    match open.map(|approval| &approval.subject) {
        Some(ApprovalSubject::Tree { tree, .. }) => vec![
            format!("{factory} diff {id}"),
            format!("{factory} approve {id} --tree {tree}"),
            format!("{factory} reject {id} --because \"…\"        goes on with your reason"),
        ],
        Some(ApprovalSubject::Question { .. }) => vec![format!("{factory} answer {id} \"…\"")],
        Some(ApprovalSubject::Command { .. }) => {
            vec![format!(
                "{factory} reject {id} --because \"…\"        goes on without it"
            )]
        }
        None => vec![format!("{factory} show {id}")],
    }
}

fn check(check: &payload::CheckFinished) -> Vec<String> {
    let verdict = match (check.green, check.results.is_empty()) {
        (true, _) => "✓ green",
        (false, true) => "none declared, so nothing is proven",
        (false, false) => "✗ red",
    };
    let mut lines = vec![format!(
        "  checks   {verdict} on tree {} (round {}, {})",
        abbreviated(check.tree.as_str()),
        check.round,
        milliseconds(check.work_ms)
    )];
    lines.extend(check.results.iter().map(|result| {
        let mark = if result.ok { '✓' } else { '✗' };
        format!(
            "           {mark} {} ({})",
            sanitize::line(&result.command),
            sanitize::line(&result.ended)
        )
    }));
    lines
}

fn approval(approval: &Approval) -> Vec<String> {
    match &approval.subject {
        ApprovalSubject::Tree {
            tree,
            message,
            proven,
            sensitive,
            why,
            ..
        } => {
            let proof = if *proven {
                "proven by the checks"
            } else {
                "NOT PROVEN by checks"
            };
            let mut lines = vec![
                format!("asks: commit tree {tree}? ({proof}; {})", sanitize::line(why)),
                "  with the message".to_owned(),
            ];
            lines.extend(sanitize::block(message).lines().map(|line| format!("    {line}")));
            lines.extend(
                diff::sensitive_note(sensitive)
                    .into_iter()
                    .map(|line| format!("  {line}")),
            );
            lines
        }
        ApprovalSubject::Command { command, why } => vec![
            format!("asks: run this command? ({})", sanitize::line(why)),
            format!("    {}", sanitize::line(command)),
        ],
        ApprovalSubject::Question { text } => {
            let mut lines = vec!["asks:".to_owned()];
            lines.extend(sanitize::block(text).lines().map(|line| format!("    {line}")));
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::render::samples::{self, TREE};

    #[test]
    fn a_waiting_run_says_what_it_asks_and_how_to_answer() {
        let subject = json!({"kind": "tree", "base": TREE, "tree": TREE, "message": "greet\n\nkindly", "check": 11,
            "proven": true, "sensitive": ["tests/run.sh"], "why": "every result is approved by the operator"});
        let sample = samples::view(
            "AWAITING_APPROVAL",
            Some("approval_needed"),
            samples::approval(&subject),
        );
        insta::assert_snapshot!(view(&sample, "factory"));
    }

    #[test]
    fn every_status_has_a_next_step() {
        let question = samples::approval(&json!({"kind": "question", "text": "tabs?"}));
        let cases = [
            ("QUEUED", None, Value::Null),
            ("RUNNING", None, Value::Null),
            ("PAUSED", Some("budget_exhausted"), Value::Null),
            ("PAUSED", Some("operator"), Value::Null),
            ("AWAITING_APPROVAL", Some("approval_needed"), question),
            ("COMPLETE", None, Value::Null),
            ("FAILED", Some("checks_failed"), Value::Null),
            ("STOPPED", Some("operator"), Value::Null),
        ];
        let mut screen = Vec::new();
        for (status, reason, open) in cases {
            let sample = samples::view(status, reason, open);
            screen.push(status_line(&sample.run));
            let lines = next(
                &sample.run,
                sample.open_approval.as_ref(),
                "factory --data-dir '/d'",
            );
            screen.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
        insta::assert_snapshot!(screen.join("\n"));
    }
}
