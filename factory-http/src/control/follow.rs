//! A run's events, each once and in order: first from the store, then live, and from the store again whenever the bus
//! has left something out.

use std::time::Duration;

use factory_core::Reader;
use factory_core::event_bus::{Lagged, Notice, Subscription};
use factory_core::llm::catalogue::PullProgress;
use factory_core::model::{Event, RunId, Seq};
use factory_core::store::Page;
use tokio::sync::mpsc;

use crate::failure::{Failure, FailureKind};

/// How many events are read at once.
const PAGE: u32 = 200;

/// How often a run is looked at whose owner tells nothing.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// Where followed events and other news go. Bounded: a slow listener slows its own following and nothing else.
pub(crate) type Sink = mpsc::Sender<Streamed>;

/// What comes before an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// An event of a run.
    Event(Box<Event>),
    /// How far a model has come that is being got.
    Pull(PullProgress),
}

/// What a notice means for a follower.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// The next event.
    Next(Box<Event>),
    /// Nothing of this run, or something known already.
    Nothing,
    /// Something is missing before it; the store has it.
    Hole,
    /// The factory is gone.
    Gone,
}

/// Follows one run. The subscription must be older than the first reading of the store.
#[derive(Debug)]
pub(super) struct Follower {
    reader: Reader,
    subscription: Subscription,
    run: RunId,
    last: Seq,
    sink: Sink,
}

impl Follower {
    /// Returns a follower that knows the events up to `after`.
    pub(super) fn new(
        reader: Reader,
        subscription: Subscription,
        run: RunId,
        after: Seq,
        sink: Sink,
    ) -> Self {
        Self {
            reader,
            subscription,
            run,
            last: after,
            sink,
        }
    }

    /// Passes on everything that is stored by now.
    pub(super) async fn catch_up(&mut self) -> Result<(), Failure> {
        self.last = replay(&self.reader, self.run, self.last, &self.sink).await?;
        Ok(())
    }

    /// Waits for the next notice and passes on what it brings. Dropping the future loses nothing.
    pub(super) async fn step(&mut self) -> Result<Step, Failure> {
        let notice = tokio::select! {
            notice = self.subscription.next() => notice,
            () = self.sink.closed() => return Err(nobody_listens()),
        };
        match judge(self.run, self.last, notice) {
            Heard::Next(event) => {
                let (seq, changes) = (event.seq, event.kind.transition().is_some());
                self.sink
                    .send(Streamed::Event(event))
                    .await
                    .map_err(|_| nobody_listens())?;
                self.last = seq;
                Ok(if changes { Step::StatusChanged } else { Step::On })
            }
            Heard::Nothing => Ok(Step::On),
            Heard::Hole => {
                self.catch_up().await?;
                Ok(Step::StatusChanged)
            }
            Heard::Gone => Ok(Step::Gone),
        }
    }

    /// Follows until the run is final.
    pub(super) async fn until_final(mut self) -> Result<(), Failure> {
        loop {
            self.catch_up().await?;
            if is_final_after(&self.reader, self.run, self.last).await? {
                return Ok(());
            }
            loop {
                match self.step().await? {
                    Step::On => {}
                    Step::StatusChanged => break,
                    Step::Gone => return Ok(()),
                }
            }
        }
    }
}

/// What a follower's step brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing that ends anything.
    On,
    /// The run's status may be another now.
    StatusChanged,
    /// The factory is gone.
    Gone,
}

/// Passes on the stored events after `after` and returns the last one's number.
pub(super) async fn replay(reader: &Reader, run: RunId, after: Seq, sink: &Sink) -> Result<Seq, Failure> {
    let mut last = after;
    loop {
        let events = reader.events(run, Page::after(last, PAGE)).await?;
        if events.is_empty() {
            return Ok(last);
        }
        for event in events {
            let seq = event.seq;
            sink.send(Streamed::Event(Box::new(event)))
                .await
                .map_err(|_| nobody_listens())?;
            last = seq;
        }
    }
}

/// Follows a run whose owner tells nothing, by looking again and again, until the run is final.
pub(super) async fn poll(reader: &Reader, run: RunId, after: Seq, sink: &Sink) -> Result<(), Failure> {
    let mut last = after;
    loop {
        last = replay(reader, run, last, sink).await?;
        if is_final_after(reader, run, last).await? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_EVERY) => {}
            () = sink.closed() => return Err(nobody_listens()),
        }
    }
}

/// Returns whether the run is final and has no event after `last`.
async fn is_final_after(reader: &Reader, run: RunId, last: Seq) -> Result<bool, Failure> {
    let run = reader.run(run).await?.run;
    Ok(run.status.is_final() && run.last_seq <= last)
}

pub(super) fn nobody_listens() -> Failure {
    Failure::new(FailureKind::Lost, "nobody listens any more")
}

fn judge(run: RunId, last: Seq, notice: Result<Option<Notice>, Lagged>) -> Heard {
    match notice {
        Ok(Some(Notice::Stored(event))) if event.run_id == run && event.seq == last.next() => {
            Heard::Next(event)
        }
        Ok(Some(Notice::Stored(event))) if event.run_id == run && event.seq > last => Heard::Hole,
        Ok(Some(Notice::Stored(_) | Notice::Delta { .. })) => Heard::Nothing,
        Ok(None) => Heard::Gone,
        Err(Lagged) => Heard::Hole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn events_are_taken_in_order_and_once() {
        let run = RunId(1);
        let stored = |run_id: i64, seq: u64| {
            let event = samples::event(run_id, seq, "RUN_RESUME", serde_json::json!({"v": 1}));
            Ok(Some(Notice::Stored(Box::new(event))))
        };
        let Ok(Some(Notice::Stored(third))) = stored(1, 3) else {
            unreachable!()
        };
        let delta = Ok(Some(Notice::Delta {
            run_id: run,
            text: "x".to_owned(),
        }));
        let cases = [
            (stored(1, 3), Heard::Next(third)),
            (stored(1, 2), Heard::Nothing),
            (stored(1, 4), Heard::Hole),
            (stored(2, 3), Heard::Nothing),
            (delta, Heard::Nothing),
            (Err(Lagged), Heard::Hole),
            (Ok(None), Heard::Gone),
        ];
        for (notice, expected) in cases {
            assert_eq!(judge(run, Seq(2), notice), expected);
        }
    }
}
