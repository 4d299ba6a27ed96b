//! Edits as models write them, and what becomes of them.

#![expect(clippy::format_collect, reason = "in tests the plain form reads best")]

use insta::assert_snapshot;

use super::*;

pub(super) fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

pub(super) fn replacement(search: &str, replace: &str) -> Replacement {
    Replacement {
        search: search.to_owned(),
        replace: replace.to_owned(),
    }
}

/// Plans the edits over the files given.
fn planned(files: &[(&str, &str)], edits: &[FileEdit]) -> Result<Vec<PlannedFile>, EditError> {
    plan(edits, &|path: &RepoPath| {
        let found = files.iter().find(|(name, _)| *name == path.as_str());
        Ok(found.map(|(_, text)| Current {
            bytes: text.as_bytes().to_vec(),
            executable: false,
        }))
    })
}

/// Makes the replacements in a file `f` and returns it, or the error's text.
pub(super) fn replaced(before: &str, replacements: &[(&str, &str)]) -> Result<String, String> {
    let edit = FileEdit::Replace {
        path: path("f"),
        replacements: replacements
            .iter()
            .map(|(search, replace)| replacement(search, replace))
            .collect(),
    };
    after(planned(&[("f", before)], &[edit]))
}

/// Applies a patch's section for the file `f` and returns it, or the error's text.
fn patched(before: &str, section: &str) -> Result<String, String> {
    let text = format!("*** Begin Patch\n*** Update File: f\n{section}\n*** End Patch");
    let edits = parse_patch(&text).map_err(|error| error.to_string())?;
    after(planned(&[("f", before)], &edits))
}

fn whole(before: &str, content: &str) -> Result<String, String> {
    let edit = FileEdit::Whole {
        path: path("f"),
        content: content.to_owned(),
        executable: None,
    };
    after(planned(&[("f", before)], &[edit]))
}

fn after(planned: Result<Vec<PlannedFile>, EditError>) -> Result<String, String> {
    let files = planned.map_err(|error| error.to_string())?;
    assert_eq!(files.len(), 1);
    Ok(String::from_utf8(files[0].after.clone().unwrap()).unwrap())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands for a whole result in comparisons"
)]
fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

const RUST: &str = "fn one() {\n    let a = 1;\n    let b = 2;\n}\n\nfn two() {\n    let a = 1;\n}\n";

#[test]
fn exact_lines_and_parts_of_lines_are_replaced() {
    assert_eq!(replaced("a\nb\nc\n", &[("b", "B")]), ok("a\nB\nc\n"));
    assert_eq!(replaced("a\nb\nc\n", &[("b\n", "B\nB2\n")]), ok("a\nB\nB2\nc\n"));
    assert_eq!(replaced("a\nb\nc\n", &[("b\n", "")]), ok("a\nc\n"));
    assert_eq!(replaced("a\nb\nc\n", &[("b", "\n")]), ok("a\n\nc\n"));
    assert_eq!(replaced("a\nb\nc\n", &[("a\nb\nc\n", "")]), ok(""));
    assert_eq!(
        replaced("let x = f(1, 2);\n", &[("f(1", "g(0")]),
        ok("let x = g(0, 2);\n")
    );
    assert_eq!(
        replaced("a=1 b=2\n", &[("b=2", "b=3"), ("a=1", "a=0")]),
        ok("a=0 b=3\n")
    );
    assert_eq!(
        replaced("x\nxx\n", &[("x", "y")]),
        ok("y\nxx\n"),
        "whole lines go before parts"
    );
}

#[test]
fn line_ends_a_mark_and_a_missing_last_end_stay() {
    assert_eq!(
        replaced("a\r\nb\r\nc\r\n", &[("a\nb", "A\nB\nX")]),
        ok("A\r\nB\r\nX\r\nc\r\n")
    );
    assert_eq!(
        replaced("a\nb\r\nc\n", &[("b\n", "B\nB\n")]),
        ok("a\nB\nB\r\nc\n")
    );
    assert_eq!(replaced("a\nb", &[("b\n", "B\n")]), ok("a\nB"));
    assert_eq!(replaced("a\nb", &[("b", "")]), ok("a"));
    assert_eq!(replaced("\u{feff}a\nb\n", &[("a", "A")]), ok("\u{feff}A\nb\n"));
    assert_eq!(whole("a\r\nb\r\n", "a\nc"), ok("a\r\nc\r\n"));
    assert_eq!(patched("a\r\nb", " a\n-b\n+B"), ok("a\r\nB"));
}

#[test]
fn trailing_space_is_forgiven_and_kept_where_nothing_changes() {
    assert_eq!(
        replaced("a  \nb\t\nc\n", &[("a\nb\n", "a\nB\n")]),
        ok("a  \nB\nc\n")
    );
    assert_eq!(replaced("a\nb\n", &[("a  \nb \n", "A\n")]), ok("A\n"));
}

#[test]
fn indentation_is_shifted() {
    let file = "mod m {\n    fn f() {\n        x();\n    }\n}\n";
    let expected = ok("mod m {\n    fn f() {\n        if y {\n            x();\n        }\n    }\n}\n");
    let quoted = "fn f() {\n    x();\n}\n";
    assert_eq!(
        replaced(
            file,
            &[(quoted, "fn f() {\n    if y {\n        x();\n    }\n}\n")]
        ),
        expected
    );
    let deeper = "        fn f() {\n            x();\n        }\n";
    let given = "        fn f() {\n            if y {\n                x();\n            }\n        }\n";
    assert_eq!(replaced(file, &[(deeper, given)]), expected);
    let tabs = "if a:\n\tif b:\n\t\tc()\n";
    let spaced = "if a:\n    if b:\n        c()\n";
    assert_eq!(
        replaced(tabs, &[(spaced, "if a:\n    if b:\n        c()\n        d()\n")]),
        ok("if a:\n\tif b:\n\t\tc()\n\t\td()\n")
    );
    assert!(
        replaced("a\n    b\n", &[("  a\n  b", "x")]).is_err(),
        "the inner shape must agree"
    );
}

#[test]
fn look_alike_characters_are_forgiven_and_kept_where_nothing_changes() {
    let file = "say(\u{201c}it\u{2019}s\u{201d})\nx\u{a0}= 1 \u{2013} 2\nend\n";
    assert_eq!(
        replaced(
            file,
            &[("say(\"it's\")\nx = 1 - 2\nend\n", "say(\"it's\")\nx = 3\nend\n")]
        ),
        ok("say(\u{201c}it\u{2019}s\u{201d})\nx = 3\nend\n")
    );
}

#[test]
fn what_is_in_several_places_is_refused() {
    assert_snapshot!(replaced(RUST, &[("    let a = 1;\n", "")]).unwrap_err(), @r"
    edit 1 of 1 fits `f` in several places; quote more lines around the one that is meant:
    line 2:     let a = 1;
    line 7:     let a = 1;
    ");
    assert_snapshot!(replaced(&"x\n".repeat(9), &[("x", "y")]).unwrap_err(), @r"
    edit 1 of 1 fits `f` in several places; quote more lines around the one that is meant:
    line 1: x
    line 2: x
    line 3: x
    line 4: x
    line 5: x
    and more
    ");
    assert!(
        replaced("aaa\n", &[("aa", "b")]).is_err(),
        "overlapping places count"
    );
    assert!(patched(RUST, "-    let a = 1;").is_err());
}

#[test]
fn what_is_nowhere_is_refused_with_the_nearest() {
    assert_snapshot!(replaced(RUST, &[("fn one() {\n    let a = 5;\n    let b = 2;\n", "")]).unwrap_err(), @r"
    edit 1 of 1 does not fit `f`: the file, as it is now, has no such lines (they begin with `fn one() {`); the nearest are lines 1-3, to be quoted exactly:
    fn one() {
        let a = 1;
        let b = 2;
    ");
    assert_snapshot!(replaced(RUST, &[("fn onne() {", "")]).unwrap_err(), @r"
    edit 1 of 1 does not fit `f`: the file, as it is now, has no such lines (they begin with `fn onne() {`); the nearest are lines 1-1, to be quoted exactly:
    fn one() {
    ");
    assert_snapshot!(replaced(RUST, &[("completely different \u{1b}[2J", "")]).unwrap_err(), @r"edit 1 of 1 does not fit `f`: the file, as it is now, has no such lines (they begin with `completely different \u{1b}[2J`); read the file and quote it exactly");
}

#[test]
fn edits_without_a_place_overlapping_or_idle_are_refused() {
    assert_snapshot!(replaced("a\n", &[(" \n", "x")]).unwrap_err(), @"edit 1 of 1 of `f` does not say where: quote the lines to replace, with some lines around new ones");
    assert_snapshot!(replaced("a\nb\nc\n", &[("b\nc", "x"), ("a\nb", "y")]).unwrap_err(), @"edits 1 and 2 of `f` overlap; make them one edit");
    assert_snapshot!(replaced("a\n", &[("a", "a")]).unwrap_err(), @"`f` would not change: it holds exactly this already");
    assert_snapshot!(whole("a\n", "a\n").unwrap_err(), @"`f` would not change: it holds exactly this already");
    assert_snapshot!(replaced("a\n", &[]).unwrap_err(), @"there is no edit of `f` in it");
    let binary = |_: &RepoPath| {
        Ok(Some(Current {
            bytes: b"a\0\xff".to_vec(),
            executable: false,
        }))
    };
    let edit = FileEdit::Replace {
        path: path("f"),
        replacements: vec![replacement("a", "b")],
    };
    assert_snapshot!(plan(&[edit], &binary).unwrap_err(), @"`f` is no text, so it cannot be edited; only a command can change it");
}

#[test]
fn many_edits_of_a_large_file_are_made() {
    // Quoted without the space at their ends, so that no edit is found in the first tier.
    let line = |number: usize| format!("\tline \u{2013} {number} \n");
    let before: String = (0..60_000).map(line).collect();
    let hunks = (0..MAX_HUNKS).map(|number| format!("@@\n-line - {}\n+{number}\n", number * 100));
    let after: String = (0..60_000)
        .map(|number| match number % 100 {
            0 if number / 100 < MAX_HUNKS => format!("\t{}\n", number / 100),
            _ => line(number),
        })
        .collect();
    assert!(patched(&before, hunks.collect::<String>().trim_end()) == Ok(after));
}

#[test]
fn adjacent_deletions_do_not_overlap() {
    assert_eq!(replaced("a\nb\nc", &[("b\n", ""), ("c\n", "")]), ok("a"));
    assert_eq!(
        replaced("a\nb\nc\n", &[("a", ""), ("b", ""), ("c", "C")]),
        ok("C\n")
    );
}

#[test]
fn an_empty_search_makes_a_file() {
    let edit = FileEdit::Replace {
        path: path("new"),
        replacements: vec![replacement("", "text\n")],
    };
    assert_eq!(after(planned(&[], std::slice::from_ref(&edit))), ok("text\n"));
    assert_eq!(after(planned(&[("new", "")], &[edit])), ok("text\n"));
    let edit = FileEdit::Replace {
        path: path("new"),
        replacements: vec![replacement("a", "b")],
    };
    assert_snapshot!(after(planned(&[], &[edit])).unwrap_err(), @"there is no `new`; look at the names that there are, or create it as a new file");
}

#[test]
fn patches_find_their_places_by_context() {
    assert_eq!(patched("a\nb\nc\n", "@@\n a\n-b\n+B\n c"), ok("a\nB\nc\n"));
    let two = patched(RUST, "@@ fn two() {\n-    let a = 1;\n+    let a = 9;");
    assert_eq!(
        two,
        ok(&RUST.replacen("two() {\n    let a = 1", "two() {\n    let a = 9", 1))
    );
    assert_eq!(
        patched("x\ny\nx\ny\n", "@@\n-x\n+1\n y\n x\n@@\n-y\n+2\n*** End of File"),
        ok("1\ny\nx\n2\n")
    );
    assert_eq!(
        patched("a\nb\na\nb\nq\n", "@@\n-a\n+1\n b\n a\n@@\n-q\n+Q"),
        ok("1\nb\na\nb\nQ\n")
    );
    assert_eq!(
        patched("a\n", "@@ -1,9999999999999999999 +1,2 @@ fn x\n-a\n+b"),
        ok("b\n")
    );
    assert_eq!(
        patched("class A:\n  x\nclass B:\n  x\n", "@@ class B:\n+  y"),
        ok("class A:\n  x\nclass B:\n  y\n  x\n")
    );
    assert_eq!(patched("a\n", "@@\n+b\n*** End of File"), ok("a\nb\n"));
    assert_eq!(
        patched("a\n\nb\n", "@@\n a\n\n-b\n+B\n\n"),
        ok("a\n\nB\n"),
        "an empty line is context"
    );
    assert_snapshot!(patched("a\n", "+b").unwrap_err(), @"edit 1 of 1 of `f` does not say where: quote the lines to replace, with some lines around new ones");
}

#[test]
fn a_patch_adds_deletes_and_moves() {
    let text = "Here it is:\n```\n*** Begin Patch\n*** Add File: new.txt\n+one\n+\n\n*** Delete File: old\n\
                *** Update File: a\n*** Move to: b/a\n-x\n+y\n*** Update File: c\n*** Move to: d\n*** End Patch\n```\n";
    let files = planned(
        &[("old", "o"), ("a", "x\n"), ("c", "keep")],
        &parse_patch(text).unwrap(),
    )
    .unwrap();
    let shown: Vec<_> = files
        .iter()
        .map(|file| {
            let text = |bytes: &Option<Vec<u8>>| {
                bytes
                    .as_ref()
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            (file.path.as_str(), text(&file.before), text(&file.after))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("new.txt", None, some("one\n\n")),
            ("old", some("o"), None),
            ("b/a", None, some("y\n")),
            ("a", some("x\n"), None),
            ("d", None, some("keep")),
            ("c", some("keep"), None),
        ]
    );
}

#[test]
fn a_patch_that_is_not_whole_or_not_plain_is_refused() {
    let error = |text: &str| parse_patch(text).unwrap_err().to_string();
    let lines = |body: &str| format!("*** Begin Patch\n{body}\n*** End Patch");
    assert_snapshot!(error("-a\n+b\n"), @"the patch has no `*** Begin Patch` line; write `*** Begin Patch`, then `*** Update File: PATH`, `@@`, lines that begin with ` `, `-` or `+`, then `*** End Patch`");
    assert_snapshot!(error("*** Begin Patch\n*** Update File: a\n-x\n*** Begin Patch"), @"line 4 of the patch: a patch begins before the one above has its `*** End Patch`");
    assert_snapshot!(error(&lines("")), @"the patch names no file");
    assert_snapshot!(error(&lines("rename to /abs")), @"line 2 of the patch: `rename to /abs` begins no section; expected `*** Add File: PATH`, `*** Update File: PATH` or `*** Delete File: PATH`");
    assert_snapshot!(error(&lines("*** Update File: a\nGIT binary patch")), @"line 3 of the patch: `GIT binary patch` must begin with ` ` (stays), `-` (goes) or `+` (comes)");
    assert_snapshot!(error(&lines("*** Update File: a")), @"line 2 of the patch: the update of `a` has no lines");
    assert_snapshot!(error(&lines("*** Update File: a\n x")), @"line 3 of the patch: hunk 1 of `a` changes nothing: it has no `-` or `+` line");
    assert_snapshot!(error(&lines("*** Add File: a\nx")), @"line 3 of the patch: each line of the new `a` must begin with `+`");
    assert_snapshot!(error(&lines("*** Add File: ../x\n+x")), @"`../x` leads out of the repository; use a path relative to its top, without `..`, as `src/main.rs`");
}

#[test]
fn a_plan_is_all_or_nothing_and_touches_each_file_once() {
    let create = |name: &str| FileEdit::Create {
        path: path(name),
        content: "x".to_owned(),
        executable: None,
    };
    let error = |edits: &[FileEdit]| {
        planned(&[("there", "x"), ("a/b", "x")], edits)
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(error(&[create("new"), create("there")]), @"`there` is there already; edit it, or delete it first");
    assert_snapshot!(error(&[create("x"), create("X")]), @"`X` and `x` cannot be changed together; name each file once, in one spelling");
    assert_snapshot!(error(&[create("x/y/z"), create("x")]), @"`x/y/z` and `x` cannot be changed together; name each file once, in one spelling");
    assert_snapshot!(error(&[FileEdit::Move { from: path("a/b"), to: path("there") }]), @"`there` is there already; edit it, or delete it first");
    assert_snapshot!(error(&[FileEdit::Delete { path: path("absent") }]), @"there is no `absent`; look at the names that there are, or create it as a new file");
    assert_snapshot!(error(&[]), @"there is no edit in it");
}

#[test]
fn a_whole_file_must_be_whole() {
    let before: String = (1..=30).map(|number| format!("line {number}\n")).collect();
    let half: String = (1..=15).map(|number| format!("line {number}\n")).collect();
    let most: String = (1..=18).map(|number| format!("line {number}\n")).collect();
    assert_snapshot!(whole(&before, &half).unwrap_err(), @"the new `f` has 15 lines where the old one has 30; give the whole file, every line of it (to drop lines on purpose, edit them out, or delete the file first)");
    assert_eq!(whole(&before, &most), Ok(most.clone()));
    assert_eq!(whole("a\nb\n", "a\n"), ok("a\n"), "a small file may shrink");
    assert_snapshot!(whole(&before, &format!("{most}// ... rest of the code unchanged ...\n")).unwrap_err(), @"line 19 of the new text for `f` stands for something left out: `// ... rest of the code unchanged ...`; write out every line of it");
}

#[test]
fn lazy_lines_are_known_and_honest_ones_pass() {
    for lazy in [
        "rest unchanged",
        "// rest unchanged",
        "# ... existing code ...",
        "// ...existing code...",
        "... existing code ...",
        "<!-- rest of the file remains the same -->",
        "# Rest of your code here",
        "// The rest of the implementation",
        "    # other methods remain unchanged",
        "[rest of file unchanged]",
        "// … remaining tests …",
        "# (rest of the function is unchanged)",
        "// existing code...",
        "# everything else stays the same",
        "// unchanged code here",
        "-- previous content omitted",
    ] {
        assert!(whole("", lazy).unwrap_err().contains("left out"), "{lazy}");
        assert_eq!(
            whole(&format!("{lazy}\nx\n"), &format!("{lazy}\ny\n")),
            Ok(format!("{lazy}\ny\n"))
        );
    }
    for replaced in [
        replaced("a\nb\n", &[("a", "x\n// ... existing code ...")]),
        patched("a\nb\n", "-a\n+# ... rest of the file unchanged"),
    ] {
        assert!(replaced.unwrap_err().contains("left out"));
    }
    for honest in [
        "...rest,",
        "  ...existing,",
        "    ...",
        "const { a, ...rest } = b;",
        "// rest of the arguments",
        "let rest = 1;",
        "# the remaining time is shown",
        "// existing users keep their password",
        "# Other",
        "return rest",
        "// ...",
        "/// Returns the rest of the line.",
        "- existing code is never touched by this rule, whatever it says",
    ] {
        assert_eq!(whole("", honest), ok(honest));
    }
}

#[test]
fn blocks_are_read_from_running_text() {
    let text = "I will change two files.\n\n**src/a.rs**\n```rust\n<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>>> REPLACE\n```\n\
                and again:\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n\n`b/c.py`:\r\n<<<<<<< SEARCH\r\n\r\n=======\r\n>>>>>>> REPLACE\r\n";
    let block = |path: &str, search: &str, replace: &str| Block {
        path: Some(path.to_owned()),
        replacement: replacement(search, replace),
    };
    let blocks = parse_blocks(text).unwrap();
    assert_eq!(
        blocks,
        [
            block("src/a.rs", "old\n", "new\n"),
            block("src/a.rs", "", "x\n"),
            block("b/c.py", "\n", "")
        ]
    );
    let edits = into_edits(blocks, None).unwrap();
    assert_eq!(
        edits
            .iter()
            .map(|edit| edit.paths().next().unwrap().as_str())
            .collect::<Vec<_>>(),
        ["src/a.rs", "b/c.py"]
    );
    let heading =
        "Makefile\n======== SEARCH\n<<<<<<< SEARCH\nTitle\n=====\n=======\nTitle 2\n=====\n>>>>>>> REPLACE";
    assert_eq!(
        parse_blocks(heading).unwrap()[0].replacement,
        replacement("Title\n=====\n", "Title 2\n=====\n")
    );
}

#[test]
fn blocks_that_are_not_whole_or_not_plain_are_refused() {
    let error = |text: &str| {
        parse_blocks(text)
            .and_then(|blocks| into_edits(blocks, None))
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(error("hello"), @"there is no block in it; write `<<<<<<< SEARCH`, the lines that are there, `=======`, the new lines, `>>>>>>> REPLACE`");
    assert_snapshot!(error("a.rs\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n<<<<<<< SEARCH\nx\n=======\n"), @"line 7: the block has no `>>>>>>> REPLACE`; it may be cut, so nothing was changed");
    assert_snapshot!(error("<<<<<<< SEARCH\na\n>>>>>>> REPLACE"), @"line 1: the block has no `=======` line");
    assert_snapshot!(error("<<<<<<< SEARCH\na\n=======\nb\n=======\n>>>>>>> REPLACE"), @"line 1: the block has several `=======` lines, so it is not plain which one divides it; write the whole file instead");
    assert_snapshot!(error(">>>>>>> REPLACE"), @"line 1: `>>>>>>> REPLACE` without a `<<<<<<< SEARCH` before it");
    assert_snapshot!(error("<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE"), @"block 1 does not say its file; write the path on the line above `<<<<<<< SEARCH`");
    assert_snapshot!(error("../x.rs\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE"), @"`../x.rs` leads out of the repository; use a path relative to its top, without `..`, as `src/main.rs`");
}
