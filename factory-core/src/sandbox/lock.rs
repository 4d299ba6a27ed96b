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

use super::{SandboxError, leftovers};

/// How often a taken lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a taken lock is left to be released before what holds it is looked at; twice as long each time.
const FIRST_LOOK: Duration = Duration::from_millis(100);

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
        let file = File::from(file);
        let begun = Instant::now();
        let deadline = begun + patience;
        let mut look_after = FIRST_LOOK;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { file }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                    if begun.elapsed() >= look_after {
                        look_after *= 2;
                        end_orphaned_holders(&file).await.map_err(&failed)?;
                    }
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

async fn end_orphaned_holders(file: &File) -> Result<(), String> {
    let file = file.try_clone().map_err(|error| error.to_string())?;
    let ended = tokio::task::spawn_blocking(move || leftovers::end_orphaned_holders(&file)).await;
    ended
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("what holds it cannot be found: {error}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use command_fds::{CommandFdExt, FdMapping};

    use super::*;

    /// Starts a bubblewrap that holds the lock for long; `after` is what the shell that starts it does then.
    async fn hold(path: &Path, after: &str) -> std::process::Child {
        let lock = RunLock::acquire(path, Duration::ZERO).await.unwrap();
        let script = format!(
            "bwrap --unshare-pid --ro-bind / / --dev /dev --sync-fd 200 \
             sh -c 'echo it stands; exec sleep 1000' & {after}"
        );
        let mut holder = Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .fd_mappings(vec![FdMapping {
                parent_fd: lock.share().unwrap(),
                child_fd: 200,
            }])
            .unwrap()
            .spawn()
            .unwrap();
        let mut line = [0; 10];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
        holder
    }

    #[tokio::test]
    async fn an_orphaned_sandbox_is_ended_by_the_next_who_wants_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut shell = hold(&path, "exit 0").await;
        shell.wait().unwrap();
        RunLock::acquire(&path, Duration::from_secs(20)).await.unwrap();
    }

    #[tokio::test]
    async fn a_sandbox_at_work_keeps_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        // The shell is this test's child, so the sandbox is one that this process runs.
        let mut shell = hold(&path, "trap 'kill $!' TERM; wait").await;
        let error = RunLock::acquire(&path, Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().contains("still held"), "{error}");
        let pid = rustix::process::Pid::from_child(&shell);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        shell.wait().unwrap();
        RunLock::acquire(&path, Duration::from_secs(20)).await.unwrap();
    }
}
