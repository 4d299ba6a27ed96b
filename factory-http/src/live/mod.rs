//! Events as they happen: WebSocket and server-sent events, from any cursor, without gaps or doubles.
//!
//! A client is told as fast as it reads. One that reads slowly is told from the store, and one that does not read at all is
//! let go; neither costs more than its buffers, and nobody waits for it.

mod close;
mod frames;
mod place;
mod sockets;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use poem::{Route, get};
use tokio_util::sync::CancellationToken;

pub(crate) use close::Close;
pub(crate) use frames::frame_schemas;

/// What live connections share. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    /// Cancelled when the server ends: all are told.
    pub(crate) ending: CancellationToken,
    clients: Arc<AtomicUsize>,
}

impl Live {
    /// Returns what ends with `ending`.
    pub(crate) fn until(ending: CancellationToken) -> Self {
        Self {
            ending,
            clients: Arc::default(),
        }
    }

    /// Returns how many are connected.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn join(&self) -> Joined {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Joined(Arc::clone(&self.clients))
    }
}

/// One that is connected, until it is dropped.
#[derive(Debug)]
struct Joined(Arc<AtomicUsize>);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
