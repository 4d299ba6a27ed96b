//! Version control over real repositories: what goes in comes out byte by byte, publishing touches nothing else, and what
//! is hostile has no effect.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod canaries;
mod checkouts;
mod differences;
mod fixture;
mod hostile_names;
mod hostile_programs;
mod publishing;
mod random_trees;
mod repositories;
mod special_files;
mod speed;
mod stores;
