//! A store that answers before it has written: what a factory must never stand on.
//!
//! It is here to be caught. A harness that kills processes must find something wrong with a factory over this store,
//! or it would find nothing wrong with one that acts before it stores.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};

use crate::model::{
    Approval, ApprovalId, BlobId, Credential, CredentialId, Event, EventId, Fence, NewCredential, NewProject,
    NewSession, Project, ProjectId, Run, RunId, SecretHash, Seq, Timestamp, WorkerId,
};
use crate::store::{
    Claimable, Commit, CredentialFilter, NewRun, Once, Page, QueueHead, Redemption, Remembered, RunCounts,
    RunFilter, Store, StoreError, UsageFilter, UsageGroup, UsageTotal,
};

/// The first number that events get while they are not written; the store behind gives them others.
const PROVISIONAL: i64 = 1 << 40;

/// A store that keeps commits in memory for a while before it writes them, and says that they are written. Whatever
/// else is asked of it waits for them. Events have provisional numbers until they are written.
#[derive(Debug)]
pub struct ForgetfulStore {
    inner: Arc<dyn Store>,
    lag: Duration,
    memory: Arc<Mutex<Memory>>,
}

/// What is answered and not written.
#[derive(Debug, Default)]
struct Memory {
    commits: VecDeque<Commit>,
    runs: HashMap<RunId, Run>,
    events: Vec<Event>,
    blobs: HashMap<BlobId, Vec<u8>>,
    last_event: i64,
}

impl ForgetfulStore {
    /// Returns a store that writes each commit to `inner` when `lag` has passed since it was answered.
    pub fn new(inner: Arc<dyn Store>, lag: Duration) -> Self {
        Self {
            inner,
            lag,
            memory: Arc::default(),
        }
    }

    /// Writes everything that was answered, and keeps others from adding to it.
    async fn settled(&self) -> Result<MutexGuard<'_, Memory>, StoreError> {
        let mut memory = self.memory.lock().await;
        while !memory.commits.is_empty() {
            memory.write_next(&*self.inner).await?;
        }
        Ok(memory)
    }

    /// Writes the oldest commit once it is old enough. One such task is begun for each commit.
    fn write_later(&self) {
        let inner = Arc::clone(&self.inner);
        let memory: Weak<_> = Arc::downgrade(&self.memory);
        let lag = self.lag;
        tokio::spawn(async move {
            tokio::time::sleep(lag).await;
            if let Some(memory) = memory.upgrade() {
                // It may have been written with the others already; an error comes again with the next one who waits.
                let _ = memory.lock().await.write_next(&*inner).await;
            }
        });
    }
}

impl Memory {
    async fn write_next(&mut self, inner: &dyn Store) -> Result<(), StoreError> {
        let Some(commit) = self.commits.front().cloned() else {
            return Ok(());
        };
        let (run, events) = inner.commit(commit).await?;
        self.commits.pop_front();
        let written = events.last().map_or(Seq(0), |event| event.seq);
        self.events
            .retain(|event| event.run_id != run.id || event.seq > written);
        if self.runs.get(&run.id).is_some_and(|row| row.last_seq <= written) {
            self.runs.remove(&run.id);
        }
        if self.commits.is_empty() {
            self.blobs.clear();
        }
        Ok(())
    }

    /// Takes a commit as the store behind will.
    fn take(&mut self, stored: Run, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        let held = stored.claim.as_ref().map(|claim| claim.fence);
        if let Some(fence) = commit.fence
            && held != Some(fence)
        {
            return Err(StoreError::Fenced {
                run: stored.id,
                fence,
            });
        }
        if commit.expected_seq != stored.last_seq {
            return Err(StoreError::Conflict {
                run: stored.id,
                expected: commit.expected_seq,
                actual: stored.last_seq,
            });
        }
        let mut events = Vec::new();
        for (seq, new) in (stored.last_seq.0 + 1..).zip(commit.events.clone()) {
            self.last_event += 1;
            events.push(Event {
                id: EventId(PROVISIONAL + self.last_event),
                run_id: stored.id,
                seq: Seq(seq),
                actor: new.actor,
                cause: new.cause,
                step_id: new.step_id,
                kind: new.kind,
                created_at: commit.at,
            });
        }
        let run = Run {
            last_seq: events.last().map_or(stored.last_seq, |event| event.seq),
            fence: stored.fence,
            claim: commit.run.claim.as_ref().and(stored.claim),
            created_at: stored.created_at,
            updated_at: commit.at,
            ..commit.run.clone()
        };
        for blob in &commit.blobs {
            self.blobs.insert(blob.id().clone(), blob.content().to_vec());
        }
        self.events.extend(events.iter().cloned());
        self.runs.insert(run.id, run.clone());
        self.commits.push_back(commit);
        Ok((run, events))
    }
}

#[async_trait]
impl Store for ForgetfulStore {
    async fn create_project(&self, new: NewProject) -> Result<Project, StoreError> {
        self.inner.create_project(new).await
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
        self.inner.update_project(project).await
    }

    async fn remove_project(&self, id: ProjectId) -> Result<(), StoreError> {
        let _settled = self.settled().await?;
        self.inner.remove_project(id).await
    }

    async fn create_runs(
        &self,
        new: Vec<NewRun>,
        once: Option<Once>,
    ) -> Result<Vec<(Run, Event)>, StoreError> {
        self.inner.create_runs(new, once).await
    }

    async fn run(&self, id: RunId) -> Result<Run, StoreError> {
        let memory = self.memory.lock().await;
        match memory.runs.get(&id) {
            Some(run) => Ok(run.clone()),
            None => self.inner.run(id).await,
        }
    }

    async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        let _settled = self.settled().await?;
        self.inner.runs(filter, page).await
    }

    async fn claim(
        &self,
        worker: &WorkerId,
        which: Claimable,
        at: Timestamp,
    ) -> Result<Option<(Run, Event)>, StoreError> {
        let _settled = self.settled().await?;
        self.inner.claim(worker, which, at).await
    }

    async fn queue_heads(&self) -> Result<Vec<QueueHead>, StoreError> {
        self.inner.queue_heads().await
    }

    async fn release_claim(&self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        let _settled = self.settled().await?;
        self.inner.release_claim(run, fence).await
    }

    async fn claimed_runs(&self, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        let _settled = self.settled().await?;
        self.inner.claimed_runs(page).await
    }

    async fn commit(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        let mut memory = self.memory.lock().await;
        let stored = match memory.runs.get(&commit.run.id) {
            Some(run) => run.clone(),
            None => self.inner.run(commit.run.id).await?,
        };
        let taken = memory.take(stored, commit)?;
        self.write_later();
        Ok(taken)
    }

    async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, StoreError> {
        let memory = self.memory.lock().await;
        let mut events = self.inner.events(run, page).await?;
        let newest = events.last().map(|event| event.seq).or(page.after);
        let unwritten = memory.events.iter().filter(|event| event.run_id == run);
        let newer = unwritten.filter(|event| newest.is_none_or(|newest| event.seq > newest));
        events.extend(newer.cloned());
        events.truncate(page.bounded_limit() as usize);
        Ok(events)
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
        self.inner.remember(once, answer, at).await
    }

    async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, StoreError> {
        self.inner.remembered(scope, key).await
    }

    async fn forget_answers(&self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        self.inner.forget_answers(before, most).await
    }

    async fn next_approval_id(&self) -> Result<ApprovalId, StoreError> {
        self.inner.next_approval_id().await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError> {
        let _settled = self.settled().await?;
        self.inner.approval(id).await
    }

    async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, StoreError> {
        let _settled = self.settled().await?;
        self.inner.open_approvals(run, page).await
    }

    async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let memory = self.memory.lock().await;
        match memory.blobs.get(id) {
            Some(content) => Ok(content.clone()),
            None => self.inner.blob(id).await,
        }
    }

    async fn add_credential(&self, new: NewCredential) -> Result<Credential, StoreError> {
        self.inner.add_credential(new).await
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
        self.inner.revoke_credential(id, at).await
    }

    async fn redeem_login_code(
        &self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        self.inner.redeem_login_code(code, session, at).await
    }

    async fn close(&self) {
        // What cannot be written is forgotten, which is what this store is for.
        drop(self.settled().await);
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NewEvent, ProjectSettings, RunSpec, payload};
    use crate::store::StoreExt as _;
    use crate::store::{Blob, MemoryStore, Urgency};

    async fn filed(store: &dyn Store) -> Run {
        let project = store.create_project(NewProject {
            name: "sample".to_owned(),
            local_path: "/srv".into(),
            settings: ProjectSettings::default(),
            created_at: Timestamp::UNKNOWN,
        });
        let project_id = project.await.unwrap().id;
        let event = NewEvent::system(payload::RunCreated {
            project_id,
            goal: "goal".to_owned(),
            spec: RunSpec::default(),
        });
        let new = NewRun {
            project_id,
            goal: "goal".to_owned(),
            spec: RunSpec::default(),
            priority: 0,
            event,
            at: Timestamp::UNKNOWN,
        };
        store.create_run(new).await.unwrap().0
    }

    fn directive(run: &Run, text: &str) -> Commit {
        Commit {
            run: run.clone(),
            expected_seq: run.last_seq,
            fence: None,
            events: vec![NewEvent::system(payload::DirectiveReceived {
                text: text.to_owned(),
            })],
            blobs: vec![Blob::new(text)],
            approval: None,
            at: Timestamp::UNKNOWN,
            urgency: Urgency::Normal,
            once: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_is_answered_at_once_and_written_later() {
        let inner = Arc::new(MemoryStore::new());
        let lag = Duration::from_secs(1);
        let store = ForgetfulStore::new(Arc::clone(&inner) as Arc<dyn Store>, lag);
        let run = filed(&store).await;
        let (run, _) = store.commit(directive(&run, "one")).await.unwrap();
        let (run, _) = store.commit(directive(&run, "two")).await.unwrap();
        assert_eq!(run.last_seq, Seq(3));
        assert!(matches!(
            store.commit(directive(&filed_row(&run), "late")).await,
            Err(StoreError::Conflict { .. })
        ));
        let seen = store.events(run.id, Page::after(Seq(1), 9)).await.unwrap();
        let seqs: Vec<_> = seen.iter().map(|event| event.seq.0).collect();
        assert_eq!(seqs, [2, 3]);
        assert_eq!(store.blob(Blob::new("two").id()).await.unwrap(), b"two");
        assert_eq!(inner.run(run.id).await.unwrap().last_seq, Seq(1));
        tokio::time::sleep(lag * 2).await;
        assert_eq!(inner.run(run.id).await.unwrap(), store.run(run.id).await.unwrap());
        assert_eq!(inner.run(run.id).await.unwrap().last_seq, Seq(3));
        store.commit(directive(&run, "three")).await.unwrap();
        store.close().await;
    }

    fn filed_row(run: &Run) -> Run {
        Run {
            last_seq: Seq(1),
            ..run.clone()
        }
    }
}
