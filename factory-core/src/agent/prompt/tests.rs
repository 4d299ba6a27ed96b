//! The prompt as the model reads it, word for word.

use super::*;
use crate::model::payload::CheckResult;
use crate::model::{BlobId, Plan, Seq, StepId};

fn state() -> State {
    let mut state = State::default();
    "Make the answer 42\n".clone_into(&mut state.goal);
    state
}

fn check() -> CheckFinished {
    let result = |command: &str, ok, output: &str| CheckResult {
        command: command.to_owned(),
        ok,
        ended: "exit code 1".to_owned(),
        output: BlobId::of(output.as_bytes()),
        work_ms: 1,
    };
    CheckFinished {
        round: 1,
        tree: "0".repeat(40).parse().unwrap(),
        green: false,
        results: vec![
            result("cargo fmt --check", true, "fine"),
            result("cargo test", false, "1 failed\n"),
        ],
        sensitive: Vec::new(),
        work_ms: 2,
    }
}

fn output(id: &BlobId) -> String {
    ["fine", "1 failed\n"]
        .into_iter()
        .find(|text| BlobId::of(text.as_bytes()) == *id)
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_opening_says_what_is_known_and_nothing_else() {
    let mut all = state();
    all.spec.approval = ApprovalPolicy::Unattended;
    let surroundings = Surroundings {
        checks: vec!["cargo test".to_owned()],
        instructions: Some("Use tabs.\n".to_owned()),
        agents_file: Some("# Conventions\nBe brief.\n".to_owned()),
        folder: None,
        top_level: vec!["Cargo.toml".to_owned(), "src/".to_owned()],
        ..Surroundings::default()
    };
    insta::assert_snapshot!("opening_with_everything", opening(&all, &surroundings));
    let folder = Surroundings {
        folder: Some("services/api".to_owned()),
        ..surroundings
    };
    insta::assert_snapshot!("opening_in_a_folder", opening(&all, &folder));
    insta::assert_snapshot!(
        "opening_with_nothing",
        opening(&state(), &Surroundings::default())
    );
}

#[test]
fn the_standing_instructions_are_the_reviewed_ones() {
    insta::assert_snapshot!(SYSTEM);
}

#[test]
fn everything_that_is_pending_is_said_once_in_order() {
    let mut state = state();
    assert_eq!(notes(&state, output), None);
    state.plan = Some(Plan::numbered(1, ["Look".to_owned(), "Change it".to_owned()]));
    state.pending = vec![
        Pending::Opening,
        Pending::ToolResult {
            place: (1, 0),
            id: "1".to_owned(),
            result: BlobId::of(b"never said here"),
        },
        Pending::Directive {
            seq: Seq(3),
            text: " use tabs \n".to_owned(),
        },
        Pending::NoPlan,
        Pending::NoToolCall,
        Pending::CutReply,
        Pending::Loop {
            tool: "read_file".to_owned(),
        },
        Pending::ChecksRed(check()),
        Pending::Rejected {
            reason: "too long".to_owned(),
        },
        Pending::Rejected {
            reason: " ".to_owned(),
        },
        Pending::StepBegins(StepId(2)),
    ];
    insta::assert_snapshot!(notes(&state, output).unwrap());
}
