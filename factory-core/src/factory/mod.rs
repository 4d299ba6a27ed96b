//! The façade: the one way in for every front end.
//!
//! [`Reader`] shows what is stored and needs no ownership; [`Factory`] owns the data folder and changes it. Verbs
//! answer when they are stored, and the work itself goes on in the background until [`Factory::drive`] returns.

mod bases;
mod commands;
mod compare;
mod control;
pub mod credentials;
mod decide;
mod descend;
mod doctor;
mod export;
mod history;
mod inspect;
mod models;
mod open;
mod projects;
mod queue;
mod shell;
mod submit;
mod surroundings;
mod verify;
mod views;
mod workers;

use std::sync::Arc;

use crate::agent::{Equipment, Ground};
use crate::data_folder::{DataFolder, OwnerLock};
use crate::error::Error;
use crate::event_bus::Subscription;
use crate::journal::Journal;
use crate::llm::Llm;
use crate::model::{Actor, Project, RunId, WorkerId};
use crate::model_notes::ModelNotes;
use crate::settings::Settings;
use crate::store::{Once, Store};
use crate::vcs::Vcs;

pub use export::{Existing, Exported};
pub use models::{EndpointModels, ProbedModel, ProtocolTry};
pub use open::Sockets;
pub use shell::Workbench;
pub use views::{
    AddProject, ApproveTree, CheckView, CheckpointView, CommandReport, CommentView, DiffRange, FileDiffs,
    Finding, LaidFile, ProjectAdded, ProjectChange, RunDiff, RunView, SetupReport, StepState, StepView,
    Submit, TreesDiff, Verdict,
};
use workers::Workers;

/// Shows a factory's state. Needs no ownership of the data folder, so that it works beside the owner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Arc<dyn Store>,
    vcs: Arc<dyn Vcs>,
    models: Arc<models::Models>,
    notes: ModelNotes,
    folder: Arc<DataFolder>,
    settings: Arc<Settings>,
    surroundings: Arc<tokio::sync::OnceCell<surroundings::Surroundings>>,
    bases: bases::Bases,
}

/// A factory that owns its data folder. Cheap to clone; the folder is given up when the last clone is dropped or by
/// [`Factory::shutdown`].
#[derive(Debug, Clone)]
pub struct Factory {
    inner: Arc<Inner>,
    /// Who says what is said through this handle, where it is not the settings' operator.
    operator: Option<Arc<str>>,
    /// The key under which what is said through this handle is done at most once.
    once: Option<Arc<Once>>,
}

#[derive(Debug)]
struct Inner {
    reader: Reader,
    journal: Journal,
    worker: WorkerId,
    workers: Workers,
    lock: std::sync::Mutex<Option<OwnerLock>>,
    /// Loaded when somebody first asks for them.
    credentials: tokio::sync::OnceCell<credentials::Credentials>,
}

impl Factory {
    /// Returns the reading half.
    pub fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    /// Hears stored events, and pieces of replies as they come, of all runs from now on.
    pub fn subscribe(&self) -> Subscription {
        self.inner.journal.bus().subscribe()
    }

    /// Returns what tells the words that models are given by this program from those of another: equal versions mean
    /// equal words.
    pub fn prompt_version() -> String {
        crate::agent::prompt_version()
    }

    /// Returns a handle on the same factory whose verbs are recorded as this operator's.
    #[must_use]
    pub fn acting_as(&self, operator: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            operator: Some(operator.into()),
            once: self.once.clone(),
        }
    }

    /// Returns a handle on the same factory through which one thing is said at most once: whoever says it again with the
    /// same key gets [`StoreError::Repeated`](crate::store::StoreError::Repeated), with the runs as they stood then as
    /// JSON, and nothing is done. Keys are kept with the write itself, and forgotten after [`Factory::KEPT`].
    #[must_use]
    pub fn once(&self, once: Once) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            operator: self.operator.clone(),
            once: Some(Arc::new(once)),
        }
    }

    /// Keeps the answer to something that is no write to runs, so that [`Reader::remembered`] finds it.
    pub async fn remember(&self, once: Once, answer: String) -> Result<(), Error> {
        let at = self.inner.journal.now();
        Ok(self.inner.journal.store().remember(once, answer, at).await?)
    }

    /// How long keys are kept at least.
    pub const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

    /// Forgets keys that were kept long enough, some of them at most, and returns how many.
    pub async fn forget_old_keys(&self) -> Result<u32, Error> {
        const AT_ONCE: u32 = 1000;
        let before = self.inner.journal.now().before(Self::KEPT);
        Ok(self.inner.journal.store().forget_answers(before, AT_ONCE).await?)
    }

    fn once_key(&self) -> Option<Once> {
        self.once.as_deref().cloned()
    }

    /// Returns whether any run is being worked on in this process.
    pub fn is_working(&self) -> bool {
        self.inner.workers.any()
    }

    /// Returns how many runs are being worked on in this process.
    pub fn workers(&self) -> usize {
        self.inner.workers.count()
    }

    fn operator(&self) -> Actor {
        let operator = self.operator.as_deref();
        Actor::Operator(
            operator
                .unwrap_or(&self.inner.reader.settings.operator)
                .to_owned(),
        )
    }

    async fn equipment(&self, project: Project, run: RunId, llm: Arc<dyn Llm>) -> Equipment {
        let reader = &self.inner.reader;
        Equipment {
            journal: self.inner.journal.clone(),
            ground: reader.ground(project).await,
            llm,
            notes: reader.notes.clone(),
            root: reader.folder.run(run),
        }
    }
}

impl Reader {
    async fn ground(&self, project: Project) -> Ground {
        Ground {
            vcs: Arc::clone(&self.vcs),
            sandbox: self.surroundings().await.sandbox.clone(),
            root: self.folder.project(project.id),
            check_within: self.settings.check_within,
            project,
        }
    }
}

/// Makes a folder with its parents.
async fn make_folder(path: std::path::PathBuf) -> Result<(), Error> {
    let made = tokio::fs::create_dir_all(&path).await;
    made.map_err(|source| Error::Io {
        action: "make the folder",
        path,
        source,
    })
}
