//! Writes a recording's file, line by line, so that a run of any length needs no more memory than its longest prompt.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde_json::Value;

use super::compare;
use super::file::{Call, End, Header, Line, Outcome, RecordedMessage, TEXT_BYTES, Text};
use super::redaction::{Redaction, Removed};
use crate::llm::{ChatRequest, Message, Reply, Role};
use crate::model::{BlobId, Event};

/// The most bytes of a reply that stand in the prompts after it. The whole one stands with its call.
const REPLY_HEAD: usize = 1 << 10;

/// What stands for the hash of something that is not in the file. A guess at a short secret could be proven by it.
const HASH: &str = "[removed: hash]";

/// A call that is to be written.
#[derive(Debug, Clone)]
pub struct CallToWrite {
    /// The call's number within the run.
    pub call: u64,
    /// The request.
    pub request: ChatRequest,
    /// Whether the request is to the byte what was sent.
    pub as_sent: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub work_ms: u64,
}

/// Writes a recording.
#[derive(Debug)]
pub struct RecordingWriter<W> {
    out: W,
    redaction: Redaction,
    removed: Removed,
    calls: u64,
    events: u64,
    /// The ids of the texts that stand in the file.
    told: HashSet<String>,
    /// The messages of the prompt before, as they were sent, and their hashes.
    before: Vec<(Message, String)>,
}

impl<W: Write> RecordingWriter<W> {
    /// Writes the first line.
    pub fn begin(out: W, redaction: Redaction, header: Header) -> io::Result<Self> {
        let mut writer = Self {
            out,
            redaction,
            removed: Removed::default(),
            calls: 0,
            events: 0,
            told: HashSet::new(),
            before: Vec::new(),
        };
        let mut header = serde_json::to_value(header)?;
        for part in ["model", "run", "project", "environment"] {
            writer.redaction.value(&mut header[part], &mut writer.removed);
        }
        writer.write(&serde_json::json!({ "recording": header }))?;
        Ok(writer)
    }

    /// Writes an event, and before it those of its texts that do not stand in the file yet.
    pub fn event(&mut self, event: &Event, texts: &[(BlobId, Vec<u8>)]) -> io::Result<()> {
        let mut ids = HashMap::new();
        for (id, content) in texts {
            let text = match std::str::from_utf8(content) {
                // A reply stands with its call, as it was given.
                Ok(text) if serde_json::from_str::<Reply>(text).is_ok() => continue,
                Ok(text) => self.text(text, TEXT_BYTES)?,
                Err(_) => continue,
            };
            ids.insert(id.as_str(), text);
        }
        let mut value = serde_json::to_value(event)?;
        if let Some(payload) = value.get_mut("payload") {
            rename(payload, &ids);
        }
        if let Some(event) = value.as_object_mut() {
            // They say nothing outside of their database.
            event.remove("id");
            event.remove("run_id");
        }
        self.redaction.value(&mut value, &mut self.removed);
        self.events += 1;
        self.write(&serde_json::json!({ "event": value }))
    }

    /// Writes a call, and before it those of its texts that do not stand in the file yet.
    pub fn call(&mut self, call: CallToWrite) -> io::Result<()> {
        let sent = call.request.messages;
        let kept = sent
            .iter()
            .zip(&self.before)
            .take_while(|(sent, (before, _))| *sent == before)
            .count();
        self.before.truncate(kept);
        let mut messages = Vec::new();
        for message in sent.iter().skip(kept) {
            let recorded = self.message(message)?;
            self.before.push((message.clone(), recorded.hash.clone()));
            messages.push(recorded);
        }
        let hashes = self.before.iter().map(|(_, hash)| hash.as_str());
        let hash = compare::hash_of_all(hashes, call.request.max_tokens);
        let replies = || {
            sent.iter()
                .filter(|sent| sent.role == Role::Assistant && !sent.is_example)
                .count()
        };
        let call = Call {
            call: call.call,
            replies_before: call.request.replies_before.unwrap_or_else(replies),
            kept,
            messages,
            max_tokens: call.request.max_tokens,
            sampling: call.request.sampling,
            hash,
            as_sent: call.as_sent,
            outcome: self.outcome(call.outcome),
            work_ms: call.work_ms,
        };
        self.calls += 1;
        self.write(&Line::Call(Box::new(call)))
    }

    /// Writes the last line, and returns what it says.
    pub fn finish(mut self) -> io::Result<(W, End)> {
        let end = End {
            calls: self.calls,
            events: self.events,
            removed: self.removed.counts().clone(),
        };
        self.write(&Line::End(end.clone()))?;
        self.out.flush()?;
        Ok((self.out, end))
    }

    fn message(&mut self, message: &Message) -> io::Result<RecordedMessage> {
        let redacted = self.redacted(message);
        let most = if message.role == Role::Assistant {
            REPLY_HEAD
        } else {
            TEXT_BYTES
        };
        Ok(RecordedMessage {
            role: message.role,
            hash: compare::hash(&redacted),
            text: self.put(redacted.text, most)?,
        })
    }

    fn redacted(&mut self, message: &Message) -> Message {
        let mut message = message.clone();
        let mut take_out = |text: &mut String| *text = self.redaction.json_text(text, &mut self.removed);
        take_out(&mut message.text);
        for call in &mut message.tool_calls {
            take_out(&mut call.name);
            take_out(&mut call.arguments);
        }
        message
    }

    fn outcome(&mut self, outcome: Outcome) -> Outcome {
        let mut take_out = |text: &str| self.redaction.json_text(text, &mut self.removed);
        match outcome {
            Outcome::Replied(mut reply) => {
                reply.text = take_out(&reply.text);
                reply.thinking = take_out(&reply.thinking);
                for call in &mut reply.tool_calls {
                    call.name = take_out(&call.name);
                    call.arguments = take_out(&call.arguments);
                }
                Outcome::Replied(reply)
            }
            Outcome::Failed { failure, detail } => Outcome::Failed {
                failure,
                detail: take_out(&detail),
            },
        }
    }

    fn text(&mut self, text: &str, most: usize) -> io::Result<String> {
        let text = self.redaction.json_text(text, &mut self.removed);
        self.put(text, most)
    }

    /// Writes a text that nothing is to be taken out of any more, unless it stands in the file, and returns its id.
    fn put(&mut self, mut text: String, most: usize) -> io::Result<String> {
        let id = BlobId::of(text.as_bytes()).to_string();
        // A whole text may come after its beginning did.
        let bytes = text.len() as u64;
        text.truncate(text.floor_char_boundary(most));
        if self.told.insert(format!("{id} {}", text.len())) {
            self.write(&Line::Text(Text {
                id: id.clone(),
                text,
                bytes,
            }))?;
        }
        Ok(id)
    }

    fn write(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// Gives the texts that an event names the ids that they have in the file.
fn rename(value: &mut Value, ids: &HashMap<&str, String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = ids.get(text.as_str()) {
                text.clone_from(id);
            } else if text.parse::<BlobId>().is_ok() {
                HASH.clone_into(text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, ids)),
        Value::Object(map) => map.values_mut().for_each(|value| rename(value, ids)),
        _ => {}
    }
}
