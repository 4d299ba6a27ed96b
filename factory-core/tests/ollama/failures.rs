//! Failures of a chat: what a caller can act on, and that none takes for ever.

use std::time::Duration;

use factory_core::llm::server::Bounds;
use factory_core::llm::{Llm, LlmError};
use serde_json::json;

use crate::chat::{ask_within, full_request, read, request, says};
use crate::contract::CONTRACT;
use crate::server::{Answer, Fake, STREAM_HEAD, Step, lines, send, status};
use crate::{SHORT, at, model_at, told};

/// Asks, and compares the error and whether another try may help.
async fn check_error(answer: Answer, expect: &str, is_transient: bool) {
    let fake = Fake::answering(move |_| answer.clone()).await;
    let error = read(&model_at(&fake.url), request()).await.unwrap_err();
    assert_eq!(
        (told(&error, &fake.url).as_str(), error.is_transient()),
        (expect, is_transient)
    );
}

/// A failure as the server reports it.
fn failure(line: &str, words: &str) -> Answer {
    status(
        line,
        "content-type: application/json; charset=utf-8\r\n",
        &json!({ "error": words }).to_string(),
    )
}

#[tokio::test]
async fn a_reply_that_is_none_is_told_apart() {
    let unusable = "the reply of SERVER is unusable";
    for (answer, expect) in [
        (lines(&[]), "the stream ended before the reply was whole"),
        (lines(&[says("a")]), "the stream ended before the reply was whole"),
        (
            lines(&[
                says("a"),
                json!({"error": "an error was encountered while running the model"}),
            ]),
            "the server reports a failure: an error was encountered while running the model",
        ),
        (
            vec![send(STREAM_HEAD), send("{\"done\"\n")],
            "a line of the stream is no JSON: EOF while parsing an object at line 1 column 7",
        ),
        (
            status("200 OK", "content-type: text/html\r\n", "<html>"),
            "it is text/html where application/x-ndjson was asked for",
        ),
        (
            failure("200 OK", "something else"),
            "the server reports a failure: something else",
        ),
    ] {
        check_error(answer, &format!("{unusable}: {expect}"), true).await;
    }
}

/// The words of the server's own for a prompt that does not fit.
const TOO_LONG: &str = "the prompt is longer than the context length currently available to the model; shorten the prompt, \
                        adjust the context length in settings, or use a model with a longer context length";

/// Asks a server that fails with a status and words, and compares.
async fn check_failure(line: &str, words: &str, expect: &str, is_transient: bool) {
    CONTRACT.reply("/api/chat", &json!({ "error": words })).unwrap();
    check_error(failure(line, words), expect, is_transient).await;
}

#[tokio::test]
async fn a_model_that_is_not_there_is_to_be_fetched() {
    let absent = "the model `ollama:small`: SERVER does not have it; fetch it with `ollama pull small` or \
                  `factory models pull small`";
    for words in [
        "model 'small' not found",
        "model \"small\" not found, try pulling it first",
    ] {
        check_failure("404 Not Found", words, absent, false).await;
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_told_as_such() {
    let overflow = |words: &str| format!("the prompt does not fit the model's window: {words}");
    check_failure("400 Bad Request", TOO_LONG, &overflow(TOO_LONG), false).await;
    let below = "the request exceeds the available context size. try increasing the context size";
    let report = json!({"error": {
        "code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 64_010, "n_ctx": 64_000, "message": below,
    }});
    check_failure("400 Bad Request", &report.to_string(), &overflow(below), false).await;
    check_error(
        lines(&[says("a"), json!({ "error": TOO_LONG })]),
        &overflow(TOO_LONG),
        false,
    )
    .await;
}

#[tokio::test]
async fn what_the_server_will_never_do_is_a_refusal() {
    for (line, words) in [
        ("400 Bad Request", "\"small\" does not support thinking"),
        (
            "400 Bad Request",
            "registry.ollama.ai/library/small does not support tools",
        ),
        ("403 Forbidden", "cloud is disabled"),
        ("500 Internal Server Error", "no user query found in messages"),
        (
            "500 Internal Server Error",
            "template: :1:70: executing \"\" at <index .Messages 9>: error calling index",
        ),
    ] {
        let expect = format!("SERVER refused the request ({}): {words}", &line[..3]);
        check_failure(line, words, &expect, false).await;
    }
    check_error(
        status(
            "401 Unauthorized",
            "",
            r#"{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=x"}"#,
        ),
        "SERVER refused the request (401): unauthorized; sign in at https://ollama.com/connect?name=x",
        false,
    )
    .await;
}

#[tokio::test]
async fn what_may_pass_is_worth_another_try() {
    for (line, words) in [
        ("499 Client Closed Request", "request canceled"),
        (
            "503 Service Unavailable",
            "server busy, please try again.  maximum pending requests exceeded",
        ),
        ("502 Bad Gateway", "upstream unreachable"),
        (
            "500 Internal Server Error",
            "model runner has unexpectedly stopped",
        ),
    ] {
        let expect = format!("SERVER is busy: {} {words}", &line[..3]);
        check_failure(line, words, &expect, true).await;
    }
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let busy = status("503 Busy", "retry-after: 7\r\n", r#"{"error":"server busy"}"#);
    let fake = Fake::answering(move |_| busy.clone()).await;
    let Err(LlmError::Busy { retry_after, .. }) = model_at(&fake.url).chat(request()).await else {
        panic!("the server is busy");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn the_server_may_fail_once_at_a_request_and_not_twice() {
    for answer in [
        failure("500 No", "llama runner process has terminated"),
        lines(&[says("a"), json!({"error": "llama runner process has terminated"})]),
    ] {
        let fake = Fake::answering(move |_| answer.clone()).await;
        let model = model_at(&fake.url);
        let mut is_transient = Vec::new();
        for request in [request(), full_request(), request(), request()] {
            is_transient.push(read(&model, request).await.unwrap_err().is_transient());
        }
        assert_eq!(is_transient, [true, true, false, true]);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_to_be_started() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let expect = "cannot reach the model server at SERVER: no Ollama server answers there; start it with `ollama serve`, \
                  or give the address at which it listens";
    let model = model_at(&url);
    for error in [
        model.chat(request()).await.err().unwrap(),
        model.prepare(&|_| ()).await.unwrap_err(),
        model.server().tags().await.unwrap_err(),
    ] {
        assert_eq!(
            (told(&error, &url).as_str(), error.is_transient()),
            (expect, true)
        );
    }
}

#[tokio::test]
async fn every_wait_and_every_length_has_an_end() {
    let passed = "SERVER passed a bound";
    let bounds = at("http://x").bounds;
    let first_byte = Bounds {
        first_byte: SHORT,
        ..bounds
    };
    let idle = Bounds {
        idle: SHORT,
        ..bounds
    };
    let late = |what: &str| Err(format!("{passed}: {what} did not come within 200ms"));
    assert_eq!(
        ask_within(first_byte, vec![Step::Hang]).await,
        late("the first byte")
    );
    assert_eq!(
        ask_within(first_byte, vec![send(STREAM_HEAD), Step::Hang]).await,
        late("the first byte")
    );
    assert_eq!(
        ask_within(idle, [lines(&[says("a")]), vec![Step::Hang]].concat()).await,
        late("more of the reply")
    );
    let endless = |text: &str| vec![send(STREAM_HEAD), Step::Endless(text.as_bytes().repeat(100))];
    check_error(
        endless("xxxxxxxxxx"),
        &format!("{passed}: a line of the stream is longer than 4096 bytes"),
        true,
    )
    .await;
    check_error(
        endless(&format!("{}\n", says("a"))),
        &format!("{passed}: the reply is longer than 65536 bytes"),
        true,
    )
    .await;
    let calls = json!({"message": {"tool_calls": vec![json!({}); 60]}, "done": false});
    check_error(
        lines(&vec![calls; 3]),
        &format!("{passed}: the reply asks for more than 128 tool calls"),
        true,
    )
    .await;
}
