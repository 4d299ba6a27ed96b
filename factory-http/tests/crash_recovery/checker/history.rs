//! What a run's events must look like by themselves.

use std::collections::{BTreeMap, BTreeSet};

use factory_core::model::payload::{EffectClass, LlmResponded, ToolStarted};
use factory_core::model::{BlobId, Event, EventKind, RunStatus, StatusReason};

use super::{Findings, Rule};

pub(super) fn check(events: &[Event], findings: &mut Findings) {
    numbers(events, findings);
    statuses(events, findings);
    calls(events, findings);
    tools(events, findings);
    proofs(events, findings);
    file_changes(events, findings);
    publication(events, findings);
}

fn numbers(events: &[Event], findings: &mut Findings) {
    let mut ids = BTreeSet::new();
    for (expected, event) in (1_u64..).zip(events) {
        findings.require(event.seq.0 == expected, Rule::Gapless, || {
            format!("event {expected} has the number {}", event.seq)
        });
        findings.require(ids.insert(event.id), Rule::Gapless, || {
            format!("the number {} is used twice", event.id)
        });
    }
}

fn statuses(events: &[Event], findings: &mut Findings) {
    let mut status = RunStatus::Queued;
    let mut fence = None;
    for event in events {
        if status.is_final() {
            findings.add(Rule::Status, format!("event {} comes after the end", event.seq));
        }
        if let Some(transition) = event.kind.transition() {
            match status.after(transition) {
                Ok(after) => status = after,
                Err(refused) => findings.add(Rule::Status, format!("event {}: {refused}", event.seq)),
            }
        }
        match &event.kind {
            EventKind::RunStarted(started) => {
                findings.require(fence < Some(started.fence), Rule::Status, || {
                    format!(
                        "event {} claims under the fence {} again",
                        event.seq, started.fence
                    )
                });
                fence = Some(started.fence);
            }
            EventKind::RunPaused(paused) => {
                findings.require(paused.reason == StatusReason::CrashLoop, Rule::Parked, || {
                    format!("event {}: {:?}, {:?}", event.seq, paused.reason, paused.detail)
                });
            }
            _ => {}
        }
    }
    findings.require(status.is_final(), Rule::Status, || {
        format!("the history ends {status}")
    });
}

fn calls(events: &[Event], findings: &mut Findings) {
    let (mut number, mut open) = (0, None);
    for event in events {
        let closes = match &event.kind {
            EventKind::LlmRequested(requested) => {
                number += 1;
                findings.require(requested.call == number && open.is_none(), Rule::Call, || {
                    format!(
                        "event {} asks call {} while {open:?} is open",
                        event.seq, requested.call
                    )
                });
                open = Some(requested.call);
                continue;
            }
            EventKind::LlmResponded(responded) => responded.call,
            EventKind::LlmFailed(failed) => failed.call,
            _ => continue,
        };
        findings.require(open == Some(closes), Rule::Call, || {
            format!("event {} ends call {closes} while {open:?} is open", event.seq)
        });
        open = None;
    }
    findings.require(open.is_none(), Rule::Call, || {
        format!("call {open:?} is never ended")
    });
}

/// The tool calls of the newest reply.
struct Batch<'a> {
    reply: &'a LlmResponded,
    done: u32,
    begun: Option<&'a ToolStarted>,
    died_since: bool,
}

fn tools(events: &[Event], findings: &mut Findings) {
    let mut batch: Option<Batch> = None;
    for event in events {
        match (&event.kind, &mut batch) {
            (EventKind::LlmResponded(reply), _) => {
                end_of(batch.as_ref(), findings);
                batch = Some(Batch {
                    reply,
                    done: 0,
                    begun: None,
                    died_since: false,
                });
            }
            (EventKind::RunRecovered(_), Some(batch)) => batch.died_since = true,
            (EventKind::ToolStarted(started), Some(batch)) => {
                let expected = (batch.reply.call, batch.done);
                findings.require((started.call, started.index) == expected, Rule::Tool, || {
                    format!("event {} begins {started:?} instead of {expected:?}", event.seq)
                });
                let is_rerun = batch.begun.is_some();
                let allowed = !is_rerun
                    || (batch.died_since && started.rerun && started.effect == EffectClass::Command);
                findings.require(allowed && started.rerun == is_rerun, Rule::Tool, || {
                    format!("event {} begins {started:?} again", event.seq)
                });
                (batch.begun, batch.died_since) = (Some(started), false);
            }
            (EventKind::ToolFinished(finished), Some(batch)) => {
                let place = (finished.call, finished.index);
                let begun = batch.begun.map(|begun| (begun.call, begun.index));
                findings.require(begun == Some(place), Rule::Tool, || {
                    format!("event {} ends {place:?} while {begun:?} is begun", event.seq)
                });
                (batch.begun, batch.done) = (None, finished.index + 1);
            }
            (EventKind::ToolStarted(_) | EventKind::ToolFinished(_), None) => {
                findings.add(Rule::Tool, format!("event {} is of no reply", event.seq));
            }
            _ => {}
        }
    }
    end_of(batch.as_ref(), findings);
}

fn end_of(batch: Option<&Batch>, findings: &mut Findings) {
    let Some(batch) = batch else { return };
    let asked = batch.reply.tool_calls.len();
    findings.require(batch.done as usize == asked, Rule::Tool, || {
        format!(
            "call {}: {} of {asked} tool calls were finished",
            batch.reply.call, batch.done
        )
    });
}

fn proofs(events: &[Event], findings: &mut Findings) {
    let (mut rounds, mut begun) = (0, None);
    let mut steps = BTreeSet::new();
    let mut checkpoints = 0;
    for event in events {
        match &event.kind {
            EventKind::CheckStarted(started) => {
                findings.require(started.round == rounds + 1, Rule::Proof, || {
                    format!("event {} begins round {}", event.seq, started.round)
                });
                begun = Some((started.round, &started.tree));
            }
            EventKind::CheckFinished(finished) => {
                findings.require(
                    begun == Some((finished.round, &finished.tree)),
                    Rule::Proof,
                    || format!("event {} ends {finished:?} and {begun:?} was begun", event.seq),
                );
                (rounds, begun) = (finished.round, None);
            }
            EventKind::StepFinished(finished) => {
                findings.require(steps.insert(finished.step), Rule::Proof, || {
                    format!("event {} finishes step {} again", event.seq, finished.step)
                });
            }
            EventKind::CheckpointCreated(created) => {
                checkpoints += 1;
                findings.require(created.checkpoint == checkpoints, Rule::Proof, || {
                    format!("event {} makes checkpoint {}", event.seq, created.checkpoint)
                });
            }
            _ => {}
        }
    }
}

fn file_changes(events: &[Event], findings: &mut Findings) {
    let mut now: BTreeMap<&str, &Option<BlobId>> = BTreeMap::new();
    for event in events {
        let EventKind::FileChanged(changed) = &event.kind else {
            continue;
        };
        let before = now.insert(&changed.path, &changed.after);
        let follows =
            before.is_none_or(|before| *before == changed.before) && changed.before != changed.after;
        findings.require(follows, Rule::FileChange, || {
            format!("event {} does not follow upon {before:?}: {changed:?}", event.seq)
        });
    }
}

fn publication(events: &[Event], findings: &mut Findings) {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events {
        let named = [
            "COMMIT_CREATED",
            "OPERATION_STARTED",
            "BRANCH_PUBLISHED",
            "OPERATION_FINISHED",
        ];
        if let Some(name) = named.into_iter().find(|name| *name == event.kind.type_name()) {
            *counts.entry(name).or_default() += 1;
        }
    }
    for (name, count) in counts {
        findings.require(count == 1, Rule::Publication, || {
            format!("{name} is there {count} times")
        });
    }
}
