//! What the façade answers when it cannot do what was asked.

use std::path::PathBuf;

use crate::environment::EnvironmentError;
use crate::journal::JournalError;
use crate::llm::LlmError;
use crate::model::{Refusal, RunId, Verb};
use crate::sandbox::SandboxError;
use crate::store::StoreError;
use crate::vcs::VcsError;

/// Why something was not done. The source has the details; printing the whole chain tells all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such project.
    #[error(
        "no project `{0}`; `factory project list` shows those there are, `factory project add PATH` adds one"
    )]
    UnknownProject(String),
    /// What was given cannot be used; the text says what and why.
    #[error("{0}")]
    BadInput(String),
    /// The name is another's; the text says whose and what to do.
    #[error("{0}")]
    NameTaken(String),
    /// There is no such token, or it no longer holds; the text says what to do.
    #[error("{0}")]
    UnknownToken(String),
    /// One of several things that were asked at once cannot be done, so that none of them was.
    #[error("number {}: {source}", .place + 1)]
    InList {
        /// Its place among them, from 0.
        place: usize,
        /// Why.
        source: Box<Error>,
    },
    /// The run does not allow it as it stands; the source says what it allows.
    #[error("run {run}: {source}")]
    NotAllowed {
        /// The run.
        run: RunId,
        /// Why, and what is allowed. The text has it whole.
        #[source]
        source: Refusal,
    },
    /// What was reviewed is not what stands there now.
    #[error("run {run}: {detail}")]
    Conflict {
        /// The run.
        run: RunId,
        /// What has changed.
        detail: String,
    },
    /// Another process owns the data folder.
    #[error("the data folder `{folder}` is in use by {}", owner(*.pid))]
    Owned {
        /// The owner; none where it has only just taken the folder.
        pid: Option<u32>,
        /// The folder.
        folder: PathBuf,
    },
    /// The data folder cannot be used.
    #[error("{0}")]
    DataFolder(String),
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Version control failed or refused.
    #[error(transparent)]
    Vcs(#[from] VcsError),
    /// The model failed or refused.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The sandbox failed or refused.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The factory's own files failed.
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
    /// What was being done was stopped before it was done.
    #[error("it was stopped")]
    Stopped,
    /// A defect of the factory; the run rests and nothing is lost.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Returns the verbs that the run allows instead, where it refused one.
    pub fn allowed(&self) -> Option<&[Verb]> {
        match self {
            Self::NotAllowed { source, .. } => Some(&source.allowed),
            _ => None,
        }
    }

    /// Returns whether a disk is full, or a quota. What was asked may be asked again once there is room.
    pub fn is_storage_full(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Self::Store(StoreError::StorageFull) | Self::Vcs(VcsError::StorageFull { .. }) => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            // The sandbox tells what the operating system said in its own words.
            Self::Sandbox(SandboxError::Failed { detail, .. }) => {
                ["No space left on device", "Disk quota exceeded"]
                    .iter()
                    .any(|words| detail.contains(words))
            }
            _ => false,
        }
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Refused { run, source } => Self::NotAllowed {
                run,
                source: source.into(),
            },
            JournalError::Store(error) => Self::Store(error),
        }
    }
}

impl From<EnvironmentError> for Error {
    fn from(error: EnvironmentError) -> Self {
        match error {
            EnvironmentError::Vcs(error) => Self::Vcs(error),
            EnvironmentError::Sandbox(error) => Self::Sandbox(error),
            EnvironmentError::Io { action, path, source } => Self::Io { action, path, source },
            EnvironmentError::Stopped => Self::Stopped,
        }
    }
}
