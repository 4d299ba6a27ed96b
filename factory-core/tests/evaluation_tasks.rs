//! The tasks that come with the project, without a model: each is red at its beginning, and its own solution solves it.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::path::Path;
use std::sync::Arc;

use factory_core::Factory;
use factory_core::evaluation::{Outcome, Progress, Results, Task, Terms, evaluate};
use factory_core::factory::{AddProject, CommandReport, LaidFile, Sockets};
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply, ScriptedLlm};
use factory_core::model::Budget;
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn tasks() -> Vec<Task> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../evaluation/tasks");
    Task::read_all(&folder, &[]).unwrap()
}

/// A model that writes the solution's files.
fn solver(task: &Task) -> ScriptedLlm {
    let mut reply = ScriptReply::default();
    for file in &task.solution {
        let content = String::from_utf8(file.content.clone()).unwrap();
        let arguments = json!({"path": file.path.as_str(), "content": content});
        reply = reply.and_tool_call("write_file", ScriptArguments(arguments));
    }
    let reply = reply.and_tool_call("finish_step", ScriptArguments(json!({"summary": "solved"})));
    let plan = ScriptReply::tool_call("update_plan", json!({"steps": ["Solve it"]}));
    ScriptedLlm::new("solver", Script::new().reply(plan).reply(reply))
}

/// Runs commands on files in the sandbox.
async fn try_files(
    factory: &Factory,
    folder: &Path,
    files: [&[LaidFile]; 2],
    commands: &[String],
) -> Vec<CommandReport> {
    for file in files.into_iter().flatten() {
        let path = folder.join(file.path.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.content).unwrap();
    }
    let added = factory.add_project(AddProject {
        path: folder.to_owned(),
        setup: Some(Vec::new()),
        checks: Some(commands.to_vec()),
        init: true,
        try_now: true,
        ..AddProject::default()
    });
    added.await.unwrap().checks
}

#[tokio::test(flavor = "multi_thread")]
async fn each_task_is_red_until_its_solution_makes_it_green() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = tasks();
    let mut sockets = Sockets::default();
    for task in &tasks {
        sockets.models.insert(task.name.clone(), Arc::new(solver(task)));
    }
    let factory = workshop::open_with(folder.path(), sockets).await;
    let mut wrong = Vec::new();
    for task in &tasks {
        let trial = |name: &str| folder.path().join(format!("{}-{name}", task.name));
        let checked = try_files(&factory, &trial("checks"), [&task.repository, &[]], &task.checks).await;
        if checked.iter().all(|report| report.ok) {
            wrong.push(format!("{}: the checks are green at the beginning", task.name));
        }
        let files = [&task.repository[..], &task.verification];
        let verified = try_files(&factory, &trial("verify"), files, &task.verify).await;
        if verified.iter().all(|report| report.ok) {
            wrong.push(format!("{}: the verification passes at the beginning", task.name));
        }
        let terms = Terms {
            model: task.name.clone(),
            calls: 8,
            seed: None,
            protocol: None,
            approve_proven: false,
            budget: Budget::default(),
        };
        let mut results = Results::open(&folder.path().join("results.jsonl")).unwrap();
        let told = |progress: Progress<'_>| {
            if let Progress::Finished(record) = progress
                && record.outcome != Outcome::Solved
            {
                wrong.push(format!(
                    "{}: the solution is {}: {:?}",
                    task.name, record.outcome, record.detail
                ));
            }
        };
        let (repositories, stop) = (folder.path().join("repositories"), CancellationToken::new());
        let one = std::slice::from_ref(task);
        evaluate(&factory, one, &terms, &mut results, &repositories, &stop, told)
            .await
            .unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_are_twenty_in_several_languages_and_none_is_large() {
    let tasks = tasks();
    assert_eq!(tasks.len(), 20);
    for task in &tasks {
        let lines = |file: &LaidFile| String::from_utf8_lossy(&file.content).lines().count();
        let total: usize = task.repository.iter().map(lines).sum();
        assert!(
            task.repository.len() <= 4 && total < 300,
            "{}: {total} lines",
            task.name
        );
        assert!(
            task.goal.len() < 300 && !task.solution.is_empty(),
            "{}",
            task.name
        );
    }
    let languages: std::collections::BTreeSet<_> = tasks.iter().map(|task| &task.language).collect();
    assert!(languages.len() >= 6, "{languages:?}");
}
