//! The vocabulary: plain serde data that every other module speaks. No IO, no tokio, no clock.

mod approval;
mod budget;
mod comment;
mod credential;
mod event;
mod ids;
mod origin;
mod plan;
mod project;
mod protocol;
mod role;
mod run;
mod run_status;
mod sampling;
mod schema;
mod timestamp;
mod verb;

pub use approval::{Approval, ApprovalKind, ApprovalSubject, Decision, DecisionKind};
pub use budget::{Budget, BudgetLimit, Usage};
pub use comment::{Comment, Side};
pub use credential::{Credential, CredentialKind, CredentialSecret, NewCredential, NewSession, SecretHash};
pub use event::{Actor, Event, EventKind, NewEvent, UnknownEvent, payload};
pub use ids::{
    ApprovalId, BlobId, CommitId, CredentialId, EventId, Fence, InvalidId, ProjectId, RunId, Seq, StepId,
    TreeId, WorkerId,
};
pub use origin::{Descent, Origin, Start};
pub use plan::{Plan, Step};
pub use project::{NewProject, Project, ProjectSettings, SetupNetwork};
pub use protocol::Protocol;
pub use role::Role;
pub use run::{ApprovalPolicy, Claim, Run, RunSpec};
pub use run_status::{InvalidTransition, RunStatus, StatusReason, Transition};
pub use sampling::{Sampling, Temperature};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use verb::{Refusal, Verb};
