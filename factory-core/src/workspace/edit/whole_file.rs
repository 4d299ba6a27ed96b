//! What a whole file given anew must not do: leave parts out, or change the line ends that the file has.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};
use super::text::Text;

/// A file of fewer lines may lose any number of them.
const SMALL_FILE: usize = 20;
/// How many of its lines a larger file must keep, in hundredths.
const LEAST_KEPT: usize = 60;

/// Lines that stand for something left out, as lazy models write them: as a comment, or behind dots. Code such as
/// `...rest,` and comments that merely speak of a rest are none.
static ELISIONS: LazyLock<RegexSet> = LazyLock::new(|| {
    const SIGN: &str = r#"(?://+|\#+|--+|/\*+|\*+|<!--|;+|%+|"{3}|\(|\[|\{/\*)"#;
    const DOTS: &str = r"(?:\.{3}|\u{2026})";
    const LEFT: &str = r"(?:existing|remaining|unchanged|previous|original|other)";
    const PART: &str = r"(?:code|files?|functions?|class(?:es)?|implementation|methods?|module|contents?|document|body|imports?|tests?|logic|lines?)";
    const SAME: &str =
        r"(?:unchanged|untouched|omitted|(?:the )?same|as (?:before|is)|remains?|stays?|(?:goes )?here)";
    RegexSet::new([
        format!(r"(?i)^\s*(?:{SIGN}\s*{DOTS}|{DOTS}\s)\s*(?:\w+ ){{0,4}}(?:rest|remainder|{LEFT}|omitted|same as before)\b.{{0,60}}$"),
        format!(r"(?i)^\s*{SIGN}\s*(?:the )?(?:rest|remainder) of (?:the |this |your )?(?:\w+ )?{PART}\b.{{0,40}}$"),
        format!(r"(?i)^\W*(?:the )?rest(?: of [\w ]{{1,40}}?)?(?: (?:is|are|remains?|stays?))? {SAME}\W*$"),
        format!(r"(?i)^\s*{SIGN}\s*(?:all )?(?:the )?{LEFT}(?: \w+){{1,3}}?(?: (?:is|are|remains?|stays?))? {SAME}\W*$"),
        format!(r"(?i)^\s*{SIGN}\s*(?:{PART}|everything else)(?: (?:is|are|remains?|stays?))? (?:unchanged|the same)\W*$"),
        format!(r"(?i)^\s*{SIGN}\s*{LEFT} {PART}\s*{DOTS}\W*$"),
    ])
    .expect("the patterns are constant")
});

/// Refuses a content with a line that stands for something left out, unless the old content has that line too.
pub(super) fn refuse_elision(path: &RepoPath, before: &str, after: &str) -> Result<(), EditError> {
    let elided = (1..).zip(after.lines()).find(|(_, line)| {
        line.len() < 200 && ELISIONS.is_match(line) && !before.lines().any(|old| old.trim() == line.trim())
    });
    match elided {
        Some((line, text)) => Err(EditError::Elided {
            path: path.clone(),
            line,
            text: shown_line(text.trim()),
        }),
        None => Ok(()),
    }
}

/// Returns the content with the line ends of the file that it replaces, unless it leaves much of that file out.
pub(super) fn like_before(path: &RepoPath, before: &[u8], content: &str) -> Result<Vec<u8>, EditError> {
    let Some(text) = Text::parse(before) else {
        refuse_elision(path, "", content)?;
        return Ok(content.as_bytes().to_vec());
    };
    refuse_elision(path, text.normal(), content)?;
    let (old_lines, new_lines) = (lines_with_text(text.normal()), lines_with_text(content));
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
    if text.is_mostly_crlf() && !after.contains("\r\n") {
        after = after.replace('\n', "\r\n");
    }
    Ok(after.into_bytes())
}

fn lines_with_text(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}
