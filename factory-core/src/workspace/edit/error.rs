//! Why an edit cannot be done, said so that a model can do better.

use std::fmt::Write as _;

use crate::workspace::{FilesError, InvalidPath, RepoPath};

use super::{MAX_FILE, MAX_HUNKS};

/// The longest line that is shown of a file or an edit, in characters.
const MAX_SHOWN_LINE: usize = 160;

/// A place where an ambiguous edit would fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The first line's number, from 1.
    pub line: usize,
    /// The first line.
    pub text: String,
}

/// The part of a file that is most like what was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The first line's number, from 1.
    pub line: usize,
    /// The lines.
    pub lines: Vec<String>,
}

/// Why an edit cannot be done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A path is none.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// A file cannot be reached.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The text is not in the form that it should have.
    #[error("{detail}")]
    Format {
        /// What is wrong, where, and what is right.
        detail: String,
    },
    /// What is to be replaced is nowhere in the file.
    #[error("{}", not_found(.path, *.number, *.of, .search, .nearest.as_ref()))]
    NotFound {
        /// The file.
        path: RepoPath,
        /// Which edit of the file it is, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// The first line that was looked for.
        search: String,
        /// What is most like it.
        nearest: Option<Nearest>,
    },
    /// What is to be replaced is in several places.
    #[error("{}", ambiguous(.path, *.number, *.of, .candidates, *.more))]
    Ambiguous {
        /// The file.
        path: RepoPath,
        /// Which edit of the file it is, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// The first few places.
        candidates: Vec<Candidate>,
        /// Whether there are more.
        more: bool,
    },
    /// It does not say what is to be replaced.
    #[error(
        "edit {number} of {of} of `{path}` does not say where: quote the lines to replace, with some lines around new ones"
    )]
    NoPlace {
        /// The file.
        path: RepoPath,
        /// Which edit of the file it is, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Two edits replace the same text.
    #[error("edits {first} and {second} of `{path}` overlap; make them one edit")]
    Overlap {
        /// The file.
        path: RepoPath,
        /// The one, from 1.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Two edits touch the same file, or names that cannot both be.
    #[error("`{path}` and `{other}` cannot be changed together; name each file once, in one spelling")]
    Colliding {
        /// The one.
        path: RepoPath,
        /// The other.
        other: RepoPath,
    },
    /// There is no such file to edit.
    #[error("there is no `{path}`; look at the names that there are, or create it as a new file")]
    Absent {
        /// The file.
        path: RepoPath,
    },
    /// There is a file already.
    #[error("`{path}` is there already; edit it, or delete it first")]
    Exists {
        /// The file.
        path: RepoPath,
    },
    /// The file would be as it is.
    #[error("`{path}` would not change: it holds exactly this already")]
    NoChange {
        /// The file.
        path: RepoPath,
    },
    /// The file is no text.
    #[error("`{path}` is no text, so it cannot be edited; only a command can change it")]
    NotText {
        /// The file.
        path: RepoPath,
    },
    /// The file's encoding does not allow it.
    #[error("`{path}` {detail}")]
    Encoding {
        /// The file.
        path: RepoPath,
        /// What stands against it, and what to do.
        detail: &'static str,
    },
    /// A block in a text does not say which file it is.
    #[error(
        "line {line}: a block without a path; write the file's path on a line of its own right above it, as `src/main.rs`"
    )]
    NoPath {
        /// The line's number in the text, from 1.
        line: usize,
    },
    /// A fence of a text does not end.
    #[error("line {line}: the block has no end; it may be cut, so nothing was changed")]
    Cut {
        /// The number of the line at which it begins, from 1.
        line: usize,
    },
    /// The file would be too large.
    #[error("`{path}` would have {bytes} bytes; at most {MAX_FILE} are edited")]
    TooLarge {
        /// The file.
        path: RepoPath,
        /// Its length.
        bytes: usize,
    },
    /// There are too many edits of one file.
    #[error("{count} edits of `{path}`; at most {MAX_HUNKS} are made at once")]
    TooMany {
        /// The file.
        path: RepoPath,
        /// How many.
        count: usize,
    },
    /// A new text has a line that stands for something left out.
    #[error(
        "line {line} of the new text for `{path}` stands for something left out: `{text}`; write out every line of it"
    )]
    Elided {
        /// The file.
        path: RepoPath,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// Several definitions of the file have the name of the one that is given.
    #[error(
        "`{path}` defines `{name}` more than once, at lines {}; replace the lines that are meant by quoting them",
        .lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    )]
    AmbiguousDefinition {
        /// The file.
        path: RepoPath,
        /// The name.
        name: String,
        /// Where, from 1.
        lines: Vec<usize>,
    },
    /// What is given is neither the whole file nor whole definitions of it.
    #[error(
        "the new text for `{path}` leaves out {}; give the whole file, or nothing but whole functions and types of it",
        .names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
    LeavesOut {
        /// The file.
        path: RepoPath,
        /// The definitions that are left out.
        names: Vec<String>,
    },
    /// What is given has errors, and is not the whole file.
    #[error("the new text for `{path}` has a syntax error and is not the whole file; nothing was changed")]
    Unreadable {
        /// The file.
        path: RepoPath,
    },
    /// A whole file lacks much of what is there.
    #[error(
        "the new `{path}` has {after} lines where the old one has {before}; give the whole file, every line of it (to drop lines on purpose, edit them out, or delete the file first)"
    )]
    Dropped {
        /// The file.
        path: RepoPath,
        /// How many lines with text it has now.
        before: usize,
        /// How many it would have.
        after: usize,
    },
}

impl EditError {
    pub(super) fn format(detail: impl Into<String>) -> Self {
        Self::Format {
            detail: detail.into(),
        }
    }

    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path(error) => error.code(),
            Self::Files(error) => error.code(),
            Self::Format { .. } => "edit_format",
            Self::NotFound { .. } => "edit_not_found",
            Self::Ambiguous { .. } | Self::AmbiguousDefinition { .. } => "edit_ambiguous",
            Self::NoPlace { .. } => "edit_no_place",
            Self::Overlap { .. } => "edit_overlap",
            Self::Colliding { .. } => "edit_colliding",
            Self::Absent { .. } => "edit_absent",
            Self::Exists { .. } => "edit_exists",
            Self::NoChange { .. } => "edit_no_change",
            Self::NotText { .. } => "edit_not_text",
            Self::Encoding { .. } => "edit_encoding",
            Self::NoPath { .. } => "edit_no_path",
            Self::Cut { .. } => "edit_cut",
            Self::TooLarge { .. } => "edit_too_large",
            Self::TooMany { .. } => "edit_too_many",
            Self::Elided { .. } => "edit_elided",
            Self::Dropped { .. } => "edit_dropped",
            Self::LeavesOut { .. } => "edit_leaves_out",
            Self::Unreadable { .. } => "edit_unreadable",
        }
    }

    /// Returns the code where the refusal is one for safety.
    pub fn denial(&self) -> Option<&'static str> {
        match self {
            Self::Path(error) if error.problem.is_denial() => Some(error.code()),
            Self::Files(error) => error.denial(),
            _ => None,
        }
    }

    /// Returns the file whose text the edit did not fit, where that is what went wrong.
    pub fn unmatched_file(&self) -> Option<&RepoPath> {
        match self {
            Self::NotFound { path, .. }
            | Self::Ambiguous { path, .. }
            | Self::NoPlace { path, .. }
            | Self::Overlap { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Returns the file that was given whole in a way that leaves parts of it out, where that is what went wrong.
    pub fn incomplete_file(&self) -> Option<&RepoPath> {
        match self {
            Self::Dropped { path, .. }
            | Self::Elided { path, .. }
            | Self::LeavesOut { path, .. }
            | Self::Unreadable { path } => Some(path),
            _ => None,
        }
    }
}

/// Returns the line as it may be shown: bounded, without control characters but tabs.
pub(super) fn shown_line(line: &str) -> String {
    let mut shown = String::new();
    for (count, character) in line.chars().enumerate() {
        if count == MAX_SHOWN_LINE {
            shown.push('…');
            break;
        }
        if character.is_control() && character != '\t' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn not_found(path: &RepoPath, number: usize, of: usize, search: &str, nearest: Option<&Nearest>) -> String {
    let mut text = format!(
        "edit {number} of {of} does not fit `{path}`: the file, as it is now, has no such lines (they begin with `{}`)",
        shown_line(search.trim())
    );
    match nearest {
        None => text.push_str("; read the file and quote it exactly"),
        Some(nearest) => {
            let (first, last) = (nearest.line, nearest.line + nearest.lines.len() - 1);
            let _ = write!(
                text,
                "; the nearest are lines {first}-{last}, to be quoted exactly:"
            );
            for line in &nearest.lines {
                text.push('\n');
                text.push_str(&shown_line(line));
            }
        }
    }
    text
}

fn ambiguous(path: &RepoPath, number: usize, of: usize, candidates: &[Candidate], more: bool) -> String {
    let mut text = format!(
        "edit {number} of {of} fits `{path}` in several places; quote more lines around the one that is meant:"
    );
    for candidate in candidates {
        let _ = write!(text, "\nline {}: {}", candidate.line, shown_line(&candidate.text));
    }
    if more {
        text.push_str("\nand more");
    }
    text
}
