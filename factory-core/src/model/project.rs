//! A project: a git repository that the operator registered.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProjectId, Timestamp};

/// What setup commands may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The folder of the repository that the project is, as `services/api`; the whole repository where there is none.
    /// Setup, checks and the agent's commands run in it. The agent sees the whole repository; what it changes outside
    /// of the folder is shown first and is never committed without the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The operator's own words to the agent, beside what the repository's `AGENTS.md` says.
    pub instructions: Option<String>,
}

impl ProjectSettings {
    /// Tells whether a path of the repository lies in the project's folder.
    pub fn covers(&self, path: &str) -> bool {
        self.folder.as_deref().is_none_or(|folder| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// A registered project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_the_project_or_not() {
        let settings = |folder: Option<&str>| ProjectSettings {
            folder: folder.map(str::to_owned),
            ..ProjectSettings::default()
        };
        assert!(settings(None).covers("a"));
        let api = settings(Some("services/api"));
        for (path, inside) in [
            ("services/api", true),
            ("services/api/x", true),
            ("services/api-2/x", false),
            ("services", false),
            ("x/services/api", false),
        ] {
            assert_eq!(api.covers(path), inside, "{path}");
        }
    }
}
