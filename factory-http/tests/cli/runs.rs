//! Runs by the real program: exit codes, owners and clients, Ctrl-C, a killed owner.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::support::{CHECK, Place, code, lines, path, signal, told};

/// A command that takes a while.
const SLOW: &str = "sleep 2";

#[test]
fn projects_are_registered_changed_and_forgotten() {
    let place = Place::with_project();
    let shown = place.json(&["project", "show", "sample"]);
    assert_eq!(shown["settings"]["checks"], serde_json::json!([CHECK]));
    let set = place.factory(&[
        "project",
        "set",
        "1",
        "--name",
        "renamed",
        "--no-checks",
        "--instructions",
        "use tabs",
    ]);
    assert_eq!(code(&set), 0, "{}", told(&set));
    let shown = place.json(&["project", "show", path(&place.repository())]);
    assert_eq!(shown["name"], "renamed");
    assert_eq!(shown["settings"]["checks"], serde_json::json!([]));
    assert_eq!(shown["settings"]["instructions"], "use tabs");
    assert_eq!(code(&place.factory(&["project", "remove", "renamed"])), 0);
    let none = place.factory(&["project", "list"]);
    assert!(told(&none).contains("no project yet"), "{}", told(&none));
    assert!(place.repository().join("README.md").exists());
}

#[test]
fn what_is_not_registered_is_usage_and_names_the_way_in() {
    let place = Place::with_project();
    let other = place.path("other");
    std::fs::create_dir(&other).unwrap();
    for project in ["nobody", path(&other)] {
        let output = place.factory(&["run", project, "goal"]);
        assert_eq!(code(&output), 2, "{}", told(&output));
        assert!(told(&output).contains("factory project add"), "{}", told(&output));
    }
    assert_eq!(code(&place.factory(&["run", "sample", "  "])), 2);
    assert_eq!(code(&place.factory(&["show", "99"])), 2);
    assert_eq!(place.run_count(), 0);
}

#[test]
fn an_unattended_run_is_proven_committed_and_told_as_json() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let run = place.factory(&[
        "run",
        path(&place.repository()),
        "do it",
        "--model",
        &model,
        "--yes",
        "--json",
    ]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    let told_lines = lines(&run);
    let seqs: Vec<_> = told_lines
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    assert_eq!(
        seqs,
        (1..=seqs.len() as u64).collect::<Vec<_>>(),
        "each event once, in order"
    );
    assert_eq!(told_lines.last().unwrap()["status"], "COMPLETE");
    assert_eq!(place.git(&["show", "factory/run-1:done.txt"]), "by quick");
    let followed = place.factory(&["events", "1", "--follow", "--json"]);
    assert_eq!(lines(&followed).len(), seqs.len(), "a final run's following ends");
}

#[test]
fn two_at_once_share_one_owner_and_file_each_run_once() {
    let place = Place::with_project();
    let (first, second) = (place.model("first", SLOW), place.model("second", SLOW));
    let owner = place.begin(&["run", "sample", "first", "--model", &first, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    let mode = std::fs::metadata(place.path("data/control.sock")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let client = place.begin(&["run", "sample", "second", "--model", &second, "--yes"]);
    for child in [owner, client] {
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", told(&output));
    }
    assert_eq!(place.run_count(), 2);
    assert!(
        !place.path("data/control.sock").exists(),
        "an owner takes its socket away"
    );
}

#[test]
fn many_that_begin_at_once_agree_on_an_owner() {
    let place = Place::with_project();
    let begin = |number: u32| {
        let name = format!("number-{number}");
        let model = place.model(&name, "true");
        place.begin(&["run", "sample", &name, "--model", &model, "--yes"])
    };
    let children: Vec<_> = (0..6).map(begin).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", told(&output));
    }
    assert_eq!(place.run_count(), 6);
}

#[test]
fn a_client_goes_on_where_the_owner_was_killed() {
    let place = Place::with_project();
    let (first, second) = (place.model("first", SLOW), place.model("second", SLOW));
    let mut owner = place.begin(&["run", "sample", "first", "--model", &first, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    let client = place.begin(&["run", "sample", "second", "--model", &second, "--yes"]);
    place.wait_for("2", "TOOL_STARTED");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(place.run_count(), 2);
    // The dead owner's own run is back in the queue, and goes on when it is asked to.
    assert_eq!(place.json(&["show", "1"])["run"]["status"], "QUEUED");
    let resumed = place.factory(&["resume", "1"]);
    assert_eq!(code(&resumed), 0, "{}", told(&resumed));
}

#[test]
fn an_interrupt_pauses_and_resume_goes_on() {
    for name in ["INT", "TERM"] {
        let place = Place::with_project();
        let model = place.model("slow", SLOW);
        let run = place.begin(&["run", "sample", "slowly", "--model", &model, "--yes"]);
        place.wait_for("1", "TOOL_STARTED");
        signal(&run, name);
        let output = run.wait_with_output().unwrap();
        assert_eq!(code(&output), 3, "{}", told(&output));
        assert!(told(&output).contains("factory resume 1"), "{}", told(&output));
        let shown = place.json(&["show", "1"]);
        assert_eq!(
            (&shown["run"]["status"], &shown["run"]["reason"]),
            (&"PAUSED".into(), &"operator".into())
        );
        let resumed = place.factory(&["resume", "1"]);
        assert_eq!(code(&resumed), 0, "{}", told(&resumed));
    }
}

#[test]
fn a_terminals_interrupt_lets_the_running_command_end() {
    let place = Place::with_project();
    let model = place.model("slow", SLOW);
    let mut command = place.command(&["run", "sample", "slowly", "--model", &model, "--yes", "--json"]);
    command
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = command.spawn().unwrap();
    place.wait_for("1", "TOOL_STARTED");
    wait_for_command(&place);
    // A terminal sends it to every process of the group.
    let sent = Command::new("kill")
        .args(["-s", "INT", "--", &format!("-{}", run.id())])
        .status();
    assert!(sent.unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", told(&output));
    let events = lines(&output);
    let command = events
        .iter()
        .find(|event| event["type"] == "TOOL_FINISHED" && event["payload"]["tool"] == "run_command");
    assert_eq!(command.unwrap()["payload"]["ok"], true);
}

/// Waits until the agent's command itself, and not only the call of it, is there.
fn wait_for_command(place: &Place) {
    let started = |events: Vec<serde_json::Value>| {
        events
            .iter()
            .any(|event| event["type"] == "TOOL_STARTED" && event["payload"]["tool"] == "run_command")
    };
    while !started(lines(&place.factory(&["events", "1", "--json"]))) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_second_interrupt_ends_the_process_at_once_and_loses_nothing() {
    let place = Place::with_project();
    let model = place.model("slow", "sleep 600");
    let run = place.begin(&["run", "sample", "slowly", "--model", &model, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    signal(&run, "INT");
    // The command may end by itself after a pause, so the process is still there.
    place.wait_for("1", "RUN_PAUSE");
    signal(&run, "INT");
    assert_eq!(code(&run.wait_with_output().unwrap()), 130);
    assert_eq!(place.json(&["show", "1"])["run"]["status"], "PAUSED");
    assert_eq!(code(&place.factory(&["stop", "1"])), 0);
}

#[test]
fn a_clients_interrupt_pauses_its_own_run_alone() {
    let place = Place::with_project();
    let (first, second) = (place.model("first", SLOW), place.model("second", SLOW));
    let owner = place.begin(&["run", "sample", "first", "--model", &first, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    let client = place.begin(&["run", "sample", "second", "--model", &second, "--yes"]);
    place.wait_for("2", "TOOL_STARTED");
    signal(&client, "INT");
    assert_eq!(code(&client.wait_with_output().unwrap()), 3);
    assert_eq!(code(&owner.wait_with_output().unwrap()), 0);
    assert_eq!(place.json(&["show", "2"])["run"]["status"], "PAUSED");
}

#[test]
fn a_stop_from_elsewhere_ends_with_its_own_code() {
    let place = Place::with_project();
    let model = place.model("slow", "sleep 600");
    let run = place.begin(&["run", "sample", "slowly", "--model", &model, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    let stop = place.factory(&["stop", "1"]);
    assert_eq!(code(&stop), 0, "{}", told(&stop));
    assert_eq!(code(&run.wait_with_output().unwrap()), 4);
    assert_eq!(
        code(&place.factory(&["pause", "1"])),
        1,
        "a final run takes no verb"
    );
}

#[test]
fn a_spent_budget_waits_and_raising_it_goes_on() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let run = place.factory(&[
        "run",
        "sample",
        "do it",
        "--model",
        &model,
        "--yes",
        "--budget-calls",
        "2",
    ]);
    assert_eq!(code(&run), 3, "{}", told(&run));
    assert!(told(&run).contains("factory raise 1 --calls N"), "{}", told(&run));
    assert_eq!(code(&place.factory(&["raise", "1", "--calls", "50"])), 0);
    let resumed = place.factory(&["resume", "1"]);
    assert_eq!(code(&resumed), 0, "{}", told(&resumed));
}

#[test]
fn a_detached_run_waits_in_the_queue_where_nobody_works() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let run = place.factory(&["run", "sample", "do it", "--model", &model, "--yes", "--detach"]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    assert_eq!(place.json(&["show", "1"])["run"]["status"], "QUEUED");
    assert_eq!(code(&place.factory(&["resume", "1"])), 0);
}

#[test]
fn the_doctor_finds_this_machine_well() {
    let place = Place::new();
    let model = place.model("quick", "true");
    let doctor = |model: &str| {
        place
            .command(&["doctor"])
            .env("FACTORY_MODEL", model)
            .output()
            .unwrap()
    };
    let output = doctor(&model);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(told(&output).contains("✓ sandbox"), "{}", told(&output));
    // Nothing listens at a port that is given up again.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = doctor(&format!("openai:m@http://127.0.0.1:{port}/v1"));
    assert_eq!(code(&output), 1, "{}", told(&output));
    assert!(told(&output).contains("✗ model"), "{}", told(&output));
    assert!(told(&output).contains("start the server"), "{}", told(&output));
}
