//! Who works on which run in this process, and the way to tell them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument as _;

use super::{Factory, make_folder};
use crate::agent;
use crate::error::Error;
use crate::gate::{Closing, Gate};
use crate::model::{Fence, ProjectId, Run, RunId};
use crate::scheduler::Load;
use crate::spans;
use crate::store::Claimable;

/// How long to wait before looking again at a run whose claim is being put down.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A run's worker in this process.
#[derive(Debug, Clone)]
struct Worker {
    gate: Arc<Gate>,
    done: watch::Receiver<bool>,
    project: ProjectId,
    /// The model's server, whose bounds the run shares with others.
    server: Option<String>,
}

/// The workers of this process.
#[derive(Debug, Default)]
pub(super) struct Workers {
    by_run: Mutex<HashMap<RunId, Worker>>,
    /// Held from the claim to the entry in the map, and by whoever looks for a gate to close, so that no claim is
    /// without a gate.
    starting: tokio::sync::Mutex<Starting>,
}

/// Whether new workers may start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Starting {
    #[default]
    Allowed,
    ShuttingDown,
}

/// While it is held, no worker starts.
#[derive(Debug)]
pub(super) struct StartsHeld<'a> {
    _starting: tokio::sync::MutexGuard<'a, Starting>,
}

impl Workers {
    pub(super) fn any(&self) -> bool {
        !self.map().is_empty()
    }

    /// Returns whether no more workers start.
    pub(super) async fn is_ending(&self) -> bool {
        *self.starting.lock().await == Starting::ShuttingDown
    }

    /// Returns how many runs are being worked on.
    pub(super) fn count(&self) -> usize {
        self.map().len()
    }

    /// Returns what is being worked on, for whoever decides what is taken up next.
    pub(super) fn load(&self) -> Load {
        let mut load = Load::default();
        for worker in self.map().values() {
            load.add(Some(worker.project), worker.server.as_deref());
        }
        load
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Worker>> {
        // The map is only ever changed by one call, so a panic elsewhere leaves it whole.
        self.by_run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, run: RunId) -> Option<Worker> {
        self.map().get(&run).cloned()
    }

    /// Closes the run's gate, if somebody works on it, and returns once no effect can start any more. Where nobody
    /// does, nobody begins to until the answer is dropped.
    pub(super) async fn close(&self, run: RunId, closing: Closing) -> Option<StartsHeld<'_>> {
        let starting = self.starting.lock().await;
        let Some(worker) = self.get(run) else {
            return Some(StartsHeld { _starting: starting });
        };
        drop(starting);
        worker.gate.close(closing).await;
        None
    }

    /// Forgets the worker that has this gate, and none that came after it.
    fn forget(&self, run: RunId, gate: &Arc<Gate>) {
        let mut by_run = self.map();
        if by_run
            .get(&run)
            .is_some_and(|worker| Arc::ptr_eq(&worker.gate, gate))
        {
            by_run.remove(&run);
        }
    }
}

impl Factory {
    /// Works on the run, in this process, until it rests (PAUSED, `AWAITING_APPROVAL` or final), and returns it. A run
    /// that rests already is returned at once. Several callers may wait for the same run; dropping the future does
    /// not end the work.
    pub async fn drive(&self, run: RunId) -> Result<Run, Error> {
        loop {
            if let Some(mut worker) = self.inner.workers.get(run) {
                // An error means that the worker is gone, which is what is waited for.
                let _ = worker.done.wait_for(|done| *done).await;
                continue;
            }
            let row = self.inner.journal.store().run(run).await?;
            if row.status.is_rest() {
                return Ok(row);
            }
            // In a task of its own: a caller that goes away must not leave a claim without a worker.
            let factory = self.clone();
            let started = tokio::spawn(async move { factory.start(run).await }).await;
            match started.map_err(|error| Error::Internal(error.to_string()))?? {
                Started::Yes => {}
                Started::NotNow => tokio::time::sleep(LOOK_AGAIN).await,
                Started::ShuttingDown => return Ok(self.inner.journal.store().run(run).await?),
            }
        }
    }

    pub(super) async fn start(&self, run: RunId) -> Result<Started, Error> {
        let starting = self.inner.workers.starting.lock().await;
        if *starting == Starting::ShuttingDown {
            return Ok(Started::ShuttingDown);
        }
        if self.inner.workers.get(run).is_some() {
            return Ok(Started::NotNow);
        }
        let row = self.inner.journal.store().run(run).await?;
        let Some(project) = row.project_id else {
            return Err(Error::BadInput(format!(
                "run {run} belongs to no project and cannot be worked on"
            )));
        };
        let project = self.inner.journal.store().project(project).await?;
        let llm = self.inner.reader.models.open(&row.spec.model)?;
        make_folder(self.inner.reader.folder.run(run)).await?;
        let claimed = self
            .inner
            .journal
            .claim(&self.inner.worker, Claimable::Run(run))
            .await?;
        let Some(claimed) = claimed else {
            return Ok(Started::NotNow);
        };
        let gate = Arc::new(Gate::default());
        let (done, worker_done) = watch::channel(false);
        let worker = Worker {
            gate: Arc::clone(&gate),
            done: worker_done,
            project: project.id,
            server: row.spec.server().map(str::to_owned),
        };
        self.inner.workers.map().insert(run, worker);
        drop(starting);
        let equipment = self.equipment(project, run, llm).await;
        let factory = self.clone();
        tokio::spawn(async move {
            factory
                .work(equipment, run, claimed.fence, Arc::clone(&gate))
                .await;
            factory.tidy(run).await;
            factory.inner.workers.forget(run, &gate);
            // There may be room for another run now.
            factory.inner.journal.queued().notify_one();
            // Nobody may be waiting.
            let _ = done.send(true);
        });
        Ok(Started::Yes)
    }

    async fn work(&self, equipment: agent::Equipment, run: RunId, fence: Fence, gate: Arc<Gate>) {
        let span = spans::run(run, fence);
        let driven = agent::drive(equipment, run, fence, gate).instrument(span.clone());
        let driven = tokio::spawn(driven).await;
        let error = match driven {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => Error::Internal(format!("the run's worker panicked: {panic}")),
        };
        spans::failed(&span);
        drop(span);
        tracing::error!(run = %run, error = %crate::chain::chain(&error), "the run cannot go on");
        for _ in 0..agent::PARK_TRIES {
            match agent::park_failed(&self.inner.journal, run, fence, &error).await {
                Ok(()) => return,
                Err(failed) => {
                    tracing::error!(run = %run, error = %crate::chain::chain(&failed), "the run cannot be parked yet");
                    tokio::time::sleep(agent::PARK_AGAIN).await;
                }
            }
        }
    }

    /// Removes what a final run no longer needs: checkout and home. Its trees, commits and events stay.
    pub(super) async fn tidy(&self, run: RunId) {
        let Ok(row) = self.inner.journal.store().run(run).await else {
            return;
        };
        if row.status.is_final()
            && let Err(error) = agent::remove(self.inner.reader.folder.run(run)).await
        {
            tracing::warn!(run = %run, %error, "the folders of a final run could not be removed");
        }
    }

    /// Lets what is going on end and be recorded, gives all runs back to the queue, and gives up the data folder.
    /// Runs are not ended by it: the next owner goes on with them.
    pub async fn shutdown(&self) {
        self.end(std::future::pending()).await;
    }

    /// Shuts down as [`Factory::shutdown`] does, and waits for `patience` at most for what is going on: a model may take
    /// minutes. Returns the runs that did not come to rest. The process is to end now; what was going on in them counts as
    /// broken off, and the next owner goes on with them as after a crash.
    pub async fn shutdown_within(&self, patience: Duration) -> Vec<RunId> {
        self.end(tokio::time::sleep(patience)).await
    }

    /// Shuts down, and returns the runs that had not come to rest when `impatient` was over.
    async fn end(&self, impatient: impl Future<Output = ()>) -> Vec<RunId> {
        *self.inner.workers.starting.lock().await = Starting::ShuttingDown;
        self.inner.journal.queued().notify_one();
        let workers = self.inner.workers.map().clone();
        for worker in workers.values() {
            worker.gate.close(Closing::Release).await;
        }
        let mut working: Vec<RunId> = workers.keys().copied().collect();
        let all_done = async {
            for (run, mut worker) in workers {
                // An error means that the worker is gone already.
                let _ = worker.done.wait_for(|done| *done).await;
                working.retain(|working| *working != run);
            }
        };
        tokio::select! {
            () = all_done => {}
            () = impatient => {}
        }
        self.inner.journal.store().close().await;
        drop(
            self.inner
                .lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        working.sort_unstable();
        working
    }
}

/// What became of the wish to work on a run.
#[derive(Debug)]
pub(super) enum Started {
    Yes,
    NotNow,
    ShuttingDown,
}

/// Gives orphaned runs back: those whose worker died with its process.
pub(super) async fn release_orphans(factory: &Factory) -> Result<(), Error> {
    use crate::journal::Entry;
    use crate::model::payload::RunRecovered;
    use crate::model::{NewEvent, RunStatus};
    use crate::store::{Page, RunFilter};

    let journal = &factory.inner.journal;
    let recover = async |row: &Run| -> Result<(), Error> {
        if row.status.lets_effects_start() {
            let worker = row.claim.as_ref().map(|claim| claim.worker.clone());
            let event = NewEvent::system(RunRecovered { worker });
            journal.write(row.id, None, Entry::one(event).releasing()).await?;
        } else {
            journal.store().release_claim(row.id, row.fence).await?;
        }
        Ok(())
    };
    loop {
        let claimed = journal
            .store()
            .claimed_runs(Page::first(Page::<RunId>::MAX))
            .await?;
        for row in &claimed {
            recover(row).await?;
        }
        if claimed.len() < Page::<RunId>::MAX as usize {
            break;
        }
    }
    // A crash between a claim's end and the pause that ends it leaves a run RUNNING and unclaimed.
    let filter = RunFilter {
        status: Some(RunStatus::Running),
        ..RunFilter::default()
    };
    loop {
        let running = journal
            .store()
            .runs(filter, Page::first(Page::<RunId>::MAX))
            .await?;
        if running.is_empty() {
            return Ok(());
        }
        for row in &running {
            recover(row).await?;
        }
    }
}
