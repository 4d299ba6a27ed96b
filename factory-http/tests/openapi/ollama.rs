//! An Ollama server of a few lines, with one model, so that what asks for Ollama finds one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};

/// The model that it has.
pub(crate) const MODEL: &str = "qwen2.5-coder:7b";

/// Serves until the test's process ends, and returns the address.
pub(crate) fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // A client that goes away in the middle is the client's affair.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
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
    let details = json!({"parameter_size": "7.6B", "quantization_level": "Q4_K_M", "context_length": 32768});
    let known =
        json!({"name": MODEL, "size": 4_683_087_332_u64, "capabilities": ["tools"], "details": details});
    let (status, kind, lines) = match first.split(' ').nth(1).unwrap_or_default() {
        "/api/version" => (200, "json", vec![json!({"version": "0.13.5"})]),
        "/api/tags" => (200, "json", vec![json!({"models": [known]})]),
        "/api/ps" => (
            200,
            "json",
            vec![json!({"models": [{"name": MODEL, "context_length": 8192}]})],
        ),
        "/api/pull" => (200, "x-ndjson", vec![json!({"status": "success"})]),
        _ if body["model"] != MODEL => (
            404,
            "json",
            vec![json!({"error": format!("model '{}' not found", body["model"])})],
        ),
        "/api/delete" => (200, "json", vec![]),
        "/api/show" => {
            let info = json!({"general.architecture": "qwen2", "qwen2.context_length": 32768});
            (
                200,
                "json",
                vec![
                    json!({"capabilities": ["completion", "tools"], "details": details, "model_info": info}),
                ],
            )
        }
        _ => {
            let said = json!({"role": "assistant", "content": "ready"});
            let end = json!({"model": MODEL, "message": said, "done": true, "done_reason": "stop",
                "prompt_eval_count": 1, "eval_count": 1});
            (200, "x-ndjson", vec![end])
        }
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let length = text.len();
    stream.write_all(
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}")
            .as_bytes(),
    )
}
