//! What every store must do, as scenarios that each backend runs: one function and one named test per scenario.
//!
//! A backend's test file says [`store_conformance!`](crate::store_conformance) with a function that makes a fresh store:
//!
//! ```
//! # #[allow(dead_code)]
//! mod memory {
//!     use std::sync::Arc;
//!     use factory_core::store::{MemoryStore, Store};
//!
//!     async fn fresh_store() -> (Arc<dyn Store>, ()) {
//!         (Arc::new(MemoryStore::new()), ())
//!     }
//!     factory_core::store_conformance!(fresh_store);
//! }
//! ```
//!
//! The second half of the pair is kept until the scenario is over: a temporary folder, say. The crate that uses the macro
//! needs `tokio` with `macros` and `rt-multi-thread`.

#![expect(
    clippy::unwrap_used,
    reason = "scenarios are tests: what is not as it should be fails them"
)]

mod answers;
mod approvals;
mod blobs;
mod claims;
mod commits;
mod credentials;
mod events;
mod projects;
mod runs;
mod totals;

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Blob, Commit, NewRun, Store, StoreError, StoreExt as _, Urgency};
use crate::model::{
    Actor, Event, NewEvent, NewProject, Project, ProjectId, ProjectSettings, Run, RunId, RunSpec, RunStatus,
    Timestamp, WorkerId, payload,
};

pub use answers::*;
pub use approvals::*;
pub use blobs::*;
pub use claims::*;
pub use commits::*;
pub use credentials::*;
pub use events::*;
pub use projects::*;
pub use runs::*;
pub use totals::*;

/// Expands to one test per scenario. See [`conformance`](crate::store::conformance).
///
/// What follows the function is put on every test: `#[ignore = "needs a server: set …"]`, say.
#[macro_export]
macro_rules! store_conformance {
    (@test $fresh_store:expr, [$($attribute:tt)*], $scenario:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $($attribute)*
        async fn $scenario() {
            let (store, _kept) = $fresh_store().await;
            $crate::store::conformance::$scenario(store).await;
        }
    };
    (@tests $fresh_store:expr, $attributes:tt, $($scenario:ident)*) => {
        $($crate::store_conformance!(@test $fresh_store, $attributes, $scenario);)*
    };
    ($fresh_store:expr $(, $($attribute:tt)*)?) => {
        $crate::store_conformance!(@tests $fresh_store, [$($($attribute)*)?],
            a_project_comes_back_as_it_was_stored
            a_projects_name_is_unique
            a_project_is_updated_but_keeps_its_number_and_time
            a_project_with_unfinished_runs_stays
            a_removed_project_leaves_its_final_runs
            a_projects_number_is_never_used_again
            projects_are_listed_in_pages

            a_run_is_stored_queued_with_its_first_event
            a_run_needs_its_project
            runs_are_listed_newest_first_in_pages
            runs_are_filtered
            runs_are_filed_all_or_none
            a_page_has_bounds

            a_claim_starts_the_run
            claims_follow_priority_then_age
            a_run_of_choice_is_claimed_or_none
            a_paused_run_is_not_claimable_until_its_claim_is_released
            a_claim_is_released_by_its_own_fence_alone
            each_claim_has_a_higher_fence
            claimed_runs_are_listed_in_pages
            two_workers_never_get_the_same_run
            the_queues_heads_are_one_a_server_and_project

            a_commit_stores_events_and_the_row
            a_commit_leaves_what_is_not_its_own
            a_commit_by_an_older_claim_is_fenced
            a_commit_needs_a_held_claim_if_it_shows_a_fence
            the_operator_writes_without_a_fence
            a_commit_that_drops_the_claim_releases_it
            a_commit_cannot_bring_a_released_claim_back
            a_late_commit_conflicts
            a_refused_commit_stores_nothing
            a_commit_without_events_is_refused
            a_commit_of_no_run_is_refused
            a_resumed_run_keeps_its_place_in_the_queue
            urgent_commits_are_stored_like_others
            concurrent_writers_lose_nothing

            events_come_back_in_order_and_in_pages
            events_of_no_run_are_not_found
            an_event_keeps_all_that_it_says
            unknown_events_are_kept_byte_for_byte
            event_numbers_are_never_shared
            events_of_all_runs_come_in_the_order_of_their_numbers

            what_is_filed_once_is_not_filed_again
            what_is_committed_once_is_not_committed_again
            an_answer_is_remembered_until_it_is_forgotten
            usage_is_summed_by_day_project_and_model
            runs_are_counted_by_status
            approvals_of_a_run_are_listed_decided_ones_too

            an_approval_is_opened_and_decided_once
            approval_numbers_are_never_given_twice
            an_approval_number_is_stored_once
            closed_approvals_are_no_longer_asked
            open_approvals_are_listed_in_pages
            only_the_runs_own_approval_is_decided
            a_refused_decision_stores_nothing

            a_blob_comes_back_whole
            a_blob_is_kept_once
            an_unknown_blob_is_not_found

            a_credential_comes_back_as_it_was_stored
            a_credentials_hash_is_unique
            a_revoked_credential_no_longer_holds
            credentials_are_listed_in_pages
            a_login_code_opens_one_session
            only_a_login_code_that_holds_is_redeemed
            of_two_that_redeem_a_code_one_gets_the_session

            a_closed_store_refuses_everything
        );
    };
}

/// The store that a scenario is run against.
type Fresh = Arc<dyn Store>;

/// Returns the moment `seconds` after a fixed one.
fn at(seconds: u64) -> Timestamp {
    let start: Timestamp = OffsetDateTime::UNIX_EPOCH.into();
    start.after(std::time::Duration::from_secs(1_800_000_000 + seconds))
}

fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

fn new_project(name: &str) -> NewProject {
    NewProject {
        name: name.to_owned(),
        local_path: format!("/srv/{name}").into(),
        settings: ProjectSettings::default(),
        created_at: at(0),
    }
}

fn new_run(project_id: ProjectId, goal: &str) -> NewRun {
    let spec = RunSpec::default();
    NewRun {
        project_id,
        goal: goal.to_owned(),
        spec: spec.clone(),
        priority: 0,
        event: NewEvent::by(
            Actor::Operator("ann".to_owned()),
            payload::RunCreated {
                project_id,
                goal: goal.to_owned(),
                spec,
            },
        ),
        at: at(1),
    }
}

async fn a_project(store: &Fresh) -> Project {
    store.create_project(new_project("shop")).await.unwrap()
}

async fn a_run(store: &Fresh) -> Run {
    let project = match store.project_by_name("shop").await {
        Ok(project) => project,
        Err(_) => a_project(store).await,
    };
    store
        .create_run(new_run(project.id, "add a cart"))
        .await
        .unwrap()
        .0
}

async fn a_claimed_run(store: &Fresh) -> Run {
    let run = a_run(store).await;
    let claimed = store
        .claim(&worker("one"), super::Claimable::Run(run.id), at(2))
        .await
        .unwrap();
    claimed.unwrap().0
}

fn directive(text: &str) -> NewEvent {
    NewEvent::by(
        Actor::Operator("ann".to_owned()),
        payload::DirectiveReceived {
            text: text.to_owned(),
        },
    )
}

/// Returns a commit of `events` by the run's own worker, or by the operator where it has none.
fn commit_of(run: &Run, events: Vec<NewEvent>) -> Commit {
    Commit {
        run: run.clone(),
        expected_seq: run.last_seq,
        fence: run.claim.as_ref().map(|claim| claim.fence),
        events,
        blobs: Vec::new(),
        approval: None,
        at: at(3),
        urgency: Urgency::Normal,
        once: None,
    }
}

/// Writes the run's new status with an event, as the operator.
async fn set_status(store: &Fresh, run: &Run, status: RunStatus) -> Run {
    let mut commit = commit_of(run, vec![directive("as you were")]);
    commit.fence = None;
    commit.run.status = status;
    store.commit(commit).await.unwrap().0
}

async fn all_events(store: &Fresh, run: RunId) -> Vec<Event> {
    store.events(run, super::Page::first(500)).await.unwrap()
}

fn blob(text: &str) -> Blob {
    Blob::new(text)
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(answer: Result<T, StoreError>, kind: &str, id: &str) {
    assert_eq!(answer.unwrap_err().to_string(), format!("no {kind} `{id}`"));
}

/// After [`Store::close`] nothing is answered, and nothing is stored.
pub async fn a_closed_store_refuses_everything(store: Fresh) {
    let run = a_run(&store).await;
    store.close().await;
    store.close().await;
    assert!(store.run(run.id).await.is_err());
    assert!(store.projects(super::Page::first(1)).await.is_err());
    assert!(store.create_project(new_project("late")).await.is_err());
    assert!(
        store
            .commit(commit_of(&run, vec![directive("late")]))
            .await
            .is_err()
    );
}
