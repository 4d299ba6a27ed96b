//! Repositories and checkouts that try to run a program, and names that try to be options: nothing of it ever happens.
//!
//! Each canary is first seen to sing under plain git, so that its silence later means something.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod git_fixture;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use factory_core::vcs::{Vcs, VcsError};
use git_fixture::{Fixture, files, signature, write};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

/// Programs that leave a file named after themselves when they are run.
struct Canaries {
    folder: PathBuf,
}

impl Canaries {
    fn new(fixture: &Fixture) -> Self {
        let folder = fixture.path().join("canaries");
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// Makes a program that sings `name` and then does `then`.
    fn program(&self, name: &str, then: &str) -> String {
        let program = self.folder.join(format!("{name}.sh"));
        write_program(
            &program,
            &format!(": > {}/{name}.sang\n{then}", self.folder.display()),
        );
        program.to_str().unwrap().to_owned()
    }

    /// Returns who has sung since the last question.
    fn sang(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sang") {
                names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
                fs::remove_file(&path).unwrap();
            }
        }
        names.sort();
        names
    }

    fn configure(&self, fixture: &Fixture, repository: &Path) {
        let set = |name: &str, value: &str| {
            let status = fixture
                .plain_in(repository)
                .args(["config", name, value])
                .status()
                .unwrap();
            assert!(status.success(), "{name}");
        };
        for (key, then) in [
            ("core.fsmonitor", "printf '0\\0/\\0'"),
            ("core.pager", "cat"),
            ("core.editor", "true"),
            ("core.sshCommand", "false"),
            ("core.askPass", "false"),
            ("core.gitProxy", "false"),
            ("core.alternateRefsCommand", "true"),
            ("diff.external", "true"),
            ("diff.evil.command", "true"),
            ("diff.evil.textconv", "cat \"$1\""),
            ("filter.evil.clean", "cat"),
            ("filter.evil.smudge", "cat"),
            ("filter.process.process", "false"),
            ("merge.evil.driver", "true"),
            ("gpg.program", "false"),
            ("gpg.ssh.program", "false"),
            ("uploadpack.packObjectsHook", "exec \"$@\""),
            ("sequence.editor", "true"),
            ("trailer.x.command", "true"),
            ("interactive.diffFilter", "cat"),
            ("man.viewer", "true"),
        ] {
            set(key, &self.program(key, then));
        }
        for name in ["cat-file", "update-ref", "pack-objects", "canary"] {
            set(
                &format!("alias.{name}"),
                &format!("!{}", self.program(&format!("alias.{name}"), "true")),
            );
        }
        // Hooks by configuration, which newer gits know.
        set("hook.evil.command", &self.program("hook.evil", "true"));
        set("hook.evil.event", "reference-transaction");
        set(
            "credential.helper",
            &format!("!{}", self.program("credential.helper", "true")),
        );
        set("commit.gpgSign", "true");
        set("log.showSignature", "true");
        set("url.ext::sh.insteadOf", "https://example.org/");
        set("protocol.ext.allow", "always");
        set("submodule.recurse", "true");
        let included = self.folder.join("included");
        write(
            &included,
            format!("[alias]\n\tincluded = !{}\n", self.program("included", "true")),
        );
        set("include.path", included.to_str().unwrap());
    }

    fn add_hooks(&self, folder: &Path) {
        for hook in [
            "applypatch-msg",
            "pre-commit",
            "pre-merge-commit",
            "prepare-commit-msg",
            "commit-msg",
            "post-commit",
            "pre-rebase",
            "post-checkout",
            "post-merge",
            "pre-push",
            "pre-receive",
            "update",
            "post-receive",
            "post-update",
            "reference-transaction",
            "pre-auto-gc",
            "post-rewrite",
            "post-index-change",
            "fsmonitor-watchman",
            "sendemail-validate",
            "push-to-checkout",
            "proc-receive",
        ] {
            let program = self.program(&format!("hook-{hook}"), "cat > /dev/null; true");
            fs::create_dir_all(folder).unwrap();
            symlink(program, folder.join(hook)).unwrap();
        }
    }
}

/// Writes a program by a process of its own: a descriptor of ours that another thread's child inherits would make
/// the program "busy" for a moment.
fn write_program(file: &Path, script: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(file)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    write!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
    assert!(writer.wait().unwrap().success());
}

/// A repository whose every setting and hook is a canary, with attributes that name them.
fn hostile(fixture: &Fixture) -> Canaries {
    let canaries = Canaries::new(fixture);
    fixture.write(
        ".gitattributes",
        "*.e filter=evil diff=evil merge=evil\n*.p filter=process\n",
    );
    fixture.write("x.e", "one\n");
    fixture.write("y.p", "one\n");
    fixture.commit_all("Second");
    canaries.configure(fixture, &fixture.repository());
    canaries.add_hooks(&fixture.repository().join(".git/hooks"));
    canaries
}

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
        .args(["--exact", "nothing_of_a_hostile_repository_is_run"])
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
    assert_eq!(
        left_out,
        [
            (
                ".git".to_owned(),
                "a git directory in a checkout is never used".to_owned()
            ),
            ("file".to_owned(), nested.clone()),
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

/// What a random file is.
#[derive(Debug, Clone)]
enum Kind {
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(String),
}

fn random_tree() -> impl Strategy<Value = Vec<(String, Kind)>> {
    let component = prop::sample::select(vec![
        "a",
        "b",
        "ä ö",
        "c\nd",
        "-e",
        "*",
        "\u{1f600}",
        "F",
        "f",
        ".gitattributes",
    ]);
    let path = prop::collection::vec(component, 1..4).prop_map(|parts| parts.join("/"));
    let content = prop_oneof![
        Just(Vec::new()),
        Just(b"* text=auto eol=crlf ident\r\n$Id: x$\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..50),
    ];
    let kind = prop_oneof![
        3 => content.clone().prop_map(Kind::File),
        1 => content.prop_map(Kind::Program),
        1 => prop::sample::select(vec!["a", "../..", "/etc", "gone"]).prop_map(|target| Kind::Link(target.into())),
    ];
    prop::collection::vec((path, kind), 0..12)
}

/// Writes the files; what an earlier one stands in the way of is passed over.
fn materialise(dir: &Path, tree: &[(String, Kind)]) {
    fs::create_dir_all(dir).unwrap();
    for (path, kind) in tree {
        let file = dir.join(path);
        let blocked = file
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != dir)
            .any(|folder| folder.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()));
        if blocked || file.symlink_metadata().is_ok() {
            continue;
        }
        match kind {
            Kind::File(content) => write(&file, content),
            Kind::Program(content) => {
                write(&file, content);
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Kind::Link(target) => {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                symlink(target, &file).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two random states after each other: each snapshot, laid elsewhere and laid back, is the same bytes and tree.
    #[test]
    fn random_trees_come_back_byte_by_byte(first in random_tree(), second in random_tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            fixture.fetch_and_lay().await;
            let dir = fixture.checkout().dir;
            let copy = fixture.checkout_named("copy");
            for state in [first, second] {
                fs::remove_dir_all(&dir).unwrap();
                materialise(&dir, &state);
                let (tree, left_out) = fixture.snapshot().await;
                assert_eq!(left_out, []);
                if copy.dir.exists() {
                    // What the first state had and the second has not would stay.
                    fs::remove_dir_all(&copy.dir).unwrap();
                }
                fixture.git.lay(&fixture.store(), &tree, &copy).await.unwrap();
                assert_eq!(files(&copy.dir), files(&dir));
                let again = fixture.git.snapshot(&fixture.store(), &copy).await.unwrap();
                assert_eq!(again.tree, tree);
            }
        });
    }
}
