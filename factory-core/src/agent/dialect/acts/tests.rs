//! Answers in the text protocol, as small models write them.

use super::*;

fn check(answer: &str, expect: &[(Tool, Value)]) {
    let expect: Vec<Act> = expect
        .iter()
        .map(|(tool, arguments)| Act {
            tool: *tool,
            arguments: arguments.clone(),
        })
        .collect();
    assert_eq!(acts(answer, EndReason::Stop), Ok(expect), "{answer}");
}

fn file(path: &str, content: &str) -> (Tool, Value) {
    (Tool::ChangeFile, json!({"path": path, "content": content}))
}

#[test]
fn a_file_is_its_block() {
    for answer in [
        "FILE: a.py\n```\nx = 1\n```",
        "FILE: a.py\n\n```python\nx = 1\n```\n",
        "Here it is:\n\n**FILE: a.py**\n~~~\nx = 1\n~~~\nThat is all.",
        "### FILE: `a.py`\n```\nx = 1\n```",
        "WRITE: a.py\n```\nx = 1",
        "FILE: a.py\nx = 1",
        "EDIT: a.py\n```\nx = 1\n```",
    ] {
        check(answer, &[file("a.py", "x = 1\n")]);
    }
    check("FILE: empty.txt\n```\n```", &[file("empty.txt", "")]);
}

#[test]
fn blocks_within_a_block_are_its_content() {
    check(
        "FILE: a.md\n```\n# A\n```sh\nmake\n```\nend\n```\n",
        &[file("a.md", "# A\n```sh\nmake\n```\nend\n")],
    );
    check(
        "FILE: a.md\n````\n```\nx\n```\n````",
        &[file("a.md", "```\nx\n```\n")],
    );
    check("FILE: a.txt\n```\nFILE: b\n```", &[file("a.txt", "FILE: b\n")]);
}

#[test]
fn several_changes_may_follow_one_another_and_nothing_else() {
    check(
        "FILE: a\n```\n1\n```\nFILE: b\n```\n2\n```\nDONE: both",
        &[
            file("a", "1\n"),
            file("b", "2\n"),
            (Tool::FinishStep, json!({"summary": "both"})),
        ],
    );
    check("READ: a\nREAD: b\n", &[(Tool::ReadFile, json!({"path": "a"}))]);
    check(
        "DELETE: a\nREAD: b\nDONE: x",
        &[(Tool::DeleteFile, json!({"path": "a"}))],
    );
    check(
        "FILE: a\n```\n1\n```\n\na is changed. The check passes.\n\nThe goal:\nMore\n\nFILE: b\n```\n2\n```",
        &[file("a", "1\n")],
    );
}

#[test]
fn each_word_is_its_tool() {
    check("LIST:", &[(Tool::ListFiles, json!({"path": "."}))]);
    check("SEARCH: f(x", &[(Tool::Search, json!({"pattern": "f\\(x"}))]);
    check(
        "RUN: make test",
        &[(Tool::RunCommand, json!({"command": "make test"}))],
    );
    check(
        "RUN:\n```sh\nmake\nmake test\n```",
        &[(Tool::RunCommand, json!({"command": "make\nmake test"}))],
    );
    check(
        "MOVE: a.py -> b.py",
        &[(Tool::MoveFile, json!({"from": "a.py", "to": "b.py"}))],
    );
    check(
        "ASK: which one?",
        &[(Tool::AskOperator, json!({"question": "which one?"}))],
    );
    check("DONE", &[]);
    check("DONE:", &[(Tool::FinishStep, json!({"summary": "done"}))]);
}

#[test]
fn quoted_lines_are_an_edit() {
    check(
        "EDIT: a.ini\n<<<<<<< SEARCH\nport = 80\n=======\nport = 8080\n>>>>>>> REPLACE",
        &[(
            Tool::EditFile,
            json!({"path": "a.ini", "edits": [{"search": "port = 80\n", "replace": "port = 8080\n"}]}),
        )],
    );
}

#[test]
fn prose_is_no_act() {
    for answer in [
        "",
        "The file: it is fine.",
        "file: a.py",
        "To do so, READ the file.",
        "```\ncode\n```",
    ] {
        check(answer, &[]);
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (answer, end, why) in [
        ("FILE:", EndReason::Stop, "the act names no file"),
        (
            "FILE: a.py",
            EndReason::Stop,
            "nothing stands below `FILE: a.py`; its content goes there, in a block",
        ),
        (
            "FILE: a.py\n```\nx",
            EndReason::Length,
            "the answer was cut before its block was closed; answer shorter",
        ),
        ("RUN:", EndReason::Stop, "RUN names no command"),
        (
            "MOVE: a",
            EndReason::Stop,
            "MOVE needs both paths, as `MOVE: old -> new`",
        ),
    ] {
        assert_eq!(acts(answer, end), Err(why.to_owned()), "{answer}");
    }
}

#[test]
fn an_answer_is_over_once_something_else_follows_its_act() {
    for (answer, expected) in [
        ("FILE: a\n```\nx\n", false),
        ("FILE: a\n```\nx\n```", false),
        ("FILE: a\n```\nx\n```\n", false),
        ("FILE: a\n```\nx\n```\n\nFILE: b\n", false),
        ("FILE: a\n```\nx\n```\n\nb:", false),
        ("FILE: a\n```\nx\n```\n\nb:\n", true),
        ("FILE: a\n```\n```sh\nx\n```\nmore\n", false),
        ("EDIT: a\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n", false),
        (
            "EDIT: a\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\nThe check passes.\n",
            true,
        ),
        ("READ: a\n", false),
        ("READ: a\na:\n", true),
        ("I think\nso\n", false),
    ] {
        assert_eq!(is_over(answer), expected, "{answer}");
    }
}

proptest::proptest! {
    #[test]
    fn any_answer_is_read_without_panic(answer in r"(FILE: a|EDIT: b|DONE:|RUN:|```|~~~|`|<<<<<<< SEARCH|=======|>>>>>>> REPLACE|\n|x|é| )*") {
        let _ = acts(&answer, EndReason::Stop);
        let _ = acts(&answer, EndReason::Length);
        is_over(&answer);
    }
}
