//! A reply put together from the events of a messages stream.
//!
//! Pure. The JSON is walked by hand: a field of an unexpected kind is as good as absent, and an event or block of a kind
//! that is not known here says nothing.

use serde_json::Value;

use crate::llm::call_ids::with_unique_ids;
use crate::llm::event_stream::{Assembly, LONGEST_NAME, Problem, event_json};
use crate::llm::repetition::Repetition;
use crate::llm::server_sent_events::ServerSentEvent;
use crate::llm::transport::ServerReport;
use crate::llm::{Delta, EndReason, TokenCount, ToolCall};

/// A reply in the making.
#[derive(Debug)]
pub(super) struct AnthropicAssembly {
    tool_call_limit: usize,
    calls: Vec<PartialCall>,
    usage: Usage,
    end: Option<EndReason>,
    has_begun: bool,
    is_done: bool,
}

/// A tool call whose arguments may still grow.
#[derive(Debug)]
struct PartialCall {
    index: u64,
    call: ToolCall,
    repetition: Repetition,
}

/// The parts of a count, each as it was told last: they are sums, not steps.
#[derive(Debug, Default)]
struct Usage {
    uncached: Option<u64>,
    read_from_cache: Option<u64>,
    written_to_cache: Option<u64>,
    reply: Option<u64>,
}

impl Usage {
    fn take(&mut self, usage: Option<&Value>) {
        for (part, name) in [
            (&mut self.uncached, "input_tokens"),
            (&mut self.read_from_cache, "cache_read_input_tokens"),
            (&mut self.written_to_cache, "cache_creation_input_tokens"),
            (&mut self.reply, "output_tokens"),
        ] {
            let count = usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
            *part = count.or(*part);
        }
    }

    fn tokens(&self) -> Option<TokenCount> {
        // What goes through the cache is counted apart.
        let prompt = self.uncached.map(|uncached| {
            [self.read_from_cache, self.written_to_cache]
                .into_iter()
                .flatten()
                .fold(uncached, u64::saturating_add)
        });
        let tokens = TokenCount {
            prompt,
            completion: self.reply,
            cached: self.read_from_cache,
            cost_micros: None,
        };
        (tokens != TokenCount::default()).then_some(tokens)
    }
}

impl AnthropicAssembly {
    /// Returns an empty reply that may ask for so many tools.
    pub(super) fn new(tool_call_limit: usize) -> Self {
        Self {
            tool_call_limit,
            calls: Vec::new(),
            usage: Usage::default(),
            end: None,
            has_begun: false,
            is_done: false,
        }
    }

    fn begin_block(&mut self, index: u64, block: &Value, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        match text(block, "type") {
            "text" => push(deltas, Delta::Text, text(block, "text")),
            "thinking" => push(deltas, Delta::Thinking, text(block, "thinking")),
            "tool_use" => {
                if self.calls.len() >= self.tool_call_limit {
                    return Err(Problem::TooManyToolCalls);
                }
                let name = text(block, "name");
                if name.len() > LONGEST_NAME {
                    return Err(Problem::Bad(format!(
                        "it calls a tool whose name is longer than {LONGEST_NAME} bytes"
                    )));
                }
                let id = text(block, "id");
                // Streams give an empty object here and the arguments in pieces; some servers give them whole.
                let whole = block.get("input").and_then(Value::as_object);
                let whole = whole.filter(|input| !input.is_empty());
                self.calls.push(PartialCall {
                    index,
                    call: ToolCall {
                        id: if id.len() > LONGEST_NAME { "" } else { id }.to_owned(),
                        name: name.to_owned(),
                        arguments: whole
                            .map(|input| Value::Object(input.clone()).to_string())
                            .unwrap_or_default(),
                    },
                    repetition: Repetition::default(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn take_delta(&mut self, index: u64, delta: &Value, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        match text(delta, "type") {
            "text_delta" => push(deltas, Delta::Text, text(delta, "text")),
            "thinking_delta" => push(deltas, Delta::Thinking, text(delta, "thinking")),
            "input_json_delta" => {
                let piece = text(delta, "partial_json");
                if let Some(call) = self.calls.iter_mut().rev().find(|call| call.index == index) {
                    call.call.arguments.push_str(piece);
                    if call.repetition.take(piece) {
                        return Err(Problem::Repeating);
                    }
                }
            }
            // The signature of the thinking, and what is not known yet.
            _ => {}
        }
        Ok(())
    }
}

impl Assembly for AnthropicAssembly {
    fn take(&mut self, name: &str, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        let data = data.trim();
        if data.is_empty() || self.is_done {
            return Ok(());
        }
        let event = match event_json(data) {
            Ok(event) => event,
            Err(_) if name == "error" => return Err(Problem::Reported(ServerReport::of_body(data))),
            Err(problem) => return Err(problem),
        };
        if let Some(report) = ServerReport::of_error(&event) {
            return Err(Problem::Reported(report));
        }
        let kind = match text(&event, "type") {
            "" => name,
            kind => kind,
        };
        let index = event.get("index").and_then(Value::as_u64).unwrap_or_default();
        match kind {
            "message_start" => {
                self.has_begun = true;
                self.usage.take(event.pointer("/message/usage"));
            }
            "content_block_start" => {
                self.begin_block(index, event.get("content_block").unwrap_or(&Value::Null), deltas)?;
            }
            "content_block_delta" => {
                self.take_delta(index, event.get("delta").unwrap_or(&Value::Null), deltas)?;
            }
            "message_delta" => {
                self.usage.take(event.get("usage"));
                let reason = event.pointer("/delta/stop_reason").and_then(Value::as_str);
                self.end = reason.map(end_reason).or(self.end);
            }
            "message_stop" => self.is_done = true,
            "error" => return Err(Problem::Reported(ServerReport::of_body(data))),
            _ => {}
        }
        Ok(())
    }

    fn says_something(&self, event: &ServerSentEvent) -> bool {
        event.name != "ping" && !event.data.trim().is_empty()
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
        if !self.has_begun {
            return Err(Problem::Bad("the stream holds no reply".to_owned()));
        }
        let end = match (self.end.unwrap_or(EndReason::Other), self.calls.is_empty()) {
            (EndReason::Stop | EndReason::Other, false) => EndReason::ToolCalls,
            (EndReason::ToolCalls, true) => EndReason::Stop,
            (end, _) => end,
        };
        let calls = self.calls.into_iter().map(|partial| {
            let mut call = partial.call;
            if call.arguments.is_empty() {
                // No piece at all is how a call without arguments comes.
                "{}".clone_into(&mut call.arguments);
            }
            call
        });
        let mut deltas: Vec<Delta> = with_unique_ids(calls.collect())
            .into_iter()
            .map(Delta::ToolCall)
            .collect();
        deltas.extend(self.usage.tokens().map(Delta::Usage));
        deltas.push(Delta::End(end));
        Ok(deltas)
    }
}

fn end_reason(reason: &str) -> EndReason {
    match reason {
        "end_turn" | "stop_sequence" => EndReason::Stop,
        "tool_use" => EndReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => EndReason::Length,
        "refusal" => EndReason::ContentFilter,
        _ => EndReason::Other,
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn push(deltas: &mut Vec<Delta>, piece: fn(String) -> Delta, text: &str) {
    if !text.is_empty() {
        deltas.push(piece(text.to_owned()));
    }
}

#[cfg(test)]
#[path = "assembly_tests.rs"]
mod tests;
