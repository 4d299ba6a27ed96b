//! The programs of others that these tests run: where `make test` has put them, and with what patience.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Returns the folder of these tests.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

/// Returns a path among the tools that `make test` installs.
#[track_caller]
pub(crate) fn tool(path: &str) -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/tools")
        .join(path);
    assert!(
        tool.exists(),
        "{} is missing; `make tools` installs it",
        tool.display()
    );
    tool
}

/// Runs a program to its end, which must be a good one, and returns all that it said.
#[track_caller]
pub(crate) fn run(command: &mut Command, patience: Duration) -> String {
    let (ended, said) = run_to_any_end(command, patience);
    assert!(ended, "{command:?}: {said}");
    said
}

/// Runs a program to its end and returns whether it was a good one, with all that it said.
#[track_caller]
pub(crate) fn run_to_any_end(command: &mut Command, patience: Duration) -> (bool, String) {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let id = child.id();
    let reading = std::thread::spawn(move || Child::wait_with_output(child));
    let begun = Instant::now();
    while !reading.is_finished() {
        if begun.elapsed() > patience {
            let _ = Command::new("kill")
                .args(["-s", "KILL", &id.to_string()])
                .status();
            panic!("{command:?} did not end within {} seconds", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output: Output = reading.join().unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
