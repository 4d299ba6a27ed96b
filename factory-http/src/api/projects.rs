//! Projects: git repositories of this machine, and how their results are proven.

use std::path::PathBuf;

use factory_core::Factory;
use factory_core::factory::{AddProject, CommandReport, ProjectChange, SetupReport};
use factory_core::model::{self, ProjectId, SetupNetwork, Timestamp};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::once::{self, InFlight, KeyHeader};
use super::paging::List;
use super::payload::{Body, Created, Done, Page, Reply, shown};
use super::{Tag, patterns};
use crate::guard::{Admin, Viewer};
use crate::problem::Problem;

/// A registered repository.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Project {
    /// The project's number, never used again.
    id: ProjectId,
    /// Its unique name.
    name: String,
    /// The absolute path of the operator's repository.
    local_path: String,
    /// The ref that runs start from; the repository's current branch where null.
    base_ref: Option<String>,
    /// Commands that install what it needs.
    setup: Vec<String>,
    /// What these may reach.
    setup_network: SetupNetwork,
    /// Commands that prove a result.
    checks: Vec<String>,
    /// The folder of the repository that the project is; the whole of it where null.
    folder: Option<String>,
    /// The operator's own words to the agent.
    instructions: Option<String>,
    /// When it was registered.
    created_at: Timestamp,
}

impl From<model::Project> for Project {
    fn from(project: model::Project) -> Self {
        Self {
            id: project.id,
            local_path: shown(&project.local_path),
            name: project.name,
            base_ref: project.settings.base_ref,
            setup: project.settings.setup,
            setup_network: project.settings.setup_network,
            checks: project.settings.checks,
            folder: project.settings.folder,
            instructions: project.settings.instructions,
            created_at: project.created_at,
        }
    }
}

/// A project that was registered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectAdded {
    #[serde(flatten)]
    project: Project,
    /// Whether the folder was made a repository.
    initialised: bool,
    /// What the operator should know of the repository.
    notes: Vec<String>,
    /// How the setup went on the base; null where it was not tried or there is none.
    setup_report: Option<Report>,
    /// How the checks went on the base; empty where they were not tried.
    check_reports: Vec<Report>,
}

/// How a command went on the base.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// The command; null for the setup as a whole.
    command: Option<String>,
    /// Whether it succeeded.
    ok: bool,
    /// What it printed, its middle cut where it is long.
    output: String,
    /// How long it took, in milliseconds.
    work_ms: u64,
}

impl From<SetupReport> for Report {
    fn from(report: SetupReport) -> Self {
        Self {
            command: None,
            ok: report.ok,
            output: report.output,
            work_ms: report.work_ms,
        }
    }
}

impl From<CommandReport> for Report {
    fn from(report: CommandReport) -> Self {
        Self {
            command: Some(report.command),
            ok: report.ok,
            output: report.output,
            work_ms: report.work_ms,
        }
    }
}

/// A repository to be registered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"local_path": "/srv/git/shop", "checks": ["npm test"]}))]
pub(crate) struct NewProject {
    /// The absolute path of the repository's folder, on the server's machine.
    #[schemars(length(min = 1, max = 4096), regex(pattern = patterns::ABSOLUTE_PATH))]
    local_path: String,
    /// A unique name; the folder's where none is given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    name: Option<String>,
    /// Setup commands; null takes what the repository suggests, an empty list means none.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 25_000), regex(pattern = patterns::GOAL)))]
    setup: Option<Vec<String>>,
    /// What these may reach.
    #[serde(default)]
    setup_network: Option<SetupNetwork>,
    /// Check commands; null takes what the repository suggests, an empty list means none.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 25_000), regex(pattern = patterns::GOAL)))]
    checks: Option<Vec<String>>,
    /// The ref that runs start from.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    base_ref: Option<String>,
    /// Whether a folder that is no repository is to be made one.
    #[serde(default)]
    init: bool,
    /// Whether setup and checks are tried on the base before this answers, which may take long.
    #[serde(default)]
    try_now: bool,
}

/// A change of a project. What is left out, or null, stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"checks": ["npm test", "npm run lint"], "instructions": "Write tests first."}))]
pub(crate) struct ProjectPatch {
    /// The new name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    name: Option<String>,
    /// The setup commands.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 25_000), regex(pattern = patterns::GOAL)))]
    setup: Option<Vec<String>>,
    /// What these may reach.
    #[serde(default)]
    setup_network: Option<SetupNetwork>,
    /// The check commands.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 25_000), regex(pattern = patterns::GOAL)))]
    checks: Option<Vec<String>>,
    /// The ref that runs start from; an empty text takes it away.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    base_ref: Option<String>,
    /// The operator's own words to the agent; an empty text takes them away.
    #[serde(default)]
    #[schemars(length(max = 65536))]
    instructions: Option<String>,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProjectsApi;

#[OpenApi(prefix_path = "/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// Registers a repository
    ///
    /// Commands that are not named are taken from what the repository suggests. The repository itself stays as it is, unless
    /// `init` says that a folder is to be made one.
    #[oai(path = "/", method = "post", operation_id = "create_project")]
    async fn create(
        &self,
        caller: Admin,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// A key under which it is done at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewProject>,
    ) -> Result<Created<ProjectAdded>, Problem> {
        let Body { value: new, digest } = body;
        let path = PathBuf::from(new.local_path);
        let add = AddProject {
            path,
            name: new.name,
            setup: new.setup,
            setup_network: new.setup_network.unwrap_or_default(),
            checks: new.checks,
            base_ref: new.base_ref,
            init: new.init,
            try_now: new.try_now,
        };
        let request = once::Request::new(factory, in_flight, &caller.0, key, "POST /projects", &digest);
        let made = request
            .make(async |factory| factory.add_project(add).await)
            .await?;
        let (added, replayed) = (made.value, made.replayed);
        let location = format!("/projects/{}", added.project.id);
        let added = ProjectAdded {
            project: added.project.into(),
            initialised: added.initialised,
            notes: added.notes,
            setup_report: added.setup.map(Report::from),
            check_reports: added.checks.into_iter().map(Report::from).collect(),
        };
        Ok(Created::at(location, added).replayed_if(replayed))
    }

    /// Lists projects in the order of their numbers
    ///
    /// Each with all that is set of it.
    #[oai(path = "/", method = "get", operation_id = "list_projects")]
    async fn list(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<Project>>, Problem> {
        let list = List::new("projects", &limit);
        let projects = factory.reader().projects(list.page(cursor.0.as_deref())?).await?;
        Ok(Reply::new(list.answer(
            projects,
            |project| project.id,
            Project::from,
        )))
    }

    /// Shows a project
    ///
    /// Where it lies, which commands set it up, and which prove a result.
    #[oai(path = "/:project_id", method = "get", operation_id = "get_project")]
    async fn get(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The project.
        project_id: Path<i64>,
    ) -> Result<Reply<Project>, Problem> {
        let project = factory.reader().project_by_id(ProjectId(project_id.0)).await?;
        Ok(Reply::new(project.into()))
    }

    /// Changes a project
    ///
    /// Runs that are under way see the new settings with their next act.
    #[oai(path = "/:project_id", method = "patch", operation_id = "update_project")]
    async fn update(
        &self,
        caller: Admin,
        Data(factory): Data<&Factory>,
        /// The project.
        project_id: Path<i64>,
        body: Body<ProjectPatch>,
    ) -> Result<Reply<Project>, Problem> {
        let patch = body.value;
        let project = factory.reader().project_by_id(ProjectId(project_id.0)).await?;
        let mut settings = project.settings;
        let kept = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(setup) = patch.setup {
            settings.setup = setup;
        }
        if let Some(network) = patch.setup_network {
            settings.setup_network = network;
        }
        if let Some(checks) = patch.checks {
            settings.checks = checks;
        }
        if let Some(base_ref) = patch.base_ref {
            settings.base_ref = kept(base_ref);
        }
        if let Some(instructions) = patch.instructions {
            settings.instructions = kept(instructions);
        }
        let change = ProjectChange {
            name: patch.name,
            settings: Some(settings),
        };
        let factory = factory.acting_as(&caller.0.name);
        let changed = factory.change_project(&project.name, change).await?;
        Ok(Reply::new(changed.into()))
    }

    /// Forgets a project that no unfinished run needs
    ///
    /// The repository is not touched; finished runs keep their events.
    #[oai(path = "/:project_id", method = "delete", operation_id = "delete_project")]
    async fn remove(
        &self,
        caller: Admin,
        Data(factory): Data<&Factory>,
        /// The project.
        project_id: Path<i64>,
    ) -> Result<Done, Problem> {
        let project = factory.reader().project_by_id(ProjectId(project_id.0)).await?;
        factory
            .acting_as(&caller.0.name)
            .remove_project(&project.name)
            .await?;
        Ok(Done)
    }
}
