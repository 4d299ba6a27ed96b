//! What the host offers to commands: the sandbox with its toolchains, and registry settings for setup. Looked for when
//! it is first needed, because looking runs programs and a list of runs needs none of it.

use super::Reader;
use crate::environment;
use crate::sandbox::Sandbox;

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
                sandbox: Sandbox::probe_in(toolchains, self.settings.host.path())
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
