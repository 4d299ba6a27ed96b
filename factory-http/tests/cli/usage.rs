//! What the program says before there is anything to work on: usage, exit codes, the way out.

use crate::support::{Place, bare, code, path, told};
use serde_json::Value;

#[test]
fn a_wrong_command_line_is_usage() {
    for arguments in [
        &["no-such-command"][..],
        &["show"],
        &["show", "0"],
        &["run", ".", "x", "--budget-time", "5"],
    ] {
        let output = bare(arguments).output().unwrap();
        assert_eq!(code(&output), 2, "{arguments:?}: {}", told(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(code(&bare(&["--help"]).output().unwrap()), 0);
    assert_eq!(code(&bare(&["run", "--help"]).output().unwrap()), 0);
}

#[test]
fn with_json_a_failure_is_an_object() {
    let place = Place::new();
    for arguments in [&["no-such-command", "--json"][..], &["list", "--json"]] {
        let output = place.factory(arguments);
        assert_eq!(code(&output), 2, "{}", told(&output));
        let value: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(value["error"]["kind"], "usage", "{value}");
    }
}

#[test]
fn where_nothing_is_yet_the_way_in_is_named_and_nothing_is_made() {
    let place = Place::new();
    for arguments in [
        &["list"][..],
        &["show", "1"],
        &["events", "1"],
        &["diff", "1"],
        &["project", "list"],
    ] {
        let output = place.factory(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let told = told(&output);
        assert!(told.contains("error: there is no factory in"), "{told}");
        assert!(told.contains("way out: `factory project add PATH`"), "{told}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn a_slip_in_the_settings_is_named() {
    let place = Place::new();
    let output = place
        .command(&["list"])
        .env("FACTORY_BUDGET_CALLS", "many")
        .output()
        .unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        told(&output).contains("budget.calls: `many` is not a number"),
        "{}",
        told(&output)
    );
}

#[test]
fn the_demonstration_keeps_out_of_other_folders() {
    let place = Place::new();
    std::fs::write(place.path("mine"), "").unwrap();
    let folder = place.path("");
    let output = place.factory(&["demo", "--dir", path(&folder)]);
    assert_eq!(code(&output), 1);
    assert!(
        told(&output).contains("the folder is not empty"),
        "{}",
        told(&output)
    );
    let output = place.factory(&["demo", "--data-dir", path(&folder)]);
    assert_eq!(code(&output), 2);
}
