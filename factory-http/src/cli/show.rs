//! `factory show`: a run on one screen.

use clap::Args;
use factory_core::model::RunId;

use super::{Context, expect_answer};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::run;

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run's number
    run: RunId,
}

impl Show {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let view = expect_answer!(context.look(Request::Show { run: self.run }).await?, View)?;
        let factory = context.factory();
        context.output.show(&view, || run::view(&view, &factory))?;
        Ok(Exit::Complete)
    }
}
