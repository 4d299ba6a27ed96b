//! The lines of a recording's file, as data. The [module above](super) says what they mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::llm::{Capabilities, Reply, Role, Support, Window};
use crate::model::payload::LlmFailure;
use crate::model::{Protocol, Sampling};

/// What the first line calls the format.
pub const FORMAT: &str = "ai-dev-factory-recording";

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// The most bytes of a recording that is read.
pub const FILE_BYTES: u64 = 256 << 20;

/// The most bytes of a line that is read.
pub const LINE_BYTES: u64 = 32 << 20;

/// The most bytes of a text that stand in the file; of a longer one its beginning.
pub const TEXT_BYTES: usize = 64 << 10;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Recording(Box<Header>),
    /// A text that later lines name.
    Text(Text),
    /// Something that happened.
    Event(Value),
    /// A call of the model and what came of it.
    Call(Box<Call>),
    /// The last line.
    End(End),
}

/// What is said first: of what run it is, and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The version of the factory that wrote it.
    pub factory: String,
    /// The model.
    pub model: RecordedModel,
    /// The run: its goal, how it was to be done, where it stood.
    pub run: Value,
    /// What the operator declared for the project; nothing of where it lies.
    pub project: Value,
    /// What the machine offered.
    pub environment: Value,
}

/// The model that was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// As the operator wrote it.
    pub name: String,
    /// How it was asked.
    pub protocol: Option<Protocol>,
    /// Its window; none where nobody said.
    pub window: Option<Window>,
}

impl RecordedModel {
    /// Returns what a replay says that the model can do: what makes the agent ask it as it was asked.
    pub fn capabilities(&self) -> Capabilities {
        let is = |protocol| match self.protocol {
            Some(asked) if asked == protocol => Support::Yes,
            Some(_) => Support::No,
            None => Support::Unknown,
        };
        Capabilities {
            tools: is(Protocol::Native),
            schema: is(Protocol::Schema),
            window: self.window,
            protocol: self.protocol,
            ..Capabilities::default()
        }
    }
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The SHA-256 of the whole text, as it is without what was taken out.
    pub id: String,
    /// The text, or its beginning.
    pub text: String,
    /// How many bytes the whole text has.
    pub bytes: u64,
}

impl Text {
    /// Returns whether the whole text stands here.
    pub fn is_whole(&self) -> bool {
        self.text.len() as u64 == self.bytes
    }
}

/// A call of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The call's number within the run.
    pub call: u64,
    /// How many replies the conversation had had. By it the call is found again.
    pub replies_before: usize,
    /// With how many messages of the prompt of the call before this one begins.
    pub kept: usize,
    /// The messages after those.
    pub messages: Vec<RecordedMessage>,
    /// The most tokens that the reply could have.
    pub max_tokens: u64,
    /// How the reply was drawn.
    #[serde(default, skip_serializing_if = "Sampling::is_default")]
    pub sampling: Sampling,
    /// The hash of the whole prompt, over those of its messages.
    pub hash: String,
    /// Whether the prompt is to the byte what was sent; if not, a newer factory than the one that ran it has told it.
    pub as_sent: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub work_ms: u64,
}

/// A message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMessage {
    /// Whose words it is.
    pub role: Role,
    /// The id of its text.
    pub text: String,
    /// The hash by which a replay compares it: of role, text, tool calls and the call that it answers, with times and
    /// temporary names left out.
    pub hash: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A whole reply, as the model gave it.
    Replied(Reply),
    /// None.
    Failed {
        /// How it failed.
        failure: LlmFailure,
        /// The error in words.
        detail: String,
    },
}

impl Outcome {
    /// Returns whether it was the model's doing, and not the operator's or the machine's.
    pub fn is_of_model(&self) -> bool {
        !matches!(
            self,
            Self::Failed {
                failure: LlmFailure::Cut | LlmFailure::Lost,
                ..
            }
        )
    }
}

/// What is said last. A file without it was cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many calls there are.
    pub calls: u64,
    /// How many events there are.
    pub events: u64,
    /// How often something was taken out, by its kind.
    pub removed: BTreeMap<String, u64>,
}
