//! Looking at runs: rows, events, plans.

use super::views::step_views;
use super::{Reader, RunView, StepState, StepView};
use crate::agent::State;
use crate::error::Error;
use crate::model::{Approval, ApprovalId, BlobId, Event, EventId, Run, RunId, Seq};
use crate::store::{Page, Remembered, RunCounts, RunFilter, StoreError, UsageFilter, UsageGroup, UsageTotal};

impl Reader {
    /// Returns the run with what an operator wants to see of it.
    pub async fn run(&self, id: RunId) -> Result<RunView, Error> {
        let run = self.store.run(id).await?;
        let state = self.state(id).await?;
        let project = match run.project_id {
            Some(project) => Some(self.store.project(project).await?.name),
            None => None,
        };
        let open = self.store.open_approvals(Some(id), Page::first(1)).await?;
        Ok(RunView {
            project,
            allowed: run.verbs(open.first().map(|approval| approval.subject.kind())),
            steps: steps(&state),
            open_approval: open.into_iter().next(),
            last_check: state.last_check,
            sandbox: self.surroundings().await.sandbox.level().clone(),
            run,
        })
    }

    /// Returns the run's plan, step by step; empty before there is one.
    pub async fn plan(&self, run: RunId) -> Result<Vec<StepView>, Error> {
        Ok(steps(&self.state(run).await?))
    }

    /// Returns the run's row alone.
    pub async fn row(&self, id: RunId) -> Result<Run, Error> {
        Ok(self.store.run(id).await?)
    }

    /// Returns runs, newest first.
    pub async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, Error> {
        Ok(self.store.runs(filter, page).await?)
    }

    /// Returns the run's events after `page.after`, in order.
    pub async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, Error> {
        Ok(self.store.events(run, page).await?)
    }

    /// Returns events of all runs in the order in which they were stored. Front ends hand the last one's number out as a
    /// text that says nothing: another store may have another order.
    pub async fn all_events(&self, page: Page<EventId>) -> Result<Vec<Event>, Error> {
        Ok(self.store.all_events(page).await?)
    }

    /// Returns the number of the newest event of all runs; 0 where there is none.
    pub async fn newest_event(&self) -> Result<EventId, Error> {
        Ok(self.store.newest_event().await?)
    }

    /// Returns what was spent by day, project or model.
    pub async fn usage(
        &self,
        group: UsageGroup,
        filter: UsageFilter,
        page: Page<String>,
    ) -> Result<Vec<UsageTotal>, Error> {
        Ok(self.store.usage(group, filter, page).await?)
    }

    /// Returns how many runs stand in each status.
    pub async fn run_counts(&self) -> Result<RunCounts, Error> {
        Ok(self.store.run_counts().await?)
    }

    /// Returns all that the run ever asked, in the order of the numbers.
    pub async fn approvals_of(&self, run: RunId, page: Page<ApprovalId>) -> Result<Vec<Approval>, Error> {
        self.store.run(run).await?;
        Ok(self.store.approvals_of(run, page).await?)
    }

    /// Returns what was answered to a request with that key.
    pub async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, Error> {
        Ok(self.store.remembered(scope, key).await?)
    }

    /// Returns a stored text, as an event names it.
    pub async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, Error> {
        Ok(self.store.blob(id).await?)
    }

    pub(super) async fn state(&self, run: RunId) -> Result<State, StoreError> {
        let mut state = State::fold([]);
        loop {
            let events = self
                .store
                .events(run, Page::after(state.seq, Page::<Seq>::MAX))
                .await?;
            for event in &events {
                state.apply(event);
            }
            if events.len() < Page::<Seq>::MAX as usize {
                return Ok(state);
            }
        }
    }
}

fn steps(state: &State) -> Vec<StepView> {
    step_views(state.plan.as_ref(), |step| {
        if state.finished_steps.contains(&step) {
            StepState::Finished
        } else if state.active_step == Some(step) {
            StepState::Active
        } else {
            StepState::Waiting
        }
    })
}
