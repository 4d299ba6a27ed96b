//! New runs made of old ones by the real program: retry, fork, continue.

use serde_json::{Value, json};

use crate::support::{Place, code, lines, told};

/// Returns the arguments of `run` with this model and the rest.
fn run<'a>(model: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["run", "sample", "do it", "--model", model];
    arguments.extend(rest);
    arguments
}

/// A plan of two steps, of which the first leaves `done.txt`.
fn two_steps(place: &Place) -> String {
    let calls: [(&str, Value); 5] = [
        ("update_plan", json!({"steps": ["one", "two"]})),
        ("write_file", json!({"path": "done.txt", "content": "one\n"})),
        ("finish_step", json!({"summary": "one"})),
        ("write_file", json!({"path": "two.txt", "content": "two\n"})),
        ("finish_step", json!({"summary": "two"})),
    ];
    place.script("two", &calls)
}

fn seq_of(place: &Place, run: &str, kind: &str) -> String {
    let output = place.factory(&["events", run, "--json"]);
    let events = lines(&output);
    let event = events.iter().find(|event| event["type"] == kind).unwrap();
    event["seq"].to_string()
}

#[test]
fn a_stopped_run_is_retried_and_a_finished_one_continued() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let waits = place.factory(&run(&model, &[]));
    assert_eq!(code(&waits), 3, "{}", told(&waits));
    let early = place.factory(&["retry", "1"]);
    assert_eq!(code(&early), 1);
    assert!(
        told(&early).contains("cannot be retried; stop it first, or fork it")
            && told(&early).contains("it allows now: stop, direct, approve"),
        "{}",
        told(&early)
    );
    assert_eq!(code(&place.factory(&["stop", "1"])), 0);
    let retried = place.json(&["retry", "1", "--detach"]);
    assert_eq!(
        (&retried["id"], &retried["status"], &retried["spec"]["origin"]),
        (&json!(2), &json!("QUEUED"), &json!({"how": "retry", "run": 1}))
    );
    assert_eq!(code(&place.factory(&["stop", "2"])), 0);

    let done = place.factory(&run(&model, &["--yes"]));
    assert_eq!(code(&done), 0, "{}", told(&done));
    let calls = [
        ("update_plan", json!({"steps": ["more"]})),
        ("write_file", json!({"path": "more.txt", "content": "more\n"})),
        ("finish_step", json!({"summary": "more"})),
    ];
    let more = place.script("more", &calls);
    let continued = place.factory(&run(&more, &["--yes", "--continue", "3"]));
    assert_eq!(code(&continued), 0, "{}", told(&continued));
    assert_eq!(
        place.git(&["rev-parse", "factory/run-4^"]),
        place.git(&["rev-parse", "factory/run-3"])
    );
    let shown = told(&place.factory(&["show", "4"]));
    assert!(
        shown.contains("made of  run 3, whose result it continues"),
        "{shown}"
    );
    assert!(shown.contains("allows: retry, fork, continue"), "{shown}");
    let refused = place.factory(&run(&more, &["--continue", "1"]));
    assert_eq!(code(&refused), 1);
    assert!(
        told(&refused).contains("cannot be continued"),
        "{}",
        told(&refused)
    );
}

#[test]
fn a_run_is_forked_from_its_checkpoint() {
    let place = Place::with_project();
    let model = two_steps(&place);
    let waits = place.factory(&run(&model, &[]));
    assert_eq!(code(&waits), 3, "{}", told(&waits));
    let seq = seq_of(&place, "1", "CHECKPOINT_CREATED");
    let forked = place.factory(&["fork", "1", "--from", &seq, "another goal", "--json"]);
    assert_eq!(code(&forked), 3, "{}", told(&forked));
    let shown = place.json(&["show", "2"]);
    assert_eq!(shown["run"]["goal"], "another goal");
    let start = &shown["run"]["spec"]["origin"]["start"];
    assert_eq!(
        (&start["checkpoint"], &start["done"]),
        (&json!(1), &json!(["one"]))
    );
    let diff = place.json(&["diff", "2"]);
    let files: Vec<_> = diff["diff"]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["path"])
        .collect();
    assert_eq!(files, ["done.txt", "two.txt"]);
    let beyond = place.factory(&["fork", "1", "--from", "9999"]);
    assert_eq!(code(&beyond), 2, "{}", told(&beyond));
    assert_eq!(place.run_count(), 2);
}
