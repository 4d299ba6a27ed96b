//! Trees into checkouts, and single files out of trees.
//!
//! Git itself replaces what stands in a file's way and never writes through a link. Nothing may run in the checkout
//! meanwhile: a process that swaps folders for links while git writes is the sandbox's to stop.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::command::{Call, TREE};
use super::guard::Tracked;
use super::store::{absolute, check_store};
use super::{Git, blocking, io_error};
use crate::model::TreeId;
use crate::vcs::{Checkout, VcsError};

/// The room for the line that tells what an object is.
const HEADER: usize = 256;
/// How long a git process may outlive the factory that started it before that is an error.
const OUTLIVING: Duration = Duration::from_mins(1);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How deep folders are walked to mend their permissions; deeper paths than the system's limit cannot be named anyway.
const DEEPEST: usize = 2048;

/// A folder of files as a git directory of ours sees it. All paths are absolute.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) git_dir: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) index: PathBuf,
    pub(super) excludes: PathBuf,
    /// The empty tree by the git directory's hashes, where attributes in the folder are not to be heeded.
    pub(super) empty_tree: Option<&'static str>,
    /// Whether the folder is the factory's own, whose permissions it may mend.
    pub(super) ours: bool,
}

/// Returns the tree without a file, which every git knows without being told.
pub(super) fn empty_tree(git_dir: &Path) -> Result<&'static str, VcsError> {
    let config = git_dir.join("config");
    let text = fs::read_to_string(&config).map_err(io_error("read", &config))?;
    // Our own file, as `git init` wrote it.
    Ok(if text.to_ascii_lowercase().contains("objectformat = sha256") {
        "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    } else {
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    })
}

impl View {
    /// Returns the checkout as the store sees it.
    pub(super) fn of(store: &Path, checkout: &Checkout) -> Result<Self, VcsError> {
        let git_dir = absolute(store)?;
        check_store(&git_dir)?;
        Ok(Self {
            empty_tree: Some(empty_tree(&git_dir)?),
            git_dir,
            dir: absolute(&checkout.dir)?,
            index: absolute(&checkout.index)?,
            excludes: absolute(&checkout.excludes)?,
            ours: true,
        })
    }
}

impl Git {
    /// Begins a call that sees the files through a git directory of ours.
    pub(super) fn call_in(&self, view: &View, action: &'static str) -> Call {
        let call = self
            .call(action)
            .git_dir(&view.git_dir)
            .work_tree(&view.dir)
            .index(&view.index)
            .setting("core.excludesFile", &view.excludes)
            .deadline(TREE);
        match view.empty_tree {
            Some(tree) => call.environment("GIT_ATTR_SOURCE", tree),
            None => call,
        }
    }

    /// Waits until nobody else works with the index, also no git that outlived a killed factory, and clears away what a
    /// crash has left.
    pub(super) async fn hold_index(&self, index: &Path) -> Result<OwnedMutexGuard<()>, VcsError> {
        let held = self.locks.hold(index).await;
        let index = index.to_owned();
        let mut lock = index.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let deadline = Instant::now() + OUTLIVING;
        while tokio::fs::symlink_metadata(&lock).await.is_ok() {
            let (index_used, lock_left) = (index.clone(), lock.clone());
            let still_there = blocking("clear an abandoned lock", move || {
                clear_abandoned(&index_used, &lock_left)
            });
            let Some(process) = still_there.await? else { break };
            if Instant::now() >= deadline {
                return Err(VcsError::Failed {
                    action: "open the index".into(),
                    detail: format!(
                        "process {process} still works with `{}`; wait for it to end",
                        index.display()
                    ),
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(held)
    }

    pub(super) async fn lay_tree(
        &self,
        store: &Path,
        tree: &TreeId,
        checkout: &Checkout,
    ) -> Result<(), VcsError> {
        let view = View::of(store, checkout)?;
        let (dir, index) = (view.dir.clone(), view.index.clone());
        blocking("make the checkout", move || {
            fs::create_dir_all(&dir).map_err(io_error("make", &dir))?;
            let folder = index.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder).map_err(io_error("make", folder))
        })
        .await?;
        let _held = self.hold_index(&view.index).await?;
        if !self.program.version.reads_attributes_from_a_tree() {
            self.guard(&view).await?;
        }
        let read = |reset: &[&str]| {
            let call = self.call_in(&view, "read the tree").arg("read-tree");
            call.args(reset).arg(tree.as_str()).output()
        };
        // With the old index at hand, files that did not change are not written again.
        match read(&["--reset"]).await {
            Err(VcsError::Failed { .. }) => {
                remove_index(&view.index).await?;
                read(&[]).await?;
            }
            other => drop(other?),
        }
        let all_but_submodules = self.paths_beside_submodules(&view).await?;
        let write = || {
            let call = self.call_in(&view, "write the files");
            let call = call.args(["checkout-index", "--force", "--index", "--quiet"]);
            match &all_but_submodules {
                Some(paths) => call.args(["-z", "--stdin"]).input(paths.as_slice()).output(),
                None => call.arg("--all").output(),
            }
        };
        match write().await {
            Err(VcsError::Failed { .. }) => {
                mend_permissions(&view.dir).await?;
                write().await?;
            }
            other => drop(other?),
        }
        Ok(())
    }

    /// Returns the paths to lay where a submodule's folder has a repository, which git would ask for its state; none
    /// where there is no such submodule and everything can be laid.
    async fn paths_beside_submodules(&self, view: &View) -> Result<Option<Vec<u8>>, VcsError> {
        let tracked = self.tracked(view).await?;
        let dir = view.dir.clone();
        blocking("look at submodules", move || {
            let populated = |entry: &Tracked| {
                let dot_git = dir.join(OsStr::from_bytes(&entry.path)).join(".git");
                entry.submodule && dot_git.symlink_metadata().is_ok()
            };
            let beside: Vec<_> = tracked.iter().filter(|entry| !populated(entry)).collect();
            let paths = |entry: &&Tracked| [&entry.path[..], &[0]].concat();
            Ok((beside.len() < tracked.len()).then(|| beside.iter().flat_map(paths).collect()))
        })
        .await
    }

    pub(super) async fn untracked_paths(
        &self,
        store: &Path,
        checkout: &Checkout,
    ) -> Result<Vec<String>, VcsError> {
        let view = View::of(store, checkout)?;
        let _held = self.hold_index(&view.index).await?;
        let guard = self.guard(&view).await?;
        if guard.top_barred {
            return Err(VcsError::BadPath {
                path: view.dir.join(".gitignore"),
                problem: "is no list of patterns that git could read; remove it".into(),
            });
        }
        let output = self
            .call_in(&view, "list untracked files")
            .args(["ls-files", "-z", "--others", "--exclude-standard"])
            .args(["--directory", "--no-empty-directory"])
            .args(guard.excludes())
            .output()
            .await?;
        let listed = output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let mut paths: Vec<&[u8]> = listed
            .map(|path| path.strip_suffix(b"/").unwrap_or(path))
            .chain(guard.untracked.iter().map(Vec::as_slice))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(paths
            .into_iter()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect())
    }

    pub(super) async fn is_folder_of_tree(
        &self,
        store: &Path,
        tree: &TreeId,
        path: &str,
    ) -> Result<bool, VcsError> {
        if !can_be_in_a_tree(path) {
            return Ok(false);
        }
        let mut input = format!("{tree}:{path}").into_bytes();
        input.push(0);
        let output = self
            .call_in_store(store, "look for a folder")?
            .args(["cat-file", "-z", "--batch-check=%(objecttype)"])
            .input(input)
            .output()
            .await?;
        Ok(output == b"tree\n")
    }

    pub(super) async fn read_file_of_tree(
        &self,
        store: &Path,
        tree: &TreeId,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, VcsError> {
        if !can_be_in_a_tree(path) {
            return Ok(None);
        }
        let mut input = format!("{tree}:{path}").into_bytes();
        input.push(0);
        let output = self
            .call_in_store(store, "read a file")?
            .args(["cat-file", "-z", "--batch=%(objecttype) %(objectsize)"])
            .input(input)
            .cut_at(limit.saturating_add(HEADER).saturating_add(path.len()))
            .deadline(Duration::from_mins(2))
            .output()
            .await?;
        Ok(content_of_blob(output, limit))
    }
}

pub(super) fn can_be_in_a_tree(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Takes the content out of what `cat-file --batch` printed: a line with type and size, the content, a line end.
fn content_of_blob(mut output: Vec<u8>, limit: usize) -> Option<Vec<u8>> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    let header = std::str::from_utf8(&output[..end]).ok()?;
    let size: usize = header.strip_prefix("blob ")?.parse().ok()?;
    output.drain(..=end);
    output.truncate(size.min(limit));
    Some(output)
}

async fn remove_index(index: &Path) -> Result<(), VcsError> {
    match tokio::fs::remove_file(index).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", index)(error)),
        _ => Ok(()),
    }
}

/// Removes the lock of an index if no git process that uses the index is alive: the factory that started it is gone,
/// and git removes its locks itself unless it is killed. Returns the process that is alive.
fn clear_abandoned(index: &Path, lock: &Path) -> Result<Option<String>, VcsError> {
    use std::os::unix::ffi::OsStrExt;
    let mut needle = b"GIT_INDEX_FILE=".to_vec();
    needle.extend_from_slice(index.as_os_str().as_bytes());
    let processes = fs::read_dir("/proc").map_err(io_error("list", Path::new("/proc")))?;
    for process in processes.flatten() {
        // Processes of others cannot be read, and none of theirs can use our index.
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == needle)
        {
            return Ok(Some(process.file_name().to_string_lossy().into_owned()));
        }
    }
    match fs::remove_file(lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", lock)(error)),
        _ => Ok(None),
    }
}

/// Gives us back the folders of the checkout that a command made inaccessible to their owner, which is us.
pub(super) async fn mend_permissions(dir: &Path) -> Result<(), VcsError> {
    let dir = dir.to_owned();
    blocking("mend permissions", move || {
        let mut waiting = vec![(dir, 0)];
        while let Some((folder, depth)) = waiting.pop() {
            let metadata = fs::symlink_metadata(&folder).map_err(io_error("look at", &folder))?;
            let mode = metadata.permissions().mode();
            if mode & 0o700 != 0o700 {
                fs::set_permissions(&folder, fs::Permissions::from_mode((mode & 0o7777) | 0o700))
                    .map_err(io_error("make accessible", &folder))?;
            }
            for entry in fs::read_dir(&folder)
                .map_err(io_error("list", &folder))?
                .flatten()
            {
                if depth < DEEPEST && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push((entry.path(), depth + 1));
                }
            }
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_blob_is_cut_at_the_limit() {
        let content = |output: &str, limit| content_of_blob(output.as_bytes().to_vec(), limit);
        assert_eq!(content("blob 5\nhello\n", 10).unwrap(), b"hello");
        assert_eq!(content("blob 5\nhello\n", 2).unwrap(), b"he");
        assert_eq!(content("blob 0\n\n", 2).unwrap(), b"");
        assert_eq!(content("tree 5\nhello\n", 10), None);
        assert_eq!(content("4b82:x missing\n", 10), None);
    }

    #[test]
    fn an_abandoned_lock_is_removed_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (index, lock) = (folder.path().join("index"), folder.path().join("index.lock"));
        fs::write(&lock, "").unwrap();
        let mut user = std::process::Command::new("sleep")
            .arg("1000")
            .env("GIT_INDEX_FILE", &index)
            .spawn()
            .unwrap();
        assert_eq!(
            clear_abandoned(&index, &lock).unwrap(),
            Some(user.id().to_string())
        );
        assert!(lock.exists());
        user.kill().unwrap();
        user.wait().unwrap();
        assert_eq!(clear_abandoned(&index, &lock).unwrap(), None);
        assert!(!lock.exists());
    }

    #[tokio::test]
    async fn a_git_that_outlived_its_factory_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (index, lock) = (folder.path().join("index"), folder.path().join("index.lock"));
        fs::write(&lock, "").unwrap();
        let mut outliving = std::process::Command::new("sh")
            .args(["-c", "sleep 0.3; mv \"$GIT_INDEX_FILE.lock\" \"$GIT_INDEX_FILE\""])
            .env("GIT_INDEX_FILE", &index)
            .spawn()
            .unwrap();
        let git = Git::find().unwrap();
        let held = git.hold_index(&index).await.unwrap();
        assert!(index.exists() && !lock.exists(), "what it was doing is done");
        drop(held);
        outliving.wait().unwrap();
    }
}
