//! Version control by the git program: the factory's own bare stores, checkouts without a `.git`, and the operator's
//! repository at arm's length.
//!
//! Three rules hold everywhere. Every call goes through `command`. A checkout is only ever seen through our own store
//! (`--git-dir` is the store, `--work-tree` the checkout), so nothing that a command writes into it configures git. The
//! operator's repository is only ever seen through a `shadow`: a git directory of ours that links to its objects
//! and refs, so that its configuration and hooks are not even read by the git that works on it.

mod command;
mod compare;
mod diff;
mod fetch;
mod guard;
mod init;
mod inspect;
mod known;
mod locate;
mod locks;
mod names;
mod process;
mod program;
mod publish;
mod refs;
mod shadow;
mod snapshot;
mod store;
mod survey;
mod tree;
mod written;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use self::command::Call;
use self::known::Known;
use self::locks::Locks;
pub use self::program::{GitVersion, ProgramFacts};
use self::written::Written;
use super::{
    Checkout, Diff, FileDiff, FilePatch, Located, NewCommit, RepositoryFacts, Signature, Snapshot, Vcs,
    VcsError,
};
use crate::model::{CommitId, TreeId};

/// Version control by the git program.
#[derive(Debug, Clone)]
pub struct Git {
    program: ProgramFacts,
    trusted_owners: Vec<u32>,
    locks: Locks,
    written: Written,
    known: Known,
}

impl Git {
    /// Finds git on the path of the process's environment and checks its version.
    pub fn find() -> Result<Self, VcsError> {
        Self::find_on(&std::env::var_os("PATH").unwrap_or_default())
    }

    /// Finds git on the path given, folders separated by colons, and checks its version.
    pub fn find_on(path: &OsStr) -> Result<Self, VcsError> {
        Ok(Self {
            program: program::find(path)?,
            trusted_owners: Vec::new(),
            locks: Locks::default(),
            written: Written::default(),
            known: Known::default(),
        })
    }

    /// Also accepts repositories that belong to these users.
    ///
    /// A repository of another user is refused, as git itself does (`safe.directory`). What git guards against cannot
    /// happen here, as no configuration of a repository is followed; but files that publishing adds would belong to
    /// the factory's user and stand in their owner's way. So it is the operator who decides.
    #[must_use]
    pub fn trusting_owners(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        self.trusted_owners.extend(users);
        self
    }

    /// Returns which program is used, for a screen that shows what the factory stands on.
    pub fn program_facts(&self) -> &ProgramFacts {
        &self.program
    }

    fn call(&self, action: &'static str) -> Call {
        Call::new(&self.program.path, action)
    }
}

/// Reads the one id that a call printed.
fn parse_id<T: FromStr>(action: &'static str, output: &[u8]) -> Result<T, VcsError> {
    String::from_utf8_lossy(output)
        .trim()
        .parse()
        .map_err(|_| VcsError::Failed {
            action: action.to_owned(),
            detail: "it printed no hash".into(),
        })
}

/// Runs file operations of ours off the async threads.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, VcsError> + Send + 'static,
) -> Result<T, VcsError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(VcsError::Failed {
            action: action.to_owned(),
            detail: format!("its thread ended: {error}"),
        })
    })
}

/// Makes the error of a file operation.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> VcsError {
    let path: PathBuf = path.to_owned();
    move |source| {
        if matches!(
            source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ) {
            VcsError::StorageFull {
                action: action.to_owned(),
            }
        } else {
            VcsError::Io { action, path, source }
        }
    }
}

#[async_trait]
impl Vcs for Git {
    fn describe(&self) -> String {
        format!("git {} at {}", self.program.version, self.program.path.display())
    }

    async fn locate(&self, path: &Path) -> Result<Located, VcsError> {
        let (path, owners) = (path.to_owned(), self.trusted_owners.clone());
        blocking("open the repository", move || {
            locate::place_in_repository(&path, &owners)
        })
        .await
    }

    async fn inspect(&self, path: &Path) -> Result<RepositoryFacts, VcsError> {
        self.inspect_repository(path).await
    }

    async fn init(&self, path: &Path, by: &Signature) -> Result<RepositoryFacts, VcsError> {
        self.init_repository(path, by).await
    }

    async fn resolve(&self, repository: &Path, name: &str) -> Result<CommitId, VcsError> {
        self.resolve_name(repository, name).await
    }

    async fn fetch(&self, store: &Path, repository: &Path, commit: &CommitId) -> Result<(), VcsError> {
        self.fetch_commit(store, repository, commit).await
    }

    async fn tree_of(&self, store: &Path, commit: &CommitId) -> Result<TreeId, VcsError> {
        self.tree_of_commit(store, commit).await
    }

    async fn lay(&self, store: &Path, tree: &TreeId, checkout: &Checkout) -> Result<(), VcsError> {
        self.lay_tree(store, tree, checkout).await
    }

    async fn snapshot(&self, store: &Path, checkout: &Checkout) -> Result<Snapshot, VcsError> {
        self.snapshot_checkout(store, checkout).await
    }

    async fn untracked(&self, store: &Path, checkout: &Checkout) -> Result<Vec<String>, VcsError> {
        self.untracked_paths(store, checkout).await
    }

    async fn diff(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        paths: &[String],
    ) -> Result<Diff, VcsError> {
        self.diff_trees(store, old, new, paths).await
    }

    async fn changed_files(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FileDiff>, VcsError> {
        self.changed_page(store, (old, new), after, limit).await
    }

    async fn file_patch(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Option<FilePatch>, VcsError> {
        self.patch_of_file(store, (old, new), path, offset, limit).await
    }

    async fn has_folder(&self, store: &Path, tree: &TreeId, path: &str) -> Result<bool, VcsError> {
        self.is_folder_of_tree(store, tree, path).await
    }

    async fn read_file(
        &self,
        store: &Path,
        tree: &TreeId,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, VcsError> {
        self.read_file_of_tree(store, tree, path, limit).await
    }

    async fn log(&self, store: &Path, commit: &CommitId, count: u32) -> Result<Vec<String>, VcsError> {
        self.log_lines(store, commit, count).await
    }

    async fn commit(&self, store: &Path, new: &NewCommit) -> Result<CommitId, VcsError> {
        self.make_commit(store, new).await
    }

    async fn keep(&self, store: &Path, name: &str, commit: &CommitId) -> Result<(), VcsError> {
        self.keep_commit(store, name, commit).await
    }

    async fn free_branch(&self, repository: &Path, wanted: &str) -> Result<String, VcsError> {
        self.first_free_branch(repository, wanted).await
    }

    async fn publish(
        &self,
        store: &Path,
        repository: &Path,
        branch: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<(), VcsError> {
        self.publish_commit(store, repository, branch, commit, cancel)
            .await
    }
}
