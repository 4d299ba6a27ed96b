//! The operator's short words to a run: pause, stop, direct, raise.

use clap::Args;
use factory_core::factory::Submit;
use factory_core::model::{Budget, BudgetLimit, RunId};

use super::watch::with_session;
use super::{Context, as_run, expect_answer, text_or_input};
use crate::control::{Request, Session};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::amount::{self, parse_count, parse_time};
use crate::render::run as screen;

#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The run's number
    run: RunId,
}

#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The run's number
    run: RunId,
}

#[derive(Debug, Args)]
pub(super) struct Direct {
    /// The run's number
    run: RunId,
    /// What the agent should hear; `-` reads it from standard input
    text: String,
}

#[derive(Debug, Args)]
pub(super) struct Raise {
    /// The run's number
    run: RunId,
    #[command(flatten)]
    bounds: Bounds,
}

/// New bounds; what is not named stays.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Bounds {
    /// Model calls in all, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    calls: Option<BudgetLimit>,
    /// Tokens in all, as 500k or 2M, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    tokens: Option<BudgetLimit>,
    /// Time of work in all, as 90m or 1h30m, or `unlimited`
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<BudgetLimit>,
    /// Turns in all, or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count)]
    turns: Option<BudgetLimit>,
}

impl Pause {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        ask(context, Request::Pause { run: self.run }).await
    }
}

impl Stop {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        ask(context, Request::Stop { run: self.run }).await
    }
}

impl Direct {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let text = text_or_input(self.text, Submit::MAX_GOAL, "the directive").await?;
        ask(context, Request::Direct { run: self.run, text }).await
    }
}

impl Raise {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        with_session(context, async |context, session| {
            let view = expect_answer!(session.ask(Request::Show { run: self.run }).await?, View)?;
            let current = view.run.spec.budget;
            let budget = Budget {
                calls: self.bounds.calls.unwrap_or(current.calls),
                tokens: self.bounds.tokens.unwrap_or(current.tokens),
                work_ms: self.bounds.time.unwrap_or(current.work_ms),
                turns: self.bounds.turns.unwrap_or(current.turns),
            };
            context
                .output
                .text(&format!("budget: {}", amount::budget(&budget)))?;
            let request = Request::Raise {
                run: self.run,
                budget,
            };
            ask_within(context, session, request).await
        })
        .await
    }
}

/// Asks for a change of a run and shows how it stands after that.
async fn ask(context: &mut Context, request: Request) -> Result<Exit, Failure> {
    with_session(context, async |context, session| {
        ask_within(context, session, request).await
    })
    .await
}

async fn ask_within(context: &mut Context, session: &mut Session, request: Request) -> Result<Exit, Failure> {
    let run = as_run(session.ask(request).await?)?;
    let factory = context.factory();
    let view = expect_answer!(session.ask(Request::Show { run: run.id }).await?, View)?;
    context.output.show(&run, || {
        let mut lines = vec![screen::status_line(&run)];
        let next = screen::next(&view.run, view.open_approval.as_ref(), &factory);
        lines.extend(next.into_iter().map(|command| format!("  {command}")));
        lines.join("\n")
    })?;
    Ok(Exit::Complete)
}
