//! Which format a model is asked to edit a file in: by what it is good at, by the file, and by what failed before.

/// How an edit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EditFormat {
    /// The file's path and all of its content.
    Whole,
    /// What is there, and what is to stand in its place.
    SearchReplace,
    /// The `*** Begin Patch` envelope.
    Patch,
    /// A diff as `git diff` prints it. It is read, because models write it unasked, but never asked for.
    UnifiedDiff,
}

impl EditFormat {
    /// Returns the format's stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::SearchReplace => "search_replace",
            Self::Patch => "patch",
            Self::UnifiedDiff => "unified_diff",
        }
    }
}

/// What a model is known to write well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EditSkill {
    /// Nothing is known, or that it is weak.
    #[default]
    Unproven,
    /// Search and replace blocks.
    SearchReplace,
    /// Patches in the envelope, which some models were trained on.
    Patch,
}

/// What the choice of a format depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FormatChoice {
    /// How many lines the file has; 0 where it is new.
    pub file_lines: usize,
    /// What the model writes well.
    pub skill: EditSkill,
    /// How many edits of parts of this file did not fit it since it last changed.
    pub failed_edits: u32,
    /// How many whole answers for this file were refused since it last changed, as those that leave parts out.
    pub refused_wholes: u32,
    /// Whether the whole file fits what the model may still write.
    pub whole_fits: bool,
}

/// Files of at most so many lines are given whole by a model that is not known to do better: small models write whole
/// files right far more often than edits.
pub const SMALL_FILE_LINES: usize = 300;
/// After so many failures in one way the other is asked for.
pub const FAILURES_BEFORE_CHANGE: u32 = 2;

/// Returns the format to ask for.
pub fn edit_format(choice: &FormatChoice) -> EditFormat {
    let usual = match choice.skill {
        EditSkill::Patch => EditFormat::Patch,
        EditSkill::SearchReplace | EditSkill::Unproven => EditFormat::SearchReplace,
    };
    let parts_fail = choice.failed_edits >= FAILURES_BEFORE_CHANGE;
    let wholes_fail = choice.refused_wholes >= FAILURES_BEFORE_CHANGE;
    let is_new = choice.file_lines == 0;
    let is_for_weak = choice.skill == EditSkill::Unproven && choice.file_lines <= SMALL_FILE_LINES;
    let wants_whole = is_new || is_for_weak || parts_fail;
    // Where both ways fail, the one that failed less is tried again.
    let may_whole = choice.whole_fits && (!wholes_fail || choice.refused_wholes < choice.failed_edits);
    match (wants_whole && may_whole, parts_fail) {
        (true, _) => EditFormat::Whole,
        (false, false) => usual,
        // A long file whose patches do not fit: blocks are the plainer way to quote.
        (false, true) => EditFormat::SearchReplace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(choice: FormatChoice, expected: EditFormat) {
        assert_eq!(edit_format(&choice), expected, "{choice:?}");
    }

    /// A file of 100 lines that fits, and nothing failed.
    const PLAIN: FormatChoice = FormatChoice {
        file_lines: 100,
        skill: EditSkill::Unproven,
        failed_edits: 0,
        refused_wholes: 0,
        whole_fits: true,
    };

    #[test]
    fn the_model_and_the_length_decide_first() {
        use EditFormat::{Patch, SearchReplace, Whole};
        for (file_lines, unproven, blocks, patches) in [
            (0, Whole, Whole, Whole),
            (1, Whole, SearchReplace, Patch),
            (300, Whole, SearchReplace, Patch),
            (301, SearchReplace, SearchReplace, Patch),
            (100_000, SearchReplace, SearchReplace, Patch),
        ] {
            for (skill, expected) in [
                (EditSkill::Unproven, unproven),
                (EditSkill::SearchReplace, blocks),
                (EditSkill::Patch, patches),
            ] {
                check(
                    FormatChoice {
                        file_lines,
                        skill,
                        ..PLAIN
                    },
                    expected,
                );
            }
        }
    }

    #[test]
    fn what_fails_twice_is_changed_where_the_file_fits() {
        use EditFormat::{Patch, SearchReplace, Whole};
        for skill in [EditSkill::SearchReplace, EditSkill::Patch] {
            let usual = if skill == EditSkill::Patch {
                Patch
            } else {
                SearchReplace
            };
            for (failed_edits, refused_wholes, whole_fits, expected) in [
                (0, 0, true, usual),
                (1, 0, true, usual),
                (2, 0, true, Whole),
                (9, 0, true, Whole),
                (2, 0, false, SearchReplace),
                (2, 1, true, Whole),
                (2, 2, true, SearchReplace),
                (3, 2, true, Whole),
                (3, 3, true, SearchReplace),
                (0, 2, true, usual),
            ] {
                let choice = FormatChoice {
                    file_lines: 2000,
                    skill,
                    failed_edits,
                    refused_wholes,
                    whole_fits,
                };
                check(choice, expected);
            }
        }
    }

    #[test]
    fn a_weak_model_whose_whole_files_are_refused_writes_blocks() {
        check(
            FormatChoice {
                refused_wholes: 1,
                ..PLAIN
            },
            EditFormat::Whole,
        );
        check(
            FormatChoice {
                refused_wholes: 2,
                ..PLAIN
            },
            EditFormat::SearchReplace,
        );
        check(
            FormatChoice {
                whole_fits: false,
                ..PLAIN
            },
            EditFormat::SearchReplace,
        );
    }
}
