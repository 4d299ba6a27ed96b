//! A model that plays a script, so that whole runs can be shown and tested without a real model.
//!
//! A script is a JSON file. The smallest one says one thing:
//!
//! ```json
//! {"replies": [{"text": "hello"}]}
//! ```
//!
//! Which reply is played is decided by the request alone: by the number of assistant messages in it. So a process that
//! was killed goes on where it was, and asking the same again gives the same reply. The one thing kept in memory is
//! how often a reply has already failed, for `fail.times`.
//!
//! # The script
//!
//! | Field | Meaning |
//! | --- | --- |
//! | `name` | how the model calls itself; by default the name it was opened with |
//! | `replies` | the replies in order, at least one |
//! | `then` | after the last reply: `"end"` (an error, the default) or `"repeat_last"` |
//!
//! A reply. Every field may be left out:
//!
//! | Field | Meaning |
//! | --- | --- |
//! | `text` | the answer; streamed in pieces of at most [`PIECE_CHARACTERS`] characters |
//! | `thinking` | the thinking; streamed likewise, before the answer |
//! | `tool_calls` | `[{"name": "...", "arguments": {...}}]`; a string as `arguments` is given to the caller untouched, so a script can call tools with broken JSON. Ids are `call-<reply number>-<index>` |
//! | `tokens` | `{"prompt": n, "completion": n}`; no count is given for what is left out |
//! | `end` | `"stop"`, `"tool_calls"` or `"length"`; by default `"tool_calls"` if there are any, else `"stop"` |
//! | `delay_ms` | the wait before the first piece |
//! | `chunk_delay_ms` | the wait between two pieces |
//! | `expect` | `{"contains": ["..."], "absent": ["..."]}`: what must and must not stand in the messages after the last assistant message. A surprise is an error that says which text it was |
//! | `fail` | `{"kind": "busy", "times": 2}`: fails this often before the reply is played; always, without `times`. Kinds: `"busy"`, `"refused"`, and `"broken"`, where the reply breaks off in the middle |
//!
//! Unknown fields are refused, because a misspelt `expect` would otherwise check nothing.
//!
//! # Example
//!
//! ```
//! use factory_core::llm::scripted::ScriptedLlm;
//! use factory_core::llm::{ChatRequest, EndReason, Llm, Message, Role, collect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), factory_core::llm::LlmError> {
//! let model = ScriptedLlm::from_json(
//!     "example",
//!     r#"{
//!         "replies": [
//!             {
//!                 "thinking": "first look at the file",
//!                 "tool_calls": [{"name": "read_file", "arguments": {"path": "src/lib.rs"}}],
//!                 "tokens": {"prompt": 120, "completion": 14}
//!             },
//!             {
//!                 "expect": {"contains": ["fn main"], "absent": ["error"]},
//!                 "text": "the file has a main function",
//!                 "chunk_delay_ms": 1
//!             }
//!         ]
//!     }"#,
//! )?;
//! let mut messages = vec![Message::new(Role::User, "what is in the file?")];
//! let request = ChatRequest { messages: messages.clone(), max_tokens: 100, ..ChatRequest::default() };
//! let first = collect(model.chat(request).await?, "example", |_| {}).await?;
//! assert_eq!(first.tool_calls[0].id, "call-1-0");
//! assert_eq!(first.tool_calls[0].arguments, r#"{"path":"src/lib.rs"}"#);
//!
//! messages.push(Message { tool_calls: first.tool_calls, ..Message::new(Role::Assistant, first.text) });
//! messages.push(Message {
//!     tool_call_id: Some("call-1-0".to_owned()),
//!     ..Message::new(Role::Tool, "fn main() {}")
//! });
//! let request = ChatRequest { messages, max_tokens: 100, ..ChatRequest::default() };
//! let second = collect(model.chat(request).await?, "example", |_| {}).await?;
//! assert_eq!((second.text.as_str(), second.end), ("the file has a main function", EndReason::Stop));
//! # Ok(())
//! # }
//! ```

mod script;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

pub use self::script::{
    Expectation, Failure, FailureKind, Script, ScriptArguments, ScriptReply, ScriptToolCall, Then,
};
use super::{
    Capabilities, ChatRequest, Delta, EndReason, Llm, LlmError, Message, Progress, ReplyStream, Role,
    Support, TokenCount, ToolCall,
};
use crate::model::Protocol;

/// The most bytes of a script's file.
pub const SCRIPT_BYTES: u64 = 16 * 1024 * 1024;

/// The most characters of a piece of text in the stream.
pub const PIECE_CHARACTERS: usize = 24;

/// What a script looks like, for the error of someone whose file is none.
const SHAPE: &str = r#"a script looks like {"replies": [{"text": "hello"}]}"#;

/// A model that plays a [`Script`]. See the [module](self) for the format.
#[derive(Debug)]
pub struct ScriptedLlm {
    name: String,
    /// The script as errors name it: its file, or the name it was made with.
    origin: String,
    script: Script,
    /// How often each reply has failed on purpose.
    failures: Vec<AtomicU32>,
}

impl ScriptedLlm {
    /// Returns a model that plays `script`.
    pub fn new(name: impl Into<String>, script: Script) -> Self {
        let origin = name.into();
        Self {
            name: script.name.clone().unwrap_or_else(|| origin.clone()),
            origin,
            failures: script.replies.iter().map(|_| AtomicU32::new(0)).collect(),
            script,
        }
    }

    /// Returns a model that plays the script in a file. Reads the file now, and blocks while it does.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LlmError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let json = read_script(path).map_err(|detail| script_error(&origin, detail))?;
        let script = parse(&origin, &json)?;
        Ok(Self {
            name: script
                .name
                .clone()
                .unwrap_or_else(|| format!("scripted:{origin}")),
            ..Self::new(origin, script)
        })
    }

    /// Returns a model that plays the script in a text; `name` is what errors call it.
    pub fn from_json(name: &str, json: &str) -> Result<Self, LlmError> {
        Ok(Self::new(name, parse(name, json)?))
    }

    /// Returns the reply to a request and its number, counted from one.
    fn reply_to(&self, request: &ChatRequest) -> Result<(usize, &ScriptReply), LlmError> {
        let replies = request
            .messages
            .iter()
            .filter(|message| message.role == Role::Assistant && !message.is_example);
        let turn = request.replies_before.unwrap_or_else(|| replies.count());
        let last = self.script.replies.len().saturating_sub(1);
        let index = match self.script.then {
            Then::RepeatLast => turn.min(last),
            Then::End => turn,
        };
        let reply = self.script.replies.get(index).ok_or_else(|| {
            let count = self.script.replies.len();
            let detail = format!(
                "has {count} replies and was asked for reply {}; add replies, or say \"then\": \"repeat_last\"",
                turn + 1
            );
            script_error(&self.origin, detail)
        })?;
        Ok((index + 1, reply))
    }

    /// Returns the failure to play now, if there is one, and counts it.
    fn next_failure(&self, number: usize, reply: &ScriptReply) -> Option<FailureKind> {
        let failure = reply.fail?;
        let Some(times) = failure.times else {
            return Some(failure.kind);
        };
        let counter = self.failures.get(number - 1)?;
        counter
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |failed| {
                (failed < times).then_some(failed + 1)
            })
            .is_ok()
            .then_some(failure.kind)
    }
}

#[async_trait]
impl Llm for ScriptedLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tools: Support::Yes,
            protocol: Some(Protocol::Native),
            ..Capabilities::default()
        }
    }

    async fn prepare(&self, _progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let (number, reply) = self.reply_to(&request)?;
        if let Some(surprise) = surprise(&reply.expect, &request.messages) {
            return Err(script_error(
                &self.origin,
                format!("reply {number} expects {surprise}"),
            ));
        }
        let failure = self.next_failure(number, reply);
        let mut pieces: Vec<Result<Delta, LlmError>> = pieces(number, reply).into_iter().map(Ok).collect();
        match failure {
            None => {}
            Some(FailureKind::Busy) => {
                return Err(LlmError::Busy {
                    endpoint: self.origin.clone(),
                    detail: format!("reply {number} is told to be busy"),
                    retry_after: None,
                });
            }
            Some(FailureKind::Refused) => {
                return Err(LlmError::Refused {
                    endpoint: self.origin.clone(),
                    status: 400,
                    detail: format!("reply {number} is told to refuse"),
                });
            }
            Some(FailureKind::Broken) => {
                pieces.truncate(pieces.len() / 2);
                pieces.push(Err(LlmError::BadReply {
                    endpoint: self.origin.clone(),
                    detail: format!("reply {number} is told to break off"),
                }));
            }
        }
        let delay = Duration::from_millis(reply.delay_ms);
        let chunk_delay = Duration::from_millis(reply.chunk_delay_ms);
        let stream = stream::iter(pieces.into_iter().enumerate()).then(move |(index, piece)| async move {
            let wait = if index == 0 { delay } else { chunk_delay };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            piece
        });
        Ok(stream.boxed())
    }
}

/// Returns the pieces of a reply in order; the last is its end.
fn pieces(number: usize, reply: &ScriptReply) -> Vec<Delta> {
    let mut pieces: Vec<Delta> = cut(&reply.thinking).map(Delta::Thinking).collect();
    pieces.extend(cut(&reply.text).map(Delta::Text));
    pieces.extend(reply.tool_calls.iter().enumerate().map(|(index, call)| {
        Delta::ToolCall(ToolCall {
            id: format!("call-{number}-{index}"),
            name: call.name.clone(),
            arguments: call.arguments.to_text(),
        })
    }));
    if reply.tokens != TokenCount::default() {
        pieces.push(Delta::Usage(reply.tokens));
    }
    let end = match (reply.end, reply.tool_calls.is_empty()) {
        (Some(end), _) => end,
        (None, true) => EndReason::Stop,
        (None, false) => EndReason::ToolCalls,
    };
    pieces.push(Delta::End(end));
    pieces
}

/// Cuts a text after every [`PIECE_CHARACTERS`] characters.
pub(in crate::llm) fn cut(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .nth(PIECE_CHARACTERS)
            .map_or(rest.len(), |(index, _)| index);
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        Some(piece.to_owned())
    })
}

/// Returns what is not as the script expects, in words that continue "expects".
fn surprise(expect: &Expectation, messages: &[Message]) -> Option<String> {
    let start = messages
        .iter()
        .rposition(|message| message.role == Role::Assistant)
        .map_or(0, |index| index + 1);
    let new = messages.get(start..).unwrap_or_default();
    let is_said = |text: &&String| new.iter().any(|message| message.text.contains(text.as_str()));
    if let Some(text) = expect.contains.iter().find(|text| !is_said(text)) {
        return Some(format!("{text:?} in the new messages, and it is not there"));
    }
    let text = expect.absent.iter().find(is_said)?;
    Some(format!("no {text:?} in the new messages, and it is there"))
}

/// Reads a script's file, or says what is wrong with it.
fn read_script(path: &Path) -> Result<String, String> {
    // Opening a named pipe would wait for a writer, for ever.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| format!("cannot be opened: {error}; give the path of an existing file"))?;
    let metadata = file
        .metadata()
        .map_err(|error| format!("cannot be looked at: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a regular file; give the path of a script's file".to_owned());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, also if it grew since.
    file.take(SCRIPT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > SCRIPT_BYTES {
        return Err(format!(
            "is larger than the {SCRIPT_BYTES} bytes that a script may have; {SHAPE}"
        ));
    }
    String::from_utf8(bytes).map_err(|_| format!("is not UTF-8 text, so it is no script; {SHAPE}"))
}

fn parse(origin: &str, json: &str) -> Result<Script, LlmError> {
    let script: Script = serde_json::from_str(json)
        // The error says line and column itself.
        .map_err(|error| script_error(origin, format!("is no script: {error}; {SHAPE}")))?;
    if script.replies.is_empty() {
        return Err(script_error(origin, format!("has no replies; {SHAPE}")));
    }
    Ok(script)
}

fn script_error(origin: &str, detail: String) -> LlmError {
    LlmError::Script {
        script: origin.to_owned(),
        detail,
    }
}
