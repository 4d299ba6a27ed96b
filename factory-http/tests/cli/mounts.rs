//! File systems of a test's own: a small one that fills up, or one that cannot be written. They stand in a mount namespace
//! that the test alone enters, and are gone with it, so that nothing of the machine can fill up.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::path;

/// The most that a test writes to fill a disk; a small disk is full long before.
const MOST: usize = 64 << 20;

/// A mount namespace, held by a process that sleeps in it.
pub(crate) struct Mounts {
    holder: Child,
}

impl Mounts {
    /// Mounts an empty disk of so many mebibytes at a folder.
    pub(crate) fn small_disk(folder: &Path, mebibytes: u32) -> Self {
        std::fs::create_dir(folder).unwrap();
        Self::prepared(
            &format!("mount -t tmpfs -o size={mebibytes}m,mode=0700 tmpfs \"$1\""),
            folder,
        )
    }

    /// Makes a folder one that nobody, root included, can write to.
    pub(crate) fn read_only(folder: &Path) -> Self {
        Self::prepared(
            "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"",
            folder,
        )
    }

    fn prepared(mount: &str, folder: &Path) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--kill-child", "sh", "-c"])
            .args([
                &format!("{mount} && echo ready && exec sleep 600"),
                "sh",
                path(folder),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "the file system could not be mounted");
        Self { holder }
    }

    /// Returns the command line as one that runs inside.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside
            .args(["--target", &self.holder.id().to_string(), "--user", "--mount"])
            .args(["--preserve-credentials", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Returns the path by which the test itself reaches a file inside.
    pub(crate) fn inside(&self, file: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(file.strip_prefix("/").unwrap())
    }

    /// Fills the small disk with a file.
    pub(crate) fn fill(&self, file: &Path) {
        let content = vec![b'x'; MOST];
        let error = std::fs::write(self.inside(file), content).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    pub(crate) fn make_room(&self, file: &Path) {
        std::fs::remove_file(self.inside(file)).unwrap();
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
