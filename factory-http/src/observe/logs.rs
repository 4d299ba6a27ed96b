//! The log: lines on standard error, as text for people or as JSON for programs.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt};

use super::log_line::OneLine;
use super::log_queue::LogQueue;
use crate::environment::Environment;
use crate::failure::Failure;

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// Words for people.
    Text,
    /// One JSON object.
    Json,
}

/// How much is told where `FACTORY_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// Of a command that answers and ends: errors. Its lines are written where they are said.
    Command,
    /// Of a server: what it does, and warnings of the libraries. Its lines wait for a thread of their own.
    Server,
}

impl Loudness {
    /// The name of this crate's targets is the beginning of the library's, too.
    fn filter(self) -> &'static str {
        match self {
            Self::Command => "error",
            Self::Server => "warn,factory=info",
        }
    }
}

/// The log of this process, from its start to its end.
#[derive(Debug)]
#[must_use = "what waits to be written is lost unless it is ended"]
pub(crate) struct Logs {
    form: LogForm,
    queue: Option<LogQueue>,
    #[cfg(feature = "otel")]
    traces: super::traces::Traces,
}

impl Logs {
    /// Starts the log of this process, as `FACTORY_LOG` and `FACTORY_LOG_FORMAT` say.
    pub(crate) fn start(environment: &Environment, loudness: Loudness) -> Result<Self, Failure> {
        let form = form(environment.variable("FACTORY_LOG_FORMAT"))?;
        let filter = filter(environment.variable("FACTORY_LOG"), loudness)?;
        let queue = match loudness {
            Loudness::Command => None,
            Loudness::Server => Some(
                LogQueue::start(io::stderr(), form)
                    .map_err(|error| Failure::caused("cannot start the log", &error))?,
            ),
        };
        let lines = match &queue {
            Some(queue) => lines(form, queue.clone()),
            None => lines(form, io::stderr),
        };
        let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
        #[cfg(feature = "otel")]
        let (registry, traces) = {
            let (layer, traces) = super::traces::start(environment);
            (registry.with(layer), traces)
        };
        registry
            .try_init()
            .map_err(|error| Failure::caused("cannot start the log", &error))?;
        Ok(Self {
            form,
            queue,
            #[cfg(feature = "otel")]
            traces,
        })
    }

    /// Returns what its lines are.
    pub(crate) fn form(&self) -> LogForm {
        self.form
    }

    /// Writes what waits, and sends what is left of traces. Takes some seconds at most.
    pub(crate) fn end(self) {
        #[cfg(feature = "otel")]
        self.traces.end();
        if let Some(queue) = self.queue {
            queue.flush();
        }
    }
}

fn form(wanted: Option<&str>) -> Result<LogForm, Failure> {
    match wanted {
        None | Some("text") => Ok(LogForm::Text),
        Some("json") => Ok(LogForm::Json),
        Some(other) => Err(Failure::usage(format!(
            "FACTORY_LOG_FORMAT is `{other}`, which is no form of the log"
        ))
        .with_remedy("say `text` or `json`")),
    }
}

fn filter(wanted: Option<&str>, loudness: Loudness) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(wanted.unwrap_or(loudness.filter())).map_err(|error| {
        Failure::caused("FACTORY_LOG cannot be understood", &error)
            .with_remedy("say a level, as `debug`, or levels by target, as `warn,factory=debug`")
    })
}

/// Returns what writes lines of that form.
pub(super) fn lines<S, W>(form: LogForm, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    match form {
        LogForm::Text => layer
            .fmt_fields(DefaultFields::new())
            .event_format(OneLine {
                inner: fmt::format().with_ansi(false),
                form,
            })
            .boxed(),
        LogForm::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(OneLine {
                inner: fmt::format().json().with_current_span(false),
                form,
            })
            .boxed(),
    }
}

#[cfg(test)]
pub(super) mod tests;
