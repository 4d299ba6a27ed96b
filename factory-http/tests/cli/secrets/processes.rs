//! What other processes of this machine can read of the program's children: their command lines and environments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Watches the descendants of this test's process that are not the program itself.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<BTreeMap<String, BTreeSet<Vec<u8>>>>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let watching = std::thread::spawn(move || {
            let mut seen: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
            while !over.load(Ordering::SeqCst) {
                for process in children() {
                    if let Some((program, bytes)) = look(&process) {
                        seen.entry(program).or_default().insert(bytes);
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            seen
        });
        Self { is_over, watching }
    }

    /// Returns what was seen, by program.
    pub(crate) fn end(self) -> BTreeMap<String, BTreeSet<Vec<u8>>> {
        self.is_over.store(true, Ordering::SeqCst);
        self.watching.join().unwrap()
    }
}

/// Returns the descendants of this process.
fn children() -> Vec<PathBuf> {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name, in brackets, may hold anything.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.insert(pid, parent.unwrap_or(0));
    }
    let own = std::process::id();
    let is_below = |pid: u32| {
        let mut at = pid;
        std::iter::from_fn(|| {
            at = parents.get(&at).copied().filter(|parent| *parent > 1)?;
            Some(at)
        })
        .take(64)
        .any(|ancestor| ancestor == own)
    };
    let below = parents.keys().copied().filter(|pid| is_below(*pid));
    below.map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect()
}

/// Returns a process's command line and environment, unless it is the program itself, which was given secrets in its
/// environment, or becomes another program just now.
fn look(process: &std::path::Path) -> Option<(String, Vec<u8>)> {
    let before = std::fs::read_link(process.join("exe")).ok()?;
    let mut bytes = std::fs::read(process.join("cmdline")).ok()?;
    bytes.extend(std::fs::read(process.join("environ")).unwrap_or_default());
    let after = std::fs::read_link(process.join("exe")).ok()?;
    let program = after.file_name()?.to_string_lossy().into_owned();
    (before == after && !program.starts_with("factory")).then_some((program, bytes))
}
