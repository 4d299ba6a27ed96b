//! `kill -9` of the server under load: after the next start every run goes on, and every status is true.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::flows::{CHECK, script};
use crate::program::{PATIENCE, Place, Server};

/// How many runs are at work when the server is killed.
fn runs() -> usize {
    let text = std::env::var("FACTORY_TEST_SERVER_RUNS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(12)
}

async fn statuses(server: &Server) -> Vec<String> {
    let listed = server.get("/runs?limit=500").await;
    let items = listed["items"].as_array().unwrap();
    items
        .iter()
        .map(|run| run["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_goes_on_after_the_server_was_killed() {
    let wanted = runs();
    let place = Place::new();
    let model = place.serve_model(&script(200));
    place.configure(&format!(
        "[limits]\nruns = {wanted}\nruns_per_project = {wanted}\nruns_per_server = {wanted}\n"
    ));
    let server = place.serve();
    let project = server.register(&place.path("repository"), &[CHECK]).await;
    let goal = json!({
        "project_id": project, "goal": "Write done.txt", "protocol": "native", "approval": "unattended",
        "model": format!("openai:m@{}", model.url),
    });
    let goals: Vec<Value> = (0..wanted).map(|_| goal.clone()).collect();
    server.post("/runs/bulk", &json!({"runs": goals})).await;
    // All are taken up before the first kill.
    let begun = Instant::now();
    loop {
        let queued = statuses(&server)
            .await
            .iter()
            .filter(|status| *status == "QUEUED")
            .count();
        if queued == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let active = statuses(&server)
        .await
        .iter()
        .filter(|status| *status == "RUNNING")
        .count();
    server.kill();

    let restarted = Instant::now();
    let server = place.serve();
    // A run that is shown RUNNING has a worker in the new process: its newest start is of it.
    loop {
        let listed = server.get("/runs?limit=500").await;
        let mut all_true = true;
        for run in listed["items"].as_array().unwrap() {
            let status = run["status"].as_str().unwrap();
            assert!(["QUEUED", "RUNNING", "COMPLETE"].contains(&status), "{run}");
            all_true &= status != "QUEUED";
        }
        if all_true {
            break;
        }
        assert!(restarted.elapsed() < PATIENCE, "{:?}", statuses(&server).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{active} of {wanted} runs at work when killed; all claimed again after {:?}",
        restarted.elapsed()
    );
    let begun = Instant::now();
    while statuses(&server).await.iter().any(|status| status != "COMPLETE") {
        assert!(begun.elapsed() < PATIENCE, "{:?}", statuses(&server).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Each history is gapless and ends once.
    for run in 1..=wanted {
        let events = server.get(&format!("/runs/{run}/events?limit=500")).await;
        let events = events["items"].as_array().unwrap();
        let numbers: Vec<u64> = events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let ends = events
            .iter()
            .filter(|event| event["type"] == "RUN_COMPLETE")
            .count();
        assert_eq!(ends, 1, "run {run}");
    }
}
