//! The messages protocol on a real socket: the conformance suite over a server that plays scripts, and what such servers
//! refuse and tell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factory_core::llm::anthropic::{AnthropicConfig, AnthropicLlm};
use factory_core::llm::conformance::LlmHarness;
use factory_core::llm::scripted::{Script, ScriptedLlm};
use factory_core::llm::server::{Secret, Server};
use factory_core::llm::{
    Capabilities, ChatRequest, Delta, EndReason, Llm, LlmError, Message, Role, Support, Window, WindowBasis,
};
use factory_core::llm_conformance;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::server::{STREAM_HEAD, answer, read_request, routed};
use super::{at, request};

struct Anthropic;

#[async_trait]
impl LlmHarness for Anthropic {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        Arc::new(open(&format!("http://{}", playing(script).await), None))
    }
}

llm_conformance!(conformance, Anthropic);

fn open(origin: &str, context_window: Option<u64>) -> AnthropicLlm {
    let server = Server {
        key: Some(Secret::new("sk-very-secret")),
        ..at(origin)
    };
    AnthropicLlm::new(AnthropicConfig {
        context_window,
        ..AnthropicConfig::new("mine", server, "large")
    })
    .unwrap()
}

/// Starts a server that plays a script.
async fn playing(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let model = Arc::new(ScriptedLlm::new("script", script));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let model = model.clone();
            tokio::spawn(async move {
                let (_, body) = read_request(&mut stream).await;
                // A client that has gone is the client's affair.
                let _ = play(&mut stream, &*model, &body).await;
            });
        }
    });
    address
}

async fn play(stream: &mut TcpStream, model: &dyn Llm, body: &Value) -> std::io::Result<()> {
    let mut reply = match model.chat(request_of(body)).await {
        Ok(reply) => reply,
        Err(error) => {
            let (status, kind) = match error {
                LlmError::Busy { .. } => ("529 Overloaded", "overloaded_error"),
                _ => ("400 Bad Request", "invalid_request_error"),
            };
            let body = json!({"type": "error", "error": {"type": kind, "message": error.to_string()}});
            let answer = answer(status, "application/json", &body.to_string());
            return stream.write_all(answer.as_bytes()).await;
        }
    };
    stream.write_all(STREAM_HEAD).await?;
    let mut send = async |event: Value| {
        let name = event["type"].as_str().unwrap().to_owned();
        stream
            .write_all(format!("event: {name}\ndata: {event}\n\n").as_bytes())
            .await
    };
    let delta =
        |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let begin = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    send(json!({"type": "message_start", "message": {"role": "assistant"}})).await?;
    send(json!({"type": "ping"})).await?;
    let mut index = 0;
    let mut usage = json!({});
    while let Some(piece) = reply.next().await {
        let Ok(piece) = piece else { return Ok(()) };
        index += 1;
        match piece {
            Delta::Text(text) => {
                send(begin(index, json!({"type": "text", "text": ""}))).await?;
                send(delta(index, json!({"type": "text_delta", "text": text}))).await?;
            }
            Delta::Thinking(text) => {
                send(begin(index, json!({"type": "thinking", "thinking": ""}))).await?;
                send(delta(index, json!({"type": "thinking_delta", "thinking": text}))).await?;
            }
            Delta::ToolCall(call) => {
                let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
                send(begin(index, block)).await?;
                for piece in call.arguments.chars().collect::<Vec<_>>().chunks(7) {
                    let piece: String = piece.iter().collect();
                    send(delta(
                        index,
                        json!({"type": "input_json_delta", "partial_json": piece}),
                    ))
                    .await?;
                }
            }
            Delta::Usage(tokens) => {
                usage = json!({"input_tokens": tokens.prompt, "output_tokens": tokens.completion});
            }
            Delta::End(end) => {
                let reason = match end {
                    EndReason::Length => "max_tokens",
                    EndReason::ToolCalls => "tool_use",
                    _ => "end_turn",
                };
                send(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}))
                    .await?;
            }
        }
        send(json!({"type": "content_block_stop", "index": index})).await?;
    }
    send(json!({"type": "message_stop"})).await
}

/// Reads a request as the server would, and holds it to what the protocol demands.
fn request_of(body: &Value) -> ChatRequest {
    assert!(body["max_tokens"].as_u64().unwrap() > 0);
    let system = body["system"].as_array().into_iter().flatten();
    let mut messages: Vec<Message> = system
        .map(|block| Message::new(Role::System, block["text"].as_str().unwrap()))
        .collect();
    let mut last_role = "assistant";
    for message in body["messages"].as_array().unwrap() {
        let role = message["role"].as_str().unwrap();
        assert_ne!(role, last_role, "the two sides must alternate");
        last_role = role;
        let blocks = message["content"].as_array().unwrap();
        assert!(!blocks.is_empty());
        let mut said = Vec::new();
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "text" => said.push(block["text"].as_str().unwrap()),
                "tool_use" => assert!(block["input"].is_object()),
                "tool_result" => {
                    messages.push(Message::new(Role::Tool, block["content"].as_str().unwrap()));
                }
                other => panic!("a block of the kind {other}"),
            }
        }
        if role == "assistant" || !said.is_empty() {
            let role = if role == "assistant" {
                Role::Assistant
            } else {
                Role::User
            };
            messages.push(Message::new(role, said.concat()));
        }
    }
    ChatRequest {
        messages,
        ..ChatRequest::default()
    }
}

fn refusal(status: &str, kind: &str, message: &str) -> String {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    answer(status, "application/json", &body.to_string())
}

#[tokio::test]
async fn the_request_is_as_the_protocol_wants_it() {
    let reply = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n\
                 event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n\
                 event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let (address, asked) = routed(&[("/v1/messages", &[answer("200 OK", "text/event-stream", reply)])]).await;
    let model = open(&format!("http://{address}"), None);
    assert!(!format!("{model:?}").contains("very-secret"), "{model:?}");
    let deltas: Vec<_> = model.chat(request()).await.unwrap().collect().await;
    assert!(
        matches!(deltas[..], [Ok(Delta::End(EndReason::Stop))]),
        "{deltas:?}"
    );
    let asked = asked.lock().unwrap();
    let (head, body) = &asked[0];
    for line in ["x-api-key: sk-very-secret", "anthropic-version: 2023-06-01"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(
        *body,
        json!({
            "model": "large",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "go", "cache_control": {"type": "ephemeral"}},
            ]}],
            "stream": true,
        })
    );
}

#[tokio::test]
async fn failures_are_what_a_caller_can_act_on() {
    let mut busy = refusal("429 Too Many", "rate_limit_error", "slow down");
    busy = busy.replacen("\r\n", "\r\nretry-after: 7\r\n", 1);
    let within = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for (answer, expect, is_transient, wait) in [
        (
            refusal(
                "401 No",
                "authentication_error",
                "invalid x-api-key sk-very-secret",
            ),
            "SERVER refused the request (401): invalid x-api-key [key]",
            false,
            None,
        ),
        (
            refusal("404 No", "not_found_error", "model: large"),
            "SERVER refused the request (404): model: large",
            false,
            None,
        ),
        (
            refusal("413 No", "request_too_large", "Request exceeds the maximum size"),
            "SERVER refused the request (413): Request exceeds the maximum size",
            false,
            None,
        ),
        (
            refusal(
                "400 No",
                "invalid_request_error",
                "prompt is too long: 9 tokens > 8 maximum",
            ),
            "the prompt does not fit the model's window: prompt is too long: 9 tokens > 8 maximum",
            false,
            None,
        ),
        (busy, "SERVER is busy: 429 slow down", true, Some(7)),
        (
            refusal("529 Overloaded", "overloaded_error", "Overloaded"),
            "SERVER is busy: 529 Overloaded",
            true,
            None,
        ),
        (
            answer("200 OK", "text/event-stream", within),
            "SERVER is busy: Overloaded",
            true,
            None,
        ),
    ] {
        let (address, _) = routed(&[("/v1/messages", &[answer])]).await;
        let origin = format!("http://{address}");
        let model = open(&origin, None);
        let error = match model.chat(request()).await {
            Ok(mut stream) => stream.next().await.unwrap().unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.to_string().replace(&origin, "SERVER"), expect);
        assert_eq!(error.is_transient(), is_transient, "{expect}");
        if let LlmError::Busy { retry_after, .. } = error {
            assert_eq!(retry_after, wait.map(Duration::from_secs), "{expect}");
        }
    }
}

/// Prepares a model whose window is declared as 50000 tokens.
async fn prepared(routes: &[(&str, &[String])]) -> Result<Capabilities, String> {
    let (address, _) = routed(routes).await;
    let origin = format!("http://{address}");
    let told = open(&origin, Some(50_000)).prepare(&|_| {}).await;
    told.map_err(|error| error.to_string().replace(&origin, "SERVER"))
}

#[tokio::test]
async fn the_window_is_what_the_server_or_the_operator_says() {
    let entry = |body: Value| [answer("200 OK", "application/json", &body.to_string())];
    let page = [answer("200 OK", "text/html", "<html>")];
    for (answers, tokens, basis) in [
        (
            entry(json!({"id": "large", "max_input_tokens": 20_000})),
            20_000,
            WindowBasis::Told,
        ),
        (
            entry(json!({"id": "large", "max_input_tokens": 200_000})),
            50_000,
            WindowBasis::Told,
        ),
        (entry(json!({"id": "large"})), 50_000, WindowBasis::Declared),
        (page, 50_000, WindowBasis::Declared),
    ] {
        let told = prepared(&[("/v1/models/large", &answers)]).await.unwrap();
        assert_eq!(
            (told.window, told.tools),
            (Some(Window { tokens, basis }), Support::Yes)
        );
    }
    // A server that knows no models at all.
    assert_eq!(prepared(&[]).await.unwrap().context_window(), Some(50_000));
}

#[tokio::test]
async fn an_unknown_model_and_a_wrong_key_are_told_at_once() {
    let list = json!({"data": [{"type": "model", "id": "larger"}]}).to_string();
    assert_eq!(
        prepared(&[("/v1/models", &[answer("200 OK", "application/json", &list)])]).await,
        Err("the model `mine`: SERVER has no model `large`; it has `larger`".to_owned())
    );
    let no = [refusal("401 No", "authentication_error", "invalid x-api-key")];
    assert_eq!(
        prepared(&[("/v1/models/large", &no)]).await,
        Err("SERVER refused the request (401): invalid x-api-key".to_owned())
    );
}
