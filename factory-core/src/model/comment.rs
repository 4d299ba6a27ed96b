//! A remark of the operator on a run's changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which text a line number counts in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The file as the run started from it.
    Old,
    /// The file as the run has changed it.
    #[default]
    New,
}

/// A remark on a run's changes: on a line of a file, on a file, or on all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// The file's path within the repository; none where it is about the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line, from 1; none where it is about the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Which text the line counts in.
    #[serde(default)]
    pub side: Side,
    /// What the operator says.
    pub text: String,
}
