//! The default store: one SQLite database, one thread that writes, a few connections that read.
//!
//! An answer means that the write is on disk: the log is synced with every transaction. SQLite blocks, so that it is
//! called on threads of its own, never on those of the async runtime.

mod answers;
mod blob_files;
mod connection;
mod credentials;
mod failure;
mod health;
mod kept;
mod migrate;
mod queries;
mod readers;
mod rows;
mod seed;
#[cfg(test)]
mod tests;
mod totals;
mod writer;
mod writes;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use self::blob_files::BlobFiles;
use self::connection::Purpose;
use self::failure::Failure;
use self::health::HealthRecord;
use self::kept::{Changes, Kept, Named};
use self::queries::StoredBlob;
use self::readers::Readers;
use self::writer::{Size, Writer};
use super::{
    Claimable, Commit, CredentialFilter, NewRun, Once, Page, QueueHead, Redemption, Remembered, RunCounts,
    RunFilter, Store, StoreError, Urgency, UsageFilter, UsageGroup, UsageTotal, rules,
};
use crate::model::{
    Approval, ApprovalId, BlobId, Credential, CredentialId, Event, EventId, Fence, NewCredential, NewProject,
    NewSession, Project, ProjectId, Run, RunId, SecretHash, Seq, Timestamp, WorkerId,
};

pub use self::health::StoreHealth;

/// The smallest page that a SQLite database can have.
const SMALLEST_PAGE: u64 = 512;

/// A store in one SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    database: PathBuf,
    /// None where the database was opened for reading alone.
    writer: Option<Writer>,
    readers: Readers,
    /// Rows that reads need not fetch.
    kept: Kept,
    blob_files: BlobFiles,
    health: Arc<HealthRecord>,
}

impl SqliteStore {
    /// Opens the database at `path`, made where there is none, and brings an older one up to date.
    ///
    /// Before an older one is changed, a copy is put beside it as `PATH.before-migration-N`. Large blobs are files in the
    /// folder `blobs` beside the database. [`StoreError::Newer`] where a newer factory made it,
    /// [`StoreError::Unusable`] where it is not a database that can be used; the text says what to do.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || Self::open_blocking(&path)).await {
            Ok(opened) => opened,
            Err(error) => Err(StoreError::Backend {
                backend: "SQLite",
                action: "open the database",
                source: Box::new(error),
            }),
        }
    }

    fn open_blocking(path: &Path) -> Result<Self, StoreError> {
        if let Some(why) = connection::unfit_library(rusqlite::version_number()) {
            return Err(StoreError::Unusable(why));
        }
        let database = std::path::absolute(path).map_err(|error| unusable(path, &error.to_string()))?;
        make_or_look_at_file(&database)?;
        let unclean = has_log(&database);
        migrate::migrate(&database)?;
        let connection = connection::open(&database, Purpose::Write)?;
        let before = if unclean {
            StoreHealth::Checking
        } else {
            StoreHealth::Sound
        };
        let health = Arc::new(HealthRecord::new(before));
        if unclean {
            tracing::info!(database = %database.display(), "the database was not closed; its pages are being checked");
            health.start_check(database.clone())?;
        }
        let kept = Kept::default();
        let writer = Writer::start(database.clone(), connection, Arc::clone(&health), kept.clone())?;
        Ok(Self {
            writer: Some(writer),
            kept,
            readers: Readers::new(database.clone(), Arc::clone(&health)),
            blob_files: BlobFiles::beside(&database),
            health,
            database,
        })
    }

    /// Opens the database at `path` beside its owner, for reading alone: every write is refused. Nothing is made or
    /// migrated: [`StoreError::NotFound`] where there is none, [`StoreError::Older`] where its owner has to bring it up
    /// to date first.
    pub async fn open_for_reading(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || Self::open_for_reading_blocking(&path)).await {
            Ok(opened) => opened,
            Err(error) => Err(StoreError::Backend {
                backend: "SQLite",
                action: "open the database",
                source: Box::new(error),
            }),
        }
    }

    fn open_for_reading_blocking(path: &Path) -> Result<Self, StoreError> {
        if let Some(why) = connection::unfit_library(rusqlite::version_number()) {
            return Err(StoreError::Unusable(why));
        }
        let database = std::path::absolute(path).map_err(|error| unusable(path, &error.to_string()))?;
        if !database.exists() {
            return Err(StoreError::NotFound {
                kind: "database",
                id: database.display().to_string(),
            });
        }
        make_or_look_at_file(&database)?;
        migrate::require_newest(&database)?;
        let health = Arc::new(HealthRecord::new(StoreHealth::Sound));
        Ok(Self {
            writer: None,
            kept: Kept::nothing(),
            readers: Readers::new(database.clone(), Arc::clone(&health)),
            blob_files: BlobFiles::beside(&database),
            health,
            database,
        })
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            let database = self.database.display();
            StoreError::Unusable(format!(
                "the database `{database}` is open for reading alone; the process that owns its data folder writes"
            ))
        })
    }

    /// Returns the store so that it keeps no rows in memory: every read is the database's.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn without_kept_rows(self) -> Self {
        self.kept.close();
        self
    }

    /// Returns the database's path.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Returns whether the database can be trusted, as far as is known now.
    pub fn health(&self) -> StoreHealth {
        self.health.get()
    }

    /// Returns whether the database can be trusted, once the check after an unclean stop is done.
    pub async fn settled_health(&self) -> StoreHealth {
        self.health.settled().await
    }

    /// Puts large blobs on disk before the transaction that names them.
    async fn keep_large_blobs(&self, commit: Arc<Commit>) -> Result<(), StoreError> {
        if !commit.blobs.iter().any(BlobFiles::takes) {
            return Ok(());
        }
        if let Some(what) = self.health.damage() {
            return Err(failure::damaged(&self.database, &what));
        }
        let files = self.blob_files.clone();
        let keeping = tokio::task::spawn_blocking(move || {
            commit
                .blobs
                .iter()
                .filter(|blob| BlobFiles::takes(blob))
                .try_for_each(|blob| files.keep(blob))
        });
        joined(keeping, "store a blob's file").await
    }
}

async fn joined<T>(
    task: tokio::task::JoinHandle<Result<T, StoreError>>,
    action: &'static str,
) -> Result<T, StoreError> {
    match task.await {
        Ok(answer) => answer,
        Err(error) => Err(StoreError::Backend {
            backend: "the file system",
            action,
            source: Box::new(error),
        }),
    }
}

/// Refuses what is no file to write to, and makes a private one where there is nothing.
fn make_or_look_at_file(database: &Path) -> Result<(), StoreError> {
    let found = match fs::metadata(database) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(database);
            return match made {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Err(unusable(database, "it is a link to nothing; remove the link"))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unusable(
                    database,
                    "its folder does not exist; make the folder first",
                )),
                Err(error) => Err(unusable(
                    database,
                    &format!("it cannot be made there: {error}; look at the folder's permissions"),
                )),
            };
        }
        Err(error) => {
            return Err(unusable(
                database,
                &format!("{error}; look at its folder and permissions"),
            ));
        }
    };
    if found.is_dir() {
        return Err(unusable(database, "it is a folder; name a file in it"));
    }
    if !found.is_file() {
        return Err(unusable(database, "it is no regular file; name another"));
    }
    // The owner's own mark counts, even for a process that could write regardless.
    if found.permissions().mode() & 0o200 == 0 {
        let how = format!(
            "it is read-only; make it writable with `chmod u+w '{}'`",
            database.display()
        );
        return Err(unusable(database, &how));
    }
    // SQLite takes a file that is shorter than its smallest page for an empty database, and would write over it.
    if (1..SMALLEST_PAGE).contains(&found.len()) {
        return Err(connection::no_database(database));
    }
    Ok(())
}

fn unusable(database: &Path, why: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the database `{}` cannot be used: {why}",
        database.display()
    ))
}

/// Returns whether the last process left its log behind: whoever closes the database last folds it in and removes it.
fn has_log(database: &Path) -> bool {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Returns about how many bytes the commit writes.
fn weight(commit: &Commit) -> usize {
    let inline = commit.blobs.iter().filter(|blob| !BlobFiles::takes(blob));
    let blobs: usize = inline.map(|blob| blob.content().len()).sum();
    blobs + 1024 * (1 + commit.events.len())
}

fn changes_projects(_: &Project, changes: &mut Changes) {
    changes.projects = true;
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_project(&self, new: NewProject) -> Result<Project, StoreError> {
        let work = move |database: &_| writes::create_project(database, &new);
        self.writer()?
            .change("create a project", Size::default(), changes_projects, work)
            .await
    }

    async fn project(&self, id: ProjectId) -> Result<Project, StoreError> {
        if let Some(project) = self.kept.project(id) {
            return Ok(Arc::unwrap_or_clone(project));
        }
        let kept = self.kept.clone();
        let read = move |database: &_| {
            let begun = kept.begin();
            let project = queries::project(database, id)?;
            kept.keep_project(Arc::new(project.clone()), begun);
            Ok(project)
        };
        self.readers.read("read a project", read).await
    }

    async fn project_by_name(&self, name: &str) -> Result<Project, StoreError> {
        match self.kept.project_by_name(name) {
            Some(Named::Project(project)) => return Ok(Arc::unwrap_or_clone(project)),
            Some(Named::Nothing) => return Err(rules::not_found("project", name)),
            None => {}
        }
        let (name, kept) = (name.to_owned(), self.kept.clone());
        let read = move |database: &_| {
            let begun = kept.begin();
            let found = queries::project_by_name(database, &name);
            match &found {
                Ok(project) => kept.keep_project(Arc::new(project.clone()), begun),
                Err(Failure::Refused(StoreError::NotFound { .. })) => kept.keep_no_project(&name, begun),
                Err(_) => {}
            }
            found
        };
        self.readers.read("read a project", read).await
    }

    async fn projects(&self, page: Page<ProjectId>) -> Result<Vec<Project>, StoreError> {
        self.readers
            .read("list projects", move |database| queries::projects(database, page))
            .await
    }

    async fn update_project(&self, project: Project) -> Result<Project, StoreError> {
        let work = move |database: &_| writes::update_project(database, &project);
        self.writer()?
            .change("update a project", Size::default(), changes_projects, work)
            .await
    }

    async fn remove_project(&self, id: ProjectId) -> Result<(), StoreError> {
        let work = move |database: &_| writes::remove_project(database, id);
        // Its runs lose it.
        let changes = |(): &(), changes: &mut Changes| changes.everything = true;
        self.writer()?
            .change("remove a project", Size::default(), changes, work)
            .await
    }

    async fn create_runs(
        &self,
        new: Vec<NewRun>,
        once: Option<Once>,
    ) -> Result<Vec<(Run, Event)>, StoreError> {
        let size = Size {
            bytes: new.iter().map(|new| 2048 + 2 * new.goal.len()).sum(),
            urgency: Urgency::Normal,
        };
        let work = move |database: &_| writes::create_runs(database, &new, once.as_ref());
        let changes = |made: &Vec<(Run, Event)>, changes: &mut Changes| {
            let runs = made.iter().map(|(run, _)| Arc::new(run.clone()));
            changes.runs.extend(runs);
        };
        self.writer()?.change("create runs", size, changes, work).await
    }

    async fn run(&self, id: RunId) -> Result<Run, StoreError> {
        if let Some(run) = self.kept.run(id) {
            return Ok(Arc::unwrap_or_clone(run));
        }
        let kept = self.kept.clone();
        let read = move |database: &_| {
            let begun = kept.begin();
            let run = queries::run(database, id)?;
            kept.keep_run(Arc::new(run.clone()), begun);
            Ok(run)
        };
        self.readers.read("read a run", read).await
    }

    async fn runs(&self, filter: RunFilter, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        let kept = self.kept.clone();
        self.readers
            .read("list runs", move |database| {
                queries::runs(database, filter, page, &kept)
            })
            .await
    }

    async fn claim(
        &self,
        worker: &WorkerId,
        which: Claimable,
        at: Timestamp,
    ) -> Result<Option<(Run, Event)>, StoreError> {
        let worker = worker.clone();
        let work = move |database: &_| writes::claim(database, &worker, which, at);
        let changes = |claimed: &Option<(Run, Event)>, changes: &mut Changes| {
            let run = claimed.iter().map(|(run, _)| Arc::new(run.clone()));
            changes.runs.extend(run);
        };
        self.writer()?
            .change("claim a run", Size::default(), changes, work)
            .await
    }

    async fn queue_heads(&self) -> Result<Vec<QueueHead>, StoreError> {
        self.readers.read("look at the queue", queries::queue_heads).await
    }

    async fn release_claim(&self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        let work = move |database: &_| writes::release_claim(database, run, fence);
        let changes = |released: &Option<Run>, changes: &mut Changes| {
            changes.runs.extend(released.iter().cloned().map(Arc::new));
        };
        self.writer()?
            .change("release a claim", Size::default(), changes, work)
            .await
            .map(drop)
    }

    async fn claimed_runs(&self, page: Page<RunId>) -> Result<Vec<Run>, StoreError> {
        self.readers
            .read("list claimed runs", move |database| {
                queries::claimed_runs(database, page)
            })
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<(Run, Vec<Event>), StoreError> {
        let size = Size {
            bytes: weight(&commit),
            urgency: commit.urgency,
        };
        let commit = Arc::new(commit);
        self.keep_large_blobs(Arc::clone(&commit)).await?;
        let work = move |database: &_| writes::commit(database, &commit);
        let changes = |(run, _): &(Run, Vec<Event>), changes: &mut Changes| {
            changes.runs.push(Arc::new(run.clone()));
        };
        self.writer()?.change("commit events", size, changes, work).await
    }

    async fn events(&self, run: RunId, page: Page<Seq>) -> Result<Vec<Event>, StoreError> {
        self.readers
            .read("list events", move |database| {
                queries::events(database, run, page)
            })
            .await
    }

    async fn all_events(&self, page: Page<EventId>) -> Result<Vec<Event>, StoreError> {
        self.readers
            .read("list all events", move |database| {
                queries::all_events(database, page)
            })
            .await
    }

    async fn newest_event(&self) -> Result<EventId, StoreError> {
        self.readers
            .read("find the newest event", queries::newest_event)
            .await
    }

    async fn next_approval_id(&self) -> Result<ApprovalId, StoreError> {
        self.writer()?
            .write("number an approval", Size::default(), writes::next_approval_id)
            .await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError> {
        self.readers
            .read("read an approval", move |database| {
                queries::approval(database, id)
            })
            .await
    }

    async fn open_approvals(
        &self,
        run: Option<RunId>,
        page: Page<ApprovalId>,
    ) -> Result<Vec<Approval>, StoreError> {
        let work = move |database: &_| queries::open_approvals(database, run, page);
        self.readers.read("list open approvals", work).await
    }

    async fn approvals_of(&self, run: RunId, page: Page<ApprovalId>) -> Result<Vec<Approval>, StoreError> {
        let work = move |database: &_| queries::approvals_of(database, run, page);
        self.readers.read("list approvals", work).await
    }

    async fn usage(
        &self,
        group: UsageGroup,
        filter: UsageFilter,
        page: Page<String>,
    ) -> Result<Vec<UsageTotal>, StoreError> {
        let work = move |database: &_| totals::usage(database, group, &filter, &page);
        self.readers.read("sum usage", work).await
    }

    async fn run_counts(&self) -> Result<RunCounts, StoreError> {
        self.readers.read("count runs", totals::run_counts).await
    }

    async fn remember(&self, once: Once, answer: String, at: Timestamp) -> Result<(), StoreError> {
        let size = Size {
            bytes: answer.len(),
            urgency: Urgency::Normal,
        };
        let work = move |database: &_| {
            answers::refuse_repeated(database, Some(&once))?;
            answers::keep(database, &once, &answer, at)
        };
        self.writer()?.write("keep an answer", size, work).await
    }

    async fn remembered(&self, scope: &str, key: &str) -> Result<Option<Remembered>, StoreError> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        let work = move |database: &_| answers::remembered(database, &scope, &key);
        self.readers.read("find an answer", work).await
    }

    async fn forget_answers(&self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        let work = move |database: &_| answers::forget(database, before, most);
        self.writer()?
            .write("forget answers", Size::default(), work)
            .await
    }

    async fn blob(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let (id, files) = (id.clone(), self.blob_files.clone());
        let read = move |database: &_| match queries::blob(database, &id)? {
            StoredBlob::Inline(content) => Ok(content),
            StoredBlob::File => Ok(files.read(&id)?),
        };
        self.readers.read("read a blob", read).await
    }

    async fn add_credential(&self, new: NewCredential) -> Result<Credential, StoreError> {
        let work = move |database: &_| credentials::add(database, &new);
        self.writer()?
            .write("add a credential", Size::default(), work)
            .await
    }

    async fn credential_by_hash(&self, hash: &SecretHash) -> Result<Credential, StoreError> {
        let hash = *hash;
        self.readers
            .read("read a credential", move |database| {
                credentials::by_hash(database, &hash)
            })
            .await
    }

    async fn credentials(
        &self,
        filter: CredentialFilter,
        page: Page<CredentialId>,
    ) -> Result<Vec<Credential>, StoreError> {
        self.readers
            .read("list credentials", move |database| {
                credentials::list(database, filter, page)
            })
            .await
    }

    async fn revoke_credential(&self, id: CredentialId, at: Timestamp) -> Result<Credential, StoreError> {
        // Whoever takes a credential back does not wait behind a crowd.
        let size = Size {
            urgency: super::Urgency::First,
            ..Size::default()
        };
        let work = move |database: &_| credentials::revoke(database, id, at);
        self.writer()?.write("revoke a credential", size, work).await
    }

    async fn redeem_login_code(
        &self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        let code = *code;
        let work = move |database: &_| credentials::redeem(database, &code, session, at);
        self.writer()?
            .write("redeem a login code", Size::default(), work)
            .await
    }

    async fn close(&self) {
        self.health.stop_check();
        self.kept.close();
        self.readers.close().await;
        // The connection that writes goes last: it folds the log into the database, which marks a clean stop.
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}
