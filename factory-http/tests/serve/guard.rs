//! The guard's table over the real program: every route that its document names, and the live ones, with every way in
//! which a request must not come.

use serde_json::{Value, json};

use crate::program::{Place, Server};
use crate::table::{self, Door, Needs, Row, one_bit_off};

/// What a route is asked in the table. `{run}` is a stopped run, `{resting}` a paused one, `{project}` a project.
struct Example {
    method: &'static str,
    pattern: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    needs: Needs,
    /// What is answered to whoever may ask, however often.
    authorised: u16,
}

const fn look(pattern: &'static str, path: &'static str) -> Example {
    Example {
        method: "GET",
        pattern,
        path,
        body: None,
        needs: Needs::Viewer,
        authorised: 200,
    }
}

const fn act(
    method: &'static str,
    pattern: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    authorised: u16,
) -> Example {
    Example {
        method,
        pattern,
        path,
        body,
        needs: Needs::More,
        authorised,
    }
}

/// One for each route. Where a verb succeeds once only, what is asked here is what is refused by the state of things, and
/// not by the guard: the answer shows that it came through.
const EXAMPLES: &[Example] = &[
    look("/approvals", "/approvals"),
    Example {
        authorised: 404,
        ..look("/approvals/{approval_id}", "/approvals/999")
    },
    act(
        "POST",
        "/approvals/{approval_id}/decision",
        "/approvals/999/decision",
        Some(r#"{"verdict": "reject", "because": "no"}"#),
        404,
    ),
    Example {
        authorised: 404,
        ..look(
            "/blobs/{blob_id}",
            "/blobs/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        )
    },
    look("/health/ready", "/health/ready"),
    look("/models", "/models"),
    act("DELETE", "/models", "/models?model=nowhere:x", None, 502),
    act(
        "POST",
        "/models/probe",
        "/models/probe",
        Some(r#"{"model": "openai:m@ftp://x"}"#),
        422,
    ),
    look("/models/pulls", "/models/pulls"),
    act(
        "POST",
        "/models/pulls",
        "/models/pulls",
        Some(r#"{"model": "ollama:x"}"#),
        201,
    ),
    Example {
        authorised: 404,
        ..look("/models/pulls/{pull_id}", "/models/pulls/999999")
    },
    act(
        "DELETE",
        "/models/pulls/{pull_id}",
        "/models/pulls/999999",
        None,
        404,
    ),
    look("/projects", "/projects"),
    act(
        "POST",
        "/projects",
        "/projects",
        Some(r#"{"local_path": "/nowhere"}"#),
        422,
    ),
    look("/projects/{project_id}", "/projects/{project}"),
    act(
        "PATCH",
        "/projects/{project_id}",
        "/projects/{project}",
        Some("{}"),
        200,
    ),
    act(
        "DELETE",
        "/projects/{project_id}",
        "/projects/{project}",
        None,
        409,
    ),
    look("/runs", "/runs"),
    act(
        "POST",
        "/runs",
        "/runs",
        Some(r#"{"project_id": {project}, "goal": "x"}"#),
        201,
    ),
    act(
        "POST",
        "/runs/bulk",
        "/runs/bulk",
        Some(r#"{"runs": [{"project_id": {project}, "goal": "x"}]}"#),
        201,
    ),
    look("/runs/{run_id}", "/runs/{run}"),
    look("/runs/{run_id}/approvals", "/runs/{run}/approvals"),
    act(
        "PUT",
        "/runs/{run_id}/budget",
        "/runs/{resting}/budget",
        Some("{}"),
        200,
    ),
    look("/runs/{run_id}/checkpoints", "/runs/{run}/checkpoints"),
    look("/runs/{run_id}/checks", "/runs/{run}/checks"),
    look("/runs/{run_id}/comments", "/runs/{run}/comments"),
    act(
        "POST",
        "/runs/{run_id}/comments",
        "/runs/{resting}/comments",
        Some(r#"{"text": "x"}"#),
        200,
    ),
    look("/runs/{run_id}/diff", "/runs/{run}/diff"),
    Example {
        authorised: 404,
        ..look("/runs/{run_id}/diff/file", "/runs/{run}/diff/file?path=x")
    },
    act(
        "POST",
        "/runs/{run_id}/directive",
        "/runs/{resting}/directive",
        Some(r#"{"directive": "x"}"#),
        200,
    ),
    look("/runs/{run_id}/events", "/runs/{run}/events"),
    act(
        "POST",
        "/runs/{run_id}/fork",
        "/runs/{run}/fork",
        Some(r#"{"from": 1}"#),
        201,
    ),
    act("POST", "/runs/{run_id}/pause", "/runs/{run}/pause", None, 409),
    look("/runs/{run_id}/plan", "/runs/{run}/plan"),
    act("POST", "/runs/{run_id}/resume", "/runs/{run}/resume", None, 409),
    act("POST", "/runs/{run_id}/retry", "/runs/{run}/retry", None, 201),
    act("POST", "/runs/{run_id}/stop", "/runs/{run}/stop", None, 409),
    Example {
        needs: Needs::More,
        ..look("/tokens", "/tokens")
    },
    act(
        "POST",
        "/tokens",
        "/tokens",
        Some(r#"{"name": "viewer", "role": "viewer"}"#),
        409,
    ),
    act("DELETE", "/tokens/{token_id}", "/tokens/999999", None, 404),
    look("/usage", "/usage"),
    look("/version", "/version"),
    look("/openapi.json", "/openapi.json"),
    look("/asyncapi.json", "/asyncapi.json"),
    look("/docs", "/docs"),
    look("/metrics", "/metrics"),
    look("/runs/{run_id}/events/stream", "/runs/{run}/events/stream"),
    look("/runs/{run_id}/events/ws", "/runs/{run}/events/ws"),
    look("/events/ws", "/events/ws"),
];

/// What the program serves beside its document.
const BESIDE: [&str; 7] = [
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/metrics",
    "/runs/{run_id}/events/stream",
    "/runs/{run_id}/events/ws",
    "/events/ws",
];

async fn rows(server: &Server, project: i64, run: i64, resting: i64) -> Vec<Row> {
    let document = server.get("/openapi.json").await;
    let mut routes: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    routes.extend(BESIDE.map(|path| ("GET".to_owned(), path.to_owned())));
    let filled = |text: &str| {
        text.replace("{project}", &project.to_string())
            .replace("{run}", &run.to_string())
            .replace("{resting}", &resting.to_string())
    };
    let mut rows = Vec::new();
    for (method, path) in &routes {
        // Open to everybody.
        if path == "/health/live" {
            continue;
        }
        let example = EXAMPLES
            .iter()
            .find(|example| example.method == method && example.pattern == path)
            .unwrap_or_else(|| panic!("{method} {path} is not in the table"));
        let is_socket = path.ends_with("/ws");
        rows.push(Row {
            method: example.method,
            path: filled(example.path),
            body: example.body.map(filled),
            needs: example.needs,
            is_socket,
            authorised: if is_socket { 101 } else { example.authorised },
        });
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let place = Place::new();
    place.configure(
        "model = \"openai:m@http://127.0.0.1:9/v1\"\n[limits]\nruns = 1\n[server]\nfailures = 1000000\n",
    );
    let server = place.serve();
    let project = server.register(&place.path("repository"), &[]).await;
    let goal = json!({"project_id": project, "goal": "x"});
    let mut filed = Vec::new();
    for verb in ["stop", "pause"] {
        let id = server.post("/runs", &goal).await["id"].as_i64().unwrap();
        // The model is nowhere, so that a run rests by itself sooner or later.
        let (status, _) = server.ask("POST", &format!("/runs/{id}/{verb}"), None).await;
        assert!(status == 200 || verb == "pause");
        filed.push(id);
    }
    let viewer = server
        .post("/tokens", &json!({"name": "viewer", "role": "viewer"}))
        .await;
    let viewer = viewer["secret"].as_str().unwrap();
    let bearer = |token: &str| vec![("Authorization", format!("Bearer {token}"))];
    let door = Door {
        address: server.api,
        prefix: "",
        admin: bearer(&server.token),
        viewer: Some(bearer(viewer)),
        wrong: vec![
            ("a wrong token", bearer("aidf_wrong")),
            ("a token one bit off", bearer(&one_bit_off(&server.token))),
            (
                "a token without its scheme",
                vec![("Authorization", server.token.clone())],
            ),
            (
                "a token as a cookie",
                vec![("Cookie", format!("token={}", server.token))],
            ),
        ],
        needs_origin: false,
    };
    let rows = rows(&server, project, filed[0], filed[1]).await;
    println!("{} routes", rows.len());
    table::check(&door, &rows).await;
    let (status, _) = server.ask("GET", "/health/live", None).await;
    assert_eq!(status, 200);
    let open: Value = reqwest::get(format!("http://{}/health/live", server.api))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(open["status"], "ok");
}
