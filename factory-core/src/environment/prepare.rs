//! Runs a project's setup on its base and keeps what it leaves as a layer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{EnvironmentError, Layer, LayerKey, LayerStore, in_folder};
use crate::model::TreeId;
use crate::sandbox::{CommandSpec, Exit, Limits, Network, RunLock, Sandbox};
use crate::vcs::{Checkout, Vcs};

/// How long another maker of the same layer is waited for.
const PATIENCE: Duration = Duration::from_hours(2);

/// The most bytes of a lock file that count for the key.
const LOCK_FILE_BYTES: usize = 64 << 20;

/// What is to be prepared.
#[derive(Debug, Clone)]
pub struct PrepareRequest {
    /// The factory's bare store of the project.
    pub store: PathBuf,
    /// The tree to set up.
    pub base_tree: TreeId,
    /// The project's folder in the data folder.
    pub project_dir: PathBuf,
    /// The setup commands, in order.
    pub setup: Vec<String>,
    /// The folder of the tree that they run in; its top where there is none.
    pub folder: Option<String>,
    /// What they may reach.
    pub network: Network,
    /// The bounds of each.
    pub limits: Limits,
    /// The files of the tree that decide what is installed. Where the tree has none of them, every tree gets a layer of
    /// its own.
    pub lock_files: Vec<String>,
}

/// How the preparation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The layer; none where there is no setup, or where it failed.
    pub layer: Option<Layer>,
    /// Whether the layer was there already.
    pub reused: bool,
    /// Whether every command ended with 0.
    pub ok: bool,
    /// The commands with their output, up to the one that failed.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// Returns the layer of the request, made now if it is not there. Of several callers with the same request one makes
/// it and the others wait.
pub async fn prepare(
    vcs: &dyn Vcs,
    sandbox: &Sandbox,
    request: PrepareRequest,
    stop: &CancellationToken,
) -> Result<Prepared, EnvironmentError> {
    let started = Instant::now();
    let done = |layer, reused, ok, output| Prepared {
        layer,
        reused,
        ok,
        output,
        took: started.elapsed(),
    };
    if request.setup.is_empty() {
        return Ok(done(None, false, true, String::new()));
    }
    let key = key(vcs, sandbox, &request).await?;
    let layers = LayerStore::new(&request.project_dir);
    let lock_file = layers
        .lock_file(&key)
        .map_err(|source| EnvironmentError::io("make a layer in", &request.project_dir, source))?;
    let _only_maker = tokio::select! {
        () = stop.cancelled() => return Err(EnvironmentError::Stopped),
        lock = RunLock::acquire(&lock_file, PATIENCE) => lock?,
    };
    if let Some(layer) = layers.find(&key) {
        return Ok(done(Some(layer), true, true, String::new()));
    }
    let build = {
        let (layers, key) = (layers.clone(), key.clone());
        blocking(move || {
            layers.sweep()?;
            layers.begin(&key)
        })
        .await?
    };
    let checkout = Checkout {
        dir: build.checkout(),
        index: build.beside("index"),
        excludes: build.beside("excludes"),
    };
    vcs.lay(&request.store, &request.base_tree, &checkout).await?;
    let base = {
        let dir = checkout.dir.clone();
        blocking(move || BaseFiles::of(&dir)).await?
    };
    let (ok, output) = run_setup(sandbox, &request, &checkout.dir, &build.home(), stop).await?;
    if !ok {
        blocking(move || {
            drop(build);
            Ok(())
        })
        .await?;
        return Ok(done(None, false, false, output));
    }
    let excludes = vcs.untracked(&request.store, &checkout).await?;
    let layer = blocking(move || {
        base.remove_from(&checkout.dir)?;
        for path in [&checkout.index, &checkout.excludes] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(EnvironmentError::io("remove", path, error));
                }
                _ => {}
            }
        }
        build.adopt(excludes)
    })
    .await?;
    Ok(done(Some(layer), false, true, output))
}

async fn key(
    vcs: &dyn Vcs,
    sandbox: &Sandbox,
    request: &PrepareRequest,
) -> Result<LayerKey, EnvironmentError> {
    let mut files = Vec::new();
    for name in &request.lock_files {
        let content = vcs
            .read_file(&request.store, &request.base_tree, name, LOCK_FILE_BYTES)
            .await?;
        files.extend(content.map(|content| (name.clone(), content)));
    }
    if files.is_empty() {
        files.push((String::new(), request.base_tree.to_string().into_bytes()));
    }
    let scripts = request.setup.iter();
    let scripts: Vec<String> = scripts
        .map(|script| in_folder(request.folder.as_deref(), script))
        .collect();
    Ok(LayerKey::new(
        &files,
        &scripts,
        request.network,
        sandbox.toolchains(),
    ))
}

/// Runs the commands until one fails. Returns whether all went well, and what they printed.
async fn run_setup(
    sandbox: &Sandbox,
    request: &PrepareRequest,
    checkout: &Path,
    home: &Path,
    stop: &CancellationToken,
) -> Result<(bool, String), EnvironmentError> {
    let mut output = String::new();
    for script in &request.setup {
        let spec = CommandSpec {
            script: in_folder(request.folder.as_deref(), script),
            checkout: checkout.to_path_buf(),
            home: home.to_path_buf(),
            network: request.network,
            limits: request.limits,
        };
        if stop.is_cancelled() {
            return Err(EnvironmentError::Stopped);
        }
        let outcome = sandbox.start(&spec, None).await?.wait(stop).await;
        output.extend(["$ ", script, "\n", &outcome.output]);
        if !output.ends_with('\n') {
            output.push('\n');
        }
        let end = match outcome.exit {
            Exit::Code(0) => continue,
            Exit::Stopped => return Err(EnvironmentError::Stopped),
            Exit::Code(code) => format!("exit code {code}"),
            Exit::Signal(signal) => format!("killed by signal {signal}"),
            Exit::TimedOut => format!("killed after {:?}", request.limits.wall),
        };
        output.extend(["[", &end, "]\n"]);
        return Ok((false, output));
    }
    Ok((true, output))
}

/// The files and folders of the base: no part of a layer, because a run lays its own.
#[derive(Debug, Default)]
struct BaseFiles {
    files: Vec<PathBuf>,
    /// Parents before what they hold.
    folders: Vec<PathBuf>,
}

impl BaseFiles {
    fn of(dir: &Path) -> Result<Self, EnvironmentError> {
        let mut found = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let failed = |source| EnvironmentError::io("list", &dir.join(&folder), source);
            for entry in std::fs::read_dir(dir.join(&folder)).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = folder.join(entry.file_name());
                if entry.file_type().map_err(failed)?.is_dir() {
                    found.folders.push(path.clone());
                    open.push(path);
                } else {
                    found.files.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Removes them beneath the folder. Setup may have put a link in a folder's place, so no path is followed out of
    /// it.
    fn remove_from(&self, dir: &Path) -> Result<(), EnvironmentError> {
        let beneath = cap_std::fs::Dir::open_ambient_dir(dir, cap_std::ambient_authority())
            .map_err(|source| EnvironmentError::io("open", dir, source))?;
        // What setup moved away, or filled with its own, is no longer the base's.
        for path in &self.files {
            let _kept = beneath.remove_file(path);
        }
        for path in self.folders.iter().rev() {
            let _kept = beneath.remove_dir(path);
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnvironmentError> + Send + 'static,
) -> Result<T, EnvironmentError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(EnvironmentError::io(
            "finish work on",
            Path::new("layers"),
            std::io::Error::other(error),
        ))
    })
}
