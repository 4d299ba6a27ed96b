//! The operator's verbs on a run. Each answers when it is stored; after a pause's or stop's answer no effect starts.

use super::{ApproveTree, Factory};
use crate::error::Error;
use crate::gate::Closing;
use crate::journal::Entry;
use crate::model::payload::{
    ApprovalDecided, BudgetRaised, DirectiveReceived, RunPaused, RunResumed, RunStopped,
};
use crate::model::{
    Approval, ApprovalSubject, Budget, Decision, DecisionKind, EventKind, NewEvent, Run, RunId, StatusReason,
};
use crate::store::{ApprovalChange, Page, Urgency};

/// The longest directive, answer or reason: 64 KiB.
const MAX_TEXT: usize = 64 << 10;

impl Factory {
    /// Pauses the run: a generation is cut, a running command or check may end and is recorded.
    /// [`Error::NotAllowed`] where the run rests already.
    pub async fn pause(&self, run: RunId) -> Result<Run, Error> {
        self.require(run, crate::model::Transition::Pause).await?;
        let _no_start = self.inner.workers.close(run, Closing::Pause).await;
        let paused = RunPaused {
            reason: StatusReason::Operator,
            detail: Some(format!("paused by the operator; `factory resume {run}` goes on")),
            former_status: None,
        };
        self.say(run, paused.into(), None, Urgency::First).await
    }

    /// Lets a paused run go on: it is QUEUED again.
    pub async fn resume(&self, run: RunId) -> Result<Run, Error> {
        self.say(run, RunResumed {}.into(), None, Urgency::Normal).await
    }

    /// Ends the run for good: whatever it runs is killed with all its processes.
    pub async fn stop(&self, run: RunId) -> Result<Run, Error> {
        self.require(run, crate::model::Transition::Stop).await?;
        let no_start = self.inner.workers.close(run, Closing::Stop).await;
        let stopped = RunStopped {
            detail: Some("stopped by the operator".to_owned()),
        };
        let row = self
            .say(
                run,
                stopped.into(),
                Some(ApprovalChange::CloseAll),
                Urgency::First,
            )
            .await?;
        if no_start.is_some() {
            // Nobody worked on it who would do so.
            self.tidy(run).await;
        }
        Ok(row)
    }

    /// Steers the run: the text is delivered with the next model call.
    pub async fn direct(&self, run: RunId, text: &str) -> Result<Run, Error> {
        let text = checked(text, "directive")?;
        self.require_open(run, "takes no directives").await?;
        self.say(run, DirectiveReceived { text }.into(), None, Urgency::Normal)
            .await
    }

    /// Answers the question that the run asks.
    pub async fn answer(&self, run: RunId, text: &str) -> Result<Run, Error> {
        let text = checked(text, "answer")?;
        let asked = self.asked(run).await?;
        match asked.subject {
            ApprovalSubject::Question { .. } => self.decide(asked, DecisionKind::Answered, Some(text)).await,
            _ => Err(conflict(
                run,
                "it asks for an approval, not for an answer; use approve or reject",
            )),
        }
    }

    /// Approves the tree that the run offers, and no other: [`Error::Conflict`] where it is not the one given.
    pub async fn approve(&self, run: RunId, approve: ApproveTree) -> Result<Run, Error> {
        let asked = self.asked(run).await?;
        let ApprovalSubject::Tree { tree, .. } = &asked.subject else {
            return Err(conflict(run, "it offers no tree; it asks something else"));
        };
        if *tree != approve.tree {
            let detail = format!(
                "it offers tree {tree}, not {}; look at the diff again",
                approve.tree
            );
            return Err(Error::Conflict { run, detail });
        }
        let message = approve
            .message
            .map(|message| checked(&message, "commit message"))
            .transpose()?;
        self.decide(asked, DecisionKind::Approved, message).await
    }

    /// Rejects what the run offers; the reason goes to the agent as a directive, and the run goes on.
    pub async fn reject(&self, run: RunId, because: &str) -> Result<Run, Error> {
        let because = checked(because, "reason")?;
        let asked = self.asked(run).await?;
        self.decide(asked, DecisionKind::Rejected, Some(because)).await
    }

    /// Sets the run's bounds anew. A run that is paused because they were spent may then be resumed.
    pub async fn raise(&self, run: RunId, budget: Budget) -> Result<Run, Error> {
        self.require_open(run, "spends nothing").await?;
        self.say(run, BudgetRaised { budget }.into(), None, Urgency::Normal)
            .await
    }

    async fn require_open(&self, run: RunId, what: &str) -> Result<(), Error> {
        let status = self.inner.journal.store().run(run).await?.status;
        if status.is_final() {
            return Err(conflict(run, &format!("it is {status} and {what} any more")));
        }
        Ok(())
    }

    async fn require(&self, run: RunId, transition: crate::model::Transition) -> Result<(), Error> {
        let row = self.inner.journal.store().run(run).await?;
        match row.status.after(transition) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::NotAllowed { run, source }),
        }
    }

    async fn asked(&self, run: RunId) -> Result<Approval, Error> {
        let store = self.inner.journal.store();
        let row = store.run(run).await?;
        let open = store.open_approvals(Some(run), Page::first(1)).await?;
        let status = row.status;
        open.into_iter()
            .next()
            .ok_or_else(|| conflict(run, &format!("it is {status} and asks nothing")))
    }

    async fn decide(&self, asked: Approval, kind: DecisionKind, text: Option<String>) -> Result<Run, Error> {
        let decision = Decision {
            kind,
            text,
            by: self.operator(),
            at: self.inner.journal.now(),
        };
        let decided = ApprovalDecided {
            approval: Some(asked.id),
            subject: asked.subject,
            decision: decision.clone(),
        };
        let change = ApprovalChange::Decide {
            id: asked.id,
            decision,
        };
        self.say(asked.run_id, decided.into(), Some(change), Urgency::Normal)
            .await
    }

    async fn say(
        &self,
        run: RunId,
        kind: EventKind,
        approval: Option<ApprovalChange>,
        urgency: Urgency,
    ) -> Result<Run, Error> {
        let events = vec![NewEvent::by(self.operator(), kind)];
        let entry = Entry {
            events,
            approval,
            urgency,
            once: self.once_key(),
            ..Entry::default()
        };
        let (row, _) = self.inner.journal.write(run, None, entry).await?;
        Ok(row)
    }
}

fn conflict(run: RunId, detail: &str) -> Error {
    Error::Conflict {
        run,
        detail: detail.to_owned(),
    }
}

fn checked(text: &str, what: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::BadInput(format!("the {what} is empty")));
    }
    if text.len() > MAX_TEXT {
        return Err(Error::BadInput(format!(
            "the {what} has {} bytes; at most {MAX_TEXT} are taken",
            text.len()
        )));
    }
    Ok(text.to_owned())
}
