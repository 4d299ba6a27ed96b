//! The lines of what a model wrote, with their numbers and where they stand.

use std::ops::Range;

use super::MAX_INPUT;
use super::error::EditError;

/// The most lines of a text that is read.
const MAX_LINES: usize = 500_000;

/// A line of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: usize,
    /// The line without its end.
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    start: usize,
    /// Where its end ends.
    end: usize,
}

impl Line<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Returns the text's lines; what is longer than is read is refused.
pub(super) fn lines_of(text: &str) -> Result<Vec<Line<'_>>, EditError> {
    if text.len() > MAX_INPUT {
        return Err(EditError::format(format!(
            "the text has {} bytes; at most {MAX_INPUT} are read",
            text.len()
        )));
    }
    let mut lines = Vec::new();
    let mut start = 0;
    for (number, piece) in (1..).zip(text.split_inclusive('\n')) {
        if number > MAX_LINES {
            return Err(EditError::format(format!(
                "the text has more than {MAX_LINES} lines; no more are read"
            )));
        }
        let line = piece.strip_suffix('\n').unwrap_or(piece);
        let end = start + piece.len();
        lines.push(Line {
            number,
            text: line.strip_suffix('\r').unwrap_or(line),
            start,
            end,
        });
        start = end;
    }
    Ok(lines)
}

/// Returns where the lines stand, from the first one's beginning to the last one's end.
pub(super) fn range_of(lines: &[Line<'_>]) -> Range<usize> {
    match lines {
        [] => 0..0,
        [first, ..] => first.start..lines[lines.len() - 1].end,
    }
}

/// Returns the index of the first line from `at` on that is not blank; the number of lines where all are.
pub(super) fn after_blanks(lines: &[Line<'_>], at: usize) -> usize {
    let blanks = lines[at..].iter().take_while(|line| line.is_blank()).count();
    at + blanks
}

/// Each line with its end, so that no line and one empty line differ.
pub(super) fn joined(lines: &[Line<'_>]) -> String {
    lines.iter().flat_map(|line| [line.text, "\n"]).collect()
}
