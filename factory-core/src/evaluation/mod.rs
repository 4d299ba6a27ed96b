//! Evaluations: a folder of tasks is run against a model, and each result is judged by a verification that the model
//! does not know. By this prompts, formats and models are compared.
//!
//! An evaluation needs a factory of its own, so that an operator's runs and its own are apart. It can be stopped at any
//! instant: results are kept as they come, and a task that was half done is gone on with.

mod attempt;
mod comparison;
mod outcome;
mod results;
mod task;

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::factory::Factory;
use crate::model::{Budget, Protocol, StatusReason};
use attempt::{Attempt, Ended};

pub use comparison::{Column, Comparison, Sample, Totals, compare};
pub use outcome::{Figures, Outcome};
pub use results::{Key, Record, Results};
pub use task::{TASK_FILE, Task};

/// Under what terms a model is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The model, as runs name it.
    pub model: String,
    /// How many calls it has for each task: those that are answered.
    pub calls: u64,
    /// The seed that the model is given.
    pub seed: Option<u64>,
    /// How the model is asked, where it is not to be found out.
    pub protocol: Option<Protocol>,
    /// Whether a result that asks although it is proven is approved, as one that touched a test is.
    pub approve_proven: bool,
    /// What else bounds a run; its bounds on calls and turns are not used.
    pub budget: Budget,
}

/// What happens in an evaluation.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// The task has its result from before.
    Kept(&'a Record),
    /// The task begins.
    Begun(&'a Task),
    /// The task was half done and is gone on with.
    GoneOn(&'a Task),
    /// The task has its result now.
    Finished(&'a Record),
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every task has its result.
    Whole,
    /// It was interrupted; saying the same again goes on.
    Interrupted,
}

/// Why an evaluation cannot be made, or not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A task cannot be used.
    #[error("the task `{path}` cannot be used: {problem}")]
    BadTask {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There are no tasks.
    #[error("`{folder}` {}", no_tasks(.patterns))]
    NoTasks {
        /// The folder.
        folder: PathBuf,
        /// What the tasks should be named like.
        patterns: Vec<String>,
    },
    /// A pattern for names cannot be used.
    #[error("`{pattern}` is no pattern for names of tasks: {problem}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A results file cannot be used.
    #[error("the results `{path}` cannot be used: line {line}: {problem}")]
    BadResults {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// What the evaluation needs gave way in the middle of a task.
    #[error("the evaluation cannot go on with the task `{task}` ({reason}): {detail}")]
    GaveWay {
        /// The task.
        task: String,
        /// What gave way.
        reason: StatusReason,
        /// The reason in words.
        detail: String,
    },
    /// A file operation failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was being done.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The factory failed or refused.
    #[error(transparent)]
    Factory(#[from] Error),
}

impl EvaluationError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn no_tasks(patterns: &[String]) -> String {
    if patterns.is_empty() {
        format!("has no tasks; a task is a folder with a {TASK_FILE}")
    } else {
        format!("has no task that is named like {}", patterns.join(" or "))
    }
}

/// Runs the tasks one after the other, each in a fresh repository below `repositories`, and adds a result for each to
/// `results`, but for those that it has already. `repositories` belongs to this evaluation as the factory does.
///
/// With `stop` the task under way is paused and [`End::Interrupted`] returned. [`EvaluationError::GaveWay`] where the
/// model cannot be reached, or the disk is full, or no sandbox works: the tasks that follow would only fail alike. In
/// both cases calling it again goes on.
pub async fn evaluate(
    factory: &Factory,
    tasks: &[Task],
    terms: &Terms,
    results: &mut Results,
    repositories: &Path,
    stop: &CancellationToken,
    mut on: impl FnMut(Progress<'_>),
) -> Result<End, EvaluationError> {
    for task in tasks {
        let key = Key::new(task, terms);
        if let Some(record) = results.settled(&key) {
            on(Progress::Kept(record));
            continue;
        }
        if stop.is_cancelled() {
            return Ok(End::Interrupted);
        }
        let attempt = Attempt {
            factory,
            task,
            terms,
            key,
            repositories,
        };
        let (run, begun) = attempt.begin().await?;
        on(if begun {
            Progress::GoneOn(task)
        } else {
            Progress::Begun(task)
        });
        match attempt.finish(run, stop).await? {
            Ended::Judged(record) => {
                results.append(*record.clone()).await?;
                on(Progress::Finished(&record));
                if !record.outcome.is_settled() {
                    return Err(EvaluationError::GaveWay {
                        task: task.name.clone(),
                        reason: StatusReason::LlmUnavailable,
                        detail: record.detail.unwrap_or_default(),
                    });
                }
            }
            Ended::Interrupted => return Ok(End::Interrupted),
            Ended::GaveWay { reason, detail } => {
                return Err(EvaluationError::GaveWay {
                    task: task.name.clone(),
                    reason,
                    detail,
                });
            }
        }
    }
    Ok(End::Whole)
}
