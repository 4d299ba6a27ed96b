//! `factory project`: registering repositories and saying how their results are proven.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use factory_core::factory::{AddProject, ProjectChange, Submit};
use factory_core::model::{ProjectId, ProjectSettings, SetupNetwork};
use serde_json::json;

use super::run::{absolute_folder, project_reference};
use super::watch::with_session;
use super::{Context, expect_answer, text_or_input};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{output, project as screen, sanitize, table};

#[derive(Debug, Subcommand)]
pub(super) enum Project {
    /// Registers a repository and tries its setup and checks on the base
    Add(Add),
    /// Lists projects
    List(ListProjects),
    /// Shows a project
    Show(ShowProject),
    /// Changes a project; what is not named stays
    Set(Set),
    /// Forgets a project; its repository stays as it is
    Remove(Remove),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkChoice {
    /// Nothing
    Off,
    /// The host's network
    Host,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The repository's folder, or a folder of a repository, which becomes a project of its own
    path: PathBuf,
    /// The project's name [default: the folder's]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    commands: Commands,
    /// The branch, tag or commit that runs start from [default: the repository's current branch]
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// Makes a folder that is no repository one, with everything in it as the first commit
    #[arg(long)]
    init: bool,
    /// Does not try setup and checks now
    #[arg(long)]
    no_try: bool,
}

/// How a project's results are made provable and proven.
#[derive(Debug, Args)]
struct Commands {
    /// A command that installs what the project needs; may be given several times
    #[arg(long, value_name = "CMD")]
    setup: Vec<String>,
    /// The project needs no setup
    #[arg(long, conflicts_with = "setup")]
    no_setup: bool,
    /// What the setup commands may reach
    #[arg(long, value_enum, value_name = "NETWORK")]
    setup_network: Option<NetworkChoice>,
    /// A command that proves a result by exiting 0; may be given several times
    #[arg(long = "check", value_name = "CMD")]
    checks: Vec<String>,
    /// The project has no checks, so that nothing can be proven
    #[arg(long, conflicts_with = "checks")]
    no_checks: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListProjects {
    /// Those after this one: the next page
    #[arg(long, value_name = "PROJECT")]
    after: Option<ProjectId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct ShowProject {
    /// Its name, its number, or the path of its repository
    project: String,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// Its name, its number, or the path of its repository
    project: String,
    /// The new name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    commands: Commands,
    /// The branch, tag or commit that runs start from
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// Runs start from the repository's current branch
    #[arg(long, conflicts_with = "base")]
    no_base: bool,
    /// Your words to the agent in every run; `-` reads them from standard input, an empty text takes them away
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its name, its number, or the path of its repository
    project: String,
}

impl Project {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(add) => add.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::Set(set) => set.run(context).await,
            Self::Remove(remove) => remove.run(context).await,
        }
    }
}

impl Commands {
    fn setup(&self) -> Option<Vec<String>> {
        (self.no_setup || !self.setup.is_empty()).then(|| self.setup.clone())
    }

    fn checks(&self) -> Option<Vec<String>> {
        (self.no_checks || !self.checks.is_empty()).then(|| self.checks.clone())
    }

    fn network(&self) -> Option<SetupNetwork> {
        self.setup_network.map(|choice| match choice {
            NetworkChoice::Off => SetupNetwork::Off,
            NetworkChoice::Host => SetupNetwork::Host,
        })
    }
}

impl Add {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let add = AddProject {
            path: absolute_folder(&self.path)?,
            name: self.name,
            setup: self.commands.setup(),
            setup_network: self.commands.network().unwrap_or_default(),
            checks: self.commands.checks(),
            base_ref: self.base,
            init: self.init,
            try_now: !self.no_try,
        };
        if add.try_now {
            output::remark("trying setup and checks on the base; --no-try leaves that out");
        }
        with_session(context, async |context, session| {
            let answer = session.ask(Request::AddProject { add }).await?;
            let added = expect_answer!(answer, ProjectAdded)?;
            context.output.show(&added, || screen::added(&added))?;
            Ok(Exit::Complete)
        })
        .await
    }
}

impl ListProjects {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let request = Request::Projects {
            after: self.after,
            limit: self.limit,
        };
        let projects = expect_answer!(context.look(request).await?, Projects)?;
        let full = projects.len() == self.limit as usize;
        let more = full.then(|| projects.last().map(|project| project.id)).flatten();
        let factory = context.factory();
        let value = json!({"items": projects, "next_after": more});
        context.output.show(&value, || {
            if projects.is_empty() {
                return format!("no project yet; `{factory} project add PATH` registers a repository");
            }
            let more = more.map(|last| format!("\nmore: {factory} project list --after {last}"));
            table::projects(&projects) + &more.unwrap_or_default()
        })?;
        Ok(Exit::Complete)
    }
}

impl ShowProject {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let reference = project_reference(&self.project)?;
        let project = expect_answer!(context.look(Request::Project { reference }).await?, Project)?;
        context.output.show(&project, || screen::project(&project))?;
        Ok(Exit::Complete)
    }
}

impl Set {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let reference = project_reference(&self.project)?;
        let instructions = match self.instructions.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(
                text_or_input(text.to_owned(), Submit::MAX_GOAL, "the instructions").await?,
            )),
        };
        with_session(context, async |context, session| {
            let request = Request::Project {
                reference: reference.clone(),
            };
            let project = expect_answer!(session.ask(request).await?, Project)?;
            let old = project.settings.clone();
            let settings = ProjectSettings {
                base_ref: if self.no_base {
                    None
                } else {
                    self.base.or(old.base_ref)
                },
                setup: self.commands.setup().unwrap_or(old.setup),
                setup_network: self.commands.network().unwrap_or(old.setup_network),
                checks: self.commands.checks().unwrap_or(old.checks),
                folder: old.folder,
                instructions: instructions.unwrap_or(old.instructions),
            };
            let change = ProjectChange {
                name: self.name,
                settings: (settings != project.settings).then_some(settings),
            };
            if change.name.is_none() && change.settings.is_none() {
                return Err(Failure::usage("nothing is to be changed")
                    .with_remedy("`factory project set --help` lists what can be"));
            }
            let answer = session.ask(Request::ChangeProject { reference, change }).await?;
            let project = expect_answer!(answer, Project)?;
            context.output.show(&project, || screen::project(&project))?;
            Ok(Exit::Complete)
        })
        .await
    }
}

impl Remove {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let reference = project_reference(&self.project)?;
        with_session(context, async |context, session| {
            let answer = session.ask(Request::RemoveProject { reference }).await?;
            let project = expect_answer!(answer, Project)?;
            context.output.show(&project, || {
                let path = project.local_path.display().to_string();
                format!(
                    "project {} ({}) is forgotten; `{}` stays as it is",
                    project.id,
                    sanitize::line(&project.name),
                    sanitize::line(&path)
                )
            })?;
            Ok(Exit::Complete)
        })
        .await
    }
}
