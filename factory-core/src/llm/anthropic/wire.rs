//! The request as the messages protocol writes it.

use serde_json::{Map, Value, json};

use crate::llm::{ChatRequest, Message, Role, Thinking, ToolCall, ToolSpec};

/// Returns the body of a chat request.
///
/// A seed cannot be given, and no form of the reply. The marks for the cache stand after what stays the same: the tools
/// and the system prompt, which all requests of a run begin with, and the conversation so far, with which the next
/// request begins.
pub(super) fn request_body(model: &str, request: &ChatRequest) -> Value {
    let leading = request
        .messages
        .iter()
        .take_while(|message| message.role == Role::System)
        .count();
    let (system, conversation) = request.messages.split_at(leading);
    let mut turns = turns(conversation);
    if let Some((_, blocks)) = turns.last_mut() {
        mark_for_cache(blocks.last_mut());
    }
    let messages = turns
        .into_iter()
        .map(|(role, blocks)| json!({"role": role, "content": blocks}));
    let mut body = json!({
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": messages.collect::<Vec<_>>(),
        "stream": true,
    });
    let mut system: Vec<Value> = system.iter().filter_map(text_block).collect();
    let mut tools: Vec<Value> = request.tools.iter().map(tool).collect();
    // The tools come before the system prompt in what the server caches.
    mark_for_cache(system.last_mut().or(tools.last_mut()));
    if !system.is_empty() {
        body["system"] = Value::from(system);
    }
    if !tools.is_empty() {
        body["tools"] = Value::from(tools);
    }
    if let Some(temperature) = request.sampling.temperature {
        // The scale ends at 1 here.
        body["temperature"] = json!(f64::from(temperature).min(1.0));
    }
    if request.thinking == Thinking::Off {
        body["thinking"] = json!({"type": "disabled"});
    }
    body
}

fn mark_for_cache(block: Option<&mut Value>) {
    if let Some(block) = block {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
}

/// Returns the turns of a conversation, in which the two sides alternate: tool results and the operator's words that
/// follow each other are one turn.
fn turns(messages: &[Message]) -> Vec<(&'static str, Vec<Value>)> {
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role {
            Role::Assistant => ("assistant", assistant_blocks(message)),
            Role::Tool => ("user", vec![tool_result(message)]),
            Role::User | Role::System => ("user", text_block(message).into_iter().collect()),
        };
        match turns.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            // A turn that says nothing is refused.
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    turns
}

/// Returns a message's text as a block; none if it says nothing, because such a block is refused.
fn text_block(message: &Message) -> Option<Value> {
    let is_empty = message.text.trim().is_empty();
    (!is_empty).then(|| json!({"type": "text", "text": message.text}))
}

fn assistant_blocks(message: &Message) -> Vec<Value> {
    let calls = message.tool_calls.iter().map(tool_use);
    text_block(message).into_iter().chain(calls).collect()
}

fn tool_use(call: &ToolCall) -> Value {
    json!({
        "type": "tool_use",
        "id": sendable_name(&call.id),
        "name": sendable_name(&call.name),
        "input": sendable_arguments(&call.arguments),
    })
}

fn tool_result(message: &Message) -> Value {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    json!({"type": "tool_result", "tool_use_id": sendable_name(id), "content": message.text})
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
}

/// Returns a name or id in the characters that are taken. A conversation may hold names that another model invented.
fn sendable_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .take(64)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if clean.is_empty() { "_".to_owned() } else { clean }
}

/// Returns arguments as the object that is wanted; a text whose JSON the model broke is wrapped.
fn sendable_arguments(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"malformed_arguments": arguments}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Sampling;
    use crate::model::Temperature;

    fn call(id: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: id.to_owned(),
            name: "read_file".to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    fn result(id: &str, text: &str) -> Message {
        Message {
            tool_call_id: Some(id.to_owned()),
            ..Message::new(Role::Tool, text)
        }
    }

    #[test]
    fn a_conversation_with_tools_is_written() {
        let request = ChatRequest {
            messages: vec![
                Message::new(Role::System, "be brief"),
                Message::new(Role::User, "look"),
                Message {
                    tool_calls: vec![
                        call("a", r#"{"path":"x"}"#),
                        call("b|1", ""),
                        call("c", r#"{"path""#),
                    ],
                    ..Message::new(Role::Assistant, "")
                },
                result("a", "text"),
                result("b|1", ""),
                result("c", "no JSON"),
                Message::new(Role::User, "go on"),
            ],
            tools: vec![ToolSpec {
                name: "read_file".to_owned(),
                description: "Reads a file.".to_owned(),
                parameters: json!({"type": "object"}),
            }],
            max_tokens: 512,
            sampling: Sampling {
                seed: Some(7),
                temperature: Some(Temperature::hundredths(150)),
            },
            thinking: Thinking::Off,
            ..ChatRequest::default()
        };
        let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "read_file", "input": input});
        let cache = json!({"type": "ephemeral"});
        assert_eq!(
            request_body("large", &request),
            json!({
                "model": "large",
                "max_tokens": 512,
                "system": [{"type": "text", "text": "be brief", "cache_control": cache}],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "look"}]},
                    {"role": "assistant", "content": [
                        used("a", json!({"path": "x"})),
                        used("b_1", json!({})),
                        used("c", json!({"malformed_arguments": "{\"path\""})),
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "a", "content": "text"},
                        {"type": "tool_result", "tool_use_id": "b_1", "content": ""},
                        {"type": "tool_result", "tool_use_id": "c", "content": "no JSON"},
                        {"type": "text", "text": "go on", "cache_control": cache},
                    ]},
                ],
                "tools": [{
                    "name": "read_file", "description": "Reads a file.", "input_schema": {"type": "object"},
                }],
                "temperature": 1.0,
                "thinking": {"type": "disabled"},
                "stream": true,
            })
        );
    }

    #[test]
    fn what_says_nothing_is_not_sent() {
        let request = ChatRequest {
            messages: vec![
                Message::new(Role::User, "a"),
                Message::new(Role::Assistant, " "),
                Message::new(Role::User, "b"),
            ],
            max_tokens: 1,
            ..ChatRequest::default()
        };
        let body = request_body("large", &request);
        assert_eq!((body.get("system"), body.get("tools")), (None, None));
        assert_eq!(
            body["messages"],
            json!([{"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
            ]}])
        );
    }
}
