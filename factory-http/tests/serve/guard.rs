//! The guard's table over the real program: every route that its document names, and the live ones, with every way in
//! which a request must not come.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::program::{Place, Server};
use crate::table::{self, Door, Needs, Row, one_bit_off, send};

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

/// A server with something to ask about.
struct Asked {
    place: Place,
    server: Server,
    rows: Vec<Row>,
}

impl Asked {
    async fn new() -> Self {
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
        // The row of `POST /tokens` asks for this one again.
        server
            .post("/tokens", &json!({"name": "viewer", "role": "viewer"}))
            .await;
        let rows = rows(&server, project, filed[0], filed[1]).await;
        println!("{} routes", rows.len());
        Self { place, server, rows }
    }

    async fn token(&self, name: &str, role: &str) -> String {
        let made = self
            .server
            .post("/tokens", &json!({"name": name, "role": role}))
            .await;
        made["secret"].as_str().unwrap().to_owned()
    }
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("Authorization", format!("Bearer {token}"))]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let asked = Asked::new().await;
    let owner = &asked.server.token;
    let door = Door {
        address: asked.server.api,
        prefix: "",
        admin: bearer(owner),
        lesser: vec![
            (Needs::Viewer, bearer(&asked.token("looks", "viewer").await)),
            (Needs::Operator, bearer(&asked.token("steers", "operator").await)),
        ],
        wrong: vec![
            ("a wrong token", bearer("aidf_wrong")),
            ("a token one bit off", bearer(&one_bit_off(owner))),
            ("the token twice", [bearer(owner), bearer(owner)].concat()),
            (
                "a token without its scheme",
                vec![("Authorization", owner.clone())],
            ),
            (
                "another scheme",
                vec![("Authorization", format!("Basic {owner}"))],
            ),
            ("a token as a cookie", vec![("Cookie", format!("token={owner}"))]),
        ],
        needs_origin: false,
    };
    table::check(&door, &asked.rows).await;
    check_what_is_open(door.address, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_browsers_port_lets_in_whom_it_should_and_nobody_else() {
    let asked = Asked::new().await;
    let console = asked.server.console;
    let session = Session::open(&asked.place, console).await;
    let other = Session::open(&asked.place, console).await;
    let cookie = |secret: &str| ("Cookie", format!("factory_session_{}={secret}", console.port()));
    let page = |secret: &str| ("X-Factory-Page", secret.to_owned());
    let (own_cookie, own_page) = (cookie(&session.cookie), page(&session.page));
    let door = Door {
        address: console,
        prefix: "/api",
        admin: vec![own_cookie.clone(), own_page.clone()],
        lesser: vec![],
        wrong: vec![
            ("the cookie alone", vec![own_cookie.clone()]),
            ("the page's secret alone", vec![own_page.clone()]),
            (
                "another page's secret",
                vec![own_cookie.clone(), page(&other.page)],
            ),
            (
                "a page's secret one bit off",
                vec![own_cookie.clone(), page(&one_bit_off(&session.page))],
            ),
            (
                "a cookie one bit off",
                vec![cookie(&one_bit_off(&session.cookie)), own_page.clone()],
            ),
            (
                "the cookie for the page's secret",
                vec![own_cookie.clone(), page(&session.cookie)],
            ),
            (
                "the page's secret twice",
                vec![own_cookie.clone(), own_page.clone(), own_page.clone()],
            ),
            (
                "another port's cookie",
                vec![
                    ("Cookie", format!("factory_session_1={}", session.cookie)),
                    own_page.clone(),
                ],
            ),
            ("a token", bearer(&asked.server.token)),
        ],
        needs_origin: true,
    };
    table::check(&door, &asked.rows).await;
    check_what_is_open(console, "/api").await;
}

/// A browser's session.
struct Session {
    cookie: String,
    page: String,
}

impl Session {
    async fn open(place: &Place, console: SocketAddr) -> Self {
        let link = String::from_utf8(place.run(&["login"]).stdout).unwrap();
        let code = link
            .lines()
            .next()
            .unwrap()
            .rsplit('#')
            .next()
            .unwrap()
            .to_owned();
        let body = json!({ "code": code }).to_string();
        let request = |more: &str| {
            format!(
                "POST /api/session HTTP/1.1\r\nHost: {console}\r\n{more}Content-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            )
        };
        let typed = "Content-Type: application/json\r\n";
        let own = format!("Origin: http://{console}\r\n");
        for (more, expected) in [
            (typed.to_owned(), 403),
            (format!("{typed}Origin: http://127.0.0.1:1\r\n"), 403),
            (format!("{typed}{own}Sec-Fetch-Site: same-site\r\n"), 403),
            (format!("{own}Content-Type: text/plain\r\n"), 415),
        ] {
            assert_eq!(send(console, &request(&more)).await.status, expected, "{more}");
        }
        let opened = send(console, &request(&format!("{typed}{own}"))).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap();
        let body: Value = serde_json::from_str(&opened.body).unwrap();
        Self {
            cookie: cookie.split_once('=').unwrap().1.to_owned(),
            page: body["page"].as_str().unwrap().to_owned(),
        }
    }
}

/// Asks without a credential for the one path that needs none, and for what looks like it.
async fn check_what_is_open(address: SocketAddr, prefix: &str) {
    let ask = async |method: &str, path: &str, host: &str, more: &str| {
        let text =
            format!("{method} {prefix}{path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
        send(address, &text).await
    };
    let host = address.to_string();
    let open = ask("GET", "/health/live", &host, "").await;
    assert_eq!(open.status, 200, "{open:?}");
    let open: Value = serde_json::from_str(&open.body).unwrap();
    assert_eq!(open, json!({"status": "ok", "findings": []}));
    let own = format!("Origin: http://{address}\r\n");
    for (method, path) in [
        ("POST", "/health/live"),
        ("OPTIONS", "/health/live"),
        ("GET", "/health/live/"),
        ("GET", "/health/live/../../runs"),
        ("GET", "/health/%6cive"),
        ("GET", "/HEALTH/LIVE"),
        ("GET", "/health/ready"),
        ("GET", "/health"),
    ] {
        assert_eq!(
            ask(method, path, &host, &own).await.status,
            401,
            "{method} {path}"
        );
    }
    let socket = format!("{own}Upgrade: websocket\r\n");
    assert_eq!(ask("GET", "/health/live", &host, &socket).await.status, 401);
    assert_eq!(ask("GET", "/health/live", "evil.example", "").await.status, 421);
}
