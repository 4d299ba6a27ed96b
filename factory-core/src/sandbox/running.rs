//! A command in its sandbox: waiting for it, stopping it, and making sure that nothing of it is left.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bubblewrap::{Arguments, Plan};
use super::output::OutputEnds;
use super::probe::Sandbox;
use super::{CommandOutcome, CommandSpec, Exit, Limits, RunLock, SandboxError, leftovers};

/// How long the sandbox may take to stand, on a machine with much else to do.
const SETTING_UP: Duration = Duration::from_secs(30);

/// How long the kernel may take to end what was killed.
pub(super) const DYING: Duration = Duration::from_secs(10);

/// The longest script: the kernel takes no argument above 128 KiB.
const LONGEST_SCRIPT: usize = 120 << 10;

/// A command that was started. Dropping it kills it with everything it started.
#[derive(Debug)]
pub struct RunningCommand {
    launched: Launched,
    output: Receiver,
    limits: Limits,
    /// Released when the command has ended.
    _lock: Option<RunLock>,
    /// Keeps the spawning thread alive, whose end would be the command's.
    _sandbox: Sandbox,
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |error| SandboxError::Failed {
        action,
        detail: error.to_string(),
    }
}

/// What a command's standard streams are.
pub(super) struct Ends<'a> {
    pub(super) input: Option<OwnedFd>,
    pub(super) output: Stdio,
    pub(super) error: Stdio,
    /// Where to read what bubblewrap says when it fails, if that is not somebody else's to read.
    pub(super) said: Option<&'a mut Receiver>,
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Launched {
    /// bubblewrap itself.
    pub(super) child: Child,
    /// The first process of the command's namespace; it ends last.
    first: AsyncFd<OwnedFd>,
    pub(super) started: Instant,
}

/// Starts the command; returns when its sandbox stands.
pub(super) async fn start(
    sandbox: &Sandbox,
    spec: &CommandSpec,
    lock: Option<RunLock>,
) -> Result<RunningCommand, SandboxError> {
    let making = failed("be made");
    let (output, output_writer) = io::pipe().map_err(&making)?;
    let mut output = Receiver::from_owned_fd(output.into()).map_err(&making)?;
    let ends = Ends {
        input: None,
        output: output_writer.try_clone().map_err(&making)?.into(),
        error: output_writer.into(),
        said: Some(&mut output),
    };
    let launched = launch(sandbox, spec, lock.as_ref(), ends).await?;
    Ok(RunningCommand {
        launched,
        output,
        limits: spec.limits,
        _lock: lock,
        _sandbox: sandbox.clone(),
    })
}

/// Starts a command with these streams; returns when its sandbox stands.
pub(super) async fn launch(
    sandbox: &Sandbox,
    spec: &CommandSpec,
    lock: Option<&RunLock>,
    ends: Ends<'_>,
) -> Result<Launched, SandboxError> {
    if spec.script.len() > LONGEST_SCRIPT || spec.script.contains('\0') {
        return Err(SandboxError::Failed {
            action: "take the command",
            detail: format!(
                "it is longer than {LONGEST_SCRIPT} bytes or holds a NUL; write it to a file and run that"
            ),
        });
    }
    let checkout = spec
        .checkout
        .canonicalize()
        .map_err(failed("find the checkout"))?;
    let home = spec
        .home
        .canonicalize()
        .map_err(failed("find the private home"))?;
    if lock.is_some() {
        leftovers::wait_until_gone(&checkout, DYING).await?;
    }
    let making = failed("be made");
    let (info, info_writer) = io::pipe().map_err(&making)?;
    let (word, command_input) = std::os::unix::net::UnixStream::pair().map_err(&making)?;
    word.set_nonblocking(true).map_err(&making)?;
    let mut word = UnixStream::from_std(word).map_err(&making)?;
    let inherited_lock = lock.map(RunLock::share).transpose().map_err(&making)?;
    let plan = Plan {
        script: &spec.script,
        checkout: &checkout,
        home: &home,
        network: spec.network,
        limits: &spec.limits,
        toolchains: sandbox.toolchains(),
        registries: sandbox.registries(),
        filters: sandbox.filters(),
        info: info_writer.into(),
        lock: inherited_lock,
        input: ends.input,
    };
    let Arguments {
        arguments,
        descriptors,
    } = plan.arguments().map_err(&making)?;
    let mut command = Command::new(sandbox.program()?);
    command
        .args(arguments)
        .env_clear()
        .current_dir("/")
        // Ctrl-C goes to the whole group of the terminal's process. It pauses a run, and a pause lets its command end.
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(command_input)))
        .stdout(ends.output)
        .stderr(ends.error);
    let started = Instant::now();
    let mut child = sandbox
        .spawner()?
        .spawn(command, descriptors)
        .await
        .map_err(&making)?;

    // One line break from inside says that the sandbox stands, an end of file that it failed.
    let mut sign = [0];
    let sign = tokio::time::timeout(SETTING_UP, word.read_exact(&mut sign)).await;
    if !matches!(sign, Ok(Ok(_))) {
        drop(child.start_kill());
        let mut said = OutputEnds::new(2 << 10);
        if let Some(output) = ends.said {
            drop(tokio::time::timeout(DYING, drain(output, &mut said)).await);
        }
        let said = said.into_text();
        return Err(SandboxError::Failed {
            action: "set up a command",
            detail: match (said.trim(), sign) {
                ("", Err(_)) => format!("it did not stand within {SETTING_UP:?}"),
                ("", _) => "it ended without a word".to_owned(),
                (said, _) => said.to_owned(),
            },
        });
    }
    let first = first_process(info).map_err(&making)?;
    word.write_all(b"go\n").await.map_err(&making)?;
    Ok(Launched {
        child,
        first,
        started,
    })
}

/// Returns a handle on the process that bubblewrap named. The text is there in full before the sandbox stands.
fn first_process(mut info: io::PipeReader) -> io::Result<AsyncFd<OwnedFd>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Info {
        child_pid: i32,
    }
    rustix::io::ioctl_fionbio(&info, true)?;
    let mut text = [0; 4 << 10];
    let length = info.read(&mut text)?;
    let info: Info = serde_json::from_slice(&text[..length])?;
    let process =
        Pid::from_raw(info.child_pid).ok_or_else(|| io::Error::other("bubblewrap named no process"))?;
    let handle = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
    #[expect(
        deprecated,
        reason = "an OwnedFd always names the same open descriptor, which is all that the unsafe successor asks for"
    )]
    AsyncFd::with_interest(handle, Interest::READABLE)
}

async fn drain(output: &mut Receiver, ends: &mut OutputEnds) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        ends.push(&buffer[..count]);
    }
}

impl RunningCommand {
    /// Waits until the command and all that it started is gone. Kills it when its time is over or when `stop` is
    /// cancelled. Background processes end with the command's own end.
    pub async fn wait(mut self, stop: &CancellationToken) -> CommandOutcome {
        let deadline = self.launched.started + self.limits.wall;
        let mut ends = OutputEnds::new(self.limits.output_ends);
        let mut buffer = vec![0; 64 << 10];
        let mut open = true;
        let exit = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Exit::Stopped,
                () = tokio::time::sleep_until(deadline) => break Exit::TimedOut,
                status = self.launched.child.wait() => break exit_of(status),
                count = self.output.read(&mut buffer), if open => match count {
                    Ok(count @ 1..) => ends.push(&buffer[..count]),
                    Ok(0) | Err(_) => open = false,
                },
            }
        };
        self.launched.kill();
        // Whoever holds the output belongs to the namespace and dies with it, so this ends by itself; the bound is for
        // a process that the kernel cannot end, as one that waits for a lost disk.
        let end = async {
            drain(&mut self.output, &mut ends).await;
            self.launched.gone().await;
        };
        if tokio::time::timeout(DYING, end).await.is_err() {
            tracing::error!("a killed command is still there after {DYING:?}");
        }
        CommandOutcome {
            exit,
            output_bytes: ends.total(),
            output: ends.into_text(),
            took: self.launched.started.elapsed(),
        }
    }
}

impl Launched {
    pub(super) fn kill(&mut self) {
        // Either may be gone already.
        let _gone = rustix::process::pidfd_send_signal(self.first.get_ref(), Signal::KILL);
        drop(self.child.start_kill());
    }

    /// Waits until all of a command that was killed is gone.
    pub(super) async fn gone(&mut self) {
        drop(self.first.readable().await);
        drop(self.child.wait().await);
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn exit_of(status: io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => exit_of_code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
        },
        Err(error) => {
            tracing::error!(%error, "cannot wait for a command");
            Exit::Signal(libc::SIGKILL)
        }
    }
}

/// Reads a shell's `128 + n` as signal n where n is one that ends programs. 129 stays a code: git says so that it was
/// called wrongly.
fn exit_of_code(code: i32) -> Exit {
    match code - 128 {
        signal @ (libc::SIGINT
        | libc::SIGQUIT
        | libc::SIGILL
        | libc::SIGTRAP
        | libc::SIGABRT
        | libc::SIGBUS
        | libc::SIGFPE
        | libc::SIGKILL
        | libc::SIGSEGV
        | libc::SIGPIPE
        | libc::SIGALRM
        | libc::SIGTERM
        | libc::SIGXCPU
        | libc::SIGXFSZ
        | libc::SIGSYS) => Exit::Signal(signal),
        _ => Exit::Code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, exit_of_code};

    #[test]
    fn codes_of_signals_are_read_as_such() {
        assert_eq!(
            [0, 1, 101, 128, 129, 137, 139, 143, 255].map(exit_of_code),
            [
                Exit::Code(0),
                Exit::Code(1),
                Exit::Code(101),
                Exit::Code(128),
                Exit::Code(129),
                Exit::Signal(9),
                Exit::Signal(11),
                Exit::Signal(15),
                Exit::Code(255),
            ]
        );
    }
}
