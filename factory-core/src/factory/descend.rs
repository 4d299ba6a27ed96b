//! New runs made of others: the same goal again, on from a checkpoint, from another's result. The other run is only
//! read, and whatever the new one starts from is held in the project's store before it is filed.

use super::{Factory, Submit};
use crate::agent::{State, store_of};
use crate::error::Error;
use crate::model::{Descent, EventKind, Origin, Project, Run, RunId, RunSpec, Seq, Start, StepId, Verb};
use crate::store::Page;

impl Factory {
    /// Files the goal of a final run once more: the same base commit, checks, model, budget and priority. Where that run
    /// began with earlier work, so does this one; where it never had a base, the project's ref is resolved anew.
    ///
    /// [`Error::NotAllowed`] where the run is not final or its project is gone.
    pub async fn retry(&self, run: RunId) -> Result<Run, Error> {
        let (old, _) = self.require(run, Verb::Retry).await?;
        let start = old.spec.origin.as_ref().and_then(|origin| origin.start.clone());
        let origin = Origin {
            how: Descent::Retry,
            run,
            at: None,
            start,
        };
        self.file_again(&old, old.goal.clone(), origin).await
    }

    /// Files a run that goes on from the last checkpoint at or before event `at` of another one, which is not changed and
    /// may still be at work. The base stays, so that diff and approval cover the whole; the plan is told to the agent.
    /// Before the first checkpoint it begins as that run began. `goal` takes the place of the run's own.
    ///
    /// [`Error::NotAllowed`] where the run's project is gone, or it never had a base; [`Error::BadInput`] where it has
    /// no event `at` yet.
    pub async fn fork(&self, run: RunId, at: Seq, goal: Option<String>) -> Result<Run, Error> {
        let (old, _) = self.require(run, Verb::Fork).await?;
        if at > old.last_seq {
            return Err(Error::BadInput(format!(
                "run {run} has no event {at}; its newest is {}",
                old.last_seq
            )));
        }
        let goal = goal.unwrap_or_else(|| old.goal.clone());
        let origin = Origin {
            how: Descent::Fork,
            run,
            at: Some(at),
            start: self.start_at(run, at).await?,
        };
        self.file_again(&old, goal, origin).await
    }

    /// Files a run like `old` in the project of that run.
    async fn file_again(&self, old: &Run, goal: String, origin: Origin) -> Result<Run, Error> {
        let Some(project) = old.project_id else {
            return Err(Error::Internal(format!("run {} has no project", old.id)));
        };
        let project = self.inner.journal.store().project(project).await?;
        let spec = RunSpec {
            base: old.base().cloned(),
            origin: Some(origin),
            ..old.spec.clone()
        };
        self.file(&project, goal, spec, old.priority).await
    }

    /// Returns the spec of a run that continues another one: it starts from that one's commit.
    ///
    /// [`Error::BadInput`] where it names a base as well, or a run of another project, or where its origin is not for a
    /// caller to say.
    pub(super) async fn continued(
        &self,
        project: &Project,
        submit: &Submit,
        origin: &Origin,
    ) -> Result<RunSpec, Error> {
        if origin.how != Descent::Continue || origin.start.is_some() || origin.at.is_some() {
            return Err(Error::BadInput(
                "a run is retried and forked by verbs of their own; what is filed can only continue one"
                    .to_owned(),
            ));
        }
        let run = origin.run;
        let (old, _) = self.require(run, Verb::Continue).await?;
        if old.project_id != Some(project.id) {
            return Err(Error::BadInput(format!(
                "run {run} belongs to another project than `{}`",
                project.name
            )));
        }
        if submit.spec.base_ref.is_some() {
            return Err(Error::BadInput(format!(
                "a run that continues run {run} starts from that run's commit; name no base beside it"
            )));
        }
        Ok(RunSpec {
            base: old.commit,
            ..submit.spec.clone()
        })
    }

    /// Returns the work that there was at an event, held in the project's store. None before the first checkpoint of a
    /// run that began with its base.
    async fn start_at(&self, run: RunId, at: Seq) -> Result<Option<Start>, Error> {
        let store = self.inner.journal.store();
        let mut state = State::fold([]);
        let mut kept: Option<(Start, Option<StepId>)> = None;
        'history: loop {
            let events = store
                .events(run, Page::after(state.seq, Page::<Seq>::MAX))
                .await?;
            for event in &events {
                if event.seq > at {
                    break 'history;
                }
                state.apply(event);
                if let EventKind::CheckpointCreated(created) = &event.kind {
                    let start = Start {
                        run,
                        checkpoint: created.checkpoint,
                        commit: created.commit.clone(),
                        tree: created.tree.clone(),
                        done: Vec::new(),
                        left: Vec::new(),
                    };
                    kept = Some((start, event.step_id));
                }
            }
            if events.len() < Page::<Seq>::MAX as usize {
                break;
            }
        }
        let Some((mut start, step)) = kept else {
            return Ok(state.start().cloned());
        };
        for planned in state.plan.iter().flat_map(|plan| &plan.steps) {
            // A checkpoint is kept when its step ends, and the end is told after it.
            let is_done = state.finished_steps.contains(&planned.id) || step == Some(planned.id);
            let titles = if is_done { &mut start.done } else { &mut start.left };
            titles.push(planned.title.clone());
        }
        Ok(Some(start))
    }

    /// Holds the earlier work that a run begins with, whatever becomes of the run that did it.
    pub(super) async fn hold_start(&self, project: &Project, spec: &RunSpec) -> Result<(), Error> {
        let Some(start) = spec.origin.as_ref().and_then(|origin| origin.start.as_ref()) else {
            return Ok(());
        };
        let reader = &self.inner.reader;
        let store = store_of(&reader.folder.project(project.id));
        if reader.vcs.tree_of(&store, &start.commit).await.ok().as_ref() != Some(&start.tree) {
            return Err(Error::Conflict {
                run: start.run,
                detail: format!(
                    "its checkpoint {} is no longer in the factory's store; fork it from before that, or file its goal anew",
                    start.checkpoint
                ),
            });
        }
        let name = format!("starts/{}", start.commit);
        Ok(reader.vcs.keep(&store, &name, &start.commit).await?)
    }
}
