//! The models that a factory can use: opening them by their text, and looking after those of its endpoints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reader;
use crate::agent::probe::{Probed, probe};
use crate::chain::chain;
use crate::error::Error;
use crate::llm::catalogue::{Catalogue, ListedModel, PullProgress, catalogue};
use crate::llm::endpoint::{EndpointKind, Endpoints};
use crate::llm::limited::{Limit, Limited};
use crate::llm::spec::{Opened, managed_model, open_model};
use crate::llm::{Capabilities, Llm, LlmError};
use crate::model::Protocol;

/// Opens models by their text, and keeps them, because a model's server has its bounds per process.
#[derive(Debug)]
pub(super) struct Models {
    endpoints: Endpoints,
    open: Mutex<HashMap<String, Arc<dyn Llm>>>,
    /// By endpoint: its models share one.
    limits: Mutex<HashMap<String, Limit>>,
}

impl Models {
    /// Returns what opens models of these endpoints; `ready` are open already, by their names.
    pub(super) fn new(endpoints: Endpoints, ready: HashMap<String, Arc<dyn Llm>>) -> Self {
        Self {
            endpoints,
            open: Mutex::new(ready),
            limits: Mutex::default(),
        }
    }

    pub(super) fn open(&self, spec: &str) -> Result<Arc<dyn Llm>, LlmError> {
        let mut open = lock(&self.open);
        if let Some(llm) = open.get(spec) {
            return Ok(Arc::clone(llm));
        }
        let Opened { model, limit } = open_model(spec, &self.endpoints)?;
        // What has no server is a file that may be edited between two runs, so it is read each time.
        let Some(limit) = limit else {
            return Ok(model);
        };
        let shared = lock(&self.limits)
            .entry(limit.server)
            .or_insert_with(|| Limit::new(limit.parallel))
            .clone();
        let llm: Arc<dyn Llm> = Arc::new(Limited::new(model, shared));
        open.insert(spec.to_owned(), Arc::clone(&llm));
        Ok(llm)
    }

    /// Returns whether a model was plugged in or is open already.
    pub(super) fn has(&self, spec: &str) -> bool {
        lock(&self.open).contains_key(spec)
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Returns the catalogue that has the model of this text, and what it is called there.
    fn managed(&self, text: &str) -> Result<(String, Arc<dyn Catalogue>, String), LlmError> {
        let (endpoint, model) = managed_model(text, &self.endpoints);
        let found = self.endpoints.find(&endpoint, text)?;
        Ok((endpoint.clone(), catalogue(&endpoint, found)?, model))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The models of an endpoint, or why they are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointModels {
    /// The endpoint's name.
    pub endpoint: String,
    /// What it speaks.
    pub kind: EndpointKind,
    /// Where it is.
    pub url: String,
    /// The models that it lists.
    pub models: Vec<ListedModel>,
    /// Why it lists none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What is known of a model once it was made ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbedModel {
    /// The model, as runs are filed with it.
    pub model: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it is asked.
    pub protocol: Protocol,
    /// What was tried to find that out; nothing where it is known without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<ProtocolTry>,
}

/// A protocol that was tried with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProtocolTry {
    /// The protocol.
    pub protocol: Protocol,
    /// Why it does not work; none where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Reader {
    /// Lists the models of every endpoint. An endpoint that does not answer soon says so in its place.
    pub async fn models(&self) -> Vec<EndpointModels> {
        let listings = self.models.endpoints().iter().map(async |(name, endpoint)| {
            let listed = match catalogue(name, endpoint) {
                Ok(catalogue) => catalogue.list().await.map_err(|error| chain(&error)),
                // The line begins with the endpoint's name anyway.
                Err(LlmError::Unusable { detail, .. }) => Err(detail),
                Err(error) => Err(chain(&error)),
            };
            let (models, failure) = match listed {
                Ok(models) => (models, None),
                Err(failure) => (Vec::new(), Some(failure)),
            };
            EndpointModels {
                endpoint: name.to_owned(),
                kind: endpoint.kind,
                url: endpoint.shown_url(),
                models,
                failure,
            }
        });
        join_all(listings).await
    }

    /// Gets a model onto its server, and returns when it can be used. `model` is `ENDPOINT:NAME`, or a name of Ollama's.
    /// Dropping the future stops it; the same call goes on from there. Returns the model as runs are filed with it.
    pub async fn pull_model(
        &self,
        model: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<String, Error> {
        let (endpoint, catalogue, model) = self.models.managed(model)?;
        catalogue.pull(&model, progress).await?;
        Ok(format!("{endpoint}:{model}"))
    }

    /// Removes a model from its server. `model` is `ENDPOINT:NAME`, or a name of Ollama's. Returns the model that is gone.
    pub async fn remove_model(&self, model: &str) -> Result<String, Error> {
        let (endpoint, catalogue, model) = self.models.managed(model)?;
        catalogue.remove(&model).await?;
        Ok(format!("{endpoint}:{model}"))
    }

    /// Makes a model ready, which may load it, and returns what is known of it then. `model` is as runs are filed with it,
    /// or a name of Ollama's.
    pub async fn probe_model(&self, model: &str) -> Result<ProbedModel, Error> {
        let spec = if self.models.has(model) || model.starts_with("scripted:") || model.contains("@http") {
            model.to_owned()
        } else {
            let (endpoint, model) = managed_model(model, self.models.endpoints());
            format!("{endpoint}:{model}")
        };
        let opened = Arc::clone(&self.models);
        let text = spec.clone();
        // A script's file is read, which blocks.
        let opened = tokio::task::spawn_blocking(move || opened.open(&text)).await;
        let llm = opened.map_err(|error| Error::Internal(error.to_string()))??;
        let progress = |words: &str| tracing::info!(words, "the model is made ready");
        let capabilities = llm.prepare(&progress).await?;
        let probed = match capabilities.protocol {
            Some(protocol) => Probed::known(protocol, capabilities),
            // Whoever asks wants to know how it is now, whatever was found before.
            None => probe(llm.as_ref(), capabilities, &progress).await?,
        };
        if capabilities.protocol.is_none() {
            self.notes.set_protocol(&spec, probed.protocol).await;
        }
        Ok(ProbedModel {
            model: spec,
            capabilities,
            protocol: probed.protocol,
            tries: probed
                .tries
                .into_iter()
                .map(|(protocol, tried)| ProtocolTry {
                    protocol,
                    failure: tried.err(),
                })
                .collect(),
        })
    }
}
