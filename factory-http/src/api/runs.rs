//! Runs: filing goals and looking at them.

use factory_core::Factory;
use factory_core::factory::Submit;
use factory_core::model::{
    self, ApprovalPolicy, Origin, ProjectId, Protocol, Role, RunId, RunSpec, RunStatus, Sampling, Temperature,
};
use factory_core::store::RunFilter;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::once::{self, InFlight, KeyHeader};
use super::paging::List;
use super::payload::{Body, Created, Page, Reply};
use super::run::{self, Bounds, Run};
use super::{Defaults, Tag, patterns};
use crate::guard::{Operator, Principal, Viewer};
use crate::problem::Problem;

/// A run's status, as a filter of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Queued,
    Running,
    Paused,
    AwaitingApproval,
    Complete,
    Failed,
    Stopped,
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued => Self::Queued,
            Status::Running => Self::Running,
            Status::Paused => Self::Paused,
            Status::AwaitingApproval => Self::AwaitingApproval,
            Status::Complete => Self::Complete,
            Status::Failed => Self::Failed,
            Status::Stopped => Self::Stopped,
        }
    }
}

/// A goal to be filed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"project_id": 1, "goal": "Say goodbye as well as hello."}))]
pub(crate) struct NewRun {
    /// The project.
    project_id: ProjectId,
    /// What is to be reached, in plain words.
    #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::GOAL))]
    goal: String,
    /// The model, as `ENDPOINT:NAME`; the server's own where none is named.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    model: Option<String>,
    /// The branch, tag or commit to start from, instead of the project's.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    base_ref: Option<String>,
    /// The check commands, instead of the project's. They run in the sandbox; an admin's to set.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 25_000), regex(pattern = patterns::GOAL)))]
    checks: Option<Vec<String>>,
    /// Who decides what is committed.
    #[serde(default)]
    approval: Option<ApprovalPolicy>,
    /// Runs with a higher number go first.
    #[serde(default)]
    priority: i64,
    /// What it may spend.
    #[serde(default)]
    budget: Option<Bounds>,
    /// The number from which the model's chance is drawn, for servers that take one.
    #[serde(default)]
    seed: Option<u64>,
    /// How freely the model's replies are drawn.
    #[serde(default)]
    temperature: Option<Temperature>,
    /// How the model is asked, where it is not to be found out.
    #[serde(default)]
    protocol: Option<Protocol>,
    /// The run from whose commit it starts: one of the same project that is COMPLETE.
    #[serde(default, rename = "continue")]
    continues: Option<RunId>,
}

impl NewRun {
    /// Returns what is filed. Refuses what takes an admin from whoever is none.
    pub(crate) fn into_submit(self, principal: &Principal, defaults: &Defaults) -> Result<Submit, Problem> {
        if self.checks.is_some() {
            principal.require(Role::Admin)?;
        }
        let spec = RunSpec {
            model: self.model.unwrap_or_else(|| defaults.model.clone()),
            base_ref: self.base_ref,
            checks: self.checks,
            approval: self.approval.unwrap_or_default(),
            budget: self.budget.unwrap_or_default().over(defaults.budget),
            sampling: Sampling {
                seed: self.seed,
                temperature: self.temperature,
            },
            protocol: self.protocol,
            origin: self.continues.map(Origin::continuing),
            ..RunSpec::default()
        };
        Ok(Submit {
            project: self.project_id.to_string(),
            goal: self.goal,
            spec,
            priority: self.priority,
        })
    }
}

/// Goals to be filed together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"runs": [
    {"project_id": 1, "goal": "Say goodbye as well as hello."},
    {"project_id": 1, "goal": "Say hello in French."},
]}))]
pub(crate) struct NewRuns {
    /// The goals, in the order in which they are numbered.
    #[schemars(length(min = 1, max = 1000))]
    runs: Vec<NewRun>,
}

/// Runs that were filed together.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FiledRuns {
    /// The runs, in the order of their goals.
    items: Vec<Run>,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunsApi;

#[OpenApi(prefix_path = "/runs", tag = "Tag::Runs")]
impl RunsApi {
    /// Files a goal as a run
    ///
    /// The run is QUEUED when this answers, and stored; a worker takes it when its turn has come. The commit that it
    /// starts from is fixed now, wherever the ref goes later.
    #[oai(path = "/", method = "post", operation_id = "create_run")]
    async fn create(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(defaults): Data<&Defaults>,
        Data(in_flight): Data<&InFlight>,
        /// A key under which it is done at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewRun>,
    ) -> Result<Created<Run>, Problem> {
        let Body { value: new, digest } = body;
        let submit = new.into_submit(&caller.0, defaults)?;
        let request = once::Request::new(factory, in_flight, &caller.0, key, "POST /runs", &digest);
        let made = request
            .write(async |factory| Ok([factory.submit(submit).await?]))
            .await?;
        Ok(run::created(made))
    }

    /// Files several goals as runs: all of them, or none
    ///
    /// They are numbered in their order. What is wrong with one of them is named with its place.
    #[oai(path = "/bulk", method = "post", operation_id = "create_runs")]
    async fn create_all(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(defaults): Data<&Defaults>,
        Data(in_flight): Data<&InFlight>,
        /// A key under which it is done at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewRuns>,
    ) -> Result<Created<FiledRuns>, Problem> {
        let Body { value: new, digest } = body;
        let submits: Result<Vec<Submit>, Problem> = new
            .runs
            .into_iter()
            .map(|new| new.into_submit(&caller.0, defaults))
            .collect();
        let submits = submits?;
        let request = once::Request::new(factory, in_flight, &caller.0, key, "POST /runs/bulk", &digest);
        let made = request
            .write(async |factory| factory.submit_all(submits).await)
            .await?;
        let runs: Vec<model::Run> = made.value;
        let items = runs.into_iter().map(|run| Run::of(run, None)).collect();
        Ok(Created::at("/runs", FiledRuns { items }).replayed_if(made.replayed))
    }

    /// Lists runs, newest first
    ///
    /// All of them, or those of a project, or with a status.
    #[oai(path = "/", method = "get", operation_id = "list_runs")]
    async fn list(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// Those of this project.
        project_id: Query<Option<i64>>,
        /// Those that stand so.
        status: Query<Option<Status>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<Run>>, Problem> {
        let filter = RunFilter {
            project_id: project_id.0.map(ProjectId),
            status: status.0.map(RunStatus::from),
        };
        let list = List::new(
            format!("runs {:?} {:?}", filter.project_id, filter.status),
            &limit,
        );
        let page = list.page(cursor.0.as_deref())?;
        let runs = factory.reader().runs(filter, page).await?;
        let reader = factory.reader();
        let mut shown = Vec::with_capacity(runs.len());
        for run in runs {
            let asked = run::asked(reader, &run).await?;
            shown.push((run.id, Run::of(run, asked)));
        }
        Ok(Reply::new(list.answer(shown, |(id, _)| *id, |(_, run)| run)))
    }

    /// Shows a run
    ///
    /// Where it stands and why, what it has spent, and what can be asked of it now.
    #[oai(path = "/:run_id", method = "get", operation_id = "get_run")]
    async fn get(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let run = factory.reader().row(RunId(run_id.0)).await?;
        run::shown(factory.reader(), run).await
    }
}
