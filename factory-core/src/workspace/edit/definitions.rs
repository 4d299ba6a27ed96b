//! A file given anew in part: whole functions and types that take the place of those with their names.
//!
//! Small models answer "change `f`" with `f` and nothing else, which taken as a whole file would lose the rest. Read as
//! definitions it says exactly what it means: each takes the place of the one with its name, a new one is added, and
//! what it does not name stays as it is, byte for byte.

use std::collections::BTreeSet;

use crate::syntax::{Language, Unit, UnitKind, units};
use crate::workspace::RepoPath;

use super::elision::refuse_elision;
use super::error::EditError;
use super::indent::{Shift, indentation};
use super::text::{Splice, Text, with_plain_ends};

/// How a block below a file's name is meant.
#[derive(Debug)]
pub(super) enum Meaning {
    /// As the whole file.
    Whole,
    /// As parts of it: the content with them in place.
    Parts(Vec<u8>),
}

/// Finds out how `given` is meant as a new content of the file, which is there. The error says what is missing for
/// either reading.
pub(super) fn meaning(path: &RepoPath, bytes: &[u8], given: &str) -> Result<Meaning, EditError> {
    let Some((language, text)) = Language::of(path).zip(Text::parse(bytes).ok()) else {
        return Ok(Meaning::Whole);
    };
    let given = with_plain_ends(given);
    // A file that is broken now can only be mended as a whole.
    let Some(old) = units(language, text.normal()) else {
        return Ok(Meaning::Whole);
    };
    let old_names = names(&old);
    let Some(new) = units(language, &given) else {
        return if old_names.is_empty() || mentions_all(&given, &old_names) {
            Ok(Meaning::Whole)
        } else {
            Err(EditError::Unreadable { path: path.clone() })
        };
    };
    let missing: Vec<String> = old_names.difference(&names(&new)).cloned().collect();
    let has_definition = new.iter().any(|unit| unit.kind == UnitKind::Definition);
    if missing.is_empty() || !has_definition && old_names.is_empty() {
        return Ok(Meaning::Whole);
    }
    let stranger = new.iter().find(|unit| {
        unit.kind == UnitKind::Statement && !text.normal().contains(given[unit.range.clone()].trim())
    });
    if stranger.is_some() || !has_definition {
        return Err(EditError::LeavesOut {
            path: path.clone(),
            names: missing,
        });
    }
    refuse_elision(path, text.normal(), None, &given)?;
    let mut merge = Merge {
        path,
        old_text: text.normal(),
        new_text: &given,
        language,
        splices: Vec::new(),
    };
    merge.imports(&old, &new);
    merge.units(&old, &new, "", None)?;
    let mut splices = merge.splices;
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let overlaps = splices
        .windows(2)
        .any(|pair| pair[0].range.end > pair[1].range.start);
    if overlaps {
        return Err(EditError::LeavesOut {
            path: path.clone(),
            names: missing,
        });
    }
    Ok(Meaning::Parts(text.spliced(&splices)))
}

fn names(units: &[Unit]) -> BTreeSet<String> {
    let named = units.iter().filter(|unit| unit.kind == UnitKind::Definition);
    named.map(|unit| unit.name.clone()).collect()
}

/// Whether a text that cannot be parsed at least names everything that the file defines.
fn mentions_all(text: &str, names: &BTreeSet<String>) -> bool {
    names
        .iter()
        .all(|name| name == "__main__" || text.contains(name.as_str()))
}

struct Merge<'a> {
    path: &'a RepoPath,
    old_text: &'a str,
    new_text: &'a str,
    language: Language,
    splices: Vec<Splice>,
}

impl Merge<'_> {
    /// Puts imports that the file lacks behind its last one, or before its first definition.
    fn imports(&mut self, old: &[Unit], new: &[Unit]) {
        let is_import = |unit: &&Unit| unit.kind == UnitKind::Import;
        let known: BTreeSet<&str> = old
            .iter()
            .filter(is_import)
            .map(|unit| &self.old_text[unit.range.clone()])
            .collect();
        let lacking: Vec<&str> = new
            .iter()
            .filter(is_import)
            .map(|unit| &self.new_text[unit.range.clone()])
            .filter(|import| !known.contains(import))
            .collect();
        if lacking.is_empty() {
            return;
        }
        let lacking = lacking.join("\n");
        let splice = if let Some(last) = old.iter().rfind(is_import) {
            Splice::of(last.range.end..last.range.end, format!("\n{lacking}"))
        } else {
            let first = old.iter().find(|unit| unit.kind == UnitKind::Definition);
            let at = first.map_or(self.old_text.len(), |unit| unit.range.start);
            Splice::of(at..at, format!("{lacking}\n\n"))
        };
        self.splices.push(splice);
    }

    /// Puts each new definition in the place of the old one of its name, or among the others. `indent` is what stands
    /// before the lines of a member, `owner` whose members they are.
    fn units(
        &mut self,
        old: &[Unit],
        new: &[Unit],
        indent: &str,
        owner: Option<&Unit>,
    ) -> Result<(), EditError> {
        let mut added = String::new();
        for unit in new.iter().filter(|unit| unit.kind == UnitKind::Definition) {
            let mut same = old
                .iter()
                .filter(|other| other.kind == UnitKind::Definition && other.name == unit.name);
            // Of several with one name, as declarations and conditional variants have, none can be told to be meant.
            match (same.next(), same.next()) {
                (Some(place), None) => self.replace(place, unit)?,
                (Some(first), Some(second)) => {
                    return Err(self.ambiguous(&unit.name, &[first, second]));
                }
                (None, _) => {
                    if owner.is_none()
                        && let Some(place) = self.only_member(old, &unit.name)?
                    {
                        self.replace(place, unit)?;
                    } else {
                        let gap = self.gap(owner.is_some());
                        added.push_str(&gap);
                        added.push_str(&self.shifted(unit, indent));
                    }
                }
            }
        }
        if !added.is_empty() {
            self.add(old, &added, owner);
        }
        Ok(())
    }

    /// Finds the one member of this name, where a method is given without its class.
    fn only_member<'u>(&self, old: &'u [Unit], name: &str) -> Result<Option<&'u Unit>, EditError> {
        let all = || old.iter().flat_map(|unit| &unit.members);
        let mut same = all().filter(|member| member.kind == UnitKind::Definition && member.name == name);
        match (same.next(), same.next()) {
            (found, None) => Ok(found),
            (Some(first), Some(second)) => Err(self.ambiguous(name, &[first, second])),
            (None, Some(_)) => Ok(None),
        }
    }

    fn replace(&mut self, place: &Unit, unit: &Unit) -> Result<(), EditError> {
        let (old_members, new_members) = (names(&place.members), names(&unit.members));
        let keeps_members = !new_members.is_empty() && !old_members.is_subset(&new_members);
        if keeps_members {
            let first = place
                .members
                .first()
                .map_or(place.range.start, |member| member.range.start);
            let indent = self.indent_at(first).to_owned();
            return self.units(&place.members, &unit.members, &indent, Some(place));
        }
        let indent = self.indent_at(place.range.start).to_owned();
        let shifted = self.shifted(unit, &indent);
        // The first line's indentation stands before the place already.
        let text = shifted
            .strip_prefix(indent.as_str())
            .unwrap_or(&shifted)
            .to_owned();
        // What stood above the old definition stays where the new one brings nothing of its own.
        let is_bare = unit.signature == unit.range.start;
        let documented = self.old_text[place.range.start..place.signature].trim_start();
        let start = if is_bare && is_comment(documented) {
            place.signature
        } else {
            place.range.start
        };
        self.splices.push(Splice::of(start..place.range.end, text));
        Ok(())
    }

    /// Adds definitions behind the last one, but before a main part, tests or exports, which come last by custom.
    fn add(&mut self, old: &[Unit], added: &str, owner: Option<&Unit>) {
        let is_last_by_custom = |unit: &&Unit| {
            matches!(
                unit.name.as_str(),
                "__main__" | "main" | "tests" | "test" | "module.exports" | "exports"
            )
        };
        let mut definitions = old.iter().filter(|unit| unit.kind == UnitKind::Definition);
        let before = if owner.is_none() {
            definitions.clone().find(is_last_by_custom)
        } else {
            None
        };
        let splice = match (before, definitions.next_back(), owner) {
            (Some(place), ..) => {
                let gap = self.gap(false);
                let text = format!("{}{gap}", added.trim_start_matches('\n'));
                Splice::of(place.range.start..place.range.start, text)
            }
            (None, Some(last), _) => Splice::of(last.range.end..last.range.end, added.to_owned()),
            (None, None, Some(owner)) => Splice::of(owner.body_end..owner.body_end, added.to_owned()),
            (None, None, None) => {
                let end = self.old_text.trim_end().len();
                let text = if end == 0 {
                    added.trim_start_matches('\n')
                } else {
                    added
                };
                Splice::of(end..end, text.to_owned())
            }
        };
        self.splices.push(splice);
    }

    /// What parts two definitions, by the language's custom.
    fn gap(&self, is_member: bool) -> String {
        if self.language == Language::Python && !is_member {
            "\n\n\n"
        } else {
            "\n\n"
        }
        .to_owned()
    }

    fn indent_at(&self, offset: usize) -> &str {
        let line = self.old_text[..offset].rfind('\n').map_or(0, |end| end + 1);
        indentation(&self.old_text[line..])
            .get(..offset - line)
            .unwrap_or_default()
    }

    /// Returns the definition's lines with the indentation of its new place.
    fn shifted(&self, unit: &Unit, indent: &str) -> String {
        let start = self.new_text[..unit.range.start]
            .rfind('\n')
            .map_or(0, |end| end + 1);
        let lines: Vec<&str> = self.new_text[start..unit.range.end].lines().collect();
        let given = lines.first().map_or("", |line| indentation(line));
        let first = format!("{indent}{}", lines.first().map_or("", |line| line.trim_start()));
        let shift = Shift::between(std::iter::once((
            lines.first().copied().unwrap_or(""),
            first.as_str(),
        )));
        let moved = lines.iter().map(|line| match &shift {
            Some(shift) if given != indent => shift.apply(line).unwrap_or_else(|| (*line).to_owned()),
            _ => (*line).to_owned(),
        });
        moved.collect::<Vec<_>>().join("\n")
    }

    fn ambiguous(&self, name: &str, places: &[&Unit]) -> EditError {
        EditError::AmbiguousDefinition {
            path: self.path.clone(),
            name: name.to_owned(),
            lines: places
                .iter()
                .map(|place| self.old_text[..place.signature].matches('\n').count() + 1)
                .collect(),
        }
    }
}

/// Whether what stands before a signature is comments alone: attributes and decorators are part of the definition.
fn is_comment(text: &str) -> bool {
    !text.is_empty()
        && text.lines().all(|line| {
            line.trim().is_empty()
                || line.trim_start().starts_with(['#', '/', '*']) && !line.trim_start().starts_with("#[")
        })
}

#[cfg(test)]
mod tests;
