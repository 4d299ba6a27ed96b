//! One receiver's task: takes in what happened, tries what waits, and keeps how far it came.
//!
//! It reads the store and tells a receiver of its own, and so holds up nobody; what it holds is bounded by the line. While
//! the line is full it does not listen at all, and reads on from its cursor later.

use std::sync::Arc;
use std::time::Duration;

use factory_core::event_bus::Published;
use factory_core::feed::{Feed, Told};
use factory_core::model::{Event, EventId};
use factory_core::store::{Page, StoreError};
use factory_core::{Error, Factory, chain};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Standing};
use super::line::{Item, Line, Next};
use super::notice::{Notice, Occasion, Teller};
use super::{Outcome, Receiver};

/// The most events that are looked at before what waits is tried again.
const MOST_AT_ONCE: u32 = 256;

/// How many events may be looked at without any to be told, until the ledger says so.
const UNWRITTEN: u32 = 1000;

/// How long a trial may go on once the server ends.
const GRACE: Duration = Duration::from_secs(2);

/// How long is waited after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// One receiver's task.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) on: Vec<Occasion>,
    pub(super) receiver: Receiver,
    pub(super) teller: Teller,
    pub(super) factory: Factory,
    pub(super) ledger: Ledger,
    pub(super) line: Line,
    /// The newest event that was looked at.
    pub(super) cursor: EventId,
    /// What listens; none before it is needed, and while there is no room for what it would hear.
    pub(super) feed: Option<Feed>,
    /// How many events were looked at since the ledger was written.
    pub(super) unwritten: u32,
    /// Whether the last trial failed: a receiver that stays away is complained of once.
    pub(super) failing: bool,
}

impl Hook {
    /// Tells what happens until `ending`.
    pub(super) async fn run(mut self, ending: CancellationToken) {
        while !ending.is_cancelled() {
            if let Err(error) = self.step(&ending).await {
                tracing::error!(hook = self.name, error = %chain(&error), "what is to be told cannot be read");
                tokio::select! {
                    () = ending.cancelled() => {}
                    () = sleep(AFTER_FAILURE) => {}
                }
            }
        }
        if self.unwritten > 0 {
            self.write().await;
        }
    }

    async fn step(&mut self, ending: &CancellationToken) -> Result<(), Error> {
        self.take_in().await?;
        let until = match self.line.next(Instant::now()) {
            Next::Try(item) => return self.try_to_tell(item, ending).await,
            Next::At(moment) => Some(moment),
            Next::Nothing => None,
        };
        let heard = tokio::select! {
            () = ending.cancelled() => return Ok(()),
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return Ok(()),
            heard = listen(self.feed.as_mut()) => heard?,
        };
        self.look_at(heard.event());
        if self.unwritten >= UNWRITTEN {
            self.write().await;
        }
        Ok(())
    }

    /// Looks at what is stored by now, as far as there is room.
    async fn take_in(&mut self) -> Result<(), Error> {
        for _ in 0..MOST_AT_ONCE {
            if !self.line.has_room() {
                self.feed = None;
                break;
            }
            let feed = self
                .feed
                .get_or_insert_with(|| self.factory.follow_all(self.cursor));
            let Some(published) = feed.next_stored().await? else {
                break;
            };
            self.look_at(published.event());
        }
        if self.unwritten >= UNWRITTEN {
            self.write().await;
        }
        Ok(())
    }

    fn look_at(&mut self, event: &Event) {
        self.cursor = event.id;
        self.unwritten += 1;
        if Occasion::of(&event.kind).is_some_and(|occasion| self.on.contains(&occasion)) {
            self.line.add(Item {
                event: event.id,
                run: event.run_id,
            });
        }
    }

    async fn try_to_tell(&mut self, item: Item, ending: &CancellationToken) -> Result<(), Error> {
        let Some((event, notice)) = self.notice(item).await? else {
            self.line.remove(item);
            self.write().await;
            return Ok(());
        };
        let outcome = tokio::select! {
            outcome = self.receiver.tell(&notice) => outcome,
            () = async { ending.cancelled().await; sleep(GRACE).await } => return Ok(()),
        };
        let now = Instant::now();
        let why = match outcome {
            Outcome::Told => {
                self.line.remove(item);
                self.line.is_there();
                if std::mem::take(&mut self.failing) {
                    tracing::info!(hook = self.name, "it takes what it is told again");
                }
                self.write().await;
                return Ok(());
            }
            Outcome::Refused { why, at_least } => {
                self.line.refused(item, at_least, now);
                why
            }
            Outcome::Unanswered { why, at_least } => {
                self.line.unanswered(item, at_least, now);
                why
            }
        };
        let (hook, receiver) = (&self.name, self.receiver.shown());
        let age = time::OffsetDateTime::now_utc() - event.created_at.to_offset_date_time();
        if self.line.is_spent(item, age.try_into().unwrap_or_default(), now) {
            tracing::error!(hook, receiver, notice.id, why, "it was not told and will not be");
            self.line.remove(item);
            self.write().await;
        } else if std::mem::replace(&mut self.failing, true) {
            tracing::debug!(hook, receiver, notice.id, why, "it cannot be told");
        } else {
            tracing::error!(
                hook,
                receiver,
                notice.id,
                why,
                "it cannot be told; it is tried again"
            );
        }
        Ok(())
    }

    /// Returns what is to be told; none where the event is not there any more.
    async fn notice(&self, item: Item) -> Result<Option<(Event, Notice)>, Error> {
        let reader = self.factory.reader();
        let page = Page::after(EventId(item.event.0 - 1), 1);
        let event = reader.all_events(page).await?.into_iter().next();
        let Some(event) = event.filter(|event| (event.id, event.run_id) == (item.event, item.run)) else {
            return Ok(None);
        };
        let Some(run) = found(reader.row(item.run).await)? else {
            return Ok(None);
        };
        let project = match run.project_id {
            Some(project) => found(reader.project_by_id(project).await)?,
            None => None,
        };
        let project = project.as_ref().map(|project| project.name.as_str());
        Ok(Notice::new(&self.teller, &run, project, &event).map(|notice| (event, notice)))
    }

    /// Keeps how far it came. Where that fails, it is told again after a restart, and kept next time.
    async fn write(&mut self) {
        let standing = Standing::new(self.cursor, self.line.items());
        let ledger = self.ledger.clone();
        let written = tokio::task::spawn_blocking(move || ledger.write(&standing)).await;
        self.unwritten = 0;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::error!(hook = self.name, %error, "what was told cannot be noted; it may be told again");
        }
    }
}

/// Returns what was looked for; none where it is not there any more.
fn found<T>(looked_for: Result<T, Error>) -> Result<Option<T>, Error> {
    match looked_for {
        Ok(it) => Ok(Some(it)),
        Err(Error::Store(StoreError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for the next event; for ever where nothing is to be heard.
async fn listen(feed: Option<&mut Feed>) -> Result<Arc<Published>, Error> {
    if let Some(feed) = feed {
        while let Some(told) = feed.next().await? {
            if let Told::Event(published) = told {
                return Ok(published);
            }
        }
    }
    // The factory is gone, or there is no room: only time helps.
    std::future::pending().await
}
