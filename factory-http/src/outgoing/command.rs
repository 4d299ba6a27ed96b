//! The notify command: a program of the operator's that is run with what happened on its standard input.
//!
//! It is the operator's own and runs as the operator, outside of any sandbox. Nothing that a run or a model says becomes
//! part of its command line; what happened is in variables and on standard input.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Outcome;
use super::notice::Notice;
use crate::render::sanitize;

/// How long it may take.
const END_WITHIN: Duration = Duration::from_secs(30);

/// How long its output is waited for once it has ended: something that it left in the background may hold it open.
const LINGER: Duration = Duration::from_millis(500);

/// The most bytes of each of its outputs that are kept.
const MOST_OUTPUT: usize = 2 << 10;

/// The most characters of them that are logged.
const MOST_LOGGED: usize = 400;

/// The command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotifyCommand {
    /// The program: a path, or a name that is looked for on the path.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its variables, without those that hold secrets of the factory's.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where it is run.
    pub(crate) folder: PathBuf,
    /// How long it may take.
    pub(crate) within: Duration,
}

impl NotifyCommand {
    /// Returns the command with the deadline that commands have.
    pub(crate) fn new(
        program: PathBuf,
        arguments: Vec<String>,
        variables: BTreeMap<String, String>,
        folder: PathBuf,
    ) -> Self {
        Self {
            program,
            arguments,
            variables,
            folder,
            within: END_WITHIN,
        }
    }

    pub(super) async fn tell(&self, notice: &Notice) -> Outcome {
        let mut child = match self.start(notice) {
            Ok(child) => child,
            Err(error) => {
                return Outcome::Unanswered {
                    why: format!("`{}` cannot be started: {error}", self.program.display()),
                    at_least: Duration::ZERO,
                };
            }
        };
        // Killed with all that it started, where this future is dropped too.
        let mut group = Group::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let exit = {
            let talk = async {
                let tell = async {
                    if let Some(mut stdin) = stdin {
                        // One that does not want to know closes its end; its exit code says what that means.
                        let _ = stdin.write_all(&notice.body).await;
                    }
                };
                tokio::join!(tell, keep(stdout, &mut said), keep(stderr, &mut complained));
            };
            tokio::pin!(talk);
            timeout(self.within, async {
                tokio::select! {
                    exit = child.wait() => {
                        group.is_over();
                        let _ = timeout(LINGER, talk).await;
                        exit
                    }
                    () = &mut talk => child.wait().await,
                }
            })
            .await
        };
        complained.extend_from_slice(&said);
        let output = sanitize::short(&String::from_utf8_lossy(&complained), MOST_LOGGED);
        let why = match exit {
            Ok(Ok(status)) => {
                group.is_over();
                if status.success() {
                    tracing::debug!(run = notice.run, output, "the notify command was run");
                    return Outcome::Told;
                }
                format!("it ended with {status}")
            }
            Ok(Err(error)) => format!("it cannot be waited for: {error}"),
            Err(_) => {
                group.kill();
                let _ = child.wait().await;
                format!("it did not end within {:?} and was killed", self.within)
            }
        };
        Outcome::Refused {
            why: if output.is_empty() {
                why
            } else {
                format!("{why}, after it had said: {output}")
            },
            at_least: Duration::ZERO,
        }
    }

    fn start(&self, notice: &Notice) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .env("FACTORY_RUN", &notice.run)
            .env("FACTORY_STATUS", notice.status)
            .env("FACTORY_SUMMARY", &notice.summary)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own group: Ctrl-C in the server's terminal is not for it, and its end is the end of what it started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Reads to the end and keeps the beginning.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let room = MOST_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..count.min(room)]);
    }
}

/// The processes of a command, which are killed with this unless it is over.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    /// Notes that the command has ended, and that its number may soon be another's.
    fn is_over(&mut self) {
        self.0 = None;
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            id: "f-7".to_owned(),
            run: "7".to_owned(),
            status: "AWAITING_APPROVAL",
            summary: "Run 7 asks: $(touch evil)".to_owned(),
            body: br#"{"id":"f-7"}"#.to_vec(),
        }
    }

    fn shell(script: &str, folder: &std::path::Path) -> NotifyCommand {
        let variables = std::env::vars().filter(|(name, _)| name == "PATH").collect();
        NotifyCommand::new(
            "sh".into(),
            vec!["-c".to_owned(), script.to_owned()],
            variables,
            folder.to_owned(),
        )
    }

    #[tokio::test]
    async fn it_hears_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"{ echo "$FACTORY_RUN,$FACTORY_STATUS,$FACTORY_SUMMARY"; cat; } > told"#;
        let outcome = shell(script, folder.path()).tell(&notice()).await;
        assert_eq!(outcome, Outcome::Told);
        let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
        assert_eq!(
            told,
            "7,AWAITING_APPROVAL,Run 7 asks: $(touch evil)\n{\"id\":\"f-7\"}"
        );
    }

    #[tokio::test]
    async fn what_it_says_is_bounded_and_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let script = "printf 'no \\033]0;x\\007display' >&2; yes | head -c 3000000; exit 3";
        let outcome = shell(script, folder.path()).tell(&notice()).await;
        let Outcome::Refused { why, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            why.starts_with("it ended with exit status: 3, after it had said: no "),
            "{why}"
        );
        assert!(why.len() < 2000 && !why.contains('\u{1b}'), "{why}");
    }

    #[tokio::test]
    async fn one_that_does_not_read_or_leaves_something_behind_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let mut notice = notice();
        notice.body = vec![b'x'; 1 << 20];
        assert_eq!(shell("exit 0", folder.path()).tell(&notice).await, Outcome::Told);
        // It ends long before what it left, which holds its output open.
        let outcome = shell("sleep 3600 & echo $! > left", folder.path())
            .tell(&notice)
            .await;
        assert_eq!(outcome, Outcome::Told);
        let left = std::fs::read_to_string(folder.path().join("left")).unwrap();
        let left = Pid::from_raw(left.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(left, Signal::KILL).expect("it is left alone");
    }

    /// Starts something that does not end, in the background and for itself.
    const ENDLESS: &str = "sleep 3600 & echo $! > starting; mv starting started; wait";

    fn started(folder: &std::path::Path) -> Option<u32> {
        let text = std::fs::read_to_string(folder.join("started")).ok()?;
        Some(text.trim().parse().unwrap())
    }

    /// Waits until a process is dead, whether or not somebody has looked at it since.
    async fn until_dead(process: u32) {
        let stat = format!("/proc/{process}/stat");
        let wait = async {
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_mins(1), wait).await.expect("it is killed");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mut within = Duration::from_millis(200);
        // A busy machine may need longer until the shell has got so far.
        while started(folder.path()).is_none() {
            within *= 2;
            let slow = NotifyCommand {
                within,
                ..shell(ENDLESS, folder.path())
            };
            let outcome = slow.tell(&notice()).await;
            let Outcome::Refused { why, .. } = outcome else {
                panic!("{outcome:?}");
            };
            assert!(
                why.starts_with(&format!("it did not end within {within:?}")),
                "{why}"
            );
        }
        until_dead(started(folder.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_any_more_is_killed_too() {
        let folder = tempfile::tempdir().unwrap();
        let command = shell(ENDLESS, folder.path());
        let telling = tokio::spawn(async move { command.tell(&notice()).await });
        let process = loop {
            match started(folder.path()) {
                Some(process) => break process,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        telling.abort();
        until_dead(process).await;
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = NotifyCommand {
            program: "no-such-program".into(),
            ..shell("", folder.path())
        };
        let outcome = missing.tell(&notice()).await;
        let Outcome::Unanswered { why, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(why.starts_with("`no-such-program` cannot be started: "), "{why}");
    }
}
