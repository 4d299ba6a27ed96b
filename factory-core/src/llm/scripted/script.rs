//! The script as data: the JSON format, and a builder for tests.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::llm::{EndReason, TokenCount};

/// What a scripted model says, reply by reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// How the model calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The replies in order.
    pub replies: Vec<ScriptReply>,
    /// What comes after the last reply.
    #[serde(default)]
    pub then: Then,
}

impl Script {
    /// Returns a script without replies, to be filled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reply.
    #[must_use]
    pub fn reply(mut self, reply: ScriptReply) -> Self {
        self.replies.push(reply);
        self
    }

    /// Lets the last reply be given again and again.
    #[must_use]
    pub fn repeat_last(mut self) -> Self {
        self.then = Then::RepeatLast;
        self
    }

    /// Returns the script as the text of a script's file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a script has only string keys, so it is always JSON")
    }
}

/// What comes after the last reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// An error that says so.
    #[default]
    End,
    /// The last reply again.
    RepeatLast,
}

/// One reply of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptReply {
    /// The answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The thinking before it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// The tools that it asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ScriptToolCall>,
    /// The token count that is claimed.
    #[serde(
        deserialize_with = "tokens",
        skip_serializing_if = "no_tokens",
        serialize_with = "write_tokens"
    )]
    pub tokens: TokenCount,
    /// Why it ends; without it, what follows from the tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<EndReason>,
    /// The wait before the first piece, in milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// The wait between two pieces, in milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_delay_ms: u64,
    /// What must stand in the new messages.
    #[serde(skip_serializing_if = "Expectation::is_empty")]
    pub expect: Expectation,
    /// How it fails before it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
}

impl ScriptReply {
    /// Returns a reply that is a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Returns a reply that calls one tool with well-formed arguments.
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Self::default().and_tool_call(name, ScriptArguments(arguments))
    }

    /// Adds a tool call.
    #[must_use]
    pub fn and_tool_call(mut self, name: impl Into<String>, arguments: ScriptArguments) -> Self {
        self.tool_calls.push(ScriptToolCall {
            name: name.into(),
            arguments,
        });
        self
    }

    /// Sets the thinking.
    #[must_use]
    pub fn thinking(mut self, thinking: impl Into<String>) -> Self {
        self.thinking = thinking.into();
        self
    }

    /// Sets the token count.
    #[must_use]
    pub fn tokens(mut self, prompt: u64, completion: u64) -> Self {
        self.tokens = TokenCount {
            prompt: Some(prompt),
            completion: Some(completion),
            ..TokenCount::default()
        };
        self
    }

    /// Sets why it ends.
    #[must_use]
    pub fn end(mut self, end: EndReason) -> Self {
        self.end = Some(end);
        self
    }

    /// Sets the waits before the first piece and between two, in milliseconds.
    #[must_use]
    pub fn delays(mut self, delay_ms: u64, chunk_delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self.chunk_delay_ms = chunk_delay_ms;
        self
    }

    /// Expects a text in the messages after the last assistant message.
    #[must_use]
    pub fn expect_contains(mut self, text: impl Into<String>) -> Self {
        self.expect.contains.push(text.into());
        self
    }

    /// Expects a text to be absent from the messages after the last assistant message.
    #[must_use]
    pub fn expect_absent(mut self, text: impl Into<String>) -> Self {
        self.expect.absent.push(text.into());
        self
    }

    /// Fails so many times before the reply is given.
    #[must_use]
    pub fn fail_times(mut self, kind: FailureKind, times: u32) -> Self {
        self.fail = Some(Failure {
            kind,
            times: Some(times),
        });
        self
    }

    /// Fails always.
    #[must_use]
    pub fn fail_always(mut self, kind: FailureKind) -> Self {
        self.fail = Some(Failure { kind, times: None });
        self
    }
}

/// A tool call of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments; none are an empty object.
    #[serde(default)]
    pub arguments: ScriptArguments,
}

/// The arguments of a scripted tool call: an object, or a string that reaches the caller untouched.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ScriptArguments(pub Value);

impl ScriptArguments {
    /// Returns arguments that may be broken JSON.
    pub fn raw(text: impl Into<String>) -> Self {
        Self(Value::String(text.into()))
    }

    /// Returns the arguments as a model writes them.
    pub fn to_text(&self) -> String {
        match &self.0 {
            Value::String(raw) => raw.clone(),
            object => object.to_string(),
        }
    }
}

impl Default for ScriptArguments {
    fn default() -> Self {
        Self(Value::Object(serde_json::Map::new()))
    }
}

impl<'de> Deserialize<'de> for ScriptArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            value @ (Value::Object(_) | Value::String(_)) => Ok(Self(value)),
            _ => Err(de::Error::custom(
                "arguments must be an object, or a string for raw text",
            )),
        }
    }
}

/// What a scripted reply expects of the messages after the last assistant message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// Texts that must each stand in one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// Texts that must stand in none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

impl Expectation {
    fn is_empty(&self) -> bool {
        self.contains.is_empty() && self.absent.is_empty()
    }
}

/// A failure on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How it fails.
    pub kind: FailureKind,
    /// How often, counted in memory since the script was opened; always, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// How a scripted reply fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// As a server that asks to come back later.
    Busy,
    /// As a server that does not want this request.
    Refused,
    /// The reply breaks off in the middle.
    Broken,
}

/// The token count as scripts write it: strict, unlike [`TokenCount`], and without what is not known.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTokens {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completion: Option<u64>,
}

fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenCount, D::Error> {
    let WrittenTokens { prompt, completion } = WrittenTokens::deserialize(deserializer)?;
    Ok(TokenCount {
        prompt,
        completion,
        ..TokenCount::default()
    })
}

fn write_tokens<S: serde::Serializer>(tokens: &TokenCount, serializer: S) -> Result<S::Ok, S::Error> {
    WrittenTokens {
        prompt: tokens.prompt,
        completion: tokens.completion,
    }
    .serialize(serializer)
}

fn no_tokens(tokens: &TokenCount) -> bool {
    *tokens == TokenCount::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
