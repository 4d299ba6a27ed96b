//! Real repositories in temporary folders, made by plain git in an environment of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use factory_core::model::{CommitId, TreeId};
use factory_core::vcs::git::Git;
use factory_core::vcs::{Checkout, NewCommit, RepositoryFacts, Signature, Vcs};
use tempfile::TempDir;

/// An operator's repository, a store, and a checkout.
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) git: Git,
}

impl Fixture {
    /// An empty folder with room for all three.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self {
            folder,
            git: Git::find().unwrap(),
        };
        fs::create_dir(fixture.repository()).unwrap();
        fixture
    }

    /// A repository with two files in one commit on `main`.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        fixture.plain(&["init", "--quiet", "--initial-branch=main"]);
        fixture.write("a.txt", "one\ntwo\n");
        fixture.write("src/b.rs", "fn main() {}\n");
        fixture.commit_all("First");
        fixture
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path().join("repository")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("store.git")
    }

    pub(crate) fn checkout(&self) -> Checkout {
        self.checkout_named("checkout")
    }

    pub(crate) fn checkout_named(&self, name: &str) -> Checkout {
        Checkout {
            dir: self.path().join(name),
            index: self.path().join(format!("{name}.index")),
            excludes: self.path().join(format!("{name}.excludes")),
        }
    }

    /// Plain git in a folder, as its owner would call it, with none of the machine's configuration.
    pub(crate) fn plain_in(&self, folder: &Path) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Op")
            .env("GIT_AUTHOR_EMAIL", "op@example.org")
            .env("GIT_COMMITTER_NAME", "Op")
            .env("GIT_COMMITTER_EMAIL", "op@example.org")
            .env("GIT_AUTHOR_DATE", "@1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "@1700000000 +0000");
        command
    }

    /// Runs plain git in the repository and returns what it prints.
    pub(crate) fn plain(&self, arguments: &[&str]) -> String {
        let output = self
            .plain_in(&self.repository())
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs plain git in the repository with something to read.
    pub(crate) fn plain_with_input(&self, arguments: &[&str], input: &str) {
        let mut child = self
            .plain_in(&self.repository())
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success(), "git {arguments:?}");
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.repository().join(path), content);
    }

    pub(crate) fn commit_all(&self, message: &str) -> CommitId {
        self.plain(&["add", "--all"]);
        self.plain(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.plain(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    pub(crate) fn head(&self) -> CommitId {
        self.plain(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Fetches `HEAD` and lays it; returns its tree.
    pub(crate) async fn fetch_and_lay(&self) -> TreeId {
        let head = self.head();
        self.git
            .fetch(&self.store(), &self.repository(), &head)
            .await
            .unwrap();
        let tree = self.git.tree_of(&self.store(), &head).await.unwrap();
        self.git
            .lay(&self.store(), &tree, &self.checkout())
            .await
            .unwrap();
        tree
    }

    pub(crate) async fn snapshot(&self) -> (TreeId, Vec<(String, String)>) {
        let snapshot = self.git.snapshot(&self.store(), &self.checkout()).await.unwrap();
        (snapshot.tree, snapshot.left_out)
    }

    /// The files of a tree of the store: `mode path`.
    pub(crate) fn list(&self, tree: &TreeId) -> Vec<String> {
        let output = self
            .plain_in(&self.store())
            .args(["--git-dir=.", "ls-tree", "-r", "-z", tree.as_str()])
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mode_and_path = |entry: &str| {
            let (meta, path) = entry.split_once('\t').unwrap();
            format!("{} {path}", &meta[..6])
        };
        text.split_terminator('\0').map(mode_and_path).collect()
    }

    /// Makes a commit of the store on top of `HEAD`, with the checkout's present files.
    pub(crate) async fn commit_checkout(&self, parent: &CommitId) -> CommitId {
        let (tree, _) = self.snapshot().await;
        let new = NewCommit {
            tree,
            parents: vec![parent.clone()],
            message: "Change\n".into(),
            by: signature(),
        };
        self.git.commit(&self.store(), &new).await.unwrap()
    }
}

pub(crate) fn signature() -> Signature {
    Signature {
        name: "Factory".into(),
        email: "factory@example.org".into(),
        at: "2026-01-31T12:00:00.250000Z".parse().unwrap(),
    }
}

pub(crate) fn write(file: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// Everything below a folder by path: kind, whether it is executable, and content.
pub(crate) fn files(folder: &Path) -> BTreeMap<Vec<u8>, (char, Vec<u8>)> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<Vec<u8>, (char, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                found.insert(name, ('d', Vec::new()));
                walk(root, &path, found);
            } else if metadata.is_symlink() {
                found.insert(
                    name,
                    ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()),
                );
            } else {
                let kind = if metadata.permissions().mode() & 0o100 == 0 {
                    'f'
                } else {
                    'x'
                };
                found.insert(name, (kind, fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// What is known of the repository of [`Fixture::new`].
pub(crate) fn facts(fixture: &Fixture) -> RepositoryFacts {
    RepositoryFacts {
        root: fs::canonicalize(fixture.repository()).unwrap(),
        head_branch: Some("main".into()),
        head: Some(fixture.head()),
        notes: Vec::new(),
        maybe_dirty: false,
    }
}

/// Makes a FIFO, on which an unwary reader waits forever.
pub(crate) fn make_fifo(file: &Path) {
    let status = Command::new("mkfifo").arg(file).status().unwrap();
    assert!(status.success());
}
