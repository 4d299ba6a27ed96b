//! Finds processes that still have a checkout mounted: what is left of a command whose owner was killed.
//!
//! The lock alone does not say that all is over: the kernel closes the files of a namespace's first process before it
//! kills the others.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{CHECKOUT, SandboxError};

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until no process has `checkout` mounted where commands see it.
pub(super) async fn wait_until_gone(checkout: &Path, patience: Duration) -> Result<(), SandboxError> {
    let failed = |detail| SandboxError::Failed {
        action: "wait for an earlier command of the checkout to end",
        detail,
    };
    let deadline = Instant::now() + patience;
    loop {
        let looked_at = checkout.to_path_buf();
        let found = tokio::task::spawn_blocking(move || processes_with(&looked_at))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(failed(format!(
                "still there after {patience:?}: processes {found:?}"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns the processes that see the folder at [`CHECKOUT`]. Processes that end meanwhile, or that belong to another
/// user and hence to no command of ours, are passed over.
fn processes_with(checkout: &Path) -> std::io::Result<Vec<u32>> {
    let wanted = checkout.metadata()?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let seen = format!("/proc/{process}/root{CHECKOUT}");
        if std::fs::metadata(seen).is_ok_and(|seen| (seen.dev(), seen.ino()) == (wanted.dev(), wanted.ino()))
        {
            found.push(process);
        }
    }
    Ok(found)
}
