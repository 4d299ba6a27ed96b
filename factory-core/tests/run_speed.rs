//! How many runs are filed, read and listed a second; run by hand on a quiet machine, as times prove nothing on a busy
//! one: `cargo test --release -p factory-core --test run_speed -- --ignored --nocapture --test-threads=1`.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

mod workshop;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use factory_core::factory::Submit;
use factory_core::llm::scripted::Script;
use factory_core::model::{
    NewEvent, NewProject, ProjectId, ProjectSettings, RunId, RunSpec, Seq, Timestamp, payload,
};
use factory_core::store::{NewRun, Page, RunFilter, SqliteStore, Store};

use crate::workshop::{CHECK, Workshop, small_repository};

/// How long each is measured.
const FOR: Duration = Duration::from_secs(3);

/// How many ask at the same time.
const CALLERS: u64 = 32;

/// Asks again and again from [`CALLERS`] tasks, and prints how often a second.
async fn measure<F: Future<Output = ()> + Send>(
    what: &str,
    callers: u64,
    ask: impl Fn(u64) -> F + Send + Sync + 'static,
) {
    let (ask, asked) = (Arc::new(ask), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (ask, asked) = (Arc::clone(&ask), Arc::clone(&asked));
            tokio::spawn(async move {
                while begun.elapsed() < FOR {
                    ask(asked.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let asked = asked.load(Ordering::Relaxed);
    let each = begun.elapsed().as_secs_f64() / f64::from(u32::try_from(asked).unwrap());
    println!("{what}: {:.0} a second, {callers} at a time", 1.0 / each);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times, and proves nothing"]
async fn filing_through_the_facade() {
    let workshop = Workshop::in_repository(Script::new(), &[CHECK], &small_repository()).await;
    let (factory, project) = (workshop.factory.clone(), workshop.project.id);
    measure("submit", CALLERS, move |number| {
        let factory = factory.clone();
        async move {
            let submit = Submit {
                project: project.to_string(),
                goal: format!("Goal {number} {}", "g".repeat(200)),
                spec: RunSpec {
                    model: "script".to_owned(),
                    ..RunSpec::default()
                },
                priority: 0,
            };
            factory.submit(submit).await.unwrap();
        }
    })
    .await;
    let factory = workshop.factory.clone();
    measure("row", CALLERS, move |number| {
        let factory = factory.clone();
        async move {
            let run = RunId(1 + i64::try_from(number % 50).unwrap());
            factory.reader().row(run).await.unwrap();
        }
    })
    .await;
}

async fn store_with_runs(folder: &std::path::Path) -> (Arc<SqliteStore>, ProjectId) {
    let store = Arc::new(SqliteStore::open(&folder.join("platform.db")).await.unwrap());
    let project = NewProject {
        name: "project".to_owned(),
        local_path: "/repository".into(),
        settings: ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    let project = store.create_project(project).await.unwrap().id;
    for _ in 0..10 {
        let new = (0..1000).map(|number| new_run(project, number)).collect();
        store.create_runs(new, None).await.unwrap();
    }
    (store, project)
}

fn new_run(project_id: ProjectId, number: u64) -> NewRun {
    let goal = format!("Goal {number} {}", "g".repeat(200));
    let spec = RunSpec {
        base: Some("4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap()),
        ..RunSpec::default()
    };
    let created = payload::RunCreated {
        project_id,
        goal: goal.clone(),
        spec: spec.clone(),
    };
    NewRun {
        project_id,
        goal,
        spec,
        priority: 0,
        event: NewEvent::system(created),
        at: Timestamp::UNKNOWN,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times, and proves nothing"]
async fn filing_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, project) = store_with_runs(folder.path()).await;
    for callers in [1, CALLERS, 512] {
        let filing = Arc::clone(&store);
        measure("store: file a run", callers, move |number| {
            let store = Arc::clone(&filing);
            async move {
                store
                    .create_runs(vec![new_run(project, number)], None)
                    .await
                    .unwrap();
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times, and proves nothing"]
async fn reading_runs_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store_with_runs(folder.path()).await;
    measure("store: read a run", CALLERS, move |number| {
        let store = Arc::clone(&store);
        async move {
            let run = RunId(1 + i64::try_from(number * 7919 % 10_000).unwrap());
            store.run(run).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times, and proves nothing"]
async fn listing_runs_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store_with_runs(folder.path()).await;
    measure("store: a page of 50 runs", CALLERS, move |_| {
        let store = Arc::clone(&store);
        async move {
            let runs = store.runs(RunFilter::default(), Page::first(50)).await.unwrap();
            assert_eq!(runs.len(), 50);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times, and proves nothing"]
async fn listing_events_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store_with_runs(folder.path()).await;
    let run = history(&store).await;
    measure("store: a page of 50 events", CALLERS, move |number| {
        let store = Arc::clone(&store);
        async move {
            let after = Seq(number * 7919 % 5_000);
            let events = store.events(run, Page::after(after, 50)).await.unwrap();
            assert_eq!(events.len(), 50);
        }
    })
    .await;
}

/// Gives the first run some thousand events.
async fn history(store: &SqliteStore) -> RunId {
    let mut run = store.run(RunId(1)).await.unwrap();
    while run.last_seq.0 < 5_100 {
        let event = |number| {
            NewEvent::system(payload::DirectiveReceived {
                text: format!("directive {number}"),
            })
        };
        let commit = factory_core::store::Commit {
            expected_seq: run.last_seq,
            run: run.clone(),
            fence: None,
            events: (0..500).map(event).collect(),
            blobs: Vec::new(),
            approval: None,
            at: Timestamp::UNKNOWN,
            urgency: factory_core::store::Urgency::Normal,
            once: None,
        };
        run = store.commit(commit).await.unwrap().0;
    }
    run.id
}
