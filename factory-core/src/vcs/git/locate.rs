//! Finds the git directory of an operator's repository as git would, without asking git.
//!
//! Git reads the repository's configuration while it looks, and refuses bare and foreign ones in words of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::vcs::{self, VcsError};

/// The largest of git's small pointer files that is read.
const MOST_POINTER: u64 = 64 << 10;

/// Where the parts of a repository are. All paths are absolute and free of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    /// The top folder; the git directory itself where it is bare.
    pub(super) root: PathBuf,
    /// The git directory: with `HEAD` and the index of this working tree.
    pub(super) git_dir: PathBuf,
    /// The git directory that linked working trees share: with objects, refs and configuration.
    pub(super) common_dir: PathBuf,
    /// Whether it has no working tree.
    pub(super) bare: bool,
}

/// Finds the repository that `path` is, or lies in.
pub(super) fn locate(path: &Path, trusted_owners: &[u32]) -> Result<Located, VcsError> {
    let bad = |problem: String| VcsError::BadPath {
        path: path.to_owned(),
        problem,
    };
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => bad("does not exist".into()),
        _ => bad(format!("cannot be read: {error}")),
    })?;
    if !metadata.is_dir() {
        return Err(bad("is not a folder".into()));
    }
    let absolute = fs::canonicalize(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    fs::read_dir(&absolute).map_err(|error| bad(format!("cannot be read: {error}")))?;

    for folder in absolute.ancestors() {
        let dot_git = folder.join(".git");
        let located = if dot_git.is_file() {
            let target = read_pointer(&dot_git, "gitdir: ")
                .map(|target| folder.join(target))
                .filter(|target| common_dir_of(target).is_some())
                .ok_or_else(|| {
                    bad(format!(
                        "has a `{}` that leads to no repository",
                        dot_git.display()
                    ))
                })?;
            Some((folder, target, false))
        } else if common_dir_of(&dot_git).is_some() {
            Some((folder, dot_git, false))
        } else if common_dir_of(folder).is_some() {
            match folder
                .parent()
                .filter(|_| folder.file_name().is_some_and(|name| name == ".git"))
            {
                Some(parent) => Some((parent, folder.to_owned(), false)),
                None => Some((folder, folder.to_owned(), true)),
            }
        } else {
            None
        };
        let Some((root, git_dir, bare)) = located else {
            continue;
        };
        let git_dir = fs::canonicalize(&git_dir).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let common_dir = common_dir_of(&git_dir)
            .and_then(|common| fs::canonicalize(common).ok())
            .ok_or_else(|| bad("changed while it was looked at; try again".into()))?;
        for part in [root, &git_dir, &common_dir] {
            check_owner(part, trusted_owners)?;
        }
        return Ok(Located {
            root: root.to_owned(),
            git_dir,
            common_dir,
            bare,
        });
    }
    Err(VcsError::NotARepository(path.to_owned()))
}

/// Tells where `path` lies in the repository that it is, or lies in.
pub(super) fn place_in_repository(path: &Path, trusted_owners: &[u32]) -> Result<vcs::Located, VcsError> {
    let located = locate(path, trusted_owners)?;
    let absolute = fs::canonicalize(path).map_err(super::io_error("find", path))?;
    let below = absolute
        .strip_prefix(&located.root)
        .ok()
        .filter(|below| !below.as_os_str().is_empty())
        .filter(|_| !located.bare && !absolute.starts_with(&located.git_dir));
    let folder = match below.map(Path::to_str) {
        None => None,
        Some(Some(folder)) => Some(folder.to_owned()),
        Some(None) => {
            return Err(VcsError::BadPath {
                path: path.to_owned(),
                problem: format!(
                    "has a name that is no UTF-8 and cannot be a project of its own; name `{}` instead",
                    located.root.display()
                ),
            });
        }
    };
    Ok(vcs::Located {
        root: located.root,
        folder,
    })
}

/// Reads a small file of one line beginning with `prefix`, as bytes of a path.
fn read_pointer(file: &Path, prefix: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    if fs::metadata(file).ok().filter(fs::Metadata::is_file)?.len() > MOST_POINTER {
        return None;
    }
    let content = fs::read(file).ok()?;
    let target = content.strip_prefix(prefix.as_bytes())?.trim_ascii_end();
    Some(PathBuf::from(std::ffi::OsString::from_vec(target.to_vec())))
}

/// Returns the shared git directory if `folder` is a git directory.
fn common_dir_of(folder: &Path) -> Option<PathBuf> {
    fs::symlink_metadata(folder.join("HEAD")).ok()?;
    let common = read_pointer(&folder.join("commondir"), "")
        .map_or_else(|| folder.to_owned(), |target| folder.join(target));
    (common.join("objects").is_dir() && common.join("refs").is_dir()).then_some(common)
}

fn check_owner(folder: &Path, trusted_owners: &[u32]) -> Result<(), VcsError> {
    let metadata = fs::metadata(folder).map_err(super::io_error("look at", folder))?;
    match owner_problem(
        metadata.uid(),
        rustix::process::geteuid().as_raw(),
        trusted_owners,
    ) {
        Some(problem) => Err(VcsError::BadPath {
            path: folder.to_owned(),
            problem,
        }),
        None => Ok(()),
    }
}

fn owner_problem(owner: u32, ours: u32, trusted: &[u32]) -> Option<String> {
    (owner != ours && !trusted.contains(&owner)).then(|| {
        format!(
            "belongs to user {owner} and the factory runs as user {ours}; run the factory as its owner, or make it \
             yours with `chown -R`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_owner_is_refused_unless_trusted() {
        assert_eq!(owner_problem(1000, 1000, &[]), None);
        assert_eq!(owner_problem(1000, 0, &[1000]), None);
        assert_eq!(
            owner_problem(1000, 0, &[1001]).unwrap(),
            "belongs to user 1000 and the factory runs as user 0; run the factory as its owner, or make it yours with \
             `chown -R`"
        );
    }
}
