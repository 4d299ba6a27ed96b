//! Why a file of the checkout could not be reached.

use std::io;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::workspace::RepoPath;

/// Why a file of the checkout could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The checkout's folder cannot be held.
    #[error("cannot open the checkout `{dir}`")]
    Open {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel cannot resolve a path beneath a folder handle.
    #[error(
        "this system cannot open files safely beneath a folder (openat2: {source}); Linux 5.6 or later is needed"
    )]
    Unsupported {
        /// What it answered.
        #[source]
        source: io::Error,
    },
    /// A link on the way leads out of the checkout.
    #[error("`{path}` leads out of the checkout through a link")]
    Escape {
        /// The path.
        path: RepoPath,
    },
    /// The path is a link, or goes through one, where none is followed.
    #[error("`{path}` is a symbolic link or lies behind one; name the real file")]
    Symlink {
        /// The path.
        path: RepoPath,
    },
    /// The links on the way do not end.
    #[error("`{path}`: too many levels of symbolic links")]
    SymlinkLoop {
        /// The path.
        path: RepoPath,
    },
    /// There is something that is no regular file.
    #[error("`{path}` is {found}, not a file")]
    NotAFile {
        /// The path.
        path: RepoPath,
        /// What it is.
        found: &'static str,
    },
    /// A component on the way is no folder.
    #[error("`{path}` cannot be: a part of it is a file, not a folder")]
    NotAFolder {
        /// The path.
        path: RepoPath,
    },
    /// There is nothing.
    #[error("there is no `{path}`")]
    NotFound {
        /// The path.
        path: RepoPath,
    },
    /// Another name is there that some file system takes for this one.
    #[error(
        "`{path}` differs from the existing `{existing}` by case or accents alone; use the existing name"
    )]
    Collision {
        /// The path.
        path: RepoPath,
        /// The name that is there, in the same folder.
        existing: String,
    },
    /// The file is larger than is handled.
    #[error("`{path}` has {total} bytes; at most {limit} are handled")]
    TooLarge {
        /// The path.
        path: RepoPath,
        /// The bound, in bytes.
        limit: usize,
        /// The file's length.
        total: u64,
    },
    /// Somebody moves things about at the same time.
    #[error("`{path}` changed while it was opened; try again")]
    Moved {
        /// The path.
        path: RepoPath,
    },
    /// The disk, or the quota, is full. The file is as it was.
    #[error("the disk is full: cannot {action} `{path}`")]
    StorageFull {
        /// What was being done.
        action: &'static str,
        /// The path.
        path: RepoPath,
    },
    /// The operating system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The path; `.` is the checkout's top.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FilesError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "checkout_unusable",
            Self::Unsupported { .. } => "unsupported",
            Self::Escape { .. } => "path_escape",
            Self::Symlink { .. } => "symlink",
            Self::SymlinkLoop { .. } => "symlink_loop",
            Self::NotAFile { .. } => "not_a_file",
            Self::NotAFolder { .. } => "not_a_folder",
            Self::NotFound { .. } => "not_found",
            Self::Collision { .. } => "path_collision",
            Self::TooLarge { .. } => "too_large",
            Self::Moved { .. } => "moved",
            Self::StorageFull { .. } => "storage_full",
            Self::Io { .. } => "io",
        }
    }

    /// Returns the code where the refusal is one for safety.
    pub fn denial(&self) -> Option<&'static str> {
        matches!(
            self,
            Self::Escape { .. } | Self::Symlink { .. } | Self::SymlinkLoop { .. } | Self::Collision { .. }
        )
        .then(|| self.code())
    }

    pub(super) fn io(action: &'static str, path: &str, error: Errno) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source: error.into(),
        }
    }
}

/// Names the kind of thing that is no file.
pub(super) fn found(mode: u32) -> &'static str {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

/// Turns the operating system's error into ours, naming what was done and on what.
pub(super) trait Failing<T> {
    fn failing(self, action: &'static str, path: &RepoPath) -> Result<T, FilesError>;
}

impl<T, E: Into<io::Error>> Failing<T> for Result<T, E> {
    fn failing(self, action: &'static str, path: &RepoPath) -> Result<T, FilesError> {
        self.map_err(|error| {
            let source = error.into();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FilesError::StorageFull {
                    action,
                    path: path.clone(),
                },
                _ => FilesError::Io {
                    action,
                    path: path.to_string(),
                    source,
                },
            }
        })
    }
}
