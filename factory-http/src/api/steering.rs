//! The verbs that steer a run. Each answers when it is stored; what is not allowed now answers 409 with the verbs that are.

use factory_core::Factory;
use factory_core::model::{RunId, Seq};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::once::{self, InFlight, KeyHeader};
use super::payload::{Body, Created, Reply};
use super::run::{self, Bounds, Run};
use super::{Tag, patterns};
use crate::guard::Operator;
use crate::problem::Problem;

/// What the operator tells the agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"directive": "Leave the public names as they are."}))]
pub(crate) struct Directive {
    /// The words.
    #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::TEXT))]
    directive: String,
}

/// From where a run is forked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"from": 1}))]
pub(crate) struct NewFork {
    /// The event: the new run begins with the last checkpoint at or before it.
    from: Seq,
    /// Another goal than the run's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::GOAL))]
    goal: Option<String>,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteeringApi;

#[OpenApi(prefix_path = "/runs", tag = "Tag::Runs")]
impl SteeringApi {
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
        let run = factory.acting_as(&caller.0.name).pause(RunId(run_id.0)).await?;
        run::shown(factory.reader(), run).await
    }

    /// Lets a paused run go on
    ///
    /// It is QUEUED again and takes its turn; what it did before stays.
    #[oai(path = "/:run_id/resume", method = "post", operation_id = "resume_run")]
    async fn resume(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<Run>, Problem> {
        let run = factory.acting_as(&caller.0.name).resume(RunId(run_id.0)).await?;
        run::shown(factory.reader(), run).await
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
        let run = factory.acting_as(&caller.0.name).stop(RunId(run_id.0)).await?;
        run::shown(factory.reader(), run).await
    }

    /// Tells the agent something
    ///
    /// It hears it before its next model call, once, in the order in which directives came.
    #[oai(path = "/:run_id/directive", method = "post", operation_id = "direct_run")]
    async fn direct(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// The run.
        run_id: Path<i64>,
        /// A key under which it is told at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<Directive>,
    ) -> Result<Reply<Run>, Problem> {
        let Body { value: told, digest } = body;
        let run = RunId(run_id.0);
        let operation = format!("POST /runs/{run}/directive");
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &digest);
        let made = request
            .write(async |factory| Ok([factory.direct(run, &told.directive).await?]))
            .await?;
        run::replied(factory.reader(), made).await
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
        let run = factory.reader().row(RunId(run_id.0)).await?;
        let budget = body.value.over(run.spec.budget);
        let run = factory.acting_as(&caller.0.name).raise(run.id, budget).await?;
        run::shown(factory.reader(), run).await
    }

    /// Files a final run's goal once more, as a new run
    ///
    /// From the same commit, with the same checks, model and budget. The old run stays as it is.
    #[oai(path = "/:run_id/retry", method = "post", operation_id = "retry_run")]
    async fn retry(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// The run.
        run_id: Path<i64>,
        /// A key under which it is done at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
    ) -> Result<Created<Run>, Problem> {
        let run = RunId(run_id.0);
        let operation = format!("POST /runs/{run}/retry");
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &once::no_body());
        let made = request
            .write(async |factory| Ok([factory.retry(run).await?]))
            .await?;
        Ok(run::created(made))
    }

    /// Goes on from an earlier point of a run, as a new run
    ///
    /// It begins with the last checkpoint at or before the event. The old run stays as it is.
    #[oai(path = "/:run_id/fork", method = "post", operation_id = "fork_run")]
    async fn fork(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// The run.
        run_id: Path<i64>,
        /// A key under which it is done at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewFork>,
    ) -> Result<Created<Run>, Problem> {
        let Body { value: new, digest } = body;
        let run = RunId(run_id.0);
        let operation = format!("POST /runs/{run}/fork");
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &digest);
        let made = request
            .write(async |factory| Ok([factory.fork(run, new.from, new.goal).await?]))
            .await?;
        Ok(run::created(made))
    }
}
