//! Any server that speaks the OpenAI chat protocol: llama.cpp, vLLM, LM Studio, Ollama's `/v1`, and OpenAI itself.
//!
//! Only `POST {base}/chat/completions` is used, always streaming, so that dropping the stream cuts the generation.
//! The servers differ in details; `assembly.rs` says which are tolerated. A key is sent to the one origin that it was
//! given for.

mod assembly;
mod wire;

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};

use self::assembly::{Assembly, Problem};
use super::server::Server;
pub use super::server::{Bounds, Secret};
use super::server_sent_events::{EventParser, ServerSentEvent};
use super::transport::{ReplyBytes, Transport};
use super::{Capabilities, ChatRequest, Delta, Llm, LlmError, Progress, ReplyStream, Window, WindowBasis};

/// What is needed to talk to a model on an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The model as the operator wrote it.
    pub name: String,
    /// The server, such as `http://127.0.0.1:8080/v1`; a bare origin gets `/v1`.
    pub server: Server,
    /// The model as the server calls it.
    pub model: String,
    /// How many tokens prompt and reply may have together, if the operator knows: the protocol does not tell.
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
        })
    }
}

#[async_trait]
impl Llm for OpenAiLlm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        // A server that cannot do tools refuses them by name; the protocol has no way to ask before.
        Capabilities {
            window: self.context_window.map(|tokens| Window {
                tokens,
                basis: WindowBasis::Declared,
            }),
            ..Capabilities::default()
        }
    }

    async fn prepare(&self, _progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        Ok(self.capabilities())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let body = wire::request_body(&self.model, &request);
        // The conversation is large, and waiting may be long.
        drop(request);
        let bytes = self
            .transport
            .post("chat/completions", &body, "text/event-stream")
            .await?;
        Ok(reply_stream(self.transport.clone(), bytes))
    }
}

/// A reply on its way.
struct Reading {
    transport: Transport,
    bytes: ReplyBytes,
    parser: EventParser,
    /// None once the reply has ended, in one way or the other.
    assembly: Option<Assembly>,
    ready: VecDeque<Result<Delta, LlmError>>,
}

fn reply_stream(transport: Transport, bytes: ReplyBytes) -> ReplyStream {
    let reading = Reading {
        parser: EventParser::new(transport.bounds().line_bytes),
        assembly: Some(Assembly::new(transport.bounds().tool_calls)),
        transport,
        bytes,
        ready: VecDeque::new(),
    };
    stream::unfold(reading, |mut reading| async move {
        loop {
            if let Some(delta) = reading.ready.pop_front() {
                return Some((delta, reading));
            }
            reading.read().await?;
        }
    })
    .boxed()
}

impl Reading {
    /// Reads until there is something new to give. Returns none after the end.
    async fn read(&mut self) -> Option<()> {
        let mut assembly = self.assembly.take()?;
        let mut events = Vec::new();
        let (parsed, is_at_end) = match self.bytes.next().await {
            Some(Ok(bytes)) => (self.parser.push(&bytes, &mut events), false),
            // After the reason for the end, a connection that breaks or falls silent loses nothing but the count.
            Some(Err(_)) if assembly.is_finished() => (Ok(()), true),
            Some(Err(error)) => {
                self.ready.push_back(Err(error));
                return Some(());
            }
            None => {
                let limit = self.transport.bounds().line_bytes;
                let parser = std::mem::replace(&mut self.parser, EventParser::new(limit));
                (parser.finish().map(|last| events.extend(last)), true)
            }
        };
        if let Err(problem) = self.take(&mut assembly, &events) {
            self.fail(problem);
        } else if let (Err(error), false) = (parsed, assembly.is_done()) {
            self.ready
                .push_back(Err(self.transport.bound_passed(error.to_string())));
        } else if is_at_end || assembly.is_done() {
            match assembly.finish() {
                Ok(deltas) => self.ready.extend(deltas.into_iter().map(Ok)),
                Err(problem) => self.fail(problem),
            }
        } else {
            self.assembly = Some(assembly);
        }
        Some(())
    }

    /// Takes events, and makes ready what they complete, also before a problem.
    fn take(&mut self, assembly: &mut Assembly, events: &[ServerSentEvent]) -> Result<(), Problem> {
        let mut deltas = Vec::new();
        let result = events
            .iter()
            .try_for_each(|event| assembly.take(&event.name, &event.data, &mut deltas));
        self.ready.extend(deltas.into_iter().map(Ok));
        result
    }

    fn fail(&mut self, problem: Problem) {
        let error = match problem {
            Problem::Reported(report) => self.transport.failure(None, &report, None),
            Problem::Bad(detail) => self.transport.bad_reply(detail),
            Problem::TooManyToolCalls => {
                let limit = self.transport.bounds().tool_calls;
                self.transport
                    .bound_passed(format!("the reply asks for more than {limit} tool calls"))
            }
        };
        self.ready.push_back(Err(error));
    }
}
