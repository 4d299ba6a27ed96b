//! Any server that speaks the OpenAI chat protocol: llama.cpp, vLLM, LM Studio, Ollama's `/v1`, and OpenAI itself.
//!
//! Chatting is `POST {base}/chat/completions`, always streaming, so that dropping the stream cuts the generation.
//! The servers differ in details: `assembly.rs` says which are tolerated in replies, `dialect.rs` how those of requests
//! are learnt, `discovery.rs` what some tell of a model beforehand. A key is sent to the one origin that it was given
//! for.

mod assembly;
mod dialect;
mod discovery;
mod usage;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use self::assembly::OpenAiAssembly;
use self::dialect::{Dialect, refuses_tools};
use self::discovery::{Told, discover};
use super::event_stream::reply_stream;
use super::plausibility::Asked;
use super::server::Server;

use super::transport::Transport;
use super::{Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream, Support, Window, WindowBasis};

/// What is needed to talk to a model on an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The model as the operator wrote it.
    pub name: String,
    /// The server, such as `http://127.0.0.1:8080/v1`; a bare origin gets `/v1`.
    pub server: Server,
    /// The model as the server calls it.
    pub model: String,
    /// How many tokens prompt and reply may have together, if the operator knows: many servers do not tell. Where one
    /// does, the smaller number counts.
    pub context_window: Option<u64>,
}

impl OpenAiConfig {
    /// Returns the settings of a model whose window nobody told.
    pub fn new(name: impl Into<String>, server: Server, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            server,
            model: model.into(),
            context_window: None,
        }
    }
}

/// A model on an OpenAI-compatible server.
#[derive(Debug)]
pub struct OpenAiLlm {
    name: String,
    model: String,
    context_window: Option<u64>,
    transport: Transport,
    learnt: Mutex<Learnt>,
}

/// What is known of the server by asking it.
#[derive(Debug, Default)]
struct Learnt {
    /// What it told; none before it was asked.
    told: Option<Told>,
    dialect: Dialect,
    /// It has refused a request because of its tools.
    refuses_tools: bool,
}

impl OpenAiLlm {
    /// Returns the model. Connects to nothing; fails if the settings cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self, LlmError> {
        let unusable = |detail| LlmError::Unusable {
            model: config.name.clone(),
            detail,
        };
        if config.model.trim().is_empty() {
            return Err(unusable(
                "it names no model; write the name that the server knows".to_owned(),
            ));
        }
        let server = Server {
            base: config.server.base.clone().or_path("/v1"),
            ..config.server.clone()
        };
        let transport = Transport::new(&server).map_err(unusable)?;
        Ok(Self {
            name: config.name,
            model: config.model,
            context_window: config.context_window,
            transport,
            learnt: Mutex::default(),
        })
    }

    /// Returns how many requests the server works on at a time, if it told.
    pub fn slots(&self) -> Option<u64> {
        self.learnt().told?.slots
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from a failure. Returns whether the body was written in another way, to be sent again.
    fn learn(&self, error: &LlmError, body: &mut Value) -> bool {
        match error {
            LlmError::Refused {
                status: 400 | 422 | 501,
                detail,
                ..
            } => {
                let mut learnt = self.learnt();
                if learnt.dialect.learn(body, detail) {
                    tracing::info!(
                        model = self.name,
                        "the server refuses a field, which is left out: {detail}"
                    );
                    learnt.dialect.amend(body);
                    return true;
                }
                learnt.refuses_tools |= body.get("tools").is_some() && refuses_tools(detail);
                false
            }
            LlmError::ContextOverflow(_) => {
                // The server may run with another window than it told, and is asked again when there is time for it.
                self.learnt().told = None;
                false
            }
            _ => false,
        }
    }
}

#[async_trait]
impl Llm for OpenAiLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let learnt = self.learnt();
        let mut known = learnt.told.unwrap_or_default().capabilities;
        if learnt.refuses_tools {
            known.tools = Support::No;
        }
        if learnt.dialect.refuses_schemas() {
            known.schema = Support::No;
        }
        if let Some(tokens) = self.context_window {
            known.window = Some(match known.window {
                Some(told) => Window {
                    tokens: told.tokens.min(tokens),
                    ..told
                },
                None => Window {
                    tokens,
                    basis: WindowBasis::Declared,
                },
            });
        }
        known
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        let is_known = self.learnt().told.is_some();
        if !is_known {
            let told = discover(&self.transport, &self.name, &self.model, &|words| progress(words)).await?;
            self.learnt().told = Some(told);
        }
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let asked = Asked::of(&request);
        let mut body = wire::request_body(&self.model, &request);
        // The conversation is large, and waiting may be long.
        drop(request);
        self.learnt().dialect.amend(&mut body);
        // Each further round leaves out a field more, and there are few.
        let bytes = loop {
            let sent = self
                .transport
                .post("chat/completions", &body, "text/event-stream");
            match sent.await {
                Ok(bytes) => break bytes,
                Err(error) if self.learn(&error, &mut body) => {}
                Err(error) => return Err(error),
            }
        };
        let assembly = OpenAiAssembly::new(self.transport.bounds().tool_calls);
        Ok(reply_stream(self.transport.clone(), bytes, assembly, asked))
    }
}
