//! `factory apply`: a model's answer from standard input, put beneath a folder whole or not at all.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Place, code, files, lines, path, told};

const CALC: &str = "def add(a, b):\n    return a - b\n";
const ANSWER: &str = "I mend the sum.\n\ncalc.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n\n\
                      `src/new.txt`\n```\nhello\nworld\n```\n\n*** Begin Patch\n*** Delete File: old.txt\n*** End Patch\n";

/// Returns a place with a folder `work` of a few files.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let work = place.path("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("calc.py"), CALC).unwrap();
    std::fs::write(work.join("old.txt"), "old\n").unwrap();
    (place, work)
}

fn applied(place: &Place, more: &[&str], answer: &str) -> Output {
    let work = place.path("work");
    let arguments = [&["apply", "--dir", path(&work)][..], more].concat();
    place.fed(&arguments, answer.as_bytes().to_vec())
}

/// Applies the answer, which must be refused with the message and change nothing.
#[track_caller]
fn refuses(answer: &str, expected: &str) {
    let (place, work) = place();
    let before = files(&work);
    let output = applied(&place, &[], answer);
    place.check(&output, 1, expected);
    assert_eq!(files(&work), before);
}

#[test]
fn an_answer_in_several_formats_is_applied() {
    let (place, work) = place();
    let output = applied(&place, &[], ANSWER);
    place.check(
        &output,
        0,
        "changed calc.py (2 lines)\ncreated src/new.txt (2 lines)\ndeleted old.txt",
    );
    assert_eq!(
        std::fs::read_to_string(work.join("calc.py")).unwrap(),
        "def add(a, b):\n    return a + b\n"
    );
    assert_eq!(
        std::fs::read_to_string(work.join("src/new.txt")).unwrap(),
        "hello\nworld\n"
    );
    assert!(!work.join("old.txt").exists());
    assert!(!place.path("data").exists(), "no data folder is made");
}

#[test]
fn the_working_folder_is_meant_where_none_is_named() {
    let (place, work) = place();
    let mut child = place
        .command(&["apply"])
        .current_dir(&work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), ANSWER.as_bytes()).unwrap();
    assert_eq!(code(&child.wait_with_output().unwrap()), 0);
    assert!(work.join("src/new.txt").exists());
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let (place, work) = place();
    let before = files(&work);
    let output = applied(&place, &["--dry-run"], ANSWER);
    place.check(
        &output,
        0,
        "not yet changed calc.py (2 lines)\nnot yet created src/new.txt (2 lines)\nnot yet deleted old.txt",
    );
    assert_eq!(files(&work), before);
}

#[test]
fn with_json_it_is_one_document() {
    let (place, work) = place();
    let program = work.join("run");
    std::fs::write(&program, "echo 1\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let answer = "bin/run\n```\necho 2\n```\n\n*** Begin Patch\n*** Update File: run\n-echo 1\n+echo 2\n*** End Patch\n";
    let output = applied(&place, &["--json"], answer);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(
        lines(&output),
        [json!({
            "applied": true,
            "formats": ["patch", "whole"],
            "files": [
                {"path": "bin/run", "change": "created", "lines": 1, "executable": false},
                {"path": "run", "change": "changed", "lines": 1, "executable": true},
            ],
        })]
    );
    let mode = std::fs::metadata(&program).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let again = applied(&place, &["--json"], answer);
    assert_eq!(code(&again), 1);
    let error: Value = serde_json::from_slice(&again.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "failed");
}

#[test]
fn what_does_not_fit_changes_nothing() {
    refuses(
        "old.txt\n```\nnew\n```\n\ncalc.py\n<<<<<<< SEARCH\n    return a * b\n=======\nx\n>>>>>>> REPLACE\n",
        "error: nothing was changed: edit 1 of 1 does not fit `calc.py`: the file, as it is now, has no such lines (they begin \
         with `return a * b`); the nearest are lines 2-2, to be quoted exactly:\n    return a - b\n  way out: mend the answer, or \
         show the model the file as it is now and ask again",
    );
    refuses(
        "```python\nx = 1\n```\n",
        "error: nothing was changed: line 1: a block without a path; write the file's path on a line of its own right above it, as \
         `src/main.rs`\n  way out: mend the answer, or ask the model again; `factory apply --help` names the formats",
    );
}

#[test]
fn nothing_outside_the_folder_is_touched() {
    const OUTSIDE: &str = "  way out: name files beneath the folder, by paths that begin there";
    refuses(
        "../x.txt\n```\nx\n```\n",
        &format!(
            "error: nothing was changed: `../x.txt` leads out of the repository; use a path relative to its top, without `..`, as \
             `src/main.rs`\n{OUTSIDE}"
        ),
    );
    refuses(
        ".git/hooks/pre-commit\n```\nx\n```\n",
        &format!(
            "error: nothing was changed: `.git/hooks/pre-commit` has a component that names git's own folder, which is never \
             touched\n{OUTSIDE}"
        ),
    );
    let (place, work) = place();
    std::fs::write(place.path("secret"), "mine\n").unwrap();
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("secret"), work.join("link")).unwrap();
    symlink(place.path("elsewhere"), work.join("folder")).unwrap();
    for name in ["link", "folder/x.txt"] {
        let output = applied(&place, &[], &format!("File: {name}\n```\nx\n```\n"));
        assert_eq!(code(&output), 1, "{}", told(&output));
        assert!(told(&output).contains("nothing was changed"), "{}", told(&output));
    }
    assert_eq!(std::fs::read_to_string(place.path("secret")).unwrap(), "mine\n");
    assert!(files(&place.path("elsewhere")).is_empty());
}

/// A limit on the length of files makes the second write fail, as a full disk does, when the first is done.
#[test]
fn where_a_write_fails_in_the_middle_all_is_as_it_was() {
    let (place, work) = place();
    let before = files(&work);
    let answer = format!(
        "calc.py\n```\nx = 1\n```\n\ndeep/new.txt\n```\nsmall\n```\n\nold.txt\n```\n{}```\n",
        "a line of the long file\n".repeat(1000)
    );
    let command = place.command(&["apply", "--dir", path(&work)]);
    let mut shell = std::process::Command::new("sh");
    // In blocks of 512 or of 1024 bytes, by the shell.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env("FACTORY_DATA_DIR", place.path("data"));
    let input = place.path("answer.md");
    std::fs::write(&input, answer).unwrap();
    let output = shell
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", told(&output));
    assert!(told(&output).contains("`old.txt`"), "{}", told(&output));
    assert!(told(&output).contains("nothing was changed"), "{}", told(&output));
    assert_eq!(files(&work), before);
    assert!(!work.join("deep").exists());
    // Its harmless twin, without the limit.
    let output = place
        .command(&["apply", "--dir", path(&work)])
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", told(&output));
}

#[test]
fn what_is_no_answer_is_usage() {
    let (place, work) = place();
    for (answer, expected) in [
        (
            &b" \n"[..],
            "error: the answer is empty\n  way out: write the model's answer to standard input, as `factory apply < answer.md`",
        ),
        (
            b"\xff\xfe",
            "error: the answer is no text: it is not UTF-8\n  way out: write it as UTF-8",
        ),
    ] {
        let output = place.fed(&["apply", "--dir", path(&work)], answer.to_vec());
        place.check(&output, 2, expected);
    }
    let output = place.fed(&["apply"], vec![b'x'; (4 << 20) + 1]);
    assert_eq!(code(&output), 2, "{}", told(&output));
    let output = place.fed(&["apply", "--dir", path(&work.join("calc.py"))], ANSWER.into());
    place.check(
        &output,
        2,
        "error: `[place]/work/calc.py` is no folder\n  way out: name the folder that the answer's paths begin at",
    );
}
