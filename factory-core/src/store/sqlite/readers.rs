//! The connections that read: a few, apart from the writer, each used by one short read at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::super::{StoreError, rules};
use super::connection::{self, Purpose};
use super::failure::{self, Failure};
use super::health::HealthRecord;

/// More than the cores of a small machine; a read is over in microseconds.
const CONNECTIONS: u32 = 8;

/// A pool of connections that only read.
#[derive(Debug)]
pub(super) struct Readers {
    database: PathBuf,
    health: Arc<HealthRecord>,
    room: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Returns a pool that opens its connections when they are first needed.
    pub(super) fn new(database: PathBuf, health: Arc<HealthRecord>) -> Self {
        Self {
            database,
            health,
            room: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            idle: Arc::default(),
        }
    }

    /// Runs `work` on a connection, off the async runtime's own threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.room)
            .acquire_owned()
            .await
            .map_err(|_| rules::closed())?;
        let (database, idle) = (self.database.clone(), Arc::clone(&self.idle));
        let health = Arc::clone(&self.health);
        let reading = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => connection::open(&database, Purpose::Read)?,
            };
            let answer = work(&connection).map_err(|failure| {
                if let Failure::Sqlite(error) = &failure
                    && failure::is_damage(error)
                {
                    health.set_damaged(error.to_string());
                }
                failure.into_store_error(action, &database)
            });
            // The connection goes back before the permit, so that there are never more than permits.
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            drop(permit);
            answer
        });
        match reading.await {
            Ok(answer) => answer,
            Err(error) => Err(StoreError::Backend {
                backend: "SQLite",
                action,
                source: Box::new(error),
            }),
        }
    }

    /// Waits for the reads under way and closes the connections. Later reads are refused.
    pub(super) async fn close(&self) {
        let all = self.room.acquire_many(CONNECTIONS).await;
        self.room.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        // Closing can touch the disk. A runtime that shuts down drops the closure, which closes them too.
        let _ = tokio::task::spawn_blocking(move || drop(idle)).await;
    }
}
