//! Databases of the programs before this one open, keep every row, and start nothing by themselves.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

use std::path::{Path, PathBuf};

use factory_core::model::{
    Actor, Event, EventKind, ProjectId, Run, RunId, RunStatus, Seq, StatusReason, Timestamp, WorkerId,
};
use factory_core::store::{
    Claimable, Page, RunFilter, SqliteStore, Store, StoreExt as _, UsageFilter, UsageGroup,
};
use rusqlite::Connection;
use tempfile::TempDir;

const DOCUMENTED: &[&str] = &[
    include_str!("fixtures/seed_schema.sql"),
    include_str!("fixtures/seed_rows.sql"),
    include_str!("fixtures/seed_nulls.sql"),
];
const SQLALCHEMY: &[&str] = &[
    include_str!("fixtures/seed_schema_sqlalchemy.sql"),
    include_str!("fixtures/seed_rows.sql"),
];

fn seed_database(parts: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.db");
    let database = Connection::open(&path).unwrap();
    for part in parts {
        database.execute_batch(part).unwrap();
    }
    (folder, path)
}

async fn all_runs(store: &SqliteStore) -> Vec<Run> {
    store.runs(RunFilter::default(), Page::first(500)).await.unwrap()
}

async fn events(store: &SqliteStore, run: i64) -> Vec<Event> {
    store.events(RunId(run), Page::first(500)).await.unwrap()
}

fn count(path: &Path, sql: &str) -> i64 {
    Connection::open(path)
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

fn paused_without_worker(run: &Run) -> bool {
    run.status == RunStatus::Paused && run.reason == Some(StatusReason::Interrupted) && run.claim.is_none()
}

#[tokio::test]
async fn every_row_is_kept_and_nothing_starts() {
    for parts in [DOCUMENTED, SQLALCHEMY] {
        let (_folder, path) = seed_database(parts);
        let store = SqliteStore::open(&path).await.unwrap();
        let projects = store.projects(Page::first(500)).await.unwrap();
        let names: Vec<_> = projects
            .iter()
            .map(|project| (project.id.0, project.name.as_str()))
            .collect();
        assert_eq!(names, [(1, "shop"), (2, "blog \"quoted\""), (5, "ünïcode")]);
        assert_eq!(projects[2].created_at, Timestamp::UNKNOWN);

        let runs = all_runs(&store).await;
        let ids: Vec<_> = runs.iter().map(|run| run.id.0).collect();
        assert_eq!(ids, (1..=20).rev().collect::<Vec<_>>());
        assert!(
            runs.iter()
                .all(|run| !matches!(run.status, RunStatus::Queued | RunStatus::Running))
        );
        assert_eq!(
            store
                .claim(&WorkerId("w".to_owned()), Claimable::Next, Timestamp::UNKNOWN)
                .await
                .unwrap(),
            None
        );
        assert_eq!(store.claimed_runs(Page::first(9)).await.unwrap(), []);

        let mut served = 0;
        for run in &runs {
            let events = events(&store, run.id.0).await;
            let numbers: Vec<_> = events.iter().map(|event| event.seq.0).collect();
            assert_eq!(
                numbers,
                (1..=run.last_seq.0).collect::<Vec<_>>(),
                "run {}",
                run.id
            );
            let told = events
                .iter()
                .filter(|event| matches!(event.kind, EventKind::RunPaused(_)))
                .count();
            assert_eq!(told, usize::from(paused_without_worker(run)), "run {}", run.id);
            served += events.len() - told;
        }
        assert_eq!(served, 495);
        store.close().await;
        assert_eq!(count(&path, "SELECT count(*) FROM orphaned_events"), 5);
        assert_eq!(count(&path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_eq!(
            count(
                &path,
                "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'former_%'"
            ),
            0
        );
        assert_eq!(
            count(
                &path,
                "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
            ),
            0
        );
    }
}

#[tokio::test]
async fn a_run_keeps_what_it_was() {
    let (_folder, path) = seed_database(DOCUMENTED);
    let store = SqliteStore::open(&path).await.unwrap();
    let run = |id| store.run(RunId(id));
    let complete = run(3).await.unwrap();
    let expected = Run {
        id: RunId(3),
        project_id: Some(ProjectId(1)),
        goal: "goal 3".to_owned(),
        status: RunStatus::Complete,
        reason: None,
        detail: None,
        current_iteration: 3,
        priority: 0,
        spec: factory_core::model::RunSpec::default(),
        base_commit: None,
        branch: None,
        commit: None,
        usage: factory_core::model::Usage::default(),
        last_seq: Seq(40),
        fence: factory_core::model::Fence(0),
        claim: None,
        created_at: "2026-02-01 00:00:03".parse().unwrap(),
        updated_at: "2026-02-01 00:01:00".parse().unwrap(),
    };
    assert_eq!(complete, expected);
    for (id, former_status) in [
        (1, None),
        (6, None),
        (14, Some("waiting for ann")),
        (15, Some("queued")),
        (16, Some("AWAITING_APPROVAL")),
        (19, None),
    ] {
        let run = run(id).await.unwrap();
        assert!(paused_without_worker(&run), "{run:?}");
        let last = events(&store, id).await.pop().unwrap();
        assert_eq!(
            (last.seq, last.actor, last.created_at),
            (run.last_seq, Actor::System, run.updated_at)
        );
        let EventKind::RunPaused(told) = last.kind else {
            panic!("{:?}", last.kind)
        };
        assert_eq!(
            (told.reason, told.former_status.as_deref()),
            (StatusReason::Interrupted, former_status)
        );
        assert_eq!(told.detail, run.detail);
    }
    assert_eq!(run(2).await.unwrap().reason, None);
    assert_eq!(run(17).await.unwrap().created_at, Timestamp::UNKNOWN);
    assert_eq!(run(18).await.unwrap().current_iteration, 0);
    let bare = run(19).await.unwrap();
    assert_eq!(
        (bare.project_id, bare.current_iteration, bare.created_at),
        (None, 0, Timestamp::UNKNOWN)
    );
    assert_eq!(run(20).await.unwrap().project_id, None);
    store.close().await;
    let sql = "SELECT count(*) FROM runs WHERE id = 20 AND former_project_id = 42";
    assert_eq!(count(&path, sql), 1);
    let sql = "SELECT count(*) FROM runs WHERE id = 17 AND created_at = 'last tuesday'";
    assert_eq!(count(&path, sql), 1);
}

#[tokio::test]
async fn odd_events_are_served_as_they_are() {
    let (_folder, path) = seed_database(DOCUMENTED);
    let store = SqliteStore::open(&path).await.unwrap();
    let odd = events(&store, 1).await;
    let stored: Vec<_> = odd[1..8]
        .iter()
        .map(|event| (event.id.0, event.kind.type_name(), event.kind.stored_payload()))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (22, "STEP", text("not json")),
        (34, "STEP", text("")),
        (46, "STEP", text("[1, 2]")),
        (58, "STEP", text("\u{fffd}\u{0}\u{fffd}")),
        (70, "STEP", text("{\"n\": 60}")),
        (82, "", text("{\"n\": 72}")),
        (94, "STEP", None),
    ];
    assert_eq!(stored, expected);
    assert_eq!(odd[3].created_at.to_string(), "2026-02-01T00:01:00.500000Z");
    assert_eq!([odd[5].created_at, odd[7].created_at], [Timestamp::UNKNOWN; 2]);
    // A creation of the older kind lacks our version, and stays what it was.
    assert_eq!(odd[0].kind.stored_payload(), text("{\"n\": 0}"));
    store.close().await;
    assert_eq!(
        count(
            &path,
            "SELECT count(*) FROM events WHERE id = 58 AND payload = X'FF00FE'"
        ),
        1
    );
}

#[tokio::test]
async fn numbers_of_lost_rows_are_not_given_again() {
    let (_folder, path) = seed_database(DOCUMENTED);
    let store = SqliteStore::open(&path).await.unwrap();
    let new = factory_core::model::NewProject {
        name: "new".to_owned(),
        local_path: "/srv/new".into(),
        settings: factory_core::model::ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    // Project 42 and run 99 are gone, but rows that name them are not.
    let project = store.create_project(new).await.unwrap();
    assert_eq!(project.id, ProjectId(43));
    let filed = factory_core::store::NewRun {
        project_id: project.id,
        goal: "x".to_owned(),
        spec: factory_core::model::RunSpec::default(),
        priority: 0,
        event: factory_core::model::NewEvent::system(factory_core::model::payload::RunResumed {}),
        at: Timestamp::UNKNOWN,
    };
    let (run, event) = store.create_run(filed).await.unwrap();
    assert_eq!(run.id, RunId(100));
    assert!(event.id.0 > 605);
}

#[tokio::test]
async fn a_copy_is_kept_and_no_copy_is_overwritten() {
    let (folder, path) = seed_database(DOCUMENTED);
    let older = folder.path().join("platform.db.before-migration-4");
    std::fs::write(&older, "precious").unwrap();
    SqliteStore::open(&path).await.unwrap().close().await;
    assert_eq!(std::fs::read_to_string(&older).unwrap(), "precious");
    let copy = folder.path().join("platform.db.before-migration-4.2");
    assert_eq!(count(&copy, "SELECT count(*) FROM events"), 500);
    assert_eq!(
        count(
            &copy,
            "SELECT count(*) FROM runs WHERE status = 'waiting for ann'"
        ),
        1
    );
    assert_eq!(count(&copy, "SELECT user_version FROM pragma_user_version"), 0);

    // Opened again, there is nothing to do, and nothing is done.
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(all_runs(&store).await.len(), 20);
    store.close().await;
    let mut names: Vec<_> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "platform.db",
        "platform.db.before-migration-4",
        "platform.db.before-migration-4.2",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_old_database() {
    let (_folder, path) = seed_database(DOCUMENTED);
    // A table of the name that the migration needs for itself.
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE former_events (x)")
        .unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err().to_string();
    assert!(refused.contains("former_events"), "{refused}");
    assert_eq!(
        count(&path, "SELECT count(*) FROM runs WHERE status = 'RUNNING'"),
        3
    );
    assert_eq!(count(&path, "SELECT user_version FROM pragma_user_version"), 0);
}

#[tokio::test]
async fn a_resumed_run_of_an_older_factory_goes_on() {
    let (_folder, path) = seed_database(DOCUMENTED);
    let store = SqliteStore::open(&path).await.unwrap();
    let mut run = store.run(RunId(14)).await.unwrap();
    run.status = RunStatus::Queued;
    let commit = factory_core::store::Commit {
        expected_seq: run.last_seq,
        run,
        fence: None,
        events: vec![factory_core::model::NewEvent::system(
            factory_core::model::payload::RunResumed {},
        )],
        blobs: Vec::new(),
        approval: None,
        at: Timestamp::UNKNOWN,
        urgency: factory_core::store::Urgency::Normal,
        once: None,
    };
    store.commit(commit).await.unwrap();
    let claimed = store
        .claim(&WorkerId("w".to_owned()), Claimable::Next, Timestamp::UNKNOWN)
        .await
        .unwrap();
    assert_eq!(claimed.unwrap().0.id, RunId(14));
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.db");
    let first = Connection::open(&path).unwrap();
    first
        .execute_batch(include_str!("../src/store/sqlite/migrations/001_tables.sql"))
        .unwrap();
    let rows = r#"INSERT INTO projects (name, local_path, created_at) VALUES ('shop', '/srv', '2026-01-31');
        INSERT INTO runs (project_id, goal, status, spec, usage, created_at) VALUES
            (1, 'a', 'COMPLETE', '{"model": "x"}', '{"calls": 3, "work_ms": 40}', '2026-01-31T12:00:00.000000Z'),
            (1, 'b', 'FAILED', '{"model": "x"}', '{"calls": 4}', '2026-01-31T13:00:00.000000Z'),
            (NULL, 'c', 'FAILED', '{}', '{}', NULL);
        PRAGMA user_version = 1"#;
    first.execute_batch(rows).unwrap();
    first.close().unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.project_by_name("shop").await.unwrap().id, ProjectId(1));
    let new = factory_core::model::NewCredential {
        kind: factory_core::model::CredentialKind::Token,
        name: "ci".to_owned(),
        role: factory_core::model::Role::Viewer,
        hash: factory_core::model::SecretHash::of("secret"),
        created_at: Timestamp::UNKNOWN,
        expires_at: None,
    };
    store.add_credential(new).await.unwrap();
    let spent = store
        .usage(UsageGroup::Day, UsageFilter::default(), Page::first(9))
        .await
        .unwrap();
    let spent: Vec<_> = spent
        .iter()
        .map(|day| (day.key.as_str(), day.runs, day.usage.calls, day.usage.work_ms))
        .collect();
    assert_eq!(spent, [("1970-01-01", 1, 0, 0), ("2026-01-31", 2, 7, 40)]);
    let counts = store.run_counts().await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [(RunStatus::Complete, 1), (RunStatus::Failed, 2)]
    );
    store.close().await;
    let copies = folder.path().read_dir().unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("before-migration")
    });
    assert_eq!(copies.count(), 1, "a copy is kept");
}
