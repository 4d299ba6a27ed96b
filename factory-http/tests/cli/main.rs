//! The real program, from the outside: what it prints, how it exits, and what it leaves in a repository.

mod demo;
mod runs;
mod support;
mod usage;
