//! What tests of backends and of embedders need: faults on demand.

mod faulty_store;

pub use faulty_store::{Fault, FaultError, FaultyStore, Moment};
