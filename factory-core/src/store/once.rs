//! What is done at most once: a client's key, kept with the answer by the very write that does the thing.

use super::StoreError;
use crate::model::{Run, Timestamp};

/// The mark of a request that its client may send again without knowing whether the first one arrived.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Once {
    /// Who asks, and for what kind of thing. The same key in another scope is another key.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// What tells this request from another one with the same key: a hash of it.
    pub fingerprint: String,
}

/// What was answered to a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The fingerprint of that request.
    pub fingerprint: String,
    /// The answer, in its writer's own form: JSON of the runs for what is written to runs.
    pub answer: String,
    /// When it was answered.
    pub at: Timestamp,
}

/// Returns the answer that is kept with a write to runs.
pub(super) fn answer_of(runs: &[Run]) -> String {
    serde_json::to_string(runs).expect("the model's values are structs with text keys")
}

/// Returns what a request is answered whose key was used before. Nothing is done.
pub(super) fn repeated(remembered: Remembered) -> StoreError {
    StoreError::Repeated {
        fingerprint: remembered.fingerprint,
        answer: remembered.answer,
    }
}
