//! The models of an Ollama server: what it has, what is loaded, and getting and removing models.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Catalogue, ListedModel, PullProgress};
use crate::llm::server::{Bounds, Server};
use crate::llm::transport::{ServerReport, Transport};
use crate::llm::{Capabilities, LlmError, Support, Window, WindowBasis};

/// How long a pull may be silent: a large part is checked without a word.
const PULL_SILENCE: Duration = Duration::from_mins(10);

/// How much a server may say of a pull, which takes hours where the line is slow.
const PULL_WORDS: usize = 1 << 30;

/// How many models are asked about one by one where the list does not tell enough, and how many at a time.
const MOST_ASKED: usize = 100;
const ASKED_AT_ONCE: usize = 4;

/// The models of an Ollama server.
#[derive(Debug)]
pub(super) struct OllamaCatalogue {
    transport: Transport,
    pulling: Transport,
}

#[derive(Debug, Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    size: Option<u64>,
    #[serde(default)]
    details: Details,
    capabilities: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    parameter_size: Option<String>,
    quantization_level: Option<String>,
    context_length: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Running {
    #[serde(default)]
    models: Vec<Loaded>,
}

#[derive(Debug, Deserialize)]
struct Loaded {
    name: String,
    context_length: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    model_info: serde_json::Map<String, Value>,
}

impl OllamaCatalogue {
    /// Returns the catalogue; the error says why no client can be made.
    pub(super) fn new(server: &Server) -> Result<Self, String> {
        let pulling = Server {
            bounds: Bounds {
                first_byte: PULL_SILENCE,
                idle: PULL_SILENCE,
                reply_bytes: PULL_WORDS,
                ..server.bounds
            },
            ..server.clone()
        };
        Ok(Self {
            transport: Transport::new(server)?,
            pulling: Transport::new(&pulling)?,
        })
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, body: &[u8], what: &str) -> Result<T, LlmError> {
        serde_json::from_slice(body).map_err(|error| {
            self.transport
                .bad_reply(format!("its {what} cannot be read: {error}"))
        })
    }

    async fn tags(&self) -> Result<Vec<Tag>, LlmError> {
        let body = self.transport.get("api/tags").await?;
        self.read::<Tags>(&body, "list of models").map(|tags| tags.models)
    }

    /// Returns the windows of the models that are loaded.
    async fn loaded(&self) -> Result<BTreeMap<String, Option<u64>>, LlmError> {
        let body = self.transport.get("api/ps").await?;
        let running: Running = self.read(&body, "list of loaded models")?;
        let loaded = running.models.into_iter();
        Ok(loaded.map(|model| (model.name, model.context_length)).collect())
    }

    /// Asks about a model whose entry of the list is short. That nothing more is told is no failure of the list.
    async fn complete(&self, mut tag: Tag) -> Tag {
        let told = self
            .transport
            .post_json("api/show", &json!({"model": tag.name}))
            .await;
        let shown: Option<Shown> = told.ok().and_then(|body| serde_json::from_slice(&body).ok());
        if let Some(shown) = shown {
            tag.capabilities = tag.capabilities.or(shown.capabilities);
            let trained = || {
                let mut info = shown.model_info.iter();
                info.find_map(|(name, value)| value.as_u64().filter(|_| name.ends_with(".context_length")))
            };
            tag.details.context_length = tag.details.context_length.or_else(trained);
        }
        tag
    }
}

#[async_trait]
impl Catalogue for OllamaCatalogue {
    async fn list(&self) -> Result<Vec<ListedModel>, LlmError> {
        let mut tags = self.tags().await?;
        let loaded = self.loaded().await.ok();
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        let few = tags.len() <= MOST_ASKED;
        let completed = stream::iter(tags).map(|tag| async {
            let is_short = tag.capabilities.is_none() || tag.details.context_length.is_none();
            if is_short && few {
                self.complete(tag).await
            } else {
                tag
            }
        });
        let tags: Vec<Tag> = completed.buffered(ASKED_AT_ONCE).collect().await;
        Ok(tags.into_iter().map(|tag| listed(tag, loaded.as_ref())).collect())
    }

    async fn pull(
        &self,
        model: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), LlmError> {
        let body = json!({"model": model, "stream": true});
        let mut bytes = self
            .pulling
            .post("api/pull", &body, "application/x-ndjson")
            .await?;
        let limit = self.pulling.bounds().line_bytes;
        let mut unread = Vec::new();
        let mut is_done = false;
        while let Some(more) = bytes.next().await {
            unread.extend_from_slice(&more?);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                is_done |= self.told(&line, progress)?;
            }
            if unread.len() > limit {
                return Err(self
                    .pulling
                    .bound_passed(format!("a line is longer than {limit} bytes")));
            }
        }
        is_done |= self.told(&unread, progress)?;
        if is_done {
            return Ok(());
        }
        Err(self
            .pulling
            .bad_reply("it ended before the model was whole; the same command goes on from there".to_owned()))
    }

    async fn remove(&self, model: &str) -> Result<(), LlmError> {
        self.transport
            .delete("api/delete", &json!({"model": model}))
            .await
            .map(|_| ())
    }
}

impl OllamaCatalogue {
    /// Passes on what a line of a pull tells. Returns whether it says that the model is whole. A server answers a pull
    /// with a success before it has begun, so that a failure is a line as well.
    fn told(&self, line: &[u8], progress: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<bool, LlmError> {
        if line.trim_ascii().is_empty() {
            return Ok(false);
        }
        let value: Value = self.read(line, "progress")?;
        if let Some(report) = ServerReport::of_error(&value) {
            return Err(self.pulling.failure(None, &report, None));
        }
        let told: PullProgress = self.read(line, "progress")?;
        let is_done = told.status == "success";
        progress(told);
        Ok(is_done)
    }
}

fn listed(tag: Tag, loaded: Option<&BTreeMap<String, Option<u64>>>) -> ListedModel {
    let can = |what: &str| match &tag.capabilities {
        None => Support::Unknown,
        Some(list) if list.iter().any(|one| one == what) => Support::Yes,
        Some(_) => Support::No,
    };
    let running = loaded.and_then(|loaded| loaded.get(&tag.name));
    // What it is loaded with is what counts; what it was trained with is only what it could be loaded with.
    let window = match (running.copied().flatten(), tag.details.context_length) {
        (Some(tokens), _) => Some(Window {
            tokens,
            basis: WindowBasis::Verified,
        }),
        (None, Some(tokens)) => Some(Window {
            tokens,
            basis: WindowBasis::Told,
        }),
        (None, None) => None,
    };
    ListedModel {
        capabilities: Capabilities {
            tools: can("tools"),
            // Every model's reply can be bound: the server restricts what is drawn.
            schema: Support::Yes,
            thinking: can("thinking"),
            window,
            ..Capabilities::default()
        },
        loaded: loaded.map(|_| running.is_some()),
        name: tag.name,
        size: tag.size,
        parameters: tag.details.parameter_size.filter(|text| !text.is_empty()),
        quantisation: tag.details.quantization_level.filter(|text| !text.is_empty()),
    }
}
