//! What the façade takes and shows: plain serde data, so that every front end shows the same.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Checked;
use crate::model::{
    Actor, Approval, Comment, CommitId, Plan, Project, ProjectSettings, Run, RunId, RunSpec, Seq,
    SetupNetwork, StepId, Timestamp, TreeId, Verb, payload,
};
use crate::sandbox::SandboxLevel;
use crate::vcs::{Diff, FileDiff};
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
    /// How it is to be done. Its origin may say that it continues a run ([`Origin::continuing`]): it starts from that
    /// run's commit then, and names no base of its own.
    ///
    /// [`Origin::continuing`]: crate::model::Origin::continuing
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    pub allowed: Vec<Verb>,
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

/// Which of a run's trees are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiffRange {
    /// The checkpoint that is the older one; none is the run's base.
    pub from: Option<u32>,
    /// The checkpoint that is the newer one; none is what the run offers, or its newest tree.
    pub to: Option<u32>,
}

/// What differs between two trees of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreesDiff {
    /// The run.
    pub run_id: RunId,
    /// The older tree; none where nothing was kept yet.
    pub from: Option<TreeId>,
    /// The newer tree; none where nothing was kept yet.
    pub to: Option<TreeId>,
    /// The difference, its text bounded.
    pub diff: Diff,
}

/// Files that differ between two trees of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiffs {
    /// The run.
    pub run_id: RunId,
    /// The older tree; none where nothing was kept yet.
    pub from: Option<TreeId>,
    /// The newer tree; none where nothing was kept yet.
    pub to: Option<TreeId>,
    /// The files, by path.
    pub files: Vec<FileDiff>,
}

/// A round of checks that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    /// The event that tells of it.
    pub seq: Seq,
    /// When it ended.
    pub at: Timestamp,
    /// How it went, command by command.
    #[serde(flatten)]
    pub check: payload::CheckFinished,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointView {
    /// The event that tells of it; a fork from here begins with it.
    pub seq: Seq,
    /// When it was kept.
    pub at: Timestamp,
    /// The step at whose end it was kept.
    pub step: Option<StepId>,
    /// What was kept.
    #[serde(flatten)]
    pub checkpoint: payload::CheckpointCreated,
}

/// A comment of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommentView {
    /// The event that brought it.
    pub seq: Seq,
    /// When it was made.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// On what, and what was said.
    #[serde(flatten)]
    pub comment: Comment,
}

/// A tree to be approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApproveTree {
    /// The tree that was reviewed. Anything else than what is offered is refused as a conflict.
    pub tree: TreeId,
    /// A commit message instead of the proposed one.
    pub message: Option<String>,
}

/// What the operator decides about an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The tree is to be committed.
    Approve {
        /// The tree that was reviewed: another one than what is offered is refused as a conflict. None takes the one
        /// that the approval was asked for.
        #[serde(default)]
        tree: Option<TreeId>,
        /// A commit message instead of the proposed one.
        #[serde(default)]
        message: Option<String>,
    },
    /// No.
    Reject {
        /// Why, for the agent.
        because: String,
    },
    /// The question is answered.
    Answer {
        /// The answer.
        text: String,
    },
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
