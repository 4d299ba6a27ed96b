//! One long-lived thread that starts every bubblewrap.
//!
//! "Die with parent" means the parent's *thread*: a child started from a pool thread would be killed when the pool
//! lets an idle thread go.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use command_fds::{CommandFdExt, FdMapping};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::inherited::inheritable;

/// How many starts may wait.
const QUEUE: usize = 64;

/// A start to be made.
struct Start {
    command: Command,
    descriptors: Vec<(RawFd, OwnedFd)>,
    /// The runtime that waits for the child.
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// The way to the thread. It ends when the last clone is gone, so whoever has a child running must hold one.
#[derive(Debug, Clone)]
pub(super) struct Spawner {
    starts: mpsc::Sender<Start>,
}

impl Spawner {
    /// Starts the thread.
    pub(super) fn new() -> io::Result<Self> {
        let (starts, mut queue) = mpsc::channel::<Start>(QUEUE);
        std::thread::Builder::new()
            .name("sandbox-spawner".to_owned())
            .spawn(move || {
                while let Some(start) = queue.blocking_recv() {
                    let runtime = start.runtime.clone();
                    let _entered = runtime.enter();
                    let child = spawn(start.command, start.descriptors);
                    // Where nobody waits any more, dropping the child kills it.
                    drop(start.answer.send(child));
                }
            })?;
        Ok(Self { starts })
    }

    /// Starts the command with exactly the standard descriptors and those given, by number.
    pub(super) async fn spawn(
        &self,
        command: Command,
        descriptors: Vec<(RawFd, OwnedFd)>,
    ) -> io::Result<Child> {
        let gone = || io::Error::other("the spawning thread is gone");
        let (answer, child) = oneshot::channel();
        let start = Start {
            command,
            descriptors,
            runtime: Handle::current(),
            answer,
        };
        self.starts.send(start).await.map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}

fn spawn(mut command: Command, descriptors: Vec<(RawFd, OwnedFd)>) -> io::Result<Child> {
    // A descriptor that would be inherited by accident is replaced, in the child alone, by `/dev/null`.
    let accidental: Vec<RawFd> = inheritable()?
        .into_iter()
        .filter(|number| descriptors.iter().all(|(taken, _)| taken != number))
        .collect();
    let mut mappings: Vec<FdMapping> = descriptors
        .into_iter()
        .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
        .collect();
    for child_fd in accidental {
        let parent_fd = std::fs::File::open("/dev/null")?.into();
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    command
        .fd_mappings(mappings)
        .map_err(|collision| io::Error::other(collision.to_string()))?;
    command.kill_on_drop(true).spawn()
}
