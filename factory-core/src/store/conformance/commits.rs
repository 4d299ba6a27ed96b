//! Scenarios of commits: all or nothing, and never over somebody else's write.

use std::sync::Arc;

use super::{
    Fresh, a_claimed_run, a_run, all_events, assert_not_found, at, blob, commit_of, directive, set_status,
    worker,
};
use crate::model::{
    ApprovalSubject, Claim, CommitId, EventKind, Fence, ProjectId, Run, RunId, RunSpec, RunStatus, Seq,
    StatusReason, Usage,
};
use crate::store::{ApprovalChange, Claimable, Commit, NewRun, Page, StoreError, StoreExt as _, Urgency};

const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A commit stores its events under the next numbers, and the row as it stands after them.
pub async fn a_commit_stores_events_and_the_row(store: Fresh) {
    let run = a_claimed_run(&store).await;
    let wanted = Run {
        status: RunStatus::AwaitingApproval,
        reason: Some(StatusReason::ApprovalNeeded),
        detail: Some("look at the \"diff\"".to_owned()),
        current_iteration: 4,
        priority: 9,
        spec: RunSpec {
            model: "scripted:y".to_owned(),
            ..RunSpec::default()
        },
        base_commit: Some(COMMIT.parse::<CommitId>().unwrap()),
        branch: Some("factory/run-1".to_owned()),
        commit: Some(COMMIT.parse::<CommitId>().unwrap()),
        usage: Usage {
            calls: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
            cached_tokens: 7,
            cost_micros: 8,
            estimated_tokens: 4,
            work_ms: 5,
            turns: 6,
        },
        ..run.clone()
    };
    let commit = Commit {
        run: wanted.clone(),
        ..commit_of(&run, vec![directive("one"), directive("two")])
    };
    let (stored, events) = store.commit(commit).await.unwrap();
    let expected = Run {
        last_seq: Seq(4),
        updated_at: at(3),
        ..wanted
    };
    assert_eq!(stored, expected);
    assert_eq!(store.run(run.id).await.unwrap(), expected);
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.seq, event.kind.clone(), event.created_at))
        .collect();
    let expected = [
        (Seq(3), directive("one").kind, at(3)),
        (Seq(4), directive("two").kind, at(3)),
    ];
    assert_eq!(told, expected);
    assert_eq!(all_events(&store, run.id).await[2..], events);
}

/// Number, project, goal, filing time, fence and event count are not the writer's to change.
pub async fn a_commit_leaves_what_is_not_its_own(store: Fresh) {
    let run = a_claimed_run(&store).await;
    let mut commit = commit_of(&run, vec![directive("x")]);
    commit.run.project_id = Some(ProjectId(77));
    commit.run.goal.push_str(", and another");
    commit.run.created_at = at(900);
    commit.run.updated_at = at(901);
    commit.run.fence = Fence(50);
    commit.run.last_seq = Seq(60);
    commit.run.claim = Some(Claim {
        worker: worker("thief"),
        fence: Fence(50),
        since: at(902),
    });
    let (stored, _) = store.commit(commit).await.unwrap();
    let expected = Run {
        last_seq: Seq(3),
        updated_at: at(3),
        ..run
    };
    assert_eq!(stored, expected);
    assert_eq!(store.run(expected.id).await.unwrap(), expected);
}

/// A worker whose run was given to another is fenced off, even where it has seen the newest event.
pub async fn a_commit_by_an_older_claim_is_fenced(store: Fresh) {
    let old = a_claimed_run(&store).await;
    store.release_claim(old.id, old.fence).await.unwrap();
    set_status(&store, &old, RunStatus::Queued).await;
    let (new, _) = store
        .claim(&worker("two"), Claimable::Next, at(5))
        .await
        .unwrap()
        .unwrap();
    for expected_seq in [old.last_seq, new.last_seq] {
        let commit = Commit {
            fence: Some(old.fence),
            expected_seq,
            ..commit_of(&new, vec![directive("ghost")])
        };
        let refused = store.commit(commit).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Fenced { run, fence } if run == old.id && fence == old.fence),
            "{refused:?}"
        );
    }
    assert_eq!(store.run(new.id).await.unwrap(), new);
    store
        .commit(commit_of(&new, vec![directive("mine")]))
        .await
        .unwrap();
}

/// The newest fence is of no use either once its claim was released.
pub async fn a_commit_needs_a_held_claim_if_it_shows_a_fence(store: Fresh) {
    let run = a_claimed_run(&store).await;
    store.release_claim(run.id, run.fence).await.unwrap();
    let refused = store
        .commit(commit_of(&run, vec![directive("ghost")]))
        .await
        .unwrap_err();
    let expected = format!("run {} is no longer claimed under fence 1", run.id);
    assert_eq!(refused.to_string(), expected);
}

/// The operator writes to a claimed run without its fence, and the worker's next write then conflicts.
pub async fn the_operator_writes_without_a_fence(store: Fresh) {
    let run = a_claimed_run(&store).await;
    let paused = set_status(&store, &run, RunStatus::Paused).await;
    assert_eq!((paused.status, &paused.claim), (RunStatus::Paused, &run.claim));
    let refused = store
        .commit(commit_of(&run, vec![directive("x")]))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    // Having read again, the worker records what it did.
    store
        .commit(commit_of(&paused, vec![directive("x")]))
        .await
        .unwrap();
}

/// A row without the claim releases it in the same write.
pub async fn a_commit_that_drops_the_claim_releases_it(store: Fresh) {
    let run = a_claimed_run(&store).await;
    let mut commit = commit_of(&run, vec![directive("back")]);
    commit.run.claim = None;
    commit.run.status = RunStatus::Queued;
    let (stored, _) = store.commit(commit).await.unwrap();
    assert_eq!(
        (stored.status, stored.claim, stored.fence),
        (RunStatus::Queued, None, Fence(1))
    );
    assert!(
        store
            .claim(&worker("two"), Claimable::Next, at(5))
            .await
            .unwrap()
            .is_some()
    );
}

/// A writer that read the run before its claim was released does not bring the claim back.
pub async fn a_commit_cannot_bring_a_released_claim_back(store: Fresh) {
    let run = a_claimed_run(&store).await;
    store.release_claim(run.id, run.fence).await.unwrap();
    let mut commit = commit_of(&run, vec![directive("x")]);
    commit.fence = None;
    assert_eq!(store.commit(commit).await.unwrap().0.claim, None);
    assert_eq!(store.claimed_runs(Page::first(9)).await.unwrap(), []);
}

/// Who has not seen the newest event, or claims to have seen one that is not there, is told to read again.
pub async fn a_late_commit_conflicts(store: Fresh) {
    let run = a_run(&store).await;
    let newest = store
        .commit(commit_of(&run, vec![directive("first")]))
        .await
        .unwrap()
        .0;
    for expected_seq in [Seq(0), Seq(1), Seq(3)] {
        let commit = Commit {
            expected_seq,
            ..commit_of(&newest, vec![directive("second")])
        };
        let refused = store.commit(commit).await.unwrap_err();
        let expected = format!(
            "run {} has moved on: expected event {expected_seq}, found 2",
            run.id
        );
        assert_eq!(refused.to_string(), expected);
    }
    assert_eq!(store.run(run.id).await.unwrap(), newest);
}

/// A refused commit stores neither event nor row nor blob nor approval.
pub async fn a_refused_commit_stores_nothing(store: Fresh) {
    let run = a_run(&store).await;
    let newest = store
        .commit(commit_of(&run, vec![directive("first")]))
        .await
        .unwrap()
        .0;
    let id = store.next_approval_id().await.unwrap();
    let text = blob("never stored");
    let mut late = commit_of(&run, vec![directive("late")]);
    late.run.status = RunStatus::Failed;
    late.blobs = vec![text.clone()];
    late.approval = Some(ApprovalChange::Open {
        id,
        subject: ApprovalSubject::Question { text: "?".to_owned() },
        expires_at: None,
    });
    store.commit(late).await.unwrap_err();
    assert_eq!(store.run(run.id).await.unwrap(), newest);
    assert_eq!(all_events(&store, run.id).await.len(), 2);
    assert_not_found(store.blob(text.id()).await, "blob", text.id().as_str());
    assert_not_found(store.approval(id).await, "approval", &id.to_string());
}

/// A row without an event to tell of it is not stored.
pub async fn a_commit_without_events_is_refused(store: Fresh) {
    let run = a_run(&store).await;
    let mut silent = commit_of(&run, Vec::new());
    silent.run.status = RunStatus::Stopped;
    let refused = store.commit(silent).await.unwrap_err();
    assert!(matches!(refused, StoreError::Backend { .. }), "{refused:?}");
    assert_eq!(store.run(run.id).await.unwrap(), run);
}

/// A commit to a run that is not there is refused.
pub async fn a_commit_of_no_run_is_refused(store: Fresh) {
    let mut run = a_run(&store).await;
    run.id = RunId(99);
    assert_not_found(
        store.commit(commit_of(&run, vec![directive("x")])).await,
        "run",
        "99",
    );
}

/// The queue's order is priority and number, so that a run which comes back keeps its place.
pub async fn a_resumed_run_keeps_its_place_in_the_queue(store: Fresh) {
    let first = a_run(&store).await;
    let second = a_run(&store).await;
    let paused = set_status(&store, &first, RunStatus::Paused).await;
    let third = store
        .create_run(NewRun {
            ..super::new_run(first.project_id.unwrap(), "x")
        })
        .await
        .unwrap()
        .0;
    set_status(&store, &paused, RunStatus::Queued).await;
    for expected in [first.id, second.id, third.id] {
        let claimed = store.claim(&worker("one"), Claimable::Next, at(5)).await.unwrap();
        assert_eq!(claimed.unwrap().0.id, expected);
    }
}

/// An urgent commit is one like any other, only sooner.
pub async fn urgent_commits_are_stored_like_others(store: Fresh) {
    let run = a_run(&store).await;
    let commit = Commit {
        urgency: Urgency::First,
        ..commit_of(&run, vec![directive("stop")])
    };
    let (stored, events) = store.commit(commit.clone()).await.unwrap();
    assert_eq!((stored.last_seq, events.len()), (Seq(2), 1));
    assert!(matches!(
        store.commit(commit).await,
        Err(StoreError::Conflict { .. })
    ));
}

/// Writers that race for a run and read again after a conflict lose nothing: every event is stored once, the numbers
/// have no gap, and each writer's own events stand in its own order.
pub async fn concurrent_writers_lose_nothing(store: Fresh) {
    const WRITERS: usize = 4;
    const EVENTS: usize = 25;
    let run = a_run(&store).await.id;
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..EVENTS {
                loop {
                    let seen = store.run(run).await.unwrap();
                    let mut commit = commit_of(&seen, vec![directive(&format!("{writer}:{number}"))]);
                    commit.run.current_iteration += 1;
                    match store.commit(commit).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let events = all_events(&store, run).await;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
    assert_eq!(numbers, (1..=(WRITERS * EVENTS + 1) as u64).collect::<Vec<_>>());
    for writer in 0..WRITERS {
        let own = format!("{writer}:");
        let told: Vec<String> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::DirectiveReceived(said) if said.text.starts_with(&own) => Some(said.text.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(
            told,
            (0..EVENTS)
                .map(|number| format!("{own}{number}"))
                .collect::<Vec<_>>()
        );
    }
    assert_eq!(
        store.run(run).await.unwrap().current_iteration,
        (WRITERS * EVENTS) as u64
    );
}
