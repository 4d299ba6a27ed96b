//! Checks that do not behave: one that never ends, one that prints without end.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::{Place, code, lines, path, told};

#[test]
fn a_check_that_never_ends_is_killed_and_the_run_ends() {
    let place = Place::with_folder();
    let repository = place.repository();
    let mut add = vec!["project", "add", path(&repository), "--name", "sample", "--init"];
    add.extend(["--no-setup", "--no-try", "--check", "sleep 600"]);
    assert_eq!(code(&place.factory(&add)), 0);
    let begin = [
        ("update_plan", json!({"steps": ["do it"]})),
        ("write_file", json!({"path": "done.txt", "content": "x\n"})),
    ];
    let calls: Vec<_> = begin
        .into_iter()
        .chain((1..=4).map(|round| ("finish_step", json!({"summary": format!("round {round}")}))))
        .collect();
    let model = place.script("rounds", &calls);
    std::fs::write(place.path("data/factory.toml"), "[limits]\ncheck = \"1s\"\n").unwrap();
    let run = place.factory(&["run", "sample", "goal", "--model", &model, "--yes", "--json"]);
    assert_eq!(code(&run), 1, "{}", told(&run));
    let ended = lines(&run);
    let last = ended.last().unwrap();
    assert_eq!(
        (&last["status"], &last["reason"]),
        (&json!("FAILED"), &json!("checks_failed"))
    );
    let rounds: Vec<_> = ended
        .iter()
        .filter(|event| event["type"] == "CHECK_FINISHED")
        .map(|event| &event["payload"]["results"][0]["ended"])
        .collect();
    assert_eq!(rounds, [&json!("timed out and was killed"); 4]);
    assert_eq!(
        place.git(&["branch", "--list", "factory/*"]),
        "",
        "nothing is published"
    );
}

#[test]
fn a_check_that_prints_a_gigabyte_is_cut_in_bounded_memory() {
    let place = Place::with_folder();
    let repository = place.repository();
    let mut add = vec!["project", "add", path(&repository), "--name", "sample", "--init"];
    add.extend([
        "--no-setup",
        "--json",
        "--check",
        "head -c 1000000000 /dev/zero | tr '\\0' x",
    ]);
    let child = place
        .command(&add)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = child.id();
    let watching = std::thread::spawn(move || {
        let mut most = 0;
        // A process that has ended, and waits to be told of, holds nothing.
        while let Some(held) = peak_kib(process) {
            most = held;
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    let most = watching.join().unwrap();
    assert_eq!(code(&output), 0, "{}", told(&output));
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let printed = added["checks"][0]["output"].as_str().unwrap();
    assert!(
        printed.len() < 80_000 && printed.contains("[... 999934464 bytes left out ...]"),
        "{} bytes",
        printed.len()
    );
    assert!(
        (1..256 << 10).contains(&most),
        "{most} KiB were taken for a gigabyte of output"
    );
}

/// Returns the most memory that a process has held so far, while it is there.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
