//! The answers to requests that are done at most once.

use super::super::{Once, Remembered, StoreError, once};
use super::State;
use crate::model::Timestamp;

impl State {
    /// Refuses a request whose key was used before.
    pub(super) fn refuse_repeated(&self, once: Option<&Once>) -> Result<(), StoreError> {
        let used = once.and_then(|once| self.answers.get(&(once.scope.clone(), once.key.clone())));
        match used {
            Some(remembered) => Err(once::repeated(remembered.clone())),
            None => Ok(()),
        }
    }

    /// Keeps the answer with its key.
    pub(super) fn keep_answer(&mut self, once: Once, answer: String, at: Timestamp) {
        let remembered = Remembered {
            fingerprint: once.fingerprint,
            answer,
            at,
        };
        self.answers.insert((once.scope, once.key), remembered);
    }

    /// Forgets the oldest answers from before that moment.
    pub(super) fn forget_answers(&mut self, before: Timestamp, most: u32) -> u32 {
        let mut old: Vec<_> = self.answers.iter().filter(|(_, kept)| kept.at < before).collect();
        old.sort_by_key(|(_, kept)| kept.at);
        let places: Vec<_> = old
            .into_iter()
            .map(|(place, _)| place.clone())
            .take(most as usize)
            .collect();
        for place in &places {
            self.answers.remove(place);
        }
        u32::try_from(places.len()).unwrap_or(u32::MAX)
    }
}
