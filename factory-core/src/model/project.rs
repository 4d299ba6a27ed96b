//! A project: a git repository that the operator registered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ProjectId, Timestamp};

/// What setup commands may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupNetwork {
    /// Nothing.
    #[default]
    Off,
    /// The host's network, because the operator said so. Setup alone ever has it; the agent's commands and the
    /// checks have none.
    Host,
}

/// What the operator declares for a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// The ref that runs start from; the repository's current branch where there is none.
    pub base_ref: Option<String>,
    /// Commands that install what the project needs, run in order.
    pub setup: Vec<String>,
    /// What the setup commands may reach.
    pub setup_network: SetupNetwork,
    /// Commands that prove a result, run in order; all must exit 0.
    pub checks: Vec<String>,
    /// The operator's own words to the agent, beside what the repository's `AGENTS.md` says.
    pub instructions: Option<String>,
}

/// A registered project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The project's number.
    pub id: ProjectId,
    /// The project's unique name.
    pub name: String,
    /// The absolute path of the operator's repository.
    pub local_path: PathBuf,
    /// What the operator declared.
    pub settings: ProjectSettings,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// A project to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// A unique name.
    pub name: String,
    /// The absolute path of the operator's repository.
    pub local_path: PathBuf,
    /// What the operator declared.
    pub settings: ProjectSettings,
    /// When it is registered.
    pub created_at: Timestamp,
}
