//! A small project, a scripted model and a data folder, and the program at work on them.

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
        let place = Self::new();
        let repository = place.repository();
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("README.md"), "# Sample\n").unwrap();
        let added = place.factory(&[
            "project",
            "add",
            path(&repository),
            "--name",
            "sample",
            "--init",
            "--no-setup",
            "--check",
            CHECK,
        ]);
        assert_eq!(code(&added), 0, "{}", told(&added));
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
        let call = |name: &str, arguments: Value| json!({"text": "", "tool_calls": [{"name": name, "arguments": arguments}]});
        let script = json!({"replies": [
            call("update_plan", json!({"steps": ["do it"]})),
            call("run_command", json!({"command": command})),
            call("write_file", json!({"path": "done.txt", "content": format!("by {name}\n")})),
            call("finish_step", json!({"summary": "done"})),
        ]});
        let file = self.path(&format!("{name}.json"));
        std::fs::write(&file, script.to_string()).unwrap();
        format!("scripted:{}", file.display())
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
