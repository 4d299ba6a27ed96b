//! A store whose writes fail when they are told to, before or after they reached the store behind it.
//!
//! A write that failed *after* it was stored is the hard case: the caller cannot know, and must read again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::model::{
    Approval, ApprovalId, BlobId, Credential, CredentialId, Event, EventId, Fence, NewCredential, NewProject,
    NewSession, Project, ProjectId, Run, RunId, SecretHash, Seq, Timestamp, WorkerId,
};
use crate::store::{
    Claimable, Commit, CredentialFilter, NewRun, Once, Page, QueueHead, Redemption, Remembered, RunCounts,
    RunFilter, Store, StoreError, UsageFilter, UsageGroup, UsageTotal,
};

/// What a failing write answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultError {
    /// [`StoreError::StorageFull`].
    StorageFull,
    /// [`StoreError::Backend`].
    Backend,
}

/// When a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is stored.
    BeforeTheWrite,
    /// It is stored, and only the answer is lost. A store does this with [`StoreError::Backend`] alone.
    AfterTheWrite,
}

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What it answers.
    pub error: FaultError,
    /// Whether it is stored.
    pub moment: Moment,
}

impl Fault {
    /// The disk is full: nothing is stored.
    pub const STORAGE_FULL: Self = Self {
        error: FaultError::StorageFull,
        moment: Moment::BeforeTheWrite,
    };

    /// The backend fails before it stores anything.
    pub const LOST: Self = Self {
        error: FaultError::Backend,
        moment: Moment::BeforeTheWrite,
    };

    /// The write is stored, but the answer does not come back.
    pub const ANSWER_LOST: Self = Self {
        error: FaultError::Backend,
        moment: Moment::AfterTheWrite,
    };

    fn to_store_error(self) -> StoreError {
        match self.error {
            FaultError::StorageFull => StoreError::StorageFull,
            FaultError::Backend => StoreError::Backend {
                backend: "the faulty store",
                action: "write",
                source: "a fault was asked for".into(),
            },
        }
    }
}

/// A store that fails on demand. Writes are counted from 1; reads never fail.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
    queue_looks: AtomicU64,
}

#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    at: BTreeMap<u64, Fault>,
    from_now_on: Option<Fault>,
}

impl FaultyStore {
    /// Returns a store that passes everything on to `inner` until it is told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
            queue_looks: AtomicU64::new(0),
        }
    }

    /// Lets the write number `number` fail, counted from this store's first write as 1.
    pub fn fail_write(&self, number: u64, fault: Fault) {
        self.plan().at.insert(number, fault);
    }

    /// Lets the next write fail.
    pub fn fail_next_write(&self, fault: Fault) {
        let mut plan = self.plan();
        let next = plan.writes + 1;
        plan.at.insert(next, fault);
    }

    /// Lets every write fail from now on, until [`heal`](Self::heal).
    pub fn fail_every_write(&self, fault: Fault) {
        self.plan().from_now_on = Some(fault);
    }

    /// Forgets all faults that are still to come.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.at.clear();
        plan.from_now_on = None;
    }

    /// Returns how many writes were asked for, those that failed included.
    pub fn writes(&self) -> u64 {
        self.plan().writes
    }

    /// Returns how often somebody looked at the queue.
    pub fn queue_looks(&self) -> u64 {
        self.queue_looks.load(Ordering::Relaxed)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut plan = self.plan();
        plan.writes += 1;
        let number = plan.writes;
        plan.at.remove(&number).or(plan.from_now_on)
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.next_fault() {
            None => write.await,
            Some(fault) => {
                if fault.moment == Moment::AfterTheWrite {
                    // What the store itself refuses, it refuses.
                    write.await?;
                }
                Err(fault.to_store_error())
            }
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn create_project(&self, new: NewProject) -> Result<Project, StoreError> {
        self.write(self.inner.create_project(new)).await
    }

    async fn project(&self, id: ProjectId) -> Result<Project, StoreError> {
        self.inner.project(id).await
    }

    async fn project_by_name(&self, name: &str) -> Result<Project, StoreError> {
        self.inner.project_by_name(name).await
    }

    async fn projects(&self, page: Page<ProjectId>) -> Result<Vec<Project>, StoreError> {
        self.inner.projects(page).await
    }

    async fn update_project(&self, project: Project) -> Result<Project, StoreError> {
        self.write(self.inner.update_project(project)).await
    }

    async fn remove_project(&self, id: ProjectId) -> Result<(), StoreError> {
        self.write(self.inner.remove_project(id)).await
    }

    async fn create_runs(
        &self,
        new: Vec<NewRun>,
        once: Option<Once>,
    ) -> Result<Vec<(Run, Event)>, StoreError> {
        self.write(self.inner.create_runs(new, once)).await
    }

    async fn run(&self, id: RunId) -> Result<Run, StoreError> {
        self.inner.run(id).await
    }

    async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        self.inner.runs(filter, page).await
    }

    async fn claim(
        &self,
        worker: &WorkerId,
        which: Claimable,
        at: Timestamp,
    ) -> Result<Option<(Run, Event)>, StoreError> {
        self.write(self.inner.claim(worker, which, at)).await
    }

    async fn queue_heads(&self) -> Result<Vec<QueueHead>, StoreError> {
        self.queue_looks.fetch_add(1, Ordering::Relaxed);
        self.inner.queue_heads().await
    }

    async fn release_claim(&self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        self.write(self.inner.release_claim(run, fence)).await
    }

    async fn claimed_runs(&self, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        self.inner.claimed_runs(page).await
    }

    async fn commit(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        self.write(self.inner.commit(commit)).await
    }

    async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, StoreError> {
        self.inner.events(run, page).await
    }

    async fn all_events(&self, page: Page<EventId>) -> Result<Vec<Event>, StoreError> {
        self.inner.all_events(page).await
    }

    async fn newest_event(&self) -> Result<EventId, StoreError> {
        self.inner.newest_event().await
    }

    async fn approvals_of(&self, run: RunId, page: Page<ApprovalId>) -> Result<Vec<Approval>, StoreError> {
        self.inner.approvals_of(run, page).await
    }

    async fn usage(
        &self,
        group: UsageGroup,
        filter: UsageFilter,
        page: Page<String>,
    ) -> Result<Vec<UsageTotal>, StoreError> {
        self.inner.usage(group, filter, page).await
    }

    async fn run_counts(&self) -> Result<RunCounts, StoreError> {
        self.inner.run_counts().await
    }

    async fn remember(&self, once: Once, answer: String, at: Timestamp) -> Result<(), StoreError> {
        self.write(self.inner.remember(once, answer, at)).await
    }

    async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, StoreError> {
        self.inner.remembered(scope, key).await
    }

    async fn forget_answers(&self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        self.write(self.inner.forget_answers(before, most)).await
    }

    async fn next_approval_id(&self) -> Result<ApprovalId, StoreError> {
        self.write(self.inner.next_approval_id()).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError> {
        self.inner.approval(id).await
    }

    async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, StoreError> {
        self.inner.open_approvals(run, page).await
    }

    async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        self.inner.blob(id).await
    }

    async fn add_credential(&self, new: NewCredential) -> Result<Credential, StoreError> {
        self.write(self.inner.add_credential(new)).await
    }

    async fn credential_by_hash(&self, hash: &SecretHash) -> Result<Credential, StoreError> {
        self.inner.credential_by_hash(hash).await
    }

    async fn credentials(
        &self,
        filter: CredentialFilter,
        page: Page<CredentialId>,
    ) -> Result<Vec<Credential>, StoreError> {
        self.inner.credentials(filter, page).await
    }

    async fn revoke_credential(&self, id: CredentialId, at: Timestamp) -> Result<Credential, StoreError> {
        self.write(self.inner.revoke_credential(id, at)).await
    }

    async fn redeem_login_code(
        &self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        self.write(self.inner.redeem_login_code(code, session, at)).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProjectSettings;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn writes_fail_as_they_are_told() {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let create = |name: &str| {
            store.create_project(NewProject {
                name: name.to_owned(),
                local_path: "/srv".into(),
                settings: ProjectSettings::default(),
                created_at: Timestamp::UNKNOWN,
            })
        };
        store.fail_write(2, Fault::STORAGE_FULL);
        store.fail_write(3, Fault::ANSWER_LOST);
        create("one").await.unwrap();
        assert!(matches!(create("two").await, Err(StoreError::StorageFull)));
        assert!(matches!(create("three").await, Err(StoreError::Backend { .. })));
        store.fail_next_write(Fault::ANSWER_LOST);
        assert!(matches!(
            create("one").await,
            Err(StoreError::AlreadyExists { .. })
        ));
        store.fail_every_write(Fault::LOST);
        for _ in 0..2 {
            assert!(matches!(create("four").await, Err(StoreError::Backend { .. })));
        }
        store.heal();
        create("five").await.unwrap();
        let projects = store.projects(Page::first(9)).await.unwrap();
        let names: Vec<_> = projects.into_iter().map(|project| project.name).collect();
        assert_eq!(names, ["one", "three", "five"]);
        assert_eq!(store.writes(), 7);
    }
}
