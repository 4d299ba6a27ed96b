//! What a whole file given anew must not do: leave parts out, or change the line ends, the mark and the encoding that
//! the file has.

use similar::{Algorithm, DiffOp};

use crate::workspace::RepoPath;

use super::elision::{refuse_elision, with_text};
use super::error::EditError;
use super::text::{Encoding, Text};

/// A file of fewer lines may lose any number of them.
const SMALL_FILE: usize = 20;
/// How many of its lines a larger file must keep, in hundredths.
const LEAST_KEPT: usize = 60;
/// The longest file whose mixed line ends are looked at one by one.
const MOST_COMPARED_LINES: usize = 5000;

/// Returns the content with the line ends and the mark of the file that it replaces, unless it leaves much of that file
/// out.
pub(super) fn like_before(path: &RepoPath, before: &[u8], content: &str) -> Result<Vec<u8>, EditError> {
    let Ok(text) = Text::parse(before) else {
        refuse_elision(path, "", None, content)?;
        refuse_lost_characters(path, content)?;
        return Ok(content.as_bytes().to_vec());
    };
    refuse_elision(path, text.normal(), Some(text.normal()), content)?;
    if text.encoding() != Encoding::Utf8 {
        refuse_lost_characters(path, content)?;
        if text.encoding() == Encoding::Unknown && !content.is_ascii() {
            return Err(EditError::Encoding {
                path: path.clone(),
                detail: "is not UTF-8, so it is not known how characters beyond ASCII are to be written; convert it by a command first, or edit only lines of ASCII",
            });
        }
    }
    let (old_lines, new_lines) = (with_text(text.normal()), with_text(content));
    if old_lines > SMALL_FILE && new_lines * 100 < old_lines * LEAST_KEPT {
        return Err(EditError::Dropped {
            path: path.clone(),
            before: old_lines,
            after: new_lines,
        });
    }
    let mut after = content.to_owned();
    if text.normal().ends_with('\n') && !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    if !after.contains("\r\n") {
        after = with_ends_of(&text, after);
    }
    if text.is_marked() && !after.is_empty() && !after.starts_with('\u{feff}') {
        after.insert(0, '\u{feff}');
    }
    Ok(after.into_bytes())
}

/// What is shown of bytes that are not UTF-8 must not come back in their place.
fn refuse_lost_characters(path: &RepoPath, content: &str) -> Result<(), EditError> {
    if content.contains(char::REPLACEMENT_CHARACTER) {
        return Err(EditError::Encoding {
            path: path.clone(),
            detail: "is not UTF-8, and the new text has `\u{fffd}` where its bytes could not be shown; edit only the lines without",
        });
    }
    Ok(())
}

/// Lines that stay keep their ends; new ones end as most do.
fn with_ends_of(text: &Text, after: String) -> String {
    let ends = |crlf: bool| if crlf { "\r\n" } else { "\n" };
    let usual = ends(text.is_mostly_crlf());
    let old = text.lines();
    let new: Vec<&str> = after.split('\n').collect();
    if !text.has_mixed_ends() || old.len().max(new.len()) > MOST_COMPARED_LINES {
        return if text.is_mostly_crlf() {
            after.replace('\n', usual)
        } else {
            after
        };
    }
    let mut line_ends = vec![usual; new.len()];
    for operation in similar::capture_diff_slices(Algorithm::Myers, &old, &new) {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = operation
        {
            for offset in 0..len {
                line_ends[new_index + offset] = ends(text.ends_with_crlf(old_index + offset));
            }
        }
    }
    let mut output = String::with_capacity(after.len() + new.len());
    for (index, line) in new.iter().enumerate() {
        output.push_str(line);
        if index + 1 < new.len() {
            output.push_str(line_ends[index]);
        }
    }
    output
}
