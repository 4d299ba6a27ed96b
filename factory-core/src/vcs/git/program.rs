//! Finds the git program and tells its version.
//!
//! The path is searched once, at start: a later change of the environment, or of a folder on it, changes nothing.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::vcs::VcsError;

/// The version of the git program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GitVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 where there is none.
    pub patch: u32,
}

impl GitVersion {
    /// The oldest git that has everything that is called here.
    pub const OLDEST: Self = Self {
        major: 2,
        minor: 39,
        patch: 0,
    };

    /// Tells whether attributes can be read from a tree (`GIT_ATTR_SOURCE`), so that no file of a checkout is opened.
    pub(super) fn reads_attributes_from_a_tree(self) -> bool {
        (self.major, self.minor) >= (2, 41)
    }

    /// Reads what `git version` prints: `git version 2.47.3`, `git version 2.39.5 (Apple Git-154)`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .strip_prefix("git version ")?
            .split_whitespace()
            .next()?
            .split('.');
        let mut number = || numbers.next().map(|part| part.parse::<u32>().ok());
        Some(Self {
            major: number()??,
            minor: number()??,
            patch: number().flatten().unwrap_or(0),
        })
    }
}

impl fmt::Display for GitVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which git is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFacts {
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: GitVersion,
}

/// Returns the first git on `path` and its version.
pub(super) fn find(path: &OsStr) -> Result<ProgramFacts, VcsError> {
    let program = std::env::split_paths(path)
        // A relative entry would mean another program in every folder.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("git"))
        .find(|file| is_program(file))
        .ok_or_else(|| {
            VcsError::Unavailable(format!(
                "git is not on the path; install git {} or newer (`apt install git`)",
                GitVersion::OLDEST
            ))
        })?;
    let text = ask_version(&program).map_err(|error| {
        VcsError::Unavailable(format!(
            "`{}` does not tell its version: {error}",
            program.display()
        ))
    })?;
    let version = GitVersion::parse(&text).ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        VcsError::Unavailable(format!(
            "`{}` tells no version: `{}`",
            program.display(),
            text.trim().escape_debug()
        ))
    })?;
    if version < GitVersion::OLDEST {
        return Err(VcsError::Unavailable(format!(
            "`{}` is git {version}; install git {} or newer",
            program.display(),
            GitVersion::OLDEST
        )));
    }
    Ok(ProgramFacts {
        path: program,
        version,
    })
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn ask_version(program: &Path) -> std::io::Result<String> {
    let mut child = Command::new(program)
        .arg("version")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other("it does not answer"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(4096).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        for (text, expected) in [
            ("git version 2.47.3\n", Some((2, 47, 3))),
            ("git version 2.39.5 (Apple Git-154)\n", Some((2, 39, 5))),
            ("git version 2.50.rc1\n", Some((2, 50, 0))),
            ("git version 3\n", None),
            ("hello", None),
        ] {
            let version =
                GitVersion::parse(text).map(|version| (version.major, version.minor, version.patch));
            assert_eq!(version, expected, "{text}");
        }
    }

    #[test]
    fn a_missing_or_old_git_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(
            find(path.as_os_str()).unwrap_err().to_string(),
            "git is not on the path; install git 2.39.0 or newer (`apt install git`)"
        );
        let program = path.join("git");
        // Written by a child: a descriptor of ours that another test's child inherits would make it "busy".
        let script = "printf '#!/bin/sh\\necho git version 2.30.2\\n' > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh")
            .args(["-c", script])
            .arg(&program)
            .status()
            .unwrap();
        assert!(written.success());
        assert_eq!(
            find(path.as_os_str()).unwrap_err().to_string(),
            format!(
                "`{}` is git 2.30.2; install git 2.39.0 or newer",
                program.display()
            )
        );
    }
}
