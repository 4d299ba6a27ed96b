//! What ends a run that would go on for ever or cannot go on: budgets, loops, failing models, small windows.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::sync::Arc;

use factory_core::llm::EndReason;
use factory_core::llm::scripted::{FailureKind, Script, ScriptArguments, ScriptReply};
use factory_core::model::payload::LlmFailure;
use factory_core::model::{
    ApprovalPolicy, Budget, BudgetLimit, EventKind, Run, RunSpec, RunStatus, StatusReason,
};
use serde_json::json;
use workshop::crash::Windowed;
use workshop::history::{all, assert_lawful, count, names};
use workshop::{
    CHECK, Workshop, finish, plan, right, right_at_once, scripted, small_repository, sockets, write,
};

const UNATTENDED: ApprovalPolicy = ApprovalPolicy::Unattended;

async fn run_within(shop: &Workshop, budget: Budget) -> Run {
    let spec = RunSpec {
        model: "script".to_owned(),
        approval: UNATTENDED,
        budget,
        ..RunSpec::default()
    };
    let run = shop.submit_with(spec).await;
    shop.factory.drive(run.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_parks_the_run_and_raising_it_goes_on() {
    let counted = |reply: ScriptReply| reply.tokens(90, 10);
    let script = || {
        Script::new()
            .reply(counted(plan(&["Change it"])))
            .reply(counted(write("note", "a\n")))
            .reply(counted(right()))
    };
    let most = BudgetLimit::AtMost;
    let free = Budget {
        calls: BudgetLimit::Unlimited,
        tokens: BudgetLimit::Unlimited,
        work_ms: BudgetLimit::Unlimited,
        turns: BudgetLimit::Unlimited,
    };
    let cases = [
        (
            "calls",
            Budget {
                calls: most(2),
                ..free
            },
        ),
        (
            "tokens",
            Budget {
                tokens: most(200),
                ..free
            },
        ),
        (
            "turns",
            Budget {
                turns: most(2),
                ..free
            },
        ),
    ];
    for (limit, budget) in cases {
        let shop = Workshop::with(script()).await;
        let parked = run_within(&shop, budget).await;
        assert_eq!(
            (parked.status, parked.reason),
            (RunStatus::Paused, Some(StatusReason::BudgetExhausted)),
            "{limit}"
        );
        assert_eq!((parked.usage.calls, &parked.claim), (2, &None));
        // Resuming without more finds it spent still.
        shop.factory.resume(parked.id).await.unwrap();
        let again = shop.factory.drive(parked.id).await.unwrap();
        assert_eq!(again.reason, Some(StatusReason::BudgetExhausted));
        shop.factory.raise(parked.id, free).await.unwrap();
        shop.factory.resume(parked.id).await.unwrap();
        let done = shop.factory.drive(parked.id).await.unwrap();
        assert_eq!(done.status, RunStatus::Complete, "{limit}: {:?}", done.detail);
        let events = shop.events(parked.id).await;
        assert_lawful(&events);
        let exhausted = all(&events, |kind| match kind {
            EventKind::BudgetExhausted(exhausted) => Some(exhausted.limit.as_str()),
            _ => None,
        });
        assert_eq!(exhausted, [limit, limit]);
        assert_eq!(done.usage.tokens(), 300);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_time_is_a_budget_and_the_warning_comes_once() {
    let shop = Workshop::with(
        Script::new()
            .reply(plan(&["Change it"]).delays(60, 0))
            .reply(right()),
    )
    .await;
    let parked = run_within(
        &shop,
        Budget {
            work_ms: BudgetLimit::AtMost(50),
            ..Budget::default()
        },
    )
    .await;
    assert_eq!(
        parked.reason,
        Some(StatusReason::BudgetExhausted),
        "{:?}",
        parked.detail
    );

    let reads = (1..=4_u32).fold(Script::new().reply(plan(&["Look"])), |script, number| {
        script.reply(ScriptReply::tool_call(
            "read_file",
            json!({"path": "answer.txt", "offset": number}),
        ))
    });
    let shop = Workshop::with(reads.reply(right())).await;
    let done = run_within(
        &shop,
        Budget {
            calls: BudgetLimit::AtMost(6),
            turns: BudgetLimit::Unlimited,
            ..Budget::default()
        },
    )
    .await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let events = shop.events(done.id).await;
    let warned = all(&events, |kind| match kind {
        EventKind::BudgetWarned(warned) => Some(warned.limit.as_str()),
        _ => None,
    });
    assert_eq!(warned, ["calls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_repeats_itself_is_told_and_then_parked() {
    let same = ScriptReply::tool_call("read_file", json!({"path": "answer.txt"}));
    let looping = Script::new()
        .reply(plan(&["Change it"]))
        .reply(same)
        .repeat_last();
    let shop = Workshop::with(looping).await;
    let parked = shop.run(UNATTENDED).await;
    let events = shop.events(parked.id).await;
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::Stuck)),
        "{}",
        names(&events)
    );
    assert_eq!(
        (count(&events, "LLM_REQUESTED"), count(&events, "LOOP_DETECTED")),
        (5, 2)
    );
    shop.factory.resume(parked.id).await.unwrap();
    let again = shop.factory.drive(parked.id).await.unwrap();
    assert_eq!(again.reason, Some(StatusReason::Stuck));
    assert_eq!(
        count(&shop.events(parked.id).await, "LLM_REQUESTED"),
        9,
        "resuming gives it another chance"
    );

    // Within one reply it cannot have heard yet, and once it has it may do better.
    let read = || ScriptArguments(json!({"path": "answer.txt"}));
    let burst = (0..6).fold(ScriptReply::default(), |reply, _| {
        reply.and_tool_call("read_file", read())
    });
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(burst)
        .reply(right().expect_contains("You have called read_file with the same arguments"));
    let shop = Workshop::with(script).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_end_alike_are_no_loop() {
    let script = (0..5).fold(
        Script::new().reply(plan(&["a", "b", "c", "d", "e", "f"])),
        |script, _| script.reply(finish("done")),
    );
    let shop = Workshop::with(script.reply(right())).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(count(&shop.events(done.id).await, "LOOP_DETECTED"), 0);

    // A plan that is made again and again is one.
    let shop = Workshop::with(Script::new().reply(plan(&["a"])).repeat_last()).await;
    let parked = shop.run(UNATTENDED).await;
    assert_eq!(parked.reason, Some(StatusReason::Stuck), "{:?}", parked.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_borne_and_lasting_ones_park_the_run() {
    for kind in [FailureKind::Busy, FailureKind::Broken] {
        let script = Script::new()
            .reply(plan(&["Change it"]).fail_times(kind, 2))
            .reply(right());
        let shop = Workshop::with(script).await;
        let done = shop.run(UNATTENDED).await;
        assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
        let events = shop.events(done.id).await;
        let failures = all(&events, |kind| match kind {
            EventKind::LlmFailed(failed) => Some(failed.failure),
            _ => None,
        });
        assert_eq!(failures, [LlmFailure::Transient; 2]);
        assert_eq!(done.usage.calls, 4, "failed calls count");
    }
    let script = Script::new()
        .reply(plan(&["Change it"]).fail_times(FailureKind::Refused, 1))
        .reply(right());
    let shop = Workshop::with(script).await;
    let parked = shop.run(UNATTENDED).await;
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::LlmFailed))
    );
    assert!(
        parked.detail.as_ref().unwrap().contains("refused"),
        "{:?}",
        parked.detail
    );
    shop.factory.resume(parked.id).await.unwrap();
    assert_eq!(
        shop.factory.drive(parked.id).await.unwrap().status,
        RunStatus::Complete
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_the_wait_for_a_failing_model() {
    let script = Script::new().reply(plan(&["Change it"]).fail_always(FailureKind::Busy));
    let shop = Workshop::with(script).await;
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "LLM_FAILED", 2).await;
    shop.factory.pause(run.id).await.unwrap();
    assert_eq!(driven.await.unwrap().status, RunStatus::Paused);
    assert_lawful(&shop.events(run.id).await);
}

fn windowed(script: Script, window: u64) -> factory_core::factory::Sockets {
    sockets(Arc::new(Windowed {
        inner: scripted(script),
        window,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn old_results_leave_a_full_prompt_and_what_must_stay_is_named() {
    let mut files = small_repository();
    let long = |letter: &str| format!("{} = call(b, c) + 1\n", letter.repeat(4)).repeat(160);
    files.push(("a.txt", long("a")));
    files.push(("b.txt", long("b")));
    files.push(("c.txt", long("c")));
    let read = |path: &str| ScriptReply::tool_call("read_file", json!({ "path": path }));
    let script = Script::new()
        .reply(plan(&["Read all", "Change it"]))
        .reply(read("a.txt"))
        .reply(read("b.txt").expect_contains("aaaa"))
        .reply(read("c.txt").expect_contains("bbbb"))
        .reply(finish("read").expect_contains("cccc"))
        .reply(right());
    let shop = Workshop::make(windowed(script, 6500), &[CHECK], &files).await;
    let done = shop.run(UNATTENDED).await;
    let events = shop.events(done.id).await;
    assert_eq!(
        done.status,
        RunStatus::Complete,
        "{:?} {}",
        done.detail,
        names(&events)
    );
    let compacted = all(&events, |kind| match kind {
        EventKind::ContextCompacted(compacted) => Some(compacted.clone()),
        _ => None,
    });
    assert!(
        !compacted.is_empty() && compacted.iter().all(|one| one.after < one.before),
        "{compacted:?}"
    );
    let window_left = 6500 - 6500 / 4 - 6500 / 20;
    let asked = all(&events, |kind| match kind {
        EventKind::LlmRequested(requested) => Some(requested.prompt_estimate),
        _ => None,
    });
    assert!(asked.iter().all(|size| *size <= window_left), "{asked:?}");

    // Many results at once, each longer than the window, and a check that says more than fits.
    let endless = "long line of output\n".repeat(20_000);
    files.push(("endless.txt", endless));
    let all_at_once = ["a.txt", "endless.txt", "b.txt", "endless.txt"]
        .into_iter()
        .fold(ScriptReply::default(), |reply, path| {
            reply.and_tool_call("read_file", ScriptArguments(json!({ "path": path })))
        });
    let script = Script::new()
        .reply(plan(&["Read all", "Change it"]))
        .reply(all_at_once.and_tool_call(
            "run_command",
            ScriptArguments(json!({"command": "cat endless.txt"})),
        ))
        .reply(finish("read"))
        .reply(finish("nothing"))
        .reply(right().expect_contains("left out here"));
    let shop = Workshop::make(windowed(script, 8192), &["cat endless.txt; sh check.sh"], &files).await;
    let done = shop.run(UNATTENDED).await;
    let events = shop.events(done.id).await;
    assert_eq!(
        done.status,
        RunStatus::Complete,
        "{:?} {}",
        done.detail,
        names(&events)
    );

    let shop = Workshop::make(windowed(right_at_once(), 1024), &[CHECK], &small_repository()).await;
    let parked = shop.run(UNATTENDED).await;
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::ContextFull))
    );
    assert!(
        parked.detail.as_ref().unwrap().contains("the largest part is"),
        "{:?}",
        parked.detail
    );
    assert_eq!(parked.usage.calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_cut_again_and_again_park_the_run() {
    let cut = || ScriptReply::text("and then").end(EndReason::Length);
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(cut())
        .reply(cut())
        .reply(cut())
        .reply(cut())
        .reply(right().expect_contains("was cut"));
    let shop = Workshop::with(script).await;
    let parked = shop.run(UNATTENDED).await;
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::Stuck))
    );
    assert_eq!(parked.usage.calls, 5);
    shop.factory.resume(parked.id).await.unwrap();
    let done = shop.factory.drive(parked.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_repeats_itself_is_cut_and_the_model_is_told() {
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(ScriptReply::text("I will look at the file. ".repeat(20_000)))
        .reply(right().expect_contains("was cut"));
    let shop = Workshop::with(script).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}
