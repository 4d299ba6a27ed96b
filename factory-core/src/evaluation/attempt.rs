//! One task at work: its repository and project, its run, and the judgement of the run at rest.
//!
//! Each step finds what an earlier process has done of it already, so that a task that was half done is gone on with:
//! the repository is whole once its project is registered, and the project's newest run is the task's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::outcome::{Figures, Outcome, Rest, is_interruption};
use super::results::{Key, Record};
use super::{EvaluationError, Task, Terms};
use crate::error::Error;
use crate::factory::{AddProject, ApproveTree, CommandReport, Factory, LaidFile, Submit};
use crate::model::{
    ApprovalPolicy, ApprovalSubject, BlobId, BudgetLimit, Event, Project, Run, RunId, RunSpec, RunStatus,
    Sampling, Seq, StatusReason,
};
use crate::store::{Page, RunFilter};

/// How much of a verification's output is told.
const TOLD: usize = 300;

/// One task at work.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) factory: &'a Factory,
    pub(super) task: &'a Task,
    pub(super) terms: &'a Terms,
    pub(super) key: Key,
    /// Where the repositories are.
    pub(super) repositories: &'a Path,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With a result.
    Judged(Box<Record>),
    /// Somebody asked for it; it can be gone on with.
    Interrupted,
    /// What it needs gave way; it can be gone on with.
    GaveWay { reason: StatusReason, detail: String },
}

impl Attempt<'_> {
    /// Returns the task's run, filed now where there is none yet, and whether it was begun before.
    pub(super) async fn begin(&self) -> Result<(Run, bool), EvaluationError> {
        let project = self.project().await?;
        let filter = RunFilter {
            project_id: Some(project.id),
            status: None,
        };
        let newest = self.factory.reader().runs(filter, Page::first(1)).await?;
        let Some(run) = newest.into_iter().next() else {
            return Ok((self.factory.submit(self.submit(&project)).await?, false));
        };
        let can_go_on = run.status == RunStatus::Paused
            && run
                .reason
                .is_some_and(|reason| is_interruption(reason) || reason == StatusReason::LlmUnavailable);
        let run = if can_go_on {
            self.factory.resume(run.id).await?
        } else {
            run
        };
        let begun = run.usage.calls > 0;
        Ok((run, begun))
    }

    /// Works on the run until it rests, and judges it. With `stop` it is paused at once.
    pub(super) async fn finish(&self, run: Run, stop: &CancellationToken) -> Result<Ended, EvaluationError> {
        let mut run = self.drive(run.id, stop).await?;
        while let Some(tree) = self.proven_offer(&run).await? {
            self.factory
                .approve(run.id, ApproveTree { tree, message: None })
                .await?;
            run = self.drive(run.id, stop).await?;
        }
        if stop.is_cancelled() && (run.reason == Some(StatusReason::Operator) || !run.status.is_rest()) {
            return Ok(Ended::Interrupted);
        }
        self.judge(run).await
    }

    async fn drive(&self, run: RunId, stop: &CancellationToken) -> Result<Run, EvaluationError> {
        let rested = tokio::select! {
            rested = self.factory.drive(run) => rested?,
            () = stop.cancelled() => {
                match self.factory.pause(run).await {
                    // It came to rest by itself meanwhile.
                    Ok(_) | Err(Error::NotAllowed { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                self.factory.drive(run).await?
            }
        };
        Ok(rested)
    }

    /// Returns the proven tree that the run offers, where the terms say that such are approved.
    async fn proven_offer(&self, run: &Run) -> Result<Option<crate::model::TreeId>, EvaluationError> {
        if !self.terms.approve_proven || run.status != RunStatus::AwaitingApproval {
            return Ok(None);
        }
        Ok(match self.asked(run.id).await? {
            Some(ApprovalSubject::Tree {
                tree, proven: true, ..
            }) => Some(tree),
            _ => None,
        })
    }

    async fn asked(&self, run: RunId) -> Result<Option<ApprovalSubject>, EvaluationError> {
        let view = self.factory.reader().run(run).await?;
        Ok(view.open_approval.map(|approval| approval.subject))
    }

    async fn judge(&self, run: Run) -> Result<Ended, EvaluationError> {
        let figures = Figures::of(&run, &self.events(run.id).await?);
        let asked = self.asked(run.id).await?;
        let (outcome, detail) = match Rest::of(&run, &figures, asked.as_ref()) {
            Rest::Interrupted(reason, detail) => return Ok(Ended::GaveWay { reason, detail }),
            Rest::Short(outcome, detail) => (outcome, detail),
            Rest::Complete => self.verify(run.id).await?,
        };
        Ok(Ended::Judged(Box::new(Record {
            key: self.key.clone(),
            language: self.task.language.clone(),
            outcome,
            detail,
            figures,
            run: run.id,
            at: run.updated_at,
        })))
    }

    async fn verify(&self, run: RunId) -> Result<(Outcome, Option<String>), EvaluationError> {
        let over = self.task.verification.clone();
        match self.factory.try_commit(run, over, &self.task.verify).await {
            Ok(reports) => Ok(match reports.into_iter().find(|report| !report.ok) {
                None => (Outcome::Solved, None),
                Some(report) => (Outcome::Wrong, Some(failure(&report))),
            }),
            // Something stands in the way of the verification, which the model has put there.
            Err(Error::Conflict { detail, .. }) => Ok((Outcome::Wrong, Some(detail))),
            Err(error) => Err(error.into()),
        }
    }

    async fn events(&self, run: RunId) -> Result<Vec<Event>, EvaluationError> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(Seq(0), |event| event.seq);
            let page = Page::after(after, Page::<Seq>::MAX);
            let more = self.factory.reader().events(run, page).await?;
            let last = more.len() < Page::<Seq>::MAX as usize;
            events.extend(more);
            if last {
                return Ok(events);
            }
        }
    }

    async fn project(&self) -> Result<Project, EvaluationError> {
        let name = self.project_name();
        match self.factory.reader().project(&name).await {
            Err(Error::UnknownProject(_)) => {}
            found => return Ok(found?),
        }
        let path = self.repositories.join(&name);
        let files = self.task.repository.clone();
        let folder = path.clone();
        let laid = tokio::task::spawn_blocking(move || lay_anew(&folder, &files)).await;
        laid.map_err(|error| Error::Internal(error.to_string()))??;
        let added = self.factory.add_project(AddProject {
            path,
            name: Some(name),
            setup: Some(self.task.setup.clone()),
            checks: Some(self.task.checks.clone()),
            init: true,
            ..AddProject::default()
        });
        Ok(added.await?.project)
    }

    /// Returns a name that no task has under other terms or with other files.
    fn project_name(&self) -> String {
        let key = serde_json::to_vec(&self.key).expect("a key has only string keys");
        let hash = BlobId::of(&key).to_string();
        format!("{}-{}", self.task.name, &hash[..12])
    }

    fn submit(&self, project: &Project) -> Submit {
        Submit {
            project: project.name.clone(),
            goal: self.task.goal.clone(),
            spec: self.spec(),
            priority: 0,
        }
    }

    /// Returns how the run is to be done. The bound is on turns, because those are the calls that were answered: what an
    /// interruption cut off is not charged to the model.
    fn spec(&self) -> RunSpec {
        let mut budget = self.terms.budget;
        budget.turns = BudgetLimit::AtMost(self.terms.calls);
        budget.calls = BudgetLimit::Unlimited;
        RunSpec {
            model: self.terms.model.clone(),
            approval: ApprovalPolicy::Unattended,
            budget,
            sampling: Sampling {
                seed: self.terms.seed,
                ..Sampling::default()
            },
            protocol: self.terms.protocol,
            ..RunSpec::default()
        }
    }
}

/// Writes the files of a repository into a folder that holds nothing else. Blocks.
fn lay_anew(folder: &Path, files: &[LaidFile]) -> Result<(), EvaluationError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(EvaluationError::io("remove", folder)(error));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder).map_err(EvaluationError::io("make the folder", folder))?;
    for file in files {
        let path: PathBuf = folder.join(file.path.as_str());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(EvaluationError::io("make the folder", parent))?;
        }
        std::fs::write(&path, &file.content).map_err(EvaluationError::io("write", &path))?;
        if file.executable {
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, executable).map_err(EvaluationError::io("write", &path))?;
        }
    }
    Ok(())
}

/// Says how a command of the verification failed: the end of its output says most.
fn failure(report: &CommandReport) -> String {
    let output = report.output.trim();
    let from = output.floor_char_boundary(output.len().saturating_sub(TOLD));
    let cut = if from > 0 { "…" } else { "" };
    format!("`{}`: {}: {cut}{}", report.command, report.ended, &output[from..])
}
