//! The program at work: `factory serve` on a data folder of its own and a free port, with the models that it asks.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Answer, exchange};
use crate::ollama;

/// How long anything may take before the test is called hanging.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server with its project `sample`, which has the number 1.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    children: Mutex<Vec<Child>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in self.children.get_mut().unwrap() {
            // One that has ended already needs no killing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Place {
    /// Serves. The model of runs that name none never answers, so that these stay as they are. Whoever comes without a
    /// credential is told so however often.
    pub(crate) fn serving() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let mut place = Self {
            folder: tempfile::Builder::new()
                .permissions(private.clone())
                .tempdir()
                .unwrap(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: String::new(),
            children: Mutex::default(),
        };
        let silent = json!({"text": "late", "delay_ms": 86_400_000});
        let silent = place.model("silent", &[silent]);
        let settings = format!(
            "model = {silent:?}\n[endpoint.ollama]\nurl = \"http://{}\"\n[limits]\nruns_per_server = 4\n\
             [server]\nfailures = 1000000\n",
            ollama::serve()
        );
        let data = place.path("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, private).unwrap();
        std::fs::write(data.join("factory.toml"), settings).unwrap();
        let repository = place.repository("repository");
        let mut add = vec!["project", "add", repository.to_str().unwrap()];
        add.extend([
            "--name",
            "sample",
            "--no-setup",
            "--check",
            "test $(ls | wc -l) -gt 1",
            "--no-try",
        ]);
        place.factory(&add);
        place.token = place.factory(&["token"]).trim().to_owned();
        place.serve();
        place
    }

    fn serve(&mut self) {
        let log = std::fs::File::create(self.path("serve.log")).unwrap();
        let child = self
            .command(&["serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.children.get_mut().unwrap().push(child);
        let said = || std::fs::read_to_string(self.path("serve.log")).unwrap();
        let address = wait_for("the server", || {
            let said = said();
            let line = said.lines().find_map(|line| line.strip_prefix("API"))?;
            line.trim().strip_prefix("http://")?.parse().ok()
        });
        self.address = address;
    }

    /// Returns a path in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a repository with a file.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("README.md"), "# Sample\n").unwrap();
        git(&path, &["init", "--quiet", "--initial-branch=main"]);
        git(&path, &["add", "."]);
        git(&path, &["commit", "--quiet", "--message=First"]);
        path
    }

    /// Starts a server of a model that answers so, the last reply again and again, and returns the model's text.
    pub(crate) fn model(&self, name: &str, replies: &[Value]) -> String {
        let file = self.path(&format!("{name}.json"));
        let script = json!({"name": "coder", "replies": replies, "then": "repeat_last"});
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
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        self.children.lock().unwrap().push(child);
        let address = line.trim_end().rsplit(' ').next().unwrap();
        format!("openai:coder@{address}")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FACTORY_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("FACTORY_DATA_DIR", self.path("data"))
            .stdin(Stdio::null());
        command
    }

    fn factory(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the address of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a request's first lines, with the token.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {}\r\n",
            self.address, self.token
        )
    }

    /// Sends a request with these bytes as its JSON.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut bytes = self.head(method, path).into_bytes();
        let length = body.len();
        bytes.extend(format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n").bytes());
        bytes.extend(body);
        exchange(self.address, &bytes)
    }

    /// Reads what stands there.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = exchange(self.address, format!("{}\r\n", self.head("GET", path)).as_bytes());
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    /// Does something that must succeed.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send("POST", path, body.to_string().as_bytes());
        let said = String::from_utf8_lossy(&answer.body);
        assert!((200..300).contains(&answer.status), "{path} {body}: {said}");
        answer.json()
    }

    /// Waits until a run stands so.
    pub(crate) fn wait_until(&self, run: i64, status: &str) {
        let path = format!("/runs/{run}");
        wait_for(&format!("run {run} to be {status}"), || {
            let run = self.get(&path);
            assert!(
                run["status"] == status || !["FAILED", "PAUSED"].contains(&run["status"].as_str().unwrap()),
                "{run}"
            );
            (run["status"] == status).then_some(())
        });
    }
}

/// Waits until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn git(repository: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(repository)
        .args([
            "-c",
            "user.name=Operator",
            "-c",
            "user.email=operator@example.org",
        ])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
