//! Feeds the factory's store from the operator's repository: the files of one commit, and the commits before it.
//!
//! Objects are copied, never borrowed (`alternates`): what the operator amends and prunes must not take a run's base
//! away. They travel as packs from one plumbing command to another, so nothing on either side is negotiated or run.
//!
//! What is copied does not grow with the history: all files of the commit itself, and of its history the newest commits
//! alone, without their files, for the log. Where the list of commits ends, the store is cut off like a shallow clone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::command::TRANSFER;
use super::locate::locate;
use super::refs::{self, Ref};
use super::shadow::Shadow;
use super::store::{absolute, check_store, write_whole};
use super::{Git, blocking, io_error};
use crate::model::CommitId;
use crate::vcs::VcsError;

/// The most commits that are copied for the log.
const MOST_COMMITS: u32 = 1000;
/// How many earlier bases are looked at for files that are in the store already.
const EARLIER_BASES: u32 = 16;
/// The largest list of shallow commits that is read.
const MOST_SHALLOW: u64 = 64 << 20;

/// A commit with its parents, as the repository knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    id: String,
    parents: Vec<String>,
}

impl Git {
    pub(super) async fn fetch_commit(
        &self,
        store: &Path,
        repository: &Path,
        commit: &CommitId,
    ) -> Result<(), VcsError> {
        if self.is_held(store, repository, commit).await? {
            return Ok(());
        }
        let shadow = self.shadow(repository).await?;
        let _held = self.locks.hold(&absolute(store)?).await;
        let store = self.ensure_store(store, &shadow.format.objects).await?;
        let hold = hold_of(commit);
        if self.ref_target(&store, &hold).await?.as_ref() == Some(commit) {
            return Ok(());
        }
        let lookup = self.call_on(&shadow, "look up the commit");
        let known = self.existing(lookup, &["commit"], [commit.as_str()]).await?;
        if known.is_empty() {
            if self.is_whole(&store, commit).await? {
                // A run's own commit, whose branch is gone meanwhile.
                return self.hold_base(&store, &hold, commit).await;
            }
            return Err(VcsError::UnknownRevision {
                repository: repository.to_owned(),
                name: commit.to_string(),
            });
        }
        let copied = self.copy_files(&shadow, &store, commit).await;
        copied.map_err(|error| explain(&shadow, error))?;
        self.copy_commits(&shadow, &store, commit).await?;
        self.hold_base(&store, &hold, commit).await
    }

    /// Tells whether the store holds the commit already, without asking git. A hold that is not kept in the plain way is
    /// for git to find. The repository has to be there all the same.
    async fn is_held(&self, store: &Path, repository: &Path, commit: &CommitId) -> Result<bool, VcsError> {
        let (store, hold) = (absolute(store)?, hold_of(commit));
        let (repository, owners) = (repository.to_owned(), self.trusted_owners.clone());
        let commit = commit.to_string();
        blocking("look for the commit", move || {
            locate(&repository, &owners)?;
            Ok(check_store(&store).is_ok() && refs::lookup(&store, &hold) == Ref::Object(commit))
        })
        .await
    }

    async fn hold_base(&self, store: &Path, hold: &str, commit: &CommitId) -> Result<(), VcsError> {
        self.call_in_store(store, "hold the commit")?
            .args(["update-ref", "--no-deref", hold, commit.as_str()])
            .output()
            .await
            .map(drop)
    }

    /// Tells whether the store has the commit with all its files. One that came for the log alone has none.
    async fn is_whole(&self, store: &Path, commit: &CommitId) -> Result<bool, VcsError> {
        let lookup = self.call_in_store(store, "look up the commit")?;
        if self
            .existing(lookup, &["commit"], [commit.as_str()])
            .await?
            .is_empty()
        {
            return Ok(false);
        }
        let walked = self
            .call_in_store(store, "check the commit's files")?
            .args(["rev-list", "--objects", "--quiet", "--no-walk", "--stdin"])
            .input(format!("{commit}^{{tree}}\n"))
            .deadline(TRANSFER)
            .run()
            .await?;
        Ok(walked.code == Some(0))
    }

    /// Copies the commit's folders and files, but for those of earlier bases.
    async fn copy_files(&self, shadow: &Shadow, store: &Path, commit: &CommitId) -> Result<(), VcsError> {
        let earlier = self
            .call_in_store(store, "list the store's bases")?
            .args(["for-each-ref", "--format=%(tree)", "--sort=-creatordate"])
            .arg(format!("--count={EARLIER_BASES}"))
            .arg("refs/factory/base/")
            .output()
            .await?;
        let earlier = String::from_utf8_lossy(&earlier).into_owned();
        let lookup = self.call_on(shadow, "look up earlier bases");
        // A tree that is a base's is in the store as a whole: nothing of it has to come again.
        let held = self.existing(lookup, &["tree"], earlier.lines()).await?;
        let mut wanted = format!("{commit}^{{tree}}\n");
        for tree in held {
            wanted.push('^');
            wanted.push_str(&tree);
            wanted.push('\n');
        }
        let mut options = vec!["--revs"];
        if shadow.format.partial {
            options.push("--missing=allow-any");
        }
        self.copy_pack(shadow, store, &options, wanted).await?;
        self.check_complete(shadow, store, commit).await
    }

    /// Copies the commit itself and the newest before it, without their files.
    async fn copy_commits(&self, shadow: &Shadow, store: &Path, commit: &CommitId) -> Result<(), VcsError> {
        let output = self
            .call_on(shadow, "list the history")
            .args(["rev-list", "--parents"])
            .arg(format!("--max-count={MOST_COMMITS}"))
            .arg(commit.as_str())
            .deadline(TRANSFER)
            .output()
            .await?;
        let listed = parse_list(&output);
        let among: BTreeSet<&str> = listed.iter().map(|commit| commit.id.as_str()).collect();
        let parents = listed.iter().flat_map(|commit| &commit.parents);
        let mut named = among.clone();
        named.extend(parents.map(String::as_str));
        let lookup = self.call_in_store(store, "look up commits")?;
        let known = self.existing(lookup, &["commit"], named).await?;
        let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let is_there = |parent: &String| among.contains(parent.as_str()) || known.contains(parent.as_str());
        let cut: Vec<String> = listed
            .iter()
            .filter(|commit| !commit.parents.iter().all(is_there))
            .map(|commit| commit.id.clone())
            .collect();
        let ids = listed.iter().map(|commit| commit.id.clone()).collect();
        // Before the commits come: a history that were not cut off where it ends could not be walked.
        cut_off(shadow, store, cut, ids).await?;
        let mut wanted = String::new();
        for id in among.difference(&known) {
            wanted.push_str(id);
            wanted.push('\n');
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.copy_pack(shadow, store, &[], wanted).await
    }

    async fn copy_pack(
        &self,
        shadow: &Shadow,
        store: &Path,
        options: &[&str],
        wanted: String,
    ) -> Result<(), VcsError> {
        let pack = self
            .call_on(shadow, "read the repository")
            // No search for new deltas: the objects come as they are, quickly.
            .args(["pack-objects", "--stdout", "--quiet", "--delta-base-offset"])
            .args(["--window=0", "--no-use-bitmap-index"])
            .args(options)
            .input(wanted)
            .deadline(TRANSFER);
        let index = self
            .call_in_store(store, "store what was read")?
            .args(["index-pack", "--stdin"])
            .deadline(TRANSFER);
        pack.pipe_into(index).await.map(drop)
    }

    /// Checks that the commit's own files have all come: a partial clone may lack some of them.
    async fn check_complete(&self, shadow: &Shadow, store: &Path, commit: &CommitId) -> Result<(), VcsError> {
        if !shadow.format.partial {
            return Ok(());
        }
        let tree = self
            .call_on(shadow, "read the commit's tree")
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{commit}^{{tree}}"))
            .output()
            .await?;
        self.call_in_store(store, "check the commit's files")?
            .args(["rev-list", "--objects", "--quiet", "--no-walk", "--stdin"])
            .input(tree)
            .deadline(TRANSFER)
            .output()
            .await
            .map(drop)
    }
}

/// Returns the ref of the store that holds a base.
fn hold_of(commit: &CommitId) -> String {
    format!("refs/factory/base/{commit}")
}

/// Says what to do where files of the commit are not there.
fn explain(shadow: &Shadow, error: VcsError) -> VcsError {
    let VcsError::Failed { action, detail } = error else {
        return error;
    };
    let lacks = ["unable to read", "bad object", "bad tree object", "missing"];
    let detail = if shadow.format.partial {
        format!(
            "the repository is a partial clone and lacks files of this commit; `git backfill` or `git fetch --refetch \
             --no-filter` brings them ({detail})"
        )
    } else if lacks.iter().any(|word| detail.contains(word)) {
        format!(
            "a file of this commit is missing or damaged in the repository; `git fsck` tells which, and `git fetch \
             --refetch` brings what a remote has ({detail})"
        )
    } else {
        detail
    };
    VcsError::Failed { action, detail }
}

/// Reads lines of a commit and its parents.
fn parse_list(output: &[u8]) -> Vec<Listed> {
    let text = String::from_utf8_lossy(output);
    let commit = |line: &str| {
        let mut ids = line.split(' ').map(str::to_owned);
        Some(Listed {
            id: ids.next()?,
            parents: ids.collect(),
        })
    };
    text.lines().filter_map(commit).collect()
}

/// Tells git at which commits the store's history ends: those in `cut`, and those of `copied` at which the repository's
/// own is cut off.
async fn cut_off(
    shadow: &Shadow,
    store: &Path,
    cut: Vec<String>,
    copied: BTreeSet<String>,
) -> Result<(), VcsError> {
    let (theirs, ours) = (shadow.located.common_dir.join("shallow"), store.join("shallow"));
    blocking("cut off the history", move || {
        let before = read_shallow(&ours)?;
        let mut lines = before.clone();
        lines.extend(cut);
        lines.extend(
            read_shallow(&theirs)?
                .into_iter()
                .filter(|id| copied.contains(id)),
        );
        if lines == before {
            return Ok(());
        }
        let mut text = lines.into_iter().collect::<Vec<_>>().join("\n");
        text.push('\n');
        write_whole(&ours, text.as_bytes())
    })
    .await
}

/// Reads the commits at which a repository's history is cut off.
fn read_shallow(file: &Path) -> Result<BTreeSet<String>, VcsError> {
    let text = match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MOST_SHALLOW => {
            fs::read_to_string(file).map_err(io_error("read", file))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Ok(_) => {
            return Err(VcsError::BadPath {
                path: file.to_owned(),
                problem: "is no list of shallow commits".into(),
            });
        }
        Err(error) => return Err(io_error("read", file)(error)),
    };
    Ok(text
        .lines()
        .filter(|line| line.parse::<CommitId>().is_ok())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_commits_is_read() {
        let commit = |id: &str, parents: &[&str]| Listed {
            id: id.to_owned(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
        };
        assert_eq!(parse_list(b""), []);
        assert_eq!(
            parse_list(b"c b a\nb a\na\n"),
            [commit("c", &["b", "a"]), commit("b", &["a"]), commit("a", &[])]
        );
    }
}
