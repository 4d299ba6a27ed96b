//! Stored events on their way to whoever watches live. The bus informs; nothing depends on it.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use crate::model::{Event, RunId};

/// How many notices a slow subscriber may lag behind before it has to read the store again.
const CAPACITY: usize = 4096;

/// What a subscriber hears.
#[derive(Debug, Clone)]
pub enum Notice {
    /// An event that is stored.
    Stored(Arc<Published>),
    /// A piece of a reply as it comes. Ephemeral: never stored, without a number, not to be relied on.
    Delta {
        /// The run.
        run_id: RunId,
        /// More text.
        text: String,
    },
}

/// A stored event on its way to several listeners, who share its JSON.
#[derive(Debug)]
pub struct Published {
    event: Event,
    json: OnceLock<Arc<str>>,
}

impl Published {
    /// Returns the event for several listeners.
    pub fn new(event: Event) -> Self {
        Self {
            event,
            json: OnceLock::new(),
        }
    }

    /// Returns the event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Returns the event as JSON, which is made once, however many ask.
    pub fn json(&self) -> &Arc<str> {
        self.json.get_or_init(|| {
            let json = serde_json::to_string(&self.event).expect("an event is a struct with text keys");
            json.into()
        })
    }
}

/// Some notices were missed; the store has the events among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged;

/// Carries what is stored to live subscribers. Two writers of one run may be heard out of order; `seq` has the order.
#[derive(Debug, Clone)]
pub struct EventBus {
    sender: broadcast::Sender<Notice>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(CAPACITY).0,
        }
    }
}

impl EventBus {
    /// Returns a subscription that hears everything from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            receiver: self.sender.subscribe(),
        }
    }

    /// Tells the subscribers. Without any it is told to nobody.
    pub(crate) fn publish(&self, notice: Notice) {
        // An error means that nobody listens, which is no loss: the store has it.
        let _ = self.sender.send(notice);
    }
}

/// A subscriber's end of the bus.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Notice>,
}

impl Subscription {
    /// Waits for the next notice. `Err(Lagged)` says that some were missed and that the next call goes on after
    /// them; `Ok(None)` that the factory is gone.
    pub async fn next(&mut self) -> Result<Option<Notice>, Lagged> {
        match self.receiver.recv().await {
            Ok(notice) => Ok(Some(notice)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(_)) => Err(Lagged),
        }
    }
}
