//! What each tool makes of a model's call.

use std::fmt::Write as _;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::json;

use super::*;
use crate::llm::ToolCall;
use crate::model::BlobId;
use crate::model::payload::PlannedWrite;
use crate::workspace::{Executable, Files, RepoPath};

fn checkout(contents: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    for (name, text) in contents {
        files.write(&path(name), text.as_bytes(), Executable::No).unwrap();
    }
    (dir, files)
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: "1".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

fn prepared(files: &Files, name: &str, arguments: &serde_json::Value) -> Prepared {
    prepare(files, &|_| 0, &call(name, &arguments.to_string()))
}

fn refused(files: &Files, name: &str, arguments: &str) -> Refusal {
    match prepare(files, &|_| 0, &call(name, arguments)) {
        Prepared::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Carries a call of a reading or writing tool out and returns what the model is told.
fn told(files: &Files, name: &str, arguments: &serde_json::Value) -> String {
    match prepared(files, name, arguments) {
        Prepared::Read(request) => read(files, &request).text,
        Prepared::Write(request) => {
            write(files, &request.files).unwrap();
            request.result
        }
        Prepared::Refused(refusal) => format!("refused: {}", refusal.text),
        other => panic!("neither read nor write: {other:?}"),
    }
}

#[test]
fn the_specs_are_as_documented_and_stable() {
    assert_eq!(
        serde_json::to_vec(&specs()).unwrap(),
        serde_json::to_vec(&specs()).unwrap()
    );
    assert_json_snapshot!(specs());
}

#[test]
fn each_tool_is_found_by_its_name() {
    for tool in Tool::ALL {
        assert_eq!(Tool::named(tool.name()), Some(tool));
    }
    assert_eq!(Tool::named("shell"), None);
}

#[test]
fn files_are_written_edited_moved_and_deleted() {
    let (_dir, files) = checkout(&[("src/a.rs", "fn a() {}\nfn b() {}\n")]);
    assert_eq!(
        told(
            &files,
            "write_file",
            &json!({"path": "run.sh", "content": "#!/bin/sh\n", "executable": true})
        ),
        "created run.sh (1 line)"
    );
    assert!(files.read(&path("run.sh"), 10).unwrap().executable);
    let edit = json!({"path": "./src/a.rs", "edits": [{"search": "fn b() {}", "replace": "fn b() {\n}"}]});
    assert_eq!(told(&files, "edit_file", &edit), "changed src/a.rs (now 3 lines)");
    assert_eq!(
        told(
            &files,
            "move_file",
            &json!({"from": "/factory/checkout/src/a.rs", "to": "b.rs"})
        ),
        "created b.rs (3 lines)\ndeleted src/a.rs"
    );
    let patch =
        "*** Begin Patch\n*** Update File: b.rs\n-fn a() {}\n+fn c() {}\n*** Add File: n\n+x\n*** End Patch";
    assert_eq!(
        told(&files, "apply_patch", &json!({"patch": patch})),
        "changed b.rs (now 3 lines)\ncreated n (1 line)"
    );
    assert_eq!(
        files.read(&path("b.rs"), 100).unwrap().bytes,
        b"fn c() {}\nfn b() {\n}\n"
    );
    assert_eq!(
        told(&files, "delete_file", &json!({"path": "b.rs"})),
        "deleted b.rs"
    );
    assert_eq!(
        told(&files, "delete_file", &json!({"path": "b.rs"})),
        "refused: nothing was changed: there is no `b.rs`; look at the names that there are, or create it as a new file"
    );
    assert_eq!(
        told(&files, "list_files", &json!({})),
        "the repository has 2 files:\nn\nrun.sh\n"
    );
}

#[test]
fn bad_calls_are_told_of_and_nothing_is_done() {
    let (_dir, files) = checkout(&[]);
    let text = |name: &str, arguments: &str| refused(&files, name, arguments).text;
    assert_snapshot!(text("shell", "{}"), @"there is no tool `shell`; the tools are list_files, read_file, search, write_file, edit_file, apply_patch, delete_file, move_file, run_command, git_diff, git_log, update_plan, finish_step, ask_operator");
    assert_snapshot!(text("read_file", r#"{"path": "#), @r#"the arguments of read_file are not right: EOF while parsing a value at line 1 column 8; expected {"limit"?: integer, "offset"?: integer, "path": string}"#);
    assert_snapshot!(text("read_file", ""), @r#"the arguments of read_file are not right: missing field `path` at line 1 column 2; expected {"limit"?: integer, "offset"?: integer, "path": string}"#);
    assert_snapshot!(text("read_file", r#"{"path":"a","path":"b"}"#), @r#"the arguments of read_file are not right: duplicate field `path` at line 1 column 18; expected {"limit"?: integer, "offset"?: integer, "path": string}"#);
    assert_snapshot!(text("read_file", r#"{"path":"a","mode":1}"#), @r#"the arguments of read_file are not right: unknown field `mode`, expected one of `path`, `offset`, `limit` at line 1 column 18; expected {"limit"?: integer, "offset"?: integer, "path": string}"#);
    assert_snapshot!(text("read_file", r#"{"path":"a","limit":-1}"#), @r#"the arguments of read_file are not right: expected a whole number at line 1 column 23; expected {"limit"?: integer, "offset"?: integer, "path": string}"#);
    assert_snapshot!(text("edit_file", r#"{"path":"a","edits":"x"}"#), @r#"the arguments of edit_file are not right: invalid type: string "x", expected a sequence at line 1 column 23; expected {"edits": [{"replace": string, "search": string}], "path": string}"#);
    assert_snapshot!(text("update_plan", r#"{"steps":[]}"#), @"a plan has 1 to 50 steps, these are 0; use finish_step when all is done");
    assert_snapshot!(text("update_plan", r#"{"steps":[" "]}"#), @"the step is empty; say something in it");
    assert_snapshot!(text("run_command", r#"{"command":" "}"#), @"the command is empty; say what to run");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        text("read_file", &deep).contains("recursion limit")
            || text("read_file", &deep).contains("invalid type")
    );
    assert!(text("git_diff", &format!(r#"{{"paths":{deep}}}"#)).len() < 1000);
    assert!(text("write_file", &"x".repeat(5 << 20)).contains("at most 4194304 are read"));
}

#[test]
fn a_refusal_for_safety_has_its_code() {
    let (_dir, files) = checkout(&[("A", "")]);
    let refusal = refused(&files, "write_file", r#"{"path":"../x","content":""}"#);
    let text =
        "`../x` leads out of the repository; use a path relative to its top, without `..`, as `src/main.rs`";
    let expected = Refusal {
        text: text.to_owned(),
        summary: format!("write_file: {text}"),
        denied: Some("path_escape"),
        failed_edit: None,
        unchanged: None,
    };
    assert_eq!(refusal, expected);
    for (name, arguments, denied) in [
        ("read_file", r#"{"path":".git/config"}"#, Some("git_directory")),
        ("list_files", r#"{"path":"/etc"}"#, Some("path_escape")),
        (
            "git_diff",
            r#"{"paths":["a","/factory/checkout-evil/x"]}"#,
            Some("path_escape"),
        ),
        (
            "apply_patch",
            r#"{"patch":"*** Begin Patch\n*** Add File: ../x\n+x\n*** End Patch"}"#,
            Some("path_escape"),
        ),
        (
            "write_file",
            r#"{"path":"a","content":""}"#,
            Some("path_collision"),
        ),
        ("write_file", r#"{"path":"","content":""}"#, None),
        ("delete_file", r#"{"path":"absent"}"#, None),
    ] {
        assert_eq!(
            refused(&files, name, arguments).denied,
            denied,
            "{name} {arguments}"
        );
    }
}

#[test]
fn arguments_wrapped_once_too_often_are_taken() {
    let (_dir, files) = checkout(&[]);
    let wrapped = serde_json::to_string(r#"{"count": "3"}"#).unwrap();
    assert_eq!(
        prepare(&files, &|_| 0, &call("git_log", &wrapped)),
        Prepared::GitLog { count: 3 }
    );
    assert_eq!(
        prepare(&files, &|_| 0, &call("git_log", "")),
        Prepared::GitLog { count: 10 }
    );
    assert_eq!(
        prepare(&files, &|_| 0, &call("git_log", r#"{"count":null}"#)),
        Prepared::GitLog { count: 10 }
    );
}

#[test]
fn what_is_not_ours_to_do_is_handed_on() {
    let (_dir, files) = checkout(&[]);
    let command = Prepared::Command {
        script: "make".to_owned(),
        timeout: Some(Duration::from_secs(5)),
    };
    assert_eq!(
        prepared(
            &files,
            "run_command",
            &json!({"command": "make", "timeout_seconds": 5})
        ),
        command
    );
    assert_eq!(command.effect(), EffectClass::Command);
    for (name, arguments, expected) in [
        (
            "git_diff",
            json!({"paths": ["src/", "a"]}),
            Prepared::GitDiff {
                paths: vec!["src".to_owned(), "a".to_owned()],
            },
        ),
        (
            "git_diff",
            json!({"paths": ["src", "."]}),
            Prepared::GitDiff { paths: vec![] },
        ),
        ("git_diff", json!({}), Prepared::GitDiff { paths: vec![] }),
        (
            "update_plan",
            json!({"steps": [" one\n  two "]}),
            Prepared::UpdatePlan {
                steps: vec!["one two".to_owned()],
            },
        ),
        (
            "finish_step",
            json!({"summary": "done\n"}),
            Prepared::FinishStep {
                summary: "done".to_owned(),
            },
        ),
        (
            "ask_operator",
            json!({"question": "why?"}),
            Prepared::AskOperator {
                question: "why?".to_owned(),
            },
        ),
    ] {
        let prepared = prepared(&files, name, &arguments);
        assert_eq!(prepared, expected);
        assert_eq!(prepared.effect(), EffectClass::Read);
    }
}

#[test]
fn a_failed_edit_is_named_and_the_third_asks_for_the_whole_file() {
    let (_dir, files) = checkout(&[("a", "x\n")]);
    let edit = r#"{"path":"a","edits":[{"search":"y","replace":"z"}]}"#;
    let refusal = refused(&files, "edit_file", edit);
    assert_eq!(refusal.failed_edit.as_deref(), Some("a"));
    assert!(
        refusal
            .text
            .starts_with("nothing was changed: edit 1 of 1 does not fit `a`")
    );
    let patch = r#"{"patch":"*** Begin Patch\n*** Update File: a\n-x\n+y\n*** End Patch"}"#;
    for (name, arguments) in [("edit_file", edit), ("apply_patch", patch)] {
        let third = prepare(
            &files,
            &|path| if path == "a" { 2 } else { 0 },
            &call(name, arguments),
        );
        let Prepared::Refused(refusal) = third else {
            panic!("not refused")
        };
        assert_eq!(
            refusal.text,
            "2 edits of `a` did not fit; read it and give the whole file with write_file instead"
        );
    }
}

#[test]
fn a_file_that_is_too_long_to_be_given_whole_may_be_edited_on() {
    let long = "x\n".repeat(20_000);
    let (_dir, files) = checkout(&[("long", &long), ("new", "")]);
    files.delete(&path("new")).unwrap();
    let patch =
        r#"{"patch":"*** Begin Patch\n*** Update File: long\n@@\n+y\n*** End of File\n*** End Patch"}"#;
    let filled = r#"{"path":"new","edits":[{"search":"","replace":"z"}]}"#;
    for (name, arguments) in [("apply_patch", patch), ("edit_file", filled)] {
        let prepared = prepare(&files, &|_| 9, &call(name, arguments));
        assert!(matches!(prepared, Prepared::Write(_)), "{prepared:?}");
    }
}

#[test]
fn a_diff_is_taken_for_a_patch() {
    let (_dir, files) = checkout(&[("a", "x\n")]);
    let diff = r#"{"patch":"--- a/a\n+++ b/a\n@@ -7 +7 @@\n-x\n+y\n"}"#;
    let prepared = prepare(&files, &|_| 0, &call("apply_patch", diff));
    let Prepared::Write(write) = prepared else {
        panic!("{prepared:?}")
    };
    assert_eq!(write.files[0].after.as_deref(), Some(&b"y\n"[..]));
}

#[test]
fn a_file_is_read_in_parts() {
    let text = "line 1\nline 2\nline 3\nline 4\nline 5\n";
    let (_dir, files) = checkout(&[("a", text), ("b", "x"), ("empty", ""), ("binary", "a\0b")]);
    let long: String = (1..=5000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "this is line number {number}");
        text
    });
    files
        .write(&path("long"), long.as_bytes(), Executable::No)
        .unwrap();
    assert_snapshot!(told(&files, "read_file", &json!({"path": "a", "offset": 2, "limit": "2"})), @r"
    `a`, lines 2-3 of 5:
    line 2
    line 3
    [to read on: offset 4]
    ");
    assert_snapshot!(told(&files, "read_file", &json!({"path": "b"})), @r"
    `b`, lines 1-1 of 1:
    x
    [the last line has no line end]
    ");
    assert_snapshot!(told(&files, "read_file", &json!({"path": "empty"})), @"`empty` is empty");
    assert_snapshot!(told(&files, "read_file", &json!({"path": "a", "offset": 6})), @"`a` has 5 lines; there is no line 6");
    assert_snapshot!(told(&files, "read_file", &json!({"path": "binary"})), @"`binary` is no text: 3 bytes with zero bytes among them");
    assert_snapshot!(told(&files, "read_file", &json!({"path": "absent"})), @"there is no `absent`");
    let part = told(&files, "read_file", &json!({"path": "long"}));
    assert!(part.len() <= MAX_RESULT && part.len() > MAX_RESULT / 2);
    let next = part
        .lines()
        .last()
        .unwrap()
        .strip_prefix("[to read on: offset ")
        .unwrap()
        .trim_end_matches(']');
    assert!(part.contains(&format!(
        "\nthis is line number {}\n",
        next.parse::<u32>().unwrap() - 1
    )));
}

#[test]
fn a_search_shows_where_and_what() {
    let (_dir, files) = checkout(&[
        (".gitignore", "target\n"),
        ("src/a.rs", "fn alpha() {}\nfn beta() {}\n"),
        ("src/b.py", "def alpha(): pass\n"),
        ("target/x.rs", "fn alpha() {}\n"),
        ("binary", "alpha\0"),
    ]);
    assert_snapshot!(told(&files, "search", &json!({"pattern": "alpha"})), @r"
    2 matches in 2 files:
    src/a.rs:1: fn alpha() {}
    src/b.py:1: def alpha(): pass
    ");
    assert_snapshot!(told(&files, "search", &json!({"pattern": "^FN", "glob": "*.rs", "ignore_case": true, "path": "src/"})), @r"
    2 matches in 1 file in `src`:
    src/a.rs:1: fn alpha() {}
    src/a.rs:2: fn beta() {}
    ");
    assert_snapshot!(told(&files, "search", &json!({"pattern": "beta()(", "path": "src/a.rs"})), @r"
    the pattern is no regular expression, so it was searched for as it is
    no match in `src/a.rs`
    ");
    assert_snapshot!(told(&files, "search", &json!({"pattern": "a", "path": "absent"})), @"there is no `absent`");
    let many = "alpha\n".repeat(1000);
    files
        .write(&path("many"), many.as_bytes(), Executable::No)
        .unwrap();
    let text = told(&files, "search", &json!({"pattern": "alpha", "glob": "many"}));
    assert!(text.starts_with("1000 matches in 1 file:\n"));
    assert!(text.ends_with("[800 more; narrow the pattern, or name a folder or a glob]\n"));
}

#[test]
fn a_large_listing_shows_deep_folders_as_one_line() {
    let (dir, files) = checkout(&[("README.md", "")]);
    for folder in 0..3 {
        std::fs::create_dir_all(dir.path().join(format!("src/d{folder}"))).unwrap();
        for number in 0..200 {
            std::fs::write(dir.path().join(format!("src/d{folder}/f{number}")), "").unwrap();
        }
    }
    assert_snapshot!(told(&files, "list_files", &json!({"path": "."})), @r"
    the repository has 601 files; folders with many files are shown as one line, list them by name:
    README.md
    src/d0/ (200 files)
    src/d1/ (200 files)
    src/d2/ (200 files)
    ");
}

#[test]
fn long_texts_keep_head_and_tail() {
    let text: String = (0..1000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{number}");
        text
    });
    assert_eq!(bounded(&text, 4000), text);
    assert_snapshot!(bounded(&text, 24), @r"
    0
    1
    2
    3
    4
    5
    [3870 bytes, 992 lines left out here]
    998
    999
    ");
    let wide = "é".repeat(100);
    assert_eq!(bounded(&wide, 9), "éé\n[192 bytes, 0 lines left out here]\néé");
}

#[test]
fn an_interrupted_write_is_completed_or_left_alone() {
    let contents: &[&[u8]] = &[b"old", b"new", b"moved", b"other"];
    let content = |id: &BlobId| {
        contents
            .iter()
            .find(|text| BlobId::of(text) == *id)
            .map(|text| text.to_vec())
    };
    let (dir, files) = checkout(&[("a", "old"), ("gone", "moved")]);
    let planned = |name: &str, before: Option<&[u8]>, after: Option<&[u8]>| {
        PlannedWrite::from(&crate::workspace::edit::PlannedFile {
            path: path(name),
            before: before.map(<[u8]>::to_vec),
            after: after.map(<[u8]>::to_vec),
            executable: true,
        })
    };
    let writes = [
        planned("a", Some(b"old"), Some(b"new")),
        planned("sub/moved", None, Some(b"moved")),
        planned("gone", Some(b"moved"), None),
    ];
    let disturbed = [writes[0].clone(), planned("gone", Some(b"other"), None)];
    assert_eq!(
        settle(&files, &disturbed, &content).unwrap(),
        Settled::Disturbed("gone".to_owned())
    );
    let lost = [writes[0].clone(), planned("n", None, Some(b"not stored"))];
    assert_eq!(
        settle(&files, &lost, &content).unwrap(),
        Settled::Disturbed("n".to_owned())
    );
    assert_eq!(
        std::fs::read(dir.path().join("a")).unwrap(),
        b"old",
        "nothing was changed"
    );
    std::fs::write(dir.path().join(".ai-dev-factory-tmp-1-1"), "half").unwrap();
    // Done once by half, then settled twice: the effect is the same.
    files.write(&path("a"), b"new", Executable::No).unwrap();
    for _ in 0..2 {
        assert_eq!(settle(&files, &writes, &content).unwrap(), Settled::Done);
        let listing = files
            .list(None, 10)
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.shown);
        assert_eq!(listing.collect::<Vec<_>>(), ["a", "sub/moved"]);
        let a = files.read(&path("a"), 10).unwrap();
        assert_eq!((&a.bytes[..], a.executable), (&b"new"[..], true));
    }
    std::fs::create_dir(dir.path().join("gone")).unwrap();
    assert_eq!(
        settle(&files, &writes, &content).unwrap(),
        Settled::Disturbed("gone".to_owned())
    );
}
