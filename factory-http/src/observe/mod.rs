//! Seeing what the server does: numbers for Prometheus, lines for a log, and spans for OpenTelemetry.
//!
//! [`Observed`] wraps a port and sees each request once; [`Watcher`] hears each stored event once. Both tell numbers and
//! lines. Nothing here decides anything, and nothing waits for whoever reads: what cannot be told is left out.

mod events;
mod exposition;
mod log_line;
mod log_queue;
mod logs;
mod metrics;
mod process;
mod requests;
mod routes;
#[cfg(feature = "otel")]
mod traces;

pub(crate) use events::Watcher;
pub(crate) use exposition::endpoint;
pub(crate) use logs::{LogForm, Logs, Loudness};
pub(crate) use metrics::{LiveClient, LiveKind, Metrics};
pub(crate) use requests::{Observed, Requests};
pub(crate) use routes::RouteTable;
