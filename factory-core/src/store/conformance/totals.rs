//! Scenarios of the sums that writes keep.

use super::{Fresh, a_claimed_run, a_run, at, commit_of, directive, new_project, new_run, set_status};
use crate::model::{ApprovalId, ApprovalSubject, NewEvent, Run, RunSpec, RunStatus, Usage, payload};
use crate::store::{ApprovalChange, Commit, NewRun, Page, RunCounts, StoreExt as _, UsageFilter, UsageGroup};

/// What runs spend is summed where it is spent, whatever is asked for.
pub async fn usage_is_summed_by_day_project_and_model(store: Fresh) {
    let mut projects = Vec::new();
    for name in ["a", "b"] {
        projects.push(store.create_project(new_project(name)).await.unwrap().id);
    }
    let spend = async |run: &Run, calls: u64, tokens: u64| {
        let mut commit = commit_of(run, vec![directive("on")]);
        commit.run.usage.add(&Usage {
            calls,
            prompt_tokens: tokens,
            ..Usage::default()
        });
        store.commit(commit).await.unwrap().0
    };
    for (project, model) in [(projects[0], "x"), (projects[0], "y"), (projects[1], "x")] {
        let spec = RunSpec {
            model: model.to_owned(),
            ..RunSpec::default()
        };
        let new = NewRun {
            spec,
            ..new_run(project, "spend")
        };
        let (run, _) = store.create_run(new).await.unwrap();
        let run = spend(&run, 1, 10).await;
        spend(&run, 2, 30).await;
    }
    let sums = async |group, filter: UsageFilter, page| {
        let sums = store.usage(group, filter, page).await.unwrap();
        let told = sums
            .into_iter()
            .map(|sum| (sum.key, sum.runs, sum.usage.calls, sum.usage.prompt_tokens));
        told.collect::<Vec<_>>()
    };
    let all = || UsageFilter::default();
    let by_model = sums(UsageGroup::Model, all(), Page::first(9)).await;
    assert_eq!(by_model, [("x".to_owned(), 2, 6, 80), ("y".to_owned(), 1, 3, 40)]);
    let second = sums(UsageGroup::Model, all(), Page::after("x".to_owned(), 9)).await;
    assert_eq!(second, by_model[1..]);
    assert_eq!(
        sums(UsageGroup::Model, all(), Page::first(1)).await,
        by_model[..1]
    );
    let by_project = sums(UsageGroup::Project, all(), Page::first(9)).await;
    let keys = [projects[0].to_string(), projects[1].to_string()];
    assert_eq!(
        by_project,
        [(keys[0].clone(), 2, 6, 80), (keys[1].clone(), 1, 3, 40)]
    );
    let day = at(1).to_string()[..10].to_owned();
    assert_eq!(
        sums(UsageGroup::Day, all(), Page::first(9)).await,
        [(day.clone(), 3, 9, 120)]
    );
    let of_one = UsageFilter {
        project_id: Some(projects[1]),
        from: Some(day.clone()),
        until: Some(day),
    };
    assert_eq!(
        sums(UsageGroup::Model, of_one, Page::first(9)).await,
        [("x".to_owned(), 1, 3, 40)]
    );
    let later = UsageFilter {
        from: Some("9999-01-01".to_owned()),
        ..all()
    };
    assert_eq!(sums(UsageGroup::Day, later, Page::first(9)).await, []);
}

/// How many runs stand where is known without looking at them.
pub async fn runs_are_counted_by_status(store: Fresh) {
    assert_eq!(store.run_counts().await.unwrap(), RunCounts::new());
    let _queued = a_run(&store).await;
    let _running = a_claimed_run(&store).await;
    let stopped = a_run(&store).await;
    set_status(&store, &stopped, RunStatus::Stopped).await;
    let counts = store.run_counts().await.unwrap();
    // The claim takes the oldest, which leaves the one that was meant for it queued.
    let expected = [
        (RunStatus::Queued, 1),
        (RunStatus::Running, 1),
        (RunStatus::Stopped, 1),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
}

/// All that a run ever asked is listed.
pub async fn approvals_of_a_run_are_listed_decided_ones_too(store: Fresh) {
    let mut run = a_claimed_run(&store).await;
    let other = a_run(&store).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        let id = store.next_approval_id().await.unwrap();
        let subject = ApprovalSubject::Question {
            text: "which?".to_owned(),
        };
        let event = NewEvent::system(payload::ApprovalRequested {
            approval: id,
            subject: subject.clone(),
            tool: None,
        });
        let commit = Commit {
            approval: Some(ApprovalChange::Open {
                id,
                subject,
                expires_at: None,
            }),
            ..commit_of(&run, vec![event])
        };
        run = store.commit(commit).await.unwrap().0;
        asked.push(id);
    }
    let closing = Commit {
        approval: Some(ApprovalChange::CloseAll),
        ..commit_of(&run, vec![directive("never mind")])
    };
    store.commit(closing).await.unwrap();
    let listed = store.approvals_of(run.id, Page::first(2)).await.unwrap();
    let ids = |approvals: &[crate::model::Approval]| {
        approvals.iter().map(|one| one.id).collect::<Vec<ApprovalId>>()
    };
    assert_eq!(ids(&listed), asked[..2]);
    let rest = store
        .approvals_of(run.id, Page::after(asked[1], 9))
        .await
        .unwrap();
    assert_eq!(ids(&rest), asked[2..]);
    assert_eq!(store.approvals_of(other.id, Page::first(9)).await.unwrap(), []);
}
