//! A real OpenAI-compatible server, where the environment names one; by hand, because no two machines have the same.

use std::time::Instant;

use factory_core::llm::openai::{OpenAiConfig, OpenAiLlm};
use factory_core::llm::{
    ChatRequest, Llm, Message, Role, Sampling, Thinking, ToolSpec, WindowBasis, collect,
};
use factory_core::model::Temperature;
use serde_json::{Value, json};

use super::at;

/// The variable that names the server, such as `http://127.0.0.1:8080/v1`.
const URL: &str = "FACTORY_TEST_OPENAI_URL";

#[tokio::test]
#[ignore = "needs a real server in FACTORY_TEST_OPENAI_URL"]
async fn a_real_server_is_prepared_and_asked() {
    let url = std::env::var(URL).unwrap();
    let name = std::env::var("FACTORY_TEST_OPENAI_MODEL").unwrap_or_else(|_| "small".to_owned());
    let model = OpenAiLlm::new(OpenAiConfig::new("real", at(&url), name)).unwrap();
    let told = model.prepare(&|words| println!("{words}")).await.unwrap();
    println!("{told:?}, slots {:?}", model.slots());
    let window = told.window.unwrap();
    assert!(window.tokens >= 256 && window.basis != WindowBasis::Declared);

    let request = ChatRequest {
        messages: vec![
            Message::new(
                Role::System,
                "You answer in JSON, as an object with the field `sum`.",
            ),
            Message::new(Role::User, "How much is 2 + 3?"),
        ],
        max_tokens: 64,
        format: Some(json!({
            "type": "object",
            "properties": {"sum": {"type": "integer"}},
            "required": ["sum"],
            "additionalProperties": false,
        })),
        sampling: Sampling {
            seed: Some(1),
            temperature: Some(Temperature::hundredths(0)),
        },
        thinking: Thinking::Off,
        ..ChatRequest::default()
    };
    let started = Instant::now();
    let reply = collect(model.chat(request.clone()).await.unwrap(), "real", |_| {})
        .await
        .unwrap();
    println!("{reply:?} in {:?}", started.elapsed());
    let sum: Value = serde_json::from_str(&reply.text).unwrap();
    assert!(sum["sum"].is_i64());
    assert!(reply.tokens.prompt.is_some() && reply.tokens.completion.is_some());

    let with_tool = ChatRequest {
        messages: vec![Message::new(
            Role::User,
            "What is in the file a.txt? Call read_file.",
        )],
        tools: vec![ToolSpec {
            name: "read_file".to_owned(),
            description: "Reads a file.".to_owned(),
            parameters: json!({
                "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"],
            }),
        }],
        format: None,
        ..request
    };
    let reply = collect(model.chat(with_tool).await.unwrap(), "real", |_| {})
        .await
        .unwrap();
    println!("{reply:?}");
}
