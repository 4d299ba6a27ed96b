//! Kills a process that writes, again and again: what was answered is there, in order, and nothing else but what was
//! under way.
//!
//! The process is this very test program, started again with the ignored test that writes. `FACTORY_TEST_KILLS` says how
//! often it is killed.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use factory_core::model::{
    Event, EventKind, NewEvent, NewProject, ProjectSettings, RunId, RunSpec, Seq, Timestamp, payload,
};
use factory_core::store::{
    Blob, Commit, NewRun, Page, RunFilter, SqliteStore, Store, StoreExt as _, StoreHealth, Urgency,
};

const DATABASE: &str = "FACTORY_TEST_CRASH_DATABASE";
const WRITERS: usize = 4;

/// Says that the process got as far as `what`, on a line of its own whatever the test harness prints.
fn say(what: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("\nsaid {what}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

fn database() -> PathBuf {
    std::env::var_os(DATABASE)
        .expect("the crash test says which database")
        .into()
}

/// Writes events to a run of its own in each of a few tasks, and says which were answered, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the crash tests start it in a process of its own"]
async fn child_that_writes() {
    let store = Arc::new(SqliteStore::open(&database()).await.unwrap());
    let runs = store.runs(RunFilter::default(), Page::first(500)).await.unwrap();
    let writers = runs.into_iter().map(|mut run| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                let next = run.last_seq.0 + 1;
                let commit = Commit {
                    expected_seq: run.last_seq,
                    run: run.clone(),
                    fence: None,
                    events: vec![NewEvent::system(payload::DirectiveReceived {
                        text: text(run.id, next),
                    })],
                    blobs: blob_of(run.id, next).into_iter().collect(),
                    approval: None,
                    at: Timestamp::UNKNOWN,
                    urgency: Urgency::Normal,
                    once: None,
                };
                run = store.commit(commit).await.unwrap().0;
                say(&format!("{} {}", run.id, run.last_seq));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let ended = futures_util::future::select_all(writers).await;
    panic!("a writer ended before it was killed: {ended:?}");
}

/// Opens the database, which brings it up to date, and says so.
#[tokio::test]
#[ignore = "the crash tests start it in a process of its own"]
async fn child_that_opens() {
    say("opening");
    SqliteStore::open(&database()).await.unwrap().close().await;
    say("opened");
}

fn text(run: RunId, seq: u64) -> String {
    format!("event {seq} of run {run}")
}

/// Returns the blob that comes with an event: every few bring one, and some of these are files.
fn blob_of(run: RunId, seq: u64) -> Option<Blob> {
    let size = if seq.is_multiple_of(32) { 1_100_000 } else { 100 };
    let mut content = text(run, seq).into_bytes();
    content.resize(size, b'.');
    seq.is_multiple_of(4).then(|| Blob::new(content))
}

fn start(child: &str, database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns what the child says, until it ends.
fn listen(child: &mut Child) -> std::thread::JoinHandle<Vec<String>> {
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        // The last line may be cut in the middle; only those with their line break were said.
        let lines = output.split(b'\n').map_while(Result::ok);
        lines
            .filter_map(|line| {
                String::from_utf8(line)
                    .ok()?
                    .strip_prefix("said ")
                    .map(str::to_owned)
            })
            .collect()
    })
}

/// Returns a number below `limit` that differs from call to call.
fn somewhere_below(limit: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::from(now.subsec_micros()) % limit
}

fn kills() -> usize {
    std::env::var("FACTORY_TEST_KILLS")
        .map_or(30, |kills| kills.parse().expect("FACTORY_TEST_KILLS is a number"))
}

async fn all_events(store: &SqliteStore, run: RunId) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(Seq(0), |event| event.seq);
        let page = store.events(run, Page::after(after, 500)).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let new = NewProject {
        name: "shop".to_owned(),
        local_path: "/srv/shop".into(),
        settings: ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    let project_id = store.create_project(new).await.unwrap().id;
    let mut runs = Vec::new();
    for _ in 0..WRITERS {
        let new = NewRun {
            project_id,
            goal: "x".to_owned(),
            spec: RunSpec::default(),
            priority: 0,
            event: NewEvent::system(payload::RunResumed {}),
            at: Timestamp::UNKNOWN,
        };
        runs.push(store.create_run(new).await.unwrap().0.id);
    }
    store.close().await;

    // How many events of each run earlier rounds have seen.
    let mut seen: HashMap<RunId, u64> = runs.iter().map(|run| (*run, 1)).collect();
    let mut answered_in_all = 0;
    for kill in 0..kills() {
        let mut child = start("child_that_writes", &path);
        let said = listen(&mut child);
        tokio::time::sleep(Duration::from_millis(20 + somewhere_below(120))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let answered: HashSet<(i64, u64)> = said
            .join()
            .unwrap()
            .iter()
            .filter_map(|line| {
                let (run, seq) = line.split_once(' ')?;
                Some((run.parse().ok()?, seq.parse().ok()?))
            })
            .collect();
        answered_in_all += answered.len();

        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(store.settled_health().await, StoreHealth::Sound);
        let mut found = HashSet::new();
        for run in &runs {
            let events = all_events(&store, *run).await;
            for (expected, event) in (1..).zip(&events) {
                assert_eq!(event.seq.0, expected, "kill {kill}, run {run}");
                let EventKind::DirectiveReceived(said) = &event.kind else {
                    continue;
                };
                assert_eq!(said.text, text(*run, expected));
                if expected > seen[run] {
                    found.insert((run.0, expected));
                    if let Some(blob) = blob_of(*run, expected) {
                        assert!(store.blob(blob.id()).await.unwrap() == blob.content());
                    }
                }
            }
            seen.insert(*run, events.len() as u64);
            assert_eq!(store.run(*run).await.unwrap().last_seq.0, events.len() as u64);
        }
        let lost: Vec<_> = answered.difference(&found).collect();
        assert_eq!(lost, Vec::<&(i64, u64)>::new(), "kill {kill}");
        let unanswered = found.len() - answered.len();
        assert!(
            unanswered <= WRITERS,
            "kill {kill}: {unanswered} events more than were under way"
        );
        store.close().await;
    }
    assert!(
        answered_in_all > kills(),
        "the killed processes wrote almost nothing: {answered_in_all}"
    );
}

#[tokio::test]
async fn a_migration_that_is_killed_leaves_the_old_database_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original.db");
    let seed = rusqlite::Connection::open(&original).unwrap();
    for part in [
        include_str!("fixtures/seed_schema.sql"),
        include_str!("fixtures/seed_rows.sql"),
    ] {
        seed.execute_batch(part).unwrap();
    }
    // Large enough that it takes a while.
    let more = "INSERT INTO events (run_id, type, payload) SELECT one.run_id, one.type, one.payload \
         FROM events AS one, (SELECT id FROM events LIMIT 40)";
    seed.execute_batch(more).unwrap();
    let rows: i64 = seed
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap();
    seed.close().unwrap();

    for kill in 0..kills().div_ceil(3) {
        let path = folder.path().join(format!("{kill}.db"));
        std::fs::copy(&original, &path).unwrap();
        let mut child = start("child_that_opens", &path);
        let said = listen(&mut child);
        tokio::time::sleep(Duration::from_millis(5 + somewhere_below(250))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let said = said.join().unwrap();

        let database = rusqlite::Connection::open(&path).unwrap();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let version = count("SELECT user_version FROM pragma_user_version");
        let sql = if version == 0 {
            "SELECT count(*) FROM events"
        } else {
            "SELECT (SELECT count(*) FROM events WHERE type <> 'RUN_PAUSE') \
             + (SELECT count(*) FROM orphaned_events)"
        };
        let kept = count(sql);
        assert_eq!(kept, rows, "kill {kill}, schema {version}");
        assert!(version == 4 || !said.contains(&"opened".to_owned()));
        database.close().unwrap();

        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(store.settled_health().await, StoreHealth::Sound);
        assert_eq!(
            store
                .runs(RunFilter::default(), Page::first(500))
                .await
                .unwrap()
                .len(),
            20
        );
        store.close().await;
    }
}
