//! The HTTP API: one file a resource, its operations with their wire types.

mod approvals;
pub(crate) mod bounds;
pub(crate) mod cursor;
mod events;
mod models;
pub(crate) mod once;
mod paging;
mod patterns;
pub(crate) mod payload;
mod projects;
mod review;
mod run;
mod runs;
mod service;
mod steering;
mod tokens;
mod usage;

use factory_core::Settings;
use factory_core::model::{Budget, Event};
use poem_openapi::{OpenApi as _, OpenApiService, Tags};
use schemars::SchemaGenerator;

use self::approvals::ApprovalsApi;
use self::events::EventsApi;
use self::models::ModelsApi;
use self::projects::ProjectsApi;
use self::review::ReviewApi;
use self::runs::RunsApi;
use self::service::ServiceApi;
use self::steering::SteeringApi;
use self::tokens::TokensApi;
use self::usage::UsageApi;

/// What the operations are about.
#[derive(Debug, Clone, Copy, Tags)]
enum Tag {
    /// Registered git repositories, and how their results are proven.
    Projects,
    /// Goals on their way to an approved commit.
    Runs,
    /// What happened, in order. Live streams of it are described by the `AsyncAPI` document, `/asyncapi.json`.
    Events,
    /// What a run has made so far.
    Review,
    /// What the operator is asked.
    Approvals,
    /// What was spent.
    Usage,
    /// What lets programs and browsers in.
    Tokens,
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
pub(crate) type Api = (
    ProjectsApi,
    RunsApi,
    SteeringApi,
    EventsApi,
    ReviewApi,
    ApprovalsApi,
    ModelsApi,
    UsageApi,
    TokensApi,
    ServiceApi,
);

/// Returns the service of all operations.
pub(crate) fn service() -> OpenApiService<Api, ()> {
    let api = (
        ProjectsApi,
        RunsApi,
        SteeringApi,
        EventsApi,
        ReviewApi,
        ApprovalsApi,
        ModelsApi,
        UsageApi,
        TokensApi,
        ServiceApi,
    );
    OpenApiService::new(api, "AI Dev Factory", env!("CARGO_PKG_VERSION"))
}

/// Returns the paths of all operations, each with its methods.
pub(crate) fn paths() -> impl Iterator<Item = (String, Vec<String>)> {
    let paths = Api::meta().into_iter().flat_map(|api| api.paths);
    paths.map(|path| {
        let methods = path
            .operations
            .iter()
            .map(|operation| operation.method.to_string());
        (path.path, methods.collect())
    })
}

/// Gives the generator every type that operations answer with.
pub(crate) fn describe_answers(generator: &mut SchemaGenerator) {
    generator.subschema_for::<payload::Page<projects::Project>>();
    generator.subschema_for::<projects::ProjectAdded>();
    generator.subschema_for::<payload::Page<run::Run>>();
    generator.subschema_for::<runs::FiledRuns>();
    generator.subschema_for::<payload::Page<Event>>();
    generator.subschema_for::<review::PlanSteps>();
    generator.subschema_for::<payload::Page<factory_core::factory::CheckView>>();
    generator.subschema_for::<payload::Page<factory_core::factory::CheckpointView>>();
    generator.subschema_for::<payload::Page<factory_core::factory::CommentView>>();
    generator.subschema_for::<review::ChangedFiles>();
    generator.subschema_for::<factory_core::vcs::FilePatch>();
    generator.subschema_for::<payload::Page<factory_core::model::Approval>>();
    generator.subschema_for::<payload::Page<factory_core::store::UsageTotal>>();
    generator.subschema_for::<payload::Page<factory_core::factory::credentials::CredentialView>>();
    generator.subschema_for::<factory_core::factory::credentials::IssuedCredential>();
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
    generator.subschema_for::<steering::Directive>();
    generator.subschema_for::<run::Bounds>();
    generator.subschema_for::<steering::NewFork>();
    generator.subschema_for::<review::NewComment>();
    generator.subschema_for::<approvals::NewDecision>();
    generator.subschema_for::<tokens::TokenToMake>();
    generator.subschema_for::<models::ModelName>();
}
