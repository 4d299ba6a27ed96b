//! A command in its sandbox whose streams are somebody's own: a terminal, or what the program was given.

use std::os::fd::OwnedFd;

use tokio_util::sync::CancellationToken;

use super::probe::Sandbox;
use super::running::{DYING, Ends, Launched, exit_of, launch};
use super::{CommandSpec, Exit, RunLock, SandboxError};

/// What a command reads and writes.
#[derive(Debug)]
pub struct Streams {
    /// Its standard input.
    pub input: OwnedFd,
    /// Its standard output.
    pub output: OwnedFd,
    /// Its standard error.
    pub error: OwnedFd,
}

/// A command that was started with streams of its own. Dropping it kills it with everything it started.
#[derive(Debug)]
pub struct AttachedCommand {
    launched: Launched,
    /// Released when the command has ended.
    _lock: RunLock,
    /// Keeps the spawning thread alive, whose end would be the command's.
    _sandbox: Sandbox,
}

/// Starts the command; returns when its sandbox stands.
pub(super) async fn start(
    sandbox: &Sandbox,
    spec: &CommandSpec,
    lock: RunLock,
    streams: Streams,
) -> Result<AttachedCommand, SandboxError> {
    let ends = Ends {
        input: Some(streams.input),
        output: streams.output.into(),
        error: streams.error.into(),
        said: None,
    };
    let launched = launch(sandbox, spec, Some(&lock), ends).await?;
    Ok(AttachedCommand {
        launched,
        _lock: lock,
        _sandbox: sandbox.clone(),
    })
}

impl AttachedCommand {
    /// Waits until the command and all that it started is gone, however long that takes, or kills it when `stop` is
    /// cancelled.
    pub async fn wait(mut self, stop: &CancellationToken) -> Exit {
        let exit = tokio::select! {
            biased;
            () = stop.cancelled() => Exit::Stopped,
            status = self.launched.child.wait() => exit_of(status),
        };
        self.launched.kill();
        if tokio::time::timeout(DYING, self.launched.gone()).await.is_err() {
            tracing::error!("a killed command is still there after {DYING:?}");
        }
        exit
    }
}
