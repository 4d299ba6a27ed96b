//! Whether the database can be trusted: checked in the background after an unclean stop, and noted when SQLite meets
//! damage on the way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, InterruptHandle};
use tokio::sync::watch;

use super::super::StoreError;
use super::connection::{self, Purpose};
use super::failure;

/// Whether the database can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHealth {
    /// Nothing speaks against it.
    Sound,
    /// The last process ended without closing the database, and its pages are being checked. It serves meanwhile.
    Checking,
    /// It is damaged, in the words given. It is still read where it can be; every write is refused.
    Damaged(String),
}

/// The health as it stands, shared by the store, its writer and the check.
pub(super) struct HealthRecord {
    state: watch::Sender<StoreHealth>,
    /// Ends the check that is under way.
    check: Mutex<Option<InterruptHandle>>,
}

impl std::fmt::Debug for HealthRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.state.borrow().fmt(f)
    }
}

impl HealthRecord {
    pub(super) fn new(health: StoreHealth) -> Self {
        Self {
            state: watch::Sender::new(health),
            check: Mutex::new(None),
        }
    }

    pub(super) fn get(&self) -> StoreHealth {
        self.state.borrow().clone()
    }

    /// Returns the health once no check is under way.
    pub(super) async fn settled(&self) -> StoreHealth {
        let mut states = self.state.subscribe();
        match states.wait_for(|state| *state != StoreHealth::Checking).await {
            Ok(state) => state.clone(),
            Err(_) => self.get(),
        }
    }

    /// Returns what is broken, if something is.
    pub(super) fn damage(&self) -> Option<String> {
        match &*self.state.borrow() {
            StoreHealth::Damaged(what) => Some(what.clone()),
            StoreHealth::Sound | StoreHealth::Checking => None,
        }
    }

    /// Notes damage. It is never taken back while the process lives.
    pub(super) fn set_damaged(&self, what: String) {
        tracing::error!(what, "the database is damaged; nothing more is written to it");
        self.state.send_replace(StoreHealth::Damaged(what));
    }

    fn set_sound(&self) {
        self.state.send_if_modified(|state| {
            let was_checking = *state == StoreHealth::Checking;
            if was_checking {
                *state = StoreHealth::Sound;
            }
            was_checking
        });
    }

    /// Begins to check the database on a thread of its own.
    pub(super) fn start_check(self: &Arc<Self>, database: PathBuf) -> Result<(), StoreError> {
        let connection = connection::open(&database, Purpose::Read)?;
        *self.check.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.get_interrupt_handle());
        let record = Arc::clone(self);
        let check = std::thread::Builder::new().name("store-check".to_owned());
        let started = check.spawn(move || record.check(&connection, &database));
        started
            .map(drop)
            .map_err(|error| failure::file_error(error, "start the check of the database"))
    }

    /// Ends the check that is under way, if one is.
    pub(super) fn stop_check(&self) {
        if let Some(check) = self.check.lock().unwrap_or_else(PoisonError::into_inner).take() {
            check.interrupt();
        }
    }

    fn check(&self, connection: &Connection, database: &Path) {
        match quick_check(connection) {
            Ok(problems) if problems.is_empty() => self.set_sound(),
            Ok(problems) => self.set_damaged(problems.join("; ")),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                tracing::debug!(database = %database.display(), "the check of the database was ended");
                self.set_sound();
            }
            Err(error) => self.set_damaged(error.to_string()),
        }
        self.check.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Returns the first few things that are wrong with the database's pages.
fn quick_check(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare("PRAGMA quick_check(5)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines
        .filter(|line| line.as_ref().map_or(true, |line| line != "ok"))
        .collect()
}
