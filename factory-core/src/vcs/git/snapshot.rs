//! Checkouts into trees: what has changed is found, judged path by path, and stored.
//!
//! `git add --all` would ask the nested repositories that it finds for their state, with their configuration. So the two
//! halves of it that only look are called (tracked files that changed, other files that are there), we judge what they
//! name, and `update-index` stores exactly that.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::guard::NESTED;
use super::process::Output;
use super::tree::{View, mend_permissions};
use super::written::State;
use super::{Git, blocking, command, io_error, names, parse_id};
use crate::model::TreeId;
use crate::vcs::{Checkout, Snapshot, VcsError};

/// A tracked path that differs from the index, or a path that is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Gone(Vec<u8>),
    Changed(Vec<u8>),
    New(Vec<u8>),
    /// A submodule of the tree; its folder belongs to nobody.
    Submodule(Vec<u8>),
}

/// What is to be done with the index.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Paths whose state on disk is stored: a file, a link, or that there is none.
    stored: Vec<Vec<u8>>,
    /// Paths that go from the index whatever stands there.
    dropped: Vec<Vec<u8>>,
    left_out: LeftOut,
}

/// Paths that were left out, with the reason.
type LeftOut = Vec<(String, String)>;

impl Git {
    pub(super) async fn snapshot_checkout(
        &self,
        store: &Path,
        checkout: &Checkout,
    ) -> Result<Snapshot, VcsError> {
        const ACTION: &str = "write the tree";
        let view = View::of(store, checkout)?;
        let _held = self.hold_index(&view.index).await?;
        let before = State::of(&view).await;
        let left_out = self.store_changes(&view).await?;
        let mut state = State::of(&view).await;
        // A file that is as young as the index is read at every look, until the index is written at a later second.
        let settling = state.is_some_and(|state| Some(state) == before && state.is_past());
        if let Some(known) = self.written.tree_of(&view, state)
            && (known.settled || !settling)
        {
            let tree = known.tree;
            return Ok(Snapshot { tree, left_out });
        }
        if settling {
            let call = self.call_in(&view, "write the index");
            call.args(["update-index", "--force-write-index"])
                .output()
                .await?;
        }
        let output = self.call_in(&view, ACTION).arg("write-tree").output().await?;
        let tree: TreeId = parse_id(ACTION, &output)?;
        state = State::of(&view).await;
        let settled = settling || state.is_some_and(|state| state.is_later_than(before));
        self.written.remember(&view, state, &tree, settled);
        Ok(Snapshot { tree, left_out })
    }

    /// Brings the index up to the files, and returns what was left out.
    pub(super) async fn store_changes(&self, view: &View) -> Result<LeftOut, VcsError> {
        let mut seen = self.look(view).await?;
        if seen.is_none() && view.ours {
            mend_permissions(&view.dir).await?;
            seen = self.look(view).await?;
        }
        let (found, mut left_out) = seen.ok_or_else(|| VcsError::BadPath {
            path: view.dir.clone(),
            problem: "holds folders that cannot be read".into(),
        })?;
        let dir = view.dir.clone();
        let plan = blocking("look at changed files", move || judge(&dir, found)).await?;
        left_out.extend(plan.left_out);
        for (paths, how) in [
            (plan.dropped, &["--force-remove"][..]),
            (plan.stored, &["--add", "--remove", "--replace"]),
        ] {
            if paths.is_empty() {
                continue;
            }
            let call = self
                .call_in(view, "store the changed files")
                .arg("update-index")
                .args(how);
            let output = call
                .args(["-z", "--stdin"])
                .input(terminated(&paths))
                .run()
                .await?;
            if output.code != Some(0) {
                return Err(command::failure("store the changed files", &output.stderr));
            }
            left_out.extend(ignored_by_git(&paths, &output.stderr));
        }
        left_out.sort();
        // A pipe for a list of patterns, say, is named by whoever compared it and by whoever wanted to read it.
        left_out.dedup_by(|one, other| one.0 == other.0);
        Ok(left_out)
    }

    /// Returns what differs from the index and what was kept away from, or none where a folder could not be read.
    async fn look(&self, view: &View) -> Result<Option<(Vec<Found>, LeftOut)>, VcsError> {
        let guard = self.guard(view).await?;
        let mut compare = self
            .call_in(view, "compare tracked files")
            .args([
                "diff-files",
                "-z",
                "--name-status",
                "--no-renames",
                "--no-ext-diff",
            ])
            .args(["--no-textconv", "--ignore-submodules=all"]);
        if !guard.submodules().is_empty() {
            compare = compare.excluding(guard.submodules());
        }
        let others = async {
            if guard.top_barred {
                return Ok(None);
            }
            let call = self.call_in(view, "list new files");
            let call = call.args(["ls-files", "-z", "--others", "--exclude-standard"]);
            call.args(guard.excludes()).run().await.map(Some)
        };
        let submodules = async {
            // Listing the whole index costs as much as comparing it; only trees with this file have submodules.
            let file = view.dir.join(".gitmodules");
            if guard.submodules().is_empty() && tokio::fs::symlink_metadata(file).await.is_err() {
                return Ok(Vec::new());
            }
            self.tracked(view).await
        };
        let (tracked, others, submodules) = tokio::try_join!(compare.run(), others, submodules)?;
        for output in [Some(&tracked), others.as_ref()].into_iter().flatten() {
            if lacks_permission(output) {
                return Ok(None);
            }
            if output.code != Some(0) {
                return Err(command::failure("look for changes", &output.stderr));
            }
        }
        let mut found = Vec::new();
        let mut statuses = fields(&tracked.stdout);
        while let (Some(status), Some(path)) = (statuses.next(), statuses.next()) {
            let path = path.to_vec();
            found.push(if status == b"D" {
                Found::Gone(path)
            } else {
                Found::Changed(path)
            });
        }
        let others = others.map(|output| output.stdout).unwrap_or_default();
        found.extend(fields(&others).map(|path| Found::New(path.to_vec())));
        let submodules = submodules.into_iter().filter(|entry| entry.submodule);
        found.extend(submodules.map(|entry| Found::Submodule(entry.path)));
        Ok(Some((found, guard.left_out)))
    }
}

fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

fn terminated(paths: &[Vec<u8>]) -> Vec<u8> {
    paths
        .iter()
        .flat_map(|path| path.iter().copied().chain([0]))
        .collect()
}

/// Git warns about a folder that it cannot open and goes on; a tree without its files would be a lie.
fn lacks_permission(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("Permission denied")
}

/// Names that git refuses to store are named by it and passed over.
fn ignored_by_git(paths: &[Vec<u8>], stderr: &[u8]) -> LeftOut {
    let text = String::from_utf8_lossy(stderr);
    if !text.contains("Ignoring path ") {
        return Vec::new();
    }
    paths
        .iter()
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .filter(|path| text.contains(&format!("Ignoring path {path}\n")))
        .map(|path| (path, "git refuses the name".to_owned()))
        .collect()
}

impl Plan {
    fn leave_out(&mut self, path: &[u8], why: &str) {
        self.left_out
            .push((String::from_utf8_lossy(path).into_owned(), why.to_owned()));
    }

    fn judge(&mut self, dir: &Path, found: Found) -> Result<(), VcsError> {
        match found {
            Found::New(path) => {
                if let Some(folder) = path.strip_suffix(b"/") {
                    self.leave_out(folder, NESTED);
                } else if path.split(|byte| *byte == b'/').any(names::reads_as_git) {
                    self.leave_out(&path, "some file system takes the name for git's own folder");
                } else {
                    mend_file(&dir.join(OsStr::from_bytes(&path)))?;
                    self.stored.push(path);
                }
            }
            Found::Gone(path) if beyond_a_link(dir, &path) => self.dropped.push(path),
            Found::Gone(path) => self.stored.push(path),
            Found::Changed(path) => {
                let file = dir.join(OsStr::from_bytes(&path));
                let kind = fs::symlink_metadata(&file)
                    .map_err(io_error("look at", &file))?
                    .file_type();
                if kind.is_file() || kind.is_symlink() {
                    mend_file(&file)?;
                    self.stored.push(path);
                } else {
                    self.leave_out(
                        &path,
                        if kind.is_dir() {
                            NESTED
                        } else {
                            "neither a file nor a link"
                        },
                    );
                    self.dropped.push(path);
                }
            }
            Found::Submodule(path) => {
                let folder = dir.join(OsStr::from_bytes(&path));
                match fs::symlink_metadata(&folder) {
                    Ok(metadata) if metadata.is_dir() => {
                        if fs::read_dir(&folder)
                            .map_err(io_error("list", &folder))?
                            .next()
                            .is_some()
                        {
                            self.leave_out(&path, "the files of a submodule are not part of this repository");
                        }
                    }
                    // It went, or a file took its place.
                    _ if beyond_a_link(dir, &path) => self.dropped.push(path),
                    _ => self.stored.push(path),
                }
            }
        }
        Ok(())
    }
}

/// Decides about every path that was found.
fn judge(dir: &Path, found: Vec<Found>) -> Result<Plan, VcsError> {
    let mut plan = Plan::default();
    for found in found {
        plan.judge(dir, found)?;
    }
    plan.stored.sort();
    plan.stored.dedup();
    Ok(plan)
}

/// Lets us read a file whose owner, which is us, took that away from itself.
fn mend_file(file: &Path) -> Result<(), VcsError> {
    let metadata = fs::symlink_metadata(file).map_err(io_error("look at", file))?;
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o400 == 0 {
        fs::set_permissions(file, fs::Permissions::from_mode((mode & 0o7777) | 0o400))
            .map_err(io_error("make readable", file))?;
    }
    Ok(())
}

/// Tells whether a folder on the way to the path is a link now, so that the path would lead elsewhere.
fn beyond_a_link(dir: &Path, path: &[u8]) -> bool {
    let relative = Path::new(OsStr::from_bytes(path));
    relative
        .ancestors()
        .skip(1)
        .filter(|parent| !parent.as_os_str().is_empty())
        .any(|parent| dir.join(parent).is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_passes_over_are_told() {
        let paths = [b"a".to_vec(), b".gitmodules".to_vec()];
        assert_eq!(
            ignored_by_git(&paths, b"Ignoring path .gitmodules\n"),
            [(".gitmodules".to_owned(), "git refuses the name".to_owned())]
        );
        assert_eq!(ignored_by_git(&paths, b"warning: a\n"), []);
    }
}
