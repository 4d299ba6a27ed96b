//! Long runs in small windows: nothing is cut in silence, and what must stay stays.

#![expect(
    clippy::unwrap_used,
    reason = "the model of a test may fail it wherever it stands"
)]

mod workshop;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use factory_core::context::estimate;
use factory_core::llm::scripted::{Script, ScriptReply};
use factory_core::llm::{Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream};
use factory_core::model::{ApprovalPolicy, EventKind, Protocol, RunSpec, RunStatus};
use serde_json::json;

use self::workshop::crash::Windowed;
use self::workshop::{CHECK, Workshop, scripted, small_repository, sockets};

/// The window, in tokens.
const WINDOW: u64 = 4000;

/// How many turns are taken.
const TURNS: u32 = 60;

/// A model that keeps the size of each prompt and whether it still held what must stay.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn Llm>,
    prompts: Arc<Mutex<Vec<(u64, bool)>>>,
}

#[async_trait]
impl Llm for Witness {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        self.inner.prepare(progress).await
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let texts: Vec<&str> = request
            .messages
            .iter()
            .map(|message| message.text.as_str())
            .collect();
        let calls = request.messages.iter().flat_map(|message| &message.tool_calls);
        let calls: u64 = calls.map(|call| estimate(&call.arguments)).sum();
        let tokens = texts.iter().map(|text| estimate(text)).sum::<u64>() + calls;
        let knows_goal = texts.iter().any(|text| text.contains("Make the answer 42"));
        self.prompts.lock().unwrap().push((tokens, knows_goal));
        self.inner.chat(request).await
    }
}

/// Sixty turns of work, each of which says and hears a good deal, then the right answer.
async fn check(protocol: Protocol, work: impl Fn(u32) -> ScriptReply, right: ScriptReply) {
    let mut script = Script::new();
    for turn in 1..TURNS {
        script = script.reply(work(turn));
    }
    let script = script.reply(right);
    let prompts = Arc::new(Mutex::new(Vec::new()));
    let model = Arc::new(Witness {
        inner: Arc::new(Windowed {
            inner: scripted(script),
            window: WINDOW,
        }),
        prompts: Arc::clone(&prompts),
    });
    let shop = Workshop::make(sockets(model), &[CHECK], &small_repository()).await;
    let run = shop
        .submit_with(RunSpec {
            model: "script".to_owned(),
            approval: ApprovalPolicy::Unattended,
            protocol: Some(protocol),
            ..RunSpec::default()
        })
        .await;
    shop.factory
        .direct(run.id, "Never touch notes.txt of mine")
        .await
        .unwrap();
    let done = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let prompts = prompts.lock().unwrap().clone();
    assert_eq!(prompts.len(), TURNS as usize);
    for (turn, (tokens, knows_goal)) in prompts.iter().enumerate() {
        // What the factory sends fits what the window leaves for it beside the reply.
        assert!(
            *knows_goal && *tokens < WINDOW - WINDOW / 4,
            "turn {turn}: {tokens} tokens, {knows_goal}"
        );
    }
    let compacted = shop
        .events(run.id)
        .await
        .iter()
        .filter(|event| matches!(event.kind, EventKind::ContextCompacted(_)))
        .count();
    assert!(compacted >= 2, "{compacted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_led_model_works_sixty_turns_in_a_small_window() {
    let words = "and so on ".repeat(40);
    check(
        Protocol::Text,
        |turn| ScriptReply::text(format!("RUN: echo {turn} {words}")),
        ScriptReply::text("FILE: answer.txt\n```\n42\n```"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_with_tools_works_sixty_turns_in_a_small_window() {
    let words = "and so on ".repeat(40);
    check(
        Protocol::Native,
        |turn| {
            if turn == 1 {
                return ScriptReply::tool_call("update_plan", json!({"steps": ["Answer"]}));
            }
            ScriptReply::tool_call(
                "write_file",
                json!({"path": format!("notes-{turn}.md"), "content": format!("{turn} {words}\n")}),
            )
        },
        workshop::right(),
    )
    .await;
}
