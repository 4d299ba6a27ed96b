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

/// How many cases an ordinary test takes at least.
const CASES: u32 = 2_000;

/// How many of them try the edges of each parameter, about. Their number is the document's.
const EDGES: u32 = 2_000;

/// The fewest cases that are made up for each operation.
const LEAST: u32 = 3;

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
    // A quarter more than is wanted, because few requests can be made up for some operations.
    let each = cases.saturating_sub(EDGES) * 5 / 4 / u32::try_from(operations.len()).unwrap();
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
    assert!(passed, "{said}");
    println!("{said}");
    if let Ok(kept) = std::env::var("FACTORY_TEST_API_REPORT") {
        std::fs::copy(&report, kept).unwrap();
    }
    let Tried { sent, succeeded } = Tried::of(&report);
    println!("{sent} cases; succeeded of each operation: {succeeded:?}");
    assert!(sent >= cases, "{sent} cases, of at least {cases}");
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
    /// How many requests were sent.
    sent: u32,
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
                tried.sent += 1;
                let case = &recorder["cases"][id]["value"];
                let status = interaction["response"]["status_code"].as_u64();
                if status.is_some_and(|status| (200..300).contains(&status)) {
                    let (method, path) = (case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
                    *tried.succeeded.entry(format!("{method} {path}")).or_default() += 1;
                }
            }
        }
        tried
    }
}
