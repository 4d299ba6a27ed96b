//! The models behind their trait: the conformance suite for each, and what real servers do on a real socket.

#![expect(
    clippy::unwrap_used,
    reason = "the servers of a test may fail it wherever they stand"
)]

#[path = "llm/anthropic.rs"]
mod anthropic;
#[path = "llm/openai_discovery.rs"]
mod openai_discovery;
#[path = "llm/real_server.rs"]
mod real_server;
#[path = "llm/server.rs"]
mod server;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factory_core::llm::conformance::LlmHarness;
use factory_core::llm::openai::{OpenAiConfig, OpenAiLlm};
use factory_core::llm::scripted::{Script, ScriptedLlm};
use factory_core::llm::server::{BaseUrl, Bounds, Secret, Server};
use factory_core::llm::{ChatRequest, Delta, EndReason, Llm, LlmError, Message, Role, TokenCount};
use factory_core::llm_conformance;
use futures_util::StreamExt;

use self::server::{STREAM_HEAD, Step};

struct Scripted;

#[async_trait]
impl LlmHarness for Scripted {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        Arc::new(ScriptedLlm::new("script", script))
    }
}

struct OpenAi;

#[async_trait]
impl LlmHarness for OpenAi {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        let address = server::playing(script).await;
        Arc::new(
            OpenAiLlm::new(OpenAiConfig::new(
                "test",
                at(&format!("http://{address}")),
                "small",
            ))
            .unwrap(),
        )
    }
}

llm_conformance!(scripted, Scripted);
llm_conformance!(openai, OpenAi);

/// The server at an address.
fn at(url: &str) -> Server {
    Server::new(BaseUrl::parse(url).unwrap())
}

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::new(Role::User, "go")],
        max_tokens: 10,
        ..ChatRequest::default()
    }
}

/// Lengths that a test can pass. The waits are those of everyday, so that a slow machine passes none by accident.
fn small_bounds() -> Bounds {
    Bounds {
        line_bytes: 4096,
        reply_bytes: 65_536,
        ..Bounds::default()
    }
}

/// A wait that a test can sit out, for where nothing will come.
const SHORT: Duration = Duration::from_millis(200);

/// Asks a server that answers with the steps. Its origin is called SERVER in what comes back.
async fn ask(steps: Vec<Step>) -> Result<Vec<Delta>, String> {
    ask_within(small_bounds(), steps).await
}

async fn ask_within(bounds: Bounds, steps: Vec<Step>) -> Result<Vec<Delta>, String> {
    let (address, _) = server::canned(steps).await;
    let server = Server {
        bounds,
        key: Some(Secret::new("sk-very-secret")),
        ..at(&format!("http://{address}/v1/"))
    };
    let config = OpenAiConfig::new("test", server, "small");
    let named = |error: &LlmError| error.to_string().replace(&format!("http://{address}"), "SERVER");
    let model = OpenAiLlm::new(config).unwrap();
    let mut stream = model.chat(request()).await.map_err(|error| named(&error))?;
    let mut deltas = Vec::new();
    while let Some(delta) = stream.next().await {
        deltas.push(delta.map_err(|error| named(&error))?);
    }
    Ok(deltas)
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// A 200 that streams the text and closes.
fn stream(text: &str) -> Vec<Step> {
    vec![Step::Send(STREAM_HEAD.to_vec()), send(text)]
}

fn status(line: &str, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![send(&format!(
        "HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))]
}

async fn check_error(steps: Vec<Step>, expect: &str) {
    assert_eq!(ask(steps).await, Err(expect.to_owned()));
}

const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test]
async fn the_request_is_for_this_origin_with_its_key() {
    let (address, asked) = server::canned(stream(&format!("{FINISH}data: [DONE]\n\n"))).await;
    let server = Server {
        key: Some(Secret::new("sk-very-secret\n")),
        ..at(&format!("http://{address}"))
    };
    let config = OpenAiConfig {
        context_window: Some(4096),
        ..OpenAiConfig::new("mine", server, "small")
    };
    let model = OpenAiLlm::new(config).unwrap();
    assert!(!format!("{model:?}").contains("very-secret"), "{model:?}");
    assert_eq!(
        (model.name(), model.capabilities().context_window()),
        ("mine", Some(4096))
    );
    assert_eq!(model.chat(request()).await.unwrap().count().await, 1);
    let asked = asked.lock().unwrap();
    let (head, body) = &asked[0];
    assert!(
        head.starts_with("post /v1/chat/completions http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nauthorization: bearer sk-very-secret\r\n"),
        "{head}"
    );
    assert_eq!(
        *body,
        serde_json::json!({
            "model": "small",
            "messages": [{"role": "user", "content": "go"}],
            "max_tokens": 10,
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[tokio::test]
async fn a_reply_may_be_cut_anywhere_on_its_way() {
    let text = concat!(
        ": ping\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"grün 🎈\"}}]}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"choices\":[],\r\n",
        "data: \"usage\":{\"prompt_tokens\":1}}\r\n\r\n",
    );
    let mut steps = vec![Step::Send(STREAM_HEAD.to_vec())];
    steps.extend(text.as_bytes().chunks(3).map(|piece| Step::Send(piece.to_vec())));
    assert_eq!(
        ask(steps).await,
        Ok(vec![
            Delta::Text("grün 🎈".to_owned()),
            Delta::Usage(TokenCount {
                prompt: Some(1),
                ..TokenCount::default()
            }),
            Delta::End(EndReason::Stop),
        ])
    );
}

#[tokio::test]
async fn the_end_needs_no_mark_and_no_closed_connection() {
    let end = Ok(vec![Delta::End(EndReason::Stop)]);
    assert_eq!(ask(stream(FINISH)).await, end);
    assert_eq!(ask(stream(FINISH.trim_end())).await, end);
    let bounds = Bounds {
        idle: SHORT,
        ..small_bounds()
    };
    assert_eq!(
        ask_within(bounds, [stream(FINISH), vec![Step::Hang]].concat()).await,
        end
    );
    assert_eq!(
        ask([stream(&format!("{FINISH}data: [DONE]\n\n")), vec![Step::Hang]].concat()).await,
        end
    );
    // The connection breaks before the promised length is there.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    assert_eq!(ask(vec![send(head), send(FINISH)]).await, end);
}

#[tokio::test]
async fn a_reply_that_is_none_is_told_apart() {
    let unusable = "the reply of SERVER is unusable";
    check_error(
        stream(""),
        &format!("{unusable}: the stream ended before the reply was whole"),
    )
    .await;
    check_error(
        stream("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"),
        &format!("{unusable}: the stream ended before the reply was whole"),
    )
    .await;
    check_error(
        stream("data: {\"error\":{\"message\":\"the model fell over\"}}\n\n"),
        &format!("{unusable}: the server reports a failure: the model fell over"),
    )
    .await;
    check_error(
        status("200 OK", "content-type: text/html\r\n", "<html>"),
        &format!("{unusable}: it is text/html where text/event-stream was asked for"),
    )
    .await;
    check_error(
        status(
            "200 OK",
            "content-type: application/json\r\n",
            r#"{"error":"no such model"}"#,
        ),
        &format!("{unusable}: the server reports a failure: no such model"),
    )
    .await;
}

#[tokio::test]
async fn failures_are_what_a_caller_can_act_on() {
    check_error(
        status("503 Busy", "", r#"{"error":{"message":"loading"}}"#),
        "SERVER is busy: 503 loading",
    )
    .await;
    check_error(
        status("500 No", "", "oops\n\u{1b}[31m"),
        "SERVER is busy: 500 oops  [31m",
    )
    .await;
    check_error(
        status("429 Slow", "", ""),
        "SERVER is busy: 429 (it says nothing more)",
    )
    .await;
    check_error(
        status(
            "401 No",
            "",
            r#"{"error":{"message":"wrong key sk-very-secret"}}"#,
        ),
        "SERVER refused the request (401): wrong key [key]",
    )
    .await;
    check_error(
        status(
            "400 No",
            "",
            r#"{"error":{"message":"too many tokens","type":"exceed_context_size_error"}}"#,
        ),
        "the prompt does not fit the model's window: too many tokens",
    )
    .await;
    check_error(
        status("307 There", "location: http://127.0.0.1:1/\r\n", ""),
        "SERVER refused the request (307): it redirects, which is not followed; give the address that it redirects to",
    )
    .await;
    check_error(
        stream("data: {\"error\":{\"message\":\"queue\",\"code\":503}}\n\n"),
        "SERVER is busy: 503 queue",
    )
    .await;
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let (address, _) = server::canned(status("429 Slow", "retry-after: 7\r\n", "later")).await;
    let model = OpenAiLlm::new(OpenAiConfig::new(
        "test",
        at(&format!("http://{address}")),
        "small",
    ))
    .unwrap();
    let Err(LlmError::Busy { retry_after, .. }) = model.chat(request()).await else {
        panic!("the server is busy");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn every_wait_and_every_length_has_an_end() {
    let passed = "SERVER passed a bound";
    let bounds = Bounds {
        first_byte: SHORT,
        ..small_bounds()
    };
    let late = Err(format!("{passed}: the first byte did not come within 200ms"));
    assert_eq!(ask_within(bounds, vec![Step::Hang]).await, late);
    assert_eq!(
        ask_within(bounds, vec![Step::Send(STREAM_HEAD.to_vec()), Step::Hang]).await,
        late
    );
    let bounds = Bounds {
        idle: SHORT,
        ..small_bounds()
    };
    let late = Err(format!("{passed}: more of the reply did not come within 200ms"));
    assert_eq!(
        ask_within(bounds, [stream(": ping\n\n"), vec![Step::Hang]].concat()).await,
        late
    );
    check_error(
        [stream("data: "), vec![Step::Endless(vec![b'x'; 1000])]].concat(),
        &format!("{passed}: a line of the stream is longer than 4096 bytes"),
    )
    .await;
    check_error(
        [stream(""), vec![Step::Endless(b": ping\n\n".repeat(100))]].concat(),
        &format!("{passed}: the reply is longer than 65536 bytes"),
    )
    .await;
    let call = r#"{"function":{"name":"f","arguments":{}}}"#;
    let calls = vec![call; 40].join(",");
    let calls = format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{calls}]}}}}]}}\n\n");
    check_error(
        stream(&calls.repeat(4)),
        &format!("{passed}: the reply asks for more than 128 tool calls"),
    )
    .await;
}

#[tokio::test]
async fn an_endless_error_is_read_only_so_far() {
    let head = "HTTP/1.1 400 No\r\nconnection: close\r\n\r\n";
    let error = ask(vec![send(head), Step::Endless(vec![b'x'; 1000])])
        .await
        .unwrap_err();
    assert_eq!(
        error
            .strip_prefix("SERVER refused the request (400): ")
            .unwrap()
            .chars()
            .count(),
        601
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let model = OpenAiLlm::new(OpenAiConfig::new(
        "test",
        at(&format!("http://{address}")),
        "small",
    ))
    .unwrap();
    let error = model.chat(request()).await.err().unwrap();
    assert!(error.is_transient() && error.source().is_some());
    assert_eq!(
        error.to_string(),
        format!("cannot reach the model server at http://{address}")
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (url, model, key, expect) in [
        (
            "http://a:b@host",
            "m",
            "k",
            "its address holds credentials; give the key apart from the address",
        ),
        (
            "ftp://host",
            "m",
            "k",
            "its address must begin with http:// or https://",
        ),
        (
            "host",
            "m",
            "k",
            "its address is no URL: relative URL without a base",
        ),
        (
            "http://host/v1?a=b",
            "m",
            "k",
            "its address must end with the path, without ? and #",
        ),
        (
            "http://host",
            " ",
            "k",
            "it names no model; write the name that the server knows",
        ),
        (
            "http://host",
            "m",
            "a\nb",
            "its key holds characters that no HTTP header can carry",
        ),
    ] {
        let refused = match BaseUrl::parse(url) {
            Err(detail) => detail,
            Ok(base) => {
                let server = Server {
                    key: Some(Secret::new(key)),
                    ..Server::new(base)
                };
                let error = OpenAiLlm::new(OpenAiConfig::new("test", server, model)).unwrap_err();
                assert!(!error.is_transient());
                error.to_string()
            }
        };
        assert!(refused.ends_with(expect), "{refused}");
    }
}
