//! What a run has changed: all of it, between any two of its checkpoints, file by file, and one file in parts.

use std::path::PathBuf;

use super::{DiffRange, FileDiffs, Reader, RunDiff, TreesDiff};
use crate::agent::{State, store_of};
use crate::error::Error;
use crate::model::{ApprovalSubject, EventKind, RunId, Seq, TreeId};
use crate::store::{Page, StoreError};
use crate::vcs::{Diff, FilePatch};

/// The two trees that are compared, and the store that has them.
struct Compared {
    store: PathBuf,
    old: TreeId,
    new: TreeId,
}

impl Reader {
    /// The most bytes of one part of a file's difference: 1 MiB.
    pub const MAX_PATCH: usize = 1 << 20;

    /// Returns what the run has changed: the tree that it offers, or offered last, against its base; before that the
    /// newest checkpoint.
    pub async fn diff(&self, id: RunId) -> Result<RunDiff, Error> {
        let run = self.store.run(id).await?;
        let Some(base) = run.base().cloned() else {
            return Err(no_base(id));
        };
        let compared = self.compared(id, DiffRange::default()).await?;
        let diff = self.whole_diff(compared.as_ref()).await?;
        Ok(RunDiff {
            run_id: id,
            base,
            tree: compared.map(|compared| compared.new),
            diff,
        })
    }

    /// Returns what changed between two checkpoints of the run. [`StoreError::NotFound`] for a checkpoint that it has
    /// not.
    pub async fn diff_between(&self, id: RunId, range: DiffRange) -> Result<TreesDiff, Error> {
        let compared = self.compared(id, range).await?;
        let diff = self.whole_diff(compared.as_ref()).await?;
        let (from, to) = trees(compared);
        Ok(TreesDiff {
            run_id: id,
            from,
            to,
            diff,
        })
    }

    /// Returns the files that changed, by path, those after `page.after`. A page may end with a few more than its limit,
    /// where names that are no UTF-8 look alike.
    pub async fn diff_files(
        &self,
        id: RunId,
        range: DiffRange,
        page: Page<String>,
    ) -> Result<FileDiffs, Error> {
        let compared = self.compared(id, range).await?;
        let files = match &compared {
            Some(Compared { store, old, new }) => {
                let (after, limit) = (page.after.as_deref(), page.bounded_limit() as usize);
                self.vcs.changed_files(store, old, new, after, limit).await?
            }
            None => Vec::new(),
        };
        let (from, to) = trees(compared);
        Ok(FileDiffs {
            run_id: id,
            from,
            to,
            files,
        })
    }

    /// Returns how one file changed: at most `limit` bytes (and [`Reader::MAX_PATCH`]) of the unified text, from byte
    /// `offset` on. [`StoreError::NotFound`] where the file did not change.
    pub async fn diff_of_file(
        &self,
        id: RunId,
        range: DiffRange,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<FilePatch, Error> {
        let limit = limit.clamp(1, Self::MAX_PATCH);
        let part = match self.compared(id, range).await? {
            Some(Compared { store, old, new }) => {
                self.vcs
                    .file_patch(&store, &old, &new, path, offset, limit)
                    .await?
            }
            None => None,
        };
        part.ok_or_else(|| not_found("changed file", path.chars().take(200).collect()))
    }

    async fn whole_diff(&self, compared: Option<&Compared>) -> Result<Diff, Error> {
        match compared {
            Some(Compared { store, old, new }) => Ok(self.vcs.diff(store, old, new, &[]).await?),
            None => Ok(Diff {
                files: Vec::new(),
                text: String::new(),
                truncated: false,
            }),
        }
    }

    /// Returns what is to be compared; none where nothing was kept yet.
    async fn compared(&self, id: RunId, range: DiffRange) -> Result<Option<Compared>, Error> {
        let run = self.store.run(id).await?;
        let Some(project) = run.project_id.filter(|_| run.base().is_some()) else {
            return Err(no_base(id));
        };
        let state = self.state(id).await?;
        let old = match range.from {
            Some(number) => Some(self.checkpoint(id, number).await?),
            None => state.base_tree().cloned(),
        };
        let new = match range.to {
            Some(number) => Some(self.checkpoint(id, number).await?),
            None => self.newest_tree(id, &state).await?,
        };
        let store = store_of(&self.folder.project(project));
        Ok(old.zip(new).map(|(old, new)| Compared { store, old, new }))
    }

    /// Returns the tree that the run offers, or its newest that was kept; what it began with before that, where that
    /// was more than its base.
    pub(super) async fn newest_tree(&self, id: RunId, state: &State) -> Result<Option<TreeId>, StoreError> {
        let offered = self.store.open_approvals(Some(id), Page::first(1)).await?;
        let offered = offered.into_iter().find_map(|approval| match approval.subject {
            ApprovalSubject::Tree { tree, .. } => Some(tree),
            _ => None,
        });
        let kept = offered
            .as_ref()
            .or(state.commit.as_ref().map(|commit| &commit.tree))
            .or(state.proof.as_ref().map(|(_, check)| &check.tree))
            .or(state.checkpoint.as_ref().map(|checkpoint| &checkpoint.tree))
            .or(state.start().map(|start| &start.tree));
        Ok(kept.cloned())
    }

    /// Returns the tree of the run's checkpoint of this number.
    async fn checkpoint(&self, id: RunId, number: u32) -> Result<TreeId, Error> {
        let mut after = Seq(0);
        loop {
            let events = self
                .store
                .events(id, Page::after(after, Page::<Seq>::MAX))
                .await?;
            for event in &events {
                match &event.kind {
                    EventKind::CheckpointCreated(created) if created.checkpoint == number => {
                        return Ok(created.tree.clone());
                    }
                    _ => after = event.seq,
                }
            }
            if events.len() < Page::<Seq>::MAX as usize {
                return Err(not_found("checkpoint", format!("{number} of run {id}")));
            }
        }
    }
}

fn trees(compared: Option<Compared>) -> (Option<TreeId>, Option<TreeId>) {
    compared.map(|compared| (compared.old, compared.new)).unzip()
}

fn no_base(run: RunId) -> Error {
    Error::Conflict {
        run,
        detail: "it has no base commit, so there is no diff".to_owned(),
    }
}

fn not_found(kind: &'static str, id: String) -> Error {
    Error::Store(StoreError::NotFound { kind, id })
}
