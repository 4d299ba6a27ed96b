//! Exported runs: a run plays again elsewhere and comes to the same, nothing secret leaves, and a file is whole or not
//! there.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test fails"
)]

mod workshop;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use factory_core::factory::{Existing, Exported, Sockets};
use factory_core::llm::conformance::LlmHarness;
use factory_core::llm::endpoint::{Endpoint, EndpointKind};
use factory_core::llm::recorded::redaction::Redaction;
use factory_core::llm::recorded::{
    CallToWrite, FORMAT, Header, Line, Outcome, RecordedLlm, RecordedModel, Recording, RecordingWriter,
    Strictness, VERSION,
};
use factory_core::llm::scripted::{FailureKind, Script, ScriptReply};
use factory_core::llm::server::Secret;
use factory_core::llm::{ChatRequest, EndReason, Llm, LlmError, Message, Reply, Role, ToolCall};
use factory_core::model::{ApprovalPolicy, Event, Protocol, Run, RunId, RunSpec, RunStatus};
use factory_core::{Error, llm_conformance};
use serde_json::{Value, json};
use workshop::crash::Windowed;
use workshop::history::{assert_lawful, count};
use workshop::{
    CHECK, Workshop, command, finish, git, make_repository, plan, right, scripted, small_repository, sockets,
    wrong_then_right,
};

async fn export(shop: &Workshop, run: RunId) -> (PathBuf, Exported) {
    let path = shop.folder.path().join("run.jsonl");
    let exported = shop
        .factory
        .reader()
        .export(run, &path, Existing::Kept)
        .await
        .unwrap();
    (path, exported)
}

/// Plays a recording in another data folder, on a copy of the repository at another path.
async fn replay(origin: &Workshop, file: &Path, approval: ApprovalPolicy) -> (Workshop, Run) {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repository");
    git(
        folder.path(),
        &[
            "clone",
            "--quiet",
            &origin.repository().display().to_string(),
            "repository",
        ],
    );
    let factory = workshop::open_with(folder.path(), Sockets::default()).await;
    let checks: Vec<&str> = origin
        .project
        .settings
        .checks
        .iter()
        .map(String::as_str)
        .collect();
    let project = workshop::add_project(&factory, &repository, &checks).await;
    let shop = Workshop {
        folder,
        factory,
        project,
    };
    let run = shop
        .submit_with(RunSpec {
            model: format!("recorded:{}", file.display()),
            approval,
            ..RunSpec::default()
        })
        .await;
    let run = shop.factory.drive(run.id).await.unwrap();
    (shop, run)
}

/// Returns what an event says, without what depends on the moment and the place: times, ids of commits (which hold
/// times), and the model's name.
fn told(event: &Event) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for name in [
                    "work_ms",
                    "model",
                    "worker",
                    "at",
                    "fingerprint",
                    "prompt_hash",
                    "commit",
                    "parent",
                ] {
                    map.remove(name);
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = json!([
        event.kind.type_name(),
        event.actor,
        event.step_id,
        event.cause,
        event.payload()
    ]);
    strip(&mut value);
    if event.kind.type_name() == "LLM_FAILED" {
        // What had come of a reply before it broke off was not stored, so it does not come again.
        value[4]["usage"] = Value::Null;
    }
    value
}

async fn assert_same(one: (&Workshop, RunId), other: (&Workshop, RunId)) {
    let (one, other) = (one.0.events(one.1).await, other.0.events(other.1).await);
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(told(one).to_string(), told(other).to_string());
    }
    assert_eq!(one.len(), other.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_plays_again_elsewhere_and_comes_to_the_same() {
    let script = Script::new()
        .reply(
            plan(&["Look", "Change the answer"])
                .thinking("first a plan")
                .tokens(100, 20),
        )
        .reply(command(
            "ls -a; cat answer.txt; pwd; echo $HOME; git log -1 || true",
        ))
        .reply(ScriptReply::tool_call("git_log", json!({})).fail_times(FailureKind::Busy, 1))
        .reply(finish("looked"))
        .reply(ScriptReply::text("I think that it is done").fail_times(FailureKind::Broken, 2))
        .reply(ScriptReply::text("half a sen").end(EndReason::Length))
        .reply(ScriptReply::tool_call("git_diff", json!({})))
        .reply(workshop::write("answer.txt", "43\n"))
        .reply(ScriptReply::tool_call(
            "read_file",
            json!({"path": "../../etc/passwd"}),
        ))
        .reply(finish("wrong"))
        .reply(right());
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Unattended).await;
    assert_eq!(run.status, RunStatus::Complete, "{:?}", run.detail);
    let events = shop.events(run.id).await;
    assert_eq!(count(&events, "LLM_FAILED"), 3, "{:?}", shop.types(run.id).await);

    let (file, exported) = export(&shop, run.id).await;
    assert_eq!(exported.calls, count(&events, "LLM_REQUESTED") as u64);
    assert_eq!(exported.events, events.len() as u64);
    assert_eq!(exported.calls_told_anew, 0, "every prompt is told to the byte");
    assert_eq!(exported.bytes, std::fs::metadata(&file).unwrap().len());

    let (again, rerun) = replay(&shop, &file, ApprovalPolicy::Unattended).await;
    assert_eq!(rerun.status, RunStatus::Complete, "{:?}", rerun.detail);
    assert_lawful(&again.events(rerun.id).await);
    let tree = |shop: &Workshop, run: &Run| {
        shop.git(&["rev-parse", &format!("{}^{{tree}}", run.branch.as_ref().unwrap())])
    };
    assert_eq!(tree(&shop, &run), tree(&again, &rerun));
    assert_same((&shop, run.id), (&again, rerun.id)).await;

    // The replay of a replay is one as well.
    let (second, _) = export(&again, rerun.id).await;
    let (third, run) = replay(&shop, &second, ApprovalPolicy::Unattended).await;
    assert_eq!(run.status, RunStatus::Complete, "{:?}", run.detail);
    assert_same((&again, rerun.id), (&third, run.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_prompts_were_cut_to_a_small_window_plays_again() {
    let mut script = Script::new().reply(plan(&["Change the answer"]));
    for line in 0..12 {
        script = script.reply(command(&format!("seq {line} 700")));
    }
    let model = Windowed {
        inner: scripted(script.reply(right())),
        window: 6000,
    };
    let shop = Workshop::make(sockets(Arc::new(model)), &[CHECK], &small_repository()).await;
    let run = shop.run(ApprovalPolicy::Unattended).await;
    assert_eq!(run.status, RunStatus::Complete, "{:?}", run.detail);
    assert!(count(&shop.events(run.id).await, "CONTEXT_COMPACTED") > 0);
    let (file, exported) = export(&shop, run.id).await;
    assert_eq!(exported.calls_told_anew, 0);
    let (again, rerun) = replay(&shop, &file, ApprovalPolicy::Unattended).await;
    assert_eq!(rerun.status, RunStatus::Complete, "{:?}", rerun.detail);
    assert_same((&shop, run.id), (&again, rerun.id)).await;
}

/// A model that prints its calls is read again: the recording holds its text alone.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_read_out_of_the_text_are_read_again() {
    let call = |name: &str, arguments: Value| {
        ScriptReply::text(format!(
            "```json\n{}\n```",
            json!({"name": name, "arguments": arguments})
        ))
    };
    let script = Script::new()
        .reply(call("update_plan", json!({"steps": ["Change the answer"]})))
        .reply(call(
            "write_file",
            json!({"path": "answer.txt", "content": "42\n"}),
        ))
        .reply(call("finish_step", json!({"summary": "changed it"})));
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Unattended).await;
    assert_eq!(run.status, RunStatus::Complete, "{:?}", run.detail);
    let (file, _) = export(&shop, run.id).await;
    for line in lines(&file) {
        if let Line::Call(call) = line
            && let Outcome::Replied(reply) = call.outcome
        {
            assert_eq!(reply.tool_calls, [], "{}", reply.text);
        }
    }
    let (again, rerun) = replay(&shop, &file, ApprovalPolicy::Unattended).await;
    assert_same((&shop, run.id), (&again, rerun.id)).await;
}

/// The model that is led sees its prompts in another form.
#[tokio::test(flavor = "multi_thread")]
async fn a_led_run_plays_again() {
    let script = Script::new()
        .reply(ScriptReply::text("I do not know what to do"))
        .reply(ScriptReply::text("answer.txt\n```\n43\n```"))
        .reply(ScriptReply::text("answer.txt\n```\n42\n```"))
        .repeat_last();
    let shop = Workshop::with(script).await;
    let spec = RunSpec {
        model: "script".to_owned(),
        approval: ApprovalPolicy::Ask,
        protocol: Some(Protocol::Text),
        ..RunSpec::default()
    };
    let run = shop.submit_with(spec).await;
    let run = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::AwaitingApproval, "{:?}", run.detail);
    let (file, exported) = export(&shop, run.id).await;
    assert!(exported.calls >= 2, "{exported:?}");
    assert_eq!(exported.calls_told_anew, 0);
    let (again, rerun) = replay(&shop, &file, ApprovalPolicy::Ask).await;
    assert_eq!(rerun.status, RunStatus::AwaitingApproval, "{:?}", rerun.detail);
    assert_eq!(shop.offered(run.id).await, again.offered(rerun.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_is_told_by_the_message_that_differs() {
    let shop = Workshop::with(wrong_then_right()).await;
    let run = shop.run(ApprovalPolicy::Unattended).await;
    let (file, _) = export(&shop, run.id).await;
    std::fs::write(shop.repository().join("answer.txt"), "40\n").unwrap();
    shop.git(&["commit", "--quiet", "--all", "--message=other"]);
    let (_again, rerun) = replay(&shop, &file, ApprovalPolicy::Unattended).await;
    assert_eq!(rerun.status, RunStatus::Paused);
    let detail = rerun.detail.unwrap();
    assert!(
        detail.contains(r"41\n") && detail.contains("was recorded") && detail.contains(r"40\n"),
        "{detail}"
    );
    assert!(
        detail.contains("differs from call 1") && detail.contains("recorded-loose:"),
        "{detail}"
    );
}

/// A process that dies goes on in the next one, and a recording does so with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_in_another_process() {
    let shop = Workshop::with(wrong_then_right()).await;
    let run = shop.run(ApprovalPolicy::Unattended).await;
    let (file, _) = export(&shop, run.id).await;
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repository");
    make_repository(&repository, &small_repository());
    let mut id = None;
    // Each factory stops after one more reply, until the run is done.
    for calls in 1..20 {
        let factory = workshop::open_with(folder.path(), Sockets::default()).await;
        if id.is_none() {
            let project = workshop::add_project(&factory, &repository, &[CHECK]).await;
            let submit = factory_core::factory::Submit {
                project: project.name,
                goal: "Make the answer 42".to_owned(),
                spec: RunSpec {
                    model: format!("recorded:{}", file.display()),
                    approval: ApprovalPolicy::Unattended,
                    ..RunSpec::default()
                },
                priority: 0,
            };
            id = Some(factory.submit(submit).await.unwrap().id);
        }
        let id = id.unwrap();
        let working = tokio::spawn({
            let factory = factory.clone();
            async move { factory.drive(id).await }
        });
        let reader = factory.reader().clone();
        while !working.is_finished() {
            if reader.row(id).await.unwrap().usage.calls >= calls {
                break;
            }
            tokio::task::yield_now().await;
        }
        factory.shutdown().await;
        // The store may be closed before the one who waits looks into it.
        let Ok(row) = working.await.unwrap() else { continue };
        if row.status == RunStatus::Complete {
            assert_eq!(row.usage.calls, run.usage.calls);
            return;
        }
        assert_eq!(row.status, RunStatus::Queued, "{:?}", row.detail);
    }
    panic!("the run is never done");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_leaves_with_the_file() {
    let token = ["ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].concat();
    let mut files = small_repository();
    files.push((
        ".env",
        format!("DB_PASSWORD=correcthorse\nGITHUB_TOKEN={token}\n"),
    ));
    let script = Script::new()
        .reply(plan(&["Change the answer"]))
        .reply(command(
            "cat .env; base64 -w0 .env; od -An -v -tx1 .env | tr -d ' \\n'; echo of-ann-marie in /srv/ann-marie/x",
        ))
        .reply(right());
    let host = |folder: &Path| {
        let mut settings = factory_core::Settings::new(folder.join("data"), workshop::host());
        settings.operator = "ann-marie".to_owned();
        settings.host.home = "/srv/ann-marie".into();
        settings
            .host
            .variables
            .insert("CI_SECRET".to_owned(), "is the result of".to_owned());
        let mut endpoint = Endpoint::new(EndpointKind::OpenAi, "https://api.example/v1");
        endpoint.key = Some(Secret::new("Make the answer"));
        settings.endpoints.insert("work", endpoint).unwrap();
        settings
    };
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repository");
    make_repository(&repository, &files);
    let factory = factory_core::Factory::open_with(host(folder.path()), sockets(scripted(script)))
        .await
        .unwrap();
    let project = workshop::add_project(&factory, &repository, &[CHECK]).await;
    let shop = Workshop {
        folder,
        factory,
        project,
    };
    let run = shop.run(ApprovalPolicy::Ask).await;
    let (file, exported) = export(&shop, run.id).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let folder = shop.folder.path().display().to_string();
    for secret in [
        &token,
        "correcthorse",
        "ann-marie",
        "Make the answer",
        "Z2hwX2ExQjJj",
        "6768705f6131",
        &folder,
    ] {
        let at = text.find(secret).map(|at| &text[at.saturating_sub(60)..at + 20]);
        assert_eq!(at, None, "{secret}");
    }
    let kinds: Vec<&str> = exported.removed.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["github token", "home", "model key", "name", "password"],
        "{:?}",
        exported.removed
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let Some(Line::End(end)) = lines(&file).pop() else {
        panic!("no end")
    };
    assert_eq!(end.removed, exported.removed);
    // And it still plays, where the key is not known.
    let (_again, rerun) = replay(&shop, &file, ApprovalPolicy::Ask).await;
    assert_eq!(rerun.status, RunStatus::AwaitingApproval, "{:?}", rerun.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_tells_what_a_report_needs() {
    let shop = Workshop::with(wrong_then_right()).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let (file, _) = export(&shop, run.id).await;
    let lines = lines(&file);
    let Line::Recording(header) = &lines[0] else {
        panic!("no header")
    };
    assert_eq!(header.run["goal"], "Make the answer 42");
    assert_eq!(header.run["status"], "AWAITING_APPROVAL");
    assert_eq!(header.run["base_commit"], shop.git(&["rev-parse", "HEAD"]).trim());
    assert_eq!(header.project["checks"], json!([CHECK]));
    assert!(
        header.environment["git"].as_str().unwrap().contains("git"),
        "{:?}",
        header.environment
    );
    assert!(
        header.environment["sandbox"]["level"].is_string(),
        "{:?}",
        header.environment
    );
    // Every hash of a text in an event is one of a text in the file, or taken out.
    let mut texts = BTreeMap::new();
    for line in &lines {
        match line {
            Line::Text(text) => {
                texts.insert(text.id.clone(), text.text.clone());
            }
            Line::Event(event) if event["type"] == "CHECK_FINISHED" => {
                let output = event["payload"]["results"][0]["output"].as_str().unwrap();
                assert!(texts.contains_key(output), "{event}");
            }
            _ => {}
        }
    }
    assert!(texts.values().any(|text| text.contains("the answer is 43")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_stays_unless_it_is_to_go() {
    let shop = Workshop::with(wrong_then_right()).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let (file, first) = export(&shop, run.id).await;
    std::fs::write(&file, "mine").unwrap();
    let reader = shop.factory.reader();
    let refused = reader.export(run.id, &file, Existing::Kept).await;
    assert!(
        matches!(&refused, Err(Error::BadInput(text)) if text.contains("--force")),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let second = reader.export(run.id, &file, Existing::Replaced).await.unwrap();
    assert_eq!(second, first);
    let folder = shop.folder.path();
    for (path, expected) in [
        (folder.to_owned(), "is a folder"),
        (folder.join("none/x"), "cannot write"),
    ] {
        let error = reader
            .export(run.id, &path, Existing::Replaced)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let nowhere = reader.export(RunId(99), &folder.join("y"), Existing::Kept).await;
    assert!(matches!(nowhere, Err(Error::Store(_))), "{nowhere:?}");
    let left = std::fs::read_dir(folder).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().to_string_lossy().contains("factory-export"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn lines(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Plays a script as a recording. What only a live server can do, such as failing by its own will, is left out.
struct Recorded;

#[async_trait]
impl LlmHarness for Recorded {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            factory: String::new(),
            model: RecordedModel::default(),
            run: Value::Null,
            project: Value::Null,
            environment: Value::Null,
        };
        let mut writer = RecordingWriter::begin(Vec::new(), Redaction::of_any_machine(), header).unwrap();
        for (replies, reply) in script.replies.iter().enumerate() {
            let calls = reply.tool_calls.iter().enumerate().map(|(index, call)| ToolCall {
                id: format!("call-{replies}-{index}"),
                name: call.name.clone(),
                arguments: call.arguments.to_text(),
            });
            let natural = if reply.tool_calls.is_empty() {
                EndReason::Stop
            } else {
                EndReason::ToolCalls
            };
            let outcome = Outcome::Replied(Reply {
                text: reply.text.clone(),
                thinking: reply.thinking.clone(),
                tool_calls: calls.collect(),
                tokens: reply.tokens,
                end: reply.end.unwrap_or(natural),
            });
            let call = CallToWrite {
                call: replies as u64 + 1,
                request: ChatRequest {
                    messages: vec![Message::new(Role::User, "go")],
                    replies_before: Some(replies),
                    ..ChatRequest::default()
                },
                as_sent: true,
                outcome,
                work_ms: 0,
            };
            writer.call(call).unwrap();
        }
        let (file, _) = writer.finish().unwrap();
        let recording = Recording::read(file.as_slice()).unwrap();
        Arc::new(RecordedLlm::new(
            "recorded-loose:x",
            "x",
            recording,
            Strictness::Loose,
        ))
    }
}

llm_conformance!(@tests conformance, Recorded,
    text_comes_in_pieces_and_whole,
    thinking_is_apart_from_the_answer,
    tool_calls_are_whole,
    broken_arguments_reach_the_caller,
    tokens_are_as_the_server_says,
    tokens_may_be_unknown,
    a_cut_reply_says_so,
    an_empty_reply_is_a_reply,
    nothing_comes_after_the_end,
    a_conversation_goes_on,
    the_same_request_has_the_same_reply,
    requests_do_not_mix,
    a_dropped_reply_harms_nothing,
);

#[tokio::test]
async fn what_is_not_in_the_recording_is_for_good() {
    let model = Recorded.open(Script::new().reply(ScriptReply::text("x"))).await;
    let request = ChatRequest {
        replies_before: Some(1),
        ..ChatRequest::default()
    };
    match model.chat(request).await {
        Err(error @ LlmError::Recording { .. }) => assert!(!error.is_transient()),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("there is no second reply"),
    }
}
