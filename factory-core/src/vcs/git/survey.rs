//! What stands in a checkout that git would stumble over, found before git looks.
//!
//! Git opens every `.gitignore` and every `.gitattributes` on its way, and what a `.git` leads to. A pipe in such a place
//! would hold it until the deadline, and a huge file would fill the memory. So every folder that git would enter is listed
//! here first; only names are looked at, and nothing but plain files of a reasonable size is opened. Folders that are
//! ignored are passed over, as git does. Should git see a pattern otherwise and enter, its deadline ends it.

use std::ffi::OsStr;
use std::fs::{self, FileType, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::OFlags;

/// The largest file of patterns or attributes that git is let near.
const MOST_RULES: u64 = 1 << 20;

/// What was found. Paths are relative to the checkout, without a slash at the end; the top is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Folders whose `.gitignore` must not be opened.
    pub(super) rules: Vec<Vec<u8>>,
    /// Folders whose `.gitattributes` must not be opened.
    pub(super) attributes: Vec<Vec<u8>>,
    /// Folders with a `.git` of any kind but an empty folder.
    pub(super) nested: Vec<Vec<u8>>,
}

/// The patterns of a folder and of those above it.
#[derive(Debug)]
struct Rules {
    own: Gitignore,
    /// The folder, with a slash at the end unless it is the top.
    folder: Vec<u8>,
    above: Option<Rc<Self>>,
}

impl Rules {
    /// Tells whether a folder is ignored; the innermost patterns that say something decide.
    fn ignore(&self, path: &[u8]) -> bool {
        let mut level = Some(self);
        while let Some(rules) = level {
            let below = path.strip_prefix(&rules.folder[..]).unwrap_or(path);
            let verdict = rules.own.matched(Path::new(OsStr::from_bytes(below)), true);
            if !verdict.is_none() {
                return verdict.is_ignore();
            }
            level = rules.above.as_deref();
        }
        false
    }
}

/// Looks through the folders that git would enter. A folder that cannot be listed is passed over: git tells of it.
pub(super) fn survey(dir: &Path, excludes: &Path) -> Survey {
    let mut survey = Survey::default();
    let outermost = read_rules(excludes, &[], None);
    let mut waiting = vec![(Vec::new(), outermost)];
    while let Some((folder, mut rules)) = waiting.pop() {
        let path = dir.join(OsStr::from_bytes(&folder));
        let Ok(entries) = fs::read_dir(&path) else {
            continue;
        };
        let mut prefix = folder.clone();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut folders = Vec::new();
        for entry in entries.flatten() {
            let (name, Ok(kind)) = (entry.file_name().into_vec(), entry.file_type()) else {
                continue;
            };
            match &name[..] {
                // As a sandbox leaves it behind that mounts a git directory of its own.
                b".git" if kind.is_dir() && is_empty(&entry.path()) => {}
                b".git" => survey.nested.push(folder.clone()),
                b".gitignore" if !is_harmless(&entry, kind) => survey.rules.push(folder.clone()),
                b".gitignore" if kind.is_file() => rules = read_rules(&entry.path(), &prefix, rules),
                b".gitattributes" if !is_harmless(&entry, kind) => survey.attributes.push(folder.clone()),
                _ if kind.is_dir() => folders.push([&prefix[..], &name].concat()),
                _ => {}
            }
        }
        folders.retain(|folder| !rules.as_ref().is_some_and(|rules| rules.ignore(folder)));
        waiting.extend(folders.into_iter().map(|folder| (folder, rules.clone())));
    }
    survey.rules.sort();
    survey.attributes.sort();
    survey.nested.sort();
    survey
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Git follows no link of these names, and takes a folder for none.
fn is_harmless(entry: &fs::DirEntry, kind: FileType) -> bool {
    if kind.is_file() {
        return entry
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= MOST_RULES);
    }
    kind.is_dir() || kind.is_symlink()
}

/// Reads a file of patterns, which are those of `above` where it says nothing.
fn read_rules(file: &Path, folder: &[u8], above: Option<Rc<Rules>>) -> Option<Rc<Rules>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut text = Vec::new();
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(file)
        .and_then(|file| {
            if file.metadata()?.is_file() {
                file.take(MOST_RULES).read_to_end(&mut text)?;
            }
            Ok(())
        });
    if read.is_err() || text.is_empty() {
        return above;
    }
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(&text).lines() {
        // A line that is no pattern is passed over, as git does.
        let _no_pattern = builder.add_line(None, line);
    }
    let Ok(own) = builder.build() else { return above };
    let folder = folder.to_vec();
    Some(Rc::new(Rules { own, folder, above }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_would_stumble_over_is_found_and_ignored_folders_are_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let write = |path: &str, content: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), content).unwrap();
        };
        let pipe = |path: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                at(path),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
        };
        write("excludes", "/set-up\n");
        write("checkout/.gitignore", "target/\n!kept/target/\n");
        write("checkout/.git/HEAD", "");
        pipe("checkout/a/.gitignore");
        pipe("checkout/b/c/.gitattributes");
        write("checkout/d/.gitignore", &"x\n".repeat(1 << 20));
        pipe("checkout/target/.gitignore");
        pipe("checkout/kept/target/.gitignore");
        pipe("checkout/set-up/.gitignore");
        write("checkout/module/.git", "gitdir: elsewhere\n");
        fs::create_dir_all(at("checkout/mounted/.git")).unwrap();
        fs::create_dir_all(at("checkout/folder/.gitignore")).unwrap();
        fs::create_dir_all(at("checkout/link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("checkout/link/.gitignore")).unwrap();
        let paths =
            |paths: &[&str]| -> Vec<Vec<u8>> { paths.iter().map(|path| path.as_bytes().to_vec()).collect() };
        let expected = Survey {
            rules: paths(&["a", "d", "kept/target"]),
            attributes: paths(&["b/c"]),
            nested: paths(&["", "module"]),
        };
        assert_eq!(survey(&at("checkout"), &at("excludes")), expected);
    }
}
