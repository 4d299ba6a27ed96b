//! Model servers of a few lines on a real socket, so that the client is tested against bytes and not against itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factory_core::llm::scripted::{Script, ScriptedLlm};
use factory_core::llm::{ChatRequest, Delta, EndReason, Llm, LlmError, Message, Role};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A step of a canned reply.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends bytes at once.
    Send(Vec<u8>),
    /// Waits for ever, with the connection open.
    Hang,
    /// Sends the same bytes until the client has gone.
    Endless(Vec<u8>),
}

/// What a server was sent: the head, in lower case, and the body.
pub(crate) type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Starts a server that answers every request with the same steps, and closes the connection after them.
pub(crate) async fn canned(steps: Vec<Step>) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (steps, log) = (steps.clone(), log.clone());
            tokio::spawn(async move {
                let request = read_request(&mut stream).await;
                log.lock().unwrap().push(request);
                for step in steps {
                    match step {
                        Step::Send(bytes) => {
                            if stream.write_all(&bytes).await.is_err() {
                                return;
                            }
                            // So that the pieces do not grow together on their way.
                            stream.flush().await.unwrap();
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                        Step::Hang => std::future::pending().await,
                        Step::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                    }
                }
            });
        }
    });
    (address, asked)
}

/// Starts a server that answers each path with its answers in turn, the last one again and again, and others with 404.
pub(crate) async fn routed(routes: &[(&str, &[String])]) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let log = asked.clone();
    let routes: Vec<(String, Vec<String>)> = routes
        .iter()
        .map(|(path, answers)| ((*path).to_owned(), answers.to_vec()))
        .collect();
    tokio::spawn(async move {
        let mut turns = vec![0; routes.len()];
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            let path = request.0.split(' ').nth(1).unwrap().to_owned();
            log.lock().unwrap().push(request);
            let route = routes.iter().position(|(of, _)| *of == path);
            let answer = route.map_or_else(
                || answer("404 Not Found", "text/plain", "no"),
                |route| {
                    let answers = &routes[route].1;
                    turns[route] += 1;
                    answers[(turns[route] - 1).min(answers.len() - 1)].clone()
                },
            );
            // A client that has gone is the client's affair.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

/// A whole answer.
pub(crate) fn answer(status: &str, media_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Starts a server that plays a script.
pub(crate) async fn playing(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let model = Arc::new(ScriptedLlm::new("script", script));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let model = model.clone();
            tokio::spawn(async move {
                let (_, body) = read_request(&mut stream).await;
                // A client that has gone is the client's affair.
                let _ = play(&mut stream, &*model, &body).await;
            });
        }
    });
    address
}

async fn play(stream: &mut TcpStream, model: &dyn Llm, body: &Value) -> std::io::Result<()> {
    let mut reply = match model.chat(request_of(body)).await {
        Ok(reply) => reply,
        Err(error) => {
            let status = if matches!(error, LlmError::Busy { .. }) {
                503
            } else {
                400
            };
            let body = json!({"error": {"message": error.to_string()}}).to_string();
            let head = format!(
                "HTTP/1.1 {status} No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            return stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    };
    stream.write_all(STREAM_HEAD).await?;
    let mut calls = 0;
    while let Some(delta) = reply.next().await {
        let Ok(delta) = delta else { return Ok(()) };
        let choice = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
        let chunk = match delta {
            Delta::Text(text) => choice(json!({"content": text})),
            Delta::Thinking(text) => choice(json!({"reasoning_content": text})),
            Delta::ToolCall(call) => {
                calls += 1;
                let function = json!({"name": call.name, "arguments": call.arguments});
                choice(json!({"tool_calls": [{"index": calls - 1, "id": call.id, "function": function}]}))
            }
            Delta::Usage(tokens) => json!({"choices": [], "usage": {
                "prompt_tokens": tokens.prompt, "completion_tokens": tokens.completion,
            }}),
            Delta::End(end) => json!({"choices": [{"index": 0, "delta": {}, "finish_reason": match end {
                EndReason::Length => "length",
                _ => "stop",
            }}]}),
        };
        stream.write_all(format!("data: {chunk}\n\n").as_bytes()).await?;
    }
    stream.write_all(b"data: [DONE]\n\n").await
}

/// The head of a stream that ends with the connection.
pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn request_of(body: &Value) -> ChatRequest {
    let messages = body["messages"].as_array().unwrap().iter().map(|message| {
        let role: Role = serde_json::from_value(message["role"].clone()).unwrap();
        // As real servers do, which is what makes broken arguments dangerous.
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            serde_json::from_str::<Value>(arguments).unwrap();
        }
        Message::new(role, message["content"].as_str().unwrap())
    });
    ChatRequest {
        messages: messages.collect(),
        ..ChatRequest::default()
    }
}

pub(crate) async fn read_request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_end = loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the client has gone before its request was whole");
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec())
        .unwrap()
        .to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let Some(length) = length else {
        return (head, Value::Null);
    };
    let length: usize = length.trim().parse().unwrap();
    while bytes.len() < head_end + length {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the client has gone before its request was whole");
        bytes.extend_from_slice(&buffer[..count]);
    }
    (head, serde_json::from_slice(&bytes[head_end..]).unwrap())
}
