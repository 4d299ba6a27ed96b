//! The sandbox of this machine: found and tried once, then used for every command.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::spawner::Spawner;
use super::{
    AttachedCommand, CommandSpec, Exit, Limits, Network, RegistrySettings, RunLock, RunningCommand,
    SandboxError, SandboxLevel, Streams, Toolchain, attached, bubblewrap, running, seccomp,
};

/// Where a system's own bubblewrap stands. Ubuntu lets no other one make user namespaces.
const SYSTEM_FOLDERS: &str = "/usr/bin:/usr/local/bin:/bin:/run/current-system/sw/bin";

/// The trial. Beside that it runs at all, the kernel's settings must be out of reach.
const TRIAL: &str = "test ! -w /proc/sys/kernel/core_pattern";

/// How commands are run on this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    level: SandboxLevel,
    working: Option<Working>,
    toolchains: Vec<Toolchain>,
    registries: RegistrySettings,
}

/// What a working sandbox is made of.
#[derive(Debug, Clone)]
struct Working {
    program: PathBuf,
    filters: Vec<Vec<u8>>,
    spawner: Spawner,
}

impl Sandbox {
    /// Finds the system's bubblewrap and tries it with the arguments that every command gets.
    pub async fn probe(toolchains: Vec<Toolchain>) -> Self {
        Self::probe_in(toolchains, SYSTEM_FOLDERS, None).await
    }

    /// As [`Sandbox::probe`], with the folders in which `bwrap` is looked for, as `PATH` lists them. They must not be
    /// such that a command can write. With a lock, what a killed process left of an earlier trial is ended by whoever
    /// takes that lock next.
    pub async fn probe_in(toolchains: Vec<Toolchain>, path: &str, lock: Option<RunLock>) -> Self {
        let mut sandbox = Self::unavailable(String::new());
        Arc::make_mut(&mut sandbox.shared).toolchains = toolchains;
        let level = match sandbox.make_working(path).await {
            Ok(version) => match sandbox.trial(lock).await {
                Ok(()) => SandboxLevel::Bubblewrap { version },
                Err(reason) => SandboxLevel::None { reason },
            },
            Err(reason) => SandboxLevel::None { reason },
        };
        Arc::make_mut(&mut sandbox.shared).level = level;
        sandbox
    }

    /// Returns a sandbox that refuses every command.
    pub fn unavailable(reason: String) -> Self {
        Self {
            shared: Arc::new(Shared {
                level: SandboxLevel::None { reason },
                working: None,
                toolchains: Vec::new(),
                registries: RegistrySettings::default(),
            }),
        }
    }

    /// Gives commands the host's registry settings.
    #[must_use]
    pub fn with_registries(mut self, registries: RegistrySettings) -> Self {
        Arc::make_mut(&mut self.shared).registries = registries;
        self
    }

    /// Returns how commands are held.
    pub fn level(&self) -> &SandboxLevel {
        &self.shared.level
    }

    /// Returns the toolchains that commands see.
    pub fn toolchains(&self) -> &[Toolchain] {
        &self.shared.toolchains
    }

    /// Starts the command, and returns when its sandbox stands and the command is let go. With a lock, waits first
    /// until nothing is left of an earlier command of the checkout, and holds the lock until all of it is gone, even
    /// if this program is killed.
    pub async fn start(
        &self,
        spec: &CommandSpec,
        lock: Option<RunLock>,
    ) -> Result<RunningCommand, SandboxError> {
        if let SandboxLevel::None { reason } = &self.shared.level {
            return Err(SandboxError::Unavailable {
                reason: reason.clone(),
            });
        }
        running::start(self, spec, lock).await
    }

    /// Starts the command with streams of its caller's, and returns when its sandbox stands and the command is let go.
    /// What bubblewrap says where it fails goes there as well. The limit of time is the caller's to keep.
    pub async fn attach(
        &self,
        spec: &CommandSpec,
        lock: RunLock,
        streams: Streams,
    ) -> Result<AttachedCommand, SandboxError> {
        if let SandboxLevel::None { reason } = &self.shared.level {
            return Err(SandboxError::Unavailable {
                reason: reason.clone(),
            });
        }
        attached::start(self, spec, lock, streams).await
    }

    pub(super) fn registries(&self) -> &RegistrySettings {
        &self.shared.registries
    }

    pub(super) fn filters(&self) -> &[Vec<u8>] {
        self.shared
            .working
            .as_ref()
            .map_or(&[], |working| &working.filters)
    }

    pub(super) fn spawner(&self) -> Result<&Spawner, SandboxError> {
        Ok(&self.working()?.spawner)
    }

    pub(super) fn program(&self) -> Result<&Path, SandboxError> {
        Ok(&self.working()?.program)
    }

    fn working(&self) -> Result<&Working, SandboxError> {
        self.shared
            .working
            .as_ref()
            .ok_or_else(|| SandboxError::Unavailable {
                reason: "no sandbox was found".to_owned(),
            })
    }

    /// Finds the program and makes what every command needs; returns the program's version.
    async fn make_working(&mut self, path: &str) -> Result<String, String> {
        let program = bubblewrap::find(path).ok_or(
            "bubblewrap is missing; install it with the system's packages, as `apt-get install bubblewrap` does",
        )?;
        let mode = program
            .metadata()
            .map_err(|error| error.to_string())?
            .permissions()
            .mode();
        if mode & 0o4000 != 0 {
            return Err(format!(
                "`{0}` runs as the superuser (setuid), which it should not; `chmod u-s {0}` mends it",
                program.display()
            ));
        }
        let version = version(&program).await?;
        let filters = seccomp::filters()?;
        let spawner = Spawner::new().map_err(|error| format!("cannot start a thread: {error}"))?;
        Arc::make_mut(&mut self.shared).working = Some(Working {
            program,
            filters,
            spawner,
        });
        Ok(version)
    }

    /// Runs the trial as every command is run.
    async fn trial(&self, lock: Option<RunLock>) -> Result<(), String> {
        let folders = [(), ()].map(|()| tempfile::tempdir());
        let [Ok(checkout), Ok(home)] = folders else {
            return Err("cannot make a temporary folder to try bubblewrap in".to_owned());
        };
        let spec = CommandSpec {
            script: TRIAL.to_owned(),
            checkout: checkout.path().to_path_buf(),
            home: home.path().to_path_buf(),
            network: Network::Off,
            limits: Limits {
                wall: Duration::from_secs(30),
                ..Limits::default()
            },
        };
        let running = running::start(self, &spec, lock)
            .await
            .map_err(|error| explain(&error.to_string()))?;
        match running.wait(&CancellationToken::new()).await {
            outcome if outcome.exit == Exit::Code(0) => Ok(()),
            outcome => Err(format!(
                "the kernel's settings can be written from within bubblewrap ({:?}) {}",
                outcome.exit,
                outcome.output.trim()
            )),
        }
    }
}

async fn version(program: &Path) -> Result<String, String> {
    let said = tokio::process::Command::new(program)
        .arg("--version")
        .env_clear()
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(Duration::from_secs(10), said).await {
        Ok(Ok(said)) if said.status.success() => {
            let said = String::from_utf8_lossy(&said.stdout);
            Ok(said.trim().trim_start_matches("bubblewrap ").to_owned())
        }
        Ok(Ok(said)) => Err(format!(
            "`{} --version` ended with {}",
            program.display(),
            said.status
        )),
        Ok(Err(error)) => Err(format!("cannot run `{}`: {error}", program.display())),
        Err(_) => Err(format!("`{} --version` does not end", program.display())),
    }
}

/// Adds the way out to what bubblewrap says where a system forbids user namespaces.
fn explain(said: &str) -> String {
    let namespaces = [
        "uid map",
        "RTM_NEWADDR",
        "namespace",
        "Operation not permitted",
        "Permission denied",
    ];
    if namespaces.iter().any(|sign| said.contains(sign)) {
        format!(
            "{said}; this system forbids user namespaces: on Ubuntu allow them to bubblewrap by an AppArmor profile \
             (`apt-get install apparmor-profiles`, then load `bwrap-userns-restrict`) or set \
             `kernel.apparmor_restrict_unprivileged_userns=0`; in a container, its security profile must allow them"
        )
    } else {
        said.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Sandbox, SandboxLevel, explain};

    #[tokio::test]
    async fn a_missing_program_is_told_with_what_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::probe_in(Vec::new(), empty.path().to_str().unwrap(), None).await;
        assert_eq!(
            sandbox.level(),
            &SandboxLevel::None {
                reason: "bubblewrap is missing; install it with the system's packages, as \
                         `apt-get install bubblewrap` does"
                    .to_owned()
            }
        );
    }

    #[test]
    fn a_forbidden_user_namespace_is_explained() {
        assert!(explain("bwrap: setting up uid map: Permission denied").contains("AppArmor"));
        assert_eq!(
            explain("bwrap: execvp /bin/sh: No such file"),
            "bwrap: execvp /bin/sh: No such file"
        );
    }
}
