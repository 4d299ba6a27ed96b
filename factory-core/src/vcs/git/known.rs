//! Remembers what cannot change of operators' repositories, so that a ref that stands where it stood starts no program:
//! which commit an object leads to, and that a configuration was understood.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::locate::locate;
use super::refs;
use super::written::State;
use crate::model::CommitId;
use crate::vcs::VcsError;

/// How many repositories are remembered.
const MOST_REPOSITORIES: usize = 256;
/// How many objects of each.
const MOST_OBJECTS: usize = 256;

/// What a look at a repository's files tells of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    git_dir: PathBuf,
    /// The states of the files of the configuration. Taken before they are read, so that a change meanwhile is seen.
    configuration: [Option<State>; 2],
    /// The object that the name leads to; none where git has to be asked.
    pub(super) object: Option<String>,
}

impl Seen {
    /// Looks at the repository that `path` is, or lies in. Blocks.
    pub(super) fn of(path: &Path, name: &str, trusted_owners: &[u32]) -> Result<Self, VcsError> {
        let located = locate(path, trusted_owners)?;
        let state = |file: PathBuf| fs::metadata(file).ok().map(|metadata| State::from(&metadata));
        Ok(Self {
            configuration: [
                state(located.common_dir.join("config")),
                state(located.git_dir.join("config.worktree")),
            ],
            object: refs::object_of(&located, name),
            git_dir: located.git_dir,
        })
    }
}

#[derive(Debug)]
struct Repository {
    configuration: [Option<State>; 2],
    commits: HashMap<String, CommitId>,
}

/// What is known of repositories, by their git directories.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<HashMap<PathBuf, Repository>>>);

impl Known {
    /// Returns the commit that the object leads to, if that was found out while the configuration was the same.
    pub(super) fn commit_of(&self, seen: &Seen) -> Option<CommitId> {
        // The map is whole after every statement, so a panic elsewhere has not harmed it.
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let repository = known.get(&seen.git_dir)?;
        if repository.configuration != seen.configuration {
            return None;
        }
        repository.commits.get(seen.object.as_ref()?).cloned()
    }

    /// Remembers the commit that the object leads to, which git told under a configuration that was understood.
    pub(super) fn remember(&self, seen: Seen, commit: &CommitId) {
        let Some(object) = seen.object else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REPOSITORIES && !known.contains_key(&seen.git_dir) {
            // Those that still matter come back with the next question.
            known.clear();
        }
        let configuration = seen.configuration;
        let repository = known.entry(seen.git_dir).or_insert_with(|| Repository {
            configuration,
            commits: HashMap::new(),
        });
        if repository.configuration != configuration || repository.commits.len() >= MOST_OBJECTS {
            repository.configuration = configuration;
            repository.commits.clear();
        }
        repository.commits.insert(object, commit.clone());
    }
}
