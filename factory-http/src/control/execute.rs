//! Carries requests out. The one place where an operation meets the façade.

use factory_core::model::{Run, RunId, Seq};
use factory_core::store::{Page, RunFilter};
use factory_core::{Error, Factory, Reader};

use super::activity::Busy;
use super::console_url::ConsoleUrl;
use super::credentials;
use super::follow::{self, Follower, Sink, Step, Streamed};
use super::request::{Answer, Request};
use crate::failure::Failure;

/// Carries a request out in the process that owns the data folder. Streamed events go to `sink`. `busy` is dropped when
/// the work is done, which for a driven run may be after this future was dropped.
pub(super) async fn execute(
    factory: &Factory,
    console: &ConsoleUrl,
    request: Request,
    sink: Sink,
    busy: Option<Busy>,
) -> Result<Answer, Failure> {
    let answer = match request {
        Request::Drive { run, after } => return drive(factory, run, after, sink, busy).await,
        Request::Start { run } => {
            let factory = factory.clone();
            tokio::spawn(async move {
                let _busy = busy;
                if let Err(error) = factory.drive(run).await {
                    tracing::error!(%run, %error, "the run could not be worked on");
                }
            });
            return Ok(Answer::Done);
        }
        Request::Follow { run, after } => {
            let follower = Follower::new(factory, run, after, sink);
            follower.until_final().await?;
            Answer::Done
        }
        Request::AddProject { add } => Answer::ProjectAdded(Box::new(factory.add_project(add).await?)),
        Request::ChangeProject { reference, change } => {
            Answer::Project(Box::new(factory.change_project(&reference, change).await?))
        }
        Request::RemoveProject { reference } => {
            Answer::Project(Box::new(factory.remove_project(&reference).await?))
        }
        Request::Submit { submit } => run(factory.submit(*submit).await)?,
        Request::SubmitAll { submits } => Answer::Runs(factory.submit_all(submits).await?),
        Request::Pause { run: id } => run(factory.pause(id).await)?,
        Request::Resume { run: id } => run(factory.resume(id).await)?,
        Request::Stop { run: id } => run(factory.stop(id).await)?,
        Request::Direct { run: id, text } => run(factory.direct(id, &text).await)?,
        Request::Answer { run: id, text } => run(factory.answer(id, &text).await)?,
        Request::Approve { run: id, approve } => run(factory.approve(id, approve).await)?,
        Request::Reject { run: id, because } => run(factory.reject(id, &because).await)?,
        Request::Raise { run: id, budget } => run(factory.raise(id, budget).await)?,
        Request::Retry { run: id } => run(factory.retry(id).await)?,
        Request::Fork { run: id, at, goal } => run(factory.fork(id, at, goal).await)?,
        Request::ProbeModel { model } => {
            Answer::Probed(Box::new(factory.reader().probe_model(&model).await?))
        }
        Request::PullModel { model } => pull(factory.reader(), &model, &sink).await?,
        Request::RemoveModel { model } => Answer::Model(factory.reader().remove_model(&model).await?),
        Request::Credentials { request } => credentials::execute(factory, console, request).await?,
        reading => read(factory.reader(), reading, &sink).await?,
    };
    drop(busy);
    Ok(answer)
}

/// Carries a reading request out, with or without an owner.
pub(super) async fn read(reader: &Reader, request: Request, sink: &Sink) -> Result<Answer, Failure> {
    Ok(match request {
        Request::Projects { after, limit } => Answer::Projects(reader.projects(Page { after, limit }).await?),
        Request::Project { reference } => Answer::Project(Box::new(reader.project(&reference).await?)),
        Request::Runs {
            project,
            status,
            after,
            limit,
        } => {
            let project_id = match project {
                Some(reference) => Some(reader.project(&reference).await?.id),
                None => None,
            };
            let filter = RunFilter { project_id, status };
            Answer::Runs(reader.runs(filter, Page { after, limit }).await?)
        }
        Request::Show { run } => Answer::View(Box::new(reader.run(run).await?)),
        Request::Diff { run } => Answer::Diff(Box::new(reader.diff(run).await?)),
        Request::Export {
            run,
            output,
            existing,
        } => Answer::Exported(Box::new(reader.export(run, &output, existing).await?)),
        Request::Events { run, after } => {
            // A run that is not there is an error, and not an empty list.
            reader.run(run).await?;
            follow::replay(reader, run, after, sink).await?;
            Answer::Done
        }
        Request::Follow { run, after } => {
            follow::poll(reader, run, after, sink).await?;
            Answer::Done
        }
        Request::Doctor => Answer::Findings(reader.doctor().await),
        Request::Models => Answer::Models(reader.models().await),
        change => {
            return Err(Failure::failed(format!(
                "internal error: {change:?} was asked of a reader"
            )));
        }
    })
}

/// Gets a model for as long as somebody listens. What has come stays on its server.
async fn pull(reader: &Reader, model: &str, sink: &Sink) -> Result<Answer, Failure> {
    // Whoever is too slow for all the news misses some; the next says as much.
    let tell = |progress| drop(sink.try_send(Streamed::Pull(progress)));
    tokio::select! {
        pulled = reader.pull_model(model, &tell) => Ok(Answer::Model(pulled?)),
        () = sink.closed() => Err(follow::nobody_listens()),
    }
}

fn run(result: Result<Run, Error>) -> Result<Answer, Failure> {
    Ok(Answer::Run(Box::new(result?)))
}

/// Works on a run and passes its events on. The work goes on where nobody listens any more.
async fn drive(
    factory: &Factory,
    run: RunId,
    after: Seq,
    sink: Sink,
    busy: Option<Busy>,
) -> Result<Answer, Failure> {
    let mut follower = Follower::new(factory, run, after, sink);
    let mut work = tokio::spawn({
        let factory = factory.clone();
        async move {
            let result = factory.drive(run).await;
            drop(busy);
            result
        }
    });
    follower.catch_up().await?;
    let mut told = true;
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            step = follower.step(), if told => told = step? != Step::Gone,
        }
    };
    let run = result.map_err(|error| Failure::caused("the work on the run broke off", &error))??;
    follower.catch_up().await?;
    Ok(Answer::Run(Box::new(run)))
}
