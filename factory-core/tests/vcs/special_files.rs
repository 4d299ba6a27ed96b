//! Pipes, devices and huge files where git expects its own small ones: nothing waits, and nothing outside is read.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use factory_core::vcs::{Vcs, VcsError};

use crate::fixture::{Fixture, make_fifo, write};

const RULES: &str = "no list of patterns that git could read, so new files of its folder are left out";
const DOT_GIT: &str = "a git directory in a checkout is never used";
const NESTED: &str = "a nested repository is not entered";

fn named(left_out: &[(&str, &str)]) -> Vec<(String, String)> {
    left_out
        .iter()
        .map(|(path, why)| ((*path).to_owned(), (*why).to_owned()))
        .collect()
}

async fn untracked(fixture: &Fixture) -> Result<Vec<String>, VcsError> {
    fixture.git.untracked(&fixture.store(), &fixture.checkout()).await
}

#[tokio::test]
async fn pipes_for_patterns_and_attributes_hold_nobody() {
    let fixture = Fixture::new();
    fixture.write("src/.gitignore", "*.log\n");
    fixture.write("src/.gitattributes", "*.rs text\n");
    fixture.commit_all("Second");
    let base = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    for file in ["src/.gitignore", "src/.gitattributes"] {
        fs::remove_file(dir.join(file)).unwrap();
    }
    fs::create_dir_all(dir.join("new [*]/deep")).unwrap();
    for file in [
        ".gitattributes",
        ".gitmodules",
        "src/.gitattributes",
        "src/.gitignore",
        "new [*]/deep/.gitignore",
    ] {
        make_fifo(&dir.join(file));
    }
    write(&dir.join("a.txt"), "changed\n");
    write(&dir.join("src/b.rs"), "changed\n");
    write(&dir.join("src/new"), "hidden by the pipe beside it");
    write(&dir.join("new [*]/seen"), "");
    write(&dir.join("new [*]/deep/hidden"), "");
    write(&dir.join("new x/seen"), "");
    let (tree, left_out) = fixture.snapshot().await;
    let special = "neither a file nor a link";
    assert_eq!(
        left_out,
        named(&[
            ("new [*]/deep/.gitignore", RULES),
            ("src/.gitattributes", special),
            ("src/.gitignore", special),
        ])
    );
    assert_eq!(
        fixture.list(&tree),
        [
            "100644 a.txt",
            "100644 new [*]/seen",
            "100644 new x/seen",
            "100644 src/b.rs"
        ]
    );
    assert_eq!(untracked(&fixture).await.unwrap(), ["new [*]/deep"]);

    fixture
        .git
        .lay(&fixture.store(), &base, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.join("src/.gitignore")).unwrap(), "*.log\n");
}

#[tokio::test]
async fn a_pipe_for_the_patterns_of_the_top_leaves_out_new_files_alone() {
    let fixture = Fixture::new();
    fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    make_fifo(&dir.join(".gitignore"));
    write(&dir.join("a.txt"), "changed\n");
    write(&dir.join("new"), "");
    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(left_out, named(&[(".gitignore", RULES)]));
    assert_eq!(fixture.list(&tree), ["100644 a.txt", "100644 src/b.rs"]);
    let error = untracked(&fixture).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "`{}` is no list of patterns that git could read; remove it",
            dir.join(".gitignore").display()
        )
    );
}

#[tokio::test]
async fn links_sockets_and_huge_files_for_patterns_are_not_read() {
    let fixture = Fixture::new();
    fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    let outside = fixture.path().join("outside");
    fs::create_dir(&outside).unwrap();
    make_fifo(&outside.join("pipe"));
    write(&outside.join("patterns"), "*\n");
    for (folder, target) in [
        ("zero", "/dev/zero".into()),
        ("pipe", outside.join("pipe")),
        ("patterns", outside.join("patterns")),
    ] {
        write(&dir.join(folder).join("seen"), "");
        for name in [".gitignore", ".gitattributes"] {
            symlink(&target, dir.join(folder).join(name)).unwrap();
        }
    }
    symlink("/dev/zero", dir.join(".gitignore")).unwrap();
    symlink(outside.join("pipe"), dir.join(".gitattributes")).unwrap();
    fs::create_dir_all(dir.join("folder/.gitignore")).unwrap();
    write(&dir.join("folder/.gitattributes/seen"), "");
    write(&dir.join("huge/.gitignore"), "x\n".repeat(1 << 20));
    write(&dir.join("huge/.gitattributes"), "x y\n".repeat(1 << 20));
    write(&dir.join("huge/hidden"), "");
    fs::create_dir(dir.join("socket")).unwrap();
    // A path of a socket must be short, so it is bound from a short place and moved.
    let _listener = UnixListener::bind(fixture.path().join("s")).unwrap();
    fs::rename(fixture.path().join("s"), dir.join("socket/.gitignore")).unwrap();
    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(
        left_out,
        named(&[("huge/.gitignore", RULES), ("socket/.gitignore", RULES)])
    );
    assert_eq!(
        fixture.list(&tree),
        [
            "120000 .gitattributes",
            "120000 .gitignore",
            "100644 a.txt",
            "100644 folder/.gitattributes/seen",
            "120000 patterns/.gitattributes",
            "120000 patterns/.gitignore",
            "100644 patterns/seen",
            "120000 pipe/.gitattributes",
            "120000 pipe/.gitignore",
            "100644 pipe/seen",
            "100644 src/b.rs",
            "120000 zero/.gitattributes",
            "120000 zero/.gitignore",
            "100644 zero/seen",
        ]
    );
    assert_eq!(fixture.snapshot().await, (tree, left_out));
}

#[tokio::test]
async fn a_git_directory_beside_tracked_files_is_named() {
    let fixture = Fixture::new();
    fixture.write("deep/inner/x", "x");
    fixture.commit_all("Second");
    fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    write(&dir.join("src/.git"), "gitdir: ../elsewhere\n");
    write(&dir.join("src/new"), "");
    write(&dir.join("deep/.git/HEAD"), "ref: refs/heads/main\n");
    // As a sandbox leaves it behind where it mounts something.
    fs::create_dir(dir.join("deep/inner/.git")).unwrap();
    symlink("/", dir.join(".git")).unwrap();
    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(
        left_out,
        named(&[(".git", DOT_GIT), ("deep/.git", DOT_GIT), ("src/.git", DOT_GIT)])
    );
    assert_eq!(
        fixture.list(&tree),
        [
            "100644 a.txt",
            "100644 deep/inner/x",
            "100644 src/b.rs",
            "100644 src/new"
        ]
    );
}

#[tokio::test]
async fn what_a_git_directory_leads_to_is_not_opened() {
    let fixture = Fixture::new();
    let entry = format!("160000,{},module", fixture.head());
    fixture.write(
        ".gitmodules",
        "[submodule \"module\"]\n\tpath = module\n\turl = /gone\n",
    );
    fixture.plain(&["add", ".gitmodules"]);
    fixture.plain(&["update-index", "--add", "--cacheinfo", &entry]);
    fixture.plain(&["commit", "--quiet", "-m", "Module"]);
    let base = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    for folder in ["module", "vendor/x", "vendor/x/inner", "src"] {
        write(&dir.join(folder).join(".git/config"), "");
        fs::create_dir_all(dir.join(folder).join(".git/objects")).unwrap();
        fs::create_dir_all(dir.join(folder).join(".git/refs")).unwrap();
        make_fifo(&dir.join(folder).join(".git/HEAD"));
    }
    fs::create_dir(dir.join("pipe")).unwrap();
    make_fifo(&dir.join("pipe/.git"));
    // Whether there is a list of them or not, the index knows the submodules.
    fs::remove_file(dir.join(".gitmodules")).unwrap();
    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(
        left_out,
        named(&[
            (
                "module",
                "the files of a submodule are not part of this repository"
            ),
            ("pipe", NESTED),
            ("src/.git", DOT_GIT),
            ("vendor/x", NESTED),
        ])
    );
    assert_eq!(
        fixture.list(&tree),
        ["100644 a.txt", "160000 module", "100644 src/b.rs"]
    );
    assert_eq!(untracked(&fixture).await.unwrap(), ["pipe", "vendor"]);
    fixture
        .git
        .lay(&fixture.store(), &base, &fixture.checkout())
        .await
        .unwrap();
    assert!(dir.join(".gitmodules").exists());
}
