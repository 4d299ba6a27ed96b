//! A shell in a run's sandbox, for a person: what the agent saw and could do, on a copy that nobody else works on.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Reader;
use crate::agent::{self, Ground, Place, store_of};
use crate::error::Error;
use crate::model::{RunId, TreeId};
use crate::sandbox::{
    AttachedCommand, CommandSpec, Limits, Network, RunLock, SandboxError, SandboxLevel, Streams,
};

/// How the folders of copies begin, within the project's folder.
const COPY: &str = "shell-";

/// The lock of whoever has the copy.
const OWNER: &str = "owner.lock";

/// A copy of a run's newest tree with what the project's setup left, for commands of a person. End it with
/// [`Workbench::clear`]; one that a killed process left is removed when the next is laid.
#[derive(Debug)]
pub struct Workbench {
    ground: Ground,
    place: Place,
    tree: TreeId,
    is_set_up: bool,
    /// Held as long as the copy is somebody's.
    _owned: RunLock,
}

impl Reader {
    /// Lays a copy of the run's newest tree: what it offers, its newest checkpoint, or its base. The run, which may be at
    /// work, is only read. Setup runs where its result is not kept any more.
    ///
    /// [`Error::Sandbox`] where commands cannot be held here, [`Error::Conflict`] where the run has no project or no
    /// base.
    pub async fn lay_workbench(&self, run: RunId) -> Result<Workbench, Error> {
        if let SandboxLevel::None { reason } = self.surroundings().await.sandbox.level() {
            let reason = reason.clone();
            return Err(SandboxError::Unavailable { reason }.into());
        }
        let row = self.store.run(run).await?;
        let (Some(project), Some(base)) = (row.project_id, row.base()) else {
            return Err(Error::Conflict {
                run,
                detail: "it has no project or no base commit, so there are no files to work on".to_owned(),
            });
        };
        let ground = self.ground(self.store.project(project).await?).await;
        let store = store_of(&ground.root);
        let base = self.vcs.tree_of(&store, base).await?;
        let state = self.state(run).await?;
        let tree = self
            .newest_tree(run, &state)
            .await?
            .unwrap_or_else(|| base.clone());
        sweep(&ground.root).await;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{COPY}{run}-"))
            .tempdir_in(&ground.root);
        let folder = folder.map_err(|source| Error::Io {
            action: "make a folder in",
            path: ground.root.clone(),
            source,
        })?;
        let owned = RunLock::acquire(&folder.path().join(OWNER), Duration::ZERO).await?;
        let place = Place::new(folder.keep());
        let mut workbench = Workbench {
            ground,
            place,
            tree,
            is_set_up: false,
            _owned: owned,
        };
        match workbench.lay(&base).await {
            Ok(is_set_up) => {
                workbench.is_set_up = is_set_up;
                Ok(workbench)
            }
            Err(error) => {
                workbench.clear().await;
                Err(error)
            }
        }
    }
}

impl Workbench {
    /// Returns the tree that was laid.
    pub fn tree(&self) -> &TreeId {
        &self.tree
    }

    /// Returns whether what the project's setup leaves is there. It is not where setup fails.
    pub fn is_set_up(&self) -> bool {
        self.is_set_up
    }

    /// Starts a command in the project's folder of the copy, in the sandbox, without network, on the caller's streams.
    pub async fn start(&self, script: &str, streams: Streams) -> Result<AttachedCommand, Error> {
        let spec = CommandSpec {
            script: self.ground.script(script),
            checkout: self.place.checkout().dir,
            home: self.place.home(),
            network: Network::Off,
            limits: Limits::default(),
        };
        let lock = self.place.lock().await?;
        Ok(self.ground.sandbox.attach(&spec, lock, streams).await?)
    }

    /// Removes the copy.
    pub async fn clear(self) {
        let root = self.place.root().to_owned();
        if let Err(error) = agent::remove(root.clone()).await {
            tracing::warn!(folder = %root.display(), %error, "the copy of a run's files could not be removed");
        }
    }

    async fn lay(&self, base: &TreeId) -> Result<bool, Error> {
        let stop = CancellationToken::new();
        // Dropping this future ends what runs.
        let _ends = stop.clone().drop_guard();
        let prepared = self.ground.environment(base, &stop).await?;
        self.ground
            .lay(&self.place, &self.tree, prepared.layer.as_ref(), &stop)
            .await?;
        Ok(prepared.ok)
    }
}

/// Removes the copies that killed processes left: those whose lock is free. What cannot be removed stays for the next.
async fn sweep(project: &Path) {
    let Ok(mut entries) = tokio::fs::read_dir(project).await else {
        return;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let lock = entry.path().join(OWNER);
        let is_copy = entry.file_name().to_string_lossy().starts_with(COPY);
        if is_copy
            && lock.exists()
            && let Ok(held) = RunLock::acquire(&lock, Duration::ZERO).await
        {
            drop(agent::remove(entry.path()).await);
            drop(held);
        }
    }
}
