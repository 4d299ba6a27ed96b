//! Hand-made histories: a good one with two deaths in it, and bad ones that differ from it in one thing each.

use std::collections::{BTreeMap, BTreeSet};

use factory_core::model::{
    Actor, BlobId, Event, EventId, EventKind, Fence, Run, RunId, RunSpec, RunStatus, Seq, Timestamp, Usage,
};
use serde_json::{Value, json};

use super::{Rule, violations};
use crate::evidence::{Death, Evidence, Repository};
use crate::phase::Phase;
use crate::place::{OperatorsOwn, Said};

fn hash(text: &str) -> BlobId {
    BlobId::of(text.as_bytes())
}

fn event(name: &str, mut payload: Value) -> Event {
    payload["v"] = json!(1);
    let kind = EventKind::from_stored(name.to_owned(), Some(payload.to_string()));
    assert!(!matches!(kind, EventKind::Unknown(_)), "{name}: {payload}");
    Event {
        id: EventId(0),
        run_id: RunId(1),
        seq: Seq(0),
        actor: Actor::System,
        cause: None,
        step_id: None,
        kind,
        created_at: Timestamp::UNKNOWN,
    }
}

fn started(fence: u64) -> Event {
    event("RUN_STARTED", json!({"worker": "process-1", "fence": fence}))
}

fn recovered() -> Event {
    event("RUN_RECOVERED", json!({"worker": "process-1"}))
}

fn requested(call: u64) -> Event {
    let payload = json!({
        "call": call, "model": "m", "appended": [], "max_tokens": 1, "prompt_hash": hash("prompt"),
        "prompt_estimate": 1,
    });
    event("LLM_REQUESTED", payload)
}

fn responded(call: u64, tools: &[&str]) -> Event {
    let tools: Vec<_> = tools
        .iter()
        .map(|tool| json!({"id": tool, "name": tool}))
        .collect();
    let payload = json!({
        "call": call, "reply": hash("reply"), "tool_calls": tools, "has_text": true, "end": "stop",
        "usage": Usage::default(),
    });
    event("LLM_RESPONDED", payload)
}

fn lost(call: u64) -> Event {
    let payload = json!({"call": call, "failure": "lost", "detail": "", "usage": Usage::default()});
    event("LLM_FAILED", payload)
}

fn tool_started(index: u32, effect: &str, rerun: bool) -> Event {
    let payload = json!({"call": 2, "index": index, "tool": "t", "effect": effect, "rerun": rerun});
    event("TOOL_STARTED", payload)
}

fn tool_finished(index: u32) -> Event {
    let payload = json!({
        "call": 2, "index": index, "tool": "t", "ok": true, "summary": "", "result": hash("result"),
        "fingerprint": hash("fingerprint"), "work_ms": 1,
    });
    event("TOOL_FINISHED", payload)
}

fn file_changed(before: &str, after: &str) -> Event {
    let payload = json!({"path": "a.txt", "before": hash(before), "after": hash(after)});
    event("FILE_CHANGED", payload)
}

fn id(character: &str) -> String {
    character.repeat(40)
}

fn numbered(mut events: Vec<Event>) -> Vec<Event> {
    for (number, event) in (1_i64..).zip(&mut events) {
        (event.id, event.seq) = (EventId(number), Seq(number.unsigned_abs()));
    }
    events
}

/// Where the first and the second process die: in a model call, and in a command.
const DEATHS: [usize; 2] = [3, 9];

fn good_events() -> Vec<Event> {
    let publish =
        json!({"operation": "publish", "branch": "factory/run-1", "commit": id("c"), "error": null});
    vec![
        event(
            "RUN_CREATED",
            json!({"project_id": 1, "goal": "g", "spec": RunSpec::default()}),
        ),
        started(1),
        requested(1),
        recovered(),
        started(2),
        lost(1),
        requested(2),
        responded(2, &["run_command", "edit_file", "edit_file"]),
        tool_started(0, "command", false),
        recovered(),
        started(3),
        tool_started(0, "command", true),
        tool_finished(0),
        tool_started(1, "write", false),
        file_changed("one", "two"),
        tool_finished(1),
        tool_started(2, "write", false),
        file_changed("two", "three"),
        tool_finished(2),
        requested(3),
        responded(3, &[]),
        event(
            "CHECK_STARTED",
            json!({"round": 1, "tree": id("a"), "commands": ["true"]}),
        ),
        event(
            "CHECK_FINISHED",
            json!({"round": 1, "tree": id("a"), "green": true, "results": [], "sensitive": [], "work_ms": 1}),
        ),
        event(
            "COMMIT_CREATED",
            json!({"commit": id("c"), "tree": id("a"), "parent": id("b"), "message": "m"}),
        ),
        event("OPERATION_STARTED", publish.clone()),
        event("BRANCH_PUBLISHED", publish.clone()),
        event("OPERATION_FINISHED", publish),
        event(
            "RUN_COMPLETE",
            json!({"commit": id("c"), "branch": "factory/run-1"}),
        ),
    ]
}

fn said(event: &str, turn: u64, prompt: &str) -> Said {
    Said {
        event: event.to_owned(),
        turn,
        prompt_sha256: prompt.to_owned(),
    }
}

fn good_log() -> Vec<Said> {
    vec![
        said("asked", 0, "first"),
        said("cut", 0, "first"),
        said("asked", 0, "first"),
        said("answered", 0, "first"),
        said("asked", 1, "second"),
        said("answered", 1, "second"),
    ]
}

fn evidence(events: Vec<Event>, model_log: Vec<Said>) -> Evidence {
    let events = numbered(events);
    let own = OperatorsOwn {
        head: "ref: refs/heads/main\n".to_owned(),
        refs: String::new(),
        index: hash("index"),
        configuration: hash("configuration"),
        files: BTreeMap::new(),
    };
    let death = |(count, log_lines): (usize, usize)| {
        let events = events[..count].to_vec();
        Death {
            phase: Phase::of(&events),
            events,
            log_lines,
        }
    };
    Evidence {
        deaths: DEATHS.into_iter().zip([1, 4]).map(death).collect(),
        run: row(&events),
        model_log,
        repository: Repository {
            before: own.clone(),
            after: own,
            branches: vec!["refs/heads/factory/run-1".to_owned()],
            tree: id("a"),
            message: "m".to_owned(),
            residue: Vec::new(),
        },
        events,
    }
}

fn row(events: &[Event]) -> Run {
    Run {
        id: RunId(1),
        project_id: None,
        goal: "g".to_owned(),
        status: RunStatus::Complete,
        reason: None,
        detail: None,
        current_iteration: 0,
        priority: 0,
        spec: RunSpec::default(),
        base_commit: None,
        branch: None,
        commit: None,
        usage: Usage::default(),
        last_seq: events.last().map_or(Seq(0), |event| event.seq),
        fence: Fence(3),
        claim: None,
        created_at: Timestamp::UNKNOWN,
        updated_at: Timestamp::UNKNOWN,
    }
}

fn good() -> Evidence {
    evidence(good_events(), good_log())
}

/// Returns the rules that the evidence breaks.
fn broken(evidence: &Evidence) -> Vec<Rule> {
    let rules: BTreeSet<Rule> = violations(evidence, &good())
        .into_iter()
        .map(|violation| violation.rule)
        .collect();
    rules.into_iter().collect()
}

/// Returns the rules that the good history breaks once `change` was made to its events, which are numbered anew.
fn broken_by(change: impl FnOnce(&mut Vec<Event>)) -> Vec<Rule> {
    let mut events = good_events();
    change(&mut events);
    broken(&evidence(events, good_log()))
}

/// Returns the rules that the good history breaks with another log of the model.
fn broken_by_log(change: impl FnOnce(&mut Vec<Said>)) -> Vec<Rule> {
    let mut log = good_log();
    change(&mut log);
    broken(&evidence(good_events(), log))
}

#[test]
fn a_good_history_breaks_nothing_and_its_deaths_are_told_apart() {
    assert_eq!(violations(&good(), &good()), []);
    let phases: Vec<_> = good().deaths.iter().map(|death| death.phase).collect();
    assert_eq!(phases, [Some(Phase::Generation), Some(Phase::Tool)]);
    assert_eq!(Phase::of(&good().events), None);
}

#[test]
fn a_gap_and_a_number_that_is_used_twice_are_found() {
    let mut gap = good();
    for event in &mut gap.events[15..] {
        event.seq = event.seq.next();
    }
    assert_eq!(broken(&gap), [Rule::Gapless]);
    let mut twice = good();
    twice.events[15].id = twice.events[14].id;
    assert_eq!(broken(&twice), [Rule::Gapless]);
}

#[test]
fn an_event_that_is_lost_or_changed_after_a_death_is_found() {
    let mut changed = good();
    changed.deaths[0].events[2] = numbered(vec![requested(9)]).remove(0);
    assert_eq!(broken(&changed), [Rule::Kept]);
    let mut lost = good();
    let more = lost.events.last().unwrap().clone();
    lost.deaths[1].events = [lost.events.clone(), vec![more]].concat();
    // With that much stored before it died, the model was also asked again.
    assert_eq!(broken(&lost), [Rule::Kept, Rule::AskedAgain]);
}

#[test]
fn a_second_end_and_a_fence_that_is_used_again_are_found() {
    let end = || good_events().pop().unwrap();
    assert_eq!(
        broken_by(|events| events.push(end())),
        [Rule::Status, Rule::Outcome]
    );
    assert_eq!(broken_by(|events| events[10] = started(2)), [Rule::Status]);
}

#[test]
fn a_call_without_one_outcome_is_found() {
    assert_eq!(
        broken_by(|events| drop(events.remove(5))),
        [Rule::Call],
        "a lost call that is not entered as such"
    );
    assert_eq!(broken_by(|events| events.insert(6, lost(1))), [Rule::Call]);
}

#[test]
fn a_tool_that_is_done_twice_or_not_at_all_is_found() {
    assert_eq!(
        broken_by(|events| events.insert(16, tool_finished(1))),
        [Rule::Tool, Rule::Outcome]
    );
    assert_eq!(
        broken_by(|events| drop(events.drain(16..19))),
        [Rule::Tool, Rule::Outcome]
    );
    assert_eq!(
        broken_by(|events| events[11] = tool_started(0, "command", false)),
        [Rule::Tool],
        "a rerun that does not say so"
    );
    assert_eq!(
        broken_by(|events| events.insert(14, tool_started(1, "write", true))),
        [Rule::Tool],
        "a rerun without a death"
    );
}

#[test]
fn a_change_that_does_not_follow_upon_the_one_before_is_found() {
    assert_eq!(
        broken_by(|events| events[17] = file_changed("one", "three")),
        [Rule::FileChange, Rule::Outcome]
    );
}

#[test]
fn a_second_round_or_publication_is_found() {
    assert_eq!(
        broken_by(|events| events.insert(23, events[22].clone())),
        [Rule::Proof, Rule::Outcome]
    );
    assert_eq!(
        broken_by(|events| events.insert(26, events[24].clone())),
        [Rule::Publication]
    );
}

#[test]
fn a_run_that_is_parked_for_anything_but_its_deaths_is_found() {
    let park = |reason: &str| {
        let pause = event("RUN_PAUSE", json!({"reason": reason, "detail": null}));
        broken_by(|events| {
            let resumed = event("RUN_RESUME", json!({}));
            events.splice(11..11, [pause, resumed, started(4)]);
        })
    };
    assert_eq!(park("crash_loop"), []);
    assert_eq!(park("internal"), [Rule::Parked]);
}

#[test]
fn a_reply_that_is_asked_for_again_is_found() {
    assert_eq!(
        broken_by_log(|log| log.push(said("asked", 0, "first"))),
        [Rule::AskedAgain],
        "after its reply was sent back in a prompt"
    );
    assert_eq!(
        broken_by_log(|log| log.insert(4, said("asked", 0, "first"))),
        [Rule::AskedAgain],
        "after its reply was stored"
    );
    assert_eq!(
        broken_by_log(|log| log.push(said("asked", 1, "second"))),
        [Rule::AskedAgain],
        "without being entered"
    );
    assert_eq!(
        broken_by_log(|log| log.truncate(4)),
        [Rule::AskedAgain],
        "a reply without a question"
    );
    assert_eq!(
        broken_by_log(|log| log[2] = said("asked", 0, "another")),
        [Rule::Prompt]
    );
}

#[test]
fn another_end_and_a_touched_repository_are_found() {
    let mut other = good();
    other.run.status = RunStatus::Failed;
    other.repository.tree = id("d");
    assert_eq!(broken(&other), [Rule::Outcome]);
    let mut touched = good();
    touched.repository.after.index = hash("another index");
    assert_eq!(broken(&touched), [Rule::Operators]);
    let mut left = good();
    left.repository.residue.push("pack.keep".to_owned());
    assert_eq!(broken(&left), [Rule::Operators]);
}
