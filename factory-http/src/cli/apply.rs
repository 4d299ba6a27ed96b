//! `factory apply`: the edits of a model's answer, put beneath a folder. Opens no data folder.

use std::path::PathBuf;

use clap::Args;
use factory_core::workspace::edit::{
    EditError, EditFormat, MAX_FILE, MAX_INPUT, PlannedFile, edits_in, file_edits, plan,
};
use factory_core::workspace::{Files, LandingError, land};
use serde::Serialize;

use super::{Context, read_input};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::output;

/// What `factory apply --help` says at its end.
const FORMATS: &str = "\
Read are, in any order and with prose between: a file's path on a line of its own and below it its whole content in a \
fence; SEARCH/REPLACE blocks; patches between `*** Begin Patch` and `*** End Patch`; unified diffs, whose line numbers \
are passed over. All edits are made or none. Exit codes: 0 applied; 1 refused, and nothing changed; 2 usage.";

#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub(super) struct Apply {
    /// The folder beneath which the files are
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Says what would change, and changes nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Outcome {
    applied: bool,
    formats: Vec<&'static str>,
    files: Vec<AppliedFile>,
}

/// What becomes of a file.
#[derive(Debug, Serialize)]
struct AppliedFile {
    path: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    executable: bool,
}

impl Apply {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if context.terminal.asks {
            output::remark("reading the model's answer from standard input; Ctrl-D ends it");
        }
        let work = tokio::task::spawn_blocking(move || self.apply());
        let applied = work
            .await
            .map_err(|error| Failure::caused("applying the answer broke off", &error))??;
        context.output.show(&applied, || applied.text())?;
        Ok(Exit::Complete)
    }

    fn apply(self) -> Result<Outcome, Failure> {
        if !self.dir.is_dir() {
            return Err(Failure::usage(format!("`{}` is no folder", self.dir.display()))
                .with_remedy("name the folder that the answer's paths begin at"));
        }
        let answer = answer()?;
        let files = Files::open(&self.dir)
            .map_err(|error| Failure::caused("cannot work beneath the folder", &error))?;
        let read = |path: &_| Ok(files.read_for_write(path, MAX_FILE)?.map(Into::into));
        let found = edits_in(&answer).map_err(|error| refused(&error))?;
        let mut formats: Vec<&'static str> =
            found.iter().map(|found| EditFormat::name(found.format)).collect();
        formats.sort_unstable();
        formats.dedup();
        let planned = file_edits(found, &read)
            .and_then(|edits| plan(&edits, &read))
            .map_err(|error| refused(&error))?;
        if !self.dry_run {
            land(&files, &planned).map_err(not_landed)?;
        }
        Ok(Outcome {
            applied: !self.dry_run,
            formats,
            files: planned.iter().map(AppliedFile::from).collect(),
        })
    }
}

fn answer() -> Result<String, Failure> {
    let text = read_input(MAX_INPUT).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => {
            Failure::usage("the answer is no text: it is not UTF-8").with_remedy("write it as UTF-8")
        }
        _ => Failure::caused("cannot read standard input", &error),
    })?;
    if text.trim().is_empty() {
        return Err(Failure::usage("the answer is empty")
            .with_remedy("write the model's answer to standard input, as `factory apply < answer.md`"));
    }
    if text.len() > MAX_INPUT {
        return Err(
            Failure::usage(format!("the answer is longer than {MAX_INPUT} bytes"))
                .with_remedy("apply its parts one after the other"),
        );
    }
    Ok(text)
}

fn refused(error: &EditError) -> Failure {
    Failure::failed(format!("nothing was changed: {error}")).with_remedy(match error {
        EditError::Path(_) | EditError::Files(_) => {
            "name files beneath the folder, by paths that begin there"
        }
        EditError::Format { .. } | EditError::NoPath { .. } | EditError::Cut { .. } => {
            "mend the answer, or ask the model again; `factory apply --help` names the formats"
        }
        _ => "mend the answer, or show the model the file as it is now and ask again",
    })
}

fn not_landed(error: LandingError) -> Failure {
    match error {
        LandingError::Half { .. } => Failure::caused(error.to_string(), &error)
            .with_remedy("look at these files before anything else is done with them"),
        error => Failure::caused(error.to_string(), &error),
    }
}

impl Outcome {
    fn text(&self) -> String {
        let lines = self.files.iter().map(|file| {
            let lines = match file.lines {
                Some(1) => " (1 line)".to_owned(),
                Some(lines) => format!(" ({lines} lines)"),
                None => String::new(),
            };
            let done = match file.change {
                "mode" => "changed the mode of",
                change => change,
            };
            let not_yet = if self.applied { "" } else { "not yet " };
            format!("{not_yet}{done} {}{lines}", file.path)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl From<&PlannedFile> for AppliedFile {
    fn from(file: &PlannedFile) -> Self {
        let change = match (&file.before, &file.after) {
            (None, _) => "created",
            (Some(_), None) => "deleted",
            (Some(before), Some(after)) if before == after => "mode",
            (Some(_), Some(_)) => "changed",
        };
        let lines = |bytes: &Vec<u8>| bytes.split_inclusive(|byte| *byte == b'\n').count();
        Self {
            path: file.path.to_string(),
            change,
            lines: file.after.as_ref().map(lines),
            executable: file.executable && file.after.is_some(),
        }
    }
}
