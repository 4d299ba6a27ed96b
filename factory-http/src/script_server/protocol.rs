//! The OpenAI chat protocol from the server's side, as far as a script needs it.

use factory_core::llm::{
    ChatRequest, Delta, EndReason, LlmError, Message, Reply, Role, TokenCount, ToolCall, ToolSpec,
};
use factory_core::model::BlobId;
use poem::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request_log::RequestRecord;

/// The mark of a stream's end.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// The most characters of a message in the log.
const LAST_CHARACTERS: usize = 200;

/// A request, and what is kept of it for the log.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: ChatRequest,
    pub(super) shape: ReplyShape,
    prompt_sha256: String,
}

/// In which shape the client wants the reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyShape {
    pub(super) is_stream: bool,
    /// Whether a stream tells the token count.
    pub(super) has_usage: bool,
}

/// The body of a request. What a script does not look at is ignored, the model's name too.
#[derive(Deserialize)]
struct Body {
    messages: Vec<Value>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Asked {
    /// Parses a request's body, or says what is wrong with it.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: Body =
            serde_json::from_slice(body).map_err(|error| format!("the body is no request: {error}"))?;
        let tools = body.tools.unwrap_or_default();
        let prompt = json!({"messages": body.messages, "tools": tools}).to_string();
        let messages: Result<Vec<Message>, String> = body.messages.iter().map(message).collect();
        Ok(Self {
            request: ChatRequest {
                messages: messages?,
                tools: tools.iter().map(tool).collect(),
                max_tokens: body.max_tokens.unwrap_or(u64::MAX),
                ..ChatRequest::default()
            },
            shape: ReplyShape {
                is_stream: body.stream.unwrap_or(false),
                has_usage: body.stream_options.is_some_and(|options| options.include_usage),
            },
            prompt_sha256: BlobId::of(prompt.as_bytes()).to_string(),
        })
    }

    /// Returns what the log says about the request.
    pub(super) fn record(&self, n: u64) -> RequestRecord {
        let messages = &self.request.messages;
        let last = messages
            .last()
            .map(|message| message.text.as_str())
            .unwrap_or_default();
        RequestRecord {
            n,
            turn: messages
                .iter()
                .filter(|message| message.role == Role::Assistant)
                .count(),
            prompt_sha256: self.prompt_sha256.clone(),
            messages: messages.len(),
            last: match last.char_indices().nth(LAST_CHARACTERS) {
                Some((end, _)) => format!("{}…", &last[..end]),
                None => last.to_owned(),
            },
        }
    }
}

fn message(json: &Value) -> Result<Message, String> {
    let role = match text(json, "role").as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => return Err(format!("no message can have the role {other:?}")),
    };
    let calls = json
        .get("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Ok(Message {
        role,
        text: match json.get("content") {
            Some(Value::Array(parts)) => parts.iter().map(|part| text(part, "text")).collect(),
            _ => text(json, "content"),
        },
        tool_calls: calls
            .map(|call| ToolCall {
                id: text(call, "id"),
                name: text(&call["function"], "name"),
                arguments: text(&call["function"], "arguments"),
            })
            .collect(),
        tool_call_id: json
            .get("tool_call_id")
            .and_then(Value::as_str)
            .map(str::to_owned),
        is_example: false,
    })
}

fn tool(json: &Value) -> ToolSpec {
    let function = &json["function"];
    ToolSpec {
        name: text(function, "name"),
        description: text(function, "description"),
        parameters: function["parameters"].clone(),
    }
}

fn text(json: &Value, field: &str) -> String {
    json.get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Writes the events of a streamed reply.
#[derive(Debug)]
pub(super) struct ChunkWriter<'a> {
    model: &'a str,
    id: String,
    has_usage: bool,
    calls: usize,
    /// The token count, which the protocol tells after the reason for the end.
    tokens: Option<TokenCount>,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(model: &'a str, number: u64, has_usage: bool) -> Self {
        Self {
            model,
            id: reply_id(number),
            has_usage,
            calls: 0,
            tokens: None,
        }
    }

    /// Returns the event for a piece, if it has one.
    pub(super) fn event(&mut self, delta: Delta) -> Option<Vec<u8>> {
        let chunk = match delta {
            Delta::Text(text) => self.choice(&json!({"content": text}), None),
            Delta::Thinking(text) => self.choice(&json!({"reasoning_content": text}), None),
            Delta::ToolCall(call) => {
                let mut call = written_call(&call);
                call["index"] = json!(self.calls);
                self.calls += 1;
                self.choice(&json!({"tool_calls": [call]}), None)
            }
            Delta::Usage(tokens) => {
                self.tokens = Some(tokens);
                return None;
            }
            Delta::End(end) => {
                let mut event = written(&self.choice(&json!({}), Some(end)));
                if let Some(tokens) = self.tokens.filter(|_| self.has_usage) {
                    let mut chunk = self.chunk(&json!([]));
                    chunk["usage"] = usage(tokens);
                    event.extend(written(&chunk));
                }
                return Some(event);
            }
        };
        Some(written(&chunk))
    }

    fn choice(&self, delta: &Value, end: Option<EndReason>) -> Value {
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": end.map(finish_reason)}]))
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({"id": self.id, "object": "chat.completion.chunk", "model": self.model, "choices": choices})
    }
}

fn written(chunk: &Value) -> Vec<u8> {
    format!("data: {chunk}\n\n").into_bytes()
}

/// Returns the body of a reply that is not streamed.
pub(super) fn whole_body(model: &str, number: u64, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text});
    if !reply.thinking.is_empty() {
        message["reasoning_content"] = json!(reply.thinking);
    }
    if !reply.tool_calls.is_empty() {
        message["tool_calls"] = reply.tool_calls.iter().map(written_call).collect();
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason(reply.end)});
    let mut body =
        json!({"id": reply_id(number), "object": "chat.completion", "model": model, "choices": [choice]});
    if reply.tokens != TokenCount::default() {
        body["usage"] = usage(reply.tokens);
    }
    body
}

/// Returns the body of an error.
pub(super) fn error_body(detail: &str) -> Value {
    json!({"error": {"message": detail, "type": "script_error", "code": null}})
}

/// Returns the status for a model's error, and when to come back, in seconds.
pub(super) fn status_of(error: &LlmError) -> (StatusCode, Option<u64>) {
    match error {
        LlmError::Busy { retry_after, .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            retry_after.map(|wait| wait.as_secs()),
        ),
        LlmError::Refused { status, .. } => (
            StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST),
            None,
        ),
        error if error.is_transient() => (StatusCode::BAD_GATEWAY, None),
        _ => (StatusCode::BAD_REQUEST, None),
    }
}

fn reply_id(number: u64) -> String {
    format!("chatcmpl-{number}")
}

fn written_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

fn usage(tokens: TokenCount) -> Value {
    let total = tokens.prompt.unwrap_or(0) + tokens.completion.unwrap_or(0);
    json!({"prompt_tokens": tokens.prompt, "completion_tokens": tokens.completion, "total_tokens": total})
}

fn finish_reason(end: EndReason) -> &'static str {
    match end {
        EndReason::Stop | EndReason::Other => "stop",
        EndReason::ToolCalls => "tool_calls",
        EndReason::Length => "length",
        EndReason::ContentFilter => "content_filter",
    }
}
