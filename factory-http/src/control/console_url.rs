//! Where browsers reach the owner, once it serves them: what a login link begins with.

use std::sync::{Arc, OnceLock};

/// The console's address, if this process serves one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsoleUrl(Arc<OnceLock<String>>);

impl ConsoleUrl {
    /// Says where the console is. The first word counts.
    pub(crate) fn announce(&self, url: String) {
        let _ = self.0.set(url);
    }

    /// Returns where the console is.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
