//! What the program says when it cannot do what was asked: one shape, in process, over the socket and on the screen.
//!
//! The core's errors do not travel; their texts and the few distinctions that a caller acts on do.

use factory_core::Error;
use factory_core::llm::LlmError;
use factory_core::store::StoreError;
use factory_core::vcs::VcsError;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// What kind of failure it is, as far as anybody acts on it. Stable: scripts read it from the `--json` output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// What was given cannot be used, or names nothing that is there.
    Usage,
    /// The run's status does not allow it.
    NotAllowed,
    /// What was reviewed is not what stands there now.
    Conflict,
    /// Another process owns the data folder and serves nothing.
    Owned,
    /// The owner went away before it answered; whether it was done is unknown.
    Lost,
    /// It was tried and did not work.
    Failed,
}

/// Why something was not done, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What kind of failure it is.
    pub(crate) kind: FailureKind,
    /// What happened.
    pub(crate) message: String,
    /// What led to it, outermost first, without what the message says already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<String>,
    /// The way out, where the message does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Failure {
    /// Returns a failure of this kind.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            remedy: None,
        }
    }

    /// Returns a failure about what was given.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, message)
    }

    /// Returns a failure of something that was tried.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, message)
    }

    /// Returns a failure of something that was tried, with its cause.
    pub(crate) fn caused(message: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        let mut failure = Self::failed(message);
        failure.add_chain(Some(cause));
        failure
    }

    /// Returns the failure with a way out.
    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Returns the exit code that the failure leads to.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            FailureKind::Usage => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Adds the causes, leaving out those whose text stands already in what is said before.
    fn add_chain(&mut self, mut cause: Option<&dyn std::error::Error>) {
        while let Some(error) = cause {
            let text = error.to_string();
            let told = std::iter::once(&self.message)
                .chain(&self.causes)
                .any(|before| before.contains(&text));
            if !told {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, remedy) = classify(&error);
        let mut failure = Self::new(kind, error.to_string());
        failure.add_chain(std::error::Error::source(&error));
        failure.remedy = remedy;
        failure
    }
}

fn classify(error: &Error) -> (FailureKind, Option<String>) {
    match error {
        Error::InList { source, .. } => classify(source),
        full if full.is_storage_full() => (
            FailureKind::Failed,
            Some("make room on that disk, then say it again; nothing that was stored is lost".to_owned()),
        ),
        Error::UnknownProject(_)
        | Error::BadInput(_)
        | Error::NameTaken(_)
        | Error::UnknownToken(_)
        | Error::Llm(LlmError::Unusable { .. } | LlmError::Script { .. } | LlmError::Recording { .. })
        | Error::Store(StoreError::AlreadyExists { .. })
        | Error::Vcs(
            VcsError::NotARepository(_)
            | VcsError::BadPath { .. }
            | VcsError::Empty(_)
            | VcsError::Unborn { .. }
            | VcsError::BadRefName(_),
        ) => (FailureKind::Usage, None),
        Error::Vcs(VcsError::UnknownRevision { .. }) => (
            FailureKind::Usage,
            Some("name a branch, a tag or a commit of that repository".to_owned()),
        ),
        Error::Store(StoreError::NotFound { kind, .. }) => {
            let list = match *kind {
                "run" => Some("`factory list` shows the runs".to_owned()),
                "project" => Some("`factory project list` shows the projects".to_owned()),
                _ => None,
            };
            (FailureKind::Usage, list)
        }
        Error::Llm(LlmError::Unreachable { .. }) => (
            FailureKind::Failed,
            Some(
                "start that server; `factory doctor` says how, and `factory models` what each endpoint says"
                    .to_owned(),
            ),
        ),
        Error::NotAllowed { run, source } => {
            let verbs: Vec<&str> = source.allowed.iter().map(|verb| verb.as_str()).collect();
            let remedy = if verbs.is_empty() {
                format!("`factory show {run}` says how it stands")
            } else {
                format!(
                    "it allows now: {}; `factory show {run}` says more",
                    verbs.join(", ")
                )
            };
            (FailureKind::NotAllowed, Some(remedy))
        }
        Error::Conflict { run, .. } => (
            FailureKind::Conflict,
            Some(format!(
                "`factory show {run}` and `factory diff {run}` show what stands there now"
            )),
        ),
        Error::Owned { pid, .. } => (
            FailureKind::Owned,
            Some(format!(
                "that process serves no control socket, so it alone can do this: use its own interface, or end {}",
                pid.map_or_else(|| "it".to_owned(), |pid| format!("process {pid}"))
            )),
        ),
        _ => (FailureKind::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use factory_core::model::{RunId, RunStatus, Transition};

    use super::*;

    #[test]
    fn a_refused_change_is_told_once_with_a_way_out() {
        let refused = RunStatus::Complete.after(Transition::Pause).unwrap_err();
        let failure = Failure::from(Error::NotAllowed {
            run: RunId(7),
            source: refused.into(),
        });
        assert_eq!(
            failure,
            Failure {
                kind: FailureKind::NotAllowed,
                message: "run 7: a run that is COMPLETE cannot be paused".to_owned(),
                causes: vec![],
                remedy: Some("`factory show 7` says how it stands".to_owned()),
            }
        );
    }

    #[test]
    fn the_chain_is_kept() {
        let source = std::io::Error::other("no space");
        let error = Error::Io {
            action: "write",
            path: "/data/x".into(),
            source,
        };
        let failure = Failure::from(error);
        assert_eq!(failure.message, "cannot write `/data/x`");
        assert_eq!(failure.causes, ["no space"]);
        assert_eq!(failure.exit(), Exit::Failed);
    }
}
