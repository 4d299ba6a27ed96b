//! The words for a model that is led act by act. The goal always comes last: small models heed what they read last.

use std::fmt::Write as _;

use super::super::dialect::{self, AFTER_EXAMPLES};
use super::super::state::{Pending, State};
use super::{Surroundings, earlier, told_of_rejection};
use crate::model::payload::CheckFinished;
use crate::model::{ApprovalPolicy, BlobId};

/// The most characters of the goal that are repeated with every message.
const REPEATED_GOAL: usize = 2000;

/// Returns the first message of a run: what is there, how the checks stand, the goal.
pub(in crate::agent) fn opening(state: &State, surroundings: &Surroundings) -> String {
    let mut text = AFTER_EXAMPLES.to_owned();
    text.push_str(surroundings.survey.trim_end());
    if let Some(folder) = &surroundings.folder {
        let _ = write!(
            text,
            "\n\nThe work is in {folder}/. The check and your commands run there. Paths begin with {folder}/."
        );
    }
    if let Some(check) = &state.base_check
        && !check.results.is_empty()
    {
        let output = |id: &BlobId| surroundings.base_outputs.get(id).cloned().unwrap_or_default();
        let _ = write!(text, "\n\n{}", checks(check, output));
    }
    if let Some(instructions) = &surroundings.instructions {
        let _ = write!(
            text,
            "\n\nThe operator says of this project:\n{}",
            instructions.trim()
        );
    }
    if let Some(agents) = &surroundings.agents_file {
        let _ = write!(
            text,
            "\n\nThe project's conventions (AGENTS.md):\n{}",
            agents.trim()
        );
    }
    if let Some(earlier) = earlier::work(state) {
        let _ = write!(text, "\n\n{earlier}");
    }
    if state.spec.approval == ApprovalPolicy::Unattended {
        text.push_str("\n\nNobody is there to answer questions.");
    }
    let _ = write!(text, "\n\nThe goal:\n{}", state.goal.trim());
    text
}

/// Returns the opening of a run with nothing but a goal.
pub(in crate::agent) fn trifle(goal: &str) -> String {
    format!("{AFTER_EXAMPLES}Files:\nREADME.md\n\nThe goal:\n{goal}")
}

/// Returns what is said of the pending things that are not results, and the goal once more; none in the opening.
pub(in crate::agent) fn notes(state: &State, output: impl Fn(&BlobId) -> String) -> Option<String> {
    if state.pending.contains(&Pending::Opening) {
        let directives = state.pending.iter().filter_map(|pending| match pending {
            Pending::Directive { text, .. } => Some(format!("The operator directs:\n{}", text.trim())),
            _ => None,
        });
        let directives: Vec<String> = directives.collect();
        return (!directives.is_empty()).then(|| directives.join("\n\n"));
    }
    let mut parts = Vec::new();
    for pending in &state.pending {
        match pending {
            Pending::Opening | Pending::ToolResult { .. } | Pending::StepBegins(_) => {}
            Pending::Directive { text, .. } => parts.push(format!("The operator directs:\n{}", text.trim())),
            Pending::NoPlan | Pending::NoToolCall => parts.push(not_understood(state, None)),
            Pending::NotUnderstood { problem } => parts.push(not_understood(state, problem.as_deref())),
            Pending::CutReply => parts.push(
                "Your answer was too long and was cut; nothing of it was carried out. Answer with one short act.".to_owned(),
            ),
            Pending::Loop { .. } => parts.push(
                "You have given the same act with the same result several times. Give another one.".to_owned(),
            ),
            Pending::ChecksRed(check) => parts.push(checks(check, &output)),
            Pending::ChecksGreen(_) => parts.push(
                "The check passes, as it did before. If the goal is reached, answer DONE: and what was done. If it is not, give the next act.".to_owned(),
            ),
            Pending::Rejected { reason } => parts.push(told_of_rejection(reason)),
        }
    }
    if state.fruitless.contains(&state.calls) {
        parts.push("Nothing was changed by your last answer. Give another one.".to_owned());
    }
    let goal: String = state.goal.trim().chars().take(REPEATED_GOAL).collect();
    parts.push(format!("The goal:\n{goal}"));
    Some(parts.join("\n\n"))
}

fn not_understood(state: &State, problem: Option<&str>) -> String {
    let problem = problem.unwrap_or("Your answer holds no act.");
    format!("{problem}\n\n{}", dialect::reminder(state.protocol()))
}

/// Returns how the checks stand, the output of the one that failed last, where small models heed it.
fn checks(check: &CheckFinished, output: impl Fn(&BlobId) -> String) -> String {
    let mut text = String::new();
    for result in &check.results {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if result.ok {
            let _ = write!(text, "The check passes:\n$ {}", result.command);
        } else {
            let _ = write!(
                text,
                "The check fails:\n$ {}\n{}\n[{}]",
                result.command,
                output(&result.output).trim_end(),
                result.ended
            );
        }
    }
    text
}

/// Returns an opening without what it shows of a file.
pub(in crate::agent) fn without_file(opening: &str, path: &str) -> String {
    let heading = format!("\n{path}:\n```");
    let Some(start) = opening.find(&heading) else {
        return opening.to_owned();
    };
    let block = &opening[start + heading.len()..];
    let more = block.len() - block.trim_start_matches('`').len();
    let fence = format!("\n```{}\n", "`".repeat(more));
    match block[more..].find(&fence) {
        Some(length) => {
            let end = start + heading.len() + more + length + fence.len();
            format!("{}{}", &opening[..start], &opening[end..])
        }
        None => opening.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_leaves_the_opening_and_nothing_else() {
        let opening =
            "Files:\na.py\nb.md\n\na.py:\n```\nx = 1\n```\n\nb.md:\n````\n```\nx\n```\n````\n\nThe goal:\nx";
        for (path, expected) in [
            (
                "a.py",
                "Files:\na.py\nb.md\n\nb.md:\n````\n```\nx\n```\n````\n\nThe goal:\nx",
            ),
            (
                "b.md",
                "Files:\na.py\nb.md\n\na.py:\n```\nx = 1\n```\n\nThe goal:\nx",
            ),
            ("c.py", opening),
        ] {
            assert_eq!(without_file(opening, path), expected, "{path}");
        }
    }
}
