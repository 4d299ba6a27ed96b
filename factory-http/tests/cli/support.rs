//! A small project, a scripted model and a data folder, and the program at work on them.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before the test is called hanging.
const PATIENCE: Duration = Duration::from_mins(2);

/// A check that names no file, because a result that touches what a check names always asks.
pub(crate) const CHECK: &str = "test $(ls | wc -l) -gt 1";

/// A data folder of its own.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Returns a place where nothing is yet.
    pub(crate) fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        Self { folder }
    }

    /// Returns a place with the project `sample`, whose check wants a second file.
    pub(crate) fn with_project() -> Self {
        let place = Self::with_folder();
        let repository = place.repository();
        let mut add = vec!["project", "add", path(&repository)];
        add.extend(["--name", "sample", "--init", "--no-setup", "--check", CHECK]);
        let added = place.factory(&add);
        assert_eq!(code(&added), 0, "{}", told(&added));
        place
    }

    /// Returns a place whose repository is a folder with a file in it, and nothing more yet.
    pub(crate) fn with_folder() -> Self {
        let place = Self::new();
        std::fs::create_dir(place.repository()).unwrap();
        std::fs::write(place.repository().join("README.md"), "# Sample\n").unwrap();
        place
    }

    /// Returns a path in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the project's repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// Returns the program's command line on this data folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("FACTORY_DATA_DIR", self.path("data"));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn factory(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program to its end on this standard input.
    pub(crate) fn fed(&self, arguments: &[&str], input: Vec<u8>) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that has read enough closes its end, which is no failure.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    /// Asserts how the program ended and all that it said, where `[place]` stands for the place's path.
    #[track_caller]
    pub(crate) fn check(&self, output: &Output, exit: i32, expected: &str) {
        let said = told(output).replace(path(self.folder.path()), "[place]");
        assert_eq!((code(output), said.trim_end()), (exit, expected.trim()), "{said}");
    }

    /// Writes a script of these tool calls, one in each reply, and returns the model's name.
    pub(crate) fn script(&self, name: &str, calls: &[(&str, Value)]) -> String {
        let call = |(name, arguments): &(&str, Value)| json!({"text": "", "tool_calls": [{"name": name, "arguments": arguments}]});
        let replies: Vec<_> = calls.iter().map(call).collect();
        let file = self.path(&format!("{name}.json"));
        std::fs::write(&file, json!({ "replies": replies }).to_string()).unwrap();
        format!("scripted:{}", file.display())
    }

    /// Runs the program with `--json` and returns the one document that it answers.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Begins the program and leaves it at work.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Writes a script whose agent runs `command`, writes `done.txt` and is done, and returns the model's name.
    pub(crate) fn model(&self, name: &str, command: &str) -> String {
        let calls = [
            ("update_plan", json!({"steps": ["do it"]})),
            ("run_command", json!({"command": command})),
            (
                "write_file",
                json!({"path": "done.txt", "content": format!("by {name}\n")}),
            ),
            ("finish_step", json!({"summary": "done"})),
        ];
        self.script(name, &calls)
    }

    /// Waits until the run has an event of this type.
    pub(crate) fn wait_for(&self, run: &str, kind: &str) {
        let begun = Instant::now();
        loop {
            let output = self.command(&["events", run, "--json"]).output().unwrap();
            if lines(&output).iter().any(|event| event["type"] == kind) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "run {run} has no {kind}: {}",
                told(&output)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the number of runs that there are.
    pub(crate) fn run_count(&self) -> usize {
        self.json(&["list"])["items"].as_array().unwrap().len()
    }

    /// Asks git about the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository(), arguments)
    }
}

/// Returns the program's command line without any data folder or variable of the host's.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FACTORY_") {
            command.env_remove(name);
        }
    }
    command
}

/// Asks git about a repository.
pub(crate) fn git(repository: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Returns every file below a folder with what is in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            } else {
                found.insert(entry.path(), Vec::new());
            }
        }
    }
    found
}

/// Sends a signal to a process that the test began.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Returns the exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Returns everything that the program said.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Returns the lines of output, each of which must be JSON.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns the path as text.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
