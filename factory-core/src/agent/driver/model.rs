//! Making the model ready: it is loaded, its window read, and how it is best asked found out by trying, once per model.

use std::time::Instant;

use super::ask::failure_of;
use super::{Driver, Then};
use crate::agent::act::TRANSIENT_FAILURES;
use crate::agent::probe::{self, Probed};
use crate::chain::chain;
use crate::error::Error;
use crate::event_bus::Notice;
use crate::gate::Closing;
use crate::journal::Entry;
use crate::llm::{LlmError, WindowBasis};
use crate::model::payload::{LlmFailed, LlmFailure, ModelReady};
use crate::model::{NewEvent, Usage};

impl Driver {
    /// Loads the model and finds out how it is asked. A pause or stop cuts it; nothing is lost but what was waited for.
    pub(super) async fn prepare_model(&mut self) -> Result<Then, Error> {
        let begun = Instant::now();
        let prepared = tokio::select! {
            biased;
            _ = self.gate.closed(Closing::Release) => return Ok(Then::GoOn),
            prepared = self.load_and_try() => prepared,
        };
        let work_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match prepared {
            Ok(probed) => {
                let window = probed.capabilities.window;
                let ready = ModelReady {
                    model: self.equipment.llm.name().to_owned(),
                    protocol: probed.protocol,
                    window: window.map(|window| window.tokens),
                    window_verified: window.is_some_and(|window| window.basis == WindowBasis::Verified),
                    usage: Usage {
                        work_ms,
                        ..probed.usage
                    },
                };
                self.record(Entry::one(NewEvent::system(ready))).await?;
            }
            Err(error) => self.failed_to_prepare(&error, work_ms).await?,
        }
        Ok(Then::GoOn)
    }

    async fn failed_to_prepare(&mut self, error: &LlmError, work_ms: u64) -> Result<(), Error> {
        let (failure, wait) = failure_of(error);
        let failed = LlmFailed {
            call: self.state.calls + 1,
            failure,
            detail: chain(error),
            usage: Usage {
                work_ms,
                ..Usage::default()
            },
        };
        self.record(Entry::one(NewEvent::system(failed))).await?;
        if failure == LlmFailure::Transient && self.state.transient_failures < TRANSIENT_FAILURES {
            self.back_off(wait).await;
        }
        Ok(())
    }

    async fn load_and_try(&self) -> Result<Probed, LlmError> {
        let llm = &self.equipment.llm;
        let progress = |text: &str| {
            self.equipment.journal.bus().publish(Notice::Delta {
                run_id: self.run,
                text: format!("{text}\n"),
            });
        };
        let capabilities = llm.prepare(&progress).await?;
        if let Some(protocol) = self.state.spec.protocol {
            return Ok(Probed::known(protocol, capabilities));
        }
        probe::protocol_of(llm.as_ref(), capabilities, &self.equipment.notes, &progress).await
    }

    /// Makes the model ready in this process, where another one made it ready for the run.
    pub(super) async fn load_again(&mut self) -> Result<bool, Error> {
        if self.loaded {
            return Ok(true);
        }
        let begun = Instant::now();
        let llm = self.equipment.llm.clone();
        let prepared = tokio::select! {
            biased;
            _ = self.gate.closed(Closing::Release) => return Ok(false),
            prepared = llm.prepare(&|_: &str| {}) => prepared,
        };
        match prepared {
            Ok(_) => {
                self.loaded = true;
                Ok(true)
            }
            Err(error) => {
                let work_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.failed_to_prepare(&error, work_ms).await?;
                Ok(false)
            }
        }
    }
}
