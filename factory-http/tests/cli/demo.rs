//! The whole job on the demonstration's repository, by the real program.

use crate::support::{Place, bare, code, git, lines, path, told};

#[test]
fn a_goal_becomes_an_approved_commit() {
    let place = Place::new();
    let folder = place.path("demo");
    let output = bare(&["demo", "--yes", "--dir", path(&folder)]).output().unwrap();
    let said = told(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert!(!output.stdout.contains(&0x1b), "a pipe gets no escape codes");
    for line in [
        "✗ checks, round 1",
        "✓ checks, round 2",
        "complete: branch factory/run-1",
        "ollama pull",
    ] {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
    let repository = folder.join("slugs");
    assert_eq!(
        git(&repository, &["status", "--porcelain"]),
        "",
        "the operator's checkout is as it was"
    );
    assert_ne!(
        git(&repository, &["rev-parse", "HEAD"]),
        git(&repository, &["rev-parse", "factory/run-1"])
    );
    assert_eq!(
        git(&repository, &["diff", "--name-only", "HEAD", "factory/run-1"]),
        "slug.sh"
    );
}

#[test]
fn without_a_terminal_it_waits_for_the_very_tree() {
    let place = Place::new();
    let folder = place.path("demo");
    let output = bare(&["demo", "--dir", path(&folder), "--json"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", told(&output));
    let told_lines = lines(&output);
    assert_eq!(told_lines.last().unwrap()["status"], "AWAITING_APPROVAL");
    assert_eq!(told_lines[0]["type"], "RUN_CREATED");

    let data = folder.join("data");
    let factory = |arguments: &[&str]| bare(arguments).env("FACTORY_DATA_DIR", &data).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&factory(&["show", "1", "--json"]).stdout).unwrap();
    let tree = shown["open_approval"]["subject"]["tree"].as_str().unwrap();
    let output = factory(&["approve", "1"]);
    assert_eq!(code(&output), 2, "{}", told(&output));
    let output = factory(&[
        "approve",
        "1",
        "--tree",
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    ]);
    assert_eq!(code(&output), 1, "{}", told(&output));
    let output = factory(&["approve", "1", "--tree", tree, "--message", "Mend the slugs"]);
    assert_eq!(code(&output), 0, "{}", told(&output));
    let subject = git(
        &folder.join("slugs"),
        &["log", "-1", "--format=%s", "factory/run-1"],
    );
    assert_eq!(subject, "Mend the slugs");
    let offered = git(&folder.join("slugs"), &["rev-parse", "factory/run-1^{tree}"]);
    assert_eq!(offered, tree, "what was reviewed is what is committed");
}
