//! Which paths of the host's system a command sees. An allowlist: never all of `/` or `/etc`.

use std::path::{Path, PathBuf};

/// Programs and libraries.
const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Settings without secrets that programs need to start, to find certificates, or to know the time zone.
const SETTINGS: [&str; 17] = [
    "/etc/alternatives",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
];

/// Kernel settings that the superuser may write without any capability. bubblewrap covers some of them, but leaves
/// `/proc/sys` writable when it is started by the superuser: `kernel.core_pattern` there runs programs on the host.
const KERNEL: [&str; 8] = [
    "/proc/sys",
    "/proc/acpi",
    "/proc/driver",
    "/proc/fs",
    "/proc/mtrr",
    "/proc/pressure",
    "/proc/scsi",
    "/proc/sysrq-trigger",
];

/// How a system path is made in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SystemPath {
    /// A link, as it is on the host.
    Link {
        /// Where it leads.
        target: PathBuf,
        /// Where it stands.
        at: PathBuf,
    },
    /// Bound read-only.
    Bind {
        /// What, with all links resolved.
        from: PathBuf,
        /// Where.
        at: PathBuf,
    },
}

/// Returns the paths of programs and settings that this host has.
pub(super) fn visible() -> Vec<SystemPath> {
    let programs = PROGRAMS.iter().map(Path::new).filter_map(|path| {
        Some(match std::fs::read_link(path) {
            Ok(target) => SystemPath::Link {
                target,
                at: path.to_path_buf(),
            },
            Err(_) => bind(path)?,
        })
    });
    let settings = SETTINGS.iter().map(PathBuf::from).chain(java_settings());
    programs.chain(settings.filter_map(|path| bind(&path))).collect()
}

/// Returns the parts of `/proc` that must be made read-only.
pub(super) fn kernel_settings() -> impl Iterator<Item = &'static str> {
    KERNEL.into_iter().filter(|path| Path::new(path).exists())
}

fn bind(path: &Path) -> Option<SystemPath> {
    Some(SystemPath::Bind {
        from: path.canonicalize().ok()?,
        at: path.to_path_buf(),
    })
}

/// A Java runtime of a distribution keeps its own settings below `/etc` and does not start without them.
fn java_settings() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("java-") && name.ends_with("-openjdk")
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SystemPath, visible};

    #[test]
    fn no_secret_is_among_them() {
        for path in visible() {
            let (SystemPath::Link { at, .. } | SystemPath::Bind { at, .. }) = path;
            for secret in [
                "/etc/shadow",
                "/etc/ssl/private",
                "/root",
                "/home",
                "/var",
                "/run",
                "/proc/1",
            ] {
                assert!(
                    !Path::new(secret).starts_with(&at),
                    "{} holds {secret}",
                    at.display()
                );
            }
        }
    }
}
