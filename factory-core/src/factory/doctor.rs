//! Looks at what works here, and says what to do about the rest.

mod model;

use super::{Finding, Reader};
use crate::sandbox::{Sandbox, SandboxLevel};
use crate::store::Page;

/// The free space under which the disk is called nearly full: 1 GiB.
const LITTLE_SPACE: u64 = 1 << 30;

impl Reader {
    /// Returns what works here: git, the sandbox, toolchains, the models in use, the database, the disk.
    pub async fn doctor(&self) -> Vec<Finding> {
        let sandbox = &self.surroundings().await.sandbox;
        let mut findings = vec![
            finding("git", true, self.vcs.describe(), None),
            sandbox_finding(sandbox),
            toolchains_finding(sandbox),
        ];
        findings.extend(self.model_findings().await);
        findings.push(self.database_finding().await);
        findings.push(self.disk_finding());
        if rustix::process::geteuid().is_root() {
            findings.push(Finding {
                subject: "user".to_owned(),
                ok: true,
                found: "running as root; the kernel's bound on processes does not hold for root".to_owned(),
                remedy: Some("run the factory as an ordinary user where you can".to_owned()),
            });
        }
        findings
    }

    async fn database_finding(&self) -> Finding {
        let database = self.settings.database.clone();
        let database = database.unwrap_or_else(|| self.folder.database().display().to_string());
        match self
            .store
            .runs(crate::store::RunFilter::default(), Page::first(1))
            .await
        {
            Ok(_) => finding("database", true, database, None),
            Err(error) => finding(
                "database",
                false,
                format!("{database}: {}", crate::chain::chain(&error)),
                Some("restore a backup, or move the file away and begin anew".to_owned()),
            ),
        }
    }

    fn disk_finding(&self) -> Finding {
        let path = &self.settings.data_folder;
        match rustix::fs::statvfs(path) {
            Ok(stat) => {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize);
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                let gibibytes = free as f64 / f64::from(1 << 30);
                finding(
                    "disk",
                    free >= LITTLE_SPACE,
                    format!("{gibibytes:.1} GiB free in {}", path.display()),
                    (free < LITTLE_SPACE)
                        .then(|| "make room: runs are paused as `storage_full` when it is gone".to_owned()),
                )
            }
            Err(error) => finding("disk", false, format!("{}: {error}", path.display()), None),
        }
    }
}

fn sandbox_finding(sandbox: &Sandbox) -> Finding {
    match sandbox.level() {
        SandboxLevel::Bubblewrap { version } => finding(
            "sandbox",
            true,
            format!("bubblewrap {version}: namespaces, seccomp, limits"),
            None,
        ),
        SandboxLevel::None { reason } => finding(
            "sandbox",
            false,
            "commands and checks are refused".to_owned(),
            Some(reason.clone()),
        ),
    }
}

fn toolchains_finding(sandbox: &Sandbox) -> Finding {
    let names: Vec<&str> = sandbox
        .toolchains()
        .iter()
        .map(|toolchain| toolchain.name.as_str())
        .collect();
    let found = if names.is_empty() {
        "those of /usr alone".to_owned()
    } else {
        names.join(", ")
    };
    finding("toolchains", true, found, None)
}

fn finding(subject: &str, ok: bool, found: String, remedy: Option<String>) -> Finding {
    Finding {
        subject: subject.to_owned(),
        ok,
        found,
        remedy,
    }
}
