//! The files of a checkout, reached beneath a held folder handle.
//!
//! Every call resolves its path anew with `openat2` beneath the handle, so that neither a link nor a folder swapped in
//! between can lead outside. Writing never follows a link; what is replaced is replaced whole, by a rename within the
//! held folder. All of it blocks: callers on an async runtime use a blocking thread.

mod error;
mod resolve;
mod walk;

use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

pub use self::error::FilesError;
use self::error::{Failing, found};
use self::resolve::{Links, is_regular};
pub use self::walk::{Entry, EntryKind, Listing};
use super::RepoPath;
use super::repo_path::{TEMPORARY_PREFIX, collision_key};
use crate::model::BlobId;

/// The files of one checkout. Clones share the handle.
#[derive(Debug, Clone)]
pub struct Files {
    root: Arc<OwnedFd>,
    excludes: Arc<ignore::gitignore::Gitignore>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// The content, from its beginning.
    pub bytes: Vec<u8>,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Whether the file holds more than `bytes`.
    pub truncated: bool,
    /// The file's length.
    pub total: u64,
}

/// Whether a written file is to be executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executable {
    /// As it was; a new file is not.
    Keep,
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl From<bool> for Executable {
    fn from(executable: bool) -> Self {
        if executable { Self::Yes } else { Self::No }
    }
}

impl Files {
    /// The largest file that is hashed: 64 MiB. The files that are written are far smaller.
    pub const MAX_HASHED: usize = 64 << 20;

    /// Holds the folder `dir`. Fails where the kernel cannot resolve beneath a handle (Linux before 5.6, or a filter
    /// that forbids it).
    pub fn open(dir: &Path) -> Result<Self, FilesError> {
        Ok(Self {
            root: Arc::new(resolve::open_root(dir)?),
            excludes: Arc::new(ignore::gitignore::Gitignore::empty()),
        })
    }

    /// Leaves what `patterns` (in the form of a `.gitignore` at the top) names out of listings.
    #[must_use]
    pub fn with_excludes(mut self, patterns: &str) -> Self {
        self.excludes = Arc::new(walk::ignore_file(patterns));
        self
    }

    /// Reads a file's first `limit` bytes. Links that stay within the checkout are followed; what is no regular file
    /// is refused without waiting for it.
    pub fn read(&self, path: &RepoPath, limit: usize) -> Result<FileContent, FilesError> {
        self.read_with(path, limit, Links::FollowBeneath)
    }

    /// Reads the file that a write to `path` would replace, whole; none where it is absent. Whatever the write would
    /// be refused for is refused here already. Fails for a file of more than `limit` bytes.
    pub fn read_for_write(&self, path: &RepoPath, limit: usize) -> Result<Option<FileContent>, FilesError> {
        let Some(folder) = self.folder_of(path)? else {
            self.refuse_collisions_of_new_folders(path)?;
            return Ok(None);
        };
        if stat(&folder, path)?.is_none() {
            refuse_collision(&folder, path.file_name(), path)?;
            return Ok(None);
        }
        let content = self.read_with(path, limit, Links::Refuse)?;
        if content.truncated {
            return Err(FilesError::TooLarge {
                path: path.clone(),
                limit,
                total: content.total,
            });
        }
        Ok(Some(content))
    }

    /// Returns the hash of the file's content; none where it is absent.
    pub fn hash(&self, path: &RepoPath) -> Result<Option<BlobId>, FilesError> {
        match self.read_with(path, Self::MAX_HASHED, Links::Refuse) {
            Ok(content) if content.truncated => Err(FilesError::TooLarge {
                path: path.clone(),
                limit: Self::MAX_HASHED,
                total: content.total,
            }),
            Ok(content) => Ok(Some(BlobId::of(&content.bytes))),
            Err(FilesError::NotFound { .. } | FilesError::NotAFolder { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the whole file, so that it holds either the old content or the new one at any instant, and the new one
    /// durably when this returns. Makes missing folders. Keeps the other permission bits of a file that is replaced.
    /// Never writes over, or through, a link.
    pub fn write(&self, path: &RepoPath, bytes: &[u8], executable: Executable) -> Result<(), FilesError> {
        let folder = self.make_folder_of(path)?;
        let present = stat(&folder, path)?;
        if present.is_none() {
            refuse_collision(&folder, path.file_name(), path)?;
        }
        let mode = mode_of(present.map(|stat| stat.st_mode), executable);
        let (temporary, mut file) = create_temporary(&folder, path)?;
        let written = file
            .write_all(bytes)
            .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?))
            .and_then(|()| file.sync_all())
            .failing("write", path)
            .and_then(|()| move_into_place(&folder, &temporary, path, present.is_some()))
            .and_then(|()| rustix::fs::fsync(&folder).failing("sync the folder of", path));
        if written.is_err() {
            // Where it was renamed already there is nothing to remove, and no worse error to tell of.
            let _ = rustix::fs::unlinkat(&folder, temporary.as_str(), AtFlags::empty());
        }
        written
    }

    /// Deletes the file, and the folders that this leaves empty. Deleting what is absent succeeds. A link is refused
    /// as on writing.
    pub fn delete(&self, path: &RepoPath) -> Result<(), FilesError> {
        let Some(folder) = self.folder_of(path)? else {
            return Ok(());
        };
        if stat(&folder, path)?.is_none() {
            return Ok(());
        }
        match rustix::fs::unlinkat(&folder, path.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).failing("delete", path),
        }
        rustix::fs::fsync(&folder).failing("sync the folder of", path)?;
        self.remove_empty_folders(path);
        Ok(())
    }

    fn read_with(&self, path: &RepoPath, limit: usize, links: Links) -> Result<FileContent, FilesError> {
        // The handle without rights comes first: opening a FIFO or a device to look at it can have effects.
        let probe = resolve::open(&self.root, path, OFlags::PATH, links)?;
        let seen = rustix::fs::fstat(&probe).failing("look at", path)?;
        if !is_regular(seen.st_mode) {
            return Err(FilesError::NotAFile {
                path: path.clone(),
                found: found(seen.st_mode),
            });
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = resolve::open(&self.root, path, flags, links)?;
        let seen = rustix::fs::fstat(&file).failing("look at", path)?;
        if !is_regular(seen.st_mode) {
            return Err(FilesError::NotAFile {
                path: path.clone(),
                found: found(seen.st_mode),
            });
        }
        let mut bytes = Vec::new();
        let most = (limit as u64).saturating_add(1);
        File::from(file)
            .take(most)
            .read_to_end(&mut bytes)
            .failing("read", path)?;
        let truncated = bytes.len() > limit;
        bytes.truncate(limit);
        let total = u64::try_from(seen.st_size).unwrap_or(0).max(bytes.len() as u64);
        Ok(FileContent {
            bytes,
            executable: seen.st_mode & 0o100 != 0,
            truncated,
            total,
        })
    }

    /// Opens the folder that holds `path`, through no link; none where it is absent.
    fn folder_of(&self, path: &RepoPath) -> Result<Option<OwnedFd>, FilesError> {
        match resolve::open_folder(&self.root, path.parent().as_ref(), Links::Refuse) {
            Ok(folder) => Ok(Some(folder)),
            Err(FilesError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_folder_of(&self, path: &RepoPath) -> Result<OwnedFd, FilesError> {
        if let Some(folder) = self.folder_of(path)? {
            return Ok(folder);
        }
        let mut folder = resolve::open_folder(&self.root, None, Links::Refuse)?;
        let parent = path
            .parent()
            .expect("the top folder is held, so a missing one has a name");
        for name in parent.components() {
            folder = match resolve::open_child_folder(&folder, name, path) {
                Err(FilesError::NotFound { .. }) => {
                    refuse_collision(&folder, name, path)?;
                    match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error).failing("make the folder of", path),
                    }
                    rustix::fs::fsync(&folder).failing("sync the folder of", path)?;
                    resolve::open_child_folder(&folder, name, path)?
                }
                child => child?,
            };
        }
        Ok(folder)
    }

    /// What `make_folder_of` would refuse, without making anything.
    fn refuse_collisions_of_new_folders(&self, path: &RepoPath) -> Result<(), FilesError> {
        let mut folder = resolve::open_folder(&self.root, None, Links::Refuse)?;
        for name in path.components() {
            folder = match resolve::open_child_folder(&folder, name, path) {
                Err(FilesError::NotFound { .. }) => return refuse_collision(&folder, name, path),
                child => child?,
            };
        }
        Ok(())
    }

    fn remove_empty_folders(&self, path: &RepoPath) {
        let mut path = path.clone();
        while let Some(folder) = path.parent() {
            let Ok(Some(above)) = self.folder_of(&folder) else {
                return;
            };
            // A folder that holds something stays, which is how this ends.
            if rustix::fs::unlinkat(&above, folder.file_name(), AtFlags::REMOVEDIR).is_err() {
                return;
            }
            path = folder;
        }
    }
}

/// Looks at `path` in its folder; none where it is absent, refused where it is no regular file.
fn stat(folder: &OwnedFd, path: &RepoPath) -> Result<Option<rustix::fs::Stat>, FilesError> {
    match rustix::fs::statat(folder, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_regular(stat.st_mode) => Ok(Some(stat)),
        Ok(stat) if resolve::is_link(stat.st_mode) => Err(FilesError::Symlink { path: path.clone() }),
        Ok(stat) => Err(FilesError::NotAFile {
            path: path.clone(),
            found: found(stat.st_mode),
        }),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).failing("look at", path),
    }
}

/// Refuses to make `name` where the folder holds a name that some file system takes for the same.
fn refuse_collision(folder: &OwnedFd, name: &str, path: &RepoPath) -> Result<(), FilesError> {
    let key = collision_key(name);
    for entry in rustix::fs::Dir::read_from(folder).failing("list the folder of", path)? {
        let entry = entry.failing("list the folder of", path)?;
        if let Ok(existing) = entry.file_name().to_str()
            && existing != name
            && collision_key(existing) == key
        {
            return Err(FilesError::Collision {
                path: path.clone(),
                existing: existing.to_owned(),
            });
        }
    }
    Ok(())
}

fn mode_of(present: Option<u32>, executable: Executable) -> u32 {
    let mode = present.unwrap_or(0o644) & 0o777;
    match executable {
        Executable::Keep => mode,
        // Whoever may read may execute, as git's 100755 means.
        Executable::Yes => mode | ((mode & 0o444) >> 2),
        Executable::No => mode & !0o111,
    }
}

fn create_temporary(folder: &OwnedFd, path: &RepoPath) -> Result<(String, File), FilesError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id());
        match rustix::fs::openat(folder, name.as_str(), flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => return Ok((name, File::from(file))),
            // A leftover of a process that had the same number.
            Err(Errno::EXIST | Errno::INTR) => {}
            Err(error) => return Err(error).failing("write beside", path),
        }
    }
}

fn move_into_place(
    folder: &OwnedFd,
    temporary: &str,
    path: &RepoPath,
    replaces: bool,
) -> Result<(), FilesError> {
    let name = path.file_name();
    if replaces {
        return rustix::fs::renameat(folder, temporary, folder, name).failing("replace", path);
    }
    match rustix::fs::renameat_with(folder, temporary, folder, name, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::renameat(folder.as_fd(), temporary, folder.as_fd(), name).failing("create", path)
        }
        Err(Errno::EXIST) => Err(FilesError::Moved { path: path.clone() }),
        moved => moved.failing("create", path),
    }
}

#[cfg(test)]
mod tests;
