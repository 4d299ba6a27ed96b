//! Finds what is left of a command whose owner was killed: processes that still have a checkout mounted, and such as
//! hold its lock and would never end by themselves.
//!
//! The lock alone does not say that all is over: the kernel closes the files of a namespace's first process before it
//! kills the others.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
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

/// Kills every orphaned bubblewrap that holds `lock`.
///
/// A bubblewrap that dies between the start of its namespace's first process and the word that lets it go on leaves
/// that process waiting for ever, before it could ask to die with its parent. What descends from this process is at
/// work and is left alone, and so is whoever has the file open without holding the lock.
pub(super) fn end_orphaned_holders(lock: &File) -> std::io::Result<()> {
    let wanted = lock.metadata()?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // The handle comes first: what is then found out is of the process that is signalled.
        let Some(Ok(handle)) = Pid::from_raw(process).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
            continue;
        };
        if is_bubblewrap(process) && !descends_from_here(process) && holds(process, &wanted) {
            tracing::warn!(
                process,
                "a sandbox that lost its owner while it was set up is ended"
            );
            // It may have ended by itself.
            let _gone = pidfd_send_signal(&handle, Signal::KILL);
        }
    }
    Ok(())
}

fn is_bubblewrap(process: i32) -> bool {
    std::fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|program| {
        // A program that was replaced meanwhile has a remark after its name.
        let name = program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.trim_end_matches(" (deleted)") == "bwrap")
    })
}

/// Returns whether this process started the other one. One that ends meanwhile counts as such.
fn descends_from_here(process: i32) -> bool {
    let here = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let mut ancestor = process;
    while ancestor > 1 {
        if ancestor == here {
            return true;
        }
        let status = std::fs::read_to_string(format!("/proc/{ancestor}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let Some(parent) = parent.and_then(|parent| parent.trim().parse().ok()) else {
            return true;
        };
        ancestor = parent;
    }
    false
}

/// Returns whether a descriptor of the process holds the kernel's lock on the file.
fn holds(process: i32, wanted: &Metadata) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let is_same = std::fs::metadata(descriptor.path())
            .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()));
        let number = descriptor.file_name();
        let info = format!("/proc/{process}/fdinfo/{}", number.display());
        is_same && std::fs::read_to_string(info).is_ok_and(|info| info.contains("FLOCK"))
    })
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
