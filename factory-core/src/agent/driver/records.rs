//! Tool calls that touch no file: looking at the changes and the history, the plan, the end of a step, a question. They
//! change the run's own records at most, so that start and end are stored together.

use std::fmt::Write as _;

use super::tool::{Current, Misfit, said};
use super::{Driver, Then};
use crate::error::Error;
use crate::journal::Entry;
use crate::model::payload::{ApprovalRequested, PlanGenerated, PlanRevised};
use crate::model::{ApprovalPolicy, ApprovalSubject, NewEvent, Plan};
use crate::store::ApprovalChange;
use crate::tools::{self, Outcome};

impl Driver {
    pub(super) async fn git_diff(&self, paths: &[String]) -> Result<Outcome, Error> {
        let ground = &self.equipment.ground;
        let snapshot = ground
            .vcs
            .snapshot(&ground.store(), &self.equipment.place().checkout())
            .await?;
        let Some(base) = self.state.base_tree() else {
            return Ok(said(
                false,
                "nothing is checked out yet".to_owned(),
                "git_diff".to_owned(),
            ));
        };
        let diff = ground
            .vcs
            .diff(&ground.store(), base, &snapshot.tree, paths)
            .await?;
        let text = if diff.files.is_empty() {
            "no changes so far".to_owned()
        } else {
            tools::bounded(&diff.text, tools::MAX_RESULT)
        };
        Ok(said(true, text, counted(diff.files.len(), "file")))
    }

    pub(super) async fn git_log(&self, count: u32) -> Result<Outcome, Error> {
        let Some(base) = &self.state.spec.base else {
            return Ok(said(
                false,
                "there is no history".to_owned(),
                "git_log".to_owned(),
            ));
        };
        let lines = self
            .equipment
            .ground
            .vcs
            .log(&self.equipment.ground.store(), base, count)
            .await?;
        let summary = counted(lines.len(), "commit");
        Ok(said(
            true,
            tools::bounded(&lines.join("\n"), tools::MAX_RESULT),
            summary,
        ))
    }

    pub(super) async fn update_plan(&mut self, current: &Current, steps: Vec<String>) -> Result<Then, Error> {
        let plan = self
            .state
            .new_plan(steps.iter().map(|step| crate::agent::plan_reply::title(step)));
        let Plan { steps } = &plan;
        let list = steps
            .iter()
            .zip(1..)
            .fold(String::new(), |mut list, (step, number)| {
                let _ = write!(list, "\n{number}. {}", step.title);
                list
            });
        let count = steps.len();
        let event = if self.state.plan.is_none() {
            NewEvent::by(Self::agent(), PlanGenerated { plan, implied: false })
        } else {
            NewEvent::by(Self::agent(), PlanRevised { plan })
        };
        let outcome = said(true, format!("The plan is noted:{list}"), counted(count, "step"));
        self.at_once(current, outcome, vec![event], Misfit::default())
            .await
    }

    pub(super) async fn finish_step(&mut self, current: &Current, summary: String) -> Result<Then, Error> {
        let Some(step) = self.state.active_step else {
            let text = "no step is active now; the next one is named to you".to_owned();
            let outcome = said(false, text.clone(), text);
            return self
                .at_once(current, outcome, Vec::new(), Misfit::default())
                .await;
        };
        let outcome = said(
            true,
            "The step is finished.".to_owned(),
            crate::agent::plan_reply::title(&summary),
        );
        let events = self.step_finished(step, summary, &Self::agent()).await?;
        self.at_once(current, outcome, events, Misfit::default()).await
    }

    pub(super) async fn ask_operator(&mut self, current: &Current, question: String) -> Result<Then, Error> {
        if let Some((place, decision)) = &self.state.answer
            && *place == (current.call, current.index)
        {
            let text = format!(
                "The operator answers: {}",
                decision.text.as_deref().unwrap_or("(nothing)")
            );
            let outcome = said(true, text, "answered".to_owned());
            return self
                .at_once(current, outcome, Vec::new(), Misfit::default())
                .await;
        }
        if self.state.spec.approval == ApprovalPolicy::Unattended {
            let text = "No operator is there. Choose the simplest reading of the goal, and say in finish_step what you chose.";
            let outcome = said(false, text.to_owned(), "nobody is there to answer".to_owned());
            return self
                .at_once(current, outcome, Vec::new(), Misfit::default())
                .await;
        }
        let subject = ApprovalSubject::Question { text: question };
        let approval = self.equipment.journal.store().next_approval_id().await?;
        let requested = ApprovalRequested {
            approval,
            subject: subject.clone(),
            tool: Some((current.call, current.index)),
        };
        let mut entry = Entry::one(NewEvent::by(Self::agent(), requested).in_step(self.state.active_step));
        entry.approval = Some(ApprovalChange::Open {
            id: approval,
            subject,
            expires_at: None,
        });
        self.rest(entry).await
    }
}

/// Returns `1 step` or `2 steps`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
