//! How a run must end: as if nothing had happened to it.

use factory_core::model::{Event, EventKind};

use super::{Findings, Rule};
use crate::evidence::Evidence;

pub(super) fn check(evidence: &Evidence, undisturbed: &Evidence, findings: &mut Findings) {
    let (found, expected) = (&evidence.repository, &undisturbed.repository);
    let rule = Rule::Outcome;
    findings.require_same(rule, "the status", &evidence.run.status, &undisturbed.run.status);
    findings.require_same(rule, "the branch", &found.branches, &expected.branches);
    findings.require_same(rule, "the tree", &found.tree, &expected.tree);
    findings.require_same(rule, "the commit", &found.message, &expected.message);
    findings.require_same(
        rule,
        "the run's last event",
        &evidence.run.last_seq.0,
        &(evidence.events.len() as u64),
    );
    let (gist, expected_gist) = (gist(&evidence.events), gist(&undisturbed.events));
    let place = gist
        .iter()
        .zip(&expected_gist)
        .position(|(left, right)| left != right);
    let place = place.unwrap_or(gist.len().min(expected_gist.len()));
    findings.require_same(
        rule,
        &format!("fact {place} of the work"),
        &gist.get(place),
        &expected_gist.get(place),
    );
    findings.require_same(Rule::Operators, "the repository", &found.after, &found.before);
    findings.require(found.residue.is_empty(), Rule::Operators, || {
        format!("this is left: {:?}", found.residue)
    });
}

/// Returns the facts of the work, without what is about deaths and without what differs from run to run.
fn gist(events: &[Event]) -> Vec<String> {
    let facts = events.iter().filter_map(|event| {
        Some(match &event.kind {
            EventKind::LlmResponded(responded) => format!("reply {:?}", responded.tool_calls),
            EventKind::PlanGenerated(generated) => format!("plan {:?}", generated.plan),
            EventKind::PlanRevised(revised) => format!("plan {:?}", revised.plan),
            EventKind::StepStarted(started) => format!("{started:?}"),
            EventKind::StepFinished(finished) => format!("{finished:?}"),
            EventKind::ToolFinished(finished) => format!("{} {}", finished.tool, finished.ok),
            EventKind::FileChanged(changed) => format!("{changed:?}"),
            EventKind::CheckpointCreated(created) => {
                format!(
                    "checkpoint {} {} {}",
                    created.checkpoint, created.tree, created.files_changed
                )
            }
            EventKind::CheckFinished(finished) => {
                format!("check {} {} {}", finished.round, finished.tree, finished.green)
            }
            EventKind::CommitCreated(created) => {
                format!(
                    "commit {} on {}: {}",
                    created.tree, created.parent, created.message
                )
            }
            EventKind::BranchPublished(published) => format!("branch {}", published.branch),
            EventKind::RunComplete(complete) => format!("complete {:?}", complete.branch),
            EventKind::RunFailed(failed) => format!("{failed:?}"),
            _ => return None,
        })
    });
    facts.collect()
}
