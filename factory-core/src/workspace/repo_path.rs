//! The one type by which a path of a repository enters, parsed once.
//!
//! What passes here names a place inside the repository on every file system: there is nothing to expand, nothing to
//! normalise, and no component that any file system would read as `.git`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How the temporary files of [`super::Files`] begin; nobody else may use such a name.
pub(super) const TEMPORARY_PREFIX: &str = ".ai-dev-factory-tmp-";

/// A path within a repository: relative, separated by `/`, at least one component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathProblem {
    /// It is empty.
    Empty,
    /// It leads, or would be expanded or read elsewhere to lead, out of the repository.
    Escape,
    /// A component is one that some file system reads as `.git`.
    GitDirectory,
    /// It holds a control character or one that turns the direction of writing.
    ControlCharacter,
    /// It has an empty or `.` component, or a backslash.
    Malformed,
    /// A component or the whole is too long.
    TooLong,
    /// The factory uses such names for its temporary files.
    Reserved,
}

/// The text is no path within a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` {}", .problem.explanation())]
pub struct InvalidPath {
    /// What was given, escaped and shortened.
    pub shown: String,
    /// What is wrong with it.
    pub problem: PathProblem,
}

impl InvalidPath {
    /// Returns the stable code of the problem.
    pub fn code(&self) -> &'static str {
        self.problem.code()
    }
}

impl PathProblem {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "path_empty",
            Self::Escape => "path_escape",
            Self::GitDirectory => "git_directory",
            Self::ControlCharacter => "path_control_character",
            Self::Malformed => "path_malformed",
            Self::TooLong => "path_too_long",
            Self::Reserved => "path_reserved",
        }
    }

    /// Returns whether such a path is refused for safety, not because it is merely unusable.
    pub fn is_denial(self) -> bool {
        matches!(
            self,
            Self::Escape | Self::GitDirectory | Self::ControlCharacter | Self::Reserved
        )
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Empty => "is empty; name a file, as `src/main.rs`",
            Self::Escape => {
                "leads out of the repository; use a path relative to its top, without `..`, as `src/main.rs`"
            }
            Self::GitDirectory => "has a component that names git's own folder, which is never touched",
            Self::ControlCharacter => "has a control or direction character; use a name without",
            Self::Malformed => {
                "is not a plain path; separate folders by single `/`, without `.`, `\\` or an ending `/`"
            }
            Self::TooLong => "is too long; a component has at most 255 bytes and the path at most 4096",
            Self::Reserved => "is a name of the factory's temporary files; choose another",
        }
    }
}

impl RepoPath {
    /// The most bytes of a component.
    pub const MAX_COMPONENT: usize = 255;
    /// The most bytes of a path.
    pub const MAX_LENGTH: usize = 4096;

    /// Parses `text`. A leading `./` is dropped; nothing else is repaired.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        match checked(text) {
            Ok(path) => Ok(Self(path.to_owned())),
            Err(problem) => Err(InvalidPath {
                shown: shown(text),
                problem,
            }),
        }
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the components from the top down; there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the folder that holds this path; none where that is the repository's top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Returns whether this path lies below `folder`, by components.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0
            .strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Returns a text that is equal for two paths which some file system takes for the same one.
    pub fn collision_key(&self) -> String {
        collision_key(&self.0)
    }
}

/// Returns a text that is equal for names which differ by case or Unicode normalisation alone.
///
/// Lower of upper case is a little coarser than Unicode's case folding (`ı` equals `i`), which errs to the safe side.
pub(super) fn collision_key(name: &str) -> String {
    name.nfd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let mut shown: String = text.chars().take(MOST).flat_map(escaped).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let plain = !is_forbidden(character) && !is_ignorable(character);
    let escape = (!plain).then(|| character.escape_unicode());
    plain
        .then_some(character)
        .into_iter()
        .chain(escape.into_iter().flatten())
}

fn checked(text: &str) -> Result<&str, PathProblem> {
    if text.is_empty() {
        return Err(PathProblem::Empty);
    }
    if text.chars().any(is_forbidden) {
        return Err(PathProblem::ControlCharacter);
    }
    if escapes(text) {
        return Err(PathProblem::Escape);
    }
    let mut path = text;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    if escapes(path) {
        return Err(PathProblem::Escape);
    }
    if path.len() > RepoPath::MAX_LENGTH {
        return Err(PathProblem::TooLong);
    }
    for component in path.split(['/', '\\']) {
        if reads_as_git(component) {
            return Err(PathProblem::GitDirectory);
        }
    }
    if path.contains('\\') {
        return Err(PathProblem::Malformed);
    }
    for component in path.split('/') {
        if component.is_empty() || component == "." {
            return Err(PathProblem::Malformed);
        }
        if component.len() > RepoPath::MAX_COMPONENT {
            return Err(PathProblem::TooLong);
        }
        if component.starts_with(TEMPORARY_PREFIX) {
            return Err(PathProblem::Reserved);
        }
    }
    Ok(path)
}

/// Absolute, climbing, expanding and foreign forms. What only a shell or another system would expand is refused too:
/// whoever writes it means a place outside.
fn escapes(text: &str) -> bool {
    let first = text.split(['/', '\\']).next().unwrap_or_default();
    let has_more = first.len() < text.len();
    let drive = first.len() >= 2 && first.as_bytes()[0].is_ascii_alphabetic() && first.as_bytes()[1] == b':';
    let home = first == "~" || (first.starts_with('~') && has_more);
    let scheme = text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    });
    text.starts_with(['/', '\\'])
        || drive
        || home
        || scheme
        || is_variable(first)
        || text.split(['/', '\\']).any(|component| component == "..")
}

/// `$HOME`, `${HOME}` and `%HOME%`; not `$id`, which web frameworks use in file names.
fn is_variable(component: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    component.strip_prefix('$').is_some_and(|rest| {
        is_name(rest)
            || rest
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(is_name)
    }) || component
        .strip_prefix('%')
        .and_then(|rest| rest.strip_suffix('%'))
        .is_some_and(is_name)
}

/// Control characters, line separators, and the marks that turn the direction of writing.
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Code points that some file systems leave out of a comparison.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns whether any file system would open `.git` by this name: by case, trailing dots and spaces, alternate data
/// streams, short names, ignorable code points, or compatibility characters.
pub(super) fn reads_as_git(component: &str) -> bool {
    let folded: String = component
        .nfkc()
        .filter(|character| !is_ignorable(*character))
        .flat_map(char::to_lowercase)
        .collect();
    let name = folded.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    name == ".git" || is_git_short_name(name)
}

/// `git~1`, and the hashed form `gi1a2b~1` that NTFS takes when the first four are gone.
fn is_git_short_name(name: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let hashed = stem.len() == 6
        && stem
            .strip_prefix("gi")
            .is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_number && (stem == "git" || hashed)
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RepoPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RepoPath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::parse(&text)
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests;
