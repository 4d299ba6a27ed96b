//! The real program, from the outside: what it prints, how it exits, and what it leaves in a repository.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test fails"
)]

mod again;
mod apply;
mod bad_input;
mod bad_storage;
mod canaries;
mod checks;
mod demo;
mod eval;
mod goals;
mod models;
mod mounts;
mod observed;
mod owners;
mod runs;
mod secrets;
mod seed;
mod shell;
mod support;
mod tokens;
mod usage;
