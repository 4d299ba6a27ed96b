//! What happens in runs, as it is stored: counted by type, and told in the log where a run changes hands.

use factory_core::event_bus::Notice;
use factory_core::model::{Event, EventId, EventKind, StatusReason};
use factory_core::store::Page;
use factory_core::{Error, Factory};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Counts and tells what happens until `ending` is cancelled or the factory is gone. What it was too slow to hear it
/// reads from the store.
pub(crate) async fn watch(factory: Factory, metrics: Metrics, ending: CancellationToken) {
    let watcher = Watcher { factory, metrics };
    if let Some(Err(error)) = ending.run_until_cancelled(watcher.listen()).await {
        tracing::error!(%error, "events are not counted any more: those that were missed cannot be read");
    }
}

struct Watcher {
    factory: Factory,
    metrics: Metrics,
}

impl Watcher {
    async fn listen(&self) -> Result<(), Error> {
        let mut heard = self.factory.subscribe();
        let mut newest = self.factory.reader().newest_event().await?;
        // What was read from the store is not counted again when the bus brings it.
        let mut read = newest;
        loop {
            match heard.next().await {
                Ok(Some(Notice::Stored(event))) if event.id > read => {
                    newest = newest.max(event.id);
                    self.tell(&event);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(_missed) => {
                    read = self.catch_up(newest).await?;
                    newest = read;
                }
            }
        }
    }

    /// Tells what the store has after an event, and returns the last of it.
    async fn catch_up(&self, after: EventId) -> Result<EventId, Error> {
        let mut last = after;
        loop {
            let page = Page::after(last, Page::<EventId>::MAX);
            let events = self.factory.reader().all_events(page).await?;
            for event in &events {
                self.tell(event);
            }
            match events.last() {
                Some(event) => last = event.id,
                None => return Ok(last),
            }
        }
    }

    fn tell(&self, event: &Event) {
        self.metrics.count_event(&event.kind);
        if event.kind.transition().is_some() {
            tracing::info!(
                run = %event.run_id,
                event = event.kind.type_name(),
                actor = %event.actor,
                reason = reason(&event.kind).map(StatusReason::as_str),
                "a run changed hands"
            );
        }
    }
}

/// Returns why the run stands as it does. Details are left out: they may have words of models in them.
fn reason(kind: &EventKind) -> Option<StatusReason> {
    match kind {
        EventKind::RunPaused(paused) => Some(paused.reason),
        EventKind::RunFailed(failed) => Some(failed.reason),
        _ => None,
    }
}
