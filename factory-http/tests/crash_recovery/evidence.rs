//! What is known of a run after its last life: what was stored at each death, and how everything ended.

use factory_core::model::{Event, Run};

use crate::phase::Phase;
use crate::place::{OperatorsOwn, Place, Said};

/// A process was killed.
#[derive(Debug, Clone)]
pub(crate) struct Death {
    /// What the run was in the middle of; none where its end was stored already.
    pub(crate) phase: Option<Phase>,
    /// What was stored.
    pub(crate) events: Vec<Event>,
    /// How many lines the model's log had.
    pub(crate) log_lines: usize,
}

/// A run from its filing to its end.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub(crate) deaths: Vec<Death>,
    pub(crate) run: Run,
    pub(crate) events: Vec<Event>,
    pub(crate) model_log: Vec<Said>,
    pub(crate) repository: Repository,
}

/// The operator's repository before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) before: OperatorsOwn,
    pub(crate) after: OperatorsOwn,
    pub(crate) branches: Vec<String>,
    pub(crate) tree: String,
    pub(crate) message: String,
    pub(crate) residue: Vec<String>,
}

impl Evidence {
    /// Looks at everything once the run has ended.
    pub(crate) async fn gather(place: &Place, before: OperatorsOwn, deaths: Vec<Death>) -> Self {
        let (run, events) = place.history().await;
        let (branches, tree, message) = place.published();
        Self {
            deaths,
            run,
            events,
            model_log: place.model_log(),
            repository: Repository {
                before,
                after: place.operators_own(),
                branches,
                tree,
                message,
                residue: place.residue(),
            },
        }
    }
}
