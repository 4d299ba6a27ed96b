//! Builds bubblewrap's arguments. The probe at start and every command go through the same builder.

use std::ffi::{OsStr, OsString};
use std::io::{self, Seek, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;

use super::system_paths::{SystemPath, kernel_settings, visible};
use super::{CHECKOUT, HOME, Limits, Network, RegistrySettings, Toolchain};

/// The user and group that commands see themselves as; outside they are whoever runs the factory.
const USER: &str = "1000";

/// The first descriptor number that bubblewrap gets, far from what a starting process uses itself.
const FIRST_DESCRIPTOR: RawFd = 200;

/// The most bytes of `/tmp`, which lies in memory.
const TEMPORARY_BYTES: &str = "2147483648";

/// The most bytes of shared memory.
const SHARED_MEMORY_BYTES: &str = "536870912";

/// Where programs are looked for after the toolchains. What a command could have written itself comes last, so that it
/// cannot stand in for a system's program.
const PROGRAM_FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\
                               /factory/home/.cargo/bin:/factory/home/.local/bin";

/// What the wrapper does before the command: sets limits, says that the sandbox stands, waits for the word to go on.
/// The word never comes if the factory is killed meanwhile, and then nothing is run.
const WRAPPER: &str = r#"
ulimit -c 0
ulimit -f "$2" 2>/dev/null
ulimit -n 65536 2>/dev/null
ulimit -u "$3" 2>/dev/null || ulimit -p "$3" 2>/dev/null
echo >&0 && read -r go && [ "$go" = go ] || exit 125
"#;

/// The command itself, which reads nothing.
const UNFED: &str = r#"exec /bin/sh -c "$1" </dev/null"#;

/// The command itself, which reads what it was given.
const FED: &str = r#"exec /bin/sh -c "$1" <&3 3<&-"#;

/// The descriptor at which a command's input waits; a plain shell knows no number of two digits.
const INPUT: RawFd = 3;

/// What a sandbox is made of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) script: &'a str,
    pub(super) checkout: &'a Path,
    pub(super) home: &'a Path,
    pub(super) network: Network,
    pub(super) limits: &'a Limits,
    pub(super) toolchains: &'a [Toolchain],
    pub(super) registries: &'a RegistrySettings,
    pub(super) filters: &'a [Vec<u8>],
    /// Where bubblewrap writes its first process's number.
    pub(super) info: OwnedFd,
    /// What the sandbox holds as long as it lives.
    pub(super) lock: Option<OwnedFd>,
    /// What the command reads; none is nothing.
    pub(super) input: Option<OwnedFd>,
}

/// A ready call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) arguments: Vec<OsString>,
    pub(super) descriptors: Vec<(RawFd, OwnedFd)>,
}

impl Plan<'_> {
    /// Builds the call.
    pub(super) fn arguments(self) -> io::Result<Arguments> {
        let mut call = Arguments::default();
        call.add([
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]);
        if self.network == Network::Host {
            call.add(["--share-net"]);
        }
        call.add([
            "--cap-drop",
            "ALL",
            "--uid",
            USER,
            "--gid",
            USER,
            "--hostname",
            "factory",
        ]);
        system(&mut call)?;
        self.settings(&mut call)?;
        for folder in self.toolchains.iter().flat_map(|toolchain| &toolchain.folders) {
            if folder.exists() {
                call.bind("--ro-bind", folder, folder);
            }
        }
        call.add(["--perms", "1777", "--size", TEMPORARY_BYTES, "--tmpfs", "/tmp"]);
        call.add(["--perms", "0755", "--dir", "/factory"]);
        for (path, content) in &self.registries.files {
            call.file(content.as_bytes(), path.as_os_str())?;
        }
        call.bind("--bind", self.checkout, Path::new(CHECKOUT));
        call.bind("--bind", self.home, Path::new(HOME));
        call.add(["--remount-ro", "/", "--chdir", CHECKOUT]);
        for (name, value) in self.environment() {
            call.add(["--setenv".as_ref(), OsStr::new(&name), OsStr::new(&value)]);
        }
        for filter in self.filters {
            let number = call.data(filter)?;
            call.add(["--add-seccomp-fd", &number.to_string()]);
        }
        let info = call.descriptor(self.info);
        call.add(["--info-fd", &info.to_string()]);
        if let Some(lock) = self.lock {
            let lock = call.descriptor(lock);
            call.add(["--sync-fd", &lock.to_string()]);
        }
        // The unit of file sizes is 512 bytes in every shell that keeps to POSIX.
        let (blocks, processes) = (self.limits.file_size / 512, self.limits.processes);
        let command = if self.input.is_some() { FED } else { UNFED };
        call.descriptors.extend(self.input.map(|input| (INPUT, input)));
        let wrapper = format!("{WRAPPER}{command}");
        call.add(["--", "/bin/sh", "-c", &wrapper, "sh", self.script]);
        call.add([blocks.to_string(), processes.to_string()]);
        Ok(call)
    }

    /// Names and certificates: the host's where the command has the host's network.
    fn settings(&self, call: &mut Arguments) -> io::Result<()> {
        match self.network {
            Network::Off => call.file(
                b"127.0.0.1 localhost factory\n::1 localhost factory\n",
                OsStr::new("/etc/hosts"),
            ),
            Network::Host => {
                for path in ["/etc/hosts", "/etc/resolv.conf"] {
                    if let Ok(from) = Path::new(path).canonicalize() {
                        call.bind("--ro-bind", &from, Path::new(path));
                    }
                }
                for path in &self.registries.certificates {
                    if path.exists() {
                        call.bind("--ro-bind", path, path);
                    }
                }
                Ok(())
            }
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path: Vec<String> = self
            .toolchains
            .iter()
            .flat_map(|toolchain| &toolchain.path)
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect();
        path.push(PROGRAM_FOLDERS.to_owned());
        let own = [
            ("PATH", path.join(":")),
            ("HOME", HOME.to_owned()),
            ("USER", "factory".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            // Tools neither ask, nor watch files, nor draw progress.
            ("CI", "true".to_owned()),
            ("CARGO_HOME", format!("{HOME}/.cargo")),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let toolchains = self
            .toolchains
            .iter()
            .flat_map(|toolchain| toolchain.environment.clone());
        let host = match self.network {
            Network::Off => &[][..],
            Network::Host => &self.registries.host_variables[..],
        };
        let registries = self.registries.variables.iter().chain(host).cloned();
        registries.chain(own).chain(toolchains).collect()
    }
}

/// Programs, devices, and the kernel's view of processes.
fn system(call: &mut Arguments) -> io::Result<()> {
    for path in visible() {
        match path {
            SystemPath::Link { target, at } => call.bind("--symlink", &target, &at),
            SystemPath::Bind { from, at } => call.bind("--ro-bind", &from, &at),
        }
    }
    call.add(["--proc", "/proc"]);
    for path in kernel_settings() {
        call.add(["--ro-bind", path, path]);
    }
    call.add(["--dev", "/dev", "--perms", "1777", "--size", SHARED_MEMORY_BYTES]);
    call.add(["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
    call.file(
        format!("factory:x:{USER}:{USER}::{HOME}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n").as_bytes(),
        OsStr::new("/etc/passwd"),
    )?;
    call.file(
        format!("factory:x:{USER}:\nnogroup:x:65534:\n").as_bytes(),
        OsStr::new("/etc/group"),
    )?;
    call.file(
        b"passwd: files\ngroup: files\nhosts: files dns\n",
        OsStr::new("/etc/nsswitch.conf"),
    )
}

impl Arguments {
    fn add<I: IntoIterator<Item: Into<OsString>>>(&mut self, arguments: I) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    fn bind(&mut self, option: &str, from: &Path, at: &Path) {
        self.add([OsStr::new(option), from.as_os_str(), at.as_os_str()]);
    }

    /// Makes a read-only file with the content.
    fn file(&mut self, content: &[u8], at: &OsStr) -> io::Result<()> {
        let number = self.data(content)?.to_string();
        self.add(["--perms", "0644", "--ro-bind-data", &number]);
        self.add([at]);
        Ok(())
    }

    /// Returns the number of a descriptor from which bubblewrap reads the content.
    fn data(&mut self, content: &[u8]) -> io::Result<RawFd> {
        let mut memory = std::fs::File::from(rustix::fs::memfd_create("factory", MemfdFlags::CLOEXEC)?);
        memory.write_all(content)?;
        memory.rewind()?;
        Ok(self.descriptor(memory.into()))
    }

    fn descriptor(&mut self, descriptor: OwnedFd) -> RawFd {
        let number = FIRST_DESCRIPTOR + RawFd::try_from(self.descriptors.len()).unwrap_or(RawFd::MAX);
        self.descriptors.push((number, descriptor));
        number
    }
}

/// Returns the first `bwrap` of the absolute folders of `path`.
pub(super) fn find(path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("bwrap"))
        .find(|program| program.is_file())
}
