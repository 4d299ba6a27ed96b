//! Spans as a collector gets them, and a server that has no collector.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Server, work};
use crate::support::Place;

/// A trace as a caller names it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A stand-in for a collector that takes everything and keeps it.
struct Collector {
    url: String,
    taken: Receiver<(String, Vec<u8>)>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (take, taken) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let take = take.clone();
                std::thread::spawn(move || serve(&stream.unwrap(), &take));
            }
        });
        Self { url, taken }
    }

    /// Returns the paths that were posted to, and all bodies in one, once the server that sends has ended.
    fn all(&self) -> (Vec<String>, Vec<u8>) {
        let (paths, bodies): (Vec<_>, Vec<_>) = self.taken.try_iter().unzip();
        (paths, bodies.concat())
    }
}

fn serve(stream: &TcpStream, take: &Sender<(String, Vec<u8>)>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        // Kept before it is answered: whoever sent it may end right after.
        take.send((first.trim().to_owned(), body)).unwrap();
        (&*stream)
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_collector_gets_the_spans_of_requests_runs_calls_and_checks() {
    let place = Place::with_project();
    let collector = Collector::start();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    let mut server = Server::start(&place, &variables);
    work(&place, &mut server);
    let parent = format!("Traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n");
    server.get("/runs/1?secret=in-the-query", &parent);
    let token = server.token.clone();
    server.end();
    let (paths, sent) = collector.all();
    assert!(
        !paths.is_empty() && paths.iter().all(|path| path == "POST /v1/traces HTTP/1.1"),
        "{paths:?}"
    );
    let has = |part: &[u8]| sent.windows(part.len()).any(|window| window == part);
    for part in [
        "service.name",
        "GET /runs/{run_id}",
        "http.response.status_code",
        "enduser.id",
        "chat scripted:",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "run",
        "check",
    ] {
        assert!(has(part.as_bytes()), "{part}: {}", String::from_utf8_lossy(&sent));
    }
    assert!(has(&bytes(TRACE)), "the caller's trace is continued");
    for secret in [token.as_str(), "in-the-query", "to-the-model", "write done.txt"] {
        assert!(
            !has(secret.as_bytes()),
            "{secret}: {}",
            String::from_utf8_lossy(&sent)
        );
    }
}

#[test]
fn a_collector_that_is_not_there_breaks_nothing() {
    let place = Place::with_project();
    // Nothing listens there once it is dropped.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    let mut server = Server::start(&place, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    work(&place, &mut server);
    let (head, _) = server.get("/runs/1", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    server.end();
}

#[test]
fn a_collector_that_never_answers_holds_the_end_up_for_a_moment_alone() {
    let place = Place::with_project();
    // Takes connections into its backlog and never reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut server = Server::start(&place, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    work(&place, &mut server);
    server.end();
}
