//! Any server that speaks the Anthropic messages protocol: Anthropic itself, gateways, and local servers with that route.
//!
//! Chatting is `POST {base}/messages`, always streaming. The protocol keeps the system prompt and tool results in places
//! of their own, which `wire.rs` fills; `assembly.rs` reads the events of a reply. What stays the same from turn to turn
//! is marked for the server's cache, which makes long runs much cheaper.

mod assembly;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::assembly::AnthropicAssembly;
use super::catalog::{Catalog, Listed, window_tokens};
use super::event_stream::{bounded_json, reply_stream};
use super::plausibility::Asked;
use super::server::{KeyHeader, Server};
use super::transport::Transport;
use super::{Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream, Support, Window, WindowBasis};
use async_trait::async_trait;

/// The version of the protocol that is spoken here.
const VERSION: &str = "2023-06-01";

/// The most parts of the JSON that describes a model.
const ENTRY_PARTS: usize = 16 * 1024;

/// What is needed to talk to a model on a server that speaks the messages protocol.
#[derive(Debug, Clone)]
pub struct AnthropicConfig {
    /// The model as the operator wrote it.
    pub name: String,
    /// The server, such as `https://api.anthropic.com`; a bare origin gets `/v1`.
    pub server: Server,
    /// The model as the server calls it.
    pub model: String,
    /// How many tokens prompt and reply may have together, if the operator knows. Where the server tells as well, the
    /// smaller number counts.
    pub context_window: Option<u64>,
}

impl AnthropicConfig {
    /// Returns the settings of a model whose window nobody told. The key goes into `x-api-key`, as the protocol wants;
    /// for a gateway that wants it elsewhere, change it afterwards.
    pub fn new(name: impl Into<String>, server: Server, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            server: Server {
                key_header: KeyHeader::ApiKey,
                ..server
            },
            model: model.into(),
            context_window: None,
        }
    }
}

/// A model on a server that speaks the messages protocol.
#[derive(Debug)]
pub struct AnthropicLlm {
    name: String,
    model: String,
    context_window: Option<u64>,
    transport: Transport,
    /// What the server tells; none before it was asked.
    told: Mutex<Option<Told>>,
}

/// What a server tells of a model.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    window: Option<u64>,
}

impl AnthropicLlm {
    /// Returns the model. Connects to nothing; fails if the settings cannot be used.
    pub fn new(config: AnthropicConfig) -> Result<Self, LlmError> {
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
        let transport = Transport::new(&server)
            .map_err(unusable)?
            .with_protocol_header("anthropic-version", VERSION);
        Ok(Self {
            name: config.name,
            model: config.model,
            context_window: config.context_window,
            transport,
            told: Mutex::new(None),
        })
    }

    fn told(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server for the model.
    async fn discover(&self) -> Result<Told, LlmError> {
        match self.transport.get(&format!("models/{}", self.model)).await {
            Ok(body) => {
                let entry = std::str::from_utf8(&body)
                    .ok()
                    .and_then(|text| bounded_json(text, ENTRY_PARTS).ok())
                    .unwrap_or_default();
                let told = ["max_input_tokens", "context_window", "context_length"];
                let window = told.iter().find_map(|field| window_tokens(entry.get(field)?));
                Ok(Told { window })
            }
            Err(LlmError::Refused { status: 404, .. }) => {
                // Either the model is not there or the question is not known.
                let list = match self.transport.get("models").await {
                    Ok(body) => Catalog::parse(&body),
                    Err(LlmError::BadReply { .. } | LlmError::Refused { .. }) => None,
                    Err(error) => return Err(error),
                };
                match list.as_ref().map(|list| list.find(&self.model)) {
                    Some(Listed::Missing(names)) => Err(LlmError::Unusable {
                        model: self.name.clone(),
                        detail: self.transport.no_such_model(&self.model, &names),
                    }),
                    _ => Ok(Told::default()),
                }
            }
            Err(LlmError::BadReply { .. }) => Ok(Told::default()),
            Err(LlmError::Refused { status, .. }) if !matches!(status, 401 | 403) => Ok(Told::default()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Llm for AnthropicLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let told = self.told().and_then(|told| told.window).map(|tokens| Window {
            tokens,
            basis: WindowBasis::Told,
        });
        let declared = self.context_window.map(|tokens| Window {
            tokens,
            basis: WindowBasis::Declared,
        });
        Capabilities {
            // Calling tools is a part of the protocol, not of a model.
            tools: Support::Yes,
            schema: Support::No,
            protocol: None,
            price: None,
            thinking: Support::Unknown,
            window: match (told, declared) {
                (Some(told), Some(declared)) => Some(Window {
                    tokens: told.tokens.min(declared.tokens),
                    ..told
                }),
                (told, declared) => told.or(declared),
            },
        }
    }

    async fn prepare(&self, _progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        let is_known = self.told().is_some();
        if !is_known {
            let told = self.discover().await?;
            *self.told() = Some(told);
        }
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let asked = Asked::of(&request);
        let body = wire::request_body(&self.model, &request);
        // The conversation is large, and waiting may be long.
        drop(request);
        let bytes = self
            .transport
            .post("messages", &body, "text/event-stream")
            .await?;
        let assembly = AnthropicAssembly::new(self.transport.bounds().tool_calls);
        Ok(reply_stream(self.transport.clone(), bytes, assembly, asked))
    }
}
