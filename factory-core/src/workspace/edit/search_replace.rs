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

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};
use super::{FileEdit, MAX_INPUT, Replacement};

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
    if text.len() > MAX_INPUT {
        return Err(EditError::format(format!(
            "the text has {} bytes; at most {MAX_INPUT} are read",
            text.len()
        )));
    }
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    let mut blocks = Vec::<Block>::new();
    let mut start_of_prose = 0;
    let mut index = 0;
    while index < lines.len() {
        if is_end(lines[index]) {
            return Err(EditError::format(format!(
                "line {}: `>>>>>>> REPLACE` without a `<<<<<<< SEARCH` before it",
                index + 1
            )));
        }
        if !is_start(lines[index]) {
            index += 1;
            continue;
        }
        let end = end_of_block(&lines, index)?;
        let divider = divider_of_block(&lines, index, end)?;
        let named = file_name(&lines[start_of_prose..index]);
        let path = named.or_else(|| blocks.last().and_then(|block| block.path.clone()));
        blocks.push(Block {
            path,
            replacement: Replacement {
                search: joined(&lines[index + 1..divider]),
                replace: joined(&lines[divider + 1..end]),
            },
        });
        index = end + 1;
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

fn end_of_block(lines: &[&str], start: usize) -> Result<usize, EditError> {
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        if is_end(line) {
            return Ok(index);
        }
        if is_start(line) {
            break;
        }
    }
    Err(EditError::format(format!(
        "line {}: the block has no `>>>>>>> REPLACE`; it may be cut, so nothing was changed",
        start + 1
    )))
}

fn divider_of_block(lines: &[&str], start: usize, end: usize) -> Result<usize, EditError> {
    let dividers = |length: Option<usize>| {
        (start + 1..end)
            .filter(|index| {
                is_divider(lines[*index])
                    && length.is_none_or(|length| lines[*index].trim_end().len() == length)
            })
            .collect::<Vec<_>>()
    };
    let opening = lines[start].bytes().take_while(|byte| *byte == b'<').count();
    let mut found = dividers(None);
    if found.len() > 1 {
        found = dividers(Some(opening));
    }
    match found[..] {
        [divider] => Ok(divider),
        [] => Err(EditError::format(format!(
            "line {}: the block has no `=======` line",
            start + 1
        ))),
        _ => Err(EditError::format(format!(
            "line {}: the block has several `=======` lines, so it is not plain which one divides it; write the whole file instead",
            start + 1
        ))),
    }
}

fn is_start(line: &str) -> bool {
    marker(line, b'<').is_some_and(|word| matches!(word, "SEARCH" | "ORIGINAL"))
}

fn is_end(line: &str) -> bool {
    marker(line, b'>').is_some_and(|word| matches!(word, "REPLACE" | "UPDATED"))
}

fn is_divider(line: &str) -> bool {
    marker(line, b'=').is_some_and(str::is_empty)
}

/// Returns what stands after 5 to 9 signs at the line's beginning.
fn marker(line: &str, sign: u8) -> Option<&str> {
    let count = line.bytes().take_while(|byte| *byte == sign).count();
    (5..=9).contains(&count).then(|| line[count..].trim())
}

/// Each line with its end, so that no line and one empty line differ.
fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

/// Returns the path on the last line with text, or in the opening of a code fence.
fn file_name(prose: &[&str]) -> Option<String> {
    let mut with_text = prose
        .iter()
        .rev()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty());
    let mut line = with_text.next()?;
    if let Some(info) = line.strip_prefix("```") {
        if let Some(name) = info.split_whitespace().last().and_then(plain_name) {
            return Some(name);
        }
        line = with_text.next()?;
    }
    plain_name(line)
}

/// Takes a heading's and a listing's ornaments off; none where that leaves no single name.
fn plain_name(line: &str) -> Option<String> {
    let name = line
        .trim_start_matches(['#', '*', '-', '>', ' '])
        .trim_end_matches([':', '*', ' '])
        .trim_matches(['`', '*', '"', '\''])
        .trim_end_matches(':');
    let looks_like_one = !name.is_empty()
        && !name.contains(['`', '<', '>', '|'])
        && (name.contains(['/', '.']) || is_bare_file_name(name))
        && !name.ends_with(['.', '!', '?', ','])
        && (name.contains('/') || !name.contains(' '));
    looks_like_one.then(|| shown_line(name))
}

/// `Makefile`, but not the language of a code fence.
fn is_bare_file_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && !name.contains(' ')
}
