//! The factory's own bare store of a project: made once, with attributes of its own, holding what runs need. `fetch`
//! feeds it from the operator's repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::Call;
use super::{Git, blocking, io_error, names, parse_id};
use crate::model::{CommitId, TreeId};
use crate::vcs::{NewCommit, VcsError};

/// Stronger than every tracked `.gitattributes`: no conversion of line ends, no keywords, no encodings, no filters, and
/// no file that a diff would not show. What stands in a file is what is stored and shown.
const ATTRIBUTES: &str = "* -text !eol !crlf -ident !filter !working-tree-encoding !diff !whitespace\n";

impl Git {
    /// Makes the store, or checks that it is ours.
    pub(super) async fn ensure_store(&self, store: &Path, format: &str) -> Result<PathBuf, VcsError> {
        let store = absolute(store)?;
        if store.join("info/attributes").exists() {
            check_store(&store)?;
            let actual = self
                .call("read the store's format")
                .git_dir(&store)
                .args(["rev-parse", "--show-object-format"])
                .output()
                .await?;
            let actual = String::from_utf8_lossy(&actual);
            if actual.trim() != format {
                return Err(VcsError::Failed {
                    action: "open the store".into(),
                    detail: format!(
                        "the repository has {format} hashes and the store {}",
                        actual.trim()
                    ),
                });
            }
            return Ok(store);
        }
        fs::create_dir_all(&store).map_err(io_error("make", &store))?;
        self.call("make the store")
            .args([
                "init",
                "--bare",
                "--quiet",
                "--template=",
                "--initial-branch=none",
            ])
            .arg(format!("--object-format={format}"))
            .arg(&store)
            .output()
            .await?;
        let made = store.clone();
        // Last, and in one step: a store with this file is complete.
        blocking("make the store", move || {
            let info = made.join("info");
            fs::create_dir_all(&info).map_err(io_error("make", &info))?;
            write_whole(&info.join("attributes"), ATTRIBUTES.as_bytes())
        })
        .await?;
        Ok(store)
    }

    /// Begins a call on a store that must be there.
    pub(super) fn call_in_store(&self, store: &Path, action: &'static str) -> Result<Call, VcsError> {
        let store = absolute(store)?;
        check_store(&store)?;
        Ok(self.call(action).git_dir(&store))
    }

    /// Returns those of the objects that are there and of one of these kinds.
    pub(super) async fn existing<'a>(
        &self,
        call: Call,
        kinds: &[&str],
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, VcsError> {
        let mut input = String::new();
        for id in ids {
            input.push_str(id);
            input.push('\n');
        }
        if input.is_empty() {
            return Ok(Vec::new());
        }
        let output = call
            .args(["cat-file", "--batch-check=%(objectname) %(objecttype)"])
            .input(input)
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, kind)| kinds.contains(kind))
            .map(|(id, _)| id.to_owned())
            .collect())
    }

    pub(super) async fn ref_target(&self, store: &Path, name: &str) -> Result<Option<CommitId>, VcsError> {
        let output = self
            .call_in_store(store, "read a ref of the store")?
            .args(["for-each-ref", "--format=%(objectname)", name])
            .output()
            .await?;
        Ok(parse_id("read a ref of the store", &output).ok())
    }

    pub(super) async fn tree_of_commit(&self, store: &Path, commit: &CommitId) -> Result<TreeId, VcsError> {
        const ACTION: &str = "read the commit's tree";
        let output = self
            .call_in_store(store, ACTION)?
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{commit}^{{tree}}"))
            .run()
            .await?;
        if output.code != Some(0) {
            return Err(VcsError::UnknownRevision {
                repository: store.to_owned(),
                name: commit.to_string(),
            });
        }
        parse_id(ACTION, &output.stdout)
    }

    pub(super) async fn log_lines(
        &self,
        store: &Path,
        commit: &CommitId,
        count: u32,
    ) -> Result<Vec<String>, VcsError> {
        let output = self
            .call_in_store(store, "read the log")?
            .args(["rev-list", "--no-commit-header", "--format=%h %cs %an: %s"])
            .arg(format!("--max-count={count}"))
            .arg(commit.as_str())
            .output()
            .await?;
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .map(|line| line.chars().take(200).map(printable).collect())
            .collect())
    }

    pub(super) async fn make_commit(&self, store: &Path, new: &NewCommit) -> Result<CommitId, VcsError> {
        self.commit_with(self.call_in_store(store, "make the commit")?, new)
            .await
    }

    pub(super) async fn commit_with(&self, call: Call, new: &NewCommit) -> Result<CommitId, VcsError> {
        let date = format!("@{} +0000", new.by.at.to_offset_date_time().unix_timestamp());
        let mut call = call.arg("commit-tree");
        for parent in &new.parents {
            call = call.args(["-p", parent.as_str()]);
        }
        for (name, value) in [
            ("GIT_AUTHOR_NAME", &new.by.name),
            ("GIT_AUTHOR_EMAIL", &new.by.email),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_NAME", &new.by.name),
            ("GIT_COMMITTER_EMAIL", &new.by.email),
            ("GIT_COMMITTER_DATE", &date),
        ] {
            // A NUL cannot be part of an environment variable; git drops other control characters itself.
            call = call.environment(name, value.replace('\0', ""));
        }
        let output = call
            .args(["-F", "-", new.tree.as_str()])
            .input(new.message.as_bytes())
            .output()
            .await?;
        parse_id("make the commit", &output)
    }

    pub(super) async fn keep_commit(
        &self,
        store: &Path,
        name: &str,
        commit: &CommitId,
    ) -> Result<(), VcsError> {
        names::check_hidden(name)?;
        let _held = self.locks.hold(&absolute(store)?).await;
        self.call_in_store(store, "keep the commit")?
            .args(["update-ref", "--no-deref"])
            .arg(format!("refs/factory/{name}"))
            .arg(commit.as_str())
            .output()
            .await?;
        Ok(())
    }
}

/// Returns the path from the root: git changes folders, and a relative path would mean another one then.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, VcsError> {
    std::path::absolute(path).map_err(io_error("find", path))
}

/// A folder without our attributes would convert files; it is a store that was not finished, or none of ours.
pub(super) fn check_store(store: &Path) -> Result<(), VcsError> {
    let file = store.join("info/attributes");
    match fs::read(&file) {
        Ok(content) if content == ATTRIBUTES.as_bytes() => Ok(()),
        Ok(_) => Err(VcsError::Failed {
            action: "open the store".into(),
            detail: format!("`{}` is not as the factory wrote it", file.display()),
        }),
        Err(error) => Err(io_error("read", &file)(error)),
    }
}

/// Writes a file so that it is there as a whole or not at all.
pub(super) fn write_whole(file: &Path, content: &[u8]) -> Result<(), VcsError> {
    use std::io::Write;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let write = || {
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        Ok(())
    };
    write().map_err(io_error("write", file))
}
