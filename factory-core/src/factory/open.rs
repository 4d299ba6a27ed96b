//! Opening a factory: the data folder and its lock, the store, git, the sandbox, and what a dead owner left.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};

use super::bases::Bases;
use super::models::Models;
use super::workers::{Workers, release_orphans};
use super::{Factory, Inner, Reader};
use crate::data_folder::{DataFolder, DataFolderError, OwnerLock};
use crate::error::Error;
use crate::event_bus::EventBus;
use crate::journal::{Clock, Journal, SystemClock};
use crate::llm::Llm;
use crate::model::WorkerId;
use crate::model_notes::ModelNotes;
use crate::settings::Settings;
use crate::store::{Access, Store, open_store};
use crate::vcs::Vcs;
use crate::vcs::git::Git;

/// What an embedder plugs in instead of what the settings say. The default plugs in nothing.
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    /// The store, instead of the settings' database.
    pub store: Option<Arc<dyn Store>>,
    /// Version control, instead of git.
    pub vcs: Option<Arc<dyn Vcs>>,
    /// The clock, instead of the machine's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Models by the name under which runs are filed with them, beside those that a model's text opens.
    pub models: HashMap<String, Arc<dyn Llm>>,
}

impl Reader {
    /// Opens the state of a data folder for reading, beside its owner if there is one. Changes nothing.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let folder = DataFolder::open(&settings.data_folder)?;
        Self::with(settings, folder, Sockets::default(), Access::Read).await
    }

    async fn with(
        settings: Settings,
        folder: DataFolder,
        sockets: Sockets,
        access: Access,
    ) -> Result<Self, Error> {
        let store = async {
            if let Some(store) = sockets.store {
                return Ok(store);
            }
            let url = settings.database.clone();
            let url = url.unwrap_or_else(|| format!("sqlite:{}", folder.database().display()));
            open_store(&url, access).await
        };
        let vcs = async {
            Ok::<Arc<dyn Vcs>, Error>(match sockets.vcs {
                Some(vcs) => vcs,
                None => Arc::new(find_git(settings.host.path()).await?),
            })
        };
        // Each waits for something else: the disk, and another program.
        let (store, vcs) = tokio::join!(store, vcs);
        let (store, vcs) = (store?, vcs?);
        let notes_path = folder.path().join("models.json");
        let notes = tokio::task::spawn_blocking(move || ModelNotes::read(&notes_path)).await;
        let models = Models::new(settings.endpoints.clone(), sockets.models);
        Ok(Self {
            store,
            vcs,
            models: Arc::new(models),
            notes: notes.map_err(|error| Error::Internal(error.to_string()))?,
            folder: Arc::new(folder),
            settings: Arc::new(settings),
            surroundings: Arc::default(),
            bases: Bases::default(),
        })
    }
}

impl Factory {
    /// Takes ownership of the data folder, migrates its database, and gives runs back to the queue whose worker died.
    /// Starts nothing. [`Error::Owned`] where another process has the folder.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        Self::open_with(settings, Sockets::default()).await
    }

    /// Opens a factory with some of its sockets filled by the caller.
    pub async fn open_with(settings: Settings, sockets: Sockets) -> Result<Self, Error> {
        let folder = DataFolder::open(&settings.data_folder)?;
        let lock = OwnerLock::acquire(&folder)?;
        let clock = sockets.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
        let reader = Reader::with(settings, folder, sockets, Access::Own).await?;
        let journal = Journal::new(Arc::clone(&reader.store), EventBus::default(), clock);
        let inner = Inner {
            reader,
            journal,
            worker: WorkerId(format!("process-{}", std::process::id())),
            workers: Workers::default(),
            lock: Mutex::new(Some(lock)),
            credentials: tokio::sync::OnceCell::new(),
        };
        let factory = Self {
            inner: Arc::new(inner),
            operator: None,
            once: None,
        };
        release_orphans(&factory).await?;
        Ok(factory)
    }
}

/// Finds git, which runs it once to learn its version.
async fn find_git(path: &str) -> Result<Git, Error> {
    let path = path.to_owned();
    let found = tokio::task::spawn_blocking(move || Git::find_on(OsStr::new(&path))).await;
    Ok(found.map_err(|error| Error::Internal(error.to_string()))??)
}

impl From<DataFolderError> for Error {
    fn from(error: DataFolderError) -> Self {
        match error {
            DataFolderError::Owned { pid, path } => Self::Owned { pid, folder: path },
            DataFolderError::Io { action, path, source } => Self::Io { action, path, source },
            other => Self::DataFolder(crate::chain::chain(&other)),
        }
    }
}
