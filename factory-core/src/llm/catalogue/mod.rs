//! What models an endpoint has, and getting and removing them.

mod ollama;
mod openai;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ollama::OllamaCatalogue;
use self::openai::OpenAiCatalogue;
use super::endpoint::{Endpoint, EndpointKind};
use super::server::{Bounds, Server};
use super::striking::Striking;
use super::{Capabilities, LlmError};

pub use super::ollama::PullProgress;

/// How long a server may take for each step of an answer about its models.
const PATIENCE: Duration = Duration::from_secs(5);

/// A model as its server lists it. What it does not say is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedModel {
    /// What the server calls it.
    pub name: String,
    /// How many bytes it takes on its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How many parameters it has, such as `7.6B`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// How they are stored, such as `Q4_K_M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<String>,
    /// What it can do, and its window.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Whether it is loaded; none where the server does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<bool>,
}

/// The models of one server.
#[async_trait]
pub trait Catalogue: Debug + Send + Sync + 'static {
    /// Lists the models, in the order of their names. Soon done or failed.
    async fn list(&self) -> Result<Vec<ListedModel>, LlmError>;

    /// Gets a model, and returns when it can be used. Dropping the future stops it; what has come stays on the server, and
    /// a later call goes on from there.
    async fn pull(
        &self,
        model: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), LlmError>;

    /// Removes a model from the server.
    async fn remove(&self, model: &str) -> Result<(), LlmError>;
}

/// Returns the models of an endpoint's server, or why it cannot be asked. `name` is the endpoint's. Connects to nothing.
pub fn catalogue(name: &str, endpoint: &Endpoint) -> Result<Arc<dyn Catalogue>, LlmError> {
    let unusable = |detail| LlmError::Unusable {
        model: name.to_owned(),
        detail,
    };
    let server = endpoint.server().map_err(unusable)?;
    let server = Server {
        bounds: Bounds {
            connect: PATIENCE,
            first_byte: PATIENCE,
            idle: PATIENCE,
            ..server.bounds
        },
        ..server
    };
    let inner: Arc<dyn Catalogue> = match endpoint.kind {
        EndpointKind::Ollama => Arc::new(OllamaCatalogue::new(&server)?),
        // Anthropic's list has the same shape.
        EndpointKind::OpenAi | EndpointKind::Anthropic => {
            Arc::new(OpenAiCatalogue::new(name, server).map_err(unusable)?)
        }
    };
    Ok(match Striking::new(&endpoint.secrets()) {
        Some(striking) => Arc::new(StruckCatalogue { inner, striking }),
        None => inner,
    })
}

/// A catalogue whose server's words are freed of the secrets that the server was given.
#[derive(Debug)]
struct StruckCatalogue {
    inner: Arc<dyn Catalogue>,
    striking: Striking,
}

#[async_trait]
impl Catalogue for StruckCatalogue {
    async fn list(&self) -> Result<Vec<ListedModel>, LlmError> {
        let listed = self.inner.list().await;
        let mut models = listed.map_err(|error| self.striking.strike_error(error))?;
        for model in &mut models {
            let more = [&mut model.parameters, &mut model.quantisation];
            for text in more.into_iter().flatten().chain([&mut model.name]) {
                *text = self.striking.strike(text);
            }
        }
        Ok(models)
    }

    async fn pull(
        &self,
        model: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), LlmError> {
        let progress = |told: PullProgress| {
            progress(PullProgress {
                status: self.striking.strike(&told.status),
                digest: told.digest.map(|digest| self.striking.strike(&digest)),
                ..told
            });
        };
        let pulled = self.inner.pull(model, &progress).await;
        pulled.map_err(|error| self.striking.strike_error(error))
    }

    async fn remove(&self, model: &str) -> Result<(), LlmError> {
        let removed = self.inner.remove(model).await;
        removed.map_err(|error| self.striking.strike_error(error))
    }
}
