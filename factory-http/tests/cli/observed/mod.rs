//! What a server tells of itself while it works: lines of its log, and numbers for Prometheus.

#[cfg(feature = "otel")]
mod traces;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Stdio};

use serde_json::Value;

use crate::support::{Place, code, signal, told};

/// A server at work, whose log is read as it is written.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    lines: Vec<Value>,
    address: String,
    token: String,
}

impl Server {
    /// Starts it on free ports and waits until it is ready.
    fn start(place: &Place, variables: &[(&str, &str)]) -> Self {
        let mut command = place.command(&["serve"]);
        command
            .env("FACTORY_SERVER_LISTEN", "127.0.0.1:0")
            .env("FACTORY_SERVER_CONSOLE", "127.0.0.1:0")
            .env("FACTORY_LOG_FORMAT", "json")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self {
            child,
            log,
            lines: Vec::new(),
            address: String::new(),
            token: String::new(),
        };
        let ready = server.wait_for(|line| line["fields"]["message"] == "the server is ready");
        let url = ready["fields"]["api"].as_str().unwrap();
        url.strip_prefix("http://")
            .unwrap()
            .clone_into(&mut server.address);
        let token = place.factory(&["token"]);
        let token = String::from_utf8(token.stdout).unwrap();
        token.trim().clone_into(&mut server.token);
        server
    }

    /// Reads on until a line is there, or fails at the end of the log.
    fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "the log ended: {:#?}", self.lines);
            // Every line is JSON, or the test fails here.
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            self.lines.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Asks for a path and returns the head and the body of the answer.
    fn get(&self, path: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{headers}\r\n",
            self.address, self.token
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Ends it and returns every line that it wrote.
    fn end(mut self) -> Vec<Value> {
        signal(&self.child, "INT");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        let rest = rest.lines().map(|line| serde_json::from_str(line).unwrap());
        self.lines.extend(rest);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {:#?}", self.lines);
        std::mem::take(&mut self.lines)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files a run and has the server bring it to its end.
fn work(place: &Place, server: &mut Server) {
    let model = place.model("worker", "echo to-the-model");
    let file = place.path("worker.json");
    let mut script: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for reply in script["replies"].as_array_mut().unwrap() {
        reply["tokens"] = serde_json::json!({"prompt": 100, "completion": 7});
    }
    std::fs::write(&file, script.to_string()).unwrap();
    let run = place.factory(&["run", "sample", "write done.txt", "--model", &model, "--yes"]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    server.wait_for(|line| line["fields"]["event"] == "RUN_COMPLETE");
}

#[test]
fn a_server_tells_in_its_log_and_its_metrics_what_it_does() {
    let place = Place::with_project();
    let mut server = Server::start(&place, &[("FACTORY_LOG", "warn,factory=debug")]);
    work(&place, &mut server);
    let (_, _) = server.get("/runs/1?secret=in-the-query", "");
    let (head, body) = server.get("/metrics", "X-Request-Id: my-scrape\r\n");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for line in [
        "factory_runs{status=\"COMPLETE\"} 1",
        "factory_runs{status=\"QUEUED\"} 0",
        "factory_queue_depth 0",
        "factory_workers_active 0",
        "factory_events_total{type=\"RUN_CREATED\"} 1",
        "factory_events_total{type=\"RUN_COMPLETE\"} 1",
        "factory_llm_calls_total{outcome=\"answered\"} 4",
        "factory_llm_tokens_total{kind=\"prompt\"} 400",
        "factory_llm_tokens_total{kind=\"completion\"} 28",
        "http_server_active_requests 1",
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
         http_response_status_code=\"200\",http_route=\"/runs/{run_id}\"} 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}: {body}");
    }
    let token = server.token.clone();
    let lines = server.end();
    let has = |fields: &[(&str, Value)]| {
        lines
            .iter()
            .any(|line| fields.iter().all(|(name, value)| line["fields"][*name] == *value))
    };
    assert!(
        has(&[("event", "RUN_STARTED".into()), ("run", "1".into())]),
        "{lines:#?}"
    );
    let scrape = [
        ("method", "GET".into()),
        ("route", "/metrics".into()),
        ("status", 200.into()),
        ("request_id", "my-scrape".into()),
        ("principal", "operator".into()),
    ];
    assert!(has(&scrape), "{lines:#?}");
    assert!(
        has(&[("message", "the server serves no more".into())]),
        "{lines:#?}"
    );
    let all = serde_json::to_string(&lines).unwrap();
    for secret in [token.as_str(), "in-the-query", "to-the-model"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[test]
fn a_form_that_is_none_is_refused() {
    let place = Place::new();
    let output = place
        .command(&["list"])
        .env("FACTORY_LOG_FORMAT", "xml")
        .output()
        .unwrap();
    place.check(
        &output,
        2,
        "error: FACTORY_LOG_FORMAT is `xml`, which is no form of the log\n  way out: say `text` or `json`",
    );
}
