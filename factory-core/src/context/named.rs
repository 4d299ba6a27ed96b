//! Which file of a repository a word means: by its path, the end of its path, its name, or a module's name.

use super::index::{FileId, FileIndex};
use super::role;
use crate::workspace::RepoPath;

/// The longest word that is looked at.
const MAX_WORD: usize = 512;
/// How many components of a path are dropped or tried.
const MAX_COMPONENTS: usize = 24;

/// What stands behind a module's name to make it a file's.
const MODULE_ENDS: &[&str] = &[
    ".py",
    "/__init__.py",
    ".rs",
    "/mod.rs",
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    "/index.ts",
    "/index.tsx",
    "/index.js",
    ".java",
    ".go",
    ".rb",
    ".hpp",
    ".h",
    ".pyi",
];

/// What stands behind a name with `::` in it.
const SCOPED_ENDS: &[&str] = &[".rs", "/mod.rs", ".rb", ".cpp", ".hpp", ".h"];

/// What stands behind a name in quotes that begins with a dot, where endings are left out.
const RELATIVE_ENDS: &[&str] = &[
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    "/index.ts",
    "/index.tsx",
    "/index.js",
    ".rb",
];

/// Folders of the machine, not of the repository: what lies there is not meant even if it is called alike.
const OF_THE_MACHINE: &[&str] = &["/usr/", "/lib/", "/lib64/", "/opt/", "/nix/", "/rustc/"];

/// Folders of installed packages, wherever they lie.
const OF_PACKAGES: &[&str] = &[
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/.cargo/",
    "/pkg/mod/",
];

/// Returns the file that a word means.
pub(super) fn resolve(word: &str, index: &FileIndex) -> Option<FileId> {
    if word.len() > MAX_WORD || word.is_empty() {
        return None;
    }
    let word = word.replace('\\', "/");
    let word = word.strip_prefix("file://").unwrap_or(&word);
    if word.contains("://") {
        return None;
    }
    by_path(word, index).or_else(|| by_module(word, index))
}

fn by_path(word: &str, index: &FileIndex) -> Option<FileId> {
    let mut word = word;
    while let Some(rest) = word.strip_prefix("./").or_else(|| word.strip_prefix("../")) {
        word = rest;
    }
    if let Some(id) = index.exact(word) {
        return Some(id);
    }
    let is_absolute = word.starts_with('/') || word.as_bytes().get(1) == Some(&b':');
    if !is_absolute && let Some(id) = index.ending(word) {
        return Some(id);
    }
    if is_elsewhere(word) {
        return None;
    }
    // `/workspace/src/a.py`, `b/src/a.py` of a diff: the longest end that is a file from the top.
    let mut rest = word;
    for _ in 0..MAX_COMPONENTS {
        let (_, shorter) = rest.split_once('/')?;
        rest = shorter;
        if let Some(id) = index.exact(rest) {
            return Some(id);
        }
    }
    None
}

fn is_elsewhere(word: &str) -> bool {
    OF_THE_MACHINE.iter().any(|folder| word.starts_with(folder))
        || OF_PACKAGES.iter().any(|folder| word.contains(folder))
}

/// `tests.test_calc.TestAdd`, `crate::parser::tests`, `./parser`, `org.example.Shelf`.
fn by_module(word: &str, index: &FileIndex) -> Option<FileId> {
    let is_dotted = word.contains("::") || (word.contains('.') && !word.contains('/'));
    let is_relative = word.starts_with("./") || word.starts_with("../");
    if !is_dotted && !is_relative {
        return None;
    }
    if is_relative {
        let path = word.trim_start_matches(['.', '/']);
        return with_ending(path, RELATIVE_ENDS, index);
    }
    let is_scoped = word.contains("::");
    let ends = if is_scoped { SCOPED_ENDS } else { MODULE_ENDS };
    let parts: Vec<&str> = word
        .split(if is_scoped { "::" } else { "." })
        .skip_while(|part| matches!(*part, "crate" | "self" | "super"))
        .take(MAX_COMPONENTS)
        .collect();
    let is_of_rust = is_scoped && matches!(parts.first(), Some(&("std" | "core" | "alloc")));
    if is_of_rust || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    // What follows the module are names within it.
    (1..=parts.len())
        .rev()
        .find_map(|take| with_ending(&parts[..take].join("/"), ends, index))
}

/// Returns the file of a module by its path without the ending.
pub(super) fn module(path: &str, index: &FileIndex) -> Option<FileId> {
    with_ending(path, MODULE_ENDS, index)
}

fn with_ending(path: &str, ends: &[&str], index: &FileIndex) -> Option<FileId> {
    if path.is_empty() || path.starts_with('/') {
        return None;
    }
    ends.iter().find_map(|end| index.ending(&format!("{path}{end}")))
}

/// Returns the path of a file that a word names and that is not there; none where the word is no file's name.
pub(super) fn absent(word: &str) -> Option<RepoPath> {
    if word.len() > MAX_WORD || word.starts_with(['/', '~', '-', '$', '@']) || word.contains("://") {
        return None;
    }
    let path = RepoPath::parse(word).ok()?;
    let known = role::looks_like_file_name(path.file_name());
    let is_glob = word.contains(['*', '?']);
    let is_host = path.components().count() > 1
        && path
            .components()
            .next()
            .is_some_and(|first| first.contains('.') && !first.starts_with('.'));
    (known && !is_glob && !is_host).then_some(path)
}
