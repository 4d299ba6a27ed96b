//! Names that git would take for something else: for its own folder, or for an option.

use std::io::Write;
use std::os::unix::fs::symlink;

use factory_core::vcs::{Vcs, VcsError};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, files, write};

#[tokio::test]
async fn names_that_read_as_git_are_left_out() {
    let fixture = Fixture::new();
    let tree = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    let names = [
        ".GIT/config",
        "GIT~1",
        "a/.git ",
        "a/.git.",
        "a/.g\u{200c}it",
        "b/.git::$INDEX_ALLOCATION",
    ];
    for name in names {
        write(&dir.join(name), "x");
    }
    symlink("a.txt", dir.join(".gitmodules")).unwrap();
    let (new, left_out) = fixture.snapshot().await;
    assert_eq!(new, tree);
    let mut expected: Vec<_> = names
        .iter()
        .chain(&[".gitmodules"])
        .map(|name| (*name).to_owned())
        .collect();
    expected.sort();
    let passed_over: Vec<_> = left_out.into_iter().map(|(path, _)| path).collect();
    assert_eq!(passed_over, expected);
}

#[tokio::test]
async fn a_tree_with_such_a_name_is_not_laid() {
    let fixture = Fixture::new();
    let blob = fixture.plain(&["rev-parse", "HEAD:a.txt"]);
    let mut child = fixture
        .plain_in(&fixture.repository())
        .args(["mktree"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "100644 blob {blob}\t.GIT").unwrap();
    let tree = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let commit = fixture
        .plain(&["commit-tree", "-m", "x", tree.trim()])
        .parse()
        .unwrap();
    fixture
        .git
        .fetch(&fixture.store(), &fixture.repository(), &commit)
        .await
        .unwrap();
    let tree = fixture.git.tree_of(&fixture.store(), &commit).await.unwrap();
    let error = fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`.GIT` cannot be part of a tree: git takes the name for its own folder on some file system"
    );
}

#[tokio::test]
async fn names_that_would_be_options_never_reach_git() {
    let fixture = Fixture::new();
    let head = fixture.head();
    fixture.fetch_and_lay().await;
    let cancel = CancellationToken::new();
    let before = files(&fixture.repository());
    for name in [
        "-x",
        "--output=pwn",
        "--upload-pack=cmd",
        "-Ocmd",
        "--exec=cmd",
        "-calias.x=y",
        "@{-1}",
        "a\u{202e}b",
    ] {
        let (store, repository) = (fixture.store(), fixture.repository());
        for result in [
            fixture.git.resolve(&repository, name).await.map(drop),
            fixture.git.free_branch(&repository, name).await.map(drop),
            fixture
                .git
                .publish(&store, &repository, name, &head, &cancel)
                .await,
            fixture.git.keep(&store, name, &head).await,
        ] {
            assert!(
                matches!(result, Err(VcsError::BadRefName(_))),
                "{name}: {result:?}"
            );
        }
    }
    assert!(files(&fixture.repository()) == before);
}
