//! The models of an Ollama server: what it has, what is loaded, and getting and removing models.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::{Catalogue, ListedModel, PullProgress};
use crate::llm::ollama::{InstalledModel, Ollama};
use crate::llm::server::Server;
use crate::llm::{Capabilities, LlmError, Support, Window, WindowBasis};

/// How many models are asked about one by one where the list does not tell enough, and how many at a time.
const MOST_ASKED: usize = 100;
const ASKED_AT_ONCE: usize = 4;

/// The models of an Ollama server.
#[derive(Debug)]
pub(super) struct OllamaCatalogue {
    server: Ollama,
}

impl OllamaCatalogue {
    /// Returns the catalogue; the error says why no client can be made.
    pub(super) fn new(server: &Server) -> Result<Self, LlmError> {
        Ok(Self {
            server: Ollama::new(server)?,
        })
    }

    /// Asks about a model whose entry of the list is short. That nothing more is told is no failure of the list.
    async fn complete(&self, mut model: InstalledModel) -> InstalledModel {
        if let Ok(shown) = self.server.show(&model.name).await {
            model.capabilities = model.capabilities.or(shown.capabilities);
            model.context_length = model.context_length.or(shown.context_length);
        }
        model
    }
}

#[async_trait]
impl Catalogue for OllamaCatalogue {
    async fn list(&self) -> Result<Vec<ListedModel>, LlmError> {
        let mut models = self.server.tags().await?;
        let loaded = self.server.ps().await.ok().map(|loaded| {
            let windows = loaded.into_iter().map(|model| (model.name, model.context_length));
            windows.collect::<BTreeMap<_, _>>()
        });
        models.sort_by(|one, other| one.name.cmp(&other.name));
        let few = models.len() <= MOST_ASKED;
        let completed = stream::iter(models).map(|model| async {
            let is_short = model.capabilities.is_none() || model.context_length.is_none();
            if is_short && few {
                self.complete(model).await
            } else {
                model
            }
        });
        let models: Vec<InstalledModel> = completed.buffered(ASKED_AT_ONCE).collect().await;
        Ok(models
            .into_iter()
            .map(|model| listed(model, loaded.as_ref()))
            .collect())
    }

    async fn pull(
        &self,
        model: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), LlmError> {
        self.server.pull(model, &|told| progress(told.clone())).await
    }

    async fn remove(&self, model: &str) -> Result<(), LlmError> {
        self.server.delete(model).await
    }
}

fn listed(model: InstalledModel, loaded: Option<&BTreeMap<String, Option<u64>>>) -> ListedModel {
    let can = |what: &str| match &model.capabilities {
        None => Support::Unknown,
        Some(list) if list.iter().any(|one| one == what) => Support::Yes,
        Some(_) => Support::No,
    };
    let running = loaded.and_then(|loaded| loaded.get(&model.name));
    // What it is loaded with is what counts; what it was trained with is only what it could be loaded with.
    let window = match (running.copied().flatten(), model.context_length) {
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
        name: model.name,
        size: model.size,
        parameters: model.build.parameter_size.filter(|text| !text.is_empty()),
        quantisation: model.build.quantization.filter(|text| !text.is_empty()),
    }
}
