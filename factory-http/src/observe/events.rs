//! What happens in runs, as it is stored: counted by type, and told in the log where a run changes hands.

use factory_core::event_bus::{Lagged, Notice, Subscription};
use factory_core::model::{Event, EventId, EventKind, StatusReason};
use factory_core::store::Page;
use factory_core::{Error, Factory, Reader};

use super::metrics::Metrics;

/// Counts and tells what happens.
#[derive(Debug)]
pub(crate) struct Watcher {
    reader: Reader,
    heard: Subscription,
    metrics: Metrics,
    /// The newest event that was told, or that was there before.
    newest: EventId,
}

impl Watcher {
    /// Begins: what is stored from now on will be told, each event once.
    pub(crate) async fn begin(factory: &Factory, metrics: Metrics) -> Result<Self, Error> {
        let reader = factory.reader().clone();
        let newest = reader.newest_event().await?;
        Ok(Self {
            heard: factory.subscribe(),
            reader,
            metrics,
            newest,
        })
    }

    /// Goes on until the factory is gone. What it was too slow to hear it reads from the store.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.listen().await {
            tracing::error!(%error, "events are not counted any more: those that were missed cannot be read");
        }
    }

    async fn listen(&mut self) -> Result<(), Error> {
        // Something may have been stored between the look at the store and the subscription.
        let mut read = self.catch_up().await?;
        loop {
            match self.heard.next().await {
                // What was read from the store is not told again when the bus brings it.
                Ok(Some(Notice::Stored(published))) if published.event().id > read => {
                    // The bus may bring events of two runs out of order.
                    self.newest = self.newest.max(published.event().id);
                    self.tell(published.event());
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(Lagged) => read = self.catch_up().await?,
            }
        }
    }

    /// Tells what the store has after the newest event, and returns the last of it.
    async fn catch_up(&mut self) -> Result<EventId, Error> {
        loop {
            let page = Page::after(self.newest, Page::<EventId>::MAX);
            let events = self.reader.all_events(page).await?;
            for event in &events {
                self.tell(event);
            }
            match events.last() {
                Some(event) => self.newest = event.id,
                None => return Ok(self.newest),
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

#[cfg(test)]
mod tests;
