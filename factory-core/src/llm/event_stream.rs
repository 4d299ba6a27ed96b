//! A reply read out of server-sent events, whichever protocol they belong to.
//!
//! The protocols differ in what an event says; that is an [`Assembly`]. How bytes become events, where a reply ends,
//! what bounds it, and what of its token count is believed, is the same for all and stands here.

use std::collections::VecDeque;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::plausibility::Asked;
use super::server_sent_events::{EventParser, ServerSentEvent};
use super::transport::{Pace, ReplyBytes, ServerReport, Transport};
use super::{Delta, EndReason, LlmError, ReplyStream};

/// The most parts (values, separated and nested) of the JSON of one event. Text costs its own length, but a part costs
/// many times its own, and no event of a reply has more than a few dozen of them.
const EVENT_PARTS: usize = 16 * 1024;

/// The most bytes of a tool's name, and of a call's id; both are shown and stored in many places.
pub(super) const LONGEST_NAME: usize = 512;

/// What is wrong with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The server reports a failure within the stream.
    Reported(ServerReport),
    /// A piece is no JSON, or the stream ended too early.
    Bad(String),
    /// The reply asks for too many tools.
    TooManyToolCalls,
    /// The arguments of a tool call repeat themselves without an end: the reply is cut.
    Repeating,
}

/// A reply in the making. Pure: takes one event at a time and gives the pieces that it completes.
pub(super) trait Assembly: Send + 'static {
    /// Takes an event and appends what can be shown at once.
    fn take(&mut self, name: &str, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Problem>;

    /// Returns whether an event is more than a sign of life.
    fn says_something(&self, event: &ServerSentEvent) -> bool;

    /// Returns whether the server has said why the reply ended, so that only the token count may be missing.
    fn is_finished(&self) -> bool;

    /// Returns whether the server has marked the end of the stream.
    fn is_done(&self) -> bool;

    /// Takes the end of the stream and returns the last pieces, of which the very last is [`Delta::End`].
    fn finish(self) -> Result<Vec<Delta>, Problem>;
}

/// Reads the JSON of an event.
pub(super) fn event_json(data: &str) -> Result<Value, Problem> {
    bounded_json(data, EVENT_PARTS).map_err(|detail| Problem::Bad(format!("a piece of the stream {detail}")))
}

/// Reads JSON of at most so many parts; the error's words follow the name of what was read.
pub(super) fn bounded_json(text: &str, limit: usize) -> Result<Value, String> {
    let mut in_text = false;
    let mut is_escaped = false;
    let parts = text.bytes().filter(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' => return !in_text,
            _ => {}
        }
        false
    });
    if parts.count() > limit {
        return Err(format!("has more than {limit} parts"));
    }
    serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))
}

/// A reply on its way.
struct Reading<A> {
    transport: Transport,
    bytes: ReplyBytes,
    parser: EventParser,
    pace: Pace,
    asked: Asked,
    /// The bytes of text, thinking and arguments so far.
    written: usize,
    /// None once the reply has ended, in one way or the other.
    assembly: Option<A>,
    ready: VecDeque<Result<Delta, LlmError>>,
}

/// Returns the reply that the bytes hold.
pub(super) fn reply_stream<A: Assembly>(
    transport: Transport,
    bytes: ReplyBytes,
    assembly: A,
    asked: Asked,
) -> ReplyStream {
    let reading = Reading {
        parser: EventParser::new(transport.bounds().line_bytes),
        pace: Pace::new(transport.bounds()),
        assembly: Some(assembly),
        transport,
        bytes,
        asked,
        written: 0,
        ready: VecDeque::new(),
    };
    stream::unfold(reading, |mut reading| async move {
        loop {
            if let Some(delta) = reading.ready.pop_front() {
                return Some((delta, reading));
            }
            reading.read().await?;
        }
    })
    .boxed()
}

impl<A: Assembly> Reading<A> {
    /// Reads until there is something new to give. Returns none after the end.
    async fn read(&mut self) -> Option<()> {
        let mut assembly = self.assembly.take()?;
        let mut events = Vec::new();
        let read = match tokio::time::timeout_at(self.pace.until(), self.bytes.next()).await {
            Ok(read) => read,
            Err(_) => Some(Err(self.transport.bound_passed(self.pace.shortfall()))),
        };
        let (parsed, is_at_end) = match read {
            Some(Ok(bytes)) => (self.parser.push(&bytes, &mut events), false),
            // After the reason for the end, a connection that breaks or falls silent loses nothing but the count.
            Some(Err(_)) if assembly.is_finished() => (Ok(()), true),
            Some(Err(error)) => {
                self.ready.push_back(Err(error));
                return Some(());
            }
            None => {
                let limit = self.transport.bounds().line_bytes;
                let parser = std::mem::replace(&mut self.parser, EventParser::new(limit));
                (parser.finish().map(|last| events.extend(last)), true)
            }
        };
        // What is left at the end of the stream may be the beginning of an event.
        let taken = match self.take(&mut assembly, &events) {
            Err(Problem::Bad(_)) if is_at_end => Ok(()),
            taken => taken,
        };
        if let Err(problem) = taken {
            self.fail(problem);
        } else if let (Err(error), false) = (parsed, assembly.is_done()) {
            self.ready
                .push_back(Err(self.transport.bound_passed(error.to_string())));
        } else if is_at_end || assembly.is_done() {
            match assembly.finish() {
                Ok(deltas) => self.give(deltas),
                Err(problem) => self.fail(problem),
            }
        } else {
            self.assembly = Some(assembly);
        }
        Some(())
    }

    /// Takes events, and makes ready what they complete, also before a problem.
    fn take(&mut self, assembly: &mut A, events: &[ServerSentEvent]) -> Result<(), Problem> {
        let mut deltas = Vec::new();
        let result = events.iter().try_for_each(|event| {
            if assembly.says_something(event) {
                self.pace.heard(event.data.len());
            }
            assembly.take(&event.name, &event.data, &mut deltas)
        });
        self.give(deltas);
        result
    }

    fn give(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            let delta = match delta {
                Delta::Usage(tokens) => Delta::Usage(self.asked.believed(tokens, self.written)),
                delta => delta,
            };
            self.written += match &delta {
                Delta::Text(text) | Delta::Thinking(text) => text.len(),
                Delta::ToolCall(call) => call.name.len() + call.arguments.len(),
                Delta::Usage(_) | Delta::End(_) => 0,
            };
            self.ready.push_back(Ok(delta));
        }
    }

    fn fail(&mut self, problem: Problem) {
        let last = match problem {
            Problem::Reported(report) => Err(self.transport.failure(None, &report, None)),
            Problem::Bad(detail) => Err(self.transport.bad_reply(detail)),
            Problem::TooManyToolCalls => {
                let limit = self.transport.bounds().tool_calls;
                Err(self
                    .transport
                    .bound_passed(format!("the reply asks for more than {limit} tool calls")))
            }
            Problem::Repeating => {
                tracing::warn!(endpoint = %self.transport.endpoint(), "the arguments of a tool call repeat themselves; the reply is cut");
                Ok(Delta::End(EndReason::Length))
            }
        };
        self.ready.push_back(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_outside_of_texts() {
        let many = "[1,".repeat(EVENT_PARTS);
        assert_eq!(
            event_json(&many),
            Err(Problem::Bad(format!(
                "a piece of the stream has more than {EVENT_PARTS} parts"
            )))
        );
        let text = Value::String("\\\"[1,{".repeat(EVENT_PARTS));
        assert_eq!(event_json(&text.to_string()), Ok(text));
        assert!(matches!(event_json("{"), Err(Problem::Bad(detail)) if detail.contains("no JSON")));
    }
}
