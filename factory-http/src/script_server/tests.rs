//! The script server as a client sees it, and what its log says afterwards.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use factory_core::llm::conformance::LlmHarness;
use factory_core::llm::openai::{OpenAiConfig, OpenAiLlm};
use factory_core::llm::scripted::{FailureKind, Script, ScriptReply, ScriptedLlm};
use factory_core::llm::server::{BaseUrl, Server};
use factory_core::llm::{Message, Role};
use factory_core::llm_conformance;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;

async fn start(script: Script, log: Option<PathBuf>) -> SocketAddr {
    let (sender, address) = oneshot::channel();
    let model = Arc::new(ScriptedLlm::new("script", script));
    let listen = "127.0.0.1:0".parse().unwrap();
    tokio::spawn(serve(listen, model, log, |address| sender.send(address).unwrap()));
    address.await.unwrap()
}

fn client(address: SocketAddr) -> OpenAiLlm {
    let server = Server::new(BaseUrl::parse(&format!("http://{address}")).unwrap());
    OpenAiLlm::new(OpenAiConfig::new("test", server, "any")).unwrap()
}

struct OverHttp;

#[async_trait]
impl LlmHarness for OverHttp {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        Arc::new(client(start(script, None).await))
    }
}

llm_conformance!(over_http, OverHttp);

fn request(messages: &[(Role, &str)]) -> ChatRequest {
    ChatRequest {
        messages: messages
            .iter()
            .map(|(role, text)| Message::new(*role, *text))
            .collect(),
        max_tokens: 10,
        ..ChatRequest::default()
    }
}

/// Returns the log's lines without the time, which no two runs share.
fn log_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            assert!(line["at_ms"].take().is_u64());
            line.as_object_mut().unwrap().remove("at_ms");
            line
        })
        .collect()
}

/// Waits until the log has as many lines.
async fn log_of(path: &Path, lines: usize) -> Vec<Value> {
    let wait = async {
        loop {
            let log = log_lines(path);
            if log.len() >= lines {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // So long that only a line that never comes can pass it.
    let result = tokio::time::timeout(Duration::from_mins(1), wait).await;
    result.unwrap_or_else(|_| panic!("there are no {lines} lines, but {:#?}", log_lines(path)))
}

/// The number, event and turn of each line.
fn events(lines: &[Value]) -> Vec<(u64, String, u64)> {
    let number = |line: &Value, field: &str| line[field].as_u64().unwrap();
    let event = |line: &Value| line["event"].as_str().unwrap().to_owned();
    lines
        .iter()
        .map(|line| (number(line, "n"), event(line), number(line, "turn")))
        .collect()
}

/// Sends a request's head and body and returns all that comes back.
async fn exchange(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let text =
        format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn what_was_asked_and_answered_is_in_the_log_when_the_reply_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = Script::new()
        .reply(ScriptReply::text("one").tokens(1, 2))
        .reply(ScriptReply::text("two"));
    let model = client(start(script, Some(log.clone())).await);
    let wordy = "ä".repeat(300);
    for messages in [
        &[(Role::User, "go")][..],
        &[(Role::Assistant, "one"), (Role::User, &wordy)],
    ] {
        collect(model.chat(request(messages)).await.unwrap(), "test", |_| {})
            .await
            .unwrap();
    }
    let line = |event: &str, n: u64, last: &str, hash: &str| json!({"event": event, "n": n, "turn": n - 1, "messages": n, "last": last, "prompt_sha256": hash});
    let shortened = format!("{}…", "ä".repeat(200));
    let lines = log_lines(&log);
    let hashes: Vec<&str> = lines
        .iter()
        .map(|line| line["prompt_sha256"].as_str().unwrap())
        .collect();
    // The SHA-256 of {"messages":[{"content":"go","role":"user"}],"tools":[]}.
    let first = "2b7c63d557f734cfcf0fb46c906466dd42d8c05b0250f5b354c3571d7efd3921";
    assert_eq!(
        lines,
        [
            line("asked", 1, "go", first),
            line("answered", 1, "go", first),
            line("asked", 2, &shortened, hashes[2]),
            line("answered", 2, &shortened, hashes[2]),
        ]
    );
    assert_ne!(hashes[0], hashes[2]);
}

#[tokio::test]
async fn a_client_that_goes_is_a_cut_whether_it_waits_or_reads() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = Script::new()
        .reply(ScriptReply::text("never").delays(3_600_000, 0))
        .reply(ScriptReply::text("x".repeat(100)).delays(0, 3_600_000));
    let model = client(start(script, Some(log.clone())).await);
    drop(model.chat(request(&[(Role::User, "go")])).await.unwrap());
    let cut = |n, turn| [(n, "asked".to_owned(), turn), (n, "cut".to_owned(), turn)];
    assert_eq!(events(&log_of(&log, 2).await), cut(1, 0));
    let mut stream = model.chat(request(&[(Role::Assistant, "")])).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Delta::Text(_)))));
    drop(stream);
    assert_eq!(events(&log_of(&log, 4).await)[2..], cut(2, 1));
}

#[tokio::test]
async fn a_client_that_goes_before_the_head_is_a_cut() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = Script::new().reply(ScriptReply::text("never").delays(3_600_000, 0));
    let address = start(script, Some(log.clone())).await;
    let body = r#"{"messages":[]}"#;
    let exchange = tokio::spawn(async move { exchange(address, "POST /v1/chat/completions", body).await });
    log_of(&log, 1).await;
    exchange.abort();
    assert_eq!(events(&log_of(&log, 2).await)[1], (1, "cut".to_owned(), 0));
}

#[tokio::test]
async fn failures_are_no_answers() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = Script::new()
        .reply(ScriptReply::text("x").fail_always(FailureKind::Busy))
        .reply(ScriptReply::text("x".repeat(100)).fail_always(FailureKind::Broken));
    let model = client(start(script, Some(log.clone())).await);
    assert!(matches!(
        model.chat(request(&[])).await,
        Err(LlmError::Busy { .. })
    ));
    let stream = model.chat(request(&[(Role::Assistant, "")])).await.unwrap();
    assert!(collect(stream, "test", |_| {}).await.is_err());
    let lines = log_lines(&log);
    assert_eq!(
        events(&lines),
        [
            (1, "asked", 0),
            (1, "failed", 0),
            (2, "asked", 1),
            (2, "failed", 1)
        ]
        .map(|(n, event, turn)| (n, event.to_owned(), turn))
    );
    assert_eq!(lines[1]["detail"], "script is busy: reply 1 is told to be busy");
}

#[tokio::test]
async fn a_reply_may_come_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let reply = ScriptReply::tool_call("f", json!({})).thinking("hm").tokens(1, 2);
    let address = start(Script::new().reply(reply), Some(log.clone())).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"go"}]}]}"#;
    let reply = exchange(address, "POST /v1/chat/completions", body).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    // Two chunks: all but the last byte, and the last byte.
    let chunks: Vec<&str> = reply.split("\r\n\r\n").nth(1).unwrap().split("\r\n").collect();
    let body: Value = serde_json::from_str(&format!("{}{}", chunks[1], chunks[3])).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "script",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "", "reasoning_content": "hm",
                "tool_calls": [{"id": "call-1-0", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            }}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        })
    );
    let lines = log_lines(&log);
    assert_eq!(
        (lines.len(), &lines[1]["event"], &lines[1]["last"]),
        (2, &json!("answered"), &json!("go"))
    );
}

#[tokio::test]
async fn the_model_is_listed_and_nonsense_is_refused() {
    let address = start(Script::new().reply(ScriptReply::text("x")), None).await;
    let reply = exchange(address, "GET /v1/models", "").await;
    let list = r#"{"data":[{"aliases":["script"],"id":"script","object":"model","owned_by":"script"}],"object":"list"}"#;
    assert!(reply.ends_with(list), "{reply}");
    for (body, expect) in [
        ("{", "the body is no request: EOF"),
        (
            r#"{"messages":[{"role":"boss"}]}"#,
            r#"no message can have the role \"boss\""#,
        ),
    ] {
        let reply = exchange(address, "POST /v1/chat/completions", body).await;
        assert!(
            reply.starts_with("HTTP/1.1 400 ") && reply.contains(expect),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told_before_serving() {
    let model = Arc::new(ScriptedLlm::new("script", Script::new()));
    let listen = "127.0.0.1:0".parse().unwrap();
    let error = serve(listen, model, Some("/nowhere/log".into()), |_| {
        panic!("it must not serve")
    })
    .await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot open the request log /nowhere/log: "),
        "{error}"
    );
}
