//! What is read is what git says, for every kind of ref; what is not plain is left to git.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::super::locate::locate;
use super::*;

struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new(options: &[&str]) -> Self {
        let repository = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        repository.git(&[&["init", "--quiet", "--initial-branch=main"], options].concat());
        repository
    }

    /// A repository with refs of every plain kind, each of its own commit.
    fn with_refs(options: &[&str]) -> Self {
        let repository = Self::new(options);
        for name in [
            "refs/heads/main",
            "refs/heads/feature/deep/name",
            "refs/heads/größe",
            "refs/tags/v1",
            "refs/remotes/origin/main",
        ] {
            repository.commit_to(name);
        }
        repository.git(&["tag", "-a", "-m", "x", "v2", "refs/tags/v1"]);
        repository
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=Op", "-c", "user.email=op@example.org"])
            .args(arguments)
            .stderr(Stdio::null());
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Points the ref at a new commit.
    fn commit_to(&self, name: &str) -> String {
        let tree = self.git(&["mktree"]);
        let commit = self.git(&["commit-tree", "-m", name, &tree]);
        self.git(&["update-ref", name, &commit]);
        commit
    }

    /// Returns what git says of a name in a folder.
    fn told(&self, folder: &Path, name: &str) -> Option<String> {
        let mut command = self.command(&["rev-parse", "--verify", "--quiet", name]);
        let output = command.current_dir(folder).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(told)
    }
}

fn read(folder: &Path, name: &str) -> Option<String> {
    object_of(&locate(folder, &[]).unwrap(), name)
}

/// Checks that each name is read, and read as git does.
fn check_read(repository: &Repository, folder: &Path, names: &[&str]) {
    for name in names {
        let found = read(folder, name);
        assert!(found.is_some(), "{name} is not read");
        assert_eq!(found, repository.told(folder, name), "{name}");
    }
}

/// Checks that each name is left to git.
fn check_left(folder: &Path, names: &[&str]) {
    for name in names {
        assert_eq!(read(folder, name), None, "{name}");
    }
}

const NAMES: [&str; 12] = [
    "HEAD",
    "main",
    "refs/heads/main",
    "feature/deep/name",
    "größe",
    "v1",
    "refs/tags/v1",
    "v2",
    "refs/tags/v2",
    "origin/main",
    "refs/remotes/origin/main",
    "refs/heads/feature/deep/name",
];

const NO_NAMES: [&str; 9] = [
    "gone",
    "feature",
    "feature/deep",
    "main/below",
    "refs/heads/gone",
    "/main",
    "main/",
    "feature//deep",
    "main.lock",
];

#[test]
fn loose_and_packed_refs_are_read_as_git_reads_them() {
    for options in [&[][..], &["--object-format=sha256"], &["--bare"]] {
        let repository = Repository::with_refs(options);
        let path = repository.path();
        check_read(&repository, &path, &NAMES);
        check_read(&repository, &path, &[&repository.git(&["rev-parse", "v1"])]);
        check_left(&path, &NO_NAMES);
        repository.git(&["pack-refs", "--all", "--prune"]);
        assert_eq!(
            lookup(&locate(&path, &[]).unwrap().common_dir, "refs/heads/gone"),
            Ref::Missing
        );
        check_read(&repository, &path, &NAMES);
        check_left(&path, &NO_NAMES);
        // A file of its own is newer than what is packed.
        repository.commit_to("refs/heads/main");
        repository.git(&["update-ref", "-d", "refs/heads/größe"]);
        check_read(&repository, &path, &["main", "HEAD", "v2"]);
        check_left(&path, &["größe"]);
    }
}

#[test]
fn a_branch_goes_before_a_tag_of_its_name() {
    let repository = Repository::with_refs(&[]);
    let branch = repository.commit_to("refs/heads/v1");
    assert_eq!(read(&repository.path(), "v1"), Some(branch));
}

#[test]
fn every_ref_of_a_long_packed_file_is_found_and_no_other() {
    let repository = Repository::with_refs(&[]);
    let path = repository.path();
    let commit = repository.git(&["rev-parse", "v1"]);
    let tag = repository.git(&["rev-parse", "v2"]);
    let name = |number: usize| {
        format!(
            "refs/heads/b{}/{number:05}{}",
            number % 7,
            "x".repeat(number % 90)
        )
    };
    let object = |number: usize| if number.is_multiple_of(3) { &tag } else { &commit };
    let mut lines: Vec<String> = (0..3000)
        .map(|number| match object(number) {
            tagged if tagged == &tag => format!("{} {}\n^{commit}\n", tagged, name(number)),
            plain => format!("{plain} {}\n", name(number)),
        })
        .collect();
    lines.sort_by(|a, b| a[41..].cmp(&b[41..]));
    let packed = format!(
        "# pack-refs with: peeled fully-peeled sorted \n{}",
        lines.concat()
    );
    fs::write(path.join(".git/packed-refs"), packed).unwrap();
    assert_eq!(repository.told(&path, &name(2999)).as_ref(), Some(object(2999)));
    let common = locate(&path, &[]).unwrap().common_dir;
    for number in 0..3000 {
        let found = lookup(&common, &name(number));
        assert_eq!(found, Ref::Object(object(number).clone()), "{number}");
        for other in [format!("{}y", name(number)), name(number)[..16].to_owned()] {
            assert_eq!(lookup(&common, &other), Ref::Missing, "{other}");
        }
    }
}

#[test]
fn heads_that_are_detached_and_those_of_linked_working_trees_are_read() {
    let repository = Repository::with_refs(&[]);
    let path = repository.path();
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/feature/deep/name"]);
    check_read(&repository, &path, &["HEAD"]);
    repository.git(&["checkout", "--quiet", "--detach", "v1"]);
    check_read(&repository, &path, &["HEAD"]);
    let linked = path.join("linked");
    repository.git(&["worktree", "add", "--quiet", "-b", "other", "linked", "main"]);
    repository.commit_to("refs/heads/other");
    check_read(&repository, &linked, &["HEAD", "other", "main", "v2"]);
    assert_ne!(read(&linked, "HEAD"), read(&path, "HEAD"));
}

#[test]
fn what_is_not_plain_is_left_to_git() {
    let repository = Repository::with_refs(&[]);
    let path = repository.path();
    let main = repository.git(&["rev-parse", "main"]);
    repository.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    repository.git(&[
        "symbolic-ref",
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
    ]);
    let file = |name: &str| path.join(".git").join(name);
    fs::write(file("refs/heads/empty"), "").unwrap();
    fs::write(file("refs/heads/words"), "no object\n").unwrap();
    fs::write(file("refs/heads/zero"), format!("{}\n", "0".repeat(40))).unwrap();
    symlink("main", file("refs/heads/link")).unwrap();
    let made = Command::new("mkfifo")
        .arg(file("refs/heads/pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let computed = ["alias", "origin", "empty", "words", "zero", "link", "pipe"];
    check_left(&path, &computed);
    check_left(
        &path,
        &[&main[..8], "heads/main", "FETCH_HEAD", "refs/heads/../heads/main"],
    );
    for head in [
        "ref: refs/heads/alias\n",
        "ref: refs/heads/unborn\n",
        "ref: HEAD\n",
        "x\n",
    ] {
        fs::write(file("HEAD"), head).unwrap();
        check_left(&path, &["HEAD"]);
    }
    fs::remove_file(file("HEAD")).unwrap();
    symlink("refs/heads/main", file("HEAD")).unwrap();
    check_left(&path, &["HEAD"]);
}

#[test]
fn packed_refs_that_are_not_as_git_writes_them_are_left_to_git() {
    let repository = Repository::with_refs(&[]);
    let path = repository.path();
    repository.git(&["pack-refs", "--all", "--prune"]);
    let file = path.join(".git/packed-refs");
    let packed = fs::read_to_string(&file).unwrap();
    for changed in [packed.replace(" sorted", ""), packed.replace(' ', "\t")] {
        fs::write(&file, changed).unwrap();
        check_left(&path, &["v2"]);
    }
    fs::write(&file, "").unwrap();
    assert_eq!(lookup(&path.join(".git"), "refs/tags/v2"), Ref::Missing);
}

#[test]
fn tables_of_refs_are_left_to_git() {
    let repository = Repository::with_refs(&["--ref-format=reftable"]);
    check_left(&repository.path(), &NAMES);
    let main = repository.git(&["rev-parse", "main"]);
    check_left(&repository.path(), &[&main]);
}
