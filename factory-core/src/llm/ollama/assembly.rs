//! A reply put together from the lines of an Ollama stream, of a chat or of a completion.
//!
//! Pure. The JSON is walked by hand: a field of an unexpected kind is as good as absent.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use crate::llm::transport::ServerReport;
use crate::llm::{Delta, EndReason, TokenCount, ToolCall};

/// What is wrong with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The server reports a failure within the stream.
    Reported(ServerReport),
    /// The reply asks for too many tools.
    TooManyToolCalls,
}

/// How long the parts of a reply took, as far as the server says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Timings {
    pub(super) load: Option<Duration>,
    pub(super) prompt: Option<Duration>,
    pub(super) reply: Option<Duration>,
    pub(super) total: Option<Duration>,
}

/// A reply in the making.
#[derive(Debug)]
pub(super) struct Assembly {
    tool_call_limit: usize,
    call_ids: HashSet<String>,
    calls: usize,
    timings: Option<Timings>,
}

impl Assembly {
    /// Returns an empty reply that may ask for so many tools.
    pub(super) fn new(tool_call_limit: usize) -> Self {
        Self {
            tool_call_limit,
            call_ids: HashSet::new(),
            calls: 0,
            timings: None,
        }
    }

    /// Returns how long it took; none before the reply is whole.
    pub(super) fn timings(&self) -> Option<Timings> {
        self.timings
    }

    /// Takes a line and appends what it brings. The last of a whole reply is [`Delta::End`].
    pub(super) fn take(&mut self, line: &Value, deltas: &mut Vec<Delta>) -> Result<(), Problem> {
        if let Some(report) = ServerReport::of_error(line) {
            return Err(Problem::Reported(report));
        }
        // A chat has a message, a completion has its fields at the top.
        let message = line
            .get("message")
            .filter(|message| message.is_object())
            .unwrap_or(line);
        let text = |name: &str| {
            let text = message.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        deltas.extend(text("thinking").map(Delta::Thinking));
        deltas.extend(text("content").or_else(|| text("response")).map(Delta::Text));
        let calls = message.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            deltas.push(Delta::ToolCall(self.tool_call(call)?));
        }
        if line.get("done").and_then(Value::as_bool) == Some(true) {
            self.finish(line, deltas);
        }
        Ok(())
    }

    fn tool_call(&mut self, call: &Value) -> Result<ToolCall, Problem> {
        if self.calls >= self.tool_call_limit {
            return Err(Problem::TooManyToolCalls);
        }
        let number = self.calls;
        self.calls += 1;
        let function = call.get("function").unwrap_or(&Value::Null);
        let mut id = match call.get("id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => id.to_owned(),
            // Older servers give none.
            _ => format!("call-{number}"),
        };
        while !self.call_ids.insert(id.clone()) {
            id.push('-');
        }
        Ok(ToolCall {
            id,
            name: function
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            arguments: match function.get("arguments") {
                None | Some(Value::Null) => "{}".to_owned(),
                // Parsers of some models let through what they could not read.
                Some(Value::String(text)) => text.clone(),
                Some(arguments) => arguments.to_string(),
            },
        })
    }

    fn finish(&mut self, line: &Value, deltas: &mut Vec<Delta>) {
        let number = |name: &str| line.get(name).and_then(Value::as_u64);
        let tokens = TokenCount {
            prompt: number("prompt_eval_count"),
            completion: number("eval_count"),
            cached: number("prompt_eval_cached_count"),
            ..TokenCount::default()
        };
        if tokens != TokenCount::default() {
            deltas.push(Delta::Usage(tokens));
        }
        let time = |name: &str| number(name).map(Duration::from_nanos);
        self.timings = Some(Timings {
            load: time("load_duration"),
            prompt: time("prompt_eval_duration"),
            reply: time("eval_duration"),
            total: time("total_duration"),
        });
        let reason = line.get("done_reason").and_then(Value::as_str);
        deltas.push(Delta::End(match reason.unwrap_or_default() {
            "length" => EndReason::Length,
            _ if self.calls > 0 => EndReason::ToolCalls,
            "stop" => EndReason::Stop,
            // A model that was loaded or unloaded, and not asked; a server that does not say, which may have been cut.
            _ => EndReason::Other,
        }));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assemble(lines: &[Value]) -> Result<Vec<Delta>, Problem> {
        let mut assembly = Assembly::new(4);
        let mut deltas = Vec::new();
        for line in lines {
            assembly.take(line, &mut deltas)?;
        }
        Ok(deltas)
    }

    fn check(lines: &[Value], expect: &[Delta]) {
        assert_eq!(assemble(lines).unwrap(), expect);
    }

    fn says(message: &Value) -> Value {
        json!({"model": "m", "message": message, "done": false})
    }

    fn done(reason: &str) -> Value {
        json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason})
    }

    fn call(id: &str, name: &str, arguments: &str) -> Delta {
        Delta::ToolCall(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        })
    }

    fn text(text: &str) -> Delta {
        Delta::Text(text.to_owned())
    }

    #[test]
    fn a_chat_and_a_completion_are_read() {
        let last = json!({
            "message": {"role": "assistant", "content": "!"}, "done": true, "done_reason": "stop",
            "total_duration": 5_000_000_000_u64, "load_duration": 1, "prompt_eval_duration": 2, "eval_duration": 3,
            "prompt_eval_count": 26, "prompt_eval_cached_count": 20, "eval_count": 7,
        });
        let usage = Delta::Usage(TokenCount {
            prompt: Some(26),
            completion: Some(7),
            cached: Some(20),
            ..TokenCount::default()
        });
        check(
            &[
                says(&json!({"role": "assistant", "content": "", "thinking": "hm"})),
                says(&json!({"role": "assistant", "content": "a"})),
                last.clone(),
            ],
            &[
                Delta::Thinking("hm".to_owned()),
                text("a"),
                text("!"),
                usage,
                Delta::End(EndReason::Stop),
            ],
        );
        check(
            &[
                json!({"response": "a", "thinking": "hm", "done": false}),
                json!({"response": "", "done": true, "done_reason": "stop"}),
            ],
            &[
                Delta::Thinking("hm".to_owned()),
                text("a"),
                Delta::End(EndReason::Stop),
            ],
        );
        let mut assembly = Assembly::new(1);
        assert_eq!(assembly.timings(), None);
        assembly.take(&last, &mut Vec::new()).unwrap();
        let nanoseconds = |number| Some(Duration::from_nanos(number));
        assert_eq!(
            assembly.timings(),
            Some(Timings {
                load: nanoseconds(1),
                prompt: nanoseconds(2),
                reply: nanoseconds(3),
                total: nanoseconds(5_000_000_000),
            })
        );
    }

    #[test]
    fn the_reason_of_the_end_is_told() {
        let calls = says(&json!({"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}));
        let words = says(&json!({"content": "x"}));
        for (first, reason, expect) in [
            (&words, "stop", EndReason::Stop),
            (&words, "length", EndReason::Length),
            (&words, "load", EndReason::Other),
            (&words, "unload", EndReason::Other),
            (&words, "", EndReason::Other),
            (&words, "novel", EndReason::Other),
            (&calls, "stop", EndReason::ToolCalls),
            (&calls, "", EndReason::ToolCalls),
            (&calls, "length", EndReason::Length),
        ] {
            let deltas = assemble(&[first.clone(), done(reason)]).unwrap();
            assert_eq!(deltas.last(), Some(&Delta::End(expect)), "{reason}");
        }
        check(&[json!({"done": true})], &[Delta::End(EndReason::Other)]);
    }

    #[test]
    fn calls_have_ids_of_their_own_and_arguments_of_any_kind() {
        let calls = json!({"tool_calls": [
            {"function": {"name": "f", "arguments": {"x": [1]}}},
            {"id": "call-0", "function": {"index": 1, "name": "f", "arguments": "{\"x\""}},
            {"id": "", "function": {"name": 7, "arguments": null}},
            {"id": "a", "function": {"name": "g"}},
        ]});
        check(
            &[says(&calls), done("stop")],
            &[
                call("call-0", "f", r#"{"x":[1]}"#),
                call("call-0-", "f", "{\"x\""),
                call("call-2", "", "{}"),
                call("a", "g", "{}"),
                Delta::End(EndReason::ToolCalls),
            ],
        );
    }

    #[test]
    fn too_many_calls_are_refused() {
        let calls = json!({"tool_calls": [{}, {}, {}]});
        assert_eq!(
            assemble(&[says(&calls), says(&calls)]),
            Err(Problem::TooManyToolCalls)
        );
    }

    #[test]
    fn a_failure_within_the_stream_is_told() {
        let report = ServerReport {
            message: "gone".to_owned(),
            ..ServerReport::default()
        };
        assert_eq!(
            assemble(&[says(&json!({"content": "x"})), json!({"error": "gone"})]),
            Err(Problem::Reported(report))
        );
    }

    #[test]
    fn fields_of_an_unexpected_kind_are_as_good_as_absent() {
        check(
            &[
                json!([]),
                json!(7),
                json!({"error": null, "message": [], "done": "true"}),
                says(&json!({"content": 7, "thinking": null, "tool_calls": {}})),
                json!({"done": true, "done_reason": 1, "eval_count": -1, "prompt_eval_count": 1.5}),
            ],
            &[Delta::End(EndReason::Other)],
        );
    }
}
