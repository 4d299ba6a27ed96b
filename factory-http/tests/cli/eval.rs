//! `factory eval` by the real program: what it shows, and what Ctrl-C and `kill -9` leave.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, code, path, signal, told};

/// Lays a task whose check and verification want a file.
fn task(place: &Place, name: &str, verify: &str) {
    let folder = place.path("tasks").join(name);
    std::fs::create_dir_all(folder.join("repository")).unwrap();
    let text = format!(
        "goal = \"Write done.txt\"\nlanguage = \"text\"\nchecks = [\"test $(ls | wc -l) -gt 1\"]\nverify = [{verify:?}]\n"
    );
    std::fs::write(folder.join("task.toml"), text).unwrap();
    std::fs::write(folder.join("repository/README.md"), "# Sample\n").unwrap();
}

/// Runs an evaluation with `--json` and returns its lines.
fn lines(place: &Place, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = place.factory(arguments);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (code(&output), lines.collect())
}

fn wait_for_line(file: &Path) {
    let begun = Instant::now();
    while std::fs::read_to_string(file).unwrap_or_default().lines().count() == 0 {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "{} stays empty",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn rows(lines: &[Value]) -> Vec<String> {
    let rows = lines.iter().filter(|line| line["task"].is_string());
    rows.map(|line| {
        format!(
            "{} {}",
            line["task"].as_str().unwrap(),
            line["outcome"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn an_evaluation_shows_what_was_solved_and_is_not_done_twice() {
    let place = Place::new();
    task(&place, "a", "test -s done.txt");
    task(&place, "b", "test -e other.txt");
    let model = place.model("writer", "true");
    let (tasks, results) = (place.path("tasks"), place.path("results.jsonl"));
    let evaluate = [
        "eval",
        path(&tasks),
        "--model",
        &model,
        "--results",
        path(&results),
    ];
    let output = place.factory(&evaluate);
    let said = told(&output);
    assert_eq!(code(&output), 0, "{said}");
    for part in [
        "2 tasks against scripted:",
        "✓ a: solved, 4 calls, ",
        "✗ b: wrong, 4 calls, ",
        "TASK  LANGUAGE  OUTCOME  CALLS",
        "solved 1 of 2 (wrong 1); 8 calls, ",
        "`test -e other.txt`: exit code 1",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let (exit, lines) = lines(&place, &[&evaluate[..], &["--json"]].concat());
    assert_eq!(
        (exit, rows(&lines)),
        (0, vec!["a solved".to_owned(), "b wrong".to_owned()])
    );
    assert_eq!(lines[2]["totals"]["outcomes"], json!({"solved": 1, "wrong": 1}));
    assert_eq!(std::fs::read_to_string(&results).unwrap().lines().count(), 2);
    let compared = place.factory(&["eval", "--compare", path(&results), path(&results)]);
    let said = told(&compared);
    assert_eq!(code(&compared), 0, "{said}");
    assert!(said.contains("solved  1 of 2  1 of 2"), "{said}");
    assert!(
        !place.path("data").exists(),
        "the operator's data folder is not touched"
    );
}

#[test]
fn a_killed_evaluation_goes_on_where_it_was() {
    let place = Place::new();
    for name in ["a", "b"] {
        task(&place, name, "test -s done.txt");
    }
    // The agent's command takes long enough to be met at work.
    let model = place.model("writer", "sleep 1");
    let (tasks, results) = (place.path("tasks"), place.path("results.jsonl"));
    let evaluate = [
        "eval",
        path(&tasks),
        "--model",
        &model,
        "--results",
        path(&results),
        "--json",
    ];
    let mut child = place.begin(&evaluate);
    wait_for_line(&results);
    // The first has its result; the second is somewhere in its middle.
    std::thread::sleep(Duration::from_millis(400));
    child.kill().unwrap();
    child.wait().unwrap();
    let (exit, lines) = lines(&place, &evaluate);
    assert_eq!(
        (exit, rows(&lines)),
        (0, vec!["a solved".to_owned(), "b solved".to_owned()])
    );
    assert_eq!(std::fs::read_to_string(&results).unwrap().lines().count(), 2);
    assert_eq!(lines[1]["calls"], 4, "no reply is asked for twice");
}

#[test]
fn ctrl_c_shows_what_was_done_and_can_be_gone_on_from() {
    let place = Place::new();
    for name in ["a", "b"] {
        task(&place, name, "test -s done.txt");
    }
    let model = place.model("writer", "sleep 1");
    let (tasks, results) = (place.path("tasks"), place.path("results.jsonl"));
    let evaluate = [
        "eval",
        path(&tasks),
        "--model",
        &model,
        "--results",
        path(&results),
    ];
    let child = place.begin(&evaluate);
    wait_for_line(&results);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let said = told(&output);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("solved 1 of 1; "), "{said}");
    let output = place.factory(&evaluate);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(
        told(&output).contains("solved 2 of 2; 8 calls, "),
        "{}",
        told(&output)
    );
}

#[test]
fn what_cannot_be_evaluated_is_told() {
    let place = Place::new();
    task(&place, "a", "true");
    let tasks = place.path("tasks");
    let model = place.model("writer", "true");
    let (notes, results, missing) = (place.path("notes"), place.path("r"), place.path("missing"));
    std::fs::write(&notes, "my notes\n").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (
            &["eval", "/no/such/folder"],
            "cannot read the folder `/no/such/folder`",
        ),
        (
            &["eval", path(&tasks), "--tasks", "z*"],
            "has no task that is named like z*",
        ),
        (
            &["eval", path(&tasks), "--results", path(&notes)],
            "cannot be used: line 1: ",
        ),
        (&["eval", path(&tasks), "--results", path(&tasks)], "is a folder"),
        (
            &[
                "eval",
                path(&tasks),
                "--model",
                "nonsense",
                "--results",
                path(&results),
            ],
            "nonsense",
        ),
        (&["eval", "--compare", path(&missing)], "missing"),
    ];
    for (arguments, expected) in cases {
        let output = place.factory(arguments);
        let said = told(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    std::fs::write(tasks.join("a/task.toml"), "goal = \"x\"\nchek = []\n").unwrap();
    let output = place.factory(&["eval", path(&tasks), "--model", &model]);
    assert_eq!(code(&output), 2);
    assert!(
        told(&output).contains("unknown field `chek`"),
        "{}",
        told(&output)
    );
}
