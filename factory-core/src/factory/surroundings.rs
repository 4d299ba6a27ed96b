//! What the host offers to commands: the sandbox with its toolchains, and registry settings for setup. Looked for when
//! it is first needed, because looking runs programs and a list of runs needs none of it.

use std::time::Duration;

use super::Reader;
use crate::environment;
use crate::sandbox::{RunLock, Sandbox};

/// How long another process's trial is waited for.
const TRIAL_LOCK_WITHIN: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) sandbox: Sandbox,
    /// What of the host's registry settings is kept from setup commands, and why.
    pub(super) registry_notes: Vec<String>,
}

impl Reader {
    /// Returns what the host offers, looked for once.
    pub(super) async fn surroundings(&self) -> &Surroundings {
        self.surroundings.get_or_init(|| self.look_around()).await
    }

    /// The lock under which bubblewrap is tried, so that nothing of a killed process stays. Where it cannot be had the
    /// trial is made all the same.
    async fn trial_lock(&self) -> Option<RunLock> {
        let lock = RunLock::acquire(&self.folder.path().join("trial.lock"), TRIAL_LOCK_WITHIN).await;
        lock.inspect_err(|error| tracing::warn!(%error, "bubblewrap is tried without its lock"))
            .ok()
    }

    async fn look_around(&self) -> Surroundings {
        let host = self.settings.host.clone();
        let looked = tokio::task::spawn_blocking(move || {
            (
                environment::find_toolchains(&host.home, host.path()),
                host.registry_settings(),
            )
        });
        match looked.await {
            Ok((toolchains, (registries, registry_notes))) => Surroundings {
                sandbox: Sandbox::probe_in(toolchains, self.settings.host.path(), self.trial_lock().await)
                    .await
                    .with_registries(registries),
                registry_notes,
            },
            Err(error) => Surroundings {
                sandbox: Sandbox::unavailable(format!("looking for toolchains failed: {error}")),
                registry_notes: Vec::new(),
            },
        }
    }
}
