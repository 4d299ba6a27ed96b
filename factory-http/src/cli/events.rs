//! `factory events`: what happened in a run, and what happens.

use clap::Args;
use factory_core::model::{RunId, Seq};

use super::Context;
use crate::control::{Request, look};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::event_line;

#[derive(Debug, Args)]
pub(super) struct Events {
    /// The run's number
    run: RunId,
    /// Goes on as events come, until the run is final
    #[arg(long, short)]
    follow: bool,
    /// Those after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
}

impl Events {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (run, after) = (self.run, Seq(self.after));
        let request = if self.follow {
            Request::Follow { run, after }
        } else {
            Request::Events { run, after }
        };
        let mut last = after;
        let mut written = Ok(());
        let closed = tokio::sync::Notify::new();
        let output = &mut context.output;
        let looking = look(&context.settings, request, |event| {
            // An owner that goes away in the middle is followed by a reading from the start.
            if event.seq <= last || written.is_err() {
                return;
            }
            last = event.seq;
            written = output.show(&event, || event_line::dated(&event));
            if written.is_err() || output.is_closed() {
                closed.notify_one();
            }
        });
        tokio::select! {
            looked = looking => { looked?; }
            () = closed.notified() => {}
        }
        written?;
        Ok(Exit::Complete)
    }
}
