//! Scenarios of claims: who gets which run, and when it can be had again.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Fresh, a_claimed_run, a_project, a_run, all_events, at, new_run, set_status, worker};
use crate::model::{
    Actor, Claim, Event, EventKind, Fence, Run, RunId, RunStatus, Seq, StatusReason, payload,
};
use crate::store::{Claimable, Commit, NewRun, Page, StoreExt as _};

/// A claim makes the run RUNNING under the next fence and tells so, in one write. The old reason goes.
pub async fn a_claim_starts_the_run(store: Fresh) {
    assert_eq!(
        store.claim(&worker("one"), Claimable::Next, at(5)).await.unwrap(),
        None
    );
    let run = a_run(&store).await;
    let mut commit = super::commit_of(&run, vec![super::directive("go on")]);
    commit.run.reason = Some(StatusReason::Operator);
    commit.run.detail = Some("because".to_owned());
    let (run, _) = store.commit(commit).await.unwrap();
    assert_eq!(run.reason, Some(StatusReason::Operator));

    let (claimed, event) = store
        .claim(&worker("one"), Claimable::Next, at(5))
        .await
        .unwrap()
        .unwrap();
    let expected = Run {
        status: RunStatus::Running,
        reason: None,
        detail: None,
        last_seq: Seq(3),
        fence: Fence(1),
        claim: Some(Claim {
            worker: worker("one"),
            fence: Fence(1),
            since: at(5),
        }),
        updated_at: at(5),
        ..run
    };
    assert_eq!(claimed, expected);
    assert_eq!(store.run(claimed.id).await.unwrap(), expected);
    let expected_event = Event {
        id: event.id,
        run_id: claimed.id,
        seq: Seq(3),
        actor: Actor::System,
        cause: None,
        step_id: None,
        kind: EventKind::from(payload::RunStarted {
            worker: worker("one"),
            fence: Fence(1),
        }),
        created_at: at(5),
    };
    assert_eq!(event, expected_event);
    assert_eq!(all_events(&store, claimed.id).await.pop(), Some(expected_event));
    assert_eq!(
        store.claim(&worker("two"), Claimable::Next, at(6)).await.unwrap(),
        None
    );
}

/// The highest priority goes first, then the lowest number.
pub async fn claims_follow_priority_then_age(store: Fresh) {
    let project = a_project(&store).await;
    let mut filed = Vec::new();
    for priority in [0, 5, -5, 5, 0] {
        let new = NewRun {
            priority,
            ..new_run(project.id, "x")
        };
        filed.push(store.create_run(new).await.unwrap().0.id);
    }
    let mut given = Vec::new();
    while let Some((run, _)) = store.claim(&worker("one"), Claimable::Next, at(5)).await.unwrap() {
        given.push(run.id);
    }
    assert_eq!(given, [1, 3, 0, 4, 2].map(|index: usize| filed[index]));
}

/// A run of choice is claimed if it is QUEUED and free; otherwise none is, not another one.
pub async fn a_run_of_choice_is_claimed_or_none(store: Fresh) {
    let first = a_run(&store).await;
    let second = a_run(&store).await;
    let name = worker("one");
    let claim = |id| store.claim(&name, Claimable::Run(id), at(5));
    assert_eq!(claim(second.id).await.unwrap().unwrap().0.id, second.id);
    assert_eq!(claim(second.id).await.unwrap(), None);
    assert_eq!(claim(RunId(99)).await.unwrap(), None);
    for status in RunStatus::ALL
        .into_iter()
        .filter(|status| *status != RunStatus::Queued)
    {
        let run = store.run(first.id).await.unwrap();
        let run = set_status(&store, &run, status).await;
        assert_eq!(claim(first.id).await.unwrap(), None, "{status}");
        assert_eq!(store.run(first.id).await.unwrap(), run);
    }
}

/// A worker that was paused keeps its claim until it has put everything down; till then nobody else gets the run.
pub async fn a_paused_run_is_not_claimable_until_its_claim_is_released(store: Fresh) {
    let running = a_claimed_run(&store).await;
    let paused = set_status(&store, &running, RunStatus::Paused).await;
    assert_eq!(paused.claim, running.claim);
    set_status(&store, &paused, RunStatus::Queued).await;
    for which in [Claimable::Next, Claimable::Run(running.id)] {
        assert_eq!(store.claim(&worker("two"), which, at(5)).await.unwrap(), None);
    }
    store.release_claim(running.id, running.fence).await.unwrap();
    let (claimed, _) = store
        .claim(&worker("two"), Claimable::Next, at(6))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((claimed.id, claimed.fence), (running.id, Fence(2)));
}

/// A release ends the claim and changes nothing else; one by an older or unknown fence changes nothing at all.
pub async fn a_claim_is_released_by_its_own_fence_alone(store: Fresh) {
    let running = a_claimed_run(&store).await;
    let paused = set_status(&store, &running, RunStatus::Paused).await;
    for fence in [Fence(0), Fence(2)] {
        store.release_claim(paused.id, fence).await.unwrap();
        assert_eq!(store.run(paused.id).await.unwrap(), paused);
    }
    let released = Run {
        claim: None,
        ..paused.clone()
    };
    for _ in 0..2 {
        store.release_claim(paused.id, Fence(1)).await.unwrap();
        assert_eq!(store.run(paused.id).await.unwrap(), released);
    }
    store.release_claim(RunId(99), Fence(1)).await.unwrap();

    set_status(&store, &released, RunStatus::Queued).await;
    let (again, _) = store
        .claim(&worker("two"), Claimable::Next, at(6))
        .await
        .unwrap()
        .unwrap();
    store.release_claim(again.id, Fence(1)).await.unwrap();
    assert_eq!(store.run(again.id).await.unwrap(), again);
}

/// The fence grows with each claim, however the one before ended.
pub async fn each_claim_has_a_higher_fence(store: Fresh) {
    a_run(&store).await;
    for number in 1..=3 {
        let claimed = store.claim(&worker("one"), Claimable::Next, at(5)).await.unwrap();
        let (run, _) = claimed.unwrap();
        assert_eq!(run.fence, Fence(number));
        assert_eq!(run.claim.as_ref().map(|claim| claim.fence), Some(Fence(number)));
        let mut commit = super::commit_of(&run, vec![super::directive("back")]);
        commit.run.status = RunStatus::Queued;
        commit.run.claim = None;
        assert_eq!(store.commit(commit).await.unwrap().0.fence, Fence(number));
    }
}

/// Every claimed run is listed, whatever its status, in the order of the numbers.
pub async fn claimed_runs_are_listed_in_pages(store: Fresh) {
    assert_eq!(store.claimed_runs(Page::first(2)).await.unwrap(), []);
    let mut claimed = Vec::new();
    for status in [RunStatus::Running, RunStatus::Paused, RunStatus::Stopped] {
        let run = a_claimed_run(&store).await;
        claimed.push(set_status(&store, &run, status).await);
        a_run(&store).await;
    }
    assert_eq!(store.claimed_runs(Page::first(2)).await.unwrap(), claimed[..2]);
    assert_eq!(
        store.claimed_runs(Page::after(claimed[1].id, 2)).await.unwrap(),
        claimed[2..]
    );
    assert_eq!(
        store.claimed_runs(Page::after(claimed[2].id, 2)).await.unwrap(),
        []
    );
}

/// Workers that claim at once share the runs out: each run to one of them, and each run to somebody.
pub async fn two_workers_never_get_the_same_run(store: Fresh) {
    let mut filed = HashSet::new();
    for _ in 0..40 {
        filed.insert(a_run(&store).await.id);
    }
    let workers = (0..4).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let name = worker(&format!("worker {number}"));
            let mut given = Vec::new();
            while let Some((run, _)) = store.claim(&name, Claimable::Next, at(5)).await.unwrap() {
                assert_eq!(run.claim.unwrap().worker, name);
                given.push(run.id);
            }
            given
        })
    });
    let mut given = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        given.extend(worker.await.unwrap());
    }
    assert_eq!(given.len(), filed.len());
    assert_eq!(given.into_iter().collect::<HashSet<_>>(), filed);

    // The same for one run that all want.
    let wanted = a_run(&store).await;
    let workers = (0..4).map(|number| {
        let store = Arc::clone(&store);
        let name = worker(&format!("worker {number}"));
        tokio::spawn(async move {
            store
                .claim(&name, Claimable::Run(wanted.id), at(5))
                .await
                .unwrap()
        })
    });
    let mut winners = 0;
    for worker in workers.collect::<Vec<_>>() {
        winners += usize::from(worker.await.unwrap().is_some());
    }
    assert_eq!(winners, 1);
    let late = Commit {
        fence: Some(Fence(0)),
        ..super::commit_of(&store.run(wanted.id).await.unwrap(), vec![super::directive("x")])
    };
    assert!(store.commit(late).await.is_err());
}

/// The queue is seen by its heads: one for each model server and project, the one that is claimed first.
pub async fn the_queues_heads_are_one_a_server_and_project(store: Fresh) {
    assert_eq!(store.queue_heads().await.unwrap(), []);
    let mut projects = Vec::new();
    for name in ["a", "b"] {
        projects.push(store.create_project(super::new_project(name)).await.unwrap().id);
    }
    let file = async |project, model: &str, priority| {
        let spec = crate::model::RunSpec {
            model: model.to_owned(),
            ..crate::model::RunSpec::default()
        };
        let new = NewRun {
            spec,
            priority,
            ..new_run(project, "x")
        };
        store.create_run(new).await.unwrap().0
    };
    let first = file(projects[0], "ollama:x", 0).await;
    let urgent = file(projects[0], "ollama:y", 3).await;
    let other_project = file(projects[1], "ollama:x", 0).await;
    let elsewhere = file(projects[0], "openai:x@http://127.0.0.1:8081/v1", 0).await;
    let scripted = file(projects[0], "scripted:/a:b", 0).await;
    let plugged = file(projects[1], "plugged", 0).await;
    let heads = async || {
        let mut heads = store.queue_heads().await.unwrap();
        heads.sort_by_key(|head| head.run);
        let shown = heads
            .into_iter()
            .map(|head| (head.run, head.priority, head.project, head.server));
        shown.collect::<Vec<_>>()
    };
    let expected = |run: &Run, server: Option<&str>| {
        assert_eq!(run.spec.server(), server);
        (run.id, run.priority, run.project_id, server.map(str::to_owned))
    };
    let url = Some("http://127.0.0.1:8081/v1");
    let rest = [
        expected(&other_project, Some("ollama")),
        expected(&elsewhere, url),
        expected(&scripted, None),
        expected(&plugged, None),
    ];
    let with = |head| [vec![head], rest.to_vec()].concat();
    assert_eq!(heads().await, with(expected(&urgent, Some("ollama"))));
    store
        .claim(&worker("one"), Claimable::Run(urgent.id), at(2))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heads().await, with(expected(&first, Some("ollama"))));
    set_status(&store, &first, RunStatus::Paused).await;
    assert_eq!(heads().await, rest);
}
