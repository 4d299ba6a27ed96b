//! Real projects with dependencies: registered with what the factory suggests for them, worked on, and worked on again
//! with the setup's kept result. They fetch from the package registries, so that they run only where these are reached.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test fails"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A project of one ecosystem, and a change of its source that its tests prove.
struct Sample {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The source that the agent edits: the path, what stands there, and what it becomes.
    edit: (&'static str, &'static str, &'static str),
    setup: &'static [&'static str],
    checks: &'static [&'static str],
}

/// The program on a data folder of its own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program, which must do what it is asked, and returns its output.
    fn factory(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FACTORY_") {
                command.env_remove(name);
            }
        }
        let output = command
            .args(arguments)
            .env("FACTORY_DATA_DIR", self.path("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Writes a script that makes one edit, and returns the model's name.
    fn model(&self, name: &str, edit: (&str, &str, &str)) -> String {
        let (path, search, replace) = edit;
        let call = |name: &str, arguments: Value| json!({"text": "", "tool_calls": [{"name": name, "arguments": arguments}]});
        let script = json!({"replies": [
            call("update_plan", json!({"steps": ["change the source"]})),
            call("edit_file", json!({"path": path, "edits": [{"search": search, "replace": replace}]})),
            call("finish_step", json!({"summary": "changed"})),
        ]});
        let file = self.path(name);
        std::fs::write(&file, script.to_string()).unwrap();
        format!("scripted:{}", file.display())
    }

    /// Works on a goal and returns the run's events.
    fn run(&self, model: &str, base: &str) -> Vec<Value> {
        let mut arguments = vec!["run", "sample", "change it", "--model", model, "--yes", "--json"];
        arguments.extend(["--base", base]);
        let said = self.factory(&arguments);
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.last().unwrap()["status"], "COMPLETE");
        lines
    }
}

fn write(file: &Path, content: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

fn payload<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    &events.iter().find(|event| event["type"] == kind).unwrap()["payload"]
}

fn check(sample: &Sample) {
    let place = Place::new();
    let repository = place.path("repository");
    for (file, content) in sample.files {
        write(&repository.join(file), content);
    }
    let mut add = vec!["project", "add", repository.to_str().unwrap(), "--init", "--json"];
    add.extend(["--name", "sample", "--setup-network", "host"]);
    let added: Value = serde_json::from_str(&place.factory(&add)).unwrap();
    assert_eq!(added["project"]["settings"]["setup"], json!(sample.setup));
    assert_eq!(added["project"]["settings"]["checks"], json!(sample.checks));
    assert_eq!(added["setup"]["ok"], true, "{}", added["setup"]["output"]);
    assert!(
        added["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["ok"] == true),
        "{}",
        added["checks"]
    );

    let (path, before, after) = sample.edit;
    let there = place.run(&place.model("there.json", sample.edit), "HEAD");
    assert_eq!(payload(&there, "CHECK_FINISHED")["green"], true);
    // The second run starts from another commit, whose lock files are the same.
    let back = place.run(&place.model("back.json", (path, after, before)), "factory/run-1");
    assert_eq!(payload(&back, "CHECK_FINISHED")["green"], true);
    let setup = payload(&back, "SETUP_FINISHED");
    assert_eq!((&setup["ok"], &setup["reused"]), (&json!(true), &json!(true)));
    println!(
        "{}: the second run's setup took {} ms; the first time it took {} ms",
        sample.name, setup["work_ms"], added["setup"]["work_ms"]
    );
}

#[test]
#[ignore = "needs the package registries"]
fn a_cargo_project() {
    check(&Sample {
        name: "cargo",
        files: &[
            (
                "Cargo.toml",
                "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"1\"\n",
            ),
            (".gitignore", "target\n"),
            (
                "src/lib.rs",
                "pub fn text(number: u32) -> String {\n    let digits = itoa::Buffer::new().format(number).to_owned();\n    \
                 digits\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn digits() {\n        \
                 assert_eq!(super::text(7), \"7\");\n    }\n}\n",
            ),
        ],
        edit: (
            "src/lib.rs",
            "    let digits = itoa::Buffer::new().format(number).to_owned();\n    digits\n",
            "    itoa::Buffer::new().format(number).to_owned()\n",
        ),
        setup: &["cargo fetch"],
        checks: &["cargo test --offline"],
    });
}

#[test]
#[ignore = "needs the package registries"]
fn an_npm_project() {
    check(&Sample {
        name: "npm",
        files: &[
            (
                "package.json",
                "{\"name\": \"sample\", \"version\": \"1.0.0\", \"scripts\": {\"test\": \"node test.js\"}, \"dependencies\": \
                 {\"is-number\": \"7.0.0\"}}\n",
            ),
            (".gitignore", "node_modules\n"),
            (
                "index.js",
                "const isNumber = require('is-number');\nmodule.exports = value => isNumber(value) ? true : false;\n",
            ),
            (
                "test.js",
                "require('assert').strictEqual(require('./index.js')('7'), true);\n",
            ),
        ],
        edit: ("index.js", "isNumber(value) ? true : false", "isNumber(value)"),
        setup: &["npm install"],
        checks: &["npm test"],
    });
}

#[test]
#[ignore = "needs the package registries"]
fn a_pytest_project() {
    check(&Sample {
        name: "pytest",
        files: &[
            ("requirements.txt", "six==1.17.0\n"),
            (".gitignore", ".venv\n__pycache__\n"),
            (
                "words.py",
                "import six\n\n\ndef is_text(value):\n    return True if isinstance(value, six.text_type) else False\n",
            ),
            (
                "test_words.py",
                "import words\n\n\ndef test_text_is_text():\n    assert words.is_text(\"a\")\n",
            ),
        ],
        edit: (
            "words.py",
            "return True if isinstance(value, six.text_type) else False",
            "return isinstance(value, six.text_type)",
        ),
        setup: &[
            "python3 -m venv .venv",
            ".venv/bin/pip install -r requirements.txt pytest",
        ],
        checks: &[".venv/bin/python -m pytest -q"],
    });
}
