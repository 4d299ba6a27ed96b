//! The operator's decisions: by run, about what it asks now, or by the approval's own number, as an inbox does.

use super::control::checked;
use super::{ApproveTree, Factory, Verdict};
use crate::error::Error;
use crate::model::payload::ApprovalDecided;
use crate::model::{Approval, ApprovalId, ApprovalSubject, Decision, DecisionKind, Run, RunId, TreeId, Verb};
use crate::store::{ApprovalChange, Urgency};

impl Factory {
    /// Answers the question that the run asks.
    pub async fn answer(&self, run: RunId, text: &str) -> Result<Run, Error> {
        let verdict = Verdict::Answer {
            text: text.to_owned(),
        };
        let asked = self.asked(run, &verdict).await?;
        self.settle(asked, verdict).await
    }

    /// Approves the tree that the run offers, and no other: [`Error::Conflict`] where it is not the one given.
    pub async fn approve(&self, run: RunId, approve: ApproveTree) -> Result<Run, Error> {
        let verdict = Verdict::Approve {
            tree: Some(approve.tree),
            message: approve.message,
        };
        let asked = self.asked(run, &verdict).await?;
        self.settle(asked, verdict).await
    }

    /// Rejects what the run offers; the reason goes to the agent as a directive, and the run goes on.
    pub async fn reject(&self, run: RunId, because: &str) -> Result<Run, Error> {
        let verdict = Verdict::Reject {
            because: because.to_owned(),
        };
        let asked = self.asked(run, &verdict).await?;
        self.settle(asked, verdict).await
    }

    /// Decides the approval of this number. [`Error::Conflict`] where it is decided already, was taken back, or offers
    /// another tree than the verdict names; [`Error::NotAllowed`] where its run does not allow the verdict.
    pub async fn decide(&self, id: ApprovalId, verdict: Verdict) -> Result<Run, Error> {
        let approval = self.inner.reader.approval(id).await?;
        let run = approval.run_id;
        let conflict = |detail: String| Err(Error::Conflict { run, detail });
        if let Some(decision) = &approval.decision {
            let decided = match decision.kind {
                DecisionKind::Approved => "approved",
                DecisionKind::Rejected => "rejected",
                DecisionKind::Answered => "answered",
            };
            return conflict(format!("approval {id} was {decided} already, by {}", decision.by));
        }
        let asked = self.asked(run, &verdict).await?;
        if asked.id != id {
            return conflict(format!(
                "approval {id} is no longer asked; the run asks approval {} now",
                asked.id
            ));
        }
        self.settle(asked, verdict).await
    }

    /// Returns what the run asks, where it allows the verdict.
    async fn asked(&self, run: RunId, verdict: &Verdict) -> Result<Approval, Error> {
        let verb = match verdict {
            Verdict::Approve { .. } => Verb::Approve,
            Verdict::Reject { .. } => Verb::Reject,
            Verdict::Answer { .. } => Verb::Answer,
        };
        let (_, asked) = self.require(run, verb).await?;
        asked.ok_or_else(|| Error::Internal(format!("run {run} allows {verb} and asks nothing")))
    }

    async fn settle(&self, asked: Approval, verdict: Verdict) -> Result<Run, Error> {
        let (kind, text) = match verdict {
            Verdict::Approve { tree, message } => {
                is_offered(&asked, tree.as_ref())?;
                let message = message.map(|message| checked(&message, "commit message"));
                (DecisionKind::Approved, message.transpose()?)
            }
            Verdict::Reject { because } => (DecisionKind::Rejected, Some(checked(&because, "reason")?)),
            Verdict::Answer { text } => (DecisionKind::Answered, Some(checked(&text, "answer")?)),
        };
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
}

/// Checks that what was reviewed is what is offered.
fn is_offered(asked: &Approval, reviewed: Option<&TreeId>) -> Result<(), Error> {
    let conflict = |detail: String| {
        let run = asked.run_id;
        Err(Error::Conflict { run, detail })
    };
    match (&asked.subject, reviewed) {
        (ApprovalSubject::Tree { tree, .. }, Some(reviewed)) if tree != reviewed => conflict(format!(
            "it offers tree {tree}, not {reviewed}; look at the diff again"
        )),
        (ApprovalSubject::Tree { .. }, _) => Ok(()),
        _ => conflict("it offers no tree; it asks something else".to_owned()),
    }
}
