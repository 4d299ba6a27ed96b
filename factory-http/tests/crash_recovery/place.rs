//! Where a run of the harness lives: a repository, a data folder, the real program, and the model in its own process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use factory_core::model::{BlobId, Event, Run, RunId, Seq};
use factory_core::store::{Page, SqliteStore, Store as _};
use serde::Deserialize;

use crate::scenario;

/// The one run of a place.
pub(crate) const RUN: RunId = RunId(1);

/// A folder with everything of one run. It is kept where a test fails.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    model: Child,
}

/// A line of the model's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Said {
    pub(crate) event: String,
    pub(crate) turn: u64,
    pub(crate) prompt_sha256: String,
}

/// What must be in the operator's repository as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorsOwn {
    pub(crate) head: String,
    pub(crate) refs: String,
    pub(crate) index: BlobId,
    pub(crate) configuration: BlobId,
    pub(crate) files: BTreeMap<PathBuf, BlobId>,
}

impl Place {
    /// Makes the repository, registers it, starts the model, and files the run, which nobody works on yet.
    pub(crate) fn with_a_filed_run() -> Self {
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new()
            .prefix("factory-crash-")
            .permissions(private)
            .tempdir()
            .unwrap()
            .keep();
        make_repository(&folder.join("repository"));
        fs::write(folder.join("script.json"), scenario::script().to_json()).unwrap();
        let (model, address) = serve(&folder);
        let place = Self { folder, model };
        let repository = place.repository();
        let repository = repository.to_str().unwrap();
        let added = [
            "project",
            "add",
            repository,
            "--name",
            "sample",
            "--no-setup",
            "--check",
        ];
        place.run_to_end(&[&added[..], &[scenario::CHECK, "--no-try"]].concat());
        let model = format!("openai:script@{address}");
        let filed = [
            "run",
            "sample",
            scenario::GOAL,
            "--model",
            &model,
            "--yes",
            "--detach",
            // The script is written for it; trying the protocols would ask for what the script does not have.
            "--protocol",
            "native",
        ];
        let generous = ["--budget-calls", "unlimited", "--budget-tokens", "unlimited"];
        place.run_to_end(&[&filed[..], &generous, &["--budget-turns", "unlimited"]].concat());
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Begins `factory resume`, which becomes the owner, recovers the run and works on it.
    pub(crate) fn begin_to_work(&self) -> Child {
        let said = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("factory.log"))
            .unwrap();
        let mut command = factory(&self.data_folder());
        command
            .args(["resume", &RUN.to_string()])
            .env("RUST_LOG", "factory_core=debug,factory=debug")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        command.spawn().unwrap()
    }

    fn run_to_end(&self, arguments: &[&str]) {
        let output = factory(&self.data_folder())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Opens the database beside whoever owns it.
    pub(crate) async fn reader(&self) -> SqliteStore {
        SqliteStore::open_for_reading(&self.data_folder().join("platform.db"))
            .await
            .unwrap()
    }

    /// Returns the run's row and its whole history.
    pub(crate) async fn history(&self) -> (Run, Vec<Event>) {
        let reader = self.reader().await;
        let mut events = Vec::new();
        add_newer(&reader, &mut events).await;
        let row = reader.run(RUN).await.unwrap();
        reader.close().await;
        (row, events)
    }

    /// Returns the model's log as far as it is written.
    pub(crate) fn model_log(&self) -> Vec<Said> {
        // No request may have come yet.
        let text = fs::read_to_string(self.folder.join("model.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns what of the operator's repository is none of a run's business.
    pub(crate) fn operators_own(&self) -> OperatorsOwn {
        let repository = self.repository();
        let content = |path: &Path| BlobId::of(&fs::read(path).unwrap());
        let mut files = BTreeMap::new();
        let mut folders = vec![repository.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with(".git") {
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.strip_prefix(&repository).unwrap().to_owned(), content(&path));
                }
            }
        }
        let refs = git(&repository, &["for-each-ref"]);
        let own = refs.lines().filter(|line| !line.contains("refs/heads/factory/"));
        OperatorsOwn {
            head: fs::read_to_string(repository.join(".git/HEAD")).unwrap(),
            refs: own.collect::<Vec<_>>().join("\n"),
            index: content(&repository.join(".git/index")),
            configuration: content(&repository.join(".git/config")),
            files,
        }
    }

    /// Returns the tree of the branch that was published, and the whole commit message.
    pub(crate) fn published(&self) -> (Vec<String>, String, String) {
        let repository = self.repository();
        let branches = git(
            &repository,
            &["for-each-ref", "--format=%(refname)", "refs/heads/factory/"],
        );
        let branches: Vec<_> = branches.lines().map(str::to_owned).collect();
        let Some(branch) = branches.first() else {
            return (branches, String::new(), String::new());
        };
        let tree = git(&repository, &["rev-parse", &format!("{branch}^{{tree}}")]);
        let message = git(&repository, &["log", "-1", "--format=%P%n%an <%ae>%n%B", branch]);
        (branches, tree, message)
    }

    /// Returns what a publication must have taken away again, and what git finds wrong with the repository.
    pub(crate) fn residue(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.repository().join(".git")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let left = path.extension().is_some_and(|end| end == "lock" || end == "keep");
                if path.is_dir() {
                    folders.push(path);
                } else if left {
                    found.push(path.display().to_string());
                }
            }
        }
        let checked = bare_git(&self.repository())
            .args(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"])
            .output()
            .unwrap();
        if !checked.status.success() {
            found.push(String::from_utf8_lossy(&checked.stderr).into_owned());
        }
        found
    }

    /// Ends the model and takes everything away.
    pub(crate) fn take_away(mut self) {
        self.end_model();
        fs::remove_dir_all(&self.folder).unwrap();
    }

    fn end_model(&mut self) {
        // It may have ended already.
        let _ = self.model.kill();
        let _ = self.model.wait();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_model();
        if std::thread::panicking() {
            eprintln!("everything of the failed run is in {}", self.folder.display());
        }
    }
}

/// Adds the run's events that came after those that are there.
pub(crate) async fn add_newer(reader: &SqliteStore, events: &mut Vec<Event>) {
    loop {
        let after = events.last().map_or(Seq(0), |event| event.seq);
        let page = Page::after(after, Page::<Seq>::MAX);
        let newer = reader.events(RUN, page).await.unwrap();
        let whole = newer.len() < Page::<Seq>::MAX as usize;
        events.extend(newer);
        if whole {
            return;
        }
    }
}

/// Returns the program without any variable of the host's that would steer it.
fn factory(data_folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FACTORY_") {
            command.env_remove(name);
        }
    }
    command.env("FACTORY_DATA_DIR", data_folder);
    command
}

/// Starts the model; returns once it listens.
fn serve(folder: &Path) -> (Child, String) {
    let mut model = factory(&folder.join("data"))
        .args(["script", "serve"])
        .arg(folder.join("script.json"))
        .args(["--listen", "127.0.0.1:0", "--log"])
        .arg(folder.join("model.log"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(model.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(address.starts_with("http://"), "{line}");
    (model, address)
}

fn make_repository(repository: &Path) {
    for (name, content) in scenario::files() {
        let file = repository.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    git(repository, &["init", "--quiet", "--initial-branch=main"]);
    git(repository, &["add", "--all"]);
    git(repository, &["commit", "--quiet", "--message=base"]);
}

fn bare_git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .current_dir(repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // The same base in every place, so that commits can be compared.
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z");
    command
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    let output = bare_git(repository).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
