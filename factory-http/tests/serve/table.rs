//! The guard's table: every route, with every way in which a request must not come, and with the ways in which it must
//! come through. It speaks HTTP by hand, because no client library sends what is refused here.
//!
//! It knows no more of the server than its addresses and its routes, so that it runs over a stand-in and over the program.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a route wants of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// To look.
    Viewer,
    /// To file and steer runs.
    Operator,
    /// To set what commands run and who may ask.
    Admin,
}

/// A route with a request that it answers.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The method; `GET` for a socket.
    pub(crate) method: &'static str,
    /// The path as the API has it, filled in.
    pub(crate) path: String,
    /// The body, as JSON.
    pub(crate) body: Option<String>,
    /// What it wants.
    pub(crate) needs: Needs,
    /// Whether it becomes a socket.
    pub(crate) is_socket: bool,
    /// What is answered to whoever may ask.
    pub(crate) authorised: u16,
}

/// Where the server is, and who may ask.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The port.
    pub(crate) address: SocketAddr,
    /// What stands before the API's paths there.
    pub(crate) prefix: &'static str,
    /// The headers that let an admin in.
    pub(crate) admin: Vec<(&'static str, String)>,
    /// The headers that let in those who may do less, each with how much.
    pub(crate) lesser: Vec<(Needs, Vec<(&'static str, String)>)>,
    /// Sets of headers with credentials that let nobody in, each with what is wrong with it.
    pub(crate) wrong: Vec<(&'static str, Vec<(&'static str, String)>)>,
    /// Whether what changes something, and a socket, has to name its origin.
    pub(crate) needs_origin: bool,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Returns a secret that differs from `secret` in one bit.
pub(crate) fn one_bit_off(secret: &str) -> String {
    let mut bytes = secret.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    String::from_utf8(bytes).expect("a flipped low bit of ASCII is ASCII")
}

/// What every answer says to browsers.
const IN_CHECK: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
    ("cache-control", "no-store"),
];

/// A request, changed step by step.
#[derive(Debug, Clone)]
struct Request<'a> {
    row: &'a Row,
    method: &'static str,
    path: String,
    hosts: Vec<String>,
    headers: Vec<(String, String)>,
    content_type: Option<&'static str>,
}

impl<'a> Request<'a> {
    fn of(door: &Door, row: &'a Row, credential: &[(&'static str, String)]) -> Self {
        let own_origin =
            (door.needs_origin).then(|| ("Origin".to_owned(), format!("http://{}", door.address)));
        let headers = credential
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self {
            row,
            method: row.method,
            path: format!("{}{}", door.prefix, row.path),
            hosts: vec![door.address.to_string()],
            headers: headers.chain(own_origin).collect(),
            content_type: row.body.as_ref().map(|_| "application/json"),
        }
    }

    fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    fn for_hosts(mut self, hosts: &[&str]) -> Self {
        self.hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        self
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for host in &self.hosts {
            let _ = write!(text, "Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(content_type) = self.content_type {
            let _ = write!(text, "Content-Type: {content_type}\r\n");
        }
        let body = self.row.body.as_deref().unwrap_or_default();
        if !body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        text.push_str(if self.row.is_socket {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            "Connection: close\r\n"
        });
        text + "\r\n" + body
    }
}

/// Sends a text and returns what is answered to it.
pub(crate) async fn send(address: SocketAddr, text: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(text.as_bytes()).await;
        read_answer(&mut stream).await
    };
    let answered = tokio::time::timeout(PATIENCE, exchange).await;
    answered.unwrap_or_else(|_| panic!("no answer to\n{text}"))
}

/// Reads an answer: as much as it says it has, or to the end of the connection.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await.unwrap_or(0);
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let answer = Answer {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        };
        let length = match answer.status {
            101 | 204 => Some(0),
            // It goes on for as long as there is somebody to listen.
            _ if answer.header("content-type") == Some("text/event-stream") => Some(0),
            _ => answer
                .header("content-length")
                .and_then(|length| length.parse().ok()),
        };
        let is_whole = text.contains("\r\n\r\n") && length.is_some_and(|length| body.len() >= length);
        if count == 0 || is_whole {
            return answer;
        }
    }
}

/// Runs the whole table over one port.
pub(crate) async fn check(door: &Door, rows: &[Row]) {
    assert!(!rows.is_empty(), "a table without rows shows nothing");
    let (mut sent, mut wrong) = (0, Vec::new());
    for row in rows {
        for (what, request, expected) in requests(door, row) {
            let answer = send(door.address, &request.text()).await;
            sent += 1;
            if let Some(fault) = fault(&answer, expected, expected != row.authorised) {
                wrong.push(format!("{} {} with {what}: {fault}", row.method, row.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {sent} answers are wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Returns what is wrong with an answer.
fn fault(answer: &Answer, expected: u16, is_refusal: bool) -> Option<String> {
    if answer.status != expected {
        return Some(format!(
            "{} instead of {expected}\n    {}",
            answer.status, answer.body
        ));
    }
    if is_refusal && expected >= 400 && answer.header("content-type") != Some("application/problem+json") {
        return Some(format!("the refusal is no problem: {}", answer.head));
    }
    if answer.status == 101 {
        return None;
    }
    let missing = IN_CHECK
        .iter()
        .find(|(name, value)| answer.header(name) != Some(value));
    if let Some((name, value)) = missing {
        return Some(format!("`{name}` is not `{value}`: {}", answer.head));
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    let is_strict = [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    ]
    .iter()
    .all(|part| policy.contains(part));
    if !is_strict || policy.contains("unsafe") {
        return Some(format!("a loose policy: {policy}"));
    }
    let is_shared = answer.head.to_lowercase().contains("access-control-");
    is_shared.then(|| format!("it is shared with other sites: {}", answer.head))
}

/// What is special about a request, the request, and what it has to be answered with.
type Case<'a> = (String, Request<'a>, u16);

/// Every request of one row.
fn requests<'a>(door: &Door, row: &'a Row) -> Vec<Case<'a>> {
    let good = Request::of(door, row, &door.admin);
    let mut all = credentials(door, row);
    all.extend(origins(door, row, &good));
    all.extend(hosts(door, row, &good));
    all.extend(bodies(row, &good));
    all.extend(methods(door, row, &good));
    all
}

fn credentials<'a>(door: &Door, row: &'a Row) -> Vec<Case<'a>> {
    let mut all = vec![
        (
            "the credential".to_owned(),
            Request::of(door, row, &door.admin),
            row.authorised,
        ),
        ("no credential".to_owned(), Request::of(door, row, &[]), 401),
    ];
    for (what, headers) in &door.wrong {
        all.push(((*what).to_owned(), Request::of(door, row, headers), 401));
    }
    for name in ["token", "access_token", "authorization"] {
        let mut request = Request::of(door, row, &[]);
        let (_, value) = &door.admin[0];
        let secret = value.rsplit([' ', '=']).next().unwrap_or_default();
        let joint = if request.path.contains('?') { '&' } else { '?' };
        let _ = write!(request.path, "{joint}{name}={secret}");
        all.push((format!("the secret in the query as {name}"), request, 401));
    }
    for (role, headers) in &door.lesser {
        let expected = if *role >= row.needs { row.authorised } else { 403 };
        let request = Request::of(door, row, headers);
        all.push((format!("the credential of a {role:?}"), request, expected));
    }
    all
}

fn origins<'a>(door: &Door, row: &Row, good: &Request<'a>) -> Vec<Case<'a>> {
    let port = door.address.port();
    let other = port ^ 1;
    let mut all = Vec::new();
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        format!("http://127.0.0.1:{other}"),
        "http://localhost:3000".to_owned(),
        format!("http://127.0.0.1.evil.example:{port}"),
        format!("https://127.0.0.1:{port}"),
    ] {
        let request = good.clone().with("Origin", &origin);
        all.push((format!("the origin {origin}"), request, 403));
    }
    let own = good.clone().with("Origin", &format!("http://127.0.0.1:{port}"));
    all.push((
        "its own origin".to_owned(),
        own.with("Sec-Fetch-Site", "same-origin"),
        row.authorised,
    ));
    let is_told = row.is_socket || !matches!(row.method, "GET" | "HEAD");
    let expected = if door.needs_origin && is_told {
        403
    } else {
        row.authorised
    };
    all.push(("no origin".to_owned(), good.clone().without("Origin"), expected));
    let own = format!("http://127.0.0.1:{port}");
    let twice = good.clone().with("Origin", &own);
    all.push(("its own origin twice".to_owned(), twice.and("Origin", &own), 403));
    for site in ["cross-site", "same-site", "anything", ""] {
        let request = good.clone().with("Sec-Fetch-Site", site);
        all.push((format!("Sec-Fetch-Site {site}"), request, 403));
    }
    let twice = good.clone().with("Sec-Fetch-Site", "same-origin");
    let twice = twice.and("Sec-Fetch-Site", "same-origin");
    all.push(("two Sec-Fetch-Site".to_owned(), twice, 403));
    let typed = good.clone().with("Sec-Fetch-Site", "none");
    all.push(("Sec-Fetch-Site none".to_owned(), typed, row.authorised));
    all
}

fn hosts<'a>(door: &Door, row: &Row, good: &Request<'a>) -> Vec<Case<'a>> {
    let port = door.address.port();
    let mut all = Vec::new();
    for host in [
        "evil.example".to_owned(),
        format!("localhost.evil.example:{port}"),
        format!("127.0.0.1:{}", port ^ 1),
        "127.0.0.1".to_owned(),
        format!("0.0.0.0:{port}"),
    ] {
        let request = good.clone().for_hosts(&[&host]);
        all.push((format!("the host {host}"), request, 421));
    }
    let host = door.address.to_string();
    let twice = good.clone().for_hosts(&[&host, &host]);
    all.push(("two hosts".to_owned(), twice, 400));
    all.push(("no host".to_owned(), good.clone().for_hosts(&[]), 400));
    let localhost = good.clone().for_hosts(&[&format!("localhost:{port}")]);
    all.push(("the host localhost".to_owned(), localhost, row.authorised));
    for (named, expected) in [(host.as_str(), row.authorised), ("evil.example", 421)] {
        let mut request = good.clone();
        request.path = format!("http://{named}{}", request.path);
        all.push((format!("{named} in the first line"), request, expected));
    }
    all
}

fn bodies<'a>(row: &Row, good: &Request<'a>) -> Vec<Case<'a>> {
    let of_type = |content_type| {
        let mut request = good.clone();
        request.content_type = content_type;
        request
    };
    let mut all: Vec<_> = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/json\r\nContent-Type: application/json",
    ]
    .map(|name| (format!("the type {name:?}"), of_type(Some(name)), 415))
    .into();
    if row.body.is_some() {
        all.push(("a body of no type".to_owned(), of_type(None), 415));
        all.push((
            "a body of JSON with its charset".to_owned(),
            of_type(Some("application/json; charset=utf-8")),
            row.authorised,
        ));
    }
    all
}

fn methods<'a>(door: &Door, row: &'a Row, good: &Request<'a>) -> Vec<Case<'a>> {
    let of_method = |method, mut request: Request<'a>| {
        request.method = method;
        request
    };
    let nobody = || Request::of(door, row, &[]);
    let asked = of_method("OPTIONS", nobody()).with("Access-Control-Request-Method", row.method);
    vec![
        (
            "another method in a header".to_owned(),
            good.clone().with("X-HTTP-Method-Override", "DELETE"),
            row.authorised,
        ),
        (
            "a foreign page's question whether it may".to_owned(),
            asked.clone().with("Origin", "https://evil.example"),
            403,
        ),
        ("the question whether it may".to_owned(), asked, 401),
        (
            "a method that is none".to_owned(),
            of_method("BREW", nobody()),
            405,
        ),
    ]
}
