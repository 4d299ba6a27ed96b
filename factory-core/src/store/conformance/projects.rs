//! Scenarios of projects: names are unique, numbers are never used again, finished runs outlive their project.

use super::{Fresh, a_project, a_run, assert_not_found, at, new_project, new_run, set_status};
use crate::model::{Project, ProjectId, ProjectSettings, RunStatus, SetupNetwork};
use crate::store::{Page, StoreError, StoreExt as _};

/// A stored project comes back whole, by number and by name; one that is not there is not found.
pub async fn a_project_comes_back_as_it_was_stored(store: Fresh) {
    let mut new = new_project("shop");
    new.settings = ProjectSettings {
        folder: Some("services/api".into()),
        base_ref: Some("main".to_owned()),
        setup: vec!["npm ci".to_owned()],
        setup_network: SetupNetwork::Host,
        checks: vec!["npm test".to_owned(), "true".to_owned()],
        instructions: Some("tabs, \"please\"\n".to_owned()),
    };
    let project = store.create_project(new.clone()).await.unwrap();
    let expected = Project {
        id: project.id,
        name: new.name,
        local_path: new.local_path,
        settings: new.settings,
        created_at: new.created_at,
    };
    assert_eq!(project, expected);
    assert_eq!(store.project(project.id).await.unwrap(), expected);
    assert_eq!(store.project_by_name("shop").await.unwrap(), expected);
    assert_not_found(store.project(ProjectId(99)).await, "project", "99");
    assert_not_found(store.project_by_name("Shop").await, "project", "Shop");
}

/// A name that is taken is refused, at creation and at a change.
pub async fn a_projects_name_is_unique(store: Fresh) {
    let shop = a_project(&store).await;
    let blog = store.create_project(new_project("blog")).await.unwrap();
    let refused = store.create_project(new_project("shop")).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is already a project `shop`");
    let renamed = Project {
        name: "shop".to_owned(),
        ..blog.clone()
    };
    let refused = store.update_project(renamed).await.unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused:?}");
    assert_eq!(store.projects(Page::first(9)).await.unwrap(), [shop, blog]);
}

/// A change replaces name, path and settings, and nothing else.
pub async fn a_project_is_updated_but_keeps_its_number_and_time(store: Fresh) {
    let project = a_project(&store).await;
    let changed = Project {
        id: project.id,
        name: "store".to_owned(),
        local_path: "/elsewhere".into(),
        settings: ProjectSettings {
            checks: vec!["make".to_owned()],
            ..ProjectSettings::default()
        },
        created_at: at(500),
    };
    let expected = Project {
        created_at: project.created_at,
        ..changed.clone()
    };
    assert_eq!(store.update_project(changed.clone()).await.unwrap(), expected);
    assert_eq!(store.update_project(changed).await.unwrap(), expected);
    assert_eq!(store.project(project.id).await.unwrap(), expected);
    assert_not_found(store.project_by_name("shop").await, "project", "shop");
    let nowhere = Project {
        id: ProjectId(99),
        ..expected
    };
    assert_not_found(store.update_project(nowhere).await, "project", "99");
}

/// A project stays as long as one of its runs is not final.
pub async fn a_project_with_unfinished_runs_stays(store: Fresh) {
    let run = a_run(&store).await;
    let project = run.project_id.unwrap();
    for status in RunStatus::ALL.into_iter().filter(|status| !status.is_final()) {
        let run = store.run(run.id).await.unwrap();
        set_status(&store, &run, status).await;
        let refused = store.remove_project(project).await.unwrap_err();
        let expected = format!(
            "project `shop` is in use: run {} is not finished; stop it first",
            run.id
        );
        assert_eq!(refused.to_string(), expected);
        assert_eq!(store.run(run.id).await.unwrap().project_id, Some(project));
    }
    assert_not_found(store.remove_project(ProjectId(99)).await, "project", "99");
}

/// Final runs stay when their project goes, without a project and with everything else.
pub async fn a_removed_project_leaves_its_final_runs(store: Fresh) {
    let run = a_run(&store).await;
    let project = run.project_id.unwrap();
    let mut run = set_status(&store, &run, RunStatus::Complete).await;
    store.remove_project(project).await.unwrap();
    run.project_id = None;
    assert_eq!(store.run(run.id).await.unwrap(), run);
    assert_eq!(super::all_events(&store, run.id).await.len(), 2);
    assert_not_found(store.project(project).await, "project", &project.to_string());
    assert_not_found(
        store.remove_project(project).await,
        "project",
        &project.to_string(),
    );
    assert_not_found(
        store.create_run(new_run(project, "more")).await,
        "project",
        &project.to_string(),
    );
}

/// A number is never given again, not even the newest one's after its removal; the name is free.
pub async fn a_projects_number_is_never_used_again(store: Fresh) {
    let first = a_project(&store).await;
    store.remove_project(first.id).await.unwrap();
    let second = a_project(&store).await;
    assert!(second.id > first.id, "{second:?}");
}

/// Projects are listed in the order of their numbers, page by page.
pub async fn projects_are_listed_in_pages(store: Fresh) {
    assert_eq!(store.projects(Page::first(2)).await.unwrap(), []);
    let mut projects = Vec::new();
    for name in ["c", "a", "b"] {
        projects.push(store.create_project(new_project(name)).await.unwrap());
    }
    assert_eq!(store.projects(Page::first(2)).await.unwrap(), projects[..2]);
    assert_eq!(
        store.projects(Page::after(projects[1].id, 2)).await.unwrap(),
        projects[2..]
    );
    assert_eq!(store.projects(Page::after(projects[2].id, 2)).await.unwrap(), []);
}
