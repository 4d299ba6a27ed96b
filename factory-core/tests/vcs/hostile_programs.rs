//! Repositories and checkouts that try to run a program: nothing of it ever happens.
//!
//! Each canary is first seen to sing under plain git, so that its silence later means something.

use std::fs;

use factory_core::vcs::Vcs;
use tokio_util::sync::CancellationToken;

use crate::canaries::{Canaries, hostile, write_program};
use crate::fixture::{Fixture, files, signature, write};

#[tokio::test]
async fn the_canaries_sing_under_plain_git() {
    let fixture = Fixture::new();
    let canaries = hostile(&fixture);
    let mut sang = canaries.sang();
    let sings = |arguments: &[&str]| {
        let mut plain = fixture.plain_in(&fixture.repository());
        if !arguments.contains(&"--filters") {
            // This one ends what it should serve, and with it the call, depending on what git looks at again.
            plain.args(["-c", "filter.process.process="]);
        }
        // Whether it succeeds does not matter: some canaries answer as they should not.
        plain.args(arguments).output().unwrap();
        canaries.sang()
    };
    // Of another size: no file system time is so fine that the change could be missed.
    fixture.write("x.e", "two lines\n");
    for arguments in [
        &["status"][..],
        &["add", "x.e"],
        &["diff", "HEAD"],
        &["-c", "diff.external=", "diff", "HEAD"],
        &["log", "-p", "--no-ext-diff", "-1"],
        &["-c", "commit.gpgSign=false", "commit", "-m", "x"],
        &["commit", "--allow-empty", "-m", "x"],
        &["checkout-index", "--force", "--all"],
        &["cat-file", "--filters", "HEAD:y.p"],
        &["cat-file", "--filters", "HEAD:x.e"],
        &["update-ref", "refs/heads/y", "HEAD"],
        &["canary"],
        &["included"],
        &["-c", "core.pager=cat", "clone", "--no-local", ".", "../clone"],
    ] {
        sang.extend(sings(arguments));
    }
    sang.sort();
    sang.dedup();
    for expected in [
        "alias.canary",
        "core.fsmonitor",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.process.process",
        "gpg.program",
        "hook-post-index-change",
        "hook-pre-commit",
        "hook-reference-transaction",
        "included",
    ] {
        assert!(
            sang.iter().any(|name| name == expected),
            "{expected} is silent: {sang:?}"
        );
    }
}

#[tokio::test]
async fn nothing_of_a_hostile_repository_is_run() {
    let fixture = Fixture::new();
    let canaries = hostile(&fixture);
    let (git, store, repository) = (&fixture.git, fixture.store(), fixture.repository());
    canaries.sang();
    // Files that must be looked at again, and others that are new.
    fixture.write("x.e", "two lines\n");
    fixture.write("y.p", "two lines\n");
    fixture.write("z.e", "new\n");
    let before = files(&repository);
    let inspected = git.inspect(&repository).await.unwrap();
    assert!(inspected.maybe_dirty);
    let base = git.resolve(&repository, "main").await.unwrap();
    git.init(&repository, &signature()).await.unwrap();
    git.fetch(&store, &repository, &base).await.unwrap();
    let tree = git.tree_of(&store, &base).await.unwrap();
    let checkout = fixture.checkout();
    git.lay(&store, &tree, &checkout).await.unwrap();
    write(&checkout.dir.join("x.e"), "three\n");
    write(&checkout.dir.join("y.p"), "three\n");
    git.untracked(&store, &checkout).await.unwrap();
    let commit = fixture.commit_checkout(&base).await;
    let new = git.tree_of(&store, &commit).await.unwrap();
    let diff = git.diff(&store, &tree, &new, &[]).await.unwrap();
    assert!(diff.text.contains("+three"));
    git.log(&store, &commit, 5).await.unwrap();
    git.read_file(&store, &new, "x.e", 10).await.unwrap();
    git.keep(&store, "run-1", &commit).await.unwrap();
    let branch = git.free_branch(&repository, "factory/run-1").await.unwrap();
    let cancel = CancellationToken::new();
    git.publish(&store, &repository, &branch, &commit, &cancel)
        .await
        .unwrap();
    assert_eq!(canaries.sang(), [""; 0]);

    let mut after = files(&repository);
    after.retain(|path, _| before.contains_key(path));
    assert!(after == before);
    assert_eq!(git.resolve(&repository, &branch).await.unwrap(), commit);
}

/// The variables would turn every call: into another repository, to a program, to a file that is written.
#[test]
fn inherited_variables_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    write_program(&canary, ": > \"$0.sang\"");
    let trace = folder.path().join("trace");
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    itself
        .args([
            "--exact",
            "hostile_programs::nothing_of_a_hostile_repository_is_run",
        ])
        .env("GIT_DIR", folder.path());
    for name in [
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
    ] {
        itself.env(name, folder.path());
    }
    for name in [
        "GIT_EXTERNAL_DIFF",
        "GIT_SSH_COMMAND",
        "GIT_EDITOR",
        "GIT_PAGER",
        "GIT_ASKPASS",
        "GIT_PROXY_COMMAND",
    ] {
        itself.env(name, &canary);
    }
    for name in ["GIT_TRACE", "GIT_TRACE_SETUP", "GIT_TRACE2", "GIT_TRACE2_EVENT"] {
        itself.env(name, &trace);
    }
    itself
        .envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.fsmonitor")])
        .env("GIT_CONFIG_VALUE_0", &canary);
    let output = itself.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    let left: Vec<_> = files(folder.path()).into_keys().collect();
    assert_eq!(left, [b"canary".to_vec()]);
}

#[tokio::test]
async fn what_a_command_puts_into_a_checkout_configures_nothing() {
    let fixture = Fixture::new();
    let canaries = Canaries::new(&fixture);
    let tree = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    write(&dir.join(".gitattributes"), "* filter=evil diff=evil\n");
    for nested in ["", "vendor/x", "src"] {
        let nested = dir.join(nested);
        fs::create_dir_all(&nested).unwrap();
        fixture
            .plain_in(&nested)
            .args(["init", "--quiet", "--template="])
            .output()
            .unwrap();
        write(&nested.join("inner.txt"), "x");
        for arguments in [&["add", "inner.txt"][..], &["commit", "--quiet", "-m", "inner"]] {
            assert!(
                fixture
                    .plain_in(&nested)
                    .args(arguments)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        canaries.configure(&fixture, &nested);
        canaries.add_hooks(&nested.join(".git/hooks"));
    }
    fixture
        .plain_in(&dir.join("vendor/x"))
        .arg("status")
        .output()
        .unwrap();
    assert!(canaries.sang().contains(&"core.fsmonitor".to_owned()));
    write(&dir.join("file/.git"), "gitdir: ../vendor/x/.git\n");
    write(&dir.join("file/y"), "y");

    let (new, left_out) = fixture.snapshot().await;
    let nested = "a nested repository is not entered".to_owned();
    let unused = "a git directory in a checkout is never used".to_owned();
    assert_eq!(
        left_out,
        [
            (".git".to_owned(), unused.clone()),
            ("file".to_owned(), nested.clone()),
            ("src/.git".to_owned(), unused),
            ("vendor/x".to_owned(), nested),
        ]
    );
    assert_eq!(
        fixture.list(&new),
        [
            "100644 .gitattributes",
            "100644 a.txt",
            "100644 inner.txt",
            "100644 src/b.rs",
            "100644 src/inner.txt"
        ]
    );
    fixture
        .git
        .untracked(&fixture.store(), &fixture.checkout())
        .await
        .unwrap();
    fixture
        .git
        .diff(&fixture.store(), &tree, &new, &[])
        .await
        .unwrap();
    fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(canaries.sang(), [""; 0]);
}

#[tokio::test]
async fn a_submodule_is_an_empty_folder_whose_state_is_nobodys() {
    let fixture = Fixture::new();
    let canaries = Canaries::new(&fixture);
    let entry = format!("160000,{},module", fixture.head());
    fixture.write(
        ".gitmodules",
        "[submodule \"module\"]\n\tpath = module\n\turl = ext::sh\n\tupdate = !touch pwn\n",
    );
    fixture.plain(&["add", ".gitmodules"]);
    fixture.plain(&["update-index", "--add", "--cacheinfo", &entry]);
    fixture.plain(&["commit", "--quiet", "-m", "Module"]);
    let tree = fixture.fetch_and_lay().await;
    let module = fixture.checkout().dir.join("module");
    assert_eq!(fs::read_dir(&module).unwrap().count(), 0);
    assert_eq!(fixture.snapshot().await, (tree.clone(), vec![]));
    fixture
        .plain_in(&module)
        .args(["init", "--quiet", "--template="])
        .output()
        .unwrap();
    fixture
        .plain_in(&module)
        .args(["commit", "--quiet", "--allow-empty", "-m", "x"])
        .output()
        .unwrap();
    canaries.configure(&fixture, &module);
    let why = "the files of a submodule are not part of this repository".to_owned();
    assert_eq!(fixture.snapshot().await, (tree, vec![("module".to_owned(), why)]));
    assert_eq!(canaries.sang(), [""; 0]);
    fs::remove_dir_all(&module).unwrap();
    write(&module, "a file");
    let (new, _) = fixture.snapshot().await;
    assert!(fixture.list(&new).contains(&"100644 module".to_owned()));
}
