//! Unified diffs as models write them: their line numbers are passed over, because they are mostly wrong; the context
//! says where a hunk goes, as in every other format.

use std::ops::Range;

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};
use super::fence::fence;
use super::lines::{Line, after_blanks, range_of};
use super::patch::{Section, hunks};
use super::{FileEdit, Hunk, HunkLine, MAX_FILES, Replacement};

const NOTHING: &str = "/dev/null";

/// Whether the lines around a diff are prose, or the diff alone stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// A line without a sign, behind a blank one, ends the diff.
    Prose,
    /// A line without a sign is a mistake.
    Fence,
}

/// Returns whether a file's diff begins at the line.
pub(super) fn begins_at(lines: &[Line<'_>], at: usize) -> bool {
    let text = |offset: usize| lines.get(at + offset).map_or("", |line| line.text);
    text(0).starts_with("diff --git ")
        || (text(0).starts_with("--- ") && text(1).starts_with("+++ "))
        || (text(0).starts_with("+++ ") && text(1).starts_with("@@"))
}

/// Returns the edits of all diffs in the lines; none where there is no diff.
pub(super) fn parse_diff(lines: &[Line<'_>]) -> Result<Option<Vec<FileEdit>>, EditError> {
    let mut edits = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if begins_at(lines, at) {
            let (section, next) = file_at(lines, at, Surroundings::Prose)?;
            edits.push(section.edit);
            if edits.len() > MAX_FILES {
                return Err(wrong(
                    &lines[at],
                    &format!("more than {MAX_FILES} files in one diff"),
                ));
            }
            at = next;
        } else if lines[at].text.starts_with("@@") {
            return Err(orphan(&lines[at]));
        } else {
            at += 1;
        }
    }
    Ok((!edits.is_empty()).then_some(edits))
}

/// The error about a hunk that no file's name precedes.
pub(super) fn orphan(line: &Line<'_>) -> EditError {
    wrong(
        line,
        "a hunk without its file; write `--- a/PATH` and `+++ b/PATH` above it",
    )
}

/// What stands above the hunks of a file.
#[derive(Debug, Default)]
struct Header<'a> {
    both: Option<&'a str>,
    old: Option<&'a str>,
    new: Option<&'a str>,
    rename_from: Option<&'a str>,
    rename_to: Option<&'a str>,
    executable: Option<bool>,
    is_new: bool,
    is_gone: bool,
}

/// Returns the edit of the file whose diff begins at `at`, and the index of the first line behind it.
pub(super) fn file_at(
    lines: &[Line<'_>],
    at: usize,
    around: Surroundings,
) -> Result<(Section, usize), EditError> {
    let (header, first) = header_at(lines, at)?;
    let next = end_of_hunks(lines, first, around)?;
    let edit = file_edit(&header, &lines[at], &lines[first..next])?;
    let range: Range<usize> = range_of(&lines[at..next]);
    Ok((Section { edit, range }, next))
}

/// Returns the edit of a file that is named elsewhere, of lines that are hunks alone.
pub(super) fn bare_hunks(path: &RepoPath, lines: &[Line<'_>]) -> Result<FileEdit, EditError> {
    let end = end_of_hunks(lines, 0, Surroundings::Fence)?;
    if let Some(line) = lines.get(end) {
        return Err(unsigned(line));
    }
    let hunks = hunks(path, &signed(&lines[..end]))?;
    Ok(FileEdit::Patch {
        path: path.clone(),
        move_to: None,
        hunks,
        executable: None,
    })
}

fn wrong(line: &Line<'_>, what: &str) -> EditError {
    EditError::format(format!("line {} of the diff: {what}", line.number))
}

fn unsigned(line: &Line<'_>) -> EditError {
    let text = shown_line(line.text);
    wrong(
        line,
        &format!("`{text}` must begin with ` ` (stays), `-` (goes) or `+` (comes)"),
    )
}

fn header_at<'a>(lines: &[Line<'a>], at: usize) -> Result<(Header<'a>, usize), EditError> {
    let mut header = Header::default();
    for (index, line) in lines.iter().enumerate().skip(at) {
        let text = line.text;
        if let Some(both) = text.strip_prefix("diff --git ") {
            if index > at {
                return Ok((header, index));
            }
            header.both = same_names(both);
        } else if let Some(name) = text.strip_prefix("--- ") {
            header.old = Some(name_of(name));
        } else if let Some(name) = text.strip_prefix("+++ ") {
            header.new = Some(name_of(name));
            // Nothing of a header comes below.
            return Ok((header, index + 1));
        } else if let Some(mode) = text.strip_prefix("new file mode ") {
            header.is_new = true;
            header.executable = Some(executable(line, mode)?);
        } else if let Some(mode) = text.strip_prefix("new mode ") {
            header.executable = Some(executable(line, mode)?);
        } else if text.starts_with("deleted file mode ") {
            header.is_gone = true;
        } else if let Some(name) = text.strip_prefix("rename from ") {
            header.rename_from = Some(name_of(name));
        } else if let Some(name) = text.strip_prefix("rename to ") {
            header.rename_to = Some(name_of(name));
        } else if text.starts_with("GIT binary patch") || text.starts_with("Binary files ") {
            return Err(wrong(line, "a binary file cannot be changed by a diff"));
        } else if text.starts_with("copy from ") || text.starts_with("copy to ") {
            return Err(wrong(
                line,
                "a file cannot be copied by a diff; give the new file whole",
            ));
        } else if ["index ", "old mode ", "similarity index ", "dissimilarity index "]
            .iter()
            .all(|known| !text.starts_with(known))
        {
            return Ok((header, index));
        }
    }
    Ok((header, lines.len()))
}

fn executable(line: &Line<'_>, mode: &str) -> Result<bool, EditError> {
    match mode.trim() {
        "100644" | "0644" | "644" => Ok(false),
        "100755" | "0755" | "755" => Ok(true),
        other => Err(wrong(
            line,
            &format!(
                "the mode `{}` is not that of a plain file (100644) or a program (100755)",
                shown_line(other)
            ),
        )),
    }
}

/// Returns the name in `a/NAME b/NAME`, with its `a/`.
fn same_names(both: &str) -> Option<&str> {
    let both = both.trim_end();
    let (old, new) = (both.get(..both.len() / 2)?, both.get(both.len() / 2 + 1..)?);
    let plain = |name: &str, prefix: &str| name.strip_prefix(prefix).map(str::to_owned);
    (plain(old, "a/")? == plain(new, "b/")?).then_some(old)
}

/// Takes the time behind a name off, and quotes around it.
fn name_of(text: &str) -> &str {
    let name = text.split('\t').next().unwrap_or_default().trim();
    name.strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name)
}

/// Returns the index behind the last line of the hunks that begin at `at`.
fn end_of_hunks(lines: &[Line<'_>], at: usize, around: Surroundings) -> Result<usize, EditError> {
    let mut at = at;
    let mut end = at;
    while at < lines.len() {
        let line = &lines[at];
        let is_header = |at: usize| {
            lines[at].text.starts_with("diff --git ")
                || (begins_at(lines, at) && lines.get(at + 2).is_some_and(|line| line.text.starts_with("@@")))
        };
        let is_end_of_fence = |at: usize| fence(lines[at].text).is_some_and(|fence| fence.indent == 0);
        if is_header(at) || is_end_of_fence(at) {
            break;
        }
        if line.is_blank() && !line.text.starts_with(' ') {
            let next = after_blanks(lines, at);
            if next == lines.len() {
                break;
            }
            let goes_on = is_signed(lines[next].text) && !is_header(next);
            if !goes_on && around == Surroundings::Prose {
                break;
            }
            at = next;
            continue;
        }
        if !is_signed(line.text) {
            return Err(unsigned(line));
        }
        at += 1;
        end = at;
    }
    Ok(end)
}

fn is_signed(line: &str) -> bool {
    line.starts_with([' ', '+', '-', '\\']) || line.starts_with("@@")
}

/// Leaves out what is said of a missing last line end: the file's own is kept.
fn signed<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let is_line = |line: &&Line<'a>| !line.text.starts_with('\\');
    lines.iter().filter(is_line).copied().collect()
}

fn file_edit(header: &Header<'_>, begin: &Line<'_>, body: &[Line<'_>]) -> Result<FileEdit, EditError> {
    let names = names(header, begin)?;
    let body_lines = signed(body);
    match names {
        Names::Gone(path) => Ok(FileEdit::Delete { path }),
        Names::New(path) => {
            let content = new_content(&path, body)?;
            Ok(FileEdit::Create {
                path,
                content,
                executable: header.executable,
            })
        }
        Names::Moved(from, to) => {
            let hunks = hunks(&from, &body_lines)?;
            if hunks.is_empty() && header.executable.is_none() {
                return Ok(FileEdit::Move { from, to });
            }
            Ok(FileEdit::Patch {
                path: from,
                move_to: Some(to),
                hunks,
                executable: header.executable,
            })
        }
        Names::Same(path) => {
            let hunks = hunks(&path, &body_lines)?;
            if hunks.is_empty() && header.executable.is_none() {
                return Err(wrong(begin, &format!("the diff of `{path}` has no lines")));
            }
            if fills_an_empty_file(&body_lines, &hunks) {
                let content = new_content(&path, body)?;
                let replacement = Replacement {
                    search: String::new(),
                    replace: content,
                };
                return Ok(FileEdit::Replace {
                    path,
                    replacements: vec![replacement],
                });
            }
            Ok(FileEdit::Patch {
                path,
                move_to: None,
                hunks,
                executable: header.executable,
            })
        }
    }
}

/// A hunk of new lines alone that says that nothing was there before.
fn fills_an_empty_file(body: &[Line<'_>], hunks: &[Hunk]) -> bool {
    let [hunk] = hunks else { return false };
    let says_so = body
        .iter()
        .any(|line| line.text.starts_with("@@ -0,0 ") || line.text.starts_with("@@ -0 "));
    says_so && hunk.lines.iter().all(|line| matches!(line, HunkLine::Added(_)))
}

fn new_content(path: &RepoPath, body: &[Line<'_>]) -> Result<String, EditError> {
    let mut content = String::new();
    let mut ended = true;
    for line in body {
        match line.text.strip_prefix('+') {
            Some(text) => content.extend([text, "\n"]),
            None if line.text.starts_with("@@") || line.is_blank() => {}
            None if line.text.starts_with('\\') => ended = false,
            None => {
                return Err(wrong(
                    line,
                    &format!("each line of the new `{path}` must begin with `+`"),
                ));
            }
        }
    }
    if !ended {
        content.pop();
    }
    Ok(content)
}

/// Which files a diff is of.
enum Names {
    Same(RepoPath),
    New(RepoPath),
    Gone(RepoPath),
    Moved(RepoPath, RepoPath),
}

fn names(header: &Header<'_>, begin: &Line<'_>) -> Result<Names, EditError> {
    let without = |name: &str, prefix: &str| RepoPath::parse(name.strip_prefix(prefix).unwrap_or(name));
    if let (Some(from), Some(to)) = (header.rename_from, header.rename_to) {
        return Ok(Names::Moved(RepoPath::parse(from)?, RepoPath::parse(to)?));
    }
    match (header.old, header.new) {
        (Some(NOTHING), Some(NOTHING)) => Err(wrong(begin, "the diff names no file")),
        (Some(NOTHING), Some(new)) => Ok(Names::New(without(new, "b/")?)),
        (Some(old), Some(NOTHING)) => Ok(Names::Gone(without(old, "a/")?)),
        (Some(old), Some(new)) => {
            let plain_old = old.strip_prefix("a/").unwrap_or(old);
            let plain_new = new.strip_prefix("b/").unwrap_or(new);
            let path = if old == new {
                RepoPath::parse(new)?
            } else if plain_old == plain_new {
                RepoPath::parse(plain_new)?
            } else {
                return Err(wrong(
                    begin,
                    &format!(
                        "the diff names two files, `{}` and `{}`; to move a file, write `rename from` and `rename to`",
                        shown_line(old),
                        shown_line(new)
                    ),
                ));
            };
            Ok(if header.is_new {
                Names::New(path)
            } else {
                Names::Same(path)
            })
        }
        (Some(old), None) if header.is_gone => Ok(Names::Gone(without(old, "a/")?)),
        (None, Some(new)) => Ok(Names::Same(without(new, "b/")?)),
        (_, None) => {
            let Some(both) = header.both else {
                return Err(wrong(
                    begin,
                    "the diff does not say its file; write `--- a/PATH` and `+++ b/PATH`",
                ));
            };
            let path = without(both, "a/")?;
            Ok(match (header.is_new, header.is_gone) {
                (true, _) => Names::New(path),
                (_, true) => Names::Gone(path),
                _ => Names::Same(path),
            })
        }
    }
}
