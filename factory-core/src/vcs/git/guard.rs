//! Where git must not go in a checkout, decided from what the `survey` found.
//!
//! What is barred costs the new files of its folder, which are left out and named; tracked files are still seen.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::command;
use super::survey::{self, Survey};
use super::tree::View;
use super::{Git, blocking};
use crate::vcs::VcsError;

/// The most bytes of arguments that bar folders.
const MOST_BARRED: usize = 512 << 10;

/// Why a nested repository is left out.
pub(super) const NESTED: &str = "a nested repository is not entered";
const DOT_GIT: &str = "a git directory in a checkout is never used";
const RULES: &str = "no list of patterns that git could read, so new files of its folder are left out";

/// What a call that looks through a checkout is told to keep away from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    /// Folders that are not entered in the search for new files.
    barred: Vec<Vec<u8>>,
    /// Whether the search for new files cannot even begin.
    pub(super) top_barred: bool,
    /// Submodules that have a repository, which git would ask for its state.
    submodules: Vec<Vec<u8>>,
    /// What is left out because of this, with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// The barred folders without any tracked file, or a folder above that has none either.
    pub(super) untracked: Vec<Vec<u8>>,
}

/// A path of the index, and whether it is a submodule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracked {
    pub(super) path: Vec<u8>,
    pub(super) submodule: bool,
}

impl Git {
    /// Looks through the checkout for what git must keep away from.
    pub(super) async fn guard(&self, view: &View) -> Result<Guard, VcsError> {
        let (dir, excludes) = (view.dir.clone(), view.excludes.clone());
        let found = blocking("look through the checkout", move || {
            Ok(survey::survey(&dir, &excludes))
        })
        .await?;
        if let Some(folder) = found.attributes.first()
            && !self.program.version.reads_attributes_from_a_tree()
        {
            return Err(VcsError::BadPath {
                path: view.dir.join(OsString::from_vec(join(folder, b".gitattributes"))),
                problem: "cannot be read by this git; remove it, or install git 2.41 or newer".into(),
            });
        }
        if found.rules.is_empty() && found.nested.iter().all(Vec::is_empty) {
            return Ok(Guard::new(&found, &[]));
        }
        let tracked = self.tracked(view).await?;
        let guard = Guard::new(&found, &tracked);
        if guard.barred.iter().map(|folder| folder.len() + 16).sum::<usize>() > MOST_BARRED {
            return Err(VcsError::BadPath {
                path: view.dir.clone(),
                problem: "holds too many nested repositories or unreadable `.gitignore`s; remove them".into(),
            });
        }
        Ok(guard)
    }

    /// Lists the index. No file of the checkout is looked at.
    pub(super) async fn tracked(&self, view: &View) -> Result<Vec<Tracked>, VcsError> {
        let call = self.call_in(view, "list tracked files");
        let output = call.args(["ls-files", "-z", "--stage"]).run().await?;
        if output.code != Some(0) {
            return Err(command::failure("list tracked files", &output.stderr));
        }
        let entry = |entry: &[u8]| {
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            Some(Tracked {
                path: entry[tab + 1..].to_vec(),
                submodule: entry.starts_with(b"160000 "),
            })
        };
        Ok(output.stdout.split(|byte| *byte == 0).filter_map(entry).collect())
    }
}

impl Guard {
    /// Decides; `tracked` is the index, in its order.
    fn new(found: &Survey, tracked: &[Tracked]) -> Self {
        let below = |folder: &[u8]| {
            let prefix = join(folder, b"");
            let first = tracked.partition_point(|entry| entry.path[..] < prefix[..]);
            tracked
                .get(first)
                .is_some_and(|entry| entry.path.starts_with(&prefix))
        };
        let mut guard = Self::default();
        for folder in &found.nested {
            let submodule = tracked
                .binary_search_by(|entry| entry.path[..].cmp(folder))
                .is_ok_and(|at| tracked[at].submodule);
            if submodule {
                guard.submodules.push(folder.clone());
            } else if folder.is_empty() || below(folder) {
                guard.leave_out(&join(folder, b".git"), DOT_GIT);
            } else if !above(folder).any(|above| {
                guard
                    .barred
                    .binary_search_by(|folder| folder[..].cmp(above))
                    .is_ok()
            }) {
                guard.leave_out(folder, NESTED);
                guard.barred.push(folder.clone());
            }
        }
        for folder in &found.rules {
            guard.leave_out(&join(folder, b".gitignore"), RULES);
            if folder.is_empty() {
                guard.top_barred = true;
            } else {
                guard.barred.push(folder.clone());
            }
        }
        for folder in &guard.barred {
            if let Some(top) = above(folder).chain([&folder[..]]).find(|above| !below(above)) {
                guard.untracked.push(top.to_vec());
            }
        }
        guard
    }

    fn leave_out(&mut self, path: &[u8], why: &str) {
        let path = String::from_utf8_lossy(path).into_owned();
        self.left_out.push((path, why.to_owned()));
    }

    /// Returns the options that keep the search for new files out of the folders.
    pub(super) fn excludes(&self) -> Vec<OsString> {
        let option = |folder: &Vec<u8>| {
            let mut option = b"--exclude=/".to_vec();
            for &byte in folder {
                if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                    option.push(b'\\');
                }
                option.push(byte);
            }
            option.push(b'/');
            OsString::from_vec(option)
        };
        self.barred.iter().map(option).collect()
    }

    /// Returns the submodules that are not to be compared.
    pub(super) fn submodules(&self) -> &[Vec<u8>] {
        &self.submodules
    }
}

/// Returns the folders above a folder, the outermost first.
fn above(folder: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &folder[..at])
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}
