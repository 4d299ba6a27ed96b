//! SEARCH/REPLACE blocks as models write them in running text.
//!
//! ```text
//! src/main.rs
//! <<<<<<< SEARCH
//! what is there
//! =======
//! what will be there
//! >>>>>>> REPLACE
//! ```

use std::ops::RangeInclusive;

use crate::workspace::RepoPath;

use super::error::EditError;
use super::lines::{Line, joined, lines_of};
use super::{FileEdit, Replacement, names};

/// How many signs a mark has.
const SIGNS: RangeInclusive<usize> = 5..=9;
/// How many it may have where the word behind them, or the lack of any better, leaves no doubt.
const FREER_SIGNS: RangeInclusive<usize> = 3..=16;

/// A block, with the file's name where the text gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The name, as it was written.
    pub path: Option<String>,
    /// The two texts.
    pub replacement: Replacement,
}

/// Returns all blocks of the text. A block that is not whole, or whose divider is not plain to see, makes an error of
/// the whole: the text may have been cut.
pub fn parse_blocks(text: &str) -> Result<Vec<Block>, EditError> {
    let lines = lines_of(text)?;
    let mut blocks = Vec::<Block>::new();
    let mut start_of_prose = 0;
    let mut index = 0;
    while index < lines.len() {
        refuse_lone_end(&lines[index])?;
        if !begins_at(&lines[index]) {
            index += 1;
            continue;
        }
        let before = blocks.last().and_then(|block| block.path.as_deref());
        let (block, next) = block_at(&lines, index, start_of_prose, before)?;
        blocks.push(block);
        index = next;
        start_of_prose = index;
    }
    if blocks.is_empty() {
        return Err(EditError::format(
            "there is no block in it; write `<<<<<<< SEARCH`, the lines that are there, `=======`, the new lines, `>>>>>>> REPLACE`",
        ));
    }
    Ok(blocks)
}

/// Returns the blocks as edits, one a file, in the order of first mention. Blocks without a name are of the file
/// `otherwise`.
pub fn into_edits(blocks: Vec<Block>, otherwise: Option<&RepoPath>) -> Result<Vec<FileEdit>, EditError> {
    let mut files = Vec::<(RepoPath, Vec<Replacement>)>::new();
    for (number, block) in (1..).zip(blocks) {
        let path = match (block.path, otherwise) {
            (Some(name), _) => RepoPath::parse(&name)?,
            (None, Some(path)) => path.clone(),
            (None, None) => {
                return Err(EditError::format(format!(
                    "block {number} does not say its file; write the path on the line above `<<<<<<< SEARCH`"
                )));
            }
        };
        match files.iter_mut().find(|(known, _)| *known == path) {
            Some((_, replacements)) => replacements.push(block.replacement),
            None => files.push((path, vec![block.replacement])),
        }
    }
    Ok(files
        .into_iter()
        .map(|(path, replacements)| FileEdit::Replace { path, replacements })
        .collect())
}

/// Returns whether a block begins at the line.
pub(super) fn begins_at(line: &Line<'_>) -> bool {
    start(line.text).is_some()
}

/// Refuses a line that ends a block where there is none.
pub(super) fn refuse_lone_end(line: &Line<'_>) -> Result<(), EditError> {
    if is_end(line.text) {
        return Err(EditError::format(format!(
            "line {}: `>>>>>>> REPLACE` without a `<<<<<<< SEARCH` before it",
            line.number
        )));
    }
    Ok(())
}

/// Returns the block that begins at the line `at`, and the index of the first line behind it. Its file is named behind
/// its mark, or by the lines from `prose` on; else it is that of the block before.
pub(super) fn block_at(
    lines: &[Line<'_>],
    at: usize,
    prose: usize,
    before: Option<&str>,
) -> Result<(Block, usize), EditError> {
    let end = end_of_block(lines, at)?;
    let divider = divider_of_block(lines, at, end)?;
    let behind_mark = start(lines[at].text).filter(|name| !name.is_empty());
    let path = match behind_mark {
        Some(name) => Some(name.to_owned()),
        None => names::above_block(&lines[prose..at]).or_else(|| before.map(str::to_owned)),
    };
    let replacement = Replacement {
        search: joined(&lines[at + 1..divider]),
        replace: joined(&lines[divider + 1..end]),
    };
    Ok((Block { path, replacement }, end + 1))
}

fn end_of_block(lines: &[Line<'_>], start: usize) -> Result<usize, EditError> {
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        if is_end(line.text) {
            return Ok(index);
        }
        if begins_at(line) {
            break;
        }
    }
    Err(EditError::format(format!(
        "line {}: the block has no `>>>>>>> REPLACE`; it may be cut, so nothing was changed",
        lines[start].number
    )))
}

fn divider_of_block(lines: &[Line<'_>], start: usize, end: usize) -> Result<usize, EditError> {
    let marks = lines[start].text.trim_start_matches(' ');
    let indentation = &lines[start].text[..lines[start].text.len() - marks.len()];
    let dividers = |fits: &dyn Fn(usize) -> bool| {
        let length = |index: &usize| {
            let text = lines[*index].text;
            divider(text.strip_prefix(indentation).unwrap_or(text))
        };
        (start + 1..end)
            .filter(|index| length(index).is_some_and(fits))
            .collect::<Vec<_>>()
    };
    let opening = marks
        .bytes()
        .take_while(|byte| matches!(byte, b'<' | b'-'))
        .count();
    let mut found = dividers(&|length| SIGNS.contains(&length));
    if found.len() > 1 {
        found = dividers(&|length| length == opening);
    } else if found.is_empty() {
        found = dividers(&|_| true);
    }
    let number = lines[start].number;
    match found[..] {
        [divider] => Ok(divider),
        [] => Err(EditError::format(format!(
            "line {number}: the block has no `=======` line"
        ))),
        _ => Err(EditError::format(format!(
            "line {number}: the block has several `=======` lines, so it is not plain which one divides it; write the whole file instead"
        ))),
    }
}

/// Returns what a block's first mark names: nothing, or its file.
fn start(line: &str) -> Option<&str> {
    let rest = marked(line, b'<', FREER_SIGNS).or_else(|| marked(line, b'-', SIGNS))?;
    let rest = rest.trim_end_matches(['<', '>', ':', ' ']);
    let (word, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let name = name.trim().trim_matches('`');
    let is_start = word.eq_ignore_ascii_case("SEARCH") || (word == "ORIGINAL" && name.is_empty());
    (is_start && !name.contains(char::is_whitespace)).then_some(name)
}

fn is_end(line: &str) -> bool {
    let word = marked(line, b'>', FREER_SIGNS).or_else(|| marked(line, b'+', SIGNS));
    word.is_some_and(|word| {
        let word = word.trim_end_matches(['>', '<', ':', ' ']);
        word.eq_ignore_ascii_case("REPLACE") || word == "UPDATED"
    })
}

/// Returns how many signs a divider has.
fn divider(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let is_divider = line.bytes().all(|byte| byte == b'=') && FREER_SIGNS.contains(&line.len());
    is_divider.then_some(line.len())
}

/// Returns what stands behind the signs at the line's beginning, up to three spaces in.
fn marked(line: &str, sign: u8, signs: RangeInclusive<usize>) -> Option<&str> {
    let line = line.trim_start_matches(' ');
    let count = line.bytes().take_while(|byte| *byte == sign).count();
    signs
        .contains(&count)
        .then(|| line[count..].trim())
        .filter(|rest| !rest.is_empty())
}
