//! Layers: made once by the setup in the sandbox, found again, copied for every run, never written.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own helpers too"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use factory_core::environment::{
    EnvironmentError, HostEnvironment, LayerKey, LayerStore, PrepareRequest, Prepared, find_toolchains,
    prepare,
};
use factory_core::model::{CommitId, TreeId};
use factory_core::sandbox::{CommandSpec, Exit, Limits, Network, Sandbox};
use factory_core::vcs::{
    Checkout, Diff, FileDiff, FilePatch, Located, NewCommit, RepositoryFacts, Signature, Snapshot, Vcs,
    VcsError,
};
use tokio_util::sync::CancellationToken;

/// One tree of a few files: all that preparing asks of version control.
#[derive(Debug)]
struct OneTree(BTreeMap<&'static str, &'static str>);

#[async_trait]
impl Vcs for OneTree {
    fn describe(&self) -> String {
        "one tree".to_owned()
    }

    async fn lay(&self, _: &Path, _: &TreeId, checkout: &Checkout) -> Result<(), VcsError> {
        for (path, content) in &self.0 {
            let path = checkout.dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::write(&checkout.index, "index").unwrap();
        Ok(())
    }

    async fn untracked(&self, _: &Path, checkout: &Checkout) -> Result<Vec<String>, VcsError> {
        let entries = std::fs::read_dir(&checkout.dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !self.0.keys().any(|path| path.split('/').next() == Some(name)));
        names.sort();
        Ok(names)
    }

    async fn read_file(
        &self,
        _: &Path,
        _: &TreeId,
        path: &str,
        _: usize,
    ) -> Result<Option<Vec<u8>>, VcsError> {
        Ok(self.0.get(path).map(|content| content.as_bytes().to_vec()))
    }

    async fn locate(&self, _: &Path) -> Result<Located, VcsError> {
        unreachable!()
    }
    async fn changed_files(
        &self,
        _: &Path,
        _: &TreeId,
        _: &TreeId,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<FileDiff>, VcsError> {
        unreachable!()
    }
    async fn file_patch(
        &self,
        _: &Path,
        _: &TreeId,
        _: &TreeId,
        _: &str,
        _: u64,
        _: usize,
    ) -> Result<Option<FilePatch>, VcsError> {
        unreachable!()
    }
    async fn has_folder(&self, _: &Path, _: &TreeId, _: &str) -> Result<bool, VcsError> {
        unreachable!()
    }
    async fn inspect(&self, _: &Path) -> Result<RepositoryFacts, VcsError> {
        unreachable!()
    }
    async fn init(&self, _: &Path, _: &Signature) -> Result<RepositoryFacts, VcsError> {
        unreachable!()
    }
    async fn resolve(&self, _: &Path, _: &str) -> Result<CommitId, VcsError> {
        unreachable!()
    }
    async fn fetch(&self, _: &Path, _: &Path, _: &CommitId) -> Result<(), VcsError> {
        unreachable!()
    }
    async fn tree_of(&self, _: &Path, _: &CommitId) -> Result<TreeId, VcsError> {
        unreachable!()
    }
    async fn snapshot(&self, _: &Path, _: &Checkout) -> Result<Snapshot, VcsError> {
        unreachable!()
    }
    async fn diff(&self, _: &Path, _: &TreeId, _: &TreeId, _: &[String]) -> Result<Diff, VcsError> {
        unreachable!()
    }
    async fn log(&self, _: &Path, _: &CommitId, _: u32) -> Result<Vec<String>, VcsError> {
        unreachable!()
    }
    async fn commit(&self, _: &Path, _: &NewCommit) -> Result<CommitId, VcsError> {
        unreachable!()
    }
    async fn keep(&self, _: &Path, _: &str, _: &CommitId) -> Result<(), VcsError> {
        unreachable!()
    }
    async fn free_branch(&self, _: &Path, _: &str) -> Result<String, VcsError> {
        unreachable!()
    }
    async fn publish(
        &self,
        _: &Path,
        _: &Path,
        _: &str,
        _: &CommitId,
        _: &CancellationToken,
    ) -> Result<(), VcsError> {
        unreachable!()
    }
}

fn tree() -> OneTree {
    OneTree([("lock", "1"), ("source/main", "code"), ("kept/file", "base")].into())
}

fn request(project: &Path, setup: &[&str]) -> PrepareRequest {
    PrepareRequest {
        store: project.join("store"),
        base_tree: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap(),
        project_dir: project.to_path_buf(),
        setup: setup.iter().map(|command| (*command).to_owned()).collect(),
        folder: None,
        network: Network::Off,
        limits: Limits::default(),
        lock_files: vec!["lock".to_owned(), "absent".to_owned()],
    }
}

async fn prepared(vcs: &OneTree, sandbox: &Sandbox, request: PrepareRequest) -> Prepared {
    prepare(vcs, sandbox, request, &CancellationToken::new())
        .await
        .unwrap()
}

/// The paths below a folder.
fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(
                listing(&entry.path())
                    .into_iter()
                    .map(|path| format!("{name}/{path}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_layer_holds_what_setup_left_and_nothing_of_the_base() {
    let project = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::probe(Vec::new()).await;
    let setup = [
        "mkdir .venv kept/new; pwd > .venv/path; echo made > kept/new/file; echo changed >> source/main",
        "mkdir $HOME/cache; echo $HOME > $HOME/cache/path",
    ];
    let made = prepared(&tree(), &sandbox, request(project.path(), &setup)).await;
    assert_eq!(
        (made.ok, made.reused, made.output.as_str()),
        (true, false, format!("$ {}\n$ {}\n", setup[0], setup[1]).as_str())
    );
    let layer = made.layer.unwrap();
    assert_eq!(layer.exclude_patterns(), "/.venv\n");

    let (checkout, home) = (project.path().join("checkout"), project.path().join("home"));
    let stop = CancellationToken::new();
    LayerStore::new(project.path())
        .lay(&layer, &checkout, &home, &stop)
        .await
        .unwrap();
    assert_eq!(listing(&checkout), [".venv/path", "kept/new/file"]);
    assert_eq!(listing(&home), ["cache/path"]);
    // The paths that setup saw are those that every later command sees.
    assert_eq!(
        std::fs::read_to_string(checkout.join(".venv/path")).unwrap(),
        "/factory/checkout\n"
    );
    assert_eq!(
        std::fs::read_to_string(home.join("cache/path")).unwrap(),
        "/factory/home\n"
    );
}

#[tokio::test]
async fn an_equal_request_finds_the_layer_and_another_does_not() {
    let project = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::probe(Vec::new()).await;
    let setup = ["cat /proc/sys/kernel/random/uuid > id"];
    let (first, second) = tokio::join!(
        async { prepared(&tree(), &sandbox, request(project.path(), &setup)).await },
        async { prepared(&tree(), &sandbox, request(project.path(), &setup)).await },
    );
    assert_ne!(first.reused, second.reused, "one makes it and the other finds it");
    assert_eq!(first.layer, second.layer);

    let mut changed = tree();
    changed.0.insert("source/main", "other code");
    let third = prepared(&changed, &sandbox, request(project.path(), &setup)).await;
    assert_eq!((third.reused, &third.layer), (true, &first.layer));
    changed.0.insert("lock", "2");
    let fourth = prepared(&changed, &sandbox, request(project.path(), &setup)).await;
    assert!(!fourth.reused && fourth.layer != first.layer);
}

#[tokio::test]
async fn a_failed_setup_leaves_its_output_and_no_layer() {
    let project = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::probe(Vec::new()).await;
    let request = request(
        project.path(),
        &["echo fine", "echo broken >&2; exit 3", "echo never"],
    );
    let failed = prepared(&tree(), &sandbox, request).await;
    assert_eq!(
        (failed.ok, failed.layer, failed.output.as_str()),
        (
            false,
            None,
            "$ echo fine\nfine\n$ echo broken >&2; exit 3\nbroken\n[exit code 3]\n"
        )
    );
    let left = std::fs::read_dir(project.path().join("layers")).unwrap();
    assert!(
        left.flatten()
            .all(|entry| entry.path().extension().is_some_and(|kind| kind == "lock"))
    );
}

#[tokio::test]
async fn a_stopped_setup_leaves_no_layer() {
    let project = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::probe(Vec::new()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let error = prepare(&tree(), &sandbox, request(project.path(), &["sleep 1000"]), &stop)
        .await
        .unwrap_err();
    assert!(matches!(error, EnvironmentError::Stopped), "{error}");
}

#[tokio::test]
async fn no_setup_needs_no_layer() {
    let project = tempfile::tempdir().unwrap();
    let refusing = Sandbox::unavailable("none".to_owned());
    let done = prepared(&tree(), &refusing, request(project.path(), &[])).await;
    assert_eq!((done.ok, done.layer), (true, None));
}

#[tokio::test]
async fn setup_cannot_have_files_outside_of_the_layer_removed() {
    let project = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "precious").unwrap();
    let sandbox = Sandbox::probe(Vec::new()).await;
    // A link in the place of a folder of the base, to a folder that has a file of the same name.
    let link = format!("rm -r kept && ln -s {} kept", outside.path().display());
    let made = prepared(&tree(), &sandbox, request(project.path(), &[&link])).await;
    assert!(made.ok);
    assert_eq!(
        std::fs::read_to_string(outside.path().join("file")).unwrap(),
        "precious"
    );
}

#[tokio::test]
async fn copies_are_independent_and_keep_times_modes_and_links() {
    let project = tempfile::tempdir().unwrap();
    let layers = LayerStore::new(project.path());
    let key = LayerKey::new(&[], &[], Network::Off, &[]);
    let build = layers.begin(&key).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::create(build.checkout().join("file")).unwrap();
    std::fs::write(build.checkout().join("file"), "layer").unwrap();
    file.set_modified(old).unwrap();
    std::fs::set_permissions(
        build.checkout().join("file"),
        std::os::unix::fs::PermissionsExt::from_mode(0o751),
    )
    .unwrap();
    std::fs::hard_link(build.checkout().join("file"), build.checkout().join("same")).unwrap();
    std::os::unix::fs::symlink("/nowhere", build.checkout().join("link")).unwrap();
    let layer = build.adopt(vec!["file".to_owned()]).unwrap();
    assert_eq!(layers.find(&key), Some(layer.clone()));

    let stop = CancellationToken::new();
    let copy = |name: &str| project.path().join(name);
    layers
        .lay(&layer, &copy("a"), &copy("a-home"), &stop)
        .await
        .unwrap();
    let metadata = copy("a").join("file").metadata().unwrap();
    assert_eq!(
        (metadata.modified().unwrap(), metadata.mode() & 0o7777),
        (old, 0o751)
    );
    assert_eq!(metadata.ino(), copy("a").join("same").metadata().unwrap().ino());
    assert_eq!(
        std::fs::read_link(copy("a").join("link")).unwrap(),
        Path::new("/nowhere")
    );

    std::fs::write(copy("a").join("file"), "run").unwrap();
    layers
        .lay(&layer, &copy("b"), &copy("b-home"), &stop)
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(copy("b").join("file")).unwrap(), "layer");
    let again = layers.lay(&layer, &copy("a"), &copy("a-home"), &stop).await;
    assert!(
        matches!(again, Err(EnvironmentError::Io { .. })),
        "a folder in use is not written into"
    );
}

#[tokio::test]
async fn what_a_killed_maker_left_is_removed_and_what_is_being_made_is_not() {
    let project = tempfile::tempdir().unwrap();
    let layers = LayerStore::new(project.path());
    let build = layers.begin(&LayerKey::new(&[], &[], Network::Off, &[])).unwrap();
    let half = project.path().join("layers/.making-left");
    std::fs::create_dir_all(half.join("checkout/deep")).unwrap();
    layers.sweep().unwrap();
    assert!(!half.exists());
    assert!(build.checkout().exists());
    drop(build);
    assert_eq!(listing(&project.path().join("layers")), [""; 0]);
}

/// Runs the setup with the host's network and registry settings, and then the check without a network.
async fn install(files: &[(&str, &str)], setup: &str, check: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (checkout, home) = (folder.path().join("checkout"), folder.path().join("home"));
    for dir in [&checkout, &home] {
        std::fs::create_dir(dir).unwrap();
    }
    for (path, content) in files {
        let path = checkout.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let host = HostEnvironment {
        variables: std::env::vars().collect(),
        home: std::env::var("HOME").unwrap().into(),
    };
    let toolchains = find_toolchains(&host.home, &host.variables["PATH"]);
    let sandbox = Sandbox::probe(toolchains)
        .await
        .with_registries(host.registry_settings().0);
    for (script, network) in [(setup, Network::Host), (check, Network::Off)] {
        let spec = CommandSpec {
            script: script.to_owned(),
            checkout: checkout.clone(),
            home: home.clone(),
            network,
            limits: Limits::default(),
        };
        let outcome = sandbox
            .start(&spec, None)
            .await
            .unwrap()
            .wait(&CancellationToken::new())
            .await;
        assert_eq!(outcome.exit, Exit::Code(0), "{script}\n{}", outcome.output);
    }
}

#[tokio::test]
#[ignore = "needs cargo and its package registry"]
async fn cargo_installs_and_works_offline_afterwards() {
    install(
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nedition = \"2021\"\n[dependencies]\nitoa = \"1\"\n",
            ),
            (
                "src/lib.rs",
                "#[test] fn it_prints() { assert_eq!(itoa::Buffer::new().format(7), \"7\"); }\n",
            ),
        ],
        "cargo fetch",
        "cargo test --offline",
    )
    .await;
}

#[tokio::test]
#[ignore = "needs npm and its package registry"]
async fn npm_installs_and_works_offline_afterwards() {
    install(
        &[(
            "package.json",
            "{\"name\":\"a\",\"version\":\"1.0.0\",\"dependencies\":{\"is-number\":\"7.0.0\"}}",
        )],
        "npm install && rm -r node_modules && npm ci",
        "node -e 'process.exit(require(\"is-number\")(5) ? 0 : 1)'",
    )
    .await;
}

#[tokio::test]
#[ignore = "needs python3 and its package registry"]
async fn pip_installs_and_works_offline_afterwards() {
    install(
        &[("test_it.py", "def test_it():\n    assert 1 + 1 == 2\n")],
        "python3 -m venv .venv && .venv/bin/pip install pytest",
        ".venv/bin/python -m pytest -q",
    )
    .await;
}
