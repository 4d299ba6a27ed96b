//! The agent loop: a pure machine that folds events and says the next act, and a driver that does it.
//!
//! Recovery is nothing special. Whoever claims a run folds its stored events and goes on with the next act; what was
//! begun and not finished shows in the folded state and is settled first.

mod act;
mod conversation;
mod dialect;
mod driver;
mod equipment;
mod ground;
#[cfg(test)]
mod machine_tests;
mod plan_reply;
pub(crate) mod probe;
mod prompt;
mod sensitive;
mod state;
mod transcript;

pub(crate) use driver::{PARK_AGAIN, PARK_TRIES, drive, park_failed};
pub(crate) use equipment::Equipment;
pub(crate) use ground::{Checked, Ground, Place, remove, store_of};
pub(crate) use prompt::version as prompt_version;
pub(crate) use state::State;
pub(crate) use transcript::{ToldRequest, Transcript};
