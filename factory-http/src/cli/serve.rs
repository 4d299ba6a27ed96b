//! `factory serve`: the whole factory in one process. It owns the data folder, takes runs from the queue, and answers
//! over HTTP until it is told to end.

use std::time::Duration;

use clap::Args;
use factory_core::Factory;
use poem::http::Method;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::watch::with_session;
use crate::api::Defaults;
use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guard::RouteLimits;
use crate::live::Live;
use crate::observe::{LogForm, Metrics, Watcher};
use crate::outgoing;
use crate::pulls::Pulls;
use crate::render::output;
use crate::server::{self, ListenFlags, Listeners, Serving};

/// How often the server looks for keys that are old enough to be forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

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
            let ending = CancellationToken::new();
            let metrics = Metrics::new();
            let app = App {
                factory: factory.clone(),
                defaults: Defaults::from(&context.settings),
                pulls: Pulls::default(),
                live: Live::until(ending.clone(), metrics.clone()),
                metrics: metrics.clone(),
            };
            let pulls = app.pulls.clone();
            let routes = app.routes();
            let watcher = Watcher::begin(&factory, metrics.clone()).await?;
            tokio::spawn(watcher.run());
            tokio::spawn({
                let (factory, limits) = (factory.clone(), context.limits.clone());
                async move { factory.work_queue(limits).await }
            });
            let forgetting = tokio::spawn(forget_old_keys(factory.clone()));
            let credentials = factory.credentials().await?.clone();
            credentials.owner_token().await?;
            let serving = Serving {
                failures: listening.failures,
                ..Serving::new(credentials, limits, routes.table, metrics.clone())
            };
            let told = ending.clone();
            tokio::spawn(async move {
                interrupts.first().await;
                tracing::info!("the server was told to end");
                told.cancel();
            });
            let outgoing = outgoing::start(
                &factory,
                &context.settings.data_folder,
                &context.outgoing,
                &ending,
            )
            .await?;
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                api = listeners.api.url,
                console = listeners.console.url,
                data_folder = %context.settings.data_folder.display(),
                "the server is ready"
            );
            server::serve(listeners, routes.endpoint, serving, ending).await;
            pulls.end();
            outgoing.ended().await;
            forgetting.abort();
            tracing::info!("the server serves no more");
            Ok(Exit::Complete)
        })
        .await
    }
}

/// Forgets the keys of requests that nobody repeats any more: some at a time, so that no other write waits for it.
async fn forget_old_keys(factory: Factory) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        loop {
            match factory.forget_old_keys().await {
                Ok(0) => break,
                Ok(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(error) => {
                    tracing::warn!(%error, "old keys could not be forgotten");
                    break;
                }
            }
        }
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
            answer_within: Duration::from_hours(1),
            ..ordinary
        },
        _ => ordinary,
    }
}
