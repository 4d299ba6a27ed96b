//! What is no database of ours is refused with its name and the way out, and is left as it is.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use factory_core::store::{SqliteStore, Store, StoreError, StoreHealth};
use rusqlite::Connection;

/// Opens `path` and compares the refusal, in which the temporary folder is written as `TMP`.
async fn check_refused(root: &Path, path: &Path, expected: &str) {
    let refused = SqliteStore::open(path).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unusable(_)), "{refused:?}");
    assert_eq!(
        refused.to_string().replace(root.to_str().unwrap(), "TMP"),
        expected
    );
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let expected = "the database `TMP` cannot be used: it is a folder; name a file in it";
    check_refused(root.path(), root.path(), expected).await;
    let expected =
        "the database `TMP/no/platform.db` cannot be used: its folder does not exist; make the folder first";
    check_refused(root.path(), &at("no/platform.db"), expected).await;
    std::os::unix::fs::symlink(at("nothing"), at("link")).unwrap();
    let expected = "the database `TMP/link` cannot be used: it is a link to nothing; remove the link";
    check_refused(root.path(), &at("link"), expected).await;
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let expected = "the database `TMP/socket` cannot be used: it is no regular file; name another";
    check_refused(root.path(), &at("socket"), expected).await;
    let expected = "the database `/dev/null` cannot be used: it is no regular file; name another";
    check_refused(root.path(), Path::new("/dev/null"), expected).await;
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("platform.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    let expected = "the database `TMP/platform.db` cannot be used: it is read-only; make it writable with \
        `chmod u+w 'TMP/platform.db'`";
    check_refused(root.path(), &path, expected).await;
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("notes.txt");
    let content = "not a database, but long enough to be taken for one\n".repeat(100);
    std::fs::write(&path, &content).unwrap();
    let expected = "`TMP/notes.txt` is no SQLite database; name another file, or restore a backup";
    check_refused(root.path(), &path, expected).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let expected = "`TMP/other.db` is a database of another program; name another file";
    for sql in [
        "CREATE TABLE bookmarks (url TEXT)",
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, distance REAL); CREATE TABLE projects (x); CREATE TABLE events (y)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = -1",
    ] {
        let path = root.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        check_refused(root.path(), &path, expected).await;
        assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("platform.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::Newer {
                found: 99,
                known: 4,
                ..
            }
        ),
        "{refused:?}"
    );
    let expected = format!(
        "the database `{}` was made by a newer factory (schema 99, this one knows 4); use that factory, or restore a \
         backup",
        path.display()
    );
    assert_eq!(refused.to_string(), expected);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_torn_database_never_panics_and_says_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("platform.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    let whole = std::fs::read(&path).unwrap();
    for kept in [1, 16, 99, 100, 512, 4096, 5000, whole.len() / 2] {
        std::fs::write(&path, &whole[..kept]).unwrap();
        if let Err(refused) = SqliteStore::open(&path).await {
            let text = refused.to_string();
            assert!(matches!(refused, StoreError::Unusable(_)), "{kept}: {refused:?}");
            assert!(
                text.contains("platform.db") && text.contains("restore a backup"),
                "{kept}: {text}"
            );
        } else {
            panic!("{kept} bytes of a database were opened");
        }
    }
}

#[tokio::test]
async fn a_locked_database_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("platform.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE")
        .unwrap();
    let expected = "the database `TMP/platform.db` is locked by another program; close that program";
    check_refused(root.path(), &path, expected).await;
}

#[tokio::test]
async fn the_files_are_private() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("platform.db");
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.health(), StoreHealth::Sound);
    store.next_approval_id().await.unwrap();
    for entry in root.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    store.close().await;
}
