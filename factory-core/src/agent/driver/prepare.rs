//! Preparing a run: the project's setup, the checkout, and the checkpoints that are kept of it.

use std::path::Path;
use std::time::Instant;

use super::{Driver, Then};
use crate::environment;
use crate::error::Error;
use crate::journal::Entry;
use crate::model::payload::{CheckpointCreated, PolicyDenied, SetupFinished, SetupStarted};
use crate::model::{CommitId, NewEvent, StepId};
use crate::store::Blob;
use crate::vcs::{NewCommit, Signature};

/// The most names of the repository's top level that are shown to the model.
const TOP_LEVEL: usize = 100;

impl Driver {
    pub(super) async fn set_up(&mut self) -> Result<Then, Error> {
        let base = self.base().await?;
        let settings = &self.equipment.ground.project.settings;
        let started = SetupStarted {
            base: base.clone(),
            commands: settings.setup.clone(),
            network: settings.setup_network,
        };
        let Some(pass) = self.intend(Entry::one(NewEvent::system(started))).await? else {
            return Ok(Then::GoOn);
        };
        let begun = Instant::now();
        let ground = &self.equipment.ground;
        let tree = ground.vcs.tree_of(&ground.store(), &base).await?;
        drop(pass);
        let prepared = ground.environment(&tree, self.gate.stopped()).await?;
        let mut finished = SetupFinished {
            base_tree: tree.clone(),
            layer: prepared.layer.as_ref().map(environment::Layer::key),
            reused: prepared.reused,
            ok: prepared.ok,
            output: None,
            work_ms: 0,
        };
        if prepared.ok {
            // Earlier work that the run goes on from; what setup left is the base's all the same.
            let laid = self.state.start().map_or(&tree, |start| &start.tree);
            make_folder(self.equipment.place().root()).await?;
            ground
                .lay(
                    &self.equipment.place(),
                    laid,
                    prepared.layer.as_ref(),
                    self.gate.stopped(),
                )
                .await?;
        }
        let output = Blob::new(prepared.output.into_bytes());
        if !output.content().is_empty() {
            finished.output = Some(output.id().clone());
        }
        finished.work_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let entry = Entry::one(NewEvent::system(finished)).with_blobs(vec![output]);
        self.record(entry).await?;
        Ok(Then::GoOn)
    }

    /// Returns the commit that the work starts from, which is in the factory's store from then on.
    async fn base(&self) -> Result<CommitId, Error> {
        let ground = &self.equipment.ground;
        let repository = &ground.project.local_path;
        let base = if let Some(base) = &self.state.spec.base {
            base.clone()
        } else {
            let name = self
                .state
                .spec
                .base_ref
                .as_deref()
                .or(ground.project.settings.base_ref.as_deref());
            ground.vcs.resolve(repository, name.unwrap_or("HEAD")).await?
        };
        ground.vcs.fetch(&ground.store(), repository, &base).await?;
        Ok(base)
    }

    /// Keeps the checkout's tree if it differs from what was kept last, and returns the events that tell of it.
    pub(super) async fn checkpoint(&self, step: StepId) -> Result<Vec<NewEvent>, Error> {
        let store = self.equipment.ground.store();
        let vcs = &self.equipment.ground.vcs;
        let snapshot = vcs.snapshot(&store, &self.equipment.place().checkout()).await?;
        let mut events = denied(&snapshot.left_out);
        let start = self.state.start();
        let before = self.state.checkpoint.as_ref().map(|checkpoint| &checkpoint.tree);
        let before = before
            .or(start.map(|start| &start.tree))
            .or(self.state.base_tree());
        if before == Some(&snapshot.tree) {
            return Ok(events);
        }
        let number = self.state.checkpoints + 1;
        let parent = self
            .state
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.commit.clone())
            .or(start.map(|start| start.commit.clone()));
        let commit = NewCommit {
            tree: snapshot.tree.clone(),
            parents: parent.or(self.state.spec.base.clone()).into_iter().collect(),
            message: format!("Checkpoint {number} of run {}", self.run),
            by: signature(self.equipment.journal.now()),
        };
        let commit = vcs.commit(&store, &commit).await?;
        vcs.keep(&store, &format!("runs/{}/checkpoint-{number}", self.run), &commit)
            .await?;
        let files_changed = match before {
            Some(before) => vcs.diff(&store, before, &snapshot.tree, &[]).await?.files.len() as u64,
            None => 0,
        };
        let created = CheckpointCreated {
            checkpoint: number,
            commit,
            tree: snapshot.tree,
            files_changed,
        };
        events.push(NewEvent::system(created).in_step(Some(step)));
        Ok(events)
    }
}

/// Returns the identity under which the factory commits.
pub(super) fn signature(at: crate::model::Timestamp) -> Signature {
    Signature {
        name: "AI Dev Factory".to_owned(),
        email: "factory@localhost".to_owned(),
        at,
    }
}

/// Returns an event for each path that cannot be part of a tree.
pub(super) fn denied(left_out: &[(String, String)]) -> Vec<NewEvent> {
    let denied = left_out.iter().map(|(path, why)| {
        let detail = format!("`{}` is left out of the tree: {why}", path.escape_debug());
        NewEvent::system(PolicyDenied {
            code: "left_out_of_tree".to_owned(),
            detail,
        })
    });
    denied.collect()
}

/// Returns the names in a checkout's top folder, folders with a slash; what lies below is for the tools to show.
pub(super) fn top_level(checkout: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(checkout) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| {
            let slash = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                "/"
            } else {
                ""
            };
            format!("{}{slash}", entry.file_name().to_string_lossy().escape_debug())
        })
        .collect();
    names.sort();
    if names.len() > TOP_LEVEL {
        let more = names.len() - TOP_LEVEL;
        names.truncate(TOP_LEVEL);
        names.push(format!("… and {more} more"));
    }
    names
}

/// Makes a folder with its parents.
pub(super) async fn make_folder(path: &Path) -> Result<(), Error> {
    let made = tokio::fs::create_dir_all(path).await;
    made.map_err(|source| Error::Io {
        action: "make the folder",
        path: path.to_owned(),
        source,
    })
}
