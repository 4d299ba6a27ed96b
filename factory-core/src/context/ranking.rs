//! The order of a repository's files for one request, each with the reason for its place.

use std::collections::{HashMap, HashSet};

use regex::Regex;

use super::index::FileId;
use super::mentions::{Mentions, mentions};
use super::role::{self, Role};
use super::sources::Sources;
use crate::workspace::RepoPath;

/// How many named files are looked into for what they import.
const MAX_LOOKED_INTO: usize = 24;
/// How many bytes of a file's import lines are looked at.
const MAX_IMPORTS: usize = 8 << 10;

/// Why a file stands where it does; the first that holds counts, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The goal names it.
    NamedByGoal,
    /// A failing output names it.
    NamedByOutput,
    /// It defines an identifier that the goal or the output names.
    DefinesIdentifier,
    /// A check command names it.
    NamedByCheck,
    /// It is called like a word of the goal.
    CalledLikeWord,
    /// It defines something that is called like a word of the goal.
    DefinesWord,
    /// It goes with one of the above: a test of it, what the test is about, or what it imports.
    GoesWith,
    /// It uses such an identifier.
    UsesIdentifier,
    /// It lies in a folder with one of the above.
    Beside,
    /// It says what the project is.
    Manifest,
    /// It is source code.
    Source,
    /// It is a test.
    Test,
    /// It is some other text.
    Text,
    /// Nobody writes it by hand, or nobody should read it.
    Other,
}

impl Reason {
    /// Returns whether the request itself leads to the file, not its place or kind alone.
    pub fn is_called_for(self) -> bool {
        self <= Self::GoesWith
    }

    fn of_role(role: Role) -> Self {
        match role {
            Role::Manifest => Self::Manifest,
            Role::Source => Self::Source,
            Role::Test => Self::Test,
            Role::Text => Self::Text,
            Role::Secret | Role::Foreign | Role::Binary => Self::Other,
        }
    }
}

/// What the parts of a request name.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) goal: Mentions,
    pub(super) output: Mentions,
    pub(super) checks: Mentions,
}

/// Returns all files, the most relevant first.
pub(super) fn rank(sources: &mut Sources<'_>, named: &Named) -> Vec<(FileId, Reason)> {
    let count = sources.index().len();
    let mut ranking = Ranking {
        reasons: (0..count).map(|id| Reason::of_role(sources.role(id))).collect(),
        order: HashMap::new(),
    };
    for (mentions, reason) in [
        (&named.goal, Reason::NamedByGoal),
        (&named.output, Reason::NamedByOutput),
        (&named.checks, Reason::NamedByCheck),
    ] {
        for mention in &mentions.files {
            if let Some(id) = sources.index().exact(mention.path.as_str()) {
                ranking.raise(id, reason);
            }
        }
    }
    called_like_words(sources, &named.goal, &mut ranking);
    defining(sources, named, &mut ranking);
    going_with(sources, &mut ranking);
    beside(sources, &mut ranking);
    let mut ranked: Vec<(FileId, Reason)> = ranking.reasons.iter().copied().enumerate().collect();
    ranked.sort_by_key(|(id, reason)| {
        let order = ranking.order.get(id).copied().unwrap_or(usize::MAX);
        (*reason, order, depth(sources.index().path(*id)), *id)
    });
    ranked
}

struct Ranking {
    reasons: Vec<Reason>,
    /// The order of mention of those that are named.
    order: HashMap<FileId, usize>,
}

impl Ranking {
    fn raise(&mut self, id: FileId, reason: Reason) {
        if reason < self.reasons[id] {
            self.reasons[id] = reason;
            if matches!(
                reason,
                Reason::NamedByGoal | Reason::NamedByOutput | Reason::NamedByCheck
            ) {
                let next = self.order.len();
                self.order.entry(id).or_insert(next);
            }
        }
    }

    fn until(&self, last: Reason) -> Vec<FileId> {
        let mut found: Vec<FileId> = (0..self.reasons.len())
            .filter(|id| self.reasons[*id] <= last)
            .collect();
        found.sort_by_key(|id| (self.reasons[*id], self.order.get(id).copied(), *id));
        found
    }
}

fn depth(path: &RepoPath) -> usize {
    path.components().count()
}

/// Returns whether a file is written by hand and by the project, so that its content tells something.
fn is_own(role: Role) -> bool {
    matches!(role, Role::Source | Role::Test)
}

fn called_like_words(sources: &Sources<'_>, goal: &Mentions, ranking: &mut Ranking) {
    let words: HashSet<String> = goal
        .words
        .iter()
        .cloned()
        .chain(goal.symbols.iter().map(|name| name.to_lowercase()))
        .collect();
    if words.is_empty() {
        return;
    }
    for (id, path) in sources.index().paths().iter().enumerate() {
        if is_own(sources.role(id)) && words.contains(&role::subject(path).to_lowercase()) {
            ranking.raise(id, Reason::CalledLikeWord);
        }
    }
}

/// Looks for the files that define or use what is named: by a search first, which is cheap, and by taking those apart
/// where something was found.
fn defining(sources: &mut Sources<'_>, named: &Named, ranking: &mut Ranking) {
    let identifiers: Vec<String> = named
        .goal
        .symbols
        .iter()
        .chain(&named.output.symbols)
        .cloned()
        .collect();
    let words = &named.goal.words;
    let Some(search) = any_of(identifiers.iter().chain(words)) else {
        return;
    };
    let strict = any_of(identifiers.iter());
    let Some(definition) = definition_of(identifiers.iter().chain(words)) else {
        return;
    };
    let mut candidates: Vec<FileId> = (0..sources.index().len())
        .filter(|id| is_own(sources.role(*id)))
        .collect();
    candidates.sort_by_key(|id| (ranking.reasons[*id], depth(sources.index().path(*id)), *id));
    for id in candidates {
        if !sources.may_search() {
            return;
        }
        let Some(text) = sources.text(id) else { continue };
        if !search.is_match(&text) {
            continue;
        }
        if strict.as_ref().is_some_and(|strict| strict.is_match(&text)) {
            ranking.raise(id, Reason::UsesIdentifier);
        }
        if may_define(&definition, &text)
            && let Some(outline) = sources.outline_of(id, &text)
        {
            if outline.defines(&identifiers) {
                ranking.raise(id, Reason::DefinesIdentifier);
            } else if outline.defines(words) {
                ranking.raise(id, Reason::DefinesWord);
            }
        }
    }
}

/// Returns a search for any of the names as a whole word, in any case of letters.
fn any_of<'a>(names: impl Iterator<Item = &'a String>) -> Option<Regex> {
    let names: Vec<String> = names.map(|name| regex::escape(name)).collect();
    if names.is_empty() {
        return None;
    }
    // A pattern that grows too large for its bound finds nothing, which costs relevance alone.
    Regex::new(&format!(r"(?i)(?:^|[^\w$])(?:{})(?:$|[^\w$])", names.join("|"))).ok()
}

/// Returns a search for lines that may define one of the names in some language, so that few files are taken apart in
/// vain: behind a word such as `def` or a type, or at the beginning of a line that opens a body.
fn definition_of<'a>(names: impl Iterator<Item = &'a String>) -> Option<Regex> {
    let names: Vec<String> = names.map(|name| regex::escape(name)).collect();
    let names = names.join("|");
    let forms = [
        format!(r"(?:(\w+)|[>\])*&])[ \t]+[*&]*(?:{names})\s*[(=<:{{;\[]"),
        format!(r"\b(?:class|def|enum|interface|module|struct|trait|type)[ \t]+(?:{names})[ \t]*$"),
        format!(r"^[ \t]*(?:{names})[ \t]*\(.*\{{[ \t]*$"),
        format!(r"(?:\.|::)(?:{names})\s*[(=<]"),
    ];
    Regex::new(&format!("(?im){}", forms.join("|"))).ok()
}

/// Returns whether a text has a line that may define one of the names, rather than call it.
fn may_define(definition: &Regex, text: &str) -> bool {
    const USES: &[&str] = &[
        "and", "as", "assert", "await", "case", "catch", "elif", "else", "except", "if", "in", "is", "new",
        "not", "or", "raise", "return", "throw", "throws", "while", "yield",
    ];
    let mut found = definition.captures_iter(text);
    found.any(|found| found.get(1).is_none_or(|before| !USES.contains(&before.as_str())))
}

fn going_with(sources: &mut Sources<'_>, ranking: &mut Ranking) {
    let anchors = ranking.until(Reason::DefinesWord);
    let subjects: HashSet<String> = anchors
        .iter()
        .map(|id| role::subject(sources.index().path(*id)).to_lowercase())
        .collect();
    let tests = anchors
        .iter()
        .filter(|id| sources.role(**id) == Role::Test)
        .map(|id| role::subject(sources.index().path(*id)).to_lowercase());
    let tested: HashSet<String> = tests.collect();
    for (id, path) in sources.index().paths().iter().enumerate() {
        let subject = role::subject(path).to_lowercase();
        let goes = match sources.role(id) {
            Role::Test => subjects.contains(&subject),
            Role::Source => tested.contains(&subject),
            _ => false,
        };
        if goes {
            ranking.raise(id, Reason::GoesWith);
        }
    }
    for id in anchors.into_iter().take(MAX_LOOKED_INTO) {
        if !is_own(sources.role(id)) {
            continue;
        }
        let Some(text) = sources.text(id) else { continue };
        for mention in mentions(&imports(&text), sources.index()).files {
            let imported = sources.index().exact(mention.path.as_str());
            if let Some(imported) = imported.filter(|imported| is_own(sources.role(*imported))) {
                ranking.raise(imported, Reason::GoesWith);
            }
        }
    }
}

/// Returns the lines of a text that bring in other files, in the forms of the usual languages.
fn imports(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        let brings = [
            "import ", "from ", "use ", "pub use ", "mod ", "pub mod ", "#include", "source ", ". ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
            || line.contains("require(")
            || line.contains("require_relative ")
            || line.contains(" from '")
            || line.contains(" from \"");
        if brings && line.len() < 500 && found.len() + line.len() < MAX_IMPORTS {
            found.push_str(line);
            found.push('\n');
        }
    }
    found
}

fn beside(sources: &Sources<'_>, ranking: &mut Ranking) {
    let folders: HashSet<Option<RepoPath>> = ranking
        .until(Reason::DefinesWord)
        .into_iter()
        .map(|id| sources.index().path(id).parent())
        .collect();
    for (id, path) in sources.index().paths().iter().enumerate() {
        if is_own(sources.role(id)) && folders.contains(&path.parent()) {
            ranking.raise(id, Reason::Beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_defines_is_told_from_one_that_uses() {
        let definition = definition_of([&"find".to_owned(), &"Shelf".to_owned()].into_iter()).unwrap();
        for (line, expect) in [
            ("def find(a):", true),
            ("pub(super) async fn find<T>(a: T)", true),
            ("func (s *Shelf) Find(a int) error {", true),
            ("struct shelf *find(int a)", true),
            ("class Shelf:", true),
            ("pub struct Shelf;", true),
            ("export const find = (a) => a;", true),
            ("  find(a, b) {", true),
            ("find() {", true),
            ("Shelf.prototype.find = function () {}", true),
            ("class Shelf", true),
            ("    return find(a)", false),
            ("    raise Shelf(a)", false),
            ("x = a + findings(b)", false),
            ("# find the shelf", false),
        ] {
            assert_eq!(may_define(&definition, line), expect, "{line}");
        }
    }
}
