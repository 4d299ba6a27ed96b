//! The built server, from outside: over HTTP, with real processes, killed for real.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod flows;
mod guard;
mod kill;
mod ports;
mod program;
mod routes;
mod table;
