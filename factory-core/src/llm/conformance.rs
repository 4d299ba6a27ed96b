//! What every [`Llm`] does, as scenarios that a backend's tests run.
//!
//! A backend is tested by playing a [`Script`] behind it: the harness opens the model so that its server answers as the
//! script says. [`llm_conformance!`](crate::llm_conformance) makes a named test of each scenario.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;

use super::scripted::{FailureKind, Script, ScriptArguments, ScriptReply};
use super::{
    ChatRequest, Delta, EndReason, Llm, LlmError, Message, Reply, Role, TokenCount, ToolCall, ToolSpec,
    collect,
};

/// Opens the backend under test.
#[async_trait]
pub trait LlmHarness: Send + Sync {
    /// Returns a model whose replies are those of the script. What it needs to live, it keeps alive itself.
    async fn open(&self, script: Script) -> Arc<dyn Llm>;
}

/// Makes a test of each scenario: `llm_conformance!(module_name, harness_expression);`.
#[macro_export]
macro_rules! llm_conformance {
    ($module:ident, $harness:expr) => {
        $crate::llm_conformance!(@tests $module, $harness,
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
            a_busy_server_is_transient,
            a_refusal_is_for_good,
            a_broken_reply_is_no_reply,
            what_is_not_in_the_script_is_for_good,
            a_dropped_reply_harms_nothing,
        );
    };
    (@tests $module:ident, $harness:expr, $($scenario:ident),+ $(,)?) => {
        mod $module {
            #[allow(unused_imports, reason = "the harness may be written without a name from outside")]
            use super::*;
            $(
                #[tokio::test]
                async fn $scenario() {
                    $crate::llm::conformance::$scenario(&$harness).await;
                }
            )+
        }
    };
}

fn first_request() -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message::new(Role::System, "be brief"),
            Message::new(Role::User, "go"),
        ],
        tools: vec![ToolSpec {
            name: "read_file".to_owned(),
            description: "Reads a file.".to_owned(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        }],
        max_tokens: 1000,
        ..ChatRequest::default()
    }
}

/// Asks and returns the pieces and the whole.
async fn ask(model: &dyn Llm, request: ChatRequest) -> Result<(Vec<Delta>, Reply), LlmError> {
    let stream = model.chat(request).await?;
    let mut pieces = Vec::new();
    let reply = collect(stream, model.name(), |piece| pieces.push(piece.clone())).await?;
    Ok((pieces, reply))
}

async fn first_reply(harness: &dyn LlmHarness, reply: ScriptReply) -> Result<(Vec<Delta>, Reply), LlmError> {
    let model = harness.open(Script::new().reply(reply)).await;
    ask(&*model, first_request()).await
}

fn text_reply(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        thinking: String::new(),
        tool_calls: vec![],
        tokens: TokenCount::default(),
        end: EndReason::Stop,
    }
}

/// A text comes in several pieces, and no character is lost between them.
pub async fn text_comes_in_pieces_and_whole(harness: &dyn LlmHarness) {
    let text = "line\r\n\ndata: [DONE]\n\u{1f388} ärgerlich \\\" ".repeat(20);
    let (pieces, reply) = first_reply(harness, ScriptReply::text(&text))
        .await
        .expect("the reply is whole");
    let texts = pieces
        .iter()
        .filter(|piece| matches!(piece, Delta::Text(_)))
        .count();
    assert!(texts > 1, "{pieces:?}");
    assert_eq!(reply, text_reply(&text));
}

/// Thinking comes before the answer and is no part of it.
pub async fn thinking_is_apart_from_the_answer(harness: &dyn LlmHarness) {
    let script = ScriptReply::text("done").thinking("first this, then that, and after it something else");
    let (_, reply) = first_reply(harness, script).await.expect("the reply is whole");
    let thinking = "first this, then that, and after it something else".to_owned();
    assert_eq!(
        reply,
        Reply {
            thinking,
            ..text_reply("done")
        }
    );
}

/// Tool calls come whole and in order, each with an id of its own.
pub async fn tool_calls_are_whole(harness: &dyn LlmHarness) {
    let arguments = json!({"path": "a \"b\"\n\u{e4}"});
    let script = ScriptReply::tool_call("read_file", arguments.clone())
        .and_tool_call("read_file", ScriptArguments(arguments.clone()))
        .and_tool_call("list_files", ScriptArguments::default());
    let (_, reply) = first_reply(harness, script).await.expect("the reply is whole");
    let calls: Vec<(&str, &str)> = reply
        .tool_calls
        .iter()
        .map(|call| (call.name.as_str(), call.arguments.as_str()))
        .collect();
    let written = arguments.to_string();
    assert_eq!(
        calls,
        [
            ("read_file", &*written),
            ("read_file", &*written),
            ("list_files", "{}")
        ]
    );
    let ids: std::collections::HashSet<&str> = reply.tool_calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((ids.len(), reply.end), (3, EndReason::ToolCalls));
}

/// Arguments that are no JSON are the caller's to judge.
pub async fn broken_arguments_reach_the_caller(harness: &dyn LlmHarness) {
    let script = ScriptReply::default().and_tool_call("read_file", ScriptArguments::raw("{\"path\": \"a"));
    let (_, reply) = first_reply(harness, script).await.expect("the reply is whole");
    assert_eq!(reply.tool_calls[0].arguments, "{\"path\": \"a");
}

/// The token count is the server's.
pub async fn tokens_are_as_the_server_says(harness: &dyn LlmHarness) {
    let (_, reply) = first_reply(harness, ScriptReply::text("x").tokens(120, 14))
        .await
        .expect("the reply is whole");
    let tokens = TokenCount {
        prompt: Some(120),
        completion: Some(14),
        ..TokenCount::default()
    };
    assert_eq!(
        reply,
        Reply {
            tokens,
            ..text_reply("x")
        }
    );
}

/// A server that does not count is not guessed for.
pub async fn tokens_may_be_unknown(harness: &dyn LlmHarness) {
    let (_, reply) = first_reply(harness, ScriptReply::text("x"))
        .await
        .expect("the reply is whole");
    assert_eq!(reply.tokens, TokenCount::default());
}

/// A reply that reached its bound says so.
pub async fn a_cut_reply_says_so(harness: &dyn LlmHarness) {
    let script = ScriptReply::text("half a sen").end(EndReason::Length);
    let (_, reply) = first_reply(harness, script).await.expect("the reply is whole");
    assert_eq!(
        reply,
        Reply {
            end: EndReason::Length,
            ..text_reply("half a sen")
        }
    );
}

/// A model may say nothing.
pub async fn an_empty_reply_is_a_reply(harness: &dyn LlmHarness) {
    let (_, reply) = first_reply(harness, ScriptReply::default())
        .await
        .expect("the reply is whole");
    assert_eq!(reply, text_reply(""));
}

/// The end is the last piece, and there is one.
pub async fn nothing_comes_after_the_end(harness: &dyn LlmHarness) {
    let script = ScriptReply::tool_call("read_file", json!({}))
        .thinking("hm")
        .tokens(1, 2);
    let model = harness.open(Script::new().reply(script)).await;
    let stream = model.chat(first_request()).await.expect("the model answers");
    let pieces: Vec<Delta> = stream
        .map(|piece| piece.expect("the reply is whole"))
        .collect()
        .await;
    let ends = pieces
        .iter()
        .filter(|piece| matches!(piece, Delta::End(_)))
        .count();
    assert_eq!(
        (pieces.last(), ends),
        (Some(&Delta::End(EndReason::ToolCalls)), 1)
    );
}

/// A tool's result reaches the model, also after a call whose arguments were broken.
pub async fn a_conversation_goes_on(harness: &dyn LlmHarness) {
    let script = Script::new()
        .reply(ScriptReply::default().and_tool_call("read_file", ScriptArguments::raw("{")))
        .reply(
            ScriptReply::text("thanks")
                .expect_contains("no JSON")
                .expect_absent("be brief"),
        );
    let model = harness.open(script).await;
    let mut request = first_request();
    let (_, first) = ask(&*model, request.clone()).await.expect("the reply is whole");
    let id = first.tool_calls[0].id.clone();
    request.messages.push(Message {
        tool_calls: first.tool_calls,
        ..Message::new(Role::Assistant, first.text)
    });
    request.messages.push(Message {
        tool_call_id: Some(id),
        ..Message::new(Role::Tool, "that is no JSON")
    });
    let (_, second) = ask(&*model, request).await.expect("the reply is whole");
    assert_eq!(second, text_reply("thanks"));
}

/// A model keeps nothing between requests.
pub async fn the_same_request_has_the_same_reply(harness: &dyn LlmHarness) {
    let script = Script::new()
        .reply(
            ScriptReply::tool_call("read_file", json!({"path": "a"}))
                .thinking("hm")
                .tokens(3, 4),
        )
        .reply(ScriptReply::text("second"));
    let model = harness.open(script).await;
    let (_, once) = ask(&*model, first_request()).await.expect("the reply is whole");
    let (_, again) = ask(&*model, first_request()).await.expect("the reply is whole");
    assert_eq!(once, again);
}

/// Two replies on their way at the same time are each whole.
pub async fn requests_do_not_mix(harness: &dyn LlmHarness) {
    let script = Script::new()
        .reply(ScriptReply::text("one ".repeat(100)).delays(0, 1))
        .reply(ScriptReply::text("two ".repeat(100)).delays(0, 1));
    let model = harness.open(script).await;
    let mut second = first_request();
    second.messages.push(Message::new(Role::Assistant, "one"));
    second.messages.push(Message::new(Role::User, "on"));
    let (one, two) = tokio::join!(ask(&*model, first_request()), ask(&*model, second));
    assert_eq!(
        one.expect("the reply is whole").1,
        text_reply(&"one ".repeat(100))
    );
    assert_eq!(
        two.expect("the reply is whole").1,
        text_reply(&"two ".repeat(100))
    );
}

/// A busy server is asked again, and answers then.
pub async fn a_busy_server_is_transient(harness: &dyn LlmHarness) {
    let script = Script::new().reply(ScriptReply::text("x").fail_times(FailureKind::Busy, 1));
    let model = harness.open(script).await;
    let error = ask(&*model, first_request())
        .await
        .expect_err("the server is busy");
    assert!(
        matches!(error, LlmError::Busy { .. }) && error.is_transient(),
        "{error:?}"
    );
    let (_, reply) = ask(&*model, first_request()).await.expect("the reply is whole");
    assert_eq!(reply, text_reply("x"));
}

/// A refusal is not worth a second try.
pub async fn a_refusal_is_for_good(harness: &dyn LlmHarness) {
    let script = ScriptReply::text("x").fail_always(FailureKind::Refused);
    let error = first_reply(harness, script)
        .await
        .expect_err("the server refuses");
    assert!(
        matches!(error, LlmError::Refused { status: 400, .. }) && !error.is_transient(),
        "{error:?}"
    );
}

/// A reply that breaks off is an error after its pieces, never an end.
pub async fn a_broken_reply_is_no_reply(harness: &dyn LlmHarness) {
    let script = ScriptReply::text("x".repeat(1000)).fail_times(FailureKind::Broken, 1);
    let model = harness.open(Script::new().reply(script)).await;
    let pieces: Vec<Result<Delta, LlmError>> = model
        .chat(first_request())
        .await
        .expect("the model answers")
        .collect()
        .await;
    let (last, before) = pieces.split_last().expect("there is an error at least");
    assert!(
        before.iter().all(|piece| matches!(piece, Ok(Delta::Text(_)))),
        "{before:?}"
    );
    assert!(
        matches!(last, Err(error @ LlmError::BadReply { .. }) if error.is_transient()),
        "{last:?}"
    );
    let (_, reply) = ask(&*model, first_request()).await.expect("the reply is whole");
    assert_eq!(reply, text_reply(&"x".repeat(1000)));
}

/// Neither what comes after the script, nor what it did not expect, is worth a second try.
pub async fn what_is_not_in_the_script_is_for_good(harness: &dyn LlmHarness) {
    let model = harness
        .open(Script::new().reply(ScriptReply::text("x").expect_contains("magic")))
        .await;
    let error = ask(&*model, first_request())
        .await
        .expect_err("the text is not there");
    assert!(
        !error.is_transient() && error.to_string().contains("magic"),
        "{error:?}"
    );
    let mut request = first_request();
    request.messages.push(Message {
        tool_calls: vec![ToolCall {
            id: "a".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        }],
        ..Message::new(Role::Assistant, "x")
    });
    let error = ask(&*model, request).await.expect_err("the script is over");
    assert!(
        !error.is_transient() && error.to_string().contains("reply 2"),
        "{error:?}"
    );
}

/// A reply that is dropped half-way, or never looked at, leaves the model as it was.
pub async fn a_dropped_reply_harms_nothing(harness: &dyn LlmHarness) {
    let script = ScriptReply::text("x".repeat(2000)).delays(0, 1);
    let model = harness.open(Script::new().reply(script)).await;
    for pieces in [0, 1, 3] {
        let stream = model.chat(first_request()).await.expect("the model answers");
        assert_eq!(stream.take(pieces).count().await, pieces);
    }
    let (_, reply) = ask(&*model, first_request()).await.expect("the reply is whole");
    assert_eq!(reply, text_reply(&"x".repeat(2000)));
}
