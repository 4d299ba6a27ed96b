//! One child process with bounds on time and output, ended politely so that git removes its lock files.
//!
//! A call runs in a task of its own: a caller that goes away does not kill git in the middle of a write, it asks it to
//! stop. Input, output and errors move at the same time, so that no pipe can fill and block the others.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use crate::vcs::VcsError;

/// How long git may take to remove its lock files once asked to stop.
const GRACE: Duration = Duration::from_secs(2);
/// What is kept of the errors printed.
const MOST_ERRORS: usize = 64 << 10;

/// What happens when a call prints too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// It is an error.
    Fail,
    /// What came so far is the result.
    Cut,
}

/// A process to be started.
#[derive(Debug)]
pub(super) struct Spawn {
    pub(super) action: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) directory: PathBuf,
    pub(super) input: Vec<u8>,
    /// So many bytes of output are read and not kept, before those that count.
    pub(super) skipped: u64,
    pub(super) most_output: usize,
    pub(super) overflow: Overflow,
    pub(super) deadline: Duration,
    pub(super) cancel: CancellationToken,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Output {
    /// The exit code; none where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Whether `stdout` is cut at the bound.
    pub(super) cut: bool,
}

/// Runs one process.
pub(super) async fn run(spawn: Spawn) -> Result<Output, VcsError> {
    let stop = spawn.cancel.child_token();
    let action = spawn.action;
    in_own_task(action, stop.clone(), async move {
        let mut running = Running::start(spawn, Stdio::piped())?;
        let (deadline, bound) = (running.deadline, running.deadline);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Err(VcsError::Cancelled(action.to_owned())),
            () = tokio::time::sleep(deadline) => Err(too_long(action, bound)),
            ended = running.finish() => ended,
        };
        if ended.as_ref().map_or(true, |output| output.cut) {
            running.end().await;
        }
        ended
    })
    .await
}

/// Runs two processes, the second reading from the first; the first's deadline and cancellation hold for both.
pub(super) async fn run_piped(first: Spawn, second: Spawn) -> Result<(Output, Output), VcsError> {
    let stop = first.cancel.child_token();
    let action = first.action;
    in_own_task(action, stop.clone(), async move {
        let mut first = Running::start(first, Stdio::piped())?;
        let between = first
            .stdout
            .take()
            .ok_or_else(|| std::io::Error::other("the pipe is missing"))
            .and_then(TryInto::<Stdio>::try_into)
            .map_err(|error| cannot_start(action, &error))?;
        let mut second = Running::start(second, between)?;
        let deadline = first.deadline;
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Err(VcsError::Cancelled(action.to_owned())),
            () = tokio::time::sleep(deadline) => Err(too_long(action, deadline)),
            ended = async { tokio::try_join!(first.finish(), second.finish()) } => ended,
        };
        if ended.is_err() {
            tokio::join!(first.end(), second.end());
        }
        ended
    })
    .await
}

async fn in_own_task<T: Send + 'static>(
    action: &'static str,
    stop: CancellationToken,
    work: impl Future<Output = Result<T, VcsError>> + Send + 'static,
) -> Result<T, VcsError> {
    let _stop_when_dropped = stop.drop_guard();
    tokio::spawn(work).await.unwrap_or_else(|error| {
        Err(VcsError::Failed {
            action: action.to_owned(),
            detail: format!("its task ended: {error}"),
        })
    })
}

fn too_long(action: &str, bound: Duration) -> VcsError {
    VcsError::BoundPassed {
        action: action.to_owned(),
        bound: format!("{} seconds", bound.as_secs()),
    }
}

fn cannot_start(action: &str, error: &std::io::Error) -> VcsError {
    VcsError::Failed {
        action: action.to_owned(),
        detail: format!("git cannot be started: {error}"),
    }
}

struct Running {
    action: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    input: Vec<u8>,
    skipped: u64,
    most_output: usize,
    overflow: Overflow,
    deadline: Duration,
}

impl Running {
    fn start(spawn: Spawn, stdin: Stdio) -> Result<Self, VcsError> {
        let mut command = Command::new(&spawn.program);
        command
            .args(&spawn.arguments)
            .env_clear()
            .envs(spawn.environment)
            .current_dir(&spawn.directory)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own group: Ctrl-C in the server's terminal is for the server to pass on.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| cannot_start(spawn.action, &error))?;
        Ok(Self {
            action: spawn.action,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            input: spawn.input,
            skipped: spawn.skipped,
            most_output: spawn.most_output,
            overflow: spawn.overflow,
            deadline: spawn.deadline,
        })
    }

    async fn finish(&mut self) -> Result<Output, VcsError> {
        let (stdin, stdout, stderr) = (self.stdin.take(), self.stdout.take(), self.stderr.take());
        let input = std::mem::take(&mut self.input);
        let (skipped, most_output) = (self.skipped, self.most_output);
        let all = async {
            tokio::try_join!(
                write(stdin, input),
                read(stdout, skipped, most_output, AtBound::Stop),
                read(stderr, 0, MOST_ERRORS, AtBound::Discard),
                async { self.child.wait().await.map_err(Stop::Io) },
            )
        };
        match all.await {
            Ok(((), stdout, stderr, status)) => Ok(Output {
                code: ExitStatus::code(&status),
                stdout,
                stderr,
                cut: false,
            }),
            Err(Stop::Full(stdout)) if self.overflow == Overflow::Cut => Ok(Output {
                code: None,
                stdout,
                stderr: Vec::new(),
                cut: true,
            }),
            Err(Stop::Full(_)) => Err(VcsError::BoundPassed {
                action: self.action.to_owned(),
                bound: format!("{most_output} bytes of output"),
            }),
            Err(Stop::Io(error)) => Err(VcsError::Failed {
                action: self.action.to_owned(),
                detail: format!("the pipe to git broke: {error}"),
            }),
        }
    }

    /// Asks the process to stop, so that it removes its lock and temporary files, then kills it.
    async fn end(&mut self) {
        let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return;
        };
        // It may have ended meanwhile: both errors mean that there is nobody to stop.
        let _gone = kill_process_group(group, Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _gone = kill_process_group(group, Signal::KILL);
            let _status = self.child.wait().await;
        }
    }
}

enum Stop {
    /// The bound is reached; what came so far.
    Full(Vec<u8>),
    Io(std::io::Error),
}

async fn write(stdin: Option<ChildStdin>, input: Vec<u8>) -> Result<(), Stop> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match stdin.write_all(&input).await {
        // The process did not want it all; its exit code says whether that is a failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Stop::Io(error)),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AtBound {
    Stop,
    Discard,
}

async fn read(
    from: Option<impl AsyncRead + Unpin>,
    mut skipped: u64,
    most: usize,
    at_bound: AtBound,
) -> Result<Vec<u8>, Stop> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return Ok(kept) };
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = from.read(&mut buffer).await.map_err(Stop::Io)?;
        if count == 0 {
            return Ok(kept);
        }
        let passed = usize::try_from(skipped).map_or(count, |skipped| skipped.min(count));
        skipped -= passed as u64;
        let read = &buffer[passed..count];
        let room = most - kept.len();
        kept.extend_from_slice(&read[..read.len().min(room)]);
        if read.len() > room && at_bound == AtBound::Stop {
            return Err(Stop::Full(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Spawn {
        Spawn {
            action: "test",
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            directory: "/".into(),
            input: Vec::new(),
            skipped: 0,
            most_output: 1 << 20,
            overflow: Overflow::Fail,
            deadline: Duration::from_mins(1),
            cancel: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn much_input_and_output_move_at_the_same_time() {
        let input = vec![b'x'; 3 << 20];
        let mut spawn = shell("cat; cat /dev/zero | head -c 200000 >&2; exit 3");
        spawn.input.clone_from(&input);
        spawn.most_output = 4 << 20;
        let output = run(spawn).await.unwrap();
        assert_eq!(
            (output.code, output.cut, output.stderr.len()),
            (Some(3), false, MOST_ERRORS)
        );
        assert!(output.stdout == input);
    }

    #[tokio::test]
    async fn a_passed_bound_ends_the_process() {
        let mut spawn = shell("exec sleep 1000");
        spawn.deadline = Duration::from_millis(50);
        let error = run(spawn).await.unwrap_err();
        assert!(matches!(error, VcsError::BoundPassed { .. }), "{error}");
        let error = run(shell("cat /dev/zero")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "git test passed its bound: 1048576 bytes of output"
        );
        let mut spawn = shell("cat /dev/zero");
        spawn.overflow = Overflow::Cut;
        let output = run(spawn).await.unwrap();
        assert_eq!((output.stdout.len(), output.cut), (1 << 20, true));
    }

    #[tokio::test]
    async fn what_is_skipped_is_not_kept_and_does_not_count() {
        let script = "head -c 3000000 /dev/zero; printf abcdef";
        let read = async |skipped, most_output| {
            let mut spawn = shell(script);
            (spawn.skipped, spawn.most_output, spawn.overflow) = (skipped, most_output, Overflow::Cut);
            let output = run(spawn).await.unwrap();
            (String::from_utf8(output.stdout).unwrap(), output.cut)
        };
        assert_eq!(read(3_000_000, 10).await, ("abcdef".to_owned(), false));
        assert_eq!(read(3_000_002, 3).await, ("cde".to_owned(), true));
        assert_eq!(read(u64::MAX, 3).await, (String::new(), false));
    }

    #[tokio::test]
    async fn cancelling_and_going_away_let_the_process_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        for dropped in [false, true] {
            let script = format!(
                // `wait` is cut short by a signal at once, so that a busy machine does not use up the time to clean up.
                "exec 2>/dev/null; sleep 1000 & trap 'rm {0}; kill $!; exit 1' TERM; : > {0}; wait",
                lock.display()
            );
            let spawn = shell(&script);
            let cancel = spawn.cancel.clone();
            let call = tokio::spawn(run(spawn));
            while !lock.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if dropped {
                call.abort();
                assert!(call.await.unwrap_err().is_cancelled());
            } else {
                cancel.cancel();
                let error = call.await.unwrap().unwrap_err();
                assert_eq!(error.to_string(), "git test was cancelled");
            }
            while lock.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
