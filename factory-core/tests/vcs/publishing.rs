//! Publishing: a branch is added, and nothing else changes.

use std::fs;

use factory_core::vcs::{Vcs, VcsError};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, files, write};

#[tokio::test]
async fn publishing_adds_a_branch_and_changes_nothing_else() {
    let fixture = Fixture::new();
    fixture.plain(&["config", "core.logAllRefUpdates", "always"]);
    let base = fixture.head();
    fixture.fetch_and_lay().await;
    write(&fixture.checkout().dir.join("new"), "new");
    let commit = fixture.commit_checkout(&base).await;
    let (git, store, repository) = (&fixture.git, fixture.store(), fixture.repository());
    fixture.write("uncommitted", "work");
    let before = files(&repository);
    let branch = git.free_branch(&repository, "factory/run-1").await.unwrap();
    assert_eq!(branch, "factory/run-1");
    let cancel = CancellationToken::new();
    for _ in 0..2 {
        git.publish(&store, &repository, &branch, &commit, &cancel)
            .await
            .unwrap();
    }
    let mut after = files(&repository);
    let mut added: Vec<_> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .cloned()
        .collect();
    after.retain(|path, _| before.contains_key(path));
    assert!(after == before);
    added.retain(|path| !path.starts_with(b".git/objects/pack/pack-"));
    assert_eq!(
        added,
        [&b".git/refs/heads/factory"[..], b".git/refs/heads/factory/run-1"]
    );
    assert_eq!(fixture.plain(&["rev-parse", "factory/run-1"]), commit.as_str());
    fixture.plain(&["fsck", "--strict"]);

    assert_eq!(
        git.free_branch(&repository, "factory/run-1").await.unwrap(),
        "factory/run-1-2"
    );
    for taken in ["factory/run-1", "main", "factory"] {
        let error = git.publish(&store, &repository, taken, &base, &cancel).await;
        let expected = if taken == "main" {
            Ok(())
        } else {
            Err(format!("branch `{taken}` is taken"))
        };
        assert_eq!(error.map_err(|error| error.to_string()), expected);
    }
}

#[tokio::test]
async fn an_amended_and_pruned_base_comes_along() {
    let fixture = Fixture::new();
    fixture.write("only-here", "x");
    let base = fixture.commit_all("Base");
    fixture.fetch_and_lay().await;
    write(&fixture.checkout().dir.join("new"), "new");
    let commit = fixture.commit_checkout(&base).await;
    fs::remove_file(fixture.repository().join("only-here")).unwrap();
    fixture.plain(&["add", "--all"]);
    fixture.plain(&["commit", "--quiet", "--amend", "-m", "Amended", "--allow-empty"]);
    fixture.plain(&["reflog", "expire", "--expire=now", "--all"]);
    fixture.plain(&["gc", "--quiet", "--prune=now"]);
    let missing = fixture
        .plain_in(&fixture.repository())
        .args(["cat-file", "-e", base.as_str()])
        .status()
        .unwrap();
    assert!(!missing.success());
    let cancel = CancellationToken::new();
    fixture
        .git
        .publish(&fixture.store(), &fixture.repository(), "run", &commit, &cancel)
        .await
        .unwrap();
    fixture.plain(&["fsck", "--strict", "--full"]);
    assert_eq!(fixture.plain(&["show", "run:only-here"]), "x");
}

#[tokio::test]
async fn a_base_that_was_pruned_with_what_lies_before_it_is_told() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "between");
    fixture.commit_all("Between");
    fixture.write("a.txt", "base");
    let base = fixture.commit_all("Base");
    fixture.fetch_and_lay().await;
    write(&fixture.checkout().dir.join("new"), "new");
    let commit = fixture.commit_checkout(&base).await;
    fixture.plain(&["reset", "--quiet", "--hard", "HEAD~2"]);
    fixture.plain(&["reflog", "expire", "--expire=now", "--all"]);
    fixture.plain(&["gc", "--quiet", "--prune=now"]);
    let before = files(&fixture.repository());
    let cancel = CancellationToken::new();
    let error = fixture
        .git
        .publish(&fixture.store(), &fixture.repository(), "run", &commit, &cancel)
        .await
        .unwrap_err()
        .to_string();
    let expected = format!("the repository no longer has commit {base}, which the result stands on");
    assert!(error.contains(&expected), "{error}");
    assert!(files(&fixture.repository()) == before);
}

#[tokio::test]
async fn publishing_goes_on_after_a_crash_and_ends_when_asked() {
    let fixture = Fixture::new();
    let base = fixture.head();
    fixture.fetch_and_lay().await;
    write(&fixture.checkout().dir.join("new"), "new");
    let commit = fixture.commit_checkout(&base).await;
    let (git, store, repository) = (&fixture.git, fixture.store(), fixture.repository());
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let before = files(&repository);
    let error = git
        .publish(&store, &repository, "run", &commit, &cancelled)
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::Cancelled(_)), "{error}");
    assert!(files(&repository) == before);

    // A crash after the pack was added, and one after the branch was made.
    let cancel = CancellationToken::new();
    git.publish(&store, &repository, "run", &commit, &cancel)
        .await
        .unwrap();
    let packs = repository.join(".git/objects/pack");
    let pack = fs::read_dir(&packs).unwrap().next().unwrap().unwrap().path();
    let keep = pack.with_extension("keep");
    let other = packs.join("pack-other.keep");
    for branch_made in [true, false] {
        fs::write(&keep, format!("AI Dev Factory publishes {commit} as run\n")).unwrap();
        fs::write(&other, "someone else's").unwrap();
        if !branch_made {
            fixture.plain(&["branch", "-D", "run"]);
        }
        git.publish(&store, &repository, "run", &commit, &cancel)
            .await
            .unwrap();
        assert!(!keep.exists() && other.exists());
        assert_eq!(fixture.plain(&["rev-parse", "run"]), commit.as_str());
    }
}

#[tokio::test]
async fn a_branch_in_the_way_gives_another_name() {
    let fixture = Fixture::new();
    fixture.plain(&["branch", "factory"]);
    let free = async |wanted| fixture.git.free_branch(&fixture.repository(), wanted).await;
    assert_eq!(free("factory/run-1").await.unwrap(), "factory-run-1");
    fixture.plain(&["checkout", "--quiet", "--orphan", "unborn"]);
    assert_eq!(free("unborn").await.unwrap(), "unborn-2");
    assert!(matches!(free("-x").await, Err(VcsError::BadRefName(_))));
}
