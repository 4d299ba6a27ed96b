//! What a model sees of a repository, and how much of it.
//!
//! [`estimate`] says how many tokens a text has, [`Calibration`] how far a model's own count lies from it.

mod calibration;
mod tokens;

pub use self::calibration::Calibration;
pub use self::tokens::estimate;
