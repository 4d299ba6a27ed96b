//! What the façade takes and shows: plain serde data, so that every front end shows the same.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::Checked;
use crate::model::{
    Approval, CommitId, Plan, Project, ProjectSettings, Run, RunId, RunSpec, SetupNetwork, StepId,
    Transition, TreeId, payload,
};
use crate::sandbox::SandboxLevel;
use crate::vcs::Diff;
use crate::workspace::RepoPath;

/// A repository to be registered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AddProject {
    /// The repository's folder, absolute.
    pub path: PathBuf,
    /// The project's name; the folder's name where none is given.
    pub name: Option<String>,
    /// Setup commands; none takes what the repository suggests, an empty list means no setup.
    pub setup: Option<Vec<String>>,
    /// What the setup commands may reach.
    pub setup_network: SetupNetwork,
    /// Check commands; none takes what the repository suggests, an empty list means no checks.
    pub checks: Option<Vec<String>>,
    /// The ref that runs start from.
    pub base_ref: Option<String>,
    /// Whether a folder that is no repository is to be made one.
    pub init: bool,
    /// Whether setup and checks are tried on the base now.
    pub try_now: bool,
}

/// How a command went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandReport {
    /// The command.
    pub command: String,
    /// Whether it exited 0 in time.
    pub ok: bool,
    /// How it ended, in words.
    pub ended: String,
    /// What it printed, its middle cut where it is long.
    pub output: String,
    /// How long it took, in milliseconds.
    pub work_ms: u64,
}

impl From<Checked> for CommandReport {
    fn from(checked: Checked) -> Self {
        Self {
            ok: checked.ok(),
            work_ms: checked.work_ms(),
            ended: checked.outcome.exit.to_string(),
            command: checked.command,
            output: checked.outcome.output,
        }
    }
}

/// A file that is laid over a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidFile {
    /// Where it lies.
    pub path: RepoPath,
    /// What it holds.
    pub content: Vec<u8>,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// How the project's setup went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupReport {
    /// Whether every command succeeded.
    pub ok: bool,
    /// Whether a kept result was taken.
    pub reused: bool,
    /// What the commands printed.
    pub output: String,
    /// How long it took, in milliseconds.
    pub work_ms: u64,
}

/// A project that was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectAdded {
    /// The project.
    pub project: Project,
    /// Whether the folder was made a repository.
    pub initialised: bool,
    /// What the operator should know of the repository.
    pub notes: Vec<String>,
    /// How the setup went on the base; none where it was not tried or there is none.
    pub setup: Option<SetupReport>,
    /// How the checks went on the base; empty where they were not tried.
    pub checks: Vec<CommandReport>,
}

/// A change of a project; none leaves the item as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectChange {
    /// The new name.
    pub name: Option<String>,
    /// The new settings, whole.
    pub settings: Option<ProjectSettings>,
}

/// A goal to be filed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submit {
    /// The project: its name, its number, or the path of its repository.
    pub project: String,
    /// What is to be reached. Not empty, at most [`Submit::MAX_GOAL`] bytes.
    pub goal: String,
    /// How it is to be done.
    pub spec: RunSpec,
    /// Runs with a higher number are claimed first.
    pub priority: i64,
}

impl Submit {
    /// The longest goal: 64 KiB.
    pub const MAX_GOAL: usize = 64 << 10;

    /// The most goals that are filed at once.
    pub const MAX_AT_ONCE: usize = 1000;
}

/// How a step of the plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Being worked on.
    Active,
    /// Done.
    Finished,
}

/// A step of the plan and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The number.
    pub id: StepId,
    /// The title.
    pub title: String,
    /// How it stands.
    pub state: StepState,
}

/// A run with what an operator wants to see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// The project's name.
    pub project: Option<String>,
    /// The verbs that the run allows now.
    pub allowed: Vec<Transition>,
    /// The plan, empty before there is one.
    pub steps: Vec<StepView>,
    /// What the operator is asked.
    pub open_approval: Option<Approval>,
    /// The newest check.
    pub last_check: Option<payload::CheckFinished>,
    /// How commands are held.
    pub sandbox: SandboxLevel,
}

/// What a run has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDiff {
    /// The run.
    pub run_id: RunId,
    /// The commit that it starts from.
    pub base: CommitId,
    /// The tree that is compared with it: the one offered for approval, or the newest that was kept. None where
    /// nothing was kept yet.
    pub tree: Option<TreeId>,
    /// The difference.
    pub diff: Diff,
}

/// A tree to be approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApproveTree {
    /// The tree that was reviewed. Anything else than what is offered is refused as a conflict.
    pub tree: TreeId,
    /// A commit message instead of the proposed one.
    pub message: Option<String>,
}

/// One line of the doctor's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `git`, `sandbox`, `toolchains`, `database`, `disk`.
    pub subject: String,
    /// Whether it works.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it, where something is to be done.
    pub remedy: Option<String>,
}

/// The plan's steps with their states.
pub(crate) fn step_views(plan: Option<&Plan>, state: impl Fn(StepId) -> StepState) -> Vec<StepView> {
    let steps = plan.map(|plan| plan.steps.as_slice()).unwrap_or_default();
    steps
        .iter()
        .map(|step| StepView {
            id: step.id,
            title: step.title.clone(),
            state: state(step.id),
        })
        .collect()
}
