//! Runs of models that cannot call tools and are led act by act, in plain text and bound to a schema.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use factory_core::llm::scripted::{Script, ScriptReply};
use factory_core::model::{ApprovalPolicy, EventKind, Protocol, Run, RunSpec, RunStatus, StatusReason};

use self::workshop::history::{assert_lawful, names};
use self::workshop::{CHECK, Workshop, small_repository};

const ANSWER: &str = "FILE: answer.txt\n```\n42\n```";

async fn led_in(shop: &Workshop, protocol: Protocol) -> Run {
    let run = shop
        .submit_with(RunSpec {
            model: "script".to_owned(),
            approval: ApprovalPolicy::Unattended,
            protocol: Some(protocol),
            ..RunSpec::default()
        })
        .await;
    let done = shop.factory.drive(run.id).await.unwrap();
    assert_lawful(&shop.events(run.id).await);
    done
}

async fn led(script: Script) -> (Workshop, Run) {
    let shop = Workshop::with(script).await;
    let done = led_in(&shop, Protocol::Text).await;
    (shop, done)
}

async fn check_complete(script: Script) {
    let (shop, done) = led(script).await;
    let events = shop.events(done.id).await;
    assert_eq!(
        done.status,
        RunStatus::Complete,
        "{:?} {}",
        done.detail,
        names(&events)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_act_that_turns_the_checks_green_is_a_run() {
    let script = Script::new().reply(
        ScriptReply::text(ANSWER)
            .expect_contains("The check fails:\n$ sh check.sh")
            .expect_contains("answer.txt:\n```\n41\n```")
            .expect_contains("The goal:\nMake the answer 42"),
    );
    let (shop, done) = led(script).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    insta::assert_snapshot!(shop.types(done.id).await.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_bound_to_a_schema_is_led_alike() {
    let act = r#"{"act":"file","path":"answer.txt","lines":["42"]}"#;
    let shop = Workshop::with(Script::new().reply(ScriptReply::text(act))).await;
    let done = led_in(&shop, Protocol::Schema).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn red_checks_and_answers_without_an_act_go_back_to_the_model() {
    let script = Script::new()
        .reply(ScriptReply::text("Certainly! I will change the file."))
        .reply(
            ScriptReply::text("FILE: answer.txt\n```\n43\n```")
                .expect_contains("Your answer holds no act.")
                .expect_contains("FILE: notes/todo.md"),
        )
        .reply(ScriptReply::text(ANSWER).expect_contains("The check fails:"));
    check_complete(script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_nothing_is_shown_once_and_then_left_out() {
    let same = ScriptReply::text("FILE: answer.txt\n```\n41\n```");
    let script = Script::new()
        .reply(same.clone())
        .reply(same.expect_contains("would not change"))
        .reply(ScriptReply::text(ANSWER));
    let (shop, done) = led(script).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let temperatures: Vec<Option<f64>> = shop
        .events(done.id)
        .await
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::LlmRequested(requested) => Some(requested.sampling.temperature.map(f64::from)),
            _ => None,
        })
        .collect();
    assert_eq!(temperatures, [Some(0.2), Some(0.4), Some(0.6)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_and_the_files_of_the_examples_are_not_touched() {
    let script = Script::new()
        .reply(ScriptReply::text("FILE: check.sh\n```\nexit 0\n```"))
        .reply(ScriptReply::text("FILE: theme.css\n```\nh1 {}\n```").expect_contains("belongs to the checks"))
        .reply(ScriptReply::text(ANSWER).expect_contains("it was an example"));
    check_complete(script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_alone_takes_its_place_in_the_file() {
    let mut files = small_repository();
    files.push((
        "answer.py",
        "def other():\n    return 1\n\n\ndef answer():\n    return 41\n".to_owned(),
    ));
    let shop = Workshop::in_repository(
        Script::new().reply(ScriptReply::text(
            "FILE: answer.py\n```python\ndef answer():\n    return 42\n```",
        )),
        &["grep -rq 'return 42' --include=*.py . && grep -rq 'return 1' --include=*.py ."],
        &files,
    )
    .await;
    let done = led_in(&shop, Protocol::Text).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn green_checks_do_not_end_a_run_that_began_green() {
    let script = Script::new()
        .reply(ScriptReply::text("FILE: notes.txt\n```\nx\n```").expect_contains("The check passes:"))
        .reply(ScriptReply::text("DONE: noted").expect_contains("answer DONE"));
    let shop = Workshop::in_repository(script, &["true"], &small_repository()).await;
    let done = led_in(&shop, Protocol::Text).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_never_understood_is_parked() {
    let mut script = Script::new();
    for word in ["one", "two", "three", "four"] {
        script = script.reply(ScriptReply::text(word));
    }
    let (_shop, done) = led(script).await;
    assert_eq!(
        (done.status, done.reason),
        (RunStatus::Paused, Some(StatusReason::Stuck))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_printed_into_the_text_are_carried_out() {
    let write = r#"{"name": "write_file", "arguments": {"path": "answer.txt", "content": "42\n"}}"#;
    let script = Script::new()
        .reply(ScriptReply::text(
            "```json\n{\"name\": \"update_plan\", \"arguments\": {\"steps\": [\"Answer\"]}}\n```",
        ))
        .reply(ScriptReply::text(format!("<tool_call>{write}</tool_call>")))
        .reply(ScriptReply::text(
            r#"{"name": "finish_step", "arguments": {"summary": "done"}}"#,
        ));
    let shop = Workshop::with_checks(script, &[CHECK]).await;
    let done = led_in(&shop, Protocol::Native).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_changes_with_the_file_and_with_what_failed() {
    let mut files = small_repository();
    files.push(("long.txt", "a line\n".repeat(400)));
    let missing = "EDIT: long.txt\n<<<<<<< SEARCH\nno such line\n=======\nx\n>>>>>>> REPLACE";
    let small = "EDIT: answer.txt\n<<<<<<< SEARCH\nno such line\n=======\nx\n>>>>>>> REPLACE";
    let script = Script::new()
        .reply(ScriptReply::text(missing))
        .reply(
            ScriptReply::text("FILE: long.txt\n```\nshort\n```")
                .expect_contains("Answer with EDIT: long.txt"),
        )
        .reply(ScriptReply::text(small).expect_contains("Answer with EDIT: long.txt"))
        .reply(ScriptReply::text(ANSWER).expect_contains("Answer with FILE: answer.txt"));
    let shop = Workshop::in_repository(script, &[CHECK], &files).await;
    let done = led_in(&shop, Protocol::Text).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_copied_leaves_the_prompt() {
    let copy = "FILE: answer.txt\n```\n41\n```\n\nFILE: check.sh\n```\n#\n```";
    let script = Script::new()
        .reply(ScriptReply::text(copy).expect_contains("answer.txt:\n```\n41"))
        // Only the messages after the last reply count as new, so that an opening that is seen again was sent alone.
        .reply(
            ScriptReply::text(ANSWER)
                .expect_contains("The goal:")
                .expect_contains("greet.py is changed. Now another repository.")
                .expect_absent("answer.txt:\n```\n41"),
        );
    check_complete(script).await;
}
