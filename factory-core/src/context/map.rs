//! The map of a repository: its files, the most relevant first and with what they define, then the names of the rest.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::index::FileId;
use super::outline::Outline;
use super::ranking::Reason;
use super::role::Role;
use super::sources::Sources;

/// How many definitions are shown of a file that the request leads to, and of another.
const MOST_CALLED_FOR: usize = 60;
const MOST_OTHERS: usize = 16;
/// How many where there is no room for those.
const FEWEST: usize = 6;
/// The longest line of the names in a folder.
const MAX_NAMES: usize = 300;
/// What is kept free for the line that says what is left out.
const CLOSING: usize = 80;
/// The share of the map that the names of further files may take, as a fraction.
const NAMES_SHARE: usize = 3;

/// What the map is told beside the files.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// How many names break the rules of paths, so that they cannot be opened.
    pub(super) unusable: usize,
    /// Whether there are more files than were listed.
    pub(super) truncated: bool,
}

/// A text that never grows beyond its bound.
struct Page {
    text: String,
    bound: usize,
}

impl Page {
    fn has_room(&self, bytes: usize) -> bool {
        self.text.len() + bytes <= self.bound
    }

    /// Adds the text whole, or not at all.
    fn push(&mut self, text: &str) -> bool {
        let fits = self.has_room(text.len());
        if fits {
            self.text.push_str(text);
        }
        fits
    }
}

/// Returns the map within `budget` bytes. What the files in `shown` define is not said, because they are read whole.
pub(super) fn map(
    sources: &mut Sources<'_>,
    ranked: &[(FileId, Reason)],
    shown: &HashSet<FileId>,
    extent: &Extent,
    budget: usize,
) -> String {
    let mut page = Page {
        text: String::new(),
        bound: budget.saturating_sub(CLOSING),
    };
    if ranked.is_empty() {
        page.push("The repository has no files.\n");
        return page.text;
    }
    let all: Vec<FileId> = ranked.iter().map(|(id, _)| *id).collect();
    let names = further(sources, &all);
    let reserved = names
        .iter()
        .map(String::len)
        .sum::<usize>()
        .min(page.bound / NAMES_SHARE);
    page.bound = page.bound.saturating_sub(reserved);
    let detailed = details(sources, ranked, shown, &mut page);
    page.bound = budget.saturating_sub(CLOSING);

    let rest: Vec<FileId> = all.into_iter().filter(|id| !detailed.contains(id)).collect();
    let mut left_out = 0;
    if !rest.is_empty() {
        let lines = further(sources, &rest);
        let total = lines.len();
        let mut said = page.push(if detailed.is_empty() {
            "Files by folder:\n"
        } else {
            "\nFurther files by folder:\n"
        });
        let mut written = 0;
        for line in &lines {
            said = said && page.push(line);
            if !said {
                break;
            }
            written += 1;
        }
        left_out = total - written;
    }
    close(&mut page, left_out, extent, budget);
    page.text
}

/// Writes the files with what they define, as many as there is room for; returns them.
fn details(
    sources: &mut Sources<'_>,
    ranked: &[(FileId, Reason)],
    shown: &HashSet<FileId>,
    page: &mut Page,
) -> HashSet<FileId> {
    let mut detailed = HashSet::new();
    if !page.push("Files, the most relevant first, with what they define:\n") {
        return detailed;
    }
    let start = page.text.len();
    for (id, reason) in ranked {
        if *reason >= Reason::Text {
            break;
        }
        let most = match reason {
            _ if shown.contains(id) || *reason == Reason::Manifest => 0,
            _ if reason.is_called_for() => MOST_CALLED_FOR,
            _ => MOST_OTHERS,
        };
        let path = sources.index().path(*id).as_str();
        let heading = if shown.contains(id) {
            format!("{path} (whole below)\n")
        } else {
            format!("{path}\n")
        };
        let outline = if most > 0 { sources.outline(*id) } else { None };
        // Where all of it has no room, a few definitions still say what the file is about.
        let fitted =
            page.push(&entry(&heading, outline, most)) || page.push(&entry(&heading, outline, FEWEST));
        if !fitted {
            break;
        }
        detailed.insert(*id);
    }
    if page.text.len() == start {
        page.text.clear();
    }
    detailed
}

/// A file's heading and its first definitions, at most `most`.
fn entry(heading: &str, outline: Option<&Outline>, most: usize) -> String {
    let mut entry = heading.to_owned();
    let symbols = outline.map_or(&[][..], |outline| &outline.symbols);
    for symbol in symbols.iter().take(most) {
        let indent = 2 + 2 * symbol.depth;
        let _ = writeln!(entry, "{:indent$}{}", "", symbol.signature);
    }
    if most > 0 && symbols.len() > most {
        let _ = writeln!(entry, "  … {} more", symbols.len() - most);
    }
    entry
}

/// Returns the names of files, a line for each folder; folders that somebody else wrote are counted alone.
fn further(sources: &Sources<'_>, files: &[FileId]) -> Vec<String> {
    let mut folders: BTreeMap<(usize, String), Vec<FileId>> = BTreeMap::new();
    for id in files {
        let folder = sources.index().path(*id).parent();
        let depth = folder.as_ref().map_or(0, |folder| folder.components().count());
        let folder = folder.map_or_else(String::new, |folder| folder.as_str().to_owned());
        folders.entry((depth, folder)).or_default().push(*id);
    }
    folders
        .into_iter()
        .map(|((_, folder), mut files)| {
            files.sort_unstable();
            names_of(sources, &folder, &files)
        })
        .collect()
}

fn names_of(sources: &Sources<'_>, folder: &str, files: &[FileId]) -> String {
    let mut line = if folder.is_empty() {
        "at the top:".to_owned()
    } else {
        format!("{folder}/:")
    };
    let foreign = !folder.is_empty() && files.iter().all(|id| sources.role(*id) == Role::Foreign);
    if foreign {
        let noun = if files.len() == 1 { "file" } else { "files" };
        let _ = writeln!(line, " {} {noun}", files.len());
        return line;
    }
    for (place, id) in files.iter().enumerate() {
        let name = sources.index().path(*id).file_name();
        if place > 0 && line.len() + name.len() > MAX_NAMES {
            let _ = write!(line, " … and {} more", files.len() - place);
            break;
        }
        line.push_str(if place == 0 { " " } else { ", " });
        line.push_str(name);
    }
    line.push('\n');
    line
}

/// Says what is not in the map, in the room that was kept for it.
fn close(page: &mut Page, folders_left_out: usize, extent: &Extent, budget: usize) {
    page.bound = budget;
    if folders_left_out > 0 {
        let noun = if folders_left_out == 1 {
            "folder"
        } else {
            "folders"
        };
        page.push(&format!("[… {folders_left_out} more {noun} …]\n"));
    }
    if extent.truncated {
        page.push("[… more files than were listed …]\n");
    }
    if extent.unusable > 0 {
        let noun = if extent.unusable == 1 {
            "name that is no usable path"
        } else {
            "names that are no usable paths"
        };
        page.push(&format!("[{} {noun}]\n", extent.unusable));
    }
}
