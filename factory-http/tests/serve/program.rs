//! The program under test: a data folder with a repository, and the server at work on it.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before the test is called hanging.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);

/// Returns the program, which is the one that was built with the tests, or `FACTORY_TEST_PROGRAM`: the one for release, say.
fn program() -> OsString {
    std::env::var_os("FACTORY_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_factory").into())
}

/// A data folder with a repository that is no project yet.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let place = Self { folder };
        let repository = place.path("repository");
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("README.md"), "# Sample\n").unwrap();
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=Ann",
                "-c",
                "user.email=ann@example.org",
                "commit",
                "--quiet",
                "--message=one",
            ],
        ] {
            let done = Command::new("git")
                .arg("-C")
                .arg(&repository)
                .args(arguments)
                .status()
                .unwrap();
            assert!(done.success());
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the settings.
    pub(crate) fn configure(&self, toml: &str) {
        let data = self.path("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        let file = data.join("factory.toml");
        std::fs::write(&file, toml).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Returns the program's command line on this data folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FACTORY_") {
                command.env_remove(name);
            }
        }
        command.env("FACTORY_DATA_DIR", self.path("data"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the server on ports of the system's choice.
    pub(crate) fn serve(&self) -> Server {
        self.serve_at(&["--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"])
    }

    pub(crate) fn serve_at(&self, ports: &[&str]) -> Server {
        let mut arguments = vec!["serve"];
        arguments.extend(ports);
        let mut child = self
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let (mut api, mut console) = (None, None);
        let mut told = String::new();
        while api.is_none() || console.is_none() {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "the server ended: {told}");
            told.push_str(&line);
            let url = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix("http://"));
            if let Some(address) = url.and_then(|url| url.trim_end_matches('/').parse::<SocketAddr>().ok()) {
                if line.contains("API") {
                    api = Some(address);
                } else {
                    console = Some(address);
                }
            }
        }
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = said.read_to_end(&mut rest);
        });
        let token = self.run(&["token"]);
        assert!(
            token.status.success(),
            "{}",
            String::from_utf8_lossy(&token.stderr)
        );
        Server {
            child,
            api: api.unwrap(),
            console: console.unwrap(),
            token: String::from_utf8(token.stdout).unwrap().trim().to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// Serves a scripted model in a process of its own.
    pub(crate) fn serve_model(&self, script: &Value) -> Model {
        let file = self.path("script.json");
        std::fs::write(&file, script.to_string()).unwrap();
        let mut child = self
            .command(&[
                "script",
                "serve",
                file.to_str().unwrap(),
                "--listen",
                "127.0.0.1:0",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned();
        Model { child, url }
    }
}

/// A model's server; ended with the test.
#[derive(Debug)]
pub(crate) struct Model {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server at work; killed with the test.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) api: SocketAddr,
    pub(crate) console: SocketAddr,
    pub(crate) token: String,
    http: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Kills it, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and returns how it did.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks, as the owner, and returns the status and the JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = method.parse().unwrap();
        let request = self
            .http
            .request(method, format!("http://{}{path}", self.api))
            .bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.timeout(PATIENCE).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, value) = self.ask("POST", path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {value}");
        value
    }

    /// Registers the place's repository.
    pub(crate) async fn register(&self, repository: &Path, checks: &[&str]) -> i64 {
        let project = json!({"local_path": repository, "setup": [], "checks": checks});
        self.post("/projects", &project).await["id"].as_i64().unwrap()
    }

    /// Waits until the run has this status.
    pub(crate) async fn wait_for(&self, run: i64, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let row = self.get(&format!("/runs/{run}")).await;
            if row["status"] == status {
                return row;
            }
            assert!(begun.elapsed() < PATIENCE, "run {run} is not {status}: {row}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
