//! How a connection to the database is opened: which library, which settings, each read back.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::failure::{self, Failure};

/// How long a connection waits for a lock that another process holds.
const LOCK_DEADLINE: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps.
const STATEMENTS_KEPT: usize = 64;

/// The WAL file is cut back to this size when it is begun anew.
const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The one connection that writes.
    Write,
    /// One of those that only read.
    Read,
    /// Brings an older schema up to date: no foreign keys meanwhile, tables are renamed by their name alone.
    Migrate,
}

/// Returns why the SQLite library of this version must not be used; none where it may.
///
/// Before 3.51.3 two connections that write and checkpoint at once can corrupt a WAL database, and 3.52.0 was
/// withdrawn.
pub(super) fn unfit_library(version: i32) -> Option<String> {
    let name = format!(
        "{}.{}.{}",
        version / 1_000_000,
        version / 1000 % 1000,
        version % 1000
    );
    match version {
        ..3_051_003 => Some(format!(
            "SQLite {name} can corrupt a database in WAL mode; build the factory with SQLite 3.51.3 or later"
        )),
        3_052_000 => Some(format!(
            "SQLite {name} was withdrawn; build the factory with another version from 3.51.3 on"
        )),
        _ => None,
    }
}

/// Opens a connection and proves its settings.
pub(super) fn open(database: &Path, purpose: Purpose) -> Result<Connection, StoreError> {
    connect(database, purpose).map_err(|failure| opening_error(failure, database))
}

fn connect(database: &Path, purpose: Purpose) -> Result<Connection, Failure> {
    // No URI flag: a path is a path, whatever it begins with. No CREATE: the file is made before, private.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(LOCK_DEADLINE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let migrating = purpose == Purpose::Migrate;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, !migrating)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, migrating)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    prove(&connection, "synchronous", 2)?;
    prove(&connection, "trusted_schema", 0)?;
    prove(&connection, "foreign_keys", i64::from(!migrating))?;
    if !migrating {
        connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::Unusable(format!(
                "the database `{}` cannot use a write-ahead log (its mode stays `{mode}`); put it on a local disk",
                database.display()
            ))
            .into());
        }
    }
    if purpose == Purpose::Write {
        // Each request has a savepoint, for which SQLite notes the pages that it changes: a file would cost a quarter of
        // all the time.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
    }
    if purpose == Purpose::Read {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

fn prove(connection: &Connection, setting: &'static str, wanted: i64) -> Result<(), Failure> {
    let found: i64 = connection.pragma_query_value(None, setting, |row| row.get(0))?;
    if found == wanted {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "SQLite does not keep the setting {setting} = {wanted} (it says {found}); the database would not be safe"
    ))
    .into())
}

/// Returns the error of a database that cannot be opened, with the way out.
pub(super) fn opening_error(failure: Failure, database: &Path) -> StoreError {
    use rusqlite::ErrorCode;
    let error = match failure {
        Failure::Refused(error) => return error,
        Failure::Sqlite(error) => error,
    };
    let shown = database.display();
    StoreError::Unusable(match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => return StoreError::StorageFull,
        // The files beside the database grow by ways that tell of a full disk as of any other failure.
        Some(ErrorCode::SystemIoFailure) if has_no_room(database) => return StoreError::StorageFull,
        Some(ErrorCode::NotADatabase) => return no_database(database),
        Some(ErrorCode::DatabaseCorrupt) => return failure::damaged(database, &error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("the database `{shown}` is locked by another program; close that program")
        }
        // SQLite makes files beside the database, and says of a folder that takes none that the database cannot be opened.
        Some(ErrorCode::CannotOpen) if database.is_file() => {
            format!("the database `{shown}` or its folder cannot be written; give yourself write permission")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("the database `{shown}` or its folder cannot be written; give yourself write permission")
        }
        _ => format!("the database `{shown}` cannot be opened ({error}); look at its folder and permissions"),
    })
}

/// Returns whether the disk of a file is full for this user.
fn has_no_room(file: &Path) -> bool {
    rustix::fs::statvfs(file).is_ok_and(|disk| disk.f_bavail == 0)
}

/// Returns the error of a file that is something else.
pub(super) fn no_database(file: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "`{}` is no SQLite database; name another file, or restore a backup",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affected_libraries_are_refused() {
        for version in [3_007_000, 3_040_001, 3_051_002, 3_052_000] {
            assert!(unfit_library(version).is_some(), "{version}");
        }
        for version in [3_051_003, 3_052_001, 3_053_002] {
            assert_eq!(unfit_library(version), None);
        }
        assert_eq!(
            unfit_library(3_051_002).unwrap(),
            "SQLite 3.51.2 can corrupt a database in WAL mode; build the factory with SQLite 3.51.3 or later"
        );
        assert_eq!(unfit_library(rusqlite::version_number()), None);
    }
}
