//! Makes a folder of files a repository, with everything in it as the first commit.
//!
//! The git directory is prepared under another name and takes its own in one step: a crash leaves no half repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::tree::{View, empty_tree};
use super::{Git, blocking, io_error, parse_id};
use crate::model::TreeId;
use crate::vcs::{NewCommit, RepositoryFacts, Signature, VcsError};

/// The branch of a new repository.
const BRANCH: &str = "main";
/// What the name of an unfinished git directory begins with.
const PREFIX: &str = ".factory-init-";

impl Git {
    pub(super) async fn init_repository(
        &self,
        path: &Path,
        by: &Signature,
    ) -> Result<RepositoryFacts, VcsError> {
        match self.inspect_repository(path).await {
            Err(VcsError::NotARepository(_)) => {}
            known => return known,
        }
        let asked = path.to_owned();
        let (root, prepared) = blocking("make the repository", move || {
            let root = fs::canonicalize(&asked).map_err(io_error("find", &asked))?;
            let prepared = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(&root)
                .map_err(io_error("make a folder in", &root))?;
            Ok((root, prepared))
        })
        .await?;
        let git_dir = prepared.path().to_owned();
        self.prepare(&root, &git_dir, by).await?;
        blocking("make the repository", move || {
            use std::os::unix::fs::PermissionsExt;
            // A temporary folder is private; a repository is as open as the folder that it is in.
            let mode = fs::metadata(&root)
                .map_err(io_error("look at", &root))?
                .permissions()
                .mode()
                & 0o777;
            fs::set_permissions(&git_dir, fs::Permissions::from_mode(mode | 0o700))
                .map_err(io_error("open", &git_dir))?;
            let target = root.join(".git");
            fs::rename(&git_dir, &target).map_err(io_error("make", &target))?;
            // It has moved; there is nothing left to remove.
            let _moved = prepared.keep();
            Ok(())
        })
        .await?;
        self.inspect_repository(path).await
    }

    async fn prepare(&self, root: &Path, git_dir: &Path, by: &Signature) -> Result<(), VcsError> {
        self.call("make the repository")
            .args(["init", "--bare", "--quiet", "--template="])
            .arg(format!("--initial-branch={BRANCH}"))
            .arg(git_dir)
            .output()
            .await?;
        for (name, value) in [("core.bare", "false"), ("core.logAllRefUpdates", "true")] {
            self.call("configure the repository")
                .args(["config", "--file"])
                .arg(git_dir.join("config"))
                .args([name, value])
                .output()
                .await?;
        }
        let excludes = git_dir.join("factory-excludes");
        let view = View {
            git_dir: git_dir.to_owned(),
            dir: root.to_owned(),
            index: git_dir.join("index"),
            excludes: excludes.clone(),
            empty_tree: Some(empty_tree(git_dir)?),
            ours: false,
        };
        write(&excludes, format!("/{PREFIX}*/\n")).await?;
        self.store_changes(&view).await?;
        let tree = self
            .call_in(&view, "write the tree")
            .arg("write-tree")
            .output()
            .await?;
        let first = NewCommit {
            tree: parse_id::<TreeId>("write the tree", &tree)?,
            parents: Vec::new(),
            message: "First commit".into(),
            by: by.clone(),
        };
        let commit = self
            .commit_with(self.call("make the commit").git_dir(git_dir), &first)
            .await?;
        self.call("make the branch")
            .git_dir(git_dir)
            .arg("update-ref")
            .arg(format!("refs/heads/{BRANCH}"))
            .arg(commit.as_str())
            .output()
            .await?;
        tokio::fs::remove_file(&excludes)
            .await
            .map_err(io_error("remove", &excludes))
    }
}

async fn write(file: &PathBuf, content: String) -> Result<(), VcsError> {
    tokio::fs::write(file, content)
        .await
        .map_err(io_error("write", file))
}
