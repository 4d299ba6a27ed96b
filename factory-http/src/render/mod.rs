//! What a person sees: pure functions from stored data to text, and the few places that write it.
//!
//! Nothing that a model, a command or a repository wrote reaches a terminal but through [`sanitize`].

pub(crate) mod amount;
pub(crate) mod credentials;
pub(crate) mod diff;
pub(crate) mod evaluation;
pub(crate) mod event_line;
pub(crate) mod models;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod project;
pub(crate) mod pull;
pub(crate) mod run;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod sanitize;
pub(crate) mod table;
