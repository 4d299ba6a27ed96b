//! Version control over real repositories: what goes in comes out byte by byte, and publishing touches nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod git_fixture;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use factory_core::vcs::{ChangeKind, Diff, FileDiff, NewCommit, RepositoryFacts, Vcs, VcsError};
use git_fixture::{Fixture, files, signature, write};
use tokio_util::sync::CancellationToken;

fn facts(fixture: &Fixture) -> RepositoryFacts {
    RepositoryFacts {
        root: fs::canonicalize(fixture.repository()).unwrap(),
        head_branch: Some("main".into()),
        head: Some(fixture.head()),
        notes: Vec::new(),
        maybe_dirty: false,
    }
}

#[tokio::test]
async fn a_repository_is_known_from_any_folder_of_it() {
    let fixture = Fixture::new();
    let (git, repository) = (&fixture.git, fixture.repository());
    for path in ["", "src", ".git", ".git/refs"] {
        assert_eq!(
            git.inspect(&repository.join(path)).await.unwrap(),
            facts(&fixture),
            "{path}"
        );
    }
    fixture.write("a.txt", "changed");
    let expected = RepositoryFacts {
        maybe_dirty: true,
        ..facts(&fixture)
    };
    assert_eq!(git.inspect(&repository).await.unwrap(), expected);
    fixture.plain(&["checkout", "--quiet", "a.txt"]);
    fixture.plain(&["checkout", "--quiet", "--detach"]);
    let expected = RepositoryFacts {
        head_branch: None,
        ..facts(&fixture)
    };
    assert_eq!(git.inspect(&repository).await.unwrap(), expected);
}

#[tokio::test]
async fn ignored_files_are_not_uncommitted_work_and_new_ones_are() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n");
    fixture.commit_all("Ignore");
    fixture.write("x.log", "");
    write(&fixture.repository().join(".git/info/exclude"), "local\n");
    fixture.write("local", "");
    assert_eq!(
        fixture.git.inspect(&fixture.repository()).await.unwrap(),
        facts(&fixture)
    );
    fixture.write("new", "");
    assert!(
        fixture
            .git
            .inspect(&fixture.repository())
            .await
            .unwrap()
            .maybe_dirty
    );
}

#[tokio::test]
async fn linked_working_trees_and_bare_repositories_are_repositories() {
    let fixture = Fixture::new();
    let linked = fixture.path().join("linked");
    fixture.plain(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "other",
        linked.to_str().unwrap(),
    ]);
    let expected = RepositoryFacts {
        root: fs::canonicalize(&linked).unwrap(),
        head_branch: Some("other".into()),
        ..facts(&fixture)
    };
    assert_eq!(fixture.git.inspect(&linked.join("src")).await.unwrap(), expected);
    let bare = fixture.path().join("bare.git");
    fixture.plain(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let expected = RepositoryFacts {
        root: fs::canonicalize(&bare).unwrap(),
        ..facts(&fixture)
    };
    assert_eq!(fixture.git.inspect(&bare).await.unwrap(), expected);
    for repository in [&linked, &bare] {
        fixture
            .git
            .fetch(&fixture.store(), repository, &fixture.head())
            .await
            .unwrap();
        let cancel = CancellationToken::new();
        fixture
            .git
            .publish(&fixture.store(), repository, "new", &fixture.head(), &cancel)
            .await
            .unwrap();
        assert_eq!(
            fixture.git.resolve(repository, "new").await.unwrap(),
            fixture.head()
        );
    }
}

#[tokio::test]
async fn what_is_no_repository_is_told() {
    let fixture = Fixture::empty();
    let check = async |path: &Path| fixture.git.inspect(path).await.unwrap_err().to_string();
    let root = fixture.repository();
    let shown = root.display();
    assert_eq!(
        check(&root).await,
        format!("`{shown}` is not a git repository; `factory project add --init` makes it one")
    );
    assert_eq!(
        check(&root.join("gone")).await,
        format!("`{shown}/gone` does not exist")
    );
    write(&root.join("file"), "");
    assert_eq!(
        check(&root.join("file")).await,
        format!("`{shown}/file` is not a folder")
    );
    write(&root.join("sub/.git"), "gitdir: ../nowhere\n");
    assert_eq!(
        check(&root.join("sub")).await,
        format!("`{shown}/sub` has a `{shown}/sub/.git` that leads to no repository")
    );
    fixture.plain(&["init", "--quiet"]);
    let empty = fixture.git.resolve(&root, "HEAD").await.unwrap_err();
    assert!(matches!(empty, VcsError::Empty(_)), "{empty}");
}

#[tokio::test]
async fn peculiar_clones_are_noted() {
    let fixture = Fixture::new();
    fixture.write(".gitattributes", "# a comment\n*.bin filter=lfs -text\n");
    fixture.write("sub/file", "x");
    fixture.commit_all("Second");
    let head = fixture.head();
    let entry = format!("160000,{head},module");
    fixture.plain(&["update-index", "--add", "--cacheinfo", &entry]);
    fixture.plain(&["commit", "--quiet", "-m", "Third"]);
    let clone = fixture.path().join("clone");
    let url = format!("file://{}", fixture.repository().display());
    fixture.plain(&["config", "uploadpack.allowFilter", "true"]);
    fixture.plain(&[
        "clone",
        "--quiet",
        "--depth=1",
        "--filter=blob:none",
        "--sparse",
        &url,
        clone.to_str().unwrap(),
    ]);
    let inspected = fixture.git.inspect(&clone).await.unwrap();
    let notes: Vec<_> = inspected
        .notes
        .iter()
        .filter_map(|note| note.split_once(':'))
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(
        notes,
        [
            "shallow clone",
            "partial clone",
            "sparse checkout",
            "has submodules",
            "keeps large files elsewhere (Git LFS)"
        ]
    );
    // The folder `sub` is not checked out, and its file was never fetched.
    let error = fixture
        .git
        .fetch(&fixture.store(), &clone, &fixture.head())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is a partial clone and lacks files of this commit"),
        "{error}"
    );
    fixture
        .plain_in(&clone)
        .args(["sparse-checkout", "disable"])
        .output()
        .unwrap();
    fixture
        .git
        .fetch(&fixture.store(), &clone, &fixture.head())
        .await
        .unwrap();
    assert_eq!(
        fixture
            .git
            .log(&fixture.store(), &fixture.head(), 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_folder_becomes_a_repository_once() {
    let fixture = Fixture::empty();
    fixture.write("a/b.txt", "hello\r\n");
    fixture.write(".gitignore", "target\n");
    fixture.write("target/x", "");
    fs::set_permissions(
        fixture.repository().join("a/b.txt"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let made = fixture
        .git
        .init(&fixture.repository(), &signature())
        .await
        .unwrap();
    assert_eq!(made, facts(&fixture));
    assert_eq!(fixture.plain(&["status", "--porcelain"]), "");
    assert_eq!(fixture.plain(&["ls-files", "--stage"]).lines().count(), 2);
    assert_eq!(
        fixture.plain(&["log", "--format=%an %ae %at %s"]),
        "Factory factory@example.org 1769860800 First commit"
    );
    let before = files(&fixture.repository());
    assert!(
        !before
            .keys()
            .any(|path| path.starts_with(b".factory") || path.starts_with(b".git/hooks"))
    );
    fixture.write("new", "");
    let again = fixture
        .git
        .init(&fixture.repository(), &signature())
        .await
        .unwrap();
    assert_eq!((again.head, again.maybe_dirty), (made.head, true));

    let empty = Fixture::empty();
    let made = empty.git.init(&empty.repository(), &signature()).await.unwrap();
    assert_eq!(made, facts(&empty));
}

#[tokio::test]
async fn names_lead_to_commits() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.plain(&["tag", "-a", "-m", "tag", "v1"]);
    fixture.plain(&["branch", "$(id)"]);
    fixture.plain(&["branch", "twice"]);
    let second = fixture.commit_all("Second");
    fixture.plain(&["tag", "twice"]);
    fixture.plain(&["update-ref", "refs/remotes/origin/main", first.as_str()]);
    for (name, expected) in [
        ("main", &second),
        ("HEAD", &second),
        ("v1", &first),
        ("$(id)", &first),
        ("twice", &first),
        ("refs/tags/twice", &second),
        ("origin/main", &first),
        (first.as_str(), &first),
        (&first.as_str()[..10], &first),
    ] {
        assert_eq!(
            fixture.git.resolve(&fixture.repository(), name).await.unwrap(),
            *expected,
            "{name}"
        );
    }
    let tree = fixture.plain(&["rev-parse", "HEAD^{tree}"]);
    for name in ["gone", "refs/heads/gone", &"0".repeat(40), &tree] {
        let error = fixture
            .git
            .resolve(&fixture.repository(), name)
            .await
            .unwrap_err();
        assert!(matches!(error, VcsError::UnknownRevision { .. }), "{error}");
    }
    let error = fixture
        .git
        .resolve(&fixture.repository(), "--output=pwn")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "`--output=pwn` is not an acceptable ref name");
}

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
async fn attributes_do_not_change_a_byte() {
    let fixture = Fixture::new();
    // Stored as they are: git's own `add` would have converted them.
    fixture.plain(&["config", "core.autocrlf", "false"]);
    for (path, content) in [
        ("crlf.txt", &b"a\r\nb\r\n"[..]),
        ("mixed.txt", b"a\nb\r\n\xff\xfe"),
        ("ident.c", b"$Id$ and $Id: 1234 $\n"),
        ("wide.utf16", b"\xff\xfea\0\n\0"),
    ] {
        fixture.write(path, content);
    }
    fixture.commit_all("Files");
    fixture.write(
        ".gitattributes",
        "* text=auto eol=crlf\n*.c ident crlf\n*.utf16 text working-tree-encoding=UTF-16\nmixed.txt text eol=lf filter=x\n",
    );
    fixture.plain(&["update-index", "--add", "--cacheinfo", &{
        let id = fixture.plain(&["hash-object", "-w", "--no-filters", ".gitattributes"]);
        format!("100644,{id},.gitattributes")
    }]);
    fixture.plain(&["commit", "--quiet", "-m", "Attributes"]);
    let tree = fixture.fetch_and_lay().await;
    let mut expected = files(&fixture.repository());
    expected.retain(|path, _| !path.starts_with(b".git/") && path != b".git");
    assert_eq!(files(&fixture.checkout().dir), expected);
    assert_eq!(fixture.snapshot().await.0, tree);
    // With an index that knows nothing, every file is read again.
    fs::remove_file(fixture.checkout().index).unwrap();
    assert_eq!(fixture.snapshot().await.0, tree);
}

#[tokio::test]
async fn a_snapshot_sees_every_kind_of_change() {
    let fixture = Fixture::new();
    fixture.write("gone", "x");
    fixture.write("file-to-folder", "x");
    fixture.write("folder-to-file/x", "x");
    fixture.write("folder-to-link/x", "x");
    fixture.write("hidden-link/x", "x");
    fixture.write("file-to-link", "x");
    fixture.write("mode", "x");
    fixture.write("to-fifo", "x");
    fixture.write(".gitignore", "*.log\n/hidden-link\n");
    fixture.plain(&["add", "--force", "hidden-link/x"]);
    fixture.commit_all("Second");
    let base = fixture.fetch_and_lay().await;
    assert_eq!(fixture.snapshot().await, (base, vec![]));

    let dir = fixture.checkout().dir;
    fs::remove_file(dir.join("gone")).unwrap();
    fs::remove_file(dir.join("file-to-folder")).unwrap();
    write(&dir.join("file-to-folder/y"), "y");
    fs::remove_dir_all(dir.join("folder-to-file")).unwrap();
    write(&dir.join("folder-to-file"), "y");
    let outside = fixture.path().join("outside");
    write(&outside.join("x"), "x");
    for link in ["folder-to-link", "hidden-link"] {
        fs::remove_dir_all(dir.join(link)).unwrap();
        symlink(&outside, dir.join(link)).unwrap();
    }
    fs::remove_file(dir.join("file-to-link")).unwrap();
    symlink("a.txt", dir.join("file-to-link")).unwrap();
    fs::set_permissions(dir.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(dir.join("to-fifo")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(dir.join("to-fifo"))
            .status()
            .unwrap()
            .success()
    );
    write(&dir.join("x.log"), "ignored");
    write(&dir.join("set-up"), "excluded");
    write(&fixture.checkout().excludes, "/set-up\n");
    write(&dir.join("new\nline ä"), "");
    write(&dir.join(OsStr::from_bytes(b"\xff")), "");
    write(&dir.join("-x"), "");
    write(&dir.join(":(glob)*"), "");
    // Same size, same time: only the change time tells.
    let old = fs::metadata(dir.join("a.txt")).unwrap().modified().unwrap();
    fs::write(dir.join("a.txt"), "six\ntwo\n").unwrap();
    fs::File::options()
        .write(true)
        .open(dir.join("a.txt"))
        .unwrap()
        .set_modified(old)
        .unwrap();

    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(
        left_out,
        [("to-fifo".to_owned(), "neither a file nor a link".to_owned())]
    );
    assert_eq!(
        fixture.list(&tree),
        [
            "100644 -x",
            "100644 .gitignore",
            "100644 :(glob)*",
            "100644 a.txt",
            "100644 file-to-folder/y",
            "120000 file-to-link",
            "100644 folder-to-file",
            "120000 folder-to-link",
            "100755 mode",
            "100644 new\nline ä",
            "100644 src/b.rs",
            "100644 \u{fffd}",
        ]
    );
    let content = fixture
        .git
        .read_file(&fixture.store(), &tree, "a.txt", 100)
        .await
        .unwrap();
    assert_eq!(content.unwrap(), b"six\ntwo\n");
    assert_eq!(fixture.snapshot().await.0, tree);
}

#[tokio::test]
async fn laying_replaces_what_stands_in_the_way_and_leaves_the_rest() {
    let fixture = Fixture::new();
    fixture.write("folder/x", "x");
    fixture.write("deep/folder/x", "x");
    symlink("a.txt", fixture.repository().join("link")).unwrap();
    fixture.commit_all("Second");
    let tree = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    let clean = files(&dir);

    let outside = fixture.path().join("outside");
    write(&outside.join("x"), "untouched");
    write(&outside.join("folder/x"), "untouched");
    fs::remove_dir_all(dir.join("folder")).unwrap();
    symlink(&outside, dir.join("folder")).unwrap();
    fs::remove_dir_all(dir.join("deep")).unwrap();
    symlink(&outside, dir.join("deep")).unwrap();
    fs::remove_file(dir.join("a.txt")).unwrap();
    symlink(outside.join("x"), dir.join("a.txt")).unwrap();
    fs::remove_dir_all(dir.join("src")).unwrap();
    write(&dir.join("src"), "a file");
    fs::remove_file(dir.join("link")).unwrap();
    write(&dir.join("link/inner/y"), "a folder");
    fs::set_permissions(dir.join("link/inner"), fs::Permissions::from_mode(0o000)).unwrap();
    fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(files(&dir), clean);
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "untouched");
    assert_eq!(fs::read_to_string(outside.join("folder/x")).unwrap(), "untouched");

    write(&dir.join("other"), "stays");
    fs::write(&fixture.checkout().index, "no index").unwrap();
    fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.join("other")).unwrap(), "stays");
    assert_eq!(
        fixture
            .git
            .untracked(&fixture.store(), &fixture.checkout())
            .await
            .unwrap(),
        ["other"]
    );
}

#[tokio::test]
async fn untracked_paths_are_the_top_most_ones() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n");
    fixture.commit_all("Second");
    fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    for path in [
        "target/debug/x",
        "src/new dir/y",
        "x.log",
        "src/z.log",
        "node_modules/a/b",
    ] {
        write(&dir.join(path), "");
    }
    write(&fixture.checkout().excludes, "/node_modules\n");
    let untracked = fixture
        .git
        .untracked(&fixture.store(), &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(untracked, ["src/new dir", "target"]);
}

#[tokio::test]
async fn a_difference_lists_files_and_shows_text() {
    let fixture = Fixture::new();
    fixture.write(".gitattributes", "*.rs -diff\n*.txt diff=evil binary\n");
    fixture.commit_all("Second");
    let old = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    write(&dir.join("a.txt"), "one\n2\n");
    write(&dir.join("new"), "\0binary");
    fs::remove_file(dir.join("src/b.rs")).unwrap();
    symlink("x", dir.join("src/b.rs")).unwrap();
    let (new, _) = fixture.snapshot().await;
    let file = |path: &str, kind, modes: [&str; 2], counts: Option<(u64, u64)>| FileDiff {
        path: path.into(),
        kind,
        old_mode: modes[0].into(),
        new_mode: modes[1].into(),
        added: counts.map(|(added, _)| added),
        removed: counts.map(|(_, removed)| removed),
    };
    let diff = fixture.git.diff(&fixture.store(), &old, &new, &[]).await.unwrap();
    assert_eq!(
        diff.files,
        [
            file("a.txt", ChangeKind::Modified, ["100644", "100644"], Some((1, 1))),
            file("new", ChangeKind::Added, ["000000", "100644"], None),
            file(
                "src/b.rs",
                ChangeKind::TypeChanged,
                ["100644", "120000"],
                Some((1, 1))
            ),
        ]
    );
    assert!(
        diff.text.contains("Binary files /dev/null and b/new differ"),
        "{}",
        diff.text
    );
    assert!(!diff.truncated);
    let one = fixture
        .git
        .diff(&fixture.store(), &old, &new, &["a.txt".into()])
        .await
        .unwrap();
    let expected = Diff {
        files: vec![diff.files[0].clone()],
        text: "diff --git a/a.txt b/a.txt\nindex 814f4a422927..99b356dcd03d 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 \
               +1,2 @@\n one\n-two\n+2\n"
            .into(),
        truncated: false,
    };
    assert_eq!(one, expected);
    let none = fixture
        .git
        .diff(&fixture.store(), &old, &new, &["*.txt".into()])
        .await
        .unwrap();
    assert_eq!((none.files, none.text), (vec![], String::new()));
}

#[tokio::test]
async fn a_long_difference_is_cut_after_a_line_and_says_so() {
    let fixture = Fixture::new();
    let old = fixture.fetch_and_lay().await;
    write(
        &fixture.checkout().dir.join("long"),
        "0123456789\n".repeat(500_000),
    );
    let (new, _) = fixture.snapshot().await;
    let diff = fixture.git.diff(&fixture.store(), &old, &new, &[]).await.unwrap();
    assert!(diff.truncated && diff.text.len() <= Diff::MAX_TEXT && diff.text.len() > Diff::MAX_TEXT - 20);
    assert!(diff.text.ends_with("\n+0123456789\n"));
    assert_eq!(diff.files[0].added, Some(500_000));
    let content = fixture
        .git
        .read_file(&fixture.store(), &new, "long", 15)
        .await
        .unwrap();
    assert_eq!(content.unwrap(), b"0123456789\n0123");
    for path in ["gone", "src", "", "/long", "../long", "src/../long"] {
        assert_eq!(
            fixture
                .git
                .read_file(&fixture.store(), &new, path, 15)
                .await
                .unwrap(),
            None,
            "{path}"
        );
    }
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
