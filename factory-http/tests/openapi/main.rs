//! The HTTP API from outside, as programs meet it that others wrote: whether its document is valid and true, whether
//! clients that are made from it work, and what becomes of requests that no client would make.
//!
//! The tests that need Python or npm packages are ignored by a plain `cargo test`; `make test` installs the packages and
//! runs them.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test fails"
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
