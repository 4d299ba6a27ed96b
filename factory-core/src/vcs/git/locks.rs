//! One lock per store, index or repository, so that two calls of this process never wait for each other's lock files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Lock = tokio::sync::Mutex<()>;

/// The locks in use, by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks(Arc<Mutex<HashMap<PathBuf, Weak<Lock>>>>);

impl Locks {
    /// Waits until nobody else of this process works on `path`.
    pub(super) async fn hold(&self, path: &Path) -> OwnedMutexGuard<()> {
        self.lock_of(path).lock_owned().await
    }

    fn lock_of(&self, path: &Path) -> Arc<Lock> {
        // The map is whole after every statement, so a panic elsewhere has not harmed it.
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(path).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(path.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_is_held_by_one_and_forgotten_after() {
        let locks = Locks::default();
        let held = locks.hold(Path::new("/a")).await;
        assert!(locks.lock_of(Path::new("/a")).try_lock().is_err());
        assert!(locks.lock_of(Path::new("/b")).try_lock().is_ok());
        drop(held);
        assert!(locks.lock_of(Path::new("/a")).try_lock().is_ok());
        drop(locks.hold(Path::new("/c")).await);
        drop(locks.hold(Path::new("/d")).await);
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}
