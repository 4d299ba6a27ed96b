//! What a project's setup leaves behind, kept once and copied for every run.
//!
//! A layer is built in a folder of its own and comes to its name by a rename, so that half of one is never taken for
//! a whole. From then on it is only read.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::EnvironmentError;
use crate::model::BlobId;
use crate::sandbox::{Network, Toolchain};

/// How often, and at what distance, a folder is removed to which somebody still adds.
const REMOVALS: u32 = 500;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(20);

/// The marker of a finished layer.
const MARKER: &str = "layer.json";

/// How the folder of an unfinished layer begins.
const UNFINISHED: &str = ".making-";

/// How long copying a layer may take.
const COPYING: Duration = Duration::from_mins(10);

/// What a layer was made from: equal keys, equal layers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LayerKey(String);

impl LayerKey {
    /// Derives the key from the files that decide what is installed (name and content), the commands, what they may
    /// reach, and the toolchains.
    pub fn new(
        files: &[(String, Vec<u8>)],
        setup: &[String],
        network: Network,
        toolchains: &[Toolchain],
    ) -> Self {
        let mut input = Vec::new();
        // Every part has its length before it, so that no two inputs run together to the same bytes.
        let mut add = |part: &[u8]| {
            input.extend((part.len() as u64).to_le_bytes());
            input.extend_from_slice(part);
        };
        add(b"layer 1");
        add(format!("{network:?}").as_bytes());
        for parts in [
            setup.iter().map(String::as_bytes).collect::<Vec<_>>(),
            toolchains
                .iter()
                .map(|toolchain| toolchain.name.as_bytes())
                .collect(),
            files
                .iter()
                .flat_map(|(name, content)| [name.as_bytes(), content])
                .collect(),
        ] {
            add(&(parts.len() as u64).to_le_bytes());
            parts.into_iter().for_each(&mut add);
        }
        Self(BlobId::of(&input).to_string())
    }

    /// Returns the key as text: a folder's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A finished layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    dir: PathBuf,
    excludes: Vec<String>,
}

/// What the marker holds.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    version: u32,
    excludes: Vec<String>,
}

impl Layer {
    /// Returns the layer's key: the name of its folder.
    pub fn key(&self) -> String {
        self.dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Returns the paths that setup left untracked in the checkout and that are no part of a run's result.
    pub fn excludes(&self) -> &[String] {
        &self.excludes
    }

    /// Returns the text of an ignore file that leaves these paths out.
    pub fn exclude_patterns(&self) -> String {
        exclude_patterns(&self.excludes)
    }
}

/// Writes paths as ignore patterns that match these paths alone.
pub fn exclude_patterns(paths: &[String]) -> String {
    let mut text = String::new();
    for path in paths {
        text.push('/');
        for character in path.trim_end_matches('/').chars() {
            match character {
                // A pattern ends with its line, and a byte that is no UTF-8 came as U+FFFD: the nearest that can be said.
                '\n' | '\r' => text.push('?'),
                '\u{fffd}' => text.push('*'),
                '\\' | '*' | '?' | '[' | ']' | ' ' | '\t' => text.extend(['\\', character]),
                _ => text.push(character),
            }
        }
        text.push('\n');
    }
    text
}

/// The layers of a project.
#[derive(Debug, Clone)]
pub struct LayerStore {
    dir: PathBuf,
}

impl LayerStore {
    /// The layers below a project's folder.
    pub fn new(project_dir: &Path) -> Self {
        Self {
            dir: project_dir.join("layers"),
        }
    }

    /// Returns the layer, if it is there whole.
    pub fn find(&self, key: &LayerKey) -> Option<Layer> {
        let dir = self.dir.join(key.as_str());
        let marker: Marker = serde_json::from_slice(&std::fs::read(dir.join(MARKER)).ok()?).ok()?;
        (marker.version == 1).then_some(Layer {
            dir,
            excludes: marker.excludes,
        })
    }

    /// Returns the file that whoever builds the layer locks.
    pub(super) fn lock_file(&self, key: &LayerKey) -> io::Result<PathBuf> {
        std::fs::create_dir_all(&self.dir)?;
        Ok(self.dir.join(format!("{}.lock", key.as_str())))
    }

    /// Begins a layer: empty folders for a checkout and a home. Dropped unfinished, it is removed.
    pub fn begin(&self, key: &LayerKey) -> Result<LayerBuild, EnvironmentError> {
        let failed = |source| EnvironmentError::io("make a layer in", &self.dir, source);
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        let dir = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&self.dir)
            .map_err(failed)?
            .keep();
        // Held as long as the build lives, so that a sweep tells it from one whose maker was killed.
        let held = File::open(&dir).map_err(failed)?;
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| failed(errno.into()))?;
        let build = LayerBuild {
            target: self.dir.join(key.as_str()),
            dir,
            _held: held,
        };
        for folder in [build.checkout(), build.home()] {
            std::fs::create_dir(folder).map_err(failed)?;
        }
        Ok(build)
    }

    /// Removes what makers left half-made that are gone.
    pub fn sweep(&self) -> Result<(), EnvironmentError> {
        let failed = |source| EnvironmentError::io("clean up", &self.dir, source);
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                continue;
            }
            let Ok(held) = File::open(entry.path()) else {
                continue;
            };
            if rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
                remove_tree(&entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Copies the layer into the folders of a run, which must be empty or missing. Modes, times, links are kept; where
    /// the file system can, no data is copied until either side changes.
    pub async fn lay(
        &self,
        layer: &Layer,
        checkout: &Path,
        home: &Path,
        stop: &CancellationToken,
    ) -> Result<(), EnvironmentError> {
        for (from, to) in [("checkout", checkout), ("home", home)] {
            copy(&layer.dir.join(from), to, stop).await?;
        }
        Ok(())
    }
}

/// A layer in the making.
#[derive(Debug)]
pub struct LayerBuild {
    dir: PathBuf,
    target: PathBuf,
    _held: File,
}

impl LayerBuild {
    /// The folder that becomes the layer's part of a checkout.
    pub fn checkout(&self) -> PathBuf {
        self.dir.join("checkout")
    }

    /// The folder that becomes the layer's private home.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// A folder for what is needed in the making only.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes it a layer, durably. Blocks.
    pub fn adopt(self, excludes: Vec<String>) -> Result<Layer, EnvironmentError> {
        self.finish(&excludes)
            .map_err(|source| EnvironmentError::io("keep the layer", &self.target, source))?;
        Ok(Layer {
            dir: self.target.clone(),
            excludes,
        })
    }

    fn finish(&self, excludes: &[String]) -> io::Result<()> {
        let marker = serde_json::to_vec(&Marker {
            version: 1,
            excludes: excludes.to_vec(),
        })?;
        let mut file = File::create_new(self.dir.join(MARKER))?;
        file.write_all(&marker)?;
        // The marker vouches for every file, so all of them must be on the disk before it has its name.
        rustix::fs::syncfs(&file)?;
        std::fs::rename(&self.dir, &self.target)?;
        match self.target.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for LayerBuild {
    fn drop(&mut self) {
        if self.dir.exists()
            && let Err(error) = remove_tree(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "cannot remove a half-made layer");
        }
    }
}

/// Removes a folder, also where a setup left parts of it unwritable, as Go does with its modules, and where a process
/// that outlived a killed factory still adds to it. Blocks.
pub fn remove_tree(dir: &Path) -> io::Result<()> {
    for _ in 1..REMOVALS {
        match remove_once(dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(BETWEEN_REMOVALS);
            }
            result => return result,
        }
    }
    remove_once(dir)
}

fn remove_once(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir)?;
            std::fs::remove_dir_all(dir)
        }
        result => result,
    }
}

fn open_up(dir: &Path) -> io::Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // The entry's own type: links are not followed.
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Copies a folder's content by the system's `cp`, which keeps everything that is to be kept.
async fn copy(from: &Path, to: &Path, stop: &CancellationToken) -> Result<(), EnvironmentError> {
    let failed = |source| EnvironmentError::io("copy a layer to", to, source);
    tokio::fs::create_dir_all(to).await.map_err(failed)?;
    // An existing link would be written through.
    let mut entries = tokio::fs::read_dir(to).await.map_err(failed)?;
    if entries.next_entry().await.map_err(failed)?.is_some() {
        return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
    }
    let said = tokio::process::Command::new("/bin/cp")
        .args(["--archive", "--reflink=auto", "--no-target-directory", "--"])
        .args([from, to])
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Not in the group that a terminal's Ctrl-C goes to: a pause lets the copy end.
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let said = tokio::select! {
        () = stop.cancelled() => return Err(EnvironmentError::Stopped),
        said = tokio::time::timeout(COPYING, said) => said,
    };
    let said = said
        .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    if said.status.success() {
        return Ok(());
    }
    let detail: String = String::from_utf8_lossy(&said.stderr).chars().take(2000).collect();
    Err(failed(io::Error::other(detail.trim().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::{LayerKey, exclude_patterns, remove_tree};
    use crate::sandbox::Network;

    #[test]
    fn a_folder_goes_also_while_somebody_adds_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("checkout");
        std::fs::create_dir(&folder).unwrap();
        let adding = folder.clone();
        // Like a git that outlived its factory: its files come one after the other until the folder is gone.
        let writer = std::thread::spawn(move || {
            (0..200_000).find(|number| std::fs::write(adding.join(number.to_string()), "").is_err())
        });
        while std::fs::read_dir(&folder).unwrap().count() < 1000 {}
        remove_tree(&folder).unwrap();
        assert!(!folder.exists());
        writer.join().unwrap();
    }

    #[test]
    fn paths_become_patterns_that_match_them_alone() {
        let paths = [
            ".venv",
            "node_modules/",
            "#a",
            "!b",
            "c*[d]?",
            "e\\f ",
            "g\nh",
            "i\u{fffd}",
            "dir/j",
        ];
        assert_eq!(
            exclude_patterns(&paths.map(str::to_owned)),
            "/.venv\n/node_modules\n/#a\n/!b\n/c\\*\\[d\\]\\?\n/e\\\\f\\ \n/g?h\n/i*\n/dir/j\n"
        );
    }

    #[test]
    fn the_key_tells_every_input_apart() {
        let file = |name: &str, content: &str| (name.to_owned(), content.as_bytes().to_vec());
        let setup = |commands: &[&str]| {
            commands
                .iter()
                .map(|command| (*command).to_owned())
                .collect::<Vec<_>>()
        };
        let keys = [
            LayerKey::new(&[], &setup(&[]), Network::Off, &[]),
            LayerKey::new(&[], &setup(&[]), Network::Host, &[]),
            LayerKey::new(&[], &setup(&["a", "b"]), Network::Off, &[]),
            LayerKey::new(&[], &setup(&["ab"]), Network::Off, &[]),
            LayerKey::new(&[file("a", "b")], &setup(&[]), Network::Off, &[]),
            LayerKey::new(&[file("", "ab")], &setup(&[]), Network::Off, &[]),
            LayerKey::new(&[file("ab", "")], &setup(&[]), Network::Off, &[]),
        ];
        for (position, key) in keys.iter().enumerate() {
            assert!(!keys[position + 1..].contains(key));
        }
    }
}
