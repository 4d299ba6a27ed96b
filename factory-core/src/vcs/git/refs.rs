//! Reads which object a ref names from the files that git keeps refs in, without asking git.
//!
//! Asking costs three processes, and a busy factory asks for the same branch thousands of times. What is read here is
//! what nearly every repository has: a `HEAD` that names a branch or a commit, and refs in a file each or packed in one.
//! Everything else (tables of refs, chains of symbolic refs, links, abbreviated hashes, files that are not as git writes
//! them) is `None`: git is to be asked.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::locate::Located;

/// The longest ref file that is read; git writes 41 or 65 bytes.
const MOST_REF: u64 = 1024;
/// What is left of a file of packed refs is read as a whole once it is so short.
const WHOLE: u64 = 8 << 10;
/// How much is read in the middle of a longer one. Longer lines are left to git.
const WINDOW: usize = 1 << 10;

/// What stands in a repository under the full name of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ref {
    /// It names this object.
    Object(String),
    /// There is none.
    Missing,
    /// Git has to be asked.
    Unusual,
}

impl Ref {
    fn object(self) -> Option<String> {
        match self {
            Self::Object(object) => Some(object),
            Self::Missing | Self::Unusual => None,
        }
    }
}

/// Returns the object that a name (`HEAD`, a branch, a tag, a hash) leads to first. It may be a tag's, or that of no
/// commit at all: whoever wants a commit has to know the object. The name has passed `names::check_revision`.
pub(super) fn object_of(repository: &Located, name: &str) -> Option<String> {
    let common = &repository.common_dir;
    if common.join("reftable").symlink_metadata().is_ok() {
        return None;
    }
    if name == "HEAD" {
        return head(repository);
    }
    if is_object(name) {
        return Some(name.to_owned());
    }
    // A branch goes before a tag of the same name, as everywhere.
    for kind in ["heads", "tags", "remotes"] {
        match lookup(common, &format!("refs/{kind}/{name}")) {
            Ref::Missing => {}
            found => return found.object(),
        }
    }
    if name.starts_with("refs/") {
        return lookup(common, name).object();
    }
    None
}

fn head(repository: &Located) -> Option<String> {
    let Loose::Text(text) = read_loose(&repository.git_dir.join("HEAD")) else {
        return None;
    };
    if let Some(name) = text.strip_prefix("ref:") {
        let name = name.trim();
        let is_branch = name.starts_with("refs/heads/");
        return is_branch.then(|| lookup(&repository.common_dir, name))?.object();
    }
    object_in(&text)
}

/// Looks for a ref in a git directory, a file of its own first: whoever packs refs removes the files afterwards.
pub(super) fn lookup(common_dir: &Path, name: &str) -> Ref {
    if !name.split('/').all(is_component) {
        return Ref::Unusual;
    }
    match read_loose(&common_dir.join(name)) {
        Loose::Text(text) => object_in(&text).map_or(Ref::Unusual, Ref::Object),
        Loose::Missing => find_packed(&common_dir.join("packed-refs"), name),
        Loose::Unusual => Ref::Unusual,
    }
}

/// Tells whether git takes it for a part of a ref's name. What it would not, and what may mean something else, is not.
fn is_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && !part.ends_with('.')
        && !part.to_ascii_lowercase().ends_with(".lock")
        && !part.contains("..")
        && !part.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c))
}

fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}

fn object_in(text: &str) -> Option<String> {
    let object = text.strip_suffix('\n').unwrap_or(text);
    is_object(object).then(|| object.to_owned())
}

/// What stands in a small file.
enum Loose {
    Text(String),
    Missing,
    Unusual,
}

fn read_loose(path: &Path) -> Loose {
    // Neither a link, which git reads as a symbolic ref, nor a pipe, which would not answer.
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Loose::Missing;
        }
        Err(_) => return Loose::Unusual,
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {}
        // Refs with a common beginning lie in it, or lay.
        Ok(metadata) if metadata.is_dir() => return Loose::Missing,
        _ => return Loose::Unusual,
    }
    let mut text = String::new();
    match file.take(MOST_REF).read_to_string(&mut text) {
        Ok(_) => Loose::Text(text),
        Err(_) => Loose::Unusual,
    }
}

/// Looks for a ref in the file of packed refs. Git sorts it and never changes it in place.
fn find_packed(path: &Path, name: &str) -> Ref {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ref::Missing,
        Err(_) => return Ref::Unusual,
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {
            search(&file, metadata.len(), name.as_bytes()).unwrap_or(Ref::Unusual)
        }
        _ => Ref::Unusual,
    }
}

/// Halves the part of the file in which the ref may stand until it is short. None where the file is not as expected.
fn search(file: &File, length: u64, name: &[u8]) -> Option<Ref> {
    if length == 0 {
        return Some(Ref::Missing);
    }
    let header = read_at(file, 0, WINDOW.min(usize::try_from(length).ok()?))?;
    let end = header.iter().position(|byte| *byte == b'\n')?;
    let traits = header[..end].strip_prefix(b"# pack-refs with:")?;
    if !traits
        .split(u8::is_ascii_whitespace)
        .any(|word| word == b"sorted")
    {
        return None;
    }
    // Both stand at the beginning of a line that is not a peeled object's, or at the end of the file.
    let (mut low, mut high) = (end as u64 + 1, length);
    while high - low > WHOLE {
        let middle = low + (high - low) / 2;
        let window = read_at(file, middle, WINDOW)?;
        let (at, line) = first_ref(&window)?;
        let (object, found) = parse(line)?;
        match found.cmp(name) {
            std::cmp::Ordering::Equal => return Some(object),
            std::cmp::Ordering::Less => low = middle + at as u64,
            std::cmp::Ordering::Greater => high = middle + at as u64,
        }
    }
    let rest = read_at(file, low, usize::try_from(high - low).ok()?)?;
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"^") {
            continue;
        }
        let (object, found) = parse(line.strip_suffix(b"\n")?)?;
        if found == name {
            return Some(object);
        }
    }
    Some(Ref::Missing)
}

fn read_at(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// Returns the first whole line of a ref that begins in the window, and where.
fn first_ref(window: &[u8]) -> Option<(usize, &[u8])> {
    let mut begin = window.iter().position(|byte| *byte == b'\n')? + 1;
    loop {
        let length = window[begin..].iter().position(|byte| *byte == b'\n')?;
        if window[begin] != b'^' {
            return Some((begin, &window[begin..begin + length]));
        }
        begin += length + 1;
    }
}

fn parse(line: &[u8]) -> Option<(Ref, &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let object = std::str::from_utf8(&line[..space]).ok()?;
    let found = if is_object(object) {
        Ref::Object(object.to_owned())
    } else {
        Ref::Unusual
    };
    Some((found, &line[space + 1..]))
}

#[cfg(test)]
mod tests;
