//! The one way to call git: what every call is given, whatever it does.
//!
//! A repository's configuration and attributes can name programs. So the environment is built from empty, the git
//! directory is always given, our settings override those that could run something, and time and output are bounded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::process::{self, Output, Overflow, Spawn};
use crate::vcs::VcsError;

/// For calls that look at a few objects or refs.
pub(super) const QUICK: Duration = Duration::from_mins(1);
/// For calls whose work grows with the files of a checkout.
pub(super) const TREE: Duration = Duration::from_mins(10);
/// For calls whose work grows with the history.
pub(super) const TRANSFER: Duration = Duration::from_hours(1);

/// The most that a call may print unless it says otherwise.
const MOST_OUTPUT: usize = 128 << 20;

/// Settings that hold for every call, whatever the configuration says.
const SETTINGS: &[&str] = &[
    // Nothing is run.
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=false",
    "core.sshCommand=false",
    "core.askPass=false",
    "credential.helper=",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=all",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "safe.bareRepository=explicit",
    // What is stored is what stands in the file.
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.attributesFile=/dev/null",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    // A name that any file system takes for `.git` is refused.
    "core.protectHFS=true",
    "core.protectNTFS=true",
    // A checkpoint that the store knows of survives a power loss; one flush per batch, not per object.
    "core.fsync=loose-object,pack,pack-metadata,reference",
    "core.fsyncMethod=batch",
    // Another process's lock is waited for.
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
    // Reading does not depend on caches that another program wrote.
    "core.commitGraph=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.quotePath=false",
    "core.abbrev=12",
    "core.logAllRefUpdates=false",
    "index.skipHash=true",
];

/// Git's environment, complete: nothing is inherited.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
    ("HOME", "/nonexistent"),
    ("XDG_CONFIG_HOME", "/nonexistent"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "false"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_ADVICE", "0"),
];

/// A call of git that is being put together.
#[derive(Debug)]
pub(super) struct Call {
    action: &'static str,
    program: PathBuf,
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    settings: Vec<OsString>,
    arguments: Vec<OsString>,
    excluded: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    input: Vec<u8>,
    skipped: u64,
    most_output: usize,
    overflow: Overflow,
    deadline: Duration,
    cancel: CancellationToken,
}

impl Call {
    /// Begins a call; `action` says in an error what was being done.
    pub(super) fn new(program: &Path, action: &'static str) -> Self {
        Self {
            action,
            program: program.to_owned(),
            git_dir: None,
            work_tree: None,
            settings: Vec::new(),
            arguments: Vec::new(),
            excluded: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            skipped: 0,
            most_output: MOST_OUTPUT,
            overflow: Overflow::Fail,
            deadline: QUICK,
            cancel: CancellationToken::new(),
        }
    }

    /// Sets the git directory. Git never looks for one by itself.
    pub(super) fn git_dir(mut self, git_dir: &Path) -> Self {
        self.git_dir = Some(git_dir.to_owned());
        self
    }

    /// Sets the folder of files, in which the call then also runs.
    pub(super) fn work_tree(mut self, work_tree: &Path) -> Self {
        self.work_tree = Some(work_tree.to_owned());
        self
    }

    /// Sets the index file.
    pub(super) fn index(self, index: &Path) -> Self {
        self.environment("GIT_INDEX_FILE", index)
    }

    /// Sets a configuration value whose name is ours.
    pub(super) fn setting(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        self.settings.push(setting);
        self
    }

    /// Adds an environment variable.
    pub(super) fn environment(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Adds an argument.
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(super) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        for argument in arguments {
            self.arguments.push(argument.as_ref().to_owned());
        }
        self
    }

    /// Keeps a call that takes paths to everything but these. They become its last arguments.
    pub(super) fn excluding(mut self, paths: &[Vec<u8>]) -> Self {
        for path in paths {
            let mut argument = OsString::from(":(top,exclude,literal)");
            argument.push(OsStr::from_bytes(path));
            self.excluded.push(argument);
        }
        self
    }

    /// Sets what the call reads.
    pub(super) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Ends the call after so many bytes of output; what came so far is the result.
    pub(super) fn cut_at(mut self, bytes: usize) -> Self {
        self.most_output = bytes;
        self.overflow = Overflow::Cut;
        self
    }

    /// Keeps nothing of the first bytes of output, whose number may be larger than what memory holds.
    pub(super) fn skip(mut self, bytes: u64) -> Self {
        self.skipped = bytes;
        self
    }

    /// Sets how long the call may take.
    pub(super) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Lets `cancel` end the call.
    pub(super) fn cancel(mut self, cancel: &CancellationToken) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Runs the call, whatever its exit code.
    pub(super) async fn run(self) -> Result<Output, VcsError> {
        let spawn = self.into_spawn();
        process::run(spawn).await
    }

    /// Runs the call; any exit code but 0 is an error.
    pub(super) async fn output(self) -> Result<Vec<u8>, VcsError> {
        let action = self.action;
        let output = self.run().await?;
        if output.code == Some(0) || output.cut {
            Ok(output.stdout)
        } else {
            Err(failure(action, &output.stderr))
        }
    }

    /// Runs two calls, the second reading what the first prints; both must succeed. Returns the second's output.
    pub(super) async fn pipe_into(self, second: Self) -> Result<Vec<u8>, VcsError> {
        let (first_action, second_action) = (self.action, second.action);
        let (first, second) = process::run_piped(self.into_spawn(), second.into_spawn()).await?;
        // A reader that gave up makes the writer fail as well, and the other way round: a word from the writer
        // beyond "broken pipe" is the cause.
        if first.code.is_some_and(|code| code != 0) {
            return Err(failure(first_action, &first.stderr));
        }
        if second.code != Some(0) {
            return Err(failure(second_action, &second.stderr));
        }
        if first.code != Some(0) {
            return Err(failure(first_action, &first.stderr));
        }
        Ok(second.stdout)
    }

    fn into_spawn(self) -> Spawn {
        let mut arguments: Vec<OsString> = vec!["--no-pager".into()];
        // Where paths are excluded, each says for itself that it is literal, and nothing else is given.
        if self.excluded.is_empty() {
            arguments.push("--literal-pathspecs".into());
        }
        let mut environment: Vec<(OsString, OsString)> = ENVIRONMENT
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        environment.push(("PATH".into(), search_path(&self.program)));
        for (name, value) in self.environment {
            environment.push((name.into(), value));
        }
        for setting in SETTINGS {
            arguments.push("-c".into());
            arguments.push(setting.into());
        }
        for setting in self.settings {
            arguments.push("-c".into());
            arguments.push(setting);
        }
        for (option, path) in [("--git-dir=", &self.git_dir), ("--work-tree=", &self.work_tree)] {
            if let Some(path) = path {
                let mut argument = OsString::from(option);
                argument.push(path);
                arguments.push(argument);
            }
        }
        arguments.extend(self.arguments);
        if !self.excluded.is_empty() {
            arguments.push("--".into());
            arguments.extend(self.excluded);
        }
        Spawn {
            action: self.action,
            program: self.program,
            arguments,
            environment,
            directory: self.work_tree.unwrap_or_else(|| PathBuf::from("/")),
            input: self.input,
            skipped: self.skipped,
            most_output: self.most_output,
            overflow: self.overflow,
            deadline: self.deadline,
            cancel: self.cancel,
        }
    }
}

/// Where git finds itself, and the interpreter where git is a wrapper script.
fn search_path(program: &Path) -> OsString {
    let mut path = OsString::new();
    if let Some(folder) = program.parent() {
        path.push(folder);
        path.push(":");
    }
    path.push("/usr/bin:/bin");
    path
}

/// Returns the error for a call that printed this and failed.
pub(super) fn failure(action: &str, stderr: &[u8]) -> VcsError {
    let text = String::from_utf8_lossy(stderr);
    if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
        return VcsError::StorageFull {
            action: action.to_owned(),
        };
    }
    if let Some((_, rest)) = text.split_once("invalid path '") {
        let path = rest.split_once('\'').map_or(rest, |(path, _)| path);
        return VcsError::BadTreePath {
            path: path.escape_debug().to_string(),
            why: "git takes the name for its own folder on some file system".into(),
        };
    }
    let mut detail = String::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(4)
    {
        if !detail.is_empty() {
            detail.push_str("; ");
        }
        let line = line
            .strip_prefix("fatal: ")
            .or_else(|| line.strip_prefix("error: "))
            .unwrap_or(line);
        detail.extend(
            line.chars()
                .take(300)
                .map(|c| if c.is_control() { '\u{fffd}' } else { c }),
        );
    }
    if detail.is_empty() {
        detail.push_str("it printed no reason");
    }
    VcsError::Failed {
        action: action.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_built_from_an_empty_environment_and_overrides_what_could_run() {
        let spawn = Call::new(Path::new("/opt/git/bin/git"), "test")
            .git_dir(Path::new("/store"))
            .work_tree(Path::new("/checkout"))
            .index(Path::new("/index"))
            .arg("ls-files")
            .into_spawn();
        let argument = |text: &str| spawn.arguments.iter().any(|argument| argument == text);
        for setting in SETTINGS {
            assert!(argument(setting), "{setting}");
        }
        let tail: Vec<_> = spawn.arguments.iter().rev().take(3).rev().collect();
        assert_eq!(tail, ["--git-dir=/store", "--work-tree=/checkout", "ls-files"]);
        let names: Vec<_> = spawn
            .environment
            .iter()
            .map(|(name, _)| name.to_str().unwrap())
            .collect();
        let mut expected: Vec<_> = ENVIRONMENT.iter().map(|(name, _)| *name).collect();
        expected.extend(["PATH", "GIT_INDEX_FILE"]);
        assert_eq!(names, expected);
        assert_eq!(spawn.directory, Path::new("/checkout"));
    }

    #[test]
    fn failures_are_told_apart() {
        assert_eq!(
            failure("write", b"error: unable to write file: No space left on device\n").to_string(),
            "the disk is full: git write"
        );
        assert_eq!(
            failure("read-tree", b"error: invalid path '.Git/config'\n").to_string(),
            "`.Git/config` cannot be part of a tree: git takes the name for its own folder on some file system"
        );
        assert_eq!(
            failure("resolve", b"fatal: bad\x1b[31m object\nerror: gone\n").to_string(),
            "git resolve failed: bad\u{fffd}[31m object; gone"
        );
        assert_eq!(
            failure("x", b"").to_string(),
            "git x failed: it printed no reason"
        );
    }
}
