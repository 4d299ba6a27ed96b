//! A lock that a command's whole sandbox holds, so that the next command of the same checkout waits for its end.
//!
//! The lock is on an open file that bubblewrap inherits. When this program is killed, the lock stays until bubblewrap
//! is gone too: whoever takes the checkout over cannot start beside the remains of its former owner.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use super::SandboxError;

/// How often a taken lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A held lock. It is released when it and every process that inherited it are gone.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the lock on the file at `path`, which is made if it is missing and never removed; waits at most
    /// `patience` for its former holder.
    ///
    /// The file must lie where no command can write.
    pub async fn acquire(path: &Path, patience: Duration) -> Result<Self, SandboxError> {
        let failed = |detail: String| SandboxError::Failed {
            action: "lock the checkout",
            detail,
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed(format!("`{}`: {errno}", path.display())))?;
        let deadline = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        file: File::from(file),
                    });
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    return Err(failed(format!(
                        "`{}` is still held by another command after {patience:?}",
                        path.display()
                    )));
                }
                Err(errno) => return Err(failed(format!("`{}`: {errno}", path.display()))),
            }
        }
    }

    /// Returns another descriptor of the same lock, for bubblewrap to inherit.
    pub(super) fn share(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}
