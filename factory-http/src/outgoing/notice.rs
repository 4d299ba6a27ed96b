//! What is told: of which events, and in which words.
//!
//! The attributes have the names and meanings of `CloudEvents` 1.0. A notice is made from the stored event and from what
//! of its run does not change, so that it says what happened then, however late it is told.

use factory_core::model::{ApprovalKind, ApprovalSubject, Event, EventKind, Run, RunStatus, StatusReason};
use serde::{Deserialize, Serialize};

use crate::render::sanitize;

/// The most characters of a text in a notice; the whole is with the factory.
const LONGEST_TEXT: usize = 2000;

/// The most characters of the line that sums up.
const LONGEST_LINE: usize = 200;

/// When somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Occasion {
    /// A run waits for the operator's decision.
    Waiting,
    /// A run rests, and it was not the operator who asked for it.
    Parked,
    /// A run cannot be done.
    Failed,
    /// A run's goal is reached.
    Complete,
}

impl Occasion {
    /// Every occasion.
    pub(crate) const ALL: [Self; 4] = [Self::Waiting, Self::Parked, Self::Failed, Self::Complete];

    /// Returns the occasion that an event is; none for most.
    pub(super) fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::ApprovalRequested(_) => Some(Self::Waiting),
            EventKind::RunPaused(paused) if paused.reason != StatusReason::Operator => Some(Self::Parked),
            EventKind::RunFailed(_) => Some(Self::Failed),
            EventKind::RunComplete(_) => Some(Self::Complete),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Failed => "failed",
            Self::Complete => "complete",
        }
    }

    /// Returns the status that the run had with the event.
    fn status(self) -> RunStatus {
        match self {
            Self::Waiting => RunStatus::AwaitingApproval,
            Self::Parked => RunStatus::Paused,
            Self::Failed => RunStatus::Failed,
            Self::Complete => RunStatus::Complete,
        }
    }
}

/// Who tells: the same in every notice.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    /// The factory's own name, by which its notices are told from those of others.
    pub(super) factory: String,
    /// Where the console is reached, without a slash at the end; none where nobody said.
    pub(super) public_url: Option<String>,
}

/// What one receiver is told of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// The notice's name: the same however often it is told, and never that of another.
    pub(super) id: String,
    /// The run's number.
    pub(super) run: String,
    /// The run's status.
    pub(super) status: &'static str,
    /// What happened, in one line.
    pub(super) summary: String,
    /// The notice as JSON.
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    run_id: i64,
    project_id: Option<i64>,
    /// The project's name.
    project: Option<&'a str>,
    goal: String,
    /// The number of the event within its run.
    seq: u64,
    status: &'static str,
    reason: Option<&'static str>,
    /// The reason in words.
    detail: Option<String>,
    summary: &'a str,
    asked: Option<Asked>,
    commit: Option<String>,
    branch: Option<String>,
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Asked {
    approval_id: i64,
    kind: ApprovalKind,
    /// The command, the question, or the proposed commit message.
    text: String,
    /// The tree that is offered, where one is.
    tree: Option<String>,
    /// Whether the checks proved it, where a tree is offered.
    proven: Option<bool>,
}

impl Notice {
    /// Returns what is told of an event of this run, whose project has this name; none where the event is no occasion.
    pub(super) fn new(teller: &Teller, run: &Run, project: Option<&str>, event: &Event) -> Option<Self> {
        let occasion = Occasion::of(&event.kind)?;
        let id = format!("{}-{}", teller.factory, event.id);
        let status = occasion.status().as_str();
        let summary = sanitize::short(&summary(run, &event.kind), LONGEST_LINE);
        let (reason, detail) = reason(&event.kind);
        let (commit, branch) = match &event.kind {
            EventKind::RunComplete(complete) => (
                complete.commit.as_ref().map(ToString::to_string),
                complete.branch.clone(),
            ),
            _ => (None, None),
        };
        let source = match &teller.public_url {
            Some(url) => url.clone(),
            None => format!("urn:ai-dev-factory:{}", teller.factory),
        };
        let envelope = Envelope {
            specversion: "1.0",
            id: &id,
            source,
            r#type: format!("factory.run.{}", occasion.as_str()),
            subject: format!("runs/{}", run.id),
            time: event.created_at.to_string(),
            datacontenttype: "application/json",
            data: Data {
                run_id: run.id.0,
                project_id: run.project_id.map(|project| project.0),
                project,
                goal: cut(&run.goal),
                seq: event.seq.0,
                status,
                reason,
                detail: detail.map(cut),
                summary: &summary,
                asked: asked(&event.kind),
                commit,
                branch,
                url: teller
                    .public_url
                    .as_ref()
                    .map(|url| format!("{url}/runs/{}", run.id)),
            },
        };
        let body = serde_json::to_vec(&envelope).expect("a notice is a struct with text keys");
        Some(Self {
            id,
            run: run.id.to_string(),
            status,
            summary,
            body,
        })
    }
}

fn reason(kind: &EventKind) -> (Option<&'static str>, Option<&str>) {
    match kind {
        EventKind::ApprovalRequested(_) => (Some(StatusReason::ApprovalNeeded.as_str()), None),
        EventKind::RunPaused(paused) => (Some(paused.reason.as_str()), paused.detail.as_deref()),
        EventKind::RunFailed(failed) => (Some(failed.reason.as_str()), Some(&failed.detail)),
        _ => (None, None),
    }
}

fn asked(kind: &EventKind) -> Option<Asked> {
    let EventKind::ApprovalRequested(requested) = kind else {
        return None;
    };
    let (text, tree, is_proven) = match &requested.subject {
        ApprovalSubject::Command { command, .. } => (command, None, None),
        ApprovalSubject::Question { text } => (text, None, None),
        ApprovalSubject::Tree {
            message,
            tree,
            proven,
            ..
        } => (message, Some(tree.to_string()), Some(*proven)),
    };
    Some(Asked {
        approval_id: requested.approval.0,
        kind: requested.subject.kind(),
        text: cut(text),
        tree,
        proven: is_proven,
    })
}

/// Returns what happened in one line, which is cut and made harmless by the caller.
fn summary(run: &Run, kind: &EventKind) -> String {
    let because = |reason: StatusReason, detail: Option<&str>| match detail {
        Some(detail) => format!("({reason}): {detail}"),
        None => format!("({reason}): {}", run.goal),
    };
    let what = match kind {
        EventKind::ApprovalRequested(requested) => match &requested.subject {
            ApprovalSubject::Command { command, .. } => format!("asks to run: {command}"),
            ApprovalSubject::Question { text } => format!("asks: {text}"),
            ApprovalSubject::Tree { proven: true, .. } => format!("offers a proven change: {}", run.goal),
            ApprovalSubject::Tree { .. } => format!("offers a change that no check proved: {}", run.goal),
        },
        EventKind::RunPaused(paused) => {
            format!("is parked {}", because(paused.reason, paused.detail.as_deref()))
        }
        EventKind::RunFailed(failed) => format!("failed {}", because(failed.reason, Some(&failed.detail))),
        _ => format!("is complete: {}", run.goal),
    };
    format!("Run {} {what}", run.id)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
