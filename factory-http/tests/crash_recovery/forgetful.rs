//! The harness caught being blind, or not: the same run over a store that answers before it has written must be found
//! out, and over the real one it must not.
//!
//! The process that is killed is this very test program, started again with the ignored test that works on a run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use factory_core::factory::Sockets;
use factory_core::model::RunStatus;
use factory_core::store::{SqliteStore, Store};
use factory_core::testing::ForgetfulStore;
use factory_core::{Factory, HostEnvironment, Settings};

use crate::checker::{Rule, violations};
use crate::evidence::{Death, Evidence};
use crate::phase::Phase;
use crate::place::{Place, RUN};

const DATA_FOLDER: &str = "FACTORY_TEST_CRASH_DATA_FOLDER";
const LAG_MS: &str = "FACTORY_TEST_CRASH_LAG_MS";

/// The turns of the model in which processes are killed.
const TURNS: [u64; 3] = [2, 4, 6];

/// How long the untrustworthy store holds back what it has answered: many turns.
const LAG: Duration = Duration::from_secs(10);

const PATIENCE: Duration = Duration::from_secs(90);

/// Works on the run until it rests, over the store that the test names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the tests of the forgetful store start it in a process of its own"]
async fn child_that_works() {
    let folder: PathBuf = std::env::var_os(DATA_FOLDER).expect("the test names it").into();
    let lag = std::env::var(LAG_MS).expect("the test names it").parse().unwrap();
    let sqlite = SqliteStore::open(&folder.join("platform.db")).await.unwrap();
    let mut store: Arc<dyn Store> = Arc::new(sqlite);
    if lag > 0 {
        store = Arc::new(ForgetfulStore::new(store, Duration::from_millis(lag)));
    }
    let host = HostEnvironment {
        home: std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default(),
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    };
    let sockets = Sockets {
        store: Some(store),
        ..Sockets::default()
    };
    let factory = Factory::open_with(Settings::new(folder, host), sockets)
        .await
        .unwrap();
    if factory.reader().row(RUN).await.unwrap().status == RunStatus::Paused {
        factory.resume(RUN).await.unwrap();
    }
    factory.drive(RUN).await.unwrap();
    factory.shutdown().await;
}

fn begin(data_folder: &Path, lag: Duration) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "forgetful::child_that_works", "--ignored"])
        .env(DATA_FOLDER, data_folder)
        .env(LAG_MS, lag.as_millis().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the process of a run soon after each of [`TURNS`] was asked for, then lets it end.
async fn killed_run(lag: Duration) -> (Place, Evidence) {
    let place = Place::with_a_filed_run();
    let before = place.operators_own();
    let mut deaths = Vec::new();
    for turn in TURNS {
        let mut process = begin(&place.data_folder(), lag);
        let begun = Instant::now();
        let asked = || {
            let log = place.model_log();
            log.iter().any(|said| said.event == "asked" && said.turn >= turn)
        };
        while !asked() {
            assert!(begun.elapsed() < PATIENCE, "turn {turn} is never asked");
            assert_eq!(process.try_wait().unwrap(), None, "the process ended by itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let (_, events) = place.history().await;
        deaths.push(Death {
            phase: Phase::of(&events),
            log_lines: place.model_log().len(),
            events,
        });
    }
    for _ in 0..3 {
        begin(&place.data_folder(), lag).wait().unwrap();
        if place.history().await.0.status.is_final() {
            break;
        }
    }
    let evidence = Evidence::gather(&place, before, deaths).await;
    (place, evidence)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_that_acts_before_it_stores_is_found_out() {
    let (honest, expected) = killed_run(Duration::ZERO).await;
    assert_eq!(violations(&expected, &expected), []);
    honest.take_away();
    let (forgetful, evidence) = killed_run(LAG).await;
    let wrong = violations(&evidence, &expected);
    let asked_again = wrong.iter().filter(|wrong| wrong.rule == Rule::AskedAgain);
    // One at least for each process that was killed.
    assert!(asked_again.count() >= TURNS.len(), "{wrong:#?}");
    forgetful.take_away();
}
