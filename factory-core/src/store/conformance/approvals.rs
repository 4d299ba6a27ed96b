//! Scenarios of approval records: asked once, decided once, no longer asked when the run is over.

use super::{Fresh, a_run, all_events, assert_not_found, at, commit_of, directive};
use crate::model::{
    Actor, Approval, ApprovalId, ApprovalSubject, Decision, DecisionKind, NewEvent, Run, Seq, Timestamp,
    payload,
};
use crate::store::{ApprovalChange, Commit, Page, StoreError};

fn question(text: &str) -> ApprovalSubject {
    ApprovalSubject::Question {
        text: text.to_owned(),
    }
}

fn tree() -> ApprovalSubject {
    ApprovalSubject::Tree {
        base: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap(),
        tree: "5b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap(),
        message: "add a cart\n\nas asked".to_owned(),
        check: Some(Seq(1)),
        proven: true,
        sensitive: vec!["tests/cart.rs".to_owned()],
        why: "always".to_owned(),
    }
}

fn yes() -> Decision {
    Decision {
        kind: DecisionKind::Approved,
        text: Some("fine".to_owned()),
        by: Actor::Operator("ann".to_owned()),
        at: at(8),
    }
}

/// Returns a commit whose middle event asks for the approval.
fn opening(run: &Run, id: ApprovalId, subject: &ApprovalSubject, expires_at: Option<Timestamp>) -> Commit {
    let asked = payload::ApprovalRequested {
        approval: id,
        subject: subject.clone(),
        tool: None,
    };
    let events = vec![directive("before"), NewEvent::system(asked), directive("after")];
    let approval = Some(ApprovalChange::Open {
        id,
        subject: subject.clone(),
        expires_at,
    });
    Commit {
        approval,
        ..commit_of(run, events)
    }
}

fn deciding(run: &Run, id: ApprovalId) -> Commit {
    let approval = Some(ApprovalChange::Decide { id, decision: yes() });
    Commit {
        approval,
        ..commit_of(run, vec![directive("decided")])
    }
}

async fn opened(store: &Fresh, run: &Run) -> (Run, ApprovalId) {
    let id = store.next_approval_id().await.unwrap();
    let run = store
        .commit(opening(run, id, &question("?"), None))
        .await
        .unwrap()
        .0;
    (run, id)
}

/// A record is opened with the event that asks and takes one decision.
pub async fn an_approval_is_opened_and_decided_once(store: Fresh) {
    let run = a_run(&store).await;
    let id = store.next_approval_id().await.unwrap();
    let run = store
        .commit(opening(&run, id, &tree(), Some(at(100))))
        .await
        .unwrap()
        .0;
    let asked = Approval {
        id,
        run_id: run.id,
        seq: Seq(3),
        subject: tree(),
        asked_at: at(3),
        expires_at: Some(at(100)),
        decision: None,
    };
    assert_eq!(store.approval(id).await.unwrap(), asked);
    assert_eq!(
        store.open_approvals(None, Page::first(9)).await.unwrap(),
        std::slice::from_ref(&asked)
    );

    let run = store.commit(deciding(&run, id)).await.unwrap().0;
    let decided = Approval {
        decision: Some(yes()),
        ..asked
    };
    assert_eq!(store.approval(id).await.unwrap(), decided);
    assert_eq!(store.open_approvals(None, Page::first(9)).await.unwrap(), []);

    let refused = store.commit(deciding(&run, id)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    assert_eq!(store.approval(id).await.unwrap(), decided);
    assert_eq!(store.run(run.id).await.unwrap(), run);
    assert_not_found(store.approval(ApprovalId(99)).await, "approval", "99");
}

/// A number is given to one caller, used or not, and none that a record has is given at all.
pub async fn approval_numbers_are_never_given_twice(store: Fresh) {
    let unused = store.next_approval_id().await.unwrap();
    let used = store.next_approval_id().await.unwrap();
    assert!(used > unused);
    let run = a_run(&store).await;
    let ahead = ApprovalId(used.0 + 5);
    store
        .commit(opening(&run, ahead, &question("?"), None))
        .await
        .unwrap();
    assert!(store.next_approval_id().await.unwrap() > ahead);
}

/// A number that a record has cannot be opened again, by its own run or by another's.
pub async fn an_approval_number_is_stored_once(store: Fresh) {
    let (run, id) = opened(&store, &a_run(&store).await).await;
    let stored = store.approval(id).await.unwrap();
    for run in [run, a_run(&store).await] {
        let refused = store
            .commit(opening(&run, id, &question("again"), None))
            .await
            .unwrap_err();
        assert_eq!(refused.to_string(), format!("there is already a approval `{id}`"));
        assert_eq!(store.run(run.id).await.unwrap(), run);
    }
    assert_eq!(store.approval(id).await.unwrap(), stored);
}

/// Closing ends all that the run still asks, and nothing that another run asks. What is closed is not decided any more.
pub async fn closed_approvals_are_no_longer_asked(store: Fresh) {
    let (run, first) = opened(&store, &a_run(&store).await).await;
    let (run, second) = opened(&store, &run).await;
    let run = store.commit(deciding(&run, first)).await.unwrap().0;
    let (_, others) = opened(&store, &a_run(&store).await).await;
    let closing = Commit {
        approval: Some(ApprovalChange::CloseAll),
        ..commit_of(&run, vec![directive("stopped")])
    };
    let run = store.commit(closing).await.unwrap().0;
    let open = store.open_approvals(None, Page::first(9)).await.unwrap();
    assert_eq!(
        open.iter().map(|approval| approval.id).collect::<Vec<_>>(),
        [others]
    );
    assert_eq!(store.approval(first).await.unwrap().decision, Some(yes()));
    assert_eq!(store.approval(second).await.unwrap().decision, None);
    let refused = store.commit(deciding(&run, second)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
}

/// Open records are listed by number, of all runs or of one, page by page.
pub async fn open_approvals_are_listed_in_pages(store: Fresh) {
    assert_eq!(store.open_approvals(None, Page::first(2)).await.unwrap(), []);
    let (run, first) = opened(&store, &a_run(&store).await).await;
    let (_, second) = opened(&store, &a_run(&store).await).await;
    let (run, third) = opened(&store, &run).await;
    let ids = |approvals: Vec<Approval>| {
        approvals
            .into_iter()
            .map(|approval| approval.id)
            .collect::<Vec<_>>()
    };
    let all = |page| store.open_approvals(None, page);
    assert_eq!(ids(all(Page::first(2)).await.unwrap()), [first, second]);
    assert_eq!(ids(all(Page::after(second, 2)).await.unwrap()), [third]);
    assert_eq!(ids(all(Page::after(third, 2)).await.unwrap()), []);
    let own = |page| store.open_approvals(Some(run.id), page);
    assert_eq!(ids(own(Page::first(9)).await.unwrap()), [first, third]);
    assert_eq!(ids(own(Page::first(1)).await.unwrap()), [first]);
    assert_eq!(ids(own(Page::after(first, 9)).await.unwrap()), [third]);
}

/// A run's commit cannot decide what another run asks, nor what nobody asks.
pub async fn only_the_runs_own_approval_is_decided(store: Fresh) {
    let (_, id) = opened(&store, &a_run(&store).await).await;
    let other = a_run(&store).await;
    for id in [id, ApprovalId(99)] {
        assert_not_found(
            store.commit(deciding(&other, id)).await,
            "approval",
            &id.to_string(),
        );
    }
    assert_eq!(store.approval(id).await.unwrap().decision, None);
    assert_eq!(store.run(other.id).await.unwrap(), other);
}

/// A decision that comes too late stores no event either.
pub async fn a_refused_decision_stores_nothing(store: Fresh) {
    let (run, id) = opened(&store, &a_run(&store).await).await;
    let seen = store.commit(deciding(&run, id)).await.unwrap().0;
    store.commit(deciding(&seen, id)).await.unwrap_err();
    assert_eq!(all_events(&store, run.id).await.len(), 5);
    assert_eq!(store.run(run.id).await.unwrap(), seen);
}
