//! `factory serve`: the whole factory in one process. It owns the data folder, takes runs from the queue, and answers
//! over HTTP until it is told to end.

use clap::Args;
use poem::http::Method;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::watch::with_session;
use crate::api::Defaults;
use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guard::RouteLimits;
use crate::observe::{self, LogForm, Metrics};
use crate::pulls::Pulls;
use crate::render::output;
use crate::server::{self, ListenFlags, Listeners, Serving};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    listen: ListenFlags,
}

impl Serve {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let listening = self.listen.over(&context.listening);
        with_session(context, async |context, session| {
            let interrupts = context.interrupts()?;
            session.own().await?;
            let factory = session
                .factory()
                .ok_or_else(|| Failure::failed("internal error: no owner"))?;
            let listeners = Listeners::bind(&listening).await?;
            session.announce_console(listeners.console.url.clone());
            if context.log_form == LogForm::Text {
                output::remark(&format!("API      {}", listeners.api.url));
                output::remark(&format!("console  {}", listeners.console.url));
                output::remark(
                    "`factory login` opens the console, `factory token` prints the token; Ctrl-C ends",
                );
            }
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                api = listeners.api.url,
                console = listeners.console.url,
                data_folder = %context.settings.data_folder.display(),
                "the server is ready"
            );
            let app = App {
                factory: factory.clone(),
                defaults: Defaults::from(&context.settings),
                pulls: Pulls::default(),
                metrics: Metrics::new(),
            };
            let pulls = app.pulls.clone();
            let routes = app.routes();
            let credentials = factory.credentials().await?.clone();
            let serving = Serving::new(credentials, limits, routes.table, app.metrics.clone());
            let ending = CancellationToken::new();
            let told = ending.clone();
            tokio::spawn(async move {
                interrupts.first().await;
                tracing::info!("the server was told to end");
                told.cancel();
            });
            tokio::spawn(app.metrics.clone().keep_up(ending.clone()));
            tokio::spawn(observe::watch(
                factory.clone(),
                app.metrics.clone(),
                ending.clone(),
            ));
            server::serve(listeners, routes.endpoint, serving, ending).await;
            pulls.end();
            tracing::info!("the server serves no more");
            Ok(Exit::Complete)
        })
        .await
    }
}

/// The bounds of the routes: those that take several goals take more, and those that wait for others wait longer.
fn limits(method: &Method, path: &str) -> RouteLimits {
    let ordinary = RouteLimits::default();
    match (method, path) {
        (&Method::POST, "/runs/bulk") => RouteLimits {
            body: 80 << 20,
            ..ordinary
        },
        (&Method::POST, "/projects" | "/models/probe") => RouteLimits {
            answer_within: std::time::Duration::from_hours(1),
            ..ordinary
        },
        _ => ordinary,
    }
}
