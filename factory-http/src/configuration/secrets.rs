//! Where secrets are read from: variables, and files that only their owner can read.
//!
//! Each error is text for the operator. It names the place and never what stands there; and where the place itself may be
//! a key that was written in the wrong line, it does not name that either.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use factory_core::llm::server::Secret;
use rustix::fs::OFlags;

use crate::environment::Environment;

/// The most bytes of a secret's file.
const LONGEST_SECRET: u64 = 64 << 10;

/// The most bytes of a file of certificates.
const LONGEST_CERTIFICATES: u64 = 4 << 20;

/// Longer names than this are no names.
const LONGEST_NAME: usize = 48;

/// Where secrets are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) environment: &'a Environment,
    pub(super) data_folder: &'a Path,
}

impl Sources<'_> {
    /// Returns what a variable holds. `what` is the setting that names it.
    pub(super) fn variable(&self, what: &str, name: &str) -> Result<Secret, String> {
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_name = name.len() <= LONGEST_NAME && name.chars().all(is_plain);
        let shown = if is_name {
            format!(" `{name}`")
        } else {
            String::new()
        };
        match self.environment.variable(name) {
            Some(value) if !value.trim().is_empty() => Ok(Secret::new(value)),
            _ if is_name => Err(format!(
                "the variable{shown} that `{what}` names is not set; set it where the factory is started"
            )),
            _ => Err(format!(
                "`{what}` names no variable that is set; write the variable's name there, and not the secret itself"
            )),
        }
    }

    /// Returns what a file holds. `what` is the setting that names it.
    pub(super) fn file(&self, what: &str, written: &str) -> Result<Secret, String> {
        let path = self.place_of(written);
        let looks_like_one = written.contains(['/', '.']) && written.len() <= 4096 || written.len() <= 16;
        let file = if looks_like_one {
            format!("the file `{}` that `{what}` names", path.display())
        } else {
            format!("the file that `{what}` names")
        };
        let bytes =
            read(&path, LONGEST_SECRET, Privacy::Own).map_err(|problem| format!("{file} {problem}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{file} is no text"))?;
        match text.trim() {
            "" => Err(format!("{file} is empty; put the secret into it")),
            line if line.contains(['\n', '\r']) => Err(format!(
                "{file} has several lines; it holds the secret and nothing else"
            )),
            line => Ok(Secret::new(line)),
        }
    }

    /// Returns where a file is: as it stands, below the home where it begins with `~/`, or beside `factory.toml`.
    pub(super) fn place_of(&self, written: &str) -> PathBuf {
        match written.strip_prefix("~/") {
            Some(below) => self.environment.host.home.join(below),
            None => self.data_folder.join(written),
        }
    }
}

/// Returns the certificates (PEM) in a file, which anybody may read.
pub(crate) fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let file = format!("the file of certificates `{}`", path.display());
    let bytes =
        read(path, LONGEST_CERTIFICATES, Privacy::Any).map_err(|problem| format!("{file} {problem}"))?;
    if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(bytes);
    }
    Err(format!("{file} holds none; it has to be in the PEM format"))
}

/// Returns a file that its owner alone may read. The error goes after the file's name.
pub(crate) fn private_file(path: &Path) -> Result<Vec<u8>, String> {
    read(path, LONGEST_SECRET, Privacy::Own)
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Own,
    Any,
}

/// Reads a file that is a plain one, and short. What is looked at is what is read, whatever its name leads to later.
fn read(path: &Path, most: u64, privacy: Privacy) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = std::fs::OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to would be waited for.
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err("is no plain file".to_owned());
    }
    let mode = metadata.mode() & 0o777;
    if privacy == Privacy::Own && mode & 0o077 != 0 {
        return Err(format!(
            "can be read or changed by others (mode {mode:04o}), so that what it holds is no secret; `chmod 600` it, and \
             take a new key if others are on this machine"
        ));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(format!("is longer than {most} bytes"));
    }
    Ok(bytes)
}
