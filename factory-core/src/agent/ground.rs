//! What a project offers to its runs: its store, its environment, checkouts laid from both, and its checks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::environment::{self, Layer, LayerStore, PrepareRequest, Prepared};
use crate::error::Error;
use crate::model::{Project, SetupNetwork, TreeId};
use crate::sandbox::{CommandOutcome, CommandSpec, Exit, Limits, Network, RunLock, RunningCommand, Sandbox};
use crate::vcs::{Checkout, Vcs};

/// How long the leftovers of a dead process may hold a command lock before it is an error.
const LOCK_WITHIN: Duration = Duration::from_secs(20);

/// How long one setup command may take: a cold build of a large project's dependencies is slow.
const SETUP_WITHIN: Duration = Duration::from_hours(1);

/// A project as its runs stand on it.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) vcs: Arc<dyn Vcs>,
    pub(crate) sandbox: Sandbox,
    pub(crate) project: Project,
    pub(crate) root: PathBuf,
    /// How long one check command may take.
    pub(crate) check_within: Duration,
}

/// A checkout with its private home, and the lock that a command in it holds.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn checkout(&self) -> Checkout {
        Checkout {
            dir: self.root.join("checkout"),
            index: self.root.join("index"),
            excludes: self.root.join("excludes"),
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Takes the lock that every command of this place holds until all its processes are gone, so that nothing of a
    /// dead process writes here while somebody else works.
    pub(crate) async fn lock(&self) -> Result<RunLock, Error> {
        Ok(RunLock::acquire(&self.root.join("command.lock"), LOCK_WITHIN).await?)
    }
}

/// How a check command went.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) command: String,
    pub(crate) outcome: CommandOutcome,
}

impl Checked {
    pub(crate) fn ok(&self) -> bool {
        self.outcome.exit == Exit::Code(0)
    }

    pub(crate) fn work_ms(&self) -> u64 {
        u64::try_from(self.outcome.took.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Ground {
    /// The factory's bare store of the project.
    pub(crate) fn store(&self) -> PathBuf {
        store_of(&self.root)
    }

    /// Runs the project's setup on the tree, or finds its kept result.
    pub(crate) async fn environment(
        &self,
        tree: &TreeId,
        stop: &CancellationToken,
    ) -> Result<Prepared, Error> {
        let settings = &self.project.settings;
        let request = PrepareRequest {
            store: self.store(),
            base_tree: tree.clone(),
            project_dir: self.root.clone(),
            setup: settings.setup.clone(),
            folder: settings.folder.clone(),
            network: match settings.setup_network {
                SetupNetwork::Off => Network::Off,
                SetupNetwork::Host => Network::Host,
            },
            limits: Limits {
                wall: SETUP_WITHIN,
                ..Limits::default()
            },
            lock_files: lock_files(settings.folder.as_deref()),
        };
        Ok(environment::prepare(self.vcs.as_ref(), &self.sandbox, request, stop).await?)
    }

    /// Makes the place anew: the layer's files, and the tree's over them.
    pub(crate) async fn lay(
        &self,
        place: &Place,
        tree: &TreeId,
        layer: Option<&Layer>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let lock = place.lock().await?;
        let checkout = place.checkout();
        make_empty(&[&checkout.dir, &place.home()], &[&checkout.index]).await?;
        let mut excludes = String::new();
        if let Some(layer) = layer {
            let layers = LayerStore::new(&self.root);
            layers.lay(layer, &checkout.dir, &place.home(), stop).await?;
            excludes = layer.exclude_patterns();
        }
        tokio::fs::write(&checkout.excludes, excludes)
            .await
            .map_err(|source| Error::Io {
                action: "write",
                path: checkout.excludes.clone(),
                source,
            })?;
        self.vcs.lay(&self.store(), tree, &checkout).await?;
        drop(lock);
        Ok(())
    }

    /// Returns a command as it runs in the project's folder.
    pub(crate) fn script(&self, command: &str) -> String {
        environment::in_folder(self.project.settings.folder.as_deref(), command)
    }

    /// Runs the commands one after the other in the place, up to the first that fails.
    pub(crate) async fn check(
        &self,
        place: &Place,
        commands: &[String],
        stop: &CancellationToken,
    ) -> Result<Vec<Checked>, Error> {
        let mut checked: Vec<Checked> = Vec::new();
        for command in commands {
            if stop.is_cancelled() || checked.last().is_some_and(|last| !last.ok()) {
                break;
            }
            let running = self.start_check(place, command).await?;
            let outcome = running.wait(stop).await;
            checked.push(Checked {
                command: command.clone(),
                outcome,
            });
        }
        Ok(checked)
    }

    /// Starts a check command in the place; returns when it runs.
    pub(crate) async fn start_check(&self, place: &Place, command: &str) -> Result<RunningCommand, Error> {
        let spec = CommandSpec {
            script: self.script(command),
            checkout: place.checkout().dir,
            home: place.home(),
            network: Network::Off,
            limits: Limits {
                wall: self.check_within,
                ..Limits::default()
            },
        };
        Ok(self.sandbox.start(&spec, Some(place.lock().await?)).await?)
    }
}

/// Returns the factory's bare store within a project's folder.
pub(crate) fn store_of(project: &Path) -> PathBuf {
    project.join("store.git")
}

/// Returns the lock files that may decide what a project in a folder has installed: its own, and the repository's.
fn lock_files(folder: Option<&str>) -> Vec<String> {
    let own = folder.into_iter().flat_map(|folder| {
        let below = move |name: &&str| format!("{folder}/{name}");
        environment::LOCK_FILES.iter().map(below)
    });
    let top = environment::LOCK_FILES.iter().map(|&name| name.to_owned());
    own.chain(top).collect()
}

/// Removes a place; what is not there needs no removing.
pub(crate) async fn remove(root: PathBuf) -> std::io::Result<()> {
    match tokio::task::spawn_blocking(move || environment::remove_tree(&root)).await {
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(result) => result,
        Err(panic) => Err(std::io::Error::other(panic)),
    }
}

/// Makes each folder empty and removes each file.
async fn make_empty(folders: &[&Path], files: &[&Path]) -> Result<(), Error> {
    for file in files {
        match tokio::fs::remove_file(file).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io {
                    action: "remove",
                    path: file.to_path_buf(),
                    source: error,
                });
            }
            _ => {}
        }
    }
    for folder in folders {
        let failed = |action| {
            let path = folder.to_path_buf();
            move |source| Error::Io { action, path, source }
        };
        remove(folder.to_path_buf()).await.map_err(failed("remove"))?;
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(failed("make the folder"))?;
    }
    Ok(())
}
