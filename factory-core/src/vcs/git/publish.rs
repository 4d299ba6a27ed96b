//! Brings a commit of the store into the operator's repository as a new branch, and touches nothing else there.
//!
//! The pack leaves out only what the repository's refs still reach, so an amended and pruned base comes along. It is
//! kept from garbage collection by a keep file until the branch holds it. Each step may be the last one before a crash:
//! calling again finishes the work. No hook runs, no reflog is written, no configuration is read.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::command::{Call, TRANSFER};
use super::shadow::Shadow;
use super::store::{absolute, check_store};
use super::{Git, blocking, io_error, names};
use crate::model::CommitId;
use crate::vcs::VcsError;

/// How many names are tried before giving up.
const MOST_NAMES: u32 = 100_000;
/// The longest keep file that is read.
const MOST_KEEP: u64 = 4096;

impl Git {
    pub(super) async fn first_free_branch(
        &self,
        repository: &Path,
        wanted: &str,
    ) -> Result<String, VcsError> {
        names::check_branch(wanted)?;
        let shadow = self.shadow(repository).await?;
        let mut taken = self.branches(&shadow).await?;
        taken.extend(heads(&shadow).await?);
        first_free(wanted, &taken).ok_or_else(|| VcsError::BranchTaken(wanted.to_owned()))
    }

    async fn branches(&self, shadow: &Shadow) -> Result<Vec<String>, VcsError> {
        let output = self
            .call_on(shadow, "list branches")
            .args(["for-each-ref", "--format=%(refname)", "refs/heads/"])
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .filter_map(|name| name.strip_prefix("refs/heads/"))
            .map(str::to_owned)
            .collect())
    }

    pub(super) async fn publish_commit(
        &self,
        store: &Path,
        repository: &Path,
        branch: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<(), VcsError> {
        names::check_branch(branch)?;
        let store = absolute(store)?;
        check_store(&store)?;
        let shadow = self.shadow(repository).await?;
        let _held = self.locks.hold(&shadow.located.common_dir).await;
        let note = format!("AI Dev Factory publishes {commit} as {branch}");
        match self.branch_target(&shadow, branch).await? {
            Some(target) if target == *commit => return release(&shadow, note).await,
            Some(_) => return Err(VcsError::BranchTaken(branch.to_owned())),
            // A working tree stands on the branch before its first commit: making it would move a `HEAD`.
            None if heads(&shadow).await?.iter().any(|head| head == branch) => {
                return Err(VcsError::BranchTaken(branch.to_owned()));
            }
            None => {}
        }
        if let Err(error) = self.bring(&store, &shadow, commit, &note, cancel).await {
            return Err(self.explain_gap(&store, &shadow, commit, error).await);
        }
        if cancel.is_cancelled() {
            release(&shadow, note).await?;
            return Err(VcsError::Cancelled("publish".into()));
        }
        // From here on it is finished, whoever asks to stop: the branch is either there with all it needs, or not.
        self.make_branch(&shadow, branch, commit).await?;
        release(&shadow, note).await
    }

    async fn branch_target(&self, shadow: &Shadow, branch: &str) -> Result<Option<CommitId>, VcsError> {
        let name = format!("refs/heads/{branch}");
        let output = self
            .call_on(shadow, "look at the branch")
            .args(["for-each-ref", "--format=%(refname) %(objectname)", &name])
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .filter_map(|line| line.split_once(' '))
            // The pattern also matches branches below the name.
            .find(|(found, _)| *found == name)
            .and_then(|(_, id)| id.parse().ok()))
    }

    /// Copies what is missing, and checks that nothing is missing any more.
    async fn bring(
        &self,
        store: &Path,
        shadow: &Shadow,
        commit: &CommitId,
        note: &str,
        cancel: &CancellationToken,
    ) -> Result<(), VcsError> {
        let refs = self
            .call_on(shadow, "list refs")
            .args(["for-each-ref", "--format=%(objectname)"])
            .output()
            .await?;
        let refs = String::from_utf8_lossy(&refs).into_owned();
        let reached = self
            .existing(
                self.call_on(shadow, "look up refs"),
                &["commit", "tag"],
                refs.lines(),
            )
            .await?;
        let mut wanted = format!("{commit}\n");
        for id in reached {
            wanted.push('^');
            wanted.push_str(&id);
            wanted.push('\n');
        }
        let with_store = |action| {
            let call = self.call_on(shadow, action).deadline(TRANSFER).cancel(cancel);
            call.environment(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                in_a_list(&store.join("objects")),
            )
        };
        let missing = with_store("look for what is missing")
            .args(["rev-list", "--max-count=1", "--stdin"])
            .input(wanted.clone())
            .output()
            .await?;
        if !missing.trim_ascii().is_empty() {
            // A pack that cannot be finished would leave its beginning in the repository.
            with_store("look whether all is there")
                .args(["rev-list", "--objects", "--quiet", "--stdin"])
                .input(wanted.clone())
                .output()
                .await?;
            let pack = with_store("pack the commit")
                .args([
                    "pack-objects",
                    "--revs",
                    "--stdout",
                    "--quiet",
                    "--delta-base-offset",
                ])
                .arg("--no-use-bitmap-index")
                .input(wanted.clone());
            let index = self
                .call_on(shadow, "add the pack")
                .args(["index-pack", "--stdin"])
                .arg(format!("--keep={note}"));
            pack.pipe_into(index).await?;
        }
        let connected = self.connected(shadow, wanted).cancel(cancel).output().await;
        if connected.is_err() {
            release(shadow, note.to_owned()).await?;
        }
        connected.map(drop)
    }

    /// Says what to do where the commit stands on one that the repository has dropped with what lies before it: the
    /// store has the files of a base, and those of the commits before it only in the repository.
    async fn explain_gap(
        &self,
        store: &Path,
        shadow: &Shadow,
        commit: &CommitId,
        error: VcsError,
    ) -> VcsError {
        let VcsError::Failed { action, detail } = error else {
            return error;
        };
        let gap = async {
            let listed = self
                .call_in_store(store, "read the commit")?
                .args(["rev-list", "--parents", "--no-walk", commit.as_str()])
                .output()
                .await?;
            let listed = String::from_utf8_lossy(&listed).into_owned();
            let bases: Vec<&str> = listed.split_ascii_whitespace().skip(1).collect();
            let lookup = self.call_on(shadow, "look up the base");
            let there = self.existing(lookup, &["commit"], bases.iter().copied()).await?;
            let gone = bases.iter().find(|&&base| !there.iter().any(|id| id == base));
            Ok::<_, VcsError>(gone.map(|&base| base.to_owned()))
        };
        let detail = match gap.await {
            Ok(Some(base)) => format!(
                "the repository no longer has commit {base}, which the result stands on, nor all of what lies before it; \
                 fetch it from where it still is, or file the goal again on a commit that is there ({detail})"
            ),
            _ => detail,
        };
        VcsError::Failed { action, detail }
    }

    /// Walks what the branch would reach beyond the repository's refs, without the store's objects.
    fn connected(&self, shadow: &Shadow, wanted: String) -> Call {
        self.call_on(shadow, "check the pack")
            .args(["rev-list", "--objects", "--quiet", "--stdin"])
            .input(wanted)
            .deadline(TRANSFER)
    }

    async fn make_branch(&self, shadow: &Shadow, branch: &str, commit: &CommitId) -> Result<(), VcsError> {
        let nothing = "0".repeat(commit.as_str().len());
        let made = self
            .call_on(shadow, "make the branch")
            .args(["update-ref", "--no-deref"])
            .arg(format!("refs/heads/{branch}"))
            .args([commit.as_str(), &nothing])
            .output()
            .await;
        let Err(error) = made else { return Ok(()) };
        match self.branch_target(shadow, branch).await? {
            Some(target) if target == *commit => Ok(()),
            Some(_) => Err(VcsError::BranchTaken(branch.to_owned())),
            None if conflicts(branch, &self.branches(shadow).await?) => {
                Err(VcsError::BranchTaken(branch.to_owned()))
            }
            None => Err(error),
        }
    }
}

/// Returns the first free name. Where a branch `factory` keeps all of `factory/run-1`, `factory/run-1-2` … from being
/// made, the names have dashes instead of slashes.
fn first_free(wanted: &str, taken: &[String]) -> Option<String> {
    let dashed = wanted.replace('/', "-");
    [wanted, &dashed].into_iter().find_map(|base| {
        if wanted != base || !conflicts_above(base, taken) {
            return (1..MOST_NAMES)
                .map(|number| {
                    if number == 1 {
                        base.to_owned()
                    } else {
                        format!("{base}-{number}")
                    }
                })
                .find(|name| !conflicts(name, taken));
        }
        None
    })
}

/// Tells whether a branch of this name cannot be made, or could not be told apart where case does not count.
fn conflicts(name: &str, taken: &[String]) -> bool {
    let name = name.to_lowercase();
    let below = format!("{name}/");
    conflicts_above(&name, taken)
        || taken
            .iter()
            .map(|other| other.to_lowercase())
            .any(|other| other == name || other.starts_with(&below))
}

/// Tells whether a branch has the name of a folder that this name would need.
fn conflicts_above(name: &str, taken: &[String]) -> bool {
    let name = name.to_lowercase();
    taken.iter().any(|other| {
        name.strip_prefix(&other.to_lowercase())
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Returns the branches that working trees stand on, which need not exist yet: making one would move a `HEAD`.
async fn heads(shadow: &Shadow) -> Result<Vec<String>, VcsError> {
    let located = shadow.located.clone();
    blocking("list working trees", move || {
        let mut files = vec![located.common_dir.join("HEAD"), located.git_dir.join("HEAD")];
        if let Ok(entries) = fs::read_dir(located.common_dir.join("worktrees")) {
            files.extend(entries.flatten().map(|entry| entry.path().join("HEAD")));
        }
        Ok(files
            .iter()
            .filter(|file| {
                file.metadata()
                    .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MOST_KEEP)
            })
            .filter_map(|file| fs::read_to_string(file).ok())
            .filter_map(|text| {
                text.trim_end()
                    .strip_prefix("ref: refs/heads/")
                    .map(str::to_owned)
            })
            .collect())
    })
    .await
}

/// Removes the keep files of this publication, also those that a crash has left.
async fn release(shadow: &Shadow, note: String) -> Result<(), VcsError> {
    let folder = shadow.objects().join("pack");
    blocking("release the pack", move || {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("list", &folder)(error)),
        };
        for file in entries.flatten().map(|entry| entry.path()) {
            let ours = file.extension().is_some_and(|extension| extension == "keep")
                && fs::symlink_metadata(&file)
                    .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MOST_KEEP)
                && fs::read_to_string(&file).is_ok_and(|content| content.trim_end() == note);
            if ours {
                fs::remove_file(&file).map_err(io_error("remove", &file))?;
            }
        }
        Ok(())
    })
    .await
}

/// Writes a path as an element of git's colon-separated lists.
fn in_a_list(path: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes = path.as_os_str().as_bytes();
    if !bytes.contains(&b':') && !bytes.contains(&b'"') {
        return path.to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    PathBuf::from(std::ffi::OsString::from_vec(quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_name_can_be_made() {
        let free = |taken: &[&str]| {
            let taken: Vec<_> = taken.iter().map(|name| (*name).to_owned()).collect();
            first_free("factory/run-1", &taken).unwrap()
        };
        for (taken, expected) in [
            (&["main"][..], "factory/run-1"),
            (&["factory/run-1"], "factory/run-1-2"),
            (
                &["factory/run-1", "factory/run-1-2", "factory/run-1-4"],
                "factory/run-1-3",
            ),
            (&["Factory/Run-1"], "factory/run-1-2"),
            (&["factory/run-1/x"], "factory/run-1-2"),
            (&["factory"], "factory-run-1"),
            (&["FACTORY", "factory-run-1"], "factory-run-1-2"),
            (&["factory/run-10"], "factory/run-1"),
        ] {
            assert_eq!(free(taken), expected, "{taken:?}");
        }
    }

    #[test]
    fn a_path_in_a_list_is_quoted_where_it_must_be() {
        assert_eq!(in_a_list(Path::new("/a b")), Path::new("/a b"));
        assert_eq!(
            in_a_list(Path::new("/a:b\"c\\d")),
            Path::new("\"/a:b\\\"c\\\\d\"")
        );
    }
}
