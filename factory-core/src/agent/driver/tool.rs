//! Carrying out tool calls: started is stored before, finished after, and what a crash left between is settled by the
//! call's effect class.

use std::time::{Duration, Instant};

use super::{Driver, Then};
use crate::agent::state::REPEATS_BORNE;
use crate::error::Error;
use crate::journal::Entry;
use crate::llm::ToolCall;
use crate::model::payload::{
    EffectClass, FileChanged, LoopDetected, PlannedWrite, PolicyDenied, ToolFinished, ToolStarted,
};
use crate::model::{BlobId, NewEvent};
use crate::sandbox::{CommandOutcome, CommandSpec, Exit, Limits, Network};
use crate::store::Blob;
use crate::tools::{self, Outcome, Prepared, ReadRequest, Settled, WriteRequest};
use crate::workspace::{Files, FilesError};

/// The longest time that a model may ask for a command.
const LONGEST_COMMAND: Duration = Duration::from_mins(30);

/// The tool call that is being carried out.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) call: u64,
    pub(super) index: u32,
    tool: ToolCall,
}

/// How a refused edit missed its file.
#[derive(Debug, Default)]
pub(super) struct Misfit {
    failed_edit: Option<String>,
    unchanged: Option<String>,
}

impl Current {
    fn started(&self, effect: EffectClass) -> ToolStarted {
        ToolStarted {
            call: self.call,
            index: self.index,
            tool: self.tool.name.clone(),
            effect,
            writes: Vec::new(),
            command: None,
            rerun: false,
        }
    }
}

impl Driver {
    /// Carries out the next call of the reply.
    pub(super) async fn run_tool(&mut self, index: u32) -> Result<Then, Error> {
        let Some(current) = self.current(index).await? else {
            return Ok(Then::GoOn);
        };
        let prepared = self.prepare_tool(&current).await?;
        match prepared {
            Prepared::Read(request) => {
                let started = self.started(current.started(EffectClass::Read));
                let Some(pass) = self.intend(started).await? else {
                    return Ok(Then::GoOn);
                };
                let outcome = self.read_tool(request).await?;
                drop(pass);
                self.finished(&current, outcome, Vec::new(), 0).await
            }
            Prepared::Write(request) => self.write_tool(&current, request).await,
            Prepared::Command { script, timeout } => {
                let mut started = current.started(EffectClass::Command);
                started.command = Some(script.clone());
                self.command_tool(&current, started, script, timeout).await
            }
            Prepared::GitDiff { paths } => {
                let outcome = self.git_diff(&paths).await?;
                self.at_once(&current, outcome, Vec::new(), Misfit::default())
                    .await
            }
            Prepared::GitLog { count } => {
                let outcome = self.git_log(count).await?;
                self.at_once(&current, outcome, Vec::new(), Misfit::default())
                    .await
            }
            Prepared::UpdatePlan { steps } => self.update_plan(&current, steps).await,
            Prepared::FinishStep { summary } => self.finish_step(&current, summary).await,
            Prepared::AskOperator { question } => self.ask_operator(&current, question).await,
            Prepared::Refused(refusal) => {
                let mut outcome = said(false, refusal.text, refusal.summary);
                outcome.denied = refusal.denied;
                let misfit = Misfit {
                    failed_edit: refusal.failed_edit,
                    unchanged: refusal.unchanged,
                };
                self.at_once(&current, outcome, Vec::new(), misfit).await
            }
        }
    }

    /// Settles a call that was begun when its process died.
    pub(super) async fn settle(&mut self, started: ToolStarted) -> Result<Then, Error> {
        let Some(current) = self.current(started.index).await? else {
            return Ok(Then::GoOn);
        };
        match started.effect {
            EffectClass::Read => match self.prepare_tool(&current).await? {
                Prepared::Read(request) => {
                    let outcome = self.read_tool(request).await?;
                    self.finished(&current, outcome, Vec::new(), 0).await
                }
                // It was to be read then; what has come in its way is told like any refusal.
                _ => self.run_tool(started.index).await,
            },
            EffectClass::Write => self.settle_write(&current, &started.writes).await,
            EffectClass::Command => {
                let script = started.command.clone().unwrap_or_default();
                let timeout = match self.prepare_tool(&current).await? {
                    Prepared::Command { timeout, .. } => timeout,
                    _ => None,
                };
                // It had no network and could write nothing but its checkout and home, so it may run again.
                self.command_tool(
                    &current,
                    ToolStarted {
                        rerun: true,
                        ..started
                    },
                    script,
                    timeout,
                )
                .await
            }
        }
    }

    async fn current(&self, index: u32) -> Result<Option<Current>, Error> {
        let Some(batch) = &self.state.batch else {
            return Ok(None);
        };
        let (call, id) = (batch.call, batch.reply.clone());
        let reply = self.reply(&id).await?;
        let tool = reply.tool_calls.into_iter().nth(index as usize);
        Ok(tool.map(|tool| Current { call, index, tool }))
    }

    fn started(&self, started: ToolStarted) -> Entry {
        Entry::one(NewEvent::by(Self::agent(), started).in_step(self.state.active_step))
    }

    /// Looks at the checkout on a thread for blocking work.
    pub(super) async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let checkout = self.equipment.place().checkout();
        let done = tokio::task::spawn_blocking(move || {
            // Without the file nothing is hidden, which is how a checkout without setup is.
            let excludes = std::fs::read_to_string(&checkout.excludes).unwrap_or_default();
            Files::open(&checkout.dir).map(|files| work(&files.with_excludes(&excludes)))
        });
        let files = done.await.map_err(|error| Error::Internal(error.to_string()))?;
        files.map_err(|error| Error::Internal(crate::chain::chain(&error)))
    }

    async fn prepare_tool(&self, current: &Current) -> Result<Prepared, Error> {
        let failed = self.state.failed_edits.clone();
        let tool = current.tool.clone();
        let prepared = self
            .with_files(move |files| {
                tools::prepare(
                    files,
                    &|path| failed.get(path).copied().unwrap_or_default(),
                    &tool,
                )
            })
            .await?;
        if !self.state.is_led() {
            return Ok(prepared);
        }
        match prepared {
            Prepared::Write(request) => Ok(self
                .spares_the_proof(&request)
                .map_or(Prepared::Write(request), Prepared::Refused)),
            Prepared::Refused(refusal) => Ok(Prepared::Refused(self.with_format(refusal).await?)),
            prepared => Ok(prepared),
        }
    }

    async fn read_tool(&self, request: ReadRequest) -> Result<Outcome, Error> {
        self.with_files(move |files| tools::read(files, &request)).await
    }

    async fn write_tool(&mut self, current: &Current, request: WriteRequest) -> Result<Then, Error> {
        let mut started = current.started(EffectClass::Write);
        started.writes = request.files.iter().map(PlannedWrite::from).collect();
        let writes = started.writes.clone();
        let contents = request
            .files
            .iter()
            .filter_map(|file| file.after.as_deref())
            .map(Blob::new)
            .collect();
        let entry = self.started(started).with_blobs(contents);
        let Some(pass) = self.intend(entry).await? else {
            return Ok(Then::GoOn);
        };
        let begun = Instant::now();
        let files = request.files;
        let written = self
            .with_files(move |checkout| tools::write(checkout, &files))
            .await?;
        drop(pass);
        match written {
            Ok(()) => {
                let outcome = said(true, request.result, request.summary);
                self.finished(current, outcome, changes(&writes), elapsed_ms(begun))
                    .await
            }
            Err(error) if error.is_storage_full() => {
                // The call stays begun: once there is room it is completed from its stored contents.
                Err(Error::Store(crate::store::StoreError::StorageFull))
            }
            Err(error) => {
                let outcome = said(
                    false,
                    format!("the files could not be written: {error}"),
                    format!("{} failed: {error}", current.tool.name),
                );
                self.finished(current, outcome, Vec::new(), elapsed_ms(begun))
                    .await
            }
        }
    }

    async fn settle_write(&mut self, current: &Current, writes: &[PlannedWrite]) -> Result<Then, Error> {
        let mut contents = std::collections::HashMap::new();
        for id in writes.iter().filter_map(|write| write.after.as_ref()) {
            contents.insert(id.clone(), self.equipment.journal.store().blob(id).await?);
        }
        let Ok(pass) = self.gate.pass().await else {
            return Ok(Then::GoOn);
        };
        let planned = writes.to_vec();
        let settled = self
            .with_files(move |files| tools::settle(files, &planned, &|id: &BlobId| contents.get(id).cloned()))
            .await?;
        drop(pass);
        let (outcome, events) = match settled {
            Ok(Settled::Done) => {
                let paths: Vec<&str> = writes.iter().map(|write| write.path.as_str()).collect();
                let summary = format!("{}: {}", current.tool.name, paths.join(", "));
                let text = format!("done: {}", paths.join(", "));
                (said(true, text, summary), changes(writes))
            }
            Ok(Settled::Disturbed(path)) => {
                let text = format!("{path} was changed by something else in the meantime; read it again");
                (said(false, text.clone(), text), Vec::new())
            }
            Err(error) if is_storage_full(&error) => {
                return Err(Error::Store(crate::store::StoreError::StorageFull));
            }
            Err(error) => {
                let text = format!("the files could not be written: {error}");
                (said(false, text.clone(), text), Vec::new())
            }
        };
        self.finished(current, outcome, events, 0).await
    }

    async fn command_tool(
        &mut self,
        current: &Current,
        started: ToolStarted,
        script: String,
        timeout: Option<Duration>,
    ) -> Result<Then, Error> {
        let spec = CommandSpec {
            script: self.equipment.ground.script(&script),
            checkout: self.equipment.place().checkout().dir,
            home: self.equipment.place().home(),
            network: Network::Off,
            limits: Limits {
                wall: timeout.unwrap_or(Limits::default().wall).min(LONGEST_COMMAND),
                ..Limits::default()
            },
        };
        let lock = self.equipment.place().lock().await?;
        let entry = self.started(started);
        let Some(pass) = self.intend(entry).await? else {
            return Ok(Then::GoOn);
        };
        let running = self.equipment.ground.sandbox.start(&spec, Some(lock)).await?;
        drop(pass);
        let ended = running.wait(self.gate.stopped()).await;
        let outcome = command_outcome(&script, &ended);
        let work_ms = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
        self.finished(current, outcome, Vec::new(), work_ms).await
    }

    /// Stores start and end of a call that touches nothing but the run's own records.
    pub(super) async fn at_once(
        &mut self,
        current: &Current,
        outcome: Outcome,
        more: Vec<NewEvent>,
        misfit: Misfit,
    ) -> Result<Then, Error> {
        let started = current.started(EffectClass::Read);
        let mut entry = self.started(started);
        let (events, blob) = self.finish_events(current, outcome, more, misfit, 0);
        entry.events.extend(events);
        entry.blobs.push(blob);
        self.note(entry).await
    }

    /// Stores the end of a call that was started.
    async fn finished(
        &mut self,
        current: &Current,
        outcome: Outcome,
        more: Vec<NewEvent>,
        work_ms: u64,
    ) -> Result<Then, Error> {
        let (events, blob) = self.finish_events(current, outcome, more, Misfit::default(), work_ms);
        self.record(Entry::of(events).with_blobs(vec![blob])).await?;
        Ok(Then::GoOn)
    }

    fn finish_events(
        &self,
        current: &Current,
        outcome: Outcome,
        more: Vec<NewEvent>,
        misfit: Misfit,
        work_ms: u64,
    ) -> (Vec<NewEvent>, Blob) {
        let step = self.state.active_step;
        let tool = &current.tool;
        let fingerprint =
            BlobId::of(format!("{}\0{}\0{}", tool.name, tool.arguments, outcome.text).as_bytes());
        let count = self.state.repeats(&fingerprint) + 1;
        let blob = Blob::new(self.fitted(&outcome.text, 1).into_bytes());
        let finished = ToolFinished {
            call: current.call,
            index: current.index,
            tool: tool.name.clone(),
            ok: outcome.ok,
            summary: outcome.summary,
            result: blob.id().clone(),
            fingerprint,
            failed_edit: misfit.failed_edit,
            unchanged: misfit.unchanged,
            work_ms,
        };
        // What a call leads to is told before its end, so that nobody sees it finished without its consequences.
        let mut events = more;
        events.extend(outcome.denied.map(|code| {
            let denied = PolicyDenied {
                code: code.to_owned(),
                detail: finished.summary.clone(),
            };
            NewEvent::by(Self::agent(), denied)
        }));
        events.push(NewEvent::by(Self::agent(), finished));
        if count >= REPEATS_BORNE {
            events.push(NewEvent::system(LoopDetected {
                tool: tool.name.clone(),
                count,
            }));
        }
        let events = events.into_iter().map(|event| {
            let step_id = event.step_id.or(step);
            event.in_step(step_id)
        });
        (events.collect(), blob)
    }
}

/// Returns an event for each file that really changes.
fn changes(writes: &[PlannedWrite]) -> Vec<NewEvent> {
    let changed = writes.iter().filter(|write| write.before != write.after);
    changed
        .map(|write| {
            NewEvent::by(
                Driver::agent(),
                FileChanged {
                    path: write.path.clone(),
                    before: write.before.clone(),
                    after: write.after.clone(),
                },
            )
        })
        .collect()
}

fn command_outcome(script: &str, ended: &CommandOutcome) -> Outcome {
    let how = ended.exit.to_string();
    let output = ended.output.trim_end();
    let text = if output.is_empty() {
        format!("[{how}, no output]")
    } else {
        format!("{output}\n[{how}]")
    };
    said(
        ended.exit == Exit::Code(0),
        text,
        format!("$ {} [{how}]", crate::agent::plan_reply::title(script)),
    )
}

pub(super) fn said(ok: bool, text: String, summary: String) -> Outcome {
    Outcome {
        ok,
        text,
        summary,
        denied: None,
    }
}

fn is_storage_full(error: &FilesError) -> bool {
    matches!(error, FilesError::StorageFull { .. })
}

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
