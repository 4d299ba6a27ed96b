//! `factory diff`: what a run has changed.

use clap::Args;
use factory_core::factory::RunView;
use factory_core::model::{ApprovalSubject, RunId};

use super::{Context, expect_answer};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::diff;

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The run's number
    run: RunId,
}

impl Diff {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let changes = expect_answer!(context.look(Request::Diff { run: self.run }).await?, Diff)?;
        let view = expect_answer!(context.look(Request::Show { run: self.run }).await?, View)?;
        let colours = context.terminal.colours;
        context
            .output
            .show(&changes, || diff::whole(&changes, sensitive(&view), colours))?;
        Ok(Exit::Complete)
    }
}

/// Returns the changed files that a reviewer should see first.
pub(super) fn sensitive(view: &RunView) -> &[String] {
    match view.open_approval.as_ref().map(|approval| &approval.subject) {
        Some(ApprovalSubject::Tree { sensitive, .. }) => sensitive,
        _ => view.last_check.as_ref().map_or(&[], |check| &check.sensitive),
    }
}
