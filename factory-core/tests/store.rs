//! Every store, held to the one contract.

mod memory {
    use std::sync::Arc;

    use factory_core::store::{MemoryStore, Store};

    async fn fresh_store() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::new()), ())
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
