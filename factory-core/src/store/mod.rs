//! Durable state: projects, runs, events, claims, approvals and blobs behind one trait.
//!
//! The store keeps and guards; it never decides. Which status follows is `model::RunStatus::after`'s business, and
//! only `journal` writes events.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;
mod once;
mod open;
mod rules;
mod sqlite;
mod totals;

pub use memory::MemoryStore;
pub use once::{Once, Remembered};
pub use open::{Access, open_store};
pub use sqlite::{SqliteStore, StoreHealth};
pub use totals::{RunCounts, UsageFilter, UsageGroup, UsageTotal};

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{
    Approval, ApprovalId, ApprovalSubject, BlobId, Credential, CredentialId, Decision, Event, EventId, Fence,
    NewCredential, NewEvent, NewProject, NewSession, Project, ProjectId, Run, RunId, RunSpec, RunStatus,
    SecretHash, Seq, Timestamp, WorkerId,
};

/// What a store answers when it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such thing.
    #[error("no {kind} `{id}`")]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Which one.
        id: String,
    },
    /// The name or path is taken.
    #[error("there is already a {kind} `{id}`")]
    AlreadyExists {
        /// What kind of thing.
        kind: &'static str,
        /// Which one.
        id: String,
    },
    /// The thing is still needed by another.
    #[error("{kind} `{id}` is in use: {why}")]
    InUse {
        /// What kind of thing.
        kind: &'static str,
        /// Which one.
        id: String,
        /// By what.
        why: String,
    },
    /// Somebody else wrote first; read again and decide anew.
    #[error("run {run} has moved on: expected event {expected}, found {actual}")]
    Conflict {
        /// The run.
        run: RunId,
        /// The newest event that the writer had seen.
        expected: Seq,
        /// The newest event that is stored.
        actual: Seq,
    },
    /// The writer's claim is no longer the run's; it must put everything down.
    #[error("run {run} is no longer claimed under fence {fence}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The fence that the writer showed.
        fence: Fence,
    },
    /// The key of the request was used before. Nothing was done.
    #[error("the key of this request was used before")]
    Repeated {
        /// The fingerprint of the request that used it.
        fingerprint: String,
        /// What that request was answered.
        answer: String,
    },
    /// The disk, or the quota, is full. Nothing of the request was stored.
    #[error("the disk of the database is full")]
    StorageFull,
    /// The database was made by a newer factory.
    #[error(
        "the database `{database}` was made by a newer factory (schema {found}, this one knows {known}); use that factory, or restore a backup"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its schema's number.
        found: i64,
        /// The newest number known here.
        known: i64,
    },
    /// The database was made by an older factory, and was opened for reading alone.
    #[error(
        "the database `{database}` was made by an older factory; its owner brings it up to date when it opens it"
    )]
    Older {
        /// The database.
        database: String,
    },
    /// The database cannot be opened or is damaged; the text names it and says what to do.
    #[error("{0}")]
    Unusable(String),
    /// The backend failed. Whether the request was stored is unknown unless the source says so.
    #[error("{backend} failed to {action}")]
    Backend {
        /// Which backend.
        backend: &'static str,
        /// What it was doing.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A text to be kept under its own hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    id: BlobId,
    content: Vec<u8>,
}

impl Blob {
    /// Returns the blob of `content`.
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        Self {
            id: BlobId::of(&content),
            content,
        }
    }

    /// Returns the hash of the content.
    pub fn id(&self) -> &BlobId {
        &self.id
    }

    /// Returns the content.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Returns the content itself.
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }
}

/// A run to be stored, with its first event.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The project.
    pub project_id: ProjectId,
    /// What is to be reached.
    pub goal: String,
    /// How it is to be done.
    pub spec: RunSpec,
    /// Runs with a higher number are claimed first.
    pub priority: i64,
    /// The event that tells of the filing.
    pub event: NewEvent,
    /// When.
    pub at: Timestamp,
}

/// An approval record's change, part of a [`Commit`].
#[derive(Debug, Clone)]
pub enum ApprovalChange {
    /// A record is opened. The number is the one that [`Store::next_approval_id`] gave.
    Open {
        /// The record's number.
        id: ApprovalId,
        /// What is asked.
        subject: ApprovalSubject,
        /// When it lapses.
        expires_at: Option<Timestamp>,
    },
    /// An open record takes its decision. Refused with [`StoreError::Conflict`] where it has one already.
    Decide {
        /// The record.
        id: ApprovalId,
        /// What was decided.
        decision: Decision,
    },
    /// The open records of the run are no longer asked (the run was stopped or failed).
    CloseAll,
}

/// One atomic write to a run: events, the blobs they name, and the run's row as it stands after them.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The run's row after the events. `id`, `created_at`, `project_id` and `goal` are not changed by it, and
    /// `last_seq`, `fence` and `updated_at` are the store's to set.
    pub run: Run,
    /// The newest event that the writer has seen.
    pub expected_seq: Seq,
    /// The claim under which the write is made; none for the operator's writes.
    pub fence: Option<Fence>,
    /// The events, in order. Never empty.
    pub events: Vec<NewEvent>,
    /// The blobs that the events name and that may be new.
    pub blobs: Vec<Blob>,
    /// The change of an approval record.
    pub approval: Option<ApprovalChange>,
    /// The time of the events.
    pub at: Timestamp,
    /// Whether the write may overtake others that wait: pause and stop.
    pub urgency: Urgency,
    /// Where it is given, the write is made at most once: [`StoreError::Repeated`] from then on.
    pub once: Option<Once>,
}

/// Which writes go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// In order of arrival.
    #[default]
    Normal,
    /// Before everything that waits.
    First,
}

/// Which run a worker wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimable {
    /// The queue's next: highest priority, then lowest number.
    Next,
    /// This one.
    Run(RunId),
}

/// Which runs a list is to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Those of this project.
    pub project_id: Option<ProjectId>,
    /// Those that have this status.
    pub status: Option<RunStatus>,
}

/// Which credentials a list is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialFilter {
    /// All there ever were.
    All,
    /// Those that may be used at this moment.
    HoldingAt(Timestamp),
}

/// What became of the wish to redeem a login code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redemption {
    /// The session that it opened.
    Opened(Credential),
    /// There is no such code.
    Unknown,
    /// It was redeemed before.
    Used,
    /// It lapsed, or was taken back.
    Over,
}

/// The first run of a bucket of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHead {
    /// The run.
    pub run: RunId,
    /// Its priority.
    pub priority: i64,
    /// Its project.
    pub project: Option<ProjectId>,
    /// Its model's server; none where it has none. See [`RunSpec::server`](crate::model::RunSpec::server).
    pub server: Option<String>,
}

/// A page of a list: at most `limit` items after the item `after` in the list's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// The last item of the page before; none begins.
    pub after: Option<K>,
    /// At most so many; more than [`Page::MAX`] is taken as that.
    pub limit: u32,
}

impl<K> Page<K> {
    /// The most items of one page.
    pub const MAX: u32 = 500;

    /// Returns the first page with at most `limit` items.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// Returns the page with at most `limit` items after `key`.
    pub fn after(key: K, limit: u32) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// Returns the limit within its bounds.
    pub fn bounded_limit(&self) -> u32 {
        self.limit.clamp(1, Self::MAX)
    }
}

/// Durable state. An answer means that the write is on disk; an error means that nothing of it was stored, except
/// [`StoreError::Backend`] on a write, whose outcome is unknown: read again before deciding.
///
/// Every method is atomic. Numbers are never used again. Within a run `seq` is gapless and in commit order. A list is
/// read in pages by key, so that its cost does not grow with the table. The suite in `conformance` tests all of it.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Stores a project. [`StoreError::AlreadyExists`] where the name is taken.
    async fn create_project(&self, new: NewProject) -> Result<Project, StoreError>;

    /// Returns the project, or [`StoreError::NotFound`].
    async fn project(&self, id: ProjectId) -> Result<Project, StoreError>;

    /// Returns the project of that name, or [`StoreError::NotFound`].
    async fn project_by_name(&self, name: &str) -> Result<Project, StoreError>;

    /// Returns projects in the order of their numbers.
    async fn projects(&self, page: Page<ProjectId>) -> Result<Vec<Project>, StoreError>;

    /// Replaces the project's name, path and settings. [`StoreError::AlreadyExists`] where the name is another's.
    async fn update_project(&self, project: Project) -> Result<Project, StoreError>;

    /// Removes a project. [`StoreError::InUse`] while it has runs that are not final. Its final runs stay, without
    /// a project.
    async fn remove_project(&self, id: ProjectId) -> Result<(), StoreError>;

    /// Stores runs as QUEUED, each with its first event, number 1: all of them, numbered in their order, or none.
    /// [`StoreError::NotFound`] without a project; [`StoreError::Repeated`] where `once` was used before.
    async fn create_runs(
        &self,
        new: Vec<NewRun>,
        once: Option<Once>,
    ) -> Result<Vec<(Run, Event)>, StoreError>;

    /// Returns the run, or [`StoreError::NotFound`].
    async fn run(&self, id: RunId) -> Result<Run, StoreError>;

    /// Returns runs, newest first.
    async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, StoreError>;

    /// Gives the run to `worker`: the next fence, RUNNING, and `RUN_STARTED`, in one write. None where no run is
    /// QUEUED and unclaimed (for [`Claimable::Run`]: where that one is not). Two workers never get the same run.
    async fn claim(
        &self,
        worker: &WorkerId,
        which: Claimable,
        at: Timestamp,
    ) -> Result<Option<(Run, Event)>, StoreError>;

    /// Returns the run that is first in each bucket of the queue: of the runs that share a model server and a project, the
    /// one with the highest priority, and of these the oldest. Costs one step a bucket, however many runs wait.
    async fn queue_heads(&self) -> Result<Vec<QueueHead>, StoreError>;

    /// Ends a claim without a change of status, after a worker has put everything down. Ending a claim that is gone
    /// already is no error; an older fence than the run's changes nothing.
    async fn release_claim(&self, run: RunId, fence: Fence) -> Result<(), StoreError>;

    /// Returns the runs that are claimed, whatever their status, in the order of their numbers.
    async fn claimed_runs(&self, page: Page<RunId>) -> Result<Vec<Run>, StoreError>;

    /// Writes events, blobs, the run's row and an approval's change, all or nothing, and returns the stored events
    /// and row. [`StoreError::Conflict`] where `expected_seq` is not the run's newest event, [`StoreError::Fenced`]
    /// where a fence is shown that is not the run's held claim. The claim in `commit.run` decides whether the claim
    /// is kept: `None` there releases it with the same write.
    async fn commit(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError>;

    /// Returns the run's events after `page.after`, in order. A run without more gives an empty list;
    /// [`StoreError::NotFound`] without the run.
    async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, StoreError>;

    /// Returns events of all runs in the order of their numbers, which for a store with one writer is the order in which
    /// they were stored. What follows them keeps the last number and knows nothing else of it.
    async fn all_events(&self, page: Page<EventId>) -> Result<Vec<Event>, StoreError>;

    /// Returns the number of the newest event of all runs; 0 where there is none.
    async fn newest_event(&self) -> Result<EventId, StoreError>;

    /// Returns a number for an approval record that no other record has or gets.
    async fn next_approval_id(&self) -> Result<ApprovalId, StoreError>;

    /// Returns the approval, or [`StoreError::NotFound`].
    async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError>;

    /// Returns the approvals that wait for a decision, in the order of their numbers; those of `run` if one is given.
    async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, StoreError>;

    /// Returns the run's approvals, those that were decided or are no longer asked included, in the order of their
    /// numbers.
    async fn approvals_of(&self, run: RunId, page: Page<ApprovalId>) -> Result<Vec<Approval>, StoreError>;

    /// Returns what was spent by day, project or model, in the order of the keys.
    async fn usage(
        &self,
        group: UsageGroup,
        filter: UsageFilter,
        page: Page<String>,
    ) -> Result<Vec<UsageTotal>, StoreError>;

    /// Returns how many runs stand in each status.
    async fn run_counts(&self) -> Result<RunCounts, StoreError>;

    /// Keeps the answer to a request that is no write to runs. [`StoreError::Repeated`] where the key was used before.
    async fn remember(&self, once: Once, answer: String, at: Timestamp) -> Result<(), StoreError>;

    /// Returns what was answered to the request with that key.
    async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, StoreError>;

    /// Forgets answers from before that moment, the oldest first, `most` of them at most. Returns how many.
    async fn forget_answers(&self, before: Timestamp, most: u32) -> Result<u32, StoreError>;

    /// Returns the content under `id`, or [`StoreError::NotFound`].
    async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, StoreError>;

    /// Stores a credential. [`StoreError::AlreadyExists`] where the hash is another's.
    async fn add_credential(&self, new: NewCredential) -> Result<Credential, StoreError>;

    /// Returns the credential with that hash, whatever became of it, or [`StoreError::NotFound`], which does not name
    /// the hash.
    async fn credential_by_hash(&self, hash: &SecretHash) -> Result<Credential, StoreError>;

    /// Returns credentials in the order of their numbers.
    async fn credentials(
        &self,
        filter: CredentialFilter,
        page: Page<CredentialId>,
    ) -> Result<Vec<Credential>, StoreError>;

    /// Takes a credential back, and returns it. One that was taken back before keeps its time.
    /// [`StoreError::NotFound`] without it.
    async fn revoke_credential(&self, id: CredentialId, at: Timestamp) -> Result<Credential, StoreError>;

    /// Redeems the login code with that hash: marks it, and stores the session under its name and role, in one write.
    /// Of two that try, one gets the session.
    async fn redeem_login_code(
        &self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError>;

    /// Puts everything down: waits for writes under way and closes. Later calls fail.
    async fn close(&self);
}

/// What is said of a store in one word more often than it is one word to every backend.
#[async_trait]
pub trait StoreExt: Store {
    /// Stores one run. See [`Store::create_runs`].
    async fn create_run(&self, new: NewRun) -> Result<(Run, Event), StoreError> {
        let mut made = self.create_runs(vec![new], None).await?;
        Ok(made.pop().expect("a store answers one run for one"))
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
