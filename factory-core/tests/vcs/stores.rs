//! The factory's own store: history that is copied and held, commits, and every format from end to end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use factory_core::vcs::{NewCommit, Vcs, VcsError};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, facts, files, signature, write};

#[tokio::test]
async fn history_is_copied_and_held_through_amending_and_pruning() {
    let fixture = Fixture::new();
    let first = fixture.head();
    let second = fixture.commit_all("Second");
    let (git, store) = (&fixture.git, fixture.store());
    git.fetch(&store, &fixture.repository(), &second).await.unwrap();
    git.fetch(&store, &fixture.repository(), &second).await.unwrap();
    fixture.plain(&["commit", "--quiet", "--amend", "--allow-empty", "-m", "Amended"]);
    let amended = fixture.head();
    git.fetch(&store, &fixture.repository(), &amended).await.unwrap();
    fixture.plain(&["reflog", "expire", "--expire=now", "--all"]);
    fixture.plain(&["gc", "--quiet", "--prune=now"]);
    let subjects = |lines: Vec<String>| -> Vec<String> {
        lines
            .iter()
            .map(|line| line.rsplit(": ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        subjects(git.log(&store, &second, 5).await.unwrap()),
        ["Second", "First"]
    );
    assert_eq!(subjects(git.log(&store, &amended, 1).await.unwrap()), ["Amended"]);
    let expected = format!("{} 2023-11-14 Op: First", &first.as_str()[..12]);
    assert_eq!(git.log(&store, &first, 5).await.unwrap(), [expected]);
    assert!(!store.join("objects/info/alternates").exists());
    let error = git
        .fetch(&store, &fixture.repository(), &"0".repeat(40).parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::UnknownRevision { .. }), "{error}");
}

#[tokio::test]
async fn a_fat_and_long_history_stays_where_it_is() {
    let fixture = Fixture::new();
    let noise: Vec<u8> = (0..2_000_000_u64)
        .map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[5])
        .collect();
    fixture.write("fat", &noise);
    fixture.commit_all("Fat");
    let fat = fixture.plain(&["rev-parse", "HEAD:fat"]);
    fs::remove_file(fixture.repository().join("fat")).unwrap();
    let lean = fixture.commit_all("Lean");
    let mut stream = String::new();
    for number in 0..1_200 {
        writeln!(
            stream,
            "commit refs/heads/main\ncommitter Op <op@example.org> {number} +0000"
        )
        .unwrap();
        writeln!(stream, "data <<END\nCommit {number}\nEND").unwrap();
        if number == 0 {
            writeln!(stream, "from {lean}").unwrap();
        }
    }
    fixture.plain_with_input(
        &["fast-import", "--quiet", "--date-format=raw-permissive"],
        &stream,
    );
    let (git, store, repository) = (&fixture.git, fixture.store(), fixture.repository());
    let head = fixture.head();
    git.fetch(&store, &repository, &head).await.unwrap();
    let size = |folder: &Path| -> usize { files(folder).values().map(|(_, content)| content.len()).sum() };
    assert!(size(&store) < 600_000, "{}", size(&store));
    let log = git.log(&store, &head, 5_000).await.unwrap();
    assert_eq!(log.len(), 1_000);
    assert!(
        log[0].ends_with(": Commit 1199") && log[999].ends_with(": Commit 200"),
        "{log:?}"
    );
    let in_store = fixture
        .plain_in(&store)
        .args(["--git-dir=.", "cat-file", "-e", &fat])
        .status()
        .unwrap();
    assert!(!in_store.success());

    // Another base brings what it has beyond the first, and its own part of the log.
    fixture.write("new", "new");
    let next = fixture.commit_all("Next");
    let before = size(&store);
    git.fetch(&store, &repository, &next).await.unwrap();
    assert!(size(&store) < before + 5_000, "{before} {}", size(&store));
    git.fetch(&store, &repository, &lean).await.unwrap();
    assert_eq!(git.log(&store, &lean, 5).await.unwrap().len(), 3);
    for base in [&head, &next, &lean] {
        let tree = git.tree_of(&store, base).await.unwrap();
        git.lay(&store, &tree, &fixture.checkout()).await.unwrap();
        assert_eq!(fixture.snapshot().await.0, tree);
        let ours = files(&fixture.checkout().dir);
        assert_eq!(ours.contains_key(&b"new"[..]), *base == next);
        fs::remove_dir_all(fixture.checkout().dir).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_an_old_commit_had_and_an_earlier_base_had_not_comes() {
    let fixture = Fixture::new();
    fixture.write("again", "x");
    fixture.commit_all("With it");
    fs::remove_file(fixture.repository().join("again")).unwrap();
    let without = fixture.commit_all("Without it");
    let (git, store, repository) = (&fixture.git, fixture.store(), fixture.repository());
    git.fetch(&store, &repository, &without).await.unwrap();
    fixture.write("again", "x");
    let with = fixture.commit_all("With it again");
    git.fetch(&store, &repository, &with).await.unwrap();
    let tree = git.tree_of(&store, &with).await.unwrap();
    git.lay(&store, &tree, &fixture.checkout()).await.unwrap();
    assert_eq!(
        fs::read_to_string(fixture.checkout().dir.join("again")).unwrap(),
        "x"
    );
}

#[tokio::test]
async fn borrowed_objects_are_copied() {
    let fixture = Fixture::new();
    let clone = fixture.path().join("clone");
    fixture.plain(&["clone", "--quiet", "--shared", ".", clone.to_str().unwrap()]);
    fs::write(
        clone.join(".git/objects/info/alternates"),
        "../../../repository/.git/objects\n",
    )
    .unwrap();
    fixture
        .git
        .fetch(&fixture.store(), &clone, &fixture.head())
        .await
        .unwrap();
    fs::remove_dir_all(fixture.repository().join(".git/objects")).unwrap();
    assert_eq!(
        fixture
            .git
            .log(
                &fixture.store(),
                &fixture
                    .git
                    .resolve(&fixture.store(), &hold(&fixture))
                    .await
                    .unwrap(),
                5
            )
            .await
            .unwrap()
            .len(),
        1
    );
}

fn hold(fixture: &Fixture) -> String {
    let folder = fixture.store().join("refs/factory/base");
    let name = fs::read_dir(folder).unwrap().next().unwrap().unwrap().file_name();
    format!("refs/factory/base/{}", name.to_str().unwrap())
}

#[tokio::test]
async fn sha256_repositories_work_from_end_to_end() {
    let fixture = Fixture::empty();
    fixture.plain(&[
        "init",
        "--quiet",
        "--initial-branch=main",
        "--object-format=sha256",
    ]);
    fixture.write("a", "a");
    let base = fixture.commit_all("First");
    let tree = fixture.fetch_and_lay().await;
    assert_eq!((tree.as_str().len(), fixture.snapshot().await.0), (64, tree));
    write(&fixture.checkout().dir.join("b"), "b");
    let commit = fixture.commit_checkout(&base).await;
    let cancel = CancellationToken::new();
    fixture
        .git
        .publish(&fixture.store(), &fixture.repository(), "x", &commit, &cancel)
        .await
        .unwrap();
    assert_eq!(fixture.plain(&["rev-parse", "x"]), commit.as_str());
    let other = Fixture::new();
    let error = other
        .git
        .fetch(&fixture.store(), &other.repository(), &other.head())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "git open the store failed: the repository has sha1 hashes and the store sha256"
    );
}

#[tokio::test]
async fn reftable_repositories_work_from_end_to_end() {
    let fixture = Fixture::empty();
    fixture.plain(&[
        "init",
        "--quiet",
        "--initial-branch=main",
        "--ref-format=reftable",
    ]);
    fixture.write("a", "a");
    let base = fixture.commit_all("First");
    assert_eq!(
        fixture.git.inspect(&fixture.repository()).await.unwrap(),
        facts(&fixture)
    );
    fixture.fetch_and_lay().await;
    write(&fixture.checkout().dir.join("b"), "b");
    let commit = fixture.commit_checkout(&base).await;
    let cancel = CancellationToken::new();
    fixture
        .git
        .publish(&fixture.store(), &fixture.repository(), "x", &commit, &cancel)
        .await
        .unwrap();
    assert_eq!(fixture.plain(&["rev-parse", "x"]), commit.as_str());
    assert_eq!(
        fixture.git.free_branch(&fixture.repository(), "x").await.unwrap(),
        "x-2"
    );
}

#[tokio::test]
async fn the_same_commit_made_twice_has_the_same_hash() {
    let fixture = Fixture::new();
    let base = fixture.head();
    let tree = fixture.fetch_and_lay().await;
    let new = NewCommit {
        tree: tree.clone(),
        parents: vec![base.clone()],
        message: "Say \u{1f600}\n\n# not a comment\n".into(),
        by: signature(),
    };
    let store = fixture.store();
    let commit = fixture.git.commit(&store, &new).await.unwrap();
    assert_eq!(fixture.git.commit(&store, &new).await.unwrap(), commit);
    assert_eq!(fixture.git.tree_of(&store, &commit).await.unwrap(), tree);
    let shown = fixture
        .plain_in(&store)
        .args(["--git-dir=.", "cat-file", "-p", commit.as_str()])
        .output()
        .unwrap();
    let person = "Factory <factory@example.org> 1769860800 +0000";
    assert_eq!(
        String::from_utf8(shown.stdout).unwrap(),
        format!(
            "tree {tree}\nparent {base}\nauthor {person}\ncommitter {person}\n\n{}",
            new.message
        )
    );
    fixture.git.keep(&store, "run-1/step-1", &commit).await.unwrap();
    fixture.git.keep(&store, "run-1/step-1", &base).await.unwrap();
    let error = fixture.git.keep(&store, "../heads/x", &commit).await.unwrap_err();
    assert_eq!(error.to_string(), "`../heads/x` is not an acceptable ref name");
}
