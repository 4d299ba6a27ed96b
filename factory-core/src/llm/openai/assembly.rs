//! A reply put together from the pieces of an OpenAI stream.
//!
//! Pure. Takes one event's data at a time and gives the pieces that it completes. Servers differ in what they leave
//! out, repeat and misspell, so the JSON is walked by hand: a field of an unexpected kind is as good as absent.

use serde_json::Value;

use super::usage;
use crate::llm::call_ids::with_unique_ids;
use crate::llm::event_stream::{Assembly, LONGEST_NAME, Problem, event_json};
use crate::llm::repetition::Repetition;
use crate::llm::server_sent_events::ServerSentEvent;
use crate::llm::transport::ServerReport;
use crate::llm::{Delta, EndReason, TokenCount, ToolCall};

/// The mark of the stream's end.
const DONE: &str = "[DONE]";

/// A reply in the making.
#[derive(Debug)]
pub(super) struct OpenAiAssembly {
    tool_call_limit: usize,
    calls: Vec<PartialCall>,
    tokens: Option<TokenCount>,
    end: Option<EndReason>,
    has_seen_choice: bool,
    is_done: bool,
}

/// A tool call whose arguments may still grow.
#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    repetition: Repetition,
}

impl OpenAiAssembly {
    /// Returns an empty reply that may ask for so many tools.
    pub(super) fn new(tool_call_limit: usize) -> Self {
        Self {
            tool_call_limit,
            calls: Vec::new(),
            tokens: None,
            end: None,
            has_seen_choice: false,
            is_done: false,
        }
    }

    fn take_choice(&mut self, choice: &Value, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        self.has_seen_choice = true;
        // A server that cannot stream sends one whole `message`.
        let delta = ["delta", "message"]
            .iter()
            .filter_map(|name| choice.get(name))
            .find(|delta| delta.is_object());
        if let Some(delta) = delta {
            let thinking = ["reasoning_content", "reasoning"]
                .iter()
                .filter_map(|name| delta.get(name));
            if let Some(thinking) = thinking.map(text_of).find(|thinking| !thinking.is_empty()) {
                deltas.push(Delta::Thinking(thinking));
            }
            let text = delta.get("content").map(text_of).unwrap_or_default();
            if !text.is_empty() {
                deltas.push(Delta::Text(text));
            }
            for call in delta
                .get("tool_calls")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.take_call(call)?;
            }
        }
        if let Some(reason) = choice
            .get("finish_reason")
            .and_then(Value::as_str)
            .filter(|reason| !reason.is_empty())
        {
            self.end = Some(match reason {
                "stop" => EndReason::Stop,
                "tool_calls" | "function_call" => EndReason::ToolCalls,
                "length" => EndReason::Length,
                "content_filter" => EndReason::ContentFilter,
                _ => EndReason::Other,
            });
        }
        Ok(())
    }

    fn take_call(&mut self, fragment: &Value) -> Result<(), Problem> {
        let index = fragment.get("index").and_then(Value::as_u64);
        let id = fragment
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| id.len() <= LONGEST_NAME)
            .unwrap_or_default();
        let function = fragment.get("function");
        let name = function
            .and_then(|function| function.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let arguments = function
            .and_then(|function| function.get("arguments"))
            .unwrap_or(&Value::Null);

        let position = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None => self.calls.len().checked_sub(1),
        };
        let continued =
            position.filter(|&position| !begins_anew(&self.calls[position], index, id, name, arguments));
        let call = if let Some(position) = continued {
            &mut self.calls[position]
        } else {
            if self.calls.len() >= self.tool_call_limit {
                return Err(Problem::TooManyToolCalls);
            }
            self.calls.push(PartialCall {
                index,
                ..PartialCall::default()
            });
            self.calls.last_mut().expect("a call was just pushed")
        };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        // Some servers repeat the whole name in every fragment; none was seen that does so with parts of it.
        if call.name != name {
            call.name.push_str(name);
        }
        if call.name.len() > LONGEST_NAME {
            return Err(Problem::Bad(format!(
                "it calls a tool whose name is longer than {LONGEST_NAME} bytes"
            )));
        }
        match arguments {
            Value::Null => {}
            Value::String(text) => {
                call.arguments.push_str(text);
                if call.repetition.take(text) {
                    return Err(Problem::Repeating);
                }
            }
            whole => call.arguments.push_str(&whole.to_string()),
        }
        Ok(())
    }
}

impl Assembly for OpenAiAssembly {
    /// Tool calls come at the end, when they are whole.
    fn take(&mut self, name: &str, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        let data = data.trim();
        if data.is_empty() || self.is_done {
            return Ok(());
        }
        if data == DONE {
            self.is_done = true;
            return Ok(());
        }
        let chunk = match event_json(data) {
            Ok(chunk) => chunk,
            Err(_) if name == "error" => return Err(Problem::Reported(ServerReport::of_body(data))),
            Err(problem) => return Err(problem),
        };
        if let Some(report) = ServerReport::of_error(&chunk) {
            return Err(Problem::Reported(report));
        }
        if name == "error" {
            // The older shape: the error's fields without `error` around them.
            let wrapped = serde_json::json!({ "error": chunk });
            return Err(Problem::Reported(
                ServerReport::of_error(&wrapped).unwrap_or_default(),
            ));
        }
        if let Some(tokens) = usage::of_chunk(&chunk) {
            self.tokens = Some(tokens);
        }
        // More than one choice is never asked for.
        if let Some(choice) = chunk.get("choices").and_then(|choices| choices.get(0)) {
            self.take_choice(choice, deltas)?;
        }
        Ok(())
    }

    fn says_something(&self, event: &ServerSentEvent) -> bool {
        !event.data.trim().is_empty()
    }

    fn is_finished(&self) -> bool {
        self.is_done || self.end.is_some()
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn finish(self) -> Result<Vec<Delta>, Problem> {
        if !self.is_finished() {
            return Err(Problem::Bad(
                "the stream ended before the reply was whole".to_owned(),
            ));
        }
        if !self.has_seen_choice {
            return Err(Problem::Bad("the stream holds no reply".to_owned()));
        }
        let end = match (self.end.unwrap_or(EndReason::Other), self.calls.is_empty()) {
            (EndReason::Stop | EndReason::Other, false) => EndReason::ToolCalls,
            (EndReason::ToolCalls, true) => EndReason::Stop,
            (end, _) => end,
        };
        let calls = self.calls.into_iter().map(|call| ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        });
        let mut deltas: Vec<Delta> = with_unique_ids(calls.collect())
            .into_iter()
            .map(Delta::ToolCall)
            .collect();
        deltas.extend(self.tokens.map(Delta::Usage));
        deltas.push(Delta::End(end));
        Ok(deltas)
    }
}

/// Returns whether a fragment is a call of its own although its index, or the lack of one, says that it goes on with
/// `call`. Servers exist that give every call the index 0, or none.
fn begins_anew(call: &PartialCall, index: Option<u64>, id: &str, name: &str, arguments: &Value) -> bool {
    let has_other_id = !id.is_empty() && !call.id.is_empty() && id != call.id;
    let is_whole = arguments.is_object() && !call.arguments.is_empty();
    let is_unplaced = index.is_none() && id.is_empty() && !call.arguments.is_empty();
    !name.is_empty() && (has_other_id || is_whole || is_unplaced)
}

/// Returns a text that stands as a string, or as a list of parts with a `text` each.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text"))
            .filter_map(Value::as_str)
            .collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "assembly_tests.rs"]
mod tests;
