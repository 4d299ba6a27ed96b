//! The operator's verbs while a run works: they act at once, nothing starts after their answer, nothing is lost.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::time::{Duration, Instant};

use factory_core::Error;
use factory_core::llm::scripted::{Script, ScriptReply};
use factory_core::model::payload::LlmFailure;
use factory_core::model::{ApprovalPolicy, EventKind, RunStatus, Seq, StatusReason};
use serde_json::json;
use workshop::history::{all, assert_lawful, count, names};
use workshop::{Workshop, command, finish, plan, right, right_at_once, write, wrong_then_right};

const UNATTENDED: ApprovalPolicy = ApprovalPolicy::Unattended;

/// The longest answer to a verb. Far more than it takes, and far less than what the verb cuts short.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_cuts_a_generation_and_resume_asks_again() {
    let slow = plan(&["Change the answer"]).delays(3_600_000, 0);
    let shop = Workshop::with(Script::new().reply(slow).reply(right())).await;
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "LLM_REQUESTED", 1).await;
    let asked = Instant::now();
    let paused = shop.factory.pause(run.id).await.unwrap();
    assert!(asked.elapsed() < AT_ONCE);
    assert_eq!(
        (paused.status, paused.reason),
        (RunStatus::Paused, Some(StatusReason::Operator))
    );
    let rested = driven.await.unwrap();
    assert_eq!((rested.status, &rested.claim), (RunStatus::Paused, &None));
    let events = shop.events(run.id).await;
    let failures = all(&events, |kind| match kind {
        EventKind::LlmFailed(failed) => Some(failed.failure),
        _ => None,
    });
    assert_eq!(failures, [LlmFailure::Cut]);
    assert_lawful(&events);
    assert!(matches!(
        shop.factory.pause(run.id).await,
        Err(Error::NotAllowed { .. })
    ));

    // The same run with a model that answers.
    shop.factory.shutdown().await;
    let factory = workshop::open(shop.folder.path(), right_at_once()).await;
    factory.resume(run.id).await.unwrap();
    let done = factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let requests = all_events(&factory, run.id).await;
    let appended = all(&requests, |kind| match kind {
        EventKind::LlmRequested(requested) => Some(requested.appended.len()),
        _ => None,
    });
    assert_eq!(appended[..2], [2, 0], "the same prompt is asked again");
}

async fn all_events(
    factory: &factory_core::Factory,
    run: factory_core::model::RunId,
) -> Vec<factory_core::model::Event> {
    let page = factory_core::store::Page::after(Seq(0), 500);
    factory.reader().events(run, page).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_lets_a_command_end_and_a_stop_kills_it() {
    // The command ends when the test says so: it waits for a file.
    let script = Script::new()
        .reply(plan(&["Change the answer"]))
        .reply(command(
            "touch ignored-begun; until test -e ignored/go; do sleep 0.01; done; echo through",
        ))
        .reply(right());
    let shop = Workshop::with(script.clone()).await;
    let run = shop.submit(ApprovalPolicy::Ask).await;
    let driven = shop.start(run.id);
    let checkout = shop.checkout(run.id);
    wait_until(|| checkout.join("ignored-begun").exists()).await;
    let asked = Instant::now();
    shop.factory.pause(run.id).await.unwrap();
    assert!(asked.elapsed() < AT_ONCE);
    std::fs::create_dir_all(checkout.join("ignored")).unwrap();
    std::fs::write(checkout.join("ignored/go"), "").unwrap();
    assert_eq!(driven.await.unwrap().status, RunStatus::Paused);
    let events = shop.events(run.id).await;
    assert!(
        names(&events).ends_with("RUN_PAUSE TOOL_FINISHED"),
        "{}",
        names(&events)
    );
    shop.factory.resume(run.id).await.unwrap();
    assert_eq!(
        shop.factory.drive(run.id).await.unwrap().status,
        RunStatus::AwaitingApproval
    );
    assert_lawful(&shop.events(run.id).await);

    let second = shop.submit(ApprovalPolicy::Ask).await;
    let driven = shop.start(second.id);
    let checkout = shop.checkout(second.id);
    wait_until(|| checkout.join("ignored-begun").exists()).await;
    let stopped = shop.factory.stop(second.id).await.unwrap();
    assert_eq!(stopped.status, RunStatus::Stopped);
    let rested = driven.await.unwrap();
    assert_eq!((rested.status, &rested.claim), (RunStatus::Stopped, &None));
    assert!(!checkout.exists(), "what a final run no longer needs is removed");
    let events = shop.events(second.id).await;
    assert_eq!(assert_lawful(&events), RunStatus::Stopped);
    assert_eq!(count(&events, "TOOL_FINISHED"), 2, "{}", names(&events));
}

async fn wait_until(met: impl Fn() -> bool) {
    let waited = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waited)
        .await
        .expect("it happens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_a_check_kills_it() {
    let shop = Workshop::with_checks(right_at_once(), &["sleep 3600"]).await;
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "CHECK_STARTED", 1).await;
    shop.factory.stop(run.id).await.unwrap();
    assert_eq!(driven.await.unwrap().status, RunStatus::Stopped);
    assert_eq!(assert_lawful(&shop.events(run.id).await), RunStatus::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_a_resting_run_ends_it_and_tidies_up() {
    let shop = Workshop::with(right_at_once()).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    assert!(shop.checkout(run.id).exists());
    assert!(
        matches!(shop.factory.pause(run.id).await, Err(Error::NotAllowed { .. })),
        "it rests already"
    );
    let stopped = shop.factory.stop(run.id).await.unwrap();
    assert_eq!(stopped.status, RunStatus::Stopped);
    assert!(!shop.checkout(run.id).exists());
    assert_eq!(
        shop.factory.reader().run(run.id).await.unwrap().open_approval,
        None
    );
    let budget = factory_core::model::Budget::default();
    assert!(matches!(
        shop.factory.raise(run.id, budget).await,
        Err(Error::NotAllowed { .. })
    ));
    assert!(matches!(
        shop.factory.direct(run.id, "go on").await,
        Err(Error::NotAllowed { .. })
    ));
    assert!(matches!(
        shop.factory.stop(run.id).await,
        Err(Error::NotAllowed { .. })
    ));
    assert!(matches!(
        shop.factory.resume(run.id).await,
        Err(Error::NotAllowed { .. })
    ));
    assert!(shop.types(run.id).await.ends_with(&["RUN_STOP".to_owned()]));
}

/// Pauses and resumes at many moments of a run: whatever the moment, the history is lawful and the end the same.
#[tokio::test(flavor = "multi_thread")]
async fn pauses_at_any_moment_leave_a_lawful_history() {
    let shop = Workshop::with(wrong_then_right()).await;
    for number in 0..12_u64 {
        let run = shop.submit(UNATTENDED).await;
        let mut pause = 0;
        let done = loop {
            let driven = shop.start(run.id);
            // Moments spread over the whole run, the first ones about the claim.
            let moment = (number * 37 + pause * 101) % 400;
            tokio::time::sleep(Duration::from_millis(if number < 3 { number } else { moment })).await;
            pause += 1;
            if pause < 6 {
                match shop.factory.pause(run.id).await {
                    Ok(paused) => {
                        let answered = shop.events(run.id).await;
                        assert_eq!(paused.status, RunStatus::Paused);
                        assert_lawful(&answered);
                        assert_eq!(driven.await.unwrap().status, RunStatus::Paused);
                        shop.factory.resume(run.id).await.unwrap();
                        continue;
                    }
                    Err(Error::NotAllowed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            break driven.await.unwrap();
        };
        let events = shop.events(run.id).await;
        assert_eq!(
            done.status,
            RunStatus::Complete,
            "{:?}: {}",
            done.detail,
            names(&events)
        );
        assert_eq!(assert_lawful(&events), RunStatus::Complete);
        assert_eq!(count(&events, "LLM_RESPONDED"), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directives_are_delivered_once_in_order_with_the_next_call() {
    let script = Script::new()
        .reply(plan(&["Change the answer"]).delays(200, 0))
        .reply(workshop::command("sleep 3").expect_contains("first word"))
        .reply(right().expect_absent("first word").expect_contains("third word"))
        .reply(finish("done").expect_contains("too late?"));
    let shop = Workshop::with(script).await;
    let run = shop.submit(ApprovalPolicy::Ask).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "LLM_REQUESTED", 1).await;
    shop.factory.direct(run.id, "first word").await.unwrap();
    shop.factory.direct(run.id, "second word").await.unwrap();
    // The second request holds them, and its command is under way; what comes now waits for the third.
    shop.wait_for(run.id, "TOOL_STARTED", 2).await;
    let _ = shop.factory.pause(run.id).await;
    let _ = driven.await.unwrap();
    shop.factory.direct(run.id, "third word").await.unwrap();
    assert!(matches!(
        shop.factory.direct(run.id, " ").await,
        Err(Error::BadInput(_))
    ));
    let _ = shop.factory.resume(run.id).await;
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    let events = shop.events(run.id).await;
    let received: Vec<Seq> = events
        .iter()
        .filter(|event| event.kind.type_name() == "DIRECTIVE_RECEIVED")
        .map(|event| event.seq)
        .collect();
    let delivered = all(&events, |kind| match kind {
        EventKind::DirectiveDelivered(delivered) => Some(delivered.directives.clone()),
        _ => None,
    });
    assert_eq!(delivered.concat(), received, "{}", names(&events));

    // The plan is done and the result waits: rejecting it leads to a step that hears what was directed meanwhile.
    shop.factory.direct(run.id, "too late?").await.unwrap();
    shop.factory.reject(run.id, "not yet").await.unwrap();
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    assert_lawful(&shop.events(run.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directive_during_the_last_checks_leads_to_one_more_step() {
    let script = right_at_once()
        .reply(write("extra.txt", "as directed\n").expect_contains("write extra.txt"))
        .reply(finish("done"));
    let shop = Workshop::with_checks(script, &["sleep 0.3; sh check.sh"]).await;
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "CHECK_STARTED", 1).await;
    shop.factory.direct(run.id, "write extra.txt").await.unwrap();
    let done = driven.await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(shop.git(&["show", "factory/run-1:extra.txt"]), "as directed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_for_its_answer() {
    let question = ScriptReply::tool_call("ask_operator", json!({"question": "Which answer?"}));
    let script = Script::new()
        .reply(plan(&["Change the answer"]))
        .reply(question.clone())
        .reply(right().expect_contains("The operator answers: forty-two"));
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    assert_eq!((run.status, &run.claim), (RunStatus::AwaitingApproval, &None));
    let tree = factory_core::factory::ApproveTree {
        tree: "0".repeat(40).parse().unwrap(),
        message: None,
    };
    assert!(matches!(
        shop.factory.approve(run.id, tree).await,
        Err(Error::NotAllowed { .. })
    ));
    shop.factory.answer(run.id, "forty-two").await.unwrap();
    assert!(matches!(
        shop.factory.answer(run.id, "again").await,
        Err(Error::NotAllowed { .. })
    ));
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    assert!(
        matches!(
            shop.factory.answer(run.id, "yes").await,
            Err(Error::NotAllowed { .. })
        ),
        "a tree is no question"
    );
    assert_eq!(shop.approve(run.id).await.status, RunStatus::Complete);

    let script = Script::new()
        .reply(plan(&["Change the answer"]))
        .reply(question)
        .reply(right().expect_contains("No operator is there"));
    let alone = Workshop::with(script).await;
    assert_eq!(alone.run(UNATTENDED).await.status, RunStatus::Complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_gives_runs_back_and_the_next_owner_goes_on() {
    let shop = Workshop::with_checks(right_at_once(), &["sleep 0.3; sh check.sh"]).await;
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "CHECK_STARTED", 1).await;
    shop.factory.shutdown().await;
    let events = driven.await;
    drop(events);
    let factory = workshop::open(shop.folder.path(), right_at_once()).await;
    let row = factory.reader().row(run.id).await.unwrap();
    assert_eq!((row.status, &row.claim), (RunStatus::Queued, &None));
    assert_eq!(factory.drive(run.id).await.unwrap().status, RunStatus::Complete);
    let events = all_events(&factory, run.id).await;
    assert_eq!(assert_lawful(&events), RunStatus::Complete);
    assert_eq!(count(&events, "RUN_RECOVERED"), 0, "{}", names(&events));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_that_is_dropped_at_any_moment_leaves_no_run_without_its_worker() {
    for moment in 0..30 {
        let shop = Workshop::with(wrong_then_right()).await;
        let run = shop.submit(UNATTENDED).await;
        // Opened anew, so that the sandbox is looked for by the first drive, which takes a while.
        shop.factory.shutdown().await;
        let factory = workshop::open(shop.folder.path(), wrong_then_right()).await;
        let dropped = factory.drive(run.id);
        // The moment alone matters, not whether it was reached.
        let _ = tokio::time::timeout(Duration::from_millis(moment * 2), dropped).await;
        let again = tokio::time::timeout(Duration::from_mins(1), factory.drive(run.id)).await;
        let done = again.expect("the run is worked on").unwrap();
        assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
        factory.shutdown().await;
    }
}
