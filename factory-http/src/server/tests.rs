//! The server over real connections, in front of a small stand-in for the API.

mod bounds;
mod browser;
mod chromium;
mod doors;
#[path = "../../tests/serve/table.rs"]
mod table;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use factory_core::factory::Sockets;
use factory_core::factory::credentials::NewToken;
use factory_core::model::Role;
use factory_core::store::MemoryStore;
use factory_core::{Factory, HostEnvironment, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use poem::http::StatusCode;
use poem::web::Data;
use poem::web::websocket::WebSocket;
use poem::{EndpointExt as _, IntoResponse, Response, Route, RouteMethod, get, handler};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use self::table::{Answer, Door, Needs, Row, one_bit_off, read_answer, send};
use super::*;
use crate::guard::{Admin, Operator, SOCKET_PROTOCOL, Viewer};

/// A server with its factory.
struct Place {
    _folder: TempDir,
    factory: Factory,
    api: std::net::SocketAddr,
    console: std::net::SocketAddr,
    admin: String,
    viewer: String,
    operator: String,
    ending: CancellationToken,
    served: JoinHandle<()>,
    /// How often something was changed.
    altered: Arc<AtomicUsize>,
}

#[handler]
fn look(Viewer(principal): Viewer) -> String {
    principal.name.to_string()
}

#[handler]
fn alter(_operator: Operator, Data(altered): Data<&Arc<AtomicUsize>>, body: String) -> String {
    altered.fetch_add(1, Ordering::SeqCst);
    body
}

#[handler]
fn remove(_admin: Admin) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Says everything again until its credential ends.
#[handler]
fn events(viewer: Viewer, socket: WebSocket) -> impl IntoResponse {
    socket
        .protocols([SOCKET_PROTOCOL])
        .on_upgrade(|mut stream| async move {
            let echo = async {
                while let Some(Ok(message)) = stream.next().await {
                    if stream.send(message).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = echo => {}
                () = viewer.0.ended.cancelled() => {}
            }
        })
}

#[handler]
async fn never() -> Response {
    std::future::pending().await
}

/// What came with a request, as a handler sees it.
#[handler]
fn headers(request: &poem::Request, _viewer: Viewer) -> String {
    format!("{:?}", request.headers())
}

fn stand_in() -> Route {
    Route::new()
        .at("/things", RouteMethod::new().get(look).post(alter))
        .at("/things/:id", RouteMethod::new().delete(remove))
        .at("/things/:id/events/ws", get(events))
        .at("/headers", get(headers))
        .at("/never", get(never))
        .at("/health/live", get(poem::endpoint::make_sync(|_| "alive")))
}

fn rows() -> Vec<Row> {
    let row = |method, path: &str, body: Option<&str>, needs, authorised| Row {
        method,
        path: path.to_owned(),
        body: body.map(str::to_owned),
        needs,
        is_socket: authorised == 101,
        authorised,
    };
    vec![
        row("GET", "/things", None, Needs::Viewer, 200),
        row("POST", "/things", Some(r#"{"name": "x"}"#), Needs::Operator, 200),
        row("DELETE", "/things/7", None, Needs::Admin, 204),
        row("GET", "/things/7/events/ws?after=3", None, Needs::Viewer, 101),
        row("GET", "/nowhere", None, Needs::Viewer, 404),
    ]
}

impl Place {
    async fn new(change: impl FnOnce(&mut Serving)) -> Self {
        Self::listening(
            &Listening {
                listen: ([127, 0, 0, 1], 0).into(),
                console: ([127, 0, 0, 1], 0).into(),
                ..Listening::default()
            },
            change,
        )
        .await
    }

    async fn listening(listening: &Listening, change: impl FnOnce(&mut Serving)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = HostEnvironment {
            variables: std::env::vars().collect(),
            home: folder.path().into(),
        };
        let mut settings = Settings::new(folder.path().join("data"), host);
        settings.operator = "ann".to_owned();
        let sockets = Sockets {
            store: Some(Arc::new(MemoryStore::new())),
            ..Sockets::default()
        };
        let factory = Factory::open_with(settings, sockets).await.unwrap();
        let credentials = factory.credentials().await.unwrap().clone();
        let admin = credentials.owner_token().await.unwrap();
        let issue = async |name: &str, role| {
            let new = NewToken {
                name: name.to_owned(),
                role,
                expires_in: None,
            };
            credentials.issue(new).await.unwrap().secret
        };
        let viewer = issue("looker", Role::Viewer).await;
        let operator = issue("steerer", Role::Operator).await;
        let listeners = Listeners::bind(listening).await.unwrap();
        let (api, console) = (listeners.api.address, listeners.console.address);
        let mut serving = Serving::new(
            credentials,
            |_, _| RouteLimits::default(),
            Arc::default(),
            Metrics::new(),
        );
        serving.failures.burst = NonZeroU32::new(10_000).unwrap();
        change(&mut serving);
        let ending = CancellationToken::new();
        let altered = Arc::new(AtomicUsize::new(0));
        let served = tokio::spawn(serve(
            listeners,
            stand_in().data(Arc::clone(&altered)),
            serving,
            ending.clone(),
        ));
        Self {
            _folder: folder,
            factory,
            api,
            console,
            admin: admin.expose().to_owned(),
            viewer: viewer.expose().to_owned(),
            operator: operator.expose().to_owned(),
            ending,
            served,
            altered,
        }
    }

    fn api_door(&self) -> Door {
        let bearer = |token: &str| vec![("Authorization", format!("Bearer {token}"))];
        Door {
            address: self.api,
            prefix: "",
            admin: bearer(&self.admin),
            lesser: vec![
                (Needs::Viewer, bearer(&self.viewer)),
                (Needs::Operator, bearer(&self.operator)),
            ],
            wrong: vec![
                (
                    "another token",
                    bearer("aidf_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                ),
                ("a token that is one bit off", bearer(&one_bit_off(&self.admin))),
                ("half a token", bearer(&self.admin[..20])),
                (
                    "the token as a cookie",
                    vec![("Cookie", format!("token={}", self.admin))],
                ),
                (
                    "another scheme",
                    vec![("Authorization", format!("Basic {}", self.admin))],
                ),
                ("no scheme", vec![("Authorization", self.admin.clone())]),
                (
                    "the token twice",
                    [bearer(&self.admin), bearer(&self.admin)].concat(),
                ),
            ],
            needs_origin: false,
        }
    }

    fn cookie_name(&self) -> String {
        format!("factory_session_{}", self.console.port())
    }

    async fn log_in(&self) -> (String, String) {
        let code = self.login_code().await;
        let answer = self.redeem(&code).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let set = answer.header("set-cookie").unwrap();
        let cookie = set.split(';').next().unwrap().split_once('=').unwrap().1;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (cookie.to_owned(), body["page"].as_str().unwrap().to_owned())
    }

    async fn login_code(&self) -> String {
        let credentials = self.factory.credentials().await.unwrap();
        let code = credentials.make_login_code().await.unwrap();
        code.secret.expose().to_owned()
    }

    async fn redeem(&self, code: &str) -> Answer {
        let body = format!(r#"{{"code": "{code}"}}"#);
        let origin = format!("http://{}", self.console);
        let text = format!(
            "POST /api/session HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.console,
            body.len()
        );
        send(self.console, &text).await
    }

    /// Asks the API's port as its owner. `more` is more headers, each with its line's end.
    fn request(&self, first: &str, more: &str) -> String {
        let (host, token) = (self.api, &self.admin);
        format!("{first} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}")
    }

    async fn open_socket(&self, token: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.api).await.unwrap();
        let text = format!(
            "GET /things/1/events/ws HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.api
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 101);
        stream
    }

    async fn end(self) {
        self.ending.cancel();
        self.served.await.unwrap();
    }
}

/// Reads until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = async {
        let mut piece = [0; 4096];
        // A reset is an end, too.
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            bytes.extend_from_slice(&piece[..count]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn headers_of(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

/// Reads the head of an answer whose connection stays open.
async fn read_head(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head,
        body: String::new(),
    }
}

/// Sends a word into a socket and waits until it comes back.
async fn echo(stream: &mut TcpStream) {
    // A text of two letters, masked with zeros.
    stream
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .await
        .unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, [0x81, 2, b'h', b'i']);
}
