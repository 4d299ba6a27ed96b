//! The run environment: toolchains, suggested commands, and the layer that a project's setup leaves.
//!
//! A checkout holds tracked files only. What a project needs beside them is installed once, in the sandbox, and kept as
//! a layer; every run starts from a copy of it.

mod host;
mod layer;
mod prepare;
mod suggest;
mod toolchains;

use std::path::{Path, PathBuf};

pub use host::HostEnvironment;
pub use layer::{Layer, LayerBuild, LayerKey, LayerStore, exclude_patterns, remove_tree};
pub use prepare::{PrepareRequest, Prepared, prepare};
pub use suggest::{LOCK_FILES, Suggestion, suggest};
pub use toolchains::find as find_toolchains;

use crate::sandbox::SandboxError;
use crate::vcs::VcsError;

/// Returns the script as it runs in a folder of the checkout. Where the folder is gone, the script fails and says so.
pub(crate) fn in_folder(folder: Option<&str>, script: &str) -> String {
    match folder {
        Some(folder) => format!("cd -- './{}' || exit\n{script}", folder.replace('\'', "'\\''")),
        None => script.to_owned(),
    }
}

/// Why an environment could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// It was stopped.
    #[error("preparing the environment was stopped")]
    Stopped,
    /// The base could not be laid or read.
    #[error("cannot prepare the environment")]
    Vcs(#[from] VcsError),
    /// A command could not be run.
    #[error("cannot prepare the environment")]
    Sandbox(#[from] SandboxError),
    /// A file operation failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was being done.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl EnvironmentError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_runs_in_its_folder_whatever_that_is_called() {
        assert_eq!(in_folder(None, "make"), "make");
        assert_eq!(in_folder(Some("a/b c"), "make"), "cd -- './a/b c' || exit\nmake");
        let output = std::process::Command::new("sh")
            .args(["-c", &in_folder(Some("it's; $(touch pwn)\n"), "pwd")])
            .output()
            .unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("it's; $(touch pwn)"));
    }
}
