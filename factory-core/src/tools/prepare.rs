//! From a model's call to what will be done: arguments parsed, paths checked, edits planned. Reads at most.

use std::time::Duration;

use super::arguments::{self, parse};
use super::bounded::one_line;
use super::read::counted;
use super::{Prepared, ReadRequest, Refusal, SearchRequest, Tool, WriteRequest};
use crate::llm::ToolCall;
use crate::model::Plan;
use crate::sandbox::CHECKOUT;
use crate::workspace::edit::{
    self, EditError, FAILURES_BEFORE_CHANGE, FileEdit, MAX_FILE, PlannedFile, Replacement,
};
use crate::workspace::{Files, InvalidPath, RepoPath};

/// The largest file that is asked for whole, in bytes: some ten thousand tokens, more than which hardly any model
/// writes in one reply.
const MAX_WHOLE: u64 = 32 << 10;
/// The longest command, in bytes.
const MAX_COMMAND: usize = 64 << 10;
/// The longest line of a plan, a summary or a question, in bytes.
const MAX_TEXT: usize = 8 << 10;
/// How many commits are shown unless the model says.
const DEFAULT_COMMITS: u32 = 10;
/// How many commits are shown at most.
const MAX_COMMITS: u32 = 100;

/// Checks and plans a model's call. `failed_edits` says how many edits of a file could not be applied so far. Only
/// reads, and blocks while it does.
pub fn prepare(files: &Files, failed_edits: &dyn Fn(&str) -> u32, call: &ToolCall) -> Prepared {
    let Some(tool) = Tool::named(call.name.trim()) else {
        let names: Vec<&str> = Tool::ALL
            .into_iter()
            .filter(|tool| tool.is_native())
            .map(Tool::name)
            .collect();
        return Prepared::Refused(Refusal::plain(
            "unknown tool",
            format!(
                "there is no tool `{}`; the tools are {}",
                one_line(&call.name, 80),
                names.join(", ")
            ),
        ));
    };
    prepared(files, failed_edits, tool, &call.arguments).unwrap_or_else(|refused| {
        let mut refusal = Refusal::from(refused);
        refusal.summary = format!("{}: {}", tool.name(), one_line(&refusal.text, 200));
        Prepared::Refused(refusal)
    })
}

/// Why a call is refused, before it is put into words.
enum Refused {
    Said(String),
    Path(InvalidPath),
    Edit(EditError),
}

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

impl From<InvalidPath> for Refused {
    fn from(error: InvalidPath) -> Self {
        Self::Path(error)
    }
}

impl From<EditError> for Refused {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Said(text) => Self::plain("", text),
            Refused::Path(error) => Self {
                denied: error.problem.is_denial().then(|| error.code()),
                ..Self::plain("", error.to_string())
            },
            Refused::Edit(error) => Self {
                denied: error.denial(),
                failed_edit: error
                    .unmatched_file()
                    .or(error.incomplete_file())
                    .map(ToString::to_string),
                unchanged: match &error {
                    EditError::NoChange { path } => Some(path.to_string()),
                    _ => None,
                },
                ..Self::plain("", format!("nothing was changed: {error}"))
            },
        }
    }
}

impl Refusal {
    fn plain(summary: &str, text: String) -> Self {
        Self {
            text,
            summary: summary.to_owned(),
            denied: None,
            failed_edit: None,
            unchanged: None,
        }
    }
}

fn prepared(
    files: &Files,
    failed_edits: &dyn Fn(&str) -> u32,
    tool: Tool,
    text: &str,
) -> Result<Prepared, Refused> {
    match tool {
        Tool::ListFiles | Tool::ReadFile | Tool::Search => Ok(Prepared::Read(looking(tool, text)?)),
        Tool::WriteFile
        | Tool::ChangeFile
        | Tool::EditFile
        | Tool::ApplyPatch
        | Tool::DeleteFile
        | Tool::MoveFile => {
            let edits = edits(tool, text)?;
            if matches!(tool, Tool::EditFile | Tool::ApplyPatch) {
                refuse_after_failures(files, &edits, failed_edits)?;
            }
            Ok(Prepared::Write(planned(files, &edits)?))
        }
        Tool::RunCommand => command(text),
        Tool::GitDiff => {
            let paths = parse::<arguments::GitDiff>(tool, text)?.paths.unwrap_or_default();
            let paths = paths.iter().map(|path| Ok(folder(path)?.map(String::from)));
            let paths = paths.collect::<Result<Option<Vec<_>>, InvalidPath>>()?;
            // The repository's top among them means everything.
            Ok(Prepared::GitDiff {
                paths: paths.unwrap_or_default(),
            })
        }
        Tool::GitLog => {
            let count = parse::<arguments::GitLog>(tool, text)?.count;
            Ok(Prepared::GitLog {
                count: count.unwrap_or(DEFAULT_COMMITS).clamp(1, MAX_COMMITS),
            })
        }
        Tool::UpdatePlan => plan_steps(&parse::<arguments::UpdatePlan>(tool, text)?.steps),
        Tool::FinishStep => {
            let summary = parse::<arguments::FinishStep>(tool, text)?.summary;
            Ok(Prepared::FinishStep {
                summary: said("summary", &summary)?,
            })
        }
        Tool::AskOperator => {
            let question = parse::<arguments::AskOperator>(tool, text)?.question;
            Ok(Prepared::AskOperator {
                question: said("question", &question)?,
            })
        }
    }
}

fn looking(tool: Tool, text: &str) -> Result<ReadRequest, Refused> {
    match tool {
        Tool::ReadFile => {
            let given: arguments::ReadFile = parse(tool, text)?;
            Ok(ReadRequest::ReadFile {
                path: file(&given.path)?,
                first_line: given.offset.unwrap_or(1).max(1) as usize,
                lines: given.limit.map(|limit| limit as usize),
            })
        }
        Tool::Search => {
            let given: arguments::Search = parse(tool, text)?;
            if given.pattern.is_empty() {
                return Err("the pattern is empty; say what to search for".to_owned().into());
            }
            Ok(ReadRequest::Search(SearchRequest {
                pattern: given.pattern,
                within: given.path.as_deref().map_or(Ok(None), folder)?,
                glob: given.glob.filter(|glob| !glob.is_empty()),
                ignore_case: given.ignore_case.unwrap_or(false),
            }))
        }
        _ => {
            let given: arguments::ListFiles = parse(tool, text)?;
            let folder = given.path.as_deref().map_or(Ok(None), folder)?;
            Ok(ReadRequest::ListFiles { folder })
        }
    }
}

fn edits(tool: Tool, text: &str) -> Result<Vec<FileEdit>, Refused> {
    let edit = match tool {
        Tool::WriteFile => {
            let given: arguments::WriteFile = parse(tool, text)?;
            FileEdit::Whole {
                path: file(&given.path)?,
                content: given.content,
                executable: given.executable,
            }
        }
        Tool::ChangeFile => {
            let given: arguments::ChangeFile = parse(tool, text)?;
            FileEdit::Rewrite {
                path: file(&given.path)?,
                content: given.content,
            }
        }
        Tool::EditFile => {
            let given: arguments::EditFile = parse(tool, text)?;
            let replacements = given.edits.into_iter().map(|edit| Replacement {
                search: edit.search,
                replace: edit.replace,
            });
            FileEdit::Replace {
                path: file(&given.path)?,
                replacements: replacements.collect(),
            }
        }
        Tool::DeleteFile => FileEdit::Delete {
            path: file(&parse::<arguments::DeleteFile>(tool, text)?.path)?,
        },
        Tool::MoveFile => {
            let given: arguments::MoveFile = parse(tool, text)?;
            FileEdit::Move {
                from: file(&given.from)?,
                to: file(&given.to)?,
            }
        }
        _ => {
            return Ok(edit::parse_patch(
                &parse::<arguments::ApplyPatch>(tool, text)?.patch,
            )?);
        }
    };
    Ok(vec![edit])
}

/// Asks for the whole file where edits of it failed too often. A file that is too long to be given whole may be edited
/// on.
fn refuse_after_failures(
    files: &Files,
    edits: &[FileEdit],
    failed_edits: &dyn Fn(&str) -> u32,
) -> Result<(), Refused> {
    for edit in edits {
        let (FileEdit::Replace { path, .. } | FileEdit::Patch { path, .. }) = edit else {
            continue;
        };
        let failed = failed_edits(path.as_str());
        let fits = || {
            files
                .read(path, 0)
                .is_ok_and(|content| content.total <= MAX_WHOLE)
        };
        if failed >= FAILURES_BEFORE_CHANGE && fits() {
            return Err(Refused::Said(format!(
                "{failed} edits of `{path}` did not fit; read it and give the whole file with write_file instead"
            )));
        }
    }
    Ok(())
}

fn planned(files: &Files, edits: &[FileEdit]) -> Result<WriteRequest, Refused> {
    let files = edit::plan(edits, &|path| {
        Ok(files.read_for_write(path, MAX_FILE)?.map(Into::into))
    })?;
    let lines: Vec<String> = files.iter().map(told).collect();
    let summary = match &lines[..] {
        [line] => line.clone(),
        lines => format!("{}: {}", counted(files.len(), "file"), lines.join(", ")),
    };
    Ok(WriteRequest {
        result: lines.join("\n"),
        summary: one_line(&summary, 200),
        files,
    })
}

fn told(file: &PlannedFile) -> String {
    let path = &file.path;
    let lines = |bytes: &[u8]| counted(String::from_utf8_lossy(bytes).lines().count(), "line");
    match (&file.before, &file.after) {
        (None, Some(after)) => format!("created {path} ({})", lines(after)),
        (Some(before), Some(after)) if before == after => format!("changed the mode of {path}"),
        (Some(_), Some(after)) => format!("changed {path} (now {})", lines(after)),
        (_, None) => format!("deleted {path}"),
    }
}

fn command(text: &str) -> Result<Prepared, Refused> {
    let given: arguments::RunCommand = parse(Tool::RunCommand, text)?;
    if given.command.trim().is_empty() {
        return Err("the command is empty; say what to run".to_owned().into());
    }
    if given.command.contains('\0') {
        return Err("the command holds a NUL, which no shell takes".to_owned().into());
    }
    if given.command.len() > MAX_COMMAND {
        return Err(format!(
            "the command has {} bytes; at most {MAX_COMMAND} are run, so write a script file and run that",
            given.command.len()
        )
        .into());
    }
    let timeout = given.timeout_seconds.filter(|seconds| *seconds > 0);
    Ok(Prepared::Command {
        script: given.command,
        timeout: timeout.map(|seconds| Duration::from_secs(seconds.into())),
    })
}

fn plan_steps(steps: &[String]) -> Result<Prepared, Refused> {
    if steps.is_empty() || steps.len() > Plan::MAX_STEPS {
        return Err(format!(
            "a plan has 1 to {} steps, these are {}; use finish_step when all is done",
            Plan::MAX_STEPS,
            steps.len()
        )
        .into());
    }
    let steps = steps.iter().map(|step| {
        let step = said("step", step)?;
        Ok(step.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    Ok(Prepared::UpdatePlan {
        steps: steps.collect::<Result<_, Refused>>()?,
    })
}

fn said(what: &str, text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("the {what} is empty; say something in it").into());
    }
    if text.len() > MAX_TEXT {
        return Err(format!(
            "the {what} has {} bytes; at most {MAX_TEXT} are taken",
            text.len()
        )
        .into());
    }
    Ok(text.to_owned())
}

/// Takes a file's path; also as commands show it, from the checkout's place in the sandbox.
fn file(text: &str) -> Result<RepoPath, InvalidPath> {
    RepoPath::parse(without_checkout(text))
}

/// Takes a folder's path, where none, `.` and `/` mean the repository's top.
fn folder(text: &str) -> Result<Option<RepoPath>, InvalidPath> {
    let text = without_checkout(text);
    match text.trim_end_matches('/') {
        "" | "." => Ok(None),
        folder => RepoPath::parse(folder).map(Some),
    }
}

fn without_checkout(text: &str) -> &str {
    match text.strip_prefix(CHECKOUT) {
        Some("") => ".",
        Some(rest) => rest.strip_prefix('/').unwrap_or(text),
        None => text,
    }
}
