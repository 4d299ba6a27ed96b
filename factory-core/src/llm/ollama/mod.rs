//! Ollama in its own protocol, which alone can set and verify a model's window.
//!
//! A chat is `POST /api/chat`, always streaming, so that dropping the stream cuts the generation, and always with the
//! window and with the orders to refuse a prompt that is too long: what the server does otherwise, leaving out the oldest
//! messages or the middle of the prompt in silence, is the failure that nobody finds. [`OllamaLlm`] is one model,
//! [`Ollama`] the server that models are listed on, fetched to and removed from.

mod answers;
mod assembly;
mod client;
mod failure;
mod lines;
mod preparation;
mod reply;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

pub use self::answers::{InstalledModel, LoadedModel, ModelBuild, ModelDetails, PullProgress};
use self::client::JSON_LINES;
pub use self::client::{GenerateRequest, Ollama};
use self::failure::{Asked, Failures, explained};
pub use self::preparation::DEFAULT_CONTEXT;
use self::preparation::{Prepared, Wish};
use self::reply::{Origin, reply_stream};
pub use self::wire::KeepAlive;
use self::wire::{Asking, ThinkSwitch};
use super::server::Server;
use super::{Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream, Window, WindowBasis};

/// What is needed to talk to a model of an Ollama server.
#[derive(Debug, Clone)]
pub struct OllamaConfig {
    /// The model as the operator wrote it.
    pub name: String,
    /// The server, such as `http://127.0.0.1:11434`.
    pub server: Server,
    /// The model as the server calls it, with its tag.
    pub model: String,
    /// The window that the model is loaded with; without one, that of its Modelfile, or else [`DEFAULT_CONTEXT`]. Never
    /// more than the model was trained for.
    pub context: Option<u64>,
    /// How long the model stays loaded after a request.
    pub keep_alive: KeepAlive,
}

impl OllamaConfig {
    /// Returns the settings of a model whose window is left to its Modelfile, and its time in memory to the server.
    pub fn new(name: impl Into<String>, server: Server, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            server,
            model: model.into(),
            context: None,
            keep_alive: KeepAlive::default(),
        }
    }
}

/// A model of an Ollama server.
///
/// It is one value for all who use the model, because the server holds a model with one window: asked with another, it
/// loads it again.
#[derive(Debug)]
pub struct OllamaLlm {
    name: String,
    model: String,
    context: Option<u64>,
    keep_alive: KeepAlive,
    server: Ollama,
    prepared: OnceCell<Prepared>,
    failures: Arc<Failures>,
}

impl OllamaLlm {
    /// Returns the model. Connects to nothing; fails if the settings cannot be used.
    pub fn new(config: OllamaConfig) -> Result<Self, LlmError> {
        let unusable = |detail: String| LlmError::Unusable {
            model: config.name.clone(),
            detail,
        };
        if config.model.trim().is_empty() {
            return Err(unusable(
                "it names no model; write the name that `ollama list` shows".to_owned(),
            ));
        }
        if config.context == Some(0) {
            return Err(unusable(
                "a window of 0 tokens holds nothing; leave it away or set more".to_owned(),
            ));
        }
        let server = Ollama::new(&config.server).map_err(|error| match error {
            LlmError::Unusable { detail, .. } => unusable(detail),
            other => other,
        })?;
        Ok(Self {
            name: config.name,
            model: config.model,
            context: config.context,
            keep_alive: config.keep_alive,
            server,
            prepared: OnceCell::new(),
            failures: Arc::default(),
        })
    }

    /// Returns the server.
    pub fn server(&self) -> &Ollama {
        &self.server
    }

    fn asking(&self) -> Asking<'_> {
        let prepared = self.prepared.get();
        Asking {
            model: &self.model,
            num_ctx: prepared.map_or_else(
                || self.context.unwrap_or(DEFAULT_CONTEXT),
                |prepared| prepared.num_ctx,
            ),
            keep_alive: self.keep_alive,
            think: prepared.map_or(ThinkSwitch::None, |prepared| prepared.think),
        }
    }
}

#[async_trait]
impl Llm for OllamaLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let unprepared = || Capabilities {
            window: self.context.map(|tokens| Window {
                tokens,
                basis: WindowBasis::Declared,
            }),
            ..Capabilities::default()
        };
        self.prepared
            .get()
            .map_or_else(unprepared, |prepared| prepared.capabilities)
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        if !self.prepared.initialized() {
            // Also those hear it who wait for another's preparation.
            progress(&format!("preparing {} on {}", self.name, self.server.endpoint()));
        }
        let wish = Wish {
            shown: &self.name,
            model: &self.model,
            context: self.context,
            keep_alive: self.keep_alive,
        };
        let preparing = preparation::prepare(&self.server, &wish, progress);
        let loading = Asked::new(&wire::load_body(&self.model, self.context, self.keep_alive));
        let prepared = self.prepared.get_or_try_init(|| preparing).await;
        let prepared = prepared.map_err(|error| self.failures.failed(loading, error))?;
        Ok(prepared.capabilities)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let body = wire::chat_body(&self.asking(), &request);
        // The conversation is large, and waiting may be long.
        drop(request);
        let asked = Asked::new(&body);
        let transport = self.server.transport();
        let bytes = transport.post("api/chat", &body, JSON_LINES).await;
        drop(body);
        let bytes = bytes.map_err(|error| {
            self.failures
                .failed(asked, explained(error, &self.name, &self.model))
        })?;
        let origin = Origin {
            shown: self.name.clone(),
            model: self.model.clone(),
            asked,
            failures: Some(Arc::clone(&self.failures)),
        };
        Ok(reply_stream(transport.clone(), bytes, origin))
    }
}
