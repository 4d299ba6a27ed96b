//! Which protocol is found for which model.

use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::stream;

use super::*;
use crate::llm::{Delta, EndReason, Progress, ReplyStream, ToolCall};

/// A model that answers each kind of request in one way.
#[derive(Debug, Default)]
struct Habits {
    with_tools: Option<(&'static str, &'static str)>,
    prints: Option<&'static str>,
    in_text: Option<&'static str>,
    in_schema: Option<&'static str>,
    refuses_tools: bool,
    asked: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl Llm for Habits {
    fn name(&self) -> &'static str {
        "habits"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn prepare(&self, _: Progress<'_>) -> Result<Capabilities, LlmError> {
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let kind = match (request.tools.is_empty(), request.format.is_some()) {
            (false, _) => "tools",
            (true, true) => "schema",
            (true, false) => "text",
        };
        self.asked.lock().unwrap().push(kind);
        let goal = &request.messages.last().unwrap().text;
        let mut deltas = Vec::new();
        match kind {
            "tools" if self.refuses_tools => {
                return Err(LlmError::Refused {
                    endpoint: "here".to_owned(),
                    status: 400,
                    detail: "does not support tools".to_owned(),
                });
            }
            "tools" => {
                if let Some((read, write)) = self.with_tools {
                    let (name, arguments) = if goal.contains("read_file") {
                        ("read_file", read)
                    } else {
                        ("write_file", write)
                    };
                    deltas.push(Delta::ToolCall(ToolCall {
                        id: "1".to_owned(),
                        name: name.to_owned(),
                        arguments: arguments.to_owned(),
                    }));
                } else {
                    deltas.push(Delta::Text(self.prints.unwrap_or("I will.").to_owned()));
                }
            }
            "schema" => deltas.push(Delta::Text(self.in_schema.unwrap_or("{}").to_owned())),
            _ => deltas.push(Delta::Text(self.in_text.unwrap_or("Certainly!").to_owned())),
        }
        deltas.push(Delta::End(EndReason::Stop));
        Ok(Box::pin(stream::iter(deltas.into_iter().map(Ok))))
    }
}

const RIGHT: (&str, &str) = (
    r#"{"path": "docs/notes.md"}"#,
    r#"{"path": "notes/today.txt", "content": "rain\n"}"#,
);
const TEXT: &str = "FILE: notes/today.txt\n```\nrain\n```";
const SCHEMA: &str = r#"{"act":"file","path":"notes/today.txt","lines":["rain"]}"#;

async fn check(habits: Habits, expect: Protocol, asked: &[&str]) {
    let probed = probe(&habits, Capabilities::default(), &|_| {}).await.unwrap();
    assert_eq!(
        (probed.protocol, habits.asked.lock().unwrap().as_slice()),
        (expect, asked),
        "{:?}",
        probed.tries
    );
    assert_eq!(
        probed.usage.calls,
        asked.len() as u64 - u64::from(habits.refuses_tools)
    );
}

#[tokio::test]
async fn the_most_able_protocol_that_works_is_taken() {
    let native = Habits {
        with_tools: Some(RIGHT),
        ..Habits::default()
    };
    check(native, Protocol::Native, &["tools", "tools"]).await;
    let careless = Habits {
        with_tools: Some((RIGHT.0, r#"{"path": "today.txt", "content": "rain"}"#)),
        in_text: Some(TEXT),
        ..Habits::default()
    };
    check(careless, Protocol::Text, &["tools", "tools", "text"]).await;
    let printing = Habits {
        prints: Some(r#"{"name": "read_file", "arguments": {"path": "docs/notes.md"}}"#),
        in_text: Some(TEXT),
        ..Habits::default()
    };
    check(printing, Protocol::Text, &["tools", "text"]).await;
    let refusing = Habits {
        refuses_tools: true,
        in_schema: Some(SCHEMA),
        ..Habits::default()
    };
    check(refusing, Protocol::Schema, &["tools", "text", "schema"]).await;
    check(Habits::default(), Protocol::Text, &["tools", "text", "schema"]).await;
}

#[tokio::test]
async fn what_is_known_is_not_tried() {
    let folder = tempfile::tempdir().unwrap();
    let notes = ModelNotes::read(&folder.path().join("models.json"));
    let habits = Habits {
        in_text: Some(TEXT),
        ..Habits::default()
    };
    for _ in 0..2 {
        let probed = protocol_of(&habits, Capabilities::default(), &notes, &|_| {})
            .await
            .unwrap();
        assert_eq!(probed.protocol, Protocol::Text);
    }
    assert_eq!(habits.asked.lock().unwrap().as_slice(), ["tools", "text"]);
    let known = Capabilities {
        protocol: Some(Protocol::Native),
        ..Capabilities::default()
    };
    let probed = protocol_of(&habits, known, &notes, &|_| {}).await.unwrap();
    assert_eq!((probed.protocol, probed.usage.calls), (Protocol::Native, 0));
}
