//! A hostile model server: whatever secrets a request brings, it sends back, in every form and at every place.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::forms::disguises;

/// What an endpoint of the server does with a chat. Its name is the first part of the path.
pub(crate) const ENDPOINTS: [&str; 10] = [
    "replies",
    "whispers",
    "unauthorised",
    "refuses",
    "redirects",
    "page",
    "breaks",
    "busy",
    "headers",
    "lists",
];

/// The command with which the agent looks around for secrets.
pub(crate) const LOOK_AROUND: &str =
    "env; cat /proc/*/environ /proc/*/cmdline /proc/self/status 2>/dev/null | tr '\\0' '\\n'; sleep 0.3";

/// The server, running until the test ends.
pub(crate) struct HostileServer {
    pub(crate) address: String,
    pub(crate) seen: Arc<Mutex<BTreeSet<String>>>,
    /// How often somebody came to where only redirects lead.
    pub(crate) led_astray: Arc<AtomicUsize>,
}

/// Starts the server.
pub(crate) fn start() -> HostileServer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = HostileServer {
        address: listener.local_addr().unwrap().to_string(),
        seen: Arc::default(),
        led_astray: Arc::default(),
    };
    let target = elsewhere.local_addr().unwrap().to_string();
    let (seen, led_astray) = (Arc::clone(&server.seen), Arc::clone(&server.led_astray));
    std::thread::spawn(move || {
        while elsewhere.accept().is_ok() {
            led_astray.fetch_add(1, Ordering::SeqCst);
        }
    });
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let (seen, target) = (Arc::clone(&seen), target.clone());
            // A client that goes away in the middle is the client's affair.
            std::thread::spawn(move || drop(serve(stream, &seen, &target)));
        }
    });
    server
}

fn serve(mut stream: TcpStream, seen: &Mutex<BTreeSet<String>>, target: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut secrets, mut length) = (String::new(), Vec::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => secrets.push(value.trim_start_matches("Bearer ").to_owned()),
            name if name.starts_with("x-canary") => secrets.push(value.to_owned()),
            _ => {}
        }
    }
    seen.lock().unwrap().extend(secrets.iter().cloned());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let endpoint = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let answer = if path.ends_with("/chat/completions") {
        chat(endpoint, &secrets, &body, target)
    } else {
        let models: Vec<_> = echoes(&secrets)
            .into_iter()
            .map(|name| json!({"id": name}))
            .collect();
        let listed = json!({"data": [{"id": "m", "quantization": secrets.concat()}, models.clone()]});
        let mut list = listed["data"].as_array().unwrap().clone();
        list.extend(models);
        whole(
            "200 OK\r\ncontent-type: application/json",
            &json!({"data": list}).to_string(),
        )
    };
    stream.write_all(answer.as_bytes())?;
    stream.flush()
}

fn whole(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Returns the secrets in every form.
fn echoes(secrets: &[String]) -> Vec<String> {
    secrets.iter().flat_map(|secret| disguises(secret)).collect()
}

fn chat(endpoint: &str, secrets: &[String], body: &Value, target: &str) -> String {
    let echo = echoes(secrets).join(" and ");
    let error = |code: &str| {
        json!({"error": {"message": format!("I do not know {echo}"), "type": echo, "code": code}}).to_string()
    };
    match endpoint {
        "unauthorised" => whole("401 Unauthorized\r\ncontent-type: text/plain", &echo),
        "refuses" => whole("400 Bad Request\r\ncontent-type: application/json", &error(&echo)),
        "redirects" => {
            let key = &secrets[0];
            whole(
                &format!("307 Temporary Redirect\r\nlocation: http://{target}/{key}?key={key}"),
                &echo,
            )
        }
        "page" => whole("200 OK\r\ncontent-type: text/html", &format!("<html>{echo}")),
        "breaks" => {
            let half: String = secrets[0].chars().take(12).collect();
            let events = [
                delta(&json!({"content": half})),
                format!("data: {}\n\n", error("500")),
            ];
            stream(&events.concat())
        }
        "busy" => whole(
            "429 Too Many Requests\r\ncontent-type: application/json",
            &error(&echo),
        ),
        "headers" => {
            let key = &secrets[0];
            whole(
                &format!(
                    "403 {key}\r\ncontent-type: {key}\r\nx-echo: {key}\r\nretry-after: {key}\r\nset-cookie: k={key}"
                ),
                &format!("{{\"detail\": \"{echo}\"}}"),
            )
        }
        _ => stream(&reply(secrets, &echo, body)),
    }
}

fn stream(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
}

fn delta(delta: &Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))
}

/// Plays a whole run: says the secrets letter by letter, thinks them, looks around for them, and writes them to a file.
fn reply(secrets: &[String], echo: &str, body: &Value) -> String {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let turn = messages
        .iter()
        .filter(|message| message["role"] == "assistant")
        .count();
    let escaped: Vec<String> = secrets
        .concat()
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let (name, arguments) = match turn {
        0 => (
            "update_plan",
            json!({"steps": [format!("do {echo}")]}).to_string(),
        ),
        1 => ("run_command", json!({"command": LOOK_AROUND}).to_string()),
        2 => (
            "write_file",
            format!(
                "{{\"path\": \"done.txt\", \"content\": \"{} {echo}\\n\"}}",
                escaped.concat()
            ),
        ),
        _ => (
            "finish_step",
            json!({"summary": format!("done {echo}")}).to_string(),
        ),
    };
    let mut events: Vec<String> = echo
        .chars()
        .map(|letter| delta(&json!({"content": letter.to_string()})))
        .collect();
    events.push(delta(&json!({"reasoning_content": echo})));
    // Cut in the middle of a secret, and of an escape.
    let cut = arguments.len() / 2;
    for part in [&arguments[..cut], &arguments[cut..]] {
        let function = json!({"name": name, "arguments": part});
        events.push(delta(
            &json!({"tool_calls": [{"index": 0, "id": secrets[0], "function": function}]}),
        ));
    }
    events.push("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n".to_owned());
    events.concat()
}
