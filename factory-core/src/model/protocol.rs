//! How a model is asked for acts, and how its replies are understood.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a model says what it wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// It calls tools by its server's own means.
    Native,
    /// It writes one act as JSON, to which its server binds the reply.
    Schema,
    /// It writes one act as plain text, code outside of any JSON.
    Text,
}

impl Protocol {
    /// All protocols, the most able first.
    pub const ALL: [Self; 3] = [Self::Native, Self::Schema, Self::Text];

    /// Returns the name by which operators write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Schema => "schema",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == text)
            .ok_or_else(|| format!("`{text}` is no protocol; write native, schema or text"))
    }
}
