//! An Ollama server of a few lines on a real socket, which refuses what breaks Ollama's contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use factory_core::llm::scripted::{Script, ScriptedLlm};
use factory_core::llm::{ChatRequest, Delta, EndReason, Llm, LlmError, Message, Role};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::contract::CONTRACT;

/// What the server was sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Null if there was none.
    pub(crate) body: Value,
}

/// A step of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Waits for ever, with the connection open.
    Hang,
    /// Sends the same bytes until the client has gone.
    Endless(Vec<u8>),
}

/// What the server answers, after which it closes the connection.
pub(crate) type Answer = Vec<Step>;

/// The head of a stream.
pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";

pub(crate) fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// A 200 with a whole answer.
pub(crate) fn whole(answer: &Value) -> Answer {
    status(
        "200 OK",
        "content-type: application/json\r\n",
        &answer.to_string(),
    )
}

/// A 200 that streams lines.
pub(crate) fn lines(lines: &[Value]) -> Answer {
    let ended = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]);
    let text: String = ended.collect();
    vec![send(STREAM_HEAD), send(&text)]
}

/// An answer with any status, headers and body.
pub(crate) fn status(line: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    vec![send(&format!(
        "HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))]
}

/// A server, which lives as long as its test.
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts a server that answers as `answer` says.
    pub(crate) async fn answering(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let (listener, url) = listen().await;
        let asked = Arc::default();
        let log: Arc<Mutex<Vec<Asked>>> = Arc::clone(&asked);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    let kept = CONTRACT.request(&request.method, &request.path, &request.body);
                    let steps = match kept {
                        Ok(()) => answer(&request),
                        Err(fault) => status("418 Broken", "", &fault),
                    };
                    log.lock().unwrap().push(request);
                    take_steps(&mut stream, steps).await;
                });
            }
        });
        Self { url, asked }
    }

    /// Returns the paths that were asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|asked| asked.path.clone())
            .collect()
    }
}

/// Starts a server that plays a script, and returns its address.
pub(crate) async fn playing(script: Script) -> String {
    let (listener, url) = listen().await;
    let model = Arc::new(ScriptedLlm::new("script", script));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let model = Arc::clone(&model);
            tokio::spawn(async move {
                if let Some(request) = read_request(&mut stream).await {
                    // A client that has gone is the client's affair.
                    let _ = play(&mut stream, &*model, &request).await;
                }
            });
        }
    });
    url
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn take_steps(stream: &mut TcpStream, steps: Answer) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                // So that the pieces do not grow together on their way.
                stream.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Hang => std::future::pending().await,
            Step::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
        }
    }
}

async fn play(stream: &mut TcpStream, model: &dyn Llm, request: &Asked) -> std::io::Result<()> {
    let kept = CONTRACT.request(&request.method, &request.path, &request.body);
    let refused = |line: &str, words: &str| status(line, "", &json!({ "error": words }).to_string());
    if let Err(fault) = kept {
        take_steps(stream, refused("418 Broken", &fault)).await;
        return Ok(());
    }
    let mut reply = match model.chat(request_of(&request.body)).await {
        Ok(reply) => reply,
        Err(error) => {
            let line = match error {
                LlmError::Busy { .. } => "503 Busy",
                _ => "400 No",
            };
            take_steps(stream, refused(line, &error.to_string())).await;
            return Ok(());
        }
    };
    stream.write_all(STREAM_HEAD.as_bytes()).await?;
    let mut tokens = None;
    while let Some(delta) = reply.next().await {
        let Ok(delta) = delta else { return Ok(()) };
        let mut line = json!({
            "model": request.body["model"], "created_at": "2026-11-27T12:00:00.5Z",
            "message": {"role": "assistant", "content": ""}, "done": false,
        });
        match delta {
            Delta::Text(text) => line["message"]["content"] = json!(text),
            Delta::Thinking(text) => line["message"]["thinking"] = json!(text),
            Delta::ToolCall(call) => {
                let arguments = serde_json::from_str(&call.arguments).unwrap_or(json!(call.arguments));
                line["message"]["tool_calls"] = json!([{
                    "id": call.id, "function": {"index": 0, "name": call.name, "arguments": arguments},
                }]);
            }
            Delta::Usage(counted) => {
                tokens = Some(counted);
                continue;
            }
            Delta::End(end) => {
                line["done"] = json!(true);
                line["done_reason"] = json!(if end == EndReason::Length {
                    "length"
                } else {
                    "stop"
                });
                line["total_duration"] = json!(174_560_334);
                if let Some(tokens) = tokens {
                    line["prompt_eval_count"] = json!(tokens.prompt);
                    line["eval_count"] = json!(tokens.completion);
                }
            }
        }
        // Arguments that are no object are what servers send, and not what they promise.
        let is_promised = line["message"]["tool_calls"][0]["function"]["arguments"]
            .as_str()
            .is_none();
        if let (true, Err(fault)) = (is_promised, CONTRACT.reply(&request.path, &line)) {
            line = json!({ "error": fault });
        }
        stream.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}

fn request_of(body: &Value) -> ChatRequest {
    let messages = body["messages"].as_array().unwrap().iter().map(|message| {
        let role: Role = serde_json::from_value(message["role"].clone()).unwrap();
        Message::new(role, message["content"].as_str().unwrap())
    });
    ChatRequest {
        messages: messages.collect(),
        ..ChatRequest::default()
    }
}

/// Reads a request; none if the client has gone.
async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_end = loop {
        let count = stream.read(&mut buffer).await.ok().filter(|&count| count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    while bytes.len() < head_end + length {
        let count = stream.read(&mut buffer).await.ok().filter(|&count| count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
    let mut words = head.split(' ').map(str::to_owned);
    Some(Asked {
        method: words.next().unwrap(),
        path: words.next().unwrap(),
        body: match &bytes[head_end..] {
            [] => Value::Null,
            body => serde_json::from_slice(body).unwrap(),
        },
    })
}
