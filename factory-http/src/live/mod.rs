//! Events as they happen: WebSocket and server-sent events, from any cursor, without gaps or doubles.
//!
//! A client is told as fast as it reads. One that reads slowly is told from the store, and one that does not read at all is
//! let go; neither costs more than its buffers, and nobody waits for it.

pub(crate) mod bounds;
mod close;
mod frames;
mod place;
mod sockets;
mod streams;
#[cfg(test)]
mod tests;

use poem::{Route, get};
use tokio_util::sync::CancellationToken;

use crate::observe::{LiveClient, LiveKind, Metrics};

pub(crate) use close::Close;
pub(crate) use frames::{frame_schemas, sample_frames};

/// What live connections share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// Cancelled when the server ends: all are told.
    pub(crate) ending: CancellationToken,
    metrics: Metrics,
}

impl Live {
    /// Returns what ends with `ending`, and is counted by `metrics`.
    pub(crate) fn until(ending: CancellationToken, metrics: Metrics) -> Self {
        Self { ending, metrics }
    }

    /// Counts one more, until what is returned is dropped.
    fn join(&self, kind: LiveKind) -> LiveClient {
        self.metrics.live_client(kind)
    }
}

/// The paths of the live routes, with the methods they take.
pub(crate) const PATHS: [&str; 4] = [
    "/runs/{run_id}/events/ws",
    "/runs/{run_id}/events/stream",
    "/events/ws",
    "/events/stream",
];

/// Adds the live routes.
pub(crate) fn routes(routes: Route) -> Route {
    routes
        .at("/runs/:run_id/events/ws", get(sockets::of_run))
        .at("/runs/:run_id/events/stream", get(streams::of_run))
        .at("/events/ws", get(sockets::of_all))
        .at("/events/stream", get(streams::of_all))
}
