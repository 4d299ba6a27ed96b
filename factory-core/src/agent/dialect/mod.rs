//! How a model is asked for acts and how its replies are understood, for each protocol.
//!
//! Whatever the protocol, what comes out are calls of the same tools, so that everything behind it is one path. The
//! standing text and the examples are byte-identical for every call, because servers keep what they have read of an
//! unchanged beginning.

mod acts;
mod printed;
mod schema;
mod weak;

use serde_json::{Value, json};

use self::printed::Printed;
pub(super) use self::weak::{AFTER_EXAMPLES, EXAMPLE_FILES};
use super::prompt;
use crate::llm::{EndReason, Message, Reply, Role, ToolCall, ToolSpec};
use crate::model::Protocol;
use crate::tools::{self, Tool};
use crate::workspace::edit::{self, EditError, FileEdit};

/// What a reply asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Understood {
    /// The calls, in order.
    pub(super) calls: Vec<ToolCall>,
    /// Whether they were read out of the text.
    pub(super) in_text: bool,
    /// Why what is meant as a call could not be understood, told so that the model can do better.
    pub(super) problem: Option<String>,
}

impl Understood {
    fn in_text(calls: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            calls: calls
                .into_iter()
                .map(|(name, arguments)| ToolCall {
                    id: String::new(),
                    name,
                    arguments,
                })
                .collect(),
            in_text: true,
            problem: None,
        }
    }

    fn problem(problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::default()
        }
    }
}

/// Whether the factory leads a model of this protocol through small acts, instead of letting it plan for itself.
pub(super) fn is_led(protocol: Protocol) -> bool {
    protocol != Protocol::Native
}

/// Returns the standing instructions.
pub(super) fn standing(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Native => prompt::SYSTEM,
        Protocol::Schema => weak::SCHEMA_STANDING,
        Protocol::Text => weak::TEXT_STANDING,
    }
}

/// Returns the tools that the request offers by the server's own means.
pub(super) fn tools(protocol: Protocol) -> Vec<ToolSpec> {
    match protocol {
        Protocol::Native => tools::specs(),
        Protocol::Schema | Protocol::Text => Vec::new(),
    }
}

/// Returns the JSON Schema that replies are bound to.
pub(super) fn format(protocol: Protocol) -> Option<Value> {
    (protocol == Protocol::Schema).then(schema::schema)
}

/// Returns the messages as they are sent: for a led model the examples follow the standing instructions, results are
/// the factory's words, and no two messages of the same side follow one another.
pub(super) fn present(protocol: Protocol, messages: Vec<Message>) -> Vec<Message> {
    if !is_led(protocol) {
        return messages;
    }
    let mut sent: Vec<Message> = Vec::with_capacity(messages.len() + weak::EXAMPLES.len());
    for message in messages {
        let role = match message.role {
            Role::Tool => Role::User,
            role => role,
        };
        match sent.last_mut() {
            Some(last) if last.role == role && !last.is_example => {
                last.text.push_str("\n\n");
                last.text.push_str(&message.text);
            }
            _ => sent.push(Message::new(role, message.text)),
        }
        if role == Role::System {
            sent.extend(weak::examples(protocol));
        }
    }
    sent
}

/// Returns what a reply asks for. A model that calls tools by its server's means is taken at its word; else its text is
/// read by the protocol, then as calls printed in any usual dress, then as edits.
pub(super) fn understand(protocol: Protocol, reply: &Reply) -> Understood {
    if !reply.tool_calls.is_empty() {
        return Understood {
            calls: reply.tool_calls.clone(),
            ..Understood::default()
        };
    }
    let text = reply.text.as_str();
    let is_tool = |name: &str| Tool::named(name).is_some();
    let mut problem = None;
    if protocol == Protocol::Text {
        match acts::acts(text, reply.end) {
            Ok(acts) if !acts.is_empty() => return of_acts(acts),
            Ok(_) => {}
            Err(why) => problem = Some(why),
        }
    }
    if protocol == Protocol::Schema {
        match schema::act(text) {
            Ok(act) => return of_acts([act]),
            Err(why) => problem = Some(why),
        }
    }
    match printed::calls(text, &is_tool) {
        Printed::Calls(calls) => {
            return Understood::in_text(calls.into_iter().map(|call| (call.name, call.arguments)));
        }
        Printed::Broken(why) => {
            problem.get_or_insert(format!("your call cannot be read: {why}"));
        }
        Printed::Nothing => {}
    }
    if is_led(protocol) {
        match edits(text, reply.end) {
            Ok(calls) if !calls.is_empty() => return Understood::in_text(calls),
            Ok(_) => {}
            Err(why) => {
                problem.get_or_insert(why);
            }
        }
    }
    problem.map_or_else(Understood::default, Understood::problem)
}

/// Reads an answer that holds edits in another format than was asked for as calls that make them.
fn edits(text: &str, end: EndReason) -> Result<Vec<(String, String)>, String> {
    if end == EndReason::Length {
        // A diff does not show where it was cut.
        return Ok(Vec::new());
    }
    let found = match edit::edits_in(text) {
        Ok(found) => found,
        // Prose is no broken edit.
        Err(EditError::Format { .. }) if !text.contains("```") => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let call = |found: edit::FoundEdit| {
        let (tool, arguments) = match found.edit {
            FileEdit::Whole { path, content, .. } | FileEdit::Create { path, content, .. } => (
                Tool::ChangeFile,
                json!({"path": path.as_str(), "content": content}),
            ),
            FileEdit::Replace { path, replacements } => {
                let edits = replacements
                    .iter()
                    .map(|edit| json!({"search": edit.search, "replace": edit.replace}));
                (
                    Tool::EditFile,
                    json!({"path": path.as_str(), "edits": edits.collect::<Vec<_>>()}),
                )
            }
            FileEdit::Delete { path } => (Tool::DeleteFile, json!({"path": path.as_str()})),
            _ => (Tool::ApplyPatch, json!({"patch": text[found.range].to_owned()})),
        };
        (tool.name().to_owned(), arguments.to_string())
    };
    Ok(found.into_iter().map(call).collect())
}

/// Whether a reply that is still coming holds its act already, so that the rest need not be waited for.
pub(super) fn is_over(protocol: Protocol, text: &str) -> bool {
    protocol == Protocol::Text && acts::is_over(text)
}

fn of_acts(acts: impl IntoIterator<Item = acts::Act>) -> Understood {
    Understood::in_text(
        acts.into_iter()
            .map(|act| (act.tool.name().to_owned(), act.arguments.to_string())),
    )
}

/// Returns one act as the model should have written it, for an answer that held none.
pub(super) fn reminder(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Native => "Go on with the step by calling a tool, or call finish_step if the step is done.",
        Protocol::Schema => weak::SCHEMA_REMINDER,
        Protocol::Text => weak::TEXT_REMINDER,
    }
}

#[cfg(test)]
mod tests;
