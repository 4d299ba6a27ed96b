//! Stored events on their way to whoever watches live. The bus informs; nothing depends on it.
//!
//! It holds the newest notices for all subscribers together, so many and so large. Whoever is slower than that has missed
//! some and reads the store: a subscriber that never asks costs nothing, and a thousand of them cost no more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::model::{Event, RunId};

/// The most notices that are held.
const CAPACITY: usize = 4096;

/// About the most bytes that are held, unless a single notice has more.
const CAPACITY_BYTES: usize = 768 << 10;

/// About what a notice takes beside its text.
const NOTICE_BYTES: usize = 256;

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

impl Notice {
    /// Returns about how many bytes it takes. An event takes its JSON's length twice: as it is, and as JSON, which whoever
    /// listens wants anyway.
    fn bytes(&self) -> usize {
        NOTICE_BYTES
            + match self {
                Self::Stored(published) => 2 * published.json().len(),
                Self::Delta { text, .. } => text.len(),
            }
    }
}

/// Carries what is stored to live subscribers. Two writers of one run may be heard out of order; `seq` has the order.
#[derive(Debug, Clone)]
pub struct EventBus {
    held: Arc<Mutex<Held>>,
    /// The number of the next notice, by which subscribers know that there is one.
    next: watch::Sender<u64>,
}

/// The newest notices.
#[derive(Debug, Default)]
struct Held {
    /// The number of the oldest one.
    first: u64,
    notices: VecDeque<(Notice, usize)>,
    bytes: usize,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            held: Arc::default(),
            next: watch::Sender::new(0),
        }
    }
}

impl EventBus {
    /// Returns a subscription that hears everything from now on.
    pub fn subscribe(&self) -> Subscription {
        // In this order: what is told between the two is heard twice by nobody, and missed by nobody.
        let told = self.next.subscribe();
        let next = lock(&self.held).end();
        Subscription {
            held: Arc::clone(&self.held),
            next,
            told,
        }
    }

    /// Tells the subscribers. Without any it is told to nobody, which is no loss: the store has it.
    pub(crate) fn publish(&self, notice: Notice) {
        if self.next.receiver_count() == 0 {
            return;
        }
        let bytes = notice.bytes();
        let end = {
            let mut held = lock(&self.held);
            held.push(notice, bytes);
            held.end()
        };
        // Another thread may have told a later number meanwhile, which stays.
        self.next.send_if_modified(|next| {
            let newer = end > *next;
            *next = end.max(*next);
            newer
        });
    }
}

impl Held {
    /// Returns the number of the next notice.
    fn end(&self) -> u64 {
        self.first + self.notices.len() as u64
    }

    fn push(&mut self, notice: Notice, bytes: usize) {
        self.bytes += bytes;
        self.notices.push_back((notice, bytes));
        while self.notices.len() > CAPACITY || (self.bytes > CAPACITY_BYTES && self.notices.len() > 1) {
            if let Some((_, bytes)) = self.notices.pop_front() {
                self.bytes -= bytes;
                self.first += 1;
            }
        }
    }
}

/// A notice is added and removed as a whole, so that a panic elsewhere leaves them whole.
fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A subscriber's end of the bus.
#[derive(Debug)]
pub struct Subscription {
    held: Arc<Mutex<Held>>,
    /// The number of the notice that is heard next.
    next: u64,
    told: watch::Receiver<u64>,
}

impl Subscription {
    /// Waits for the next notice. `Err(Lagged)` says that some were missed and that the next call goes on after
    /// them; `Ok(None)` that the factory is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Notice>, Lagged> {
        loop {
            if let Some(notice) = self.held_next()? {
                return Ok(Some(notice));
            }
            if self.told.wait_for(|end| *end > self.next).await.is_err() {
                // What was told before the bus went is still heard.
                return self.held_next();
            }
        }
    }

    fn held_next(&mut self) -> Result<Option<Notice>, Lagged> {
        let held = lock(&self.held);
        let Some(place) = self.next.checked_sub(held.first) else {
            self.next = held.first;
            return Err(Lagged);
        };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let notice = held.notices.get(place).map(|(notice, _)| notice.clone());
        self.next += u64::from(notice.is_some());
        Ok(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: impl Into<String>) -> Notice {
        Notice::Delta {
            run_id: RunId(1),
            text: text.into(),
        }
    }

    fn text(heard: Result<Option<Notice>, Lagged>) -> String {
        match heard {
            Ok(Some(Notice::Delta { text, .. })) => text,
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_subscriber_hears_everything_from_then_on_in_order() {
        let bus = EventBus::default();
        bus.publish(delta("to nobody"));
        let mut early = bus.subscribe();
        bus.publish(delta("a"));
        let mut late = bus.subscribe();
        bus.publish(delta("b"));
        for expected in ["a", "b"] {
            assert_eq!(text(early.next().await), expected);
        }
        assert_eq!(text(late.next().await), "b");
        let waiting = tokio::spawn(async move { text(early.next().await) });
        tokio::task::yield_now().await;
        bus.publish(delta("c"));
        assert_eq!(waiting.await.unwrap(), "c");
        drop(bus);
        assert_eq!(text(late.next().await), "c");
        assert!(matches!(late.next().await, Ok(None)));
    }

    #[tokio::test]
    async fn whoever_is_too_slow_is_told_so_once_and_goes_on_with_what_is_held() {
        let bus = EventBus::default();
        let mut slow = bus.subscribe();
        for number in 0..=CAPACITY {
            bus.publish(delta(number.to_string()));
        }
        assert!(matches!(slow.next().await, Err(Lagged)));
        let held = lock(&bus.held).first;
        assert_eq!(text(slow.next().await), held.to_string());
        assert_eq!(text(slow.next().await), (held + 1).to_string());
    }

    #[tokio::test]
    async fn what_is_held_is_bounded_in_bytes_and_holds_one_notice_at_least() {
        let bus = EventBus::default();
        let mut never_asks = bus.subscribe();
        for _ in 0..100 {
            bus.publish(delta("x".repeat(60_000)));
            assert!(lock(&bus.held).bytes <= CAPACITY_BYTES);
        }
        let huge = "x".repeat(2 * CAPACITY_BYTES);
        bus.publish(delta(huge.clone()));
        assert!(matches!(never_asks.next().await, Err(Lagged)));
        assert_eq!(text(never_asks.next().await), huge);
        bus.publish(delta("small"));
        assert!(lock(&bus.held).bytes <= CAPACITY_BYTES);
        assert_eq!(text(never_asks.next().await), "small");
    }
}
