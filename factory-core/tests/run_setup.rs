//! Runs of projects with a setup: what it leaves is there for commands and checks, and its failures are told as its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own helpers too"
)]

mod workshop;

use factory_core::factory::ProjectChange;
use factory_core::llm::scripted::{Script, ScriptReply};
use factory_core::model::{ApprovalPolicy, EventKind, ProjectSettings, RunStatus, StatusReason};
use serde_json::json;
use workshop::history::all;
use workshop::{CHECK, Workshop, command, finish, plan, right, right_at_once};

const UNATTENDED: ApprovalPolicy = ApprovalPolicy::Unattended;

/// Leaves something in the checkout and something in the home.
const SETUP: &str = "mkdir -p ignored && echo tool > ignored/tool && echo rc > ~/rc";

/// Passes only where both are, and the answer is right.
const CHECK_WITH_SETUP: &str = "test -e ignored/tool && test -e ~/rc && sh check.sh";

async fn declare(shop: &Workshop, setup: &str) {
    let settings = ProjectSettings {
        setup: vec![setup.to_owned()],
        checks: vec![CHECK_WITH_SETUP.to_owned()],
        ..shop.project.settings.clone()
    };
    let change = ProjectChange {
        settings: Some(settings),
        ..ProjectChange::default()
    };
    shop.factory
        .change_project(&shop.project.name, change)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_setup_left_is_there_for_commands_and_checks_and_is_kept() {
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(command("cat ignored/tool ~/rc"))
        .reply(right().expect_contains("tool\nrc"));
    let shop = Workshop::with(script).await;
    declare(&shop, SETUP).await;
    let mut reused = Vec::new();
    for _ in 0..2 {
        let done = shop.run(UNATTENDED).await;
        assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
        reused.extend(all(&shop.events(done.id).await, |kind| match kind {
            EventKind::SetupFinished(finished) => Some((finished.ok, finished.reused)),
            _ => None,
        }));
    }
    assert_eq!(reused, [(true, false), (true, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_setup_parks_the_run_with_its_output_and_a_mended_one_goes_on() {
    let shop = Workshop::with_checks(right_at_once(), &[CHECK]).await;
    declare(&shop, "echo no such package; exit 3").await;
    let parked = shop.run(UNATTENDED).await;
    assert_eq!(
        (parked.status, parked.reason, parked.usage.calls),
        (RunStatus::Paused, Some(StatusReason::SetupFailed), 0)
    );
    let outputs = all(&shop.events(parked.id).await, |kind| match kind {
        EventKind::SetupFinished(finished) => finished.output.clone(),
        _ => None,
    });
    let output = shop.factory.reader().blob(&outputs[0]).await.unwrap();
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "$ echo no such package; exit 3\nno such package\n[exit code 3]\n"
    );
    declare(&shop, SETUP).await;
    shop.factory.resume(parked.id).await.unwrap();
    let done = shop.factory.drive(parked.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_that_fails_before_the_checks_is_not_taken_for_a_red_result() {
    let question = ScriptReply::tool_call("ask_operator", json!({"question": "which answer?"}));
    let script = Script::new()
        .reply(plan(&["Ask", "Change it"]))
        .reply(question)
        .reply(finish("asked"))
        .reply(right());
    let shop = Workshop::with(script).await;
    declare(&shop, SETUP).await;
    let asking = shop.run(ApprovalPolicy::Ask).await;
    assert_eq!(asking.status, RunStatus::AwaitingApproval, "{:?}", asking.detail);
    declare(&shop, "echo gone; exit 1").await;
    shop.factory.answer(asking.id, "42").await.unwrap();
    let parked = shop.factory.drive(asking.id).await.unwrap();
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::Conflict))
    );
    assert!(parked.detail.unwrap().contains("gone"));
    let rounds = all(&shop.events(asking.id).await, |kind| match kind {
        EventKind::CheckFinished(finished) => Some(finished.green),
        _ => None,
    });
    assert_eq!(rounds, [] as [bool; 0]);
    declare(&shop, SETUP).await;
    shop.factory.resume(asking.id).await.unwrap();
    let offered = shop.factory.drive(asking.id).await.unwrap();
    assert_eq!(
        offered.status,
        RunStatus::AwaitingApproval,
        "{:?}",
        offered.detail
    );
}
