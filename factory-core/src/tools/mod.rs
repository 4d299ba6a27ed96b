//! The coder's tools: what a model may ask for, checked, planned and carried out.
//!
//! [`prepare()`] turns a model's call into something that can be journalled before it acts; it reads at most. Reading
//! tools are answered by [`read()`], writing ones done by [`write()`] and, after a crash, by [`settle`]; commands, git and
//! questions are the driver's. Whatever a model writes, the answer is a value: bad calls are told of, never an error.

mod arguments;
mod bounded;
mod prepare;
mod read;
mod schema;
mod search;
mod write;

use std::time::Duration;

pub use self::bounded::{MAX_RESULT, bounded};
pub use self::prepare::prepare;
pub use self::read::{Outcome, ReadRequest, SearchRequest, read};
pub use self::write::{Settled, settle, write};
use crate::llm::ToolSpec;
use crate::model::payload::EffectClass;
use crate::workspace::edit::PlannedFile;

/// A tool of the coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Lists files.
    ListFiles,
    /// Reads a file, or a part of it.
    ReadFile,
    /// Searches the files.
    Search,
    /// Writes a whole file.
    WriteFile,
    /// Writes a file whole, or whole definitions of it. Offered to models that are led act by act alone.
    ChangeFile,
    /// Replaces parts of a file.
    EditFile,
    /// Applies a patch to several files.
    ApplyPatch,
    /// Deletes a file.
    DeleteFile,
    /// Moves a file.
    MoveFile,
    /// Runs a command in the sandbox.
    RunCommand,
    /// Shows what was changed since the run began.
    GitDiff,
    /// Shows the newest commits.
    GitLog,
    /// Replaces the steps that are still to be done.
    UpdatePlan,
    /// Says that the step is done.
    FinishStep,
    /// Asks the operator.
    AskOperator,
}

impl Tool {
    /// All tools, in the order in which models are told of them.
    pub const ALL: [Self; 15] = [
        Self::ListFiles,
        Self::ReadFile,
        Self::Search,
        Self::WriteFile,
        Self::ChangeFile,
        Self::EditFile,
        Self::ApplyPatch,
        Self::DeleteFile,
        Self::MoveFile,
        Self::RunCommand,
        Self::GitDiff,
        Self::GitLog,
        Self::UpdatePlan,
        Self::FinishStep,
        Self::AskOperator,
    ];

    /// Returns the tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether models are offered it as a tool that they call natively.
    pub fn is_native(self) -> bool {
        self != Self::ChangeFile
    }

    /// Returns the name that the model uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::ListFiles => "list_files",
            Self::ReadFile => "read_file",
            Self::Search => "search",
            Self::WriteFile => "write_file",
            Self::ChangeFile => "change_file",
            Self::EditFile => "edit_file",
            Self::ApplyPatch => "apply_patch",
            Self::DeleteFile => "delete_file",
            Self::MoveFile => "move_file",
            Self::RunCommand => "run_command",
            Self::GitDiff => "git_diff",
            Self::GitLog => "git_log",
            Self::UpdatePlan => "update_plan",
            Self::FinishStep => "finish_step",
            Self::AskOperator => "ask_operator",
        }
    }

    /// Returns what the tool can do to the world.
    pub fn effect(self) -> EffectClass {
        match self {
            Self::WriteFile
            | Self::ChangeFile
            | Self::EditFile
            | Self::ApplyPatch
            | Self::DeleteFile
            | Self::MoveFile => EffectClass::Write,
            Self::RunCommand => EffectClass::Command,
            Self::ListFiles
            | Self::ReadFile
            | Self::Search
            | Self::GitDiff
            | Self::GitLog
            | Self::UpdatePlan
            | Self::FinishStep
            | Self::AskOperator => EffectClass::Read,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::ListFiles => {
                "List the files of the repository, or of one folder. Ignored files are left out."
            }
            Self::ReadFile => {
                "Read a text file. A long file comes in parts: give offset (the first line) and limit (how many lines)."
            }
            Self::Search => {
                "Search the files for a regular expression, line by line. Gives path, line number and line of each match."
            }
            Self::WriteFile => {
                "Write a whole file, new or not. Give every line of it: nothing may be left out or abbreviated."
            }
            Self::ChangeFile => {
                "Write a file: all of it, or whole functions or types of it, which take the place of those with their names."
            }
            Self::EditFile => {
                "Replace parts of a file. Each search must be copied exactly from the file and be there only once; quote whole lines, with more lines around where needed. An empty replace deletes."
            }
            Self::ApplyPatch => {
                "Change several files at once, all or none. The patch begins with `*** Begin Patch` and ends with `*** End Patch`; between them `*** Add File: PATH` (each line begins with +), `*** Delete File: PATH`, or `*** Update File: PATH`, then `@@` and lines that begin with a space (stays), - (goes) or + (comes). No line numbers."
            }
            Self::DeleteFile => "Delete a file.",
            Self::MoveFile => "Move or rename a file. The new path must be free.",
            Self::RunCommand => {
                "Run a shell command at the top of the repository, without network. Gives its output and how it ended."
            }
            Self::GitDiff => "Show what was changed since the run began; with paths, in these files alone.",
            Self::GitLog => "Show the newest commits, one line each.",
            Self::UpdatePlan => "Replace the steps that are not done yet by these, in order, one line each.",
            Self::FinishStep => "Say that the current step is done, and in a sentence or two what was done.",
            Self::AskOperator => {
                "Ask the operator a question and wait for the answer. Only for what you cannot find out or decide."
            }
        }
    }
}

/// Returns the tools that models call natively, as they are told of them: the same bytes every time.
pub fn specs() -> Vec<ToolSpec> {
    Tool::ALL
        .into_iter()
        .filter(|tool| tool.is_native())
        .map(|tool| ToolSpec {
            name: tool.name().to_owned(),
            description: tool.description().to_owned(),
            parameters: arguments::schema(tool),
        })
        .collect()
}

/// A model's call, checked and planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// To be answered by [`read()`].
    Read(ReadRequest),
    /// To be journalled, then done by [`write()`].
    Write(WriteRequest),
    /// To be run in the sandbox.
    Command {
        /// The text for the shell.
        script: String,
        /// How long the model lets it run.
        timeout: Option<Duration>,
    },
    /// What was changed since the run began is to be shown.
    GitDiff {
        /// In these files alone; empty means all.
        paths: Vec<String>,
    },
    /// The newest commits are to be shown.
    GitLog {
        /// How many.
        count: u32,
    },
    /// The steps that are not done yet are to be replaced.
    UpdatePlan {
        /// The new ones: at least one, one line each.
        steps: Vec<String>,
    },
    /// The step is done, so says the model.
    FinishStep {
        /// What was done.
        summary: String,
    },
    /// The operator is asked.
    AskOperator {
        /// The question.
        question: String,
    },
    /// The call cannot be carried out.
    Refused(Refusal),
}

impl Prepared {
    /// Returns what carrying it out can do to the world.
    pub fn effect(&self) -> EffectClass {
        match self {
            Self::Write(_) => EffectClass::Write,
            Self::Command { .. } => EffectClass::Command,
            _ => EffectClass::Read,
        }
    }
}

/// Files to be written, and what is said once they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRequest {
    /// The files, in the order in which they are written.
    pub files: Vec<PlannedFile>,
    /// What the model is told once it is done.
    pub result: String,
    /// One line for the operator.
    pub summary: String,
}

/// Why a call is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the model is told: what is wrong and what would be right.
    pub text: String,
    /// One line for the operator.
    pub summary: String,
    /// The stable code, where it is refused for safety.
    pub denied: Option<&'static str>,
    /// The file that the edit did not fit, where that is what is wrong.
    pub failed_edit: Option<String>,
    /// The file that would have been left as it is, where that is what is wrong.
    pub unchanged: Option<String>,
}

#[cfg(test)]
mod tests;
