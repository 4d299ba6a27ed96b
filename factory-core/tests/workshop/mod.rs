//! A factory in a temporary folder with a small repository, for tests of whole runs.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test binary uses its own part of it, and tests may fail loudly"
)]

pub mod crash;
pub mod history;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use factory_core::factory::{AddProject, ApproveTree, Sockets, Submit};
use factory_core::llm::Llm;
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply, ScriptedLlm};
use factory_core::model::{
    ApprovalPolicy, ApprovalSubject, Event, Project, Run, RunId, RunSpec, Seq, TreeId,
};
use factory_core::store::Page;
use factory_core::{Factory, HostEnvironment, Settings};
use serde_json::json;

/// A temporary folder with a repository, a data folder, and a factory that owns it.
pub struct Workshop {
    pub folder: tempfile::TempDir,
    pub factory: Factory,
    pub project: Project,
}

/// The check of the small repository: passes when `answer.txt` holds 42.
pub const CHECK: &str = "sh check.sh";

impl Workshop {
    /// Opens a factory whose model `script` plays `script`.
    pub async fn with(script: Script) -> Self {
        Self::with_checks(script, &[CHECK]).await
    }

    pub async fn with_checks(script: Script, checks: &[&str]) -> Self {
        Self::in_repository(script, checks, &small_repository()).await
    }

    pub async fn in_repository(script: Script, checks: &[&str], files: &[(&'static str, String)]) -> Self {
        Self::make(sockets(scripted(script)), checks, files).await
    }

    /// Opens a factory with these sockets; the model is the one under the name `script`.
    pub async fn make(sockets: Sockets, checks: &[&str], files: &[(&'static str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        make_repository(&repository, files);
        let factory = open_with(folder.path(), sockets).await;
        let project = add_project(&factory, &repository, checks).await;
        Self {
            folder,
            factory,
            project,
        }
    }

    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub async fn submit(&self, approval: ApprovalPolicy) -> Run {
        let spec = RunSpec {
            model: "script".to_owned(),
            approval,
            ..RunSpec::default()
        };
        self.submit_with(spec).await
    }

    pub async fn submit_with(&self, spec: RunSpec) -> Run {
        let submit = Submit {
            project: self.project.name.clone(),
            goal: "Make the answer 42".to_owned(),
            spec,
            priority: 0,
        };
        self.factory.submit(submit).await.unwrap()
    }

    pub async fn events(&self, run: RunId) -> Vec<Event> {
        self.factory
            .reader()
            .events(run, Page::after(Seq(0), 500))
            .await
            .unwrap()
    }

    pub async fn types(&self, run: RunId) -> Vec<String> {
        self.events(run)
            .await
            .iter()
            .map(|event| event.kind.type_name().to_owned())
            .collect()
    }

    pub async fn offered(&self, run: RunId) -> TreeId {
        match self
            .factory
            .reader()
            .run(run)
            .await
            .unwrap()
            .open_approval
            .expect("something is asked")
            .subject
        {
            ApprovalSubject::Tree { tree, .. } => tree,
            other => panic!("not a tree: {other:?}"),
        }
    }

    /// Files a run and works on it until it rests.
    pub async fn run(&self, approval: ApprovalPolicy) -> Run {
        let run = self.submit(approval).await;
        self.factory.drive(run.id).await.unwrap()
    }

    /// Approves what the run offers, and works on it until it rests again.
    pub async fn approve(&self, run: RunId) -> Run {
        let tree = self.offered(run).await;
        self.factory
            .approve(run, ApproveTree { tree, message: None })
            .await
            .unwrap();
        self.factory.drive(run).await.unwrap()
    }

    /// Works on the run in the background.
    pub fn start(&self, run: RunId) -> tokio::task::JoinHandle<Run> {
        let factory = self.factory.clone();
        tokio::spawn(async move { factory.drive(run).await.unwrap() })
    }

    /// Waits until the run has `count` events of the type.
    pub async fn wait_for(&self, run: RunId, type_name: &str, count: usize) {
        let found = async {
            while history::count(&self.events(run).await, type_name) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_mins(1), found).await;
        assert!(found.is_ok(), "no {type_name}: {:#?}", self.types(run).await);
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository(), arguments)
    }

    /// Where the agent of the run works.
    pub fn checkout(&self, run: RunId) -> PathBuf {
        self.folder
            .path()
            .join("data/runs")
            .join(run.to_string())
            .join("work/checkout")
    }
}

pub async fn add_project(factory: &Factory, repository: &Path, checks: &[&str]) -> Project {
    let add = AddProject {
        path: repository.to_owned(),
        checks: Some(checks.iter().map(|&check| check.to_owned()).collect()),
        setup: Some(Vec::new()),
        ..AddProject::default()
    };
    factory.add_project(add).await.unwrap().project
}

pub fn scripted(script: Script) -> Arc<dyn Llm> {
    Arc::new(ScriptedLlm::new("script", script))
}

/// Returns sockets in which `script` is this model.
pub fn sockets(model: Arc<dyn Llm>) -> Sockets {
    let mut sockets = Sockets::default();
    sockets.models.insert("script".to_owned(), model);
    sockets
}

/// Opens the factory of a folder.
pub async fn open(folder: &Path, script: Script) -> Factory {
    open_with(folder, sockets(scripted(script))).await
}

pub async fn open_with(folder: &Path, sockets: Sockets) -> Factory {
    Factory::open_with(Settings::new(folder.join("data"), host()), sockets)
        .await
        .unwrap()
}

pub fn host() -> HostEnvironment {
    HostEnvironment {
        home: std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default(),
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

pub fn small_repository() -> Vec<(&'static str, String)> {
    vec![
        ("answer.txt", "41\n".to_owned()),
        (
            "check.sh",
            "grep -qx 42 answer.txt || { echo \"the answer is $(cat answer.txt)\"; exit 1; }\n".to_owned(),
        ),
        (".gitignore", "ignored/\n".to_owned()),
    ]
}

pub fn make_repository(path: &Path, files: &[(&str, String)]) {
    std::fs::create_dir_all(path).unwrap();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    for (name, content) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "--message=base"]);
}

pub fn git(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .args(arguments)
        .current_dir(path)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The shortest conversation that reaches the goal.
pub fn right_at_once() -> Script {
    Script::new().reply(plan(&["Change the answer"])).reply(right())
}

/// The right answer and the end of the step, in one reply.
pub fn right() -> ScriptReply {
    write("answer.txt", "42\n")
        .and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed it"})))
}

pub fn command(script: &str) -> ScriptReply {
    ScriptReply::tool_call("run_command", json!({ "command": script }))
}

/// The usual conversation: a plan of one step, a wrong answer, a red check, the right answer.
pub fn wrong_then_right() -> Script {
    Script::new()
        .reply(plan(&["Change the answer"]))
        .reply(ScriptReply::tool_call("read_file", json!({"path": "answer.txt"})))
        .reply(
            write("answer.txt", "43\n")
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed it"}))),
        )
        .reply(
            write("answer.txt", "42\n")
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "mended it"}))),
        )
}

pub fn plan(steps: &[&str]) -> ScriptReply {
    ScriptReply::tool_call("update_plan", json!({ "steps": steps }))
}

pub fn write(path: &str, content: &str) -> ScriptReply {
    ScriptReply::tool_call("write_file", json!({"path": path, "content": content}))
}

pub fn finish(summary: &str) -> ScriptReply {
    ScriptReply::tool_call("finish_step", json!({ "summary": summary }))
}
