//! The HTTP API from outside, as programs meet it that others wrote: whether its document is valid and true, whether
//! clients that are made from it work, and what becomes of requests that no client would make.
//!
//! The tests that need Python or npm packages are ignored by a plain `cargo test`; `make clients` installs the packages and
//! runs them.

#![expect(
    clippy::unwrap_used,
    clippy::assigning_clones,
    clippy::doc_markdown,
    clippy::format_collect,
    clippy::large_stack_arrays,
    clippy::needless_for_each,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    reason = "what a test prepares must work, or the test fails; its lists are long, and it is in no hurry"
)]

mod bad_bodies;
mod bad_requests;
mod clients;
mod document;
mod http;
mod ollama;
mod place;
mod programs;
mod schemathesis;
mod world;
