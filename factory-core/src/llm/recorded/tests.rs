//! What a recording answers, what it refuses, and what is said of a file that is none. The behaviour behind the trait is
//! in the conformance suite, whole runs are in `tests/recorded.rs`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::redaction::{Known, Redaction};
use super::*;
use crate::llm::{EndReason, Message, ToolCall, Window, WindowBasis, collect};
use crate::model::Protocol;

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        factory: "0.1.0".to_owned(),
        model: RecordedModel {
            name: "ollama:qwen3:8b".to_owned(),
            protocol: Some(Protocol::Native),
            window: Some(Window {
                tokens: 8192,
                basis: WindowBasis::Verified,
            }),
        },
        run: json!({"goal": "Make the answer 42"}),
        project: Value::Null,
        environment: json!({}),
    }
}

fn reply(text: &str) -> Outcome {
    Outcome::Replied(Reply {
        text: text.to_owned(),
        thinking: String::new(),
        tool_calls: Vec::new(),
        tokens: TokenCount::default(),
        end: EndReason::Stop,
    })
}

fn failed(failure: LlmFailure, detail: &str) -> Outcome {
    Outcome::Failed {
        failure,
        detail: detail.to_owned(),
    }
}

fn request(messages: &[(Role, &str)]) -> ChatRequest {
    let messages = messages.iter().map(|(role, text)| Message::new(*role, *text));
    ChatRequest {
        messages: messages.collect(),
        max_tokens: 100,
        ..ChatRequest::default()
    }
}

type Prompt<'a> = &'a [(Role, &'a str)];

/// Returns the file of these calls.
fn file(known: &Known, calls: &[(Prompt<'_>, Outcome)]) -> String {
    let mut writer = RecordingWriter::begin(Vec::new(), Redaction::with(known), header()).unwrap();
    for ((messages, outcome), call) in calls.iter().zip(1..) {
        let call = CallToWrite {
            call,
            request: request(messages),
            as_sent: true,
            outcome: outcome.clone(),
            work_ms: 5,
        };
        writer.call(call).unwrap();
    }
    String::from_utf8(writer.finish().unwrap().0).unwrap()
}

fn play(file: &str, strictness: Strictness) -> RecordedLlm {
    let recording = Recording::read(file.as_bytes()).unwrap();
    RecordedLlm::new("recorded:x", "x", recording, strictness)
}

async fn ask(model: &RecordedLlm, messages: Prompt<'_>) -> Result<String, LlmError> {
    let stream = model.chat(request(messages)).await?;
    collect(stream, "test", |_| {}).await.map(|reply| reply.text)
}

const FIRST: Prompt<'static> = &[(Role::System, "be brief"), (Role::User, "go")];
const SECOND: Prompt<'static> = &[
    (Role::System, "be brief"),
    (Role::User, "go"),
    (Role::Assistant, "one"),
    (Role::User, "on, after 0.02s"),
];

#[tokio::test]
async fn the_same_prompt_has_the_same_answer_in_any_order_and_process() {
    let file = file(
        &Known::default(),
        &[(FIRST, reply("one")), (SECOND, reply("two"))],
    );
    for _ in 0..2 {
        let model = play(&file, Strictness::Strict);
        assert_eq!(ask(&model, SECOND).await.unwrap(), "two");
        assert_eq!(ask(&model, FIRST).await.unwrap(), "one");
        assert_eq!(ask(&model, FIRST).await.unwrap(), "one");
        let later = [&SECOND[..3], &[(Role::User, "on, after 1.7s")]].concat();
        assert_eq!(
            ask(&model, &later).await.unwrap(),
            "two",
            "a duration is of no account"
        );
    }
    let capabilities = play(&file, Strictness::Strict).capabilities();
    assert_eq!(capabilities.protocol, Some(Protocol::Native));
    assert_eq!(capabilities.context_window(), Some(8192));
    insta::assert_snapshot!(file);
}

#[tokio::test]
async fn a_prompt_that_differs_is_told_by_its_first_message_that_does() {
    let file = file(
        &Known::default(),
        &[(FIRST, reply("one")), (SECOND, reply("two"))],
    );
    let model = play(&file, Strictness::Strict);
    let cases: [(Prompt<'_>, &str); 5] = [
        (
            &[(Role::System, "be long"), (Role::User, "stop")],
            r#"call 1 in x in message 1: from byte 3 on "be brief" was recorded and "be long" is asked"#,
        ),
        (
            &[(Role::System, "be brief"), (Role::Tool, "go")],
            "call 1 in x in message 2: it was of User and is of Tool",
        ),
        (
            &[FIRST[0]],
            r#"call 1 in x in message 2: the prompt had 2 messages; this one is missing: "go""#,
        ),
        (
            &[FIRST[0], FIRST[1], (Role::User, "more")],
            r#"call 1 in x in message 3: the prompt had 2 messages; this one is more: "more""#,
        ),
        (
            &[FIRST[0], FIRST[1], (Role::Assistant, "uno"), SECOND[3]],
            r#"call 2 in x in message 3: from byte 0 on "one" was recorded and "uno" is asked"#,
        ),
    ];
    for (messages, expected) in cases {
        let error = ask(&model, messages).await.unwrap_err();
        assert!(
            matches!(error, LlmError::Differs { .. }) && !error.is_transient(),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
    }
    let mut longer = request(FIRST);
    longer.max_tokens = 50;
    let Err(error) = model.chat(longer).await else {
        panic!("another bound is another request")
    };
    assert!(
        error
            .to_string()
            .contains("a reply of 100 tokens was asked for, and now one of 50"),
        "{error}"
    );

    let loose = play(&file, Strictness::Loose);
    assert_eq!(ask(&loose, &[(Role::User, "whatever")]).await.unwrap(), "one");
    let after: Prompt<'_> = &[(Role::Assistant, "x"), (Role::Assistant, "y")];
    let error = ask(&loose, after).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the recording x: it holds no answer after 2 replies"),
        "{error}"
    );
}

#[tokio::test]
async fn failures_come_again_in_their_words_and_cuts_do_not() {
    let overflow = LlmError::ContextOverflow("it has 9 tokens".to_owned()).to_string();
    let calls = [
        (FIRST, failed(LlmFailure::Transient, "x is busy: later")),
        (FIRST, failed(LlmFailure::Cut, "the operator paused")),
        (FIRST, failed(LlmFailure::Overflow, &overflow)),
        (FIRST, failed(LlmFailure::Lost, "the process died")),
        (FIRST, failed(LlmFailure::Permanent, "x refused")),
        (FIRST, reply("one")),
    ];
    let model = play(&file(&Known::default(), &calls), Strictness::Strict);
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(match ask(&model, FIRST).await {
            Ok(text) => text,
            Err(error) => format!("{error} {}", error.is_transient()),
        });
    }
    assert_eq!(
        told,
        [
            "x is busy: later true",
            &format!("{overflow} false"),
            "x refused false",
            "one",
            "one"
        ]
    );
    let last = [(FIRST, failed(LlmFailure::Permanent, "x refused"))];
    let model = play(&file(&Known::default(), &last), Strictness::Strict);
    for _ in 0..2 {
        assert_eq!(ask(&model, FIRST).await.unwrap_err().to_string(), "x refused");
    }
    let none = [(FIRST, failed(LlmFailure::Cut, "the operator stopped"))];
    let model = play(&file(&Known::default(), &none), Strictness::Strict);
    assert!(matches!(
        ask(&model, FIRST).await,
        Err(LlmError::Recording { .. })
    ));
}

/// A directive after a cut call makes the next prompt another one, with the same number of replies before it.
#[tokio::test]
async fn of_calls_after_the_same_reply_the_one_that_was_asked_is_played() {
    let directed: Prompt<'_> = &[FIRST[0], FIRST[1], (Role::User, "use tabs")];
    let calls = [
        (FIRST, failed(LlmFailure::Transient, "x is busy")),
        (directed, reply("tabs")),
    ];
    let model = play(&file(&Known::default(), &calls), Strictness::Strict);
    assert_eq!(ask(&model, directed).await.unwrap(), "tabs");
    assert_eq!(ask(&model, FIRST).await.unwrap_err().to_string(), "x is busy");
}

#[tokio::test]
async fn what_was_taken_out_of_the_recording_may_stand_in_the_prompt() {
    let mut known = Known::default();
    known.secret("model key", "correct-horse-battery");
    known.home("/srv/ann");
    known.name("ann");
    let prompt: Prompt<'_> = &[(
        Role::User,
        "the key is correct-horse-battery, of ann, in /srv/ann/x; TOKEN=q7Zp2LxV9sT4bN8mKd3R",
    )];
    let file = file(&known, &[(prompt, reply("I write correct-horse-battery"))]);
    assert!(!file.contains("horse") && !file.contains("ann"), "{file}");
    let model = play(&file, Strictness::Strict);
    assert_eq!(ask(&model, prompt).await.unwrap(), "I write [removed: model key]");
    let elsewhere: Prompt<'_> = &[(
        Role::User,
        "the key is another, of bob, in /home/bob/x; TOKEN=m2Xw8RtY5uI7oP3aSd6F",
    )];
    assert!(ask(&model, elsewhere).await.is_ok());
    let other: Prompt<'_> = &[(Role::User, "the lock is another, of bob, in /home/bob/x; TOKEN=1")];
    assert!(matches!(ask(&model, other).await, Err(LlmError::Differs { .. })));
}

#[tokio::test]
async fn prompts_that_shrink_and_grow_come_back_whole() {
    let prompts: [Prompt<'_>; 5] = [
        FIRST,
        SECOND,
        &[FIRST[0], (Role::User, "go\n\nforgotten"), SECOND[3]],
        &[
            FIRST[0],
            (Role::User, "go\n\nforgotten"),
            SECOND[3],
            (Role::User, "more"),
        ],
        &[],
    ];
    let calls: Vec<_> = prompts.iter().map(|prompt| (*prompt, reply("x"))).collect();
    let recording = Recording::read(file(&Known::default(), &calls).as_bytes()).unwrap();
    for (place, prompt) in prompts.iter().enumerate() {
        let read = recording.prompt(place);
        let read: Vec<_> = read
            .iter()
            .map(|message| (message.role, recording.text(message).text.as_str()))
            .collect();
        assert_eq!(read, *prompt);
    }
}

#[test]
fn a_reply_comes_as_the_model_gave_it() {
    let reply = Reply {
        text: "so".to_owned(),
        thinking: "hm".to_owned(),
        tool_calls: vec![ToolCall {
            id: "a".to_owned(),
            name: "f".to_owned(),
            arguments: "{broken".to_owned(),
        }],
        tokens: TokenCount {
            prompt: Some(3),
            ..TokenCount::default()
        },
        end: EndReason::Length,
    };
    let written = serde_json::to_string(&Outcome::Replied(reply.clone())).unwrap();
    assert_eq!(
        serde_json::from_str::<Outcome>(&written).unwrap(),
        Outcome::Replied(reply.clone())
    );
    assert_eq!(pieces(reply).last(), Some(&Delta::End(EndReason::Length)));
}

#[track_caller]
fn check_error(file: &str, expected: &str) {
    let error = Recording::read(file.as_bytes()).unwrap_err();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn a_file_that_is_no_recording_is_told_what_is_wrong() {
    let whole = file(
        &Known::default(),
        &[(FIRST, reply("one")), (SECOND, reply("two"))],
    );
    let lines: Vec<&str> = whole.lines().collect();
    check_error(
        "",
        "is empty; a recording is a file that `factory export RUN` wrote",
    );
    for foreign in [
        r#"{"replies": []}"#,
        "\u{0}\u{1}",
        "{}",
        "[1]",
        r#"{"recording": 3}"#,
    ] {
        check_error(foreign, "is no recording; a recording is a file that");
    }
    check_error(&whole.replacen(FORMAT, "other", 1), r#"is of the format "other""#);
    check_error(
        &whole.replacen("\"version\":1", "\"version\":2", 1),
        "is of version 2 of its format, and this factory reads version 1; use factory 0.1.0 or newer",
    );
    check_error(
        &whole.replacen("\"model\"", "\"modell\"", 1),
        "line 1 cannot be read: missing field `model`",
    );
    for kept in 1..lines.len() {
        check_error(&lines[..kept].join("\n"), "breaks off after line");
    }
    check_error(&whole[..whole.len() - 10], "cannot be read: EOF");
    check_error(
        &whole.replacen("{\"text\"", "{\"tekst\"", 1),
        "line 2 cannot be read: unknown variant `tekst`",
    );
    check_error(
        &whole.replacen("\"kept\":2", "\"kept\":3", 1),
        "call 2 keeps 3 messages of the call before, which has 2",
    );
    let gone: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != 1)
        .map(|(_, line)| *line)
        .collect();
    check_error(&gone.join("\n"), "which stands nowhere before");
    check_error(
        &whole.replacen("\"calls\":2", "\"calls\":3", 1),
        "tells of 3 calls and 0 events, and 2 and 0 are there",
    );
    check_error(&format!("{whole}{}", lines[0]), "goes on after its end");
    check_error(&format!("{}\n{whole}", lines[0]), "begins a second recording");
    check_error(
        &"x".repeat(usize::try_from(LINE_BYTES).unwrap() + 2),
        "line 1 is longer than",
    );
    let newer = whole.replacen("\"call\":{", "\"call\":{\"of_tomorrow\":1,", 1);
    Recording::read(newer.as_bytes()).unwrap();
}

#[test]
fn a_path_that_is_no_file_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(FILE_BYTES + 1)
        .unwrap();
    let cases = [
        (folder.path().to_owned(), "is not a regular file"),
        (folder.path().join("none"), "cannot be opened"),
        (large, "bytes, and at most"),
    ];
    for (path, expected) in cases {
        let error = RecordedLlm::from_file("recorded:x", &path, Strictness::Strict).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&path.display().to_string()) && text.contains(expected),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd_for_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Recording::read(bytes.as_slice());
    }

    #[test]
    fn a_damaged_file_is_refused_or_read(place in 0..4000_usize, byte in any::<u8>(), cut in 0..4000_usize) {
        let mut bytes = file(&Known::default(), &[(FIRST, reply("one")), (SECOND, reply("two"))]).into_bytes();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(recording) = Recording::read(bytes.as_slice()) {
            for place in 0..recording.calls.len() {
                prop_assert_eq!(recording.prompt(place).len(), recording.lengths[place]);
            }
        }
        bytes.truncate(cut);
        let _ = Recording::read(bytes.as_slice());
    }
}
