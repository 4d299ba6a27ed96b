//! What there is to know of an operator's repository, and which commit a name leads to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::known::Seen;
use super::shadow::Shadow;
use super::tree::View;
use super::{Git, blocking, io_error, names};
use crate::model::CommitId;
use crate::vcs::{RepositoryFacts, VcsError};

/// How long it may take to find out whether there is uncommitted work; the answer is "maybe" then.
const LOOK: Duration = Duration::from_secs(20);
/// The most files named `.gitattributes` that are read.
const MOST_ATTRIBUTES: usize = 200;
/// The most bytes that are read of the files named `.gitattributes`.
const MOST_ATTRIBUTE_BYTES: usize = 4 << 20;

impl Git {
    pub(super) async fn inspect_repository(&self, path: &Path) -> Result<RepositoryFacts, VcsError> {
        let shadow = self.shadow(path).await?;
        let branch = self
            .call_on(&shadow, "read HEAD")
            .args(["symbolic-ref", "--quiet", "HEAD"])
            .run()
            .await?;
        let branch = String::from_utf8_lossy(&branch.stdout).trim().to_owned();
        let head_branch = branch.strip_prefix("refs/heads/").map(str::to_owned);
        let head = self.first_commit(&shadow, &["HEAD".to_owned()]).await?;
        let (notes, maybe_dirty) = tokio::try_join!(self.notes(&shadow, head.as_ref()), async {
            Ok(self.maybe_dirty(&shadow).await)
        })?;
        Ok(RepositoryFacts {
            root: shadow.located.root.clone(),
            head_branch,
            head,
            notes,
            maybe_dirty,
        })
    }

    pub(super) async fn resolve_name(&self, repository: &Path, name: &str) -> Result<CommitId, VcsError> {
        names::check_revision(name)?;
        let (path, owners) = (repository.to_owned(), self.trusted_owners.clone());
        let looked_for = name.to_owned();
        let look = move || Seen::of(&path, &looked_for, &owners);
        let seen = blocking("open the repository", look).await?;
        if let Some(commit) = self.known.commit_of(&seen) {
            return Ok(commit);
        }
        let shadow = self.shadow(repository).await?;
        if let Some(object) = &seen.object
            && let Some(commit) = self.first_commit(&shadow, std::slice::from_ref(object)).await?
        {
            self.known.remember(seen, &commit);
            return Ok(commit);
        }
        let is_hash = name.parse::<CommitId>().is_ok();
        // A branch goes before a tag of the same name: what an operator names is nearly always a branch.
        let mut candidates = Vec::new();
        if !is_hash && name != "HEAD" {
            candidates.extend(["heads", "tags", "remotes"].map(|kind| format!("refs/{kind}/{name}")));
        }
        candidates.push(name.to_owned());
        if let Some(commit) = self.first_commit(&shadow, &candidates).await? {
            return Ok(commit);
        }
        if name == "HEAD" {
            return Err(self.nothing_at_head(&shadow).await?);
        }
        Err(VcsError::UnknownRevision {
            repository: repository.to_owned(),
            name: name.escape_debug().to_string(),
        })
    }

    /// Says why `HEAD` leads to no commit.
    async fn nothing_at_head(&self, shadow: &Shadow) -> Result<VcsError, VcsError> {
        let repository = shadow.located.root.clone();
        let branch = self
            .call_on(shadow, "read HEAD")
            .args(["symbolic-ref", "--quiet", "HEAD"])
            .run()
            .await?;
        let others = self
            .call_on(shadow, "list branches")
            .args(["for-each-ref", "--count=1", "refs/heads/"])
            .output()
            .await?;
        let branch = String::from_utf8_lossy(&branch.stdout).trim().to_owned();
        Ok(match branch.strip_prefix("refs/heads/") {
            Some(branch) if !others.is_empty() => VcsError::Unborn {
                repository,
                branch: branch.to_owned(),
            },
            _ => VcsError::Empty(repository),
        })
    }

    /// Returns the commit of the first name that leads to one.
    async fn first_commit(&self, shadow: &Shadow, names: &[String]) -> Result<Option<CommitId>, VcsError> {
        let mut input = String::new();
        for name in names {
            input.push_str(name);
            input.push_str("^{commit}\n");
        }
        let output = self
            .call_on(shadow, "resolve the name")
            .args(["cat-file", "--batch-check=%(objectname) %(objecttype)"])
            .input(input)
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .filter_map(|line| line.strip_suffix(" commit"))
            .find_map(|id| id.parse().ok()))
    }

    async fn notes(&self, shadow: &Shadow, head: Option<&CommitId>) -> Result<Vec<String>, VcsError> {
        let mut notes = Vec::new();
        let mut note = |text: &str| notes.push(text.to_owned());
        let common = shadow.located.common_dir.clone();
        let has_content = move |name: &'static str| {
            let file = common.join(name);
            async move {
                tokio::fs::metadata(file)
                    .await
                    .is_ok_and(|metadata| metadata.len() > 0)
            }
        };
        if has_content("shallow").await {
            note("shallow clone: the history is cut off, and runs see no more of it");
        }
        if shadow.format.partial {
            note(
                "partial clone: objects that are not there are not fetched; a commit that lacks files is refused",
            );
        }
        if shadow.format.sparse {
            note("sparse checkout: runs see all files of a commit, not only those checked out");
        }
        if has_content("objects/info/alternates").await {
            note("borrows objects from another repository: they are copied for runs");
        }
        let Some(head) = head else { return Ok(notes) };
        let listed = self
            .call_on(shadow, "list the files")
            .args(["ls-tree", "-r", "-z", "--full-tree", head.as_str()])
            .output()
            .await;
        let files = match listed {
            Ok(files) => files,
            // Too many to look at, or missing in a partial clone: nothing more can be said.
            Err(VcsError::BoundPassed { .. } | VcsError::Failed { .. }) => return Ok(notes),
            Err(error) => return Err(error),
        };
        let mut attributes = BTreeSet::new();
        let mut submodules = 0_u32;
        for entry in files.split(|byte| *byte == 0) {
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let (meta, path) = (String::from_utf8_lossy(&entry[..tab]), &entry[tab + 1..]);
            if meta.starts_with("160000 ") {
                submodules += 1;
            } else if path == b".gitattributes" || path.ends_with(b"/.gitattributes") {
                attributes.extend(meta.rsplit(' ').next().map(str::to_owned));
            }
        }
        if submodules > 0 {
            note("has submodules: their folders are empty in a run");
        }
        if self.names_large_files(shadow, &attributes).await? {
            note("keeps large files elsewhere (Git LFS): a run sees the small files that point to them");
        }
        Ok(notes)
    }

    async fn names_large_files(
        &self,
        shadow: &Shadow,
        attributes: &BTreeSet<String>,
    ) -> Result<bool, VcsError> {
        let mut input = String::new();
        for id in attributes.iter().take(MOST_ATTRIBUTES) {
            input.push_str(id);
            input.push('\n');
        }
        let call = self
            .call_on(shadow, "read the attributes")
            .args(["cat-file", "--batch"]);
        let content = call.input(input).cut_at(MOST_ATTRIBUTE_BYTES).output().await?;
        Ok(content
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.starts_with(b"#"))
            .any(|line| {
                line.split(u8::is_ascii_whitespace)
                    .any(|word| word == b"filter=lfs")
            }))
    }

    /// Tells whether there may be uncommitted work. The repository's filters are not run, so a file that one of them
    /// would clean may count as changed.
    async fn maybe_dirty(&self, shadow: &Shadow) -> bool {
        if shadow.located.bare {
            return false;
        }
        let (git_dir, located) = (shadow.git_dir().to_owned(), shadow.located.clone());
        let view = View {
            index: git_dir.join("index"),
            excludes: git_dir.join("no-excludes"),
            dir: located.root.clone(),
            // Its own attributes tell which line ends its files have.
            empty_tree: None,
            ours: false,
            git_dir,
        };
        let shadow_dir = view.git_dir.clone();
        let copied = blocking("copy the index", move || {
            copy_index(&located.git_dir, &located.common_dir, &shadow_dir)
        });
        if copied.await.is_err() {
            return true;
        }
        let call = self.call_in(&view, "look for uncommitted work").args([
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=normal",
            "--ignore-submodules=all",
            "--no-renames",
        ]);
        let same_file = shadow.format.same_file.iter();
        let call = same_file.fold(call, |call, (name, value)| call.setting(name, value));
        let output = call.deadline(LOOK).cut_at(4096).run().await;
        match output {
            Ok(output) => output.cut || output.code != Some(0) || !output.stdout.is_empty(),
            Err(_) => true,
        }
    }
}

/// Copies the index, which git would write to, and links what belongs to it.
fn copy_index(git_dir: &Path, common_dir: &Path, shadow: &Path) -> Result<(), VcsError> {
    let link = |from: &Path, name: &std::ffi::OsStr| {
        std::os::unix::fs::symlink(from, shadow.join(name)).map_err(io_error("link", from))
    };
    let index = git_dir.join("index");
    match fs::metadata(&index) {
        Ok(metadata) if metadata.is_file() => {
            fs::copy(&index, shadow.join("index")).map_err(io_error("copy", &index))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(_) => {
            return Err(VcsError::BadPath {
                path: index,
                problem: "is no file".into(),
            });
        }
        Err(error) => return Err(io_error("read", &index)(error)),
    }
    for entry in fs::read_dir(git_dir)
        .map_err(io_error("list", git_dir))?
        .flatten()
    {
        if entry.file_name().as_encoded_bytes().starts_with(b"sharedindex.") {
            link(&entry.path(), &entry.file_name())?;
        }
    }
    let exclude = common_dir.join("info/exclude");
    if exclude.is_file() {
        let info = shadow.join("info");
        fs::create_dir(&info).map_err(io_error("make", &info))?;
        std::os::unix::fs::symlink(&exclude, info.join("exclude")).map_err(io_error("link", &exclude))?;
    }
    Ok(())
}
