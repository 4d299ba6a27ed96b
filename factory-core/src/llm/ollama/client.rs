//! An Ollama server: what lies on it, what is loaded, fetching, removing, and raw completions.

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{
    self, InstalledModel, LoadedModel, ModelDetails, PullProgress, installed_models, loaded_models,
    model_details, pull_progress,
};
use super::failure::{Asked, explained};
use super::lines::lines;
use super::reply::{Origin, reply_stream};
use super::wire::{self, KeepAlive};
use crate::llm::server::{Bounds, Server};
use crate::llm::transport::{ServerReport, Transport, is_no_json};
use crate::llm::{LlmError, ReplyStream, Sampling};

/// The media type of a stream of JSON lines.
pub(super) const JSON_LINES: &str = "application/x-ndjson";

/// The most bytes of a download's progress. It may go on for hours, and nothing of it is kept.
const PROGRESS_BYTES: usize = 1024 * 1024 * 1024;

/// An Ollama server.
///
/// A question is bounded by the silence that its bounds allow, loading and the first line of a stream by that of the
/// first byte.
#[derive(Debug, Clone)]
pub struct Ollama {
    transport: Transport,
}

/// What is to be completed, without a conversation around it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerateRequest {
    /// The model as the server calls it.
    pub model: String,
    /// The text to go on from.
    pub prompt: String,
    /// The text that comes after the completion, for models that fill in.
    pub suffix: Option<String>,
    /// What stands in the place of the system prompt of the model's own.
    pub system: Option<String>,
    /// Whether the prompt goes to the model as it stands, past its template.
    pub raw: bool,
    /// The most tokens of the completion.
    pub max_tokens: u64,
    /// The window; another one than the model is loaded with loads it again.
    pub context: Option<u64>,
    /// The JSON Schema that the completion is bound to.
    pub format: Option<Value>,
    /// Texts that end the completion.
    pub stop: Vec<String>,
    /// How the completion is drawn.
    pub sampling: Sampling,
    /// How long the model stays loaded.
    pub keep_alive: KeepAlive,
}

impl Ollama {
    /// Returns a client. Connects to nothing; fails if the server's settings cannot be used.
    pub fn new(server: &Server) -> Result<Self, LlmError> {
        let transport = Transport::new(server).map_err(|detail| LlmError::Unusable {
            model: server.base.origin(),
            detail,
        })?;
        Ok(Self { transport })
    }

    /// Returns the server's origin, as errors name it.
    pub fn endpoint(&self) -> &str {
        self.transport.endpoint()
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Returns the server's version. What is reachable and answers otherwise is no Ollama server.
    pub async fn version(&self) -> Result<String, LlmError> {
        let stranger = |detail: String| LlmError::Unusable {
            model: self.endpoint().to_owned(),
            detail: format!(
                "what answers there is no Ollama server ({detail}); give Ollama's address without a path, or name a \
                 server of another kind as that kind"
            ),
        };
        match self.ask(Method::GET, "api/version", None).await {
            Ok(answer) => match answer.get("version").and_then(Value::as_str) {
                Some(version) => Ok(version.to_owned()),
                None => Err(stranger("it tells no version".to_owned())),
            },
            Err(LlmError::Refused {
                status: status @ (400 | 404 | 405 | 501),
                detail,
                ..
            }) => Err(stranger(format!("{status}: {detail}"))),
            Err(LlmError::BadReply { detail, .. }) if is_no_json(&detail) => Err(stranger(detail)),
            Err(error) => Err(explained(error, self.endpoint(), "")),
        }
    }

    /// Returns the models that lie on the server.
    pub async fn tags(&self) -> Result<Vec<InstalledModel>, LlmError> {
        let answer = self.ask(Method::GET, "api/tags", None).await;
        let answer = answer.map_err(|error| explained(error, self.endpoint(), ""))?;
        Ok(installed_models(&answer))
    }

    /// Returns what the server knows of a model. [`LlmError::Unusable`] where it does not have it.
    pub async fn show(&self, model: &str) -> Result<ModelDetails, LlmError> {
        let answer = self
            .ask_about(Method::POST, "api/show", model, json!({ "model": model }))
            .await?;
        Ok(model_details(&answer))
    }

    /// Returns the models that are in memory.
    pub async fn ps(&self) -> Result<Vec<LoadedModel>, LlmError> {
        let answer = self.ask(Method::GET, "api/ps", None).await;
        let answer = answer.map_err(|error| explained(error, self.endpoint(), ""))?;
        Ok(loaded_models(&answer))
    }

    /// Returns a model that is in memory, or none.
    pub async fn loaded(&self, model: &str) -> Result<Option<LoadedModel>, LlmError> {
        let loaded = self.ps().await?;
        Ok(loaded
            .into_iter()
            .find(|loaded| answers::is_same_model(&loaded.name, model)))
    }

    /// Fetches a model, telling how far it is. Dropping the future ends the download; what has been fetched stays on the
    /// server, and the next pull goes on from there.
    pub async fn pull(
        &self,
        model: &str,
        progress: &(dyn Fn(&PullProgress) + Send + Sync),
    ) -> Result<(), LlmError> {
        named(model, self.endpoint())?;
        let bounds = *self.transport.bounds();
        // While a large part is verified, nothing is said.
        let transport = self.transport.within(Bounds {
            idle: bounds.first_byte.max(bounds.idle),
            reply_bytes: PROGRESS_BYTES,
            ..bounds
        });
        let body = json!({"model": model, "stream": true});
        let explained = |error| explained(error, model, model);
        let bytes = transport
            .post("api/pull", &body, JSON_LINES)
            .await
            .map_err(explained)?;
        let mut lines = lines(&transport, bytes);
        while let Some(line) = lines.next().await {
            let line = line.map_err(explained)?;
            if let Some(report) = ServerReport::of_error(&line) {
                if unfetchable(&report.message) {
                    return Err(LlmError::Unusable {
                        model: model.to_owned(),
                        detail: format!(
                            "there is no such model to fetch ({}); see that its name and tag are right",
                            transport.shown(&report.message)
                        ),
                    });
                }
                return Err(explained(transport.failure(None, &report, None)));
            }
            let told = pull_progress(&line);
            progress(&told);
            // Nothing else says so: the status of the answer is the same for a model that does not exist.
            if told.status == "success" {
                return Ok(());
            }
        }
        Err(transport.bad_reply(
            "the download ended before it was whole; pull again, which goes on where this one stopped",
        ))
    }

    /// Removes a model from the server's disk. [`LlmError::Unusable`] where it does not have it.
    pub async fn delete(&self, model: &str) -> Result<(), LlmError> {
        self.ask_about(Method::DELETE, "api/delete", model, json!({ "model": model }))
            .await
            .map(drop)
    }

    /// Loads a model, with a window if one is given, and returns when it is loaded.
    pub async fn load(
        &self,
        model: &str,
        context: Option<u64>,
        keep_alive: KeepAlive,
    ) -> Result<(), LlmError> {
        named(model, self.endpoint())?;
        let body = wire::load_body(model, context, keep_alive);
        let answer = self
            .transport
            .exchange(
                Method::POST,
                "api/chat",
                Some(&body),
                self.transport.bounds().first_byte,
            )
            .await
            .and_then(|answer| self.unless_failed(answer));
        answer.map(drop).map_err(|error| explained(error, model, model))
    }

    /// Unloads a model. One that is not loaded stays so.
    pub async fn unload(&self, model: &str) -> Result<(), LlmError> {
        self.ask_about(Method::POST, "api/chat", model, wire::unload_body(model))
            .await
            .map(drop)
    }

    /// Completes a text and returns the completion as it comes, under the rules of [`Llm::chat`](crate::llm::Llm::chat).
    pub async fn generate(&self, request: &GenerateRequest) -> Result<ReplyStream, LlmError> {
        named(&request.model, self.endpoint())?;
        let body = wire::generate_body(request);
        let bytes = self.transport.post("api/generate", &body, JSON_LINES).await;
        let bytes = bytes.map_err(|error| explained(error, &request.model, &request.model))?;
        let origin = Origin {
            shown: request.model.clone(),
            model: request.model.clone(),
            asked: Asked::new(&body),
            failures: None,
        };
        Ok(reply_stream(self.transport.clone(), bytes, origin))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, LlmError> {
        let wait = self.transport.bounds().idle;
        let answer = self.transport.exchange(method, path, body, wait).await?;
        self.unless_failed(answer)
    }

    async fn ask_about(
        &self,
        method: Method,
        path: &str,
        model: &str,
        body: Value,
    ) -> Result<Value, LlmError> {
        named(model, self.endpoint())?;
        let answer = self.ask(method, path, Some(&body)).await;
        answer.map_err(|error| explained(error, model, model))
    }

    /// Returns an answer, unless it is the report of a failure that a proxy made a success of.
    fn unless_failed(&self, answer: Value) -> Result<Value, LlmError> {
        match ServerReport::of_error(&answer) {
            Some(report) => Err(self.transport.failure(None, &report, None)),
            None => Ok(answer),
        }
    }
}

/// Refuses a name that is none before the server is asked, which says less.
fn named(model: &str, endpoint: &str) -> Result<(), LlmError> {
    if model.trim().is_empty() {
        return Err(LlmError::Unusable {
            model: endpoint.to_owned(),
            detail: "no model is named; `ollama list` shows the names".to_owned(),
        });
    }
    Ok(())
}

/// Returns whether the words say that no registry has the model.
fn unfetchable(words: &str) -> bool {
    ["file does not exist", "manifest unknown", "not found"]
        .iter()
        .any(|sign| words.contains(sign))
}
