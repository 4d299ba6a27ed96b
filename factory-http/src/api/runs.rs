//! Runs: filing goals, looking at them, and the verbs that steer them.

use factory_core::Factory;
use factory_core::factory::Submit;
use factory_core::model::{
    self, ApprovalPolicy, Budget, BudgetLimit, CommitId, ProjectId, Protocol, Role, RunId, RunSpec,
    RunStatus, Sampling, Seq, StatusReason, Temperature, Timestamp, Usage,
};
use factory_core::store::RunFilter;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::once::{self, InFlight, KeyHeader, Made};
use super::paging::List;
use super::payload::{Body, Created, Page, Reply};
use super::{Defaults, Tag};
use crate::guard::{Operator, Principal, Viewer};
use crate::problem::Problem;

/// A goal on its way to an approved commit.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Run {
    /// The run's number, never used again.
    pub(crate) id: RunId,
    /// The project; null where it was removed.
    pub(crate) project_id: Option<ProjectId>,
    /// What is to be reached.
    pub(crate) goal: String,
    /// Where it stands.
    pub(crate) status: RunStatus,
    /// Why it stands there, where that needs saying.
    pub(crate) status_reason: Option<StatusReason>,
    /// The reason in words, with what to do.
    pub(crate) detail: Option<String>,
    /// How many turns were taken.
    pub(crate) current_iteration: u64,
    /// Runs with a higher number are claimed first.
    pub(crate) priority: i64,
    /// The model that works on it.
    pub(crate) model: String,
    /// The ref that it was filed on, where one was named.
    pub(crate) base_ref: Option<String>,
    /// The commit that the work starts from.
    pub(crate) base_commit: Option<CommitId>,
    /// The branch that was published in the operator's repository.
    pub(crate) branch: Option<String>,
    /// The commit that was published.
    pub(crate) commit: Option<CommitId>,
    /// The check commands, where they are not the project's.
    pub(crate) checks: Option<Vec<String>>,
    /// Who decides what is committed.
    pub(crate) approval: ApprovalPolicy,
    /// What it may spend.
    pub(crate) budget: Budget,
    /// What it has spent.
    pub(crate) usage: Usage,
    /// The number of its newest event.
    pub(crate) last_seq: Seq,
    /// What an operator can ask of it now.
    pub(crate) allowed: Vec<String>,
    /// When it was filed.
    pub(crate) created_at: Timestamp,
    /// When its newest event was stored.
    pub(crate) updated_at: Timestamp,
}

impl From<model::Run> for Run {
    fn from(run: model::Run) -> Self {
        let allowed = run
            .allowed()
            .iter()
            .map(|verb| format!("{verb:?}").to_lowercase())
            .collect();
        Self {
            allowed,
            id: run.id,
            project_id: run.project_id,
            goal: run.goal,
            status: run.status,
            status_reason: run.reason,
            detail: run.detail,
            current_iteration: run.current_iteration,
            priority: run.priority,
            model: run.spec.model,
            base_ref: run.spec.base_ref,
            base_commit: run.base_commit.or(run.spec.base),
            branch: run.branch,
            commit: run.commit,
            checks: run.spec.checks,
            approval: run.spec.approval,
            budget: run.spec.budget,
            usage: run.usage,
            last_seq: run.last_seq,
            created_at: run.created_at,
            updated_at: run.updated_at,
        }
    }
}

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

/// Bounds of what a run may spend. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// Model calls.
    #[serde(default)]
    calls: Option<BudgetLimit>,
    /// Prompt and completion tokens together.
    #[serde(default)]
    tokens: Option<BudgetLimit>,
    /// Milliseconds of work.
    #[serde(default)]
    work_ms: Option<BudgetLimit>,
    /// Turns.
    #[serde(default)]
    turns: Option<BudgetLimit>,
}

impl Bounds {
    /// Returns the budget with these bounds instead of its own.
    pub(crate) fn over(self, budget: Budget) -> Budget {
        Budget {
            calls: self.calls.unwrap_or(budget.calls),
            tokens: self.tokens.unwrap_or(budget.tokens),
            work_ms: self.work_ms.unwrap_or(budget.work_ms),
            turns: self.turns.unwrap_or(budget.turns),
        }
    }
}

/// A goal to be filed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// The project.
    project_id: ProjectId,
    /// What is to be reached, in plain words.
    #[schemars(length(min = 1, max = 65536))]
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
    #[schemars(length(max = 100))]
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

/// What the operator tells the agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directive {
    /// The words.
    #[schemars(length(min = 1, max = 65536))]
    directive: String,
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
        let request = once::Request::new(factory, in_flight, &caller.0, key, "POST /runs", &digest)?;
        created(
            request
                .write(async |factory| Ok([factory.submit(submit).await?]))
                .await?,
        )
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
        let request = once::Request::new(factory, in_flight, &caller.0, key, "POST /runs/bulk", &digest)?;
        let made = request
            .write(async |factory| factory.submit_all(submits).await)
            .await?;
        let items = made.value.into_iter().map(Run::from).collect();
        Ok(Created::at("/runs", FiledRuns { items }).replayed_if(made.replayed))
    }

    /// Lists runs, newest first
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
        Ok(Reply::new(list.answer(runs, |run| run.id, Run::from)))
    }

    /// Shows a run
    #[oai(path = "/:run_id", method = "get", operation_id = "get_run")]
    async fn get(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let run = factory.reader().row(RunId(run_id.0)).await?;
        Ok(reply(run))
    }

    /// Lets a run rest
    ///
    /// A generation is cut; a command or a check that runs may end and is recorded. The answer means that it is stored
    /// and that nothing starts any more.
    #[oai(path = "/:run_id/pause", method = "post", operation_id = "pause_run")]
    async fn pause(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let factory = factory.acting_as(&caller.0.name);
        Ok(reply(factory.pause(RunId(run_id.0)).await?))
    }

    /// Lets a paused run go on
    #[oai(path = "/:run_id/resume", method = "post", operation_id = "resume_run")]
    async fn resume(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let factory = factory.acting_as(&caller.0.name);
        Ok(reply(factory.resume(RunId(run_id.0)).await?))
    }

    /// Ends a run for good
    ///
    /// Whatever it runs is killed with all its processes. Its history, checkpoints and commits stay.
    #[oai(path = "/:run_id/stop", method = "post", operation_id = "stop_run")]
    async fn stop(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let factory = factory.acting_as(&caller.0.name);
        Ok(reply(factory.stop(RunId(run_id.0)).await?))
    }

    /// Tells the agent something
    ///
    /// It hears it before its next model call, once, in the order in which directives came.
    #[oai(path = "/:run_id/directive", method = "post", operation_id = "direct_run")]
    async fn direct(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        Data(in_flight): Data<&InFlight>,
        /// A key under which it is told at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<Directive>,
    ) -> Result<Reply<Run>, Problem> {
        let Body { value: told, digest } = body;
        let operation = format!("POST /runs/{}/directive", run_id.0);
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &digest)?;
        let run = RunId(run_id.0);
        let made = request
            .write(async |factory| Ok([factory.direct(run, &told.directive).await?]))
            .await?;
        Ok(replied(made))
    }

    /// Changes what a run may spend
    ///
    /// A run that is paused because a bound was reached may then be resumed.
    #[oai(path = "/:run_id/budget", method = "put", operation_id = "set_run_budget")]
    async fn raise(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        body: Body<Bounds>,
    ) -> Result<Reply<Run>, Problem> {
        let bounds = body.value;
        let run = factory.reader().row(RunId(run_id.0)).await?;
        let factory = factory.acting_as(&caller.0.name);
        Ok(reply(factory.raise(run.id, bounds.over(run.spec.budget)).await?))
    }
}

fn created(made: Made<[model::Run; 1]>) -> Result<Created<Run>, Problem> {
    let [run] = made.value;
    let location = format!("/runs/{}", run.id);
    Ok(Created::at(location, Run::from(run)).replayed_if(made.replayed))
}

fn replied(made: Made<[model::Run; 1]>) -> Reply<Run> {
    let [run] = made.value;
    reply(run).replayed_if(made.replayed)
}

fn reply(run: model::Run) -> Reply<Run> {
    let tag = run.last_seq;
    Reply::new(Run::from(run)).tagged(tag)
}
