//! Following events from any point on, each once and in order: from the store first, then live, and from the store again
//! whenever the bus has left something out.
//!
//! A feed holds a page of events at most. Whoever asks it slowly is behind, and behind is where the store is read; the
//! others hear nothing of it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Error;
use crate::event_bus::{Lagged, Notice, Published, Subscription};
use crate::factory::{Factory, Reader};
use crate::model::{EventId, RunId, Seq};
use crate::store::Page;

/// How many events are read at once.
const PAGE: u32 = 64;

/// What a feed tells.
#[derive(Debug, Clone)]
pub enum Told {
    /// An event that is stored.
    Event(Arc<Published>),
    /// A piece of a reply as it comes: ephemeral, without a number, and left out where the listener is behind.
    Delta {
        /// The run.
        run_id: RunId,
        /// More text.
        text: String,
    },
}

/// What a feed is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// One run's events, after this one.
    Run(RunId, Seq),
    /// All runs' events, after this one.
    All(EventId),
}

/// A place in the events of one run, or of all, that moves on.
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    subscription: Subscription,
    of: Of,
    page: VecDeque<Arc<Published>>,
    /// Whether the store may have events that were not read.
    behind: bool,
}

/// What a notice means for a feed.
#[derive(Debug)]
enum Heard {
    /// The next event.
    Next(Arc<Published>),
    /// A piece of a reply.
    Delta(RunId, String),
    /// Of another run, or known already.
    Nothing,
    /// Something is missing before it; the store has it.
    Hole,
    /// The factory is gone.
    Gone,
}

impl Factory {
    /// Follows a run's events after `after`.
    pub fn follow(&self, run: RunId, after: Seq) -> Feed {
        self.feed(Of::Run(run, after))
    }

    /// Follows the events of all runs after `after`.
    pub fn follow_all(&self, after: EventId) -> Feed {
        self.feed(Of::All(after))
    }

    fn feed(&self, of: Of) -> Feed {
        Feed {
            // Subscribed before the store is read, so that nothing falls between the two.
            subscription: self.subscribe(),
            reader: self.reader().clone(),
            of,
            page: VecDeque::new(),
            behind: true,
        }
    }
}

impl Feed {
    /// Returns the number of the last event that was told, where the feed is of one run.
    pub fn last_seq(&self) -> Seq {
        match self.of {
            Of::Run(_, last) => last,
            Of::All(_) => Seq(0),
        }
    }

    /// Returns the number over all runs of the last event that was told, where the feed is of all.
    pub fn last_id(&self) -> EventId {
        match self.of {
            Of::All(last) => last,
            Of::Run(..) => EventId(0),
        }
    }

    /// Makes sure that the store is read before it is said that everything was told.
    pub fn look_again(&mut self) {
        self.behind = true;
    }

    /// Returns the next event that is stored by now; none once everything was told. Dropping the future loses nothing.
    pub async fn next_stored(&mut self) -> Result<Option<Arc<Published>>, Error> {
        while self.page.is_empty() && self.behind {
            self.read().await?;
        }
        Ok(self
            .page
            .pop_front()
            .inspect(|published| self.of = self.of.past(published)))
    }

    /// Waits for what comes next; none once the factory is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Told>, Error> {
        loop {
            if let Some(published) = self.next_stored().await? {
                return Ok(Some(Told::Event(published)));
            }
            match judge(self.of, self.subscription.next().await) {
                Heard::Next(published) => {
                    self.of = self.of.past(&published);
                    return Ok(Some(Told::Event(published)));
                }
                Heard::Delta(run_id, text) => return Ok(Some(Told::Delta { run_id, text })),
                Heard::Nothing => {}
                Heard::Hole => self.behind = true,
                Heard::Gone => return Ok(None),
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let events = match self.of {
            Of::Run(run, last) => self.reader.events(run, Page::after(last, PAGE)).await?,
            Of::All(last) => self.reader.all_events(Page::after(last, PAGE)).await?,
        };
        self.behind = events.len() >= PAGE as usize;
        self.page = events
            .into_iter()
            .map(|event| Arc::new(Published::new(event)))
            .collect();
        Ok(())
    }
}

impl Of {
    fn past(self, published: &Published) -> Self {
        match self {
            Self::Run(run, _) => Self::Run(run, published.event().seq),
            Self::All(_) => Self::All(published.event().id),
        }
    }
}

fn judge(of: Of, notice: Result<Option<Notice>, Lagged>) -> Heard {
    let notice = match notice {
        Ok(Some(notice)) => notice,
        Ok(None) => return Heard::Gone,
        Err(Lagged) => return Heard::Hole,
    };
    match (notice, of) {
        (Notice::Stored(published), Of::Run(run, last)) => {
            let event = published.event();
            if event.run_id != run || event.seq <= last {
                Heard::Nothing
            } else if event.seq == last.next() {
                Heard::Next(published)
            } else {
                Heard::Hole
            }
        }
        (Notice::Stored(published), Of::All(last)) => {
            let id = published.event().id.0;
            if id <= last.0 {
                Heard::Nothing
            } else if id == last.0 + 1 {
                Heard::Next(published)
            } else {
                // Another run's write was told first, or its number was never used; the store knows.
                Heard::Hole
            }
        }
        (Notice::Delta { run_id, text }, Of::Run(run, _)) if run_id == run => Heard::Delta(run_id, text),
        (Notice::Delta { .. }, _) => Heard::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::payload::RunResumed;
    use crate::model::{Actor, Event, Timestamp};

    fn published(id: i64, run: i64, seq: u64) -> Notice {
        let event = Event {
            id: EventId(id),
            run_id: RunId(run),
            seq: Seq(seq),
            actor: Actor::System,
            cause: None,
            step_id: None,
            kind: RunResumed {}.into(),
            created_at: Timestamp::UNKNOWN,
        };
        Notice::Stored(Arc::new(Published::new(event)))
    }

    fn word(heard: &Heard) -> &'static str {
        match heard {
            Heard::Next(_) => "next",
            Heard::Delta(..) => "delta",
            Heard::Nothing => "nothing",
            Heard::Hole => "hole",
            Heard::Gone => "gone",
        }
    }

    #[test]
    fn events_are_taken_in_order_and_once() {
        let stored = |id, run, seq| Ok(Some(published(id, run, seq)));
        let of_run = Of::Run(RunId(1), Seq(2));
        let of_all = Of::All(EventId(7));
        let delta = |run| {
            Ok(Some(Notice::Delta {
                run_id: RunId(run),
                text: "x".to_owned(),
            }))
        };
        for (of, notice, expected) in [
            (of_run, stored(9, 1, 3), "next"),
            (of_run, stored(9, 1, 2), "nothing"),
            (of_run, stored(9, 1, 4), "hole"),
            (of_run, stored(9, 2, 3), "nothing"),
            (of_run, delta(1), "delta"),
            (of_run, delta(2), "nothing"),
            (of_run, Err(Lagged), "hole"),
            (of_run, Ok(None), "gone"),
            (of_all, stored(8, 5, 1), "next"),
            (of_all, stored(7, 1, 9), "nothing"),
            (of_all, stored(9, 1, 3), "hole"),
            (of_all, delta(1), "nothing"),
        ] {
            assert_eq!(word(&judge(of, notice)), expected);
        }
    }
}
