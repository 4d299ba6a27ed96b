//! From a database URL to the backend that serves it: the one list of backends.

use std::path::Path;
use std::sync::Arc;

use super::{MemoryStore, SqliteStore, Store, StoreError};

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be its owner: it is made or brought up to date, and written.
    Own,
    /// To read beside its owner. Nothing is made, migrated or written.
    Read,
}

/// Opens the store that `url` names.
///
/// `sqlite:PATH` is a SQLite database at that path, made where there is none. `memory:` is empty and is gone with the
/// process.
pub async fn open_store(url: &str, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            let path = Path::new(sqlite_path(url, path)?);
            Ok(Arc::new(match access {
                Access::Own => SqliteStore::open(path).await?,
                Access::Read => SqliteStore::open_for_reading(path).await?,
            }))
        }
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
        // A URL of another kind may carry a password, so that only its scheme is repeated.
        Some((scheme, _))
            if scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+') =>
        {
            Err(StoreError::Unusable(format!(
                "a database URL cannot begin with `{}:`; write sqlite:PATH or memory:",
                scheme.chars().take(40).collect::<String>()
            )))
        }
        _ => Err(StoreError::Unusable(
            "the database URL has no scheme; write sqlite:PATH or memory:".to_owned(),
        )),
    }
}

/// Returns the path of a SQLite URL. `sqlite:///a` is the file `/a`, as everywhere; what `sqlite://a` means differs
/// from program to program, so that it is refused.
fn sqlite_path<'a>(url: &str, path: &'a str) -> Result<&'a str, StoreError> {
    let ambiguous = path.starts_with("//") && !path.starts_with("///");
    if path.is_empty() || ambiguous || path.starts_with(':') {
        return Err(StoreError::Unusable(format!(
            "`{}` names no database file; write sqlite:PATH",
            url.chars().take(80).collect::<String>().escape_debug()
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_opens_its_backend() {
        let folder = tempfile::tempdir().unwrap();
        for url in [
            format!("sqlite:{}", folder.path().join("one.db").display()),
            format!("sqlite://{}", folder.path().join("two.db").display()),
            "memory:".to_owned(),
        ] {
            open_store(&url, Access::Own).await.unwrap().close().await;
        }
        assert!(folder.path().join("one.db").is_file() && folder.path().join("two.db").is_file());
    }

    #[tokio::test]
    async fn other_urls_are_refused_without_repeating_secrets() {
        let cases = [
            (
                "postgres://ann:secret@host/db",
                "a database URL cannot begin with `postgres:`; write sqlite:PATH or memory:",
            ),
            (
                "platform.db",
                "the database URL has no scheme; write sqlite:PATH or memory:",
            ),
            ("", "the database URL has no scheme; write sqlite:PATH or memory:"),
            ("sqlite:", "`sqlite:` names no database file; write sqlite:PATH"),
            (
                "sqlite://x.db",
                "`sqlite://x.db` names no database file; write sqlite:PATH",
            ),
            (
                "sqlite::memory:",
                "`sqlite::memory:` names no database file; write sqlite:PATH",
            ),
            (
                "memory:x",
                "a database URL cannot begin with `memory:`; write sqlite:PATH or memory:",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(
                open_store(url, Access::Own).await.unwrap_err().to_string(),
                expected
            );
        }
    }
}
