//! One kind of repository and a factory beside it: a whole run is tried, and what became of the operator's files is
//! looked at.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use factory_core::Factory;
use factory_core::factory::{AddProject, ApproveTree, Submit};
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use factory_core::model::{ApprovalPolicy, ApprovalSubject, EventKind, RunSpec, RunStatus, Seq, TreeId};
use factory_core::store::Page;
use serde_json::json;

use crate::workshop;

/// A kind of repository.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Makes the repository and returns the path that is registered.
    pub(crate) make: fn(&Bench) -> PathBuf,
    /// The files that the model writes.
    pub(crate) writes: &'static [(&'static str, &'static str)],
    /// The ref to start from.
    pub(crate) base: Option<&'static str>,
    pub(crate) approval: ApprovalPolicy,
    /// Looks at the repository after a run that worked.
    pub(crate) afterwards: fn(&Bench),
}

impl Kind {
    pub(crate) fn new(name: &'static str, make: fn(&Bench) -> PathBuf) -> Self {
        Self {
            name,
            make,
            writes: &[("answer.txt", "42\n")],
            base: None,
            approval: ApprovalPolicy::Ask,
            afterwards: |_| {},
        }
    }

    pub(crate) fn afterwards(self, afterwards: fn(&Bench)) -> Self {
        Self { afterwards, ..self }
    }

    fn script(&self) -> Script {
        let look = ScriptReply::tool_call("list_files", json!({}))
            .and_tool_call("search", ScriptArguments(json!({"pattern": "41"})))
            .and_tool_call("git_log", ScriptArguments(json!({"count": 5})))
            .and_tool_call("git_diff", ScriptArguments(json!({})))
            .and_tool_call(
                "run_command",
                ScriptArguments(json!({"command": "cat answer.txt"})),
            );
        let write = |reply: ScriptReply, (path, content): &(&str, &str)| {
            reply.and_tool_call(
                "write_file",
                ScriptArguments(json!({"path": path, "content": content})),
            )
        };
        let work = self.writes.iter().fold(ScriptReply::default(), write);
        Script::new()
            .reply(workshop::plan(&["Change the answer"]))
            .reply(look)
            .reply(work.and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed it"}))))
    }
}

/// A folder with the operator's things and the factory's.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(bench.at("")).unwrap();
        bench
    }

    /// A bench whose files are in memory where there is room, because a busy disk takes minutes for so many of them.
    pub(crate) fn for_much() -> Self {
        const MEMORY: &str = "/dev/shm";
        const ROOM: u64 = 4 << 30;
        let room = rustix::fs::statvfs(MEMORY).map_or(0, |facts| facts.f_bavail * facts.f_frsize);
        if room < ROOM {
            return Self::new();
        }
        let bench = Self {
            folder: tempfile::tempdir_in(MEMORY).unwrap(),
        };
        fs::create_dir(bench.at("")).unwrap();
        bench
    }

    /// Returns a path among the operator's things.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("operator").join(path)
    }

    /// Returns how many bytes the files below a folder of the bench have.
    pub(crate) fn size(&self, folder: &str) -> u64 {
        let folder = self.folder.path().join(folder);
        contents(&folder).values().map(|known| known.length).sum()
    }

    /// Makes the small repository whose check wants 42 of its answer.
    pub(crate) fn small(&self) -> PathBuf {
        let path = self.at("repository");
        workshop::make_repository(&path, &workshop::small_repository());
        path
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in("repository", arguments)
    }

    pub(crate) fn git_in(&self, folder: &str, arguments: &[&str]) -> String {
        workshop::git(&self.at(folder), arguments)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.at("repository").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// Runs a git that is to fail.
    pub(crate) fn fails(&self, arguments: &[&str]) {
        let status = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(!status.unwrap().success(), "git {arguments:?}");
    }

    /// Adds commits to `main` by git's own stream of them, and checks them out.
    pub(crate) fn import(&self, stream: &str) {
        self.import_from(|input| input.write_all(stream.as_bytes()).unwrap());
    }

    /// Does the same with a stream that is written as it goes.
    pub(crate) fn import_from(&self, write: impl FnOnce(&mut ChildStdin)) {
        let arguments = ["fast-import", "--quiet", "--date-format=raw-permissive"];
        let mut child = self.command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        write(&mut input);
        drop(input);
        assert!(child.wait().unwrap().success());
        self.git(&["reset", "--quiet", "--hard"]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
            .args(arguments)
            .current_dir(self.at("repository"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// Makes the repository, and tells what became of a run in it.
    pub(crate) async fn try_out(&self, kind: &Kind) -> String {
        let path = (kind.make)(self);
        let factory = self.open(kind).await;
        let before = contents(&self.at(""));
        let outcome = self.whole_run(&factory, kind, &path).await;
        self.assert_untouched(kind, before);
        let told = match outcome {
            Ok(ran) => {
                Self::assert_landed(kind, &ran);
                (kind.afterwards)(self);
                ran.told
            }
            Err(message) => format!("refused: {message}"),
        };
        factory.shutdown().await;
        self.normalise(&told)
    }

    /// Opens a factory beside the operator's things.
    pub(crate) async fn open(&self, kind: &Kind) -> Factory {
        let sockets = workshop::sockets(workshop::scripted(kind.script()));
        workshop::open_with(self.folder.path(), sockets).await
    }

    async fn whole_run(&self, factory: &Factory, kind: &Kind, path: &Path) -> Result<Ran, String> {
        let add = AddProject {
            path: path.to_owned(),
            checks: Some(vec![workshop::CHECK.to_owned()]),
            setup: Some(Vec::new()),
            base_ref: kind.base.map(str::to_owned),
            ..AddProject::default()
        };
        let added = factory.add_project(add).await.map_err(|error| said(&error))?;
        let spec = RunSpec {
            model: "script".to_owned(),
            approval: kind.approval,
            ..RunSpec::default()
        };
        let submit = Submit {
            // As an operator would name it, and not by its name.
            project: path.display().to_string(),
            goal: "Make the answer 42".to_owned(),
            spec,
            priority: 0,
        };
        let run = factory.submit(submit).await.map_err(|error| said(&error))?;
        let rested = factory.drive(run.id).await.map_err(|error| said(&error))?;
        let view = factory.reader().run(run.id).await.unwrap();
        let Some(asked) = view.open_approval else {
            return Err(format!("{} {}", rested.status, rested.detail.unwrap_or_default()));
        };
        let ApprovalSubject::Tree {
            tree, why, proven, ..
        } = asked.subject
        else {
            return Err("a question".to_owned());
        };
        assert!(proven, "{}: {why}", kind.name);
        let approve = ApproveTree {
            tree: tree.clone(),
            message: None,
        };
        factory
            .approve(run.id, approve)
            .await
            .map_err(|error| said(&error))?;
        let done = factory.drive(run.id).await.map_err(|error| said(&error))?;
        if done.status != RunStatus::Complete {
            return Err(format!("{} {}", done.status, done.detail.unwrap_or_default()));
        }
        let events = factory
            .reader()
            .events(run.id, Page::after(Seq(0), 500))
            .await
            .unwrap();
        let mut told = String::from("works");
        for event in events {
            match event.kind {
                EventKind::ToolFinished(finished) => {
                    assert!(finished.ok, "{}: {}", kind.name, finished.summary);
                }
                EventKind::PolicyDenied(denied) => told.extend(["\n", &denied.detail]),
                _ => {}
            }
        }
        if kind.approval == ApprovalPolicy::Unattended {
            told.extend(["\nasks: ", &why]);
        }
        for note in &added.notes {
            told.extend(["\n", note]);
        }
        Ok(Ran {
            told,
            root: added.project.local_path,
            branch: done.branch.unwrap(),
            tree,
        })
    }

    /// Checks that the branch has what was approved, and that everything else in it is the base's, byte by byte.
    fn assert_landed(kind: &Kind, ran: &Ran) {
        assert_eq!(ran.branch, "factory/run-1", "{}", kind.name);
        let git = |arguments: &[&str]| workshop::git(&ran.root, arguments);
        assert_eq!(
            git(&["rev-parse", "factory/run-1^{tree}"]).trim(),
            ran.tree.as_str()
        );
        let base = kind.base.unwrap_or("HEAD");
        assert_eq!(git(&["rev-parse", "factory/run-1^"]), git(&["rev-parse", base]));
        let changed = git(&[
            "diff-tree",
            "-r",
            "--name-status",
            "--no-renames",
            base,
            "factory/run-1",
        ]);
        let changed: Vec<&str> = changed.lines().collect();
        let expected = kind.writes.iter().map(|(path, _)| format!("M\t{path}"));
        let expected: Vec<String> = expected.collect();
        assert_eq!(changed, expected, "{}", kind.name);
    }

    /// Checks that nothing of the operator's has changed but for the branch and its objects.
    fn assert_untouched(&self, kind: &Kind, before: BTreeMap<PathBuf, Known>) {
        let mut after = contents(&self.at(""));
        for (path, known) in before {
            assert_eq!(
                after.remove(&path),
                Some(known),
                "{}: {}",
                kind.name,
                path.display()
            );
        }
        for path in after.keys() {
            let text = path.to_string_lossy();
            let ours = ["objects/pack/pack-", "refs/heads/factory"];
            assert!(
                ours.iter().any(|part| text.contains(part)),
                "{}: {text} is new",
                kind.name
            );
        }
    }

    fn normalise(&self, text: &str) -> String {
        let folder = fs::canonicalize(self.folder.path()).unwrap();
        let text = text.replace(&folder.display().to_string(), "[bench]");
        let hash = regex::Regex::new("[0-9a-f]{40,64}").unwrap();
        hash.replace_all(&text, "[hash]").into_owned()
    }
}

/// What came of a run.
struct Ran {
    /// That it works, and what the operator is told on the way.
    told: String,
    root: PathBuf,
    branch: String,
    tree: TreeId,
}

/// What is known of a file: mode, time of the last write, length, and a hash of the content or where a link leads.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    mode: u32,
    written: (i64, i64),
    length: u64,
    content: u64,
}

/// Everything that the folder holds, but for the times of folders, which change with what is added to them.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Known> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let is_folder = metadata.is_dir();
            let known = Known {
                mode: metadata.mode(),
                written: if is_folder {
                    (0, 0)
                } else {
                    (metadata.mtime(), metadata.mtime_nsec())
                },
                length: if is_folder { 0 } else { metadata.len() },
                content: hash(&path, &metadata),
            };
            if is_folder {
                waiting.push(path.clone());
            }
            found.insert(path, known);
        }
    }
    found
}

fn hash(path: &Path, metadata: &fs::Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    if metadata.is_symlink() {
        hasher.write(fs::read_link(path).unwrap().as_os_str().as_bytes());
    } else if metadata.is_file() {
        let mut file = fs::File::open(path).unwrap();
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece).unwrap() {
                0 => break,
                read => hasher.write(&piece[..read]),
            }
        }
    }
    hasher.finish()
}

/// Returns what an error says, with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
