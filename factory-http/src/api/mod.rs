//! The HTTP API: one file a resource, its operations with their wire types.

mod cursor;
mod events;
mod models;
pub(crate) mod once;
mod paging;
pub(crate) mod payload;
mod projects;
mod runs;
mod service;

use factory_core::Settings;
use factory_core::model::{Budget, Event};
use poem_openapi::{OpenApiService, Tags};
use schemars::SchemaGenerator;

use self::events::EventsApi;
use self::models::ModelsApi;
use self::projects::ProjectsApi;
use self::runs::RunsApi;
use self::service::ServiceApi;

/// What the operations are about.
#[derive(Debug, Clone, Copy, Tags)]
enum Tag {
    /// Registered git repositories, and how their results are proven.
    Projects,
    /// Goals on their way to an approved commit.
    Runs,
    /// What happened, in order. Live streams of it are described by the AsyncAPI document, `/asyncapi.json`.
    Events,
    /// What the endpoints have, and getting, trying and removing it.
    Models,
    /// The server itself.
    Service,
}

/// What runs are filed with where nothing is said.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    /// The model.
    pub(crate) model: String,
    /// What may be spent.
    pub(crate) budget: Budget,
}

impl From<&Settings> for Defaults {
    fn from(settings: &Settings) -> Self {
        Self {
            model: settings.model.clone(),
            budget: settings.budget,
        }
    }
}

/// All operations.
pub(crate) type Api = (ProjectsApi, RunsApi, EventsApi, ModelsApi, ServiceApi);

/// Returns the service of all operations.
pub(crate) fn service() -> OpenApiService<Api, ()> {
    let api = (ProjectsApi, RunsApi, EventsApi, ModelsApi, ServiceApi);
    OpenApiService::new(api, "AI Dev Factory", env!("CARGO_PKG_VERSION"))
}

/// Gives the generator every type that operations answer with.
pub(crate) fn describe_answers(generator: &mut SchemaGenerator) {
    generator.subschema_for::<payload::Page<projects::Project>>();
    generator.subschema_for::<projects::ProjectAdded>();
    generator.subschema_for::<payload::Page<runs::Run>>();
    generator.subschema_for::<runs::FiledRuns>();
    generator.subschema_for::<payload::Page<Event>>();
    generator.subschema_for::<models::Models>();
    generator.subschema_for::<models::PullList>();
    generator.subschema_for::<crate::pulls::Pull>();
    generator.subschema_for::<factory_core::factory::ProbedModel>();
    generator.subschema_for::<service::Health>();
    generator.subschema_for::<service::Version>();
    generator.subschema_for::<crate::problem::ProblemBody>();
}

/// Gives the generator every type that operations take.
pub(crate) fn describe_bodies(generator: &mut SchemaGenerator) {
    generator.subschema_for::<projects::NewProject>();
    generator.subschema_for::<projects::ProjectPatch>();
    generator.subschema_for::<runs::NewRun>();
    generator.subschema_for::<runs::NewRuns>();
    generator.subschema_for::<runs::Directive>();
    generator.subschema_for::<runs::Bounds>();
    generator.subschema_for::<models::ModelName>();
}
