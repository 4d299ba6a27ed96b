//! `factory run`: files a goal and works on it.

use std::path::{Path, PathBuf};

use clap::Args;
use factory_core::factory::Submit;
use factory_core::model::{
    ApprovalPolicy, Budget, BudgetLimit, Origin, Protocol, Run, RunId, RunSpec, Sampling, Seq, Temperature,
};

use super::answering::detached;
use super::watch::{self, with_session};
use super::{Context, as_run, expect_answer, goals, text_or_input};
use crate::control::{Request, Session};
use crate::exit::Exit;
use crate::failure::{Failure, FailureKind};
use crate::render::amount::{self, parse_count, parse_time};
use crate::render::output;

#[derive(Debug, Args)]
pub(super) struct RunGoal {
    /// The project: its name, its number, or the path of its repository
    #[arg(value_name = "PROJECT-OR-PATH")]
    project: String,
    /// What is to be reached, in plain words; `-` reads it from standard input
    #[arg(required_unless_present = "file")]
    goal: Option<String>,
    /// Files the goals of this file, one JSON object a line, all or none, and works on them in turn; `-` reads them from
    /// standard input. A line: {"goal", "model", "base", "priority", "checks", "budget"}; what it leaves out is as the
    /// flags say
    #[arg(long, value_name = "FILE", conflicts_with_all = ["goal", "continues"])]
    file: Option<PathBuf>,
    /// The model, as `ollama:qwen2.5-coder:7b` or `scripted:FILE`
    #[arg(long, value_name = "SPEC")]
    model: Option<String>,
    /// The branch, tag or commit to start from, instead of the project's
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// Starts from the commit of this run, which must be complete
    #[arg(long = "continue", value_name = "RUN", conflicts_with = "base")]
    continues: Option<RunId>,
    /// A command that proves the result, instead of the project's; may be given several times
    #[arg(long = "check", value_name = "CMD")]
    checks: Vec<String>,
    /// Asks nothing: a result that the checks prove, and that touches none of them, is committed by itself
    #[arg(long)]
    yes: bool,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
    /// Runs with a higher number go first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Model calls at most, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    budget_calls: Option<BudgetLimit>,
    /// Tokens at most, as 500k or 2M, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    budget_tokens: Option<BudgetLimit>,
    /// Time of work at most, as 90m or 1h30m, or `unlimited`
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    budget_time: Option<BudgetLimit>,
    /// Turns at most, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    budget_turns: Option<BudgetLimit>,
    /// The number from which the model's chance is drawn, for servers that take one
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How freely the model's replies are drawn, from 0 to 2, instead of its server's default
    #[arg(long, value_name = "T", value_parser = temperature)]
    temperature: Option<Temperature>,
    /// How the model is asked, instead of what a probe finds: native, schema or text
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<Protocol>,
}

fn temperature(text: &str) -> Result<Temperature, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    Temperature::try_from(number)
}

impl RunGoal {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let detach = self.detach;
        let goals = self.file.clone();
        let goal = self.goal.clone();
        let mut submit = self.into_submit(&context.settings.model, context.settings.budget)?;
        if let Some(goals) = goals {
            return goals::run(context, &goals, submit, detach).await;
        }
        submit.goal = text_or_input(goal.unwrap_or_default(), Submit::MAX_GOAL, "the goal").await?;
        output::remark(&format!("budget: {}", amount::budget(&submit.spec.budget)));
        with_session(context, async |context, session| {
            let run = file(session, submit).await?;
            watch_filed(context, session, run, detach).await
        })
        .await
    }

    /// Returns what the flags say, without a goal.
    fn into_submit(self, model: &str, budget: Budget) -> Result<Submit, Failure> {
        let spec = RunSpec {
            model: absolute_model(self.model.as_deref().unwrap_or(model))?,
            base_ref: self.base,
            base: None,
            checks: (!self.checks.is_empty()).then_some(self.checks),
            approval: if self.yes {
                ApprovalPolicy::Unattended
            } else {
                ApprovalPolicy::Ask
            },
            budget: Budget {
                calls: self.budget_calls.unwrap_or(budget.calls),
                tokens: self.budget_tokens.unwrap_or(budget.tokens),
                work_ms: self.budget_time.unwrap_or(budget.work_ms),
                turns: self.budget_turns.unwrap_or(budget.turns),
            },
            sampling: Sampling {
                seed: self.seed,
                temperature: self.temperature,
            },
            protocol: self.protocol,
            origin: self.continues.map(Origin::continuing),
        };
        Ok(Submit {
            project: project_reference(&self.project)?,
            goal: String::new(),
            spec,
            priority: self.priority,
        })
    }
}

/// Works on a run that was just filed, or lets the owner do so.
pub(super) async fn watch_filed(
    context: &mut Context,
    session: &mut Session,
    run: Run,
    detach: bool,
) -> Result<Exit, Failure> {
    if !detach {
        output::remark(&format!("run {}", run.id));
        return watch::to_rest(context, session, run.id, Seq(0)).await;
    }
    let started = !session.is_owner();
    if started {
        session.ask(Request::Start { run: run.id }).await?;
    }
    let factory = context.factory();
    context
        .output
        .show(&run, || detached(run.id, started, &factory))?;
    Ok(Exit::Complete)
}

/// Files the run once, also where the owner goes away in the middle of it.
async fn file(session: &mut Session, submit: Submit) -> Result<Run, Failure> {
    // Asked first, so that a run which an owner stored with its last breath can be told from older ones.
    let newest = newest(session, 1).await?.first().map_or(RunId(0), |run| run.id);
    loop {
        let asked = session
            .ask(Request::Submit {
                submit: Box::new(submit.clone()),
            })
            .await;
        let failure = match asked {
            Err(failure) if failure.kind == FailureKind::Lost => failure,
            other => return as_run(other?),
        };
        let lost = session.client_of();
        let since = newest_after(session, newest).await?;
        if let Some(run) = since.into_iter().find(|run| is_same(run, &submit)) {
            return Ok(run);
        }
        // Only another owner proves that the first one is dead and can store nothing any more.
        if session.client_of() == lost {
            return Err(failure);
        }
    }
}

async fn newest_after(session: &mut Session, id: RunId) -> Result<Vec<Run>, Failure> {
    let runs = newest(session, 100).await?;
    Ok(runs.into_iter().filter(|run| run.id > id).collect())
}

async fn newest(session: &mut Session, limit: u32) -> Result<Vec<Run>, Failure> {
    let request = Request::Runs {
        project: None,
        status: None,
        after: None,
        limit,
    };
    expect_answer!(session.ask(request).await?, Runs)
}

fn is_same(run: &Run, submit: &Submit) -> bool {
    run.goal == submit.goal.trim()
        && run.priority == submit.priority
        && run.spec.model == submit.spec.model
        && run.spec.budget == submit.spec.budget
        && run.spec.approval == submit.spec.approval
        && run.spec.origin == submit.spec.origin
}

/// Returns the reference as the owner, whose working folder is another, understands it: a path is made absolute.
pub(super) fn project_reference(reference: &str) -> Result<String, Failure> {
    let is_path = reference.contains('/') || matches!(reference, "." | "..");
    if !is_path {
        return Ok(reference.to_owned());
    }
    let path = absolute_folder(Path::new(reference))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| Failure::usage(format!("`{}` is no Unicode path", PathBuf::from(path).display())))
}

/// Returns the folder's real path.
pub(super) fn absolute_folder(path: &Path) -> Result<PathBuf, Failure> {
    let path_found = path.canonicalize().map_err(|error| {
        let mut failure = Failure::caused(format!("there is no folder `{}`", path.display()), &error);
        failure.kind = FailureKind::Usage;
        failure
    })?;
    if path_found.is_file() {
        return Err(Failure::usage(format!("`{}` is a file", path.display()))
            .with_remedy("name the folder of a repository"));
    }
    Ok(path_found)
}

/// Returns the model with the path of its file, if it has one, made absolute.
pub(super) fn absolute_model(model: &str) -> Result<String, Failure> {
    for kind in ["scripted:", "recorded:"] {
        if let Some(file) = model.strip_prefix(kind) {
            let path = std::path::absolute(file)
                .map_err(|error| Failure::caused(format!("`{file}` is no file of a model"), &error))?;
            return Ok(format!("{kind}{}", path.display()));
        }
    }
    Ok(model.to_owned())
}
