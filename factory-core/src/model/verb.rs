//! What an operator can ask of a run, and which of it the run allows now.
//!
//! A verb is not a [`Transition`]: those are what happens to a run, verbs are what somebody may say.
//! One pure function, [`Run::refusal`], decides; every front end shows and every verb asks it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApprovalKind, InvalidId, InvalidTransition, Run, RunStatus, Transition};

/// What an operator can ask of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Let it rest.
    Pause,
    /// Let it go on.
    Resume,
    /// End it for good.
    Stop,
    /// Tell the agent something.
    Direct,
    /// Approve the tree that it offers.
    Approve,
    /// Reject what it offers or asks.
    Reject,
    /// Answer its question.
    Answer,
    /// Set what it may spend.
    Raise,
    /// Comment on its changes.
    Comment,
    /// Do the same goal again, as a new run.
    Retry,
    /// Go on from one of its checkpoints, as a new run.
    Fork,
    /// File a goal that starts from its result.
    Continue,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 12] = [
        Self::Pause,
        Self::Resume,
        Self::Stop,
        Self::Direct,
        Self::Approve,
        Self::Reject,
        Self::Answer,
        Self::Raise,
        Self::Comment,
        Self::Retry,
        Self::Fork,
        Self::Continue,
    ];

    /// Returns the word by which it is served and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Direct => "direct",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Answer => "answer",
            Self::Raise => "raise",
            Self::Comment => "comment",
            Self::Retry => "retry",
            Self::Fork => "fork",
            Self::Continue => "continue",
        }
    }

    /// Returns what a run that refuses it cannot do.
    fn passive(self) -> &'static str {
        match self {
            Self::Pause => "be paused",
            Self::Resume => "be resumed",
            Self::Stop => "be stopped",
            Self::Direct => "be directed",
            Self::Approve => "be approved",
            Self::Reject => "be rejected",
            Self::Answer => "be answered",
            Self::Raise => "be given another budget",
            Self::Comment => "be commented on",
            Self::Retry => "be retried",
            Self::Fork => "be forked",
            Self::Continue => "be continued",
        }
    }

    /// Returns whether a run of this status may allow the verb; what else it needs is asked of the run.
    fn suits(self, status: RunStatus) -> bool {
        match self {
            Self::Pause => status.after(Transition::Pause).is_ok(),
            Self::Resume => status.after(Transition::Resume).is_ok(),
            Self::Stop => status.after(Transition::Stop).is_ok(),
            Self::Direct | Self::Raise | Self::Comment => !status.is_final(),
            Self::Approve | Self::Reject | Self::Answer => status.after(Transition::Decide).is_ok(),
            Self::Retry => status.is_final(),
            Self::Fork => true,
            Self::Continue => status == RunStatus::Complete,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let verb = Self::ALL.into_iter().find(|verb| verb.as_str() == text);
        verb.ok_or_else(|| InvalidId {
            text: text.chars().take(80).collect(),
            expected: "a verb such as pause, resume or stop",
        })
    }
}

/// Why a run does not do what was asked of it, and what it would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// The status that the run has.
    pub status: RunStatus,
    /// The verbs that it allows now.
    pub allowed: Vec<Verb>,
    /// Why, in words.
    pub why: String,
}

impl From<InvalidTransition> for Refusal {
    /// Of a run of which nothing but the status is known: the verbs are those that the status alone decides.
    fn from(refused: InvalidTransition) -> Self {
        use Verb::{Comment, Direct, Pause, Raise, Resume, Stop};
        let mut allowed = vec![Pause, Resume, Stop, Direct, Raise, Comment];
        allowed.retain(|verb| verb.suits(refused.from));
        Self {
            status: refused.from,
            allowed,
            why: refused.to_string(),
        }
    }
}

impl Run {
    /// Returns the verbs that the run allows now. `asked` is what it asks the operator, where it asks something.
    pub fn verbs(&self, asked: Option<ApprovalKind>) -> Vec<Verb> {
        let mut verbs = Verb::ALL.to_vec();
        verbs.retain(|verb| self.objection(*verb, asked).is_none());
        verbs
    }

    /// Returns why the run refuses the verb; none where it allows it.
    pub fn refusal(&self, verb: Verb, asked: Option<ApprovalKind>) -> Option<Refusal> {
        let why = self.objection(verb, asked)?;
        Some(Refusal {
            status: self.status,
            allowed: self.verbs(asked),
            why,
        })
    }

    fn objection(&self, verb: Verb, asked: Option<ApprovalKind>) -> Option<String> {
        let status = self.status;
        let cannot = verb.passive();
        if !verb.suits(status) {
            let hint = match verb {
                Verb::Retry => "; stop it first, or fork it",
                Verb::Approve | Verb::Reject | Verb::Answer => "; it asks nothing",
                _ => "",
            };
            return Some(format!("a run that is {status} cannot {cannot}{hint}"));
        }
        match (verb, asked) {
            (Verb::Approve | Verb::Reject | Verb::Answer, None) => Some("it asks nothing".to_owned()),
            (Verb::Approve, Some(ApprovalKind::Question)) => {
                Some("it offers no tree; it asks a question, which is answered".to_owned())
            }
            (Verb::Approve, Some(ApprovalKind::Command)) => {
                Some("it offers no tree; it asks something else".to_owned())
            }
            (Verb::Answer, Some(ApprovalKind::Tree | ApprovalKind::Command)) => {
                Some("it asks for an approval, not for an answer; use approve or reject".to_owned())
            }
            (Verb::Retry | Verb::Fork | Verb::Continue, _) if self.project_id.is_none() => Some(format!(
                "its project is gone, so it cannot {cannot}; register the repository and file the goal anew"
            )),
            (Verb::Fork, _) if self.base().is_none() => Some(format!(
                "it never had a commit to start from, so it cannot {cannot}"
            )),
            (Verb::Continue, _) if self.commit.is_none() => Some(format!(
                "it changed nothing, so it has no commit and cannot {cannot}; file the goal as a run of its own"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommitId, Fence, ProjectId, RunId, RunSpec, Seq, Timestamp, Usage};

    fn run(status: RunStatus) -> Run {
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        Run {
            id: RunId(1),
            project_id: Some(ProjectId(1)),
            goal: "goal".to_owned(),
            status,
            reason: None,
            detail: None,
            current_iteration: 0,
            priority: 0,
            spec: RunSpec::default(),
            base_commit: Some(commit.clone()),
            branch: None,
            commit: (status == RunStatus::Complete).then_some(commit),
            usage: Usage::default(),
            last_seq: Seq(1),
            fence: Fence(0),
            claim: None,
            created_at: Timestamp::UNKNOWN,
            updated_at: Timestamp::UNKNOWN,
        }
    }

    fn words(verbs: &[Verb]) -> String {
        let words: Vec<_> = verbs.iter().map(|verb| verb.as_str()).collect();
        words.join(" ")
    }

    /// Returns the table of verbs as it stands in `docs/run-lifecycle.md`.
    fn table() -> String {
        let mut lines = vec!["status | verbs".to_owned(), "--- | ---".to_owned()];
        for status in RunStatus::ALL {
            let asked = match status {
                RunStatus::AwaitingApproval => {
                    vec![
                        (" (a tree)", Some(ApprovalKind::Tree)),
                        (" (a question)", Some(ApprovalKind::Question)),
                    ]
                }
                _ => vec![("", None)],
            };
            for (what, asked) in asked {
                lines.push(format!("{status}{what} | {}", words(&run(status).verbs(asked))));
            }
        }
        lines.join("\n")
    }

    #[test]
    fn the_table_of_verbs_is_the_documented_one() {
        insta::assert_snapshot!(table());
        let document = include_str!("../../../docs/run-lifecycle.md");
        assert!(
            document.contains(&table()),
            "docs/run-lifecycle.md lacks this table:\n{}",
            table()
        );
    }

    #[test]
    fn a_refusal_says_why_and_what_is_allowed() {
        let complete = run(RunStatus::Complete);
        let refusal = complete.refusal(Verb::Pause, None).unwrap();
        assert_eq!(
            (refusal.to_string().as_str(), words(&refusal.allowed).as_str()),
            ("a run that is COMPLETE cannot be paused", "retry fork continue")
        );
        assert_eq!(complete.refusal(Verb::Continue, None), None);

        let mut alone = run(RunStatus::Failed);
        alone.project_id = None;
        let refusal = alone.refusal(Verb::Fork, None).unwrap();
        assert!(
            refusal.to_string().starts_with("its project is gone"),
            "{refusal}"
        );
        assert_eq!(refusal.allowed, []);

        let mut old = run(RunStatus::Stopped);
        old.base_commit = None;
        assert_eq!(
            old.verbs(None),
            [Verb::Retry],
            "it starts from the branch as it stands now"
        );
    }

    #[test]
    fn words_are_the_serde_words() {
        for verb in Verb::ALL {
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
            assert_eq!(verb.as_str().parse::<Verb>().unwrap(), verb);
        }
    }
}
