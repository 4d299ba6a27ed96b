//! A run's events, each once and in order: first from the store, then live, and from the store again whenever the bus
//! has left something out.

use std::sync::Arc;
use std::time::Duration;

use factory_core::event_bus::Published;
use factory_core::feed::{Feed, Told};
use factory_core::llm::catalogue::PullProgress;
use factory_core::model::{Event, RunId, Seq};
use factory_core::store::Page;
use factory_core::{Factory, Reader};
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

/// Follows one run and passes its events on.
#[derive(Debug)]
pub(super) struct Follower {
    feed: Feed,
    reader: Reader,
    run: RunId,
    sink: Sink,
    /// An event that the feed has told and the sink has not taken: whoever drops a step in its middle loses none.
    unsent: Option<Arc<Published>>,
}

impl Follower {
    /// Returns a follower that knows the events up to `after`.
    pub(super) fn new(factory: &Factory, run: RunId, after: Seq, sink: Sink) -> Self {
        Self {
            feed: factory.follow(run, after),
            reader: factory.reader().clone(),
            run,
            sink,
            unsent: None,
        }
    }

    /// Passes on everything that is stored by now.
    pub(super) async fn catch_up(&mut self) -> Result<(), Failure> {
        self.send_unsent().await?;
        self.feed.look_again();
        while let Some(published) = self.feed.next_stored().await? {
            self.pass_on(published).await?;
        }
        Ok(())
    }

    /// Waits for what comes next and passes it on. Dropping the future loses nothing that is stored.
    pub(super) async fn step(&mut self) -> Result<Step, Failure> {
        self.send_unsent().await?;
        let told = tokio::select! {
            told = self.feed.next() => told?,
            () = self.sink.closed() => return Err(nobody_listens()),
        };
        match told {
            Some(Told::Event(published)) => {
                let changes = published.event().kind.transition().is_some();
                self.pass_on(published).await?;
                Ok(if changes { Step::StatusChanged } else { Step::On })
            }
            Some(Told::Delta { .. }) => Ok(Step::On),
            None => Ok(Step::Gone),
        }
    }

    /// Follows until the run is final.
    pub(super) async fn until_final(mut self) -> Result<(), Failure> {
        loop {
            self.catch_up().await?;
            if is_final_after(&self.reader, self.run, self.feed.last_seq()).await? {
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

    async fn pass_on(&mut self, published: Arc<Published>) -> Result<(), Failure> {
        self.unsent = Some(published);
        self.send_unsent().await
    }

    async fn send_unsent(&mut self) -> Result<(), Failure> {
        if let Some(published) = &self.unsent {
            let event = Box::new(published.event().clone());
            let sent = self.sink.send(Streamed::Event(event)).await;
            sent.map_err(|_| nobody_listens())?;
            self.unsent = None;
        }
        Ok(())
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
