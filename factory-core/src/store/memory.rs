//! The store that keeps everything in memory: the reference for what the trait means, and fast for tests.
//!
//! It is written to be read: one lock, plain maps, no index. What is asked of it is gone with the process.

mod answers;
mod credentials;
mod totals;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    ApprovalChange, Claimable, Commit, CredentialFilter, NewRun, Once, Page, QueueHead, Redemption,
    Remembered, RunCounts, RunFilter, Store, StoreError, UsageFilter, UsageGroup, UsageTotal, once, rules,
};
use crate::model::{
    Approval, ApprovalId, BlobId, Credential, CredentialId, Event, EventId, Fence, NewCredential, NewEvent,
    NewProject, NewSession, Project, ProjectId, Run, RunId, SecretHash, Seq, Timestamp, Usage, WorkerId,
};

/// Durable for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    projects: BTreeMap<ProjectId, Project>,
    runs: BTreeMap<RunId, Run>,
    events: HashMap<RunId, Vec<Event>>,
    approvals: BTreeMap<ApprovalId, AskedApproval>,
    blobs: HashMap<BlobId, Vec<u8>>,
    answers: HashMap<(String, String), Remembered>,
    /// By day, project and model: how many runs, and what was spent.
    spent: BTreeMap<(String, i64, String), (u64, Usage)>,
    credentials: credentials::StoredCredentials,
    last_project: i64,
    last_run: i64,
    last_event: i64,
    last_approval: i64,
    closed: bool,
}

#[derive(Debug)]
struct AskedApproval {
    approval: Approval,
    /// No longer asked, though never decided.
    closed: bool,
}

impl AskedApproval {
    fn is_open(&self) -> bool {
        !self.closed && self.approval.decision.is_none()
    }
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // A panic under the lock cannot leave a half-made change: every change is checked before the first write.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            Err(rules::closed())
        } else {
            Ok(state)
        }
    }
}

impl State {
    fn project(&self, id: ProjectId) -> Result<&Project, StoreError> {
        self.projects
            .get(&id)
            .ok_or_else(|| rules::not_found("project", &id))
    }

    fn run(&self, id: RunId) -> Result<&Run, StoreError> {
        self.runs.get(&id).ok_or_else(|| rules::not_found("run", &id))
    }

    fn name_is_free(&self, name: &str, but_for: Option<ProjectId>) -> Result<(), StoreError> {
        let taken = |project: &Project| project.name == name && Some(project.id) != but_for;
        if self.projects.values().any(taken) {
            return Err(rules::already_exists("project", &name));
        }
        Ok(())
    }

    fn append(&mut self, run: RunId, first: Seq, events: &[NewEvent], at: Timestamp) -> Vec<Event> {
        let stored: Vec<Event> = (first.0..)
            .zip(events)
            .map(|(seq, new)| {
                self.last_event += 1;
                Event {
                    id: EventId(self.last_event),
                    run_id: run,
                    seq: Seq(seq),
                    actor: new.actor.clone(),
                    cause: new.cause,
                    step_id: new.step_id,
                    kind: new.kind.clone(),
                    created_at: at,
                }
            })
            .collect();
        self.events.entry(run).or_default().extend(stored.iter().cloned());
        stored
    }

    /// Refuses an approval change that the records do not allow, before anything is written.
    fn check_approval(&self, stored: &Run, commit: &Commit) -> Result<(), StoreError> {
        match &commit.approval {
            Some(ApprovalChange::Open { id, .. }) if self.approvals.contains_key(id) => {
                Err(rules::already_exists("approval", &id))
            }
            Some(ApprovalChange::Decide { id, .. }) => match self.approvals.get(id) {
                Some(asked) if asked.approval.run_id != stored.id => Err(rules::not_found("approval", &id)),
                Some(asked) if !asked.is_open() => Err(rules::conflict(stored, commit)),
                Some(_) => Ok(()),
                None => Err(rules::not_found("approval", &id)),
            },
            _ => Ok(()),
        }
    }

    fn change_approval(&mut self, commit: &Commit) {
        match &commit.approval {
            None => {}
            Some(ApprovalChange::Open {
                id,
                subject,
                expires_at,
            }) => {
                self.last_approval = self.last_approval.max(id.0);
                let approval = Approval {
                    id: *id,
                    run_id: commit.run.id,
                    seq: rules::asking_seq(commit, *id),
                    subject: subject.clone(),
                    asked_at: commit.at,
                    expires_at: *expires_at,
                    decision: None,
                };
                self.approvals.insert(
                    *id,
                    AskedApproval {
                        approval,
                        closed: false,
                    },
                );
            }
            Some(ApprovalChange::Decide { id, decision }) => {
                if let Some(asked) = self.approvals.get_mut(id) {
                    asked.approval.decision = Some(decision.clone());
                }
            }
            Some(ApprovalChange::CloseAll) => {
                let of_run = |asked: &&mut AskedApproval| asked.approval.run_id == commit.run.id;
                for asked in self.approvals.values_mut().filter(of_run) {
                    asked.closed |= asked.is_open();
                }
            }
        }
    }
}

fn page_of<'a, K: Copy + PartialOrd, T: Clone + 'a>(
    items: impl Iterator<Item = &'a T>,
    page: Page<K>,
    comes_after: impl Fn(&T, K) -> bool,
) -> Vec<T> {
    items
        .filter(|item| page.after.is_none_or(|key| comes_after(item, key)))
        .take(page.bounded_limit() as usize)
        .cloned()
        .collect()
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_project(&self, new: NewProject) -> Result<Project, StoreError> {
        let mut state = self.state()?;
        state.name_is_free(&new.name, None)?;
        state.last_project += 1;
        let project = Project {
            id: ProjectId(state.last_project),
            name: new.name,
            local_path: new.local_path,
            settings: new.settings,
            created_at: new.created_at,
        };
        state.projects.insert(project.id, project.clone());
        Ok(project)
    }

    async fn project(&self, id: ProjectId) -> Result<Project, StoreError> {
        self.state()?.project(id).cloned()
    }

    async fn project_by_name(&self, name: &str) -> Result<Project, StoreError> {
        let state = self.state()?;
        let found = state.projects.values().find(|project| project.name == name);
        found.cloned().ok_or_else(|| rules::not_found("project", &name))
    }

    async fn projects(&self, page: Page<ProjectId>) -> Result<Vec<Project>, StoreError> {
        let state = self.state()?;
        Ok(page_of(state.projects.values(), page, |project, key| {
            project.id > key
        }))
    }

    async fn update_project(&self, project: Project) -> Result<Project, StoreError> {
        let mut state = self.state()?;
        let created_at = state.project(project.id)?.created_at;
        state.name_is_free(&project.name, Some(project.id))?;
        let project = Project {
            created_at,
            ..project
        };
        state.projects.insert(project.id, project.clone());
        Ok(project)
    }

    async fn remove_project(&self, id: ProjectId) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let name = state.project(id)?.name.clone();
        let of_project = |run: &&Run| run.project_id == Some(id);
        let unfinished = |run: &&Run| !run.status.is_final();
        if let Some(run) = state.runs.values().filter(of_project).find(unfinished) {
            return Err(rules::project_in_use(&name, run.id));
        }
        for run in state.runs.values_mut().filter(|run| run.project_id == Some(id)) {
            run.project_id = None;
        }
        state.projects.remove(&id);
        Ok(())
    }

    async fn create_runs(
        &self,
        new: Vec<NewRun>,
        once: Option<Once>,
    ) -> Result<Vec<(Run, Event)>, StoreError> {
        let mut state = self.state()?;
        state.refuse_repeated(once.as_ref())?;
        for new in &new {
            state.project(new.project_id)?;
        }
        let at = new.first().map(|new| new.at);
        let mut made = Vec::new();
        for new in new {
            state.last_run += 1;
            let run = rules::filed_run(RunId(state.last_run), &new);
            state.runs.insert(run.id, run.clone());
            state.count_filed(&run, new.at);
            let mut events = state.append(run.id, Seq(1), &[new.event], new.at);
            let event = events.pop().expect("one event was appended");
            made.push((run, event));
        }
        if let (Some(once), Some(at)) = (once, at) {
            let runs: Vec<Run> = made.iter().map(|(run, _)| run.clone()).collect();
            state.keep_answer(once, once::answer_of(&runs), at);
        }
        Ok(made)
    }

    async fn run(&self, id: RunId) -> Result<Run, StoreError> {
        self.state()?.run(id).cloned()
    }

    async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        let state = self.state()?;
        let wanted = |run: &&Run| {
            filter
                .project_id
                .is_none_or(|project| run.project_id == Some(project))
                && filter.status.is_none_or(|status| run.status == status)
        };
        Ok(page_of(
            state.runs.values().rev().filter(wanted),
            page,
            |run, key| run.id < key,
        ))
    }

    async fn claim(
        &self,
        worker: &WorkerId,
        which: Claimable,
        at: Timestamp,
    ) -> Result<Option<(Run, Event)>, StoreError> {
        let mut state = self.state()?;
        let run = match which {
            Claimable::Run(id) => state.runs.get(&id).filter(|run| rules::is_claimable(run)),
            Claimable::Next => state
                .runs
                .values()
                .filter(|run| rules::is_claimable(run))
                .min_by_key(|run| (Reverse(run.priority), run.id)),
        };
        let Some(run) = run.cloned() else { return Ok(None) };
        let before = run.clone();
        let (run, event) = rules::run_after_claim(run, worker, at);
        state.count_change(&before, &run, at);
        state.runs.insert(run.id, run.clone());
        let mut events = state.append(run.id, run.last_seq, &[event], at);
        Ok(events.pop().map(|event| (run, event)))
    }

    async fn queue_heads(&self) -> Result<Vec<QueueHead>, StoreError> {
        let state = self.state()?;
        let mut heads = BTreeMap::<_, QueueHead>::new();
        let mut queued: Vec<&Run> = state
            .runs
            .values()
            .filter(|run| rules::is_claimable(run))
            .collect();
        queued.sort_by_key(|run| (Reverse(run.priority), run.id));
        for run in queued {
            let server = run.spec.server().map(str::to_owned);
            heads
                .entry((server.clone(), run.project_id))
                .or_insert(QueueHead {
                    run: run.id,
                    priority: run.priority,
                    project: run.project_id,
                    server,
                });
        }
        Ok(heads.into_values().collect())
    }

    async fn release_claim(&self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        let mut state = self.state()?;
        if let Some(stored) = state.runs.get_mut(&run) {
            stored.claim.take_if(|claim| claim.fence == fence);
        }
        Ok(())
    }

    async fn claimed_runs(&self, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        let state = self.state()?;
        let claimed = state.runs.values().filter(|run| run.claim.is_some());
        Ok(page_of(claimed, page, |run, key| run.id > key))
    }

    async fn commit(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        let mut state = self.state()?;
        state.refuse_repeated(commit.once.as_ref())?;
        let stored = state.run(commit.run.id)?.clone();
        rules::check_commit(&stored, &commit)?;
        state.check_approval(&stored, &commit)?;
        let run = rules::run_after_commit(&stored, &commit);
        state.count_change(&stored, &run, commit.at);
        state.change_approval(&commit);
        let events = state.append(run.id, commit.expected_seq.next(), &commit.events, commit.at);
        state.runs.insert(run.id, run.clone());
        if let Some(once) = commit.once {
            state.keep_answer(once, once::answer_of(std::slice::from_ref(&run)), commit.at);
        }
        for blob in commit.blobs {
            state
                .blobs
                .entry(blob.id().clone())
                .or_insert_with(|| blob.into_content());
        }
        Ok((run, events))
    }

    async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, StoreError> {
        let state = self.state()?;
        state.run(run)?;
        let events = state.events.get(&run).into_iter().flatten();
        Ok(page_of(events, page, |event, key| event.seq > key))
    }

    async fn all_events(&self, page: Page<EventId>) -> Result<Vec<Event>, StoreError> {
        let state = self.state()?;
        let mut events: Vec<&Event> = state.events.values().flatten().collect();
        events.sort_by_key(|event| event.id);
        Ok(page_of(events.into_iter(), page, |event, key| event.id > key))
    }

    async fn newest_event(&self) -> Result<EventId, StoreError> {
        Ok(EventId(self.state()?.last_event))
    }

    async fn next_approval_id(&self) -> Result<ApprovalId, StoreError> {
        let mut state = self.state()?;
        state.last_approval += 1;
        Ok(ApprovalId(state.last_approval))
    }

    async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError> {
        let state = self.state()?;
        let asked = state
            .approvals
            .get(&id)
            .ok_or_else(|| rules::not_found("approval", &id))?;
        Ok(asked.approval.clone())
    }

    async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, StoreError> {
        let state = self.state()?;
        let open = state
            .approvals
            .values()
            .filter(|asked| asked.is_open())
            .map(|asked| &asked.approval)
            .filter(|approval| run.is_none_or(|run| approval.run_id == run));
        Ok(page_of(open, page, |approval, key| approval.id > key))
    }

    async fn approvals_of(&self, run: RunId, page: Page<ApprovalId>) -> Result<Vec<Approval>, StoreError> {
        let state = self.state()?;
        let all = state.approvals.values().map(|asked| &asked.approval);
        let of_run = all.filter(|approval| approval.run_id == run);
        Ok(page_of(of_run, page, |approval, key| approval.id > key))
    }

    async fn usage(
        &self,
        group: UsageGroup,
        filter: UsageFilter,
        page: Page<String>,
    ) -> Result<Vec<UsageTotal>, StoreError> {
        Ok(self.state()?.sum_usage(group, &filter, &page))
    }

    async fn run_counts(&self) -> Result<RunCounts, StoreError> {
        let state = self.state()?;
        let mut counts = RunCounts::new();
        for run in state.runs.values() {
            *counts.entry(run.status).or_default() += 1;
        }
        Ok(counts)
    }

    async fn remember(&self, once: Once, answer: String, at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.refuse_repeated(Some(&once))?;
        state.keep_answer(once, answer, at);
        Ok(())
    }

    async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, StoreError> {
        let state = self.state()?;
        let place = (scope.to_owned(), key.to_owned());
        Ok(state.answers.get(&place).cloned())
    }

    async fn forget_answers(&self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        Ok(self.state()?.forget_answers(before, most))
    }

    async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let state = self.state()?;
        state
            .blobs
            .get(id)
            .cloned()
            .ok_or_else(|| rules::not_found("blob", &id))
    }

    async fn add_credential(&self, new: NewCredential) -> Result<Credential, StoreError> {
        self.state()?.credentials.add(new)
    }

    async fn credential_by_hash(&self, hash: &SecretHash) -> Result<Credential, StoreError> {
        self.state()?.credentials.by_hash(hash).cloned()
    }

    async fn credentials(
        &self,
        filter: CredentialFilter,
        page: Page<CredentialId>,
    ) -> Result<Vec<Credential>, StoreError> {
        let state = self.state()?;
        let wanted = state.credentials.iter().filter(|credential| match filter {
            CredentialFilter::All => true,
            CredentialFilter::HoldingAt(now) => credential.holds_at(now),
        });
        Ok(page_of(wanted, page, |credential, key| credential.id > key))
    }

    async fn revoke_credential(&self, id: CredentialId, at: Timestamp) -> Result<Credential, StoreError> {
        self.state()?.credentials.revoke(id, at)
    }

    async fn redeem_login_code(
        &self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        self.state()?.credentials.redeem(code, session, at)
    }

    async fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}
