//! What was found out about models, kept beside the database: how each is asked.
//!
//! It is a cache: what is lost is found out again. So a file that cannot be read is begun anew, and one that cannot be
//! written is told in the log alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::context::Calibration;
use crate::model::Protocol;

/// Of which prompts the notes speak. Raised when the prompts change so much that models have to be tried anew.
const EDITION: u32 = 1;

/// What is known of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ModelNote {
    /// How it is asked.
    pub(crate) protocol: Option<Protocol>,
    /// How its tokens compare with our estimate.
    pub(crate) calibration: Calibration,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    edition: u32,
    models: BTreeMap<String, ModelNote>,
}

/// The notes about all models.
#[derive(Debug, Clone)]
pub(crate) struct ModelNotes {
    path: PathBuf,
    models: Arc<Mutex<BTreeMap<String, ModelNote>>>,
}

impl ModelNotes {
    /// Reads the notes in a file. Blocks.
    pub(crate) fn read(path: &Path) -> Self {
        let file: File = std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let models = if file.edition == EDITION {
            file.models
        } else {
            BTreeMap::new()
        };
        Self {
            path: path.to_owned(),
            models: Arc::new(Mutex::new(models)),
        }
    }

    /// Returns how the model is asked, if it is known.
    pub(crate) fn protocol(&self, model: &str) -> Option<Protocol> {
        self.lock().get(model)?.protocol
    }

    /// Keeps how the model is asked.
    pub(crate) async fn set_protocol(&self, model: &str, protocol: Protocol) {
        self.change(|models| {
            models.entry(model.to_owned()).or_default().protocol = Some(protocol);
        })
        .await;
    }

    /// Returns an estimate of tokens as the model's own counts have taught it.
    pub(crate) fn tokens(&self, model: &str, estimate: u64) -> u64 {
        self.lock()
            .get(model)
            .map_or(estimate, |note| note.calibration.apply(estimate))
    }

    /// Learns from a count of the model's server.
    pub(crate) async fn observe(&self, model: &str, estimate: u64, counted: u64) {
        let before = self
            .lock()
            .get(model)
            .map(|note| note.calibration)
            .unwrap_or_default();
        let mut after = before;
        after.observe(estimate, counted);
        // Most counts teach nothing new, and each change is a file written.
        if after != before {
            self.change(|models| {
                models.entry(model.to_owned()).or_default().calibration = after;
            })
            .await;
        }
    }

    async fn change(&self, change: impl FnOnce(&mut BTreeMap<String, ModelNote>)) {
        let bytes = {
            let mut models = self.lock();
            change(&mut models);
            let file = File {
                edition: EDITION,
                models: models.clone(),
            };
            serde_json::to_vec_pretty(&file).expect("notes are structs and texts")
        };
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &bytes)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(path = %self.path.display(), %error, "what was found out about a model could not be kept");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ModelNote>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_outlast_the_process_and_a_broken_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("models.json");
        let notes = ModelNotes::read(&path);
        assert_eq!(notes.protocol("m"), None);
        notes.set_protocol("m", Protocol::Text).await;
        assert_eq!(ModelNotes::read(&path).protocol("m"), Some(Protocol::Text));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(ModelNotes::read(&path).protocol("m"), None);
        std::fs::write(&path, r#"{"edition": 0, "models": {"m": {"protocol": "text"}}}"#).unwrap();
        assert_eq!(ModelNotes::read(&path).protocol("m"), None);
    }
}
