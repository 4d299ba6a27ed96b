//! A model that plays a recorded run again, so that a bug report is a file.
//!
//! `factory export RUN` writes the file, and `recorded:FILE` is the model that answers each call as it was answered
//! then. It holds the conversation to what was recorded: a prompt that differs is an error that says where. A change of
//! the prompt that is wanted is played over with `recorded-loose:FILE`, which answers in order whatever is asked.
//!
//! A replay needs the repository at the commit that the run started from; the file does not hold it. What the operator
//! did in the course of the run (directives, answers, decisions) is in the file's events and has to be done again.
//!
//! Which answer is played is decided by the request: by the number of replies that the conversation has had. So a process
//! that was killed goes on where it was. The one thing kept in memory is how often a call has already failed. Calls that
//! the operator cut, or that were lost with their process, were not answered by the model and are passed over. Nothing
//! waits: an answer comes at once, however long it took then.
//!
//! # The file
//!
//! JSON, one object a line, each with one field that says what the line is:
//!
//! | Field | Where | Meaning |
//! | --- | --- | --- |
//! | `recording` | first | [`Header`]: format, version, factory, model, run, project, environment |
//! | `text` | before its first use | [`Text`]: a text by the SHA-256 of what stands in the file; of a long one its beginning |
//! | `event` | in order | an event of the run; texts are named by their id |
//! | `call` | in order | [`Call`]: what is new in the prompt, its hashes, and the reply or the failure |
//! | `end` | last | [`End`]: how many calls and events there are, and what was taken out |
//!
//! A prompt is told as the number of messages that it shares with the beginning of the prompt before, and those after
//! them, so that the file grows with the run's length and not with its square. A reply stands as the model gave it: tool
//! calls that the factory read out of its text are not in it, so that they are read again.
//!
//! What nobody else should see is taken out when the file is written; see [`redaction`]. A replay takes the same out of
//! its prompts before it compares them.
//!
//! Fields that a newer factory adds are passed over. What would change the meaning raises the version, and a file of a
//! newer version is refused.

mod compare;
mod file;
mod reader;
pub mod redaction;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

pub use self::file::{
    Call, End, FILE_BYTES, FORMAT, Header, LINE_BYTES, Line, Outcome, RecordedMessage, RecordedModel,
    TEXT_BYTES, Text, VERSION,
};
pub use self::reader::Recording;
pub use self::writer::{CallToWrite, RecordingWriter};
use super::scripted::cut;
use super::{
    Capabilities, ChatRequest, Delta, Llm, LlmError, Progress, Reply, ReplyStream, Role, TokenCount,
};
use crate::model::payload::LlmFailure;

/// Whether a replay holds the conversation to what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A prompt that differs is an error.
    Strict,
    /// Answers are played in order, whatever is asked.
    Loose,
}

/// A model that plays a [`Recording`]. See the [module](self).
#[derive(Debug)]
pub struct RecordedLlm {
    name: String,
    player: Arc<Player>,
}

#[derive(Debug)]
struct Player {
    /// The recording as errors name it.
    origin: String,
    strictness: Strictness,
    recording: Recording,
    /// The calls that the model answered or failed, by how many replies stood before.
    by_replies: HashMap<usize, Vec<usize>>,
    /// How many failures were played, by how many replies stood before.
    failed: Mutex<HashMap<usize, usize>>,
}

impl RecordedLlm {
    /// Returns a model that plays a recording; `origin` is what errors call it.
    pub fn new(
        name: impl Into<String>,
        origin: impl Into<String>,
        recording: Recording,
        strictness: Strictness,
    ) -> Self {
        let mut by_replies: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, call) in recording.calls.iter().enumerate() {
            if call.outcome.is_of_model() {
                by_replies.entry(call.replies_before).or_default().push(place);
            }
        }
        Self {
            name: name.into(),
            player: Arc::new(Player {
                origin: origin.into(),
                strictness,
                recording,
                by_replies,
                failed: Mutex::default(),
            }),
        }
    }

    /// Returns a model that plays the recording in a file. Reads the file now, and blocks while it does.
    pub fn from_file(name: &str, path: impl AsRef<Path>, strictness: Strictness) -> Result<Self, LlmError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        match Recording::open(path) {
            Ok(recording) => Ok(Self::new(name, origin, recording, strictness)),
            Err(detail) => Err(LlmError::Recording {
                recording: origin,
                detail,
            }),
        }
    }

    /// Returns what the recording says first.
    pub fn header(&self) -> &Header {
        &self.player.recording.header
    }
}

#[async_trait]
impl Llm for RecordedLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.header().model.capabilities()
    }

    async fn prepare(&self, _progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let player = Arc::clone(&self.player);
        // A prompt is looked through from its beginning to its end, which takes a moment.
        let outcome = tokio::task::spawn_blocking(move || player.answer(&request)).await;
        let outcome = outcome.map_err(|error| LlmError::Recording {
            recording: self.player.origin.clone(),
            detail: format!("the comparison broke off: {error}"),
        })??;
        match outcome {
            Outcome::Replied(reply) => Ok(stream::iter(pieces(reply).into_iter().map(Ok)).boxed()),
            Outcome::Failed { failure, detail } => Err(failure_again(failure, detail)),
        }
    }
}

impl Player {
    /// Returns what came of this request when it was recorded.
    fn answer(&self, request: &ChatRequest) -> Result<Outcome, LlmError> {
        let replies = request.replies_before.unwrap_or_else(|| {
            let replies = request.messages.iter();
            replies
                .filter(|message| message.role == Role::Assistant && !message.is_example)
                .count()
        });
        let calls = self
            .by_replies
            .get(&replies)
            .ok_or_else(|| self.nothing_after(replies))?;
        let failed = {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get(&replies).copied().unwrap_or_default()
        };
        // After the last outcome there is nothing else to say.
        let first = failed.min(calls.len() - 1);
        let found = match self.strictness {
            Strictness::Loose => first,
            Strictness::Strict => self.find(&calls[first..], request)? + first,
        };
        let outcome = self.recording.calls[calls[found]].outcome.clone();
        if matches!(outcome, Outcome::Failed { .. }) {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.insert(replies, found + 1);
        }
        Ok(outcome)
    }

    /// Returns which of these calls the request is; where it is none, how it differs from the first.
    fn find(&self, calls: &[usize], request: &ChatRequest) -> Result<usize, LlmError> {
        let hashes: Vec<String> = request.messages.iter().map(compare::hash).collect();
        let whole = compare::hash_of_all(hashes.iter().map(String::as_str), request.max_tokens);
        let mut first_difference = None;
        for (place, call) in calls.iter().enumerate() {
            if self.recording.calls[*call].hash == whole {
                return Ok(place);
            }
            match self.difference(*call, request, &hashes) {
                None => return Ok(place),
                difference => first_difference = first_difference.or(difference),
            }
        }
        let (message, detail) = first_difference.unwrap_or_default();
        Err(LlmError::Differs {
            recording: self.origin.clone(),
            call: calls.first().map_or(0, |call| self.recording.calls[*call].call),
            message,
            detail,
        })
    }

    /// Returns the first message that differs, counted from one, and how.
    fn difference(&self, place: usize, request: &ChatRequest, hashes: &[String]) -> Option<(usize, String)> {
        let call = &self.recording.calls[place];
        let recorded = self.recording.prompt(place);
        for (index, (recorded, (asked, hash))) in recorded
            .iter()
            .zip(request.messages.iter().zip(hashes))
            .enumerate()
        {
            if recorded.hash == *hash {
                continue;
            }
            let text = self.recording.text(recorded);
            if recorded.role == asked.role
                && asked.tool_calls.is_empty()
                && compare::is_alike(text, &asked.text)
            {
                continue;
            }
            let detail = if recorded.role == asked.role {
                compare::difference(text, &asked.text)
            } else {
                format!("it was of {:?} and is of {:?}", recorded.role, asked.role)
            };
            return Some((index + 1, detail));
        }
        let (was, is) = (recorded.len(), request.messages.len());
        if let Some(message) = request.messages.get(was) {
            let begin = compare::shown(&message.text, 0);
            return Some((
                was + 1,
                format!("the prompt had {was} messages; this one is more: {begin}"),
            ));
        }
        if let Some(message) = recorded.get(is) {
            let begin = compare::shown(&self.recording.text(message).text, 0);
            return Some((
                is + 1,
                format!("the prompt had {was} messages; this one is missing: {begin}"),
            ));
        }
        (call.max_tokens != request.max_tokens).then(|| {
            let detail = format!(
                "the messages are the same, but a reply of {} tokens was asked for, and now one of {}",
                call.max_tokens, request.max_tokens
            );
            (is, detail)
        })
    }

    fn nothing_after(&self, replies: usize) -> LlmError {
        let last = self.recording.calls.last().map_or(0, |call| call.call);
        LlmError::Recording {
            recording: self.origin.clone(),
            detail: format!(
                "it holds no answer after {replies} replies; it ends with call {last} of the run, so the run has gone \
                 further than it went then"
            ),
        }
    }
}

/// Returns the pieces of a reply in order; the last is its end.
fn pieces(reply: Reply) -> Vec<Delta> {
    let mut pieces: Vec<Delta> = cut(&reply.thinking).map(Delta::Thinking).collect();
    pieces.extend(cut(&reply.text).map(Delta::Text));
    pieces.extend(reply.tool_calls.into_iter().map(Delta::ToolCall));
    if reply.tokens != TokenCount::default() {
        pieces.push(Delta::Usage(reply.tokens));
    }
    pieces.push(Delta::End(reply.end));
    pieces
}

/// Returns the error that tells a failure as it was told then.
fn failure_again(failure: LlmFailure, detail: String) -> LlmError {
    match failure {
        LlmFailure::Overflow => {
            let told = LlmError::ContextOverflow(String::new()).to_string();
            let detail = detail.strip_prefix(&told).unwrap_or(&detail);
            LlmError::ContextOverflow(detail.to_owned())
        }
        LlmFailure::Permanent => LlmError::Again {
            detail,
            is_transient: false,
        },
        LlmFailure::Transient | LlmFailure::Cut | LlmFailure::Lost => LlmError::Again {
            detail,
            is_transient: true,
        },
    }
}
