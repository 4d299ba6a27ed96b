//! Language models behind one streaming trait.

#[cfg(feature = "anthropic")]
pub mod anthropic;
mod call_ids;
mod capabilities;
mod catalog;
pub mod catalogue;
mod configured;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod endpoint;
mod event_stream;
pub mod guarded;
pub mod limited;
pub mod ollama;
pub mod openai;
mod plausibility;
mod price;
pub mod recorded;
mod repetition;
pub mod scripted;
pub mod server;
pub mod server_sent_events;
pub mod spec;
mod striking;
mod struck;
pub mod transport;

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::capabilities::{Capabilities, Support, Window, WindowBasis};
pub use self::price::{PaidTokens, Price};
pub use crate::model::payload::{EndReason, Role};
pub use crate::model::{Protocol, Sampling};

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose words it is.
    pub role: Role,
    /// The text.
    pub text: String,
    /// The tools that an assistant's message calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whether it belongs to the examples that stand before the conversation itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_example: bool,
}

impl Message {
    /// Returns a message without tool calls.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            is_example: false,
        }
    }
}

/// A tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that the result refers to. Unique within a reply.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// The arguments as the model wrote them: JSON text if all is well, never checked here.
    pub arguments: String,
}

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// Whether a model may think before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// As its server does by default.
    #[default]
    AsIs,
    /// Not, where it can be told so.
    Off,
}

impl Thinking {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands a field by reference"
    )]
    fn is_as_is(&self) -> bool {
        *self == Self::AsIs
    }
}

/// What is asked of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The tools that the model may ask for.
    pub tools: Vec<ToolSpec>,
    /// The most tokens of the reply, thinking included.
    pub max_tokens: u64,
    /// The JSON Schema that the reply's text is bound to. Servers only restrict what the model may write, so the prompt
    /// has to describe it as well; together with tools it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
    /// How the reply is drawn.
    #[serde(default, skip_serializing_if = "Sampling::is_default")]
    pub sampling: Sampling,
    /// Whether the model may think first.
    #[serde(default, skip_serializing_if = "Thinking::is_as_is")]
    pub thinking: Thinking,
    /// How many replies the conversation has had, where some may no longer be among the messages. No server is told;
    /// models that play from a file find their place by it.
    #[serde(skip)]
    pub replies_before: Option<usize>,
}

/// Tokens as the provider counted them; none where it did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    /// Tokens of the prompt.
    pub prompt: Option<u64>,
    /// Tokens of the reply.
    pub completion: Option<u64>,
    /// Tokens of the prompt that were read from a cache, which cost less; part of `prompt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// What the provider says that the call cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

/// A piece of a reply, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More text.
    Text(String),
    /// More thinking, which is not part of the answer.
    Thinking(String),
    /// A whole tool call.
    ToolCall(ToolCall),
    /// The token count.
    Usage(TokenCount),
    /// The reply is whole. Always the last; a stream that ends without it is an error.
    End(EndReason),
}

/// A model's whole reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The answer.
    pub text: String,
    /// The thinking that led to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// The tools asked for, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The token count.
    pub tokens: TokenCount,
    /// Why it ended.
    pub end: EndReason,
}

/// A reply on its way. Dropping it cuts the generation.
pub type ReplyStream = Pin<Box<dyn Stream<Item = Result<Delta, LlmError>> + Send>>;

/// Why a model gave no reply. Never holds a key or a request's body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// The server cannot be reached.
    #[error("cannot reach the model server at {endpoint}")]
    Unreachable {
        /// The server's origin.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is there and asks to come back later.
    #[error("{endpoint} is busy: {detail}")]
    Busy {
        /// The server's origin.
        endpoint: String,
        /// What it said.
        detail: String,
        /// When to come back, if it said so.
        retry_after: Option<Duration>,
    },
    /// The server refuses the request; the same one would be refused again.
    #[error("{endpoint} refused the request ({status}): {detail}")]
    Refused {
        /// The server's origin.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What it said, shortened.
        detail: String,
    },
    /// The prompt does not fit the model's window.
    #[error("the prompt does not fit the model's window: {0}")]
    ContextOverflow(String),
    /// The reply broke off, stalled, or is no reply.
    #[error("the reply of {endpoint} is unusable: {detail}")]
    BadReply {
        /// The server's origin, or the script.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A bound was passed: idle time, first byte, length.
    #[error("{endpoint} passed a bound: {detail}")]
    BoundPassed {
        /// The server's origin.
        endpoint: String,
        /// Which bound, and what was seen.
        detail: String,
    },
    /// The model, as the operator wrote it, cannot be used. Asking again will not help.
    #[error("the model `{model}`: {detail}")]
    Unusable {
        /// What the operator wrote, without credentials.
        model: String,
        /// What is wrong, and how to write it.
        detail: String,
    },
    /// The script has no more to say, or does not say this. Asking again will not help.
    #[error("the scripted model {script}: {detail}")]
    Script {
        /// The script's file, or its name.
        script: String,
        /// What is wrong.
        detail: String,
    },
    /// The recording cannot be read, or has no answer. Asking again will not help.
    #[error("the recording {recording}: {detail}")]
    Recording {
        /// The recording's file, or its name.
        recording: String,
        /// What is wrong.
        detail: String,
    },
    /// What is asked is not what was recorded. Asking again will not help.
    #[error(
        "what is asked differs from call {call} in {recording} in message {message}: {detail}; `recorded-loose:` plays \
         the answers whatever is asked"
    )]
    Differs {
        /// The recording's file, or its name.
        recording: String,
        /// The recorded call.
        call: u64,
        /// The first message that differs, from one.
        message: usize,
        /// How it differs.
        detail: String,
    },
    /// A failure that was recorded, in the words of then.
    #[error("{detail}")]
    Again {
        /// The words.
        detail: String,
        /// Whether asking again helped then.
        is_transient: bool,
    },
}

impl LlmError {
    /// Returns whether asking the same again may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::BadReply { .. }
            | Self::BoundPassed { .. } => true,
            Self::Again { is_transient, .. } => *is_transient,
            Self::Refused { .. }
            | Self::ContextOverflow(_)
            | Self::Unusable { .. }
            | Self::Script { .. }
            | Self::Recording { .. }
            | Self::Differs { .. } => false,
        }
    }
}

/// Who is told in a few words what is waited for. The words may be made for the occasion.
pub type Progress<'a> = &'a (dyn for<'words> Fn(&'words str) + Send + Sync);

/// A language model.
#[async_trait]
pub trait Llm: Debug + Send + Sync + 'static {
    /// Returns the model as the operator wrote it, without secrets.
    fn name(&self) -> &str;

    /// Returns what is known of what the model can do; more is known once it was prepared.
    fn capabilities(&self) -> Capabilities;

    /// Makes the model ready to be asked: finds it on its server, loads it where that is a step of its own, and reads and
    /// verifies its window. `progress` is told in a few words what is waited for. Cheap once it is done; asked again
    /// after a failure, it tries again. A model may be asked without it, with less known.
    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError>;

    /// Sends the request and returns the reply as it comes. Dropping the future or the stream drops the connection.
    /// The stream ends with [`Delta::End`] or an error; a tool call's id is unique within the reply.
    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError>;
}

/// Reads a stream to its end, showing each piece to `watch`, and returns the whole reply.
pub async fn collect(
    mut stream: ReplyStream,
    source: &str,
    mut watch: impl FnMut(&Delta) + Send,
) -> Result<Reply, LlmError> {
    let mut reply = Reply {
        text: String::new(),
        thinking: String::new(),
        tool_calls: Vec::new(),
        tokens: TokenCount::default(),
        end: EndReason::Other,
    };
    while let Some(delta) = stream.next().await {
        let delta = delta?;
        watch(&delta);
        match delta {
            Delta::Text(text) => reply.text.push_str(&text),
            Delta::Thinking(text) => reply.thinking.push_str(&text),
            Delta::ToolCall(call) => reply.tool_calls.push(call),
            Delta::Usage(tokens) => reply.tokens = tokens,
            Delta::End(end) => {
                reply.end = end;
                return Ok(reply);
            }
        }
    }
    Err(LlmError::BadReply {
        endpoint: source.to_owned(),
        detail: "the stream ended before the reply was whole".to_owned(),
    })
}
