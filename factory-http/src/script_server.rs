//! A model server that plays a script over the OpenAI protocol, and keeps a log of what it was asked.
//!
//! The model then lives in a process of its own, like a real one: it survives when the factory is killed, and its log
//! witnesses from outside what was asked, how often, and which replies went out whole.
//!
//! The log has one JSON object a line. `asked` is on disk before anything of the reply is sent; `answered` comes when
//! everything but the mark of the end has been handed to the connection, so whoever has seen the whole reply finds it
//! there; `cut` says that the client went before, and `failed` that the script has no reply or breaks it off.

mod protocol;
mod request_log;
#[cfg(test)]
mod tests;
mod watched_connection;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use factory_core::llm::{ChatRequest, Delta, Llm, LlmError, collect};
use futures_util::{StreamExt, stream};
use poem::http::{StatusCode, header};
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::{Data, Json, RemoteAddr};
use poem::{Body, EndpointExt, Response, Route, Server, get, handler, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::protocol::{Asked, ReplyShape};
use self::request_log::{RequestLog, RequestRecord};
use self::watched_connection::{Connections, WatchingAcceptor};

/// The most bytes of a request.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Serves a model until the future is dropped or the listener fails.
///
/// `ready` is called with the address once connections are taken; the port may have been 0. `log` is created if it is
/// missing, else appended to; the requests are numbered from one in each life of the server.
pub(crate) async fn serve(
    listen: SocketAddr,
    script: Arc<dyn Llm>,
    log: Option<PathBuf>,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let log = RequestLog::open(log).await?;
    let acceptor = TcpListener::bind(listen).into_acceptor().await?;
    let address = acceptor
        .local_addr()
        .iter()
        .find_map(|address| address.as_socket_addr().copied());
    let connections = Connections::default();
    let acceptor = WatchingAcceptor {
        inner: acceptor,
        connections: connections.clone(),
    };
    let server = Arc::new(ScriptServer {
        connections,
        script,
        log,
        asked: AtomicU64::new(0),
    });
    let app = Route::new()
        .at("/v1/chat/completions", post(complete))
        .at("/v1/models", get(models))
        .data(server);
    ready(address.unwrap_or(listen));
    Server::new_with_acceptor(acceptor).run(app).await
}

/// What the routes share.
#[derive(Debug)]
struct ScriptServer {
    script: Arc<dyn Llm>,
    log: RequestLog,
    connections: Connections,
    /// How many requests there were.
    asked: AtomicU64,
}

/// A part of a reply on its way to the client. The first is the head.
#[derive(Debug)]
enum Piece {
    Head {
        status: StatusCode,
        media_type: &'static str,
        retry_after: Option<u64>,
    },
    Bytes(Vec<u8>),
    /// The connection is to break here.
    Break,
}

/// How a reply ended.
enum Outcome<'a> {
    /// All was handed over but the closing bytes, for which there is room.
    Answered {
        closing: Vec<u8>,
        room: mpsc::Permit<'a, Piece>,
    },
    /// The model gave no reply, or not all of it; what the client still gets of it.
    Failed { detail: String, last: Vec<Piece> },
    /// The client has gone.
    Cut,
}

#[handler]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the framework hands extractors over by value"
)]
fn models(server: Data<&Arc<ScriptServer>>) -> Json<Value> {
    let name = server.script.name();
    // Clients that look for their model before they ask it find it under this name, whatever the script's own is.
    let model = json!({"id": name, "aliases": ["script"], "object": "model", "owned_by": "script"});
    Json(json!({"object": "list", "data": [model]}))
}

#[handler]
async fn complete(server: Data<&Arc<ScriptServer>>, client: &RemoteAddr, body: Body) -> Response {
    let gone = server.connections.gone(client);
    let body = match body.into_bytes_limit(REQUEST_BYTES).await {
        Ok(body) => body,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let asked = match Asked::parse(&body) {
        Ok(asked) => asked,
        Err(detail) => return refusal(StatusCode::BAD_REQUEST, &detail),
    };
    let number = server.asked.fetch_add(1, Ordering::Relaxed) + 1;
    let record = asked.record(number);
    // A reply without a witness is worth nothing to those who count.
    if let Err(error) = server.log.write("asked", &record, None).await {
        return refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("cannot write the request log: {error}"),
        );
    }
    // One piece at a time, so that what the client does not read is not played.
    let (sender, mut pieces) = mpsc::channel(1);
    tokio::spawn(play(Arc::clone(*server), asked, record, sender, gone));
    let Some(Piece::Head {
        status,
        media_type,
        retry_after,
    }) = pieces.recv().await
    else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the reply has no head");
    };
    let body = stream::unfold(pieces, |mut pieces| async move {
        let bytes = match pieces.recv().await? {
            Piece::Head { .. } => Ok(Vec::new()),
            Piece::Bytes(bytes) => Ok(bytes),
            Piece::Break => Err(io::Error::other("the script breaks the reply off")),
        };
        Some((bytes, pieces))
    });
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, media_type);
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds.to_string());
    }
    response.body(Body::from_bytes_stream(body))
}

/// Plays one reply and logs how it ended. Runs apart from the request, so that it is there to see the client go.
async fn play(
    server: Arc<ScriptServer>,
    asked: Asked,
    record: RequestRecord,
    sender: mpsc::Sender<Piece>,
    gone: CancellationToken,
) {
    let Asked { request, shape, .. } = asked;
    let outcome = tokio::select! {
        biased;
        () = gone.cancelled() => Outcome::Cut,
        () = sender.closed() => Outcome::Cut,
        outcome = converse(&*server.script, request, &shape, record.n, &sender) => outcome,
    };
    // The line comes first: whoever has seen the end of the reply finds it in the log.
    let (event, detail, last, room) = match outcome {
        Outcome::Answered { closing, room } => ("answered", None, vec![Piece::Bytes(closing)], Some(room)),
        Outcome::Failed { detail, last } => ("failed", Some(detail), last, None),
        Outcome::Cut => ("cut", None, vec![], None),
    };
    if let Err(error) = server.log.write(event, &record, detail.as_deref()).await {
        tracing::error!(%error, request = record.n, "cannot write the request log");
        return;
    }
    drop(room);
    for piece in last {
        // A client that goes now has got what the log says.
        let _ = sender.send(piece).await;
    }
}

/// Asks the model and hands its reply over, as far as the closing bytes.
async fn converse<'a>(
    script: &dyn Llm,
    request: ChatRequest,
    shape: &ReplyShape,
    number: u64,
    sender: &'a mpsc::Sender<Piece>,
) -> Outcome<'a> {
    let reply = match script.chat(request).await {
        Ok(reply) => reply,
        Err(error) => return failed(&error),
    };
    let closing = if shape.is_stream {
        stream_reply(script, reply, shape, number, sender).await
    } else {
        whole_reply(script, reply, number, sender).await
    };
    match closing {
        Ok(closing) => match sender.reserve().await {
            // The channel holds one piece, so the one before has been taken.
            Ok(room) => Outcome::Answered { closing, room },
            Err(_) => Outcome::Cut,
        },
        Err(outcome) => outcome,
    }
}

async fn stream_reply<'a>(
    script: &dyn Llm,
    mut reply: factory_core::llm::ReplyStream,
    shape: &ReplyShape,
    number: u64,
    sender: &mpsc::Sender<Piece>,
) -> Result<Vec<u8>, Outcome<'a>> {
    send(sender, head(StatusCode::OK, "text/event-stream")).await?;
    let mut writer = protocol::ChunkWriter::new(script.name(), number, shape.has_usage);
    while let Some(delta) = reply.next().await {
        match delta {
            Ok(delta) => {
                let is_end = matches!(delta, Delta::End(_));
                if let Some(event) = writer.event(delta) {
                    send(sender, Piece::Bytes(event)).await?;
                }
                if is_end {
                    return Ok(protocol::DONE.to_vec());
                }
            }
            Err(error) => return Err(broken(&error)),
        }
    }
    Err(Outcome::Failed {
        detail: "the reply has no end".to_owned(),
        last: vec![Piece::Break],
    })
}

async fn whole_reply<'a>(
    script: &dyn Llm,
    reply: factory_core::llm::ReplyStream,
    number: u64,
    sender: &mpsc::Sender<Piece>,
) -> Result<Vec<u8>, Outcome<'a>> {
    let reply = collect(reply, script.name(), |_| {})
        .await
        .map_err(|error| failed(&error))?;
    let mut body = protocol::whole_body(script.name(), number, &reply)
        .to_string()
        .into_bytes();
    // The closing brace stands for the mark of the end, which this shape lacks.
    let closing = body.split_off(body.len() - 1);
    send(sender, head(StatusCode::OK, "application/json")).await?;
    send(sender, Piece::Bytes(body)).await?;
    Ok(closing)
}

async fn send<'a>(sender: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), Outcome<'a>> {
    sender.send(piece).await.map_err(|_| Outcome::Cut)
}

fn head(status: StatusCode, media_type: &'static str) -> Piece {
    Piece::Head {
        status,
        media_type,
        retry_after: None,
    }
}

/// Returns the outcome of a request that gets an error instead of a reply.
fn failed<'a>(error: &LlmError) -> Outcome<'a> {
    let (status, retry_after) = protocol::status_of(error);
    let last = vec![
        Piece::Head {
            status,
            media_type: "application/json",
            retry_after,
        },
        Piece::Bytes(protocol::error_body(&error.to_string()).to_string().into_bytes()),
    ];
    Outcome::Failed {
        detail: error.to_string(),
        last,
    }
}

/// Returns the outcome of a reply that broke off after its head was sent.
fn broken<'a>(error: &LlmError) -> Outcome<'a> {
    Outcome::Failed {
        detail: error.to_string(),
        last: vec![Piece::Break],
    }
}

fn refusal(status: StatusCode, detail: &str) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(protocol::error_body(detail).to_string())
}
