//! The machine over whole and broken histories: it never panics, and folding is the same in pieces and at once.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::act::{Act, MISUNDERSTOOD, RED_ROUNDS, TRANSIENT_FAILURES};
use super::state::{Pending, RepairReason, State};
use crate::model::payload::{
    self, ApprovalDecided, ApprovalRequested, CheckFinished, CheckResult, CheckStarted, CommitCreated,
    EffectClass, EndReason, LlmFailed, LlmFailure, LlmRequested, LlmResponded, MessageRef, Operation, Role,
    SetupFinished, ToolCallRef, ToolFinished, ToolStarted,
};
use crate::model::{
    Actor, ApprovalId, ApprovalPolicy, ApprovalSubject, BlobId, Decision, DecisionKind, Event, EventId,
    EventKind, Fence, Plan, ProjectId, Protocol, RunId, RunSpec, Seq, StatusReason, StepId, Timestamp, Usage,
    WorkerId,
};

fn blob(text: &str) -> BlobId {
    BlobId::of(text.as_bytes())
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn history(kinds: impl IntoIterator<Item = EventKind>) -> Vec<Event> {
    let event = |(kind, number): (EventKind, u64)| Event {
        id: EventId(number.cast_signed()),
        run_id: RunId(1),
        seq: Seq(number),
        actor: Actor::System,
        cause: None,
        step_id: None,
        kind,
        created_at: Timestamp::UNKNOWN,
    };
    kinds.into_iter().zip(1..).map(event).collect()
}

fn created(approval: ApprovalPolicy) -> EventKind {
    let spec = RunSpec {
        approval,
        base: Some(hash('b').parse().unwrap()),
        ..RunSpec::default()
    };
    payload::RunCreated {
        project_id: ProjectId(1),
        goal: "goal".to_owned(),
        spec,
    }
    .into()
}

fn started() -> EventKind {
    payload::RunStarted {
        worker: WorkerId("w".to_owned()),
        fence: Fence(1),
    }
    .into()
}

fn set_up(ok: bool) -> EventKind {
    let base_tree = hash('0').parse().unwrap();
    SetupFinished {
        base_tree,
        layer: None,
        reused: false,
        ok,
        output: None,
        work_ms: 0,
    }
    .into()
}

fn requested(call: u64) -> EventKind {
    let message = MessageRef {
        role: Role::User,
        blob: blob("m"),
        tool_call_id: None,
    };
    LlmRequested {
        call,
        model: "m".to_owned(),
        appended: vec![message],
        max_tokens: 1,
        sampling: crate::model::Sampling::default(),
        prompt_hash: blob("p"),
        prompt_estimate: 1,
    }
    .into()
}

fn responded(call: u64, tools: &[&str]) -> EventKind {
    let tool_calls = tools
        .iter()
        .map(|name| ToolCallRef {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
        })
        .collect();
    LlmResponded {
        call,
        reply: blob("r"),
        tool_calls,
        has_text: true,
        calls_in_text: false,
        misunderstood: None,
        end: EndReason::Stop,
        usage: Usage::default(),
    }
    .into()
}

fn failed(failure: LlmFailure) -> EventKind {
    LlmFailed {
        call: 1,
        failure,
        detail: "why".to_owned(),
        usage: Usage::default(),
    }
    .into()
}

fn tool_started(index: u32, effect: EffectClass) -> EventKind {
    let tool = "t".to_owned();
    ToolStarted {
        call: 1,
        index,
        tool,
        effect,
        writes: Vec::new(),
        command: None,
        rerun: false,
    }
    .into()
}

fn tool_finished(index: u32) -> EventKind {
    ToolFinished {
        call: 1,
        index,
        tool: "t".to_owned(),
        ok: true,
        summary: String::new(),
        result: blob("x"),
        fingerprint: blob("f"),
        failed_edit: None,
        unchanged: None,
        work_ms: 0,
    }
    .into()
}

fn planned(first: u32, steps: usize) -> EventKind {
    let plan = Plan::numbered(first, (0..steps).map(|number| format!("step {number}")));
    payload::PlanGenerated { plan, implied: false }.into()
}

fn step(number: u32, begins: bool) -> EventKind {
    let step = StepId(number);
    if begins {
        payload::StepStarted {
            step,
            title: "t".to_owned(),
        }
        .into()
    } else {
        payload::StepFinished {
            step,
            summary: "s".to_owned(),
        }
        .into()
    }
}

fn check(round: u32, green: bool) -> EventKind {
    let result = CheckResult {
        command: "c".to_owned(),
        ok: green,
        ended: "exit".to_owned(),
        output: blob("o"),
        work_ms: 0,
    };
    let tree = hash('1').parse().unwrap();
    CheckFinished {
        round,
        tree,
        green,
        results: vec![result],
        sensitive: Vec::new(),
        work_ms: 0,
    }
    .into()
}

fn subject() -> ApprovalSubject {
    ApprovalSubject::Tree {
        base: hash('b').parse().unwrap(),
        tree: hash('1').parse().unwrap(),
        message: "m".to_owned(),
        check: None,
        proven: true,
        sensitive: Vec::new(),
        why: String::new(),
    }
}

fn decided(kind: DecisionKind, asked: bool) -> EventKind {
    let decision = Decision {
        kind,
        text: Some("t".to_owned()),
        by: Actor::System,
        at: Timestamp::UNKNOWN,
    };
    ApprovalDecided {
        approval: asked.then_some(ApprovalId(1)),
        subject: subject(),
        decision,
    }
    .into()
}

fn publishing() -> Operation {
    Operation::Publish {
        branch: "factory/run-1".to_owned(),
        commit: hash('c').parse().unwrap(),
    }
}

fn ready(protocol: Protocol) -> EventKind {
    payload::ModelReady {
        model: "m".to_owned(),
        protocol,
        window: None,
        window_verified: false,
        usage: Usage::default(),
    }
    .into()
}

fn changed() -> EventKind {
    payload::FileChanged {
        path: "a".to_owned(),
        before: None,
        after: Some(blob("x")),
    }
    .into()
}

fn directive() -> EventKind {
    payload::DirectiveReceived { text: "d".to_owned() }.into()
}

/// A run from its beginning to a finished plan of one step.
fn up_to_the_checks(approval: ApprovalPolicy) -> Vec<EventKind> {
    vec![
        created(approval),
        started(),
        set_up(true),
        requested(1),
        responded(1, &["update_plan"]),
        tool_started(0, EffectClass::Read),
        planned(1, 1),
        tool_finished(0),
        step(1, true),
        requested(2),
        responded(2, &["finish_step"]),
        tool_started(0, EffectClass::Read),
        step(1, false),
        tool_finished(0),
    ]
}

fn after(before: &[EventKind], more: impl IntoIterator<Item = EventKind>) -> Act {
    let events = history(before.iter().cloned().chain(more));
    Act::next(&State::fold(&events))
}

#[test]
fn a_led_model_is_checked_before_and_after_every_change() {
    let begun = [
        created(ApprovalPolicy::Ask),
        started(),
        set_up(true),
        ready(Protocol::Text),
    ];
    assert_eq!(after(&begun, []), Act::Prove);
    assert_eq!(after(&begun, [check(1, false)]), Act::ImplyPlan);
    let mut led = begun.to_vec();
    led.extend([check(1, false), planned(1, 1), step(1, true)]);
    assert_eq!(after(&led, []), Act::Ask);
    led.extend([
        requested(1),
        responded(1, &["change_file"]),
        tool_started(0, EffectClass::Write),
        changed(),
        tool_finished(0),
    ]);
    assert_eq!(after(&led, []), Act::Prove);
    assert_eq!(after(&led, [check(2, false)]), Act::Ask);
    assert_eq!(after(&led, [check(2, true)]), Act::FinishStep(StepId(1)));
    assert_eq!(after(&led, [check(2, true), directive()]), Act::Ask);
    assert_eq!(after(&led, [check(2, true), step(1, false)]), Act::Offer);

    let mut green_before = begun.to_vec();
    green_before.extend([check(1, true), planned(1, 1), step(1, true)]);
    green_before.extend(led[led.len() - 5..].iter().cloned());
    assert_eq!(after(&green_before, [check(2, true)]), Act::Ask);
}

#[test]
fn a_run_begins_with_its_setup_and_its_model() {
    let begun = [created(ApprovalPolicy::Ask), started(), set_up(true)];
    assert_eq!(after(&begun[..2], []), Act::SetUp);
    assert_eq!(after(&begun, []), Act::PrepareModel);
    // A run that an older factory has begun goes on.
    assert_eq!(after(&begun, [requested(1), responded(1, &[])]), Act::Ask);
}

#[test]
fn answers_that_hold_no_act_are_borne_a_few_times() {
    let mut led = vec![
        created(ApprovalPolicy::Ask),
        started(),
        set_up(true),
        ready(Protocol::Text),
        check(1, false),
        planned(1, 1),
        step(1, true),
    ];
    for call in 1..=u64::from(MISUNDERSTOOD) {
        assert_eq!(after(&led, []), Act::Ask, "{call}");
        led.extend([requested(call), responded(call, &[])]);
    }
    let Act::Park { reason, .. } = after(&led, []) else {
        panic!("it is borne for ever")
    };
    assert_eq!(reason, StatusReason::Stuck);
}

#[test]
fn each_act_follows_from_what_is_stored() {
    use ApprovalPolicy::{Ask, Unattended};
    let begun = [created(Ask), started(), set_up(true), ready(Protocol::Native)];
    assert_eq!(after(&begun, []), Act::Ask);
    assert_eq!(after(&begun, [requested(1)]), Act::ForgetCall);
    assert_eq!(after(&begun, [requested(1), failed(LlmFailure::Cut)]), Act::Ask);
    assert_eq!(after(&begun, [requested(1), responded(1, &[])]), Act::Ask);
    assert_eq!(
        after(
            &begun,
            [requested(1), responded(1, &[]), requested(2), responded(2, &[])]
        ),
        Act::ImplyPlan
    );
    assert_eq!(
        after(&begun, [requested(1), responded(1, &["read_file"])]),
        Act::ImplyPlan
    );
    assert_eq!(
        after(&begun, [requested(1), responded(1, &["update_plan"])]),
        Act::RunTool { index: 0 }
    );
    assert_eq!(after(&begun, [planned(1, 2)]), Act::StartStep(StepId(1)));
    assert_eq!(after(&begun, [planned(1, 2), step(1, true)]), Act::Ask);
    assert_eq!(
        after(&begun, [planned(1, 2), step(1, true), step(1, false)]),
        Act::StartStep(StepId(2))
    );

    let done = up_to_the_checks(Ask);
    let checking = CheckStarted {
        round: 1,
        tree: hash('1').parse().unwrap(),
        commands: Vec::new(),
    };
    assert_eq!(after(&done, []), Act::Prove);
    assert_eq!(after(&done, [EventKind::from(checking)]), Act::Prove);
    assert_eq!(after(&done, [check(1, true)]), Act::Offer);
    assert_eq!(
        after(&done, [check(1, true), directive()]),
        Act::Repair(RepairReason::Directive)
    );
    assert_eq!(
        after(&done, [check(1, false)]),
        Act::Repair(RepairReason::ChecksRed)
    );
    let red = || (1..=RED_ROUNDS).map(|round| check(round, false));
    assert_eq!(after(&done, red()), Act::Offer);
    let alone = up_to_the_checks(Unattended);
    assert!(matches!(
        after(&alone, red()),
        Act::Fail {
            reason: StatusReason::ChecksFailed,
            ..
        }
    ));

    let asked = EventKind::from(ApprovalRequested {
        approval: ApprovalId(1),
        subject: subject(),
        tool: None,
    });
    let mut rejected = vec![
        check(1, true),
        asked,
        decided(DecisionKind::Rejected, true),
        started(),
    ];
    assert_eq!(
        after(&done, rejected.clone()),
        Act::Repair(RepairReason::Rejected)
    );
    rejected.extend([planned(2, 1), step(2, true)]);
    assert_eq!(after(&done, rejected), Act::Ask);
    let approved = [check(1, true), decided(DecisionKind::Approved, false)];
    assert_eq!(after(&done, approved.clone()), Act::Commit);
    let tree = hash('1').parse().unwrap();
    let commit = hash('c').parse().unwrap();
    let parent = hash('b').parse().unwrap();
    let committed = EventKind::from(CommitCreated {
        commit,
        tree,
        parent,
        message: "m".to_owned(),
    });
    let approved: Vec<_> = approved.into_iter().chain([committed]).collect();
    assert_eq!(after(&done, approved.clone()), Act::Publish { begun: None });
    let begun = EventKind::from(payload::OperationStarted {
        operation: publishing(),
    });
    assert_eq!(
        after(&done, approved.iter().cloned().chain([begun])),
        Act::Publish {
            begun: Some(publishing())
        }
    );
    let commit = hash('c').parse().unwrap();
    let published = EventKind::from(payload::BranchPublished {
        branch: "b".to_owned(),
        commit,
    });
    assert_eq!(after(&done, approved.into_iter().chain([published])), Act::Finish);
}

#[test]
fn what_cannot_go_on_is_parked_and_a_resume_tries_again() {
    let begun = [created(ApprovalPolicy::Ask), started(), set_up(true)];
    let parked = |more: Vec<EventKind>| match after(&begun, more.clone()) {
        Act::Park { reason, .. } => {
            let pause = payload::RunPaused {
                reason,
                detail: None,
                former_status: None,
            };
            let resumed = [pause.into(), payload::RunResumed {}.into(), started()];
            let next = after(&begun, more.into_iter().chain(resumed));
            assert!(!matches!(next, Act::Park { .. }), "{next:?}");
            reason
        }
        other => panic!("{other:?}"),
    };
    let times = |kind: EventKind, times: u32| (0..times).map(move |_| kind.clone()).collect::<Vec<_>>();
    let recovered = EventKind::from(payload::RunRecovered { worker: None });
    let looped = EventKind::from(payload::LoopDetected {
        tool: "t".to_owned(),
        count: 4,
    });
    assert_eq!(parked(vec![set_up(false)]), StatusReason::SetupFailed);
    assert_eq!(
        parked(times(failed(LlmFailure::Transient), TRANSIENT_FAILURES)),
        StatusReason::LlmUnavailable
    );
    assert_eq!(
        parked(vec![failed(LlmFailure::Permanent)]),
        StatusReason::LlmFailed
    );
    assert_eq!(
        parked(times(failed(LlmFailure::Lost), 3)),
        StatusReason::CrashLoop
    );
    let crashes = times(recovered, 5)
        .into_iter()
        .flat_map(|recovered| [recovered, started()])
        .collect();
    assert_eq!(parked(crashes), StatusReason::CrashLoop);
    assert_eq!(
        parked(vec![looped.clone(), requested(1), responded(1, &[]), looped]),
        StatusReason::Stuck
    );
}

#[test]
fn a_note_on_a_step_ends_with_the_step() {
    let mut kinds = up_to_the_checks(ApprovalPolicy::Ask);
    kinds.truncate(9);
    kinds.extend([requested(2), responded(2, &[]), step(1, false)]);
    let state = State::fold(&history(kinds));
    assert!(
        !state.pending.contains(&Pending::NoToolCall),
        "{:?}",
        state.pending
    );
}

fn any_kind() -> impl Strategy<Value = EventKind> {
    let number = 0..4_u32;
    prop_oneof![
        Just(created(ApprovalPolicy::Ask)),
        Just(created(ApprovalPolicy::Unattended)),
        Just(started()),
        any::<bool>().prop_map(set_up),
        (0..4_u64).prop_map(requested),
        ((0..4_u64), 0..4_usize)
            .prop_map(|(call, tools)| responded(call, &["update_plan", "read_file", "x"][..tools.min(3)])),
        prop_oneof![
            Just(LlmFailure::Cut),
            Just(LlmFailure::Lost),
            Just(LlmFailure::Transient),
            Just(LlmFailure::Permanent)
        ]
        .prop_map(failed),
        number
            .clone()
            .prop_map(|index| tool_started(index, EffectClass::Write)),
        number.clone().prop_map(tool_finished),
        (number.clone(), 0..3_usize).prop_map(|(first, steps)| planned(first, steps)),
        (number.clone(), any::<bool>()).prop_map(|(id, begins)| step(id, begins)),
        (number.clone(), any::<bool>()).prop_map(|(round, green)| check(round, green)),
        Just(decided(DecisionKind::Approved, false)),
        Just(decided(DecisionKind::Rejected, true)),
        Just(decided(DecisionKind::Answered, true)),
        Just(directive()),
        (0..6_u32).prop_map(|count| payload::LoopDetected {
            tool: "t".to_owned(),
            count
        }
        .into()),
        Just(payload::RunRecovered { worker: None }.into()),
        Just(payload::RunResumed {}.into()),
        Just(
            payload::OperationStarted {
                operation: publishing()
            }
            .into()
        ),
        Just(
            payload::OperationFinished {
                operation: publishing(),
                error: None
            }
            .into()
        ),
        number.prop_map(|index| payload::ContextCompacted {
            dropped: vec![(1, index)],
            forgotten: None,
            before: 2,
            after: 1
        }
        .into()),
        Just(EventKind::from_stored("STORY_MOVED".to_owned(), None)),
    ]
}

proptest! {
    /// Whatever a store holds, also what no factory would write, has a next act.
    #[test]
    fn no_history_panics_and_pieces_fold_like_the_whole(kinds in prop::collection::vec(any_kind(), 0..60)) {
        let events = history(kinds);
        let mut pieces = State::fold([]);
        for (event, number) in events.iter().zip(1..) {
            pieces.apply(event);
            let whole = State::fold(&events[..number]);
            prop_assert_eq!(format!("{pieces:?}").len(), format!("{whole:?}").len());
            prop_assert_eq!(Act::next(&pieces), Act::next(&whole));
            prop_assert_eq!(pieces.conversation.len(), pieces.origins.len());
            let steps = pieces.plan.iter().flat_map(|plan| &plan.steps).map(|step| step.id);
            let new = pieces.new_plan(["t".to_owned()]).steps[0].id;
            prop_assert!(steps.collect::<BTreeSet<_>>().iter().all(|id| *id != new), "a number is used again");
        }
    }
}
