//! What the driver of one run works with: the journal, the project's ground, a model, and the run's own places.

use std::path::PathBuf;
use std::sync::Arc;

use super::ground::{Ground, Place};
use crate::journal::Journal;
use crate::llm::Llm;
use crate::model_notes::ModelNotes;

/// What a run works with.
#[derive(Debug, Clone)]
pub(crate) struct Equipment {
    pub(crate) journal: Journal,
    pub(crate) ground: Ground,
    pub(crate) llm: Arc<dyn Llm>,
    /// What was found out about models.
    pub(crate) notes: ModelNotes,
    /// The folder of everything of the run.
    pub(crate) root: PathBuf,
}

impl Equipment {
    /// Where the agent works.
    pub(crate) fn place(&self) -> Place {
        Place::new(self.root.join("work"))
    }

    /// Where the checks decide.
    pub(crate) fn proof(&self) -> Place {
        Place::new(self.root.join("proof"))
    }
}
