//! Brings a database to the newest schema: numbered files, all in one transaction, after a copy was put beside it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use super::super::StoreError;
use super::connection::{self, Purpose, opening_error};
use super::failure::{Failure, file_error};
use super::seed;

const TABLES: &str = include_str!("migrations/001_tables.sql");
const SEED_AND_TABLES: &str = concat!(
    include_str!("migrations/seed/set_aside.sql"),
    include_str!("migrations/001_tables.sql")
);

/// What came after the first schema, in the order in which it is made.
const LATER: &[&str] = &[
    include_str!("migrations/002_answers_and_totals.sql"),
    include_str!("migrations/003_credentials.sql"),
    include_str!("migrations/004_queue.sql"),
];

/// The newest schema's number.
const NEWEST: i64 = 4;
const _: () = assert!(
    LATER.len() == 3,
    "the newest schema is the first and what came after"
);

/// `AIDF`: marks the file as ours, so that no other program's database is taken for one.
const APPLICATION_ID: i64 = 0x4149_4446;

/// How many pages of a copy are written at a time.
const COPY_PAGES: i32 = 1024;

/// What a database file holds before it is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The tables of the programs before this one.
    Seed,
    /// Our own, of this number.
    Ours(i64),
}

/// Brings `database` to the newest schema. A process that dies on the way leaves the old one or the new one.
pub(super) fn migrate(database: &Path) -> Result<(), StoreError> {
    let mut connection = connection::open(database, Purpose::Migrate)?;
    let found = look(&connection, database)?;
    if found == Found::Ours(NEWEST) {
        return Ok(());
    }
    if found != Found::Nothing {
        keep_copy(&connection, database)?;
    }
    let first = match found {
        Found::Seed => M::up_with_hook(SEED_AND_TABLES, seed::adopt),
        Found::Nothing | Found::Ours(_) => M::up(TABLES),
    };
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    let all = std::iter::once(first).chain(LATER.iter().map(|sql| M::up(sql)));
    match Migrations::new(all.collect()).to_latest(&mut connection) {
        Ok(()) => Ok(()),
        // Another process may have done it while this one waited for the lock.
        Err(_) if matches!(look(&connection, database), Ok(Found::Ours(NEWEST))) => Ok(()),
        Err(error) => Err(migration_error(error, database)),
    }
}

/// Refuses a database that is not of the newest schema, and changes nothing.
pub(super) fn require_newest(database: &Path) -> Result<(), StoreError> {
    let connection = connection::open(database, Purpose::Read)?;
    if look(&connection, database)? == Found::Ours(NEWEST) {
        return Ok(());
    }
    Err(StoreError::Older {
        database: database.display().to_string(),
    })
}

fn look(connection: &Connection, database: &Path) -> Result<Found, StoreError> {
    read_schema(connection, database).map_err(|failure| opening_error(failure, database))
}

fn read_schema(connection: &Connection, database: &Path) -> Result<Found, Failure> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let things: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if version > NEWEST {
        return Err(StoreError::Newer {
            database: database.display().to_string(),
            found: version,
            known: NEWEST,
        }
        .into());
    }
    match (version, application) {
        (0, 0) if things == 0 => Ok(Found::Nothing),
        (0, 0) if seed::has_seed_tables(connection)? => Ok(Found::Seed),
        (1.., APPLICATION_ID) => Ok(Found::Ours(version)),
        _ => Err(StoreError::Unusable(format!(
            "`{}` is a database of another program; name another file",
            database.display()
        ))
        .into()),
    }
}

fn migration_error(error: rusqlite_migration::Error, database: &Path) -> StoreError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => opening_error(Failure::Sqlite(err), database),
        other => StoreError::Unusable(format!(
            "the database `{}` cannot be brought up to date ({other}); it was left as it is",
            database.display()
        )),
    }
}

/// Puts a copy beside the database, which no older copy has to make way for.
fn keep_copy(connection: &Connection, database: &Path) -> Result<(), StoreError> {
    let folder = database.parent().unwrap_or(Path::new("/"));
    let action = "copy the database before its migration";
    let partial = tempfile::Builder::new()
        .prefix(".copy-")
        .tempfile_in(folder)
        .map_err(|error| file_error(error, action))?;
    write_copy(connection, partial.path())
        .map_err(|error| opening_error(Failure::Sqlite(error), partial.path()))?;
    partial
        .as_file()
        .sync_all()
        .map_err(|error| file_error(error, action))?;
    let mut copy = partial;
    for number in 1_u32.. {
        match copy.persist_noclobber(copy_path(database, number)) {
            Ok(_) => break,
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => copy = error.file,
            Err(error) => return Err(file_error(error.error, action)),
        }
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| file_error(error, action))
}

fn write_copy(connection: &Connection, path: &Path) -> Result<(), rusqlite::Error> {
    let mut copy = Connection::open(path)?;
    // A copy of a database in WAL mode says so in its header; its own log is folded in before it is done with.
    Backup::new(connection, &mut copy)?.run_to_completion(COPY_PAGES, Duration::ZERO, None)?;
    let _: String = copy.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
    copy.close().map_err(|(_, error)| error)
}

fn copy_path(database: &Path, number: u32) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(format!(".before-migration-{NEWEST}"));
    if number > 1 {
        path.push(format!(".{number}"));
    }
    path.into()
}
