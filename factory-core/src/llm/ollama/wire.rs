//! The requests as Ollama's protocol writes them.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::GenerateRequest;
use crate::llm::{ChatRequest, Message, Role, Sampling, Thinking, ToolCall, ToolSpec};

/// How long a model stays loaded after a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepAlive {
    /// As long as the server is set to, which is five minutes unless its operator said otherwise.
    #[default]
    AsServer,
    /// That long.
    For(Duration),
    /// Until the server ends, or needs the memory.
    Always,
}

impl KeepAlive {
    /// Returns what the protocol has for it; none leaves it to the server.
    fn written(self) -> Option<Value> {
        match self {
            Self::AsServer => None,
            Self::For(time) => Some(json!(time.as_secs())),
            Self::Always => Some(json!(-1)),
        }
    }
}

/// How a model is told not to think, if it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThinkSwitch {
    /// It refuses the field, or nobody knows.
    None,
    /// It takes yes and no.
    OnOff,
    /// It takes levels alone, the lowest of which is the nearest to none.
    Levels,
}

/// What stands in every request for a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) model: &'a str,
    /// The window that it is loaded with. Another one loads it again.
    pub(super) num_ctx: u64,
    pub(super) keep_alive: KeepAlive,
    pub(super) think: ThinkSwitch,
}

/// What the user says in a conversation that has no word of the user: templates of some models refuse it otherwise.
const GO_ON: &str = "Go on.";

/// Returns the body of a chat request.
pub(super) fn chat_body(asking: &Asking<'_>, request: &ChatRequest) -> Value {
    let mut body = load_body(asking.model, Some(asking.num_ctx), asking.keep_alive);
    body["messages"] = messages(&request.messages).into();
    body["stream"] = json!(true);
    body["options"] = options(Some(asking.num_ctx), request.max_tokens, &request.sampling);
    // Both in one request keep the model from calling tools.
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    } else if let Some(schema) = &request.format {
        body["format"] = schema.clone();
    }
    match (request.thinking, asking.think) {
        (Thinking::Off, ThinkSwitch::OnOff) => body["think"] = json!(false),
        (Thinking::Off, ThinkSwitch::Levels) => body["think"] = json!("low"),
        (Thinking::Off, ThinkSwitch::None) | (Thinking::AsIs, _) => {}
    }
    body
}

/// Returns the body of a request that loads a model and asks nothing. Whatever decides how it is loaded stands in it as
/// in the requests that follow, so that none of them loads it again: the window, and that it is not shifted.
pub(super) fn load_body(model: &str, num_ctx: Option<u64>, keep_alive: KeepAlive) -> Value {
    let mut body = json!({
        "model": model,
        "messages": [],
        "stream": false,
        // A prompt that is too long is an error. Without these, its middle or its beginning would be left out in silence.
        "truncate": false,
        "shift": false,
    });
    if let Some(num_ctx) = num_ctx {
        body["options"] = json!({ "num_ctx": num_ctx });
    }
    if let Some(keep_alive) = keep_alive.written() {
        body["keep_alive"] = keep_alive;
    }
    body
}

/// Returns the body of a request that unloads a model.
pub(super) fn unload_body(model: &str) -> Value {
    json!({"model": model, "messages": [], "stream": false, "keep_alive": 0})
}

/// Returns the body of a completion's request.
pub(super) fn generate_body(request: &GenerateRequest) -> Value {
    let mut body = json!({
        "model": request.model,
        "prompt": request.prompt,
        "stream": true,
        "truncate": false,
        "shift": false,
        "options": options(request.context, request.max_tokens, &request.sampling),
    });
    if !request.stop.is_empty() {
        body["options"]["stop"] = json!(request.stop);
    }
    if request.raw {
        body["raw"] = json!(true);
    }
    let optional = [
        ("suffix", request.suffix.as_ref().map(|text| json!(text))),
        ("system", request.system.as_ref().map(|text| json!(text))),
        ("format", request.format.clone()),
        ("keep_alive", request.keep_alive.written()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

fn options(num_ctx: Option<u64>, max_tokens: u64, sampling: &Sampling) -> Value {
    let mut options = json!({ "num_predict": max_tokens.min(i32::MAX.unsigned_abs().into()) });
    if let Some(num_ctx) = num_ctx {
        options["num_ctx"] = json!(num_ctx);
    }
    if let Some(seed) = sampling.seed {
        options["seed"] = json!(seed);
    }
    if let Some(temperature) = sampling.temperature {
        options["temperature"] = json!(f64::from(temperature));
    }
    options
}

fn messages(conversation: &[Message]) -> Vec<Value> {
    let mut written: Vec<Value> = (0..conversation.len())
        .map(|index| message(conversation, index))
        .collect();
    if conversation.iter().all(|message| message.role != Role::User) {
        let after_system = conversation
            .iter()
            .take_while(|message| message.role == Role::System)
            .count();
        written.insert(after_system, json!({"role": "user", "content": GO_ON}));
    }
    written
}

fn message(conversation: &[Message], index: usize) -> Value {
    let message = &conversation[index];
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut json = json!({"role": role, "content": message.text});
    if !message.tool_calls.is_empty() {
        json["tool_calls"] = message.tool_calls.iter().map(tool_call).collect();
    }
    if let Some(id) = &message.tool_call_id {
        json["tool_call_id"] = json!(id);
        // Templates say which tool spoke by its name, not by the call. Ids are unique within a reply only, so the
        // nearest call before is meant.
        let calls = conversation[..index]
            .iter()
            .rev()
            .flat_map(|message| &message.tool_calls);
        if let Some(call) = calls.clone().find(|call| call.id == *id) {
            json["tool_name"] = json!(call.name);
        }
    }
    json
}

fn tool_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "function": {"name": call.name, "arguments": sendable_arguments(&call.arguments)},
    })
}

/// Returns arguments as the object that the server wants. A text that is none would have the whole conversation
/// refused, again and again, so it is wrapped.
fn sendable_arguments(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({ "malformed_arguments": arguments }),
    }
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Temperature;

    const ASKING: Asking<'static> = Asking {
        model: "small",
        num_ctx: 8192,
        keep_alive: KeepAlive::AsServer,
        think: ThinkSwitch::None,
    };

    fn request(messages: Vec<Message>) -> ChatRequest {
        ChatRequest {
            messages,
            max_tokens: 512,
            ..ChatRequest::default()
        }
    }

    fn sent_messages(messages: Vec<Message>) -> Value {
        chat_body(&ASKING, &request(messages))["messages"].take()
    }

    #[test]
    fn a_conversation_with_tools_is_written() {
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let result = |id: &str, text: &str| Message {
            tool_call_id: Some(id.to_owned()),
            ..Message::new(Role::Tool, text)
        };
        let request = ChatRequest {
            tools: vec![ToolSpec {
                name: "read_file".to_owned(),
                description: "Reads a file.".to_owned(),
                parameters: json!({"type": "object"}),
            }],
            sampling: Sampling {
                seed: Some(7),
                temperature: Some(Temperature::hundredths(20)),
            },
            format: Some(json!({"type": "object"})),
            ..request(vec![
                Message::new(Role::System, "be brief"),
                Message::new(Role::User, "look"),
                Message {
                    tool_calls: vec![
                        call("a", "read_file", r#"{"path":"x"}"#),
                        call("b", "list_files", ""),
                        call("c", "read_file", r#"{"path""#),
                    ],
                    ..Message::new(Role::Assistant, "")
                },
                result("a", "text"),
                Message {
                    tool_calls: vec![call("a", "search", "[1]")],
                    ..Message::new(Role::Assistant, "")
                },
                result("a", "found"),
                result("gone", "what"),
            ])
        };
        let sent = |id: &str, name: &str, arguments: Value| json!({"id": id, "function": {"name": name, "arguments": arguments}});
        assert_eq!(
            chat_body(&ASKING, &request),
            json!({
                "model": "small",
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "look"},
                    {"role": "assistant", "content": "", "tool_calls": [
                        sent("a", "read_file", json!({"path": "x"})),
                        sent("b", "list_files", json!({})),
                        sent("c", "read_file", json!({"malformed_arguments": "{\"path\""})),
                    ]},
                    {"role": "tool", "content": "text", "tool_call_id": "a", "tool_name": "read_file"},
                    {"role": "assistant", "content": "", "tool_calls": [
                        sent("a", "search", json!({"malformed_arguments": "[1]"})),
                    ]},
                    {"role": "tool", "content": "found", "tool_call_id": "a", "tool_name": "search"},
                    {"role": "tool", "content": "what", "tool_call_id": "gone"},
                ],
                "stream": true,
                "truncate": false,
                "shift": false,
                "options": {"num_ctx": 8192, "num_predict": 512, "seed": 7, "temperature": 0.2},
                "tools": [{"type": "function", "function": {
                    "name": "read_file", "description": "Reads a file.", "parameters": {"type": "object"},
                }}],
            })
        );
    }

    #[test]
    fn a_conversation_always_has_a_word_of_the_user() {
        let go_on = json!({"role": "user", "content": GO_ON});
        assert_eq!(sent_messages(vec![]), json!([go_on]));
        let system = json!({"role": "system", "content": "s"});
        assert_eq!(
            sent_messages(vec![
                Message::new(Role::System, "s"),
                Message::new(Role::Assistant, "a")
            ]),
            json!([system, go_on, {"role": "assistant", "content": "a"}])
        );
        assert_eq!(
            sent_messages(vec![Message::new(Role::User, "u")]),
            json!([{"role": "user", "content": "u"}])
        );
    }

    #[test]
    fn thinking_is_spoken_of_only_to_models_that_understand() {
        for (thinking, think, expect) in [
            (Thinking::AsIs, ThinkSwitch::None, None),
            (Thinking::AsIs, ThinkSwitch::OnOff, None),
            (Thinking::Off, ThinkSwitch::None, None),
            (Thinking::Off, ThinkSwitch::OnOff, Some(json!(false))),
            (Thinking::Off, ThinkSwitch::Levels, Some(json!("low"))),
        ] {
            let request = ChatRequest {
                thinking,
                ..request(vec![])
            };
            let body = chat_body(&Asking { think, ..ASKING }, &request);
            assert_eq!(body.get("think"), expect.as_ref(), "{thinking:?} {think:?}");
        }
    }

    #[test]
    fn a_schema_binds_where_there_are_no_tools() {
        let schema = json!({"type": "object"});
        let request = ChatRequest {
            format: Some(schema.clone()),
            ..request(vec![])
        };
        let body = chat_body(&ASKING, &request);
        assert_eq!((body.get("format"), body.get("tools")), (Some(&schema), None));
    }

    #[test]
    fn a_model_is_loaded_as_it_is_asked() {
        for (keep_alive, expect) in [
            (KeepAlive::AsServer, None),
            (KeepAlive::For(Duration::from_mins(30)), Some(json!(1800))),
            (KeepAlive::Always, Some(json!(-1))),
        ] {
            let asking = Asking { keep_alive, ..ASKING };
            let load = load_body("small", Some(8192), keep_alive);
            let chat = chat_body(&asking, &request(vec![]));
            assert_eq!(load.get("keep_alive"), expect.as_ref());
            for name in ["model", "keep_alive", "truncate", "shift"] {
                assert_eq!(load.get(name), chat.get(name), "{name}");
            }
            assert_eq!(load["options"]["num_ctx"], chat["options"]["num_ctx"]);
            assert_eq!(load["messages"], json!([]));
        }
    }
}
