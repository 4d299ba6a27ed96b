//! Walking a checkout, folder by folder beneath its handle, leaving out what git would ignore.
//!
//! Broad before deep, so that a bound cuts the far ends; each folder is opened anew from the top, so that depth costs
//! no handles and a folder swapped for a link is not entered.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::Files;
use super::error::FilesError;
use super::resolve::{self, Links};
use crate::workspace::RepoPath;
use crate::workspace::repo_path::{TEMPORARY_PREFIX, reads_as_git};

/// The most bytes of a `.gitignore` that are heeded.
const MAX_IGNORE_FILE: u64 = 256 << 10;
/// How many folders are entered on one walk.
const MAX_FOLDERS: usize = 200_000;

/// A name in the checkout that is no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path for showing; bytes that are no UTF-8, and control characters, are escaped.
    pub shown: String,
    /// The path for opening; none where the name breaks the rules.
    pub path: Option<RepoPath>,
    /// What it is.
    pub kind: EntryKind,
}

/// What a name in the checkout stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// The files below a folder, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The files.
    pub entries: Vec<Entry>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
}

/// The ignore rules that hold in a folder: its own, and those above it.
#[derive(Debug)]
struct Rules {
    own: Gitignore,
    /// The folder that the rules speak of, `/`-ended; empty at the top.
    folder: Vec<u8>,
    above: Option<Rc<Rules>>,
}

struct Folder {
    /// `/`-ended; empty at the top.
    path: Vec<u8>,
    rules: Option<Rc<Rules>>,
}

/// Something met on a walk.
struct Met<'a> {
    handle: &'a Dir,
    folder: &'a [u8],
    name: &'a [u8],
    kind: FileType,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walked {
    Whole,
    InPart,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignored {
    LeaveOut,
    Include,
}

impl Files {
    /// Lists at most `limit` files below `folder` (none: all), leaving out what `.gitignore` files and the excludes
    /// name. Folders themselves and anything called `.git` are not listed.
    pub fn list(&self, folder: Option<&RepoPath>, limit: usize) -> Result<Listing, FilesError> {
        let mut entries = Vec::new();
        let walked = self.walk(folder, Ignored::LeaveOut, &mut |met| {
            if entries.len() == limit {
                return ControlFlow::Break(());
            }
            entries.push(entry(met));
            ControlFlow::Continue(())
        })?;
        entries.sort_by(|one, other| one.shown.cmp(&other.shown));
        Ok(Listing {
            entries,
            truncated: walked == Walked::InPart,
        })
    }

    /// Deletes the temporary files that interrupted writes left anywhere in the checkout, and returns how many. To be
    /// called while nobody writes.
    pub fn remove_leftovers(&self) -> Result<usize, FilesError> {
        let mut removed = 0;
        self.walk(None, Ignored::Include, &mut |met| {
            removed += usize::from(remove_if_leftover(met));
            ControlFlow::Continue(())
        })?;
        Ok(removed)
    }

    /// Does the same in the folder of `path` alone, which is cheap.
    pub fn remove_leftovers_beside(&self, path: &RepoPath) -> Result<usize, FilesError> {
        let folder = match resolve::open_folder(&self.root, path.parent().as_ref(), Links::Refuse) {
            Ok(folder) => folder,
            Err(FilesError::NotFound { .. } | FilesError::NotAFolder { .. }) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0;
        for (name, kind) in names_of(&folder).map_err(|error| FilesError::io("list", path.as_str(), error))? {
            let handle =
                Dir::read_from(&folder).map_err(|error| FilesError::io("list", path.as_str(), error))?;
            let met = Met {
                handle: &handle,
                folder: b"",
                name: &name,
                kind,
            };
            removed += usize::from(remove_if_leftover(&met));
        }
        Ok(removed)
    }

    fn walk(
        &self,
        from: Option<&RepoPath>,
        ignored: Ignored,
        visit: &mut dyn FnMut(&Met<'_>) -> ControlFlow<()>,
    ) -> Result<Walked, FilesError> {
        // The first folder must be there; what vanishes later is nobody's error.
        resolve::open_folder(&self.root, from, Links::Refuse)?;
        let mut waiting = VecDeque::from([self.first_folder(from, ignored)]);
        let mut seen_folders = 1;
        let mut walked = Walked::Whole;
        while let Some(folder) = waiting.pop_front() {
            let Some((handle, names)) = self.enter(&folder.path)? else {
                continue;
            };
            let rules = match ignored {
                Ignored::LeaveOut => self.rules_of(&folder.path, folder.rules),
                Ignored::Include => None,
            };
            for (name, kind) in names {
                if reads_as_git(&String::from_utf8_lossy(&name)) {
                    continue;
                }
                let path = [&folder.path[..], &name].concat();
                let is_folder = kind == FileType::Directory;
                if ignored == Ignored::LeaveOut && self.is_ignored(rules.as_deref(), &path, is_folder) {
                    continue;
                }
                if is_folder && seen_folders == MAX_FOLDERS {
                    walked = Walked::InPart;
                    continue;
                }
                if is_folder {
                    seen_folders += 1;
                    waiting.push_back(Folder {
                        path: [&path[..], b"/"].concat(),
                        rules: rules.clone(),
                    });
                    continue;
                }
                let met = Met {
                    handle: &handle,
                    folder: &folder.path,
                    name: &name,
                    kind,
                };
                if visit(&met).is_break() {
                    return Ok(Walked::InPart);
                }
            }
        }
        Ok(walked)
    }

    fn first_folder(&self, from: Option<&RepoPath>, ignored: Ignored) -> Folder {
        let mut path = Vec::new();
        let mut rules = None;
        for component in from.into_iter().flat_map(RepoPath::components) {
            if ignored == Ignored::LeaveOut {
                rules = self.rules_of(&path, rules);
            }
            path.extend_from_slice(component.as_bytes());
            path.push(b'/');
        }
        Folder { path, rules }
    }

    fn enter(&self, path: &[u8]) -> Result<Option<(Dir, Names)>, FilesError> {
        let opened = resolve::openat2(
            &self.root,
            if path.is_empty() { b"." } else { path },
            OFlags::RDONLY | OFlags::DIRECTORY,
            Links::Refuse,
        );
        let failed = |error| FilesError::io("list", &shown(path), error);
        match opened {
            Ok(folder) => {
                let names = names_of(&folder).map_err(failed)?;
                Ok(Some((Dir::new(folder).map_err(failed)?, names)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::AGAIN | Errno::ACCESS) => {
                Ok(None)
            }
            Err(Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn rules_of(&self, folder: &[u8], above: Option<Rc<Rules>>) -> Option<Rc<Rules>> {
        let path = [folder, b".gitignore"].concat();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let Ok(file) = resolve::openat2(&self.root, &path, flags, Links::Refuse) else {
            return above;
        };
        if !rustix::fs::fstat(&file).is_ok_and(|stat| resolve::is_regular(stat.st_mode)) {
            return above;
        }
        let mut text = Vec::new();
        if File::from(file)
            .take(MAX_IGNORE_FILE)
            .read_to_end(&mut text)
            .is_err()
        {
            return above;
        }
        let own = ignore_file(&String::from_utf8_lossy(&text));
        Some(Rc::new(Rules {
            own,
            folder: folder.to_vec(),
            above,
        }))
    }

    fn is_ignored(&self, mut rules: Option<&Rules>, path: &[u8], is_folder: bool) -> bool {
        while let Some(level) = rules {
            let below = path.strip_prefix(&level.folder[..]).unwrap_or(path);
            let verdict = level.own.matched(as_path(below), is_folder);
            if !verdict.is_none() {
                return verdict.is_ignore();
            }
            rules = level.above.as_deref();
        }
        self.excludes.matched(as_path(path), is_folder).is_ignore()
    }
}

/// Reads the text of a `.gitignore`. A line that is no pattern is passed over, as git does.
pub(super) fn ignore_file(text: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    for line in text.lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

type Names = Vec<(Vec<u8>, FileType)>;

/// Returns the names of a folder in their order, each with its kind.
fn names_of(folder: &std::os::fd::OwnedFd) -> Result<Names, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            kind = FileType::from_raw_mode(stat.st_mode);
        }
        names.push((name.to_vec(), kind));
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

fn remove_if_leftover(met: &Met<'_>) -> bool {
    let ours = std::str::from_utf8(met.name)
        .ok()
        .and_then(|name| name.strip_prefix(TEMPORARY_PREFIX))
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(process, number)| process.parse::<u32>().is_ok() && number.parse::<u64>().is_ok());
    ours && met.kind == FileType::RegularFile
        && met
            .handle
            .fd()
            .and_then(|folder| rustix::fs::unlinkat(folder, met.name, AtFlags::empty()))
            .is_ok()
}

fn entry(met: &Met<'_>) -> Entry {
    let path = [met.folder, met.name].concat();
    Entry {
        shown: shown(&path),
        path: std::str::from_utf8(&path)
            .ok()
            .and_then(|text| RepoPath::parse(text).ok()),
        kind: match met.kind {
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Link,
            _ => EntryKind::Special,
        },
    }
}

fn shown(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if RepoPath::parse(text).is_ok() => text.to_owned(),
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => path.escape_ascii().to_string(),
    }
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
