//! The only writer of events and statuses: commits to the store, then tells the bus.

use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::event_bus::{EventBus, Notice, Published};
use crate::model::{Event, Fence, InvalidTransition, NewEvent, Run, RunId, RunStatus, Seq, Timestamp};
use crate::store::{ApprovalChange, Blob, Claimable, Commit, NewRun, Once, Page, Store, StoreError, Urgency};

/// How often a fact is offered again after somebody else wrote first. Each round means that another writer of the
/// same run got on, so this is reached by a defect only.
const ROUNDS: u32 = 1000;

/// How often a write is tried whose outcome the store could not tell and which proves not to be stored.
const TRIES: u32 = 3;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The run's status does not allow it.
    #[error("run {run}: {source}")]
    Refused {
        /// The run.
        run: RunId,
        /// Why.
        source: InvalidTransition,
    },
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the time. Injected, so that tests decide it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the moment.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        time::OffsetDateTime::now_utc().into()
    }
}

/// What is to be written to a run, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// The blobs that they name.
    pub blobs: Vec<Blob>,
    /// The change of an approval record.
    pub approval: Option<ApprovalChange>,
    /// Whether the claim ends with it.
    pub releases_claim: bool,
    /// Whether it overtakes other writes.
    pub urgency: Urgency,
    /// The key under which it is written at most once.
    pub once: Option<Once>,
}

impl Entry {
    /// Returns an entry of these events alone.
    pub fn of(events: Vec<NewEvent>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    /// Returns an entry of one event.
    pub fn one(event: NewEvent) -> Self {
        Self::of(vec![event])
    }

    /// Returns the entry with its blobs.
    #[must_use]
    pub fn with_blobs(mut self, blobs: Vec<Blob>) -> Self {
        self.blobs = blobs;
        self
    }

    /// Returns the entry with the end of the claim.
    #[must_use]
    pub fn releasing(mut self) -> Self {
        self.releases_claim = true;
        self
    }
}

/// What became of an intent.
#[derive(Debug)]
pub enum Intent {
    /// It is stored; the effect may start.
    Stored(Vec<Event>),
    /// Something else happened first; ask the machine again.
    Moved,
}

/// Writes runs' histories. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
    bus: EventBus,
    clock: Arc<dyn Clock>,
    queued: Arc<Notify>,
}

impl Journal {
    /// Returns the journal of a store.
    pub fn new(store: Arc<dyn Store>, bus: EventBus, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            bus,
            clock,
            queued: Arc::default(),
        }
    }

    /// Returns the store, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the bus.
    pub fn bus(&self) -> &EventBus {
        &self.bus
    }

    /// Returns what is told when a run is QUEUED: filed, resumed, decided or given back. One telling may stand for several,
    /// and is kept for whoever waits next.
    pub fn queued(&self) -> &Notify {
        &self.queued
    }

    /// Returns the moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Files runs, all of them or none; at most once under the key, if one is given.
    pub async fn create(&self, new: Vec<NewRun>, once: Option<Once>) -> Result<Vec<Run>, StoreError> {
        let made = self.store.create_runs(new, once).await?;
        let (runs, events) = made.into_iter().unzip();
        self.publish(events);
        self.queued.notify_one();
        Ok(runs)
    }

    /// Gives a run to `worker`, if one can be had.
    pub async fn claim(
        &self,
        worker: &crate::model::WorkerId,
        which: Claimable,
    ) -> Result<Option<Run>, StoreError> {
        let claimed = self.store.claim(worker, which, self.clock.now()).await?;
        Ok(claimed.map(|(run, event)| {
            self.publish(vec![event]);
            run
        }))
    }

    /// Writes facts, or a change that somebody asks for: whatever else happened meanwhile, they are written after it.
    /// A change of status is decided anew each time. `fence` is the writer's claim; none for the operator's writes.
    pub async fn write(
        &self,
        run: RunId,
        fence: Option<Fence>,
        entry: Entry,
    ) -> Result<(Run, Vec<Event>), JournalError> {
        let mut last = None;
        for _ in 0..ROUNDS {
            let current = self.store.run(run).await?;
            match self.commit(current, fence, entry.clone()).await {
                Err(JournalError::Store(conflict @ StoreError::Conflict { .. })) => last = Some(conflict),
                other => return other,
            }
        }
        Err(last.map_or_else(|| unreachable!("the loop ran at least once"), JournalError::Store))
    }

    /// Stores an intent, unless the run is no longer RUNNING under this claim or has an event after `seen`.
    pub async fn intend(
        &self,
        run: RunId,
        fence: Fence,
        seen: Seq,
        entry: Entry,
    ) -> Result<Intent, JournalError> {
        let current = self.store.run(run).await?;
        if current.last_seq != seen || !current.status.lets_effects_start() {
            return Ok(Intent::Moved);
        }
        match self.commit(current, Some(fence), entry).await {
            Ok((_, events)) => Ok(Intent::Stored(events)),
            Err(JournalError::Store(StoreError::Conflict { .. })) => Ok(Intent::Moved),
            Err(error) => Err(error),
        }
    }

    async fn commit(
        &self,
        current: Run,
        fence: Option<Fence>,
        entry: Entry,
    ) -> Result<(Run, Vec<Event>), JournalError> {
        let id = current.id;
        let expected_seq = current.last_seq;
        let mut run = current;
        for event in &entry.events {
            run.apply(&event.kind)
                .map_err(|source| JournalError::Refused { run: id, source })?;
        }
        if entry.releases_claim {
            run.claim = None;
        }
        let commit = Commit {
            run,
            expected_seq,
            fence,
            events: entry.events,
            blobs: entry.blobs,
            approval: entry.approval,
            at: self.clock.now(),
            urgency: entry.urgency,
            once: entry.once,
        };
        let (run, events) = self.store_surely(commit).await?;
        self.publish(events.clone());
        if run.status == RunStatus::Queued {
            self.queued.notify_one();
        }
        Ok((run, events))
    }

    /// Commits, and finds out what became of it where the store cannot tell: an answer that was lost is found again
    /// in the history, a write that was lost is made again.
    async fn store_surely(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        let (id, seen) = (commit.run.id, commit.expected_seq);
        let mut tries = 1;
        loop {
            let unknown = match self.store.commit(commit.clone()).await {
                Err(error @ StoreError::Backend { .. }) => error,
                known => return known,
            };
            let page = Page::after(seen, u32::try_from(commit.events.len()).unwrap_or(u32::MAX));
            let Ok(found) = self.store.events(id, page).await else {
                return Err(unknown);
            };
            if !found.is_empty() && is_stored(&commit.events, &found) {
                return Ok((self.store.run(id).await?, found));
            }
            if tries == TRIES {
                return Err(unknown);
            }
            tracing::warn!(run = %id, error = %crate::chain::chain(&unknown), "a write was lost and is made again");
            tries += 1;
        }
    }

    fn publish(&self, events: Vec<Event>) {
        for event in events {
            self.bus.publish(Notice::Stored(Arc::new(Published::new(event))));
        }
    }
}

fn is_stored(wanted: &[NewEvent], found: &[Event]) -> bool {
    let same = |(wanted, found): (&NewEvent, &Event)| {
        (&wanted.actor, wanted.cause, wanted.step_id, &wanted.kind)
            == (&found.actor, found.cause, found.step_id, &found.kind)
    };
    wanted.len() == found.len() && wanted.iter().zip(found).all(same)
}
