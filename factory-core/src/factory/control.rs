//! The operator's verbs on a run. Each answers when it is stored; after a pause's or stop's answer no effect starts.

use super::Factory;
use crate::error::Error;
use crate::gate::Closing;
use crate::journal::{Entry, JournalError};
use crate::model::payload::{
    BudgetRaised, DirectiveReceived, ReviewCommented, RunPaused, RunResumed, RunStopped,
};
use crate::model::{Approval, Budget, Comment, EventKind, NewEvent, Run, RunId, StatusReason, Verb};
use crate::store::{ApprovalChange, Page, Urgency};

/// The longest directive, comment, answer or reason: 64 KiB.
const MAX_TEXT: usize = 64 << 10;

/// The longest path that a comment names.
const MAX_PATH: usize = 4096;

impl Factory {
    /// Pauses the run: a generation is cut, a running command or check may end and is recorded.
    /// [`Error::NotAllowed`] where the run rests already.
    pub async fn pause(&self, run: RunId) -> Result<Run, Error> {
        self.require(run, Verb::Pause).await?;
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
        self.require(run, Verb::Resume).await?;
        self.say(run, RunResumed {}.into(), None, Urgency::Normal).await
    }

    /// Ends the run for good: whatever it runs is killed with all its processes.
    pub async fn stop(&self, run: RunId) -> Result<Run, Error> {
        self.require(run, Verb::Stop).await?;
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
        self.require(run, Verb::Direct).await?;
        self.say(run, DirectiveReceived { text }.into(), None, Urgency::Normal)
            .await
    }

    /// Comments on the run's changes. The agent hears it with its next model call, in order with what is directed; a run
    /// that waits for an approval goes on and hears it when that is rejected.
    ///
    /// [`Error::BadInput`] for a text that is empty or too long, a path that is no path within a repository, and a line
    /// that is 0 or of no file.
    pub async fn comment(&self, run: RunId, comment: Comment) -> Result<Run, Error> {
        let comment = checked_comment(comment)?;
        self.require(run, Verb::Comment).await?;
        self.say(run, ReviewCommented { comment }.into(), None, Urgency::Normal)
            .await
    }

    /// Sets the run's bounds anew. A run that is paused because they were spent may then be resumed.
    pub async fn raise(&self, run: RunId, budget: Budget) -> Result<Run, Error> {
        self.require(run, Verb::Raise).await?;
        self.say(run, BudgetRaised { budget }.into(), None, Urgency::Normal)
            .await
    }

    /// Returns the run and what it asks, where it allows the verb.
    pub(super) async fn require(&self, run: RunId, verb: Verb) -> Result<(Run, Option<Approval>), Error> {
        let store = self.inner.journal.store();
        let row = store.run(run).await?;
        let asked = store.open_approvals(Some(run), Page::first(1)).await?;
        let asked = asked.into_iter().next();
        let kind = asked.as_ref().map(|approval| approval.subject.kind());
        match row.refusal(verb, kind) {
            None => Ok((row, asked)),
            Some(source) => Err(Error::NotAllowed { run, source }),
        }
    }

    pub(super) async fn say(
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
        match self.inner.journal.write(run, None, entry).await {
            Ok((row, _)) => Ok(row),
            // It moved on between the question and the write.
            Err(JournalError::Refused { run, source }) => {
                let mut refusal = crate::model::Refusal::from(source);
                let store = self.inner.journal.store();
                let asked = store.open_approvals(Some(run), Page::first(1)).await?;
                let kind = asked.first().map(|approval| approval.subject.kind());
                refusal.allowed = store.run(run).await?.verbs(kind);
                Err(Error::NotAllowed { run, source: refusal })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn checked_comment(mut comment: Comment) -> Result<Comment, Error> {
    comment.text = checked(&comment.text, "comment")?;
    if let Some(path) = &comment.path {
        let is_path = !path.is_empty() && path.len() <= MAX_PATH && !path.starts_with('/');
        if !is_path || path.chars().any(char::is_control) {
            return Err(Error::BadInput(format!(
                "`{}` is no path within the repository; name the file as the diff does",
                path.chars().take(200).collect::<String>().escape_debug()
            )));
        }
    }
    match (&comment.path, comment.line) {
        (_, Some(0)) => Err(Error::BadInput(
            "there is no line 0; lines are counted from 1".to_owned(),
        )),
        (None, Some(_)) => Err(Error::BadInput("the comment names a line and no file".to_owned())),
        _ => Ok(comment),
    }
}

pub(super) fn checked(text: &str, what: &str) -> Result<String, Error> {
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
