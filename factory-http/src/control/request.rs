//! Every operation as data, and what it answers. The control socket's vocabulary; a change of meaning raises
//! [`PROTOCOL`](super::frame::PROTOCOL).

use std::path::PathBuf;

use factory_core::factory::credentials::{CredentialView, IssuedCredential, Listed, NewToken};
use factory_core::factory::{
    AddProject, ApproveTree, EndpointModels, Existing, Exported, Finding, ProbedModel, ProjectAdded,
    ProjectChange, RunDiff, RunView, Submit,
};
use factory_core::model::{
    Budget, CredentialId, CredentialSecret, Project, ProjectId, Run, RunId, RunStatus, Seq,
};
use serde::{Deserialize, Serialize};

use super::credentials::LoginLink;

/// What can be asked of a factory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub(crate) enum Request {
    /// A page of projects.
    Projects {
        /// The last project of the page before.
        after: Option<ProjectId>,
        /// At most so many.
        limit: u32,
    },
    /// A project by name, number or path.
    Project {
        /// Which one.
        reference: String,
    },
    /// Register a repository.
    AddProject {
        /// The repository.
        add: AddProject,
    },
    /// Change a project.
    ChangeProject {
        /// Which one.
        reference: String,
        /// How.
        change: ProjectChange,
    },
    /// Forget a project.
    RemoveProject {
        /// Which one.
        reference: String,
    },
    /// A page of runs, newest first.
    Runs {
        /// Those of this project, by name, number or path.
        project: Option<String>,
        /// Those with this status.
        status: Option<RunStatus>,
        /// The last run of the page before.
        after: Option<RunId>,
        /// At most so many.
        limit: u32,
    },
    /// A run with what an operator wants to see of it.
    Show {
        /// Which one.
        run: RunId,
    },
    /// What a run has changed.
    Diff {
        /// Which one.
        run: RunId,
    },
    /// Write a run into a file that plays again.
    Export {
        /// Which one.
        run: RunId,
        /// The file, absolute.
        output: PathBuf,
        /// What becomes of a file that is there already.
        existing: Existing,
    },
    /// A run's stored events after `after`, streamed.
    Events {
        /// Which run's.
        run: RunId,
        /// The last event that is known already; 0 for none.
        after: Seq,
    },
    /// A run's events after `after`, streamed as they come, until the run is final.
    Follow {
        /// Which run's.
        run: RunId,
        /// The last event that is known already; 0 for none.
        after: Seq,
    },
    /// What works here and what does not.
    Doctor,
    /// The models of every endpoint.
    Models,
    /// Make a model ready and say what is known of it.
    ProbeModel {
        /// The model.
        model: String,
    },
    /// Get a model onto its server; how far it has come is streamed. Ends when nobody listens any more.
    PullModel {
        /// The model.
        model: String,
    },
    /// Remove a model from its server.
    RemoveModel {
        /// The model.
        model: String,
    },
    /// File a run.
    Submit {
        /// The goal.
        submit: Box<Submit>,
    },
    /// File runs, all or none.
    SubmitAll {
        /// The goals.
        submits: Vec<Submit>,
    },
    /// Work on a run until it rests; its events after `after` are streamed.
    Drive {
        /// Which one.
        run: RunId,
        /// The last event that is known already; 0 for none.
        after: Seq,
    },
    /// Work on a run until it rests, without anybody waiting for it.
    Start {
        /// Which one.
        run: RunId,
    },
    /// Let a run rest.
    Pause {
        /// Which one.
        run: RunId,
    },
    /// Let a run go on.
    Resume {
        /// Which one.
        run: RunId,
    },
    /// End a run.
    Stop {
        /// Which one.
        run: RunId,
    },
    /// Steer a run.
    Direct {
        /// Which one.
        run: RunId,
        /// The operator's words.
        text: String,
    },
    /// Answer a run's question.
    Answer {
        /// Which one.
        run: RunId,
        /// The answer.
        text: String,
    },
    /// Approve the tree that a run offers.
    Approve {
        /// Which one.
        run: RunId,
        /// The tree.
        approve: ApproveTree,
    },
    /// Reject what a run asks for.
    Reject {
        /// Which one.
        run: RunId,
        /// Why, for the agent.
        because: String,
    },
    /// Change what a run may spend.
    Raise {
        /// Which one.
        run: RunId,
        /// The bounds from now on.
        budget: Budget,
    },
    /// File a final run's goal once more.
    Retry {
        /// Which one.
        run: RunId,
    },
    /// File a run that goes on from an earlier point of another.
    Fork {
        /// Which one.
        run: RunId,
        /// The event from which, or from the last checkpoint before it.
        at: Seq,
        /// Another goal than the run's.
        goal: Option<String>,
    },
    /// Make, list or take back what lets others in.
    Credentials {
        /// Which of them.
        request: CredentialRequest,
    },
}

/// What can be asked about tokens and browser sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum CredentialRequest {
    /// The owner's token, made where there is none.
    OwnerToken,
    /// A page of credentials.
    List {
        /// Which.
        which: Listed,
        /// The last credential of the page before.
        after: Option<CredentialId>,
        /// At most so many.
        limit: u32,
    },
    /// Make a token.
    Add {
        /// Which.
        new: NewToken,
    },
    /// Take a token back.
    Revoke {
        /// Its name or number.
        reference: String,
    },
    /// Replace a token.
    Rotate {
        /// Its name; none for the owner's.
        name: Option<String>,
    },
    /// A link that opens a browser session.
    Login,
}

impl Request {
    /// Returns whether the request changes nothing of the factory, so that it may be asked again and needs no owner.
    pub(crate) fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Projects { .. }
                | Self::Project { .. }
                | Self::Runs { .. }
                | Self::Show { .. }
                | Self::Diff { .. }
                | Self::Export { .. }
                | Self::Events { .. }
                | Self::Follow { .. }
                | Self::Doctor
                | Self::Models
        )
    }

    /// Returns whether asking again after it was lost in the middle does no harm.
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.only_reads()
            || matches!(
                self,
                Self::Drive { .. }
                    | Self::Start { .. }
                    | Self::ProbeModel { .. }
                    | Self::PullModel { .. }
                    | Self::Credentials {
                        request: CredentialRequest::OwnerToken
                            | CredentialRequest::List { .. }
                            | CredentialRequest::Login,
                    }
            )
    }
}

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Projects.
    Projects(Vec<Project>),
    /// A project.
    Project(Box<Project>),
    /// A project that was registered.
    ProjectAdded(Box<ProjectAdded>),
    /// Runs.
    Runs(Vec<Run>),
    /// A run as it stands now.
    Run(Box<Run>),
    /// A run in full.
    View(Box<RunView>),
    /// A difference.
    Diff(Box<RunDiff>),
    /// A run that was written into a file.
    Exported(Box<Exported>),
    /// What the doctor found.
    Findings(Vec<Finding>),
    /// The models of every endpoint.
    Models(Vec<EndpointModels>),
    /// What is known of a model.
    Probed(Box<ProbedModel>),
    /// The model that was got or removed, as runs are filed with it.
    Model(String),
    /// The owner's token.
    OwnerToken(CredentialSecret),
    /// Credentials, without their secrets.
    Credentials(Vec<CredentialView>),
    /// A token that was just made.
    Issued(Box<IssuedCredential>),
    /// A link that opens a browser session.
    LoginLink(Box<LoginLink>),
    /// Everything was streamed, or is under way.
    Done,
}

#[cfg(test)]
mod tests {
    use factory_core::model::RunSpec;

    use super::*;

    #[test]
    fn requests_come_back_whole() {
        let run = RunId(3);
        let requests = [
            Request::Projects {
                after: Some(ProjectId(2)),
                limit: 5,
            },
            Request::Project {
                reference: "x".to_owned(),
            },
            Request::AddProject {
                add: AddProject {
                    path: "/r".into(),
                    ..AddProject::default()
                },
            },
            Request::ChangeProject {
                reference: "x".to_owned(),
                change: ProjectChange::default(),
            },
            Request::RemoveProject {
                reference: "x".to_owned(),
            },
            Request::Runs {
                project: None,
                status: Some(RunStatus::AwaitingApproval),
                after: None,
                limit: 1,
            },
            Request::Show { run },
            Request::Diff { run },
            Request::Export {
                run,
                output: "/r/run-3.jsonl".into(),
                existing: Existing::Replaced,
            },
            Request::Events { run, after: Seq(4) },
            Request::Follow { run, after: Seq(0) },
            Request::Doctor,
            Request::Models,
            Request::ProbeModel {
                model: "m".to_owned(),
            },
            Request::PullModel {
                model: "m".to_owned(),
            },
            Request::RemoveModel {
                model: "m".to_owned(),
            },
            Request::Submit {
                submit: Box::new(Submit {
                    project: "x".to_owned(),
                    goal: "line\nline \"quoted\" \u{202e}".to_owned(),
                    spec: RunSpec::default(),
                    priority: -1,
                }),
            },
            Request::SubmitAll { submits: Vec::new() },
            Request::Drive { run, after: Seq(9) },
            Request::Start { run },
            Request::Pause { run },
            Request::Resume { run },
            Request::Stop { run },
            Request::Direct {
                run,
                text: "t".to_owned(),
            },
            Request::Answer {
                run,
                text: "t".to_owned(),
            },
            Request::Approve {
                run,
                approve: ApproveTree {
                    tree: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap(),
                    message: None,
                },
            },
            Request::Reject {
                run,
                because: "no".to_owned(),
            },
            Request::Raise {
                run,
                budget: Budget::default(),
            },
            Request::Retry { run },
            Request::Fork {
                run,
                at: Seq(12),
                goal: Some("g".to_owned()),
            },
        ];
        for request in requests {
            comes_back(&request);
        }
    }

    fn comes_back(request: &Request) {
        let text = serde_json::to_string(request).unwrap();
        assert!(!text.contains('\n'), "{text}");
        let back: Request = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
    }

    #[test]
    fn requests_about_credentials_come_back_whole() {
        let new = NewToken {
            name: "ci".to_owned(),
            role: factory_core::model::Role::Viewer,
            expires_in: Some(std::time::Duration::from_mins(1)),
        };
        let revoke = CredentialRequest::Revoke {
            reference: "ci".to_owned(),
        };
        let list = CredentialRequest::List {
            which: Listed::All,
            after: Some(CredentialId(3)),
            limit: 5,
        };
        for request in [
            CredentialRequest::OwnerToken,
            list,
            CredentialRequest::Add { new },
            revoke,
            CredentialRequest::Rotate { name: None },
            CredentialRequest::Login,
        ] {
            comes_back(&Request::Credentials { request });
        }
    }

    #[test]
    fn an_answer_with_a_secret_is_shown_without_it() {
        let answer = Answer::OwnerToken(CredentialSecret::new("aidf_secret"));
        assert!(!format!("{answer:?}").contains("aidf"), "{answer:?}");
        assert!(serde_json::to_string(&answer).unwrap().contains("aidf_secret"));
    }

    #[test]
    fn what_changes_something_is_never_asked_twice() {
        let run = RunId(1);
        assert!(Request::Show { run }.can_be_repeated());
        assert!(Request::Drive { run, after: Seq(0) }.can_be_repeated());
        assert!(
            !Request::Direct {
                run,
                text: String::new()
            }
            .can_be_repeated()
        );
        assert!(!Request::Drive { run, after: Seq(0) }.only_reads());
    }
}
