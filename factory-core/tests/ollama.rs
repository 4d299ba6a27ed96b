//! Ollama's own protocol on a real socket, held to Ollama's own description of it.

#![expect(
    clippy::unwrap_used,
    reason = "the servers of a test may fail it wherever they stand"
)]

#[path = "ollama/chat.rs"]
mod chat;
#[path = "ollama/contract.rs"]
mod contract;
#[path = "ollama/failures.rs"]
mod failures;
#[path = "ollama/management.rs"]
mod management;
#[path = "ollama/preparation.rs"]
mod preparation;
#[path = "ollama/server.rs"]
mod server;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factory_core::llm::Llm;
use factory_core::llm::conformance::LlmHarness;
use factory_core::llm::ollama::{OllamaConfig, OllamaLlm};
use factory_core::llm::scripted::Script;
use factory_core::llm::server::{BaseUrl, Bounds, Server};
use factory_core::llm_conformance;

/// A wait that a test can sit out, for where nothing will come.
const SHORT: Duration = Duration::from_millis(200);

struct Ollama;

#[async_trait]
impl LlmHarness for Ollama {
    async fn open(&self, script: Script) -> Arc<dyn Llm> {
        Arc::new(model_at(&server::playing(script).await))
    }
}

llm_conformance!(conformance, Ollama);

/// The server at an address. The lengths are such that a test can pass them; the waits are those of everyday, so that a
/// slow machine passes none by accident.
fn at(url: &str) -> Server {
    within(
        url,
        Bounds {
            line_bytes: 4096,
            reply_bytes: 65_536,
            ..Bounds::default()
        },
    )
}

fn within(url: &str, bounds: Bounds) -> Server {
    Server {
        bounds,
        ..Server::new(BaseUrl::parse(url).unwrap())
    }
}

fn model_at(url: &str) -> OllamaLlm {
    OllamaLlm::new(OllamaConfig::new("ollama:small", at(url), "small")).unwrap()
}

/// Returns an error with its causes. The server's address is called SERVER.
fn told(error: &dyn Error, url: &str) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    // What the system says of a connection is its own affair.
    while let Some(cause) = next.filter(|cause| !cause.is::<reqwest::Error>()) {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.replace(url, "SERVER")
}
