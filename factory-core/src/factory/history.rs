//! What stands in a run's events, one kind at a time: checks, checkpoints, comments; and the approvals of all runs.
//!
//! A page of one kind is found by reading the run's events in order, so that its cost grows with the run and with
//! nothing else.

use super::{CheckView, CheckpointView, CommentView, Reader};
use crate::error::Error;
use crate::model::{Approval, ApprovalId, Event, EventKind, RunId, Seq};
use crate::store::Page;

impl Reader {
    /// Returns the rounds of checks that ended, in order, those after event `page.after`. What the commands printed
    /// stands under its id ([`Reader::blob`]).
    pub async fn checks(&self, run: RunId, page: Page<Seq>) -> Result<Vec<CheckView>, Error> {
        self.selected(run, page, |event| match event.kind {
            EventKind::CheckFinished(check) => Some(CheckView {
                seq: event.seq,
                at: event.created_at,
                check,
            }),
            _ => None,
        })
        .await
    }

    /// Returns the checkpoints that were kept, in order, those after event `page.after`.
    pub async fn checkpoints(&self, run: RunId, page: Page<Seq>) -> Result<Vec<CheckpointView>, Error> {
        self.selected(run, page, |event| match event.kind {
            EventKind::CheckpointCreated(checkpoint) => Some(CheckpointView {
                seq: event.seq,
                at: event.created_at,
                step: event.step_id,
                checkpoint,
            }),
            _ => None,
        })
        .await
    }

    /// Returns the operator's comments, in order, those after event `page.after`.
    pub async fn comments(&self, run: RunId, page: Page<Seq>) -> Result<Vec<CommentView>, Error> {
        self.selected(run, page, |event| match event.kind {
            EventKind::ReviewCommented(commented) => Some(CommentView {
                seq: event.seq,
                at: event.created_at,
                by: event.actor,
                comment: commented.comment,
            }),
            _ => None,
        })
        .await
    }

    /// Returns the approval of this number, decided or not.
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval, Error> {
        Ok(self.store.approval(id).await?)
    }

    /// Returns the approvals that wait for a decision, in the order of their numbers; those of `run` if one is given.
    pub async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, Error> {
        Ok(self.store.open_approvals(run, page).await?)
    }

    async fn selected<T>(
        &self,
        run: RunId,
        page: Page<Seq>,
        pick: impl Fn(Event) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let limit = page.bounded_limit() as usize;
        let mut after = page.after.unwrap_or(Seq(0));
        let mut found = Vec::new();
        loop {
            let events = self
                .store
                .events(run, Page::after(after, Page::<Seq>::MAX))
                .await?;
            let is_last = events.len() < Page::<Seq>::MAX as usize;
            for event in events {
                after = event.seq;
                found.extend(pick(event));
                if found.len() == limit {
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }
}
