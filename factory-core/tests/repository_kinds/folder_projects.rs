//! A folder of a repository as a project of its own: where its commands run, what is suggested for it, and which project
//! a path means.

use factory_core::factory::{AddProject, ProjectChange, Submit};
use factory_core::llm::scripted::Script;
use factory_core::model::{ApprovalPolicy, ProjectSettings, RunSpec, RunStatus};
use factory_core::{Error, Factory};

use crate::bench::Bench;
use crate::workshop;

/// A repository whose `api` has a makefile of its own, and conventions of its own.
async fn mono(script: Script) -> (Bench, Factory) {
    let bench = Bench::new();
    bench.small();
    bench.write("AGENTS.md", "Speak plainly.\n");
    bench.write("Makefile", "build:\n\ttrue\n");
    bench.write("api/AGENTS.md", "Count in tens.\n");
    bench.write("api/Makefile", "test:\n\tgrep -qx 42 answer.txt\n");
    bench.write("api/answer.txt", "41\n");
    bench.write("api/deep/file", "");
    bench.write("web/file", "");
    bench.commit("Services");
    let sockets = workshop::sockets(workshop::scripted(script));
    let factory = workshop::open_with(&bench.at("../factory"), sockets).await;
    (bench, factory)
}

fn add(bench: &Bench, path: &str) -> AddProject {
    AddProject {
        path: bench.at("repository").join(path),
        setup: Some(vec!["pwd > made-by-setup".to_owned()]),
        ..AddProject::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_checks_and_commands_run_in_the_folder() {
    let script = Script::new()
        .reply(
            workshop::plan(&["Change it"])
                .expect_contains("The project is the folder `api`")
                .expect_contains("Speak plainly.\n\nCount in tens.")
                .expect_contains("- make test")
                .expect_contains("api/answer.txt"),
        )
        .reply(workshop::command("pwd; cat made-by-setup; cat ../web/file"))
        .reply(
            workshop::write("api/answer.txt", "42\n")
                .expect_contains("/factory/checkout/api\n/factory/checkout/api"),
        )
        .reply(workshop::finish("changed it"));
    let (bench, factory) = mono(script).await;
    let added = factory.add_project(add(&bench, "api")).await.unwrap();
    assert_eq!(added.project.name, "api");
    assert_eq!(added.project.settings.checks, ["make test"]);
    let submit = Submit {
        project: "api".to_owned(),
        goal: "Make the answer 42".to_owned(),
        spec: RunSpec {
            model: "script".to_owned(),
            approval: ApprovalPolicy::Unattended,
            ..RunSpec::default()
        },
        priority: 0,
    };
    let run = factory.submit(submit).await.unwrap();
    let done = factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let changed = bench.git(&["diff", "--name-only", "main", "factory/run-1"]);
    assert_eq!(changed, "api/answer.txt\n");
    factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_means_the_innermost_project_that_holds_it() {
    let (bench, factory) = mono(Script::new()).await;
    let reader = factory.reader();
    factory.add_project(add(&bench, "api")).await.unwrap();
    let find = async |path: &str| {
        let path = bench.at("repository").join(path);
        let found = reader.project(&path.display().to_string()).await;
        found.map(|project| project.name)
    };
    assert!(matches!(find("web").await, Err(Error::UnknownProject(_))));
    assert!(matches!(find("").await, Err(Error::UnknownProject(_))));
    factory.add_project(add(&bench, "")).await.unwrap();
    for (path, name) in [
        ("", "repository"),
        ("web", "repository"),
        (".git", "repository"),
        ("api", "api"),
        ("api/deep", "api"),
    ] {
        assert_eq!(find(path).await.unwrap(), name, "{path}");
    }
    let twice = factory.add_project(add(&bench, "api")).await.unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("/repository/api` is registered already, as project `api`"),
        "{twice}"
    );
    let settings = ProjectSettings {
        folder: Some("web".to_owned()),
        ..reader.project("api").await.unwrap().settings
    };
    let change = ProjectChange {
        settings: Some(settings),
        ..ProjectChange::default()
    };
    let moved = factory.change_project("api", change).await;
    assert!(matches!(moved, Err(Error::BadInput(_))), "{moved:?}");
    factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_without_the_folder_is_refused_before_anything_is_stored() {
    let (bench, factory) = mono(Script::new()).await;
    factory.add_project(add(&bench, "api")).await.unwrap();
    let submit = Submit {
        project: "api".to_owned(),
        goal: "Make the answer 42".to_owned(),
        spec: RunSpec {
            model: "script".to_owned(),
            base_ref: Some("before".to_owned()),
            ..RunSpec::default()
        },
        priority: 0,
    };
    bench.git(&["branch", "before", "main~1"]);
    let refused = factory.submit(submit).await.unwrap_err().to_string();
    assert!(refused.contains("has no folder `api`"), "{refused}");
    factory.shutdown().await;
}
