//! Schemathesis on every operation of the document: requests that are valid by it and requests that are not, single and
//! one after the other, each answer held to what the document says of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::place::Place;
use crate::programs::{run_to_any_end, sources, tool};
use crate::world::World;

/// How many cases an ordinary test takes at least, without those that are not let in.
const CASES: u32 = 2_000;

/// How many of them try the edges of each parameter, about. Their number is the document's.
const EDGES: u32 = 2_000;

/// The fewest cases that are made up for each operation.
const LEAST: u32 = 3;

/// Stands for the status of a request that could not be sent, or got no answer.
const NO_ANSWER: u64 = 0;

/// How long a case may take, with room to spare.
const PATIENCE: Duration = Duration::from_millis(500);

#[test]
#[ignore = "needs packages of Python: `make tools` installs them, `make test` runs it"]
fn the_document_is_true() {
    let cases = std::env::var("FACTORY_TEST_API_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let place = Place::serving();
    let settings = std::fs::read_to_string(sources().join("schemathesis.toml")).unwrap();
    let settings = settings + &World::of(&place).dictionaries();
    std::fs::write(place.path("schemathesis.toml"), settings).unwrap();
    let document = place.get("/openapi.json");
    std::fs::write(place.path("openapi.json"), document.to_string()).unwrap();
    let operations = operations(&document);
    // More than is wanted, because few requests can be made up for some operations, and some have no credential.
    let each = cases.saturating_sub(EDGES) * 3 / 2 / u32::try_from(operations.len()).unwrap();
    let each = each.max(LEAST);
    let report = place.path("report.ndjson");
    let (passed, said) = run_to_any_end(
        Command::new(tool("python/bin/schemathesis"))
            .current_dir(place.path(""))
            .args([
                "--config-file",
                "schemathesis.toml",
                "run",
                "openapi.json",
                "--no-color",
            ])
            .args(["--url", &place.url(), "--max-examples", &each.to_string()])
            .args([
                "--report",
                "ndjson",
                "--report-ndjson-path",
                report.to_str().unwrap(),
            ])
            .env("PYTHONPATH", sources())
            .env("FACTORY_TOKEN", &place.token)
            .env("FACTORY_TEST_PLACE", place.path("").canonicalize().unwrap()),
        Duration::from_mins(2) + PATIENCE * cases,
    );
    println!("{said}");
    if let Ok(kept) = std::env::var("FACTORY_TEST_API_REPORT")
        && report.exists()
    {
        std::fs::copy(&report, kept).unwrap();
    }
    assert!(passed, "Schemathesis found something, or did not begin");
    let Tried { statuses, succeeded } = Tried::of(&report);
    println!("answers by status: {statuses:?}\nthat succeeded, by operation: {succeeded:?}");
    let let_in: u32 = statuses
        .iter()
        .filter(|(status, _)| ![401, NO_ANSWER].contains(status))
        .map(|(_, count)| count)
        .sum();
    assert!(let_in >= cases, "{let_in} cases were let in, of at least {cases}");
    let never: Vec<&String> = operations
        .iter()
        .filter(|operation| !succeeded.contains_key(*operation))
        .collect();
    assert!(never.is_empty(), "no case succeeded of {never:?}");
}

/// Returns every operation, as `GET /runs`.
fn operations(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

/// What was tried, as the report tells it.
#[derive(Default)]
struct Tried {
    /// The answers' statuses, with how often.
    statuses: BTreeMap<u64, u32>,
    /// The operations that succeeded, with how often.
    succeeded: BTreeMap<String, u32>,
}

impl Tried {
    fn of(report: &Path) -> Self {
        let mut tried = Self::default();
        for line in std::fs::read_to_string(report).unwrap().lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let recorder = line["ScenarioFinished"]["recorder"].take();
            for (id, interaction) in recorder["interactions"].as_object().into_iter().flatten() {
                let case = &recorder["cases"][id]["value"];
                let status = interaction["response"]["status_code"].as_u64();
                let status = status.unwrap_or(NO_ANSWER);
                *tried.statuses.entry(status).or_default() += 1;
                if (200..300).contains(&status) {
                    let (method, path) = (case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
                    *tried.succeeded.entry(format!("{method} {path}")).or_default() += 1;
                }
            }
        }
        tried
    }
}
