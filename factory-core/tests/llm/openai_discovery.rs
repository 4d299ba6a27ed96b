//! What an OpenAI-compatible server tells of a model before it is asked, and what is learnt from its refusals.

use std::sync::Mutex;
use std::time::Duration;

use factory_core::llm::openai::{OpenAiConfig, OpenAiLlm};
use factory_core::llm::server::Bounds;
use factory_core::llm::{
    Capabilities, ChatRequest, Llm, LlmError, Sampling, Support, Thinking, ToolSpec, Window, WindowBasis,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::server::{Asked, answer, routed};
use super::{FINISH, SHORT, at, request};

fn ok(body: &Value) -> String {
    answer("200 OK", "application/json", &body.to_string())
}

fn refusal(status: &str, message: &str) -> String {
    answer(
        status,
        "application/json",
        &json!({"error": {"message": message}}).to_string(),
    )
}

async fn open(
    routes: &[(&str, &[String])],
    model: &str,
    context_window: Option<u64>,
    bounds: Bounds,
) -> (OpenAiLlm, Asked, String) {
    let (address, asked) = routed(routes).await;
    let origin = format!("http://{address}");
    let server = factory_core::llm::server::Server {
        bounds,
        ..at(&origin)
    };
    let config = OpenAiConfig {
        context_window,
        ..OpenAiConfig::new("mine", server, model)
    };
    (OpenAiLlm::new(config).unwrap(), asked, origin)
}

/// Prepares the model `small`, whose window the operator has declared or not.
async fn prepared(routes: &[(&str, &[String])], declared: Option<u64>) -> Result<Capabilities, String> {
    let (model, _, origin) = open(routes, "small", declared, Bounds::default()).await;
    let told = model.prepare(&|_| {}).await;
    if let Ok(told) = &told {
        assert_eq!(&model.capabilities(), told);
    }
    told.map_err(|error| error.to_string().replace(&origin, "SERVER"))
}

const fn window(tokens: u64, basis: WindowBasis) -> Window {
    Window { tokens, basis }
}

#[tokio::test]
async fn llama_cpp_is_waited_for_and_tells_its_window() {
    let loading = refusal("503 Service Unavailable", "Loading model");
    let routes: &[(&str, &[String])] = &[
        (
            "/health",
            &[loading.clone(), loading.clone(), ok(&json!({"status": "ok"}))],
        ),
        (
            "/v1/models",
            &[
                loading.clone(),
                ok(&json!({"data": [{"id": "/m/a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 8192}}]})),
            ],
        ),
        (
            "/props",
            &[ok(
                &json!({"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2,
                "chat_template_caps": {"supports_tool_calls": true}}),
            )],
        ),
    ];
    let (model, asked, _) = open(routes, "small", Some(100_000), Bounds::default()).await;
    let waits = Mutex::new(Vec::new());
    let told = model
        .prepare(&|words| waits.lock().unwrap().push(words.to_owned()))
        .await
        .unwrap();
    assert_eq!(
        told,
        Capabilities {
            tools: Support::Yes,
            schema: Support::Yes,
            thinking: Support::Unknown,
            window: Some(window(4096, WindowBasis::Verified)),
            ..Capabilities::default()
        }
    );
    assert_eq!(model.slots(), Some(2));
    assert_eq!(
        *waits.lock().unwrap(),
        ["the server is loading the model, or busy"; 3]
    );
    // It is asked once.
    let questions = asked.lock().unwrap().len();
    model.prepare(&|_| {}).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), questions);
}

#[tokio::test]
async fn a_server_that_loads_for_ever_is_busy() {
    let loading = refusal("503 Service Unavailable", "Loading model");
    let bounds = Bounds {
        first_byte: SHORT,
        ..Bounds::default()
    };
    let (model, _, _) = open(&[("/health", &[loading])], "small", None, bounds).await;
    let error = model.prepare(&|_| {}).await.unwrap_err();
    assert!(matches!(error, LlmError::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn the_smaller_window_counts() {
    let models = [ok(
        &json!({"data": [{"id": "small", "owned_by": "vllm", "max_model_len": 8192}]}),
    )];
    let routes: &[(&str, &[String])] = &[("/v1/models", &models)];
    for (declared, expect) in [(None, 8192), (Some(4096), 4096), (Some(100_000), 8192)] {
        let told = prepared(routes, declared).await.unwrap();
        assert_eq!(
            told.window,
            Some(window(expect, WindowBasis::Told)),
            "{declared:?}"
        );
    }
}

#[tokio::test]
async fn lm_studio_tells_its_window_in_its_own_place() {
    let models = [ok(
        &json!({"data": [{"id": "small", "owned_by": "organization_owner"}]}),
    )];
    let own = [ok(&json!({"data": [
        {"id": "small", "max_context_length": 32768, "loaded_context_length": 4096},
    ]}))];
    let told = prepared(&[("/v1/models", &models), ("/api/v0/models", &own)], None).await;
    assert_eq!(told.unwrap().window, Some(window(4096, WindowBasis::Verified)));
}

#[tokio::test]
async fn a_server_that_tells_nothing_is_fine() {
    let html = [answer("200 OK", "text/html", "<html>")];
    let everything: &[(&str, &[String])] = &[("/health", &html), ("/v1/models", &html), ("/props", &html)];
    for routes in [&[], everything] {
        let told = prepared(routes, Some(4096)).await.unwrap();
        assert_eq!(
            told,
            Capabilities {
                window: Some(window(4096, WindowBasis::Declared)),
                ..Capabilities::default()
            }
        );
    }
}

#[tokio::test]
async fn an_unknown_model_is_told_the_nearest_names() {
    let models = [ok(&json!({"data": [{"id": "small-2"}, {"id": "huge"}]}))];
    assert_eq!(
        prepared(&[("/v1/models", &models)], None).await,
        Err("the model `mine`: SERVER has no model `small`; it has `small-2`, `huge`".to_owned())
    );
}

#[tokio::test]
async fn a_wrong_key_is_told_at_once() {
    let models = [refusal("401 Unauthorized", "no such key")];
    assert_eq!(
        prepared(&[("/v1/models", &models)], None).await,
        Err("SERVER refused the request (401): no such key".to_owned())
    );
}

fn finished() -> String {
    answer("200 OK", "text/event-stream", FINISH)
}

#[tokio::test]
async fn what_a_server_refuses_is_left_out_from_then_on() {
    let routes: &[(&str, &[String])] = &[(
        "/v1/chat/completions",
        &[
            refusal(
                "400 Bad Request",
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            ),
            refusal("422 Unprocessable Entity", "seed: extra inputs are not permitted"),
            refusal("400 Bad Request", "unknown field `stream_options`"),
            finished(),
        ],
    )];
    let (model, asked, _) = open(routes, "small", None, Bounds::default()).await;
    let request = || ChatRequest {
        sampling: Sampling {
            seed: Some(1),
            temperature: None,
        },
        thinking: Thinking::Off,
        ..request()
    };
    for rounds in [4, 5] {
        assert_eq!(model.chat(request()).await.unwrap().count().await, 1);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), rounds);
        let (_, last) = &asked[rounds - 1];
        assert_eq!(
            *last,
            json!({
                "model": "small",
                "messages": [{"role": "user", "content": "go"}],
                "max_completion_tokens": 10,
                "chat_template_kwargs": {"enable_thinking": false},
                "stream": true,
            })
        );
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_same_again_is_not_asked_for_ever() {
    let routes: &[(&str, &[String])] = &[(
        "/v1/chat/completions",
        &[refusal(
            "400 Bad Request",
            "unsupported: max_tokens, stream_options",
        )],
    )];
    let (model, asked, _) = open(routes, "small", None, Bounds::default()).await;
    let error = model.chat(request()).await.err().unwrap();
    assert!(
        matches!(error, LlmError::Refused { status: 400, .. }),
        "{error:?}"
    );
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_without_tools_is_remembered() {
    let routes: &[(&str, &[String])] = &[(
        "/v1/chat/completions",
        &[refusal("400 Bad Request", "small does not support tools")],
    )];
    let (model, _, _) = open(routes, "small", None, Bounds::default()).await;
    let with_tools = ChatRequest {
        tools: vec![ToolSpec {
            name: "f".to_owned(),
            description: String::new(),
            parameters: json!({}),
        }],
        ..request()
    };
    assert_eq!(model.capabilities().tools, Support::Unknown);
    let error = model.chat(with_tools).await.err().unwrap();
    assert!(!error.is_transient());
    assert_eq!(model.capabilities().tools, Support::No);
}

#[tokio::test]
async fn a_window_that_was_too_large_is_read_again() {
    let models =
        |tokens| ok(&json!({"data": [{"id": "small", "owned_by": "vllm", "max_model_len": tokens}]}));
    let routes: &[(&str, &[String])] = &[
        ("/v1/models", &[models(8192), models(2048)]),
        (
            "/v1/chat/completions",
            &[refusal(
                "400 Bad Request",
                "This model's maximum context length is 2048 tokens",
            )],
        ),
    ];
    let (model, _, _) = open(routes, "small", None, Bounds::default()).await;
    assert_eq!(model.prepare(&|_| {}).await.unwrap().context_window(), Some(8192));
    assert!(matches!(
        model.chat(request()).await,
        Err(LlmError::ContextOverflow(_))
    ));
    assert_eq!(model.prepare(&|_| {}).await.unwrap().context_window(), Some(2048));
}

#[tokio::test]
async fn a_count_that_cannot_be_is_not_passed_on() {
    let usage = format!(
        "{FINISH}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":3}}}}\n\n",
        u64::MAX
    );
    let (model, _, _) = open(
        &[(
            "/v1/chat/completions",
            &[answer("200 OK", "text/event-stream", &usage)],
        )],
        "small",
        None,
        Bounds {
            idle: Duration::from_secs(10),
            ..Bounds::default()
        },
    )
    .await;
    let stream = model.chat(request()).await.unwrap();
    let reply = factory_core::llm::collect(stream, "test", |_| {}).await.unwrap();
    assert_eq!((reply.tokens.prompt, reply.tokens.completion), (None, Some(3)));
}
