//! The one thread that writes: it takes what waits as a group, commits the group, and only then answers.
//!
//! Syncing the disk costs the same for one request as for a hundred, so that requests which wait at the same time share
//! a transaction. Each has a savepoint of its own: what one is refused for does not touch the others.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::super::{StoreError, Urgency, rules};
use super::connection::{self, Purpose};
use super::failure::{self, Failure};
use super::health::HealthRecord;
use super::kept::{Changes, Kept};

/// The most requests of one transaction.
const GROUP_REQUESTS: usize = 256;

/// The most bytes of one transaction, unless a single request has more.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What may wait, in units of [`UNIT_BYTES`]; every request takes one at least.
const WAITING_UNITS: u32 = 1024;

/// See [`WAITING_UNITS`]: 64 MiB may wait in all.
const UNIT_BYTES: usize = 64 * 1024;

/// The way to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    /// Room for what may wait, apart for each urgency: a full queue does not keep a stop from getting in.
    room: Arc<Semaphore>,
    urgent_room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on `connection`.
    pub(super) fn start(
        database: PathBuf,
        connection: Connection,
        health: Arc<HealthRecord>,
        kept: Kept,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let mut committer = Committer {
            database,
            connection: Some(connection),
            health,
            kept,
        };
        let requests = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let _end = EndOfThread(Arc::clone(&requests));
                while let Some(group) = requests.next_group() {
                    committer.commit(group);
                }
            });
        let thread = thread.map_err(|error| failure::file_error(error, "start the writing thread"))?;
        Ok(Self {
            queue,
            room: Arc::new(Semaphore::new(WAITING_UNITS as usize)),
            urgent_room: Arc::new(Semaphore::new(WAITING_UNITS as usize)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has `work` done in a transaction, and answers when it is on disk. It changes no row that is kept in memory.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        size: Size,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.change(action, size, |_, _| (), work).await
    }

    /// Has `work` done as [`Writer::write`] does; `changes` says of its result which kept rows it has changed.
    ///
    /// `work` is run again where the transaction that it shared could not be committed for want of space; its effects
    /// are in the database alone. A caller that goes away meanwhile does not undo the request.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        action: &'static str,
        size: Size,
        changes: fn(&T, &mut Changes),
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let room = match size.urgency {
            Urgency::Normal => &self.room,
            Urgency::First => &self.urgent_room,
        };
        let units = u32::try_from(1 + size.bytes / UNIT_BYTES)
            .unwrap_or(u32::MAX)
            .min(WAITING_UNITS);
        let permit = Arc::clone(room)
            .acquire_many_owned(units)
            .await
            .map_err(|_| rules::closed())?;
        let (sender, answer) = oneshot::channel();
        let request = Request {
            work: Box::new(TypedWork {
                action,
                work,
                changes,
                result: None,
                sender,
            }),
            bytes: size.bytes,
            room: permit,
        };
        self.queue.push(request, size.urgency)?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Backend {
                backend: "SQLite",
                action,
                source: "the writing thread ended; restart the factory".into(),
            })
        })
    }

    /// Returns how many requests wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.queue.lock();
        waiting.first.len() + waiting.normal.len()
    }

    /// Lets everything that waits be written and closes the connection. Later writes are refused.
    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread was reported to whoever waited for an answer.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread is not waited for: drop may run on the async runtime. It ends after what waits.
        self.queue.close();
    }
}

/// What a request weighs, and whether it goes first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// About how many bytes it writes.
    pub(super) bytes: usize,
    /// Whether it may overtake.
    pub(super) urgency: Urgency,
}

struct Request {
    work: Box<dyn Work>,
    bytes: usize,
    /// Held until the request is answered.
    room: OwnedSemaphorePermit,
}

impl Request {
    fn answer(self, lost: Option<&Lost>, database: &std::path::Path) {
        self.work.answer(lost, database);
        drop(self.room);
    }
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    first: VecDeque<Request>,
    normal: VecDeque<Request>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.lock();
        f.debug_struct("Queue")
            .field("first", &waiting.first.len())
            .field("normal", &waiting.normal.len())
            .field("closed", &waiting.closed)
            .finish()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, request: Request, urgency: Urgency) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(rules::closed());
        }
        match urgency {
            Urgency::First => waiting.first.push_back(request),
            Urgency::Normal => waiting.normal.push_back(request),
        }
        self.changed.notify_one();
        Ok(())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for requests and takes as many as one transaction may have; none once the queue is closed and empty.
    fn next_group(&self) -> Option<Vec<Request>> {
        let mut waiting = self.lock();
        while waiting.first.is_empty() && waiting.normal.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut group: Vec<Request> = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_REQUESTS {
            let Waiting { first, normal, .. } = &mut *waiting;
            let from = if first.is_empty() { normal } else { first };
            let fits = |next: &mut Request| group.is_empty() || bytes + next.bytes <= GROUP_BYTES;
            let Some(request) = from.pop_front_if(fits) else {
                break;
            };
            bytes += request.bytes;
            group.push(request);
        }
        Some(group)
    }
}

/// Turns away whatever waits or comes when the thread ends in a way that was not asked for: a panic.
struct EndOfThread(Arc<Queue>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        // Whoever waits for these is told that no answer comes.
        waiting.first.clear();
        waiting.normal.clear();
    }
}

/// Why no request of a transaction was stored, as far as is known.
#[derive(Debug)]
enum Lost {
    /// SQLite failed.
    Sqlite(Arc<rusqlite::Error>),
    /// The database is damaged, so that nothing more is written to it.
    Damaged(String),
    /// There is no connection.
    Unopened(String),
}

impl Lost {
    fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if failure::is_full(error))
    }
}

trait Work: Send {
    /// Does the work in the open transaction and keeps its result.
    fn perform(&mut self, database: &Connection) -> Result<(), rusqlite::Error>;

    /// Adds what its result has changed of the kept rows.
    fn add_changes(&self, changes: &mut Changes);

    /// Tells the caller the result, or why the transaction was lost.
    fn answer(self: Box<Self>, lost: Option<&Lost>, database: &std::path::Path);
}

struct TypedWork<T, F> {
    action: &'static str,
    work: F,
    changes: fn(&T, &mut Changes),
    result: Option<Result<T, Failure>>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for TypedWork<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
{
    fn perform(&mut self, database: &Connection) -> Result<(), rusqlite::Error> {
        database.prepare_cached("SAVEPOINT request")?.execute([])?;
        let result = (self.work)(database);
        if database.is_autocommit() {
            // SQLite rolled the whole transaction back by itself, the other requests' part included.
            return Err(match result {
                Err(Failure::Sqlite(error)) => error,
                _ => rusqlite::Error::InvalidQuery,
            });
        }
        if result.is_err() {
            database.prepare_cached("ROLLBACK TO request")?.execute([])?;
        }
        database.prepare_cached("RELEASE request")?.execute([])?;
        self.result = Some(result);
        Ok(())
    }

    fn add_changes(&self, changes: &mut Changes) {
        if let Some(Ok(result)) = &self.result {
            (self.changes)(result, changes);
        }
    }

    fn answer(self: Box<Self>, lost: Option<&Lost>, database: &std::path::Path) {
        let answer = match (lost, self.result) {
            // What was refused, was refused, whatever became of the others.
            (_, Some(Err(Failure::Refused(error)))) => Err(error),
            (Some(Lost::Sqlite(error)), _) => Err(failure::store_error(error, self.action, database)),
            (Some(Lost::Damaged(what)), _) => Err(failure::damaged(database, what)),
            (Some(Lost::Unopened(what)), _) => Err(StoreError::Unusable(what.clone())),
            (None, Some(result)) => result.map_err(|failure| failure.into_store_error(self.action, database)),
            (None, None) => unreachable!("a transaction commits only after all its work was performed"),
        };
        // The caller may have gone away; the request is stored all the same.
        let _ = self.sender.send(answer);
    }
}

/// Owns the connection that writes.
struct Committer {
    database: PathBuf,
    /// None after a failure that leaves the connection's state in doubt; opened again for the next group.
    connection: Option<Connection>,
    health: Arc<HealthRecord>,
    kept: Kept,
}

impl Committer {
    fn commit(&mut self, mut group: Vec<Request>) {
        let lost = self.try_commit(&mut group).err();
        if lost.as_ref().is_some_and(Lost::is_full) && group.len() > 1 {
            // A small request, a pause say, is not to fail because a large one beside it found no room.
            for request in group {
                self.commit(vec![request]);
            }
            return;
        }
        for request in group {
            request.answer(lost.as_ref(), &self.database);
        }
    }

    fn try_commit(&mut self, group: &mut [Request]) -> Result<(), Lost> {
        if let Some(what) = self.health.damage() {
            return Err(Lost::Damaged(what));
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::open(&self.database, Purpose::Write)
                .map_err(|error| Lost::Unopened(error.to_string()))?,
        };
        match transact(&connection, group, &self.kept) {
            Ok(changes) => {
                self.kept.after(changes);
                self.connection = Some(connection);
            }
            Err(error) => {
                self.kept.failed();
                let rolled_back = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
                if rolled_back && failure::is_full(&error) {
                    self.connection = Some(connection);
                }
                if failure::is_damage(&error) {
                    self.health.set_damaged(error.to_string());
                }
                return Err(Lost::Sqlite(Arc::new(error)));
            }
        }
        Ok(())
    }
}

/// Commits the group, and returns what it has changed of the kept rows, which are let go before.
fn transact(connection: &Connection, group: &mut [Request], kept: &Kept) -> Result<Changes, rusqlite::Error> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut changes = Changes::default();
    for request in group.iter_mut() {
        request.work.perform(connection)?;
        request.work.add_changes(&mut changes);
    }
    kept.before(&changes);
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(changes)
}
