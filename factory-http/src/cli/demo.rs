//! `factory demo`: the whole job on a small repository that it makes, with a scripted model.

use std::path::PathBuf;

use clap::Args;
use factory_core::factory::{AddProject, ApproveTree, Submit};
use factory_core::model::{Run, RunSpec, RunStatus, Seq};

use super::answering::offered;
use super::diff::sensitive;
use super::watch::{drive, with_session};
use super::{Context, as_run, asked_yes, expect_answer};
use crate::configuration::Configuration;
use crate::control::{Request, Session};
use crate::demo::{self, Place};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{diff, output, run as screen, sanitize};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Approves the result by itself
    #[arg(long)]
    yes: bool,
    /// The folder that it is made in, which must be empty or absent [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if context.flags.data_dir.is_some() || context.flags.database.is_some() {
            return Err(Failure::usage("the demonstration has a data folder of its own")
                .with_remedy("leave --data-dir and --database out; --dir says where it is made"));
        }
        let dir = self.dir.clone();
        let place = tokio::task::spawn_blocking(move || demo::lay(dir.as_deref()))
            .await
            .map_err(|error| Failure::caused("making the demonstration broke off", &error))?
            .map_err(|error| match &self.dir {
                Some(dir) => Failure::caused(
                    format!("cannot make the demonstration in `{}`", dir.display()),
                    &error,
                ),
                None => Failure::caused("cannot make the demonstration in a temporary folder", &error),
            })?;
        // From here on everything is about this data folder, the commands that are shown too.
        context.settings = Configuration::untouched(&context.environment, &place.data_folder);
        context.flags.data_dir = Some(place.data_folder.clone());
        output::remark(&format!(
            "everything of this demonstration is in {}",
            place.folder.display()
        ));
        with_session(context, async |context, session| {
            self.show(context, session, &place).await
        })
        .await
    }

    async fn show(
        &self,
        context: &mut Context,
        session: &mut Session,
        place: &Place,
    ) -> Result<Exit, Failure> {
        session.own().await?;
        refuse_without_sandbox(session).await?;
        heading(
            context,
            "a repository whose test fails is registered; its check decides what is done",
        )?;
        let added = register(session, place).await?;
        for check in &added.checks {
            context.output.text(&sanitize::block(check.output.trim_end()))?;
        }
        heading(context, &format!("a goal is filed: {}", demo::GOAL))?;
        let run = file(session, place, &added.project.name).await?;
        let run = drive(context, session, run.id, Seq(0)).await?;
        if run.status != RunStatus::AwaitingApproval {
            return finish(context, &run);
        }
        let view = expect_answer!(session.ask(Request::Show { run: run.id }).await?, View)?;
        let changes = expect_answer!(session.ask(Request::Diff { run: run.id }).await?, Diff)?;
        let (tree, offer) = offered(&view)?;
        heading(
            context,
            "the checks are green; nothing is committed before you say so",
        )?;
        context.output.text(&offer)?;
        context
            .output
            .text(&diff::whole(&changes, sensitive(&view), context.terminal.colours))?;
        if !self.is_approved(context).await? {
            let next = screen::next(&view.run, view.open_approval.as_ref(), &context.factory());
            context
                .output
                .show(&view.run, || format!("next:\n  {}", next.join("\n  ")))?;
            return Ok(Exit::Waiting);
        }
        heading(
            context,
            "approved: this very tree, and nothing else, is committed",
        )?;
        let approve = ApproveTree { tree, message: None };
        as_run(session.ask(Request::Approve { run: run.id, approve }).await?)?;
        let run = drive(context, session, run.id, run.last_seq).await?;
        let exit = finish(context, &run)?;
        if exit == Exit::Complete {
            context.output.text(&farewell(place, &run))?;
        }
        Ok(exit)
    }

    async fn is_approved(&self, context: &Context) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        if !context.terminal.asks || context.output.form() == output::Form::Json {
            return Ok(false);
        }
        asked_yes("commit this?").await
    }
}

async fn refuse_without_sandbox(session: &mut Session) -> Result<(), Failure> {
    let findings = expect_answer!(session.ask(Request::Doctor).await?, Findings)?;
    let needed = |subject: &str| matches!(subject, "git" | "sandbox");
    let Some(broken) = findings
        .into_iter()
        .find(|finding| !finding.ok && needed(&finding.subject))
    else {
        return Ok(());
    };
    let mut failure = Failure::failed(format!("{}: {}", broken.subject, broken.found));
    failure.remedy = broken
        .remedy
        .or_else(|| Some("`factory doctor` says more".to_owned()));
    Err(failure)
}

async fn register(
    session: &mut Session,
    place: &Place,
) -> Result<Box<factory_core::factory::ProjectAdded>, Failure> {
    let add = AddProject {
        path: place.repository.clone(),
        setup: Some(Vec::new()),
        checks: Some(vec![demo::CHECK.to_owned()]),
        init: true,
        try_now: true,
        ..AddProject::default()
    };
    expect_answer!(session.ask(Request::AddProject { add }).await?, ProjectAdded)
}

async fn file(session: &mut Session, place: &Place, project: &str) -> Result<Run, Failure> {
    let submit = Submit {
        project: project.to_owned(),
        goal: demo::GOAL.to_owned(),
        spec: RunSpec {
            model: format!("scripted:{}", place.script.display()),
            ..RunSpec::default()
        },
        priority: 0,
    };
    as_run(
        session
            .ask(Request::Submit {
                submit: Box::new(submit),
            })
            .await?,
    )
}

fn finish(context: &mut Context, run: &Run) -> Result<Exit, Failure> {
    let next = screen::next(run, None, &context.factory());
    context.output.show(run, || {
        let detail = run
            .detail
            .as_deref()
            .map(|detail| format!("\n  {}", sanitize::line(detail)));
        let status = screen::status_line(run) + &detail.unwrap_or_default();
        if run.status == RunStatus::Complete {
            return status;
        }
        format!("{status}\n  {}", next.join("\n  "))
    })?;
    Ok(Exit::of(run.status))
}

fn farewell(place: &Place, run: &Run) -> String {
    let branch = sanitize::line(run.branch.as_deref().unwrap_or("-"));
    let (repository, data) = (place.repository.display(), place.data_folder.display());
    format!(
        "
repository   {repository}
branch       {branch}
data folder  {data}

look at it:
  git -C '{repository}' show {branch}
  factory --data-dir '{data}' show {id}
  factory --data-dir '{data}' events {id}

your own repository, with a model on this machine:
  ollama pull qwen2.5-coder:7b
  factory project add PATH
  factory run PATH \"what is to be done\"

`rm -r '{folder}'` takes the demonstration away",
        id = run.id,
        folder = place.folder.display(),
    )
}

fn heading(context: &mut Context, text: &str) -> Result<(), Failure> {
    context.output.text(&format!("\n== {text}"))
}
