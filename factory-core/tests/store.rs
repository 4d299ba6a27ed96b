//! Every store, held to the one contract.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

mod memory {
    use std::sync::Arc;

    use factory_core::store::{MemoryStore, Store};

    fn fresh_store() -> std::future::Ready<(Arc<dyn Store>, ())> {
        std::future::ready((Arc::new(MemoryStore::new()), ()))
    }

    factory_core::store_conformance!(fresh_store);
}

mod sqlite {
    use std::sync::Arc;

    use factory_core::store::{SqliteStore, Store};
    use tempfile::TempDir;

    async fn fresh_store() -> (Arc<dyn Store>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("platform.db"))
            .await
            .unwrap();
        (Arc::new(store), folder)
    }

    factory_core::store_conformance!(fresh_store);
}

/// As above, with every read made from the database.
mod sqlite_that_keeps_no_rows {
    use std::sync::Arc;

    use factory_core::store::{SqliteStore, Store};
    use tempfile::TempDir;

    async fn fresh_store() -> (Arc<dyn Store>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("platform.db"))
            .await
            .unwrap();
        (Arc::new(store.without_kept_rows()), folder)
    }

    factory_core::store_conformance!(fresh_store);
}
