//! `factory serve`: the whole factory in one process. It owns the data folder, takes runs from the queue, and answers
//! over HTTP until it is told to end.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use poem::Server;
use poem::listener::TcpListener;

use super::Context;
use super::watch::with_session;
use crate::api::Defaults;
use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::pulls::Pulls;
use crate::render::output;

/// How long clients are given to hear that the server ends.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address of the API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

impl Serve {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        with_session(context, async |context, session| {
            let interrupts = context.interrupts()?;
            session.own().await?;
            let factory = session
                .factory()
                .ok_or_else(|| Failure::failed("internal error: no owner"))?;
            let app = App {
                factory,
                defaults: Defaults::from(&context.settings),
                pulls: Pulls::default(),
            };
            let pulls = app.pulls.clone();
            output::remark(&format!("listening at http://{}", self.listen));
            Server::new(TcpListener::bind(self.listen))
                .run_with_graceful_shutdown(
                    app.routes(),
                    async move { interrupts.first().await },
                    Some(FAREWELL),
                )
                .await
                .map_err(|error| Failure::caused(format!("cannot serve at {}", self.listen), &error))?;
            pulls.end();
            Ok(Exit::Complete)
        })
        .await
    }
}
