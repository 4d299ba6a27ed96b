//! Working on a run, or watching the owner work on it, until it rests; and what the owner owes its clients after that.

use factory_core::model::{Run, RunId, Seq, StatusReason};

use super::{Context, as_run};
use crate::control::{Asked, Link, Request, Session, Streamed, stream};
use crate::exit::Exit;
use crate::failure::{Failure, FailureKind};
use crate::interrupt::Interrupts;
use crate::render::progress::{Progress, Remarks};
use crate::render::{output, run as screen};

/// Does `body` with a session and ends the session in order, whatever came of it.
pub(super) async fn with_session<T>(
    context: &mut Context,
    body: impl AsyncFnOnce(&mut Context, &mut Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut session = Session::new(context.settings.clone());
    let result = body(context, &mut session).await;
    let ended = end(context, session).await;
    let value = result?;
    ended.map(|()| value)
}

/// Works on the run, here or at the owner's, until it rests, shows what happens after event `after`, and says how the
/// program ends. Ctrl-C pauses the run. Where the owner goes away, this process goes on in its place.
pub(super) async fn to_rest(
    context: &mut Context,
    session: &mut Session,
    run: RunId,
    after: Seq,
) -> Result<Exit, Failure> {
    let run = drive(context, session, run, after).await?;
    let view = session.ask(Request::Show { run: run.id }).await?;
    let view = super::expect_answer!(view, View)?;
    let factory = context.factory();
    context.output.show(&view.run, || {
        let mut lines = vec![screen::status_line(&view.run)];
        // What the operator did needs no telling; the way on stands in the next line.
        let told = view.run.reason != Some(StatusReason::Operator);
        lines.extend(
            view.run
                .detail
                .as_deref()
                .filter(|_| told)
                .map(|detail| format!("  {}", crate::render::sanitize::line(detail))),
        );
        let next = screen::next(&view.run, view.open_approval.as_ref(), &factory);
        lines.extend(next.into_iter().map(|command| format!("  {command}")));
        lines.join("\n")
    })?;
    Ok(Exit::of(view.run.status))
}

/// Works on the run until it rests, showing what happens.
pub(super) async fn drive(
    context: &mut Context,
    session: &mut Session,
    run: RunId,
    after: Seq,
) -> Result<Run, Failure> {
    let interrupts = context.interrupts()?;
    let mut progress = Progress::new(context.output.form(), context.terminal, after);
    let output = &mut context.output;
    let result = loop {
        let link = match session.link_for_run().await {
            Ok(link) => link,
            Err(failure) => break Err(failure),
        };
        let remarks = progress.remarks();
        let last = progress.last();
        let driving = stream(
            async |sink| link.ask(Request::Drive { run, after: last }, sink).await,
            |streamed| {
                if let Streamed::Event(event) = streamed {
                    progress.hear(&event, output);
                }
            },
        );
        let asked = tokio::select! {
            asked = driving => asked,
            never = pause_on_interrupt(&interrupts, &link, run, &remarks) => match never {},
        };
        match asked {
            Ok(Asked::Answered(answer)) => match as_run(answer) {
                // The owner gave the run back because it ends.
                Ok(rested) if !rested.status.is_rest() && !session.is_owner() && !interrupts.came() => {}
                rested => break rested,
            },
            Ok(Asked::NotBegun) => {}
            Ok(Asked::Lost) => {
                let owner = session
                    .client_of()
                    .map(|pid| format!(" (process {pid})"))
                    .unwrap_or_default();
                remarks.say(&format!("the owner{owner} went away; run {run} goes on"));
            }
            Err(failure) => break Err(failure),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let shown = progress.finish();
    let run = result?;
    shown.map(|()| run)
}

/// Pauses the run when Ctrl-C comes. The work's own end says that it rests.
async fn pause_on_interrupt(
    interrupts: &Interrupts,
    link: &Link,
    run: RunId,
    remarks: &Remarks,
) -> std::convert::Infallible {
    interrupts.first().await;
    remarks.say(&format!(
        "pausing run {run}; `factory resume {run}` goes on with it; Ctrl-C again ends this process at once"
    ));
    let (sink, _events) = tokio::sync::mpsc::channel(1);
    match link.ask(Request::Pause { run }, sink).await {
        Ok(_) => {}
        // It came to rest by itself meanwhile.
        Err(failure) if failure.kind == FailureKind::NotAllowed => {}
        Err(failure) => remarks.say(&format!("run {run} could not be paused: {}", failure.message)),
    }
    std::future::pending().await
}

/// Ends a session: an owner goes on serving until its clients' runs rest, unless Ctrl-C says otherwise.
async fn end(context: &mut Context, session: Session) -> Result<(), Failure> {
    if session.close_if_idle() {
        session.close().await;
        return Ok(());
    }
    let interrupts = context.interrupts()?;
    output::remark(&format!(
        "this process owns the data folder and still works for others ({} under way); it ends when they rest; Ctrl-C \
         ends it now, and they go on with their runs themselves",
        session.busy()
    ));
    if interrupts.came() {
        // It paused this process's own run; the next one ends the process.
        session.idle().await;
    } else {
        tokio::select! {
            () = session.idle() => {}
            () = interrupts.first() => {}
        }
    }
    session.close().await;
    Ok(())
}
