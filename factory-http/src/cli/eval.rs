//! `factory eval`: runs a folder of tasks against a model and shows what was solved, or compares what was measured.

use std::path::{Path, PathBuf};

use clap::Args;
use factory_core::evaluation::{
    self, End, EvaluationError, Progress, Record, Results, Task, Terms, Totals, compare,
};
use factory_core::model::Protocol;
use factory_core::{Factory, Settings};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::run::absolute_model;
use crate::exit::Exit;
use crate::failure::{Failure, FailureKind};
use crate::render::output::Output;
use crate::render::{evaluation as screen, output, sanitize};

/// Where results are kept unless it is said.
const RESULTS: &str = "results.jsonl";

#[derive(Debug, Args)]
pub(super) struct Eval {
    /// The folder of tasks; each is a folder with `task.toml`, `repository/` and what verifies a result in `verify/`
    #[arg(value_name = "DIR", required_unless_present = "compare")]
    folder: Option<PathBuf>,
    /// The model, as `ollama:qwen2.5-coder:7b` or `scripted:FILE`
    #[arg(long, value_name = "SPEC")]
    model: Option<String>,
    /// Only tasks that are named like this, as `python-*`; may be given several times
    #[arg(long = "tasks", value_name = "GLOB")]
    tasks: Vec<String>,
    /// Where results are added, one JSON object a line; what it has is not done again. The runs are kept in FILE.runs
    /// beside it [default: `results.jsonl` in the data folder's neighbour `…-evaluation`]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Model calls at most for each task: those that are answered
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    calls: u64,
    /// The seed that the model is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How the model is asked, instead of what a probe finds: native, schema or text
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<Protocol>,
    /// Approves a result that asks although the checks prove it, as one that changed a test; else it counts as `asks`
    #[arg(long)]
    approve_proven: bool,
    /// Shows the results of these files beside each other, and runs nothing
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["folder", "model", "tasks", "results", "calls", "seed", "protocol", "approve_proven"]
    )]
    compare: Vec<PathBuf>,
}

/// Where an evaluation keeps what it makes.
struct Place {
    results: PathBuf,
    data_folder: PathBuf,
    repositories: PathBuf,
}

impl Eval {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let Some(folder) = self.folder.clone() else {
            return show_comparison(self.compare, &mut context.output).await;
        };
        if context.flags.database.is_some() {
            return Err(
                Failure::usage("an evaluation has a database of its own").with_remedy("leave --database out")
            );
        }
        let place = self.place(context)?;
        let terms = self.terms(context)?;
        let patterns = self.tasks;
        let results = place.results.clone();
        let (tasks, results) =
            blocking(move || Ok((Task::read_all(&folder, &patterns)?, Results::open(&results)?))).await?;
        output::remark(&format!(
            "{} against {}; results: {}",
            crate::render::amount::count(tasks.len() as u64, "task"),
            sanitize::line(&terms.model),
            place.results.display()
        ));
        let mut settings = context.settings.clone();
        settings.data_folder.clone_from(&place.data_folder);
        settings.database = None;
        let (records, end) = measure(context, settings, &tasks, &terms, results, &place.repositories).await?;
        if !records.is_empty() {
            context.output.text(&screen::table(&records))?;
            context.output.json(&json!({"totals": Totals::of(&records)}))?;
            output::remark(&format!(
                "`factory --data-dir '{}' events RUN` tells of a run",
                place.data_folder.display()
            ));
        }
        match end? {
            End::Whole => Ok(Exit::Complete),
            End::Interrupted => Ok(Exit::Waiting),
        }
    }

    fn terms(&self, context: &Context) -> Result<Terms, Failure> {
        Ok(Terms {
            model: absolute_model(self.model.as_deref().unwrap_or(&context.settings.model))?,
            calls: self.calls,
            seed: self.seed,
            protocol: self.protocol,
            approve_proven: self.approve_proven,
            budget: context.settings.budget,
        })
    }

    fn place(&self, context: &Context) -> Result<Place, Failure> {
        let results = self.results.clone().unwrap_or_else(|| {
            let mut neighbour = context.settings.data_folder.clone().into_os_string();
            neighbour.push("-evaluation");
            PathBuf::from(neighbour).join(RESULTS)
        });
        let results = std::path::absolute(&results)
            .map_err(|error| Failure::caused(format!("cannot find `{}`", results.display()), &error))?;
        if results.is_dir() {
            return Err(Failure::usage(format!("`{}` is a folder", results.display()))
                .with_remedy("name a file for the results"));
        }
        let mut runs = results.clone().into_os_string();
        runs.push(".runs");
        let runs = PathBuf::from(runs);
        Ok(Place {
            results,
            data_folder: runs.join("data"),
            repositories: runs.join("repositories"),
        })
    }
}

/// Runs the tasks and returns the results that there are, with how it ended.
async fn measure(
    context: &mut Context,
    settings: Settings,
    tasks: &[Task],
    terms: &Terms,
    mut results: Results,
    repositories: &Path,
) -> Result<(Vec<Record>, Result<End, Failure>), Failure> {
    let interrupts = context.interrupts()?;
    let output = &mut context.output;
    let factory = Factory::open(settings).await?;
    let stop = CancellationToken::new();
    let mut records = Vec::new();
    let mut written = Ok(());
    let on = |progress: Progress<'_>| {
        match progress {
            // Names of tasks and outcomes are plain words; what a line shows besides is made safe where it is made.
            Progress::Begun(task) => output::remark(&format!("… {}", task.name)),
            Progress::GoneOn(task) => {
                output::remark(&format!("… {}, which was half done, goes on", task.name));
            }
            Progress::Finished(record) => output::remark(&screen::line(record)),
            Progress::Kept(record) => {
                output::remark(&format!("{} (measured before)", screen::line(record)));
            }
        }
        if let Progress::Finished(record) | Progress::Kept(record) = progress {
            records.push(record.clone());
            if written.is_ok() {
                written = output.json(record);
            }
        }
    };
    let end = async {
        refuse_without_sandbox(&factory).await?;
        let evaluation = evaluation::evaluate(&factory, tasks, terms, &mut results, repositories, &stop, on);
        let stopped = async {
            interrupts.first().await;
            output::remark(
                "the task under way is paused; the same command goes on with it; Ctrl-C again ends this process at once",
            );
            stop.cancel();
            std::future::pending::<std::convert::Infallible>().await
        };
        tokio::select! {
            end = evaluation => Ok(end?),
            never = stopped => match never {},
        }
    };
    let end = end.await;
    factory.shutdown().await;
    written?;
    Ok((records, end))
}

/// Without a sandbox no check can run, and the model's work would be for nothing.
async fn refuse_without_sandbox(factory: &Factory) -> Result<(), Failure> {
    let findings = factory.reader().doctor().await;
    let broken = findings
        .into_iter()
        .find(|finding| !finding.ok && finding.subject == "sandbox");
    let Some(broken) = broken else { return Ok(()) };
    let mut failure = Failure::failed(format!("sandbox: {}", broken.found));
    failure.remedy = broken.remedy;
    Err(failure)
}

async fn show_comparison(files: Vec<PathBuf>, output: &mut Output) -> Result<Exit, Failure> {
    let read = blocking(move || {
        files
            .into_iter()
            .map(|file| Ok((file.display().to_string(), Results::read(&file)?)))
            .collect::<Result<Vec<_>, EvaluationError>>()
    });
    let comparison = compare(&read.await?);
    output.show(&comparison, || screen::comparison(&comparison))?;
    Ok(Exit::Complete)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EvaluationError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Failure::caused("reading the files broke off", &error))??)
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Factory(error) => error.into(),
            EvaluationError::GaveWay { .. } => {
                Self::failed(error.to_string()).with_remedy("mend that, then say the same again; it goes on")
            }
            EvaluationError::Io { ref source, .. } => {
                let mut failure = Self::caused(error.to_string(), source);
                if source.kind() == std::io::ErrorKind::NotFound {
                    failure.kind = FailureKind::Usage;
                }
                failure
            }
            _ => Self::usage(error.to_string()),
        }
    }
}
