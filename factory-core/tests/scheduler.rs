//! The queue: who is taken up next, who is passed over, and that nothing is asked while nothing waits.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::sync::Arc;
use std::time::Duration;

use factory_core::Factory;
use factory_core::factory::{Sockets, Submit};
use factory_core::llm::scripted::Script;
use factory_core::model::{ApprovalPolicy, EventKind, RunId, RunSpec, RunStatus, StatusReason};
use factory_core::scheduler::Limits;
use factory_core::store::{MemoryStore, Page, RunFilter};
use factory_core::testing::FaultyStore;
use workshop::{Workshop, plan, right, right_at_once, scripted};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A model that never answers.
fn silent() -> Script {
    Script::new()
        .reply(plan(&["Never"]).delays(3_600_000, 0))
        .reply(right())
}

async fn shop_of(models: &[(&str, Script)], sockets: Sockets) -> Workshop {
    let mut sockets = sockets;
    for (name, script) in models {
        sockets
            .models
            .insert((*name).to_owned(), scripted(script.clone()));
    }
    Workshop::make(sockets, &[workshop::CHECK], &workshop::small_repository()).await
}

async fn file(shop: &Workshop, model: &str, priority: i64) -> RunId {
    let submit = Submit {
        project: shop.project.name.clone(),
        goal: "Make the answer 42".to_owned(),
        spec: RunSpec {
            model: model.to_owned(),
            approval: ApprovalPolicy::Unattended,
            ..RunSpec::default()
        },
        priority,
    };
    shop.factory.submit(submit).await.unwrap().id
}

fn work(factory: &Factory, limits: Limits) -> tokio::task::JoinHandle<()> {
    let factory = factory.clone();
    tokio::spawn(async move { factory.work_queue(limits).await })
}

async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

async fn status(shop: &Workshop, run: RunId) -> RunStatus {
    shop.factory.reader().row(run).await.unwrap().status
}

/// Returns the runs in the order in which they were taken up.
async fn started(factory: &Factory) -> Vec<RunId> {
    let events = factory.reader().all_events(Page::first(500)).await.unwrap();
    let starts = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::RunStarted(_)));
    starts.map(|event| event.run_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_taken_up_by_priority_then_age() {
    let shop = shop_of(&[("script", right_at_once())], Sockets::default()).await;
    let mut runs = Vec::new();
    for priority in [0, 5, 0, 5] {
        runs.push(file(&shop, "script", priority).await);
    }
    let one_at_a_time = Limits {
        factory: 1,
        ..Limits::default()
    };
    let working = work(&shop.factory, one_at_a_time);
    for run in &runs {
        wait_until("every run ends", async || status(&shop, *run).await.is_final()).await;
    }
    assert_eq!(started(&shop.factory).await, [runs[1], runs[3], runs[0], runs[2]]);
    shop.factory.shutdown().await;
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_holds_up_its_own_runs_alone() {
    let models = [("slow:x", silent()), ("fast:x", right_at_once())];
    let shop = shop_of(&models, Sockets::default()).await;
    let limits = Limits {
        per_server: Some(2),
        ..Limits::default()
    };
    let working = work(&shop.factory, limits);
    let mut slow = Vec::new();
    for _ in 0..5 {
        slow.push(file(&shop, "slow:x", 9).await);
    }
    let fast = file(&shop, "fast:x", 0).await;
    wait_until("the fast one ends", async || status(&shop, fast).await.is_final()).await;
    assert_eq!(status(&shop, fast).await, RunStatus::Complete);
    let mut running = 0;
    for run in &slow {
        running += usize::from(status(&shop, *run).await == RunStatus::Running);
    }
    assert_eq!(running, 2, "as many as the server may have");
    // One that ends makes room for the next.
    shop.factory.stop(slow[0]).await.unwrap();
    wait_until("the third is taken up", async || {
        status(&shop, slow[2]).await == RunStatus::Running
    })
    .await;
    // What waits can be paused and stopped; it is not taken up then.
    shop.factory.pause(slow[3]).await.unwrap();
    shop.factory.stop(slow[4]).await.unwrap();
    shop.factory.stop(slow[1]).await.unwrap();
    wait_until("its claim is put down", async || shop.factory.working_on() == 1).await;
    assert_eq!(status(&shop, slow[3]).await, RunStatus::Paused);
    shop.factory.resume(slow[3]).await.unwrap();
    wait_until("a resumed run is taken up", async || {
        status(&shop, slow[3]).await == RunStatus::Running
    })
    .await;
    for run in [slow[2], slow[3]] {
        shop.factory.stop(run).await.unwrap();
    }
    shop.factory.shutdown().await;
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_has_its_share_and_no_more() {
    let shop = shop_of(&[("script", silent())], Sockets::default()).await;
    let limits = Limits {
        per_project: 3,
        ..Limits::default()
    };
    let working = work(&shop.factory, limits);
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(file(&shop, "script", 0).await);
    }
    wait_until("three are taken up", async || shop.factory.working_on() == 3).await;
    let queued = RunFilter {
        status: Some(RunStatus::Queued),
        ..RunFilter::default()
    };
    let waiting = shop.factory.reader().runs(queued, Page::first(10)).await.unwrap();
    assert_eq!(waiting.len(), 5);
    // A generation is waited for when a factory ends, and nobody waits an hour for it.
    for run in runs.iter().rev() {
        shop.factory.stop(*run).await.unwrap();
    }
    shop.factory.shutdown().await;
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_while_nothing_waits() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let sockets = Sockets {
        store: Some(Arc::clone(&store) as _),
        ..Sockets::default()
    };
    let shop = shop_of(&[("script", right_at_once())], sockets).await;
    let working = work(&shop.factory, Limits::default());
    let run = file(&shop, "script", 0).await;
    wait_until("the run ends", async || {
        status(&shop, run).await.is_final() && shop.factory.working_on() == 0
    })
    .await;
    // Its end wakes the queue once more; from then on there is nothing to do.
    wait_until("the queue rests", async || {
        let looks = store.queue_looks();
        tokio::time::sleep(Duration::from_millis(300)).await;
        looks == store.queue_looks()
    })
    .await;
    let looks = store.queue_looks();
    assert!(looks > 0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(store.queue_looks(), looks);
    shop.factory.shutdown().await;
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_taken_up_stands_in_nobodys_way() {
    let shop = shop_of(&[("script", right_at_once())], Sockets::default()).await;
    let script = shop.folder.path().join("script.json");
    std::fs::write(&script, right_at_once().to_json()).unwrap();
    let poisoned = file(&shop, &format!("scripted:{}", script.display()), 9).await;
    let sound = file(&shop, "script", 0).await;
    std::fs::remove_file(&script).unwrap();
    let one_at_a_time = Limits {
        factory: 1,
        ..Limits::default()
    };
    let working = work(&shop.factory, one_at_a_time);
    wait_until("the sound one ends", async || {
        status(&shop, sound).await.is_final()
    })
    .await;
    let parked = shop.factory.reader().row(poisoned).await.unwrap();
    assert_eq!(
        (parked.status, parked.reason),
        (RunStatus::Paused, Some(StatusReason::LlmFailed))
    );
    let detail = parked.detail.unwrap();
    assert!(
        detail.contains("script.json") && detail.contains("factory resume"),
        "{detail}"
    );
    // Mended and resumed it is taken up.
    std::fs::write(&script, right_at_once().to_json()).unwrap();
    shop.factory.resume(poisoned).await.unwrap();
    wait_until("the mended one ends", async || {
        status(&shop, poisoned).await.is_final()
    })
    .await;
    assert_eq!(status(&shop, poisoned).await, RunStatus::Complete);
    shop.factory.shutdown().await;
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_by_the_end_goes_on_at_the_next_start() {
    let shop = shop_of(&[("script", silent())], Sockets::default()).await;
    let working = work(&shop.factory, Limits::default());
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(file(&shop, "script", 0).await);
    }
    wait_until("all are taken up", async || shop.factory.working_on() == 4).await;
    let told = shop.factory.clone();
    let ending = tokio::spawn(async move { told.shutdown().await });
    // A generation is waited for when a factory ends; nobody waits an hour for it.
    for run in &runs {
        let _ = shop.factory.pause(*run).await;
    }
    ending.await.unwrap();
    working.await.unwrap();
    drop(shop.factory);
    let mut sockets = Sockets::default();
    sockets
        .models
        .insert("script".to_owned(), scripted(right_at_once()));
    let factory = workshop::open_with(shop.folder.path(), sockets).await;
    let working = work(&factory, Limits::default());
    for run in &runs {
        let row = factory.reader().row(*run).await.unwrap();
        if row.status == RunStatus::Paused {
            factory.resume(*run).await.unwrap();
        }
    }
    for run in runs {
        wait_until("every run ends", async || {
            factory.reader().row(run).await.unwrap().status == RunStatus::Complete
        })
        .await;
    }
    factory.shutdown().await;
    working.await.unwrap();
}
