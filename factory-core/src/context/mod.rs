//! What a model sees of a repository that it does not know, within a budget.
//!
//! [`survey()`] puts it together: a map of the files with what they define, the most relevant first, then the files that
//! the goal, the checks and a failing output name, whole or in excerpts. What is relevant is decided by names and by
//! definitions, so that it can be explained in one word ([`Reason`]); the same files and the same request give the
//! same bytes. [`estimate`] says how many tokens a text has, [`Calibration`] how far a model's own count lies from it.
//!
//! Nothing is written here, and no more is read than the bounds allow. All of it blocks: callers on an async runtime use
//! a blocking thread.

mod calibration;
mod excerpt;
mod index;
mod map;
mod mentions;
mod named;
mod outline;
mod ranking;
mod role;
mod sources;
mod survey;
mod tokens;

pub use self::calibration::Calibration;
pub use self::excerpt::{Excerpt, Focus, Numbering, excerpt};
pub use self::index::FileIndex;
pub use self::mentions::{Mention, Mentions, mentions, named_paths};
pub use self::outline::{Outline, Symbol};
pub use self::ranking::Reason;
pub use self::survey::{Block, Survey, SurveyRequest, Work, survey};
pub use self::tokens::estimate;

#[cfg(test)]
mod tests;
