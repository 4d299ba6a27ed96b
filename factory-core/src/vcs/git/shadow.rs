//! A git directory of ours that stands in for an operator's: its objects and refs, our configuration.
//!
//! Overriding settings one by one cannot keep up with what a configuration can run (drivers have free names, newer gits
//! read hooks from it). So git works on a temporary directory with links to the repository's objects, refs and
//! packed refs, a copy of its `HEAD`, and a configuration that we write. Of the repository's own configuration a few
//! values are read as data.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::command::Call;
use super::locate::{Located, locate};
use super::{Git, blocking, io_error};
use crate::vcs::VcsError;

/// The largest configuration that is read.
const MOST_CONFIGURATION: u64 = 4 << 20;
/// The largest `HEAD` that is read.
const MOST_HEAD: u64 = 4096;
/// Extensions of the repository format under which reading and adding objects and refs is what it always was.
const KNOWN_EXTENSIONS: &[&str] = &[
    "noop",
    "noop-v1",
    "objectformat",
    "partialclone",
    "preciousobjects",
    "refstorage",
    "relativeworktrees",
    "worktreeconfig",
];

/// What a repository's configuration says, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    /// `sha1` or `sha256`.
    pub(super) objects: String,
    /// `files` or `reftable`.
    refs: String,
    /// The permissions of new files, where they are shared.
    shared: Option<String>,
    /// Whether objects may be missing that a remote has promised.
    pub(super) partial: bool,
    /// Whether only a part of the files is checked out.
    pub(super) sparse: bool,
    /// Settings by which a file in the working tree is the same as the one that is stored; none of them runs anything.
    pub(super) same_file: Vec<(&'static str, &'static str)>,
}

/// The stand-in. Its folder goes when it is dropped; the links' targets stay.
#[derive(Debug)]
pub(super) struct Shadow {
    folder: TempDir,
    pub(super) located: Located,
    pub(super) format: Format,
}

impl Shadow {
    /// Returns the git directory to work with.
    pub(super) fn git_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the repository's own objects.
    pub(super) fn objects(&self) -> PathBuf {
        self.located.common_dir.join("objects")
    }
}

impl Git {
    /// Finds the repository at `path` and makes its stand-in.
    pub(super) async fn shadow(&self, path: &Path) -> Result<Shadow, VcsError> {
        const ACTION: &str = "open the repository";
        let (path, owners) = (path.to_owned(), self.trusted_owners.clone());
        let located = blocking(ACTION, move || locate(&path, &owners)).await?;
        let mut entries = self.configuration(&located.common_dir.join("config")).await?;
        if value(&entries, "extensions.worktreeconfig").is_some_and(is_true) {
            entries.extend(
                self.configuration(&located.git_dir.join("config.worktree"))
                    .await?,
            );
        }
        let format = read_format(&located, &entries)?;
        blocking(ACTION, move || build(located, format)).await
    }

    /// Reads a configuration file as data: nothing of it takes effect, and files that it includes are not read.
    async fn configuration(&self, file: &Path) -> Result<Vec<(String, String)>, VcsError> {
        match tokio::fs::metadata(file).await {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MOST_CONFIGURATION => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            _ => {
                return Err(VcsError::BadPath {
                    path: file.to_owned(),
                    problem: "is no readable configuration of a reasonable size".into(),
                });
            }
        }
        let output = self
            .call("read the repository's configuration")
            .args(["config", "--no-includes", "--null", "--list", "--file"])
            .arg(file)
            .output()
            .await?;
        Ok(parse_configuration(&output))
    }

    /// Begins a call on the stand-in of an operator's repository.
    pub(super) fn call_on(&self, shadow: &Shadow, action: &'static str) -> Call {
        self.call(action).git_dir(shadow.git_dir())
    }
}

fn parse_configuration(output: &[u8]) -> Vec<(String, String)> {
    output
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let text = String::from_utf8_lossy(entry).into_owned();
            match text.split_once('\n') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                // A name without `=` means that it is true.
                None => (text, "true".to_owned()),
            }
        })
        .collect()
}

fn value<'a>(entries: &'a [(String, String)], name: &str) -> Option<&'a str> {
    entries
        .iter()
        .rev()
        .find(|(entry, _)| entry == name)
        .map(|(_, value)| value.as_str())
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1")
}

/// Takes over what decides whether a file counts as changed: line ends, and modes that the file system does not keep.
fn same_file(entries: &[(String, String)]) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let lower = |name| value(entries, name).map(str::to_ascii_lowercase);
    match lower("core.autocrlf").as_deref() {
        Some("input") => found.push(("core.autocrlf", "input")),
        Some(text) if is_true(text) => found.push(("core.autocrlf", "true")),
        _ => {}
    }
    match lower("core.eol").as_deref() {
        Some("crlf") => found.push(("core.eol", "crlf")),
        Some("lf") => found.push(("core.eol", "lf")),
        _ => {}
    }
    for name in ["core.filemode", "core.symlinks"] {
        if value(entries, name).is_some_and(|text| !is_true(text)) {
            found.push((name, "false"));
        }
    }
    found
}

fn read_format(located: &Located, entries: &[(String, String)]) -> Result<Format, VcsError> {
    let unknown = |what: String| VcsError::BadPath {
        path: located.root.clone(),
        problem: format!("is of a format that is not known ({what}); convert it with git first"),
    };
    let version = value(entries, "core.repositoryformatversion").unwrap_or("0");
    match version {
        "0" => {}
        "1" => {
            let extension = entries
                .iter()
                .filter_map(|(name, _)| name.strip_prefix("extensions."))
                .find(|name| !KNOWN_EXTENSIONS.contains(name));
            if let Some(extension) = extension {
                return Err(unknown(format!("extension `{}`", extension.escape_debug())));
            }
        }
        other => return Err(unknown(format!("version `{}`", other.escape_debug()))),
    }
    let one_of = |name: &str, known: &[&str]| match value(entries, name) {
        None => Ok(known[0].to_owned()),
        Some(value) if known.contains(&value) => Ok(value.to_owned()),
        Some(value) => Err(unknown(format!("{name} `{}`", value.escape_debug()))),
    };
    let shared = value(entries, "core.sharedrepository").filter(|value| {
        let word = matches!(
            *value,
            "group" | "all" | "world" | "everybody" | "umask" | "true" | "false"
        );
        word || (value.len() <= 4 && value.bytes().all(|byte| matches!(byte, b'0'..=b'7')))
    });
    let promised = |name: &str, value: &str| {
        name.starts_with("remote.")
            && ((name.ends_with(".promisor") && is_true(value)) || name.ends_with(".partialclonefilter"))
    };
    let format = Format {
        objects: one_of("extensions.objectformat", &["sha1", "sha256"])?,
        refs: one_of("extensions.refstorage", &["files", "reftable"])?,
        shared: shared.map(str::to_owned),
        partial: value(entries, "extensions.partialclone").is_some()
            || entries.iter().any(|(name, value)| promised(name, value)),
        sparse: value(entries, "core.sparsecheckout").is_some_and(is_true),
        same_file: same_file(entries),
    };
    if format.refs == "reftable" && located.git_dir != located.common_dir {
        // Its `HEAD` lies in a table of its own beside the shared one.
        return Err(VcsError::BadPath {
            path: located.root.clone(),
            problem: "is a linked working tree of a reftable repository; name the main working tree instead"
                .into(),
        });
    }
    Ok(format)
}

fn build(located: Located, format: Format) -> Result<Shadow, VcsError> {
    let folder = tempfile::Builder::new()
        .prefix("factory-git-")
        .tempdir()
        .map_err(io_error("make a folder in", &std::env::temp_dir()))?;
    let at = |name: &str| folder.path().join(name);
    for name in ["objects", "refs", "packed-refs", "shallow", "reftable"] {
        let target = located.common_dir.join(name);
        // Packed refs may come while we work: a link that leads nowhere yet is what git takes for none.
        if name == "packed-refs" || target.symlink_metadata().is_ok() {
            symlink(&target, at(name)).map_err(io_error("link", &target))?;
        }
    }
    fs::write(at("HEAD"), read_head(&located)?).map_err(io_error("write", &at("HEAD")))?;
    let mut config = String::from("[core]\n\tbare = true\n\trepositoryFormatVersion = 1\n");
    if let Some(shared) = &format.shared {
        config.push_str("\tsharedRepository = ");
        config.push_str(shared);
        config.push('\n');
    }
    config.push_str("[extensions]\n\tobjectFormat = ");
    config.push_str(&format.objects);
    if format.refs != "files" {
        config.push_str("\n\trefStorage = ");
        config.push_str(&format.refs);
    }
    config.push('\n');
    fs::write(at("config"), config).map_err(io_error("write", &at("config")))?;
    Ok(Shadow {
        folder,
        located,
        format,
    })
}

/// Reads `HEAD`, which may be an old-style link to a ref.
fn read_head(located: &Located) -> Result<Vec<u8>, VcsError> {
    let head = located.git_dir.join("HEAD");
    if let Ok(target) = fs::read_link(&head)
        && let Some(name) = target.to_str().filter(|target| target.starts_with("refs/"))
    {
        return Ok(format!("ref: {name}\n").into_bytes());
    }
    let metadata = fs::metadata(&head).map_err(io_error("read", &head))?;
    if !metadata.is_file() || metadata.len() > MOST_HEAD {
        return Err(VcsError::BadPath {
            path: head,
            problem: "is no HEAD of a repository".into(),
        });
    }
    fs::read(&head).map_err(io_error("read", &head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(configuration: &[(&str, &str)]) -> Result<Format, String> {
        let entries: Vec<_> = configuration
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let located = Located {
            root: "/r".into(),
            git_dir: "/r/.git".into(),
            common_dir: "/r/.git".into(),
            bare: false,
        };
        read_format(&located, &entries).map_err(|error| error.to_string())
    }

    #[test]
    fn a_configuration_is_read_as_data() {
        let entries = parse_configuration(b"core.bare\nfalse\0core.flag\0alias.x\n!touch a\nb\0");
        let expected = [
            ("core.bare", "false"),
            ("core.flag", "true"),
            ("alias.x", "!touch a\nb"),
        ];
        assert_eq!(
            entries,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn formats_are_known_or_refused() {
        let plain = Format {
            objects: "sha1".into(),
            refs: "files".into(),
            shared: None,
            partial: false,
            sparse: false,
            same_file: Vec::new(),
        };
        assert_eq!(format(&[]), Ok(plain.clone()));
        let expected = Format {
            objects: "sha256".into(),
            shared: Some("0660".into()),
            partial: true,
            sparse: true,
            same_file: vec![("core.autocrlf", "input"), ("core.filemode", "false")],
            ..plain.clone()
        };
        let configuration = [
            ("core.repositoryformatversion", "1"),
            ("extensions.objectformat", "sha256"),
            ("core.sharedrepository", "0660"),
            ("remote.origin.promisor", "true"),
            ("core.sparsecheckout", "true"),
            ("core.autocrlf", "Input"),
            ("core.eol", "!touch pwn"),
            ("core.filemode", "off"),
        ];
        assert_eq!(format(&configuration), Ok(expected));
        assert_eq!(format(&[("core.sharedrepository", "group\n[alias]")]), Ok(plain));
        assert_eq!(
            format(&[("core.repositoryformatversion", "1"), ("extensions.future", "x")]).unwrap_err(),
            "`/r` is of a format that is not known (extension `future`); convert it with git first"
        );
        assert_eq!(
            format(&[("core.repositoryformatversion", "2")]).unwrap_err(),
            "`/r` is of a format that is not known (version `2`); convert it with git first"
        );
    }
}
