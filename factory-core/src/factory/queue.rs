//! Taking runs from the queue: woken when one is queued or another one ends, silent otherwise.

use std::collections::HashSet;
use std::time::Duration;

use super::Factory;
use super::workers::Started;
use crate::chain::chain;
use crate::error::Error;
use crate::journal::Entry;
use crate::llm::LlmError;
use crate::model::payload::RunPaused;
use crate::model::{NewEvent, RunId, StatusReason};
use crate::scheduler::Limits;

/// After how long a run is looked at again that could be neither taken up nor parked: its last worker is putting it
/// down, or the disk is full.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long the queue is left alone after a look at runs that all wait for room: a thousand goals that are filed behind
/// them cost a few looks and not a thousand.
const LEFT_ALONE: Duration = Duration::from_millis(5);

/// What a look at the queue came to.
#[derive(Debug)]
struct Looked {
    /// What could not be taken up now although there is room.
    held: HashSet<RunId>,
    /// Whether other runs wait for room.
    waiting: bool,
}

impl Factory {
    /// Takes runs from the queue and works on them, until the factory is shut down. Nothing is asked of the store while
    /// nothing is queued.
    ///
    /// The order is priority, then age; runs whose project or model server has all it may have are passed over. A run
    /// that cannot be taken up at all (its model cannot be opened, its project is gone) is PAUSED and says why.
    pub async fn work_queue(&self, limits: Limits) {
        loop {
            let looked = self.take_up(&limits).await;
            if self.inner.workers.is_ending().await {
                return;
            }
            if looked.waiting {
                tokio::time::sleep(LEFT_ALONE).await;
            }
            let queued = self.inner.journal.queued().notified();
            if looked.held.is_empty() {
                queued.await;
            } else {
                // What is held passes by itself and is told to nobody; either way the queue is looked at again.
                let _ = tokio::time::timeout(LOOK_AGAIN, queued).await;
            }
        }
    }

    /// Returns how many runs are being worked on in this process.
    pub fn working_on(&self) -> usize {
        self.inner.workers.count()
    }

    /// Takes up what there is room for.
    async fn take_up(&self, limits: &Limits) -> Looked {
        let mut held = HashSet::new();
        loop {
            if limits.is_full(self.inner.workers.count()) {
                return Looked { held, waiting: true };
            }
            let heads = match self.inner.journal.store().queue_heads().await {
                Ok(heads) => heads,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "the queue cannot be read yet");
                    // Whatever is there is looked at again.
                    held.insert(RunId(0));
                    return Looked { held, waiting: false };
                }
            };
            let load = self.inner.workers.load();
            let endpoints = self.inner.reader.models.endpoints();
            let Some(run) = limits.next(&heads, &load, &held, endpoints).map(|head| head.run) else {
                let waiting = heads.len() > held.len();
                return Looked { held, waiting };
            };
            // In a task of its own: whoever drops the queue must not leave a claim without a worker.
            let factory = self.clone();
            let started = tokio::spawn(async move { factory.start(run).await }).await;
            let started = started.unwrap_or_else(|error| Err(Error::Internal(error.to_string())));
            match started {
                Ok(Started::Yes) => tracing::info!(%run, "the run is taken up"),
                Ok(Started::NotNow) => {
                    held.insert(run);
                }
                Ok(Started::ShuttingDown) => return Looked { held, waiting: false },
                Err(error) => {
                    tracing::warn!(%run, error = %chain(&error), "the run cannot be taken up");
                    if let Err(error) = self.park_unstarted(run, &error).await {
                        tracing::error!(%run, error = %chain(&error), "the run cannot be parked yet");
                        held.insert(run);
                    }
                }
            }
        }
    }

    /// Pauses a run that cannot be taken up, so that it does not stand in others' way.
    async fn park_unstarted(&self, run: RunId, why: &Error) -> Result<(), Error> {
        let reason = match why {
            full if full.is_storage_full() => StatusReason::StorageFull,
            Error::Llm(LlmError::Unreachable { .. }) => StatusReason::LlmUnavailable,
            Error::Llm(_) => StatusReason::LlmFailed,
            Error::BadInput(_) | Error::Store(_) | Error::Vcs(_) => StatusReason::Conflict,
            _ => StatusReason::Internal,
        };
        let paused = RunPaused {
            reason,
            detail: Some(format!(
                "it could not be taken up: {}; mend that, then `factory resume {run}`",
                chain(why)
            )),
            former_status: None,
        };
        let entry = Entry::one(NewEvent::system(paused));
        self.inner.journal.write(run, None, entry).await?;
        Ok(())
    }
}
