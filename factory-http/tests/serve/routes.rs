//! Every route of the program, with a request that it answers.

use crate::program::Server;
use crate::table::{Needs, Row};

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
        needs: Needs::Operator,
        authorised,
    }
}

const fn set(
    method: &'static str,
    pattern: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    authorised: u16,
) -> Example {
    Example {
        needs: Needs::Admin,
        ..act(method, pattern, path, body, authorised)
    }
}

/// At least one for each route. Where a verb succeeds once only, what is asked here is what is refused by the state of things, and
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
    set("DELETE", "/models", "/models?model=nowhere:x", None, 502),
    set(
        "POST",
        "/models/probe",
        "/models/probe",
        Some(r#"{"model": "openai:m@ftp://x"}"#),
        422,
    ),
    look("/models/pulls", "/models/pulls"),
    set(
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
    set(
        "DELETE",
        "/models/pulls/{pull_id}",
        "/models/pulls/999999",
        None,
        404,
    ),
    look("/projects", "/projects"),
    set(
        "POST",
        "/projects",
        "/projects",
        Some(r#"{"local_path": "/nowhere"}"#),
        422,
    ),
    look("/projects/{project_id}", "/projects/{project}"),
    set(
        "PATCH",
        "/projects/{project_id}",
        "/projects/{project}",
        Some("{}"),
        200,
    ),
    set(
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
    // Commands of its own are an admin's to set.
    set(
        "POST",
        "/runs",
        "/runs",
        Some(r#"{"project_id": {project}, "goal": "x", "checks": ["true"]}"#),
        201,
    ),
    set(
        "POST",
        "/runs/bulk",
        "/runs/bulk",
        Some(r#"{"runs": [{"project_id": {project}, "goal": "x", "checks": []}]}"#),
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
    set("GET", "/tokens", "/tokens", None, 200),
    set(
        "POST",
        "/tokens",
        "/tokens",
        Some(r#"{"name": "viewer", "role": "viewer"}"#),
        409,
    ),
    set("DELETE", "/tokens/{token_id}", "/tokens/999999", None, 404),
    look("/usage", "/usage"),
    look("/version", "/version"),
    look("/openapi.json", "/openapi.json"),
    look("/asyncapi.json", "/asyncapi.json"),
    look("/docs", "/docs"),
    look("/metrics", "/metrics"),
    look("/runs/{run_id}/events/stream", "/runs/{run}/events/stream"),
    look("/runs/{run_id}/events/ws", "/runs/{run}/events/ws"),
    look("/events/stream", "/events/stream"),
    look("/events/ws", "/events/ws"),
];

/// What the program serves beside its document.
const BESIDE: [&str; 8] = [
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/metrics",
    "/runs/{run_id}/events/stream",
    "/runs/{run_id}/events/ws",
    "/events/stream",
    "/events/ws",
];

/// Returns the rows of each route that there is.
pub(crate) async fn rows(server: &Server, project: i64, run: i64, resting: i64) -> Vec<Row> {
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
        let is_socket = path.ends_with("/ws");
        let before = rows.len();
        let of_it = |example: &&Example| example.method == method && example.pattern == path;
        rows.extend(EXAMPLES.iter().filter(of_it).map(|example| Row {
            method: example.method,
            path: filled(example.path),
            body: example.body.map(filled),
            needs: example.needs,
            is_socket,
            authorised: if is_socket { 101 } else { example.authorised },
        }));
        assert!(rows.len() > before, "{method} {path} is not in the table");
    }
    rows
}
