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

use std::ops::Range;

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};
use super::fence::fence;
use super::lines::{Line, after_blanks, lines_of, range_of};
use super::{FileEdit, Hunk, HunkLine, MAX_FILES, MAX_HUNKS, unified};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";

/// A file's section of a patch, and where it stands in the text.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) edit: FileEdit,
    pub(super) range: Range<usize>,
}

/// Returns the edits of a patch. What stands around the envelope is passed over; the marks at its beginning and end may
/// lack, so the text must be whole: whoever reads from a stream knows whether it was cut. A unified diff is read too,
/// by its context; its line numbers are passed over. Anything else than a patch should hold is an error.
pub fn parse_patch(text: &str) -> Result<Vec<FileEdit>, EditError> {
    let lines = lines_of(text)?;
    let marked = lines.iter().position(|line| is_begin(line.text));
    let Some(begin) = marked.or_else(|| lines.iter().position(|line| is_section(line.text))) else {
        return unified::parse_diff(&lines)?.ok_or_else(|| {
            EditError::format(format!(
                "the patch has no `{BEGIN}` line; write `{BEGIN}`, then `{UPDATE} PATH`, `@@`, lines that begin with ` `, `-` or `+`, then `{END}`"
            ))
        });
    };
    let envelope = envelope_at(&lines, &Marks::of(&lines), begin)?;
    if let Some(second) = lines[envelope.next..].iter().find(|line| is_begin(line.text)) {
        return Err(wrong(second, "a second patch begins; put all files into one"));
    }
    let sections = sections(envelope.body)?;
    Ok(sections.into_iter().map(|section| section.edit).collect())
}

/// What stands between a patch's marks.
#[derive(Debug)]
pub(super) struct Envelope<'a, 'b> {
    pub(super) body: &'b [Line<'a>],
    /// The index of the first line behind it.
    pub(super) next: usize,
    /// Whether nothing shows that the patch is whole: neither its end mark nor the end of a fence.
    pub(super) may_be_cut: bool,
}

/// Returns whether a patch begins at the line: by its mark, or by its first section.
pub(super) fn begins_at(line: &Line<'_>) -> bool {
    is_begin(line.text) || is_section(line.text)
}

/// Where the marks of patches stand in a text: looked for once, because a text may hold many.
#[derive(Debug)]
pub(super) struct Marks {
    begins: Vec<usize>,
    ends: Vec<usize>,
    bare_fences: Vec<usize>,
}

impl Marks {
    pub(super) fn of(lines: &[Line<'_>]) -> Self {
        let all = |is_one: &dyn Fn(&str) -> bool| {
            let marks = lines.iter().enumerate().filter(|(_, line)| is_one(line.text));
            marks.map(|(index, _)| index).collect()
        };
        Self {
            begins: all(&is_begin),
            ends: all(&|line| line.trim() == END),
            bare_fences: all(&|line| {
                fence(line).is_some_and(|fence| fence.info.is_empty() && fence.indent == 0)
            }),
        }
    }
}

/// Returns the patch that begins at the line `begin`.
pub(super) fn envelope_at<'a, 'b>(
    lines: &'b [Line<'a>],
    marks: &Marks,
    begin: usize,
) -> Result<Envelope<'a, 'b>, EditError> {
    let first = begin + usize::from(is_begin(lines[begin].text));
    let from_first = |marks: &[usize]| marks.get(marks.partition_point(|mark| *mark < first)).copied();
    let second = from_first(&marks.begins);
    let limit = second.unwrap_or(lines.len());
    if let Some(end) = from_first(&marks.ends).filter(|end| *end < limit) {
        return Ok(Envelope {
            body: &lines[first..end],
            next: end + 1,
            may_be_cut: false,
        });
    }
    if let Some(end) = from_first(&marks.bare_fences).filter(|end| *end < limit) {
        return Ok(Envelope {
            body: &lines[first..end],
            next: end,
            may_be_cut: false,
        });
    }
    match second {
        Some(second) => Err(wrong(
            &lines[second],
            &format!("a patch begins before the one above has its `{END}`"),
        )),
        None => Ok(Envelope {
            body: &lines[first..],
            next: lines.len(),
            may_be_cut: true,
        }),
    }
}

/// The error about a patch that may not be whole.
pub(super) fn cut(begin: &Line<'_>) -> EditError {
    wrong(
        begin,
        &format!("the patch has no `{END}` line; it may be cut, so nothing was changed"),
    )
}

/// Returns the sections of a patch.
pub(super) fn sections(body: &[Line<'_>]) -> Result<Vec<Section>, EditError> {
    let mut sections = Vec::new();
    let mut at = after_blanks(body, 0);
    while at < body.len() {
        let line = &body[at];
        if sections.len() == MAX_FILES {
            return Err(wrong(line, &format!("more than {MAX_FILES} files in one patch")));
        }
        let next = body[at + 1..]
            .iter()
            .position(|line| is_section(line.text))
            .map_or(body.len(), |offset| at + 1 + offset);
        let inside = &body[at + 1..next];
        let edit = if let Some(name) = line.text.strip_prefix(ADD) {
            added(path(name)?, line, inside)?
        } else if let Some(name) = line.text.strip_prefix(DELETE) {
            let path = path(name)?;
            if let Some(line) = inside.iter().find(|line| !line.is_blank()) {
                return Err(no_section(line));
            }
            FileEdit::Delete { path }
        } else if let Some(name) = line.text.strip_prefix(UPDATE) {
            updated(path(name)?, line, inside)?
        } else {
            return Err(no_section(line));
        };
        sections.push(Section {
            edit,
            range: range_of(&body[at..next]),
        });
        at = next;
    }
    if sections.is_empty() {
        return Err(EditError::format("the patch names no file"));
    }
    Ok(sections)
}

fn path(name: &str) -> Result<RepoPath, EditError> {
    Ok(RepoPath::parse(name.trim().trim_matches('`'))?)
}

pub(super) fn wrong(line: &Line<'_>, what: &str) -> EditError {
    EditError::format(format!("line {} of the patch: {what}", line.number))
}

fn no_section(line: &Line<'_>) -> EditError {
    wrong(
        line,
        &format!(
            "`{}` begins no section; expected `{ADD} PATH`, `{UPDATE} PATH` or `{DELETE} PATH`",
            shown_line(line.text)
        ),
    )
}

fn is_begin(line: &str) -> bool {
    line.trim() == BEGIN
}

fn is_section(line: &str) -> bool {
    [ADD, DELETE, UPDATE].iter().any(|mark| line.starts_with(mark))
}

fn without_blank_end<'a, 'b>(mut lines: &'b [Line<'a>]) -> &'b [Line<'a>] {
    while let [rest @ .., last] = lines
        && last.is_blank()
    {
        lines = rest;
    }
    lines
}

fn added(path: RepoPath, section: &Line<'_>, inside: &[Line<'_>]) -> Result<FileEdit, EditError> {
    let inside = without_blank_end(inside);
    if inside.is_empty() {
        return Err(wrong(
            section,
            &format!("the new `{path}` has no line; each begins with `+`"),
        ));
    }
    let mut content = String::new();
    for line in inside {
        let Some(new) = line.text.strip_prefix('+') else {
            return Err(wrong(
                line,
                &format!("each line of the new `{path}` must begin with `+`"),
            ));
        };
        content.push_str(new);
        content.push('\n');
    }
    Ok(FileEdit::Create {
        path,
        content,
        executable: None,
    })
}

fn updated(path: RepoPath, section: &Line<'_>, inside: &[Line<'_>]) -> Result<FileEdit, EditError> {
    let mut inside = without_blank_end(inside);
    let mut move_to = None;
    if let [first, rest @ ..] = inside
        && let Some(name) = first.text.strip_prefix(MOVE)
    {
        move_to = Some(self::path(name)?);
        inside = rest;
    }
    let hunks = hunks(&path, inside)?;
    match (hunks.is_empty(), move_to) {
        (false, move_to) => Ok(FileEdit::Patch {
            path,
            move_to,
            hunks,
            executable: None,
        }),
        (true, Some(to)) => Ok(FileEdit::Move { from: path, to }),
        (true, None) => Err(wrong(section, &format!("the update of `{path}` has no lines"))),
    }
}

/// Returns the hunks that the lines are, each of which must change something.
pub(super) fn hunks(path: &RepoPath, lines: &[Line<'_>]) -> Result<Vec<Hunk>, EditError> {
    let mut hunks = Vec::<Hunk>::new();
    for line in lines {
        if line.text.trim_end() == END_OF_FILE {
            match hunks.last_mut() {
                Some(hunk) => hunk.at_end = true,
                None => return Err(wrong(line, &format!("`{END_OF_FILE}` without lines before it"))),
            }
            continue;
        }
        if line.is_blank() && hunks.last().is_none_or(|hunk| hunk.at_end) {
            continue;
        }
        let is_header = line.text.starts_with("@@");
        let begins = match hunks.last() {
            None => true,
            Some(hunk) => hunk.at_end || (is_header && !hunk.lines.is_empty()),
        };
        if begins {
            if let Some(hunk) = hunks.last() {
                refuse_idle(path, hunk, hunks.len(), line)?;
            }
            if hunks.len() == MAX_HUNKS {
                return Err(wrong(line, &format!("more than {MAX_HUNKS} hunks for `{path}`")));
            }
            hunks.push(Hunk::default());
        }
        let hunk = hunks
            .last_mut()
            .expect("a hunk was begun above where there was none");
        if is_header {
            hunk.anchors.extend(anchor(line.text));
        } else {
            hunk.lines.push(hunk_line(line)?);
        }
    }
    if let (Some(hunk), Some(line)) = (hunks.last(), lines.last()) {
        refuse_idle(path, hunk, hunks.len(), line)?;
    }
    Ok(hunks)
}

fn refuse_idle(path: &RepoPath, hunk: &Hunk, number: usize, end: &Line<'_>) -> Result<(), EditError> {
    let changes = |line: &HunkLine| !matches!(line, HunkLine::Context(_));
    if hunk.lines.iter().any(changes) {
        return Ok(());
    }
    Err(wrong(
        end,
        &format!("hunk {number} of `{path}` changes nothing: it has no `-` or `+` line"),
    ))
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

fn hunk_line(line: &Line<'_>) -> Result<HunkLine, EditError> {
    let mut characters = line.text.chars();
    match characters.next() {
        // Models drop the space of an empty context line.
        None => Ok(HunkLine::Context(String::new())),
        Some(' ') => Ok(HunkLine::Context(characters.as_str().to_owned())),
        Some('-') => Ok(HunkLine::Removed(characters.as_str().to_owned())),
        Some('+') => Ok(HunkLine::Added(characters.as_str().to_owned())),
        Some(_) => Err(wrong(
            line,
            &format!(
                "`{}` must begin with ` ` (stays), `-` (goes) or `+` (comes)",
                shown_line(line.text)
            ),
        )),
    }
}
