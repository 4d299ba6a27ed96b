//! What the model's own log must say: nothing is paid twice.
//!
//! A turn is the number of replies that a prompt holds, so turn `t` asks for reply `t`, and is answered for good by the
//! run's `t`th `LLM_RESPONDED`, counted from 0.

use std::collections::BTreeMap;

use factory_core::model::{Event, EventKind};

use super::{Findings, Rule};
use crate::evidence::Evidence;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let asked = |from: usize| {
        let lines = evidence.model_log.iter().skip(from);
        lines.filter(|said| said.event == "asked")
    };
    // A prompt that holds a reply proves that the reply was received.
    let mut newest = 0;
    for said in asked(0) {
        findings.require(said.turn >= newest, Rule::AskedAgain, || {
            format!("turn {} is asked after turn {newest} was", said.turn)
        });
        newest = newest.max(said.turn);
    }
    for death in &evidence.deaths {
        let stored = replies(&death.events);
        for said in asked(death.log_lines).filter(|said| said.turn < stored) {
            findings.add(
                Rule::AskedAgain,
                format!("turn {} is asked and {stored} replies were stored", said.turn),
            );
        }
    }
    let entered = requests_by_turn(&evidence.events);
    let mut prompts: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for said in asked(0) {
        prompts.entry(said.turn).or_default().push(&said.prompt_sha256);
    }
    for (turn, prompts) in &prompts {
        let entered = entered.get(turn).copied().unwrap_or_default();
        findings.require(prompts.len() <= entered, Rule::AskedAgain, || {
            format!(
                "turn {turn} is asked {} times and entered {entered} times",
                prompts.len()
            )
        });
        findings.require(
            prompts.iter().all(|prompt| *prompt == prompts[0]),
            Rule::Prompt,
            || format!("turn {turn} is asked with the prompts {prompts:?}"),
        );
    }
    let answered = replies(&evidence.events);
    for turn in 0..answered {
        findings.require(prompts.contains_key(&turn), Rule::AskedAgain, || {
            format!("turn {turn} has a reply and was never asked")
        });
    }
}

/// Returns how many replies are stored.
fn replies(events: &[Event]) -> u64 {
    let replies = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::LlmResponded(_)));
    replies.count() as u64
}

/// Returns how often each turn was entered to be asked.
fn requests_by_turn(events: &[Event]) -> BTreeMap<u64, usize> {
    let mut turn = 0;
    let mut requests = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::LlmRequested(_) => *requests.entry(turn).or_default() += 1,
            EventKind::LlmResponded(_) => turn += 1,
            _ => {}
        }
    }
    requests
}
