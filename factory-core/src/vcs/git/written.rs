//! Remembers the tree of an index that was not written since, so that a snapshot without a change asks git no more.
//!
//! Most commands of an agent change nothing. Git replaces an index by another file whenever it writes it, so the file's
//! identity tells that its content, and with it the tree, is what it was.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::tree::View;
use crate::model::TreeId;

/// How many indexes are remembered: more than runs go on at once.
const MOST: usize = 256;

/// What tells one state of an index file from another. The time of change cannot be set by anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    /// The second of the last write, by which git tells which files are too young to be trusted.
    written: i64,
}

impl State {
    /// Returns the state of the index; none where there is no index.
    pub(super) async fn of(view: &View) -> Option<Self> {
        let metadata = tokio::fs::symlink_metadata(&view.index).await.ok()?;
        Some(Self::from(&metadata))
    }

    /// Tells whether the index was written in a second that is over.
    pub(super) fn is_past(self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.is_ok_and(|now| i64::try_from(now.as_secs()).is_ok_and(|now| now > self.written))
    }

    /// Tells whether the index was written in a later second than an earlier one.
    pub(super) fn is_later_than(self, earlier: Option<Self>) -> bool {
        earlier.is_some_and(|earlier| self.written > earlier.written)
    }
}

impl From<&Metadata> for State {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            written: metadata.mtime(),
        }
    }
}

/// What is known of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    state: State,
    /// Its tree.
    pub(super) tree: TreeId,
    /// Whether the index was written in a later second than the files were laid.
    pub(super) settled: bool,
}

/// An index and the store that its tree is in.
type Place = (PathBuf, PathBuf);

/// The trees of indexes.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<Mutex<HashMap<Place, Known>>>);

impl Written {
    /// Returns what is known of the index if it is still as it was when its tree was written.
    pub(super) fn tree_of(&self, view: &View, state: Option<State>) -> Option<Known> {
        // The map is whole after every statement, so a panic elsewhere has not harmed it.
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = written.get(&place(view))?;
        (Some(known.state) == state).then(|| known.clone())
    }

    /// Remembers the tree of the index, which nobody else may write meanwhile.
    pub(super) fn remember(&self, view: &View, state: Option<State>, tree: &TreeId, settled: bool) {
        let Some(state) = state else { return };
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= MOST {
            // Those that still matter come back with their next snapshot.
            written.clear();
        }
        let tree = tree.clone();
        written.insert(place(view), Known { state, tree, settled });
    }
}

fn place(view: &View) -> Place {
    (view.index.clone(), view.git_dir.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn an_index_that_was_replaced_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index");
        let view = View {
            git_dir: folder.path().join("store"),
            dir: folder.path().join("checkout"),
            index: index.clone(),
            excludes: folder.path().join("excludes"),
            empty_tree: None,
            ours: true,
        };
        let replace = |content: &str| {
            let new = Path::new(&index).with_extension("new");
            fs::write(&new, content).unwrap();
            fs::rename(&new, &index).unwrap();
        };
        let tree: TreeId = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap();
        let written = Written::default();
        assert_eq!(State::of(&view).await, None);
        replace("one");
        let state = State::of(&view).await;
        assert_eq!(written.tree_of(&view, state), None);
        written.remember(&view, state, &tree, true);
        let known = written.tree_of(&view, State::of(&view).await).unwrap();
        assert_eq!((known.tree, known.settled), (tree, true));
        replace("two");
        assert_eq!(written.tree_of(&view, State::of(&view).await), None);
        let other = View {
            git_dir: folder.path().join("other"),
            ..view
        };
        assert_eq!(written.tree_of(&other, state), None);
    }
}
