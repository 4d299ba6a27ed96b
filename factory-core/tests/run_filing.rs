//! Filing many runs: none starts a program where nothing is new, and each starts from where its ref stood.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod workshop;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use factory_core::factory::Submit;
use factory_core::llm::scripted::Script;
use factory_core::model::{CommitId, Project, Run, RunSpec};
use factory_core::vcs::VcsError;
use factory_core::{Error, Factory, Settings};
use tempfile::TempDir;

/// A factory whose git writes down each of its calls.
struct Watched {
    folder: TempDir,
    factory: Factory,
    project: Project,
}

impl Watched {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        workshop::make_repository(&at("repository"), &workshop::small_repository());
        let mut settings = Settings::new(at("data"), workshop::host());
        let path = settings.host.path().to_owned();
        fs::create_dir(at("bin")).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {}\nPATH={path} exec git \"$@\"\n",
            at("calls").display()
        );
        fs::write(at("bin/git"), script).unwrap();
        fs::set_permissions(at("bin/git"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{path}", at("bin").display());
        settings.host.variables.insert("PATH".to_owned(), path);
        let sockets = workshop::sockets(workshop::scripted(Script::new()));
        let factory = Factory::open_with(settings, sockets).await.unwrap();
        let project = workshop::add_project(&factory, &at("repository"), &[]).await;
        Self {
            folder,
            factory,
            project,
        }
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// Returns how often git was started.
    fn calls(&self) -> usize {
        fs::read_to_string(self.folder.path().join("calls"))
            .unwrap()
            .lines()
            .count()
    }

    async fn file(&self, base_ref: Option<&str>) -> Result<Run, Error> {
        file(&self.factory, &self.project, base_ref).await
    }

    /// Files so many runs at the same time.
    async fn file_many(&self, count: usize, base_ref: Option<&str>) -> Vec<Result<Run, Error>> {
        let filings = (0..count).map(|_| {
            let (factory, project) = (self.factory.clone(), self.project.clone());
            let base_ref = base_ref.map(str::to_owned);
            tokio::spawn(async move { file(&factory, &project, base_ref.as_deref()).await })
        });
        let filings: Vec<_> = filings.collect();
        let mut filed = Vec::new();
        for filing in filings {
            filed.push(filing.await.unwrap());
        }
        filed
    }
}

async fn file(factory: &Factory, project: &Project, base_ref: Option<&str>) -> Result<Run, Error> {
    let submit = Submit {
        project: project.id.to_string(),
        goal: "Make the answer 42".to_owned(),
        spec: RunSpec {
            model: "script".to_owned(),
            base_ref: base_ref.map(str::to_owned),
            ..RunSpec::default()
        },
        priority: 0,
    };
    factory.submit(submit).await
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    workshop::git(repository, arguments).trim().to_owned()
}

/// Makes a commit on top of `main`, and returns it.
fn commit(repository: &Path, number: usize) -> CommitId {
    let tree = git(repository, &["rev-parse", "main^{tree}"]);
    let message = format!("Number {number}");
    let made = git(repository, &["commit-tree", "-p", "main", "-m", &message, &tree]);
    git(repository, &["update-ref", "refs/heads/main", &made]);
    made.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filing_on_a_known_base_starts_no_program() {
    let watched = Watched::new().await;
    let repository = watched.repository();
    git(&repository, &["tag", "-a", "-m", "x", "v1"]);
    let names = [None, Some("main"), Some("v1")];
    for name in names {
        watched.file(name).await.unwrap();
    }
    let before = watched.calls();
    for name in names {
        watched.file(name).await.unwrap();
        for filed in watched.file_many(40, name).await {
            filed.unwrap();
        }
    }
    assert_eq!(watched.calls(), before);
    let new = commit(&repository, 1);
    let run = watched.file(None).await.unwrap();
    assert_eq!(run.spec.base, Some(new));
    assert!(watched.calls() > before);
    let before = watched.calls();
    git(&repository, &["pack-refs", "--all"]);
    watched.file(None).await.unwrap();
    assert_eq!(watched.calls(), before);
    watched.factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_starts_from_the_ref_as_it_stood_when_it_was_filed_however_many_are_filed() {
    let watched = Watched::new().await;
    let repository = watched.repository();
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let (factory, project) = (watched.factory.clone(), watched.project.clone());
            tokio::spawn(async move {
                loop {
                    file(&factory, &project, None).await.unwrap();
                }
            })
        })
        .collect();
    for number in 0..25 {
        let repository = repository.clone();
        let made = tokio::task::spawn_blocking(move || commit(&repository, number));
        let made = made.await.unwrap();
        for filed in watched.file_many(5, None).await {
            assert_eq!(filed.unwrap().spec.base.as_ref(), Some(&made), "{number}");
        }
    }
    for task in crowd {
        task.abort();
    }
    watched.factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_is_told_what_is_wrong() {
    let watched = Watched::new().await;
    for filed in watched.file_many(12, Some("gone")).await {
        let error = filed.unwrap_err();
        let is_told = matches!(&error, Error::Vcs(VcsError::UnknownRevision { name, .. }) if name == "gone");
        assert!(is_told, "{error:?}");
    }
    // What failed is asked anew.
    git(&watched.repository(), &["branch", "gone"]);
    watched.file(Some("gone")).await.unwrap();
    watched.factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_the_others_their_answer() {
    let watched = Watched::new().await;
    for round in 0..10 {
        commit(&watched.repository(), round);
        let (factory, project) = (watched.factory.clone(), watched.project.clone());
        let first = tokio::spawn(async move { file(&factory, &project, None).await });
        let others = watched.file_many(4, None);
        let (filed, ()) = tokio::join!(others, async {
            tokio::task::yield_now().await;
            first.abort();
        });
        for filed in filed {
            filed.unwrap();
        }
    }
    watched.factory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_made_again_and_a_repository_that_is_gone_is_told() {
    let watched = Watched::new().await;
    let run = watched.file(None).await.unwrap();
    let store = watched.folder.path().join("data/projects/1/store.git");
    fs::remove_dir_all(&store).unwrap();
    watched.file(None).await.unwrap();
    let base = run.spec.base.unwrap();
    let kind = git(&store, &["cat-file", "-t", base.as_str()]);
    assert_eq!(kind, "commit");
    let moved = watched.folder.path().join("moved");
    fs::rename(watched.repository(), &moved).unwrap();
    let error = watched.file(None).await.unwrap_err();
    assert!(matches!(error, Error::Vcs(VcsError::BadPath { .. })), "{error:?}");
    watched.factory.shutdown().await;
}
