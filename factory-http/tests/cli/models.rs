//! `factory models` against a small Ollama server: what is listed, how a pull is told, and how Ctrl-C ends it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use crate::support::{Place, code, lines, signal, told};

/// Starts a server that has one model, pulls `small` at once and `large` never, and tells when a client of a pull went
/// away. Returns its address.
fn ollama() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (gone, has_gone) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let gone = gone.clone();
            // A client that goes away in the middle is the client's affair.
            std::thread::spawn(move || drop(serve(stream, &gone)));
        }
    });
    (address, has_gone)
}

fn serve(mut stream: TcpStream, gone: &Sender<()>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let news = |completed: u64| json!({"status": "pulling a1", "digest": "sha256:a1", "total": 1_000_000, "completed": completed});
    let mut say = |kind: &str, lines: &[Value]| {
        let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        let text = text.concat();
        stream.write_all(
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/{kind}\r\nconnection: close\r\n\r\n{text}")
                .as_bytes(),
        )
    };
    match first.split(' ').nth(1).unwrap_or_default() {
        "/api/tags" => say(
            "json",
            &[
                json!({"models": [{"name": "coder:7b", "size": 4_683_087_332_u64, "capabilities": ["tools"],
                "details": {"parameter_size": "7.6B", "quantization_level": "Q4_K_M", "context_length": 32768}}]}),
            ],
        ),
        "/api/ps" => say(
            "json",
            &[json!({"models": [{"name": "coder:7b", "context_length": 8192}]})],
        ),
        "/api/pull" if body["model"] == "large" => {
            say("x-ndjson", &[news(1)])?;
            while stream.write_all(format!("{}\n", news(2)).as_bytes()).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let _ = gone.send(());
            Ok(())
        }
        "/api/pull" => say(
            "x-ndjson",
            &[
                news(0),
                news(400_000),
                news(1_000_000),
                json!({"status": "success"}),
            ],
        ),
        _ => say("json", &[Value::Null]),
    }
}

/// A place whose Ollama is this server.
fn place(address: &str) -> Place {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let data = place.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let text = format!("model = \"ollama:coder:7b\"\n[endpoint.ollama]\nurl = \"http://{address}\"\n");
    std::fs::write(data.join("factory.toml"), text).unwrap();
    place
}

#[test]
fn models_are_listed_and_pulled() {
    let (address, _) = ollama();
    let place = place(&address);
    let list = place
        .command(&["models"])
        .env_remove("OPENAI_API_KEY")
        .output()
        .unwrap();
    let expected = format!(
        "\
ollama (ollama, http://{address})
  MODEL     SIZE    PARAMETERS  STORED AS  WINDOW            LOADED  CAN
  coder:7b  4.6 GB  7.6B        Q4_K_M     8,192 (verified)  yes     tools, schema

openai (openai, https://api.openai.com/v1)
  ✗ it has no key; put it into the variable OPENAI_API_KEY, or name another with `key_env` or `key_file`"
    );
    place.check(&list, 0, &expected);
    place.check(
        &place.factory(&["models", "pull", "small"]),
        0,
        "pulling a1: 0 % of 1.0 MB\npulling a1: 40 % of 1.0 MB\npulling a1: 100 % of 1.0 MB\nsuccess\nollama:small is there",
    );
    let pulled = place.factory(&["models", "pull", "ollama:small", "--json"]);
    let lines = lines(&pulled);
    assert_eq!(
        (lines[1]["completed"].as_u64(), lines.last()),
        (Some(400_000), Some(&json!({"pulled": "ollama:small"}))),
        "{}",
        told(&pulled)
    );
    let doctor = told(&place.factory(&["doctor"]));
    assert!(
        doctor.contains(&format!(
            "✓ model       `ollama:coder:7b` at http://{address}: window 8192"
        )),
        "{doctor}"
    );
    place.check(
        &place.factory(&["models", "remove", "coder:7b"]),
        0,
        "ollama:coder:7b is removed",
    );
}

#[test]
fn an_interrupt_ends_a_pull_here_and_at_the_owner() {
    let (address, gone) = ollama();
    let place = place(&address);
    let wait_for_news = |child: &mut std::process::Child| {
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        assert!(line.contains("pulling a1"), "{line}");
        reader
    };
    let mut owner = place.begin(&["models", "pull", "large", "--json"]);
    let _owners_news = wait_for_news(&mut owner);
    // The second finds the first as the owner and pulls through it.
    let mut client = place.begin(&["models", "pull", "large", "--json"]);
    let _clients_news = wait_for_news(&mut client);
    for child in [client, owner] {
        signal(&child, "INT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 1);
        assert!(
            told(&output).contains("the same command goes on from there"),
            "{}",
            told(&output)
        );
        gone.recv().unwrap();
    }
}
