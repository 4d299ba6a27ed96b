//! Does what the machine says: the one place where a run touches the world.
//!
//! Each act first stores its intent (or finds that something else came first and asks the machine again), then has its
//! effect, then stores the facts. The files beside this one hold the acts by what they touch.

mod ask;
mod context;
mod led;
mod model;
mod offer;
mod prepare;
mod prove;
mod publish;
mod records;
mod survey;
mod tool;

use std::sync::Arc;
use std::time::Duration;

use super::act::Act;
use super::conversation::Conversation;
use super::equipment::Equipment;
use super::state::State;
use crate::error::Error;
use crate::gate::{Closing, Gate, Pass};
use crate::journal::{Entry, Intent, JournalError};
use crate::model::payload::{self, BudgetExhausted, RunPaused, RunReleased};
use crate::model::{Actor, Event, EventKind, Fence, NewEvent, RunId, StatusReason, StepId};
use crate::store::{Page, StoreError};

/// How long a worker that was told to pause waits for the pause to be stored before it gives the run back.
const PAUSE_STORED_WITHIN: Duration = Duration::from_secs(30);

/// The first waits for room on a full disk, which may be short of it for a moment only.
const FULL_DISK_WAITS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

/// How long to wait between tries to store what became of a run while the disk is full.
pub(crate) const PARK_AGAIN: Duration = Duration::from_secs(2);

/// How often that is tried. After that the claim is recovered at the next start.
pub(crate) const PARK_TRIES: usize = 150;

/// What follows after an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Ask the machine again.
    GoOn,
    /// The run rests or is final, and the claim was released with the write that said so.
    Rest,
}

/// Works on a claimed run until it rests, and puts everything down. An error leaves the run claimed; the caller parks
/// it.
pub(crate) async fn drive(
    equipment: Equipment,
    run: RunId,
    fence: Fence,
    gate: Arc<Gate>,
) -> Result<(), Error> {
    let mut driver = Driver {
        equipment,
        run,
        fence,
        gate,
        state: State::fold([]),
        conversation: Conversation::default(),
        loaded: false,
    };
    driver.catch_up().await?;
    loop {
        if let Some(closing) = driver.gate.state() {
            return driver.put_down(closing).await;
        }
        if driver
            .state
            .status
            .is_some_and(|status| !status.lets_effects_start())
        {
            // The pause or stop was stored before this worker's gate could be found.
            return driver.put_down(Closing::Pause).await;
        }
        let act = Act::next(&driver.state);
        tracing::debug!(run = %run, ?act, "next act");
        match driver.perform(act).await {
            Ok(Then::GoOn) => driver.catch_up().await?,
            Ok(Then::Rest) => return Ok(()),
            Err(Error::Store(StoreError::Fenced { .. })) => {
                tracing::warn!(run = %run, fence = %fence, "the claim is gone; everything is put down");
                return Ok(());
            }
            Err(Error::Stopped) => return driver.put_down(Closing::Stop).await,
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug)]
struct Driver {
    equipment: Equipment,
    run: RunId,
    fence: Fence,
    gate: Arc<Gate>,
    state: State,
    conversation: Conversation,
    /// Whether the model was made ready in this process.
    loaded: bool,
}

impl Driver {
    async fn perform(&mut self, act: Act) -> Result<Then, Error> {
        match act {
            Act::SetUp => self.set_up().await,
            Act::PrepareModel => self.prepare_model().await,
            Act::ForgetCall => self.forget_call().await,
            Act::Settle(started) => self.settle(started).await,
            Act::RunTool { index } => self.run_tool(index).await,
            Act::ImplyPlan => self.imply_plan().await,
            Act::StartStep(step) => self.start_step(step).await,
            Act::FinishStep(step) => self.take_step_for_done(step).await,
            Act::Ask => self.ask().await,
            Act::Prove => self.prove().await,
            Act::Repair(reason) => self.repair(&reason).await,
            Act::Offer => self.offer().await,
            Act::Commit => self.commit().await,
            Act::Publish { begun } => self.publish(begun).await,
            Act::Finish => self.finish().await,
            Act::Park { reason, detail } => self.park(reason, detail).await,
            Act::Fail { reason, detail } => {
                let failed = NewEvent::system(payload::RunFailed { reason, detail });
                self.rest(Entry::one(failed)).await
            }
        }
    }

    /// Folds what is stored and not yet folded.
    async fn catch_up(&mut self) -> Result<(), Error> {
        loop {
            let page = Page::after(self.state.seq, Page::<()>::MAX);
            let events = self.equipment.journal.store().events(self.run, page).await?;
            for event in &events {
                self.state.apply(event);
            }
            if events.len() < Page::<()>::MAX as usize {
                break;
            }
        }
        self.conversation
            .catch_up(&self.state, self.equipment.journal.store())
            .await?;
        Ok(())
    }

    /// Stores an intent while the gate is open, and returns the pass that is held until the effect has started.
    /// None where something else came first.
    async fn intend(&mut self, entry: Entry) -> Result<Option<Pass>, Error> {
        let Ok(pass) = self.gate.pass().await else {
            return Ok(None);
        };
        let intent = self
            .equipment
            .journal
            .intend(self.run, self.fence, self.state.seq, entry)
            .await?;
        match intent {
            Intent::Stored(events) => {
                self.fold(&events);
                Ok(Some(pass))
            }
            Intent::Moved => Ok(None),
        }
    }

    /// Stores what has no effect beside its events, unless something else came first.
    async fn note(&mut self, entry: Entry) -> Result<Then, Error> {
        self.intend(entry).await?;
        Ok(Then::GoOn)
    }

    /// Stores facts, whatever happened meanwhile. A full disk is waited out with the facts in hand: a reply that was
    /// received is not asked for again.
    async fn record(&mut self, entry: Entry) -> Result<(), Error> {
        let mut waits = FULL_DISK_WAITS
            .into_iter()
            .chain(std::iter::repeat_n(PARK_AGAIN, PARK_TRIES));
        loop {
            match self
                .equipment
                .journal
                .write(self.run, Some(self.fence), entry.clone())
                .await
            {
                Ok((_, events)) => {
                    self.fold(&events);
                    return Ok(());
                }
                Err(JournalError::Store(error @ StoreError::StorageFull)) => {
                    let Some(wait) = waits.next() else {
                        return Err(error.into());
                    };
                    tracing::error!(run = %self.run, %error, "what has happened cannot be stored yet");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Stores events that bring the run to rest or to its end, and the end of the claim with them.
    async fn rest(&mut self, entry: Entry) -> Result<Then, Error> {
        let rested = self.intend(entry.releasing()).await?.is_some();
        Ok(if rested { Then::Rest } else { Then::GoOn })
    }

    async fn park(&mut self, reason: StatusReason, detail: String) -> Result<Then, Error> {
        let mut events = Vec::new();
        if reason == StatusReason::BudgetExhausted {
            let limit = self
                .state
                .spec
                .budget
                .exhausted_by(&self.state.usage)
                .unwrap_or("budget")
                .to_owned();
            events.push(NewEvent::system(BudgetExhausted {
                limit,
                usage: self.state.usage,
            }));
        }
        events.push(NewEvent::system(RunPaused {
            reason,
            detail: Some(detail),
            former_status: None,
        }));
        self.rest(Entry::of(events)).await
    }

    fn fold(&mut self, events: &[Event]) {
        // Facts may have been stored after events of others; then the store is read instead.
        for event in events {
            if event.seq == self.state.seq.next() {
                self.state.apply(event);
            }
        }
    }

    /// Ends the work because the gate is closed: the pause or stop is stored by whoever closed it.
    async fn put_down(self, closing: Closing) -> Result<(), Error> {
        let journal = &self.equipment.journal;
        if closing > Closing::Release {
            let deadline = tokio::time::Instant::now() + PAUSE_STORED_WITHIN;
            while tokio::time::Instant::now() < deadline {
                let status = journal.store().run(self.run).await?.status;
                if !status.lets_effects_start() {
                    journal.store().release_claim(self.run, self.fence).await?;
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let detail = "the factory shuts down".to_owned();
        let released = Entry::one(NewEvent::system(RunReleased { detail })).releasing();
        match journal.write(self.run, Some(self.fence), released).await {
            Ok(_) => Ok(()),
            // A pause or stop came between; the claim alone is left to be ended.
            Err(JournalError::Refused { .. }) => {
                Ok(journal.store().release_claim(self.run, self.fence).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn imply_plan(&mut self) -> Result<Then, Error> {
        let plan = self.state.new_plan([super::plan_reply::title(&self.state.goal)]);
        let generated = payload::PlanGenerated { plan, implied: true };
        self.note(Entry::one(NewEvent::system(generated))).await
    }

    async fn start_step(&mut self, step: StepId) -> Result<Then, Error> {
        let title = self
            .state
            .plan
            .as_ref()
            .and_then(|plan| plan.step(step))
            .map(|step| step.title.clone());
        let started = payload::StepStarted {
            step,
            title: title.unwrap_or_default(),
        };
        self.note(Entry::one(NewEvent::system(started).in_step(Some(step))))
            .await
    }

    async fn take_step_for_done(&mut self, step: StepId) -> Result<Then, Error> {
        let is_proven =
            self.state.is_led() && self.state.proof.as_ref().is_some_and(|(_, check)| check.green);
        let summary = if is_proven {
            "the checks pass"
        } else if self.state.is_led() {
            "the checks stay red"
        } else {
            "the model stopped calling tools"
        };
        let summary = summary.to_owned();
        let events = self.step_finished(step, summary, &Actor::System).await?;
        self.note(Entry::of(events)).await
    }

    /// Returns the events that end a step: the checkpoint of what it changed, and its end.
    async fn step_finished(
        &self,
        step: StepId,
        summary: String,
        actor: &Actor,
    ) -> Result<Vec<NewEvent>, Error> {
        let mut events = self.checkpoint(step).await?;
        let finished = payload::StepFinished { step, summary };
        events.push(NewEvent::by(actor.clone(), finished).in_step(Some(step)));
        Ok(events)
    }

    async fn repair(&mut self, reason: &super::state::RepairReason) -> Result<Then, Error> {
        use super::prompt;
        use super::state::RepairReason;
        let title = match reason {
            RepairReason::ChecksRed => prompt::REPAIR_CHECKS,
            RepairReason::Rejected => prompt::REPAIR_REJECTED,
            RepairReason::Directive => prompt::REPAIR_DIRECTIVE,
        };
        let plan = self.state.new_plan([title.to_owned()]);
        self.note(Entry::one(NewEvent::system(payload::PlanRevised { plan })))
            .await
    }

    /// Returns the check commands of the run.
    fn checks(&self) -> &[String] {
        self.state
            .spec
            .checks
            .as_deref()
            .unwrap_or(&self.equipment.ground.project.settings.checks)
    }

    fn agent() -> Actor {
        Actor::Agent("coder".to_owned())
    }
}

/// Parks a run whose driver failed, so that it rests with the reason instead of being claimed by nobody. Returns the
/// error if even that cannot be stored.
pub(crate) async fn park_failed(
    journal: &crate::journal::Journal,
    run: RunId,
    fence: Fence,
    error: &Error,
) -> Result<(), Error> {
    let reason = match error {
        error if error.is_storage_full() => StatusReason::StorageFull,
        Error::Sandbox(crate::sandbox::SandboxError::Unavailable { .. }) => StatusReason::SandboxUnavailable,
        Error::Vcs(_) | Error::Conflict { .. } => StatusReason::Conflict,
        _ => StatusReason::Internal,
    };
    let detail = Some(crate::chain::chain(error));
    let paused = EventKind::from(RunPaused {
        reason,
        detail,
        former_status: None,
    });
    let entry = Entry::one(NewEvent::system(paused)).releasing();
    match journal.write(run, Some(fence), entry).await {
        Err(JournalError::Refused { .. }) => Ok(journal.store().release_claim(run, fence).await?),
        Ok(_) | Err(JournalError::Store(StoreError::Fenced { .. })) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
