//! A process may die at any write: the next one ends the run as if nothing had been, and asks for no reply twice.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own helpers too"
)]

mod workshop;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factory_core::factory::{Sockets, Submit};
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use factory_core::model::{
    ApprovalPolicy, ApprovalSubject, Event, EventKind, Run, RunId, RunSpec, RunStatus, Seq, StatusReason,
};
use factory_core::store::{MemoryStore, Page, Store};
use factory_core::testing::{Fault, FaultyStore};
use serde_json::json;
use tokio::runtime::Runtime;
use workshop::crash::{Audited, CrashStore, Dies};
use workshop::history::{self, all, assert_lawful};
use workshop::{
    CHECK, git, make_repository, open_with, plan, right, right_at_once, scripted, small_repository, sockets,
    write,
};

const RUN: RunId = RunId(1);

/// Every kind of effect once: a command, a red check, writes of both kinds, a deletion, two steps.
fn busy_script() -> Script {
    Script::new()
        .reply(plan(&["Look", "Change the answer"]))
        .reply(
            ScriptReply::tool_call("run_command", json!({"command": "echo ran >> ignored/log"}))
                .and_tool_call("read_file", ScriptArguments(json!({"path": "answer.txt"})))
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "looked"}))),
        )
        .reply(
            write("answer.txt", "43\n")
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "done"}))),
        )
        .reply(
            write("notes/new.txt", "why\n")
                .and_tool_call("delete_file", ScriptArguments(json!({"path": "old.txt"}))),
        )
        .reply(right())
}

fn files() -> Vec<(&'static str, String)> {
    let mut files = small_repository();
    files.push(("old.txt", "old\n".to_owned()));
    files
}

/// Files the run in a factory of its own.
async fn file(folder: &Path, sockets: Sockets, approval: ApprovalPolicy) -> factory_core::Factory {
    let factory = open_with(folder, sockets).await;
    workshop::add_project(&factory, &folder.join("repository"), &[CHECK]).await;
    let spec = RunSpec {
        model: "script".to_owned(),
        approval,
        ..RunSpec::default()
    };
    let goal = "Make the answer 42".to_owned();
    factory
        .submit(Submit {
            project: "repository".to_owned(),
            goal,
            spec,
            priority: 0,
        })
        .await
        .unwrap();
    factory
}

/// A model that takes its time holds up no shutdown for longer than was said, and loses nothing by it.
#[tokio::test]
async fn what_does_not_come_to_rest_in_time_is_gone_on_with_by_the_next_owner() {
    let folder = tempfile::tempdir().unwrap();
    make_repository(&folder.path().join("repository"), &small_repository());
    let slow = Script::new().reply(plan(&["Change the answer"]).delays(3_600_000, 0));
    let factory = file(folder.path(), sockets(scripted(slow)), ApprovalPolicy::Unattended).await;
    let working = factory.clone();
    tokio::spawn(async move { working.drive(RUN).await });
    loop {
        let events = factory.reader().events(RUN, Page::first(100)).await.unwrap();
        if history::count(&events, "LLM_REQUESTED") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(factory.shutdown_within(Duration::from_millis(50)).await, [RUN]);
    drop(factory);

    let factory = workshop::open(folder.path(), right_at_once()).await;
    assert_eq!(factory.reader().row(RUN).await.unwrap().status, RunStatus::Queued);
    assert_eq!(finish(&factory).await.status, RunStatus::Complete);
    assert_eq!(factory.shutdown_within(Duration::from_mins(1)).await, []);
}

/// Works on the run to its end, approving what it offers.
async fn finish(factory: &factory_core::Factory) -> Run {
    loop {
        let run = factory.drive(RUN).await.unwrap();
        let view = factory.reader().run(RUN).await.unwrap();
        match view.open_approval.map(|approval| approval.subject) {
            Some(ApprovalSubject::Tree { tree, .. }) => {
                let approve = factory_core::factory::ApproveTree { tree, message: None };
                factory.approve(RUN, approve).await.unwrap();
            }
            _ => return run,
        }
    }
}

async fn events(store: &dyn Store) -> Vec<Event> {
    store.events(RUN, Page::after(Seq(0), 500)).await.unwrap()
}

/// Runs the script with a death at each write in turn, and gives each end to `judge`.
fn with_every_death(approval: ApprovalPolicy, dies: Dies) {
    let expected = {
        let folder = tempfile::tempdir().unwrap();
        make_repository(&folder.path().join("repository"), &files());
        Runtime::new().unwrap().block_on(async {
            let factory = file(
                folder.path(),
                sockets(workshop::scripted(busy_script())),
                approval,
            )
            .await;
            let done = finish(&factory).await;
            assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
        });
        git(
            &folder.path().join("repository"),
            &["rev-parse", "factory/run-1^{tree}"],
        )
    };
    for number in 1.. {
        let folder = tempfile::tempdir().unwrap();
        make_repository(&folder.path().join("repository"), &files());
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let crashed = {
            let runtime = Runtime::new().unwrap();
            let crashed = runtime.block_on(async {
                let store = CrashStore::new(Arc::clone(&memory));
                let model = Audited::new(workshop::scripted(busy_script()), Arc::clone(&memory));
                let filled = Sockets {
                    store: Some(store.clone()),
                    ..sockets(model.clone())
                };
                let factory = file(folder.path(), filled, approval).await;
                store.arm(number, dies);
                let crashed = tokio::select! {
                    () = store.dead() => true,
                    _ = finish(&factory) => false,
                };
                model.assert_clean();
                crashed
            });
            runtime.shutdown_timeout(Duration::from_secs(20));
            crashed
        };
        Runtime::new().unwrap().block_on(async {
            let until = history::names(&events(memory.as_ref()).await);
            let model = Audited::new(workshop::scripted(busy_script()), Arc::clone(&memory));
            let filled = Sockets {
                store: Some(Arc::clone(&memory)),
                ..sockets(model.clone())
            };
            let factory = open_with(folder.path(), filled).await;
            let done = finish(&factory).await;
            assert_eq!(
                done.status,
                RunStatus::Complete,
                "death {number} after {until}: {:?}",
                done.detail
            );
            assert_eq!(assert_lawful(&events(memory.as_ref()).await), RunStatus::Complete);
            model.assert_clean();
        });
        let repository = folder.path().join("repository");
        let tree = git(&repository, &["rev-parse", "factory/run-1^{tree}"]);
        assert_eq!(tree, expected, "death {number}");
        let branches = git(&repository, &["branch", "--list", "factory/*"]);
        assert_eq!(branches.trim(), "factory/run-1", "death {number}");
        if !crashed {
            assert!(number > 20, "the script has more writes than {number}");
            return;
        }
    }
}

#[test]
fn a_death_before_any_write_loses_nothing() {
    with_every_death(ApprovalPolicy::Unattended, Dies::Before);
}

#[test]
fn a_death_after_any_write_loses_nothing() {
    with_every_death(ApprovalPolicy::Ask, Dies::After);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_begun_runs_again_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    make_repository(&folder.path().join("repository"), &files());
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let folder_path = folder.path().to_owned();
    let store = CrashStore::new(Arc::clone(&memory));
    let first = Arc::clone(&store);
    std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let filled = Sockets {
                store: Some(first.clone()),
                ..sockets(workshop::scripted(busy_script()))
            };
            let factory = file(&folder_path, filled, ApprovalPolicy::Unattended).await;
            let mut subscription = factory.subscribe();
            let driven = tokio::spawn({
                let factory = factory.clone();
                async move { factory.drive(RUN).await }
            });
            loop {
                if let Ok(Some(factory_core::event_bus::Notice::Stored(event))) = subscription.next().await
                    && matches!(&event.event().kind, EventKind::ToolStarted(started) if started.command.is_some())
                {
                    // The next write is the command's end.
                    first.arm(1, Dies::Before);
                    break;
                }
            }
            first.dead().await;
            driven.abort();
        });
        runtime.shutdown_timeout(Duration::from_secs(20));
    })
    .join()
    .unwrap();
    let filled = Sockets {
        store: Some(Arc::clone(&memory)),
        ..sockets(workshop::scripted(busy_script()))
    };
    let factory = open_with(folder.path(), filled).await;
    assert_eq!(finish(&factory).await.status, RunStatus::Complete);
    let reruns = events(memory.as_ref()).await;
    let reruns = all(&reruns, |kind| match kind {
        EventKind::ToolStarted(started) if started.command.is_some() => Some(started.rerun),
        _ => None,
    });
    assert_eq!(reruns, [false, true]);
}

/// A full disk at any one write: the run parks or waits, and ends as ever after it was resumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_any_write_loses_nothing() {
    for number in 1.. {
        let folder = tempfile::tempdir().unwrap();
        make_repository(&folder.path().join("repository"), &files());
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let store = Arc::new(FaultyStore::new(Arc::clone(&memory)));
        let model = Audited::new(workshop::scripted(busy_script()), Arc::clone(&memory));
        let filled = Sockets {
            store: Some(store.clone()),
            ..sockets(model.clone())
        };
        let factory = file(folder.path(), filled, ApprovalPolicy::Unattended).await;
        let at = store.writes() + number;
        store.fail_write(at, Fault::STORAGE_FULL);
        let mut done = match factory.drive(RUN).await {
            Ok(done) => done,
            Err(error) => {
                // The claim itself could not be stored.
                assert_eq!(number, 1, "{error}");
                factory.drive(RUN).await.unwrap()
            }
        };
        if done.status == RunStatus::Paused {
            assert_eq!(
                done.reason,
                Some(StatusReason::StorageFull),
                "write {number}: {:?}",
                done.detail
            );
            factory.resume(RUN).await.unwrap();
            done = factory.drive(RUN).await.unwrap();
        }
        let events = events(memory.as_ref()).await;
        assert_eq!(
            done.status,
            RunStatus::Complete,
            "write {number}: {:?} {}",
            done.detail,
            history::names(&events)
        );
        assert_eq!(assert_lawful(&events), RunStatus::Complete);
        let told = history::names(&events);
        assert_eq!(
            model.asked(),
            5,
            "write {number}: a reply was paid for twice: {told}"
        );
        model.assert_clean();
        if store.writes() < at {
            assert!(number > 20);
            return;
        }
    }
}
