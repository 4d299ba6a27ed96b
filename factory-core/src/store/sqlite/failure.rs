//! What can go wrong inside the SQLite backend, and the one place where it becomes a [`StoreError`].

use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::super::StoreError;

/// Why a piece of work inside the backend ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request itself cannot be granted.
    Refused(StoreError),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    /// Returns the failure as the store's caller sees it.
    pub(super) fn into_store_error(self, action: &'static str, database: &Path) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sqlite(error) => store_error(&Arc::new(error), action, database),
        }
    }
}

/// Returns SQLite's error as the store's caller sees it. Shared, because one failed COMMIT answers a whole group.
pub(super) fn store_error(error: &Arc<rusqlite::Error>, action: &'static str, database: &Path) -> StoreError {
    if is_full(error) {
        StoreError::StorageFull
    } else if is_damage(error) {
        damaged(database, &error.to_string())
    } else {
        StoreError::Backend {
            backend: "SQLite",
            action,
            source: Box::new(Arc::clone(error)),
        }
    }
}

/// Returns whether the disk is full.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Returns whether the file itself is broken.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Returns the error of a database whose content cannot be trusted.
pub(super) fn damaged(database: &Path, what: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the database `{}` is damaged ({what}); stop the factory, keep the file, and restore a backup or try `sqlite3 '{0}' .recover`",
        database.display()
    ))
}

/// Returns the error of a file operation beside the database.
pub(super) fn file_error(error: std::io::Error, action: &'static str) -> StoreError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::StorageFull,
        _ => StoreError::Backend {
            backend: "the file system",
            action,
            source: Box::new(error),
        },
    }
}
