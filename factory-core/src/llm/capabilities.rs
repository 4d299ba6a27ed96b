//! What a model can do, as far as is known, and how sure that is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Price;
use crate::model::Protocol;

/// Whether something is supported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Its server says so.
    Yes,
    /// Its server says that it is not.
    No,
    /// Nobody said; only trying tells.
    #[default]
    Unknown,
}

/// How a window is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowBasis {
    /// Nobody said; the factory assumes it.
    Assumed,
    /// The operator said so, and nobody has checked it.
    Declared,
    /// The server says so.
    Told,
    /// The server says that the model is loaded with it.
    Verified,
}

/// How many tokens prompt and reply may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The tokens.
    pub tokens: u64,
    /// How this is known.
    pub basis: WindowBasis,
}

/// What a model can do, as far as is known, and what the operator says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Whether it calls tools natively.
    pub tools: Support,
    /// Whether its replies can be bound to a JSON Schema.
    pub schema: Support,
    /// Whether it thinks before it answers, and can be told not to.
    pub thinking: Support,
    /// The window; none where nobody said.
    pub window: Option<Window>,
    /// How it has to be asked, where that needs no trying: the operator says, or a script is written for one protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What its tokens cost, if the operator says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl Capabilities {
    /// Returns how many tokens prompt and reply may have together, if somebody said.
    pub fn context_window(&self) -> Option<u64> {
        self.window.map(|window| window.tokens)
    }
}
