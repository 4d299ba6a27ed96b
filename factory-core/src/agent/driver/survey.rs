//! What a led model sees of the repository before it acts: the files, and what is in those that matter.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Driver;
use crate::agent::prompt::Surroundings;
use crate::error::Error;
use crate::workspace::{EntryKind, Files, RepoPath};

/// The most names of files that are listed.
const MOST_NAMES: usize = 60;
/// How many files are looked at.
const MOST_WALKED: usize = 50_000;
/// A repository of so few files is shown whole, as far as there is room.
const FEW_FILES: usize = 8;

impl Driver {
    /// Returns the list of files and the contents of those that the goal or the failing checks name, as far as a third
    /// of the prompt's room goes.
    pub(super) async fn survey(&self, surroundings: &Surroundings) -> Result<String, Error> {
        let mut named = self.state.goal.clone();
        for output in surroundings.base_outputs.values() {
            let _ = write!(named, "\n{output}");
        }
        let room = self
            .room()
            .map_or(24 << 10, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
        self.with_files(move |files| survey(files, &named, room)).await
    }
}

fn survey(files: &Files, named: &str, most: usize) -> String {
    let Ok(listing) = files.list(None, MOST_WALKED) else {
        return String::new();
    };
    let paths: Vec<&RepoPath> = listing
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::File)
        .filter_map(|entry| entry.path.as_ref())
        .collect();
    let mut text = "Files:\n".to_owned();
    let is_named = |path: &&&RepoPath| {
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        named.contains(name) || stem.len() > 2 && named.contains(stem)
    };
    let mut wanted: BTreeSet<&RepoPath> = paths.iter().filter(is_named).copied().collect();
    if paths.len() <= FEW_FILES {
        wanted.extend(&paths);
    }
    for path in wanted
        .iter()
        .chain(paths.iter().filter(|path| !wanted.contains(*path)))
        .take(MOST_NAMES)
    {
        let _ = writeln!(text, "{path}");
    }
    if paths.len() > MOST_NAMES {
        let _ = writeln!(text, "[and {} more]", paths.len() - MOST_NAMES);
    }
    let mut left = most.saturating_sub(text.len());
    for path in wanted {
        let Ok(content) = files.read(path, left.min(8 << 10)) else {
            continue;
        };
        let Ok(body) = std::str::from_utf8(&content.bytes) else {
            continue;
        };
        if content.truncated || body.len() > left {
            continue;
        }
        let fence = if body.contains("```") { "````" } else { "```" };
        let _ = write!(
            text,
            "\n{path}:\n{fence}\n{}\n{fence}\n",
            body.trim_end_matches('\n')
        );
        left = left.saturating_sub(body.len() + 32);
    }
    text
}
