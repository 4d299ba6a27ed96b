//! Exporting a run: its conversation with the model, its events and where it ran, as one file that replays and that can
//! be given away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::Reader;
use crate::agent::{ToldRequest, Transcript};
use crate::error::Error;
use crate::llm::recorded::redaction::{Collector, Known, Redaction};
use crate::llm::recorded::{CallToWrite, FORMAT, Header, Outcome, RecordedModel, RecordingWriter, VERSION};
use crate::llm::spec::of_file;
use crate::llm::{Reply, Window, WindowBasis};
use crate::model::payload::{LlmFailure, LlmResponded, ModelReady};
use crate::model::{BlobId, Event, EventKind, Protocol, Run, RunId, Seq};
use crate::store::{Page, StoreError};

/// How many things that were read wait to be written.
const WAITING: usize = 16;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// It stays, and nothing is written.
    #[default]
    Kept,
    /// The new file takes its place.
    Replaced,
}

/// A run that was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many model calls are in it.
    pub calls: u64,
    /// How many of them were told anew because an older factory had made them, so that a replay may differ.
    pub calls_told_anew: u64,
    /// How many events are in it.
    pub events: u64,
    /// How often something was taken out, by its kind.
    pub removed: BTreeMap<String, u64>,
}

/// Something that was read of a run, in order.
enum Told {
    Event(Box<Event>, Vec<(BlobId, Vec<u8>)>),
    Call(Box<CallToWrite>),
    /// That was all. Without it what was told is no recording of the run.
    Whole,
}

/// What a first reading finds.
#[derive(Default)]
struct Found {
    secrets: Collector,
    model: Option<ModelReady>,
}

impl Reader {
    /// Writes the run into a file that `recorded:FILE` replays, without secrets, the operator's home and name, and paths
    /// outside of the repository. Only its owner may read the file. It is there whole or not at all.
    ///
    /// [`Error::BadInput`] where the file is there already and is to be kept, or is no file.
    pub async fn export(&self, id: RunId, output: &Path, existing: Existing) -> Result<Exported, Error> {
        let run = self.store.run(id).await?;
        let output = at(output, existing)?;
        let found = self.first_reading(&run).await?;
        let header = self.header(&run, found.model.as_ref()).await?;
        let redaction = Redaction::with(&self.known(&run, found.secrets).await?);

        let (sender, told) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || write(told, redaction, header, &output, existing));
        let read = self.tell(&run, &sender, Some(Transcript::new())).await;
        if read.is_ok() {
            // The one who writes says why it does not.
            let _ = sender.send(Told::Whole).await;
        }
        drop(sender);
        let written = writing
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        read?;
        written?.ok_or(Error::Stopped)
    }

    async fn first_reading(&self, run: &Run) -> Result<Found, Error> {
        let (sender, mut told) = mpsc::channel(WAITING);
        let looking = tokio::task::spawn_blocking(move || {
            let mut found = Found::default();
            while let Some(told) = told.blocking_recv() {
                let Told::Event(event, texts) = told else { continue };
                found.secrets.look_at(&event.payload());
                for (_, content) in texts {
                    let text = String::from_utf8_lossy(&content).into_owned();
                    found.secrets.look_at(&Value::String(text));
                }
                if let EventKind::ModelReady(ready) = event.kind {
                    found.model = Some(ready);
                }
            }
            found
        });
        let read = self.tell(run, &sender, None).await;
        drop(sender);
        let found = looking
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        read.map(|()| found)
    }

    /// Reads the run's events up to the last that was stored when the export began, and sends them with their texts; with
    /// a transcript the calls as well.
    async fn tell(
        &self,
        run: &Run,
        sender: &mpsc::Sender<Told>,
        mut transcript: Option<Transcript>,
    ) -> Result<(), Error> {
        let mut after = Seq(0);
        let mut asked: Option<ToldRequest> = None;
        while after < run.last_seq {
            let events = self
                .store
                .events(run.id, Page::after(after, Page::<Seq>::MAX))
                .await?;
            if events.is_empty() {
                break;
            }
            for event in events.into_iter().filter(|event| event.seq <= run.last_seq) {
                after = event.seq;
                if let Some(transcript) = &mut transcript
                    && let Some(request) = transcript.add(&event, &self.store).await?
                {
                    asked = Some(request);
                }
                let call = match &event.kind {
                    EventKind::LlmResponded(responded) if asked.is_some() => {
                        let reply = self.reply(responded).await?;
                        Some((Outcome::Replied(reply), responded.usage.work_ms))
                    }
                    EventKind::LlmFailed(failed) if asked.is_some() => {
                        let (failure, detail) = (failed.failure, failed.detail.clone());
                        Some((Outcome::Failed { failure, detail }, failed.usage.work_ms))
                    }
                    _ => None,
                };
                let texts = self.texts(&event).await?;
                let mut told = vec![Told::Event(Box::new(event), texts)];
                if let Some((outcome, work_ms)) = call {
                    told.extend(asked.take().map(|asked| call_of(asked, outcome, work_ms)));
                }
                for told in told {
                    if sender.send(told).await.is_err() {
                        // The one who writes has said why.
                        return Ok(());
                    }
                }
            }
        }
        if let Some(asked) = asked {
            let outcome = Outcome::Failed {
                failure: LlmFailure::Lost,
                detail: "the call was in flight when the run was exported".to_owned(),
            };
            // The one who writes says why it does not.
            let _ = sender.send(call_of(asked, outcome, 0)).await;
        }
        Ok(())
    }

    /// Returns a reply as the model gave it.
    async fn reply(&self, responded: &LlmResponded) -> Result<Reply, Error> {
        let content = self.store.blob(&responded.reply).await?;
        let reply: Reply = serde_json::from_slice(&content).map_err(|error| StoreError::Backend {
            backend: "blobs",
            action: "read a stored reply",
            source: Box::new(error),
        })?;
        Ok(if responded.calls_in_text {
            // The factory read them there, and a replay will again.
            Reply {
                tool_calls: Vec::new(),
                ..reply
            }
        } else {
            reply
        })
    }

    /// Returns the stored texts that an event names.
    async fn texts(&self, event: &Event) -> Result<Vec<(BlobId, Vec<u8>)>, Error> {
        let mut ids = Vec::new();
        names(&event.payload(), &mut ids);
        let mut texts = Vec::new();
        for id in ids {
            match self.store.blob(&id).await {
                Ok(content) => texts.push((id, content)),
                // Not every hash is one of a stored text.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(texts)
    }

    async fn header(&self, run: &Run, model: Option<&ModelReady>) -> Result<Header, Error> {
        let project = match run.project_id {
            Some(project) => serde_json::to_value(self.store.project(project).await?.settings),
            None => Ok(Value::Null),
        };
        let project = project.map_err(|error| Error::Internal(error.to_string()))?;
        let sandbox = &self.surroundings().await.sandbox;
        let toolchains: Vec<&str> = sandbox
            .toolchains()
            .iter()
            .map(|found| found.name.as_str())
            .collect();
        let window = model.and_then(|model| {
            let basis = if model.window_verified {
                WindowBasis::Verified
            } else {
                WindowBasis::Told
            };
            model.window.map(|tokens| Window { tokens, basis })
        });
        Ok(Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            factory: env!("CARGO_PKG_VERSION").to_owned(),
            model: RecordedModel {
                name: model.map_or_else(|| run.spec.model.clone(), |model| model.model.clone()),
                // A factory that did not make models ready knew one way to ask them.
                protocol: Some(model.map_or(Protocol::Native, |model| model.protocol)),
                window,
            },
            run: json!({
                "goal": run.goal,
                "spec": run.spec,
                "base_commit": run.base_commit.as_ref().or(run.spec.base.as_ref()),
                "status": run.status,
                "reason": run.reason,
                "detail": run.detail,
                "usage": run.usage,
                "created_at": run.created_at,
            }),
            project,
            environment: json!({
                "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                "kernel": rustix::system::uname().release().to_string_lossy(),
                "git": self.vcs.describe(),
                "sandbox": sandbox.level(),
                "toolchains": toolchains,
            }),
        })
    }

    /// Returns what this machine knows to be nobody else's business, with the secrets that the run itself shows.
    async fn known(&self, run: &Run, shown: Collector) -> Result<Known, Error> {
        let settings = &self.settings;
        let mut known = Known::default();
        for key in settings.endpoints.secrets() {
            known.secret("model key", key.expose());
        }
        for (name, value) in &settings.host.variables {
            known.variable(name, value);
        }
        if let Some(project) = run.project_id {
            let project = self.store.project(project).await?;
            known.path(&project.local_path.display().to_string(), "[repository]");
        }
        known.path(&self.folder.path().display().to_string(), "[data folder]");
        known.path(&settings.data_folder.display().to_string(), "[data folder]");
        if let Some((_, file)) = of_file(&run.spec.model)
            && let Some(name) = Path::new(file).file_name()
        {
            known.path(file, &name.to_string_lossy());
        }
        known.home(&settings.host.home.display().to_string());
        let names = ["USER", "LOGNAME"].map(|name| settings.host.variables.get(name));
        for name in names.into_iter().flatten().chain([&settings.operator]) {
            known.name(name);
        }
        shown.tell(&mut known);
        Ok(known)
    }
}

/// Writes what is told into a file beside `path` and gives it its name at the end. None where the telling broke off.
fn write(
    mut told: mpsc::Receiver<Told>,
    redaction: Redaction,
    header: Header,
    path: &Path,
    existing: Existing,
) -> Result<Option<Exported>, Error> {
    let failed = io_error("write", path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Only its owner may read a temporary file.
    let file = NamedTempFile::with_prefix_in(".factory-export-", folder).map_err(&failed)?;
    let buffered = BufWriter::new(file.as_file().try_clone().map_err(&failed)?);
    let mut writer = RecordingWriter::begin(buffered, redaction, header).map_err(&failed)?;
    let mut calls_told_anew = 0;
    loop {
        match told.blocking_recv() {
            Some(Told::Event(event, texts)) => writer.event(&event, &texts).map_err(&failed)?,
            Some(Told::Call(call)) => {
                calls_told_anew += u64::from(!call.as_sent);
                writer.call(*call).map_err(&failed)?;
            }
            Some(Told::Whole) => break,
            None => return Ok(None),
        }
    }
    let (buffered, end) = writer.finish().map_err(&failed)?;
    let mut written: File = buffered
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    let bytes = written.stream_position().map_err(&failed)?;
    written.sync_all().map_err(&failed)?;
    put(file, path, existing)?;
    Ok(Some(Exported {
        path: path.to_owned(),
        bytes,
        calls: end.calls,
        calls_told_anew,
        events: end.events,
        removed: end.removed,
    }))
}

fn call_of(asked: ToldRequest, outcome: Outcome, work_ms: u64) -> Told {
    Told::Call(Box::new(CallToWrite {
        call: asked.call,
        request: asked.request,
        as_sent: asked.as_sent,
        outcome,
        work_ms,
    }))
}

/// Finds the hashes in a payload.
fn names(value: &Value, ids: &mut Vec<BlobId>) {
    match value {
        Value::String(text) => ids.extend(text.parse::<BlobId>()),
        Value::Array(values) => values.iter().for_each(|value| names(value, ids)),
        Value::Object(map) => map.values().for_each(|value| names(value, ids)),
        _ => {}
    }
}

/// Returns where the file will be, or why it cannot be there.
fn at(output: &Path, existing: Existing) -> Result<PathBuf, Error> {
    let output = std::path::absolute(output).map_err(io_error("find", output))?;
    if output.is_dir() {
        return Err(Error::BadInput(format!(
            "`{}` is a folder; name a file in it",
            output.display()
        )));
    }
    if existing == Existing::Kept && output.symlink_metadata().is_ok() {
        return Err(is_there(&output));
    }
    Ok(output)
}

/// Gives the file its name.
fn put(file: NamedTempFile, path: &Path, existing: Existing) -> Result<(), Error> {
    let put = match existing {
        Existing::Replaced => file.persist(path),
        Existing::Kept => file.persist_noclobber(path),
    };
    put.map(|_| ()).map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => is_there(path),
        _ => io_error("write", path)(failed.error),
    })
}

fn is_there(path: &Path) -> Error {
    Error::BadInput(format!(
        "the file `{}` is there already; name another one, or say --force to replace it",
        path.display()
    ))
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path: path.clone(),
        source,
    }
}
