//! The `*** Begin Patch` envelope: files added, deleted, updated by context, and moved; no line numbers.
//!
//! ```text
//! *** Begin Patch
//! *** Update File: src/main.rs
//! *** Move to: src/bin/main.rs
//! @@ fn main() {
//!      let name = "world";
//! -    println!("{name}");
//! +    println!("hello {name}");
//! *** Add File: NOTES.md
//! +one line
//! *** Delete File: old.txt
//! *** End Patch
//! ```

use std::iter::Peekable;

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};
use super::{FileEdit, Hunk, HunkLine, MAX_FILES, MAX_HUNKS, MAX_INPUT};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";

/// The patch's lines, numbered from 1, between its two marks.
type Lines<'a> = Peekable<std::vec::IntoIter<(usize, &'a str)>>;

/// Returns the edits of a patch. What stands around the envelope is passed over; a patch that is not whole, or holds
/// anything else than it should, is an error.
pub fn parse_patch(text: &str) -> Result<Vec<FileEdit>, EditError> {
    let mut lines = enveloped(text)?.into_iter().peekable();
    let mut edits = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if edits.len() == MAX_FILES {
            return Err(wrong(
                number,
                &format!("more than {MAX_FILES} files in one patch"),
            ));
        }
        edits.push(if let Some(name) = line.strip_prefix(ADD) {
            added(path(name)?, number, &mut lines)?
        } else if let Some(name) = line.strip_prefix(DELETE) {
            FileEdit::Delete { path: path(name)? }
        } else if let Some(name) = line.strip_prefix(UPDATE) {
            updated(path(name)?, number, &mut lines)?
        } else {
            return Err(wrong(
                number,
                &format!(
                    "`{}` begins no section; expected `{ADD} PATH`, `{UPDATE} PATH` or `{DELETE} PATH`",
                    shown_line(line)
                ),
            ));
        });
    }
    if edits.is_empty() {
        return Err(EditError::format("the patch names no file"));
    }
    Ok(edits)
}

fn enveloped(text: &str) -> Result<Vec<(usize, &str)>, EditError> {
    if text.len() > MAX_INPUT {
        return Err(EditError::format(format!(
            "the patch has {} bytes; at most {MAX_INPUT} are read",
            text.len()
        )));
    }
    let mut lines = (1..).zip(
        text.split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line)),
    );
    if !lines.by_ref().any(|(_, line)| line.trim() == BEGIN) {
        return Err(EditError::format(format!(
            "the patch has no `{BEGIN}` line; write `{BEGIN}`, then `{UPDATE} PATH`, `@@`, lines that begin with ` `, `-` or `+`, then `{END}`"
        )));
    }
    let mut between = Vec::new();
    for (number, line) in lines.by_ref() {
        if line.trim_end() == END {
            return match lines.find(|(_, line)| line.trim() == BEGIN) {
                Some((number, _)) => Err(wrong(number, "a second patch begins; put all files into one")),
                None => Ok(between),
            };
        }
        between.push((number, line));
    }
    Err(EditError::format(format!(
        "the patch has no `{END}` line; it may be cut, so nothing was changed"
    )))
}

fn path(name: &str) -> Result<RepoPath, EditError> {
    Ok(RepoPath::parse(name.trim())?)
}

fn wrong(number: usize, what: &str) -> EditError {
    EditError::format(format!("line {number} of the patch: {what}"))
}

fn is_section(line: &str) -> bool {
    [ADD, DELETE, UPDATE].iter().any(|mark| line.starts_with(mark))
}

/// Whether nothing but blank lines stands before the next section: they belong to neither.
fn only_blank_ahead(lines: &Lines<'_>) -> bool {
    let next = lines
        .clone()
        .map(|(_, line)| line)
        .find(|line| !line.trim().is_empty());
    next.is_none_or(is_section)
}

fn added(path: RepoPath, section: usize, lines: &mut Lines<'_>) -> Result<FileEdit, EditError> {
    let mut content = String::new();
    let mut seen = false;
    while let Some((number, line)) = lines.next_if(|(_, line)| !is_section(line)) {
        match line.strip_prefix('+') {
            Some(line) => {
                content.push_str(line);
                content.push('\n');
                seen = true;
            }
            None if line.trim().is_empty() && only_blank_ahead(lines) => {}
            None => {
                return Err(wrong(
                    number,
                    &format!("each line of the new `{path}` must begin with `+`"),
                ));
            }
        }
    }
    if !seen {
        return Err(wrong(
            section,
            &format!("the new `{path}` has no line; each begins with `+`"),
        ));
    }
    Ok(FileEdit::Create { path, content })
}

fn updated(path: RepoPath, section: usize, lines: &mut Lines<'_>) -> Result<FileEdit, EditError> {
    let move_to = match lines.next_if(|(_, line)| line.starts_with(MOVE)) {
        Some((_, line)) => Some(self::path(&line[MOVE.len()..])?),
        None => None,
    };
    let mut hunks = Vec::<Hunk>::new();
    while let Some((number, line)) = lines.next_if(|(_, line)| !is_section(line)) {
        if line.trim().is_empty() && only_blank_ahead(lines) {
            continue;
        }
        if line.trim_end() == END_OF_FILE {
            match hunks.last_mut() {
                Some(hunk) => hunk.at_end = true,
                None => return Err(wrong(number, &format!("`{END_OF_FILE}` without lines before it"))),
            }
            continue;
        }
        let is_header = line.starts_with("@@");
        let begins = match hunks.last() {
            None => true,
            Some(hunk) => hunk.at_end || (is_header && !hunk.lines.is_empty()),
        };
        if begins {
            if hunks.len() == MAX_HUNKS {
                return Err(wrong(
                    number,
                    &format!("more than {MAX_HUNKS} hunks for `{path}`"),
                ));
            }
            hunks.push(Hunk::default());
        }
        let hunk = hunks
            .last_mut()
            .expect("a hunk was begun above where there was none");
        if is_header {
            hunk.anchors.extend(anchor(line));
        } else {
            hunk.lines.push(hunk_line(number, line)?);
        }
    }
    for (number, hunk) in (1..).zip(&hunks) {
        if !hunk
            .lines
            .iter()
            .any(|line| !matches!(line, HunkLine::Context(_)))
        {
            return Err(wrong(
                section,
                &format!("hunk {number} of `{path}` changes nothing: it has no `-` or `+` line"),
            ));
        }
    }
    match (hunks.is_empty(), move_to) {
        (false, move_to) => Ok(FileEdit::Patch { path, move_to, hunks }),
        (true, Some(to)) => Ok(FileEdit::Move { from: path, to }),
        (true, None) => Err(wrong(section, &format!("the update of `{path}` has no lines"))),
    }
}

/// Returns the context that a hunk's header names. Line numbers, as in a unified diff, are passed over: they are
/// mostly wrong, and what follows them is no reliable context either.
fn anchor(header: &str) -> Option<String> {
    let text = header.trim_start_matches('@').trim_end();
    let text = text.strip_suffix("@@").unwrap_or(text).trim();
    let is_range = text
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains(" +"));
    (!text.is_empty() && !is_range).then(|| text.to_owned())
}

fn hunk_line(number: usize, line: &str) -> Result<HunkLine, EditError> {
    let mut characters = line.chars();
    match characters.next() {
        // Models drop the space of an empty context line.
        None => Ok(HunkLine::Context(String::new())),
        Some(' ') => Ok(HunkLine::Context(characters.as_str().to_owned())),
        Some('-') => Ok(HunkLine::Removed(characters.as_str().to_owned())),
        Some('+') => Ok(HunkLine::Added(characters.as_str().to_owned())),
        Some(_) => Err(wrong(
            number,
            &format!(
                "`{}` must begin with ` ` (stays), `-` (goes) or `+` (comes)",
                shown_line(line)
            ),
        )),
    }
}
