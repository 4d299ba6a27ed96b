//! Whole runs in every kind of repository that operators have: each works and leaves the operator's work as it is, or
//! is refused with a word on what to do. The table of outcomes is a snapshot.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../workshop/mod.rs"]
mod workshop;

mod bench;
mod clones;
mod folder_projects;
mod folders;
mod heads;
mod large;
mod speed;
mod trees;

use std::fmt::Write as _;

use bench::{Bench, Kind};
use futures_util::StreamExt;

/// How many kinds are tried at the same time.
const AT_ONCE: usize = 2;

/// Tries each kind on a bench of its own, and returns the table.
async fn table(kinds: Vec<Kind>, bench: fn() -> Bench) -> String {
    let tried = futures_util::stream::iter(kinds).map(|kind| async move {
        let bench = bench();
        let outcome = bench.try_out(&kind).await;
        (kind.name, outcome)
    });
    let rows: Vec<_> = tried.buffered(AT_ONCE).collect().await;
    let mut table = String::new();
    for (name, outcome) in rows {
        writeln!(table, "{name}\n    {}", outcome.replace('\n', "\n    ")).unwrap();
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn what_head_index_and_working_tree_may_look_like() {
    insta::assert_snapshot!(table(heads::kinds(), Bench::new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_objects_and_history_may_be() {
    insta::assert_snapshot!(table(clones::kinds(), Bench::new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_project_may_lie() {
    insta::assert_snapshot!(table(folders::kinds(), Bench::new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tree_may_hold() {
    insta::assert_snapshot!(table(trees::kinds(), Bench::new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_large_a_tree_may_be() {
    insta::assert_snapshot!(table(large::kinds(), Bench::for_much).await);
}
