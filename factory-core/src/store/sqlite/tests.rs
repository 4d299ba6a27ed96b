//! Tests of what only this backend has: groups, the full disk, the check after an unclean stop, blob files, plans.

use tempfile::TempDir;

use super::*;
use crate::model::{NewEvent, ProjectSettings, RunSpec, payload};
use crate::store::StoreExt as _;
use crate::store::{Blob, Urgency};

async fn opened() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("platform.db"))
        .await
        .unwrap();
    (folder, store)
}

async fn a_run(store: &SqliteStore) -> Run {
    let project = NewProject {
        name: "shop".to_owned(),
        local_path: "/srv/shop".into(),
        settings: ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    let project_id = match store.project_by_name("shop").await {
        Ok(project) => project.id,
        Err(_) => store.create_project(project).await.unwrap().id,
    };
    store.create_run(new_run(project_id)).await.unwrap().0
}

fn new_run(project_id: ProjectId) -> NewRun {
    NewRun {
        project_id,
        goal: "x".to_owned(),
        spec: RunSpec::default(),
        priority: 0,
        event: NewEvent::system(payload::RunResumed {}),
        at: Timestamp::UNKNOWN,
    }
}

fn commit_of(run: &Run, blobs: Vec<Blob>) -> Commit {
    Commit {
        run: run.clone(),
        expected_seq: run.last_seq,
        fence: None,
        events: vec![NewEvent::system(payload::RunResumed {})],
        blobs,
        approval: None,
        at: Timestamp::UNKNOWN,
        urgency: Urgency::Normal,
        once: None,
    }
}

/// Leaves room for so many more pages in the database.
async fn leave_room(store: &SqliteStore, pages: Option<i64>) {
    let work = move |database: &rusqlite::Connection| {
        let used: i64 = database.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let most = pages.map_or(1_000_000, |pages| used + pages);
        database.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        Ok(())
    };
    store
        .writer()
        .unwrap()
        .write("limit the size", Size::default(), work)
        .await
        .unwrap();
}

#[tokio::test]
async fn everything_is_there_after_it_was_closed_and_opened_again() {
    let (_folder, store) = opened().await;
    let run = a_run(&store).await;
    let blob = Blob::new("text");
    let (run, _) = store.commit(commit_of(&run, vec![blob.clone()])).await.unwrap();
    store.close().await;
    assert!(!has_log(store.database()));
    let again = SqliteStore::open(store.database()).await.unwrap();
    assert_eq!(again.health(), StoreHealth::Sound);
    assert_eq!(again.run(run.id).await.unwrap(), run);
    assert_eq!(again.blob(blob.id()).await.unwrap(), blob.content());
    assert_eq!(again.events(run.id, Page::first(9)).await.unwrap().len(), 2);
    again.close().await;
}

#[tokio::test]
async fn a_path_that_is_not_text_comes_back_byte_for_byte() {
    use std::os::unix::ffi::OsStringExt as _;
    let (_folder, store) = opened().await;
    let new = NewProject {
        name: "odd".to_owned(),
        local_path: std::ffi::OsString::from_vec(b"/srv/\xff\xfe".to_vec()).into(),
        settings: ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    let project = store.create_project(new.clone()).await.unwrap();
    assert_eq!(
        store.project(project.id).await.unwrap().local_path,
        new.local_path
    );
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_is_over_when_there_is_room() {
    let (_folder, store) = opened().await;
    let run = a_run(&store).await;
    leave_room(&store, Some(2)).await;
    let large = Blob::new(vec![1; 200_000]);
    let refused = store
        .commit(commit_of(&run, vec![large.clone()]))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::StorageFull), "{refused:?}");
    assert_eq!(store.run(run.id).await.unwrap(), run);
    assert!(matches!(
        store.blob(large.id()).await,
        Err(StoreError::NotFound { .. })
    ));
    // Something small still finds its place.
    let (run, _) = store.commit(commit_of(&run, Vec::new())).await.unwrap();
    leave_room(&store, None).await;
    store.commit(commit_of(&run, vec![large.clone()])).await.unwrap();
    assert_eq!(store.blob(large.id()).await.unwrap(), large.content());
    assert_eq!(store.health(), StoreHealth::Sound);
}

/// Keeps the writer busy until the sender is dropped, so that what comes meanwhile waits as one group.
fn hold_writer(store: &Arc<SqliteStore>) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, is_held) = std::sync::mpsc::channel::<()>();
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let work = move |_: &rusqlite::Connection| {
            let _ = entered.send(());
            let _ = held.recv();
            Ok(())
        };
        store.writer().unwrap().write("hold", Size::default(), work).await
    });
    is_held.recv().unwrap();
    release
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_of_a_group_does_not_spoil_the_others() {
    let (_folder, store) = opened().await;
    let store = Arc::new(store);
    let (first, second, third) = (a_run(&store).await, a_run(&store).await, a_run(&store).await);
    leave_room(&store, Some(3)).await;
    let release = hold_writer(&store);
    let mut late = commit_of(&second, Vec::new());
    late.expected_seq = Seq(7);
    let requests = [
        commit_of(&first, Vec::new()),
        late,
        commit_of(&second, vec![Blob::new(vec![1; 300_000])]),
        commit_of(&third, vec![Blob::new("small")]),
    ];
    let mut answers = Vec::new();
    for request in requests {
        let sharing = Arc::clone(&store);
        answers.push(tokio::spawn(async move { sharing.commit(request).await }));
        while store.writer().unwrap().waiting() < answers.len() {
            tokio::task::yield_now().await;
        }
    }
    drop(release);
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(match answer.await.unwrap() {
            Ok(_) => "stored",
            Err(StoreError::Conflict { .. }) => "conflict",
            Err(StoreError::StorageFull) => "full",
            Err(error) => panic!("{error:?}"),
        });
    }
    assert_eq!(outcomes, ["stored", "conflict", "full", "stored"]);
    let stored = [first.id, second.id, third.id];
    let mut last = Vec::new();
    for run in stored {
        last.push(store.run(run).await.unwrap().last_seq.0);
    }
    assert_eq!(last, [2, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_overtakes_what_waits() {
    let (_folder, store) = opened().await;
    let store = Arc::new(store);
    let run = a_run(&store).await;
    let release = hold_writer(&store);
    let mut answers = Vec::new();
    for urgency in [Urgency::Normal, Urgency::Normal, Urgency::First] {
        let mut request = commit_of(&run, Vec::new());
        request.urgency = urgency;
        let sharing = Arc::clone(&store);
        answers.push(tokio::spawn(async move { sharing.commit(request).await.is_ok() }));
        while store.writer().unwrap().waiting() < answers.len() {
            tokio::task::yield_now().await;
        }
    }
    drop(release);
    let mut stored = Vec::new();
    for answer in answers {
        stored.push(answer.await.unwrap());
    }
    // All have seen the same event: the one that is first wins.
    assert_eq!(stored, [false, false, true]);
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting() {
    let (_folder, store) = opened().await;
    let run = a_run(&store).await;
    let broken = |_: &rusqlite::Connection| -> Result<(), failure::Failure> { panic!("as the test asked") };
    let lost = store
        .writer()
        .unwrap()
        .write("break", Size::default(), broken)
        .await
        .unwrap_err();
    assert!(matches!(lost, StoreError::Backend { .. }), "{lost:?}");
    assert!(store.commit(commit_of(&run, Vec::new())).await.is_err());
    assert_eq!(store.run(run.id).await.unwrap(), run);
    store.close().await;
}

#[tokio::test]
async fn an_unclean_stop_is_followed_by_a_check() {
    let (folder, store) = opened().await;
    let run = a_run(&store).await;
    // A copy of the files as they lie there is what a crash would leave.
    let left = folder.path().join("left.db");
    std::fs::copy(store.database(), &left).unwrap();
    std::fs::copy(
        folder.path().join("platform.db-wal"),
        folder.path().join("left.db-wal"),
    )
    .unwrap();
    store.close().await;
    let store = SqliteStore::open(&left).await.unwrap();
    assert_eq!(store.settled_health().await, StoreHealth::Sound);
    assert_eq!(store.run(run.id).await.unwrap(), run);
    store.close().await;
}

#[tokio::test]
async fn a_damaged_database_is_read_but_not_written() {
    let (folder, store) = opened().await;
    let run = a_run(&store).await;
    let roots: Vec<i64> = {
        let database = rusqlite::Connection::open(store.database()).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name IN ('approvals_open', 'runs_by_status')";
        let mut statement = database.prepare(sql).unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    store.close().await;
    let store = SqliteStore::open(store.database()).await.unwrap();
    store.next_approval_id().await.unwrap();
    let left = folder.path().join("left.db");
    let mut bytes = std::fs::read(store.database()).unwrap();
    for root in roots {
        let page = usize::try_from(root - 1).unwrap() * 4096;
        bytes[page..page + 200].fill(0xAA);
    }
    std::fs::write(&left, bytes).unwrap();
    std::fs::copy(
        folder.path().join("platform.db-wal"),
        folder.path().join("left.db-wal"),
    )
    .unwrap();
    store.close().await;

    let store = SqliteStore::open(&left).await.unwrap();
    let health = store.settled_health().await;
    assert!(matches!(health, StoreHealth::Damaged(_)), "{health:?}");
    assert_eq!(store.run(run.id).await.unwrap(), run);
    let refused = store
        .commit(commit_of(&run, Vec::new()))
        .await
        .unwrap_err()
        .to_string();
    let expected = format!("the database `{}` is damaged (", left.display());
    assert!(
        refused.starts_with(&expected) && refused.contains("restore a backup"),
        "{refused}"
    );
    store.close().await;
}

#[tokio::test]
async fn a_large_blob_lies_in_a_private_file_beside_the_database() {
    let (folder, store) = opened().await;
    let run = a_run(&store).await;
    let blob = Blob::new(vec![3; 1024 * 1024 + 1]);
    store.commit(commit_of(&run, vec![blob.clone()])).await.unwrap();
    let name = blob.id().as_str();
    let path = folder.path().join("blobs").join(&name[..2]).join(name);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    fs::write(&path, "rot").unwrap();
    let refused = store.blob(blob.id()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "the blob file `{}` is damaged; restore it from a backup",
            path.display()
        )
    );
}

#[tokio::test]
async fn no_list_reads_more_than_it_returns() {
    let (_folder, store) = opened().await;
    let database = rusqlite::Connection::open(store.database()).unwrap();
    let plan = |sql: &str| {
        let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let cases = [
        (
            "SELECT * FROM events WHERE run_id = 1 AND seq > 2 ORDER BY seq LIMIT 9",
            "SEARCH events USING INDEX events_of_run (run_id=? AND seq>?)",
        ),
        (
            "SELECT * FROM runs WHERE project_id = 1 AND status = 'QUEUED' AND id < 9 ORDER BY id DESC LIMIT 9",
            "SEARCH runs USING INDEX runs_by_project_and_status (project_id=? AND status=? AND id<?)",
        ),
        (
            "SELECT * FROM runs WHERE status = 'QUEUED' AND id < 9 ORDER BY id DESC LIMIT 9",
            "SEARCH runs USING INDEX runs_by_status (status=? AND id<?)",
        ),
        (
            "SELECT * FROM runs WHERE project_id = 1 ORDER BY id DESC LIMIT 9",
            "SEARCH runs USING INDEX runs_by_project (project_id=?)",
        ),
        (
            "SELECT * FROM runs INDEXED BY runs_in_claim_order WHERE status = 'QUEUED' AND claimed_by IS NULL \
             ORDER BY priority DESC, id LIMIT 1",
            "SCAN runs USING INDEX runs_in_claim_order",
        ),
        (
            "SELECT * FROM runs WHERE claimed_by IS NOT NULL AND id > 1 ORDER BY id LIMIT 9",
            "SEARCH runs USING INDEX runs_claimed (id>?)",
        ),
        (
            "SELECT * FROM approvals WHERE decision IS NULL AND closed_at IS NULL AND id > 1 ORDER BY id LIMIT 9",
            "SEARCH approvals USING INDEX approvals_open (id>?)",
        ),
        (
            "SELECT * FROM approvals INDEXED BY approvals_open_of_run WHERE run_id = 1 AND decision IS NULL AND \
             closed_at IS NULL AND id > 1 ORDER BY id LIMIT 9",
            "SEARCH approvals USING INDEX approvals_open_of_run (run_id=? AND id>?)",
        ),
        (
            "SELECT * FROM approvals WHERE run_id = 1 AND id > 1 ORDER BY id LIMIT 9",
            "SEARCH approvals USING INDEX approvals_of_run (run_id=? AND id>?)",
        ),
        (
            "SELECT * FROM events WHERE id > 1 ORDER BY id LIMIT 9",
            "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            "SELECT scope FROM answers WHERE created_at < 'x' ORDER BY created_at LIMIT 9",
            "SEARCH answers USING COVERING INDEX answers_by_age (created_at<?)",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(plan(sql), expected, "{sql}");
    }
}

#[tokio::test]
async fn damage_that_a_read_meets_ends_all_writing() {
    let (folder, store) = opened().await;
    let run = a_run(&store).await;
    let database = rusqlite::Connection::open(store.database()).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'projects'";
    let root: usize = database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    drop(database);
    store.close().await;
    let left = folder.path().join("left.db");
    let mut bytes = std::fs::read(store.database()).unwrap();
    bytes[(root - 1) * 4096..][..200].fill(0xAA);
    std::fs::write(&left, bytes).unwrap();

    // It was closed properly, so that nothing is checked at the start.
    let store = SqliteStore::open(&left).await.unwrap();
    assert_eq!(store.health(), StoreHealth::Sound);
    let refused = store.projects(Page::first(9)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unusable(_)), "{refused:?}");
    assert!(matches!(store.health(), StoreHealth::Damaged(_)));
    let refused = store.commit(commit_of(&run, Vec::new())).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unusable(_)), "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn a_look_at_the_queue_costs_the_same_however_many_wait() {
    let (_folder, store) = opened().await;
    let project = a_run(&store).await.project_id.unwrap();
    let database = rusqlite::Connection::open(store.database()).unwrap();
    let steps = || {
        let mut statement = database.prepare(super::queries::BUCKETS).unwrap();
        let heads = statement.query_map([], |_| Ok(())).unwrap().count();
        (heads, statement.get_status(rusqlite::StatementStatus::VmStep))
    };
    let few = steps();
    assert_eq!(few.0, 1);
    let more = (0..2_000).map(|_| new_run(project)).collect();
    store.create_runs(more, None).await.unwrap();
    assert_eq!(steps(), few);
    store.close().await;
}
