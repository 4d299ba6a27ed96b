//! The operator's words after which a run goes on: resume, answer, approve, reject. Each says its word and then watches
//! the run to its next rest.

use clap::Args;
use factory_core::factory::{ApproveTree, RunView, Submit};
use factory_core::model::{ApprovalSubject, RunId, TreeId};

use super::watch::{self, with_session};
use super::{Context, as_run, asked_yes, expect_answer, text_or_input};
use crate::control::{Request, Session};
use crate::exit::Exit;
use crate::failure::{Failure, FailureKind};
use crate::render::output::Form;
use crate::render::{diff, run as screen};

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run's number
    run: RunId,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Args)]
pub(super) struct AnswerQuestion {
    /// The run's number
    run: RunId,
    /// The answer; `-` reads it from standard input
    text: String,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The run's number
    run: RunId,
    /// The tree that you reviewed, as `factory show` names it; asked for on a terminal where it is missing
    #[arg(long, value_name = "HASH")]
    tree: Option<TreeId>,
    /// A commit message instead of the proposed one
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Args)]
pub(super) struct Reject {
    /// The run's number
    run: RunId,
    /// Why; the agent hears it. `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Returns at once; the owner of the data folder, if there is one, works on it
    #[arg(long)]
    detach: bool,
}

impl Resume {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        with_session(context, async |context, session| {
            let view = show(session, self.run).await?;
            let word = Request::Resume { run: self.run };
            match session.ask(word).await {
                Ok(_) => {}
                // It goes on already, or waits in the queue after its worker was gone.
                Err(failure)
                    if failure.kind == FailureKind::NotAllowed
                        && !show(session, self.run).await?.run.status.is_rest() => {}
                Err(failure) => return Err(failure),
            }
            go_on(context, session, &view, self.detach).await
        })
        .await
    }
}

impl AnswerQuestion {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let text = text_or_input(self.text, Submit::MAX_GOAL, "the answer").await?;
        let word = Request::Answer { run: self.run, text };
        say(context, self.run, word, self.detach).await
    }
}

impl Reject {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let because = text_or_input(self.because, Submit::MAX_GOAL, "the reason").await?;
        let word = Request::Reject {
            run: self.run,
            because,
        };
        say(context, self.run, word, self.detach).await
    }
}

impl Approve {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let tree = match self.tree {
            Some(tree) => tree,
            None if context.terminal.asks && context.output.form() == Form::Text => {
                let Some(tree) = ask_for_tree(context, self.run).await? else {
                    context.output.text("nothing was approved")?;
                    return Ok(Exit::Waiting);
                };
                tree
            }
            None => {
                return Err(Failure::usage("--tree is missing: say which tree you reviewed")
                    .with_remedy(format!("`{} show {}` names it", context.factory(), self.run)));
            }
        };
        let approve = ApproveTree {
            tree,
            message: self.message,
        };
        let word = Request::Approve {
            run: self.run,
            approve,
        };
        say(context, self.run, word, self.detach).await
    }
}

/// Shows what would be committed and asks. None where the operator does not want it.
async fn ask_for_tree(context: &mut Context, run: RunId) -> Result<Option<TreeId>, Failure> {
    let view = expect_answer!(context.look(Request::Show { run }).await?, View)?;
    let (tree, shown) = offered(&view)?;
    let changes = expect_answer!(context.look(Request::Diff { run }).await?, Diff)?;
    if changes.tree.as_ref() != Some(&tree) {
        return Err(Failure::new(
            FailureKind::Conflict,
            format!("run {run} has just offered another tree; look at it again"),
        ));
    }
    context.output.text(&shown)?;
    context.output.text(&diff::stat(&changes.diff.files))?;
    context
        .output
        .text(&format!("`{} diff {run}` shows all of it", context.factory()))?;
    Ok(asked_yes("commit this?").await?.then_some(tree))
}

/// Returns the tree that a run offers, and the offer in words.
pub(super) fn offered(view: &RunView) -> Result<(TreeId, String), Failure> {
    let run = view.run.id;
    match view.open_approval.as_ref().map(|approval| &approval.subject) {
        Some(ApprovalSubject::Tree { tree, .. }) => Ok((tree.clone(), screen::offer(view))),
        Some(_) => Err(Failure::usage(format!(
            "run {run} asks for something else than the approval of a tree"
        ))
        .with_remedy(format!("`factory show {run}` says what"))),
        None => Err(Failure::usage(format!("run {run} offers nothing to be approved"))
            .with_remedy(format!("`factory show {run}` says how it stands"))),
    }
}

/// Says the word and watches what comes of it.
async fn say(context: &mut Context, run: RunId, word: Request, detach: bool) -> Result<Exit, Failure> {
    with_session(context, async |context, session| {
        let view = show(session, run).await?;
        as_run(session.ask(word).await?)?;
        go_on(context, session, &view, detach).await
    })
    .await
}

/// Watches the run go on from where `before` saw it, or lets it go on by itself.
async fn go_on(
    context: &mut Context,
    session: &mut Session,
    before: &RunView,
    detach: bool,
) -> Result<Exit, Failure> {
    let run = before.run.id;
    if !detach {
        return watch::to_rest(context, session, run, before.run.last_seq).await;
    }
    let started = !session.is_owner();
    if started {
        session.ask(Request::Start { run }).await?;
    }
    let now = show(session, run).await?.run;
    let factory = context.factory();
    context.output.show(&now, || detached(run, started, &factory))?;
    Ok(Exit::Complete)
}

/// Returns what becomes of a run that nobody watches.
pub(super) fn detached(run: RunId, started: bool, factory: &str) -> String {
    if started {
        format!("run {run} is being worked on; `{factory} events {run} --follow` watches it")
    } else {
        format!("run {run} is in the queue; nobody works on it until `{factory} resume {run}`")
    }
}

async fn show(session: &mut Session, run: RunId) -> Result<RunView, Failure> {
    expect_answer!(session.ask(Request::Show { run }).await?, View).map(|view| *view)
}
