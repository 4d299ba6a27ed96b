//! What cannot be used: the message names it and the way out, the exit code is stable, and nothing is half done.

use serde_json::json;

use crate::support::{Place, code, files, git, path, told};

const BUDGET: &str = "budget: 100 model calls, 2,000,000 tokens, 2h of work, 100 turns\n";
const TRYING: &str = "trying setup and checks on the base; --no-try leaves that out\n";
const FORMS: &str = "write ENDPOINT:NAME (such as ollama:qwen3:8b), openai:NAME@URL (such as openai:qwen3@http://127.0.0.1:8080/v1), scripted:FILE or recorded:FILE";

/// Runs `factory run` on these arguments, which it must refuse with the message and file nothing.
#[track_caller]
fn refuses_run(place: &Place, arguments: &[&str], expected: &str) {
    let output = place.factory(&[&["run"], arguments].concat());
    place.check(&output, 2, &format!("{BUDGET}{expected}"));
    assert_eq!(place.run_count(), 0);
}

/// Runs `factory project add`, which must refuse the path with the message, register nothing and change no file.
#[track_caller]
fn refuses_project(place: &Place, name: &str, expected: &str) {
    let path_given = place.path(name);
    let before = path_given.is_dir().then(|| files(&path_given));
    let output = place.factory(&["project", "add", path(&path_given)]);
    place.check(&output, 2, expected);
    assert_eq!(path_given.is_dir().then(|| files(&path_given)), before);
    if place.path("data").exists() {
        assert_eq!(place.json(&["project", "list"])["items"], json!([]));
    }
}

#[test]
fn an_unknown_project() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    refuses_run(
        &place,
        &["nobody", "goal", "--model", &model],
        "error: no project `nobody`; `factory project list` shows those there are, `factory project add PATH` adds one",
    );
}

#[test]
fn a_goal_of_nothing() {
    let place = Place::with_project();
    for goal in ["", " \n "] {
        let output = place.factory(&["run", "sample", goal]);
        place.check(
            &output,
            2,
            "error: the goal is empty\n  way out: say it in a sentence, or give `-` and write it to standard input",
        );
    }
    assert_eq!(place.run_count(), 0);
}

#[test]
fn a_goal_of_a_megabyte() {
    let place = Place::with_project();
    let output = place.fed(&["run", "sample", "-"], vec![b'x'; 1 << 20]);
    place.check(
        &output,
        2,
        "error: the goal is longer than 65536 bytes\n  way out: put long material into a file of the repository, \
         commit it, and name that file",
    );
    assert_eq!(place.run_count(), 0);
}

#[test]
fn a_goal_that_is_no_text() {
    let place = Place::with_project();
    let output = place.fed(&["run", "sample", "-"], vec![0xff, 0xfe]);
    place.check(
        &output,
        2,
        "error: the goal is no text: it is not UTF-8\n  way out: write it as UTF-8",
    );
    assert_eq!(place.run_count(), 0);
}

#[test]
fn a_path_that_is_not_there() {
    refuses_project(
        &Place::new(),
        "missing",
        "error: there is no folder `[place]/missing`\n  because: No such file or directory (os error 2)",
    );
}

#[test]
fn a_path_that_is_a_file() {
    let place = Place::new();
    std::fs::write(place.path("file"), "mine\n").unwrap();
    refuses_project(
        &place,
        "file",
        "error: `[place]/file` is a file\n  way out: name the folder of a repository",
    );
    assert_eq!(std::fs::read_to_string(place.path("file")).unwrap(), "mine\n");
}

#[test]
fn a_folder_that_is_no_repository_until_it_is_made_one() {
    let place = Place::with_folder();
    refuses_project(
        &place,
        "repository",
        &format!(
            "{TRYING}error: `[place]/repository` is not a git repository; `factory project add --init` makes it one"
        ),
    );
    let added = place.factory(&["project", "add", path(&place.repository()), "--init"]);
    assert_eq!(code(&added), 0, "{}", told(&added));
    assert_eq!(place.git(&["ls-tree", "--name-only", "HEAD"]), "README.md");
    assert_eq!(place.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_folder_that_holds_the_factory_itself() {
    let place = Place::with_folder();
    let around = place.path("");
    let added = place.factory(&["project", "add", path(&around), "--init"]);
    place.check(
        &added,
        2,
        &format!(
            "{TRYING}error: `[place]` holds the factory's own data folder and is made no repository; name the project's \
             own folder"
        ),
    );
    assert!(!around.join(".git").exists());
}

#[test]
fn a_repository_without_a_commit() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    git(&place.path("empty"), &["init", "--quiet"]);
    refuses_project(
        &place,
        "empty",
        &format!(
            "{TRYING}error: `[place]/empty` has no commit yet; commit something first, so that there is a state to \
             start from"
        ),
    );
}

#[test]
fn a_base_that_leads_nowhere() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    refuses_run(
        &place,
        &["sample", "goal", "--model", &model, "--base", "no-such-branch"],
        "error: `no-such-branch` is no commit of `[place]/repository`\n  way out: name a branch, a tag or a commit of that \
         repository",
    );
}

#[test]
fn a_model_that_is_none() {
    let place = Place::with_project();
    refuses_run(
        &place,
        &["sample", "goal", "--model", "nonsense"],
        &format!("error: the model `nonsense`: {FORMS}"),
    );
}

#[test]
fn a_model_file_that_is_not_there() {
    let place = Place::with_project();
    let model = format!("scripted:{}", place.path("missing.json").display());
    refuses_run(
        &place,
        &["sample", "goal", "--model", &model],
        "error: the scripted model [place]/missing.json: cannot be opened: No such file or directory (os error 2); give \
         the path of an existing file",
    );
}

#[test]
fn a_model_file_that_is_no_script() {
    let place = Place::with_project();
    std::fs::write(place.path("bad.json"), "these are words").unwrap();
    let model = format!("scripted:{}", place.path("bad.json").display());
    refuses_run(
        &place,
        &["sample", "goal", "--model", &model],
        "error: the scripted model [place]/bad.json: is no script: expected ident at line 1 column 2; a script looks like \
         {\"replies\": [{\"text\": \"hello\"}]}",
    );
}

#[test]
fn an_edit_of_a_file_that_is_not_there_goes_back_to_the_model() {
    let place = Place::with_project();
    let edit = json!({"path": "nothere.txt", "edits": [{"search": "a", "replace": "b"}]});
    let calls = [
        ("update_plan", json!({"steps": ["do it"]})),
        ("edit_file", edit),
        ("write_file", json!({"path": "done.txt", "content": "x\n"})),
        ("finish_step", json!({"summary": "done"})),
    ];
    let model = place.script("edits", &calls);
    let run = place.factory(&["run", "sample", "goal", "--model", &model, "--yes"]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    let told_line = "✗ edit_file: nothing was changed: there is no `nothere.txt`; look at the names that there are, or \
                     create it as a new file";
    assert!(told(&run).lines().any(|line| line == told_line), "{}", told(&run));
    assert_eq!(
        place.git(&["diff", "--name-only", "HEAD", "factory/run-1"]),
        "done.txt"
    );
}
