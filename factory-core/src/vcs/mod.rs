//! Version control behind one trait: trees, diffs, commits, and publishing into the operator's repository.
//!
//! The factory keeps a bare store of its own per project; a checkout has no `.git`. The operator's repository is read
//! and published into, and nothing that it configures is ever run.

pub mod git;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::model::{CommitId, Timestamp, TreeId};

/// Why version control could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VcsError {
    /// The program is missing or too old.
    #[error("{0}")]
    Unavailable(String),
    /// The folder is no repository.
    #[error("`{0}` is not a git repository; `factory project add --init` makes it one")]
    NotARepository(PathBuf),
    /// The path is not a folder, or cannot be read.
    #[error("`{path}` {problem}")]
    BadPath {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The repository has no commit yet.
    #[error("`{0}` has no commit yet; commit something first, so that there is a state to start from")]
    Empty(PathBuf),
    /// `HEAD` stands on a branch without a commit, and other branches have some.
    #[error(
        "`{repository}` stands on branch `{branch}`, which has no commit yet; commit something first, or name another \
         branch to start from (--base)"
    )]
    Unborn {
        /// The repository.
        repository: PathBuf,
        /// The branch without `refs/heads/`.
        branch: String,
    },
    /// The name leads to no commit.
    #[error("`{name}` is no commit of `{repository}`")]
    UnknownRevision {
        /// The repository.
        repository: PathBuf,
        /// The name.
        name: String,
    },
    /// The ref or branch name is not acceptable.
    #[error("`{0}` is not an acceptable ref name")]
    BadRefName(String),
    /// The branch is there already with another commit, or was taken meanwhile.
    #[error("branch `{0}` is taken")]
    BranchTaken(String),
    /// A path of the tree is refused.
    #[error("`{path}` cannot be part of a tree: {why}")]
    BadTreePath {
        /// The path, escaped.
        path: String,
        /// Why.
        why: String,
    },
    /// The call took too long or printed too much.
    #[error("git {action} passed its bound: {bound}")]
    BoundPassed {
        /// What was being done.
        action: String,
        /// Which bound.
        bound: String,
    },
    /// The call was cancelled.
    #[error("git {0} was cancelled")]
    Cancelled(String),
    /// The disk is full.
    #[error("the disk is full: git {action}")]
    StorageFull {
        /// What was being done.
        action: String,
    },
    /// The call failed.
    #[error("git {action} failed: {detail}")]
    Failed {
        /// What was being done.
        action: String,
        /// What it printed, shortened.
        detail: String,
    },
    /// A file operation of ours failed.
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

/// What is known of an operator's repository without running anything of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryFacts {
    /// The repository's top folder (the folder itself where it is bare).
    pub root: PathBuf,
    /// The branch that `HEAD` names, without `refs/heads/`; none where it is detached.
    pub head_branch: Option<String>,
    /// The commit that `HEAD` leads to; none in an empty repository.
    pub head: Option<CommitId>,
    /// What the operator should know: large files kept elsewhere, sparse or partial clone, submodules, shallow.
    pub notes: Vec<String>,
    /// Whether the working tree may differ from `HEAD`. Uncommitted work is not part of a run.
    pub maybe_dirty: bool,
}

/// Where a folder lies in an operator's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// The repository's top folder (the folder itself where it is bare), free of links.
    pub root: PathBuf,
    /// The path of the folder below it, with slashes; none for the top itself and for what is git's own.
    pub folder: Option<String>,
}

/// How a file differs between two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Only in the second.
    Added,
    /// In both, differing.
    Modified,
    /// Only in the first.
    Deleted,
    /// In both, one a file and one a link, say.
    TypeChanged,
}

/// A file that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiff {
    /// The path; bytes that are no UTF-8 are shown as U+FFFD.
    pub path: String,
    /// How it differs.
    pub kind: ChangeKind,
    /// The mode before, as git writes it (`100644`); `000000` where absent.
    pub old_mode: String,
    /// The mode after.
    pub new_mode: String,
    /// Lines added; none for a binary file.
    pub added: Option<u64>,
    /// Lines removed; none for a binary file.
    pub removed: Option<u64>,
}

/// The difference of two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The files, by path.
    pub files: Vec<FileDiff>,
    /// The unified text, without colours, cut at a whole line at most [`Diff::MAX_TEXT`] bytes long.
    pub text: String,
    /// Whether the text is cut. Never silently: whoever shows it must say so.
    pub truncated: bool,
}

impl Diff {
    /// The most bytes of the unified text: 4 MiB.
    pub const MAX_TEXT: usize = 4 << 20;
}

/// A part of the difference of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilePatch {
    /// The file.
    pub file: FileDiff,
    /// The unified text from `offset` on, without colours. It ends with a whole line, or, in a line that is longer than
    /// a part may be, with a whole character. Bytes that are no UTF-8 are shown as U+FFFD.
    pub text: String,
    /// Where the part begins, in bytes of the whole text.
    pub offset: u64,
    /// Where the next part begins; none where this is the last.
    pub next: Option<u64>,
}

/// A checkout: a folder of files, the index that remembers their state, and what is left out of its trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The folder. It never holds a `.git` of its own.
    pub dir: PathBuf,
    /// The index file, outside of the folder.
    pub index: PathBuf,
    /// A file of ignore patterns (of the project's setup) beside what the repository itself ignores; may be absent.
    pub excludes: PathBuf,
}

/// A snapshot of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The tree.
    pub tree: TreeId,
    /// Paths that were left out, as nested repositories are, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Who made a commit, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The time; given, so that the same commit made twice has the same hash.
    pub at: Timestamp,
}

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The tree.
    pub tree: TreeId,
    /// The parents.
    pub parents: Vec<CommitId>,
    /// The message.
    pub message: String,
    /// Author and committer.
    pub by: Signature,
}

/// Version control of one kind. All paths are the host's. Nothing configured in `repository` or in a checkout is run:
/// no hooks, filters, fsmonitor, external diffs, aliases.
#[async_trait]
pub trait Vcs: Debug + Send + Sync + 'static {
    /// Returns in a few words what does the work, for a screen that shows what the factory stands on:
    /// `git 2.47.3 at /usr/bin/git`.
    fn describe(&self) -> String;

    /// Returns the repository that `path` is, or lies in. Cheap: no file of it is looked at.
    async fn locate(&self, path: &Path) -> Result<Located, VcsError>;

    /// Returns what there is to know of the repository at `path`, or why it is none.
    async fn inspect(&self, path: &Path) -> Result<RepositoryFacts, VcsError>;

    /// Makes the folder a repository with everything in it as the first commit (an empty folder: an empty commit).
    /// Changes nothing where it is one already.
    async fn init(&self, path: &Path, by: &Signature) -> Result<RepositoryFacts, VcsError>;

    /// Returns the commit that `name` (a branch, a tag, a hash, `HEAD`) leads to.
    async fn resolve(&self, repository: &Path, name: &str) -> Result<CommitId, VcsError>;

    /// Makes the factory's own bare store if it is missing, copies `commit` with all its files into it, and holds it by
    /// a ref of the store's own, so that neither an amended branch nor `git gc` in the repository can take it away. Of
    /// the history before it a bounded number of commits comes along for the log, without their files, so that a long
    /// or fat history costs nothing. A commit that the store has whole, as a run's own, is held where the repository has
    /// it no more.
    async fn fetch(&self, store: &Path, repository: &Path, commit: &CommitId) -> Result<(), VcsError>;

    /// Returns the tree of a commit of the store.
    async fn tree_of(&self, store: &Path, commit: &CommitId) -> Result<TreeId, VcsError>;

    /// Writes the tree's files into the checkout's folder and makes its index. Files of the tree replace what stands
    /// in their way; other files stay. Links and modes are kept; submodules become empty folders.
    async fn lay(&self, store: &Path, tree: &TreeId, checkout: &Checkout) -> Result<(), VcsError>;

    /// Stores the checkout's files as a tree: everything but what is ignored. A nested repository is left out and
    /// named, and so is a `.git` beside tracked files. Where the ignore patterns of a folder are no plain file of a
    /// reasonable size, its new files are left out and the patterns named. Cheap where little has changed since the
    /// last snapshot or lay.
    async fn snapshot(&self, store: &Path, checkout: &Checkout) -> Result<Snapshot, VcsError>;

    /// Returns the top-most paths of the checkout that are neither tracked nor ignored: what a setup left behind.
    async fn untracked(&self, store: &Path, checkout: &Checkout) -> Result<Vec<String>, VcsError>;

    /// Returns how `new` differs from `old`; with `paths`, in these alone. Renames are shown as delete and add.
    async fn diff(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        paths: &[String],
    ) -> Result<Diff, VcsError>;

    /// Returns the files that differ, by path: at most `limit` of those whose path comes after `after`, and then those
    /// that are shown alike. No file's text is held in memory.
    async fn changed_files(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FileDiff>, VcsError>;

    /// Returns at most `limit` bytes of how one file differs, from byte `offset` of the text on. None where the file
    /// does not differ. Memory is bounded by `limit`, whatever the file's size and the offset are.
    async fn file_patch(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Option<FilePatch>, VcsError>;

    /// Tells whether the tree has a folder at the path.
    async fn has_folder(&self, store: &Path, tree: &TreeId, path: &str) -> Result<bool, VcsError>;

    /// Returns the content of a file of a tree, none where there is no such file; at most `limit` bytes of it.
    async fn read_file(
        &self,
        store: &Path,
        tree: &TreeId,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, VcsError>;

    /// Returns the newest commits up to `commit`, one line each, for the agent.
    async fn log(&self, store: &Path, commit: &CommitId, count: u32) -> Result<Vec<String>, VcsError>;

    /// Makes a commit in the store and returns it. The same input gives the same commit.
    async fn commit(&self, store: &Path, new: &NewCommit) -> Result<CommitId, VcsError>;

    /// Points a hidden ref of the store (`name` below the factory's own namespace) at a commit, so that it is kept.
    async fn keep(&self, store: &Path, name: &str, commit: &CommitId) -> Result<(), VcsError>;

    /// Returns `wanted`, or `wanted-2`, `wanted-3` …: the first branch name that the repository does not have.
    async fn free_branch(&self, repository: &Path, wanted: &str) -> Result<String, VcsError>;

    /// Brings the commit into the repository and makes the branch, which must not exist; where it is there with this
    /// very commit, that is success. HEAD, index, working tree, config and all other refs stay as they are.
    async fn publish(
        &self,
        store: &Path,
        repository: &Path,
        branch: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<(), VcsError>;
}
