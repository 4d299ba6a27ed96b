//! What a script plays, and what is said of a file that is none. The behaviour behind the trait is in the conformance
//! suite.

use serde_json::json;

use super::*;
use crate::llm::{Reply, collect};

fn request(messages: &[(Role, &str)]) -> ChatRequest {
    ChatRequest {
        messages: messages
            .iter()
            .map(|(role, text)| Message::new(*role, *text))
            .collect(),
        max_tokens: 100,
        ..ChatRequest::default()
    }
}

async fn ask(model: &ScriptedLlm, messages: &[(Role, &str)]) -> Result<Reply, String> {
    let stream = model
        .chat(request(messages))
        .await
        .map_err(|error| error.to_string())?;
    collect(stream, "test", |_| {})
        .await
        .map_err(|error| error.to_string())
}

fn parse_error(json: &str) -> String {
    ScriptedLlm::from_json("s", json).unwrap_err().to_string()
}

#[tokio::test]
async fn a_fresh_process_goes_on_where_the_old_one_was() {
    let script = Script::new()
        .reply(ScriptReply::text("one"))
        .reply(ScriptReply::text("two"));
    let after_one = [(Role::User, "go"), (Role::Assistant, "one"), (Role::User, "on")];
    let old = ScriptedLlm::new("s", script.clone());
    assert_eq!(ask(&old, &[(Role::User, "go")]).await.unwrap().text, "one");
    let fresh = ScriptedLlm::from_json("s", &script.to_json()).unwrap();
    assert_eq!(ask(&fresh, &after_one).await.unwrap().text, "two");
    assert_eq!(ask(&fresh, &after_one).await.unwrap().text, "two");
}

#[tokio::test]
async fn the_end_of_the_script_is_an_error_unless_the_last_reply_repeats() {
    let script = Script::new().reply(ScriptReply::text("one"));
    let beyond = [(Role::Assistant, "one"), (Role::Assistant, "one")];
    assert_eq!(
        ask(&ScriptedLlm::new("s", script.clone()), &beyond).await,
        Err(
            "the scripted model s: has 1 replies and was asked for reply 3; add replies, or say \"then\": \
             \"repeat_last\""
                .to_owned()
        )
    );
    assert_eq!(
        ask(&ScriptedLlm::new("s", script.repeat_last()), &beyond)
            .await
            .unwrap()
            .text,
        "one"
    );
}

#[tokio::test]
async fn only_the_new_messages_are_looked_at() {
    let script = Script::new().reply(ScriptReply::text("one")).reply(
        ScriptReply::text("two")
            .expect_contains("passed")
            .expect_contains("12")
            .expect_absent("error"),
    );
    let model = ScriptedLlm::new("s", script);
    let after = |first, text| {
        [
            (Role::User, first),
            (Role::Assistant, "one"),
            (Role::Tool, text),
            (Role::User, "12"),
        ]
    };
    assert_eq!(ask(&model, &after("error", "passed")).await.unwrap().text, "two");
    assert_eq!(
        ask(&model, &after("passed", "nothing")).await,
        Err(
            "the scripted model s: reply 2 expects \"passed\" in the new messages, and it is not there"
                .to_owned()
        )
    );
    assert_eq!(
        ask(&model, &after("", "passed, error")).await,
        Err(
            "the scripted model s: reply 2 expects no \"error\" in the new messages, and it is there"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn a_failure_is_played_so_often() {
    let script = Script::new().reply(ScriptReply::text("one").fail_times(FailureKind::Busy, 2));
    let model = ScriptedLlm::new("s", script);
    for _ in 0..2 {
        assert_eq!(
            ask(&model, &[]).await,
            Err("s is busy: reply 1 is told to be busy".to_owned())
        );
    }
    for _ in 0..2 {
        assert_eq!(ask(&model, &[]).await.unwrap().text, "one");
    }
}

#[tokio::test(start_paused = true)]
async fn the_waits_are_kept() {
    let script = Script::new().reply(ScriptReply::text("x".repeat(PIECE_CHARACTERS * 2)).delays(1000, 10));
    let model = ScriptedLlm::new("s", script);
    let start = tokio::time::Instant::now();
    let mut at = Vec::new();
    let stream = model.chat(request(&[])).await.unwrap();
    collect(stream, "test", |_| at.push(start.elapsed().as_millis()))
        .await
        .unwrap();
    assert_eq!(at, [1000, 1010, 1020]);
}

#[test]
fn a_script_survives_being_written() {
    let script = Script::new()
        .reply(
            ScriptReply::tool_call("f", json!({"x": 1}))
                .and_tool_call("g", ScriptArguments::raw("{"))
                .thinking("hm")
                .tokens(1, 2)
                .end(EndReason::Length)
                .delays(1, 2)
                .expect_contains("a")
                .expect_absent("b")
                .fail_always(FailureKind::Broken),
        )
        .repeat_last();
    assert_eq!(serde_json::from_str::<Script>(&script.to_json()).unwrap(), script);
}

#[test]
fn text_is_cut_between_characters() {
    let text = "ä".repeat(PIECE_CHARACTERS + 1);
    assert_eq!(
        cut(&text).collect::<Vec<_>>(),
        ["ä".repeat(PIECE_CHARACTERS), "ä".to_owned()]
    );
    assert_eq!(cut("").count(), 0);
}

#[test]
fn what_is_no_script_is_told_where_and_why() {
    for (json, expect) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (
            "{\"replies\":\n[{\"txt\": \"\"}]}",
            "unknown field `txt`, expected one of",
        ),
        (r#"{"replies":[], "extra": 1}"#, "unknown field `extra`"),
        (
            r#"{"replies":[{"tool_calls":[{"name":"f","arguments":[]}]}]}"#,
            "arguments must be an object, or a string",
        ),
        (r#"{"replies":[{"tokens":{"promt":1}}]}"#, "unknown field `promt`"),
        (
            r#"{"replies":[{"expect":{"contain":["x"]}}]}"#,
            "unknown field `contain`",
        ),
        (
            r#"{"replies":[{"fail":{"kind":"late"}}]}"#,
            "unknown variant `late`",
        ),
    ] {
        let error = parse_error(json);
        assert!(
            error.starts_with("the scripted model s: is no script: ") && error.contains(expect),
            "{error}"
        );
        assert!(error.ends_with(SHAPE), "{error}");
    }
    assert!(parse_error("{\"replies\":\n[{\"txt\": \"\"}]}").contains("at line 2 column 7"));
    assert_eq!(
        parse_error(r#"{"replies":[]}"#),
        format!("the scripted model s: has no replies; {SHAPE}")
    );
}

#[test]
fn a_file_is_named_with_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let large = file("large", b"");
    OpenOptions::new()
        .write(true)
        .open(&large)
        .unwrap()
        .set_len(SCRIPT_BYTES + 1)
        .unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for (path, expect) in [
        (folder.path().join("missing"), "cannot be opened: No such file"),
        (folder.path().to_owned(), "is not a regular file"),
        (pipe, "is not a regular file"),
        (large, "is larger than the 16777216 bytes that a script may have"),
        (file("binary", b"\xff\xfe"), "is not UTF-8 text"),
        (
            file("broken", b"{\n"),
            "is no script: EOF while parsing an object at line 2 column 0",
        ),
    ] {
        let error = ScriptedLlm::from_file(&path).unwrap_err();
        let expect = format!("the scripted model {}: {expect}", path.display());
        assert!(error.to_string().starts_with(&expect), "{error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn the_name_is_the_script_s_or_what_the_operator_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    std::fs::write(&path, r#"{"replies":[{}]}"#).unwrap();
    assert_eq!(
        ScriptedLlm::from_file(&path).unwrap().name(),
        format!("scripted:{}", path.display())
    );
    std::fs::write(&path, r#"{"name":"tutor","replies":[{}]}"#).unwrap();
    assert_eq!(ScriptedLlm::from_file(&path).unwrap().name(), "tutor");
}
