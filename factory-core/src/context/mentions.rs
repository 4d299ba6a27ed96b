//! What a text names: files with lines in them, files that are not there, and identifiers.
//!
//! The text is a goal, a check command, or what a failing command printed; it is read word by word, so that every
//! tool's form of a place (`a.py:12:5`, `File "a.py", line 12`, `a.c(12)`, `x.sh: line 3`) is met without a list of
//! tools.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::index::{FileId, FileIndex};
use super::named;
use crate::workspace::RepoPath;

/// How much of a text is read: its head and its tail.
const MAX_TEXT: usize = 256 << 10;
/// How many files, lines of a file, identifiers and words are kept.
const MAX_FILES: usize = 200;
const MAX_LINES: usize = 64;
const MAX_NAMES: usize = 64;
/// The greatest line that is a line.
const MAX_LINE: usize = 10_000_000;

/// A file that is named, with the lines that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The file.
    pub path: RepoPath,
    /// The lines, from 1, in order of first mention.
    pub lines: Vec<usize>,
}

/// What a text names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Files of the repository, in order of first mention.
    pub files: Vec<Mention>,
    /// Files that the repository does not have.
    pub absent: Vec<RepoPath>,
    /// What is written like an identifier of a program.
    pub symbols: Vec<String>,
    /// Other words, in small letters, that may be names of files or of definitions.
    pub words: Vec<String>,
}

/// Returns the files that a text names, in order of first mention.
pub fn named_paths(text: &str, index: &FileIndex) -> Vec<RepoPath> {
    mentions(text, index)
        .files
        .into_iter()
        .map(|mention| mention.path)
        .collect()
}

/// Returns what a text names. Never fails; what is ambiguous is left out.
pub fn mentions(text: &str, index: &FileIndex) -> Mentions {
    let mut reader = Reader {
        index,
        found: Mentions::default(),
    };
    let (head, tail) = ends(text);
    for line in head.lines().chain(tail.lines()) {
        reader.line(line);
    }
    reader.found
}

/// The text, or its head and its tail where it is too long.
fn ends(text: &str) -> (&str, &str) {
    if text.len() <= MAX_TEXT {
        return (text, "");
    }
    let head = text.floor_char_boundary(MAX_TEXT / 2);
    let tail = text.ceil_char_boundary(text.len() - MAX_TEXT / 2);
    (&text[..head], &text[tail..])
}

struct Reader<'a> {
    index: &'a FileIndex,
    found: Mentions,
}

/// A word of a line with its place.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    end: usize,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let line = &line[..line.floor_char_boundary(line.len().min(8 << 10))];
        let quoted = self.quoted(line);
        for wide in words(line, is_wide) {
            let is_quoted = quoted.iter().any(|range| range.contains(&(wide.end - 1)));
            if is_quoted || self.word(line, wide) {
                continue;
            }
            // `f(a.py)`, `a.py::test[x]`, `修改src/a.py文件`: what is within.
            let start = wide.end - wide.text.len();
            for narrow in words(wide.text, is_narrow) {
                if narrow.text.len() == wide.text.len() {
                    continue;
                }
                let word = Word {
                    text: narrow.text,
                    end: start + narrow.end,
                };
                if !self.word(line, word) {
                    self.absent(word.text);
                }
            }
            self.absent(wide.text);
        }
        self.modules(line);
        self.names(line);
    }

    /// Names with spaces in them are told by their quotes alone; returns where they stand.
    fn quoted(&mut self, line: &str) -> Vec<Range<usize>> {
        static QUOTED: LazyLock<Regex> =
            LazyLock::new(|| pattern(r#""([^"]{3,300})"|'([^']{3,300})'|`([^`]{3,300})`"#));
        let mut places = Vec::new();
        for found in QUOTED.captures_iter(line) {
            let Some(inner) = (1..=3).find_map(|group| found.get(group)) else {
                continue;
            };
            if !inner.as_str().contains(' ') {
                continue;
            }
            if let Some(id) = named::resolve(inner.as_str(), self.index) {
                self.file(id, line_behind(&line[inner.end()..]));
                places.push(inner.range());
            }
        }
        places
    }

    /// Enters the file that a word means; returns whether it means one.
    fn word(&mut self, line: &str, word: Word<'_>) -> bool {
        let found = place(word.text)
            .and_then(|(path, number)| Some((named::resolve(path, self.index)?, number)))
            .or_else(|| Some((named::resolve(word.text, self.index)?, None)));
        let Some((id, number)) = found else { return false };
        let number = number.or_else(|| line_behind(&line[word.end..]));
        self.file(id, number);
        true
    }

    fn file(&mut self, id: FileId, line: Option<usize>) {
        let path = self.index.path(id);
        let at = self.found.files.iter().position(|mention| mention.path == *path);
        let at = match at {
            Some(at) => at,
            None if self.found.files.len() == MAX_FILES => return,
            None => {
                self.found.files.push(Mention {
                    path: path.clone(),
                    lines: Vec::new(),
                });
                self.found.files.len() - 1
            }
        };
        let lines = &mut self.found.files[at].lines;
        if let Some(line) = line.filter(|line| (1..=MAX_LINE).contains(line) && !lines.contains(line))
            && lines.len() < MAX_LINES
        {
            lines.push(line);
        }
    }

    fn absent(&mut self, word: &str) {
        let word = place(word).map_or(word, |(path, _)| path);
        if let Some(path) = named::absent(word)
            && named::resolve(word, self.index).is_none()
            && !self.index.has_name(path.as_str())
            && !self.found.absent.contains(&path)
            && self.found.absent.len() < MAX_NAMES
        {
            self.found.absent.push(path);
        }
    }

    /// Modules of one word are told by what stands before them.
    fn modules(&mut self, line: &str) {
        static MODULE: LazyLock<Regex> = LazyLock::new(|| {
            pattern(
                r#"\b(?:import|from|require|module(?: named)?|package|mod)\s*[( ]\s*["'`]?([A-Za-z_][A-Za-z0-9_./-]{0,200})"#,
            )
        });
        static BEFORE: LazyLock<Regex> =
            LazyLock::new(|| pattern(r"`?\b([A-Za-z_][A-Za-z0-9_]{1,100})\b`? (?:module|package)\b"));
        for found in MODULE.captures_iter(line).chain(BEFORE.captures_iter(line)) {
            let name = found[1].trim_matches(['.', '/', '-']);
            if let Some(id) = named::module(&name.replace('.', "/"), self.index) {
                self.file(id, None);
            }
        }
    }

    fn names(&mut self, line: &str) {
        static IDENTIFIER: LazyLock<Regex> =
            LazyLock::new(|| pattern(r"[\p{Alphabetic}_$][\p{Alphabetic}\p{Nd}_$]*"));
        for found in IDENTIFIER.find_iter(line) {
            let name = found.as_str();
            if name.len() < 2 || name.len() > 100 || is_common(name) {
                continue;
            }
            let before = line[..found.start()].chars().next_back();
            let after = line[found.end()..].chars().next();
            if is_written_as_code(name, before, after) {
                push(&mut self.found.symbols, name.to_owned());
            } else if name.chars().count() >= 4 {
                push(&mut self.found.words, name.to_lowercase());
            }
        }
    }
}

fn push(names: &mut Vec<String>, name: String) {
    if names.len() < MAX_NAMES && !names.contains(&name) {
        names.push(name);
    }
}

/// Returns whether a name is an identifier rather than a word: by its own form, or by what stands around it.
fn is_written_as_code(name: &str, before: Option<char>, after: Option<char>) -> bool {
    let inner = name.trim_matches('_');
    let humps = name
        .chars()
        .zip(name.chars().skip(1))
        .any(|(one, next)| one.is_lowercase() && next.is_uppercase());
    let is_quoted = matches!(
        (before, after),
        (Some('`'), Some('`' | '(')) | (Some('\''), Some('\'')) | (Some('"'), Some('"'))
    );
    inner.contains('_')
        || (name.starts_with("__") && !inner.is_empty())
        || humps
        || is_quoted
        || after == Some('(')
}

/// Words that say nothing about a repository, in order.
const COMMON: &[&str] = &[
    "about",
    "after",
    "again",
    "also",
    "assert",
    "assertionerror",
    "because",
    "been",
    "before",
    "build",
    "call",
    "change",
    "code",
    "create",
    "does",
    "error",
    "expected",
    "fail",
    "failed",
    "failure",
    "failures",
    "false",
    "file",
    "files",
    "fixed",
    "follow",
    "found",
    "from",
    "function",
    "have",
    "import",
    "into",
    "line",
    "make",
    "method",
    "module",
    "most",
    "must",
    "none",
    "null",
    "only",
    "other",
    "print",
    "raise",
    "recent",
    "result",
    "return",
    "returns",
    "should",
    "some",
    "such",
    "test",
    "tests",
    "than",
    "that",
    "their",
    "them",
    "then",
    "there",
    "they",
    "this",
    "traceback",
    "true",
    "update",
    "using",
    "value",
    "when",
    "where",
    "which",
    "with",
    "workspace",
    "would",
    "write",
    "your",
];

fn is_common(name: &str) -> bool {
    COMMON.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
}

/// `a.py:12:5`, `a.c(12,5)`, `a.py::test_b`, `a.md#L12`: the path and the line.
fn place(word: &str) -> Option<(&str, Option<usize>)> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(.+?)(?:::[\w\[\]:.<>-]+|:(\d+)(?::\d+)?:?|\((\d+)(?:[,:]\d+)?\):?|#L(\d+)(?:-L?\d+)?|:)$")
    });
    let found = PLACE.captures(word)?;
    let number = (2..=4)
        .find_map(|group| found.get(group))
        .and_then(|number| number.as_str().parse().ok());
    Some((found.get(1)?.as_str(), number))
}

/// The line that is named behind a path: `", line 12`, `: line 3:`, `:12`, `(12,5)`, ` line 12`.
fn line_behind(rest: &str) -> Option<usize> {
    static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"^["'`)]{0,2}(?:,? (?:on |at )?line (\d+)|: ?(?:line )?(\d+)\b|\((\d+)[,:)]|, ?(\d+)\b)"#)
    });
    let found = BEHIND.captures(rest)?;
    (1..=4).find_map(|group| found.get(group))?.as_str().parse().ok()
}

/// Parts a line into words of the characters that `holds` keeps, without the marks around them.
fn words(line: &str, holds: fn(char) -> bool) -> impl Iterator<Item = Word<'_>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + line[rest..].find(holds)?;
        let end = line[start..]
            .find(|character| !holds(character))
            .map_or(line.len(), |end| start + end);
        rest = end;
        let text = line[start..end].trim_end_matches(['.', ',', ':', ';', '!', '?', ')', ']', '。', '，']);
        let begin = text.trim_start_matches(['(', '[', ':', ',', ';']);
        Some(Word {
            text: begin,
            end: start + text.len(),
        })
    })
    .filter(|word| !word.text.is_empty())
}

fn is_wide(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(
            character,
            '"' | '\'' | '`' | '<' | '>' | '|' | '=' | ',' | ';' | '*' | '│'
        )
}

fn is_narrow(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '/' | '\\' | '+' | '@' | '~')
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed and tested")
}

#[cfg(test)]
mod tests;
