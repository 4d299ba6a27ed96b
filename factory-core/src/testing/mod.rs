//! What tests of backends and of embedders need: faults on demand, and a store that must not be trusted.

mod faulty_store;
mod forgetful_store;

pub use faulty_store::{Fault, FaultError, FaultyStore, Moment};
pub use forgetful_store::ForgetfulStore;
