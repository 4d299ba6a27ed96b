//! Events are told once each, whether the bus or the store brings them.

use std::pin::pin;
use std::sync::Arc;

use factory_core::event_bus::EventBus;
use factory_core::factory::Sockets;
use factory_core::journal::{Entry, Journal, SystemClock};
use factory_core::model::payload::{DirectiveReceived, RunCreated};
use factory_core::model::{Actor, NewEvent, NewProject, ProjectSettings, RunId, RunSpec};
use factory_core::store::{MemoryStore, NewRun, Store};
use factory_core::{HostEnvironment, Settings};
use futures_util::poll;

use super::*;

/// More than the bus keeps for who is slow.
const MANY: usize = 5000;

async fn a_reader(store: &Arc<dyn Store>, folder: &std::path::Path) -> Reader {
    let host = HostEnvironment {
        variables: std::env::vars().collect(),
        home: folder.into(),
    };
    let sockets = Sockets {
        store: Some(Arc::clone(store)),
        ..Sockets::default()
    };
    let settings = Settings::new(folder.join("data"), host);
    let factory = Factory::open_with(settings, sockets).await.unwrap();
    factory.reader().clone()
}

async fn a_run(journal: &Journal) -> RunId {
    let project = NewProject {
        name: "shop".to_owned(),
        local_path: "/srv/shop".into(),
        settings: ProjectSettings::default(),
        created_at: journal.now(),
    };
    let project_id = journal.store().create_project(project).await.unwrap().id;
    let created = RunCreated {
        project_id,
        goal: "add a cart".to_owned(),
        spec: RunSpec::default(),
    };
    let run = NewRun {
        project_id,
        goal: created.goal.clone(),
        spec: RunSpec::default(),
        priority: 0,
        event: NewEvent::by(Actor::Operator("ann".to_owned()), created),
        at: journal.now(),
    };
    journal.create(vec![run], None).await.unwrap()[0].id
}

async fn direct(journal: &Journal, run: RunId, times: usize) {
    let directive = DirectiveReceived {
        text: "faster".to_owned(),
    };
    let event = NewEvent::by(Actor::Operator("ann".to_owned()), directive);
    let entry = Entry::of(vec![event; times]);
    journal.write(run, None, entry).await.unwrap();
}

fn told(metrics: &Metrics) -> usize {
    let text = metrics.render();
    let line = "factory_events_total{type=\"DIRECTIVE_RECEIVED\"} ";
    let count = text.lines().find_map(|found| found.strip_prefix(line));
    count.unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_event_is_told_once_however_slow_the_watcher_is() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let reader = a_reader(&store, folder.path()).await;
    let bus = EventBus::default();
    let journal = Journal::new(Arc::clone(&store), bus.clone(), Arc::new(SystemClock));
    let run = a_run(&journal).await;
    direct(&journal, run, 7).await;
    let metrics = Metrics::new();
    let mut watcher = Watcher {
        newest: reader.newest_event().await.unwrap(),
        reader,
        heard: bus.subscribe(),
        metrics: metrics.clone(),
    };
    // Stored before the watcher looks, and heard by it as well.
    direct(&journal, run, 2).await;
    let mut listening = pin!(watcher.listen());
    assert!(poll!(&mut listening).is_pending());
    assert_eq!(told(&metrics), 2);
    direct(&journal, run, 3).await;
    assert!(poll!(&mut listening).is_pending());
    assert_eq!(told(&metrics), 5);
    direct(&journal, run, MANY).await;
    drop((journal, bus));
    listening.await.unwrap();
    assert_eq!(told(&metrics), 5 + MANY);
}
