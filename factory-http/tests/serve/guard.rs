//! The guard's table over the real program: every route that its document names, and the live ones, with every way in
//! which a request must not come.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::program::{Place, Server};
use crate::routes::rows;
use crate::table::{self, Answer, Door, Needs, Row, one_bit_off, send};

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

    /// Returns a token that was taken back.
    async fn revoked_token(&self) -> String {
        let new = json!({"name": "revoked", "role": "admin"});
        let made = self.server.post("/tokens", &new).await;
        let path = format!("/tokens/{}", made["credential"]["id"]);
        assert_eq!(self.server.ask("DELETE", &path, None).await.0, 204);
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Returns a token that has lapsed.
    async fn lapsed_token(&self) -> String {
        let new = json!({"name": "lapsed", "role": "admin", "expires_in": 1});
        let made = self.server.post("/tokens", &new).await;
        let id = &made["credential"]["id"];
        loop {
            let held = self.server.get("/tokens").await;
            let mut held = held["items"].as_array().unwrap().iter();
            if !held.any(|token| token["id"] == *id) {
                return made["secret"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("Authorization", format!("Bearer {token}"))]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let asked = Asked::new().await;
    let owner = &asked.server.token;
    let session = Session::open(&asked.place, asked.server.console).await;
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
            (
                "a token that was taken back",
                bearer(&asked.revoked_token().await),
            ),
            ("a token that has lapsed", bearer(&asked.lapsed_token().await)),
            ("a session's cookie as a token", bearer(&session.cookie)),
            ("a page's secret as a token", bearer(&session.page)),
            ("a login code as a token", bearer(&login_code(&asked.place))),
            (
                "a session",
                vec![
                    (
                        "Cookie",
                        format!(
                            "factory_session_{}={}",
                            asked.server.console.port(),
                            session.cookie
                        ),
                    ),
                    (
                        "Cookie",
                        format!("factory_session_{}={}", asked.server.api.port(), session.cookie),
                    ),
                    ("X-Factory-Page", session.page.clone()),
                ],
            ),
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
    check_what_opens_no_session(&asked.place, console).await;
}

/// Returns the code in a link that opens a session.
fn login_code(place: &Place) -> String {
    let link = String::from_utf8(place.run(&["login"]).stdout).unwrap();
    let (_, code) = link.lines().next().unwrap().split_once('#').unwrap();
    code.to_owned()
}

/// A browser's session.
struct Session {
    cookie: String,
    page: String,
}

impl Session {
    async fn open(place: &Place, console: SocketAddr) -> Self {
        let own = format!("Origin: http://{console}\r\nContent-Type: application/json\r\n");
        let opened = redeem(console, &login_code(place), &own).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap();
        let body: Value = serde_json::from_str(&opened.body).unwrap();
        Self {
            cookie: cookie.split_once('=').unwrap().1.to_owned(),
            page: body["page"].as_str().unwrap().to_owned(),
        }
    }
}

/// Asks for the session that a login code opens.
async fn redeem(console: SocketAddr, code: &str, headers: &str) -> Answer {
    let body = json!({ "code": code }).to_string();
    let text = format!(
        "POST /api/session HTTP/1.1\r\nHost: {console}\r\n{headers}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    send(console, &text).await
}

/// Asks for a session as foreign pages and as forms do, with a code that would open one.
async fn check_what_opens_no_session(place: &Place, console: SocketAddr) {
    let code = login_code(place);
    let typed = "Content-Type: application/json\r\n";
    let own = format!("Origin: http://{console}\r\n");
    for (headers, expected) in [
        (typed.to_owned(), 403),
        (format!("{typed}Origin: http://127.0.0.1:1\r\n"), 403),
        (format!("{typed}{own}Sec-Fetch-Site: same-site\r\n"), 403),
        (format!("{own}Content-Type: text/plain\r\n"), 415),
        (format!("{own}{typed}"), 201),
    ] {
        let answer = redeem(console, &code, &headers).await;
        assert_eq!(answer.status, expected, "{headers}");
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
