//! What becomes of answers as models write them, from clean to broken: a table of cases and their outcomes.
//!
//! A case is a small struct: the files that are there, and the answer. The outcome is every file that the answer
//! changes with its new bytes, or the code and the text of the refusal. The snapshot holds all of them, so that a change
//! of any outcome is seen in review.

mod blocks;
mod contents;
mod diffs;
mod elisions;
mod patches;
mod wholes;

use std::fmt::Write as _;

use factory_core::workspace::RepoPath;
use factory_core::workspace::edit::{
    Current, EditError, EditFormat, PlannedFile, edits_in, file_edits, plan, plan_answer,
};

/// The fewest cases that the table has.
const FEWEST: usize = 150;

/// A file that is there.
type Before = (&'static str, &'static [u8]);

/// An answer, and the files that it is about.
struct Case {
    name: &'static str,
    files: &'static [Before],
    answer: &'static str,
}

/// Shows the files as the answers' world.
fn read(
    files: &[Before],
) -> impl Fn(&RepoPath) -> Result<Option<Current>, factory_core::workspace::FilesError> {
    move |path| {
        let found = files.iter().find(|(name, _)| *name == path.as_str());
        Ok(found.map(|(name, bytes)| Current {
            bytes: bytes.to_vec(),
            executable: name.rsplit_once('.').is_some_and(|(_, ending)| ending == "sh"),
        }))
    }
}

fn outcome(case: &Case) -> String {
    match planned(case) {
        Ok(files) => {
            let mut shown = String::from("applied");
            for file in files {
                let mode = if file.executable { " (program)" } else { "" };
                let (path, before) = (&file.path, file.before.is_some());
                let _ = match (&file.after, before) {
                    (None, _) => write!(shown, "\n    deleted {path}"),
                    (Some(after), false) => {
                        write!(shown, "\n    created {path}{mode}: {}", after.escape_ascii())
                    }
                    (Some(after), true) => {
                        write!(shown, "\n    changed {path}{mode}: {}", after.escape_ascii())
                    }
                };
            }
            shown
        }
        Err(error) => format!(
            "refused {}\n    {}",
            error.code(),
            error.to_string().replace('\n', "\n    ")
        ),
    }
}

fn planned(case: &Case) -> Result<Vec<PlannedFile>, EditError> {
    plan_answer(case.answer, &read(case.files))
}

fn all() -> Vec<(&'static str, &'static [Case])> {
    vec![
        ("search and replace blocks", blocks::CASES),
        ("patches", patches::CASES),
        ("unified diffs", diffs::CASES),
        ("whole files", wholes::CASES),
        ("what a file holds", contents::CASES),
        ("what is left out", elisions::CASES),
    ]
}

#[test]
fn every_answer_has_its_outcome() {
    let mut table = String::new();
    for (group, cases) in all() {
        let _ = writeln!(table, "# {group}\n");
        for case in cases {
            let _ = writeln!(table, "{}: {}", case.name, outcome(case));
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_is_long_and_names_each_case_once() {
    let names: Vec<&str> = all()
        .into_iter()
        .flat_map(|(_, cases)| cases.iter().map(|case| case.name))
        .collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "a name stands twice");
    assert!(names.len() >= FEWEST, "{} cases", names.len());
}

/// What is found stands where it says, in order, and nothing is found twice.
#[test]
fn what_is_found_stands_where_it_says() {
    for (_, cases) in all() {
        for case in cases {
            let Ok(found) = edits_in(case.answer) else {
                continue;
            };
            let mut end = 0;
            for found in &found {
                assert!(
                    found.range.start >= end,
                    "{}: {:?} begins before {end}",
                    case.name,
                    found.range
                );
                end = found.range.end;
                let text = &case.answer[found.range.clone()];
                assert!(!text.trim().is_empty(), "{}", case.name);
            }
            assert!(end <= case.answer.len());
        }
    }
}

/// An answer that is cut anywhere gives edits of the whole answer, or is refused: no file gets half of its content. A
/// diff outside of a fence is left out, because its format has no end.
#[test]
fn a_cut_answer_makes_no_half_edit() {
    for (_, cases) in all() {
        for case in cases {
            let Ok(whole) = edits_in(case.answer) else {
                continue;
            };
            for cut in (0..case.answer.len()).filter(|cut| case.answer.is_char_boundary(*cut)) {
                let Ok(found) = edits_in(&case.answer[..cut]) else {
                    continue;
                };
                // Cut behind its marks, the beginning of a fence within a fence is the end of one.
                if case.answer[..cut].ends_with("```") && !case.answer[cut..].starts_with(['\n', '\r']) {
                    continue;
                }
                for part in found.iter().filter(|part| part.format != EditFormat::UnifiedDiff) {
                    assert!(
                        whole.iter().any(|whole| whole.edit == part.edit),
                        "{}: cut at {cut}: {part:?} is no edit of the whole answer",
                        case.name
                    );
                }
                // It may be refused; it must not panic.
                let _ =
                    file_edits(found, &read(case.files)).and_then(|edits| plan(&edits, &read(case.files)));
            }
        }
    }
}
