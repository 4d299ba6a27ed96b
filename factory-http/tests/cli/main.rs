//! The real program, from the outside: what it prints, how it exits, and what it leaves in a repository.

mod demo;
mod runs;
#[expect(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test fails"
)]
mod support;
mod usage;
