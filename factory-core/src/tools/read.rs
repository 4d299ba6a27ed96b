//! The tools that only look: list, read, search. Their answers are short and exact, and say what they leave out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bounded::{MAX_RESULT, bounded, bounded_line, one_line};
use super::search;
use crate::workspace::{Entry, EntryKind, Files, FilesError, RepoPath};

/// How much of a file is read: 8 MiB.
const MAX_READ: usize = 8 << 20;
/// The longest line that is shown whole, in bytes.
const MAX_LINE: usize = 2000;
/// How many lines a listing has at most; beyond, deep folders are shown as one line each.
const MAX_LISTED_LINES: usize = 400;
/// How many files are looked at for a listing.
pub(super) const MAX_WALKED: usize = 100_000;

/// A call of a tool that only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadRequest {
    /// List the files.
    ListFiles {
        /// Below this folder; none means all.
        folder: Option<RepoPath>,
    },
    /// Read a file.
    ReadFile {
        /// The file.
        path: RepoPath,
        /// The first line, from 1.
        first_line: usize,
        /// How many lines at most; none means as many as fit.
        lines: Option<usize>,
    },
    /// Search the files.
    Search(SearchRequest),
}

/// A call of the search tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// What is searched for.
    pub pattern: String,
    /// Below this folder, or in this file; none means everywhere.
    pub within: Option<RepoPath>,
    /// In files whose name or path fits this alone.
    pub glob: Option<String>,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
}

/// What a tool that only looks answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it did what was asked.
    pub ok: bool,
    /// What the model is told.
    pub text: String,
    /// One line for the operator.
    pub summary: String,
    /// The stable code, where it was refused for safety.
    pub denied: Option<&'static str>,
}

impl Outcome {
    pub(super) fn done(text: &str, summary: String) -> Self {
        Self {
            ok: true,
            text: bounded(text, MAX_RESULT),
            summary,
            denied: None,
        }
    }

    pub(super) fn failed(text: String) -> Self {
        Self {
            ok: false,
            summary: one_line(&text, 200),
            text,
            denied: None,
        }
    }
}

impl From<FilesError> for Outcome {
    fn from(error: FilesError) -> Self {
        Self {
            denied: error.denial(),
            ..Self::failed(error.to_string())
        }
    }
}

/// Carries out a call of a tool that only looks. Blocks.
pub fn read(files: &Files, request: &ReadRequest) -> Outcome {
    match request {
        ReadRequest::ListFiles { folder } => list(files, folder.as_ref()),
        ReadRequest::ReadFile {
            path,
            first_line,
            lines,
        } => read_file(files, path, *first_line, *lines),
        ReadRequest::Search(request) => search::search(files, request),
    }
}

fn list(files: &Files, folder: Option<&RepoPath>) -> Outcome {
    let listing = match files.list(folder, MAX_WALKED) {
        Ok(listing) => listing,
        Err(error) => return error.into(),
    };
    let place = folder.map_or("the repository".to_owned(), |folder| format!("`{folder}`"));
    let count = listing.entries.len();
    if count == 0 {
        return Outcome::done(
            &format!("{place} has no files"),
            format!("listed {place}: no files"),
        );
    }
    let least = if listing.truncated { "more than " } else { "" };
    let lines = fitted(&listing.entries);
    let mut text = format!("{place} has {least}{}", counted(count, "file"));
    if lines.len() < count {
        text.push_str("; folders with many files are shown as one line, list them by name");
    }
    text.push_str(":\n");
    for line in lines.iter().take(MAX_LISTED_LINES) {
        text.push_str(line);
        text.push('\n');
    }
    if lines.len() > MAX_LISTED_LINES {
        let _ = writeln!(text, "[{} more]", lines.len() - MAX_LISTED_LINES);
    }
    Outcome::done(
        &text,
        format!("listed {place}: {least}{}", counted(count, "file")),
    )
}

/// Returns the listing's lines as deep as they fit, deeper folders as one line with a count.
fn fitted(entries: &[Entry]) -> Vec<String> {
    let deepest = entries
        .iter()
        .map(|entry| entry.shown.matches('/').count())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for depth in (0..=deepest).rev() {
        lines = shown_to(entries, depth);
        if lines.len() <= MAX_LISTED_LINES {
            break;
        }
    }
    lines
}

fn shown_to(entries: &[Entry], depth: usize) -> Vec<String> {
    let mut folders = BTreeMap::<&str, usize>::new();
    let mut lines = BTreeMap::<&str, String>::new();
    for entry in entries {
        if let Some((end, _)) = entry.shown.match_indices('/').nth(depth) {
            *folders.entry(&entry.shown[..=end]).or_default() += 1;
            continue;
        }
        let mark = match entry.kind {
            EntryKind::File => "",
            EntryKind::Link => " (link)",
            EntryKind::Special => " (not a file)",
        };
        lines.insert(&entry.shown, format!("{}{mark}", entry.shown));
    }
    for (folder, count) in folders {
        lines.insert(folder, format!("{folder} ({})", counted(count, "file")));
    }
    lines.into_values().collect()
}

fn read_file(files: &Files, path: &RepoPath, first_line: usize, lines: Option<usize>) -> Outcome {
    let content = match files.read(path, MAX_READ) {
        Ok(content) => content,
        Err(error) => return error.into(),
    };
    if content.bytes.contains(&0) {
        return Outcome::failed(format!(
            "`{path}` is no text: {} with zero bytes among them",
            counted_bytes(content.total)
        ));
    }
    let text = String::from_utf8_lossy(&content.bytes);
    let all: Vec<&str> = text.lines().collect();
    let known = if content.truncated {
        format!("more than {}", all.len())
    } else {
        all.len().to_string()
    };
    if all.is_empty() {
        return Outcome::done(&format!("`{path}` is empty"), format!("read {path}: empty"));
    }
    let first = first_line.max(1);
    if first > all.len() {
        return Outcome::failed(format!("`{path}` has {known} lines; there is no line {first}"));
    }
    let wanted = &all[first - 1..];
    let wanted = &wanted[..wanted.len().min(lines.unwrap_or(usize::MAX).max(1))];
    let mut body = String::new();
    let mut shown = 0;
    for line in wanted {
        let line = bounded_line(line, MAX_LINE);
        // Room is left for the two lines around it.
        if shown > 0 && body.len() + line.len() > MAX_RESULT - 1024 {
            break;
        }
        body.push_str(&line);
        body.push('\n');
        shown += 1;
    }
    let last = first + shown - 1;
    let mut answer = format!("`{path}`, lines {first}-{last} of {known}:\n{body}");
    if last < all.len() {
        let _ = writeln!(answer, "[to read on: offset {}]", last + 1);
    } else if content.truncated {
        let rest = counted_bytes(content.total);
        let _ = writeln!(answer, "[the file has {rest}; what is left is not shown]");
    } else if !text.ends_with('\n') {
        answer.push_str("[the last line has no line end]\n");
    }
    Outcome::done(&answer, format!("read {path}: lines {first}-{last} of {known}"))
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn counted_bytes(count: u64) -> String {
    if count == 1 {
        "1 byte".to_owned()
    } else {
        format!("{count} bytes")
    }
}
