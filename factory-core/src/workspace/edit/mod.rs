//! Edits as models write them, turned into whole new contents. Pure: texts in, texts out.
//!
//! No edit names a line number: models count badly. What is to be replaced is quoted, looked for in tiers (exact,
//! trailing space, indentation, Unicode look-alikes), and must be found in exactly one place. A plan is all of the
//! edits or none. [`edits_in`] reads a whole answer, in whichever formats; [`edit_format`] says which one to ask for.

mod answer;
mod apply;
mod definitions;
mod elision;
mod error;
mod fence;
mod format;
mod indent;
mod lines;
mod matching;
mod names;
mod nearest;
mod patch;
mod search_replace;
mod text;
mod unified;
mod whole_file;

use std::collections::BTreeMap;

pub use self::answer::{FoundEdit, edits_about, edits_in, file_edits, plan_answer};
pub use self::error::{Candidate, EditError, Nearest};
pub use self::format::{
    EditFormat, EditSkill, FAILURES_BEFORE_CHANGE, FormatChoice, SMALL_FILE_LINES, edit_format,
};
pub use self::patch::parse_patch;
pub use self::search_replace::{Block, into_edits, parse_blocks};
use super::{FileContent, FilesError, RepoPath};

/// The largest file that is edited: 2 MiB.
pub const MAX_FILE: usize = 2 << 20;
/// The most replacements or hunks of one file.
pub const MAX_HUNKS: usize = 500;
/// The most files of one plan.
pub const MAX_FILES: usize = 200;
/// The longest patch or text with blocks: 4 MiB.
pub const MAX_INPUT: usize = 4 << 20;

/// A text and what is to stand in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// What is there; whole lines, or a part of the text that occurs once.
    pub search: String,
    /// What will be there.
    pub replace: String,
}

/// A hunk of a patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// Lines that stand somewhere above, outermost first.
    pub anchors: Vec<String>,
    /// The hunk's lines.
    pub lines: Vec<HunkLine>,
    /// Whether it stands at the file's end.
    pub at_end: bool,
}

/// A line of a hunk, without its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HunkLine {
    /// Stays.
    Context(String),
    /// Goes.
    Removed(String),
    /// Comes.
    Added(String),
}

/// What is to become of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEdit {
    /// The file is to hold this, whether it is there or not.
    Whole {
        /// The file.
        path: RepoPath,
        /// The content.
        content: String,
        /// Whether it is to be executable; none leaves it as it is.
        executable: Option<bool>,
    },
    /// The file is to hold this, whole or in part: where it is whole definitions and the file has others, they take
    /// the place of those with their names, and what they do not name stays.
    Rewrite {
        /// The file.
        path: RepoPath,
        /// The content.
        content: String,
    },
    /// The file, which is not there yet, is to hold this.
    Create {
        /// The file.
        path: RepoPath,
        /// The content.
        content: String,
        /// Whether it is to be executable; where none, it is not.
        executable: Option<bool>,
    },
    /// Parts of the file are to be replaced. One with an empty search makes a file that is absent.
    Replace {
        /// The file.
        path: RepoPath,
        /// The parts; each is looked for in the file as it is now.
        replacements: Vec<Replacement>,
    },
    /// The hunks of a patch are to be applied.
    Patch {
        /// The file.
        path: RepoPath,
        /// Where it is to be moved.
        move_to: Option<RepoPath>,
        /// The hunks, from the top down. There may be none where the mode changes.
        hunks: Vec<Hunk>,
        /// Whether it is to be executable; none leaves it as it is.
        executable: Option<bool>,
    },
    /// The file is to go.
    Delete {
        /// The file.
        path: RepoPath,
    },
    /// The file is to have another path.
    Move {
        /// The path now.
        from: RepoPath,
        /// The path then.
        to: RepoPath,
    },
}

/// What a file holds before an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The content.
    pub bytes: Vec<u8>,
    /// Whether it is executable.
    pub executable: bool,
}

impl From<FileContent> for Current {
    fn from(content: FileContent) -> Self {
        Self {
            bytes: content.bytes,
            executable: content.executable,
        }
    }
}

/// A file as a plan will leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The file.
    pub path: RepoPath,
    /// The content before; none where it is absent.
    pub before: Option<Vec<u8>>,
    /// The content after; none where it is to go.
    pub after: Option<Vec<u8>>,
    /// Whether it is to be executable.
    pub executable: bool,
}

/// Looks a file up: its content, or none where it is absent.
pub type ReadFile<'a> = dyn Fn(&RepoPath) -> Result<Option<Current>, FilesError> + 'a;

/// Returns what the edits make of the files that `read` shows, or the first reason why they cannot be done; then none
/// of them is. No two edits may touch the same file, names that collide, or a file and something below it.
pub fn plan(edits: &[FileEdit], read: &ReadFile<'_>) -> Result<Vec<PlannedFile>, EditError> {
    if edits.is_empty() {
        return Err(EditError::format("there is no edit in it"));
    }
    if edits.len() > MAX_FILES {
        return Err(EditError::format(format!(
            "{} files at once; at most {MAX_FILES} are changed together",
            edits.len()
        )));
    }
    refuse_collisions(edits)?;
    let mut planned = Vec::new();
    for edit in edits {
        planned.extend(plan_one(edit, read)?);
    }
    Ok(planned)
}

impl FileEdit {
    /// Returns the paths that the edit touches; the one that it edits is the first.
    pub fn paths(&self) -> impl Iterator<Item = &RepoPath> {
        let (first, second) = match self {
            Self::Whole { path, .. }
            | Self::Rewrite { path, .. }
            | Self::Create { path, .. }
            | Self::Replace { path, .. }
            | Self::Delete { path } => (path, None),
            Self::Patch { path, move_to, .. } => (path, move_to.as_ref()),
            Self::Move { from, to } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

fn refuse_collisions(edits: &[FileEdit]) -> Result<(), EditError> {
    let mut taken = BTreeMap::<String, &RepoPath>::new();
    for path in edits.iter().flat_map(FileEdit::paths) {
        if let Some(other) = taken.insert(path.collision_key(), path) {
            return Err(EditError::Colliding {
                path: path.clone(),
                other: other.clone(),
            });
        }
    }
    for path in taken.values() {
        let mut above = path.parent();
        while let Some(folder) = above {
            if let Some(other) = taken.get(&folder.collision_key()) {
                return Err(EditError::Colliding {
                    path: (*path).clone(),
                    other: (*other).clone(),
                });
            }
            above = folder.parent();
        }
    }
    Ok(())
}

fn plan_one(edit: &FileEdit, read: &ReadFile<'_>) -> Result<Vec<PlannedFile>, EditError> {
    match edit {
        FileEdit::Whole {
            path,
            content,
            executable,
        } => plan_whole(path, content, *executable, read(path)?),
        FileEdit::Rewrite { path, content } => {
            let current = read(path)?;
            let meaning = match &current {
                Some(current) => definitions::meaning(path, &current.bytes, content)?,
                None => definitions::Meaning::Whole,
            };
            match (meaning, current) {
                (definitions::Meaning::Parts(after), Some(current)) => {
                    Ok(vec![changed(path, current, after, None)?])
                }
                (_, current) => plan_whole(path, content, None, current),
            }
        }
        FileEdit::Create {
            path,
            content,
            executable,
        } => match read(path)? {
            Some(_) => Err(EditError::Exists { path: path.clone() }),
            None => plan_whole(path, content, *executable, None),
        },
        FileEdit::Replace { path, replacements } => match read(path)? {
            None => match &replacements[..] {
                [only] if only.search.trim().is_empty() => plan_whole(path, &only.replace, None, None),
                _ => Err(EditError::Absent { path: path.clone() }),
            },
            Some(current) => {
                let after = apply::replacements(path, &current.bytes, replacements)?;
                Ok(vec![changed(path, current, after, None)?])
            }
        },
        FileEdit::Patch {
            path,
            move_to,
            hunks,
            executable,
        } => {
            let mut current = present(path, read)?;
            let after = match hunks[..] {
                [] if executable.is_some() => current.bytes.clone(),
                _ => apply::hunks(path, &current.bytes, hunks)?,
            };
            match move_to {
                None => Ok(vec![changed(path, current, after, *executable)?]),
                Some(to) => {
                    current.executable = executable.unwrap_or(current.executable);
                    moved(path, to, current, after, read)
                }
            }
        }
        FileEdit::Delete { path } => {
            let current = present(path, read)?;
            Ok(vec![gone(path, current)])
        }
        FileEdit::Move { from, to } => {
            let current = present(from, read)?;
            let after = current.bytes.clone();
            moved(from, to, current, after, read)
        }
    }
}

fn plan_whole(
    path: &RepoPath,
    content: &str,
    executable: Option<bool>,
    current: Option<Current>,
) -> Result<Vec<PlannedFile>, EditError> {
    refuse_size(path, content.len())?;
    let Some(current) = current else {
        elision::refuse_elision(path, "", None, content)?;
        return Ok(vec![PlannedFile {
            path: path.clone(),
            before: None,
            after: Some(content.as_bytes().to_vec()),
            executable: executable.unwrap_or(false),
        }]);
    };
    let after = whole_file::like_before(path, &current.bytes, content)?;
    let executable = executable.unwrap_or(current.executable);
    if after == current.bytes && executable == current.executable {
        return Err(EditError::NoChange { path: path.clone() });
    }
    Ok(vec![PlannedFile {
        path: path.clone(),
        before: Some(current.bytes),
        after: Some(after),
        executable,
    }])
}

fn present(path: &RepoPath, read: &ReadFile<'_>) -> Result<Current, EditError> {
    read(path)?.ok_or_else(|| EditError::Absent { path: path.clone() })
}

fn changed(
    path: &RepoPath,
    current: Current,
    after: Vec<u8>,
    executable: Option<bool>,
) -> Result<PlannedFile, EditError> {
    let executable = executable.unwrap_or(current.executable);
    if after == current.bytes && executable == current.executable {
        return Err(EditError::NoChange { path: path.clone() });
    }
    refuse_size(path, after.len())?;
    Ok(PlannedFile {
        path: path.clone(),
        before: Some(current.bytes),
        after: Some(after),
        executable,
    })
}

fn gone(path: &RepoPath, current: Current) -> PlannedFile {
    PlannedFile {
        path: path.clone(),
        before: Some(current.bytes),
        after: None,
        executable: current.executable,
    }
}

/// The new file comes first, so that the content is never nowhere.
fn moved(
    from: &RepoPath,
    to: &RepoPath,
    current: Current,
    after: Vec<u8>,
    read: &ReadFile<'_>,
) -> Result<Vec<PlannedFile>, EditError> {
    if read(to)?.is_some() {
        return Err(EditError::Exists { path: to.clone() });
    }
    refuse_size(to, after.len())?;
    let executable = current.executable;
    let new = PlannedFile {
        path: to.clone(),
        before: None,
        after: Some(after),
        executable,
    };
    Ok(vec![new, gone(from, current)])
}

fn refuse_size(path: &RepoPath, bytes: usize) -> Result<(), EditError> {
    if bytes > MAX_FILE {
        return Err(EditError::TooLarge {
            path: path.clone(),
            bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
