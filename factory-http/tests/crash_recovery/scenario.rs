//! The small project of the harness, and the conversation that its runs have: two steps, a red check, a repair.
//!
//! Every part takes a while, so that a kill finds each of them: replies come after a wait, commands and checks sleep.
//! Most edits build on one another, so that an edit made twice, or not at all, ends in another tree.

use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use serde_json::{Value, json};

/// The goal of every run.
pub(crate) const GOAL: &str = "Count to four and greet";

/// The check of the project.
pub(crate) const CHECK: &str = "sh check.sh";

/// How long a reply takes before its first piece, in milliseconds.
const REPLY_MS: u64 = 80;

const CHECK_SCRIPT: &str = r#"sleep 0.15
[ "$(cat counter.txt)" = "count: 4" ] || [ "$(cat counter.txt)" = "count: 1" ] || {
    echo "the counter says $(cat counter.txt)"
    exit 1
}
"#;

/// Returns the project's files, and as many more as `FACTORY_TEST_FILES` says: with many of them, git outlives a killed
/// factory for long.
pub(crate) fn files() -> Vec<(String, String)> {
    let more = std::env::var("FACTORY_TEST_FILES")
        .map_or(0, |text| text.parse().expect("FACTORY_TEST_FILES is a number"));
    let lines: Vec<_> = (1..=200).map(|number| format!("line {number}")).collect();
    let files = [
        ("counter.txt", "count: 1\n".to_owned()),
        ("check.sh", CHECK_SCRIPT.to_owned()),
        ("notes/long.txt", lines.join("\n") + "\n"),
        ("notes/old.txt", "to be moved\n".to_owned()),
        (".gitignore", "build/\n".to_owned()),
    ];
    let more = (0..more).map(|number| (format!("more/{}/{number}", number % 100), format!("{number}\n")));
    let files = files.map(|(name, content)| (name.to_owned(), content));
    files.into_iter().chain(more).collect()
}

/// Returns what the model says.
pub(crate) fn script() -> Script {
    let replies = [
        vec![("update_plan", json!({"steps": ["Begin to count", "Greet"]}))],
        vec![
            ("list_files", json!({})),
            ("read_file", json!({"path": "counter.txt"})),
        ],
        vec![("edit_file", edit("count: 1", "count: 2"))],
        vec![
            (
                "run_command",
                command("mkdir -p build; sleep 0.15; date > build/stamp; cat counter.txt"),
            ),
            ("finish_step", json!({"summary": "counted to two"})),
        ],
        vec![
            ("apply_patch", json!({"patch": PATCH})),
            (
                "move_file",
                json!({"from": "notes/old.txt", "to": "notes/new.txt"}),
            ),
            ("edit_file", edit("count: 2", "count: 3")),
        ],
        vec![(
            "run_command",
            command("sleep 0.1; ls notes; wc -l < notes/long.txt"),
        )],
        vec![("finish_step", json!({"summary": "greeted"}))],
        vec![("search", json!({"pattern": "^count"}))],
        vec![
            ("edit_file", edit("count: 3", "count: 4")),
            ("run_command", command("sleep 0.1; sh check.sh")),
        ],
        vec![("finish_step", json!({"summary": "counted to four"}))],
    ];
    replies
        .into_iter()
        .fold(Script::new(), |script, calls| script.reply(reply(calls)))
}

const PATCH: &str = "*** Begin Patch
*** Add File: greeting.txt
+good day
*** Update File: notes/long.txt
@@
 line 1
-line 2
+line two
 line 3
*** End Patch
";

fn edit(search: &str, replace: &str) -> Value {
    json!({"path": "counter.txt", "edits": [{"search": search, "replace": replace}]})
}

fn command(command: &str) -> Value {
    json!({ "command": command })
}

fn reply(calls: Vec<(&str, Value)>) -> ScriptReply {
    let reply = ScriptReply::default().delays(REPLY_MS, 5);
    calls.into_iter().fold(reply, |reply, (name, arguments)| {
        reply.and_tool_call(name, ScriptArguments(arguments))
    })
}
