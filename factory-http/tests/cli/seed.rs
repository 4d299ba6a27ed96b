//! A database of the program before this one, met by the command line: everything is listed, nothing starts.

use std::os::unix::fs::DirBuilderExt;

use serde_json::{Value, json};

use crate::support::{Place, code, lines, told};

const SEED: [&str; 3] = [
    include_str!("../../../factory-core/tests/fixtures/seed_schema.sql"),
    include_str!("../../../factory-core/tests/fixtures/seed_rows.sql"),
    include_str!("../../../factory-core/tests/fixtures/seed_nulls.sql"),
];

/// Returns a place whose data folder holds nothing but such a database.
fn seeded() -> Place {
    let place = Place::new();
    let folder = place.path("data");
    std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let database = rusqlite::Connection::open(folder.join("platform.db")).unwrap();
    for part in SEED {
        database.execute_batch(part).unwrap();
    }
    place
}

/// Returns what a table of the database holds, by its columns.
fn rows(database: &std::path::Path, sql: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let database = rusqlite::Connection::open(database).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement
        .query_map([], row)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn everything_is_listed_and_nothing_starts() {
    let place = seeded();
    let database = place.path("data/platform.db");
    let whole = "SELECT id, run_id, type, payload, created_at FROM events ORDER BY id";
    let before = rows(&database, whole);
    assert_eq!(before.len(), 500);

    let runs = place.json(&["list", "--limit", "100"]);
    let runs = runs["items"].as_array().unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=20).rev().collect::<Vec<_>>());
    let waiting = ["QUEUED", "RUNNING"];
    assert!(
        runs.iter()
            .all(|run| !waiting.contains(&run["status"].as_str().unwrap()))
    );
    let projects = place.json(&["project", "list"]);
    let names: Vec<_> = projects["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| &project["name"])
        .collect();
    assert_eq!(names, ["shop", "blog \"quoted\"", "ünïcode"]);

    let mut told_payloads = Vec::new();
    for id in 1..=20 {
        let id = id.to_string();
        let shown = place.factory(&["show", &id]);
        assert_eq!(code(&shown), 0, "{}", told(&shown));
        let text = place.factory(&["events", &id]);
        assert_eq!(code(&text), 0, "{}", told(&text));
        let events = lines(&place.factory(&["events", &id, "--json"]));
        let seqs: Vec<_> = events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "run {id}");
        assert_eq!(
            String::from_utf8_lossy(&text.stdout).lines().count(),
            events.len(),
            "run {id}"
        );
        told_payloads.extend(events.into_iter().map(|event| event["payload"].clone()));
    }
    // All but the five events of runs that are gone, and one event for each run that was paused.
    let paused = runs.iter().filter(|run| run["reason"] == "interrupted").count();
    assert_eq!(told_payloads.len(), 495 + paused);
    for kept in [json!("not json"), json!(""), json!([1, 2]), Value::Null] {
        assert!(told_payloads.contains(&kept), "{kept}");
    }
    let unknown = place.json(&["show", "14"]);
    assert_eq!(unknown["run"]["status"], "PAUSED");
    let former = lines(&place.factory(&["events", "14", "--json"]));
    assert_eq!(
        former.last().unwrap()["payload"]["former_status"],
        "waiting for ann"
    );
    assert_eq!(place.json(&["show", "19"])["run"]["project_id"], Value::Null);

    let copies: Vec<_> = std::fs::read_dir(place.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("platform.db.") || name.starts_with("platform.db-before")
        })
        .collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(rows(&copies[0], whole), before);
}

#[test]
fn a_run_of_no_project_is_not_worked_on() {
    let place = seeded();
    let resumed = place.factory(&["resume", "19"]);
    assert_ne!(code(&resumed), 0, "{}", told(&resumed));
    assert!(
        told(&resumed).contains("run 19 belongs to no project"),
        "{}",
        told(&resumed)
    );
    let listed = place.json(&["list", "--status", "running"]);
    assert_eq!(listed["items"], json!([]));
}
