//! The models of a server: listed, shown, fetched, removed, completed with.

use std::sync::Mutex;

use factory_core::llm::ollama::{
    GenerateRequest, InstalledModel, KeepAlive, LoadedModel, ModelBuild, Ollama, PullProgress,
};
use factory_core::llm::server::Bounds;
use factory_core::llm::{Delta, EndReason};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::contract::CONTRACT;
use crate::server::{Answer, Fake, STREAM_HEAD, Step, lines, send, status, whole};
use crate::{SHORT, at, told, within};

fn client(fake: &Fake) -> Ollama {
    Ollama::new(&at(&fake.url)).unwrap()
}

async fn answering(answer: Answer) -> Fake {
    Fake::answering(move |_| answer.clone()).await
}

/// A sample that is as the contract has it.
fn sample(path: &str, answer: Value) -> Value {
    CONTRACT.reply(path, &answer).unwrap();
    answer
}

#[tokio::test]
async fn the_models_of_a_server_are_listed() {
    let details = json!({
        "format": "gguf", "family": "gemma4", "families": ["gemma4"], "parameter_size": "8.0B",
        "quantization_level": "Q4_K_M",
    });
    let tags = sample(
        "/api/tags",
        json!({"models": [
            {
                "name": "gemma4:latest", "model": "gemma4:latest", "modified_at": "2025-10-03T23:34:03.409490317-07:00",
                "size": 9_608_350_245_u64, "digest": "c6eb396dbd59", "details": details, "capabilities": ["completion"],
            },
            {"name": "big:cloud", "remote_host": "https://ollama.com", "size": 384},
        ]}),
    );
    let fake = answering(whole(&tags)).await;
    assert_eq!(
        client(&fake).tags().await.unwrap(),
        [
            InstalledModel {
                name: "gemma4:latest".to_owned(),
                size: Some(9_608_350_245),
                digest: Some("c6eb396dbd59".to_owned()),
                modified_at: Some("2025-10-03T23:34:03.409490317-07:00".to_owned()),
                build: ModelBuild {
                    family: Some("gemma4".to_owned()),
                    parameter_size: Some("8.0B".to_owned()),
                    quantization: Some("Q4_K_M".to_owned()),
                },
                context_length: None,
                capabilities: Some(vec!["completion".to_owned()]),
                remote_host: None,
            },
            InstalledModel {
                name: "big:cloud".to_owned(),
                size: Some(384),
                remote_host: Some("https://ollama.com".to_owned()),
                ..InstalledModel::default()
            },
        ]
    );

    let loaded = sample(
        "/api/ps",
        json!({"models": [{
            "name": "gemma4:latest", "size": 6_591_830_464_u64, "size_vram": 5_333_539_264_u64,
            "expires_at": "2025-10-17T16:47:07.93355-07:00", "context_length": 4096,
        }]}),
    );
    let fake = answering(whole(&loaded)).await;
    let expect = LoadedModel {
        name: "gemma4:latest".to_owned(),
        size: Some(6_591_830_464),
        size_vram: Some(5_333_539_264),
        context_length: Some(4096),
        expires_at: Some("2025-10-17T16:47:07.93355-07:00".to_owned()),
    };
    let client = client(&fake);
    assert_eq!(client.ps().await.unwrap(), std::slice::from_ref(&expect));
    assert_eq!(client.loaded("gemma4").await.unwrap(), Some(expect));
    assert_eq!(client.loaded("gemma4:2b").await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_told() {
    let unusable = "the reply of SERVER is unusable";
    for (answer, expect) in [
        (
            status("200 OK", "", "{"),
            format!(
                "{unusable}: the answer at /api/tags is no JSON: EOF while parsing an object at line 1 column 1"
            ),
        ),
        (
            whole(&json!({"error": "the disk is full"})),
            format!("{unusable}: the server reports a failure: the disk is full"),
        ),
        (
            vec![send("HTTP/1.1 200 OK\r\n\r\n"), Step::Endless(vec![b' '; 65_536])],
            "SERVER passed a bound: the answer is longer than 4194304 bytes".to_owned(),
        ),
        (
            vec![Step::Hang],
            "SERVER passed a bound: the answer did not come within 200ms".to_owned(),
        ),
    ] {
        let waits_in_vain = matches!(answer[0], Step::Hang);
        let fake = answering(answer).await;
        let mut server = at(&fake.url);
        if waits_in_vain {
            server.bounds.idle = SHORT;
        }
        let error = Ollama::new(&server).unwrap().tags().await.unwrap_err();
        assert_eq!(told(&error, &fake.url), expect);
    }
}

#[tokio::test]
async fn a_model_is_removed_and_unloaded_by_its_name() {
    let fake = answering(status("200 OK", "", "")).await;
    client(&fake).delete("small").await.unwrap();
    client(&fake).unload("small").await.unwrap();
    let sent: Vec<(String, String, Value)> = fake
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|asked| (asked.method.clone(), asked.path.clone(), asked.body.clone()))
        .collect();
    let unload = json!({"model": "small", "messages": [], "stream": false, "keep_alive": 0});
    assert_eq!(
        sent,
        [
            (
                "DELETE".to_owned(),
                "/api/delete".to_owned(),
                json!({"model": "small"})
            ),
            ("POST".to_owned(), "/api/chat".to_owned(), unload),
        ]
    );

    let fake = answering(status("404 No", "", r#"{"error":"model 'small' not found"}"#)).await;
    let expect = "the model `small`: SERVER does not have it; fetch it with `ollama pull small` or \
                  `factory models pull small`";
    let client = client(&fake);
    for error in [
        client.delete("small").await.unwrap_err(),
        client.show("small").await.unwrap_err(),
        client.load("small", None, KeepAlive::AsServer).await.unwrap_err(),
    ] {
        assert_eq!(told(&error, &fake.url), expect);
    }
    let error = client.delete(" ").await.unwrap_err();
    assert_eq!(
        told(&error, &fake.url),
        "the model `SERVER`: no model is named; `ollama list` shows the names"
    );
}

/// Pulls from a server that answers so, and returns what was told of the progress.
async fn pull(answer: Answer) -> (Vec<PullProgress>, Result<(), String>) {
    let fake = answering(answer).await;
    let told_so_far = Mutex::new(Vec::new());
    let result = client(&fake)
        .pull("small", &|progress| {
            told_so_far.lock().unwrap().push(progress.clone());
        })
        .await;
    assert_eq!(
        fake.asked.lock().unwrap()[0].body,
        json!({"model": "small", "stream": true})
    );
    (
        told_so_far.into_inner().unwrap(),
        result.map_err(|error| told(&error, &fake.url)),
    )
}

fn state(status: &str) -> Value {
    sample("/api/pull", json!({ "status": status }))
}

#[tokio::test]
async fn a_download_tells_how_far_it_is() {
    let part = json!({"status": "pulling 1234", "digest": "sha256:1234", "total": 100, "completed": 40});
    let sent = [
        state("pulling manifest"),
        sample("/api/pull", part),
        state("success"),
    ];
    let (progress, result) = pull([lines(&sent), vec![Step::Hang]].concat()).await;
    assert_eq!(result, Ok(()));
    let only = |status: &str| PullProgress {
        status: status.to_owned(),
        ..PullProgress::default()
    };
    assert_eq!(
        progress,
        [
            only("pulling manifest"),
            PullProgress {
                status: "pulling 1234".to_owned(),
                digest: Some("sha256:1234".to_owned()),
                total: Some(100),
                completed: Some(40),
            },
            only("success"),
        ]
    );
}

#[tokio::test]
async fn only_success_is_success() {
    let unusable = "the reply of SERVER is unusable";
    for (answer, expect) in [
        (
            lines(&[state("pulling manifest"), state("verifying sha256 digest")]),
            format!("{unusable}: the download ended before it was whole; pull again, which goes on where this one stopped"),
        ),
        (
            lines(&[
                state("pulling manifest"),
                json!({"error": "pull model manifest: file does not exist"}),
            ]),
            "the model `small`: there is no such model to fetch (pull model manifest: file does not exist); see that its \
             name and tag are right"
                .to_owned(),
        ),
        (
            lines(&[json!({"error": "max retries exceeded: unexpected EOF"})]),
            format!("{unusable}: the server reports a failure: max retries exceeded: unexpected EOF"),
        ),
        (
            status("400 Bad Request", "", r#"{"error":"invalid model name"}"#),
            "SERVER refused the request (400): invalid model name".to_owned(),
        ),
    ] {
        assert_eq!(pull(answer).await.1, Err(expect));
    }
}

#[tokio::test]
async fn a_download_may_be_longer_than_a_reply_and_silent_for_as_long_as_a_first_byte() {
    // More than the 65536 bytes of a reply.
    let line = json!({"status": "pulling 1234", "total": 9_999_999, "completed": 5_000_000});
    let mut sent = vec![line; 1000];
    sent.push(state("success"));
    let (progress, result) = pull(lines(&sent)).await;
    assert_eq!((progress.len(), result), (1001, Ok(())));

    let answer = [
        lines(&[state("verifying sha256 digest")]),
        vec![Step::Wait(SHORT * 2), send(&format!("{}\n", state("success")))],
    ];
    let fake = answering(answer.concat()).await;
    let bounds = Bounds {
        idle: SHORT / 2,
        ..at(&fake.url).bounds
    };
    let client = Ollama::new(&within(&fake.url, bounds)).unwrap();
    client.pull("small", &|_| ()).await.unwrap();
}

#[tokio::test]
async fn a_download_that_nobody_waits_for_ends() {
    let answer = vec![
        send(STREAM_HEAD),
        Step::Endless(format!("{}\n", state("pulling 1234")).into_bytes()),
    ];
    let ended = std::sync::Arc::new(tokio::sync::Notify::new());
    let fake = answering(answer).await;
    let client = client(&fake);
    let told = ended.clone();
    let progress = move |_: &PullProgress| told.notify_one();
    tokio::select! {
        result = client.pull("small", &progress) => panic!("it has no end: {result:?}"),
        () = ended.notified() => {}
    }
    // The next one begins anew, and the server, which has what came before, goes on from there.
    let fake = answering(lines(&[state("success")])).await;
    self::client(&fake).pull("small", &|_| ()).await.unwrap();
}

#[tokio::test]
async fn a_text_is_completed() {
    let piece = |text: &str| {
        sample(
            "/api/generate",
            json!({"model": "small", "response": text, "done": false}),
        )
    };
    let last = sample(
        "/api/generate",
        json!({"model": "small", "response": "", "done": true, "done_reason": "length", "eval_duration": 52_479_709}),
    );
    let fake = answering(lines(&[piece("a + "), piece("b"), last])).await;
    let request = GenerateRequest {
        model: "small".to_owned(),
        prompt: "fn add(a: u8, b: u8) -> u8 { ".to_owned(),
        suffix: Some(" }".to_owned()),
        max_tokens: 20,
        ..GenerateRequest::default()
    };
    let reply = client(&fake).generate(&request).await.unwrap();
    let deltas: Vec<Delta> = reply.map(Result::unwrap).collect().await;
    assert_eq!(
        deltas,
        [
            Delta::Text("a + ".to_owned()),
            Delta::Text("b".to_owned()),
            Delta::End(EndReason::Length),
        ]
    );
    assert_eq!(
        fake.asked.lock().unwrap()[0].body,
        json!({
            "model": "small", "prompt": "fn add(a: u8, b: u8) -> u8 { ", "suffix": " }", "stream": true,
            "truncate": false, "shift": false, "options": {"num_predict": 20},
        })
    );

    let fake = answering(status(
        "400 No",
        "",
        r#"{"error":"registry.ollama.ai/library/small does not support insert"}"#,
    ))
    .await;
    let Err(error) = client(&fake).generate(&request).await else {
        panic!("it cannot fill in");
    };
    assert_eq!(
        told(&error, &fake.url),
        "SERVER refused the request (400): registry.ollama.ai/library/small does not support insert"
    );
}
