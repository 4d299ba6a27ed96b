//! Scenarios of runs: filing them and listing them.

use super::{Fresh, a_project, a_run, all_events, assert_not_found, at, new_project, new_run, set_status};
use crate::model::{
    ApprovalPolicy, Budget, BudgetLimit, Descent, Event, Fence, Origin, ProjectId, Protocol, Run, RunId,
    RunSpec, RunStatus, Sampling, Seq, Temperature, Usage,
};
use crate::store::{NewRun, Page, RunFilter, StoreExt as _};

/// A filed run is QUEUED, whole, and its first event is number 1.
pub async fn a_run_is_stored_queued_with_its_first_event(store: Fresh) {
    let project = a_project(&store).await;
    let spec = RunSpec {
        model: "scripted:x".to_owned(),
        base_ref: Some("v1".to_owned()),
        base: None,
        checks: Some(vec!["make".to_owned()]),
        approval: ApprovalPolicy::Unattended,
        budget: Budget {
            calls: BudgetLimit::Unlimited,
            ..Budget::default()
        },
        sampling: Sampling {
            seed: Some(7),
            temperature: Some(Temperature::hundredths(30)),
        },
        protocol: Some(Protocol::Text),
        origin: Some(Origin {
            how: Descent::Fork,
            run: RunId(7),
            at: Some(Seq(12)),
            start: None,
        }),
    };
    let new = NewRun {
        spec: spec.clone(),
        priority: -7,
        ..new_run(project.id, "add a \"cart\"\n — quickly")
    };
    let (run, event) = store.create_run(new.clone()).await.unwrap();
    let expected = Run {
        id: run.id,
        project_id: Some(project.id),
        goal: new.goal,
        status: RunStatus::Queued,
        reason: None,
        detail: None,
        current_iteration: 0,
        priority: -7,
        spec,
        base_commit: None,
        branch: None,
        commit: None,
        usage: Usage::default(),
        last_seq: Seq(1),
        fence: Fence(0),
        claim: None,
        created_at: new.at,
        updated_at: new.at,
    };
    assert_eq!(run, expected);
    let expected_event = Event {
        id: event.id,
        run_id: run.id,
        seq: Seq(1),
        actor: new.event.actor,
        cause: None,
        step_id: None,
        kind: new.event.kind,
        created_at: new.at,
    };
    assert_eq!(event, expected_event);
    assert_eq!(store.run(run.id).await.unwrap(), expected);
    assert_eq!(all_events(&store, run.id).await, [expected_event]);
    assert_not_found(store.run(RunId(99)).await, "run", "99");
}

/// A run of a project that is not there is refused and leaves nothing behind.
pub async fn a_run_needs_its_project(store: Fresh) {
    assert_not_found(store.create_run(new_run(ProjectId(5), "x")).await, "project", "5");
    assert_eq!(
        store.runs(RunFilter::default(), Page::first(9)).await.unwrap(),
        []
    );
}

/// Runs are listed newest first, page by page.
pub async fn runs_are_listed_newest_first_in_pages(store: Fresh) {
    let everything = RunFilter::default();
    assert_eq!(store.runs(everything, Page::first(2)).await.unwrap(), []);
    let mut runs = [a_run(&store).await, a_run(&store).await, a_run(&store).await];
    runs.reverse();
    assert_eq!(store.runs(everything, Page::first(2)).await.unwrap(), runs[..2]);
    assert_eq!(
        store.runs(everything, Page::after(runs[1].id, 2)).await.unwrap(),
        runs[2..]
    );
    assert_eq!(
        store.runs(everything, Page::after(runs[2].id, 2)).await.unwrap(),
        []
    );
}

/// A list holds the runs of a project, of a status, or of both, in pages too.
pub async fn runs_are_filtered(store: Fresh) {
    let shop = a_project(&store).await;
    let blog = store.create_project(new_project("blog")).await.unwrap();
    let mut runs = Vec::new();
    for project in [shop.id, blog.id, shop.id, shop.id] {
        runs.push(store.create_run(new_run(project, "x")).await.unwrap().0.id);
    }
    for index in [0, 1, 3] {
        let run = store.run(runs[index]).await.unwrap();
        set_status(&store, &run, RunStatus::Paused).await;
    }
    let cases = [
        (Some(shop.id), None, vec![runs[3], runs[2], runs[0]]),
        (Some(blog.id), None, vec![runs[1]]),
        (None, Some(RunStatus::Paused), vec![runs[3], runs[1], runs[0]]),
        (Some(shop.id), Some(RunStatus::Paused), vec![runs[3], runs[0]]),
        (Some(blog.id), Some(RunStatus::Queued), vec![]),
        (Some(ProjectId(99)), None, vec![]),
    ];
    for (project_id, status, expected) in cases {
        let filter = RunFilter { project_id, status };
        let mut found = Vec::new();
        let mut page = Page::first(2);
        loop {
            let runs = store.runs(filter, page).await.unwrap();
            let Some(last) = runs.last() else { break };
            page = Page::after(last.id, 2);
            found.extend(runs.iter().map(|run| run.id));
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// A page has one item at least and [`Page::MAX`] at most, whatever was asked for.
pub async fn a_page_has_bounds(store: Fresh) {
    let run = a_run(&store).await;
    let mut newest = run;
    for round in 0..3 {
        let events = (0..200).map(|_| super::directive("x")).collect();
        let commit = crate::store::Commit {
            at: at(10 + round),
            ..super::commit_of(&newest, events)
        };
        newest = store.commit(commit).await.unwrap().0;
    }
    let sizes = [(0, 1), (1, 1), (500, 500), (501, 500), (u32::MAX, 500)];
    for (limit, expected) in sizes {
        let events = store.events(newest.id, Page::first(limit)).await.unwrap();
        assert_eq!(events.len(), expected, "{limit}");
    }
}

/// Runs that are filed together are numbered in their order, or none of them is there.
pub async fn runs_are_filed_all_or_none(store: Fresh) {
    let project = a_project(&store).await;
    let goals = ["one", "two", "three"];
    let new = goals.map(|goal| new_run(project.id, goal)).to_vec();
    let made = store.create_runs(new.clone(), None).await.unwrap();
    let filed: Vec<&str> = made.iter().map(|(run, _)| run.goal.as_str()).collect();
    assert_eq!(filed, goals);
    assert!(made.windows(2).all(|pair| pair[0].0.id < pair[1].0.id));
    assert!(
        made.iter()
            .all(|(run, event)| event.run_id == run.id && event.seq == Seq(1))
    );

    let mut broken = new;
    broken.push(new_run(ProjectId(project.id.0 + 1), "nowhere"));
    let id = (project.id.0 + 1).to_string();
    assert_not_found(store.create_runs(broken, None).await, "project", &id);
    let stored = store.runs(RunFilter::default(), Page::first(10)).await.unwrap();
    assert_eq!(stored.len(), goals.len());
}
