//! What the journal makes of a store that cannot tell what became of a write.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::sync::Arc;

use factory_core::event_bus::{EventBus, Notice};
use factory_core::journal::{Entry, Journal, JournalError, SystemClock};
use factory_core::model::payload::{DirectiveReceived, RunCreated};
use factory_core::model::{NewEvent, NewProject, ProjectSettings, RunId, RunSpec, Seq, Timestamp};
use factory_core::store::{MemoryStore, NewRun, Page, Store, StoreError};
use factory_core::testing::{Fault, FaultyStore};

async fn journal() -> (Arc<FaultyStore>, Journal, RunId) {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let journal = Journal::new(
        Arc::clone(&store) as Arc<dyn Store>,
        EventBus::default(),
        Arc::new(SystemClock),
    );
    let project = NewProject {
        name: "p".to_owned(),
        local_path: "/p".into(),
        settings: ProjectSettings::default(),
        created_at: Timestamp::UNKNOWN,
    };
    let project_id = store.create_project(project).await.unwrap().id;
    let (goal, spec) = ("g".to_owned(), RunSpec::default());
    let created = RunCreated {
        project_id,
        goal: goal.clone(),
        spec: spec.clone(),
    };
    let event = NewEvent::system(created);
    let run = journal
        .create(
            vec![NewRun {
                project_id,
                goal,
                spec,
                priority: 0,
                event,
                at: Timestamp::UNKNOWN,
            }],
            None,
        )
        .await;
    (store, journal, run.unwrap()[0].id)
}

fn directive() -> Entry {
    Entry::one(NewEvent::system(DirectiveReceived {
        text: "use tabs".to_owned(),
    }))
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_and_not_made_twice() {
    let (store, journal, run) = journal().await;
    let mut heard = journal.bus().subscribe();
    store.fail_next_write(Fault::ANSWER_LOST);
    let (row, events) = journal.write(run, None, directive()).await.unwrap();
    assert_eq!((row.last_seq, events.len()), (Seq(2), 1));
    assert!(matches!(heard.next().await, Ok(Some(Notice::Stored(event))) if event.event().seq == Seq(2)));
    assert_eq!(store.events(run, Page::first(9)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_write_that_was_lost_is_made_again_a_few_times() {
    let (store, journal, run) = journal().await;
    store.fail_next_write(Fault::LOST);
    journal.write(run, None, directive()).await.unwrap();
    assert_eq!(store.events(run, Page::first(9)).await.unwrap().len(), 2);
    store.fail_every_write(Fault::LOST);
    let error = journal.write(run, None, directive()).await.unwrap_err();
    assert!(
        matches!(error, JournalError::Store(StoreError::Backend { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_disk_is_told_at_once() {
    let (store, journal, run) = journal().await;
    store.fail_next_write(Fault::STORAGE_FULL);
    let error = journal.write(run, None, directive()).await.unwrap_err();
    assert!(
        matches!(error, JournalError::Store(StoreError::StorageFull)),
        "{error}"
    );
}
