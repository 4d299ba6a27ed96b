//! Answers about one file, and answers that are made to be read slowly.

use super::*;

const OTHER: &str = "src/b.rs";

/// Asserts what is found in an answer to the question for `a.py`: each edit's file and format, or the refusal's code.
#[track_caller]
fn check(answer: &str, expected: &str) {
    let path = RepoPath::parse("a.py").unwrap();
    let shown = match edits_about(answer, &path) {
        Err(error) => error.code().to_owned(),
        Ok(found) => {
            let shown = found.iter().map(|found| {
                let path = found.edit.paths().next().map_or("", RepoPath::as_str);
                format!("{} {path}", found.format.name())
            });
            shown.collect::<Vec<_>>().join(", ")
        }
    };
    assert_eq!(shown, expected, "{answer}");
}

#[test]
fn an_answer_about_one_file_need_not_name_it() {
    let fence = "```python\nx = 1\n```\n";
    let block = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n";
    check(fence, "whole a.py");
    check(
        &format!("Here is the whole file:\n\n{fence}Done.\n"),
        "whole a.py",
    );
    check(
        &format!("{fence}Run it:\n```sh\npython a.py\n```\n"),
        "whole a.py",
    );
    check(&format!("{fence}\n{fence}"), "edit_no_path");
    check(&format!("{OTHER}\n{fence}\n{fence}"), "edit_no_path");
    check(&format!("{OTHER}\n{fence}"), "whole src/b.rs");
    check(block, "search_replace a.py");
    check(
        &format!("{block}{block}"),
        "search_replace a.py, search_replace a.py",
    );
    check(&format!("{OTHER}\n{block}"), "search_replace src/b.rs");
    check("x = 1\n", "edit_format");
}

/// None of these would end in a lifetime if it were read in quadratic time.
#[test]
fn hostile_answers_are_read_in_time() {
    const MANY: usize = 100_000;
    for (piece, code) in [
        ("```x\n+++ b/f\n@@\n-a\n+b\n", "edit_format"),
        ("```x\n", "edit_cut"),
        ("~~~\n```x\n", "edit_cut"),
        ("*** Update File: a\n-x\n+y\n```\n", "edit_format"),
        ("*** Begin Patch\n", "edit_format"),
        ("<<<<<<< SEARCH\n", "edit_format"),
        ("=======\n", "edit_format"),
        ("f.rs\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n", "edit_format"),
        ("--- a/f\n+++ b/f\n", "found"),
        ("\n", "edit_format"),
        ("diff --git a/f b/f\n", "edit_format"),
        ("f.rs\n```\n```\n", "edit_format"),
        ("```\n<<<<<<< SEARCH\n", "edit_format"),
    ] {
        let answer = piece.repeat(MANY);
        let outcome = edits_in(&answer).map_or_else(|error| error.code(), |_| "found");
        assert_eq!(outcome, code, "{piece:?}");
        let patch = format!("*** Begin Patch\n*** Update File: f\n{answer}*** End Patch\n");
        let _ = super::super::parse_patch(&patch);
    }
}
