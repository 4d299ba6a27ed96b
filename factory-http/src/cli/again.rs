//! New runs made of old ones: `factory retry` and `factory fork`. Each files the run and works on it.

use clap::Args;
use factory_core::factory::Submit;
use factory_core::model::{RunId, Seq};

use super::run::watch_filed;
use super::watch::with_session;
use super::{Context, as_run, text_or_input};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{amount, output};

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// The run's number; it must be complete, failed or stopped
    run: RunId,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Args)]
pub(super) struct Fork {
    /// The run's number; it may still be at work
    run: RunId,
    /// Goes on from the last checkpoint at or before this event, as `factory events` numbers them
    #[arg(long, value_name = "SEQ")]
    from: u64,
    /// Another goal than the run's; `-` reads it from standard input
    goal: Option<String>,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

impl Retry {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        file(context, Request::Retry { run: self.run }, self.detach).await
    }
}

impl Fork {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let goal = match self.goal {
            Some(goal) => Some(text_or_input(goal, Submit::MAX_GOAL, "the goal").await?),
            None => None,
        };
        let request = Request::Fork {
            run: self.run,
            at: Seq(self.from),
            goal,
        };
        file(context, request, self.detach).await
    }
}

async fn file(context: &mut Context, request: Request, detach: bool) -> Result<Exit, Failure> {
    with_session(context, async |context, session| {
        let run = as_run(session.ask(request).await?)?;
        output::remark(&format!("budget: {}", amount::budget(&run.spec.budget)));
        watch_filed(context, session, run, detach).await
    })
    .await
}
