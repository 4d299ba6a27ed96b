//! Endpoints on real sockets: what a factory is told of the models there, getting and removing them, and how many
//! replies an endpoint is asked for at a time.

#![expect(
    clippy::unwrap_used,
    reason = "the servers of a test may fail it wherever they stand"
)]

#[path = "endpoints/server.rs"]
mod server;

use std::sync::{Arc, Mutex};

use factory_core::llm::catalogue::PullProgress;
use factory_core::llm::endpoint::{Endpoint, EndpointKind, Endpoints};
use factory_core::llm::server::Secret;
use factory_core::{Factory, HostEnvironment, Settings};
use serde_json::{Value, json};

use self::server::{Answer, ModelServer};

const KEY: &str = "sk-canary-0123456789";

/// A factory whose endpoint `e` is this server; it is given a key.
async fn factory(kind: EndpointKind, server: &ModelServer) -> (tempfile::TempDir, Factory) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let host = HostEnvironment {
        variables: std::env::vars().collect(),
        home: folder.path().to_owned(),
    };
    let mut settings = Settings::new(folder.path().join("data"), host);
    let mut endpoint = Endpoint::new(kind, server.url());
    endpoint.key = Some(Secret::new(KEY));
    let mut endpoints = Endpoints::built_in();
    endpoints.insert("e", endpoint).unwrap();
    settings.endpoints = endpoints;
    "e:m".clone_into(&mut settings.model);
    (folder, Factory::open(settings).await.unwrap())
}

#[tokio::test]
async fn the_models_of_an_ollama_server_are_listed_with_what_it_tells() {
    let server = ModelServer::start(|request| match request.path.as_str() {
        "/api/tags" => Answer::json(&json!({"models": [
            {"name": "b:7b", "size": 4_000_000_000_u64, "details": {"parameter_size": "7.6B", "quantization_level": "Q4_K_M"}},
            {"name": "a:1b", "capabilities": ["completion"], "details": {"context_length": 4096}},
        ]})),
        "/api/ps" => Answer::json(&json!({"models": [{"name": "b:7b", "context_length": 8192}]})),
        "/api/show" => Answer::json(&json!({
            "capabilities": ["completion", "tools"], "model_info": {"qwen2.context_length": 32768},
        })),
        _ => Answer::status(404, "no"),
    })
    .await;
    let (_folder, factory) = factory(EndpointKind::Ollama, &server).await;
    let listed = factory.reader().models().await;
    let of = |name: &str| listed.iter().find(|endpoint| endpoint.endpoint == name).unwrap();
    let models = serde_json::to_value(&of("e").models).unwrap();
    assert_eq!(
        models,
        json!([
            {"name": "a:1b", "loaded": false, "capabilities": {
                "tools": "no", "schema": "yes", "thinking": "no", "window": {"tokens": 4096, "basis": "told"}}},
            {"name": "b:7b", "loaded": true, "size": 4_000_000_000_u64, "parameters": "7.6B", "quantisation": "Q4_K_M",
             "capabilities": {
                "tools": "yes", "schema": "yes", "thinking": "no", "window": {"tokens": 8192, "basis": "verified"}}},
        ])
    );
    // An endpoint that cannot be used is told in its place and asked nothing.
    assert!(of("openai").failure.as_ref().unwrap().contains("OPENAI_API_KEY"));
    factory.shutdown().await;
}

#[tokio::test]
async fn a_model_is_pulled_with_news_and_only_success_is_success() {
    let line = |value: Value| format!("{value}\n");
    let whole = [
        line(json!({"status": "pulling manifest"})),
        line(json!({"status": "pulling a1", "digest": "sha256:a1", "total": 10, "completed": 4})),
        line(json!({"status": "success"})),
    ]
    .concat();
    for (body, expected) in [
        (whole, Ok("e:m")),
        (
            line(json!({"status": "pulling manifest"})),
            Err("it ended before the model was whole; the same command goes on from there"),
        ),
        (
            line(json!({"error": format!("no such model for {KEY}")})),
            Err("the server reports a failure: no such model for [key]"),
        ),
        ("<html>".to_owned(), Err("its progress cannot be read")),
    ] {
        let server = ModelServer::start(move |request| {
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("POST", "/api/pull")
            );
            assert_eq!(request.body["model"], "m");
            Answer::lines(&body)
        })
        .await;
        let (_folder, factory) = factory(EndpointKind::Ollama, &server).await;
        let news = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&news);
        let tell = move |progress: PullProgress| heard.lock().unwrap().push(progress);
        let pulled = factory.reader().pull_model("e:m", &tell).await;
        match (pulled, expected) {
            (Ok(model), Ok(expected)) => {
                assert_eq!(model, expected);
                assert_eq!(news.lock().unwrap()[1].completed, Some(4));
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
        factory.shutdown().await;
    }
}

#[tokio::test]
async fn a_pull_that_is_dropped_ends_at_the_server() {
    let server =
        ModelServer::start(|_| Answer::endless_lines(&format!("{}\n", json!({"status": "pulling"})))).await;
    let (_folder, factory) = factory(EndpointKind::Ollama, &server).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let tell = move |progress: PullProgress| drop(tell.send(progress));
    tokio::select! {
        pulled = factory.reader().pull_model("e:m", &tell) => panic!("{pulled:?}"),
        heard = told.recv() => assert_eq!(heard.unwrap().status, "pulling"),
    }
    server.until_all_have_gone().await;
    factory.shutdown().await;
}

#[tokio::test]
async fn a_model_is_removed_where_its_protocol_can() {
    let server =
        ModelServer::start(
            |request| match (request.method.as_str(), request.body["model"].as_str()) {
                ("DELETE", Some("m:1b")) => Answer::json(&Value::Null),
                _ => Answer::status(404, r#"{"error":"model 'x' not found"}"#),
            },
        )
        .await;
    let (_folder, ollama) = factory(EndpointKind::Ollama, &server).await;
    assert_eq!(ollama.reader().remove_model("e:m:1b").await.unwrap(), "e:m:1b");
    let refusal = ollama.reader().remove_model("e:x").await.unwrap_err().to_string();
    assert!(refusal.contains("model 'x' not found"), "{refusal}");
    ollama.shutdown().await;
    let (_folder, openai) = factory(EndpointKind::OpenAi, &server).await;
    let refusal = openai.reader().remove_model("e:x").await.unwrap_err().to_string();
    assert!(refusal.contains("its protocol has no way to"), "{refusal}");
    openai.shutdown().await;
}

#[tokio::test]
async fn doctor_looks_at_the_model_of_runs_that_name_none() {
    let server = ModelServer::start(|request| {
        assert!(
            request.head.contains(&format!("authorization: bearer {KEY}")),
            "{}",
            request.head
        );
        match request.path.as_str() {
            "/v1/models" => Answer::json(&json!({"data": [{"id": "m", "max_model_len": 9000}]})),
            _ => Answer::status(404, "no"),
        }
    })
    .await;
    let (_folder, factory) = factory(EndpointKind::OpenAi, &server).await;
    let findings = factory.reader().doctor().await;
    let models: Vec<_> = findings
        .iter()
        .filter(|finding| finding.subject == "model")
        .collect();
    assert_eq!(models.len(), 1);
    let url = server.url();
    assert_eq!(
        (models[0].ok, models[0].found.as_str()),
        (
            true,
            format!("`e:m` at {url}: window 9000 tokens, as its server says").as_str()
        )
    );
    factory.shutdown().await;
}

#[tokio::test]
async fn a_redirect_takes_the_key_nowhere() {
    let elsewhere = ModelServer::start(|_| Answer::json(&json!({"data": []}))).await;
    let target = format!("{}/v1/models?key={KEY}", elsewhere.url());
    let server = ModelServer::start(move |_| Answer::redirect(&target)).await;
    let (_folder, factory) = factory(EndpointKind::OpenAi, &server).await;
    let listed = factory.reader().models().await;
    let failure = listed[0].failure.clone().unwrap();
    assert!(
        failure.contains("it redirects, which is not followed"),
        "{failure}"
    );
    assert!(!failure.contains(KEY));
    assert_eq!(elsewhere.asked(), 0);
    factory.shutdown().await;
}
