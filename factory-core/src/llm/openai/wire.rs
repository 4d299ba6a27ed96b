//! The request as the OpenAI protocol writes it.

use serde_json::{Value, json};

use crate::llm::{ChatRequest, Message, Role, Thinking, ToolCall, ToolSpec};

/// Returns the body of a chat request.
pub(super) fn request_body(model: &str, request: &ChatRequest) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "max_tokens": request.max_tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    // An empty list is refused by some servers.
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    } else if let Some(schema) = &request.format {
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": true, "schema": schema},
        });
    }
    if let Some(seed) = request.sampling.seed {
        body["seed"] = json!(seed);
    }
    if let Some(temperature) = request.sampling.temperature {
        body["temperature"] = json!(f64::from(temperature));
    }
    if request.thinking == Thinking::Off {
        // Known to the servers that fill a chat template: llama.cpp, vLLM, SGLang.
        body["chat_template_kwargs"] = json!({"enable_thinking": false});
    }
    body
}

fn message(message: &Message) -> Value {
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
    }
    json
}

fn tool_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": sendable_arguments(&call.arguments)},
    })
}

/// Returns arguments that a server can take. Servers parse those of earlier calls, and some refuse the whole
/// conversation, again and again, because of one call whose JSON the model broke; so such a text is wrapped.
fn sendable_arguments(arguments: &str) -> String {
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(_)) => arguments.to_owned(),
        _ => json!({"malformed_arguments": arguments}).to_string(),
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
    use crate::llm::Sampling;
    use crate::model::Temperature;

    #[test]
    fn a_conversation_with_tools_is_written() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: "read_file".to_owned(),
            arguments: arguments.to_owned(),
        };
        let request = ChatRequest {
            messages: vec![
                Message::new(Role::System, "be brief"),
                Message::new(Role::User, "look"),
                Message {
                    tool_calls: vec![
                        call("a", r#"{"path":"x"}"#),
                        call("b", ""),
                        call("c", r#"{"path""#),
                    ],
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
                parameters: json!({"type": "object"}),
            }],
            max_tokens: 512,
            sampling: Sampling {
                seed: Some(7),
                temperature: Some(Temperature::hundredths(20)),
            },
            ..ChatRequest::default()
        };
        let sent = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "read_file", "arguments": arguments}});
        assert_eq!(
            request_body("small", &request),
            json!({
                "model": "small",
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "look"},
                    {"role": "assistant", "content": "", "tool_calls": [
                        sent("a", r#"{"path":"x"}"#),
                        sent("b", "{}"),
                        sent("c", r#"{"malformed_arguments":"{\"path\""}"#),
                    ]},
                    {"role": "tool", "content": "text", "tool_call_id": "a"},
                ],
                "max_tokens": 512,
                "seed": 7,
                "temperature": 0.2,
                "stream": true,
                "stream_options": {"include_usage": true},
                "tools": [{"type": "function", "function": {
                    "name": "read_file", "description": "Reads a file.", "parameters": {"type": "object"},
                }}],
            })
        );
    }

    #[test]
    fn no_tools_are_not_an_empty_list() {
        let request = ChatRequest {
            max_tokens: 1,
            ..ChatRequest::default()
        };
        assert_eq!(request_body("small", &request).get("tools"), None);
    }
}
