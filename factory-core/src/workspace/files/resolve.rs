//! The one way from a path to a handle: `openat2` beneath the checkout's folder.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{Failing, FilesError};
use crate::workspace::RepoPath;

/// How often a lookup that raced with a rename is tried again.
const ATTEMPTS: u32 = 8;

/// What is done about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// Those that stay beneath the checkout are followed.
    FollowBeneath,
    /// None is followed, the last component's neither.
    Refuse,
}

/// Opens the checkout's folder and sees whether the kernel resolves beneath it.
pub(super) fn open_root(dir: &Path) -> Result<OwnedFd, FilesError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dir, flags, Mode::empty()).map_err(|error| FilesError::Open {
        dir: dir.to_owned(),
        source: error.into(),
    })?;
    match openat2(&root, b".", OFlags::PATH, Links::Refuse) {
        Ok(_) => {}
        Err(error) => return Err(FilesError::Unsupported { source: error.into() }),
    }
    // A kernel, or a filter, that takes the call but not the rule would be worse than one that refuses it.
    match openat2(&root, b"..", OFlags::PATH, Links::Refuse) {
        Err(Errno::XDEV) => Ok(root),
        Ok(_) => Err(FilesError::Unsupported {
            source: Errno::OPNOTSUPP.into(),
        }),
        Err(error) => Err(FilesError::Unsupported { source: error.into() }),
    }
}

/// Opens `path` beneath `root`.
pub(super) fn open(
    root: &OwnedFd,
    path: &RepoPath,
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, FilesError> {
    openat2(root, path.as_str().as_bytes(), flags, links).map_err(|error| explain(error, path, links))
}

/// Opens a folder beneath `root`; none is `root` itself.
pub(super) fn open_folder(
    root: &OwnedFd,
    path: Option<&RepoPath>,
    links: Links,
) -> Result<OwnedFd, FilesError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match path {
        Some(path) => open(root, path, flags, links),
        None => openat2(root, b".", flags, links).map_err(|error| FilesError::io("open", ".", error)),
    }
}

/// Opens the folder `name` in `folder` on the way to `path`.
pub(super) fn open_child_folder(
    folder: &OwnedFd,
    name: &str,
    path: &RepoPath,
) -> Result<OwnedFd, FilesError> {
    openat2(
        folder,
        name.as_bytes(),
        OFlags::RDONLY | OFlags::DIRECTORY,
        Links::Refuse,
    )
    .map_err(|error| explain(error, path, Links::Refuse))
}

/// Opens bytes that a folder's listing gave, which need not be a [`RepoPath`].
pub(super) fn openat2(root: &OwnedFd, path: &[u8], flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    if links == Links::Refuse {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    let mut attempt = 0;
    loop {
        let opened = rustix::fs::openat2(
            root.as_fd(),
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        );
        match opened {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if attempt < ATTEMPTS => attempt += 1,
            opened => return opened,
        }
    }
}

fn explain(error: Errno, path: &RepoPath, links: Links) -> FilesError {
    let path = path.clone();
    match (error, links) {
        (Errno::XDEV, _) => FilesError::Escape { path },
        (Errno::LOOP, Links::Refuse) => FilesError::Symlink { path },
        (Errno::LOOP, Links::FollowBeneath) => FilesError::SymlinkLoop { path },
        (Errno::NOENT, _) => FilesError::NotFound { path },
        (Errno::NOTDIR, _) => FilesError::NotAFolder { path },
        (Errno::AGAIN, _) => FilesError::Moved { path },
        (Errno::NXIO, _) => FilesError::NotAFile {
            path,
            found: "a socket, a pipe or a device",
        },
        (error, _) => match Err::<(), _>(error).failing("open", &path) {
            Err(error) => error,
            Ok(()) => FilesError::Moved { path },
        },
    }
}

pub(super) fn is_regular(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::RegularFile
}

pub(super) fn is_link(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::Symlink
}
