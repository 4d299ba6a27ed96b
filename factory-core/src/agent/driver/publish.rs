//! The last steps: the approved tree becomes a commit, the commit a branch of the operator's repository.

use super::prepare::signature;
use super::{Driver, Then};
use crate::chain::chain;
use crate::error::Error;
use crate::journal::Entry;
use crate::model::payload::{
    BranchPublished, CommitCreated, Operation, OperationFinished, OperationStarted, RunComplete,
};
use crate::model::{NewEvent, StatusReason};
use crate::vcs::{NewCommit, VcsError};

impl Driver {
    pub(super) async fn commit(&mut self) -> Result<Then, Error> {
        let Some(approved) = self.state.approved.clone() else {
            return Ok(Then::GoOn);
        };
        let (vcs, store) = (&self.equipment.ground.vcs, self.equipment.ground.store());
        let new = NewCommit {
            tree: approved.tree.clone(),
            parents: vec![approved.base.clone()],
            message: approved.message.clone(),
            by: signature(approved.at),
        };
        let commit = vcs.commit(&store, &new).await?;
        vcs.keep(&store, &format!("runs/{}/commit", self.run), &commit)
            .await?;
        let created = CommitCreated {
            commit,
            tree: approved.tree,
            parent: approved.base,
            message: approved.message,
        };
        self.note(Entry::one(NewEvent::system(created))).await
    }

    /// Publishes the commit; `begun` is what a dead process had begun, which is completed under the same name.
    pub(super) async fn publish(&mut self, begun: Option<Operation>) -> Result<Then, Error> {
        let Some(commit) = self.state.commit.as_ref().map(|created| created.commit.clone()) else {
            return Ok(Then::GoOn);
        };
        let vcs = self.equipment.ground.vcs.clone();
        let repository = self.equipment.ground.project.local_path.clone();
        // The pass is held until the branch stands, so that after the answer to a pause nothing changes the repository.
        let (branch, pass) = match begun {
            Some(Operation::Publish { branch, .. }) => {
                let Ok(pass) = self.gate.pass().await else {
                    return Ok(Then::GoOn);
                };
                (branch, pass)
            }
            None => {
                let branch = vcs
                    .free_branch(&repository, &format!("factory/run-{}", self.run))
                    .await?;
                let operation = Operation::Publish {
                    branch: branch.clone(),
                    commit: commit.clone(),
                };
                let started = Entry::one(NewEvent::system(OperationStarted { operation }));
                let Some(pass) = self.intend(started).await? else {
                    return Ok(Then::GoOn);
                };
                (branch, pass)
            }
        };
        let store = self.equipment.ground.store();
        let published = vcs
            .publish(&store, &repository, &branch, &commit, self.gate.stopped())
            .await;
        drop(pass);
        let operation = Operation::Publish {
            branch: branch.clone(),
            commit: commit.clone(),
        };
        match published {
            Ok(()) => {
                let facts = vec![
                    NewEvent::system(BranchPublished { branch, commit }),
                    NewEvent::system(OperationFinished {
                        operation,
                        error: None,
                    }),
                ];
                self.record(Entry::of(facts)).await?;
                Ok(Then::GoOn)
            }
            // Stop came in the middle; whether the branch was made shows in the repository.
            Err(VcsError::Cancelled(_)) => Ok(Then::GoOn),
            Err(error) => {
                let text = chain(&error);
                let finished = OperationFinished {
                    operation,
                    error: Some(text.clone()),
                };
                self.record(Entry::one(NewEvent::system(finished))).await?;
                if matches!(error, VcsError::BranchTaken(_)) {
                    return Ok(Then::GoOn);
                }
                let detail = format!(
                    "the commit could not be brought into the repository: {text}; resume to try again"
                );
                self.park(StatusReason::Conflict, detail).await
            }
        }
    }

    pub(super) async fn finish(&mut self) -> Result<Then, Error> {
        let complete = RunComplete {
            commit: self
                .state
                .published
                .as_ref()
                .map(|published| published.commit.clone()),
            branch: self
                .state
                .published
                .as_ref()
                .map(|published| published.branch.clone()),
        };
        self.rest(Entry::one(NewEvent::system(complete))).await
    }
}
