//! Chats: what is sent, what is made of the replies, and what of the failures.

use std::time::Duration;

use factory_core::llm::ollama::{KeepAlive, OllamaConfig, OllamaLlm};
use factory_core::llm::server::Bounds;
use factory_core::llm::{
    ChatRequest, Delta, EndReason, Llm, LlmError, Message, Role, Sampling, Thinking, TokenCount, ToolCall,
    ToolSpec,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::contract::{BEYOND, CONTRACT, Contract};
use crate::server::{Answer, Fake, STREAM_HEAD, Step, lines, send, whole};
use crate::{at, model_at, told, within};

pub(crate) fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::new(Role::User, "go")],
        max_tokens: 10,
        ..ChatRequest::default()
    }
}

/// A conversation in which everything occurs that a request can hold.
pub(crate) fn full_request() -> ChatRequest {
    let call = ToolCall {
        id: "a".to_owned(),
        name: "read_file".to_owned(),
        arguments: r#"{"path":"x"}"#.to_owned(),
    };
    ChatRequest {
        messages: vec![
            Message::new(Role::System, "be brief"),
            Message::new(Role::User, "look"),
            Message {
                tool_calls: vec![call],
                ..Message::new(Role::Assistant, "")
            },
            Message {
                tool_call_id: Some("a".to_owned()),
                ..Message::new(Role::Tool, "text")
            },
        ],
        tools: vec![ToolSpec {
            name: "read_file".to_owned(),
            description: "Reads a file.".to_owned(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        }],
        sampling: Sampling {
            seed: Some(7),
            temperature: None,
        },
        thinking: Thinking::Off,
        ..request()
    }
}

pub(crate) async fn read(model: &OllamaLlm, request: ChatRequest) -> Result<Vec<Delta>, LlmError> {
    let mut stream = model.chat(request).await?;
    let mut deltas = Vec::new();
    while let Some(delta) = stream.next().await {
        deltas.push(delta?);
    }
    Ok(deltas)
}

/// Asks a server that answers so, once.
async fn ask(answer: Answer) -> Result<Vec<Delta>, String> {
    ask_within(at("http://x").bounds, answer).await
}

pub(crate) async fn ask_within(bounds: Bounds, answer: Answer) -> Result<Vec<Delta>, String> {
    let fake = Fake::answering(move |_| answer.clone()).await;
    let config = OllamaConfig::new("ollama:small", within(&fake.url, bounds), "small");
    read(&OllamaLlm::new(config).unwrap(), request())
        .await
        .map_err(|error| told(&error, &fake.url))
}

fn done() -> Value {
    json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"})
}

pub(crate) fn says(text: &str) -> Value {
    json!({"message": {"role": "assistant", "content": text}, "done": false})
}

/// Answers what comes before a chat, for a model that thinks and calls tools.
fn capable(asked: &crate::server::Asked) -> Answer {
    match asked.path.as_str() {
        "/api/version" => whole(&json!({"version": "0.32.14"})),
        "/api/show" => whole(&json!({
            "capabilities": ["completion", "tools", "thinking"],
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960},
        })),
        "/api/ps" => whole(&json!({"models": [{"name": "small:latest", "context_length": 16_384}]})),
        _ if asked.body["messages"] == json!([]) => whole(&json!({"done": true, "done_reason": "load"})),
        _ => lines(&[done()]),
    }
}

#[tokio::test]
async fn everything_that_is_sent_stands_in_the_contract_or_in_the_list_beside_it() {
    let fake = Fake::answering(capable).await;
    let config = OllamaConfig {
        context: Some(16_384),
        keep_alive: KeepAlive::For(Duration::from_mins(30)),
        ..OllamaConfig::new("ollama:small", at(&fake.url), "small")
    };
    let model = OllamaLlm::new(config).unwrap();
    model.prepare(&|_| ()).await.unwrap();
    read(&model, full_request()).await.unwrap();
    read(
        &model,
        ChatRequest {
            format: Some(json!({"type": "object"})),
            ..request()
        },
    )
    .await
    .unwrap();
    let completion = factory_core::llm::ollama::GenerateRequest {
        model: "small".to_owned(),
        prompt: "fn main() {".to_owned(),
        suffix: Some("}".to_owned()),
        system: Some("be brief".to_owned()),
        raw: true,
        max_tokens: 10,
        context: Some(16_384),
        format: Some(json!({"type": "object"})),
        stop: vec!["\n\n".to_owned()],
        ..Default::default()
    };
    let completion = model.server().generate(&completion).await.unwrap();
    completion.count().await;
    model.server().unload("small").await.unwrap();

    // The server has refused whatever breaks the contract; what is left is that nothing beside it stands there in vain.
    let asked = fake.asked.lock().unwrap();
    for (schema, field, _) in BEYOND {
        let contract = Contract::without(Some((schema, field)));
        let is_needed = asked
            .iter()
            .any(|asked| contract.request(&asked.method, &asked.path, &asked.body).is_err());
        assert!(is_needed, "{schema}.{field} is never sent");
    }
    let chat = asked.iter().find(|asked| asked.body["tools"].is_array()).unwrap();
    assert_eq!(
        (
            &chat.body["options"],
            &chat.body["think"],
            &chat.body["keep_alive"],
            &chat.body["truncate"],
            &chat.body["shift"]
        ),
        (
            &json!({"num_ctx": 16_384, "num_predict": 10, "seed": 7}),
            &json!(false),
            &json!(1800),
            &json!(false),
            &json!(false)
        )
    );
}

#[test]
fn a_break_of_the_contract_is_found() {
    for (path, body) in [
        ("/api/chat", json!({"model": "m"})),
        ("/api/chat", json!({"model": "m", "messages": [], "novel": 1})),
        (
            "/api/chat",
            json!({"model": "m", "messages": [{"role": "robot", "content": ""}]}),
        ),
        (
            "/api/chat",
            json!({"model": "m", "messages": [{"role": "user", "content": "", "novel": 1}]}),
        ),
        ("/api/pull", json!({"name": "m"})),
        ("/api/nowhere", json!({})),
    ] {
        assert!(CONTRACT.request("POST", path, &body).is_err(), "{path} {body}");
    }
    assert!(CONTRACT.request("GET", "/api/tags", &json!({})).is_err());
    assert!(CONTRACT.reply("/api/chat", &json!({"done": 1})).is_err());
    assert!(CONTRACT.reply("/api/chat", &json!({"error": {}})).is_err());
}

#[tokio::test]
async fn a_model_that_was_not_prepared_is_asked_with_what_is_known() {
    let fake = Fake::answering(|_| lines(&[done()])).await;
    let model = model_at(&fake.url);
    assert_eq!(model.capabilities().context_window(), None);
    read(
        &model,
        ChatRequest {
            thinking: Thinking::Off,
            ..request()
        },
    )
    .await
    .unwrap();
    let asked = fake.asked.lock().unwrap();
    assert_eq!(
        asked[0].body,
        json!({
            "model": "small",
            "messages": [{"role": "user", "content": "go"}],
            "stream": true,
            "truncate": false,
            "shift": false,
            "options": {"num_ctx": 32_768, "num_predict": 10},
        })
    );
}

#[tokio::test]
async fn a_reply_may_be_cut_anywhere_on_its_way() {
    let call = json!({"id": "c", "function": {"index": 0, "name": "grün", "arguments": {"ä": "\"🎈\n"}}});
    let samples = [
        json!({"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": false}),
        says("grün 🎈"),
        json!({"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": false}),
        json!({
            "model": "m", "created_at": "2026-11-27T12:00:00.5Z", "message": {"role": "assistant", "content": ""},
            "done": true, "done_reason": "stop", "total_duration": 174_560_334, "load_duration": 101_397_084,
            "prompt_eval_count": 11, "prompt_eval_cached_count": 3, "prompt_eval_duration": 13_074_791,
            "eval_count": 18, "eval_duration": 52_479_709,
        }),
    ];
    for sample in &samples {
        CONTRACT.reply("/api/chat", sample).unwrap();
    }
    let ended = samples
        .iter()
        .flat_map(|line| [line.to_string(), "\r\n\n".to_owned()]);
    let text: String = ended.collect();
    let expect = vec![
        Delta::Thinking("hm".to_owned()),
        Delta::Text("grün 🎈".to_owned()),
        Delta::ToolCall(ToolCall {
            id: "c".to_owned(),
            name: "grün".to_owned(),
            arguments: json!({"ä": "\"🎈\n"}).to_string(),
        }),
        Delta::Usage(TokenCount {
            prompt: Some(11),
            completion: Some(18),
            cached: Some(3),
            ..TokenCount::default()
        }),
        Delta::End(EndReason::ToolCalls),
    ];
    for length in [1, 2, 3, 7, text.len()] {
        let mut answer = vec![send(STREAM_HEAD)];
        answer.extend(
            text.as_bytes()
                .chunks(length)
                .map(|piece| Step::Send(piece.to_vec())),
        );
        assert_eq!(ask(answer).await, Ok(expect.clone()), "pieces of {length}");
    }
}

#[tokio::test]
async fn the_end_needs_no_line_end_and_no_closed_connection() {
    let end = Ok(vec![Delta::End(EndReason::Stop)]);
    assert_eq!(ask(vec![send(STREAM_HEAD), send(&done().to_string())]).await, end);
    assert_eq!(ask([lines(&[done()]), vec![Step::Hang]].concat()).await, end);
    // Whatever comes after the end, and a length that was a lie.
    assert_eq!(ask([lines(&[done()]), vec![send("}}}\n")]].concat()).await, end);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: 9999\r\n\r\n";
    assert_eq!(ask(vec![send(head), send(&format!("{}\n", done()))]).await, end);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (model, context, expect) in [
        (
            " ",
            None,
            "it names no model; write the name that `ollama list` shows",
        ),
        (
            "m",
            Some(0),
            "a window of 0 tokens holds nothing; leave it away or set more",
        ),
    ] {
        let config = OllamaConfig {
            context,
            ..OllamaConfig::new("ollama:m", at("http://127.0.0.1:1"), model)
        };
        let error = OllamaLlm::new(config).unwrap_err();
        assert_eq!(error.to_string(), format!("the model `ollama:m`: {expect}"));
    }
}
