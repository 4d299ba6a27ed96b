//! Models: what the endpoints have, and getting, trying and removing them.

#![expect(
    clippy::unused_async,
    reason = "operations are async, whether or not they wait"
)]

use factory_core::Factory;
use factory_core::factory::{EndpointModels, ProbedModel};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Tag;
use super::payload::{Body, Created, Done, Reply};
use crate::guard::{Admin, Viewer};
use crate::problem::Problem;
use crate::pulls::{Pull, Pulls};

/// The models of every endpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Models {
    /// By endpoint, those that do not answer included.
    endpoints: Vec<EndpointModels>,
}

/// Models that are being got, or were.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PullList {
    /// The newest last; those that ended long ago are forgotten.
    items: Vec<Pull>,
}

/// A model by its text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"model": "ollama:qwen2.5-coder:7b"}))]
pub(crate) struct ModelName {
    /// The model, as `ENDPOINT:NAME`, or a name of Ollama's.
    #[schemars(length(min = 1, max = 1000))]
    model: String,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelsApi;

#[OpenApi(prefix_path = "/models", tag = "Tag::Models")]
impl ModelsApi {
    /// Lists the models of every endpoint
    ///
    /// An endpoint that does not answer soon says so in its place.
    #[oai(path = "/", method = "get", operation_id = "list_models")]
    async fn list(&self, _caller: Viewer, Data(factory): Data<&Factory>) -> Reply<Models> {
        Reply::new(Models {
            endpoints: factory.reader().models().await,
        })
    }

    /// Removes a model from its server
    ///
    /// Only servers that keep models themselves can do so, as Ollama does.
    #[oai(path = "/", method = "delete", operation_id = "remove_model")]
    async fn remove(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        /// The model, as `ENDPOINT:NAME`, or a name of Ollama's.
        #[oai(validator(min_length = 1, max_length = 1000))]
        model: Query<String>,
    ) -> Result<Done, Problem> {
        factory.reader().remove_model(&model.0).await?;
        Ok(Done)
    }

    /// Makes a model ready and tells what is known of it
    ///
    /// It may be loaded for that, which can take minutes.
    #[oai(path = "/probe", method = "post", operation_id = "probe_model")]
    async fn probe(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        body: Body<ModelName>,
    ) -> Result<Reply<ProbedModel>, Problem> {
        let wanted = body.value;
        Ok(Reply::new(factory.reader().probe_model(&wanted.model).await?))
    }

    /// Begins to get a model onto its server
    ///
    /// It goes on whether or not anybody asks how far it is. What is being got already is not begun twice.
    #[oai(path = "/pulls", method = "post", operation_id = "pull_model")]
    async fn pull(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        Data(pulls): Data<&Pulls>,
        body: Body<ModelName>,
    ) -> Result<Created<Pull>, Problem> {
        let wanted = body.value;
        let pull = pulls.begin(factory.reader(), wanted.model)?;
        Ok(Created::at(format!("/models/pulls/{}", pull.id), pull))
    }

    /// Lists the models that are being got, or were
    ///
    /// They are forgotten when the server ends.
    #[oai(path = "/pulls", method = "get", operation_id = "list_pulls")]
    async fn pulls(&self, _caller: Viewer, Data(pulls): Data<&Pulls>) -> Reply<PullList> {
        Reply::new(PullList { items: pulls.all() })
    }

    /// Shows how far a model has come
    ///
    /// In the words and bytes of the model's server; where it failed, with why.
    #[oai(path = "/pulls/:pull_id", method = "get", operation_id = "get_pull")]
    async fn progress(
        &self,
        _caller: Viewer,
        Data(pulls): Data<&Pulls>,
        /// The pull.
        pull_id: Path<u64>,
    ) -> Result<Reply<Pull>, Problem> {
        Ok(Reply::new(pulls.get(pull_id.0)?))
    }

    /// Stops getting a model
    ///
    /// What has come stays on the server; the same pull goes on from there.
    #[oai(path = "/pulls/:pull_id", method = "delete", operation_id = "cancel_pull")]
    async fn cancel(
        &self,
        _caller: Admin,
        Data(pulls): Data<&Pulls>,
        /// The pull.
        pull_id: Path<u64>,
    ) -> Result<Done, Problem> {
        pulls.cancel(pull_id.0)?;
        Ok(Done)
    }
}
