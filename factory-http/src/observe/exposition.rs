//! `GET /metrics`: what was counted while it happened, and what is read at the moment of asking.
//!
//! What is read is written here and not kept as a gauge: a value that cannot be read is then missing, and not an old one.

use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factory_core::model::RunStatus;
use factory_core::store::RunCounts;
use factory_core::{Error, Factory};
use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse as _, Request, Response, RouteMethod, handler};
use poem::{EndpointExt as _, web::Data};

use super::metrics::Metrics;
use super::process::ProcessUse;
use crate::guard::Viewer;
use crate::problem::Problem;

/// How long the store may take to say how runs stand. An answer without it is better than none.
const STANDING_WITHIN: Duration = Duration::from_secs(2);

/// The media type of the text form.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How things stand at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// How many runs are in each status.
    pub(crate) runs: RunCounts,
    /// How many runs are being worked on in this process.
    pub(crate) workers: usize,
}

/// Tells how things stand, at a cost that does not grow with what is stored.
#[async_trait]
pub(crate) trait Stands: std::fmt::Debug + Send + Sync + 'static {
    /// Returns how they stand now.
    async fn standing(&self) -> Result<Standing, Error>;
}

#[async_trait]
impl Stands for Factory {
    async fn standing(&self) -> Result<Standing, Error> {
        Ok(Standing {
            runs: self.reader().run_counts().await?,
            workers: self.workers(),
        })
    }
}

/// Returns the route that serves the numbers to whoever may look.
pub(crate) fn endpoint(metrics: Metrics, stands: Arc<dyn Stands>) -> impl Endpoint<Output = Response> {
    RouteMethod::new()
        .get(show.data(Scrape { metrics, stands }))
        .map_to_response()
}

#[derive(Debug, Clone)]
struct Scrape {
    metrics: Metrics,
    stands: Arc<dyn Stands>,
}

#[handler]
async fn show(_viewer: Viewer, Data(scrape): Data<&Scrape>, _request: &Request) -> Result<Response, Problem> {
    let text = scrape.text().await?;
    Ok(text.with_content_type(MEDIA_TYPE).into_response())
}

impl Scrape {
    async fn text(&self) -> Result<String, Problem> {
        let standing = match tokio::time::timeout(STANDING_WITHIN, self.stands.standing()).await {
            Ok(Ok(standing)) => Some(standing),
            Ok(Err(error)) => {
                tracing::warn!(%error, "how runs stand could not be read for the metrics");
                None
            }
            Err(_) => {
                tracing::warn!("the store takes too long to say how runs stand for the metrics");
                None
            }
        };
        let metrics = self.metrics.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut text = Exposition(metrics.render());
            ProcessUse::read().write(&mut text);
            if let Some(standing) = standing {
                write_standing(&mut text, &standing);
            }
            text.0
        });
        written.await.map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the metrics could not be written",
            )
            .because(error.to_string())
        })
    }
}

fn write_standing(text: &mut Exposition, standing: &Standing) {
    let runs = |status| standing.runs.get(&status).copied().unwrap_or_default();
    text.head("factory_runs", Kind::Gauge, "Runs by status.");
    for status in RunStatus::ALL {
        text.line("factory_runs", Some(("status", status.as_str())), runs(status));
    }
    text.one(
        "factory_queue_depth",
        Kind::Gauge,
        "Runs that wait for a worker.",
        Some(runs(RunStatus::Queued)),
    );
    text.one(
        "factory_workers_active",
        Kind::Gauge,
        "Runs that are being worked on in this process.",
        Some(standing.workers),
    );
}

/// Whether a value only grows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Prometheus's text form, as it is written.
#[derive(Debug)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Writes what a metric is.
    pub(super) fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.add(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Writes one value. The label's value is one of ours, which needs no escape.
    pub(super) fn line(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        match label {
            Some((label, of)) => self.add(format_args!("{name}{{{label}=\"{of}\"}} {value}\n")),
            None => self.add(format_args!("{name} {value}\n")),
        }
    }

    /// Writes a metric that has one value, where it is known.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.head(name, kind, help);
            self.line(name, None, value);
        }
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        self.0.write_fmt(what).expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests;
