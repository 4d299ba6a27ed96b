//! What the first users did: create a run, view it, control it; and a whole run, from the goal to the commit.

use serde_json::{Value, json};

use crate::program::Place;

/// A conversation that writes a file and is done.
pub(crate) fn script(delay_ms: u64) -> Value {
    let call = |name: &str, arguments: Value| json!({"text": "", "delay_ms": delay_ms, "tool_calls": [{"name": name, "arguments": arguments}]});
    json!({"name": "m", "replies": [
        call("update_plan", json!({"steps": ["write it"]})),
        call("write_file", json!({"path": "done.txt", "content": "done\n"})),
        call("finish_step", json!({"summary": "done"})),
    ]})
}

/// A check that names no file, because a result that touches what a check names always asks.
pub(crate) const CHECK: &str = "test $(ls | wc -l) -gt 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_created_viewed_and_controlled() {
    let place = Place::new();
    // Nobody is there to work on it.
    place.configure("model = \"openai:m@http://127.0.0.1:9/v1\"\n");
    let server = place.serve();
    let project = server.register(&place.path("repository"), &[CHECK]).await;
    let listed = server.get("/projects").await;
    assert_eq!(listed["items"][0]["id"], project);
    assert_eq!(listed["next_cursor"], Value::Null);

    let (status, run) = server
        .ask(
            "POST",
            "/runs",
            Some(&json!({"project_id": project, "goal": "Write done.txt"})),
        )
        .await;
    assert_eq!(status, 201);
    for (field, expected) in [
        ("project_id", json!(project)),
        ("goal", json!("Write done.txt")),
        ("status", json!("QUEUED")),
        ("current_iteration", json!(0)),
    ] {
        assert_eq!(run[field], expected, "{field}");
    }
    assert!(run["created_at"].is_string());
    let id = run["id"].as_i64().unwrap();
    let viewed = server.get(&format!("/runs/{id}")).await;
    assert_eq!((&viewed["id"], &viewed["goal"]), (&run["id"], &run["goal"]));
    let events = server.get(&format!("/runs/{id}/events")).await;
    assert_eq!(events["items"][0]["type"], "RUN_CREATED");
    assert_eq!(events["items"][0]["actor"], format!("operator:{}", whoami()));

    // It may be at work on its model already, or wait: both can be paused.
    let (status, paused) = server.ask("POST", &format!("/runs/{id}/pause"), None).await;
    if status == 200 {
        assert_eq!(paused["status"], "PAUSED");
        let events = server.get(&format!("/runs/{id}/events?limit=500")).await;
        let types: Vec<&str> = events["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert!(types.contains(&"RUN_PAUSE"), "{types:?}");
    }
    let (status, refused) = server.ask("POST", &format!("/runs/{id}/pause"), None).await;
    assert_eq!(status, 409);
    assert_eq!(refused["code"], "not_allowed");
    let allowed: Vec<&str> = refused["allowed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verb| verb.as_str().unwrap())
        .collect();
    assert!(
        allowed.contains(&"resume") && allowed.contains(&"stop"),
        "{allowed:?}"
    );
    let stopped = server.post(&format!("/runs/{id}/stop"), &Value::Null).await;
    assert_eq!(stopped["status"], "STOPPED");
    // The browsers' port shows its pages to anybody, and the API to nobody without a session.
    for (path, expected) in [("/login", 200), ("/", 200), ("/docs", 200), ("/api/runs", 401)] {
        let answer = reqwest::get(format!("http://{}{path}", server.console))
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
    }
    assert!(server.terminate().success());
}

fn whoami() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("USER")
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| "operator".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_an_approved_commit_over_http() {
    let place = Place::new();
    let model = place.serve_model(&script(0));
    let server = place.serve();
    let project = server.register(&place.path("repository"), &[CHECK]).await;
    let goal = json!({
        "project_id": project, "goal": "Write done.txt", "protocol": "native",
        "model": format!("openai:m@{}", model.url),
    });
    let id = server.post("/runs", &goal).await["id"].as_i64().unwrap();
    server.wait_for(id, "AWAITING_APPROVAL").await;
    let steps = server.get(&format!("/runs/{id}/plan")).await;
    assert_eq!(steps["steps"][0]["title"], "write it");
    let checks = server.get(&format!("/runs/{id}/checks")).await;
    assert_eq!(checks["items"].as_array().unwrap().last().unwrap()["green"], true);
    let changes = server.get(&format!("/runs/{id}/diff")).await;
    assert_eq!(changes["items"][0]["path"], "done.txt");
    let change = server.get(&format!("/runs/{id}/diff/file?path=done.txt")).await;
    assert!(change["text"].as_str().unwrap().contains("+done"), "{change}");
    let asked = server.get("/approvals").await;
    let approval = asked["items"][0]["id"].as_i64().unwrap();
    let tree = changes["to"].as_str().unwrap();

    // What was not reviewed is not approved.
    let decision = json!({"verdict": "approve", "tree": tree});
    let decision_path = format!("/approvals/{approval}/decision");
    let (status, refused) = server.ask("POST", &decision_path, Some(&decision)).await;
    assert_eq!((status, &refused["code"]), (428, &json!("if_match_required")));
    let client = reqwest::Client::new();
    let decide = async |tag: &str, body: &Value| {
        let request = client
            .post(format!("http://{}{decision_path}", server.api))
            .bearer_auth(&server.token);
        let answer = request
            .header("if-match", format!("\"{tag}\""))
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let other = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    assert_eq!(decide(other, &decision).await.0, 412);
    let wrong = json!({"verdict": "approve", "tree": other});
    assert_eq!(decide(other, &wrong).await.0, 409);
    // Of two who approve at once, one does.
    let (one, two) = tokio::join!(decide(tree, &decision), decide(tree, &decision));
    let mut answers = [one.0, two.0];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);
    let done = server.wait_for(id, "COMPLETE").await;
    assert_eq!(done["branch"], format!("factory/run-{id}"));
    let usage = server.get("/usage?by=project").await;
    assert_eq!(usage["items"][0]["runs"], 1);
    assert!(usage["items"][0]["usage"]["calls"].as_u64().unwrap() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_are_filed_all_or_none_and_once() {
    let place = Place::new();
    place.configure("model = \"openai:m@http://127.0.0.1:9/v1\"\n[limits]\nruns = 1\n");
    let server = place.serve();
    let project = server.register(&place.path("repository"), &[]).await;
    let goal = |text: &str| json!({"project_id": project, "goal": text});
    let client = reqwest::Client::new();
    let file = async |key: &str, body: &Value| {
        let request = client
            .post(format!("http://{}/runs/bulk", server.api))
            .bearer_auth(&server.token);
        let answer = request
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
            .unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        (
            answer.status().as_u16(),
            replayed,
            answer.json::<Value>().await.unwrap(),
        )
    };
    let good = json!({"runs": [goal("a"), goal("b"), goal("c")]});
    let (status, replayed, first) = file("k1", &good).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    let (status, replayed, again) = file("k1", &good).await;
    assert_eq!((status, replayed), (201, true));
    assert_eq!(again, first);
    let bad = json!({"runs": [goal("d"), {"project_id": project + 7, "goal": "e"}]});
    let (status, _, refused) = file("k2", &bad).await;
    assert_eq!(status, 404, "{refused}");
    assert_eq!(refused["errors"][0]["pointer"], "/runs/1");
    let (status, _, refused) = file("k1", &bad).await;
    assert_eq!((status, &refused["code"]), (422, &json!("key_reused")));
    let listed = server.get("/runs?limit=2").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = server.get(&format!("/runs?limit=2&cursor={cursor}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], Value::Null);
    let (status, refused) = server
        .ask("GET", &format!("/runs?status=PAUSED&cursor={cursor}"), None)
        .await;
    assert_eq!(
        (status, &refused["code"]),
        (400, &json!("bad_cursor")),
        "a cursor holds for its own filters"
    );
}
