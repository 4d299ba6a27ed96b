//! The operator's repository: what is known of it, what names lead to, and a folder that becomes one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use factory_core::vcs::{RepositoryFacts, Vcs, VcsError};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, facts, files, signature, write};

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
async fn a_name_leads_where_it_leads_now_and_in_a_known_format_alone() {
    let fixture = Fixture::new();
    let resolve = async |name: &str| fixture.git.resolve(&fixture.repository(), name).await;
    fixture.plain(&["tag", "-a", "-m", "x", "v1"]);
    for round in 0..3 {
        fixture.write("a.txt", format!("{round}\n"));
        let commit = fixture.commit_all("Next");
        fixture.plain(&["tag", "-f", "-a", "-m", "x", "v1"]);
        for name in [
            "HEAD",
            "main",
            "v1",
            "refs/tags/v1",
            "HEAD",
            "v1",
            commit.as_str(),
        ] {
            assert_eq!(resolve(name).await.unwrap(), commit, "{name}");
        }
        fixture.plain(&["pack-refs", "--all"]);
        assert_eq!(resolve("v1").await.unwrap(), commit);
    }
    fixture.plain(&["config", "core.repositoryFormatVersion", "1"]);
    fixture.plain(&["config", "extensions.noop", "x"]);
    resolve("main").await.unwrap();
    // Git itself would refuse to set it.
    let config = fixture.repository().join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("noop", "future")).unwrap();
    let error = resolve("main").await.unwrap_err().to_string();
    assert!(error.contains("extension `future`"), "{error}");
}

#[test]
fn the_program_describes_itself() {
    let fixture = Fixture::empty();
    let facts = fixture.git.program_facts();
    let expected = format!("git {} at {}", facts.version, facts.path.display());
    assert_eq!(fixture.git.describe(), expected);
    assert_eq!(
        fixture.plain(&["version"]),
        format!("git version {}", facts.version)
    );
}
