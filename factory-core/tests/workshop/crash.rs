//! Processes that die at a chosen write, and a model that notices when it is asked for what is stored already.
//!
//! A write that never answers is what a killed process leaves: nothing runs on after it, no error path, no clean-up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use factory_core::llm::{
    Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream, Role, Window, WindowBasis,
};
use factory_core::model::{
    Approval, ApprovalId, BlobId, Credential, CredentialId, Event, EventId, Fence, NewCredential, NewProject,
    NewSession, Project, ProjectId, Run, RunId, SecretHash, Seq, Timestamp, WorkerId,
};
use factory_core::store::{
    Claimable, Commit, CredentialFilter, NewRun, Once, Page, QueueHead, Redemption, Remembered, RunCounts,
    RunFilter, Store, StoreError, UsageFilter, UsageGroup, UsageTotal,
};
use tokio::sync::Notify;

use super::history;

/// Whether the write at which the process dies is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dies {
    Before,
    After,
}

/// A store whose process dies at a write. Writes count from [`CrashStore::arm`].
#[derive(Debug)]
pub struct CrashStore {
    inner: Arc<dyn Store>,
    left: AtomicU64,
    dies: Mutex<Dies>,
    dead: Notify,
}

impl CrashStore {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            left: AtomicU64::new(u64::MAX),
            dies: Mutex::new(Dies::Before),
            dead: Notify::new(),
        })
    }

    /// Lets the process die at the write number `write` from now, counted from 1.
    pub fn arm(&self, write: u64, dies: Dies) {
        *self.dies.lock().unwrap() = dies;
        self.left.store(write, Ordering::SeqCst);
    }

    /// Waits for the death.
    pub async fn dead(&self) {
        self.dead.notified().await;
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                u64::MAX | 0 => None,
                left => Some(left - 1),
            });
        match before {
            Err(u64::MAX) => write.await,
            Ok(left) if left > 1 => write.await,
            _ => {
                if before == Ok(1) && *self.dies.lock().unwrap() == Dies::After {
                    write.await.map(drop).ok();
                }
                self.dead.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Store for CrashStore {
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
        self.inner.next_approval_id().await
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

/// A model in front of another: counts what it is asked, and notes when the reply is stored already. It knows one
/// run, the first.
#[derive(Debug)]
pub struct Audited {
    inner: Arc<dyn Llm>,
    store: Arc<dyn Store>,
    asked: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Audited {
    pub fn new(inner: Arc<dyn Llm>, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            store,
            asked: AtomicU64::new(0),
            faults: Mutex::default(),
        })
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn assert_clean(&self) {
        assert_eq!(*self.faults.lock().unwrap(), Vec::<String>::new());
    }
}

#[async_trait]
impl Llm for Audited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        self.inner.prepare(progress).await
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let heard = request
            .messages
            .iter()
            .filter(|message| message.role == Role::Assistant)
            .count();
        let events = self
            .store
            .events(RunId(1), Page::after(Seq(0), 500))
            .await
            .unwrap();
        let stored = history::count(&events, "LLM_RESPONDED");
        if heard != stored {
            self.faults.lock().unwrap().push(format!(
                "{stored} replies are stored and the request holds {heard}: {}",
                history::names(&events)
            ));
        }
        self.inner.chat(request).await
    }
}

/// A model with a context window.
#[derive(Debug)]
pub struct Windowed {
    pub inner: Arc<dyn Llm>,
    pub window: u64,
}

#[async_trait]
impl Llm for Windowed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            window: Some(Window {
                tokens: self.window,
                basis: WindowBasis::Told,
            }),
            ..self.inner.capabilities()
        }
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        self.inner.prepare(progress).await?;
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        self.inner.chat(request).await
    }
}
