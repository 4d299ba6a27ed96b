//! The search tool: a regular expression over the lines of the files that git would not ignore.

use std::fmt::Write as _;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

use super::bounded::{MAX_RESULT, bounded_line};
use super::read::{MAX_WALKED, Outcome, SearchRequest, counted};
use crate::workspace::{EntryKind, Files, FilesError, RepoPath};

/// How many matches are shown.
const MAX_SHOWN: usize = 200;
/// How long a match's line is shown, in bytes.
const MAX_LINE: usize = 300;
/// The largest file that is searched: 2 MiB.
const MAX_FILE: usize = 2 << 20;
/// How much is read in all: 256 MiB.
const MAX_READ: usize = 256 << 20;
/// How large a compiled expression may be.
const MAX_COMPILED: usize = 4 << 20;

/// What was found so far.
#[derive(Default)]
struct Found {
    shown: String,
    shown_matches: usize,
    matches: usize,
    files: usize,
    too_large: usize,
    read: usize,
    gave_up: bool,
}

pub(super) fn search(files: &Files, request: &SearchRequest) -> Outcome {
    let (regex, note) = match compiled(request) {
        Ok(compiled) => compiled,
        Err(text) => return Outcome::failed(text),
    };
    let glob = match request.glob.as_deref().map(glob).transpose() {
        Ok(glob) => glob,
        Err(text) => return Outcome::failed(text),
    };
    let (paths, truncated) = match searched_files(files, request.within.as_ref()) {
        Ok(paths) => paths,
        Err(error) => return error.into(),
    };
    let mut found = Found {
        gave_up: truncated,
        ..Found::default()
    };
    for path in paths {
        if glob.as_ref().is_some_and(|glob| !fits(glob, &path)) {
            continue;
        }
        if found.read > MAX_READ {
            found.gave_up = true;
            break;
        }
        search_file(files, &path, &regex, &mut found);
    }
    answer(request, &note, &found)
}

/// What is no regular expression is taken literally, and the model is told.
fn compiled(request: &SearchRequest) -> Result<(Regex, String), String> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(request.ignore_case)
            .size_limit(MAX_COMPILED)
            .build()
    };
    match build(&request.pattern) {
        Ok(regex) => Ok((regex, String::new())),
        Err(regex::Error::Syntax(_)) => match build(&regex::escape(&request.pattern)) {
            Ok(regex) => Ok((
                regex,
                "the pattern is no regular expression, so it was searched for as it is\n".to_owned(),
            )),
            Err(error) => Err(format!("the pattern cannot be searched for: {error}")),
        },
        Err(error) => Err(format!("the pattern cannot be searched for: {error}")),
    }
}

fn glob(text: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("the glob is not right: {error}"))
}

/// A glob without a folder means the file's name.
fn fits(glob: &GlobMatcher, path: &RepoPath) -> bool {
    glob.is_match(path.as_str()) || (!glob.glob().glob().contains('/') && glob.is_match(path.file_name()))
}

fn searched_files(files: &Files, within: Option<&RepoPath>) -> Result<(Vec<RepoPath>, bool), FilesError> {
    let listing = match (files.list(within, MAX_WALKED), within) {
        (Err(FilesError::NotAFolder { .. }), Some(file)) => return Ok((vec![file.clone()], false)),
        (listing, _) => listing?,
    };
    let regular = listing
        .entries
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::File);
    Ok((
        regular.filter_map(|entry| entry.path).collect(),
        listing.truncated,
    ))
}

fn search_file(files: &Files, path: &RepoPath, regex: &Regex, found: &mut Found) {
    // A file that went away, or cannot be read, holds no match that could be shown.
    let Ok(content) = files.read(path, MAX_FILE) else {
        return;
    };
    found.read += content.bytes.len();
    if content.truncated {
        found.too_large += 1;
        return;
    }
    if content.bytes.contains(&0) {
        return;
    }
    let text = String::from_utf8_lossy(&content.bytes);
    let before = found.matches;
    for (number, line) in (1..).zip(text.lines()) {
        if !regex.is_match(line) {
            continue;
        }
        found.matches += 1;
        let shown = format!("{path}:{number}: {}\n", bounded_line(line.trim_end(), MAX_LINE));
        if found.shown_matches < MAX_SHOWN && found.shown.len() + shown.len() < MAX_RESULT - 1024 {
            found.shown.push_str(&shown);
            found.shown_matches += 1;
        }
    }
    found.files += usize::from(found.matches > before);
}

fn answer(request: &SearchRequest, note: &str, found: &Found) -> Outcome {
    let place = request
        .within
        .as_ref()
        .map_or(String::new(), |within| format!(" in `{within}`"));
    let matches = if found.matches == 1 {
        "1 match".to_owned()
    } else {
        format!("{} matches", found.matches)
    };
    let mut text = note.to_owned();
    if found.matches == 0 {
        let _ = writeln!(text, "no match{place}");
    } else {
        let _ = write!(
            text,
            "{matches} in {}{place}:\n{}",
            counted(found.files, "file"),
            found.shown
        );
    }
    if found.shown_matches < found.matches {
        let more = found.matches - found.shown_matches;
        let _ = writeln!(
            text,
            "[{more} more; narrow the pattern, or name a folder or a glob]"
        );
    }
    if found.too_large > 0 {
        let _ = writeln!(
            text,
            "[{} over 2 MiB not searched]",
            counted(found.too_large, "file")
        );
    }
    if found.gave_up {
        text.push_str("[there are more files than are searched at once; name a folder]\n");
    }
    Outcome::done(&text, format!("searched{place}: {matches}"))
}
