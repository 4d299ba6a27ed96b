//! The data folder: where everything durable lies, private to its owner and owned by one process at a time.
//!
//! The folder is the boundary of the secrets and of the trust in what is read from it, so that a wrong owner, a wrong
//! mode or a file system that other machines write to refuses the start instead of being mended in silence.

mod file_system;
mod owner_lock;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::{ProjectId, RunId};

pub use owner_lock::OwnerLock;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataFolderError {
    /// Something else has that name.
    #[error("the data folder `{path}` is no folder; name another with --data-dir")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder, or the link to it, is another user's.
    #[error(
        "the data folder `{path}` belongs to user {owner}, not to you (user {user}); name one of your own"
    )]
    ForeignOwner {
        /// The folder or the link.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others may look into the folder.
    #[error(
        "the data folder `{path}` is open to others (mode {mode:03o}); close it with `chmod 700 '{path}'`"
    )]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The owner itself may not use the folder.
    #[error("you may not use the data folder `{path}` (mode {mode:03o}); open it with `chmod 700 '{path}'`")]
    ClosedToOwner {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder lies where locks and shared memory cannot be relied upon.
    #[error("the data folder `{path}` is on a network file system ({kind}); name a folder on a local disk")]
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// The file system.
        kind: String,
    },
    /// Another process has the folder.
    #[error("the data folder `{path}` is in use by {}; use that one, or stop it first", process(*.pid))]
    Owned {
        /// The process, where it has said so already.
        pid: Option<u32>,
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl DataFolderError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A folder that was found fit to hold the factory's data, by its real path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// Opens the folder, made with mode 0700 where there is none, with those above it.
    ///
    /// Refused: what is no folder, a folder or a symlink of another user, one that group or others may use, and one on a
    /// network file system. A symlink of one's own is followed once, here; the paths that this type gives lead through
    /// none. A few system calls, which do block.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let user = rustix::process::geteuid().as_raw();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .or_else(|error| match error.kind() {
                // What is there already is looked at below.
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })
            .map_err(DataFolderError::io("make the data folder", path))?;
        let named =
            fs::symlink_metadata(path).map_err(DataFolderError::io("look at the data folder", path))?;
        if named.file_type().is_symlink() {
            refuse_foreign(path, named.uid(), user)?;
        }
        let real = fs::canonicalize(path).map_err(DataFolderError::io("find the data folder", path))?;
        let found = fs::metadata(&real).map_err(DataFolderError::io("look at the data folder", &real))?;
        if !found.is_dir() {
            return Err(DataFolderError::NotAFolder { path: real });
        }
        refuse_foreign(&real, found.uid(), user)?;
        let mode = found.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(DataFolderError::OpenToOthers { path: real, mode });
        }
        if mode & 0o700 != 0o700 {
            return Err(DataFolderError::ClosedToOwner { path: real, mode });
        }
        if let Some(kind) =
            file_system::remote_kind(&real).map_err(DataFolderError::io("find the file system of", &real))?
        {
            return Err(DataFolderError::NetworkFileSystem { path: real, kind });
        }
        Ok(Self { path: real })
    }

    /// Returns the folder's real path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the default database's path.
    pub fn database(&self) -> PathBuf {
        self.path.join("platform.db")
    }

    /// Returns the path of the file whose lock says who owns the folder.
    pub fn lock(&self) -> PathBuf {
        self.path.join("owner.lock")
    }

    /// Returns the path of the owning process's control socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Returns the path of the file that holds the owner's token.
    pub fn token_file(&self) -> PathBuf {
        self.path.join("token")
    }

    /// Returns the path of the settings file.
    pub fn settings_file(&self) -> PathBuf {
        self.path.join("factory.toml")
    }

    /// Returns the folder of the large blobs of the default database.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Returns the folder of what belongs to a project: its git store and its setup's results.
    pub fn project(&self, id: ProjectId) -> PathBuf {
        self.path.join("projects").join(id.to_string())
    }

    /// Returns the folder of what belongs to a run: its checkouts and its private home.
    pub fn run(&self, id: RunId) -> PathBuf {
        self.path.join("runs").join(id.to_string())
    }

    /// Makes a folder inside the data folder, with those above it, readable by the owner alone.
    pub fn make_folder(&self, path: &Path) -> Result<(), DataFolderError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(DataFolderError::io("make the folder", path))
    }

    /// Opens a file inside the data folder for reading and writing, made with mode 0600 where there is none. A symlink in
    /// its place is refused, and the descriptor is not inherited by other programs.
    pub fn open_file(&self, path: &Path) -> Result<File, DataFolderError> {
        let no_symlink =
            i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("an open flag fits an int");
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_symlink)
            .open(path)
            .map_err(DataFolderError::io("open the file", path))
    }
}

fn refuse_foreign(path: &Path, owner: u32, user: u32) -> Result<(), DataFolderError> {
    if owner == user {
        return Ok(());
    }
    Err(DataFolderError::ForeignOwner {
        path: path.to_owned(),
        owner,
        user,
    })
}

#[cfg(test)]
mod tests;
