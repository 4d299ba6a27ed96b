//! Stands between a stored intent and its effect: once it is closed, nothing more is started.
//!
//! A worker passes the gate, stores the intent, starts the effect, and leaves. Pause, stop and shutdown close the gate,
//! wait until nobody is inside, and only then store their event and answer. What is already going on hears of the
//! closing through [`Gate::closed`] and [`Gate::stopped`].

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

/// Why a gate is closed. A later closing may be firmer, never softer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    /// Finish what is going on, a generation too, then give the run back.
    Release,
    /// Cut a generation, let commands end.
    Pause,
    /// Kill everything.
    Stop,
}

/// The gate of one claim.
#[derive(Debug)]
pub(crate) struct Gate {
    state: watch::Sender<Option<Closing>>,
    inside: Arc<Mutex<()>>,
    stop: CancellationToken,
}

/// The right to start an effect; the gate's closer waits until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    _inside: OwnedMutexGuard<()>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(None),
            inside: Arc::default(),
            stop: CancellationToken::new(),
        }
    }
}

impl Gate {
    /// Returns the right to start one effect, or why there is none any more.
    pub(crate) async fn pass(&self) -> Result<Pass, Closing> {
        self.pass_below(Closing::Release).await
    }

    /// Returns the right to go on with an effect of several parts that is under way: only a closing at least as firm
    /// as `firmness` ends it between two parts.
    pub(crate) async fn pass_below(&self, firmness: Closing) -> Result<Pass, Closing> {
        let inside = Arc::clone(&self.inside).lock_owned().await;
        match *self.state.borrow() {
            Some(closing) if closing >= firmness => Err(closing),
            _ => Ok(Pass { _inside: inside }),
        }
    }

    /// Closes the gate and returns once nobody is inside: from then on no effect starts.
    pub(crate) async fn close(&self, closing: Closing) {
        self.state.send_if_modified(|state| {
            let firmer = state.is_none_or(|current| current < closing);
            if firmer {
                *state = Some(closing);
            }
            firmer
        });
        if closing == Closing::Stop {
            self.stop.cancel();
        }
        drop(self.inside.lock().await);
    }

    /// Returns why the gate is closed, if it is.
    pub(crate) fn state(&self) -> Option<Closing> {
        *self.state.borrow()
    }

    /// Waits until the gate is closed at least as firmly as `firmness`.
    pub(crate) async fn closed(&self, firmness: Closing) -> Closing {
        let mut state = self.state.subscribe();
        let reached = state
            .wait_for(|state| state.is_some_and(|closing| closing >= firmness))
            .await;
        // The sender lives in `self`, so the channel cannot close while this waits.
        reached.ok().and_then(|state| *state).unwrap_or(firmness)
    }

    /// Returns a token that is cancelled when the gate is closed by a stop.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_waits_for_who_is_inside_and_lets_nobody_else_in() {
        let gate = Arc::new(Gate::default());
        let pass = gate.pass().await.unwrap();
        let closer = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.close(Closing::Pause).await }
        });
        assert_eq!(gate.closed(Closing::Release).await, Closing::Pause);
        assert!(!closer.is_finished(), "the closer must wait for the pass");
        drop(pass);
        closer.await.unwrap();
        assert_eq!(gate.pass().await.unwrap_err(), Closing::Pause);
    }

    #[tokio::test]
    async fn what_is_under_way_goes_on_until_it_is_closed_as_firmly_as_that() {
        let gate = Gate::default();
        gate.close(Closing::Pause).await;
        assert!(gate.pass_below(Closing::Stop).await.is_ok());
        gate.close(Closing::Stop).await;
        assert_eq!(gate.pass_below(Closing::Stop).await.unwrap_err(), Closing::Stop);
    }

    #[tokio::test]
    async fn a_closing_only_gets_firmer() {
        let gate = Gate::default();
        gate.close(Closing::Stop).await;
        gate.close(Closing::Pause).await;
        assert_eq!(gate.state(), Some(Closing::Stop));
        assert!(gate.stopped().is_cancelled());
    }
}
