//! `factory models`: the models of the endpoints, and getting, trying and removing them.

use clap::{Args, Subcommand};
use factory_core::factory::EndpointModels;
use serde_json::json;

use super::watch::with_session;
use super::{Context, expect_answer};
use crate::control::{Asked, Request, Session, Streamed, has_database, stream};
use crate::exit::Exit;
use crate::failure::{Failure, FailureKind};
use crate::render::models as screen;
use crate::render::pull::PullDisplay;

/// How often a pull is begun again that its owner did not begin or left.
const ATTEMPTS: u32 = 20;

#[derive(Debug, Args)]
pub(super) struct Models {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the models of every endpoint (as does `factory models` alone)
    List,
    /// Gets a model onto its server; Ctrl-C stops it, and the same command goes on from there
    Pull(Name),
    /// Makes a model ready, which may load it, and shows what it can do and how large its window is
    Probe(Name),
    /// Removes a model from its server
    Remove(Name),
}

#[derive(Debug, Args)]
struct Name {
    /// The model: `ENDPOINT:NAME`, or a name of Ollama's
    #[arg(value_name = "NAME")]
    name: String,
}

impl Models {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.command.unwrap_or(Command::List) {
            Command::List => list(context).await,
            Command::Pull(model) => pull(context, model.name).await,
            Command::Probe(model) => {
                let request = Request::ProbeModel { model: model.name };
                let answer = with_session(context, async |_, session| session.ask(request).await).await?;
                let probed = expect_answer!(answer, Probed)?;
                context.output.show(&probed, || screen::probed(&probed))?;
                Ok(Exit::Complete)
            }
            Command::Remove(model) => {
                let request = Request::RemoveModel { model: model.name };
                let answer = with_session(context, async |_, session| session.ask(request).await).await?;
                let model = expect_answer!(answer, Model)?;
                let said = || format!("{} is removed", crate::render::sanitize::line(&model));
                context.output.show(&json!({"removed": model}), said)?;
                Ok(Exit::Complete)
            }
        }
    }
}

async fn list(context: &mut Context) -> Result<Exit, Failure> {
    let answer = if has_database(&context.settings) {
        context.look(Request::Models).await?
    } else {
        with_session(context, async |_, session| session.ask(Request::Models).await).await?
    };
    let endpoints: Vec<EndpointModels> = expect_answer!(answer, Models)?;
    context
        .output
        .show(&json!({"endpoints": endpoints}), || screen::endpoints(&endpoints))?;
    // A list of which every part failed is none.
    let any = endpoints.iter().any(|endpoint| endpoint.failure.is_none());
    Ok(if any { Exit::Complete } else { Exit::Failed })
}

async fn pull(context: &mut Context, model: String) -> Result<Exit, Failure> {
    with_session(context, async |context, session| {
        let interrupts = context.interrupts()?;
        let mut display = PullDisplay::new(context.output.form(), context.terminal);
        let pulled = tokio::select! {
            pulled = pull_within(context, session, &model, &mut display) => Some(pulled),
            () = interrupts.first() => None,
        };
        display.finish();
        match pulled {
            Some(Ok(model)) => {
                let said = || format!("{} is there", crate::render::sanitize::line(&model));
                context.output.show(&json!({"pulled": model}), said)?;
                Ok(Exit::Complete)
            }
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::failed(format!("getting {model} was stopped"))
                .with_remedy("what has come is kept; the same command goes on from there")),
        }
    })
    .await
}

/// Gets the model, here or at the owner's, and again at the next owner's where one goes away.
async fn pull_within(
    context: &mut Context,
    session: &mut Session,
    model: &str,
    display: &mut PullDisplay,
) -> Result<String, Failure> {
    for _ in 0..ATTEMPTS {
        let link = session.link().await?;
        let request = Request::PullModel {
            model: model.to_owned(),
        };
        let output = &mut context.output;
        let asked = stream(
            async |sink| link.ask(request, sink).await,
            |streamed| {
                if let Streamed::Pull(progress) = streamed {
                    display.hear(&progress, output);
                }
            },
        );
        if let Asked::Answered(answer) = asked.await? {
            return expect_answer!(answer, Model);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(Failure::new(
        FailureKind::Lost,
        "the owner of the data folder went away again and again before the model was there",
    )
    .with_remedy("what has come is kept; the same command goes on from there"))
}
