//! Finds the programs that builds need, each in a folder of its own that can be bound read-only.
//!
//! Never the home, never a folder with credentials. rustup's and pyenv's shims are left out: the toolchain's own
//! folder of programs comes on `PATH` instead.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::Toolchain;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names in a folder that make it no toolchain.
const CREDENTIALS: [&str; 10] = [
    ".aws",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".ssh",
    "credentials",
    "credentials.toml",
];

/// Programs of the system to be listed, with the argument that makes them tell their version.
const SYSTEM_PROGRAMS: [(&str, &str); 5] = [
    ("python3", "--version"),
    ("node", "--version"),
    ("cargo", "--version"),
    ("go", "version"),
    ("uv", "--version"),
];

/// Returns the toolchains of the home and of the system, the home's first. `path` is the operator's `PATH`. Runs the
/// found programs to ask their versions; call it where that may block.
pub fn find(home: &Path, path: &str) -> Vec<Toolchain> {
    let own = [rustup(home), pyenv(home), nvm(home), uv(home)];
    own.into_iter()
        .flatten()
        .filter(|toolchain| toolchain.folders.iter().all(|folder| is_acceptable(folder, home)))
        .chain(system(path))
        .collect()
}

/// The toolchain that `rustup default` names.
fn rustup(home: &Path) -> Option<Toolchain> {
    let rustup = home.join(".rustup");
    let settings = std::fs::read_to_string(rustup.join("settings.toml")).unwrap_or_default();
    let default = settings.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "default_toolchain").then(|| value.trim().trim_matches('"').to_owned())
    });
    let toolchains = rustup.join("toolchains");
    let folder = chosen(&toolchains, default.as_deref())?.canonicalize().ok()?;
    let programs = folder.join("bin");
    let version = version(&programs.join("rustc"), "--version")?;
    Some(Toolchain {
        name: format!("rust {version} (rustup)"),
        folders: vec![folder],
        path: vec![programs],
        environment: Vec::new(),
    })
}

/// The Python that `pyenv global` names.
fn pyenv(home: &Path) -> Option<Toolchain> {
    let named = std::fs::read_to_string(home.join(".pyenv/version")).unwrap_or_default();
    let folder = chosen(&home.join(".pyenv/versions"), named.split_whitespace().next())?;
    let version = version(&folder.join("bin/python3"), "--version")?;
    Some(Toolchain {
        name: format!("python {version} (pyenv)"),
        path: vec![folder.join("bin")],
        folders: vec![folder],
        environment: Vec::new(),
    })
}

/// The Node that nvm uses by default, or the newest.
fn nvm(home: &Path) -> Option<Toolchain> {
    let named = std::fs::read_to_string(home.join(".nvm/alias/default")).unwrap_or_default();
    let folder = chosen(&home.join(".nvm/versions/node"), Some(named.trim()))?;
    let version = version(&folder.join("bin/node"), "--version")?;
    Some(Toolchain {
        name: format!("node {version} (nvm)"),
        path: vec![folder.join("bin")],
        folders: vec![folder],
        environment: Vec::new(),
    })
}

/// uv itself as a single file, because its neighbours are the operator's own programs, with the Pythons it manages.
fn uv(home: &Path) -> Option<Toolchain> {
    let folder = [".local/bin", ".cargo/bin"]
        .map(|folder| home.join(folder))
        .into_iter()
        .find(|folder| folder.join("uv").is_file())?;
    let program = folder.join("uv");
    let version = version(&program, "--version")?;
    let pythons = home.join(".local/share/uv/python");
    Some(Toolchain {
        name: format!("uv {version}"),
        folders: [program, pythons]
            .into_iter()
            .filter(|path| path.exists())
            .collect(),
        path: vec![folder],
        environment: Vec::new(),
    })
}

/// What the system's own folders have: visible anyway, listed for the operator.
fn system(path: &str) -> Vec<Toolchain> {
    let folders: Vec<PathBuf> = std::env::split_paths(path)
        .chain(["/usr/local/go/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from))
        .filter(|folder| folder.starts_with("/usr") || folder.starts_with("/bin"))
        .collect();
    let found = SYSTEM_PROGRAMS.iter().filter_map(|(name, argument)| {
        let folder = folders.iter().find(|folder| folder.join(name).is_file())?;
        let version = version(&folder.join(name), argument)?;
        let name = name.trim_end_matches('3');
        let on_path = ["/usr/local/bin", "/usr/bin", "/bin"]
            .iter()
            .any(|known| folder == Path::new(known));
        Some(Toolchain {
            name: format!("{name} {version} (system)"),
            folders: Vec::new(),
            path: if on_path { Vec::new() } else { vec![folder.clone()] },
            environment: Vec::new(),
        })
    });
    found.collect()
}

/// Returns the named folder below `parent`, or the one with the highest version.
fn chosen(parent: &Path, named: Option<&str>) -> Option<PathBuf> {
    let is_name = |name: &&str| !name.is_empty() && !name.contains('/') && *name != "..";
    if let Some(folder) = named
        .filter(is_name)
        .map(|name| parent.join(name))
        .filter(|path| path.is_dir())
    {
        return Some(folder);
    }
    let mut folders: Vec<PathBuf> = std::fs::read_dir(parent)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort_by_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (Reverse(numbers(&name)), name)
    });
    folders.into_iter().next()
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Whether the folder can be shown to commands: neither the home nor above it, and without credentials.
fn is_acceptable(folder: &Path, home: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    !real(home).starts_with(real(folder)) && CREDENTIALS.iter().all(|name| !folder.join(name).exists())
}

/// Asks a program for its version: the first word of its answer that begins with a digit. None if it does not answer
/// in time.
fn version(program: &Path, argument: &str) -> Option<String> {
    let mut child = Command::new(program)
        .arg(argument)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= deadline {
            let _ended = child.kill().and_then(|()| child.wait().map(drop));
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = child.wait_with_output().ok()?.stdout;
    let said = String::from_utf8_lossy(&said);
    said.split_whitespace()
        .map(|word| word.trim_start_matches("go").trim_start_matches('v'))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::find;
    use crate::sandbox::Toolchain;

    fn program(path: &Path, says: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn own(home: &Path) -> Vec<Toolchain> {
        let mut found = find(home, "");
        found.retain(|toolchain| !toolchain.name.ends_with("(system)"));
        found
    }

    #[test]
    fn an_empty_home_has_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(own(home.path()), []);
    }

    #[test]
    fn each_is_found_in_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        program(
            &home.join(".rustup/toolchains/stable-x/bin/rustc"),
            "rustc 1.95.0 (abc 2026-04-01)",
        );
        std::fs::write(
            home.join(".rustup/settings.toml"),
            "default_toolchain = \"stable-x\"\n",
        )
        .unwrap();
        program(&home.join(".pyenv/versions/3.9.18/bin/python3"), "Python 3.9.18");
        program(&home.join(".pyenv/versions/3.11.7/bin/python3"), "Python 3.11.7");
        program(&home.join(".nvm/versions/node/v20.1.0/bin/node"), "v20.1.0");
        program(&home.join(".local/bin/uv"), "uv 0.9.1");
        let toolchain = |name: &str, folder: &str, path: &str| Toolchain {
            name: name.to_owned(),
            folders: vec![home.join(folder)],
            path: vec![home.join(path)],
            environment: Vec::new(),
        };
        assert_eq!(
            own(&home),
            [
                toolchain(
                    "rust 1.95.0 (rustup)",
                    ".rustup/toolchains/stable-x",
                    ".rustup/toolchains/stable-x/bin"
                ),
                toolchain(
                    "python 3.11.7 (pyenv)",
                    ".pyenv/versions/3.11.7",
                    ".pyenv/versions/3.11.7/bin"
                ),
                toolchain(
                    "node 20.1.0 (nvm)",
                    ".nvm/versions/node/v20.1.0",
                    ".nvm/versions/node/v20.1.0/bin"
                ),
                toolchain("uv 0.9.1", ".local/bin/uv", ".local/bin"),
            ]
        );
    }

    #[test]
    fn the_home_and_folders_with_credentials_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        program(&home.join("bin/rustc"), "rustc 1.95.0");
        std::fs::create_dir_all(home.join(".rustup/toolchains")).unwrap();
        std::os::unix::fs::symlink(&home, home.join(".rustup/toolchains/linked")).unwrap();
        program(&home.join(".pyenv/versions/3.11.7/bin/python3"), "Python 3.11.7");
        std::fs::write(home.join(".pyenv/versions/3.11.7/.netrc"), "").unwrap();
        assert_eq!(own(&home), []);
    }
}
