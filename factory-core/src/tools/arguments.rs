//! What each tool takes, and how a model's JSON becomes it: strictly, but for wrappings that leave no doubt.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Tool, schema};

/// The longest arguments that are parsed: 4 MiB.
const MAX_ARGUMENTS: usize = 4 << 20;

/// Arguments of `list_files`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFiles {
    /// The folder; all files if left out.
    #[serde(default)]
    pub(super) path: Option<String>,
}

/// Arguments of `read_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    /// The file, from the top of the repository.
    pub(super) path: String,
    /// The first line to read, from 1.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u32>")]
    pub(super) offset: Option<u32>,
    /// How many lines to read.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u32>")]
    pub(super) limit: Option<u32>,
}

/// Arguments of `search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// The regular expression.
    pub(super) pattern: String,
    /// The folder or file to search in.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// Only files whose name fits, as `*.rs`.
    #[serde(default)]
    pub(super) glob: Option<String>,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    pub(super) ignore_case: Option<bool>,
}

/// Arguments of `write_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    /// The file, from the top of the repository.
    pub(super) path: String,
    /// The whole content.
    pub(super) content: String,
    /// Whether it is a program to be run.
    #[serde(default)]
    pub(super) executable: Option<bool>,
}

/// Arguments of `change_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeFile {
    /// The file, from the top of the repository.
    pub(super) path: String,
    /// The whole content, or whole definitions.
    pub(super) content: String,
}

/// Arguments of `edit_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditFile {
    /// The file, from the top of the repository.
    pub(super) path: String,
    /// The replacements.
    pub(super) edits: Vec<Edit>,
}

/// One replacement.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// The lines that are there, copied exactly.
    pub(super) search: String,
    /// The lines to put in their place.
    pub(super) replace: String,
}

/// Arguments of `apply_patch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyPatch {
    /// The patch, from `*** Begin Patch` to `*** End Patch`.
    pub(super) patch: String,
}

/// Arguments of `delete_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteFile {
    /// The file, from the top of the repository.
    pub(super) path: String,
}

/// Arguments of `move_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveFile {
    /// The path now.
    pub(super) from: String,
    /// The new path.
    pub(super) to: String,
}

/// Arguments of `run_command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunCommand {
    /// The command, for `/bin/sh`.
    pub(super) command: String,
    /// How many seconds it may take.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u32>")]
    pub(super) timeout_seconds: Option<u32>,
}

/// Arguments of `git_diff`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GitDiff {
    /// The files to show.
    #[serde(default)]
    pub(super) paths: Option<Vec<String>>,
}

/// Arguments of `git_log`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GitLog {
    /// How many commits.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u32>")]
    pub(super) count: Option<u32>,
}

/// Arguments of `update_plan`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdatePlan {
    /// The steps, one line each.
    pub(super) steps: Vec<String>,
}

/// Arguments of `finish_step`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishStep {
    /// What was done.
    pub(super) summary: String,
}

/// Arguments of `ask_operator`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskOperator {
    /// The question.
    pub(super) question: String,
}

/// Returns the schema of the tool's arguments.
pub(super) fn schema(tool: Tool) -> Value {
    match tool {
        Tool::ListFiles => schema::of::<ListFiles>(),
        Tool::ReadFile => schema::of::<ReadFile>(),
        Tool::Search => schema::of::<Search>(),
        Tool::WriteFile => schema::of::<WriteFile>(),
        Tool::ChangeFile => schema::of::<ChangeFile>(),
        Tool::EditFile => schema::of::<EditFile>(),
        Tool::ApplyPatch => schema::of::<ApplyPatch>(),
        Tool::DeleteFile => schema::of::<DeleteFile>(),
        Tool::MoveFile => schema::of::<MoveFile>(),
        Tool::RunCommand => schema::of::<RunCommand>(),
        Tool::GitDiff => schema::of::<GitDiff>(),
        Tool::GitLog => schema::of::<GitLog>(),
        Tool::UpdatePlan => schema::of::<UpdatePlan>(),
        Tool::FinishStep => schema::of::<FinishStep>(),
        Tool::AskOperator => schema::of::<AskOperator>(),
    }
}

/// Returns the arguments, or what is wrong with them. No text counts as no arguments, and a JSON string that holds the
/// object as the object: some servers wrap it once too often.
pub(super) fn parse<T: DeserializeOwned>(tool: Tool, text: &str) -> Result<T, String> {
    let name = tool.name();
    if text.len() > MAX_ARGUMENTS {
        return Err(format!(
            "the arguments of {name} have {} bytes; at most {MAX_ARGUMENTS} are read",
            text.len()
        ));
    }
    let unwrapped = serde_json::from_str::<String>(text).ok();
    let text = unwrapped.as_deref().unwrap_or(text).trim();
    let text = if text.is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        format!(
            "the arguments of {name} are not right: {error}; expected {}",
            schema::brief(&schema(tool))
        )
    })
}

/// Takes a number, or a string that is one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a whole number")]
    enum Number {
        Number(u32),
        Text(String),
    }
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Number::Number(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom("expected a whole number")),
    }
}
